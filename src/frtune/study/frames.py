"""Tidy frames of what was found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from frtune.study.collect import Collected
from frtune.study.compare import PairValue


def layer_frame(found: Iterable[tuple[str, Collected]]) -> pd.DataFrame:
    """``checkpoint``, ``layer``, ``statistic``, ``value``, ``low``, ``high``; one row a number."""
    rows = [
        (name, layer, statistic, *value)
        for name, collected in found
        for layer, statistics in enumerate(collected.statistics)
        for statistic, value in statistics.items()
    ]
    columns = ["checkpoint", "layer", "statistic", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)  # type: ignore[arg-type]


def pair_frame(found: Iterable[tuple[str, str, PairValue]]) -> pd.DataFrame:
    """``a``, ``b``, ``layer_a``, ``layer_b``, ``statistic``, ``value``, ``low``, ``high``."""
    columns = ["a", "b", *PairValue._fields]
    return pd.DataFrame([(a, b, *value) for a, b, value in found], columns=columns)  # type: ignore[arg-type]


def dimension_frame(found: Iterable[tuple[str, Collected]]) -> pd.DataFrame:
    """``checkpoint``, ``layer``, ``dimension``, ``mean``, ``variance``; one row a dimension."""
    frames = []
    for name, collected in found:
        mean, variance = collected.arrays["mean"], collected.arrays["variance"]
        layer, dimension = np.indices(mean.shape)
        columns = {"layer": layer, "dimension": dimension, "mean": mean, "variance": variance}
        flat = {key: each.ravel() for key, each in columns.items()}
        frames.append(pd.DataFrame({"checkpoint": name, **flat}))
    return pd.concat(frames, ignore_index=True)
