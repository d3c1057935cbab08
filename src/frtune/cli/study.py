"""``frtune study RAW TUNED --data X``: hidden states, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from frtune.cli.arguments import Parser, options_of
from frtune.cli.columns import ReadingOptions
from frtune.names import named
from frtune.outputs import check_output_directory
from frtune.plotting import require_matplotlib
from frtune.study import study
from frtune.study.findings import headlines
from frtune.study.report import short_table, write_report
from frtune.study.result import Study
from frtune.study.rows import read_rows
from frtune.study.settings import Settings


@dataclass(frozen=True)
class Options:
    """What is studied, and on which rows.

    Attributes:
        checkpoints: Directories (what frtune train left, a model, an adapter) or hub names; the one
            before fine-tuning first.
        data: File, folder, hub name or 'sample'.
        output_dir: Where the results go.
        names: What the checkpoints are called (default: their last folder).
        text_column: Column with the text.
        label_column: Column with the label; probes need it (default: label, where there is one).
        split: Which split (default: test, validation, or the only one).
        max_rows: Number of rows, drawn with a seed.
        bf16: Run the models in bf16, or in fp32 (default: bf16 where the CPU is fast at it).
    """

    checkpoints: list[str] = field(metadata={"metavar": "CHECKPOINT"})
    data: str
    output_dir: str
    names: list[str] | None = None
    text_column: str = "text"
    label_column: str | None = None
    split: str | None = None
    max_rows: int | None = None
    bf16: bool | None = None


ROWS = ("text_column", "label_column", "split", "max_rows")
READING = tuple(options_of(ReadingOptions))
SIZE = ("max_tokens", "token_budget", "sample_tokens", "sample_texts", "seed")


def _parser() -> Parser:
    parser = Parser(
        prog="frtune study",
        description="Describe the hidden states of checkpoints layer by layer, and the "
        "differences between them. Writes report.html, study.json, tables as Parquet, "
        "and plots. The same command continues a study that was interrupted.",
        epilog="example: frtune study almanach/camembert-base runs/classifier --names raw tuned "
        "--data reviews/ --max-rows 1000 --output-dir runs/study",
    )
    own = options_of(Options, positional=["checkpoints"])
    parser.add_options("checkpoints", own, ["checkpoints", "names", "data", "output_dir"])
    parser.add_options("rows", own | options_of(ReadingOptions), [*ROWS, *READING])
    parser.add_options("computation", options_of(Settings) | own, [*SIZE, "bf16"])
    return parser


def main(argv: list[str]) -> None:
    """Parse ``argv``, study, write the results, print the main ones."""
    chosen = _parser().parse(argv)

    require_matplotlib()  # now, and not after hours
    checkpoints = named(chosen.checkpoints, chosen.names)
    check_output_directory(chosen.output_dir, "--output-dir", inputs=checkpoints.values())
    rows = {name: getattr(chosen, name) for name in (*ROWS, *READING)}
    texts, labels = read_rows(chosen.data, seed=chosen.seed, **rows)
    size = {name: getattr(chosen, name) for name in (*SIZE, "bf16")}
    output = Path(chosen.output_dir)
    found = study(checkpoints, texts, labels, output_dir=output, progress="Study", **size)
    found.save(output)
    _show(found, write_report(found, output))


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
    console = Console(highlight=False, markup=False)
    console.print(table)
    for sentence in headlines(study):
        console.print(f"- {sentence}")
    for item in study.notes:
        console.print(f"note: {item['what']}: {item['why']}")
    for item in study.skipped:
        console.print(f"left out: {item['what']}: {item['why']}")
    console.print(f"report: {report}", soft_wrap=True)
