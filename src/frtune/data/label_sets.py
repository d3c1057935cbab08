"""Several labels a row: lists of them, and text with a separator."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from frtune.data.cleaning import split_keyphrases
from frtune.data.labels import MANY_ROWS, check_found, label_name, label_reason, ordered
from frtune.data.row_checks import rows_of
from frtune.data.written_lists import looks_written, parse_written
from frtune.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

SEPARATOR = "; "


def label_items(value: Any, separator: str = SEPARATOR) -> list[Any]:
    """The labels of one value, as they stand there: of a list, of one written out, of text.

    Example:
        >>> label_items("eau; sel"), label_items('["eau", "sel"]'), label_items([1, 2]), label_items(3)
        (['eau', 'sel'], ['eau', 'sel'], [1, 2], [3])
    """  # noqa: E501
    if isinstance(value, str):
        found = parse_written(value) if looks_written(value) else None
        return found if isinstance(found, list) else split_keyphrases(value, separator)
    return list(value) if isinstance(value, list | tuple) else [value]


def label_set(value: Any, separator: str = SEPARATOR, names: list[str] | None = None) -> list[str]:
    """Return the labels of one value as text, each once, in their order.

    Args:
        value: A list, text with a separator, or one label. ``[]`` has none.
        separator: What stands between labels in text, as for ``frtune.data.split_keyphrases``.
        names: Those of a list of ``ClassLabel``.

    Example:
        >>> label_set("eau; sel;eau"), label_set([2.0, "x"]), label_set("[]"), label_set([1], names=["a", "b"])
        (['eau', 'sel'], ['2', 'x'], [], ['b'])
    """  # noqa: E501
    found = (label_name(item, names) for item in label_items(value, separator))
    return list(dict.fromkeys(label for label in found if label is not None))


def label_set_reason(value: Any, column: str, separator: str = SEPARATOR) -> str | None:
    """Say why a value is no set of labels; ``None`` when it is one, maybe without any.

    Example:
        >>> label_set_reason([], "tags"), label_set_reason("", "tags")
        (None, 'column tags has no labels; [] is a row without any')
        >>> label_set_reason([["eau"]], "tags")
        "column tags holds ['eau'], not one label (list)"
    """
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return f"column {column} has no labels; [] is a row without any"
    reasons = (label_reason(item, column) for item in label_items(value, separator))
    return next((reason for reason in reasons if reason is not None), None)


def several_reason(value: Any, column: str) -> str | None:
    """Say that a value is a list where one label is expected, and what reads it.

    Example:
        >>> several_reason(["eau", "sel"], "label")
        "column label holds a list, ['eau', 'sel']; --multi-label learns several labels a row"
        >>> several_reason("[1]", "label"), several_reason("eau", "label")
        (None, None)
    """
    found = value
    if isinstance(value, str) and value.lstrip().startswith("[") and looks_written(value):
        found = parse_written(value)
        if not (isinstance(found, list) and any(quote in value for quote in "'\"")):
            return None
    if not isinstance(found, list | tuple):
        return None
    return (
        f"column {column} holds a list, {str(value)[:40]}; --multi-label learns several labels a "
        "row"
    )


def item_names(dataset: Dataset, column: str) -> list[str] | None:
    """Names of a column that is a list of ``ClassLabel``; ``None`` for any other column."""
    feature = dataset.features.get(column)
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return None if names is None else list(names)


def label_sets(dataset: Dataset, column: str, separator: str = SEPARATOR) -> Iterator[list[str]]:
    """Yield the labels of each row."""
    names = item_names(dataset, column)
    for row in rows_of(dataset, [column]):
        yield label_set(row[column], separator, names)


def count_label_sets(
    dataset: Dataset, column: str, where: str, labels: list[str] | None, separator: str = SEPARATOR
) -> dict[str, int]:
    """Count the training rows of each label, in the order of ``labels``, or of those found.

    Raises:
        InputError: If there is one label only, one that is not in ``labels``, or no label that two
            rows have.
    """
    found: Counter[str] = Counter()
    most = 0
    for row in label_sets(dataset, column, separator):
        found.update(row)
        most = max(most, len(row))
    labels = labels or item_names(dataset, column) or ordered(found)
    check_found(found, labels, labels, f"{where}, column {column}")
    if len(dataset) >= MANY_ROWS and max(found.values(), default=0) < 2:
        raise InputError(
            f"{where}, column {column}: no label is in two of {len(dataset)} rows. "
            "Name the column with the labels."
        )
    if most == 1:
        logger.warning(
            "no row has two labels: with one label a row, leave multi_label out (the separator of "
            "text is %r)", separator,
        )  # fmt: skip
    return {label: found[label] for label in labels}


def check_label_sets(
    dataset: Dataset, column: str, labels: list[str] | None, where: str, separator: str = SEPARATOR
) -> None:
    """Refuse (``InputError``) labels that no training row had.

    The message names the first such row and label, and how many rows there are. ``labels`` is
    ``None`` when they are not known yet.
    """
    unseen: Counter[str] = Counter()
    first, known = 0, {*(labels or ())}
    for number, row in enumerate(label_sets(dataset, column, separator), start=1):
        others = [label for label in row if labels is not None and label not in known]
        unseen.update(others)
        first = first or (number if others else 0)
    if unseen:
        shown = ", ".join(f"{label!r} ({count} rows)" for label, count in unseen.most_common(3))
        raise InputError(
            f"{where}, row {first}: column {column} has labels that training has not: {shown}. "
            f"Training has {', '.join((labels or [])[:10])}. Correct them, or add training rows."
        )


def as_indicators(rows: Sequence[Sequence[str]], labels: Sequence[str]) -> list[list[float]]:
    """1 for each label that a row has and 0 for the others, ``(rows, labels)``.

    Example:
        >>> as_indicators([["b"], []], ["a", "b"])
        [[0.0, 1.0], [0.0, 0.0]]
    """
    return [[float(label in row) for label in labels] for row in map(set, rows)]
