"""The phases of a run after the step: loading, evaluation with generation, proof, merge.

What a forward pass without gradients holds at once is found by running it on tensors without data,
as the activations of a step are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers.modeling_layers import GradientCheckpointingLayer

from frtune.models.compatibility import QUANTIZED, Method
from frtune.models.config_sizes import depth_names, shallow
from frtune.planning.activations import Casting, FusedAttention, Step, batch_of, fill, loss_of
from frtune.planning.memory import Memory
from frtune.planning.parameters import Architecture, Parameters, empty_model
from frtune.training.autocast import cast_once
from frtune.training.saving import PROOF_ROWS

EVAL_ROWS = (16, 8, 4, 2, 1)  # a batch of evaluation: the default, and fewer


@dataclass(frozen=True)
class Phases:
    """Bytes that a GPU holds at most in each phase of a run, without the CUDA context.

    Attributes:
        load: While the weights come onto the GPU.
        step: In a training step.
        evaluation: In an evaluation that generates, with ``eval_rows`` rows at once.
        proof: While the saved model is opened again, on the host, and computes layer by layer.
        merge: While the adapter is merged, on the host; 0 without an adapter.
        eval_rows: Rows a GPU and batch of an evaluation.
        host_proof: Bytes of the host for the model that is opened again.
        host_merge: Bytes of the host for the merged model and its proof, where ``--merge`` asks.
    """

    load: int
    step: int
    evaluation: int
    proof: int
    merge: int
    eval_rows: int
    host_proof: int
    host_merge: int

    @property
    def peak(self) -> int:
        """The largest of them decides what fits."""
        return max(self.load, self.step, self.evaluation, self.proof, self.merge)


@dataclass(frozen=True)
class Forward:
    """Bytes that a forward pass without gradients holds at most, weights left out.

    Attributes:
        fixed: Whatever the number of rows: autocast's copies of weights.
        row: For each row of a batch: layer, cache and logits of an evaluation.
        proof: Of the proof's rows: without autocast, with all logits.
    """

    fixed: int
    row: int
    proof: int


@dataclass(frozen=True)
class Parts:
    """Numbers of weights of what is proven layer by layer.

    Attributes:
        rest: Those that stand in no layer.
        layer: Those of the largest layer.
    """

    rest: int
    layer: int


def parts(found: Architecture) -> Parts:
    """Count what the proof has on a GPU: all that is in no layer, and one layer at a time."""
    model = empty_model(found)
    layers = [each for each in model.modules() if isinstance(each, GradientCheckpointingLayer)]
    sizes = [sum(weight.numel() for weight in layer.parameters()) for layer in layers]
    inside = {id(weight) for layer in layers for weight in layer.parameters()}
    rest = sum(weight.numel() for weight in model.parameters() if id(weight) not in inside)
    return Parts(rest, max(sizes, default=0))


def forward(found: Architecture, step: Step, *, casting: Casting) -> Forward:
    """Measure the forward passes of evaluation and proof on tensors without data.

    Of a batch of one row and of one of two, the rest follows; and so it does of one and two layers.
    """
    depths = depth_names(found.config)
    first = dict.fromkeys(depths, 1)
    base = _alive(found, first, step, casting)
    total = list(base)
    for name in depths:
        deeper = _alive(found, {**first, name: 2}, step, casting)
        more = getattr(found.config, name) - 1
        total = [sum_ + more * (b - a) for sum_, a, b in zip(total, base, deeper, strict=True)]
    one, two, proof = total
    return Forward(max(0, 2 * one - two), max(0, two - one), proof)


def _alive(found: Architecture, depth: dict[str, int], step: Step, casting: Casting) -> list[int]:
    """Bytes of an evaluation's forward pass of one row, of two rows, and of the proof's."""
    model: Any = empty_model(found, config=shallow(found.config, depth))
    with FakeTensorMode(allow_non_fake_inputs=True):
        fill(model, torch.bfloat16 if casting == "bf16" else torch.float32)
        model.eval()
        return [
            _run(model, found, step, rows, casting=casting, scored=scored)
            for rows, scored in ((1, True), (2, True), (PROOF_ROWS, False))
        ]


def _run(
    model: Any, found: Architecture, step: Step, rows: int, *, casting: Casting, scored: bool
) -> int:
    """An evaluation's pass has a cache, and the logits that are scored; the proof's has all."""
    batch = batch_of(found, replace(step, rows=rows))
    if scored and step.target_tokens and found.family.kind != "encoder":
        batch["use_cache"] = True
        if "logits_to_keep" in inspect.signature(model.forward).parameters:
            batch["logits_to_keep"] = step.target_tokens
    alive, casts = Alive(model), scored and casting == "autocast"
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=casts)  # noqa: E731
    with cast_once(model, autocast), FusedAttention(), alive:
        output = model(**batch)
        if scored:
            loss_of(output.logits, step)
        else:
            output.logits.float()
    return alive.most


class Alive(TorchDispatchMode):
    """Counts the bytes of storages that are alive, those of the model left out.

    Attributes:
        most: The most at once.
    """

    def __init__(self, model: Any):
        super().__init__()
        own = (*model.parameters(), *model.buffers())
        self._own = {tensor.untyped_storage()._cdata for tensor in own}
        self._made: dict[int, tuple[StorageWeakRef, int]] = {}
        self._now = self.most = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: Any) -> None:
        name = storage._cdata  # is not given to another one while the reference is held
        if name in self._own or name in self._made:
            return
        self._made[name] = StorageWeakRef(storage), storage.nbytes()
        self._now += storage.nbytes()
        if self._now > self.most:
            gone = [name for name, (reference, _) in self._made.items() if reference.expired()]
            self._now -= sum(self._made.pop(name)[1] for name in gone)
            self.most = max(self.most, self._now)


def phases(
    needed: Memory,
    method: Method,
    *,
    step: int,
    run: Forward,
    proven: Parts,
    parameters: Parameters,
    size: int,
    recomputes: bool = False,
    fits: Callable[[int], bool],
) -> Phases:
    """Bytes of each phase of one combination.

    Args:
        needed: Its states and buffers.
        method: Its method.
        step: Bytes of its step.
        run: Its forward passes.
        proven: What its proof has on a GPU.
        parameters: Its numbers of parameters.
        size: Bytes of a weight in memory: 4, or 2 under DeepSpeed.
        recomputes: Whether the step has gradient checkpointing.
        fits: Tells whether that many bytes fit a GPU; the rows of an evaluation follow from it.

    Example:
        >>> from frtune.planning.memory import memory
        >>> model = Parameters(total=1000, adapter=0, trained_adapter=0, quantizable=800,
        ...                    int8_bytes=840, nf4_bytes=420, largest=100, width=10)
        >>> found = phases(memory(model, "full", "none"), "full", step=17000,
        ...     run=Forward(fixed=2000, row=300, proof=500), proven=Parts(rest=100, layer=90),
        ...     parameters=model, size=4, fits=lambda found: found <= 17000)
        >>> found.load, found.evaluation, found.eval_rows, found.proof, found.peak
        (4000, 16400, 8, 13260, 17000)
    """
    packed = method in QUANTIZED
    kept = needed.weights + needed.optimizer + needed.buffers  # gradients go after a step
    # packed weights are not cast; where checkpointing spares memory, frozen ones are one at a time
    copies = max(0, run.fixed - 2 * parameters.quantizable) if packed else run.fixed
    if recomputes and method != "full":
        copies = min(copies, 2 * parameters.largest)
    base = kept + copies
    rows = next((each for each in EVAL_ROWS if fits(base + each * run.row)), EVAL_ROWS[-1])
    opened = size * (proven.rest + (0 if packed else proven.layer))
    host = needed.weights if packed else size * parameters.total
    return Phases(
        load=needed.weights + (size * parameters.largest if packed else 0),
        step=step,
        evaluation=base + rows * run.row,
        proof=kept + opened + run.proof,
        merge=0 if method == "full" else kept,
        eval_rows=rows,
        host_proof=host,
        host_merge=0 if method == "full" else 2 * 4 * parameters.total,
    )
