"""What the rows of the real run say, and the few of them that the miniature run gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from datasets import Dataset

from frtune.data.cleaning import clean_text
from frtune.tasks.base import Task
from frtune.training.encoding import truncation_report

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
    known = set(_texts(splits["train"], task.text_columns))
    warnings = []
    for name in [name for name in splits if name != "train"]:
        rows = len(splits[name])
        if shared := sum(text in known for text in _texts(splits[name], task.text_columns)):
            warnings.append(
                f"{name}: {shared} of {rows} rows ({shared / rows:.1%}) have a text that training "
                "has too; its scores flatter"
            )
    return warnings


def _texts(dataset: Dataset, columns: Sequence[str]):
    for batch in dataset.select_columns(list(columns)).iter(batch_size=1000):
        for values in zip(*(batch[name] for name in columns), strict=True):
            yield hash(tuple(clean_text(str(value or "")).casefold() for value in values))


def missing_classes(splits: Mapping[str, Dataset], task: Task) -> list[str]:
    """Classes that validation or test lacks, so that no score speaks of them."""
    labels, warnings = task.classes or (), []
    for name in [name for name in splits if labels and name != "train"]:
        true = task.references(splits[name])
        found = {label for each in true for label in (each if isinstance(each, list) else [each])}
        if missing := [label for label in labels if label not in found]:
            shown, lacks = ", ".join(map(repr, missing[:3])), f"{len(missing)} of {len(labels)}"
            warnings.append(f"{name}: has no row of {lacks} classes ({shown})")
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

    ``encoded`` are the same rows, or a sample of them.
    """
    wanted = [0]
    if len(encoded) and "row" in encoded.column_names and len(dataset) <= SAMPLED:
        lengths = encoded["length"]
        wanted.append(encoded[max(range(len(encoded)), key=lengths.__getitem__)]["row"])
    if task.classes:
        values, first = dataset[task.label_columns[0]], dataset[0][task.label_columns[0]]
        wanted.append(next((i for i, value in enumerate(values) if value != first), 0))
    step = max(1, len(dataset) // max(1, count))
    wanted += [*range(0, len(dataset), step), *range(len(dataset))]
    chosen = list(dict.fromkeys(wanted))[: min(count, len(dataset))]
    return dataset.select(sorted(chosen))
