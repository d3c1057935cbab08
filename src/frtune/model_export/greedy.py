"""Greedy decoding: of the graphs of an encoder-decoder, and of PyTorch to compare them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from frtune.model_export.graphs import DECODER, ENCODER, WITH_PAST
from frtune.models.onnx_graph import open_session
from frtune.tasks.generated import Generated

Batch = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Ends:
    """What begins and ends a text that is written.

    Attributes:
        start_id: The decoder's first token.
        end_ids: Tokens that end a text.
        pad_id: Stands behind the end of a text.
        limit: Tokens that are written at most.
    """

    start_id: int
    end_ids: tuple[int, ...]
    pad_id: int
    limit: int


@dataclass(frozen=True)
class Written:
    """What was written for a batch.

    Attributes:
        ids: int64, ``(batch, steps)``, without the decoder's first token.
        logits: float32, ``(batch, steps, vocabulary)``: by which each was chosen; ``None`` where
            nobody asked for them, since of many rows they fill the memory.
    """

    ids: np.ndarray
    logits: np.ndarray | None

    def generated(self, ends: Ends) -> list[Generated]:
        """Each row up to its end, as a task reads it."""
        found = []
        for row in self.ids.tolist():
            stop = next((i + 1 for i, each in enumerate(row) if each in ends.end_ids), None)
            found.append(Generated(row[:stop], stop is not None))
        return found


class GraphWriter:
    """The graphs of an encoder-decoder, open.

    Args:
        folder: Where they are.
        names: Their files: encoder, decoder, decoder with past.
    """

    def __init__(self, folder: Path, names: Sequence[str] = (ENCODER, DECODER, WITH_PAST)):
        self.encoder, self.decoder, self.with_past = (open_session(folder / n) for n in names)

    def write(
        self, batch: Batch, ends: Ends, *, scored: bool = False, forced: np.ndarray | None = None
    ) -> Written:
        """Write after each row of a batch.

        Args:
            batch: ``input_ids`` and ``attention_mask``, int64 of shape ``(batch, length)``.
            ends: Where to begin and to end.
            scored: Keep the logits.
            forced: Ids to go on from, ``(batch, steps)``, in the place of the best ones.
        """
        mask = batch["attention_mask"].numpy()
        hidden = self.encoder.run(
            None, {"input_ids": batch["input_ids"].numpy(), "attention_mask": mask}
        )[0]
        token = np.full((len(mask), 1), ends.start_id, dtype=np.int64)
        given = {"encoder_attention_mask": mask, "encoder_hidden_states": hidden}
        session, past, ids, logits = self.decoder, {}, [], []
        ended = np.zeros(len(mask), dtype=bool)
        steps = ends.limit if forced is None else forced.shape[1]
        for step in range(steps):
            names = [each.name for each in session.get_outputs()]
            found = dict(zip(names, session.run(None, {**given, "input_ids": token}), strict=True))
            last = found.pop("logits")[:, -1]  # (batch, vocabulary)
            logits += [last] if scored else []
            best = last.argmax(-1) if forced is None else forced[:, step]
            ids.append(np.where(ended, ends.pad_id, best))
            ended |= np.isin(ids[-1], ends.end_ids)
            if forced is None and ended.all():
                break
            token = ids[-1][:, None]
            past |= {name.replace("present", "past_key_values"): v for name, v in found.items()}
            session, given = self.with_past, {"encoder_attention_mask": mask, **past}
        return Written(np.stack(ids, 1), np.stack(logits, 1) if scored else None)


def write_with_model(model: Any, batch: Batch, ends: Ends, *, scored: bool = False) -> Written:
    """The same by ``model.generate``, whatever its own settings of generation say."""
    own = model.generation_config
    model.generation_config = GenerationConfig(
        decoder_start_token_id=ends.start_id,
        eos_token_id=list(ends.end_ids),
        pad_token_id=ends.pad_id,
    )
    try:
        with torch.no_grad():
            found = model.generate(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                max_new_tokens=ends.limit,
                do_sample=False,
                num_beams=1,
                use_cache=True,
                output_logits=scored,
                return_dict_in_generate=True,
            )
    finally:
        model.generation_config = own
    ids = found.sequences[:, 1:].numpy()
    return Written(ids, torch.stack(found.logits, 1).numpy() if scored else None)
