"""What must hold of a data set before anything is made of it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from frtune.data.cleaning import clean_keyphrases, has_separator, split_keyphrases
from frtune.data.written_lists import looks_written, without_entities
from frtune.errors import InputError, nearest

if TYPE_CHECKING:
    from datasets import Dataset

_CANDIDATES = ("; ", ";", ", ", ",", " | ", "|", " / ", "/", "\t", "、", "·", " - ", "#")


def columns_check(dataset: Dataset, needed: Iterable[str], where: str) -> None:
    """Raise an ``InputError``, about the rows of ``where``, unless all the columns are there.

    Example:
        >>> from datasets import Dataset
        >>> columns_check(Dataset.from_dict({"texte": ["a"]}), ["text"], "train.csv")
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: train.csv: has no column text; it has texte. Did you mean texte?
        Name the column to read, or rename it.
    """
    found = list(dataset.column_names)
    for name in needed:
        if name not in found:
            raise InputError(
                f"{where}: has no column {name}; it has {', '.join(found)}."
                f"{nearest(name, found)} Name the column to read, or rename it."
            )


def check_named(splits: Iterable[Dataset], text_columns: Iterable[str] | None, where: str) -> None:
    """Refuse a name among those of ``--text-columns`` that no split has."""
    known = list(dict.fromkeys(name for rows in splits for name in rows.column_names))
    for name in text_columns or ():
        if unicodedata.normalize("NFC", name) not in known:
            raise InputError(
                f"text_columns={name}: {where} has {', '.join(known[:20])}.{nearest(name, known)} "
                "Name columns that it has."
            )


def separator_check(
    dataset: Dataset, column: str, separator: str, where: str, option: str = "--separator"
) -> None:
    """Raise an ``InputError`` when most rows of a string column have another separator.

    Lists, written out or not, need no separator and pass, and so do rows of single phrases.
    ``option`` sets the separator of this column.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"keyphrases": ["budget, school", "a, b, c"]})
        >>> separator_check(rows, "keyphrases", "; ", "train.csv")
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: train.csv, column keyphrases: the separator '; ' is in none of
        2 rows; ', ' is in 2, ',' is in 2. Pass the one that is meant: --separator ', ', for
        example.
    """
    rows, having, seen = 0, 0, Counter[str]()
    for value in _values(dataset, column):
        if not isinstance(value, str) or not value.strip() or looks_written(value):
            continue
        rows += 1
        text = without_entities(value)
        if has_separator(text, separator):
            having += 1
        else:
            seen.update(other for other in _CANDIDATES if other in text)
    lacking, most = rows - having, max(seen.values(), default=0)
    enough = most > lacking / 2 if having else most > rows / 20  # a few are commas of numbers
    if 2 * lacking <= rows or not enough:
        return
    if seen:
        found = ", ".join(f"{other!r} is in {count}" for other, count in seen.most_common(4))
        much = f"none of {rows} rows" if not having else f"{having} of {rows} rows only"
        raise InputError(
            f"{where}, column {column}: the separator {separator!r} is in {much}; {found}. Pass "
            f"the one that is meant: {option} {seen.most_common(1)[0][0]!r}, for example."
        )


def content_check(
    dataset: Dataset, *, text_column: str, keyphrases_column: str, separator: str, where: str
) -> None:
    """Raise an ``InputError`` when no row has a text, or none has keyphrases.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": [" ", ""], "keyphrases": ["a", "b"]})
        >>> content_check(rows, text_column="text", keyphrases_column="keyphrases",
        ...               separator="; ", where="train.csv")
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: train.csv, column text: blank in all 2 rows. Name the column
        that holds the text.
    """
    if not any(str(v).strip() for v in _values(dataset, text_column) if v is not None):
        raise InputError(
            f"{where}, column {text_column}: blank in all {len(dataset)} rows. "
            "Name the column that holds the text."
        )
    phrases = (split_keyphrases(v, separator) for v in _values(dataset, keyphrases_column))
    if not any(map(clean_keyphrases, phrases)):
        raise InputError(
            f"{where}, column {keyphrases_column}: no keyphrase in any of {len(dataset)} rows. "
            "Name the column that holds them."
        )


def _values(dataset: Dataset, column: str) -> Iterator[Any]:
    """The values of one column, a batch at a time."""
    batches: Any = dataset.select_columns([column]).iter(batch_size=1000)
    for batch in batches:
        yield from batch[column]
