"""Log probabilities of the tokens that ``generate`` chose, by the model's own softmax."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, StoppingCriteria

_BYTES = 2**29  # of the logits of a search with beams


class TokenLogProbs(StoppingCriteria):
    """Note each step's tokens with their log probabilities; it stops nothing.

    ``generate`` keeps either all logits of all steps or none. This keeps one number a token. The
    logits come from a hook, before any setting of generation changes them.
    """

    def __init__(self):
        self.logits: Any = None
        self.steps: list[torch.Tensor] = []

    @contextlib.contextmanager
    def of(self, model: Any) -> Iterator[None]:
        """Look at what this model computes."""
        # an adapter's ``generate`` is that of the model below it, whose forward alone is called
        own = model.get_base_model() if hasattr(model, "peft_config") else model
        hook = own.register_forward_hook(self._look)
        try:
            yield
        finally:
            hook.remove()

    def _look(self, module: Any, inputs: Any, output: Any) -> None:
        self.logits = output.logits[:, -1]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **options: Any) -> torch.Tensor:
        """Note the newest tokens; no row is done by it."""
        self.steps.append(_log_probs(self.logits, input_ids[:, -1]))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    def rows(self) -> list[list[float]]:
        """Log probabilities of each row's tokens."""
        return torch.stack(self.steps, 1).tolist()


def _log_probs(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    logits = logits.float()  # (rows, vocabulary)
    return logits.gather(1, tokens[:, None]).squeeze(1) - logits.logsumexp(-1)


def beam_rows(model: PreTrainedModel, beams: int, steps: int) -> int:
    """How many rows a search with beams may hold the logits of."""
    size = model.config.get_text_config().vocab_size
    return max(1, _BYTES // (4 * beams * steps * size))


def beam_log_probs(
    ids: torch.Tensor, logits: Sequence[torch.Tensor], beam_indices: torch.Tensor
) -> list[list[float]]:
    """Log probabilities of the ids that beams wrote.

    Args:
        ids: Written ids, int64 ``(rows, steps)``.
        logits: Of each step, ``(rows x beams, vocabulary)``.
        beam_indices: The row of ``logits`` that each id came from, ``(rows, steps)``; -1 beyond
            the end.
    """
    steps = [
        _log_probs(step[beam_indices[:, i].clamp(min=0)], ids[:, i])
        for i, step in enumerate(logits[: ids.shape[1]])
    ]
    return torch.stack(steps, 1).tolist()
