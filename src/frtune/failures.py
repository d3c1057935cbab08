"""What the machine refuses, in one line: a full disk, too many open files, a place that is shut."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# safetensors, torch, Arrow and SQLite report the operating system's error in words
_FULL_WORDS = (
    "os error 28", "os error 122", "os error 27", "errno 28", "errno 122", "errno 27",
    "file write failed", "unexpected pos", "database or disk is full",
)  # fmt: skip
_FILES_WORDS = ("os error 24", "errno 24", "too many open files", "unable to open database file")
_SHUT = (errno.EROFS, errno.EACCES, errno.EPERM)


class DiskFullError(RuntimeError):
    """What was to be written did not fit on the disk; the message says where, and what to do."""


class SavedModelError(RuntimeError):
    """The trained model is saved, whole, but what came after that failed; the message says what."""


def disk_full(path: str | os.PathLike[str]) -> DiskFullError:
    """Say that the disk of ``path`` is full, and how much is free there."""
    place = Path(path).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e6
    return DiskFullError(
        f"{path}: the disk is full, or no file may be so large (ulimit -f); {free:,.1f} MB are "
        "free. Make room, or give another place; nothing was written."
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk is full.

    Example:
        >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device"))
        True
        >>> is_disk_full(OSError(errno.ENOENT, "No such file"))
        False
    """
    return any(
        each.errno in _FULL
        if isinstance(each, OSError) and each.errno is not None
        else _says(each, _FULL_WORDS)
        for each in _causes(error)
    )


def failure_line(error: BaseException) -> str | None:
    """What to tell of an error that the machine caused; ``None`` for any other.

    Example:
        >>> failure_line(OSError(errno.EROFS, "Read-only file system", "/cdrom/x"))
        '/cdrom/x: cannot be written (Read-only file system). Give another place, ...'
        >>> failure_line(KeyError("x"))
    """
    causes = [*_causes(error)]
    for each in causes:
        if isinstance(each, DiskFullError | SavedModelError):
            return str(each)
    if is_disk_full(error):
        named = [each.filename for each in causes if isinstance(each, OSError) and each.filename]
        return str(disk_full(os.fsdecode(named[0]) if named else os.environ.get("TMPDIR", "/tmp")))
    for each in causes:
        number = each.errno if isinstance(each, OSError) else None
        if number in (errno.EMFILE, errno.ENFILE) or _says(each, _FILES_WORDS):
            return (
                f"too many files are open at once ({_limit()} are allowed). Raise the number with "
                "ulimit -n 4096, and do the same again."
            )
        if _says(each, ("no usable temporary directory",)):
            return "no folder for temporary files can be written. Set TMPDIR to one that can."
        if isinstance(each, OSError) and number in _SHUT and each.filename:
            return (
                f"{os.fsdecode(each.filename)}: cannot be written ({each.strerror}). Give another "
                "place, or another user; caches are where HF_HOME and TMPDIR say."
            )
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(word in text for word in words)


def _limit() -> int:
    import resource  # Windows has none

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
