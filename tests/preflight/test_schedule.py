"""Steps of a run, counted without one, and what is said of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from frtune import KeyphraseGeneration, training_arguments
from frtune.errors import InputError
from frtune.preflight.schedule import forecasts, schedule


@pytest.fixture
def arguments(tmp_path):
    def make(**overrides):
        return training_arguments(KeyphraseGeneration(), str(tmp_path / "run"), **overrides)

    return make


def settings(**overrides):
    return SimpleNamespace(**{"checkpoint": "x", "early_stopping_patience": 3, **overrides})


@pytest.mark.parametrize("accumulated", [1, 4])
@pytest.mark.parametrize("rows", [33, 64])
def test_steps_are_those_of_the_trainer(rows, accumulated, arguments):
    import torch
    from transformers import Trainer

    args = arguments(
        per_device_train_batch_size=8,
        gradient_accumulation_steps=accumulated,
        num_train_epochs=2.5,
        eval_strategy="no",
        save_strategy="no",
        load_best_model_at_end=False,
    )
    trainer = Trainer(torch.nn.Linear(1, 1), args, train_dataset=[{"x": i} for i in range(rows)])
    loader = torch.utils.data.DataLoader([0] * rows, batch_size=8)
    expected = trainer.set_initial_training_values(args, loader)
    found = schedule(args, rows)
    assert (found.steps_per_epoch, found.steps) == (expected[1], expected[-1])


def test_an_ordinary_run_is_let_pass(arguments):
    args = arguments()
    assert forecasts(args, settings(), schedule(args, 10_000), lora=False) == []


WRONG = {
    "warm-up": ({"warmup_steps": 900}, {}, "all of the run's 63 steps warm up"),
    "rate": ({"learning_rate": 2.0}, {}, "learning_rate=2: is very high"),
    "evaluation": (
        {"eval_strategy": "steps", "eval_steps": 500, "save_strategy": "no",
         "load_best_model_at_end": False},
        {}, "eval_steps=500: never reached in the run's 63 steps"),
    "checkpoints": (
        {"save_strategy": "steps", "save_steps": 500, "load_best_model_at_end": False},
        {}, "save_steps=500: never reached"),
    "delay": ({"eval_delay": 9}, {}, "eval_delay=9: longer than the run (63 steps, 3.0 epochs)"),
    "patience": ({}, {"early_stopping_patience": 5}, "the run evaluates 3 times"),
    "no evaluation": (
        {"eval_strategy": "no", "load_best_model_at_end": False},
        {"early_stopping_patience": 5}, "early_stopping_patience=5 does nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_looks_wrong_is_said_with_numbers(name, arguments):
    overrides, ours, message = WRONG[name]
    args = arguments(**overrides)
    found = forecasts(args, settings(**ours), schedule(args, 168), lora=False)
    assert any(message in warning for warning in found), found


def test_rows_that_fill_no_batch_are_refused(arguments):
    args = arguments(dataloader_drop_last=True, per_device_train_batch_size=64)
    with pytest.raises(InputError, match="the 34 training rows do not fill a batch of 64"):
        schedule(args, 34)
