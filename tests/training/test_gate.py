"""Settings that change what the trainer relies on act, or are refused when it is made."""

from __future__ import annotations

import pytest
import torch
from transformers import EarlyStoppingCallback

from frtune import InputError, SequenceClassification, build_model

EVALUATES = {"eval_strategy": "epoch", "report_to": "none"}


@pytest.fixture
def make(tiny, rows, arguments):
    """``make(**arguments)``: a trainer of eight rows to classify, which evaluates each epoch."""
    task = SequenceClassification(max_source_tokens=32).fit(rows)

    def made(callbacks=(), **overrides):
        torch.manual_seed(0)
        model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
        args = arguments(task, **{**EVALUATES, "num_train_epochs": 1, **overrides})
        return task.trainer(
            model, tokenizer, args, train_dataset=rows, eval_dataset=rows, callbacks=[*callbacks]
        )

    return made


def test_short_batches_are_dropped_in_training_alone(make, rows):
    batches = {"per_device_train_batch_size": 3, "per_device_eval_batch_size": 3}
    plain, trainer = make(**batches), make(dataloader_drop_last=True, **batches)
    assert [len(each.get_train_dataloader()) for each in (plain, trainer)] == [3, 2]
    trainer.train()
    assert trainer.state.global_step == 2 and trainer.args.dataloader_drop_last
    assert len(trainer.predict(rows).predictions) == len(rows)
    assert len(trainer.outputs) == len(rows) and "eval_accuracy" in trainer.evaluate()
    with pytest.raises(InputError, match="8 training rows do not fill a batch of 9"):
        make(dataloader_drop_last=True, per_device_train_batch_size=9)


@pytest.mark.parametrize("kind", ["reduce_lr_on_plateau", "greedy"])
@pytest.mark.parametrize(("metric", "mode"), [("accuracy", "max"), ("loss", "min")])
@pytest.mark.parametrize("given", [None, {"factor": 0.5}])
def test_a_schedule_that_follows_a_score_has_its_direction(make, kind, metric, mode, given):
    if kind == "greedy":
        pytest.importorskip("transformers.optimization").__dict__.get("GreedyLR") or pytest.skip()
    how = {"metric_for_best_model": metric, "greater_is_better": mode == "max"}
    trainer = make(lr_scheduler_type=kind, lr_scheduler_kwargs=given, **how)
    trainer.create_optimizer_and_scheduler(4)
    assert trainer.lr_scheduler.mode == mode
    assert trainer.args.lr_scheduler_kwargs == given
    assert given is None or trainer.lr_scheduler.factor == 0.5
    other = {"mode": "min" if mode == "max" else "max"}
    with pytest.raises(InputError, match=f"is mode={mode}. Leave mode out"):
        make(lr_scheduler_type=kind, lr_scheduler_kwargs=other, **how)


@pytest.mark.parametrize(
    "how",
    [{}, {"lr_scheduler_type": "reduce_lr_on_plateau"}, {"load_best_model_at_end": True,
     "save_strategy": "epoch"}],
)  # fmt: skip
@pytest.mark.parametrize("stops", [True, False])
def test_a_mistyped_metric_is_refused_wherever_it_would_be_read(make, how, stops):
    callbacks = [EarlyStoppingCallback(1)] if stops else []
    with pytest.raises(InputError, match=r"metric_for_best_model=accurcy: .* Did you mean"):
        make(callbacks, metric_for_best_model="accurcy", greater_is_better=True, **how)


def test_early_stopping_without_a_score_to_follow_is_refused(make):
    with pytest.raises(InputError, match="EarlyStoppingCallback with eval_strategy=no"):
        make([EarlyStoppingCallback(1)], eval_strategy="no")
    with pytest.raises(InputError, match="EarlyStoppingCallback with metric_for_best_model=None"):
        make([EarlyStoppingCallback], metric_for_best_model=None, greater_is_better=None)


def test_what_is_refused_on_the_command_line_is_refused_in_python(make):
    for name, value in (
        ("prediction_loss_only", True), ("label_names", ["labels"]), ("batch_eval_metrics", True),
        ("eval_do_concat_batches", False), ("learning_rate", float("nan")), ("seed", -1),
        ("per_device_train_batch_size", -3), ("num_train_epochs", 0),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"^{name}="):
            make(**{name: value})
