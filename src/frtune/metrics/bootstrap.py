"""The bootstrap over documents or rows: they are drawn again, and the score computed anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from frtune.errors import InputError
from frtune.metrics.counting import divided

# from the rows drawn, (samples, rows), to a score for each sample, (samples,)
Score = Callable[["np.ndarray"], "np.ndarray"]


def count_score(counts: np.ndarray, ratio: Callable[[np.ndarray], np.ndarray]) -> Score:
    """Make a score of counts that add up over rows, such as a micro or macro F1.

    Args:
        counts: ``(rows, counts)``.
        ratio: From sums of counts, ``(samples, counts)``, to scores, ``(samples,)``.

    Example:
        >>> import numpy as np
        >>> accuracy = count_score(np.array([[1, 1], [0, 1]]), lambda sums: sums[:, 0] / sums[:, 1])
        >>> accuracy(np.array([[0, 1], [0, 0]])).tolist()
        [0.5, 1.0]
    """
    return lambda picks: ratio(times_drawn(picks, len(counts)) @ counts)  # (samples, counts)


def times_drawn(picks: np.ndarray, rows: int) -> np.ndarray:
    """How often each of ``rows`` rows is among those drawn, ``(samples, rows)``."""
    offsets = np.arange(len(picks))[:, None] * rows
    times = np.bincount((picks + offsets).ravel(), minlength=len(picks) * rows)
    return times.reshape(len(picks), rows)


def macro_f1(counts: np.ndarray) -> Score:
    """Make the macro F1 of rows that are drawn again, over the classes of all rows.

    A class counts when a row has it or was given it, as in ``classification_scores``. Of a draw
    without a class, its F1 is not known: that of all rows stands in, so that each draw has the
    same classes, and the score of all rows is one of such scores.

    Args:
        counts: ``right``, ``predicted`` and ``true`` of each row, three columns for each class,
            ``(rows, 3 classes)``.

    Returns:
        From sums of counts, ``(samples, 3 classes)``, to scores, ``(samples,)``.

    Example:
        >>> import numpy as np
        >>> counts = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 1]])
        >>> macro_f1(counts)(np.array([[1, 1, 1, 0, 0, 1], [2, 2, 2, 0, 0, 0]])).tolist()
        [0.5, 0.5]
    """

    def each(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = sums.reshape(len(sums), -1, 3).astype(float)  # (samples, classes, 3)
        sizes = parts[..., 1] + parts[..., 2]
        return divided(2 * parts[..., 0], sizes), sizes > 0

    whole, seen = each(counts.sum(axis=0, keepdims=True))  # (1, classes)

    def score(sums: np.ndarray) -> np.ndarray:
        f1, drawn = each(sums)
        return np.where(drawn, f1, whole).sum(axis=1) / max(int(seen.sum()), 1)

    return score


def f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """Macro F1 of sums of ``right``, ``predicted`` and ``true``, three columns for each class.

    A class counts when these sums have it; for draws of rows take ``macro_f1``. Of one class it
    is the micro F1.

    Example:
        >>> import numpy as np
        >>> f1_of_sums(np.array([[1, 1, 2], [0, 0, 0]])).round(4).tolist()
        [0.6667, 0.0]
    """
    parts = sums.reshape(len(sums), -1, 3).astype(float)  # (samples, classes, 3)
    sizes = parts[..., 1] + parts[..., 2]
    f1 = divided(2 * parts[..., 0], sizes)
    return f1.sum(axis=1) / np.maximum((sizes > 0).sum(axis=1), 1)


def spearman_score(predictions: np.ndarray, references: np.ndarray) -> Score:
    """Make Spearman's correlation, ranks with ties averaged; 0 where either side is constant."""

    def centred(values: np.ndarray) -> np.ndarray:
        ranks = scipy.stats.rankdata(values, axis=1)
        return ranks - ranks.mean(axis=1, keepdims=True)

    def score(picks: np.ndarray) -> np.ndarray:
        x, y = centred(predictions[picks]), centred(references[picks])  # (samples, rows)
        scale = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
        return divided((x * y).sum(axis=1), scale)

    return score


def resampled(score: Score, rows: int, *, samples: int = 1000, seed: int = 0) -> np.ndarray:
    """Score ``samples`` draws of ``rows`` rows with replacement.

    The same number of rows and seed draw the same rows, so that two models can be paired.

    Returns:
        Scores, ``(samples,)``.

    Raises:
        InputError: If there are no rows, or ``samples`` isn't positive.
    """
    if rows < 1 or samples < 1:
        raise InputError(f"rows={rows}, samples={samples}: whole numbers from 1.")
    if rows == 1:  # of which SciPy draws none
        return score(np.zeros((samples, 1), int))
    found = scipy.stats.bootstrap(
        (np.arange(rows),),
        lambda picks, axis: score(picks),
        n_resamples=samples,
        batch=max(1, min(samples, 2_000_000 // rows)),  # about 16 MB of indices
        method="percentile",
        vectorized=True,
        random_state=np.random.default_rng(seed),
    )
    return found.bootstrap_distribution


def interval(scores: np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of resampled scores (Efron and Tibshirani 1993, chapter 13).

    Example:
        >>> import numpy as np
        >>> [round(bound, 3) for bound in interval(np.arange(101) / 100, level=0.9)]
        [0.05, 0.95]
    """
    tail = (1 - level) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return float(low), float(high)


def paired_p_value(first: np.ndarray, second: np.ndarray, *, rows: int | None = None) -> float:
    """Return the two-sided p-value of no difference between two scores on the same draws.

    Twice the smaller share of draws in which the difference is at most, or at least, zero; one is
    added above and below, so that it is never 0 (Davison and Hinkley 1997, section 4.2).

    Args:
        first: A score of each draw, ``(samples,)``.
        second: The other on the same draws.
        rows: Rows on which the two differ; p is at least ``least_p_value`` of them.

    Example:
        >>> import numpy as np
        >>> paired_p_value(np.full(99, 0.8), np.full(99, 0.7)), paired_p_value(*np.ones((2, 99)))
        (0.02, 1.0)
        >>> paired_p_value(np.full(99, 0.8), np.full(99, 0.7), rows=4)
        0.125
    """
    difference = second - first
    smaller = min((difference <= 0).sum(), (difference >= 0).sum())
    p_value = min(1.0, 2 * (smaller + 1) / (len(difference) + 1))
    return float(p_value if rows is None else max(p_value, least_p_value(rows)))


def least_p_value(rows: int) -> float:
    """Return the smallest two-sided p-value that so many paired rows can give.

    That of an exact test, when all of them are on one side: with each sign of a difference as
    likely, that happens in 2 of ``2**rows`` cases.

    Args:
        rows: Rows on which the two differ; a row without a difference says nothing.

    Example:
        >>> least_p_value(4), least_p_value(6), least_p_value(0)
        (0.125, 0.03125, 1.0)
    """
    return min(1.0, 2.0 ** (1 - rows))


def few_rows_note(rows: int) -> str | None:
    """Say so when rows are too few for any difference to be significant (p below 0.05).

    Example:
        >>> few_rows_note(4)
        'the two differ on 4 rows, too few for p below 0.05 (least: 0.125)'
    """
    if (least := least_p_value(rows)) < 0.05:
        return None
    return f"the two differ on {rows} rows, too few for p below 0.05 (least: {least:.3g})"


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, level: float = 0.95, samples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile interval of the mean, as ``scipy.stats.bootstrap`` does.

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
        raise InputError(f"level={level}: between 0 and 1. Pass level=0.95, for example.")
    if samples < 1:
        raise InputError(
            f"samples={samples}: a whole number from 1. Pass samples=1000, for example."
        )
    scores = np.asarray(values, float)
    scores = scores[~np.isnan(scores)]
    if not scores.size:
        return 0.0, 0.0
    means = resampled(
        lambda picks: scores[picks].mean(axis=1), scores.size, samples=samples, seed=seed
    )
    return interval(means, level=level)


def bootstrap_intervals(
    values: Mapping[str, Sequence[float]], **options: Any
) -> dict[str, tuple[float, float]]:
    """Return an interval for each score, on the same resamples when no document is left out.

    Args:
        values: As ``keyphrase_scores_per_document`` or ``rouge_scores_per_document`` return them.
        **options: ``level``, ``samples`` and ``seed`` of ``bootstrap_interval``.

    Example:
        >>> bootstrap_intervals({"f1_at_m": [1.0, 1.0]})
        {'f1_at_m': (1.0, 1.0)}
    """
    return {name: bootstrap_interval(scores, **options) for name, scores in values.items()}
