"""Plots of a study: one statistic through the layers, all checkpoints in one frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from frtune.errors import InputError, nearest
from frtune.plotting import rendered
from frtune.study.figures import draw_answer, draw_curves, draw_heat_map
from frtune.study.panels import cka_pairs, plot_names
from frtune.study.result import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot", "plot_names", "rendered", "save_plots"]


def plot(study: Study, name: str) -> Figure:
    """Draw one plot.

    Args:
        study: What ``frtune.study.study`` returned.
        name: A name of ``plot_names(study)``: one of ``PANELS``, ``answer``, or ``cka N`` for the
            pair of that number.

    Returns:
        A matplotlib figure that belongs to no window; a notebook shows it.

    Raises:
        InputError: If the study has no numbers for it.
        ImportError: Without the extra ``plots``.
    """
    known = plot_names(study)
    if name not in known:
        raise InputError(
            f"plot={name}: this study has {', '.join(known)}.{nearest(name, known)} Name one."
        )
    if name == "answer":
        return draw_answer(study)
    if name.startswith("cka"):
        return draw_heat_map(study, *cka_pairs(study)[name])
    return draw_curves(study, name)


def save_plots(study: Study, directory: str | Path) -> list[Path]:
    """Write each plot as PNG (150 dots an inch) and SVG.

    Args:
        study: What ``frtune.study.study`` returned.
        directory: Where to; made if missing.

    Returns:
        The files written, ``NAME.png`` and ``NAME.svg``.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in plot_names(study):
        figure = plot(study, name)
        for kind in ("png", "svg"):
            path = folder / f"{name.replace(' ', '_')}.{kind}"
            path.write_bytes(rendered(figure, kind))
            written.append(path)
    return written
