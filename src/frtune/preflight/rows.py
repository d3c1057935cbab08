"""What the rows of the real run say, and the few of them that the miniature run gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from frtune.data.cleaning import clean_text
from frtune.training.encoding import truncation_report

if TYPE_CHECKING:
    from datasets import Dataset

    from frtune.tasks.base import Task

SAMPLED = 5_000  # rows of a split whose tokens are counted
_CUT_SHARE = 0.05


def sample_of(dataset: Dataset, limit: int = SAMPLED) -> Dataset:
    """All rows, or so many that are spread evenly over a large data set.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": list("abcdefghij")})
        >>> sample_of(rows, 3)["text"][:]
        ['a', 'd', 'g']
    """
    if len(dataset) <= limit:
        return dataset
    step = len(dataset) / limit
    return dataset.select([int(i * step) for i in range(limit)])


def leakage(splits: Mapping[str, Dataset], task: Task) -> list[str]:
    """Texts of validation and test that training has too, after cleaning and without case."""
    columns = task.text_columns
    known = set(_texts(splits["train"], columns))
    warnings = []
    for name in ("validation", "test"):
        shared = sum(text in known for text in _texts(splits[name], columns))
        if shared:
            warnings.append(
                f"{name}: {shared} of {len(splits[name])} rows ({shared / len(splits[name]):.1%}) "
                "have a text that training has too; its scores flatter"
            )
    return warnings


def _texts(dataset: Dataset, columns: Sequence[str]):
    for batch in dataset.select_columns(list(columns)).iter(batch_size=1000):
        for values in zip(*(batch[name] for name in columns), strict=True):
            yield hash(tuple(clean_text(str(value or "")).casefold() for value in values))


def missing_classes(splits: Mapping[str, Dataset], task: Task) -> list[str]:
    """Classes that validation or test lacks, so that no score speaks of them."""
    labels = task.classes
    if not labels:
        return []
    warnings = []
    for name in ("validation", "test"):
        found = Counter(task.references(splits[name]))
        missing = [label for label in labels if not found[label]]
        if missing:
            shown = ", ".join(repr(label) for label in missing[:3])
            warnings.append(
                f"{name}: has no row of {len(missing)} of {len(labels)} classes ({shown})"
            )
    return warnings


def cut_report(encoded: Dataset, task: Task, where: str) -> tuple[str | None, str | None]:
    """Share of rows whose source or target is cut: a note, and a warning if it is large."""
    cut = truncation_report(encoded)
    notes, warnings = [], []
    for column, limit in task.limits.items():
        count = cut.get(column, 0)
        if count:
            share = count / cut["rows"]
            text = f"{count} of {cut['rows']} rows ({share:.1%}) longer than {limit}"
            (warnings if share > _CUT_SHARE else notes).append(text)
    note, warning = (f"{where}: {'; '.join(found)}" for found in (notes, warnings))
    return note if notes else None, f"{warning} are cut" if warnings else None


def few_rows(dataset: Dataset, encoded: Dataset, count: int, task: Task) -> Dataset:
    """Rows that stand for a data set: the first, the longest, one of another class, and others.

    Args:
        dataset: Raw rows.
        encoded: The same rows, encoded; a sample of them will do.
        count: How many.
        task: The task.
    """
    wanted = [0]
    if len(encoded) == 0 or "row" not in encoded.column_names:
        longest = 0
    else:
        lengths = encoded["length"]
        longest = encoded[max(range(len(encoded)), key=lengths.__getitem__)]["row"]
    if encoded.num_rows and len(dataset) <= SAMPLED:
        wanted.append(longest)
    if task.classes:
        column = task.label_columns[0]
        first = dataset[0][column]
        other = next((i for i, value in enumerate(dataset[column]) if value != first), 0)
        wanted.append(other)
    step = max(1, len(dataset) // max(1, count))
    wanted += [*range(0, len(dataset), step), *range(len(dataset))]
    chosen = list(dict.fromkeys(wanted))[: min(count, len(dataset))]
    return dataset.select(sorted(chosen))
