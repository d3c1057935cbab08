"""Activations of a training step, found by running it on tensors that hold no data.

The real forward pass runs under PyTorch's ``FakeTensorMode``, and ``saved_tensors_hooks`` sees what
autograd keeps for the backward pass. So no architecture needs a formula of its own; for a layer of
a GPT it gives what Korthikanti et al. (2022, "Reducing Activation Recomputation in Large
Transformer Models", equation 1) derive, without the attention matrix, which fused attention does
not keep.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from peft import LoraConfig
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from transformers.modeling_layers import GradientCheckpointingLayer

from frtune.models.config_sizes import depth_names, shallow
from frtune.planning.parameters import Architecture, adapted, empty_model

Casting = Literal["fp32", "autocast", "bf16"]

_EXPERTS = "grouped_mm"  # each row with one expert of many; PyTorch has it under several paths


def casting_of(precision: str, sharding: str) -> Casting:
    """How a run casts: DeepSpeed holds its weights in 16 bits, plain training casts them."""
    if precision == "fp32":
        return "fp32"
    return "bf16" if sharding.startswith("zero") else "autocast"


@dataclass(frozen=True)
class Step:
    """The micro-batch of one GPU.

    Attributes:
        rows: Rows a GPU and micro-batch.
        source_tokens: Tokens of a row that the model reads.
        target_tokens: Tokens that a generating task learns; 0 for others.
    """

    rows: int
    source_tokens: int
    target_tokens: int


@dataclass(frozen=True)
class Activations:
    """Bytes that a step keeps.

    Attributes:
        saved: What autograd keeps for the backward pass.
        recomputed: With gradient checkpointing: what is kept, and one layer computed again.
        loss: Gradients of the logits, when the backward pass starts.
        weight_copies: The part of ``saved`` that is bf16 copies of weights, made by autocast.
    """

    saved: int
    recomputed: int
    loss: int
    weight_copies: int


def activations(
    found: Architecture, step: Step, *, lora: LoraConfig | None, casting: Casting
) -> Activations:
    """Measure the activations of a step on tensors without data.

    Layers of a stack are alike, so that models of one and two layers are run and the rest follows.
    ``lora`` is ``None`` for full training. ``casting`` is ``"autocast"``: fp32 weights with bf16
    autocast, as plain ``Trainer`` trains; ``"bf16"``: weights in bf16, as DeepSpeed; ``"fp32"``:
    neither.
    """
    depths = depth_names(found.config)
    shallow = dict.fromkeys(depths, 1)
    base = _trace(found, shallow, step, lora, casting)
    total, copies, kept, inner = base.saved, base.copies, base.outside, base.inner
    for name in depths:
        deeper = _trace(found, {**shallow, name: 2}, step, lora, casting)
        more = getattr(found.config, name) - 1
        total += more * (deeper.saved - base.saved)
        copies += more * (deeper.copies - base.copies)
        kept += more * (deeper.outside - base.outside)
        inner = max(inner, deeper.inner)
    return Activations(total, kept + inner, base.loss, copies)


class _Traced(NamedTuple):
    saved: int
    outside: int
    inner: int
    loss: int
    copies: int


def _trace(
    found: Architecture, depth: dict[str, int], step: Step, lora: Any, casting: Casting
) -> _Traced:
    config = shallow(found.config, depth)
    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.ERROR)
    model: Any = empty_model(found, config=config)
    if lora is not None:
        model = adapted(model, found, lora)
    fake = FakeTensorMode(allow_non_fake_inputs=True)  # PEFT makes an index of its own
    with fake:
        fill(model, torch.bfloat16 if casting == "bf16" else torch.float32)
        model.train()
        kept = _Kept(model)
        with (
            torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16, enabled=casting == "autocast"),
            FusedAttention(),
        ):
            logits = model(**batch_of(found, step)).logits
            scored = loss_of(logits, step)
        loss = logits.numel() * logits.element_size() + scored.numel() * 4
    return _Traced(kept.bytes, kept.bytes - kept.inside, kept.largest, loss, kept.copies(model))


class FusedAttention(TorchFunctionMode):
    """Lets attention keep what a GPU's fused kernel keeps, and a value that is read be 0.

    The CPU's kernel is fused only without dropout and without gradients for the bias.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        named = dict(kwargs or {})
        if func is torch.nn.functional.scaled_dot_product_attention:
            named["dropout_p"] = 0.0
            if named.get("attn_mask") is not None:
                named["attn_mask"] = named["attn_mask"].detach()
        if _EXPERTS in getattr(func, "__name__", ""):
            return args[0] @ args[1][0]
        if func is torch.Tensor.item:
            return 0
        if func is torch.rand and args == ([],):
            return 1.0  # a draw on whether to drop a layer: none is dropped
        return func(*args, **named)


def fill(model: Any, dtype: Any) -> None:
    """Give a model on the meta device CPU tensors of the mode that is on; tied ones stay tied."""
    done: dict[int, Any] = {}

    def filled(tensor: Any) -> Any:
        kind = dtype if tensor.is_floating_point() else tensor.dtype
        return done.setdefault(id(tensor), torch.empty(tensor.shape, dtype=kind, device="cpu"))

    for module in model.modules():
        for name, buffer in module._buffers.items():
            module._buffers[name] = None if buffer is None else filled(buffer)
        for name, weight in module._parameters.items():
            if weight is not None and id(weight) not in done:
                done[id(weight)] = torch.nn.Parameter(filled(weight), weight.requires_grad)
            module._parameters[name] = None if weight is None else done[id(weight)]


class _Kept:
    """Storages that autograd keeps, parameters left out; each counts once."""

    def __init__(self, model: Any):
        self._seen = {p.untyped_storage()._cdata for p in model.parameters()}
        self._storages: list[Any] = []  # held, so that no address is used twice
        self._shapes: Counter[tuple[int, ...]] = Counter()
        self._layer: int | None = None
        self.bytes = self.inside = self.largest = 0
        for module in model.modules():
            if isinstance(module, GradientCheckpointingLayer):
                module.register_forward_pre_hook(self._enter, with_kwargs=True)
                module.register_forward_hook(self._leave)

    def pack(self, tensor: Any) -> Any:
        """Count the tensor's storage, and keep the tensor as it is."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            self._storages.append(storage)
            self.bytes += storage.nbytes()
            if tensor.dtype == torch.bfloat16 and tensor.dim() == 2:
                self._shapes[tuple(sorted(tensor.shape))] += 1
        return tensor

    def copies(self, model: Any) -> int:
        """Bytes of bf16 copies of linear weights, those of the output layer left out."""
        rows = model.config.get_text_config().vocab_size
        left = Counter(self._shapes)
        found = 0
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and module.out_features != rows:
                shape = tuple(sorted(module.weight.shape))
                if left[shape]:
                    left[shape] -= 1
                    found += 2 * module.weight.numel()
        return found

    def _enter(self, module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        # checkpointing keeps the layer's inputs, whatever the layer itself keeps
        hidden = inputs[0] if inputs else named["hidden_states"]
        self.pack(hidden)
        self._layer = self.bytes

    def _leave(self, *_: Any) -> None:
        inner = self.bytes - (self._layer or 0)
        self.inside += inner
        self.largest = max(self.largest, inner)


def batch_of(found: Architecture, step: Step) -> dict[str, Any]:
    """A batch of the task's shape: (rows, tokens), int64."""
    kind = found.family.kind
    length = step.source_tokens + (step.target_tokens if kind == "decoder" else 0)
    ids = torch.zeros(step.rows, length, dtype=torch.long)
    batch: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if kind == "encoder-decoder":
        batch["decoder_input_ids"] = ids.new_zeros(step.rows, step.target_tokens)
    return batch if kind == "encoder" else {**batch, "use_cache": False}


def loss_of(logits: Any, step: Step) -> Any:
    """The task's loss: only positions that count are cast to fp32; returns those."""
    if step.target_tokens and logits.dim() == 3:  # (rows, tokens, vocabulary)
        logits = logits[:, -step.target_tokens :].contiguous()
    scored = logits.reshape(-1, logits.shape[-1]).float()  # (rows * tokens, classes)
    labels = torch.zeros(scored.shape[0], dtype=torch.long)
    torch.nn.functional.cross_entropy(scored, labels, reduction="sum")
    return scored
