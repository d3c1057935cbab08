"""``frtune runs``: all runs below a folder, in one table."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from frtune.cli.arguments import Parser, made, options_of
from frtune.files import json_text
from frtune.runs.groups import RunGroup, RunTable, find_runs, shown
from frtune.runs.record import Run

_PLAIN_WIDTH = 160  # columns, where the output is no terminal


@dataclass(frozen=True)
class Options:
    """Which runs, in which order.

    Attributes:
        folder: Where to look, in all folders below (default: here).
        where: What a run must meet: state=finished, checkpoint=*camembert*, learning_rate>=1e-5.
        sort: What they are sorted by: a column, or a setting of config.yaml (default: best score).
        reverse: Turn that order round.
        json: Print JSON.
    """

    folder: str = field(default=".", metadata={"metavar": "FOLDER", "nargs": "?"})
    where: list[str] = field(default_factory=list, metadata={"metavar": "NAME=VALUE"})
    sort: str | None = field(default=None, metadata={"metavar": "NAME"})
    reverse: bool = False
    json: bool = False


def main(argv: list[str]) -> None:
    """Parse ``argv``, read the runs, print them."""
    parser = Parser(
        prog="frtune runs",
        description="Show all runs of frtune train below a folder in one table: data, checkpoint, "
        "the settings that differ, the score with its 95 % interval, and the state. "
        "Scores that cannot be compared are in different tables.",
        epilog="example: frtune runs runs/ --where task=keyphrases state=finished --sort score",
    )
    own = options_of(Options, positional=["folder"])
    own["folder"][0].nargs, own["folder"][0].required = "?", False
    parser.add_options("runs", own)
    chosen = made(Options, parser.parse(argv))
    found = find_runs(chosen.folder, where=chosen.where, sort=chosen.sort, reverse=chosen.reverse)
    if chosen.json:
        print(json_text(found.content(), indent=2, default=str))
    else:
        _show(found, chosen)
    for line in found.unreadable:
        sys.stderr.write(f"frtune runs: left out: {line}\n")


def _show(found: RunTable, chosen: Options) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PLAIN_WIDTH)
    if not found.groups:
        wanted = " that meets --where" if chosen.where else ""
        console.print(f"no run of frtune train{wanted} below {escape(chosen.folder)}")
    for group in found.groups:
        console.print(_table(group))


def _table(group: RunGroup) -> Table:
    title = group.task
    if group.signature is not None:
        rows = f"{group.test_rows} test rows ({(group.test_hash or '')[:8]})"
        title += f": {group.score_name} on {rows}, {group.signature}"
    else:
        title += ": without scores of test rows"
    table = Table(title=escape(title), title_justify="left")
    scored = [group.score_name or "score"] if group.signature else []
    for name in ("run", "state", *scored, "checkpoint", "data", "what differs", "time", "size"):
        right = name in ("time", "size")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for run in group.runs:
        table.add_row(*map(escape, _cells(run, group, bool(scored))))
    return table


def _cells(run: Run, group: RunGroup, scored: bool) -> list[str]:
    different = (f"{name}={shown(run.settings.get(name))}" for name in group.differing)
    data = f"{run.data} ({run.hashes.get('train', '')[:8]})"
    return [
        run.name,
        run.state_text,
        *([_score(run)] if scored else []),
        run.checkpoint,
        data,
        ", ".join(different),
        "" if run.seconds is None else _duration(run.seconds),
        "" if run.size_bytes is None else f"{run.size_bytes / 2**20:,.1f} MiB",
    ]


def _score(run: Run) -> str:
    if run.low is None or run.high is None:
        return f"{run.score:.4f}"
    return f"{run.score:.4f} ({run.low:.3f} to {run.high:.3f})"


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    Example:
        >>> _duration(59.6), _duration(3725)
        ('1 min 00 s', '1 h 02 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
