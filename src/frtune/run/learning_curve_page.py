"""The page of a learning curve, its figure, and the table at the end of the command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from frtune.html import figure_data, render
from frtune.names import counted
from frtune.plotting import COLOURS, has_matplotlib, legend, new_frame, plain_text
from frtune.run.learning_curve_summary import LearningCurve, meaning, points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_FILE = "learning_curve.html"


def curve_page(found: LearningCurve, title: str, notes: Sequence[str] = ()) -> str:
    """The page, as text: it stands alone. ``notes`` are what was decided about the data."""
    figure = curve_figure(found) if has_matplotlib() else None
    law = found.law
    return render(
        "run/learning_curve.html.jinja",
        title=title,
        found=found,
        meaning=meaning(found),
        validation=counted(found.validation_rows, "validation row"),
        figure=figure and figure_data(figure),
        fitted=law and [float(found.sign * law.score(each.rows)) for each in found.shares],
        law=law and f"{found.sign * law.limit:.3f}, exponent {law.exponent:.2f}",
        points=points,
        notes=notes,
    )


def curve_figure(found: LearningCurve) -> Figure:
    """Draw the score by training rows: each seed, the curve with its interval, and the check."""
    largest = found.shares[-1].rows
    figure, axes = new_frame(
        "Score by training rows", "training rows (logarithmic)", plain_text(found.score)
    )
    axes.set_xscale("log")
    for share in found.shares:
        axes.plot(
            [share.rows] * len(share.scores), share.scores, "o", color=COLOURS[0], markersize=4,
            alpha=0.7, label="one seed" if share is found.shares[0] else None,
        )  # fmt: skip
    law, sign = found.law, found.sign
    if law is not None:
        x = np.geomspace(found.shares[0].rows, 4 * largest, 120)
        low, high = law.band(x)
        axes.plot(x, sign * law.score(x), color=COLOURS[1], label="power law")
        axes.fill_between(
            x, sign * low, sign * high, color=COLOURS[1], alpha=0.18, label="its 95 % interval"
        )
        axes.axvline(largest, color="#666666", linestyle=":", linewidth=1.2, label="rows there are")
    if found.check is not None:
        told = found.check.forecast
        ends = [[told.score - told.low], [told.high - told.score]]
        axes.errorbar(
            [told.rows * 1.06], [told.score], yerr=ends, fmt="D", color=COLOURS[2], markersize=5,
            capsize=3, label="forecast without the largest",
        )  # fmt: skip
    rows = [share.rows for share in found.shares]
    rows += [each.rows for each in found.forecasts]
    axes.set_xticks(rows, [f"{each:,}" for each in rows], rotation=30)
    axes.minorticks_off()
    legend(figure)
    return figure


def curve_table(found: LearningCurve, directory: str) -> None:
    """Print the shares, and what more rows would bring."""
    console = Console()
    table = Table(title=f"{found.score} on the validation rows, {len(found.seeds)} seeds")
    for name in ("training rows", "mean", "lowest", "highest"):
        table.add_column(name, justify="right")
    for share in found.shares:
        values = (share.mean, min(share.scores), max(share.scores))
        table.add_row(f"{share.rows:,}", *(f"{value:.4f}" for value in values))
    console.print(table)
    for sentence in meaning(found):
        console.print(sentence, soft_wrap=True, highlight=False)
    console.print(f"{directory}/{PAGE_FILE}", soft_wrap=True)
