"""A step's rows, sorted by length and cut into micro-batches: little padding, the same learning.

The loss of a step does not depend on how its rows are cut (``tasks.loss``), so that the rows stay
those that the order of training gives, and the cuts are chosen for speed and memory alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np
import torch
from accelerate.utils import DistributedType
from torch.utils.data import Dataset
from transformers.trainer_pt_utils import BatchRebalanceSampler

# what one more micro-batch costs beside its tokens, in tokens
OVERHEAD_CPU = 32
OVERHEAD_CPU_BF16 = 192  # autocast casts all weights for each, and their gradients back
OVERHEAD_GPU = 1024
OVERHEAD_UNPADDED = 2**20  # of layers that compute no padding: as few cuts as can be
FAST_CPU = 2048  # tokens at once, above which a token takes no less time
NUMBERS = "numbers"  # of the rows of a cut, beside what the collator made of them


def most_tokens(lengths: Sequence[int], *, batch_size: int, gpu: bool) -> int:
    """Tokens of a cut by default, padding included.

    Never more than the longest rows take in one batch of plain ``Trainer``; on CPUs no more than is
    fast.

    Args:
        lengths: Tokens of each row.
        batch_size: Rows a batch and process.
        gpu: Whether a GPU computes.

    Example:
        >>> most_tokens([500, 30], batch_size=8, gpu=False)
        2048
    """
    longest = int(max(lengths, default=1))
    most = longest * batch_size
    return most if gpu else min(most, max(longest, FAST_CPU))


def cut(
    lengths: Sequence[int], *, most: int, overhead: int = OVERHEAD_CPU, least: int = 1
) -> list[int]:
    """Where to cut rows, longest first, so that padded tokens and ``overhead`` a cut are least.

    Args:
        lengths: Tokens of each row, falling.
        most: Tokens of a cut, padding included; a longer row stands alone.
        overhead: What a cut costs beside its tokens, in tokens.
        least: Rows of a cut, where there are so many.

    Returns:
        Where each cut begins, and the end.

    Example:
        >>> cut([100, 98, 20, 19, 18], most=1000)
        [0, 2, 5]
        >>> cut([100, 98, 20, 19, 18], most=100)
        [0, 1, 2, 5]
    """
    tokens, count = np.asarray(lengths), len(lengths)
    costs = np.full(count + 1, np.inf)
    costs[0] = 0
    before = np.zeros(count + 1, dtype=int)  # the place where the last cut begins
    for end in range(min(least, count), count + 1):
        starts = np.arange(end)
        rows = end - starts
        padded = tokens[:end] * rows
        allowed = (rows >= min(least, count)) & ((padded <= most) | (rows < 2 * least))
        found = np.where(allowed, costs[:end] + padded + overhead, np.inf)
        before[end] = found.argmin()
        costs[end] = found[before[end]]
    places = [count]
    while places[-1]:
        places.append(int(before[places[-1]]))
    return places[::-1]


class StepCuts(BatchRebalanceSampler):
    """One process's batches of ``Trainer``, each a list of cuts, each a list of row numbers.

    The last batch of a step has all cuts of the step, those before it none: ``Trainer`` counts
    batches and steps as it would without cuts. The rows of a step, longest first, are dealt so that
    all processes have equally many cuts, and in each of them like numbers of tokens.

    Args:
        slots: Gives the row numbers of each batch of an epoch, over all processes.
        lengths: Tokens of each row.
        accumulation: Batches a step.
        most: Tells the tokens of a cut and process, padding included.
        overhead: What a cut costs beside its tokens, in tokens.
        least: Rows of a cut and process, where there are so many.
        processes: Number of processes.
        process: Which of them this is, from 0.
        epoch: Tells the epoch when an iteration begins, from 0.

    Example:
        >>> from frtune.training.batching import TrainerSlots
        >>> slots = TrainerSlots(4, batch_size=2, seed=None)
        >>> list(StepCuts(slots, [9, 90, 8, 91], accumulation=2, most=lambda: 1000))
        [[], [[3, 1], [0, 2]]]
    """

    def __init__(
        self,
        slots: Any,
        lengths: Sequence[int],
        *,
        accumulation: int = 1,
        most: Callable[[], int],
        overhead: int = OVERHEAD_CPU,
        least: int = 1,
        processes: int = 1,
        process: int = 0,
        epoch: Callable[[], int] = lambda: 0,
    ):
        self.lengths = np.asarray(lengths)
        self._slots, self._accumulation, self._epoch = slots, accumulation, epoch
        self._most, self._overhead, self._least = most, overhead, least
        self._processes, self._process = processes, process

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[list[list[int]]]:
        slots = iter(self._slots(self._epoch()))
        while step := list(islice(slots, self._accumulation)):
            yield from ([] for _ in step[1:])
            yield self.share(np.concatenate(step))

    def share(self, rows: np.ndarray) -> list[list[int]]:
        """This process's cuts of a step's rows."""
        lengths = self.lengths[rows]
        order = np.argsort(-lengths, kind="stable")
        rows, lengths, count = rows[order], lengths[order], self._processes
        # one row for each process at a time
        places = cut(
            lengths[::count], most=self._most(), overhead=self._overhead, least=self._least
        )
        if len(rows) % count and len(places) > 2 and places[-2] == places[-1] - 1:
            # the last cut would have no row for some process
            places[-2] -= 1
            places = list(dict.fromkeys(places))
        places = [place * count for place in places[:-1]] + [len(rows)]
        mine, padded = [], np.zeros(count, dtype=int)
        for start, end in pairwise(places):
            dealt = _dealt(np.arange(start, end), count)
            sizes = np.array([len(share) * lengths[share[0]] for share in dealt])
            # the most to whom has had least
            turns = np.argsort(padded, kind="stable")
            shares = np.argsort(-sizes, kind="stable")
            padded[turns] += sizes[shares]
            (given,) = shares[turns == self._process]
            mine.append(rows[dealt[given]].tolist())
        return mine

    def cut_again(self, rows: list[int]) -> list[list[int]]:
        """The cuts of this process's rows of a step, longest first, by the tokens of now."""
        places = cut(
            self.lengths[rows], most=self._most(), overhead=self._overhead, least=self._least
        )
        return [rows[start:end] for start, end in pairwise(places)]

    def is_too_large(self, rows: list[int]) -> bool:
        """Whether a cut has more tokens than it may have by now, and can be cut."""
        return self.can_be_cut(len(rows)) and self.tokens(rows) > self._most()

    def can_be_cut(self, rows: int) -> bool:
        """Whether a cut of so many rows has those of two."""
        return rows >= 2 * self._least

    def tokens(self, rows: list[int]) -> int:
        """Tokens of a cut, padding included."""
        return len(rows) * int(self.lengths[rows].max())


def _dealt(rows: np.ndarray, count: int) -> list[np.ndarray]:
    """There and back again, so that nobody always has the longest of each group."""
    turn = np.arange(len(rows)) % (2 * count)
    return [rows[(turn == i) | (turn == 2 * count - 1 - i)] for i in range(count)]


class Step(list):
    """The collated cuts that a process has in one batch of ``Trainer``; maybe none."""


class CutRows(Dataset):
    """Encoded rows, many at a time: what ``StepCuts`` numbers.

    Args:
        rows: A ``datasets.Dataset``.
    """

    def __init__(self, rows: Any):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, numbers: list[int]) -> tuple[list[int], list[dict[str, Any]]]:
        return numbers, self.rows.__getitems__(numbers)


class StepCollator:
    """Collate each cut of a batch; the numbers of its rows are beside what the collator makes.

    Args:
        collator: Collates the examples of one cut.
    """

    def __init__(self, collator: Callable[[list[dict[str, Any]]], Any]):
        self.collator = collator

    def __call__(self, cuts: list[tuple[list[int], list[dict[str, Any]]]]) -> Step:
        """Make the ``Step``."""
        made = Step(self.collator(examples) for _, examples in cuts)
        for inputs, (numbers, _) in zip(made, cuts, strict=True):
            inputs[NUMBERS] = numbers
        return made


def cuts_of(inputs: Any) -> list[Any]:
    """The micro-batches in what ``Trainer`` takes for one."""
    return inputs if isinstance(inputs, Step) else [inputs]


def run_cut(
    trainer: Any, model: Any, inputs: Any, items: Any, *, last: bool = True
) -> torch.Tensor:
    """Run a cut as ``Trainer`` runs the micro-batches of a step.

    Args:
        trainer: Its ``training_step`` takes the cut.
        model: As ``Trainer`` passes it.
        inputs: The cut.
        items: Labels that count in the whole step.
        last: Whether it is the last one of the step: processes then add up their gradients.

    Returns:
        The loss, detached, float32 of no dimension.
    """
    accelerator = trainer.accelerator
    accelerator.gradient_state._set_sync_gradients(last)
    waits = last or adds_up_each(accelerator)
    inputs = type(inputs)({name: inputs[name] for name in inputs if name != NUMBERS})
    with contextlib.nullcontext() if waits else accelerator.no_sync(model):
        return trainer.training_step(model, inputs, items)


def adds_up_each(accelerator: Any) -> bool:
    """Whether processes add up the gradients of each cut, not of a step: DeepSpeed does."""
    return accelerator.distributed_type == DistributedType.DEEPSPEED or (
        accelerator.gradient_state.plugin_kwargs.get("sync_each_batch", False)
    )


@contextlib.contextmanager
def sparse_embeddings(model: torch.nn.Module | None) -> Iterator[None]:
    """Have embeddings give the gradients of the tokens that were read, not of the vocabulary.

    Added to gradients that are there already they give the same sums. Else each cut would write the
    whole vocabulary anew: half of what a small cut takes. ``None`` does nothing.
    """
    found = [
        module
        for module in (() if model is None else model.modules())
        if isinstance(module, torch.nn.Embedding)
        and module.weight.requires_grad  # PEFT reads the flag of a frozen one for its own
        and not (module.sparse or module.scale_grad_by_freq)
    ]
    for module in found:
        module.sparse = True
    try:
        yield
    finally:
        for module in found:
            module.sparse = False
