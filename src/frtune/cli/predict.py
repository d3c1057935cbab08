"""``frtune predict DIR``: answers for a text or for a file, as JSON lines."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TextIO

from tqdm.auto import tqdm

from frtune import data
from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.columns import ReadingOptions, column_options, given_columns
from frtune.cli.launch import LaunchOptions, launched
from frtune.data.checks import columns_check
from frtune.data.row_checks import check_texts
from frtune.environment.launcher import place_in_launch
from frtune.errors import InputError
from frtune.files import draft_file, json_text
from frtune.inference import load
from frtune.names import counted
from frtune.outputs import check_output_file
from frtune.tasks.base import Task
from frtune.tasks.config_file import check_directory
from frtune.training.distributed import sharing

WINDOW = 1_000  # rows, encoded in memory
COLUMNS = ("text_column", "title_column", "first_column", "second_column")


@dataclass(frozen=True)
class Options:
    """Which model answers, and for what.

    Attributes:
        directory: Model directory, as frtune train writes it.
        text: The text to answer.
        text_pair: The second sentence, for a similarity model.
        file: CSV, TSV, JSON, JSONL or Parquet file, or .txt with one text a line.
        output: File for the answers (default: standard output).
        batch_size: Rows a batch.
        dtype: Type of the weights (default: 16 bits for large models on a GPU, else fp32).
        bf16: Compute in bf16, or in fp32 (default: bf16 where the device computes in it).
        fp16: Compute in fp16 (default: on GPUs without bf16, if the family allows it).
        num_beams: Beams, for generated text (default: the model's, mostly 1).
        max_target_tokens: Most generated tokens (default: the model's).
        scores: Keyphrases: add a score for each.
        votes: Keyphrases: sample N answers for each text (2 to 64), and rank by votes.
        seed: Seed of --votes (default: 42).
        min_score: Lowest score of a keyword or keyphrase (default: no limit).
        top_k: Keep the N best of each text (default: all).
        present_only: Keyphrases: only those that occur in the text.
    """

    directory: str = field(metadata={"metavar": "DIR"})
    text: str | None = None
    text_pair: str | None = None
    file: str | None = None
    output: str | None = None
    batch_size: int = 16
    dtype: Literal["fp32", "bf16", "fp16"] | None = None
    bf16: bool | None = None
    fp16: bool | None = None
    num_beams: int | None = None
    max_target_tokens: int | None = None
    scores: bool = False
    votes: int | None = None
    seed: int | None = None
    min_score: float | None = None
    top_k: int | None = None
    present_only: bool = False


def main(argv: list[str]) -> int | None:
    """Parse ``argv``, predict, write one JSON object a text."""
    parser = Parser(
        prog="frtune predict",
        description="Answer for one text or pair, or for each row of a file; one JSON object each.",
    )
    columns, own = column_options(COLUMNS), options_of(Options, positional=["directory"])
    own |= options_of(LaunchOptions)
    parser.add_options("model and texts", own | options_of(ReadingOptions))
    parser.add_options("columns, if they differ from those of the model", columns)
    parsed = parser.parse(argv)
    chosen = made(Options, parsed)
    if (chosen.text is None) == (chosen.file is None):
        raise InputError("--text or --file: give one of them. See frtune predict --help.")
    if chosen.file is not None and chosen.text_pair is not None:
        raise InputError("--text-pair: goes with --text. A file has both sentences in its columns.")
    if chosen.batch_size < 1:
        raise InputError(f"--batch-size {chosen.batch_size}: at least 1.")
    if chosen.output is not None:
        check_output_file(chosen.output, "--output")

    check_directory(chosen.directory)
    code = launched(["predict", *argv], parsed.gpus, usual=None if chosen.text is None else 1)
    if code is not None:
        return code

    names = ("batch_size", "dtype", "bf16", "fp16", "num_beams", "max_target_tokens")
    names += ("votes", "seed", "min_score", "top_k")
    options = {name: getattr(chosen, name) for name in names}
    options |= {name: getattr(chosen, name) or None for name in ("scores", "present_only")}
    first = place_in_launch()[0] == 0
    with sharing() as shared:
        predictor = load(chosen.directory, **options).with_columns(given_columns(parsed, columns))
        predictor = replace(predictor, shared=shared)
        if chosen.file is None:
            windows = iter([[_one_row(predictor.task, chosen.text, chosen.text_pair)]])
        else:
            windows = _windows(chosen.file, predictor.task, made(ReadingOptions, parsed))
        quiet = chosen.output is None or not first
        with _answer_file(chosen.output, first=first) as file:
            cuts = _write(predictor, windows, file, quiet=quiet)
    if first and cuts:
        sys.stderr.write(f"frtune: {_cut_note(predictor.task, cuts, chosen.text is not None)}\n")
    return None


def _cut_note(task: Task, cuts: list[tuple[int, int]], alone: bool) -> str:
    """Say of how many rows the model read the beginning alone, and how much that was."""
    limit = f"max_source_tokens={task.max_source_tokens}"
    shares = sorted(100 * read // whole for read, whole in cuts)
    if alone:
        read, whole = cuts[0]
        return (
            f"the text is longer than {limit}: {read} of {whole} tokens were read ({shares[0]} %)"
        )
    rows = f"{counted(len(cuts), 'row')} {'is' if len(cuts) == 1 else 'are'}"
    least = f"{shares[0]} %" if shares[0] == shares[-1] else f"{shares[0]} to {shares[-1]} %"
    return f"{rows} longer than {limit}: only the beginning was read, {least} of the tokens"


@contextlib.contextmanager
def _answer_file(output: str | None, *, first: bool) -> Iterator[TextIO]:
    """Where answers go: of several processes the first alone writes them."""
    if not first:
        with open(os.devnull, "w", encoding="utf-8") as file:
            yield file
    elif output is None:
        yield sys.stdout
    else:
        with draft_file(output) as draft, draft.open("w", encoding="utf-8") as file:
            yield file


def _one_row(task: Task, text: Any, text_pair: str | None) -> dict[str, str]:
    """The row of ``--text`` and, for a task of pairs, ``--text-pair``."""
    pairs = len(task.text_columns) == 2
    if not pairs and text_pair is not None:
        what = f"one text ({task.name})"
        raise InputError(f"--text-pair: this model answers for {what}. Leave it out.")
    if pairs and text_pair is None:
        raise InputError(
            "--text: this model compares two sentences. Add --text-pair with the other."
        )
    return dict(zip(task.text_columns, [text, text_pair or ""], strict=False))


def _write(
    predictor: Any, windows: Iterator[list[Any]], file: TextIO, *, quiet: bool
) -> list[tuple[int, int]]:
    """Answer for the rows; returns how much was read of those that were cut, as tokens."""
    cuts: list[tuple[int, int]] = []
    within = "Window" if predictor.task.generates and not quiet else None  # takes minutes
    first = next(windows, [])  # what is wrong with the file is said before the bar
    with tqdm(desc="Predicting", unit="row", disable=quiet) as bar:
        for rows in chain([first], windows):
            rows = predictor.checked_rows(rows)
            encoded = predictor.encode_few(rows)
            for answer in predictor.answer(rows, encoded, progress=within):
                file.write(json_text(answer) + "\n")
            file.flush()
            cuts += filter(None, predictor.read_tokens(rows, encoded))
            bar.update(len(rows))
    return cuts


def _windows(path: str, task: Task, reading: ReadingOptions) -> Iterator[list[Any]]:
    """Rows of a file, some at a time, so that memory does not grow with it."""
    rows = _rows(path, task, reading)
    while window := list(islice(rows, WINDOW)):
        yield window


def _rows(path: str, task: Task, reading: ReadingOptions) -> Iterator[Any]:
    if data.compression.check_path(Path(path)) and data.compression.suffix_of(Path(path)) == ".txt":
        if len(task.text_columns) > 1:
            raise InputError(
                f"--file {path}: has one text a line; this model compares two sentences. "
                f"Give a CSV or JSONL file with columns {' and '.join(task.columns)}."
            )
        for _ in _lines(path, reading.encoding):  # to its end, before any answer
            pass
        yield from _lines(path, reading.encoding)
        return
    splits = data.loading.read_noting(path, task=task, with_labels=False, **asdict(reading))
    if len(splits) > 1:
        raise InputError(f"--file {path}: has splits {', '.join(splits)}. Give one file.")
    (dataset,) = splits.values()
    columns_check(dataset, task.columns, path)
    for column in task.text_columns:
        check_texts(dataset, column, path)
    yield from dataset


def _lines(path: str, encoding: str | None) -> Iterator[str]:
    for number, line in data.text_lines.read_lines(Path(path), encoding):
        if not line.strip():
            raise InputError(f"--file {path}, line {number}: blank. Remove blank lines.")
        yield line.strip()
