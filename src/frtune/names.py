"""What checkpoints are called, and numbers with their nouns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from frtune.errors import InputError


def named(paths: Sequence[str], names: Sequence[str] | None = None) -> dict[str, str]:
    """Give each path a name: one of ``names``, else as much of its end as tells it from the others.

    A path that stands there again is numbered.

    Args:
        paths: Directories or hub names.
        names: One for each path; ``None`` makes them.

    Returns:
        Name to path, in order.

    Raises:
        InputError: If names and paths differ in number, or two are equal.

    Example:
        >>> named(["almanach/camembert-base", "runs/reviews"])
        {'camembert-base': 'almanach/camembert-base', 'reviews': 'runs/reviews'}
        >>> list(named(["a/model", "b/model"]))
        ['a/model', 'b/model']
        >>> list(named(["a/model", "a/model/", "b/model"]))
        ['a/model', 'a/model (2)', 'b/model']
    """
    if names is not None:
        if len(names) != len(paths) or len(set(names)) < len(names) or "" in names:
            raise InputError(
                f"names={' '.join(names)}: one for each of the {len(paths)} checkpoints, no two "
                f"equal. Pass {len(paths)} names."
            )
        return dict(zip(names, paths, strict=True))
    parts = [PurePath(path).parts or (path,) for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(part[-length:]) for part in parts]
        if len(set(ends)) == len(set(parts)):
            break
    times = [ends[: at + 1].count(end) for at, end in enumerate(ends)]
    found = [end if time == 1 else f"{end} ({time})" for end, time in zip(ends, times, strict=True)]
    return dict(zip(found, paths, strict=True))


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural but of one.

    Example:
        >>> counted(1, "test row"), counted(0, "row"), counted(1200, "answer")
        ('1 test row', '0 rows', '1,200 answers')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
