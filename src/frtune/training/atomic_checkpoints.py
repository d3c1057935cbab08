"""Checkpoints that are whole or not there: drafted, described by their hashes, renamed into place.

A checkpoint is written to ``OUTPUT_DIR/.draft-checkpoint-N/checkpoint-N``. Its manifest, with the
size and hash of every file, comes last; then the folder is renamed to ``OUTPUT_DIR/checkpoint-N``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from frtune.errors import InputError
from frtune.files import write_json
from frtune.version import __version__

logger = logging.getLogger(__name__)

MANIFEST = "frtune_checkpoint.json"
DRAFT = ".draft-"
DAMAGED = "damaged-"

_NAME = re.compile(r"checkpoint-(\d+)")
# what Trainer, PEFT or DeepSpeed might open though it is not in the manifest
_OPENED = (".bin", ".pt", ".pth", ".pkl", ".safetensors", ".index.json", ".py")
_FORMAT = 1


def draft_of(checkpoint: Path) -> Path:
    """Where ``checkpoint`` is written before it gets its name.

    Example:
        >>> draft_of(Path("run/checkpoint-8")).as_posix()
        'run/.draft-checkpoint-8/checkpoint-8'
    """
    return checkpoint.parent / f"{DRAFT}{checkpoint.name}" / checkpoint.name


def finish(checkpoint: Path, conditions: dict[str, Any]) -> None:
    """Write the manifest of a draft and give the draft its name.

    Args:
        checkpoint: The final path; the draft is at ``draft_of(checkpoint)``.
        conditions: What a run must share with this one to go on from here.
    """
    draft = draft_of(checkpoint)
    names = sorted(path.relative_to(draft).as_posix() for path in _files(draft))
    content = {
        "format": _FORMAT,
        "frtune_version": __version__,
        "step": step_of(checkpoint),
        "files": dict(zip(names, _descriptions(draft, names), strict=True)),
        "conditions": conditions,
    }
    write_json(draft / MANIFEST, content)
    for name in (*names, MANIFEST):  # onto the disk, for the sake of a power cut
        with open(draft / name, "rb") as file:
            os.fsync(file.fileno())
    _rename(checkpoint)


def _rename(checkpoint: Path) -> None:
    draft = draft_of(checkpoint)
    shutil.rmtree(checkpoint, ignore_errors=True)  # killed here, the whole draft is finished later
    draft.rename(checkpoint)
    draft.parent.rmdir()


def step_of(checkpoint: Path) -> int:
    """The step in the name of a checkpoint's directory.

    Example:
        >>> step_of(Path("run/checkpoint-8"))
        8
    """
    if (found := _NAME.fullmatch(checkpoint.name)) is None:
        raise InputError(f"{checkpoint}: is not named checkpoint-N. Give a checkpoint of a run.")
    return int(found[1])


def checkpoints(output_dir: Path) -> list[Path]:
    """The checkpoints in ``output_dir``, newest first, whole or not."""
    found = output_dir.iterdir() if output_dir.is_dir() else ()
    found = (path for path in found if _NAME.fullmatch(path.name) and path.is_dir())
    return sorted(found, key=step_of, reverse=True)


def read_manifest(checkpoint: Path) -> dict[str, Any]:
    """Read what ``finish`` wrote.

    Raises:
        ValueError: If it is missing or is no manifest; the message fits behind "because".
    """
    path = checkpoint / MANIFEST
    if not path.is_file() or path.is_symlink():
        raise ValueError(f"it holds no {MANIFEST}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {
            str(name): (int(f["bytes"]), str(f["hash"])) for name, f in content["files"].items()
        }
        step, conditions = content["step"], content["conditions"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"its {MANIFEST} cannot be read ({type(error).__name__})") from error
    if content.get("format") != _FORMAT or not isinstance(conditions, dict):
        raise ValueError(f"its {MANIFEST} is of another version of frtune")
    if step != step_of(checkpoint):
        raise ValueError(f"its {MANIFEST} is that of step {step}")
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts or "\\" in name:
            raise ValueError(f"its {MANIFEST} names {name!r}, outside of it")
    return {**content, "files": files}


def damage(checkpoint: Path) -> str | None:
    """Say what a checkpoint lacks, or ``None`` when every file is as it was written."""
    try:
        files = read_manifest(checkpoint)["files"]
    except ValueError as error:
        return str(error)
    for name, (size, _) in files.items():
        path = checkpoint / name
        if any(part.is_symlink() for part in (path, *path.parents[: name.count("/")])):
            return f"{name} is a link"
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes in place of {size}"
    for name, found in zip(files, _descriptions(checkpoint, list(files)), strict=True):
        if found["hash"] != files[name][1]:
            return f"{name} is not what was written"
    return None


def check_foreign(checkpoint: Path) -> None:
    """Refuse (``InputError``) a checkpoint with a file to load that is not in its manifest."""
    known = read_manifest(checkpoint)["files"]
    for path in _files(checkpoint):
        name = path.relative_to(checkpoint).as_posix()
        if name not in known and name.endswith(_OPENED):
            raise InputError(
                f"{checkpoint}: holds {name}, which frtune did not write and which could be taken "
                "for weights. Move it away, then pass --resume again."
            )


def newest_whole(output_dir: str | os.PathLike[str]) -> Path | None:
    """Find the checkpoint to go on from, and tidy up what a killed run left.

    Drafts are removed; one that was whole but had not got its name gets it. A damaged checkpoint is
    named in the log and renamed to ``damaged-checkpoint-N``, out of the way of the next one.

    Returns:
        The newest whole checkpoint, or ``None`` where the run had saved none.

    Raises:
        InputError: If there are checkpoints and none is whole.
    """
    output_dir = Path(output_dir)
    tidy(output_dir)
    skipped: dict[Path, str] = {}
    for checkpoint in checkpoints(output_dir):
        reason = damage(checkpoint)
        if reason is None:
            check_foreign(checkpoint)
            for damaged in skipped:
                target = damaged.with_name(f"{DAMAGED}{damaged.name}")
                shutil.rmtree(target, ignore_errors=True)
                damaged.rename(target)
            return checkpoint
        skipped[checkpoint] = reason
        logger.warning("skipped %s: %s", checkpoint.name, reason)
    if skipped:
        shown = "; ".join(f"{path.name}: {reason}" for path, reason in skipped.items())
        raise InputError(
            f"output_dir={output_dir}: no checkpoint there is whole ({shown}). "
            "Copy a whole one there, or start again in a new directory."
        )
    return None


def tidy(output_dir: Path) -> None:
    """Remove the drafts that a killed run left; one that lacked only its name gets it."""
    for folder in [path for path in output_dir.glob(f"{DRAFT}*") if path.is_dir()]:
        checkpoint = output_dir / folder.name.removeprefix(DRAFT)
        if _NAME.fullmatch(checkpoint.name) and damage(draft_of(checkpoint)) is None:
            _rename(checkpoint)
        shutil.rmtree(folder, ignore_errors=True)


def _files(directory: Path) -> list[Path]:
    return [
        p for p in directory.rglob("*") if (p.is_file() or p.is_symlink()) and p.name != MANIFEST
    ]


def _descriptions(directory: Path, names: list[str]) -> list[dict[str, Any]]:
    """Bytes and hash of each file."""

    def describe(name: str) -> dict[str, Any]:
        digest = hashlib.blake2b(digest_size=16)
        with open(directory / name, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
            size = file.tell()
        return {"bytes": size, "hash": digest.hexdigest()}

    with ThreadPoolExecutor(4) as pool:  # hashing runs without the interpreter's lock
        return list(pool.map(describe, names))
