"""The record of a saved model that is not proven to be what was trained: written, read, told."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from pathlib import Path

from frtune.files import write_json

logger = logging.getLogger(__name__)

UNPROVEN_FILE = "frtune_unproven.json"
UNFINISHED = "its proof has not ended"


def mark_unproven(directory: str | os.PathLike[str], reason: str = UNFINISHED) -> None:
    """Write into a model directory why it is not proven."""
    write_json(Path(directory) / UNPROVEN_FILE, {"reason": reason})


def mark_proven(directory: str | os.PathLike[str]) -> None:
    """Remove the record, where there is one."""
    (Path(directory) / UNPROVEN_FILE).unlink(missing_ok=True)


def why_unproven(directory: str | os.PathLike[str]) -> str | None:
    """Why a saved model is not proven to be what was trained; ``None`` where nothing says so."""
    path = Path(directory) / UNPROVEN_FILE
    if not path.is_file():
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return " ".join(str(json.loads(path.read_text("utf-8"))["reason"]).split())
    return "its record cannot be read"


def warn_unproven(directory: str | os.PathLike[str]) -> None:
    """Say in one line that a directory is not proven, where it is not."""
    if reason := why_unproven(directory):
        logger.warning("%s", unproven_text(directory, reason))


def unproven_text(directory: str | os.PathLike[str], reason: str) -> str:
    """The line that says so.

    Example:
        >>> unproven_text("out", "memory ran out")
        'out: not proven to be what was trained (memory ran out). Check it: frtune evaluate ...'
    """
    return (
        f"{os.fspath(directory)}: not proven to be what was trained ({reason}). Check it: "
        "frtune evaluate must give the scores of its metrics.json."
    )


def copy_record(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy the record of ``source`` to what is made from it."""
    if why_unproven(source):
        shutil.copy(Path(source) / UNPROVEN_FILE, Path(target) / UNPROVEN_FILE)
