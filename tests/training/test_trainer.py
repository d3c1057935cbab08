"""The trainer refuses early what would fail late, and names what went wrong."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import Seq2SeqTrainer

from frtune import InputError, KeyphraseGeneration, build_model
from frtune.training.trainer import GenerationSchedule, NonFiniteLossError


@pytest.fixture
def setup(tiny, rows, arguments):
    """``setup(family, schedule=..., **arguments)``: a trainer over eight rows."""

    def make(family="t5", task=None, schedule=None, dataset=rows, **overrides):
        task = task or KeyphraseGeneration(max_source_tokens=64, max_target_tokens=8)
        model, tokenizer = build_model(task, checkpoint=str(tiny(family)), proof=False)
        args = arguments(task, max_steps=2, per_device_train_batch_size=4, **overrides)
        return task.trainer(
            model, tokenizer, args, train_dataset=dataset, eval_dataset=dataset, schedule=schedule
        )

    return make


def test_seq2seq_gives_a_seq2seq_trainer_and_a_decoder_does_not(setup):
    assert isinstance(setup("t5"), Seq2SeqTrainer)
    assert not isinstance(setup("polyglot"), Seq2SeqTrainer)


def test_non_finite_loss_names_step_and_rows(setup):
    trainer = setup()
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"loss=nan in training at step 1, rows \[\d"):
        trainer.train()


def test_evaluation_while_training_does_not_generate_by_default(setup):
    trainer = setup(eval_strategy="epoch")
    trainer.train()
    entries = [e for e in trainer.state.log_history if "eval_loss" in e]
    assert entries and not any("eval_f1_at_10" in entry for entry in entries)
    assert "eval_f1_at_10" in trainer.evaluate()


def test_schedule_generates_while_training_on_so_many_rows(setup):
    trainer = setup(
        "polyglot", schedule=GenerationSchedule(every_epochs=1, max_rows=3), eval_strategy="epoch"
    )
    trainer.train()
    entries = [e for e in trainer.state.log_history if "eval_loss" in e]
    assert all("eval_f1_at_10" in entry for entry in entries)
    assert len(trainer.outputs) == 3


def test_predictions_stand_in_the_order_of_rows(setup, rows):
    trainer = setup("t5")
    forward = trainer.predict(rows)
    outputs = [row.ids for row in trainer.outputs]
    trainer.predict(rows.select(range(7, -1, -1)))
    assert [row.ids for row in trainer.outputs] == outputs[::-1]
    assert forward.predictions.shape[0] == len(rows)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"metric_for_best_model": "rouge"}, "no score of this task"),
        ({"metric_for_best_model": "f1_at_10"}, "needs generation at every evaluation"),
        ({"greater_is_better": True}, "loss is better when it is smaller"),
    ],
)
def test_a_metric_that_cannot_be_is_refused_before_the_first_step(setup, overrides, message):
    best = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    with pytest.raises(InputError, match=message):
        setup(**{**best, **overrides})


def test_fp16_is_refused_for_t5_with_the_way_out(setup, monkeypatch):
    trainer = setup()
    trainer.args.mixed_precision = "fp16"  # a launcher may have said so
    from frtune.training.training_checks import check_precision

    with pytest.raises(InputError, match="--bf16"):
        check_precision(trainer.model, trainer.args)


def test_fsdp_is_refused_on_cpus_where_it_would_silently_be_ddp(setup, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(InputError, match=r"shards nothing\. Pass --deepspeed"):
        setup()


def test_a_source_longer_than_the_model_is_refused(setup):
    task = KeyphraseGeneration(max_source_tokens=4000)
    with pytest.raises(InputError, match=r"2048 positions\. Pass --max-source-tokens 1984"):
        setup("polyglot", task=task)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (DatasetDict({"train": Dataset.from_dict({"text": ["a"]})}), "Pick one"),
        ([{"text": "a"}], "Dataset.from_list"),
        (Dataset.from_dict({"text": [], "keyphrases": []}), "has no rows"),
        (Dataset.from_dict({"texte": ["a"]}), "it has texte"),
    ],
)
def test_wrong_data_sets_are_refused(setup, dataset, message):
    with pytest.raises(InputError, match=message):
        setup(dataset=dataset)


@pytest.mark.parametrize(
    ("family", "lora"), [("t5", False), ("polyglot", False), ("polyglot", True)]
)
def test_resumed_training_ends_with_the_same_weights(family, lora, tiny, rows, arguments):
    from frtune import lora_config

    task = KeyphraseGeneration(max_source_tokens=64)

    def trainer():
        torch.manual_seed(0)
        model, tokenizer = build_model(
            task, checkpoint=str(tiny(family)), lora=lora_config() if lora else None, proof=False
        )
        args = arguments(
            task, max_steps=4, save_strategy="steps", save_steps=2, per_device_train_batch_size=2,
            learning_rate=1e-3,
        )  # fmt: skip
        return task.trainer(model, tokenizer, args, train_dataset=rows)

    whole = trainer()
    whole.train()
    resumed = trainer()
    resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-2")
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
