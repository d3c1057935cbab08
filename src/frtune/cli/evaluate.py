"""``frtune evaluate DIR --data X``: scores of a saved directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.columns import ReadingOptions, column_options, given_columns
from frtune.evaluation import evaluate


@dataclass(frozen=True)
class Options:
    """What is scored, and on what.

    Attributes:
        directory: What frtune train left.
        data: File, folder, hub name or 'sample'.
        split: Which split (default: test, validation, or the only one).
        max_rows: Score so many rows, after a seeded shuffle.
        batch_size: Rows a batch.
        dtype: Type of the weights (default: bf16 for large decoders on a GPU, else fp32).
        output_dir: Where metrics.json goes (default: DIR/evaluation/NAME OF THE DATA).
    """

    directory: str = field(metadata={"metavar": "DIR"})
    data: str
    split: str | None = None
    max_rows: int | None = None
    batch_size: int = 16
    dtype: Literal["fp32", "bf16", "fp16"] | None = None
    output_dir: str | None = None


def main(argv: list[str]) -> None:
    """Parse ``argv``, score, print the scores as JSON."""
    parser = Parser(
        prog="frtune evaluate",
        description="Score a saved model directory. The scores go to standard output as JSON, and "
        "with predictions and signatures to the output directory.",
    )
    columns, own = (
        column_options(further=("separator",)),
        options_of(Options, positional=["directory"]),
    )
    parser.add_options("model and data", own | options_of(ReadingOptions))
    parser.add_options("columns, where they differ from the model's", columns)
    parsed = parser.parse(argv)
    options = asdict(made(Options, parsed)) | asdict(made(ReadingOptions, parsed))
    options["columns"] = given_columns(parsed, columns)
    name = Path(options["data"]).stem or "data"
    output = options.pop("output_dir") or Path(options["directory"]) / "evaluation" / name
    print(json.dumps(evaluate(**options, output_dir=output, progress="Evaluation"), indent=2))
