"""Chances of classes; apart from their scores, whose libraries take long to import."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

CALIBRATION = ("log_loss", "brier", "ece")  # scores of probabilities
BEFORE = "_uncalibrated"  # ends the name of such a score before calibration


def softmax(logits: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return the chance of each class, ``(rows, classes)``, from logits of the same shape."""
    return special.softmax(np.asarray(logits, float), axis=-1)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return the chance of each of several labels from logits of the same shape."""
    return special.expit(np.asarray(logits, float))


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether the scores of classes, ``(rows, classes)``, are probabilities.

    Example:
        >>> are_probabilities(np.array([[0.2, 0.8]])), are_probabilities(np.array([[3.0, -1.0]]))
        (True, False)
    """
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3))


def tempered(chances: np.ndarray, temperature: float) -> np.ndarray:
    """The probabilities that logits divided by ``temperature`` would have had.

    Example:
        >>> tempered(np.array([[0.8, 0.2]]), 0.5).round(3).tolist()
        [[0.941, 0.059]]
    """
    with np.errstate(divide="ignore"):
        return special.softmax(np.log(np.asarray(chances, float)) / temperature, axis=-1)


def platt(scores: Sequence[float], slope: float, intercept: float) -> np.ndarray:
    """Chances of scores from 0 to 1: a logistic function of their log odds (Platt 1999).

    Slope 1 and intercept 0 change nothing. ``frtune.metrics.phrase_chances`` fits them.

    Example:
        >>> platt([0.5, 0.9], 1.0, 0.0).round(6).tolist(), platt([0.5, 0.9], 0.5, -1.0).round(3)
        ([0.5, 0.9], array([0.269, 0.525]))
    """
    return special.expit(slope * log_odds(scores) + intercept)


def unplatt(chances: Sequence[float], slope: float, intercept: float) -> np.ndarray:
    """The scores whose ``platt`` these are.

    Example:
        >>> unplatt(platt([0.2, 0.9], 0.5, -1.0), 0.5, -1.0).round(6).tolist()
        [0.2, 0.9]
    """
    return special.expit((log_odds(chances) - intercept) / slope)


def log_odds(scores: Sequence[float] | np.ndarray) -> np.ndarray:
    """Log odds of numbers from 0 to 1, both ends kept finite.

    Example:
        >>> log_odds([0.5, 0.9, 1.0]).round(3).tolist()
        [0.0, 2.197, 16.118]
    """
    return special.logit(np.clip(np.asarray(scores, float), 1e-7, 1 - 1e-7))
