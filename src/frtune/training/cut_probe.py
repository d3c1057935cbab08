"""How many tokens at once fit a GPU: measured on the longest rows, before the first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from frtune.training.cut_memory import CutMemory
from frtune.training.distributed import least
from frtune.training.resource_errors import is_memory_full
from frtune.training.step_cuts import NUMBERS, adds_up_each

SHARE = 0.9  # of the free memory: the rest is for fragments
OPTIMIZER_BYTES = 8  # a trained parameter: AdamW's two moments in fp32


class DeviceMemory(Protocol):
    """What a probe asks a device."""

    def free(self) -> int:
        """Bytes that tensors can take."""
        ...

    def taken(self, function: Callable[[], Any]) -> int:
        """Bytes that a call takes at its peak."""
        ...


class CudaMemory:
    """A GPU's memory, as PyTorch's allocator sees it.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device):
        self._device = device

    def free(self) -> int:
        """Bytes that tensors can take: free ones, and those that the allocator keeps."""
        kept = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return torch.cuda.mem_get_info(self._device)[0] + kept

    def taken(self, function: Callable[[], Any]) -> int:
        """Bytes that a call takes at its peak."""
        before = torch.cuda.memory_allocated(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)
        function()
        return torch.cuda.max_memory_allocated(self._device) - before


def device_memory(args: Any) -> DeviceMemory | None:
    """The memory to probe; ``None`` on CPUs."""
    return CudaMemory(args.device) if args.device.type == "cuda" else None


def can_probe(trainer: Any) -> bool:
    """Whether one process may run rows by itself, on one device."""
    return not (adds_up_each(trainer.accelerator) or trainer.is_model_parallel)


def probe(cuts: CutMemory, model: Any, memory: DeviceMemory) -> int:
    """Tokens of a cut that fit the memory of every process; all processes call this.

    Runs forward and backward passes of the longest rows, twice as many each time, and leaves
    weights, gradients, optimizer and random states as they were.

    Args:
        cuts: Of the trainer that is about to train.
        model: As ``Trainer`` passes it.
        memory: Of the device.

    Returns:
        At least the longest row, at most the longest rows of a step.
    """
    trainer, args = cuts.trainer, cuts.trainer.args
    # without what sums up gradients over processes, which run unlike numbers of rows here
    inner = trainer.accelerator.unwrap_model(model)
    to_come = 0
    if not trainer.optimizer.state:
        trained = sum(weight.numel() for weight in inner.parameters() if weight.requires_grad)
        to_come = OPTIMIZER_BYTES * trained
    room = SHARE * (memory.free() - to_come)
    most = args.per_device_train_batch_size * args.gradient_accumulation_steps
    rows = _rows_that_fit(cuts, inner, memory, room=room, most=most)
    tokens = rows * int(cuts.batches.lengths.max())
    return tokens if args.world_size == 1 else least(tokens, args.device)


def _rows_that_fit(
    cuts: CutMemory, model: Any, memory: DeviceMemory, *, room: float, most: int
) -> int:
    """Longest rows at once that fit ``room`` bytes, at most ``most``, at least 1."""
    numbers = np.argsort(-cuts.batches.lengths, kind="stable")
    device = cuts.trainer.args.device
    rows = 1 if cuts.batches.can_be_cut(2) else 2
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        while True:
            taken = _taken(cuts, model, memory, np.resize(numbers, rows).tolist())
            if taken is None:
                return max(1, rows // 2)
            if rows >= most or 2 * taken > room:
                return max(1, min(most, int(rows * room / max(taken, 1))))
            rows = min(2 * rows, most)


def _taken(cuts: CutMemory, model: Any, memory: DeviceMemory, numbers: list[int]) -> int | None:
    """Bytes that forward and backward pass of rows take; ``None`` where there are fewer."""
    trainer = cuts.trainer
    noted, shape = list(trainer.step_parts), trainer.batch_shape

    def run() -> None:
        (inputs,) = cuts.collated([numbers])
        del inputs[NUMBERS]
        items = torch.tensor(cuts.batches.tokens(numbers), device=trainer.args.device)
        trainer.training_step(model, inputs, items)

    try:
        return memory.taken(run)
    except (RuntimeError, MemoryError) as error:
        if not is_memory_full(error):
            raise
        return None
    finally:
        trainer.step_parts, trainer.batch_shape = noted, shape
        cuts.forget(model)
