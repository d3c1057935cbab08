"""``frtune prepare``: reads, cleans, audits and splits a data set."""

from __future__ import annotations

from argparse import Action
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.columns import ReadingOptions, column_options, given_columns
from frtune.data.prepare import Cut, Filters, prepare
from frtune.errors import InputError
from frtune.tasks.config_file import task_class


@dataclass(frozen=True)
class Options:
    """What is prepared, what for, and where it goes.

    Attributes:
        data: File or folder of CSV, TSV, JSON, JSONL, Parquet or Excel; folder of .txt and .key
            files; save_to_disk folder; hub name; sample.
        task: What the rows are for: classification, similarity, keywords or keyphrases.
        output: Directory to write; must be new or empty.
        num_proc: Processes (default: all cores).
        tokenizer: Checkpoint (directory or hub name) whose tokenizer counts tokens.
    """

    data: str = field(metadata={"metavar": "X"})
    task: str = field(metadata={"metavar": "TASK"})
    output: str = field(metadata={"metavar": "D"})
    num_proc: int | None = None
    tokenizer: str | None = field(default=None, metadata={"metavar": "T"})


def _parser(columns: dict[str, list[Action]]) -> Parser:
    parser = Parser(
        prog="frtune prepare",
        description="Read a data set, clean it, reject rows with a reason each, split it and audit "
        "it. Writes train.jsonl, validation.jsonl, test.jsonl, rejected.jsonl and audit.json.",
        epilog="example: frtune prepare lines.csv --task classification --output prepared "
        "--text-column libelle --label-column compte --encoding cp1252",
    )
    own = options_of(Options, positional=["data"])
    filters = {"tokenizer": own.pop("tokenizer")} | options_of(Filters)
    parser.add_options("data", own | options_of(ReadingOptions))
    parser.add_options("columns, those that the task has", columns)
    parser.add_options("rows to keep", filters)
    parser.add_options("splits", options_of(Cut))
    return parser


def main(argv: list[str]) -> None:
    """Parse ``argv``, prepare, print the audit."""
    columns = column_options(
        further=("head", "separator", "multi_label", "label_separator"), defaults=True
    )
    parsed = _parser(columns).parse(argv)
    options = asdict(made(Options, parsed)) | asdict(made(ReadingOptions, parsed))
    task = _task(options.pop("task"), columns, given_columns(parsed, columns))
    source, output = options.pop("data"), options.pop("output")
    filters, cut = made(Filters, parsed), made(Cut, parsed)
    _show(prepare(source, output, task, filters=filters, cut=cut, **options), output)


def _task(name: str, columns: Collection[str], given: dict[str, str]) -> Any:
    cls = task_class(name)
    known = [item.name for item in fields(cls) if item.name in columns]
    for column in given:
        if column not in known:
            flag, *its = (f"--{each.replace('_', '-')}" for each in (column, *known))
            raise InputError(f"{flag}: not of {name}, which has {', '.join(its)}.")
    return cls(**given)


def _show(audit: dict[str, Any], output: str) -> None:
    rows = audit["rows"]
    console = Console()
    read = f"{rows['read']} rows read: {rows['kept']} kept, {rows['rejected']} rejected"
    console.print(read, style="bold")
    for reason, count in audit["rejected"].items():
        console.print(f"  {count} {reason}")
    console.print(_splits_table(audit["splits"]))
    if audit["leakage"]:
        table = Table("between", "same text", "near duplicates", "rows that share 8 words in a row")
        for name, pair in audit["leakage"].items():
            found = [str(pair["same_text"]), str(pair["near_duplicates"])]
            runs = pair["shared_runs"]
            found.append(f"{runs['rows']} of {runs['rows_checked']}")
            table.add_row(name.replace("/", " and "), *found)
        console.print(table)
    for note in audit["notes"]:
        console.print(f"note: {note}", highlight=False, markup=False)
    console.print(f"written to {output}", highlight=False, markup=False)


def _splits_table(splits: dict[str, Any]) -> Table:
    first = next(iter(splits.values()))
    lengths = [name for name in ("words", "tokens") if name in first]
    phrases = next((name for name in ("keyphrases", "keywords") if name in first), None)
    heads = ["labels"] if "labels" in first else ["score (mean)"] if "scores" in first else []
    heads += [phrases, "present"] if phrases else []
    table = Table("split", "rows", *heads, *(f"{name} (median)" for name in lengths))
    for name, split in splits.items():
        cells = [name, str(split["rows"])]
        if "labels" in split:
            shown = [f"{label}: {count}" for label, count in split["labels"].items()]
            more = [f"{len(shown) - 8} more"] if len(shown) > 8 else []
            cells.append(escape(", ".join(shown[:8] + more)))
        if "scores" in split:
            cells.append(f"{split['scores']['mean']:.2f}")
        if phrases:
            share = split["present_share"]
            cells.append(f"{split[phrases]['mean']:.1f} a row")
            cells.append("-" if share is None else f"{share:.0%}")
        table.add_row(*cells, *(f"{split[length]['median']:.0f}" for length in lengths))
    return table
