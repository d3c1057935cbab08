"""The rows to label: read, numbered, with a reason for those that cannot be asked about."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset

from frtune.data.audit import join_title
from frtune.data.checks import check_named, columns_check
from frtune.data.compression import check_path, suffix_of
from frtune.data.reading import Reading
from frtune.data.row_checks import rows_of
from frtune.data.sources import name_of, read_splits
from frtune.data.text_lines import read_lines
from frtune.errors import InputError
from frtune.files import draft_file, json_text
from frtune.labelling.prompts import LabelJob

logger = logging.getLogger(__name__)


def rows_to_label(
    source: str | Path | Dataset,
    job: LabelJob,
    *,
    encoding: str | None,
    max_rows: int | None,
    text_columns: Sequence[str] | None = None,
) -> Dataset:
    """Read the rows of one file or data set; a ``.txt`` file has a text on each line.

    Raises:
        InputError: For what cannot be read, has several splits, or lacks a column.
    """
    if max_rows is not None and max_rows < 1:
        raise InputError(f"max_rows={max_rows}: at least 1.")
    where = name_of(source)
    if isinstance(source, (str, Path)) and suffix_of(Path(source)) == ".txt":
        rows = _lines(Path(source), job, encoding)
    else:
        texts = tuple(name for name in (job.text_column, job.title_column) if name)
        reading = Reading(encoding, (*texts, *(text_columns or ())), needed=texts, texts=texts)
        splits, notes = read_splits(source, task_name=job.task, reading=reading)
        check_named(splits.values(), text_columns, where)
        for note in notes:
            logger.warning(note)
        if len(splits) > 1:
            raise InputError(f"{where}: has splits {', '.join(splits)}. Give one file.")
        (rows,) = splits.values()
    columns_check(rows, [name for name in (job.text_column, job.title_column) if name], where)
    if job.column in rows.column_names:
        raise InputError(
            f"{where}: has a column {job.column} already. Pass --output-column with another name."
        )
    if max_rows is not None:
        rows = rows.select(range(min(max_rows, len(rows))))
    if not any(text for text, _ in texts_of(rows, job)):
        raise InputError(
            f"{where}, column {job.text_column}: no text in any of {len(rows)} rows. "
            "Name the column that holds the text."
        )
    return rows


def _lines(path: Path, job: LabelJob, encoding: str | None) -> Dataset:
    if not check_path(path):
        raise InputError(f"{path}: no such file. Check the path.")
    lines = [line.strip() for _, line in read_lines(path, encoding)]
    if not lines:
        raise InputError(f"{path}: is empty. It needs a text on each line.")
    return Dataset.from_dict({job.text_column: lines})


def texts_of(rows: Dataset, job: LabelJob) -> Iterator[tuple[str, str]]:
    """Yield each row's text, title included, and why it cannot be asked about (or ``""``)."""
    columns = [name for name in (job.text_column, job.title_column) if name]
    for row in rows_of(rows, columns):
        text = row[job.text_column]
        if text is None or (isinstance(text, str) and not text.strip()):
            yield "", "blank_text"
        elif not isinstance(text, str):
            yield "", "not_text"
        else:
            title = row[job.title_column] if job.title_column else None
            if title is not None and not isinstance(title, str):
                yield "", "not_text"
            else:
                yield join_title((title or "").strip(), text.strip()), ""


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines under a draft's name, then move them to ``path``; return how many."""
    count = 0
    with draft_file(path) as draft, open(draft, "w", encoding="utf-8") as file:
        for record in records:
            count += 1
            # what JSON lacks, such as a date in a Parquet file, is written as text
            file.write(json_text(record, default=str) + "\n")
    return count
