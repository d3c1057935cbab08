"""Scores of rows that are drawn again, for the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from frtune import metrics
from frtune.metrics.bootstrap import Score, count_score, f1_of_sums, macro_f1


def recomputed(
    compute: Callable[[list[Any], list[Any]], dict[str, float]],
    predictions: Sequence[Any],
    references: Sequence[Any],
    names: Sequence[str],
) -> Score:
    """Any scores, computed anew for each draw: right for all, and slower than counts.

    Returns:
        From the rows drawn, ``(samples, rows)``, to scores, ``(samples, names)``.
    """

    def score(picks: np.ndarray) -> np.ndarray:
        found = (
            compute([predictions[i] for i in rows], [references[i] for i in rows])
            for rows in picks.tolist()
        )
        return np.array([[scores[name] for name in names] for scores in found])

    return score


def sets_f1(found: Sequence, references: Sequence, key: Callable[[str], str]) -> Score:
    """Micro F1 of sets of phrases that are compared by ``key``."""
    pairs = [
        ({key(text) for text in row}, {key(text) for text in true})
        for row, true in zip(found, references, strict=True)
    ]
    counts = np.array([[len(p & t), len(p), len(t)] for p, t in pairs])  # (rows, 3)
    return count_score(counts, f1_of_sums)


def classes_f1(found: Sequence, references: Sequence, labels: Sequence[str]) -> Score:
    """Macro F1 of labels."""
    names = np.array(labels)
    predicted = np.array(found)[:, None] == names  # (rows, classes)
    true = np.array(references)[:, None] == names
    counts = np.stack([predicted & true, predicted, true], axis=-1)  # (rows, classes, 3)
    counts = counts.reshape(len(found), -1).astype(np.int64)
    return count_score(counts, macro_f1(counts))


def phrases_f1(found: Sequence, references: Sequence, k: int) -> Score:
    """Mean over documents of the F1 at ``k`` of each."""
    values = np.array(metrics.keyphrase_scores_per_document(found, references, k=k)[f"f1_at_{k}"])
    counts = np.stack([values, np.ones_like(values)], axis=1)  # (rows, 2)
    return count_score(counts, lambda sums: sums[:, 0] / sums[:, 1])
