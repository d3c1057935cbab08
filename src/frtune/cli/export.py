"""``frtune export DIR --to onnx --output D``: a finished model as a graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.columns import ReadingOptions, column_options, given_columns
from frtune.evaluation import SEPARATORS
from frtune.model_export.comparison import table
from frtune.model_export.export import Format, export


@dataclass(frozen=True)
class Options:
    """What is exported, and where.

    Attributes:
        directory: What frtune train left.
        to: The format.
        output: A new directory.
        int8: Quantise the graph: weights in 8 bits, about a quarter of the size.
    """

    directory: str = field(metadata={"metavar": "DIR"})
    to: Format
    output: str = field(metadata={"metavar": "D"})
    int8: bool = False


@dataclass(frozen=True)
class Rows:
    """What the graph is compared with its model on.

    Attributes:
        data: Rows with labels to compare on and to score: file, folder, hub name or 'sample'
            (default: the texts of DIR/predictions.jsonl).
        split: Which split (default: test, validation, or the only one).
        max_rows: Compare on so many rows, after a seeded shuffle.
    """

    data: str | None = None
    split: str | None = None
    max_rows: int | None = None


def main(argv: list[str]) -> None:
    """Parse ``argv``, export, print how the graph compares."""
    parser = Parser(
        prog="frtune export",
        description="Write a finished encoder or encoder-decoder as a graph for ONNX Runtime, with "
        "tokenizer, config and a README.md that says how to open it. Its outputs are compared "
        "with the model's; if they differ, nothing is written. An adapter is merged first.",
    )
    columns = column_options(further=SEPARATORS)
    parser.add_options("model", options_of(Options, positional=["directory"]))
    parser.add_options("rows", options_of(Rows) | options_of(ReadingOptions))
    parser.add_options("columns, where they differ from the model's", columns)
    parsed = parser.parse(argv)
    chosen = made(Options, parsed)
    rows = asdict(made(Rows, parsed)) | asdict(made(ReadingOptions, parsed))
    named = given_columns(parsed, columns)
    found = export(
        chosen.directory, chosen.output, to=chosen.to, int8=chosen.int8, columns=named, **rows
    )
    print(table(found["sides"], found["score"]), end="")
    print(f"\ncompared on {found['rows']}, and with the longest text that is read")
    print(f"model directory: {chosen.output}")
