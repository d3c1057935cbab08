"""``frtune train TASK``: flags and YAML to a run."""

from __future__ import annotations

import inspect
import re
from argparse import SUPPRESS
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser, Seq2SeqTrainingArguments

from frtune.cli import Parser
from frtune.cli.columns import nfc
from frtune.errors import InputError, RunStopped, nearest
from frtune.run.report import results_table
from frtune.run.run import run
from frtune.run.seeds import run_seeds, seeds_table
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.config_file import task_class, task_names
from frtune.training.arguments import recipe, training_arguments
from frtune.training.distributed import leave


def main(argv: list[str]) -> int:
    """Parse ``argv``, run, print the results table."""
    first = Parser(
        prog="frtune train",
        description="Train a model, keep the best checkpoint, test it. "
        "frtune train TASK --help tells the options of a task.",
        add_help=not argv or argv[0] in ("-h", "--help"),
    )
    first.add_argument("task", choices=task_names(), metavar="TASK", help=", ".join(task_names()))
    if argv and argv[0].startswith("-") and argv[0] not in ("-h", "--help"):
        raise InputError(f"frtune train {argv[0]}: name the task first: {', '.join(task_names())}.")
    task_name = first.parse(argv[:1]).task
    if (seeds := _option(argv[1:], "--seeds")) is not None:
        return _train_seeds(task_name, argv[1:], seeds)
    task, settings, args = parse(task_name, argv[1:])

    try:
        metrics = run(task, settings, args)
    except RunStopped:
        leave()  # every process stops at the same step
        raise
    if args.process_index == 0:
        results_table(metrics, task, args.output_dir)
    leave()
    return 0


def _train_seeds(task_name: str, argv: list[str], seeds: str) -> int:
    """Run several seeds and print mean and interval."""
    if not seeds.isdecimal():
        raise InputError(f"--seeds {seeds}: a whole number from 2, such as 5.")

    task, settings, args = parse(task_name, argv)

    def make(seed: int, output_dir: str) -> tuple[Any, Any, Any]:
        return parse(task_name, [*argv, "--seed", str(seed), "--output-dir", output_dir])

    found = run_seeds(
        make, int(seeds), output_dir=args.output_dir, first=args.seed, resume=settings.resume
    )
    seeds_table(found, task, args.output_dir)
    return 0


def parse(task_name: str, argv: list[str]) -> tuple[Any, Any, Any]:
    """Turn flags (and ``--config FILE.yaml``) into task, ``RunSettings`` and training arguments.

    A flag beats the YAML file, the YAML file beats the default.
    """
    cls = task_class(task_name)
    types = [cls, RunSettings, Seq2SeqTrainingArguments]
    parser = HfArgumentParser(
        types,  # type: ignore[arg-type]
        prog=f"frtune train {task_name}",
        allow_abbrev=False,
        description="A flag beats the YAML file, the YAML file beats the default.",
        epilog="Ctrl-C or SIGTERM: the step is finished and a checkpoint saved, the exit code is "
        "130 or 143, and --resume goes on. A second one exits at once.",
    )
    parser.error = _raise_input_error  # type: ignore[method-assign]
    _add_help(parser, {**documented(cls), **documented(RunSettings)})
    parser.add_argument(
        "--no-lora", dest="lora", action="store_false", default=None, help="Train all weights."
    )
    parser.add_argument("--config", help="YAML file with these options as keys")
    parser.add_argument(
        "--seeds", metavar="N",
        help="Run N seeds, --seed and those after it, in seed-N/ each; report mean and interval.",
    )  # fmt: skip
    known = [action.dest for action in parser._actions]
    lists = [action.dest for action in parser._actions if action.nargs == "+"]
    config = _option(argv, "--config")
    given = _read_yaml(config, known, lists) if config else {}
    parser.set_defaults(**{"output_dir": f"runs/{task_name}", **given})
    found, unknown = parser.parse_known_args(argv)
    if unknown:
        flag = unknown[0].split("=")[0]
        known = [name for name in parser._option_string_actions if name.startswith("--")]
        hint = nearest(flag.replace("_", "-"), known)
        raise InputError(f"{flag}: no such option.{hint} See {parser.prog} --help.")
    given_task = {item.name: getattr(found, item.name) for item in fields(cls)}
    task = cls(
        **{
            name: nfc(value) if name.endswith("_column") and value else value
            for name, value in given_task.items()
        }
    )
    # the recipe depends on the task and the checkpoint; flags and file still beat it
    parser.set_defaults(
        **{**recipe(task, tiny=is_tiny(found), sample=found.data == "sample"), **given}
    )
    values = vars(parser.parse_args(argv))
    settings = RunSettings(**{item.name: values[item.name] for item in fields(RunSettings)})
    arguments = {
        item.name: values[item.name] for item in fields(Seq2SeqTrainingArguments) if item.init
    }
    return task, settings, training_arguments(task, **arguments)


def documented(cls: type) -> dict[str, str]:
    """Read what the ``Attributes`` section of a class's docstring says of each field."""
    section = re.split(r"\n\w+:\n", inspect.getdoc(cls) or "", maxsplit=1)[-1]
    lines = re.sub(r"\n {8}", " ", section.partition("\n\n")[0])
    return dict(re.findall(r"^ {4}(\w+): (.+)$", lines, flags=re.MULTILINE))


def _add_help(parser: Any, texts: dict[str, str]) -> None:
    for action in parser._actions:
        if action.dest in texts and action.help != SUPPRESS:
            action.help = texts[action.dest].replace("%", "%%").replace("``", "")


def _raise_input_error(message: str) -> None:
    raise InputError(f"{message}.")


def _option(argv: list[str], name: str) -> str | None:
    """The value of an option that must be known before the others are read."""
    finder = Parser(add_help=False)
    finder.add_argument(name, dest="value")
    return finder.parse_known_args(argv)[0].value


def _read_yaml(path: str, known: list[str], lists: list[str]) -> dict[str, Any]:
    """Read a flat YAML file; keys may be written with dashes or underscores."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config {path}: cannot be read ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(f"--config {path}: holds no 'key: value' lines.")
    values = {str(key).replace("-", "_"): value for key, value in content.items()}
    for key, value in values.items():
        if key not in known or key in ("help", "config", "seeds"):
            raise InputError(f"--config {path}: {key}: no such key.{nearest(key, known)}")
        if isinstance(value, dict) or (isinstance(value, list) and key not in lists):
            raise InputError(f"--config {path}: {key}: one value, not {value!r}.")
    # as text, so that a value of a wrong type is an error like a wrong flag
    return {
        key: str(value) if isinstance(value, bool | int | float) else value
        for key, value in values.items()
    }
