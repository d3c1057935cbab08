"""Cosines between the tokens of one layer, exact and without a matrix of pairs.

The mean cosine over all pairs of a set of unit vectors follows from their sum ``U``: the sum over
ordered pairs is ``|U|**2 - n``. Sums of unit vectors, of each text and of all, are therefore all
that is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from frtune.study.covariance import ROUNDING

NORMAL_95 = 1.959963984540054


class Value(NamedTuple):
    """A statistic, with its 95% interval where it has one."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Layout:
    """Where the tokens of a batch are.

    Attributes:
        text: int64 ``(tokens,)``: the row in the batch that each token belongs to.
        lengths: float64 ``(batch,)``: tokens of each row, special ones not counted.
        first_is_word: Whether the first token of a text is none of the special ones.
    """

    text: torch.Tensor
    lengths: torch.Tensor
    first_is_word: bool

    def sums(self, vectors: torch.Tensor) -> torch.Tensor:
        """Sum ``(tokens, width)`` over each text: ``(batch, width)``."""
        zeros = vectors.new_zeros(len(self.lengths), vectors.shape[1])
        return zeros.index_add_(0, self.text, vectors)


class Running:
    """Mean of a number per text, with its 95% interval (normal approximation over texts)."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, 0.0, 0.0

    def add(self, values: torch.Tensor) -> None:
        """Add float64 ``values`` of shape ``(n,)``."""
        self.count += len(values)
        self.total += float(values.sum())
        self.squares += float((values**2).sum())

    def result(self) -> Value:
        """The mean; ``nan`` without values."""
        if not self.count:
            return Value(math.nan)
        mean = self.total / self.count
        if self.count < 2:
            return Value(mean)
        variance = max(0.0, self.squares - self.count * mean**2) / (self.count - 1)
        half = NORMAL_95 * math.sqrt(variance / self.count)
        return Value(mean, mean - half, mean + half)


@dataclass
class BatchLayer:
    """What the cosines of one layer need of a batch; unit vectors are float32.

    Attributes:
        units: ``(tokens, width)``.
        unit_sums: ``(batch, width)``: sums of ``units`` over each text.
        means: ``(batch, width)``: unit vectors along each text's mean vector.
        first: ``(batch, width)``: unit vectors of the first token.
    """

    units: torch.Tensor
    unit_sums: torch.Tensor
    means: torch.Tensor
    first: torch.Tensor


class LayerCosines:
    """Cosines of one layer.

    Args:
        width: Dimensions of a vector.
        types: Token types whose self-similarity is taken.
        device: Where the vectors are.
    """

    def __init__(self, width: int, types: int, device: torch.device | str = "cpu") -> None:
        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=device)

        self.total = zeros(width)  # U: sum of all unit vectors
        self.text_squares = zeros(width)  # sum over texts of U_s * U_s, by dimension
        self.first_total = zeros(width)
        self.type_sums = zeros(types, width)
        self.first_own = 0.0  # sum over texts of f_s . U_s
        self.next_sum = self.next_own = 0.0
        self.within, self.first, self.mean = Running(), Running(), Running()

    def add(self, layer: BatchLayer, layout: Layout) -> None:
        """Add a batch."""
        sums, first = layer.unit_sums.double(), layer.first.double()
        self.total += sums.sum(0)
        self.text_squares += (sums**2).sum(0)
        self.first_total += first.sum(0)
        own = (first * sums).sum(1)
        self.first_own += float(own.sum())
        n = layout.lengths
        several = n > 1
        pairs = (sums**2).sum(1) - n
        self.within.add((pairs / (n * (n - 1)))[several])
        self.first.add(((own - 1) / (n - 1))[several] if layout.first_is_word else own / n)
        self.mean.add((layer.means.double() * sums).sum(1) / n)

    def add_types(self, units: torch.Tensor, slots: torch.Tensor) -> None:
        """Add occurrences of the token types: unit vectors ``(n, width)`` and types ``(n,)``."""
        if len(slots):
            self.type_sums += units.new_zeros(self.type_sums.shape).index_add_(0, slots, units)

    def add_next(self, layer: BatchLayer, following: BatchLayer) -> None:
        """Add the cosines of a batch's tokens to themselves in the next layer."""
        self.next_sum += float((layer.units * following.units).sum(1, dtype=torch.float64).sum())
        self.next_own += float((layer.unit_sums.double() * following.unit_sums.double()).sum())


@dataclass(frozen=True)
class Counts:
    """Counts over all texts.

    Attributes:
        texts: Texts.
        tokens: Tokens, special ones not counted.
        squares: Sum over texts of their tokens squared.
        types: float64 ``(types,)``: occurrences of each token type.
    """

    texts: int
    tokens: int
    squares: int
    types: np.ndarray


def cosine_statistics(
    layer: LayerCosines, following: LayerCosines | None, counts: Counts, outliers: np.ndarray
) -> dict[str, Value]:
    """Turn the sums of a layer into its statistics.

    ``u`` are the unit vectors of the tokens, special ones left out; ``U_s`` is their sum over text
    ``s`` of ``n_s`` tokens, ``U`` over all ``N`` tokens.

    - ``cosine_between``: mean cosine of two tokens of different texts,
      ``(|U|**2 - sum |U_s|**2) / (N**2 - sum n_s**2)``; the anisotropy of Ethayarajh (2019,
      section 3.3), over all pairs instead of sampled ones.
    - ``cosine_within``: mean cosine of two different tokens of a text, ``(|U_s|**2 - n_s) /
      (n_s * (n_s - 1))``; mean over texts of two tokens and more.
    - ``cosine_mean``: mean cosine of a text's tokens to their mean vector; mean over texts
      (intra-sentence similarity, Ethayarajh 2019, definition 2).
    - ``cosine_first``: mean cosine of the vector at the first position ([CLS], ``<s>``, or the
      first token where a tokenizer puts none) to the text's other tokens; mean over texts.
    - ``cosine_next``: mean over tokens of the cosine to the same token in the next layer.
    - ``self_similarity``: mean cosine of two occurrences of one token type in different places
      (Ethayarajh 2019, definition 1); mean over the most frequent types.
    - ``outlier_cosine_share``: share of ``cosine_between`` that the outlier dimensions add to its
      sum (Timkey and van Schijndel 2021, equation 3, over all pairs of different texts).

    ``*_adjusted`` is the statistic less what the same comparison gives across texts:
    ``cosine_between`` for within, mean and self-similarity (as Ethayarajh 2019); for ``first`` the
    mean cosine of first vectors to the tokens of other texts, for ``next`` that of tokens to the
    tokens of other texts in the next layer.

    Returns:
        The statistics; a value is ``nan`` where there are too few texts, tokens or types.
        Intervals (95%, normal approximation) are over texts; those of adjusted ones take the
        correction as known.
    """
    by_dimension = layer.total**2 - layer.text_squares
    across_pairs = counts.tokens**2 - counts.squares
    between = _ratio(float(by_dimension.sum()), across_pairs)
    first_sum = float(layer.first_total @ layer.total) - layer.first_own
    first_across = _ratio(first_sum, (counts.texts - 1) * counts.tokens)
    parts = by_dimension.cpu().numpy()
    sure = abs(parts.sum()) > ROUNDING * np.abs(parts).sum()  # else a ratio of rounding
    share = float(parts[outliers].sum() / parts.sum()) if sure else math.nan
    found = {
        "outlier_cosine_share": Value(share),
        "cosine_between": Value(between),
        **_with_adjusted("cosine_within", layer.within.result(), between),
        **_with_adjusted("cosine_mean", layer.mean.result(), between),
        **_with_adjusted("cosine_first", layer.first.result(), first_across),
        **_with_adjusted("self_similarity", _self_similarity(layer, counts), between),
    }
    if following is not None:
        value = Value(_ratio(layer.next_sum, counts.tokens))
        across = float(layer.total @ following.total) - layer.next_own
        found |= _with_adjusted("cosine_next", value, _ratio(across, across_pairs))
    return found


def _with_adjusted(name: str, found: Value, baseline: float) -> dict[str, Value]:
    return {name: found, f"{name}_adjusted": Value(*(part - baseline for part in found))}


def _self_similarity(layer: LayerCosines, counts: Counts) -> Value:
    n = counts.types
    if not len(n):
        return Value(math.nan)
    squares = (layer.type_sums**2).sum(1).cpu().numpy()
    return Value(float(((squares - n) / (n * (n - 1))).mean()))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
