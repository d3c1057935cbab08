"""Inference under autocast that casts each weight once, and not in every batch and token."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from transformers import PreTrainedModel


@contextlib.contextmanager
def cast_once(
    model: PreTrainedModel, autocast: Callable[[], contextlib.AbstractContextManager]
) -> Iterator[None]:
    """Compute without gradients under ``autocast()``, which keeps its copies of weights meanwhile.

    Autocast forgets them when its outermost context ends, so one context spans all batches; and it
    keeps none of frozen weights, such as the base under LoRA, so these count as trainable while no
    gradient is computed. Results are the same. The copies take half the memory of the weights, as
    in a training step; where gradient checkpointing spares it, those of frozen ones are not kept.
    """
    with torch.no_grad(), autocast():
        spared = any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
        kept = torch.is_autocast_enabled(model.device.type) and not spared
        # quantised weights are of other classes and types, and are not cast
        plain = (p for p in model.parameters() if type(p) is torch.nn.Parameter)
        frozen = [p for p in plain if kept and p.dtype == torch.float32 and not p.requires_grad]
        try:
            for parameter in frozen:
                parameter.requires_grad_(True)
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)
