"""From the flags of ``frtune train`` (and a YAML file) to a task, ``RunSettings`` and arguments."""

from __future__ import annotations

import re
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from transformers import Seq2SeqTrainingArguments

from frtune.cli.arguments import Parser, made, options_of
from frtune.cli.config_file import read_config_file
from frtune.run.settings import RunSettings, is_tiny
from frtune.tasks.config_file import task_class
from frtune.training.arguments import recipe, training_arguments

# what --help shows besides the task's options: of RunSettings all, of TrainingArguments what people
# set; --help-all shows the others behind them
GROUPS = {
    "data": ("data", "encoding", "text_columns", "decimal_comma", "max_train_rows",
             "max_eval_rows", "max_test_rows", "curve_rows"),
    "model": ("checkpoint", "family", "lora", "lora_r", "lora_alpha", "lora_dropout",
              "merge_first", "merge", "proof"),
    "memory and speed": ("int8", "nf4", "bf16", "fp16", "activation_checkpointing", "deepspeed",
                         "max_tokens_per_batch", "packing"),
    "training": ("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size",
                 "gradient_accumulation_steps", "lr_scheduler_type", "warmup_steps",
                 "weight_decay", "optim", "seed", "early_stopping_patience"),
    "mixup": ("mixup", "mixup_level", "mixup_alpha", "mixup_layer", "mixup_rows"),
    "evaluation": ("per_device_eval_batch_size", "eval_strategy", "metric_for_best_model",
                   "generate_every_epochs", "generate_max_rows"),
    "output": ("output_dir", "config", "resume", "save_strategy", "save_total_limit",
               "logging_steps"),
}  # fmt: skip
PRECISIONS = ("bf16", "fp16")
UNDECIDED = (*PRECISIONS, "dataloader_num_workers")  # the device decides, unless told
# in place of first sentences that do not fit a line
SHORT = {
    "gradient_accumulation_steps": "Batches whose gradients are added up for a step",
    "warmup_steps": "Steps, or their share, in which the rate rises",
    "per_device_eval_batch_size": "The batch size per device for evaluation",
    "metric_for_best_model": "Score that selects the best checkpoint",
    "output_dir": "Where the model directory goes",
}


@dataclass(frozen=True)
class FileOptions:
    """Options in a file.

    Attributes:
        config: YAML file with options; the command line beats it.
    """

    config: str | None = None


def parse_train_arguments(
    task_name: str,
    argv: Sequence[str] | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
    aliases: Mapping[str, str | Sequence[str]] | None = None,
    extra: type | None = None,
    without: Sequence[str] = (),
) -> tuple[Any, ...]:
    """Parse the options of ``frtune train TASK``, for a program of your own.

    A flag beats the YAML file of ``--config``, the file beats ``defaults``, and these beat the
    recipe of the task.

    Args:
        task_name: ``"classification"``, ``"similarity"``, ``"keywords"`` or ``"keyphrases"``.
        argv: The flags; ``None`` takes those of the program.
        defaults: Values by name, of the task, of the run and of the training.
        aliases: Further flags, and the names of the options (one or more) that get their value.
        extra: A dataclass with options of the program's own. It documents them under
            ``Attributes``.
        without: Options of ``RunSettings`` (or how they begin: ``"mixup"``) that the program does
            not act on; it does not understand them.

    Returns:
        The task, ``RunSettings`` (data, checkpoint, adapter, ...), ``Seq2SeqTrainingArguments``,
        and the ``extra`` if there is one.

    Raises:
        InputError: For an unknown flag, or a value that is not possible. ``frtune.exit_code`` tells
            it in one line.

    Example:
        >>> task, settings, args = parse_train_arguments(
        ...     "keyphrases", ["-n", "2", "--k", "5"], aliases={"-n": "num_train_epochs"})
        >>> task.k, settings.data, args.num_train_epochs
        (5, 'sample', 2.0)
    """
    prog = Path(sys.argv[0]).name if argv is None else f"frtune train {task_name}"
    flags = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(task_name, extra, without, prog=prog, whole="--help-all" in flags)
    for flag, names in (aliases or {}).items():
        parser.add_alias(flag, *([names] if isinstance(names, str) else names))
    given = {"output_dir": f"runs/{task_name}", **(defaults or {})}
    cls = task_class(task_name)
    given |= _from_file(parser, flags)
    # shown by --help
    parser.set_defaults(**{**recipe(cls()), **given})
    found = parser.parse(flags)
    task = made(cls, found)
    # the recipe depends on the task and the checkpoint; flags and file still beat it
    usual = recipe(task, tiny=is_tiny(found), sample=found.data == "sample")
    parser.set_defaults(**{**usual, **dict.fromkeys(UNDECIDED), **given})
    chosen = parser.parse(flags)
    names = [item.name for item in fields(Seq2SeqTrainingArguments) if item.init]
    arguments = {name: getattr(chosen, name) for name in names}
    for name in UNDECIDED:
        if arguments[name] is None:
            del arguments[name]
    args = training_arguments(task, tiny=is_tiny(found), **arguments)
    own = [made(extra, chosen)] if extra else []
    return task, made(RunSettings, chosen), args, *own


def read_flags(task_name: str, flags: Sequence[str], extra: type) -> Namespace:
    """The flags of ``frtune train TASK``, and those of its YAML file, without what a recipe says.

    Nothing asks for a GPU, as ``parse_train_arguments`` does.

    Raises:
        InputError: For an unknown flag, or a value that is not possible.
    """
    parser = _parser(task_name, extra, (), prog=f"frtune train {task_name}", whole=False)
    parser.set_defaults(**_from_file(parser, flags))
    return parser.parse(flags)


def given_options(
    task_name: str, flags: Sequence[str], *, without: Sequence[str] = ()
) -> dict[str, Any]:
    """The options that the flags of ``frtune train TASK``, or their YAML file, give; by name.

    Raises:
        InputError: For an unknown flag, or a value that is not possible.
    """
    parser = _parser(task_name, None, without, prog=f"frtune train {task_name}", whole=False)
    found = _from_file(parser, flags)
    for action in parser._actions:
        action.default = SUPPRESS  # what is not given stays away
    return found | vars(parser.parse(flags))


def _parser(
    task_name: str, extra: type | None, without: Sequence[str], *, prog: str, whole: bool
) -> Parser:
    parser = Parser(
        prog=prog,
        description="Train a model, keep the best checkpoint, score it on the test rows. Switches "
        "such as --lora also take true or false. Defaults are in brackets; a tiny checkpoint has "
        "others.",
        epilog="Ctrl-C or SIGTERM: the step ends, a checkpoint is saved, exit code 130 or 143. "
        "Twice: at once.",
    )
    own = options_of(RunSettings, switches=False) | options_of(FileOptions)
    own = {name: each for name, each in own.items() if not name.startswith(tuple(without))}
    trainer = options_of(Seq2SeqTrainingArguments, switches=False)
    if (renamed := "activation_checkpointing") not in trainer:  # Transformers before 5.20
        first, *others = trainer.pop("gradient_checkpointing")
        first.option_strings = ["--activation-checkpointing", *first.option_strings]
        trainer[renamed] = [first, *others]
    further = [name for name in trainer if name not in sum(GROUPS.values(), ())]
    others = f"Show the {len(further)} other options of Trainer too."
    parser.add_argument("--help-all", action="help", help=others)
    if extra:
        parser.add_options(None, options_of(extra))
    parser.add_options(f"the task, {task_name}", options_of(task_class(task_name), switches=False))
    for name in () if whole else trainer:  # the first sentence, without brackets
        first = trainer[name][0]
        said = SHORT.get(name) or re.split(r"(?<=\w\.) ", first.help or "")[0]
        first.help = re.sub(r" \([^)]*\)", "", said)
    options = own | trainer
    for title, names in GROUPS.items():
        if known := [name for name in names if name in options]:
            parser.add_options(title, options, known)
    for name in PRECISIONS:  # as in the other commands
        options[name][0].shown = [f"--{name}", f"--no-{name}"]  # type: ignore[attr-defined]
        parser.add_argument(f"--no-{name}", dest=name, action="store_false", help=SUPPRESS)
    if "lora" in options:
        parser.add_argument("--no-lora", dest="lora", action="store_false", help=SUPPRESS)
    parser.add_options("other options of Trainer", trainer, further, hidden=not whole)
    return parser


def _from_file(parser: Parser, argv: Sequence[str]) -> dict[str, Any]:
    """What the flat YAML file of ``--config`` says; its keys have dashes or underscores."""
    finder = Parser(add_help=False)
    finder.add_argument("--config")
    path = finder.parse_known_args(argv)[0].config
    if path is None:
        return {}
    options = {action.dest: action for action in reversed(parser._actions)}
    values = read_config_file(path, options)
    for name, value in values.items():
        kind = options[name].type
        if isinstance(value, list) and callable(kind):  # argparse does it for single words
            values[name] = [kind(each) for each in value]
    return values
