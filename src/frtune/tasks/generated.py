"""What a generating model wrote for a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Generated:
    """What a model wrote for one row.

    Attributes:
        ids: Token ids after the prompt, end token included, padding excluded.
        finished: The model wrote an end token by itself before the limit.
        log_probs: Log probability of each id, by the model's own softmax; ``None`` where nobody
            asked for it.
        votes: All that was drawn for the row, where that was asked for; the first is this one.
    """

    ids: list[int]
    finished: bool
    log_probs: list[float] | None = None
    votes: tuple[Generated, ...] = ()
