"""How far the probabilities of classes can be trusted, and from where on answers can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats
from sklearn.metrics import log_loss

from frtune.errors import InputError
from frtune.metrics.chances import BEFORE
from frtune.metrics.conventions import signature

BINS = 15  # as in Guo et al. 2017
_STEEPEST = 100.0  # of temperatures, and its inverse
_SHARES = np.arange(1, 21) / 20  # of the rows, tried as those that are answered


def calibration_scores(chances: np.ndarray, true: Sequence[int]) -> dict[str, float]:
    """Score probabilities of classes; 0 is perfect.

    Args:
        chances: Probability of each class, ``(rows, classes)``.
        true: The true class of each row, from 0.

    Returns:
        ``log_loss``, the mean negative logarithm of the true class's probability, in nats;
        ``brier``, half the mean squared error over the classes (Brier 1950), 0 to 1; ``ece``, the
        expected calibration error: the gap between confidence and accuracy, averaged over the rows
        of 15 equally wide bins of confidence (Guo et al. 2017, equation 3), 0 to 1.

    Example:
        >>> found = calibration_scores(np.array([[0.8, 0.2], [0.6, 0.4]]), [0, 1])
        >>> {name: round(value, 4) for name, value in found.items()}
        {'log_loss': 0.5697, 'brier': 0.2, 'ece': 0.4}
    """
    chances, known = _checked(chances, true)
    hits = np.eye(chances.shape[1])[known]
    bins = reliability(chances.max(1), chances.argmax(1) == known)
    return {
        "log_loss": float(log_loss(known, chances, labels=range(chances.shape[1]))),
        "brier": float(((chances - hits) ** 2).sum(1).mean() / 2),
        "ece": sum(each.rows * abs(each.accuracy - each.confidence) for each in bins) / len(known),
    }


def fitted_temperature(logits: np.ndarray, true: Sequence[int]) -> float | None:
    """Find what logits are divided by so that their probabilities hold (Guo et al. 2017, 4.2).

    Args:
        logits: ``(rows, classes)``, of rows that the model did not learn.
        true: The true class of each row, from 0.

    Returns:
        The temperature of the smallest log loss; ``None`` where there is none, since every answer
        is right or the more certain ones are no better.

    Example:
        >>> fitted_temperature(np.array([[9.0, 0.0]] * 4), [0, 0, 0, 1])
        8.192...
    """
    logits, known = _checked(logits, true)
    if (logits.argmax(1) == known).all():
        return None  # the surer the better, without end
    rows = np.arange(len(known))

    def loss(exponent: float) -> float:
        chances = special.log_softmax(logits * math.exp(-exponent), axis=-1)
        return float(-chances[rows, known].mean())

    edge = math.log(_STEEPEST)
    found = optimize.minimize_scalar(loss, bounds=(-edge, edge), method="bounded")
    temperature = math.exp(found.x)
    return temperature if 1.05 / _STEEPEST < temperature < _STEEPEST / 1.05 else None


class Bin(NamedTuple):
    """Rows of like confidence: how many, their mean confidence, the share that is right."""

    rows: int
    confidence: float
    accuracy: float


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Group rows by confidence into equally wide bins; bins without rows are left out.

    Example:
        >>> reliability(np.array([0.9, 0.95, 0.1]), np.array([True, False, False]), 2)
        [Bin(rows=1, confidence=0.1, accuracy=0.0), Bin(rows=2, confidence=0.925, accuracy=0.5)]
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    # a bin holds its upper end, as in the paper
    of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return [
        Bin(int(here.sum()), float(confidence[here].mean()), float(right[here].mean()))
        for here in (of == number for number in range(bins))
        if here.any()
    ]


def coverage_curve(confidence: np.ndarray, right: np.ndarray) -> tuple[list[float], list[float]]:
    """Share of the rows answered, surest first, and the share of these answers that are wrong.

    Rows of equal confidence are answered together.

    Example:
        >>> coverage_curve(np.array([0.9, 0.8, 0.8, 0.4]), np.array([True, True, False, False]))
        ([0.25, 0.75, 1.0], [0.0, 0.333..., 0.5])
    """
    order = np.argsort(-np.asarray(confidence, float), kind="stable")
    sorted_, wrong = np.asarray(confidence)[order], ~np.asarray(right, bool)[order]
    ends = np.flatnonzero(np.r_[np.diff(sorted_) != 0, True]) + 1
    return (ends / len(order)).tolist(), (wrong.cumsum()[ends - 1] / ends).tolist()


def least_confidence(
    confidence: np.ndarray, right: np.ndarray, precision: float, *, doubt: float = 0.05
) -> float | None:
    """Find the least confidence from which on answers are right often enough.

    Twenty shares of the rows are tried, the surest 5 %, 10 %, ... Of each, the lower bound of its
    precision is that of Clopper and Pearson (1934), at ``doubt`` divided by the number of shares
    (Bonferroni), so that it holds for whichever is taken.

    Args:
        confidence: Of each row's answer, of rows that the model did not learn.
        right: Whether the answer was.
        precision: Share of right answers that is wanted, 0 to 1.
        doubt: Chance that the bound does not hold.

    Returns:
        The least confidence of the largest share whose bound is at least ``precision``; ``None``
        where no share's is.

    Example:
        >>> sure, right = np.linspace(1, 0.5, 400), np.arange(400) < 300
        >>> round(least_confidence(sure, right, 0.95), 3)
        0.624
    """
    confidence, right = np.asarray(confidence, float), np.asarray(right, bool)
    found = None
    limits = np.quantile(confidence, 1 - _SHARES, method="lower") if len(confidence) else []
    for limit in limits:
        answered = confidence >= limit
        count, hits = int(answered.sum()), int(right[answered].sum())
        if lower_bound(hits, count, doubt / len(_SHARES)) >= precision:
            found = float(limit)
    return found


def lower_bound(hits: int, rows: int, doubt: float = 0.05) -> float:
    """Lower bound of a share, one-sided (Clopper and Pearson 1934); 0 of no rows.

    Example:
        >>> round(lower_bound(58, 58), 4), lower_bound(0, 10)
        (0.9497, 0.0)
    """
    if not hits:
        return 0.0
    bound = stats.binomtest(hits, rows, alternative="greater")
    return float(bound.proportion_ci(1 - doubt, method="exact").low)


def confidence_signatures(precision: float | None) -> dict[str, str]:
    """How scores of confidence are computed, one line a score.

    Args:
        precision: What the answers that are given promise; ``None`` where all are.
    """
    parts = {"log_loss": "unit:nats", "brier": "classes:half", "ece": f"bins:{BINS}"}
    found = {
        f"{name}{end}": signature(f"{name}{end}", part)
        for name, part in parts.items()
        for end in ("", BEFORE)
    }
    given = ("coverage", "precision_answered")
    return found | {name: signature(name, f"min_precision:{precision}") for name in given}


def _checked(values: np.ndarray, true: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    values, known = np.asarray(values, float), np.asarray(true, int)
    if values.ndim != 2 or len(values) != len(known) or not len(known):
        raise InputError(
            f"shape {values.shape} for {len(known)} rows: (rows, classes), at least one row. Pass "
            "one class for each row."
        )
    return values, known
