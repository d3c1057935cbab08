"""The statistics of two checkpoints beside each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from frtune.metrics.bootstrap import bootstrap_interval
from frtune.study.pairs import both_cka, drift, neighbour_overlap, procrustes_distance
from frtune.study.settings import Settings

LEAST_ITEMS = 3


class PairValue(NamedTuple):
    """A statistic of layer ``layer_a`` of one model and ``layer_b`` of another."""

    layer_a: int
    layer_b: int
    statistic: str
    value: float
    low: float = math.nan
    high: float = math.nan


def compare_tokens(
    a: np.ndarray, b: np.ndarray, settings: Settings, *, drifts: bool = True
) -> Iterator[PairValue]:
    """Compare the same tokens in two models.

    ``drift_cosine``, ``drift_distance`` and ``neighbours`` are means over tokens with a bootstrap
    interval, and are taken, as ``procrustes`` is, of layers with the same number; ``cka`` is of
    every pair of layers, and so is ``cka_debiased``. Drift needs layers of the same width; the
    others do not.

    Args:
        a: float32 ``(layers, tokens, width)``.
        b: float32 ``(layers, tokens, width)``; layers and width may be others.
        settings: Neighbours and seed.
        drifts: Whether drift means anything: not between an encoder and a decoder.
    """
    for layer in range(min(len(a), len(b))):
        if drifts and a.shape[2] == b.shape[2]:
            cosine, distance = drift(a[layer], b[layer])
            yield _mean(layer, "drift_cosine", cosine, settings.seed)
            yield _mean(layer, "drift_distance", distance, settings.seed)
        yield PairValue(layer, layer, "procrustes", procrustes_distance(a[layer], b[layer]))
        if a.shape[1] > settings.neighbours:
            overlap = neighbour_overlap(a[layer], b[layer], k=settings.neighbours)
            yield _mean(layer, "neighbours", overlap, settings.seed)
    yield from _all_pairs("cka", a, b)


def compare_texts(a: np.ndarray, b: np.ndarray) -> Iterator[PairValue]:
    """Compare the mean vectors of the same texts: ``cka_texts`` of every pair of layers.

    Beside it stands ``cka_texts_debiased``. Both arguments are float32 ``(layers, texts, width)``;
    the tokens of the models may be others.
    """
    return _all_pairs("cka_texts", a, b)


def _all_pairs(statistic: str, a: np.ndarray, b: np.ndarray) -> Iterator[PairValue]:
    names = statistic, f"{statistic}_debiased"
    for name, values in zip(names, both_cka(list(a), list(b)), strict=True):
        for (i, j), value in np.ndenumerate(values):
            yield PairValue(i, j, name, float(value))


def _mean(layer: int, statistic: str, values: np.ndarray, seed: int) -> PairValue:
    values = values[np.isfinite(values)]  # a vector without length has none
    if not len(values):
        return PairValue(layer, layer, statistic, math.nan)
    interval = bootstrap_interval(values, seed=seed)
    return PairValue(layer, layer, statistic, float(values.mean()), *interval)
