"""What a model was trained from, step by step: written beside the weights, and read again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from frtune.errors import InputError
from frtune.files import write_json
from frtune.tasks.config_file import TASK_FILE

LINEAGE_FILE = "frtune_lineage.json"


def lineage(checkpoint: str | os.PathLike[str]) -> list[str]:
    """Return the steps that led to a checkpoint: its kind, then each task it was trained for.

    Args:
        checkpoint: A model directory, another checkpoint directory, or a hub name.

    Returns:
        ``["camembert", "similarity", "keywords"]``, say. Of a checkpoint that frtune did not
        train: the model type of its config, or the name.

    Example:
        >>> lineage("almanach/camembert-base")
        ['almanach/camembert-base']
    """
    directory = Path(checkpoint)
    for name, key in ((LINEAGE_FILE, "steps"), (TASK_FILE, "task")):  # or without a record
        if not (path := directory / name).is_file():
            continue
        try:
            found = json.loads(path.read_text("utf-8"))[key]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(f"{path}: is no record of frtune's. Copy it again.") from error
        if key == "task":
            return [_model_type(directory) or "?", str(found)]
        if isinstance(found, list) and all(isinstance(step, str) for step in found):
            return found
        raise InputError(f"{path}: steps={found!r}: a list of names. Copy it again.")
    return [_model_type(directory) or os.fspath(checkpoint)]


def _model_type(directory: Path) -> str | None:
    path = directory / "config.json"
    return json.loads(path.read_text("utf-8")).get("model_type") if path.is_file() else None


def save_lineage(
    directory: str | os.PathLike[str], *, checkpoint: str | os.PathLike[str], task: str
) -> None:
    """Write into ``directory`` that its model was trained for ``task`` from ``checkpoint``."""
    content = {"checkpoint": os.fspath(checkpoint), "steps": [*lineage(checkpoint), task]}
    write_json(Path(directory) / LINEAGE_FILE, content)


def copy_lineage(source: Path, target: Path) -> None:
    """Copy the record of ``source``, where it has one."""
    if (source / LINEAGE_FILE).is_file():
        shutil.copy(source / LINEAGE_FILE, target / LINEAGE_FILE)
