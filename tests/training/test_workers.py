"""Processes that make batches change neither what is learnt nor where a run goes on."""

from __future__ import annotations

import multiprocessing

import pytest
import torch

from frtune import (
    KeyphraseGeneration,
    Mixup,
    SequenceClassification,
    build_model,
    training_arguments,
)
from frtune.cli.train_arguments import parse_train_arguments
from frtune.training import arguments as module
from pretended import A100, T4, pretend

CASES = {
    "bert": SequenceClassification(max_source_tokens=64),
    "bert by length": SequenceClassification(max_source_tokens=64),
    "bert mixed": SequenceClassification(max_source_tokens=64),
    "t5": KeyphraseGeneration(max_source_tokens=64),
    "polyglot": KeyphraseGeneration(max_source_tokens=64),
}


@pytest.fixture
def trainer(tiny, rows, arguments):
    """``trainer(name, **arguments)``: three epochs of four steps, with dropout."""

    def make(name, **overrides):
        task = CASES[name].fit(rows)
        torch.manual_seed(0)
        model, tokenizer = build_model(task, checkpoint=str(tiny(name.split()[0])), proof=False)
        strategy = "group_by_length" if name.endswith("by length") else "random"
        args = arguments(
            task, num_train_epochs=3, per_device_train_batch_size=1, learning_rate=1e-3,
            gradient_accumulation_steps=2, train_sampling_strategy=strategy, **overrides,
        )  # fmt: skip
        mixup = Mixup(rows=3) if name.endswith("mixed") else None
        return task.trainer(model, tokenizer, args, train_dataset=rows, mixup=mixup, proof=False)

    return make


def learnt(trainer):
    return [
        (entry["step"], entry["loss"], entry["grad_norm"])
        for entry in trainer.state.log_history
        if "grad_norm" in entry
    ]


@pytest.mark.parametrize("name", CASES)
def test_a_run_with_workers_that_is_resumed_within_an_epoch_learns_the_same(name, trainer):
    (alone := trainer(name)).train()
    (
        whole := trainer(
            name, dataloader_num_workers=2, save_strategy="steps", save_steps=5, save_total_limit=9
        )
    ).train()
    assert len(learnt(alone)) >= 12 and learnt(whole) == learnt(alone)
    resumed = trainer(name, dataloader_num_workers=2)
    resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-5")
    assert learnt(resumed)[-7:] == learnt(alone)[-7:]
    expected, found = alone.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(
    ("card", "cores", "use_cpu", "expected"),
    [
        (A100, 16, False, 4),
        (T4, 3, False, 2),
        (T4, 1, False, 0),
        (A100, 0, False, 0),  # more processes than cores
        (A100, 16, True, 0),
        (None, 16, False, 0),
    ],
)
def test_a_gpu_gets_workers_as_cores_are_spare(card, cores, use_cpu, expected, monkeypatch):
    pretend(monkeypatch, card)
    monkeypatch.setattr(module, "cores_of_process", lambda: cores)
    monkeypatch.setattr(module.multiprocessing, "get_start_method", lambda allow_none: "fork")
    assert module.loader_workers(use_cpu=use_cpu) == expected


def test_workers_are_not_started_by_running_the_script_again(monkeypatch):
    pretend(monkeypatch, A100)
    monkeypatch.setattr(module, "cores_of_process", lambda: 8)
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        for method, expected in (("spawn", 0), ("fork", 4)):
            multiprocessing.set_start_method(method, force=True)
            assert module.loader_workers(use_cpu=False) == expected
        multiprocessing.set_start_method(None, force=True)
        monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn", "fork"])
        assert module.loader_workers(use_cpu=False) == 0
    finally:
        multiprocessing.set_start_method(before, force=True)


@pytest.mark.parametrize("given", [None, 0, 7])
def test_workers_are_the_user_s_where_they_are_given(given, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "loader_workers", lambda *, use_cpu: 3)
    chosen = {} if given is None else {"dataloader_num_workers": given}
    args = training_arguments(CASES["bert"], str(tmp_path), **chosen)
    flags = ["--data", "rows.csv", "--checkpoint", "x"]
    flags += [] if given is None else ["--dataloader-num-workers", str(given)]
    _, _, parsed = parse_train_arguments("classification", flags)
    expected = 3 if given is None else given
    assert [each.dataloader_num_workers for each in (args, parsed)] == [expected, expected]
