"""Scores of runs that differ by their seed: mean, confidence interval, and a paired test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from frtune.errors import InputError
from frtune.metrics.bootstrap import least_p_value


class Mean(NamedTuple):
    """Mean of some runs and its confidence interval."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """Mean difference of paired runs, its confidence interval, and the p-value of no difference."""

    mean: float
    low: float
    high: float
    p_value: float


def mean_of_runs(scores: Sequence[float], *, level: float = 0.95) -> Mean:
    """Mean of runs and its interval by Student's t distribution.

    Args:
        scores: One score a run, two or more.
        level: Share of such intervals that hold the true mean.

    Raises:
        InputError: For fewer than two scores.

    Example:
        >>> [round(value, 3) for value in mean_of_runs([0.80, 0.81, 0.82])]
        [0.81, 0.785, 0.835]
    """
    count = len(scores)
    if count < 2:
        raise InputError(f"scores: {count}. An interval needs runs of two seeds or more.")
    mean = float(np.mean(scores))
    error = float(np.std(scores, ddof=1)) / count**0.5
    half = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    return Mean(mean, mean - half, mean + half)


def difference_of_runs(
    scores: Sequence[float], others: Sequence[float], *, level: float = 0.95
) -> Difference:
    """How much runs score above others of the same seeds, by a paired t test.

    Args:
        scores: One score a seed.
        others: The scores of the other runs, in the order of the same seeds.
        level: Share of such intervals that hold the true difference.

    Raises:
        InputError: For fewer than two pairs, or scores without a pair.

    Example:
        >>> found = difference_of_runs([0.82, 0.84, 0.83], [0.80, 0.81, 0.82])
        >>> round(found.mean, 3), round(found.p_value, 3)
        (0.02, 0.074)
    """
    if len(scores) != len(others):
        raise InputError(f"scores: {len(scores)} and {len(others)}. Give pairs of the same seed.")
    # rounded, so that what differs by the rounding of floats alone is equal
    pairs = [round(a - b, 12) for a, b in zip(scores, others, strict=True)]
    found = mean_of_runs(pairs, level=level)
    if len(set(pairs)) == 1:  # no spread, by which the test divides: that of the signs alone
        return Difference(*found, 1.0 if pairs[0] == 0 else least_p_value(len(pairs)))
    return Difference(*found, float(stats.ttest_1samp(pairs, 0)[1]))
