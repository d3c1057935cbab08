"""``frtune preflight train TASK``: a whole run in about a minute, before it."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import datasets
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers.utils import logging

from frtune.cli import Parser
from frtune.cli.train import parse
from frtune.preflight.run import preflight
from frtune.tasks.config_file import task_names
from frtune.training.distributed import leave

if TYPE_CHECKING:
    from frtune.preflight.stages import Stage

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def main(argv: list[str]) -> int:
    """Parse the arguments of ``frtune train``, live through the run, print a line a stage."""
    parser = Parser(
        prog="frtune preflight",
        usage="frtune preflight train TASK [options of frtune train TASK]",
        description="Live through a whole training run in about a minute, on a miniature of its "
        "model with its own tokenizer and data: read, check, train, kill, resume, save, test, "
        "predict. Says what would fail, and when. Nothing is written to --output-dir. The options "
        "are those of frtune train TASK --help.",
    )
    parser.add_argument("command", choices=["train"], help="train: what is to be tried")
    parser.add_argument("task", choices=task_names(), metavar="TASK", help=", ".join(task_names()))
    chosen = parser.parse(argv[:2])
    task, settings, args = parse(chosen.task, argv[2:])

    _quiet()

    main_process = args.process_index == 0
    console = Console(file=sys.stdout, highlight=False)
    show = partial(_show, console) if main_process else None
    stages = preflight(task, settings, args, on_stage=show)
    if main_process:
        print(_summary(stages))
    leave()
    return 0


def _quiet() -> None:
    """Leave the screen to the stages."""
    datasets.disable_progress_bars()
    logging.disable_progress_bar()


def _show(console: Console, stage: Stage) -> None:

    table = Table.grid(padding=(0, 2))
    table.add_column(width=7)
    table.add_column(width=6, justify="right")
    table.add_column(width=16)
    table.add_column()
    found = Text("\n".join(stage.notes), overflow="fold")
    # a failure is told once, by the error's own line
    for warning in stage.warnings if stage.status != "failed" else ():
        found.append(f"\n{warning}" if found else warning, style=_COLOURS[stage.status])
    status = Text(stage.status, style=_COLOURS[stage.status])
    table.add_row(status, f"{stage.seconds:.1f} s", stage.name, found)
    console.print(table)
    console.file.flush()


def _summary(stages: list[Stage]) -> str:
    seconds = sum(stage.seconds for stage in stages)
    warnings = sum(len(stage.warnings) for stage in stages)
    said = (
        f"{warnings} warning{'s' if warnings > 1 else ''}: see above" if warnings else "no warning"
    )
    return f"preflight passed in {seconds:.0f} s, {said}"
