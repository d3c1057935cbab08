"""Checks of raw rows before anything is trained: each failure names the first row it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

ROWS_AT_ONCE = 1_000


def first_rows(
    dataset: Dataset, column: str, is_bad: Callable[[Any], bool]
) -> tuple[int, int | None]:
    """Count the values of ``column`` that are bad, and find the first; holds few rows at once.

    Returns:
        The count, and the first bad row counted from 1, or ``None``.
    """
    count, first = 0, None
    start = 0
    for batch in dataset.select_columns([column]).iter(ROWS_AT_ONCE):
        for i, value in enumerate(batch[column]):
            if is_bad(value):
                count += 1
                first = first or start + i + 1
        start += len(batch[column])
    return count, first


def check_texts(dataset: Dataset, column: str, where: str) -> None:
    """Refuse blank texts and texts that are no strings.

    Raises:
        InputError: Says how many rows are blank, and which is the first.
    """
    count, row = first_rows(
        dataset, column, lambda value: not isinstance(value, str) or not value.strip()
    )
    if count == len(dataset):
        raise InputError(f"{where}: column {column} is blank in all {count} rows. Name another.")
    if count:
        raise InputError(
            f"{where}, row {row}: column {column} is blank, in {count} of {len(dataset)} rows. "
            "frtune prepare sets such rows aside."
        )
