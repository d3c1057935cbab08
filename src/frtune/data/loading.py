"""Reading a data set, whatever it comes as, into train, validation and test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from frtune.data.checks import check_named, columns_check
from frtune.data.reading import Reading
from frtune.data.sources import listed, name_of, read_splits
from frtune.data.splitting import SPLITS, cut_rows
from frtune.errors import InputError

__all__ = ["SPLITS", "columns_check", "cut_splits", "load_splits"]

logger = logging.getLogger(__name__)


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
    task: Any = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
    with_labels: bool = True,
) -> tuple[DatasetDict, list[str]]:
    """Read ``source`` into splits named train, validation and test.

    Files or splits of these names (also dev, valid, val, eval, training, testing, holdout) are the
    splits. A single file or data set of another name is train. Rows stay on the disk,
    memory-mapped.

    Args:
        source: A CSV, TSV, JSON, JSONL, Parquet or Excel file, a folder of them, a folder of
            ``.txt`` and ``.key`` files, a ``save_to_disk`` folder, a hub name (``owner/name`` or
            ``owner/name:config``), ``"sample"`` for the bundled rows of the task, or a ``Dataset``
            or ``DatasetDict``.
        task_name: Which sample ``"sample"`` is.
        encoding: Of text files; ``None`` is UTF-8, or what the byte order mark says.
        max_train_rows: Keep so many rows of train, after a seeded shuffle; ``None`` keeps all.
        max_eval_rows: The same for validation.
        max_test_rows: The same for test; 0 leaves test away, and cuts none.
        seed: Of the shuffle and of the cut.
        cut: Cut missing splits from train, a tenth of it each. ``False`` leaves them missing.
        stratify_by: Column of classes; splits that are cut have each in the share it has in all
            rows. ``None`` cuts at random.
        task: What the rows are for. Its texts and phrases are read as text whatever they look
            like, and columns that it does not need may be of any kind. Gives ``task_name`` too.
        text_columns: Columns of CSV, TSV and Excel files whose cells stay text.
        decimal_comma: Cells such as ``3,8`` are numbers.
        with_labels: Whether the labels of ``task`` are needed, too.

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
    splits, notes = read_whole(
        source,
        task=task,
        task_name=task_name,
        encoding=encoding,
        text_columns=text_columns,
        decimal_comma=decimal_comma,
        with_labels=with_labels,
    )
    found, more = cut_splits(
        splits,
        where=name_of(source),
        limits=(max_train_rows, max_eval_rows, max_test_rows),
        seed=seed,
        missing=cut,
        stratify_by=stratify_by,
    )
    return found, notes + more


def read_whole(
    source: str | Path | Dataset | DatasetDict,
    *,
    task: Any = None,
    task_name: str = "keyphrases",
    encoding: str | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
    with_labels: bool = True,
) -> tuple[dict[str, Dataset], list[str]]:
    """Read the splits that ``source`` has, whole: what ``load_splits`` does first.

    The arguments are those of ``load_splits``.

    Returns:
        The splits, and notes on what was left out.
    """
    reading = Reading(encoding, tuple(text_columns or ()), decimal_comma)
    if task is not None:
        task_name = task.name
        reading = Reading.of_task(
            task,
            encoding=encoding,
            text_columns=text_columns,
            decimal_comma=decimal_comma,
            with_labels=with_labels,
        )
    splits, notes = read_splits(source, task_name=task_name, reading=reading)
    check_named(splits.values(), text_columns, name_of(source))
    return splits, notes


def read_noting(source: str | Path | Dataset | DatasetDict, **options: Any) -> dict[str, Dataset]:
    """The splits of ``read_whole``, whose notes on what was left out are logged as warnings."""
    splits, notes = read_whole(source, **options)
    for note in notes:
        logger.warning(note)
    return splits


def cut_splits(
    splits: Mapping[str, Dataset],
    *,
    where: str,
    limits: tuple[int | None, int | None, int | None] = (None, None, None),
    seed: int = 42,
    missing: bool = True,
    stratify_by: str | None = None,
    stratum: Callable[[Any], Any] = str,
) -> tuple[DatasetDict, list[str]]:
    """Cut missing splits from train, and keep so many rows of each: what ``load_splits`` does last.

    Args:
        splits: As ``read_whole`` returns them.
        where: What the rows are called in messages.
        limits: Rows to keep of train, validation and test; ``None`` keeps all. 0 of test leaves it
            away, and cuts none.
        seed: As in ``load_splits``, like the rest.
        missing: ``cut`` of ``load_splits``.
        stratify_by: Column of classes.
        stratum: Its values to classes, or to lists of several labels.

    Returns:
        The splits in their order, and notes.
    """
    tested = limits[-1] != 0
    found, notes = (dict(splits), []) if tested else without_test(splits, where)
    if missing and "train" in found:
        wanted = ("validation", "test") if tested else ("validation",)
        found, more = _cut_missing(found, seed, where, (stratify_by, stratum), wanted)
        notes += more
    for name, limit in zip(SPLITS, limits, strict=True):
        if limit is not None and limit < (name != "test"):
            least = "0, for none" if name == "test" else "1"
            raise InputError(f"rows of {name}={limit}: at least {least}. Leave it out to keep all.")
        if limit is not None and name in found and limit < len(found[name]):
            notes.append(f"{name}: {limit} of {len(found[name])} rows, drawn with seed {seed}")
            found[name] = found[name].shuffle(seed=seed).select(range(limit))
    return DatasetDict({name: found[name] for name in SPLITS if name in found}), notes


def without_test(splits: Mapping[str, Dataset], where: str) -> tuple[dict[str, Dataset], list[str]]:
    """The splits but test, which may lack labels, and a note if it was there."""
    found = {name: rows for name, rows in splits.items() if name != "test"}
    if not found:
        raise InputError(f"{where}: has no rows but test's, and 0 of these are kept.")
    left = splits.get("test")
    return found, [] if left is None else [f"test: none of {len(left)} rows"]


def _cut_missing(
    splits: dict[str, Dataset],
    seed: int,
    where: str,
    stratify: tuple[str | None, Callable[[Any], Any]],
    wanted: Sequence[str],
) -> tuple[dict[str, Dataset], list[str]]:
    """Cut each missing one of validation and test, a tenth of train's rows, off train."""
    missing = [name for name in wanted if name not in splits]
    if not missing:
        return splits, []
    train, (stratify_by, stratum) = splits["train"], stratify
    if stratify_by is not None:
        columns_check(train, [stratify_by], where)
    rows = cut_rows(
        len(train),
        dict.fromkeys(missing, 0.1),
        seed=seed,
        where=where,
        strata=None if stratify_by is None else [stratum(value) for value in train[stratify_by][:]],
    )
    sizes = listed([str(len(each)) for each in rows.values()])
    verb, ratio = ("were", "8:1:1") if len(missing) == 2 else ("was", "9:1")
    note = f"{listed(missing)} {verb} cut from train: {ratio}, seed {seed} ({sizes} rows)"
    note += f", stratified by {stratify_by}" if stratify_by is not None else ""
    return {**splits, **{name: train.select(each) for name, each in rows.items()}}, [note]
