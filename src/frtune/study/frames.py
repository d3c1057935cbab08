"""Tidy frames of what was found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from frtune.study.collect import Collected


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


def pair_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """``a``, ``b``, ``layer_a``, ``layer_b``, ``statistic``, ``value``, ``low``, ``high``."""
    columns = ["a", "b", "layer_a", "layer_b", "statistic", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)  # type: ignore[arg-type]


def dimension_frame(found: Iterable[tuple[str, Collected]]) -> pd.DataFrame:
    """``checkpoint``, ``layer``, ``dimension``, ``mean``, ``variance``; one row a dimension."""
    frames = []
    for name, collected in found:
        mean, variance = collected.arrays["mean"], collected.arrays["variance"]
        layer, dimension = np.indices(mean.shape)
        frames.append(
            pd.DataFrame(
                {
                    "checkpoint": name,
                    "layer": layer.ravel(),
                    "dimension": dimension.ravel(),
                    "mean": mean.ravel(),
                    "variance": variance.ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
