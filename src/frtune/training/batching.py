"""Batches of rows of like length: in training shuffled, in evaluation the longest first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from transformers import TrainingArguments
from transformers.trainer_pt_utils import BatchRebalanceSampler

from frtune.errors import InputError

BUCKETS = 100  # of the rows of a large data set
BATCHES_A_BUCKET = 2  # at least, so that a row meets others each epoch; more leave more padding


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
        max_tokens: In place of ``batch_size``: as many rows as fit in so many tokens with their
            padding, a longer row alone.
        processes: Number of processes.
        process: Which of them this is, from 0.
        seed: Of the shuffling.
        epoch: Tells the epoch when an iteration begins, from 0.

    Example:
        >>> list(LengthBatches([9, 1, 8, 2], max_tokens=18))
        [[0, 2], [3, 1]]
        >>> [len(batch) for batch in LengthBatches([1] * 7, batch_size=2, processes=2, process=1)]
        [1, 2]
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        batch_size: int = 1,
        max_tokens: int | None = None,
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
        # a bucket is cut by its longest row, so that the number of batches depends on no shuffling
        while (start := self._buckets[-1]) < len(lengths):
            rows = batch_size
            if max_tokens is not None:
                rows = max(1, max_tokens // max(1, lengths[self._sorted[start]]))
            rows *= processes
            size = rows * max(BATCHES_A_BUCKET, len(lengths) // BUCKETS // rows)
            end = min(start + size, len(lengths))
            self._cuts += [*range(start + rows, end, rows), end]
            self._buckets.append(end)

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self._epoch()
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
            rows = (rows * self._processes)[: max(len(rows), self._processes)]
            yield rows[self._process :: self._processes]


def groups_by_length(args: TrainingArguments) -> bool:
    """Whether training batches are ``LengthBatches``; the rest of the settings is ``Trainer``'s."""
    groups = args.train_sampling_strategy == "group_by_length"
    # what cuts batches another way; the configuration is an object once the arguments are made
    splits = getattr(args.accelerator_config, "split_batches", False)
    return groups and not (args.dataloader_drop_last or splits)


def check_batches(args: TrainingArguments, max_tokens: int | None) -> None:
    """Refuse (``InputError``) a budget of tokens below 1, or with rows not grouped by length."""
    if max_tokens is None:
        return
    if max_tokens < 1:
        raise InputError(f"max_tokens_per_batch={max_tokens}: at least 1. Try 4096.")
    if not groups_by_length(args):
        raise InputError(
            f"max_tokens_per_batch={max_tokens}: needs batches of rows of like length. Pass "
            "--train-sampling-strategy group_by_length, without dropping or splitting batches."
        )


def check_filled(args: TrainingArguments, rows: int) -> None:
    """Refuse (``InputError``) to drop the only batch of so many encoded training rows."""
    at_once = args.per_device_train_batch_size * max(1, args.n_gpu) * args.world_size
    if args.dataloader_drop_last and rows < at_once:
        raise InputError(
            f"dataloader_drop_last=True: the {rows} training rows do not fill a batch of "
            f"{at_once}, and no step is left. Leave it out, or pass smaller batches."
        )
