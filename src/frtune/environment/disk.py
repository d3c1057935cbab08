"""Room on a disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from frtune.errors import InputError


def free_bytes(directory: str | os.PathLike[str]) -> int:
    """Bytes that are free where ``directory`` is, or will be."""
    place = Path(directory).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def check_disk(directory: str | os.PathLike[str], needed: int, what: str, way: str) -> str:
    """Refuse to start what does not fit.

    ``what`` says what needs the ``needed`` bytes, behind the directory's name; ``way`` what to do.

    Returns:
        A note with the numbers.
    """
    free = free_bytes(directory)
    if needed > free:
        raise InputError(
            f"output_dir={os.fspath(directory)}: {what}, and {size_text(free)} are free. {way}"
        )
    return f"{what}; {size_text(free)} are free"


def size_text(count: float) -> str:
    """Bytes as people read them.

    Example:
        >>> size_text(2_500_000_000), size_text(90_000)
        ('2.5 GB', '90 kB')
    """
    for unit, power in (("GB", 1e9), ("MB", 1e6)):
        if count >= power:
            return f"{count / power:,.1f} {unit}"
    return f"{count / 1e3:,.0f} kB"
