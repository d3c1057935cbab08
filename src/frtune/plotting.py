"""What all plots have in common: colours, frames, text; matplotlib without pyplot and its state.

Colours are those of Okabe and Ito (2008), told apart with every common colour blindness; each line
has a marker of its own besides.
"""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SIZE = (5.2, 3.8)  # inches: readable in a column of a page, and on a phone


def require_matplotlib() -> None:
    """Raise an ``ImportError`` that names the extra, where matplotlib is missing."""
    if not has_matplotlib():
        raise ImportError("Plots need matplotlib: pip install 'frtune[plots]'.")


def has_matplotlib() -> bool:
    """Whether the extra ``plots`` is installed."""
    return find_spec("matplotlib") is not None


def new_frame(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure with one frame, its title and the names of its axes."""
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def plain_text(name: str) -> str:
    """A name as matplotlib shows it: ``$`` is no formula, and a leading ``_`` hides nothing."""
    name = name if len(name) <= 32 else f"{name[:15]}…{name[-16:]}"
    return ("\u2009" if name.startswith("_") else "") + name.replace("$", r"\$")


def line_style(i: int) -> dict[str, Any]:
    """Colour and marker of line ``i``; earlier ones are thicker and show under later ones."""
    thin = min(i, 2)
    return {
        "color": COLOURS[i % 7],
        "marker": MARKERS[i % 7],
        "markersize": (8, 5.5, 4)[thin],
        "linewidth": (2.6, 1.6, 1.2)[thin],
    }


def whole_numbers(side: Any) -> None:
    """Put whole numbers alone on an axis."""
    from matplotlib.ticker import MaxNLocator

    side.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def legend(figure: Figure) -> None:
    """Put the legend under the frame."""
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False, handlelength=3)


def rendered(figure: Figure, kind: str) -> bytes:
    """Return a figure as the bytes of a PNG or SVG file, the same for the same figure."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # without date, creator and random ids, two runs give the same file
    with rc_context({"svg.hashsalt": "frtune"}):
        empty = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(buffer, format=kind, dpi=150, metadata=empty)
    return buffer.getvalue()
