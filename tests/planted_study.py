"""Studies whose numbers are planted, so that words and plots can be checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from frtune.study.result import Study

COSINES = {
    "cosine_within": (0.2, 0.3), "self_similarity": (0.9, 0.5), "cosine_first": (0.1, 0.3),
    "cosine_next": (0.8, 0.9), "cosine_mean": (0.4, 0.5),
}  # fmt: skip
CURVES = COSINES | {
    "norm_mean": (10, 14), "norm_std": (1, 2), "norm_q05": (8, 10), "norm_q50": (10, 14),
    "norm_q95": (12, 19), "outlier_dimensions": (2, 3), "outlier_cosine_share": (0.2, 0.4),
    "cosine_between": (0.1, 0.15), "effective_rank": (120, 80), "participation_ratio": (60, 30),
    "top1_share": (0.05, 0.1), "top10_share": (0.2, 0.3), "isotropy": (0.4, 0.3),
    "fisher_first": (0.01, 0.1), "fisher_mean": (0.02, 0.2), "silhouette_first": (0.0, 0.1),
    "silhouette_mean": (0.0, 0.1), "probe_first_accuracy": (0.55, 0.7),
    "probe_mean_accuracy": (0.6, 0.75),
}  # fmt: skip
DRIFTS = {
    "drift_cosine": (0.0, 0.5), "drift_distance": (0.0, 1.1), "procrustes": (0.0, 0.9),
    "neighbours": (1.0, 0.3),
}  # fmt: skip


def study(
    names: tuple[str, ...] = ("raw", "tuned"),
    changes: dict[tuple[str, int], float] | None = None,
    *,
    layers: int = 4,
    r: tuple[float, float, float] = (-0.83, -0.95, -0.4),
    without: tuple[str, ...] = (),
) -> Study:
    """Make a study.

    Args:
        names: Checkpoints; all have the same curves.
        changes: Values of the last checkpoint that are others, by statistic and layer.
        layers: Blocks.
        r: The correlation that answers the question, with its interval.
        without: Statistics that are missing.
    """
    table = [
        row
        for name in names
        for row in _layer_rows(name, layers, (changes or {}) if name == names[-1] else {})
        if row["statistic"] not in without
    ]
    pairs = [
        row
        for name in names[1:]
        for row in _pair_rows(names[0], name, layers)
        if row["statistic"] not in without
    ]
    columns = ["a", "b", "layer_a", "layer_b", "statistic", "value", "low", "high"]
    return Study(
        layers=pd.DataFrame(table),
        pairs=pd.DataFrame(pairs, columns=columns),
        dimensions=pd.DataFrame(columns=["checkpoint", "layer", "dimension", "mean", "variance"]),
        answers=[
            _answer(name, *r, layers + 1) for name in names if "probe_mean_accuracy" not in without
        ],
        checkpoints=[
            {"name": name, "path": f"/models/{name}", "family": "bert", "kind": "encoder",
             "model_type": "bert", "layers": layers, "width": 384, "weights_hash": "ab12"}
            for name in names
        ],
        data={
            "texts": 500, "blank_texts": 0, "tokens": {"real": 12000, "special": 1000},
            "cut_texts": 3, "max_tokens": 512,
            "labels": {"0": 260, "1": 240}, "hash": "5f",
        },
        settings={"seed": 42, "max_tokens": 512},
        skipped=[],
    )  # fmt: skip


def _layer_rows(
    name: str, layers: int, changes: dict[tuple[str, int], float]
) -> list[dict[str, Any]]:
    values = {key: np.linspace(*ends, layers + 1) for key, ends in CURVES.items()}
    values |= {f"{key}_adjusted": values[key] - values["cosine_between"] for key in COSINES}
    return [
        {"checkpoint": name, "layer": layer, "statistic": statistic, "value": value,
         "low": value - spread, "high": value + spread}
        for statistic, points in values.items()
        for spread in [0.02 if statistic.startswith("probe") else np.nan]
        for layer, point in enumerate(points)
        for value in [changes.get((statistic, layer), float(point))]
    ]  # fmt: skip


def _pair_rows(a: str, b: str, layers: int) -> list[dict[str, Any]]:
    values = [
        (i, i, statistic, value)
        for statistic, ends in DRIFTS.items()
        for i, value in enumerate(np.linspace(*ends, layers + 1))
    ]
    places = range(layers + 1)
    values += [(i, j, "cka", 0.9 ** (i + j)) for i in places for j in places]
    return [
        {"a": a, "b": b, "layer_a": i, "layer_b": j, "statistic": statistic, "value": value,
         "low": np.nan, "high": np.nan}
        for i, j, statistic, value in values
    ]  # fmt: skip


def _answer(name: str, value: float, low: float, high: float, n: int) -> dict[str, Any]:
    return {
        "checkpoint": name, "x": "cosine_within_adjusted", "y": "probe_mean_accuracy",
        "statistic": "pearson", "value": value, "low": low, "high": high, "n": n,
    }  # fmt: skip
