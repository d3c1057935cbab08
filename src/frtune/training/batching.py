"""Which rows meet in an optimizer step: at random, as they come, or rows of like length.

A *slot* is what ``Trainer`` calls a batch, over all processes: a step has as many as
``gradient_accumulation_steps``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from accelerate.data_loader import SeedableRandomSampler
from transformers import TrainingArguments
from transformers.trainer_pt_utils import BatchRebalanceSampler
from transformers.training_args import OptimizerNames

from frtune.errors import InputError
from frtune.moved import moved_names
from frtune.training.in_force import compiles

__getattr__ = moved_names(__name__)

BUCKETS = 100  # of the rows of a large data set
BATCHES_A_BUCKET = 2  # at least, so that a row meets others each epoch; more leave more padding


class TrainerSlots:
    """The slots of plain ``Trainer``: the same rows for the same seed and epoch.

    Of several processes each gets a full batch: where the rows do not suffice, those that came
    first in the epoch come again, as Accelerate has it.

    Args:
        rows: Number of rows.
        batch_size: Rows a slot and process.
        processes: Number of processes.
        seed: Of the shuffling; ``None`` takes the rows as they come.
        drop_last: Leave out rows that do not fill a slot.

    Example:
        >>> slots = TrainerSlots(5, batch_size=2, seed=None)
        >>> [slot.tolist() for slot in slots(epoch=0)], len(slots)
        ([[0, 1], [2, 3], [4]], 3)
    """

    def __init__(
        self,
        rows: int,
        *,
        batch_size: int,
        processes: int = 1,
        seed: int | None,
        drop_last: bool = False,
    ):
        self._rows, self._at_once, self._seed = rows, batch_size * processes, seed
        whole = rows // self._at_once * self._at_once
        full = whole if drop_last or whole == rows else whole + self._at_once
        self._taken = rows if processes == 1 and not drop_last else full

    def __len__(self) -> int:
        return -(-self._taken // self._at_once)

    def __call__(self, epoch: int) -> Iterator[np.ndarray]:
        """The row numbers of each slot, in order."""
        order = np.arange(self._rows)
        if self._seed is not None:
            sampler = SeedableRandomSampler(range(self._rows), data_seed=self._seed)
            sampler.set_epoch(epoch)
            order = np.fromiter(sampler, dtype=np.int64, count=self._rows)
        order = np.resize(order, self._taken)
        for start in range(0, self._taken, self._at_once):
            yield order[start : start + self._at_once]


# Trainer takes a sampler of whole batches, each process's own, only of this class
class LengthBatches(BatchRebalanceSampler):
    """One process's batches of row numbers: alike in length, in random order.

    The rows, longest first, are cut into buckets. Each epoch shuffles the rows of a bucket and the
    order of the batches, by ``seed`` and ``epoch`` alone, so that a resumed run goes on in the
    order that it left. Every row comes once an epoch. The first batch of the first epoch has the
    longest row: memory runs out at once or not at all.

    All processes get equally many batches, at the same time of rows of like length. Only where a
    last batch has fewer rows than there are processes, rows are repeated. Every epoch has equally
    many batches.

    Args:
        lengths: Tokens of each row.
        batch_size: Rows a batch and process.
        processes: Number of processes.
        process: Which of them this is, from 0.
        seed: Of the shuffling.
        epoch: Tells the epoch when an iteration begins, from 0.

    Example:
        >>> list(LengthBatches([9, 1, 8, 2], batch_size=2))
        [[0, 2], [3, 1]]
        >>> [len(batch) for batch in LengthBatches([1] * 7, batch_size=2, processes=2, process=1)]
        [1, 2]
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int,
        processes: int = 1,
        process: int = 0,
        seed: int = 42,
        epoch: Callable[[], int] = lambda: 0,
    ):
        self._lengths = lengths = list(lengths)  # a column of a data set reads its file each time
        self._processes, self._process = processes, process
        self._seed, self._epoch = seed, epoch
        self._sorted = sorted(range(len(lengths)), key=lambda i: -lengths[i])
        self._buckets, self._cuts = [0], [0]  # places in the order where one begins or ends
        rows = batch_size * processes
        size = rows * max(BATCHES_A_BUCKET, len(lengths) // BUCKETS // rows)
        while (start := self._buckets[-1]) < len(lengths):
            end = min(start + size, len(lengths))
            self._cuts += [*range(start + rows, end, rows), end]
            self._buckets.append(end)

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def __iter__(self) -> Iterator[list[int]]:
        for rows in self(self._epoch()):
            yield rows[self._process :: self._processes]

    def __call__(self, epoch: int) -> Iterator[list[int]]:
        """The rows that all processes have at the same time, longest first."""
        random = np.random.default_rng([self._seed, epoch])
        order: list[int] = []
        for start, end in pairwise(self._buckets):
            order += [self._sorted[start + i] for i in random.permutation(end - start)]
        turns = random.permutation(len(self)).tolist()
        if epoch == 0 and order:
            longest = bisect_right(self._cuts, order.index(self._sorted[0])) - 1
            turns.sort(key=lambda turn: turn != longest)
        for turn in turns:
            rows = order[self._cuts[turn] : self._cuts[turn + 1]]
            rows.sort(key=lambda i: -self._lengths[i])
            yield (rows * self._processes)[: max(len(rows), self._processes)]


def groups_by_length(args: TrainingArguments) -> bool:
    """Whether training batches are ``LengthBatches``; the rest of the settings is ``Trainer``'s."""
    groups = args.train_sampling_strategy == "group_by_length"
    return groups and not (args.dataloader_drop_last or _config(args, "split_batches", False))


def uncut(args: TrainingArguments) -> str | None:
    """Which argument, with its value, has steps taken in ``Trainer``'s own batches, if one has."""
    if args.train_sampling_strategy == "batch_rebalance":  # its batches are cut by length already
        return "train_sampling_strategy=batch_rebalance"
    if args.train_sampling_strategy == "group_by_length" and not groups_by_length(args):
        return "dataloader_drop_last or split_batches with train_sampling_strategy=group_by_length"
    optim = OptimizerNames(args.optim).value
    if optim.endswith(("layerwise", "lomo")):  # it steps in each backward pass
        return f"optim={optim}"
    if compiles(args):  # anew for each shape of a batch
        return "torch_compile=True"
    for name, value in (("split_batches", True), ("use_seedable_sampler", False)):
        if _config(args, name, not value) == value:
            return f"accelerator_config {name}={value}"
    return f"{args.n_gpu} GPUs in one process" if args.n_gpu > 1 else None


def _config(args: TrainingArguments, name: str, default: Any) -> Any:
    """A field of ``accelerator_config``, an object once the arguments are made."""
    return getattr(args.accelerator_config, name, default)


def check_batches(args: TrainingArguments, max_tokens: int | None) -> None:
    """Refuse (``InputError``) a budget of tokens below 1, or where steps are not cut."""
    if max_tokens is None:
        return
    if max_tokens < 1:
        raise InputError(f"max_tokens_per_batch={max_tokens}: at least 1. Try 4096.")
    if reason := uncut(args):
        raise InputError(
            f"max_tokens_per_batch={max_tokens}: not with {reason}, where batches are not cut by "
            "tokens. Leave one of them out."
        )


def check_filled(args: TrainingArguments, rows: int) -> None:
    """Refuse (``InputError``) to drop the only batch of so many encoded training rows."""
    at_once = args.per_device_train_batch_size * max(1, args.n_gpu) * args.world_size
    if args.dataloader_drop_last and rows < at_once:
        raise InputError(
            f"dataloader_drop_last=True: the {rows} training rows do not fill a batch of "
            f"{at_once}, and no step is left. Leave it out, or pass smaller batches."
        )
