"""A resumed run reports and decides as one that was left alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState

from frtune import InputError, SequenceClassification, build_model, lora_config, training_arguments
from frtune.training.atomic_checkpoints import MANIFEST, read_manifest
from frtune.training.stateful_trainer import PROGRESS_FILE


class Killed(Exception):
    pass


class KillAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            raise Killed


class Plain(TrainerCallback):
    """Counts steps, and tells no checkpoint."""

    def __init__(self, limit):
        self.limit, self.seen = limit, 0

    def on_step_end(self, args, state, control, **kwargs):
        self.seen += 1
        control.should_training_stop |= self.seen >= self.limit


class Exported(Plain, ExportableState):
    def state(self):
        return {"args": {"limit": self.limit}, "attributes": {"seen": self.seen}}


EVALUATED = {
    "eval_strategy": "steps", "eval_steps": 1, "save_steps": 2, "logging_steps": 3,
    "metric_for_best_model": "eval_loss", "greater_is_better": False, "save_total_limit": 3,
}  # fmt: skip
NO_GAIN = {**EVALUATED, "learning_rate": 0.0, "save_steps": 1}  # the first evaluation is the best
RUNS = {
    "loss between logs": ({**EVALUATED, "gradient_accumulation_steps": 2}, lambda: []),
    "epochs": (
        {
            **EVALUATED, "max_steps": -1, "num_train_epochs": 3, "eval_strategy": "epoch",
            "save_strategy": "epoch", "logging_strategy": "epoch", "load_best_model_at_end": True,
        },
        lambda: [],
    ),
    "early stopping": (NO_GAIN, lambda: [EarlyStoppingCallback(5)]),
    "best step not saved": (
        {**NO_GAIN, "save_steps": 4},
        lambda: [EarlyStoppingCallback(6)],
    ),
    "evaluation at the start": (
        {**EVALUATED, "eval_on_start": True},
        lambda: [EarlyStoppingCallback(2)],
    ),
    "plateau": (
        {
            **EVALUATED, "learning_rate": 1.0, "lr_scheduler_type": "reduce_lr_on_plateau",
            "lr_scheduler_kwargs": {"patience": 0},
        },
        lambda: [],
    ),
    "two callbacks": (EVALUATED, lambda: [Exported(7), Exported(9)]),
    "states asked for": (
        {**EVALUATED, "restore_callback_states_from_checkpoint": True},
        lambda: [Exported(7)],
    ),
}  # fmt: skip


def ended(trainer):
    """All that a run decided and reports, but for times."""
    state, timed = trainer.state, ("_runtime", "_per_second")
    history = [
        {key: value for key, value in entry.items() if not key.endswith(timed)}
        for entry in state.log_history
    ]
    best = Path(state.best_model_checkpoint or "none").name
    weights = {name: value.tolist() for name, value in trainer.model.state_dict().items()}
    return state.global_step, state.best_global_step, state.best_metric, best, history, weights


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_reports_and_decides_as_a_whole_one(plain, tmp_path, name):
    settings, callbacks = RUNS[name]
    (whole := plain(tmp_path / "whole", callbacks=callbacks(), **settings)).train()
    with pytest.raises(Killed):
        plain(tmp_path / "run", callbacks=[*callbacks(), KillAt(6)], **settings).train()
    for _ in range(2):  # resumed when it is done, it does no step more
        resumed = plain(tmp_path / "run", callbacks=callbacks(), **settings)
        resumed.train(resume_from_checkpoint=True)
        assert ended(resumed) == ended(whole)
    losses = [entry["train_loss"] for entry in whole.state.log_history if "train_loss" in entry]
    assert losses and losses[0] > 0


def test_a_run_that_a_callback_ended_goes_on_where_the_user_says_so(plain, tmp_path):
    def steps(*callbacks, **settings):
        trainer = plain(tmp_path / "run", callbacks=callbacks, **{**NO_GAIN, **settings})
        trainer.train(resume_from_checkpoint=any(tmp_path.glob("run/checkpoint-*")))
        return trainer.state.global_step

    assert steps(EarlyStoppingCallback(2)) == 3
    assert steps(EarlyStoppingCallback(2)) == 3
    assert steps(EarlyStoppingCallback(4)) == 5
    assert steps(Plain(1)) == 6  # early stopping is left out
    assert steps(Plain(1)) == 6
    assert steps(Plain(2)) == 8
    assert steps(Plain(2), max_steps=9) == 9  # its last step had ended it


def test_a_callback_without_state_is_named(plain, tmp_path, caplog):
    plain(tmp_path, callbacks=[Plain(99), Exported(98)], max_steps=4).train()
    plain(tmp_path, callbacks=[Plain(99), Exported(98)], max_steps=4).train(True)
    (line,) = [each for each in caplog.messages if "starts again" in each]
    assert "Plain starts again" in line


def test_a_state_that_is_not_json_is_refused_before_the_first_step(plain, tmp_path):
    class Odd(Exported):
        def state(self):
            return {"args": {}, "attributes": {"seen": {1, 2}}}

    with pytest.raises(InputError, match=r"what Odd.state\(\) returns is not JSON"):
        plain(tmp_path, callbacks=[Odd(9), KillAt(1)]).train()


def test_another_optimizer_than_the_checkpoints_is_refused(plain, tmp_path):
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    plain(tmp_path, max_steps=2, optimizers=(sgd, None)).train()
    with pytest.raises(InputError, match="is what the arguments say in place of a SGD"):
        plain(tmp_path, max_steps=2).train(True)
    more = torch.optim.SGD([torch.zeros(1), torch.zeros(2)], lr=0.1)
    with pytest.raises(InputError, match=r"its optimizer or schedule does not fit this run's \("):
        plain(tmp_path, max_steps=2, optimizers=(more, None)).train(True)


def test_a_copied_run_finds_its_best_checkpoint(plain, tmp_path):
    settings = {**NO_GAIN, "load_best_model_at_end": True, "save_total_limit": None}
    plain(tmp_path / "run", max_steps=3, **settings).train()
    shutil.move(tmp_path / "run", tmp_path / "moved")
    for step, place in ((1, "moved"), (3, "elsewhere")):
        trainer = plain(tmp_path / place, max_steps=4, **settings)
        trainer.train(resume_from_checkpoint=str(tmp_path / "moved" / f"checkpoint-{step}"))
        assert trainer.state.best_global_step == 1
        assert trainer.state.best_model_checkpoint == str(tmp_path / "moved" / "checkpoint-1")


def test_lora_on_an_encoder_goes_on_from_python_also_from_an_earlier_version(
    tiny, rows, tmp_path, caplog
):
    task = SequenceClassification(labels=["0", "1"])

    def trainer():
        model, tokenizer = build_model(
            task, checkpoint=str(tiny("bert")), lora=lora_config(), proof=False
        )
        args = training_arguments(
            task, str(tmp_path), max_steps=2, save_strategy="steps", save_steps=1, bf16=False,
            eval_strategy="no", load_best_model_at_end=False, disable_tqdm=True,
        )  # fmt: skip
        data = rows.cast_column("label", rows.features["text"])
        return task.trainer(model, tokenizer, args, train_dataset=data)

    trainer().train()
    trainer().train(True)  # its head was drawn anew, and nothing computes with that
    assert "earlier version" not in caplog.text
    frozen = trainer().conditions()["model"]["frozen_in_use"]
    assert (
        frozen == read_manifest(tmp_path / "checkpoint-2")["conditions"]["model"]["frozen_in_use"]
    )
    older = tmp_path / "checkpoint-2" / MANIFEST
    content = json.loads(older.read_text("utf-8"))
    content["conditions"]["model"]["frozen"] = "other"
    del content["conditions"]["model"]["frozen_in_use"], content["files"][PROGRESS_FILE]
    older.write_text(json.dumps(content))
    older.with_name(PROGRESS_FILE).unlink()
    trainer().train(True)
    assert "of an earlier version: its frozen weights are not compared" in caplog.text
