"""Reading a study's tables: one statistic by layer, and what is compared with what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from frtune.study.result import Study

QUESTION = ("cosine_within_adjusted", "probe_mean_accuracy", "pearson")


def curve(frame: pd.DataFrame, statistic: str, column: str = "value") -> pd.Series:
    """Return one column of a statistic by layer, from rows of one checkpoint or pair.

    Layers without a finite number are left out.
    """
    rows = frame[frame["statistic"] == statistic]
    layer = "layer" if "layer" in rows else "layer_a"
    found = rows.set_index(layer)[column].astype(float).sort_index()
    return found[np.isfinite(found)]


def layers_of(frame: pd.DataFrame, statistic: str) -> list[int]:
    """Return the layers that have a statistic, with a finite value or without."""
    rows = frame[frame["statistic"] == statistic]
    return sorted(rows["layer" if "layer" in rows else "layer_a"])


def of_checkpoint(study: Study, name: str) -> pd.DataFrame:
    """Return the rows of one checkpoint."""
    return study.layers.loc[study.layers["checkpoint"] == name]


def same_layer(pairs: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Return the rows of a pair that compare a layer with the layer of the same number."""
    chosen = (pairs["a"] == a) & (pairs["b"] == b) & (pairs["layer_a"] == pairs["layer_b"])
    return pairs.loc[chosen]


def compared(study: Study, statistic: str) -> list[tuple[str, str]]:
    """Return the pairs of different checkpoints that have a statistic, in the study's order."""
    rows = study.pairs.loc[study.pairs["statistic"] == statistic]
    return [(a, b) for a, b in dict.fromkeys(zip(rows["a"], rows["b"], strict=True)) if a != b]


def identical(study: Study, a: str, b: str) -> bool:
    """Whether a study found the same vectors in two checkpoints; its notes say so."""
    return any(
        note["what"] == f"{a} and {b}" and note["why"].startswith("identical")
        for note in study.notes
    )


def main_answers(study: Study) -> list[dict[str, Any]]:
    """Return the answers to the study's question, one a checkpoint.

    It is Pearson's correlation of the cosines within a text, less anisotropy, with the accuracy of
    the probe on the mean vector.
    """
    return [a for a in study.answers if (a["x"], a["y"], a["statistic"]) == QUESTION]


def rank_answer(study: Study, answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return Spearman's correlation of the same curves as an answer of Pearson's."""
    same = {**{key: answer[key] for key in ("checkpoint", "x", "y")}, "statistic": "spearman"}
    return next((a for a in study.answers if same.items() <= a.items()), None)


def points(study: Study, answer: dict[str, Any]) -> pd.DataFrame:
    """Convergence and probe accuracy of one checkpoint by layer, in columns ``x`` and ``y``."""
    rows = of_checkpoint(study, answer["checkpoint"])
    x, y = curve(rows, answer["x"]), curve(rows, answer["y"])
    return pd.DataFrame({"x": x, "y": y}).dropna()
