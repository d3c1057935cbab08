"""Scores of phrases as chances to be right: fitted, judged, and precision against recall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from frtune.metrics.calibration import BINS, reliability
from frtune.metrics.chances import BEFORE, CALIBRATION, log_odds
from frtune.metrics.conventions import signature


def fitted_platt(scores: Sequence[float], right: Sequence[bool]) -> tuple[float, float] | None:
    """Find the slope and the intercept of ``frtune.metrics.chances.platt``.

    Logistic regression of right or wrong on the log odds of the scores (Platt 1999, without his
    smoothing of the targets, which matters for few of them).

    Args:
        scores: From 0 to 1, of phrases of rows that the model did not learn.
        right: Whether each phrase is right; some are, and some are not.

    Returns:
        Slope and intercept; ``None`` where higher scores are right no more often.

    Example:
        >>> scores = [0.9] * 100 + [0.2] * 100
        >>> slope, intercept = fitted_platt(scores, ([True] * 60 + [False] * 40) + [False] * 99
        ...                                 + [True])
        >>> round(slope, 2), round(intercept, 2)
        (1.4, -2.66)
    """
    odds = log_odds(scores)[:, None]
    found = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(odds, np.asarray(right, int))
    slope, intercept = float(found.coef_[0, 0]), float(found.intercept_[0])
    return (slope, intercept) if slope > 0 else None


def chance_scores(chances: Sequence[float], right: Sequence[bool]) -> dict[str, float]:
    """Score the chances of phrases to be right; 0 is perfect.

    Args:
        chances: Of each phrase, from 0 to 1.
        right: Whether it is; at least one phrase.

    Returns:
        ``phrase_log_loss``, the mean negative logarithm of what came true, in nats;
        ``phrase_brier``, the mean squared error (Brier 1950), 0 to 1; ``phrase_ece``, the expected
        calibration error: the gap between chance and share of right ones, averaged over the
        phrases of 15 equally wide bins of chance (Guo et al. 2017, equation 3), 0 to 1.

    Example:
        >>> found = chance_scores([0.8, 0.4], [True, False])
        >>> {name: round(value, 4) for name, value in found.items()}
        {'phrase_log_loss': 0.367, 'phrase_brier': 0.1, 'phrase_ece': 0.3}
    """
    given, hits = np.asarray(chances, float), np.asarray(right, bool)
    bins = reliability(given, hits)
    gaps = sum(each.rows * abs(each.accuracy - each.confidence) for each in bins)
    return {
        "phrase_log_loss": float(log_loss(hits, given, labels=[False, True])),
        "phrase_brier": float(((given - hits) ** 2).mean()),
        "phrase_ece": float(gaps / len(given)),
    }


def chance_names() -> list[str]:
    """The names of ``chance_scores``, then those before calibration."""
    return [f"phrase_{name}{end}" for end in ("", BEFORE) for name in CALIBRATION]


def chance_signatures() -> dict[str, str]:
    """How each of ``chance_names`` is computed."""
    parts = {"log_loss": "unit:nats", "brier": "phrases", "ece": f"bins:{BINS}"}
    names = ((name, f"phrase_{name}{end}") for end in ("", BEFORE) for name in CALIBRATION)
    return {full: signature(full, parts[name], "match:exact") for name, full in names}


def precision_recall(
    scores: Sequence[float], right: Sequence[bool], total: int
) -> tuple[list[float], list[float]]:
    """Recall and precision of the phrases of at least a score, highest scores first.

    Phrases of equal scores come together. All phrases of all rows are counted together.

    Args:
        scores: Of each phrase that was found.
        right: Whether it is right.
        total: How many there were to find.

    Example:
        >>> precision_recall([0.9, 0.4, 0.4, 0.1], [True, True, False, False], 4)
        ([0.25, 0.5, 0.5], [1.0, 0.666..., 0.5])
    """
    order = np.argsort(-np.asarray(scores, float), kind="stable")
    ranked = np.asarray(scores, float)[order]
    hits = np.asarray(right, bool)[order].cumsum()
    ends = np.flatnonzero(np.r_[np.diff(ranked) != 0, True]) if len(order) else order
    return (hits[ends] / max(1, total)).tolist(), (hits[ends] / (ends + 1)).tolist()
