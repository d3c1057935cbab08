"""``frtune train TASK``: flags and YAML to a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from frtune.cli.arguments import Parser
from frtune.cli.launch import LaunchOptions, launched
from frtune.cli.train_arguments import parse_train_arguments, read_flags
from frtune.environment.launcher import is_launched
from frtune.errors import InputError, RunStopped
from frtune.run.learning_curve import SEEDS, learning_curve
from frtune.run.learning_curve_page import curve_table
from frtune.run.report import results_table
from frtune.run.run import run
from frtune.run.seeds import Make, run_seeds, seeds_table
from frtune.run.settings import RunSettings
from frtune.tasks.config_file import task_names
from frtune.training.distributed import leave


@dataclass(frozen=True)
class SeedOptions(LaunchOptions):
    """Several GPUs, several seeds, or growing shares of the rows.

    Attributes:
        seeds: Run N seeds from --seed on, in seed-N/; report the mean.
        learning_curve: Train on growing shares, 3 seeds; what would more rows bring?
    """

    seeds: str | None = field(default=None, metadata={"metavar": "N"})
    learning_curve: bool = False


def main(argv: list[str]) -> int | None:
    """Parse ``argv``, run, print the results table."""
    first = Parser(
        prog="frtune train",
        description="Train a model, keep the best checkpoint, score it on the test rows. "
        "frtune train TASK --help shows the options of a task.",
        add_help=not argv or argv[0] in ("-h", "--help"),
    )
    first.add_argument("task", choices=task_names(), metavar="TASK", help=", ".join(task_names()))
    if argv and argv[0].startswith("-") and argv[0] not in ("-h", "--help"):
        raise InputError(f"frtune train {argv[0]}: name the task first: {', '.join(task_names())}.")
    task_name = first.parse(argv[:1]).task
    code = launched_run(task_name, argv[1:], ["train", *argv])
    if code is not None:
        return code
    task, settings, args, several = parse_train_arguments(task_name, argv[1:], extra=SeedOptions)
    if several.learning_curve:
        _train_curve(task_name, argv[1:], several.seeds)
    elif several.seeds is None:
        _train(task, settings, args)
    else:
        _train_seeds(task_name, argv[1:], several.seeds)
    return None


def launched_run(
    task_name: str, flags: Sequence[str], words: Sequence[str], *, usual: int | None = None
) -> int | None:
    """``launched`` of a command that takes the options of ``frtune train TASK``."""
    if {"-h", "--help", "--help-all"} & {*flags}:
        return None
    found = read_flags(task_name, flags, SeedOptions)
    gpus = found.gpus
    if found.use_cpu:
        if gpus:
            raise InputError(f"--gpus {gpus}: not with --use-cpu. Leave one of them out.")
        gpus = None if is_launched() else 0  # a launcher's processes use the CPU, all of them
    alone = "--learning-curve" if found.learning_curve else "--seeds" if found.seeds else None
    return launched(words, gpus, usual=usual, alone=alone)


def _train(task: Any, settings: RunSettings, args: Any) -> None:
    try:
        metrics = run(task, settings, args)
    except RunStopped:
        leave()  # every process stops at the same step
        raise
    if args.process_index == 0:
        results_table(metrics, task, args.output_dir)
    leave()


def _train_seeds(task_name: str, argv: list[str], seeds: str) -> None:
    task, settings, args = _parsed(task_name, argv)
    found = run_seeds(
        _maker(task_name, argv), _whole_number(seeds), output_dir=args.output_dir, first=args.seed,
        resume=settings.resume,
    )  # fmt: skip
    seeds_table(found, task, args.output_dir)


def _train_curve(task_name: str, argv: list[str], seeds: str | None) -> None:
    _, settings, args = _parsed(task_name, argv)
    found = learning_curve(
        _maker(task_name, argv), output_dir=args.output_dir, first=args.seed,
        seeds=SEEDS if seeds is None else _whole_number(seeds), resume=settings.resume,
    )  # fmt: skip
    curve_table(found, args.output_dir)


def _whole_number(seeds: str) -> int:
    if not seeds.isdecimal():
        raise InputError(f"--seeds {seeds}: a whole number from 2, such as 5.")
    return int(seeds)


def _parsed(task_name: str, argv: Sequence[str]) -> tuple[Any, ...]:
    return parse_train_arguments(task_name, argv, extra=SeedOptions)[:3]


def _maker(task_name: str, argv: Sequence[str]) -> Make:
    """From a seed and an output directory to what a run needs."""
    return lambda seed, output_dir: _parsed(
        task_name, [*argv, "--seed", str(seed), "--output-dir", output_dir]
    )
