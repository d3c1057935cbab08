"""Cuts that fit the memory: where it runs out, a smaller cut learns the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from frtune import Mixup, SequenceClassification, build_model
from frtune.training.resource_errors import MemoryFullError
from frtune.training.stateful_trainer import PROGRESS_FILE

ROOM = 40  # tokens


def fill(model, phase, room, sizes):
    """Have memory run out in ``phase`` where a batch has more tokens than ``room()``."""

    def full(tokens):
        sizes.append(tokens)
        if tokens > room():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

    embeddings = model.get_input_embeddings()
    if phase == "forward":
        embeddings.register_forward_hook(lambda module, given, output: full(given[0].numel()))
    else:  # all other weights have their gradients by then

        def on_gradient(module, given, output):
            output.register_hook(lambda gradient: full(given[0].numel()))

        embeddings.register_forward_hook(on_gradient)


@pytest.fixture
def trainer(tiny, rows, arguments):
    """``trainer(phase, room)``: memory runs out in ``phase`` above ``room`` tokens.

    ``.sizes`` are the tokens of all cuts that were tried.
    """

    def make(phase=None, room=ROOM, *, dropout=True, mixup=None, budget=None, **overrides):
        task = SequenceClassification(max_source_tokens=64).fit(rows)
        torch.manual_seed(0)
        model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
        sizes = []
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout) and not dropout:
                module.p = 0.0
        fill(model, phase, (lambda: room) if phase else (lambda: 10**9), sizes)
        settings = {
            "learning_rate": 1e-3, "max_grad_norm": 1e9, "num_train_epochs": 3,
            "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2,
        }  # fmt: skip
        made = task.trainer(
            model, tokenizer, arguments(task, **{**settings, **overrides}), train_dataset=rows,
            mixup=mixup, max_tokens_per_batch=budget, proof=False,
        )  # fmt: skip
        made.sizes = sizes
        return made

    return make


def learnt(made):
    made.train()
    return [
        (entry["loss"], entry["grad_norm"])
        for entry in made.state.log_history if "grad_norm" in entry
    ]  # fmt: skip


def weights(made):
    return torch.cat([weight.detach().flatten() for weight in made.model.parameters()])


@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_where_memory_runs_out_smaller_cuts_learn_the_same(phase, trainer, caplog):
    enough = trainer(dropout=False)
    expected = learnt(enough)
    assert max(enough.sizes) > ROOM
    short = trainer(phase, dropout=False)
    assert learnt(short) == [pytest.approx(values, rel=1e-5) for values in expected]
    assert sum(size > ROOM for size in short.sizes) in (1, 2), "steps that follow are cut at once"
    assert short.state.num_input_tokens_seen == enough.state.num_input_tokens_seen
    told = [each.message for each in caplog.records if "memory ran out" in each.message]
    assert len(told) == sum(size > ROOM for size in short.sizes)
    assert told[-1].endswith(f"at most {short.cut_tokens} tokens at once. Each step keeps its rows")


def test_a_step_that_is_run_again_and_a_resumed_run_draw_as_if_memory_had_never_run_out(trainer):
    short = trainer("backward", save_strategy="steps", save_steps=1, save_total_limit=99)
    short.train()
    assert max(short.sizes) > ROOM > short.cut_tokens
    small = trainer(budget=short.cut_tokens)
    small.train()
    assert max(small.sizes) <= ROOM and torch.equal(weights(small), weights(short))
    checkpoint = Path(short.args.output_dir, "checkpoint-3")
    assert json.loads((checkpoint / PROGRESS_FILE).read_text())["cut_tokens"] == short.cut_tokens
    for budget in (None, 10**6):
        resumed = trainer("backward", budget=budget)
        resumed.train(resume_from_checkpoint=str(checkpoint))
        assert max(resumed.sizes) <= ROOM and torch.equal(weights(resumed), weights(short))
    resumed = trainer(budget=1)
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert len(resumed.sizes) == 3 * 4, "rows are not alone"


def test_rows_that_cannot_be_cut_end_the_run(trainer):
    for mixup, rows in ((None, "1 rows"), (Mixup(), "[23] rows")):
        short = trainer("forward", room=4, mixup=mixup, per_device_train_batch_size=4)
        with pytest.raises(
            MemoryFullError, match=f"ran out at step 1 with a batch of {rows}.*Try a "
        ):
            short.train()


class Device:
    """A device that gives 100 bytes to a token, and holds ``size`` bytes."""

    def __init__(self, size, seen):
        self.size, self.seen = size, seen

    def free(self):
        return self.size

    def taken(self, function):
        self.seen.clear()
        function()
        return 100 * sum(self.seen)


def test_a_device_is_measured_on_the_longest_rows_and_nothing_else_changes(trainer, monkeypatch):
    plain = trainer()
    longest = max(map(len, plain.train_dataset["input_ids"]))
    states = 8 * sum(weight.numel() for weight in plain.model.parameters())
    for rows, room in ((1, 0.5), (1, 1.9), (2, 2.5), (3, 3.5), (4, 100)):
        made = trainer(max_steps=1)
        device = Device(states + 100 * longest * room / 0.9, made.sizes)
        monkeypatch.setattr("frtune.training.trainer.device_memory", lambda _, found=device: found)
        made.train()
        assert made.cut_tokens == rows * longest
        if rows == 4:
            assert torch.equal(weights(made), weights(trainer_of(made.cut_tokens, trainer)))
    for phase in ("forward", "backward"):
        made = trainer(phase, room=2 * longest, max_steps=1)
        device = Device(10**12, made.sizes)
        monkeypatch.setattr("frtune.training.trainer.device_memory", lambda _, found=device: found)
        made.train()
        assert made.cut_tokens == 2 * longest
        assert torch.equal(weights(made), weights(trainer_of(2 * longest, trainer)))


def trainer_of(budget, trainer):
    """The trainer of a run that was told its budget."""
    made = trainer(budget=budget, max_steps=1)
    made.train()
    return made
