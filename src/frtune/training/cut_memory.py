"""Cuts that fit the memory: where it runs out, the step is cut smaller and run again.

What is learnt does not depend on how a step is cut, so that nothing else changes.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from accelerate.utils.memory import clear_device_cache

from frtune.training.distributed import least
from frtune.training.resource_errors import is_memory_full
from frtune.training.step_cuts import (
    NUMBERS,
    CutRows,
    Step,
    StepCollator,
    StepCuts,
    adds_up_each,
    run_cut,
    sparse_embeddings,
)

logger = logging.getLogger(__name__)

_ALL_FIT = 2**62  # tokens that no cut has


class CutMemory:
    """Runs steps in cuts that fit the memory.

    Args:
        trainer: A ``TaskTrainer``; where memory runs out, its ``cut_tokens`` are halved.
        batches: What cuts its steps.
        rows: The rows that the cuts number.
        collator: Collates them.
    """

    def __init__(self, trainer: Any, batches: StepCuts, rows: CutRows, collator: StepCollator):
        self.trainer, self.batches, self._rows, self._collator = trainer, batches, rows, collator

    def collated(self, cuts: Sequence[list[int]]) -> Step:
        """Cuts of row numbers as the data loader gives them."""
        return self._collator([self._rows[numbers] for numbers in cuts])

    def run(self, model: Any, step: Step, items: Any) -> torch.Tensor:
        """Run the cuts of a step, smaller ones where memory runs out.

        Args:
            model: As ``Trainer`` passes it.
            step: The cuts; none in a batch that is not the last of its step.
            items: Labels that count in the whole step.

        Returns:
            The sum of the losses, detached, float32 of no dimension; 0 of a batch without cuts.

        Raises:
            RuntimeError: Says that memory is full: where the rows cannot be cut further, or
                processes are adding up gradients.
        """
        trainer, args = self.trainer, self.trainer.args
        total = torch.zeros((), device=args.device)
        if not step:
            return total
        if adds_up_each(trainer.accelerator):
            for number, inputs in enumerate(step, start=1):
                total += run_cut(trainer, model, inputs, items, last=number == len(step))
            return total
        # No process may leave the others waiting for its gradients. They wait in the last cut
        # alone, so all ask each other before it whether memory ran out in any, and begin again
        # together.
        alone = args.world_size == 1
        noted, states = list(trainer.step_parts), _random_states(args.device)
        while True:
            step = self._fitting(step)
            tried = self._try(model, step if alone else step[:-1], items, whole=alone)
            most = tried.most if alone else least(tried.most, args.device)
            if most == _ALL_FIT:
                last = 0 if alone else run_cut(trainer, model, step[-1], items)
                return tried.loss + last
            if most == 0:
                raise tried.problem or torch.OutOfMemoryError("out of memory in another process")
            trainer.cut_tokens = most
            if args.process_index == 0:
                logger.warning(
                    "memory ran out at step %d: from here on at most %d tokens at once. Each step "
                    "keeps its rows",
                    trainer.state.global_step + 1, most,
                )  # fmt: skip
            trainer.step_parts = list(noted)
            self.forget(model)
            _set_random_states(args.device, states)

    def forget(self, model: Any) -> None:
        """Drop the gradients of the step that has begun, and what is kept of its tensors."""
        model.zero_grad()
        if hasattr(model, "require_forward_param_sync"):
            model.require_forward_param_sync = False  # DDP had sent its buffers
        clear_device_cache(garbage_collection=True)

    def _fitting(self, step: Step) -> Step:
        """The step, cut anew where it was cut for more memory than there is."""
        if not any(self.batches.is_too_large(inputs[NUMBERS]) for inputs in step):
            return step
        rows = [number for inputs in step for number in inputs[NUMBERS]]
        return self.collated(self.batches.cut_again(rows))

    def _try(self, model: Any, cuts: Sequence[Any], items: Any, *, whole: bool) -> _Tried:
        total = torch.zeros((), device=self.trainer.args.device)
        # of one process on CPUs alone: DDP and GPUs want all gradients of one layout
        adds = self.trainer.args.device.type == "cpu" and self.trainer.args.world_size == 1
        for number, inputs in enumerate(cuts, start=1):
            try:
                last = whole and number == len(cuts)
                with sparse_embeddings(model if adds and number > 1 else None):
                    total += run_cut(self.trainer, model, inputs, items, last=last)
            except (RuntimeError, MemoryError) as error:
                if not is_memory_full(error):
                    raise
                rows = inputs[NUMBERS]
                halves = self.batches.can_be_cut(len(rows))
                most = self.batches.tokens(rows) // 2 if halves else 0
                # the frames of the traceback hold tensors of the cut
                return _Tried(total, most, error.with_traceback(None))
        return _Tried(total, _ALL_FIT, None)


class _Tried(NamedTuple):
    """The loss so far; the tokens that may fit, 0 where none may; and the error that said so."""

    loss: torch.Tensor
    most: int
    problem: Exception | None


def _random_states(device: torch.device) -> list[torch.Tensor]:
    on_device = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
    return [torch.get_rng_state(), *on_device]


def _set_random_states(device: torch.device, states: list[torch.Tensor]) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state, device)
