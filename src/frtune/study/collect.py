"""One pass over the texts: everything that a study needs of one checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize
from tqdm.auto import tqdm

from frtune.environment.process import return_freed_memory
from frtune.study.corpus import Corpus
from frtune.study.cosines import BatchLayer, Counts, LayerCosines, Layout, Value, cosine_statistics
from frtune.study.covariance import RunningCovariance, outlier_dimensions, spectrum
from frtune.study.hidden import Base, Hidden, hidden_states
from frtune.study.sampling import TokenSample
from frtune.study.settings import Settings

_QUANTILES = {"norm_q05": 0.05, "norm_q50": 0.5, "norm_q95": 0.95}
_SMALLEST_NORM = 1e-12
_BATCHES_A_TRIM = 20


@dataclass
class Collected:
    """What one pass leaves; ``layers`` counts the embeddings.

    Attributes:
        statistics: One dict a layer: name of a statistic and its value.
        arrays: ``mean``, ``variance`` float64 ``(layers, width)``; ``tokens`` float32
            ``(layers, sampled tokens, width)``; ``text_first``, ``text_mean`` float32
            ``(layers, sampled texts, width)``; ``text_keys`` int64 ``(sampled texts,)``, the hashes
            of these texts.
        broken: Layers with values that are not finite.
        probed: Whether the probes' statistics are among ``statistics``.
        notes: What could not be computed, and why.
    """

    statistics: list[dict[str, Value]]
    arrays: dict[str, np.ndarray]
    broken: list[int] = field(default_factory=list)
    probed: bool = False
    notes: list[tuple[str, str]] = field(default_factory=list)


def collect(
    base: Base, corpus: Corpus, settings: Settings, *, progress: str | None = None
) -> Collected:
    """Run a model once over all texts.

    Memory is that of a batch and of sums and samples whose size does not depend on the number of
    texts: for each layer a float64 covariance (``width**2``), ``settings.token_types`` float64
    vectors, and ``sample_tokens + 2 * sample_texts`` float32 vectors. ``progress`` labels a bar.
    """
    accumulators = _Accumulators(base, corpus, settings)
    bar = tqdm(total=len(corpus.lengths), desc=progress, disable=progress is None, unit="text")
    batches = hidden_states(base, corpus, token_budget=settings.token_budget, bf16=settings.bf16)
    for number, batch in enumerate(batches):
        accumulators.add(batch)
        bar.update(len(batch.rows))
        if number % _BATCHES_A_TRIM == 0:
            return_freed_memory()
    bar.close()
    return accumulators.result()


class _Accumulators:
    """The sums and samples of all layers."""

    def __init__(self, base: Base, corpus: Corpus, settings: Settings) -> None:
        self.corpus, self.width, self.layers = corpus, base.width, base.layers + 1
        self.sample = TokenSample.draw(corpus.keys, corpus.offsets, settings.sample_tokens)
        self.norm_sample = TokenSample.draw(corpus.keys, corpus.offsets, settings.quantile_tokens)
        self.texts = corpus.sampled_texts(settings.sample_texts)
        self.text_slot = np.full(len(corpus.lengths), -1)
        self.text_slot[self.texts] = np.arange(len(self.texts))
        self.types = corpus.frequent(settings.token_types, settings.occurrences)
        slots = np.full(int(corpus.ids.max()) + 1, -1)
        slots[self.types] = np.arange(len(self.types))
        self.type_slot = torch.from_numpy(slots).to(base.device)
        self.covariances = [RunningCovariance(base.width, base.device) for _ in range(self.layers)]
        self.cosines = [
            LayerCosines(base.width, len(self.types), base.device) for _ in range(self.layers)
        ]
        self.norm_sums = np.zeros((self.layers, 2))  # first norm's deviations, and their squares
        self.norm_shift: list[float] = []
        drawn = {"tokens": self.sample.flat, "text_first": self.texts, "text_mean": self.texts}
        self.arrays = {
            name: np.zeros((self.layers, len(items), base.width), np.float32)
            for name, items in drawn.items()
        }
        self.norms = np.zeros((self.layers, len(self.norm_sample.flat)), np.float32)

    def add(self, batch: Hidden) -> None:
        """Add a batch, layer by layer."""
        rows = np.asarray(batch.rows)
        device = batch.words.device
        lengths = self.corpus.lengths[rows]
        text = np.repeat(np.arange(len(rows)), lengths)
        layout = Layout(
            torch.from_numpy(text).to(device),
            torch.from_numpy(lengths).double().to(device),
            first_is_word=not self.corpus.before,
        )
        offsets = self.corpus.offsets
        ids = np.concatenate([self.corpus.ids[offsets[r] : offsets[r + 1]] for r in rows])
        found = _Places(
            self.sample.in_batch(offsets, rows),
            self.norm_sample.in_batch(offsets, rows),
            self.text_slot[rows],
            self.type_slot[torch.from_numpy(ids).long().to(device)],
        )
        previous: BatchLayer | None = None
        for layer in range(self.layers):
            current = self._add_layer(layer, batch, layout, found)
            if previous is not None:
                self.cosines[layer - 1].add_next(previous, current)
            previous = current

    def _add_layer(self, layer: int, batch: Hidden, layout: Layout, found: _Places) -> BatchLayer:
        vectors, first = batch.tokens(layer), batch.first(layer)
        norms = vectors.norm(dim=1)
        units = vectors / norms.clamp(min=_SMALLEST_NORM)[:, None]
        means = layout.sums(vectors) / layout.lengths.float()[:, None]
        self._add_norms(layer, norms.double(), found)
        self.covariances[layer].add(vectors)
        current = BatchLayer(units, layout.sums(units), normalize(means), normalize(first))
        self.cosines[layer].add(current, layout)
        typed = found.types >= 0
        self.cosines[layer].add_types(units[typed], found.types[typed])
        places, slots = found.tokens
        self.arrays["tokens"][layer, slots] = vectors[places].cpu().numpy()
        chosen = found.texts >= 0
        self.arrays["text_mean"][layer, found.texts[chosen]] = means.cpu().numpy()[chosen]
        self.arrays["text_first"][layer, found.texts[chosen]] = first.cpu().numpy()[chosen]
        return current

    def _add_norms(self, layer: int, norms: torch.Tensor, found: _Places) -> None:
        if len(self.norm_shift) <= layer:
            self.norm_shift.append(float(norms.mean()))
        moved = norms - self.norm_shift[layer]
        self.norm_sums[layer] += float(moved.sum()), float((moved**2).sum())
        places, slots = found.norms
        self.norms[layer, slots] = norms[places].cpu().numpy()

    def result(self) -> Collected:
        """Finish all layers."""
        lengths = self.corpus.lengths
        counts = Counts(
            len(lengths),
            int(lengths.sum()),
            int((lengths**2).sum()),
            np.bincount(self.corpus.ids)[self.types].astype(float),
        )
        means = np.stack([covariances.mean for covariances in self.covariances])
        variances = np.empty_like(means)
        statistics, broken = [], []
        for layer in range(self.layers):
            covariance = self.covariances[layer].covariance
            variances[layer] = np.diag(covariance)
            if not np.isfinite(covariance).all():
                broken.append(layer)
                statistics.append({})
                continue
            following = self.cosines[layer + 1] if layer + 1 < self.layers else None
            outliers = outlier_dimensions(means[layer])
            cosines = cosine_statistics(self.cosines[layer], following, counts, outliers)
            if not (variances[layer].any() or means[layer].any()):  # vectors of length 0
                cosines = dict.fromkeys(cosines, Value(math.nan))
            statistics.append(
                {
                    **self._norm_statistics(layer, counts.tokens),
                    "outlier_dimensions": Value(float(len(outliers))),
                    **cosines,
                    **{name: Value(v) for name, v in spectrum(covariance, means[layer]).items()},
                }
            )
        keys = self.corpus.keys[self.texts].view(np.int64)
        arrays = {"mean": means, "variance": variances, **self.arrays, "text_keys": keys}
        where = f"layers {', '.join(map(str, broken))}"
        notes = [(where, "values that are not finite")] if broken else []
        constant = [i for i, found in enumerate(statistics) if math.isnan(_rank(found))]
        if constant:
            why = "all tokens have the same vector, which leaves no spectrum and nothing to compare"
            notes.append((f"layers {', '.join(map(str, constant))}", why))
        return Collected(statistics, arrays, broken, notes=notes)

    def _norm_statistics(self, layer: int, tokens: int) -> dict[str, Value]:
        first, second = self.norm_sums[layer] / tokens
        quantiles = np.quantile(self.norms[layer].astype(float), list(_QUANTILES.values()))
        return {
            "norm_mean": Value(self.norm_shift[layer] + first),
            "norm_std": Value(math.sqrt(max(0.0, second - first**2))),
            **{name: Value(float(q)) for name, q in zip(_QUANTILES, quantiles, strict=True)},
        }


def _rank(statistics: dict[str, Value]) -> float:
    return statistics["effective_rank"].value if statistics else 0.0


@dataclass(frozen=True)
class _Places:
    """Where a batch's sampled tokens, texts and token types are; places first, then slots."""

    tokens: tuple[Any, Any]
    norms: tuple[Any, Any]
    texts: Any
    types: torch.Tensor
