"""The plots of a study.

Each checkpoint has a colour and a marker; a second statistic in the frame has a dashed line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from frtune.plotting import MARKERS, legend, line_style, new_frame, plain_text, whole_numbers
from frtune.study.covariance import ROUNDING
from frtune.study.definitions import DEFINITIONS
from frtune.study.panels import PANELS, lines
from frtune.study.result import Study
from frtune.study.tables import curve, main_answers, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LAYER = "layer (0 = embeddings)"
SMALL_PART = 0.25  # of an axis, below which changes are hard to see


def draw_curves(study: Study, name: str) -> Figure:
    """Draw statistics through the layers, a line for each checkpoint or pair."""
    panel = PANELS[name]
    figure, axes = new_frame(panel.title, LAYER, DEFINITIONS[panel.statistic].label)
    drawn = []
    for i, (label, rows) in enumerate(lines(study, name)):
        style, label = line_style(i), plain_text(label)
        first = f"{label}, {panel.solid}" if panel.solid else label
        drawn.append(_curve(axes, rows, panel.statistic, first, style))
        if panel.band:
            low, high = (curve(rows, edge) for edge in panel.band)
            if len(low) and low.index.equals(high.index):
                axes.fill_between(low.index, low, high, color=style["color"], alpha=0.15, lw=0)
                drawn += [low, high]
        if panel.dashed and len(curve(rows, panel.dashed[0])):
            style |= {"linestyle": "--", "markerfacecolor": "white"}
            drawn.append(_curve(axes, rows, panel.dashed[0], f"{label}, {panel.dashed[1]}", style))
    if name.startswith("probe"):
        drawn += _majority_line(axes, study)
    if panel.unmoved is not None:
        drawn.append([panel.unmoved])
    _limits(axes, panel.limits, np.concatenate([np.asarray(each, float) for each in drawn]))
    whole_numbers(axes.xaxis)
    legend(figure)
    return figure


def draw_answer(study: Study) -> Figure:
    """Draw convergence against probe accuracy, a point for each layer."""
    figure, axes = new_frame(
        "Does convergence tell how well a layer classifies?\n(numbers are layers)",
        "cosine between tokens of one text, less anisotropy",
        "probe accuracy, mean vector",
    )
    for i, answer in enumerate(main_answers(study)):
        found = points(study, answer)
        style = {**line_style(i), "linewidth": 0.8}
        axes.plot(found["x"], found["y"], label=plain_text(answer["checkpoint"]), **style)
        for layer, point in found.iterrows():
            beside = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 8}
            axes.annotate(str(layer), (point["x"], point["y"]), **beside)
    legend(figure)
    return figure


def draw_heat_map(study: Study, statistic: str, a: str, b: str) -> Figure:
    """Draw CKA between every layer of ``a`` and every layer of ``b``."""
    pairs = study.pairs
    rows = pairs[(pairs["statistic"] == statistic) & (pairs["a"] == a) & (pairs["b"] == b)]
    grid = rows.pivot(index="layer_a", columns="layer_b", values="value")
    figure, axes = new_frame(
        f"Likeness of layers ({DEFINITIONS[statistic].name})",
        f"layer of {plain_text(b)}",
        f"layer of {plain_text(a)}",
    )
    axes.grid(False)
    numbers = grid.to_numpy(float)
    low, high = _ends(numbers[np.isfinite(numbers)], 0.0, 1.0)
    image = axes.imshow(grid, origin="lower", cmap="cividis", vmin=low, vmax=high, aspect="auto")
    figure.colorbar(image, ax=axes, label="CKA (1 = alike)")
    for set_ticks, layers in ((axes.set_xticks, grid.columns), (axes.set_yticks, grid.index)):
        step = 1 + len(layers) // 14
        set_ticks(range(0, len(layers), step), list(layers[::step]))
    if max(grid.shape) <= 13:
        digits = 2 if high - low > 0.1 else 3
        for (i, j), value in np.ndenumerate(numbers):
            colour = "black" if value > (low + high) / 2 else "white"
            shown = f"{value:.{digits}f}" if np.isfinite(value) else "none"
            axes.text(j, i, shown, ha="center", va="center", color=colour, fontsize=7)
    return figure


def _curve(
    axes: Axes, rows: pd.DataFrame, statistic: str, label: str, style: dict[str, Any]
) -> pd.Series:
    """Draw a statistic, with its intervals where it has them; return all heights drawn."""
    values = curve(rows, statistic)
    low, high = curve(rows, statistic, "low"), curve(rows, statistic, "high")
    # wide intervals stand beside each other, or one would hide the other
    wide = statistic.startswith("probe")
    shift = 0.12 * MARKERS.index(style["marker"]) if wide else 0.0
    axes.plot(values.index + shift, values, label=label, clip_on=False, **style)
    if not len(low):
        return values
    high = high.reindex(low.index)
    axes.vlines(low.index + shift, low, high, color=style["color"], alpha=0.5, lw=2, zorder=1)
    return pd.concat([values, low, high])


def _limits(axes: Axes, limits: tuple[float | None, float | None], values: np.ndarray) -> None:
    """Set the vertical axis to ``limits`` and further where values lie outside.

    Values that would fill a small part of it alone get an axis of their own.
    """
    if not len(values):
        return
    bottom, top = limits
    low, high = _ends(
        values, values.min() if bottom is None else bottom, values.max() if top is None else top
    )
    margin = 0.04 * (high - low) or 0.04
    axes.set_ylim(low if low == bottom else low - margin, high + margin)
    axes.ticklabel_format(axis="y", useOffset=False)


def _ends(values: np.ndarray, bottom: float, top: float) -> tuple[float, float]:
    """The usual ends, widened to hold the values; or the values' own, if these are close together.

    Values that differ by rounding alone are drawn as what they are, a line.
    """
    low, high = float(values.min()), float(values.max())
    bottom, top = min(bottom, low), max(top, high)
    rounding = ROUNDING * max(abs(low), abs(high), 1.0)
    if rounding < high - low < SMALL_PART * (top - bottom):
        return low, high
    return bottom, top


def _majority_line(axes: Axes, study: Study) -> list[pd.Series]:
    """Draw the accuracy of always saying the largest class, and return its height."""
    counts = list((study.data.get("labels") or {}).values())
    if not counts:
        return []
    share = max(counts) / sum(counts)
    axes.axhline(share, color="#666666", linestyle=":", label="always the largest class")
    return [pd.Series([share])]
