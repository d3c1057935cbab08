"""Proofs that cost little and speak up: of a tokenizer at load, of a model after saving."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from frtune.models.loading import load_saved
from frtune.models.probe import probe_logits
from frtune.models.tokenizer_files import PROBES
from frtune.tasks.base import Task

_TOLERANCE = {"float32": 1e-4, "quantized": 1e-2, "half": 3e-2, "quantized half": 1e-1}


def prove_saved(
    directory: str | os.PathLike[str],
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    batch: Mapping[str, Any],
    *,
    expected: Any = None,
) -> float:
    """Reload a saved model from disk; its logits must be those of the model in memory.

    The model in memory is a full one or one with an adapter. For the time of the proof, the memory
    of a second model is needed.

    Args:
        directory: What was saved.
        model: The model in memory; its mode is kept.
        tokenizer: Its tokenizer; the reloaded one must give the same ids.
        task: Its task.
        batch: Model inputs: ``input_ids``, ``attention_mask``, ..., each ``(batch, length)``.
        expected: ``probe_logits`` of the model and the batch, where the model is split by ZeRO-3
            and all ranks had to compute them together; ``None`` computes them here.

    Returns:
        The largest difference between two logits. Allowed are 1e-4 of the largest logit (at
        least of 1), 1e-2 on a quantised base, 3e-2 in bf16 and fp16, 1e-1 with both.

    Raises:
        RuntimeError: If the logits or the ids differ.
    """
    dtype = next(m for m in model.modules() if isinstance(m, torch.nn.Embedding)).weight.dtype
    quantization = getattr(model.config, "quantization_config", None)
    reloaded, tokenizer_again = load_saved(directory, task, dtype=dtype, quantization=quantization)
    _check_same_ids(directory, tokenizer, tokenizer_again)
    device = next(model.parameters()).device
    if quantization is None:
        reloaded.to(device)
    _cast_alike(reloaded, model)
    if expected is None:
        expected = probe_logits(model, batch)
    found = probe_logits(reloaded, batch)
    difference = (expected - found).abs().max().item() if expected.shape == found.shape else None
    # DeepSpeed's bf16 rounds what is not packed, on a quantised base too
    kinds = ["quantized"] * bool(quantization) + ["half"] * (dtype != torch.float32)
    precision = " ".join(kinds) or "float32"
    allowed = _TOLERANCE[precision] * max(1.0, expected.abs().max().item())
    if difference is None or not difference <= allowed:
        raise RuntimeError(
            f"directory={os.fspath(directory)!r}: the saved model gives other logits than the one "
            f"in memory (difference {difference}, allowed {allowed:.2g}). Do not use it; "
            "report the model, task and adapter settings."
        )
    return difference


def _cast_alike(reloaded: Any, model: Any) -> None:
    """Give each weight the type of the model in memory, so that both round alike.

    DeepSpeed's bf16 casts norms, adapters and buffers too, which loading keeps in fp32.
    """
    types = {name: weight.dtype for name, weight in _tensors(model)}
    for name, weight in _tensors(reloaded):
        dtype = types.get(name, weight.dtype)
        if weight.is_floating_point() and dtype.is_floating_point and weight.dtype != dtype:
            weight.data = weight.data.to(dtype)


def _tensors(model: Any) -> Iterator[tuple[str, Any]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _check_same_ids(directory: object, expected: Any, found: Any) -> None:
    for text in [*PROBES, *expected.get_added_vocab()]:
        if expected(text, verbose=False)["input_ids"] != found(text, verbose=False)["input_ids"]:
            raise RuntimeError(
                f"directory={str(directory)!r}: the saved tokenizer gives other ids for {text!r}. "
                "Do not use it; report the tokenizer."
            )
