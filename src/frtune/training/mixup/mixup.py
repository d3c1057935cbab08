"""MixUp of embeddings: a training row becomes a mix of two, and so does its label.

``x = share * T(x_i) + (1 - share) * T(x_j)`` and ``y = share * y_i + (1 - share) * y_j`` with
``share`` from Beta(alpha, alpha) (Zhang et al. 2018, section 2), where ``T`` is the embedding of
the tokens, the output of a block (Verma et al. 2019) or the vector of the sentence (Guo et al.
2019).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from frtune.errors import InputError, nearest

Level = Literal["embeddings", "hidden", "sentence"]
LEVELS: tuple[str, ...] = get_args(Level)


@dataclass(frozen=True)
class Mixup:
    """Train on mixtures of two rows: of each batch, or made once and stored.

    Attributes:
        level: What is mixed: ``embeddings`` (of tokens, before positions are added), ``hidden``
            (the output of a block) or ``sentence`` (what the head reads).
        alpha: Both parameters of the Beta distribution of shares. Small ones leave most rows nearly
            as they are; 1 draws all shares alike.
        layer: For ``hidden``, the block whose output is mixed, from 1; ``None`` draws one a batch.
        rows: Mix so many new rows from twice as many random ones, once, store them, and train on
            both kinds; ``None`` mixes every batch with itself.

    Example:
        >>> Mixup(level="hidden", alpha=0.4, layer=3)
        Mixup(level='hidden', alpha=0.4, layer=3, rows=None)
        >>> Mixup(alpha=0)
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: alpha=0: above 0. 0.2 mixes little, 1 draws all shares alike.
    """

    level: Level = "embeddings"
    alpha: float = 0.2
    layer: int | None = None
    rows: int | None = None

    def __post_init__(self):
        if self.level not in LEVELS:
            hint = nearest(str(self.level), list(LEVELS))
            raise InputError(f"level={self.level!r}: {', '.join(LEVELS)}.{hint}")
        number = isinstance(self.alpha, int | float) and not isinstance(self.alpha, bool)
        if not (number and 0 < self.alpha < math.inf):
            raise InputError(
                f"alpha={self.alpha!r}: above 0. 0.2 mixes little, 1 draws all shares alike."
            )
        for name in ("layer", "rows"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or value != int(value) or value < 1):
                raise InputError(f"{name}={value!r}: a whole number from 1, or leave it out.")
        if self.layer is not None and self.level != "hidden":
            raise InputError(f"layer={self.layer}: for level='hidden' only. Leave one of them out.")
        if self.rows is not None and self.level == "hidden":
            raise InputError(
                f"rows={self.rows}: not for level='hidden', which is mixed while training. Store "
                "mixes of 'embeddings' or 'sentence', or leave rows out."
            )

    def draw(self, size: int, *, blocks: int, seed: int, content: bytes) -> Mix:
        """Draw how a batch is mixed with itself: the same for the same seed and content.

        No generator has a state, so that a run draws the same mixes on whatever worker, goes on as
        it would have when it is resumed, and shuffles as it would without MixUp.

        Args:
            size: Rows in the batch.
            blocks: Blocks that the model has.
            seed: Seed of the run.
            content: What tells this batch from others.

        Example:
            >>> mix = Mixup(alpha=0.5).draw(4, blocks=6, seed=42, content=b"batch")
            >>> round(mix.share, 3), mix.partners, mix.layer
            (0.109, [3, 2, 1, 0], None)
        """
        digest = hashlib.sha256(f"{seed} ".encode() + content).digest()
        random = np.random.default_rng(int.from_bytes(digest, "big"))
        share = float(np.float32(random.beta(self.alpha, self.alpha)))
        partners = random.permutation(size).tolist()
        layer = int(random.integers(1, blocks + 1)) if self.level == "hidden" else None
        return Mix(share, partners, self.layer or layer)


class Mix(NamedTuple):
    """How a batch is mixed: ``share`` of each row, the rest of its partner, at block ``layer``."""

    share: float
    partners: list[int]
    layer: int | None
