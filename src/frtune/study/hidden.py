"""Hidden states of a model, batch by batch, without padding and special tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from frtune.models.families import family_for
from frtune.study.corpus import Corpus
from frtune.tasks.base import ModelKind


@dataclass(frozen=True)
class Base:
    """The part of a model that makes hidden states.

    Attributes:
        model: The module without its head; of an encoder-decoder, the encoder.
        kind: As the family's.
        layers: Blocks; there is one more layer, the embeddings.
        width: Dimensions of a hidden state.
        pad_id: Token id that padding is filled with; it is masked, so that any would do.
    """

    model: Any
    kind: ModelKind
    layers: int
    width: int
    pad_id: int

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device


def base_of(model: Any) -> Base:
    """Find the part of a Transformers or PEFT model that makes hidden states.

    Raises:
        InputError: If no family covers the model.
    """
    if hasattr(model, "get_base_model"):  # PEFT; the adapter's layers stay in place
        model = model.get_base_model()
    config = model.config
    kind = family_for(config.model_type).kind
    inner = model.base_model
    if kind == "encoder-decoder":
        inner = inner.get_encoder()
    return Base(inner, kind, config.num_hidden_layers, config.hidden_size, config.pad_token_id or 0)


@dataclass(frozen=True)
class Hidden:
    """A batch's hidden states.

    Attributes:
        rows: Rows of the corpus.
        states: One float32 tensor ``(batch, length, width)`` a layer, padding included.
        words: int64 ``(tokens,)``: places of the tokens that are neither padding nor special, in
            the states seen as ``(batch * length, width)``; text by text.
    """

    rows: Sequence[int]
    states: Sequence[torch.Tensor]
    words: torch.Tensor

    def tokens(self, layer: int) -> torch.Tensor:
        """Tokens of one layer that are neither padding nor special, float32 (tokens, width)."""
        return self.states[layer].flatten(0, 1)[self.words].float()

    def first(self, layer: int) -> torch.Tensor:
        """The vectors at the first position, float32 ``(batch, width)``."""
        return self.states[layer][:, 0].float()


def hidden_states(base: Base, corpus: Corpus, *, token_budget: int, bf16: bool) -> Iterator[Hidden]:
    """Run a model over a corpus in evaluation mode, longest texts first.

    Layer 0 is the embeddings, layer ``i`` the output of block ``i``, as Transformers returns them
    with ``output_hidden_states=True``: the last one of a decoder has its final norm applied.
    """
    training = base.model.training
    base.model.eval()
    options = {"use_cache": False} if base.kind == "decoder" else {}
    autocast = torch.autocast(base.device.type, dtype=torch.bfloat16, enabled=bf16)
    try:
        for rows in corpus.batches(token_budget):
            ids, mask = corpus.padded(rows, pad_id=base.pad_id)
            with torch.inference_mode(), autocast:
                out = base.model(
                    input_ids=torch.from_numpy(ids).to(base.device),
                    attention_mask=torch.from_numpy(mask).to(base.device),
                    output_hidden_states=True,
                    **options,
                )
            starts = ids.shape[1] * np.arange(len(rows)) + len(corpus.before)
            pairs = zip(starts, corpus.lengths[rows].tolist(), strict=True)
            words = np.concatenate([start + np.arange(length) for start, length in pairs])
            yield Hidden(rows, out.hidden_states, torch.from_numpy(words).to(base.device))
    finally:
        base.model.train(training)
