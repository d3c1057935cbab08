"""Figures of a classifier's confidence: how far it holds, and what answering less would save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from frtune.metrics.calibration import coverage_curve, reliability
from frtune.plotting import legend, line_style, new_frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def reliability_figure(chances: Mapping[str, np.ndarray], true: np.ndarray) -> Figure:
    """Draw the share of right answers by confidence (reliability diagram, Guo et al. 2017).

    Args:
        chances: Name to probabilities, ``(rows, classes)``: before and after calibration.
        true: The true class of each row, from 0.
    """
    figure, axes = new_frame("Reliability on the test rows", "confidence", "share that is right")
    axes.plot([0, 1], [0, 1], color="#666666", linestyle=":", label="confidence that holds")
    for i, (name, values) in enumerate(chances.items()):
        bins = reliability(values.max(1), values.argmax(1) == true, bins=10)
        points = [(each.confidence, each.accuracy) for each in bins]
        axes.plot(*zip(*points, strict=True), label=name, **line_style(i))
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    legend(figure)
    return figure


def coverage_figure(chances: np.ndarray, true: np.ndarray, precision: float | None) -> Figure:
    """Draw the share of wrong answers by the share of rows that are answered, surest first.

    Args:
        chances: Probabilities, ``(rows, classes)``.
        true: The true class of each row, from 0.
        precision: What ``min_precision`` promises; a line shows the errors that it allows.
    """
    covered, wrong = coverage_curve(chances.max(1), chances.argmax(1) == true)
    figure, axes = new_frame(
        "What answering less would save", "rows answered, surest first (%)", "wrong answers (%)"
    )
    axes.plot(100 * np.array(covered), 100 * np.array(wrong), label="test rows", color="#0072B2")
    if precision is not None:
        allowed = 100 * (1 - precision)
        axes.axhline(allowed, color="#D55E00", linestyle="--", label=f"{allowed:.3g} % allowed")
        legend(figure)
    axes.set(xlim=(0, 101))
    axes.set_ylim(bottom=0)
    return figure
