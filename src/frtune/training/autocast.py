"""Inference under autocast: each weight is cast once, and the task's heads compute in fp32."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import PreTrainedModel

from frtune.models.weights import head_names

_HALF = (torch.bfloat16, torch.float16)


@contextlib.contextmanager
def cast_once(
    model: PreTrainedModel, autocast: Callable[[], contextlib.AbstractContextManager]
) -> Iterator[None]:
    """Compute without gradients under ``autocast()``, which keeps its copies of weights meanwhile.

    Autocast forgets them when its outermost context ends, so one context spans all batches; and it
    keeps none of frozen weights, such as the base under LoRA, so these count as trainable while no
    gradient is computed. Results are the same. The copies take half the memory of the weights, as
    in a training step; where gradient checkpointing spares it, those of frozen ones are not kept.
    The task's heads compute in fp32, see ``heads_in_fp32``.
    """
    with torch.no_grad(), heads_in_fp32(model), autocast():
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


def kept_casts(device_type: str) -> torch.autocast:
    """A context in which the casts of ``cast_once`` stay until it ends, for a thread of a server.

    Autocast forgets its casts when the outermost context of a thread ends. This one is off, and so
    changes no number; the weights must not change while it lasts.
    """
    return torch.autocast(device_type, enabled=False)


@contextlib.contextmanager
def heads_in_fp32(model: Any) -> Iterator[None]:
    """Compute the task's heads in fp32, in whatever type the base below them computes.

    A logit in bf16 has 8 bits: scores and probabilities of different rows would be equal, and ranks
    with them. A head is small, so that this costs no time. The output layer of a language model is
    no such head: its logits choose tokens and are no result. A head in bf16 that ZeRO-3 has split
    computes in bf16.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    heads = [base.get_submodule(name) for name in head_names(base)]
    # a weight that ZeRO-3 has split is in no process as a whole, and stays as it is
    heads = [head for head in heads if not any(map(_is_split_half, head.parameters()))]
    own = [vars(head).get("forward") for head in heads]
    weights = [
        (weight, weight.data)
        for head in heads
        for weight in head.parameters()
        if weight.dtype in _HALF
    ]
    try:
        for weight, data in weights:
            weight.data = data.float()
        for head in heads:
            head.forward = functools.partial(_compute_in_fp32, head.forward, model.device.type)
        yield
    finally:
        for head, forward in zip(heads, own, strict=True):
            del head.forward
            if forward is not None:  # hooks of Accelerate stand there
                head.forward = forward
        for weight, data in weights:
            weight.data = data


def _is_split_half(weight: Any) -> bool:
    return hasattr(weight, "ds_id") and weight.dtype in _HALF


def _compute_in_fp32(forward: Callable[..., Any], device: str, *args: Any, **options: Any) -> Any:
    def raised(value: Any) -> Any:
        return value.float() if isinstance(value, torch.Tensor) and value.dtype in _HALF else value

    with torch.autocast(device, enabled=False):
        return forward(*map(raised, args), **{name: raised(v) for name, v in options.items()})
