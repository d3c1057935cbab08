"""``frtune predict DIR``: answers for a text or for a file, as JSON lines."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from datasets import disable_progress_bars
from tqdm.auto import tqdm

from frtune.cli import Parser
from frtune.cli.columns import add_columns, add_reading, given_columns
from frtune.data.checks import columns_check
from frtune.data.compression import check_path, suffix_of
from frtune.data.loading import load_splits
from frtune.data.row_checks import check_texts
from frtune.data.text_lines import read_lines
from frtune.errors import InputError
from frtune.inference import load

if TYPE_CHECKING:
    from frtune.tasks.base import Task

WINDOW = 1_000


def main(argv: list[str]) -> int:
    """Parse ``argv``, predict, write one JSON object a text."""
    parser = Parser(
        prog="frtune predict",
        description="Answer for one text or pair, or for each row of a file; one JSON object each.",
    )
    parser.add_argument("directory", metavar="DIR", help="what frtune train left")
    parser.add_argument("--text", help="a text to answer for")
    parser.add_argument("--text-pair", help="its second sentence, for a model of similarity")
    parser.add_argument("--file", help="CSV, TSV, JSON, JSONL or Parquet file, or .txt: one a line")
    parser.add_argument("--output", help="where the answers go (default: standard output)")
    add_reading(parser)
    columns = parser.add_argument_group("columns, where they differ from the model's")
    add_columns(columns, ("text-column", "title-column", "first-column", "second-column"))
    parser.add_argument("--batch-size", type=int, default=16, help="rows a batch")
    chosen = parser.parse(argv)
    if (chosen.text is None) == (chosen.file is None):
        raise InputError("--text or --file: give one of them. See frtune predict --help.")
    if chosen.file is not None and chosen.text_pair is not None:
        raise InputError("--text-pair: goes with --text. A file has both sentences in its columns.")
    if chosen.batch_size < 1:
        raise InputError(f"--batch-size {chosen.batch_size}: at least 1.")
    if chosen.output and Path(chosen.output).exists():
        raise InputError(f"--output {chosen.output}: exists. Name a new file, or remove it.")

    predictor = load(chosen.directory, batch_size=chosen.batch_size)
    predictor = predictor.with_columns(given_columns(chosen))
    if chosen.file is None:
        windows = iter([[_one_row(predictor.task, chosen.text, chosen.text_pair)]])
    else:
        windows = _windows(chosen.file, predictor.task, chosen)
    if chosen.output is None:
        _write(predictor, windows, sys.stdout)
        return 0
    draft = Path(f"{chosen.output}.part")
    try:
        with draft.open("w", encoding="utf-8") as file:
            _write(predictor, windows, file)
        os.replace(draft, chosen.output)
    finally:
        draft.unlink(missing_ok=True)
    return 0


def _one_row(task: Task, text: str, text_pair: str | None) -> dict[str, str]:
    """The row of ``--text`` and, for a task of pairs, ``--text-pair``."""
    columns = task.text_columns
    if len(columns) == 1 and text_pair is not None:
        raise InputError(
            f"--text-pair: this model answers for one text ({task.name}). Leave it out."
        )
    if len(columns) == 2 and text_pair is None:
        raise InputError(
            "--text: this model compares two sentences. Add --text-pair with the other."
        )
    return dict(zip(columns, [text, text_pair or ""], strict=False))


def _write(predictor: Any, windows: Iterator[list[Any]], file: TextIO) -> None:

    disable_progress_bars()  # one for each window
    quiet = file is sys.stdout
    within = "Window" if predictor.task.generates and not quiet else None  # takes minutes
    with tqdm(desc="Predicting", unit="row", disable=quiet) as bar:
        for rows in windows:
            for answer in predictor.predict(rows, progress=within):
                file.write(json.dumps(answer, ensure_ascii=False) + "\n")
            file.flush()
            bar.update(len(rows))


def _windows(path: str, task: Task, chosen: argparse.Namespace) -> Iterator[list[Any]]:
    """Rows of a file, some at a time, so that memory does not grow with it."""
    if check_path(Path(path)) and suffix_of(Path(path)) == ".txt":
        if len(task.text_columns) > 1:
            raise InputError(
                f"--file {path}: has one text a line; this model compares two sentences. "
                f"Give a CSV or JSONL file with columns {' and '.join(task.columns)}."
            )
        yield from _lines(Path(path), chosen.encoding)
        return
    splits, _ = load_splits(
        path, task=task, encoding=chosen.encoding, text_columns=chosen.text_columns,
        decimal_comma=chosen.decimal_comma, cut=False, with_labels=False,
    )  # fmt: skip
    (name, *more) = splits
    if more:
        raise InputError(f"--file {path}: has splits {', '.join(splits)}. Give one file.")
    dataset = splits[name]
    columns_check(dataset, task.columns, path)
    for column in task.text_columns:
        check_texts(dataset, column, path)
    for start in range(0, len(dataset), WINDOW):
        yield list(dataset.select(range(start, min(start + WINDOW, len(dataset)))))


def _lines(path: Path, encoding: str | None) -> Iterator[list[str]]:

    rows: list[str] = []
    for number, line in read_lines(path, encoding):
        if not line.strip():
            raise InputError(f"--file {path}, line {number}: blank. Remove blank lines.")
        rows.append(line.strip())
        if len(rows) == WINDOW:
            yield rows
            rows = []
    if rows:
        yield rows
