"""The settings of a run: the ten that matter, what the recipe says, and the gate of the command."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from frtune.board.folder import BoardFolder
from frtune.errors import InputError, first_line
from frtune.tasks.config_file import task_class
from frtune.training.arguments import recipe

# takes a task's name and a configuration; raises InputError as frtune train would
Gate = Callable[[str, Mapping[str, Any]], Any]

MATTER = (
    "learning_rate", "num_train_epochs", "per_device_train_batch_size",
    "gradient_accumulation_steps", "max_source_tokens", "early_stopping_patience", "warmup_steps",
    "weight_decay", "max_train_rows", "seed",
)  # fmt: skip
_USUAL = {"gradient_accumulation_steps": 1, "early_stopping_patience": 3, "warmup_steps": 0,
          "weight_decay": 0.0, "max_train_rows": ""}  # fmt: skip

# settings that other fields of the page say, and those that send something elsewhere
_DECIDED = {"data", "checkpoint", "output_dir", "config", "resume", "seeds", "disable_tqdm"}
_OUTWARD = ("hub_", "push_to_hub", "report_to", "trackio")


def usual(task: str, *, tiny: bool = False) -> dict[str, Any]:
    """What the recipe says of the settings that matter.

    Example:
        >>> found = usual("classification")
        >>> found["num_train_epochs"], found["max_source_tokens"]
        (3, 512)
    """
    made = task_class(task)()
    found = {**_USUAL, **recipe(made, tiny=tiny), "max_source_tokens": made.max_source_tokens}
    return {name: found[name] for name in MATTER}


def typed(text: str | None) -> Any:
    """What a field's text is: a number, true or false, or text; ``None`` where it is blank.

    Example:
        >>> typed("3e-5"), typed(" 4 "), typed("linear"), typed("")
        (3e-05, 4, 'linear', None)
    """
    text = (text or "").strip()
    if not text:
        return None
    if re.fullmatch(r"[-+]?[0-9.]+e[-+]?[0-9]+", text, re.IGNORECASE):  # YAML asks for a point
        return float(text)
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    return value if isinstance(value, str | int | float | bool) else text


def read_further(text: str | None) -> dict[str, Any]:
    """The settings of the drawer, ``name: value`` on each line.

    Raises:
        InputError: If it has another form.
    """
    found: dict[str, Any] = {}
    for number, line in enumerate((text or "").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = line.partition(":")
        read = typed(value)
        if not colon or not name.strip() or read is None:
            raise InputError(f"line {number}: {line.strip()[:80]!r} is not 'name: value'.")
        found[name.strip().replace("-", "_")] = read
    return found


def checked_further(folder: BoardFolder, text: str | None) -> dict[str, Any]:
    """``read_further``, without what the page decides, what leaves the machine, and other places.

    Raises:
        InputError: For these, with the name.
    """
    found = read_further(text)
    for name, value in found.items():
        if name in _DECIDED or name.startswith(_OUTWARD):
            raise InputError(f"{name}: is not set here. Use the fields above, or a terminal.")
        if isinstance(value, str) and re.search(r"[/\\]|^~|\.\.", value):
            folder.inside(os.path.expanduser(value))
    return found


def run_config(
    data: str, checkpoint: str, output: str, *, options: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The ``config.yaml`` of a run, in the order in which people read it.

    Args:
        data: Prepared folder.
        checkpoint: Hub name, directory or ``tiny``.
        output: Where the model goes.
        options: Fields of the task that prepared data does not say, such as ``multi_label``.
        given: Settings; ``None`` is left to the recipe.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    return {"data": data, "checkpoint": checkpoint, "output_dir": output, **options, **chosen,
            "disable_tqdm": True}  # fmt: skip


def complaint(gate: Gate, task: str, config: Mapping[str, Any]) -> str:
    """What the command line would say of a configuration; empty where it takes it."""
    try:
        gate(task, config)
    except InputError as error:
        return first_line(error)
    return ""
