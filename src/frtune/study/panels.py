"""What stands in each plot of a study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from frtune.study.result import Study
from frtune.study.tables import compared, curve, main_answers, of_checkpoint, same_layer


class Panel(NamedTuple):
    """Which statistics stand in one frame.

    Attributes:
        title: Over the frame.
        statistic: The solid line.
        solid: What the solid line is called in the legend where there is a dashed one.
        dashed: Statistic of the dashed line, and what it is called.
        band: Statistics of the lower and the upper edge of a band.
        limits: Of the vertical axis, widened where values lie outside, and left where they fill a
            small part of it; ``None``: as the values.
        unmoved: Value of two equal checkpoints, which the axis shows.
    """

    title: str
    statistic: str
    solid: str = ""
    dashed: tuple[str, str] | None = None
    band: tuple[str, str] | None = None
    limits: tuple[float | None, float | None] = (0.0, None)
    unmoved: float | None = None


UNIT, FREE = (0.0, 1.0), (None, None)


def _cosines(title: str, statistic: str) -> Panel:
    dashed = (f"{statistic}_adjusted", "less anisotropy")
    return Panel(title, statistic, "cosine", dashed, limits=UNIT)


PANELS = {
    "convergence": _cosines("Cosine between tokens of one text", "cosine_within"),
    "anisotropy": Panel("Cosine between tokens of different texts", "cosine_between", limits=UNIT),
    "self_similarity": _cosines("Cosine between a token's contexts", "self_similarity"),
    "first_token": _cosines("Cosine of the first token to the rest", "cosine_first"),
    "mean_token": _cosines("Cosine of a token to its text's mean", "cosine_mean"),
    "next_layer": _cosines("Cosine of a token to itself one layer on", "cosine_next"),
    "norms": Panel("Length of token vectors: median, 5% to 95%", "norm_q50",
                   band=("norm_q05", "norm_q95")),
    "outliers": Panel("Cosine that outlier dimensions bring", "outlier_cosine_share"),
    "rank": Panel("Directions that tokens use", "effective_rank", "effective rank",
                  ("participation_ratio", "participation ratio")),
    "components": Panel("Variance along the first components", "top1_share", "first",
                        ("top10_share", "first ten")),
    "isotropy": Panel("Isotropy of the variance (IsoScore)", "isotropy"),
    "probe_mean": Panel("Probe on a text's mean vector", "probe_mean_accuracy", limits=FREE),
    "probe_first": Panel("Probe on a text's first token", "probe_first_accuracy", limits=FREE),
    "fisher": Panel("Separation of the classes: Fisher ratio", "fisher_mean", "mean",
                    ("fisher_first", "first token")),
    "silhouette": Panel("Separation of the classes: silhouette", "silhouette_mean", "mean",
                        ("silhouette_first", "first token"), limits=FREE),
    "drift": Panel("Turn of each token: 1 - cosine", "drift_cosine", limits=UNIT, unmoved=0.0),
    "distance": Panel("Distance moved by each token", "drift_distance", unmoved=0.0),
    "procrustes": Panel("Distance after the best rotation", "procrustes", unmoved=0.0),
    "neighbours": Panel("Nearest neighbours kept", "neighbours", limits=UNIT, unmoved=1.0),
}  # fmt: skip
PAIRED = ("drift", "distance", "procrustes", "neighbours")


def plot_names(study: Study) -> list[str]:
    """Return the names of the plots that the study has numbers for."""
    names = [
        name
        for name, panel in PANELS.items()
        if any(len(curve(rows, panel.statistic)) for _, rows in lines(study, name))
    ]
    names += list(cka_pairs(study))
    return [*names, "answer"] if main_answers(study) else names


def lines(study: Study, name: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the lines of a panel: a checkpoint or a pair, and its rows."""
    if name in PAIRED:
        for a, b in compared(study, PANELS[name].statistic):
            yield f"{a} to {b}", same_layer(study.pairs, a, b)
    else:
        for checkpoint in study.checkpoints:
            yield checkpoint["name"], of_checkpoint(study, checkpoint["name"])


def cka_pairs(study: Study) -> dict[str, tuple[str, str, str]]:
    """Return the heat maps: statistic and pair, by the name of the plot.

    That of texts stands in where two checkpoints have no tokens in common.
    """
    tokens, texts = compared(study, "cka"), compared(study, "cka_texts")
    found = [(_debiased(study, "cka"), *pair) for pair in tokens]
    found += [(_debiased(study, "cka_texts"), *pair) for pair in texts if pair not in tokens]
    return {f"cka {i}": each for i, each in enumerate(found, start=1)}


def _debiased(study: Study, statistic: str) -> str:
    """The debiased estimate, where there is one: of fewer than 4 vectors there is none."""
    rows = study.pairs.loc[study.pairs["statistic"] == f"{statistic}_debiased", "value"]
    return f"{statistic}_debiased" if rows.notna().any() else statistic
