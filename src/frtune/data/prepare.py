"""From rows as they come to files to train on: cleaned, filtered, split and audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from frtune.data.assignment import REJECTED, RowAssignment
from frtune.data.audit import summarize
from frtune.data.checks import check_named
from frtune.data.examination import examine
from frtune.data.filters import Filters
from frtune.data.near_duplicates import near_pairs
from frtune.data.prepared_files import publish, write_rows
from frtune.data.reading import Reading
from frtune.data.row_schema import Prepared
from frtune.data.sources import name_of, quiet_hub, read_parts
from frtune.data.splitting import SPLITS, Cut
from frtune.errors import InputError
from frtune.files import draft_folder
from frtune.outputs import check_output_directory

__all__ = ["Cut", "Filters", "prepare"]


def prepare(
    source: str | Path | Dataset | DatasetDict,
    output_dir: str | Path,
    task: Prepared,
    *,
    encoding: str | None = None,
    filters: Filters | None = None,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    cut: Cut | None = None,
    num_proc: int | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
) -> dict[str, Any]:
    """Read, clean, filter, split and audit a data set, and write it to a directory.

    The directory gets ``train.jsonl``, ``validation.jsonl`` and ``test.jsonl`` (``id`` where there
    is one, and the task's columns under the names that the task expects by default),
    ``rejected.jsonl`` (each row with its reason, file, row number and original) and ``audit.json``.
    It appears when everything is written, or not at all. Rows stay on the disk while they are
    worked on.

    Args:
        source: As in ``load_splits``.
        output_dir: Directory to write; must be new or empty.
        task: What the rows are for; names their columns. A ``KeyphraseGeneration``,
            ``KeywordExtraction``, ``SentenceSimilarity``, ``SequenceClassification``, or a task of
            your own.
        encoding: Of text files; ``None`` is UTF-8, or what the byte order mark says.
        filters: Which rows are kept; ``None`` keeps all that can be learnt from.
        tokenizer: Checkpoint directory, hub name or tokenizer that counts tokens.
        cut: How missing splits are cut; ``None`` is 8:1:1. Labels keep their shares.
        num_proc: Processes; ``None`` uses all cores for large data.
        text_columns: Columns of CSV, TSV and Excel files whose cells stay text; those with the
            task's texts and phrases do anyway.
        decimal_comma: Cells such as ``3,8`` are numbers.

    Returns:
        The audit, as written to ``audit.json``: ``rows``, ``files``, ``rejected``, ``splits``,
        ``leakage``, ``settings``, ``notes``.

    Raises:
        InputError: For input that cannot be read, limits that do not fit the task, a directory
            that is not empty, or when no row is left.
    """
    schema, filters, cut = task.row_schema(), filters or Filters(), cut or Cut()
    schema.check_filters(filters)
    if num_proc is not None and num_proc < 1:
        raise InputError(f"num_proc={num_proc}: at least 1. Leave it out to use all cores.")
    output = check_output_directory(output_dir, "output", empty=True)
    counter = _tokenizer(tokenizer, filters)
    reading = Reading.of_task(
        task, encoding=encoding, text_columns=text_columns, decimal_comma=decimal_comma
    )
    parts, notes = read_parts(source, task_name=task.name, reading=reading)
    check_named((part.rows for part in parts), text_columns, name_of(source))
    for part in parts:
        schema.check(part.rows, part.name)

    output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(output.absolute().parent) as work:
        table = examine(
            parts, work, schema=schema, filters=filters, tokenizer=counter, num_proc=num_proc
        )
        assignment = RowAssignment.of_filters(table, parts, schema)
        if filters.duplicates == "reject":
            assignment.reject_repeats()
        notes += assignment.cut(cut, where=name_of(source))
        found = _compare(assignment, filters)
        report = {"source": name_of(source), **write_rows(assignment, work / "output"), **found}
        name = getattr(counter, "name_or_path", None)
        settings = {**schema.settings, **asdict(filters), "tokenizer": name, **asdict(cut)}
        report |= {"settings": settings, "notes": notes + _label_notes(found["splits"])}
        publish(work / "output", output, report)
        return report


def _compare(assignment: RowAssignment, filters: Filters) -> dict[str, Any]:
    """Look for leakage between the splits, reject what is to be rejected, and sum up."""
    threshold = filters.near_threshold
    others = [name for name in ("text",) if name in assignment.table.column_names]
    sources = assignment.table.remove_columns(others).rename_column("source", "text")
    pairs = list(near_pairs(sources, assignment.split, threshold=threshold))
    if filters.near_duplicates == "reject":
        assignment.reject_near(pairs)
        pairs = [p for p in pairs if min(assignment.split[p.left], assignment.split[p.right]) >= 0]
    places = [place for place in range(len(SPLITS)) if (assignment.split == place).any()]
    numbers = np.full(len(SPLITS) + 1, REJECTED)  # the last place is that of -1
    numbers[places] = range(len(places))
    return summarize(
        sources,
        numbers[assignment.split],
        [SPLITS[place] for place in places],
        near_threshold=threshold,
        target=assignment.schema.target_name,
        pairs=pairs,
    )


def _label_notes(splits: dict[str, Any]) -> list[str]:
    """What training would trip over: one label only, or labels that training rows lack."""
    labels = {name: split["labels"] for name, split in splits.items() if "labels" in split}
    train = labels.pop("train", {})
    notes = []
    if len(train) == 1:
        notes.append(f"{next(iter(train))!r} is the only label of train: training needs two")
    for name, found in labels.items():
        unseen = [label for label in found if label not in train]
        if train and unseen:
            notes.append(f"{name} has labels that train has not: {', '.join(unseen[:10])}")
    alone = [label for label, rows in train.items() if rows == 1]
    if alone:
        notes.append(f"labels with one row in train: {', '.join(alone[:10])}")
    return notes


def _tokenizer(
    tokenizer: str | Path | PreTrainedTokenizerBase | None, filters: Filters
) -> PreTrainedTokenizerBase | None:
    if tokenizer is None and filters.counting_tokens:
        name = filters.counting_tokens[0]
        raise InputError(
            f"{name}={getattr(filters, name)}: needs a tokenizer to count with. "
            "Pass --tokenizer with the checkpoint that you will train."
        )
    if not isinstance(tokenizer, (str, Path)):
        return tokenizer
    try:
        with quiet_hub():
            return AutoTokenizer.from_pretrained(str(tokenizer))
    except Exception as error:  # Transformers raises whatever its parsers raise
        first = str(error).strip().split("\n")[0]
        raise InputError(
            f"tokenizer={tokenizer}: does not open ({type(error).__name__}: {first}). "
            "Pass a checkpoint directory with a tokenizer, or a hub name."
        ) from None
