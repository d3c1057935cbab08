"""``frtune prepare``: reads, cleans, audits and splits a data set."""

from __future__ import annotations

import argparse
from typing import Any

from frtune.cli import Parser

_FILTERS = (
    ("min-source-tokens", "fewest tokens of title and text (needs --tokenizer)"),
    ("max-source-tokens", "most tokens of title and text (needs --tokenizer)"),
    ("max-target-tokens", "most tokens of the keyphrases, end token included (needs --tokenizer)"),
    ("min-keyphrases", "fewest keyphrases of a row"),
    ("max-keyphrases", "most keyphrases of a row"),
)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="frtune prepare",
        description="Read a data set, clean it, reject rows with a reason each, split it and audit "
        "it. Writes train.jsonl, validation.jsonl, test.jsonl, rejected.jsonl and audit.json.",
        epilog="example: frtune prepare articles.csv --task keyphrases --output prepared "
        "--text-column body --separator ', ' --min-keyphrases 2 --language ko --split 8:2",
    )
    add = parser.add_argument
    add("data", metavar="X", help="file or folder of CSV, TSV, JSON, JSONL or Parquet; "
        "save_to_disk folder; hub name; sample")  # fmt: skip
    add("--task", choices=["keyphrases"], default="keyphrases", help="what the rows are for")
    add("--output", required=True, metavar="D", help="directory to write; must be new or empty")
    add("--encoding", help="of text files, such as cp1252 or cp949 (default: utf-8, or the BOM's)")
    columns = parser.add_argument_group("columns")
    columns.add_argument("--text-column", default="text", help="column with the text (text)")
    columns.add_argument("--title-column", help="column with a title that is part of the source")
    columns.add_argument("--keyphrases-column", default="keyphrases",
                         help="column with a list or a separated string (keyphrases)")  # fmt: skip
    columns.add_argument("--separator", default="; ", help="stands between keyphrases ('; ')")
    filters = parser.add_argument_group("rows to keep")
    filters.add_argument("--tokenizer", metavar="T", help="checkpoint (directory or hub name) "
                         "whose tokenizer counts tokens")  # fmt: skip
    for name, text in _FILTERS:
        filters.add_argument(f"--{name}", type=int, metavar="N", help=text)
    filters.add_argument("--language", help="keep texts of this language: ko, fr, en, ja, zh, ...")
    filters.add_argument("--near-duplicates", choices=["report", "reject"], default="report",
                         help="of near duplicates across splits (report)")  # fmt: skip
    filters.add_argument("--near-threshold", type=float, default=0.8, metavar="J",
                         help="Jaccard index that makes near duplicates (0.8)")  # fmt: skip
    cut = parser.add_argument_group("splits")
    cut.add_argument("--split", default="8:1:1", metavar="RATIO", help="train:validation:test, or "
                     "train:test as in 8:2; for the splits that X lacks (8:1:1)")  # fmt: skip
    cut.add_argument("--validation-rows", type=int, metavar="N", help="so many rows instead")
    cut.add_argument("--test-rows", type=int, metavar="N", help="so many rows instead")
    cut.add_argument("--resplit", action="store_true", help="split anew, also when X has splits")
    cut.add_argument("--seed", type=int, default=42, help="of the cut (42)")
    parser.add_argument("--num-proc", type=int, metavar="N", help="processes (all cores)")
    return parser


def main(argv: list[str]) -> None:
    """Run ``frtune prepare`` with ``argv``."""
    options = vars(_parser().parse(argv))  # type: ignore[attr-defined]
    from frtune.data.prepare import Columns, prepare

    options.pop("task")
    task = Columns(**{name: options.pop(name) for name in Columns._fields})
    output = options["output_dir"] = options.pop("output")
    _show(prepare(options.pop("data"), task=task, **options), output)


def _show(audit: dict[str, Any], output: str) -> None:
    """Print the audit as short tables."""
    from rich.console import Console
    from rich.table import Table

    rows = audit["rows"]
    lengths = [
        name for name in ("words", "tokens") if any(name in s for s in audit["splits"].values())
    ]
    splits = Table(
        "split", "rows", "keyphrases", "present", *(f"{name} (median)" for name in lengths)
    )
    for name, split in audit["splits"].items():
        share = split["present_share"]
        splits.add_row(
            name,
            str(split["rows"]),
            f"{split['keyphrases']['mean']:.1f} a row",
            "-" if share is None else f"{share:.0%}",
            *(f"{split[length]['median']:.0f}" for length in lengths),
        )
    leakage = Table("between", "same text", "near duplicates", "rows that share 8 words in a row")
    for name, pair in audit["leakage"].items():
        runs = pair["shared_runs"]
        leakage.add_row(
            name.replace("/", " and "),
            str(pair["same_text"]),
            str(pair["near_duplicates"]),
            f"{runs['rows']} of {runs['rows_checked']}",
        )
    console = Console()
    console.print(
        f"{rows['read']} rows read: {rows['kept']} kept, {rows['rejected']} rejected", style="bold"
    )
    for reason, count in audit["rejected"].items():
        console.print(f"  {count} {reason}")
    console.print(splits)
    if audit["leakage"]:
        console.print(leakage)
    for note in audit["notes"]:
        console.print(f"note: {note}", highlight=False, markup=False)
    console.print(f"written to {output}", highlight=False, markup=False)
