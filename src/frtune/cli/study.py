"""``frtune study RAW TUNED --data X``: hidden states, layer by layer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from frtune.cli import Parser
from frtune.names import named
from frtune.plotting import require_matplotlib
from frtune.study import study
from frtune.study.findings import headlines
from frtune.study.report import short_table, write_report
from frtune.study.rows import read_rows

if TYPE_CHECKING:
    from frtune.study.result import Study


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="frtune study",
        description="Describe the hidden states of checkpoints layer by layer, and what changed "
        "between them. Writes report.html, study.json, tables as Parquet, and plots. Interrupted, "
        "the same command goes on.",
        epilog="example: frtune study almanach/camembert-base runs/classifier --names raw tuned "
        "--data reviews/ --max-rows 1000 --output-dir runs/study",
    )
    add = parser.add_argument
    add("checkpoints", nargs="+", metavar="CHECKPOINT", help="directories (what frtune train left, "
        "a model, an adapter) or hub names; the one before fine-tuning first")  # fmt: skip
    add("--data", required=True, help="file, folder, hub name or 'sample'")
    add("--output-dir", required=True, help="where the results go")
    add("--names", nargs="+", help="what the checkpoints are called (default: their last folder)")
    rows = parser.add_argument_group("rows")
    rows.add_argument("--text-column", default="text", help="column with the text (text)")
    rows.add_argument("--label-column", help="column with the label; probes need it (label, where "
                      "there is one)")  # fmt: skip
    rows.add_argument("--split", help="which split (default: test, validation, or the only one)")
    rows.add_argument("--max-rows", type=int, metavar="N", help="so many, after a seeded shuffle")
    rows.add_argument("--encoding", help="encoding of the data files (default: UTF-8)")
    size = parser.add_argument_group("computation")
    size.add_argument("--max-tokens", type=int, default=512, metavar="N",
                      help="a longer text loses its end (512)")  # fmt: skip
    size.add_argument("--token-budget", type=int, default=4096, metavar="N",
                      help="tokens a batch: less needs less memory (4096)")  # fmt: skip
    size.add_argument("--sample-tokens", type=int, default=2000, metavar="N",
                      help="tokens that are compared between checkpoints (2000)")  # fmt: skip
    size.add_argument("--sample-texts", type=int, default=2000, metavar="N",
                      help="texts that probes see (2000)")  # fmt: skip
    size.add_argument("--seed", type=int, default=42, help="of samples and intervals (42)")
    precision = size.add_mutually_exclusive_group()
    precision.add_argument("--bf16", action="store_true", default=None, help="run the models in "
                           "bf16 (default: where the hardware is fast at it)")  # fmt: skip
    precision.add_argument("--no-bf16", action="store_false", dest="bf16", help="run them in fp32")
    return parser


def main(argv: list[str]) -> int:
    """Parse ``argv``, study, write the results, print the main ones."""
    options = vars(_parser().parse(argv))  # type: ignore[attr-defined]

    require_matplotlib()  # now, and not after hours
    output = Path(options.pop("output_dir"))
    checkpoints = named(options.pop("checkpoints"), options.pop("names"))
    columns = ("text_column", "label_column", "split", "max_rows", "encoding")
    texts, labels = read_rows(
        options.pop("data"), seed=options["seed"], **{name: options.pop(name) for name in columns}
    )
    found = study(checkpoints, texts, labels, output_dir=output, progress="Study", **options)
    found.save(output)
    _show(found, write_report(found, output))
    return 0


def _show(study: Study, report: Path) -> None:
    """Print the main numbers by layer, what was found, and where the report is."""
    columns, rows = short_table(study)
    table = Table(
        title="By layer (0 = embeddings): change of tokens, cosines within a text and "
        "between texts, accuracy of a probe"
    )
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table)
    for sentence in headlines(study):
        console.print(f"- {sentence}", highlight=False, markup=False)
    for item in study.skipped:
        console.print(f"left out: {item['what']}: {item['why']}", highlight=False, markup=False)
    console.print(f"report: {report}", soft_wrap=True, highlight=False, markup=False)
