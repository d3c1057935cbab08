"""The last question: does the convergence of the cosines tell how well a layer classifies?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from frtune.study.cosines import NORMAL_95
from frtune.study.covariance import ROUNDING

CURVES = (
    "cosine_within_adjusted",
    "cosine_within",
    "cosine_between",
    "cosine_first_adjusted",
    "self_similarity_adjusted",
)
ACCURACIES = ("probe_mean_accuracy", "probe_first_accuracy")
LEAST_LAYERS = 3


def convergence(
    layers: pd.DataFrame,
    *,
    curves: tuple[str, ...] = CURVES,
    accuracies: tuple[str, ...] = ACCURACIES,
) -> list[dict[str, Any]]:
    """Correlate curves through the layers with the probes' accuracy, one layer a point.

    Pearson's interval is Fisher's (1915, the z transformation); Spearman's is that of Bonett and
    Wright (2000). Layers build on each other and are few, so that an interval is a rough one, and
    a correlation is no cause.

    Args:
        layers: Tidy frame with ``layer``, ``statistic``, ``value`` and, of several checkpoints,
            ``checkpoint``, as ``study`` and ``layer_statistics`` with ``probe_layers`` give it.
        curves: Statistics that may tell the accuracy.
        accuracies: Statistics to be told.

    Returns:
        One dict per checkpoint and pair of statistics: ``checkpoint``, ``x``, ``y``, ``statistic``
        (``pearson`` or ``spearman``), ``value``, ``low``, ``high`` (95%), ``n`` layers. Pairs with
        fewer than 3 layers, or with a curve that is constant, are left out; ``low`` and ``high``
        are ``nan`` with fewer than 4.

    Example:
        >>> import pandas as pd
        >>> rows = [(i, "cosine_within", i / 10) for i in range(5)]
        >>> rows += [(i, "probe_mean_accuracy", a) for i, a in enumerate([0.5, 0.6, 0.6, 0.8, 0.7])]
        >>> found = convergence(pd.DataFrame(rows, columns=["layer", "statistic", "value"]))
        >>> round(found[0]["value"], 3), found[0]["n"]
        (0.832, 5)
    """
    found = []
    frames = layers.groupby("checkpoint", sort=False) if "checkpoint" in layers else [("", layers)]
    for checkpoint, frame in frames:
        table = frame.pivot(index="layer", columns="statistic", values="value")
        for x, y in itertools.product(curves, accuracies):
            if x in table and y in table:
                pair = {"checkpoint": checkpoint, "x": x, "y": y}
                both = table[[x, y]].dropna().to_numpy()
                found += [pair | row for row in _correlations(both[:, 0], both[:, 1])]
    return found


def _correlations(x: np.ndarray, y: np.ndarray) -> Iterator[dict[str, Any]]:
    n = len(x)
    if n < LEAST_LAYERS or _is_constant(x) or _is_constant(y):
        return
    for statistic, correlate in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        value = float(correlate(x, y)[0])
        low, high = _interval(value, n, 1 + value**2 / 2 if statistic == "spearman" else 1.0)
        yield {"statistic": statistic, "value": value, "low": low, "high": high, "n": n}


def _is_constant(values: np.ndarray) -> bool:
    """Whether values differ by rounding alone: the cosine of a constant layer is 1 but for that."""
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


def _interval(value: float, n: int, variance: float) -> tuple[float, float]:
    """Interval of a correlation by its z transformation, of standard error sqrt(variance/(n-3))."""
    if n < 4:
        return math.nan, math.nan
    if abs(value) >= 1 - 1e-12:
        return value, value
    half = NORMAL_95 * math.sqrt(variance / (n - 3))
    return math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)
