"""Figures of phrases by their scores: precision against recall, and how far scores hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from frtune.metrics.calibration import reliability
from frtune.metrics.phrase_chances import precision_recall
from frtune.plotting import legend, line_style, new_frame
from frtune.tasks.ranking import Ranking

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKED = (0.9, 0.7, 0.5, 0.3, 0.1)  # scores that the curve names


def precision_recall_figure(ranking: Ranking) -> Figure:
    """Draw precision against recall of the phrases of at least a score, all rows together."""
    *_, scores = ranking.scores.values()
    recall, precision = precision_recall(scores, ranking.right, ranking.total)
    figure, axes = new_frame("Phrases by score, test rows", "recall", "precision")
    axes.step(recall, precision, where="post", color="#0072B2")
    for place, names in _marked(ranking, scores).items():
        axes.plot(*place, "o", color="#D55E00", markersize=5)
        axes.annotate(f" {names}", place, fontsize=8, va="bottom")
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    return figure


def _marked(ranking: Ranking, scores: np.ndarray) -> dict[tuple[float, float], str]:
    """Recall and precision at the scores of ``MARKED``, and which of these they are."""
    found: dict[tuple[float, float], str] = {}
    for least in MARKED:
        kept = scores >= least
        if not kept.any():
            continue
        hits = int(ranking.right[kept].sum())
        place = (hits / max(1, ranking.total), hits / int(kept.sum()))
        found[place] = f"{found[place]}, {least}" if place in found else str(least)
    return found


def score_reliability_figure(ranking: Ranking) -> Figure:
    """Draw the share of right phrases by their score, before and after calibration."""
    figure, axes = new_frame("Scores of phrases, test rows", "score", "share that is right")
    axes.plot([0, 1], [0, 1], color="#666666", linestyle=":", label="scores that hold")
    for i, (name, values) in enumerate(ranking.scores.items()):
        bins = reliability(values, ranking.right, bins=10)
        points = [(each.confidence, each.accuracy) for each in bins]
        axes.plot(*zip(*points, strict=True), label=name, **line_style(i))
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    legend(figure)
    return figure
