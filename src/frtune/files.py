"""Files that appear whole or not at all, and the lock of a directory that is written."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from frtune.errors import InputError

LOCK_FILE = ".frtune.lock"


def json_text(value: Any, *, indent: int | None = None, default: Any = None) -> str:
    """Return ``value`` as JSON that any reader takes: NaN and infinity, which JSON lacks, are null.

    ``indent`` and ``default`` are those of ``json.dumps``.

    Example:
        >>> json_text({"loss": float("nan"), "scores": (0.5, float("inf"))})
        '{"loss": null, "scores": [0.5, null]}'
    """
    options: Any = {"ensure_ascii": False, "indent": indent, "default": default}
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:
        return json.dumps(_finite(value), allow_nan=False, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as UTF-8 JSON (``json_text``); the file appears whole or not at all."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json_text(value, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


@contextlib.contextmanager
def staged(directory: str | Path) -> Iterator[Path]:
    """Give a draft folder inside ``directory``; on success its files move to their final names.

    An error or a kill leaves nothing under a final name.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=directory))
    try:
        yield draft
        for item in sorted(draft.iterdir()):
            target = directory / item.name
            if target.is_dir() and item.is_dir():
                shutil.rmtree(target)
            os.replace(item, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


# the helpers of a process that was killed hold its lock until they notice
WAIT_SECONDS = 6.0


@contextlib.contextmanager
def locked(
    directory: str | os.PathLike[str], *, wait_seconds: float = WAIT_SECONDS
) -> Iterator[None]:
    """Hold ``directory`` for this process; the operating system lets go when the process ends.

    Args:
        directory: Created if needed.
        wait_seconds: How long another holder is waited for.

    Raises:
        InputError: If another process holds the directory, or it cannot be written.
    """
    directory = Path(directory)
    existed = directory.exists()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / LOCK_FILE, is_singleton=True, thread_local=False)
        lock.acquire(timeout=wait_seconds, poll_interval=0.1)
    except Timeout as error:
        raise InputError(
            f"output_dir={directory}: another run is writing there. Wait for it to end, or give "
            "another directory."
        ) from error
    except OSError as error:
        raise InputError(
            f"output_dir={directory}: cannot be written ({error.strerror or error}). "
            "Give another place."
        ) from error
    try:
        yield
    finally:
        if lock.lock_counter == 1:  # a run holds it around its training
            # unlinked while it is held: who waits for it sees that it is gone, and makes a new one
            with contextlib.suppress(OSError):
                (directory / LOCK_FILE).unlink()
        lock.release()
        if not existed:
            with contextlib.suppress(OSError):
                directory.rmdir()
