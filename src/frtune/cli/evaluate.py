"""``frtune evaluate DIR --data X``: scores of a saved directory, or of a file of answers."""

from __future__ import annotations

import argparse
from argparse import SUPPRESS, Action
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.columns import ReadingOptions, column_options
from frtune.cli.launch import LaunchOptions, launched
from frtune.comparison.predictions import compare_predictions
from frtune.environment.launcher import place_in_launch
from frtune.errors import InputError
from frtune.evaluation import SEPARATORS, evaluate
from frtune.files import json_text
from frtune.predictions import evaluate_predictions
from frtune.tasks.answer_files import AnswerColumns
from frtune.tasks.config_file import check_directory, task_class, task_names
from frtune.training.distributed import sharing

SCORING = ("rouge_tokenizer", "as_written")  # of a saved model, too


@dataclass(frozen=True)
class Options:
    """What is scored, and on what.

    Attributes:
        directory: Model directory, as frtune train writes it.
        data: File, folder, hub name or 'sample'.
        split: Which split (default: test, validation, or the only one).
        max_rows: Number of rows to score, drawn with a seed.
        output_dir: Directory for metrics.json (default: DIR/evaluation/NAME OF THE DATA; for one
            FILE, evaluation/NAME OF THE FILE beside it; for two, none).
    """

    directory: str | None = field(default=None, metadata={"metavar": "DIR"})
    data: str = field(kw_only=True)
    split: str | None = None
    max_rows: int | None = None
    output_dir: str | None = None


@dataclass(frozen=True)
class ModelOptions:
    """How a saved model answers.

    Attributes:
        batch_size: Rows a batch.
        dtype: Type of the weights (default: 16 bits for large models on a GPU, else fp32).
        bf16: Compute in bf16, or in fp32 (default: bf16 where the device computes in it).
        fp16: Compute in fp16 (default: on GPUs without bf16, if the family allows it).
        num_beams: Beams, for generated text (default: the model's, mostly 1).
        max_target_tokens: Most generated tokens (default: the model's).
        votes: Keyphrases: sample N answers for each text (2 to 64), and rank by votes.
        seed: Seed of --votes (default: 42).
        min_score: Lowest score of a keyword or keyphrase (default: no limit).
        top_k: Keep the N best of each text (default: all).
        present_only: Keyphrases: only those that occur in the text.
    """

    batch_size: int = 16
    dtype: Literal["fp32", "bf16", "fp16"] | None = None
    bf16: bool | None = None
    fp16: bool | None = None
    num_beams: int | None = None
    max_target_tokens: int | None = None
    votes: int | None = None
    seed: int | None = None
    min_score: float | None = None
    top_k: int | None = None
    present_only: bool = False


@dataclass(frozen=True)
class AnswerOptions:
    """Answers from anywhere.

    Attributes:
        predictions: File of answers, in place of DIR: JSONL, JSON, CSV, TSV, Parquet, or .txt with
            one answer a line. A second file is compared with the first.
        task: Their task: classification, similarity, keywords or keyphrases; or a model
            directory, to take its settings.
        prediction_column: Column with the answers (default: prediction, or a similar name).
        prediction_separator: Separator between the phrases of an answer (default: as in the
            data).
        prediction_encoding: Encoding of these files (default: UTF-8).
        id_column: Column with the id of a row, in these files and in the data (default: id if
            both have it, else answers are in the order of the rows).
    """

    predictions: list[str] | None = field(default=None, metadata={"metavar": "FILE"})
    task: str | None = field(default=None, metadata={"metavar": "TASK"})
    prediction_column: str | None = None
    prediction_separator: str | None = None
    prediction_encoding: str | None = None
    id_column: str | None = None


def main(argv: list[str]) -> int | None:
    """Parse ``argv``, score, print the scores as JSON."""
    parser = Parser(
        prog="frtune evaluate",
        description="Score a saved model, or a file of answers of any program. The scores are "
        "printed as JSON, and written to the output directory with predictions and "
        "signatures.",
        epilog="example: frtune evaluate --predictions answers.jsonl --data test.csv "
        "--task keyphrases",
    )
    own, settings = options_of(Options, positional=["directory"]), _score_options()
    own["directory"][0].nargs, own["directory"][0].required = "?", False
    reading = options_of(ReadingOptions)
    model = options_of(ModelOptions) | options_of(LaunchOptions)
    parser.add_options("model and data", own | model | reading)
    parser.add_options("answers of any program", options_of(AnswerOptions))
    parser.add_options("columns and scores, if they differ from those of the task", settings)
    parsed = parser.parse(argv)
    given = {name: value for name, value in vars(parsed).items() if name in settings}
    if parsed.predictions is not None:
        if place_in_launch()[0] == 0:  # no model answers
            print(json_text(_of_predictions(parsed, given), indent=2))
        return None
    options = _of_directory(parsed, given)
    code = launched(["evaluate", *argv], parsed.gpus)
    if code is not None:
        return code
    with sharing() as shared:
        scores = evaluate(**options, progress="Evaluation", shared=shared)
        if place_in_launch()[0] == 0:
            print(json_text(scores, indent=2))
    return None


def _score_options() -> dict[str, list[Action]]:
    """The options of all tasks that change how rows are read, and the scores of given answers."""
    found: dict[str, list[Action]] = column_options()
    for task in task_names():
        for name, actions in options_of(task_class(task)).items():
            if name in task_class(task).score_fields:
                for action in actions:
                    action.default = SUPPRESS  # so that it shows which ones were given
                found.setdefault(name, actions)
    return found


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _of_directory(parsed: argparse.Namespace, given: dict[str, Any]) -> dict[str, Any]:
    """What ``evaluate`` is told of a saved model."""
    if parsed.directory is None:
        raise InputError("DIR or --predictions FILE: give one of them. See frtune evaluate --help.")
    names = [item.name for item in fields(AnswerOptions) if getattr(parsed, item.name) is not None]
    scoring = {name: given.pop(name) for name in SCORING if name in given}
    columns = {name: given.pop(name) for name in (*column_options(), *SEPARATORS) if name in given}
    for name in (*names, *given):
        raise InputError(f"{_flag(name)}: goes with --predictions, without DIR. Leave it out.")
    options = asdict(made(Options, parsed)) | asdict(made(ModelOptions, parsed))
    options |= asdict(made(ReadingOptions, parsed)) | scoring
    options["present_only"] = options["present_only"] or None
    name = Path(options["data"]).stem or "data"
    output = options.pop("output_dir")
    if output is None:
        output = Path(options["directory"]) / "evaluation" / name
    check_directory(options["directory"])
    return {**options, "columns": columns, "output_dir": output}


def _of_predictions(parsed: argparse.Namespace, given: dict[str, Any]) -> dict[str, Any]:
    """The scores of one file of answers, or the comparison of two."""
    files = parsed.predictions
    if parsed.directory is not None:
        raise InputError(
            f"{parsed.directory}: with --predictions no model answers. Leave it out; --task "
            f"{parsed.directory} scores with its settings."
        )
    if parsed.task is None:
        raise InputError(f"--predictions: needs --task ({', '.join(task_names())}).")
    if len(files) > 2:
        raise InputError(f"--predictions: {len(files)} files. Give one, or two to compare.")
    for item in (*fields(ModelOptions), *fields(LaunchOptions)):
        if getattr(parsed, item.name) != item.default:
            raise InputError(f"{_flag(item.name)}: no model answers. Leave it out.")
    options = asdict(made(Options, parsed)) | asdict(made(ReadingOptions, parsed))
    del options["directory"]
    data, output = options.pop("data"), options.pop("output_dir")
    options["columns"] = AnswerColumns(
        prediction=parsed.prediction_column,
        id=parsed.id_column,
        separator=parsed.prediction_separator,
        encoding=parsed.prediction_encoding,
    )
    options["settings"] = given
    if len(files) == 2:
        return compare_predictions(*files, data, parsed.task, output_dir=output, **options)
    name = Path(files[0]).name.split(".")[0] or "predictions"
    if output is None:
        output = Path(files[0]).parent / "evaluation" / name
    return evaluate_predictions(files[0], data, parsed.task, output_dir=output, **options)
