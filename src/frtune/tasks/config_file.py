"""``frtune_task.json``: the task beside the weights, so that a directory knows how to be used."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from frtune.errors import InputError, nearest
from frtune.files import write_json
from frtune.tasks.base import TASKS, Task
from frtune.tasks.classification import SequenceClassification
from frtune.tasks.keyphrases import KeyphraseGeneration
from frtune.tasks.keywords import KeywordExtraction
from frtune.tasks.similarity import SentenceSimilarity
from frtune.version import __version__

TASK_FILE = "frtune_task.json"
_OURS = (SequenceClassification, SentenceSimilarity, KeywordExtraction, KeyphraseGeneration)


def task_names() -> list[str]:
    """Names of the tasks that can be saved, loaded and named: frtune's own, then those imported."""
    return list(dict.fromkeys([*(task.name for task in _OURS), *TASKS]))


def task_class(name: str) -> type[Task]:
    """Return the task class of a command-line name; ``InputError`` for an unknown name.

    Example:
        >>> task_class("keyphrases").__name__
        'KeyphraseGeneration'
    """
    if name not in TASKS:
        raise InputError(
            f"task={name}: one of {', '.join(task_names())}.{nearest(name, task_names())}"
        )
    return TASKS[name]


def import_program(task: Task) -> str:
    """Lines of Python that make the class of ``task`` known in a fresh process.

    Raises:
        InputError: If the class is in a script or a notebook, which no other process can import.
    """
    module = type(task).__module__
    if module == "__main__":
        raise InputError(
            f"task={task.name}: a fresh process must import its class {type(task).__name__}, which "
            "is in __main__. Move it to a module."
        )
    return f"import sys; sys.path[:] = {sys.path!r}; import {module}"


def save_task(task: Task, directory: str | Path) -> None:
    """Write ``task`` into ``directory``."""
    content = {"frtune_version": __version__, "task": task.name, **dataclasses.asdict(task)}
    write_json(Path(directory) / TASK_FILE, content)


def check_directory(directory: str | Path) -> Path:
    """Refuse (``InputError``) a model directory that is not there."""
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory. Give the output of frtune train.")
    return directory


def load_task(directory: str | Path) -> Task:
    """Read the task of a saved directory.

    Raises:
        InputError: If there is no task file, or it holds unknown fields or values of a wrong type.
    """
    path = Path(directory) / TASK_FILE
    if not path.is_file():
        raise InputError(
            f"{directory}: holds no {TASK_FILE}. Give the output directory of frtune train."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        name, version = content.pop("task"), content.pop("frtune_version")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: is not a task file ({error}). Train again.") from error
    name = str(name)
    if name not in TASKS:
        raise InputError(
            f"{path}: task={name}: not known here. If it is a task of your own, import the module "
            f"that defines it first; else one of {', '.join(task_names())}."
            f"{nearest(name, task_names())}"
        )
    cls = TASKS[name]
    hints = get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]
    for key, value in content.items():
        if key not in known:
            raise InputError(
                f"{path}: {key} is no field of {name}, of frtune {__version__}; the file is of "
                f"frtune {version}.{nearest(key, known)}"
            )
        if not _fits(value, hints[key]):
            raise InputError(f"{path}: {key}={value!r}: not {hints[key]}. Train again.")
    return cls(**{**cls.absent_fields, **content})


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value has the type that a field is annotated with."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if hint is type(None):
        return value is None
    if origin in (list, tuple):
        return isinstance(value, list) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else value in get_args(hint)
