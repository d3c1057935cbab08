"""``frtune compare A B C --data X``: saved models side by side."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.columns import ReadingOptions, column_options, given_columns
from frtune.comparison.compare import compare
from frtune.comparison.report import comparison_markdown
from frtune.evaluation import SEPARATORS


@dataclass(frozen=True)
class Options:
    """What is compared, and on what.

    Attributes:
        directories: Model directory, as frtune train writes it.
        data: File, folder, hub name or 'sample'.
        split: Which split (default: test, validation, or the only one).
        max_rows: Number of rows to score, drawn with a seed.
        output: Where comparison.md, .json and .png go.
        batch_sizes: Texts a batch, for the times.
        bf16: Compute in bf16, or in fp32 (default: bf16 where the device computes in it).
        fp16: Compute in fp16 (default: on GPUs without bf16, if the family allows it).
    """

    directories: list[str] = field(metadata={"metavar": "DIR"})
    data: str
    split: str | None = None
    max_rows: int | None = None
    output: str | None = field(default=None, metadata={"metavar": "D"})
    batch_sizes: list[int] = field(default_factory=lambda: [1, 32], metadata={"metavar": "N"})
    bf16: bool | None = None
    fp16: bool | None = None


def main(argv: list[str]) -> None:
    """Parse ``argv``, compare, print the table."""
    parser = Parser(
        prog="frtune compare",
        description="Compare saved models of one task on the same rows: scores with 95 % bootstrap "
        "intervals, a paired test against the first model, agreement with it, size, time a text "
        "and memory. The table is Markdown.",
    )
    own = options_of(Options, positional=["directories"])
    columns = column_options(further=SEPARATORS)
    parser.add_options("models and data", own | options_of(ReadingOptions))
    parser.add_options("columns, if they differ from those of the models", columns)
    parsed = parser.parse(argv)
    options = asdict(made(Options, parsed)) | asdict(made(ReadingOptions, parsed))
    options["columns"] = given_columns(parsed, columns)
    found = compare(output_dir=options.pop("output"), **options)
    print(comparison_markdown(found), end="")
