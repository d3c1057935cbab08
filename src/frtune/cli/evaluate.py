"""``frtune evaluate DIR --data X``: scores of a saved directory."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from frtune.cli import Parser
from frtune.cli.columns import add_columns, add_reading, given_columns
from frtune.evaluation import evaluate


def main(argv: list[str]) -> int:
    """Parse ``argv``, score, print the scores as JSON."""
    parser = Parser(
        prog="frtune evaluate",
        description="Score a saved model directory. The scores go to standard output as JSON, and "
        "with predictions and signatures to the output directory.",
    )
    parser.add_argument("directory", metavar="DIR", help="what frtune train left")
    parser.add_argument("--data", required=True, help="file, folder, hub name or 'sample'")
    parser.add_argument(
        "--output-dir", help="where metrics.json goes (default: DIR/evaluation/NAME OF THE DATA)"
    )
    parser.add_argument("--split", help="which split (default: test, validation, or the only one)")
    add_reading(parser)
    add_columns(parser.add_argument_group("columns, where they differ from the model's"))
    parser.add_argument("--max-rows", type=int, help="score so many rows, after a seeded shuffle")
    parser.add_argument("--batch-size", type=int, default=16, help="rows a batch")
    chosen = parser.parse(argv)

    name = Path(chosen.data).stem or "data"
    metrics = evaluate(
        chosen.directory,
        chosen.data,
        output_dir=chosen.output_dir or Path(chosen.directory) / "evaluation" / name,
        split=chosen.split,
        encoding=chosen.encoding,
        max_rows=chosen.max_rows,
        batch_size=chosen.batch_size,
        progress="Evaluation",
        columns=given_columns(chosen),
        text_columns=chosen.text_columns,
        decimal_comma=chosen.decimal_comma,
    )
    json.dump(metrics, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0
