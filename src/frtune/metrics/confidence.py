"""Confidence intervals of mean scores, by the bootstrap over documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from frtune.errors import InputError


def bootstrap_interval(
    values: Sequence[float], *, level: float = 0.95, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of the mean (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: One score per document; ``nan`` ones are left out.
        level: Share of the resampled means that lie inside.
        samples: Resamples, each as large as the set.
        seed: The same seed gives the same interval.

    Returns:
        Its lower and upper end; ``(0.0, 0.0)`` without values.

    Raises:
        InputError: If ``level`` isn't between 0 and 1, or ``samples`` isn't positive.

    Example:
        >>> low, high = bootstrap_interval([0.0, 1.0] * 50)
        >>> 0.39 <= low < 0.5 < high <= 0.61
        True
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}: between 0 and 1. Pass level=0.95, say.")
    if samples < 1:
        raise InputError(f"samples={samples}: a whole number from 1. Pass samples=1000, say.")
    scores = np.asarray(values, float)
    scores = scores[~np.isnan(scores)]
    if not scores.size:
        return 0.0, 0.0
    rng = np.random.default_rng(seed)
    # Chunks bound the memory at about 16 MB of indices, however many documents there are.
    rows = max(1, min(samples, 2_000_000 // scores.size))
    means = []
    for start in range(0, samples, rows):
        picks = rng.integers(scores.size, size=(min(rows, samples - start), scores.size))
        means.append(scores[picks].mean(axis=1))
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_intervals(
    values: Mapping[str, Sequence[float]],
    *,
    level: float = 0.95,
    samples: int = 1000,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return an interval for each score, on the same resamples when no document is left out.

    Args:
        values: As ``keyphrase_scores_per_document`` or ``rouge_scores_per_document`` return them.
        level: As in ``bootstrap_interval``.
        samples: The same.
        seed: The same.

    Example:
        >>> bootstrap_intervals({"f1_at_m": [1.0, 1.0]})
        {'f1_at_m': (1.0, 1.0)}
    """
    return {
        name: bootstrap_interval(scores, level=level, samples=samples, seed=seed)
        for name, scores in values.items()
    }
