"""Figures of a run: learning curves, and how long its texts are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from frtune.plotting import COLOURS, legend, line_style, new_frame, plain_text, whole_numbers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASHES = ("-", "--", ":")


def points(history: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Steps and values of one entry of ``trainer.state.log_history``; the last of a step counts.

    Example:
        >>> points([{"step": 5, "loss": 2.0}, {"step": 5, "eval_loss": 1.0}], "loss")
        ([5], [2.0])
    """
    found = {entry["step"]: float(entry[name]) for entry in history if name in entry}
    return list(found), list(found.values())


def loss_figure(history: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw training and validation loss by step; ``None`` where none was logged."""
    return _lines(history, "Loss", "loss", {"loss": "training", "eval_loss": "validation"})


def score_figure(
    history: Sequence[Mapping[str, Any]], names: Sequence[str], best_step: int | None
) -> Figure | None:
    """Draw the scores that validation gave while training, and the step whose weights were kept.

    ``names`` are without ``eval_``. ``None`` where validation gave no score.
    """
    wanted = {f"eval_{name}": name for name in names}
    figure = _lines(history, "Scores on the validation rows", "score", wanted)
    if figure is not None and best_step is not None:
        axes = figure.axes[0]
        axes.axvline(best_step, color="#666666", linestyle=":", label="step that was kept")
        figure.legends.clear()
        legend(figure)
    return figure


def rate_figure(history: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Draw the learning rate by step; ``None`` where none was logged."""
    return _lines(history, "Learning rate", "learning rate", {"learning_rate": "learning rate"})


def _lines(
    history: Sequence[Mapping[str, Any]], title: str, label: str, names: Mapping[str, str]
) -> Figure | None:
    drawn = {name: points(history, name) for name in names}
    drawn = {name: found for name, found in drawn.items() if found[0]}
    if not drawn:
        return None
    figure, axes = new_frame(title, "step", label)
    for i, (name, (steps, values)) in enumerate(drawn.items()):
        style = line_style(i)
        if len(steps) > 30:  # markers would be one thick line
            style["marker"] = ""
        finite = [value if math.isfinite(value) else math.nan for value in values]
        axes.plot(steps, finite, label=plain_text(names[name]), clip_on=False, **style)
    whole_numbers(axes.xaxis)
    if len(drawn) > 1:
        legend(figure)
    return figure


def length_figure(lengths: Mapping[str, Sequence[int]], limit: int, what: str) -> Figure:
    """Draw how many tokens rows have before anything is cut, as a share of each split.

    ``what`` is ``source`` or ``target``, of which the model is given ``limit`` tokens at most.
    """
    figure, axes = new_frame(
        f"Tokens of the {what} before it is cut", "tokens", "share of rows (%)"
    )
    longest = max(max(values) for values in lengths.values())
    edges = np.unique(np.linspace(0, max(longest, 1) + 1, 41).round())
    for i, (name, values) in enumerate(lengths.items()):
        counts, _ = np.histogram(values, edges)
        axes.stairs(
            100 * counts / len(values), edges, label=plain_text(name), color=COLOURS[i % 7],
            linestyle=DASHES[i % 3], linewidth=1.8,
        )  # fmt: skip
    if limit <= 1.5 * longest:  # further off it would squeeze the rest
        axes.axvline(limit, color="#666666", linewidth=1.2, label=f"limit, {limit} tokens")
    axes.set_ylim(bottom=0)
    legend(figure)
    return figure
