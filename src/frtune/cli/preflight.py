"""``frtune preflight train TASK``: a whole run in about a minute, before it."""

from __future__ import annotations

import sys
from functools import partial

import datasets
from rich.console import Console
from rich.table import Table
from rich.text import Text
from transformers.utils import logging

from frtune.cli.arguments import Parser
from frtune.cli.train import SeedOptions, launched_run
from frtune.cli.train_arguments import parse_train_arguments
from frtune.preflight.run import preflight
from frtune.preflight.stages import Stage
from frtune.tasks.config_file import task_names
from frtune.training.distributed import leave

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def main(argv: list[str]) -> int | None:
    """Parse the arguments of ``frtune train``, try the run, print a line a stage."""
    parser = Parser(
        prog="frtune preflight",
        usage="frtune preflight train TASK [options of frtune train TASK]",
        description="Test a whole training run in about a minute, before it starts. The test takes "
        "a tiny model of the same architecture, and the tokenizer and the data of the run. It "
        "reads, checks, trains, is killed, resumes, saves, scores and predicts. It says what would "
        "fail, and when. Nothing is written to --output-dir. The options are those of frtune train "
        "TASK --help.",
    )
    parser.add_argument("command", choices=["train"], help="train: the command to test")
    parser.add_argument("task", choices=task_names(), metavar="TASK", help=", ".join(task_names()))
    chosen = parser.parse(argv[:2])
    code = launched_run(chosen.task, argv[2:], ["preflight", *argv], usual=1)
    if code is not None:
        return code
    task, settings, args, _ = parse_train_arguments(chosen.task, argv[2:], extra=SeedOptions)

    datasets.disable_progress_bars()  # the screen is for the stages
    logging.disable_progress_bar()
    main_process = args.process_index == 0
    console = Console(file=sys.stdout, highlight=False)
    show = partial(_show, console) if main_process else None
    stages = preflight(task, settings, args, on_stage=show)
    if main_process:
        seconds = sum(stage.seconds for stage in stages)
        count = sum(len(stage.warnings) for stage in stages)
        found = f"{count} warning{'s' * (count > 1)}: see above" if count else "no warning"
        print(f"preflight passed in {seconds:.0f} s, {found}")
    leave()
    return None


def _show(console: Console, stage: Stage) -> None:
    table = Table.grid(padding=(0, 2))
    for width, justify in ((7, "left"), (6, "right"), (16, "left"), (None, "left")):
        table.add_column(width=width, justify=justify)
    found = Text("\n".join(stage.notes), overflow="fold")
    # a failure is told once, by the error's own line
    for warning in stage.warnings if stage.status != "failed" else ():
        found.append(f"\n{warning}" if found else warning, style=_COLOURS[stage.status])
    status = Text(stage.status, style=_COLOURS[stage.status])
    table.add_row(status, f"{stage.seconds:.1f} s", stage.name, found)
    console.print(table)
    console.file.flush()
