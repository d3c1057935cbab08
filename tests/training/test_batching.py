"""Batches of rows of like length: every row once, in one order for a seed, alike after a resume."""

from __future__ import annotations

import random
from itertools import chain, pairwise

import pytest
import torch

from frtune import InputError, SequenceClassification, build_model
from frtune.training.batching import LengthBatches

LENGTHS = random.Random(7).choices(range(1, 201), k=503)
CUTS = [{"batch_size": 8}, {"max_tokens": 1000}, {"max_tokens": 100}]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_row_comes_once_in_equally_many_batches_of_all_processes(cut, processes):
    for epoch in range(3):
        shares = [
            list(
                LengthBatches(
                    LENGTHS, **cut, processes=processes, process=i, epoch=lambda now=epoch: now
                )
            )
            for i in range(processes)
        ]
        planned = len(LengthBatches(LENGTHS, **cut, processes=processes))
        assert {len(share) for share in shares} == {planned}
        found = [row for share in shares for batch in share for row in batch]
        repeated = len(found) - len(LENGTHS)
        assert set(found) == set(range(len(LENGTHS))) and 0 <= repeated < processes
        for at_once in zip(*shares, strict=True):  # what the processes do at the same time
            padded = [len(batch) * max(LENGTHS[row] for row in batch) for batch in at_once]
            limit = cut.get("max_tokens", 10**9)
            assert all(
                tokens <= limit or len(batch) == 1
                for tokens, batch in zip(padded, at_once, strict=True)
            )
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


@pytest.fixture
def trainer(tiny, rows, arguments):
    """``trainer(max_tokens_per_batch=..., **arguments)``; ``.seen`` lists each batch's rows."""
    task = SequenceClassification(max_source_tokens=64).fit(rows)

    def make(max_tokens_per_batch=None, **overrides):
        torch.manual_seed(0)
        model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        args = arguments(task, learning_rate=1e-3, max_grad_norm=1e9, **overrides)
        made = task.trainer(
            model, tokenizer, args, train_dataset=rows, max_tokens_per_batch=max_tokens_per_batch
        )
        seen, step = [], made.training_step
        made.training_step = lambda model, inputs, items=None: (
            seen.append(inputs["row"].tolist()) or step(model, inputs, items)
        )
        made.seen = seen
        return made

    return make


@pytest.mark.parametrize("budget", [None, 40])
def test_a_run_resumed_within_its_second_epoch_goes_on_in_the_same_order(trainer, budget):
    settings = {"num_train_epochs": 3, "per_device_train_batch_size": 2}
    whole = trainer(budget, **settings, save_strategy="steps", save_steps=1, save_total_limit=99)
    whole.train()
    epoch = len(whole.seen) // 3
    assert epoch > 3 and len({str(whole.seen[i : i + epoch]) for i in (0, epoch, 2 * epoch)}) == 3
    resumed = trainer(budget, **settings)
    done = epoch + 1
    resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-{done}")
    assert resumed.seen == whole.seen[done:]
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_step_by_budget_has_the_loss_and_gradients_of_one_by_rows(trainer):
    steps = []
    for budget, settings in (
        (None, {"per_device_train_batch_size": 8}),
        (40, {"gradient_accumulation_steps": 20}),
    ):
        made = trainer(budget, num_train_epochs=1, **settings)
        made.train()
        assert sorted(chain(*made.seen)) == list(range(8))
        logged = next(entry for entry in made.state.log_history if "grad_norm" in entry)
        steps.append((len(made.seen), logged["loss"], logged["grad_norm"]))
    (one, *expected), (several, *found) = steps
    assert one == 1 and several > 3
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_budget_that_cannot_be_kept_is_refused(trainer):
    with pytest.raises(InputError, match="max_tokens_per_batch=0: at least 1"):
        trainer(0)
    with pytest.raises(InputError, match="--train-sampling-strategy group_by_length"):
        trainer(40, train_sampling_strategy="random")
