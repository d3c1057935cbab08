"""Bootstrap intervals over rows of the scores of classes, pairs and keywords."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from frtune.metrics.bootstrap import (
    Score,
    count_score,
    f1_of_sums,
    interval,
    macro_f1,
    resampled,
    spearman_score,
    times_drawn,
)
from frtune.metrics.counting import divided

Intervals = dict[str, tuple[float, float]]
Ratios = Mapping[str, Callable[["np.ndarray"], "np.ndarray"]]


def score_intervals(scores: Mapping[str, Score], rows: int, *, samples: int = 1000) -> Intervals:
    """Return the 95 % interval of each score over draws of the rows, the same draws for each.

    Example:
        >>> import numpy as np
        >>> right = np.array([[1, 1]] * 8 + [[0, 1]] * 2)
        >>> accuracy = count_score(right, lambda sums: sums[:, 0] / sums[:, 1])
        >>> score_intervals({"accuracy": accuracy}, 10)
        {'accuracy': (0.5, 1.0)}
    """
    return {
        name: interval(resampled(score, rows, samples=samples)) for name, score in scores.items()
    }


def _count_intervals(counts: np.ndarray, ratios: Ratios, samples: int) -> Intervals:
    """Intervals of several ratios of the same sums: the rows are drawn and counted once."""
    sums = resampled(count_score(counts, lambda found: found), len(counts), samples=samples)
    return {name: interval(ratio(sums)) for name, ratio in ratios.items()}


# --- classes -------------------------------------------------------------------------------------


def class_intervals(
    predictions: Sequence[str],
    references: Sequence[str],
    labels: Sequence[str],
    *,
    samples: int = 1000,
) -> Intervals:
    """Intervals of ``accuracy``, ``f1_macro``, ``f1_weighted``, ``mcc``; of two labels, ``f1``.

    The scores are those of ``classification_scores``, ``f1`` that of the second label.

    Example:
        >>> found = class_intervals(["a", "b"] * 20, ["a", "a"] * 20, ["a", "b"])
        >>> [round(bound, 3) for bound in found["accuracy"]]
        [0.35, 0.65]
    """
    names = np.array(labels)
    predicted = np.array(predictions)[:, None] == names  # (rows, classes)
    true = np.array(references)[:, None] == names
    counts = np.stack([predicted & true, predicted, true], axis=-1)  # (rows, classes, 3)
    counts = counts.reshape(len(true), -1).astype(float)  # (rows, 3 classes)
    ratios = {"accuracy": _accuracy, "f1_macro": macro_f1(counts), "f1_weighted": _f1_weighted}
    ratios["mcc"] = _mcc
    if len(labels) == 2:
        ratios["f1"] = lambda sums: f1_of_sums(sums[:, 3:])
    return _count_intervals(counts, ratios, samples)


def _parts(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right, predicted and true rows of each class, each ``(samples, classes)``."""
    parts = sums.reshape(len(sums), -1, 3)
    return parts[..., 0], parts[..., 1], parts[..., 2]


def _accuracy(sums: np.ndarray) -> np.ndarray:
    right, _, true = _parts(sums)
    return divided(right.sum(1), true.sum(1))


def _f1_weighted(sums: np.ndarray) -> np.ndarray:
    right, predicted, true = _parts(sums)
    return (divided(2 * right, predicted + true) * true).sum(1) / true.sum(1)


def _mcc(sums: np.ndarray) -> np.ndarray:
    """Matthews' correlation of any number of classes (Gorodkin 2004, equation 8)."""
    right, predicted, true = _parts(sums)
    rows = true.sum(1)
    above = right.sum(1) * rows - (predicted * true).sum(1)
    below = (rows**2 - (predicted**2).sum(1)) * (rows**2 - (true**2).sum(1))
    return divided(above, np.sqrt(np.maximum(below, 0)))


# --- pairs ---------------------------------------------------------------------------------------


def auc_score(scores: np.ndarray, positive: np.ndarray) -> Score:
    """Make ``roc_auc`` of rows that are drawn again; 0.5 where all drawn are of one kind."""
    order = np.argsort(scores, kind="stable")
    ties = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])  # first of each equal score

    def score(picks: np.ndarray) -> np.ndarray:
        times = times_drawn(picks, len(scores))[:, order]  # (samples, rows), by rising score
        yes = np.add.reduceat(times * positive[order], ties, axis=1)  # (samples, scores)
        no = np.add.reduceat(times * ~positive[order], ties, axis=1)
        won = (yes * (no.cumsum(1) - no / 2)).sum(1)
        pairs = yes.sum(1) * no.sum(1)
        return np.where(pairs > 0, won / np.maximum(pairs, 1), 0.5)

    return score


def pair_intervals(
    similarities: Sequence[float],
    predictions: Sequence[str],
    references: Sequence[str],
    labels: Sequence[str],
) -> Intervals:
    """Intervals of ``class_intervals`` and ``roc_auc``; the second label means similar."""
    similar = np.array([label == labels[1] for label in references])
    auc = auc_score(np.array(similarities), similar)
    found = class_intervals(predictions, references, labels)
    return {**found, **score_intervals({"roc_auc": auc}, len(similarities))}


def correlation_intervals(
    predictions: Sequence[float], references: Sequence[float], *, samples: int = 1000
) -> Intervals:
    """Intervals of the scores of ``correlation_scores``."""
    x, y = np.asarray(predictions, float), np.asarray(references, float)
    a, b = x - x.mean(), y - y.mean()  # far from 0, the sums of squares would cancel
    counts = np.stack([a, b, a * a, b * b, a * b, (x - y) ** 2, np.ones_like(x)], axis=1)
    ratios: Ratios = {"pearson": _pearson, "mse": lambda sums: sums[:, 5] / sums[:, 6]}
    found = _count_intervals(counts, ratios, samples)
    ranks = score_intervals({"spearman": spearman_score(x, y)}, len(x), samples=samples)
    return {**found, **ranks}


def _pearson(sums: np.ndarray) -> np.ndarray:
    x, y, xx, yy, xy, _, n = sums.T
    below = (n * xx - x * x) * (n * yy - y * y)
    return divided(n * xy - x * y, np.sqrt(np.maximum(below, 0)))


# --- keywords ------------------------------------------------------------------------------------


def keyword_intervals(
    keywords: Iterable[tuple[set, set]],
    spans: Iterable[tuple[set, set]],
    tokens: Iterable[tuple[Sequence[int], Sequence[int]]],
    *,
    samples: int = 1000,
) -> Intervals:
    """Intervals of the scores of keywords, spans and tokens; documents are drawn.

    Args:
        keywords: Those predicted and the true ones of each document, under one spelling.
        spans: The same for spans.
        tokens: The same for labels: 0 (O), 1 (B), 2 (I), and -100 in the true ones.
        samples: Draws.
    """

    def sizes(pairs: Iterable[tuple[set, set]]) -> np.ndarray:
        return np.array([[len(p & t), len(p), len(t)] for p, t in pairs], float).reshape(-1, 3)

    labels = []
    for predicted, true in tokens:
        p, t = np.asarray(predicted, int), np.asarray(true, int)
        p, t = p[t >= 0], t[t >= 0]
        labels.append([[((p == i) & (t == i)).sum(), (p == i).sum(), (t == i).sum()]
                       for i in range(3)])  # fmt: skip
    token_counts = np.array(labels, float).reshape(-1, 9)
    counts = np.concatenate([sizes(keywords), sizes(spans), token_counts], axis=1)
    token_f1 = macro_f1(token_counts)
    ratios: Ratios = {
        "keyword_precision": lambda sums: divided(sums[:, 0], sums[:, 1]),
        "keyword_recall": lambda sums: divided(sums[:, 0], sums[:, 2]),
        "keyword_f1": lambda sums: f1_of_sums(sums[:, :3]),
        "span_f1": lambda sums: f1_of_sums(sums[:, 3:6]),
        "token_f1_macro": lambda sums: token_f1(sums[:, 6:]),
        "token_accuracy": lambda sums: _accuracy(sums[:, 6:]),
        "token_accuracy_all_o": lambda sums: divided(sums[:, 8], sums[:, [8, 11, 14]].sum(1)),
    }
    return _count_intervals(counts, ratios, samples)
