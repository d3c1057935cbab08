"""Reading a data set, whatever it comes as, into train, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from datasets import Dataset, DatasetDict

from frtune.data.checks import columns_check
from frtune.data.sources import listed, name_of, read_splits
from frtune.data.splitting import SPLITS, cut_rows
from frtune.errors import InputError

__all__ = ["SPLITS", "columns_check", "cut_splits", "load_splits"]


def load_splits(
    source: str | Path | Dataset | DatasetDict,
    *,
    task_name: str = "keyphrases",
    encoding: str | None = None,
    max_train_rows: int | None = None,
    max_eval_rows: int | None = None,
    max_test_rows: int | None = None,
    seed: int = 42,
    cut: bool = True,
    stratify_by: str | None = None,
) -> tuple[DatasetDict, list[str]]:
    """Read ``source`` into splits named train, validation and test.

    Files or splits of these names (also dev, valid and val) are the splits. A single file or
    data set of another name is train. Rows stay on the disk, memory-mapped.

    Args:
        source: A CSV, TSV, JSON, JSONL or Parquet file, a folder of them, a ``save_to_disk``
            folder, a hub name (``owner/name`` or ``owner/name:config``), ``"sample"`` for the
            bundled rows of the task, or a ``Dataset`` or ``DatasetDict``.
        task_name: Which sample ``"sample"`` is.
        encoding: Of text files; ``None`` is UTF-8, or what the byte order mark says.
        max_train_rows: Keep so many rows of train, after a seeded shuffle; ``None`` keeps all.
        max_eval_rows: The same for validation.
        max_test_rows: The same for test.
        seed: Of the shuffle and of the cut.
        cut: Cut missing splits from train, a tenth of it each. ``False`` leaves them missing.
        stratify_by: Column of classes; splits that are cut have each in the share it has in all
            rows. ``None`` cuts at random.

    Returns:
        The splits, in the order train, validation, test, and notes in plain language about what
        was decided: where a split was cut from, and which files were left unread.

    Raises:
        InputError: With file and line, for what cannot be read.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": [f"article {i}" for i in range(20)]})
        >>> splits, notes = load_splits(rows)
        >>> {name: len(split) for name, split in splits.items()}
        {'train': 16, 'validation': 2, 'test': 2}
        >>> notes
        ['validation and test were cut from train: 8:1:1, seed 42 (16, 2 and 2 rows)']
    """
    splits, notes = read_splits(source, task_name=task_name, encoding=encoding)
    found, more = cut_splits(
        splits,
        where=name_of(source),
        limits=(max_train_rows, max_eval_rows, max_test_rows),
        seed=seed,
        missing=cut,
        stratify_by=stratify_by,
    )
    return found, notes + more


def cut_splits(
    splits: Mapping[str, Dataset],
    *,
    where: str,
    limits: tuple[int | None, int | None, int | None] = (None, None, None),
    seed: int = 42,
    missing: bool = True,
    stratify_by: str | None = None,
) -> tuple[DatasetDict, list[str]]:
    """Cut missing splits from train, and keep so many rows of each: what ``load_splits`` does last.

    It takes splits as ``read_splits`` returns them. ``missing`` is what ``load_splits`` calls
    ``cut``; ``limits`` are the rows to keep of train, validation and test.
    """
    found, notes = dict(splits), []
    if missing and "train" in found:
        found, notes = _cut_missing(found, seed, where, stratify_by)
    for name, limit in zip(SPLITS, limits, strict=True):
        if limit is not None and limit < 1:
            raise InputError(f"rows of {name}={limit}: at least 1. Leave it out to keep all.")
        if limit is not None and name in found and limit < len(found[name]):
            notes.append(f"{name}: {limit} of {len(found[name])} rows, drawn with seed {seed}")
            found[name] = found[name].shuffle(seed=seed).select(range(limit))
    return DatasetDict({name: found[name] for name in SPLITS if name in found}), notes


def _cut_missing(
    splits: dict[str, Dataset], seed: int, where: str, stratify_by: str | None
) -> tuple[dict[str, Dataset], list[str]]:
    """Cut each missing one of validation and test, a tenth of train's rows, off train."""
    missing = [name for name in ("validation", "test") if name not in splits]
    if not missing:
        return splits, []
    train = splits["train"]
    if stratify_by is not None:
        columns_check(train, [stratify_by], where)
    rows = cut_rows(
        len(train),
        dict.fromkeys(missing, 0.1),
        seed=seed,
        where=where,
        strata=None if stratify_by is None else [str(value) for value in train[stratify_by]],
    )
    sizes = listed([str(len(each)) for each in rows.values()])
    verb, ratio = ("were", "8:1:1") if len(missing) == 2 else ("was", "9:1")
    note = f"{listed(missing)} {verb} cut from train: {ratio}, seed {seed} ({sizes} rows)"
    note += f", stratified by {stratify_by}" if stratify_by is not None else ""
    return {**splits, **{name: train.select(each) for name, each in rows.items()}}, [note]
