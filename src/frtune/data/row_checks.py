"""Rows that cannot be learnt from: refused with the first of them, or set aside with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from frtune.data.checks import columns_check
from frtune.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

ROWS_AT_ONCE = 1_000

Reason = Callable[[dict[str, Any]], str | None]


def rows_of(dataset: Dataset, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of some columns, a batch at a time."""
    columns = list(columns)
    batches: Any = dataset.select_columns(columns).iter(ROWS_AT_ONCE)
    for batch in batches:
        for values in zip(*(batch[column] for column in columns), strict=True):
            yield dict(zip(columns, values, strict=True))


def check_rows(dataset: Dataset, columns: Iterable[str], reason: Reason, where: str) -> None:
    """Refuse rows that cannot be learnt from; ``reason`` says why, and looks at ``columns``.

    The ``InputError`` names the first such row, and how many there are.
    """
    columns = list(columns)
    columns_check(dataset, columns, where)
    count, first = 0, ""
    for number, row in enumerate(rows_of(dataset, columns), start=1):
        found = reason(row)
        if found:
            count += 1
            first = first or f"{where}, row {number}: {found}"
    if count:
        others = f", in {count} of {len(dataset)} rows" if count > 1 else ""
        raise InputError(f"{first}{others}. Correct such rows; frtune prepare sets them aside.")


def check_texts(dataset: Dataset, column: str, where: str) -> None:
    """Refuse blank texts and texts that are no strings.

    Raises:
        InputError: Says how many rows are blank, and which is the first.
    """
    others, blank = [], []
    for number, row in enumerate(rows_of(dataset, [column]), start=1):
        value = row[column]
        if value is not None and not isinstance(value, str):
            others.append(number)
        elif value is None or not value.strip():
            blank.append(number)
    if others:
        value = next(rows_of(dataset.select([others[0] - 1]), [column]))[column]
        raise InputError(
            f"{where}, row {others[0]}: column {column} holds {str(value)[:40]!r}, which is no "
            f"text, in {len(others)} of {len(dataset)} rows. Write it as text, or name another "
            "column."
        )
    count, row = len(blank), next(iter(blank), None)
    if count == len(dataset):
        raise InputError(f"{where}: column {column} is blank in all {count} rows. Name another.")
    if count:
        raise InputError(
            f"{where}, row {row}: column {column} is blank, in {count} of {len(dataset)} rows. "
            "frtune prepare sets such rows aside."
        )


def bad_values(
    dataset: Dataset, column: str, is_bad: Callable[[Any], bool]
) -> tuple[int, int | None]:
    """Count the bad values of ``column``; the first bad row, from 1, or ``None`` comes second."""
    numbered = enumerate(rows_of(dataset, [column]), start=1)
    bad = [number for number, row in numbered if is_bad(row[column])]
    return len(bad), bad[0] if bad else None


def set_aside(dataset: Dataset, task: Any) -> tuple[Dataset, list[dict[str, Any]]]:
    """Split a data set into rows to learn from and rows that cannot be used.

    Args:
        dataset: Raw rows.
        task: Has ``columns``, ``label_columns`` and ``reason(row)``.

    Returns:
        The rows that are left, and of each other its number from 1 (``row``), ``reason`` and
        ``original``.

    Raises:
        InputError: If a column is missing.

    Example:
        >>> from datasets import Dataset
        >>> from frtune import SequenceClassification
        >>> rows = Dataset.from_dict({"text": ["loyer mars", " "], "label": ["loyer", "poste"]})
        >>> kept, rejected = set_aside(rows, SequenceClassification())
        >>> len(kept), [(item["row"], item["reason"]) for item in rejected]
        (1, [(2, 'column text is blank')])
    """
    columns = [*task.columns, *task.label_columns]
    columns_check(dataset, columns, "rows")
    rejected, kept = [], []
    for i, row in enumerate(rows_of(dataset, columns)):
        reason = task.reason(row)
        if reason is None:
            kept.append(i)
        else:
            rejected.append({"row": i + 1, "reason": reason, "original": dict(dataset[i])})
    return dataset.select(kept), rejected
