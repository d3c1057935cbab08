"""``frtune compare A B C --data X``: saved models side by side."""

from __future__ import annotations

from frtune.cli import Parser
from frtune.comparison.compare import compare
from frtune.comparison.report import comparison_markdown


def main(argv: list[str]) -> int:
    """Parse ``argv``, compare, print the table."""
    parser = Parser(
        prog="frtune compare",
        description="Compare saved models of one task on the same rows: scores with 95 % bootstrap "
        "intervals, a paired test against the first model, agreement with it, size, time a text "
        "and memory. The table is Markdown.",
    )
    parser.add_argument("directories", metavar="DIR", nargs="+", help="what frtune train left")
    parser.add_argument("--data", required=True, help="file, folder, hub name or 'sample'")
    parser.add_argument("--split", help="which split (default: test, validation, or the only one)")
    parser.add_argument("--max-rows", type=int, help="score so many rows, after a seeded shuffle")
    parser.add_argument("--output", metavar="D", help="where comparison.md, .json and .png go")
    parser.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1, 32], metavar="N",
        help="texts a batch, for the times (1 32)",
    )  # fmt: skip
    chosen = parser.parse(argv)

    found = compare(
        chosen.directories,
        chosen.data,
        split=chosen.split,
        max_rows=chosen.max_rows,
        output_dir=chosen.output,
        batch_sizes=chosen.batch_sizes,
    )
    print(comparison_markdown(found), end="")
    return 0
