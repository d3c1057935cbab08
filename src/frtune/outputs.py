"""Places that are written to, tried before the work begins."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from frtune.environment.launcher import place_in_launch
from frtune.errors import InputError
from frtune.files import DRAFT, LOCK_FILE, is_draft, remove_dead_drafts, write_json

Place = str | os.PathLike[str]


def check_output_file(path: Place, name: str = "output", *, new: bool = True) -> Path:
    """Refuse (``InputError``) a file that cannot be written, before the work for it.

    Args:
        path: Its folder is made when it is written.
        name: What messages call it: an argument, or ``--a-flag``.
        new: Refuse a file that is there.
    """
    shown = _shown(path, name)
    named_folder = os.fspath(path).endswith(os.sep)
    path = _path(path, shown)
    if path.is_dir() or named_folder:
        raise InputError(f"{shown}: is a directory. Name a file.")
    if path.exists() and new:
        raise InputError(f"{shown}: exists. Name a new file, or remove it.")
    _try(path.absolute().parent, shown)
    return path


def check_output_directory(
    path: Place,
    name: str = "output_dir",
    *,
    empty: bool = False,
    inputs: Iterable[Place] = (),
    outside: Place | None = None,
) -> Path:
    """Refuse (``InputError``) a directory that cannot be written, before the work for it.

    Args:
        path: It is made when it is written, with those above it.
        name: What messages call it: an argument, or ``--a-flag``.
        empty: Refuse a directory that holds something.
        inputs: Directories that are read, whose files would be replaced.
        outside: A directory that it must neither be nor lie in.
    """
    shown = _shown(path, name)
    path = _path(path, shown)
    if path.exists() and not path.is_dir():
        raise InputError(f"{shown}: is a file. Give a directory.")
    if outside is not None and path.resolve().is_relative_to(Path(outside).resolve()):
        raise InputError(f"{shown}: is inside {outside}. Give a directory beside it.")
    if empty and contents(path):
        raise InputError(f"{shown}: holds files already. Give a new directory, or an empty one.")
    for each in inputs:
        if path.is_dir() and Path(each).is_dir() and path.samefile(each):
            raise InputError(f"{shown}: is read itself. Give a directory in it, or beside it.")
    _try(path.absolute(), shown)
    return path


def check_own_folder(path: Place, name: str, *, file: str) -> Path:
    """Refuse (``InputError``) a folder that cannot be written, or holds something else.

    Args:
        path: The folder.
        name: What messages call it.
        file: What a folder of the same command holds, as ``settle_conditions`` writes it.
    """
    folder = check_output_directory(path, name)
    found = [each for each in contents(folder) if each != LOCK_FILE]
    if found and file not in found:
        raise InputError(
            f"{name} {folder}: holds files of something else ({', '.join(found[:3])}). Give a new "
            "directory."
        )
    return folder


def settle_conditions(
    file: Path, conditions: Mapping[str, Any], *, what: str, name: str, data: str
) -> None:
    """Write what the work in a folder depends on, or refuse (``InputError``) to go on with others.

    Args:
        file: In the folder.
        conditions: By name; ``data`` is a hash of the rows.
        what: The work, such as ``"review"``.
        name: What messages call the folder.
        data: What it is of, where the hash differs.
    """
    ours = json.loads(json.dumps({"format": f"frtune {what} 1", **conditions}, default=str))
    if not file.is_file():
        write_json(file, ours)
        return
    try:
        theirs = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: is no file of a {what} ({error}). Give another {name}.") from (
            None
        )
    for key in dict.fromkeys([*ours, *theirs]):
        if ours.get(key) != theirs.get(key):
            other = data
            if key != "data":
                other = f"{key}={theirs.get(key)}, and this command has {ours.get(key)}"
            raise InputError(
                f"{name} {file.parent}: is a {what} of {other}. Give what it was made with, or "
                f"another {name}."
            )


def contents(directory: Place) -> list[str]:
    """Names in a directory, but for drafts; those that a kill left are removed."""
    if not Path(directory).is_dir():
        return []
    remove_dead_drafts(Path(directory))
    return sorted(name for name in os.listdir(directory) if not is_draft(name))


def _shown(path: Place, name: str) -> str:
    text = os.fspath(path)
    text = text if len(text) <= 200 else f"{text[:60]}..."
    text = text if text.strip() else repr(text)
    return f"{name} {text}" if name.startswith("--") else f"{name}={text}"


def _path(path: Place, shown: str) -> Path:
    if not os.fspath(path).strip():
        raise InputError(f"{shown}: is empty. Name a place to write to.")
    found = Path(path)
    try:
        os.lstat(found)
    except FileNotFoundError:
        return found
    except (OSError, ValueError) as error:  # too long, under a file, with a zero byte
        raise _cannot(shown, error) from error
    if found.is_symlink() and not found.exists():
        raise InputError(f"{shown}: is a link to nothing. Remove it, or name another place.")
    return found


def _try(folder: Path, shown: str) -> None:
    """Make the folder, write a file there, and remove what was made.

    Permissions say too little: root has all of them, on a disk that is read-only as well. Of a
    launch the first process alone does it, as it alone writes: two would remove the folder of one
    another.
    """
    if place_in_launch()[0] > 0:
        return
    made: list[Path] = []
    probe = folder / f"{DRAFT}{secrets.token_hex(4)}"
    try:
        for place in [*reversed(folder.parents), folder]:
            if not place.is_dir():
                place.mkdir()
                made.append(place)
        probe.write_bytes(b"0")
    except OSError as error:
        raise _cannot(shown, error) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
        for place in reversed(made):
            with contextlib.suppress(OSError):
                place.rmdir()


def _cannot(shown: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{shown}: cannot be written ({reason}). Give another place.")
