"""Files that appear whole or not at all, and the lock of a directory that is written.

What is not finished is a draft: a file or folder whose hidden name says which process writes it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import yaml
from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from frtune.errors import InputError
from frtune.failures import DiskFullError, disk_full, is_disk_full

LOCK_FILE = ".frtune.lock"
DRAFT = ".draft-"
# host and process namespace, process id, its start, and what tells its drafts apart
_NAME = re.compile(
    r"(?:\.draft|frtune)-([0-9a-f]{8})-(\d+)-(\d+)-[\w.-]+|\.draft-\w{8}"  # the last: of 0.1.0
)
_FOREIGN_SECONDS = 24 * 3600  # after which a draft of another host counts as dead


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


def read_record(path: str | Path, what: str, again: str, **fields: type) -> dict[str, Any] | None:
    """Read a JSON object that frtune left; ``None`` where there is no such file.

    Args:
        path: The file.
        what: What it is a record of, for the message.
        again: What to do where it cannot be read.
        fields: Fields that it must have, with their types.

    Raises:
        InputError: If it cannot be read, or a field is missing or of another type.
    """
    path = Path(path)
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        for name, kind in fields.items():
            if not isinstance(record[name], kind):
                raise TypeError(f"{name}={record[name]!r}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: is no record of {what} ({error}). {again}.") from error
    return record


def yaml_text(content: Mapping[str, Any]) -> str:
    r"""Return ``content``, such as a configuration, as YAML.

    Example:
        >>> yaml_text({"data": "prepared/a", "lora": True})
        'data: prepared/a\nlora: true\n'
    """
    return yaml.safe_dump(dict(content), allow_unicode=True, sort_keys=False)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as UTF-8 JSON (``json_text``); the file appears whole or not at all."""
    with draft_file(path) as draft:
        draft.write_text(json_text(value, indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _explained(place: Path) -> Iterator[None]:
    """Say where the disk is full: the operating system names no file when a write fails."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFullError | InputError) or not is_disk_full(error):
            raise
        raise disk_full(place) from error


@contextlib.contextmanager
def _folder(directory: Path) -> Iterator[None]:
    """Make a folder and those above it; an error removes what was made, where it is empty still."""
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def draft_file(path: str | Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to; on success the file gets its final name.

    An error or a kill leaves nothing under the final name; what a kill left goes at the next draft.
    """
    path = Path(path)
    with _folder(path.absolute().parent):
        remove_dead_drafts(path.parent)
        draft = path.with_name(f"{_prefix()}{secrets.token_hex(4)}")
        try:
            with _explained(path):
                yield draft
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


@contextlib.contextmanager
def draft_folder(place: str | Path | None = None) -> Iterator[Path]:
    """Give a folder in ``place`` for as long as the block runs, for what is not finished.

    ``None`` is the folder for temporary files. What a kill left there goes at the next draft.
    """
    # among temporary files it is no hidden one: a page serves none out of those
    prefix = _prefix("frtune-" if place is None else DRAFT)
    place = Path(tempfile.gettempdir() if place is None else place)
    remove_dead_drafts(place)
    draft = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        with _explained(place):
            yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextlib.contextmanager
def staged(directory: str | Path) -> Iterator[Path]:
    """Give a draft folder inside ``directory``; on success its files move to their final names.

    An error or a kill leaves nothing under a final name, and an error no new directory.
    """
    directory = Path(directory)
    with _folder(directory), draft_folder(directory) as draft:
        yield draft
        _move(draft, directory)


@contextlib.contextmanager
def new_folder(directory: str | Path) -> Iterator[Path]:
    """Give a draft of ``directory``, new or empty; on success it gets the name, whole.

    An error or a kill leaves nothing under the final name.
    """
    directory = Path(directory)
    parent = directory.absolute().parent
    with _folder(parent), draft_folder(parent) as place, _explained(directory):
        draft = place / (directory.name or "draft")
        draft.mkdir()
        yield draft
        publish(draft, directory)


def publish(draft: Path, directory: Path) -> None:
    """Give a finished folder its name; into one that is there, and empty, its files are moved."""
    if directory.exists():  # it may be the root of a disk
        _move(draft, directory)
    else:
        os.rename(draft, directory)


def _move(draft: Path, directory: Path) -> None:
    for item in sorted(draft.iterdir()):
        target = directory / item.name
        if target.is_dir() and item.is_dir():
            shutil.rmtree(target)
        os.replace(item, target)


def remove_dead_drafts(directory: str | Path) -> None:
    """Remove the drafts in ``directory`` whose writer was killed; those of living ones stay."""
    with contextlib.suppress(OSError):  # it may not be there, or not be readable
        for draft in [path for path in Path(directory).iterdir() if is_draft(path.name)]:
            if _is_dead(draft):
                if draft.is_dir() and not draft.is_symlink():
                    shutil.rmtree(draft, ignore_errors=True)
                else:
                    draft.unlink(missing_ok=True)


def is_draft(name: str) -> bool:
    """Whether a name is that of a draft.

    Example:
        >>> is_draft(f"{_prefix()}x1"), is_draft("metrics.json")
        (True, False)
    """
    return _NAME.fullmatch(name) is not None


def _prefix(kind: str = DRAFT) -> str:
    start = int(psutil.Process().create_time())
    return f"{kind}{_host()}-{os.getpid()}-{start}-"


@functools.cache
def _host() -> str:
    """Where process ids have a meaning: the host, and in it the container."""
    with contextlib.suppress(OSError):
        namespace = os.readlink("/proc/self/ns/pid")
        return _hashed(f"{platform.node()} {namespace}")
    return _hashed(platform.node())


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _is_dead(draft: Path) -> bool:
    found = _NAME.fullmatch(draft.name)
    if found is None or found[1] != _host():
        return time.time() - draft.lstat().st_mtime > _FOREIGN_SECONDS
    with contextlib.suppress(psutil.Error):
        # the clock that a start is counted by may be set meanwhile
        return abs(psutil.Process(int(found[2])).create_time() - int(found[3])) > 5
    return True


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
    made = [path for path in (directory, *directory.parents) if not path.exists()]
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
        for path in made:  # those that are empty still
            with contextlib.suppress(OSError):
                path.rmdir()


def is_locked(directory: str | os.PathLike[str]) -> bool:
    """Whether a process holds ``directory`` by ``locked``; nothing is written, and it may be read.

    A shared lock of a moment asks: who waits for the directory tries again.
    """
    path = Path(directory) / LOCK_FILE
    try:
        if fcntl is None:
            with FileLock(path, timeout=0) if path.exists() else contextlib.nullcontext():
                return False
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, Timeout):
        return True
    except OSError:  # there is no lock, or it is not ours to read
        return False
    return False
