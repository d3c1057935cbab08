"""``frtune tune TASK``: a search of training settings on the validation rows."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any

from frtune.cli.arguments import Parser, options_of
from frtune.cli.train_arguments import given_options, parse_train_arguments
from frtune.errors import InputError
from frtune.tasks.config_file import task_names

# the same command goes on by itself
WITHOUT = ("resume", "curve_rows")


@dataclass(frozen=True)
class Options:
    """How long is searched.

    Attributes:
        task: keyphrases, keywords, similarity or classification.
        trials: Number of trials at most; the first one is the recipe.
        hours: Begin no trial after so many hours (default: no limit).
    """

    task: str = field(metadata={"choices": task_names(), "metavar": "TASK"})
    trials: int = 20
    hours: float | None = None


def _parser(*, add_help: bool) -> Parser:
    parser = Parser(
        prog="frtune tune",
        usage="frtune tune TASK [options] [options of frtune train TASK]",
        add_help=add_help,
        description="Search the training settings for your data: learning rate, epochs, rows of a "
        "step, weight decay, and the rank of an adapter. Trials are compared on the "
        "validation rows. Then the best settings and the recipe are trained again "
        "with three seeds each. The same command continues a search that stopped. "
        "Started again on another GPU, it shares the work.",
        epilog="Further options are those of frtune train TASK (frtune train TASK --help). A "
        "setting that is given is not searched.",
    )
    parser.add_options("search", options_of(Options, positional=["task"]))
    return parser


def main(argv: list[str]) -> None:
    """Parse ``argv``, search, print the table."""
    asked = not argv or bool({"-h", "--help"} & {*argv})
    if not asked and argv[0].startswith("-"):
        raise InputError(f"frtune tune {argv[0]}: name the task first: {', '.join(task_names())}.")
    chosen, flags = _parser(add_help=asked).parse_some(argv)
    given = given_options(chosen.task, flags, without=WITHOUT)
    make = partial(_make, chosen.task, flags)
    root = given.get("output_dir", f"runs/tune-{chosen.task}")
    search, report = _module("tune"), _module("report")
    limits = {"trials": chosen.trials, "hours": chosen.hours}
    report.print_result(search.tune(make, root, fixed=given, **limits))


def _make(
    task_name: str, flags: Sequence[str], output_dir: str, options: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Task, settings and arguments of a run with the given flags, and ``options`` by name."""
    ours = {"output_dir": output_dir, **options}
    words = [w for name, value in ours.items() for w in (f"--{name.replace('_', '-')}", str(value))]
    return parse_train_arguments(task_name, [*flags, *words], without=WITHOUT)


def _module(name: str) -> ModuleType:
    """Import what needs the extra.

    Raises:
        ImportError: If it is missing; names the extra.
    """
    try:
        return importlib.import_module(f"frtune.tuning.{name}")
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise ImportError("A search needs Optuna: pip install 'frtune[tune]'.") from error
