"""Figures of a search: scores of its trials in their order, and which settings mattered."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from frtune.plotting import COLOURS, legend, line_style, new_frame, plain_text, whole_numbers
from frtune.tuning.result import Tuning

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def history_figure(found: Tuning) -> Figure:
    """Draw the score of each trial, the best so far, and the recipe's."""
    figure, axes = new_frame("Scores of the trials", "trial", plain_text(found.score_name))
    done = [
        (trial.number, trial.score) for trial in found.trials
        if trial.state == "complete" and trial.score is not None
    ]  # fmt: skip
    pruned = [
        (trial.number, trial.score) for trial in found.trials
        if trial.state == "pruned" and trial.score is not None
    ]  # fmt: skip
    numbers, scores = [number for number, _ in done], [score for _, score in done]
    axes.plot(numbers, scores, **{**line_style(0), "linestyle": ""}, label="complete")
    if pruned:
        style = {**line_style(1), "linestyle": "", "marker": "x"}
        axes.plot(*zip(*pruned, strict=True), **style, label="pruned, where it ended")
    best = accumulate(scores, max if found.larger_is_better else min)
    axes.step(numbers, [*best], where="post", color=COLOURS[2], label="best so far")
    if done and done[0][0] == 0:
        axes.axhline(done[0][1], color="#666666", linestyle=":", label="recipe")
    whole_numbers(axes.xaxis)
    legend(figure)
    return figure


def importance_figure(shares: Mapping[str, float]) -> Figure:
    """Draw the share of each setting, the largest at the top."""
    figure, axes = new_frame("Which settings mattered", "share of the scores' spread", "")
    names = [*shares][::-1]
    axes.barh([plain_text(name) for name in names], [shares[n] for n in names], color=COLOURS[0])
    axes.set_xlim(0, 1)
    return figure
