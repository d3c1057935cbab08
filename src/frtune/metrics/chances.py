"""Chances of classes; apart from their scores, whose libraries take long to import."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special


def softmax(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Return the chance of each class, ``(rows, classes)``, from logits of the same shape."""
    return special.softmax(np.asarray(logits, float), axis=-1)
