"""Proofs that cost little and speak up: of a tokenizer at load, of a model after saving."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import transformers
from accelerate.hooks import remove_hook_from_module
from transformers import PreTrainedTokenizerBase

from frtune.environment.progress import brief_bars
from frtune.models.checkpoint_files import read_for_task
from frtune.models.layer_offload import layers_in_turn
from frtune.models.loading import load_saved
from frtune.models.probe import probe_logits
from frtune.models.tokenizer_files import PROBES
from frtune.models.weights import Built, quiet
from frtune.tasks.base import Task

_TOLERANCE = {"float32": 1e-4, "quantized": 1e-2, "half": 3e-2, "quantized half": 1e-1}
MERGING = 10  # times that: sums are formed in another order


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

    The model in memory is a full one or one with an adapter. What is opened stays in the host's
    memory; a GPU holds one of its layers at a time, beside its embeddings and heads.

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
    reloaded, tokenizer_again = open_again(directory, model, task)
    _check_same_ids(directory, tokenizer, tokenizer_again)
    if expected is None:
        expected = probe_logits(model, batch)
    found = logits_of_opened(reloaded, model, batch)
    allowed = allowed_difference(model, expected)
    difference = difference_of(expected, found)
    if not difference <= allowed:
        raise RuntimeError(
            f"directory={os.fspath(directory)!r}: the saved model gives other logits than the one "
            f"in memory (difference {difference}, allowed {allowed:.2g}). Do not use it; "
            "report the model, task and adapter settings."
        )
    return difference


def open_again(
    directory: str | os.PathLike[str], model: Any, task: Task, tokenizer: Any = None
) -> Built:
    """Open what was saved of ``model`` in its type and its bits, in the host's memory.

    ``tokenizer`` is taken for the saved one, which is not read then.
    """
    dtype = next(m for m in model.modules() if isinstance(m, torch.nn.Embedding)).weight.dtype
    packed = getattr(model.config, "quantization_config", None)
    again = load_saved(
        directory, task, dtype=dtype, quantization=packed, tokenizer=tokenizer, device="cpu"
    )
    _cast_alike(again[0], model)
    return again


def logits_of_opened(opened: Any, model: Any, batch: Mapping[str, Any]) -> Any:
    """``probe_logits`` of what ``open_again`` opened, computed where ``model`` computes.

    Packed layers of a GPU stand in for those packed on the host: they were not trained, the base's
    fingerprint holds them, and each device packs with a rounding of its own.
    """
    device = next(model.parameters()).device
    if device.type != "cpu":
        share_packed(opened, model)
    with layers_in_turn(opened, device):
        return probe_logits(opened, batch, device=device)


def share_packed(opened: Any, model: Any) -> None:
    """Put the layers that bitsandbytes packed in ``model`` into what was opened of it; in place."""
    remove_hook_from_module(opened, recurse=True)  # which would take inputs back to the host
    for name, module in list(model.named_modules()):
        if type(module).__module__.startswith("bitsandbytes."):
            opened.set_submodule(name, module)


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


@brief_bars()
def prove_plain(
    directory: str | os.PathLike[str], task: Task, batch: Mapping[str, Any], expected: Any
) -> None:
    """Open a saved full model by Transformers alone; its logits must be those expected.

    Args:
        directory: What ``save_pretrained`` wrote.
        task: Its task, which names the auto class.
        batch: As of :func:`prove_saved`.
        expected: ``probe_logits`` of the model that was saved.

    Raises:
        RuntimeError: If the logits differ.
    """
    _, _, auto_class = read_for_task(directory, task)
    with quiet():
        plain = getattr(transformers, auto_class).from_pretrained(directory, dtype="auto")
    difference = difference_of(expected, probe_logits(plain, batch))
    allowed = allowed_difference(plain, expected)
    if not difference <= allowed:
        raise RuntimeError(
            f"directory={os.fspath(directory)!r}: opened by Transformers, the merged model gives "
            f"other logits (difference {difference:.2g}, allowed {allowed:.2g}). Use the adapter."
        )


def difference_of(expected: Any, found: Any) -> float:
    """Largest difference between two logits; infinite where their shapes differ."""
    if expected.shape != found.shape:
        return math.inf
    return (expected - found).abs().max().item()


def allowed_difference(model: Any, logits: Any) -> float:
    """How far apart logits of a model may be, before and after it is saved."""
    dtype = next(m for m in model.modules() if isinstance(m, torch.nn.Embedding)).weight.dtype
    quantized = getattr(model.config, "quantization_config", None) is not None
    # DeepSpeed's bf16 rounds what is not packed, on a quantised base too
    kinds = ["quantized"] * quantized + ["half"] * (dtype != torch.float32)
    precision = " ".join(kinds) or "float32"
    return _TOLERANCE[precision] * max(1.0, logits.abs().max().item())


def _check_same_ids(directory: object, expected: Any, found: Any) -> None:
    for text in [*PROBES, *expected.get_added_vocab()]:
        if expected(text, verbose=False)["input_ids"] != found(text, verbose=False)["input_ids"]:
            raise RuntimeError(
                f"directory={str(directory)!r}: the saved tokenizer gives other ids for {text!r}. "
                "Do not use it; report the tokenizer."
            )
