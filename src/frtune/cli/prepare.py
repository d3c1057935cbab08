"""``frtune prepare``: reads, cleans, audits and splits a data set."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from frtune.cli import Parser
from frtune.cli.columns import COLUMNS, add_columns, add_reading
from frtune.data.prepare import Cut, Filters, prepare
from frtune.errors import InputError
from frtune.tasks.config_file import task_class, task_names

_OTHERS = (
    ("head", "classification or regression: do pairs have labels, or scores (classification)"),
    ("separator", "stands between keywords and between keyphrases ('; ')"),
)
_LIMITS = (
    ("min-source-tokens", "fewest tokens of the text, its title or second sentence included"),
    ("max-source-tokens", "most tokens of them (the three of tokens need --tokenizer)"),
    ("max-target-tokens", "most tokens of the keyphrases, end token included"),
    ("min-keyphrases", "fewest keyphrases or keywords of a row"),
    ("max-keyphrases", "most of them"),
)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="frtune prepare",
        description="Read a data set, clean it, reject rows with a reason each, split it and audit "
        "it. Writes train.jsonl, validation.jsonl, test.jsonl, rejected.jsonl and audit.json.",
        epilog="example: frtune prepare lines.csv --task classification --output prepared "
        "--text-column libelle --label-column compte --encoding cp1252",
    )
    add = parser.add_argument
    add("data", metavar="X", help="file or folder of CSV, TSV, JSON, JSONL, Parquet or "
        "Excel; folder of .txt and .key files; save_to_disk folder; hub name; sample")  # fmt: skip
    add("--task", choices=task_names(), required=True, help="what the rows are for")
    add("--output", required=True, metavar="D", help="directory to write; must be new or empty")
    add_reading(parser)
    columns = parser.add_argument_group("columns, those that the task has")
    add_columns(columns)
    for name, text in _OTHERS:
        columns.add_argument(f"--{name}", help=text)
    filters = parser.add_argument_group("rows to keep")
    filters.add_argument("--tokenizer", metavar="T", help="checkpoint (directory or hub name) "
                         "whose tokenizer counts tokens")  # fmt: skip
    for name, text in _LIMITS:
        filters.add_argument(f"--{name}", type=int, metavar="N", help=text)
    filters.add_argument("--language", help="keep texts of this language: ko, fr, en, ja, zh, ...")
    filters.add_argument("--duplicates", choices=["report", "reject"], default="reject",
                         help="of rows with the same text, in any split (reject)")  # fmt: skip
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
    chosen = _parser().parse(argv)  # type: ignore[attr-defined]

    audit = prepare(
        chosen.data,
        chosen.output,
        _task(chosen),
        encoding=chosen.encoding,
        filters=_made(Filters, chosen),
        tokenizer=chosen.tokenizer,
        cut=_made(Cut, chosen),
        num_proc=chosen.num_proc,
        text_columns=chosen.text_columns,
        decimal_comma=chosen.decimal_comma,
    )
    _show(audit, chosen.output)


def _made(cls: Any, chosen: argparse.Namespace) -> Any:
    return cls(**{item.name: getattr(chosen, item.name) for item in fields(cls)})


def _task(chosen: argparse.Namespace) -> Any:
    """The task with the columns that were given."""
    cls = task_class(chosen.task)
    known = {item.name for item in fields(cls)}
    given = {}
    flags = [flag for flag, _ in (*COLUMNS, *_OTHERS)]
    for flag in flags:
        name = flag.replace("-", "_")
        value = getattr(chosen, name)
        if value is not None and name not in known:
            its = [f"--{other}" for other in flags if other.replace("-", "_") in known]
            raise InputError(f"--{flag}: not of {chosen.task}, which has {', '.join(its)}.")
        if value is not None:
            given[name] = value
    return cls(**given)


def _show(audit: dict[str, Any], output: str) -> None:
    """Print the audit as short tables."""
    rows = audit["rows"]
    console = Console()
    console.print(
        f"{rows['read']} rows read: {rows['kept']} kept, {rows['rejected']} rejected", style="bold"
    )
    for reason, count in audit["rejected"].items():
        console.print(f"  {count} {reason}")
    console.print(_splits_table(audit["splits"]))
    if audit["leakage"]:
        console.print(_leakage_table(audit["leakage"]))
    for note in audit["notes"]:
        console.print(f"note: {note}", highlight=False, markup=False)
    console.print(f"written to {output}", highlight=False, markup=False)


def _splits_table(splits: dict[str, Any]) -> Any:

    first = next(iter(splits.values()))
    lengths = [name for name in ("words", "tokens") if name in first]
    phrases = next((name for name in ("keyphrases", "keywords") if name in first), None)
    heads = ["labels"] if "labels" in first else ["score (mean)"] if "scores" in first else []
    heads += [phrases, "present"] if phrases else []
    table = Table("split", "rows", *heads, *(f"{name} (median)" for name in lengths))
    for name, split in splits.items():
        cells = [name, str(split["rows"])]
        if "labels" in split:
            cells.append(_labels_cell(split["labels"]))
        if "scores" in split:
            cells.append(f"{split['scores']['mean']:.2f}")
        if phrases:
            share = split["present_share"]
            cells.append(f"{split[phrases]['mean']:.1f} a row")
            cells.append("-" if share is None else f"{share:.0%}")
        table.add_row(*cells, *(f"{split[length]['median']:.0f}" for length in lengths))
    return table


def _labels_cell(labels: dict[str, int]) -> str:

    shown = [f"{label}: {count}" for label, count in list(labels.items())[:8]]
    return escape(", ".join(shown) + (f", {len(labels) - 8} more" if len(labels) > 8 else ""))


def _leakage_table(leakage: dict[str, Any]) -> Any:

    table = Table("between", "same text", "near duplicates", "rows that share 8 words in a row")
    for name, pair in leakage.items():
        runs = pair["shared_runs"]
        table.add_row(
            name.replace("/", " and "),
            str(pair["same_text"]),
            str(pair["near_duplicates"]),
            f"{runs['rows']} of {runs['rows_checked']}",
        )
    return table
