"""What the checkpoints of a study are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from frtune.errors import InputError


def named(paths: Sequence[str], names: Sequence[str] | None = None) -> dict[str, str]:
    """Give each path a name: one of ``names``, else as much of its end as tells it from the others.

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
    """
    if names is None and len(set(paths)) < len(paths):
        twice = next(path for path in paths if list(paths).count(path) > 1)
        raise InputError(f"checkpoints: {twice} stands there twice. Name each one once.")
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
        if len(set(ends)) == len(ends):
            return dict(zip(ends, paths, strict=True))
    return {path: path for path in paths}
