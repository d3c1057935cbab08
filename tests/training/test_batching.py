"""Which rows meet: of like length, every row once; or as plain ``Trainer`` has it."""

from __future__ import annotations

import random
from itertools import chain, pairwise

import pytest
import torch
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader

from frtune.training.batching import LengthBatches, TrainerSlots

LENGTHS = random.Random(7).choices(range(1, 201), k=503)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_row_comes_once_in_equally_many_batches_of_all_processes(processes):
    for epoch in range(3):
        shares = [
            list(
                LengthBatches(
                    LENGTHS, batch_size=8, processes=processes, process=i,
                    epoch=lambda now=epoch: now,
                )
            )
            for i in range(processes)
        ]  # fmt: skip
        planned = len(LengthBatches(LENGTHS, batch_size=8, processes=processes))
        assert {len(share) for share in shares} == {planned}
        found = [row for share in shares for batch in share for row in batch]
        repeated = len(found) - len(LENGTHS)
        assert set(found) == set(range(len(LENGTHS))) and 0 <= repeated < processes
        for at_once in zip(*shares, strict=True):  # what the processes do at the same time
            assert max(map(len, at_once)) - min(map(len, at_once)) <= 1


def test_processes_work_on_equally_many_tokens():
    shares = [list(LengthBatches(LENGTHS, batch_size=4, processes=2, process=i)) for i in (0, 1)]
    tokens = [
        [len(batch) * max(LENGTHS[row] for row in batch) for batch in share] for share in shares
    ]
    waited = sum(abs(a - b) for a, b in zip(*tokens, strict=True))
    assert waited < 0.05 * sum(map(sum, tokens))


def test_little_is_padded_and_the_longest_row_comes_first():
    batches = list(LengthBatches(LENGTHS, batch_size=8))
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    assert sum(LENGTHS) > 0.9 * padded  # at random: 0.55
    assert max(LENGTHS) in [LENGTHS[row] for row in batches[0]]


def test_the_order_depends_on_seed_and_epoch_alone_and_is_shuffled():
    def order(seed, epoch):
        return list(LengthBatches(LENGTHS, batch_size=8, seed=seed, epoch=lambda: epoch))

    torch.manual_seed(1)
    first = order(42, 1)
    torch.manual_seed(2)
    assert order(42, 1) == first
    for other in (order(42, 2), order(43, 1)):
        assert other != first
        shared = {frozenset(batch) for batch in first} & {frozenset(batch) for batch in other}
        assert len(shared) < len(first) / 10, "rows must meet others"
    longest = [max(LENGTHS[row] for row in batch) for batch in first]
    steps = [abs(a - b) for a, b in pairwise(longest)]
    assert sum(steps) / len(steps) > 30, "batches must not come sorted by length"


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_slots_are_the_batches_that_accelerate_gives_plain_trainer(processes, drop_last):
    for rows in (2, 5, 12, 13, 18, 23, 24):
        slots = TrainerSlots(
            rows, batch_size=2, processes=processes, seed=7, drop_last=drop_last
        )  # fmt: skip
        shares = []
        for process in range(processes):
            loader = prepare_data_loader(
                DataLoader(range(rows), batch_size=2, shuffle=True, drop_last=drop_last),
                device=torch.device("cpu"), num_processes=processes, process_index=process,
                put_on_device=False, rng_types=[], use_seedable_sampler=True, data_seed=7,
            )  # fmt: skip
            loader.set_epoch(3)
            shares.append([batch.tolist() for batch in loader])
        theirs = [list(chain(*batches)) for batches in zip(*shares, strict=True)]
        assert [slot.tolist() for slot in slots(3)] == theirs
        assert len(slots) == len(theirs)
