"""What a generating model wrote for a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Generated:
    """What a model wrote for one row.

    Attributes:
        ids: Token ids after the prompt, end token included, padding excluded.
        finished: The model wrote an end token by itself before the limit.
    """

    ids: list[int]
    finished: bool
