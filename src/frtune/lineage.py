"""What a model was trained from, step by step: written beside the weights, and read again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from frtune.tasks._store import TASK_FILE, write_json

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
    if (directory / LINEAGE_FILE).is_file():
        return [str(s) for s in json.loads((directory / LINEAGE_FILE).read_text("utf-8"))["steps"]]
    if (directory / TASK_FILE).is_file():  # of a model that was saved without a record
        task = json.loads((directory / TASK_FILE).read_text("utf-8"))["task"]
        return [_model_type(directory) or "?", task]
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
