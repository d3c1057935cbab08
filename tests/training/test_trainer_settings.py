"""Every argument of ``Trainer`` acts for every task, or is refused by name."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import (
    DataCollatorWithPadding,
    GenerationConfig,
    Seq2SeqTrainer,
    Trainer,
    TrainerCallback,
)

import frtune
from frtune import InputError
from frtune.training.trainer import GenerationSchedule
from frtune.training.trainer_settings import NAMED, OF_TRAINER

LIMITS = {"max_source_tokens": 64, "max_target_tokens": 8}
TASKS = {
    "classification": ("bert", lambda: frtune.SequenceClassification(labels=["0", "1"])),
    "similarity": ("bert", lambda: frtune.SentenceSimilarity(labels=["0", "1"], symmetric=True)),
    "keywords": ("bert", frtune.KeywordExtraction),
    "keyphrases": ("t5", lambda: frtune.KeyphraseGeneration(**LIMITS)),
    "decoder": ("polyglot", lambda: frtune.KeyphraseGeneration(**LIMITS)),
}
BEST = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}


@pytest.fixture
def make(tiny, rows, arguments):
    """``make("keywords", **settings)``: a trainer of two steps over eight rows."""

    def made(name, *, asked=(), lora=None, init=False, **settings):
        family, task = TASKS[name][0], TASKS[name][1]()
        given = {"max_steps": 2, "per_device_train_batch_size": 4, **dict(asked)}
        args = arguments(task, **given)

        def build():
            torch.manual_seed(0)
            return frtune.build_model(task, checkpoint=str(tiny(family)), lora=lora, proof=False)

        model, tokenizer = build()
        if init:
            model, settings["model_init"] = None, lambda: build()[0]
        settings = {"train_dataset": rows, "eval_dataset": rows, **settings}
        return task.trainer(model, tokenizer, args, **settings)

    return made


def test_every_parameter_of_the_installed_trainer_is_known():
    of_init = {*inspect.signature(Trainer.__init__).parameters} - {"self"}
    assert of_init <= {*OF_TRAINER, *NAMED}
    known = {
        "train": {"resume_from_checkpoint", "trial", "ignore_keys_for_eval"},
        "evaluate": {"eval_dataset", "ignore_keys", "metric_key_prefix", "gen_kwargs"},
        "predict": {"test_dataset", "ignore_keys", "metric_key_prefix", "gen_kwargs"},
        "hyperparameter_search": {
            "hp_space", "compute_objective", "n_trials", "direction", "backend", "hp_name",
            "kwargs",
        },
    }  # fmt: skip
    for method, parameters in known.items():
        theirs = inspect.signature(getattr(Seq2SeqTrainer, method)).parameters
        assert {*theirs} - {"self"} <= parameters, method


@pytest.mark.parametrize("name", TASKS)
def test_scores_of_the_user_join_those_of_the_task(make, rows, name):
    given = []
    trainer = make(name, compute_metrics=lambda each: given.append(each) or {"rows": 8.0})
    metrics = trainer.predict(rows).metrics
    assert metrics["test_rows"] == 8.0 and len(metrics) > 6
    (found,) = given
    assert len(found.predictions) == len(found.label_ids) == 8
    if trainer.task.generates:  # phrases, in the order of the rows
        assert found.label_ids == trainer.task.references(rows)
    else:
        assert np.array_equal(found.predictions, trainer.task.reported(np.array(trainer.outputs)))
    if name == "keywords":  # labels of tokens, though logits are kept
        assert found.predictions.shape == found.label_ids.shape
    if name in ("classification", "similarity"):
        assert found.label_ids.tolist() == rows["label"]


def test_a_score_of_the_user_chooses_the_best_model(make):
    asked = {**BEST, "metric_for_best_model": "mine", "num_train_epochs": 1, "max_steps": -1}
    trainer = make("classification", asked=asked, compute_metrics=lambda each: {"mine": 2.0})
    trainer.train()
    assert trainer.state.best_metric == 2.0
    trainer = make("classification", asked=asked, compute_metrics=lambda each: {"other": 2.0})
    with pytest.raises(InputError, match=r"reported no such score.*, other"):
        trainer.train()


@pytest.mark.parametrize("name", TASKS)
def test_rows_without_labels_are_answered_and_not_scored(make, rows, name):
    trainer = make(name)
    bare = rows.select_columns(list(trainer.task.columns))
    found, scored = trainer.predict(bare), trainer.predict(rows)
    assert np.array_equal(found.predictions, scored.predictions)
    assert not any("f1" in key or "loss" in key for key in found.metrics)
    with pytest.raises(InputError, match=r"has no column .*, which evaluate compares answers with"):
        trainer.evaluate(bare)


def test_several_evaluation_sets_have_scores_of_their_own(make, rows):
    asked = {**BEST, "metric_for_best_model": "eval_b_loss", "max_steps": -1, "num_train_epochs": 1}
    sets = {"a": rows, "b": rows.select(range(3))}
    trainer = make("keyphrases", asked=asked, eval_dataset=sets)
    trainer.train()
    metrics = trainer.evaluate(max_length=6)
    assert trainer.state.best_metric == metrics["eval_b_loss"] != metrics["eval_a_loss"]
    assert metrics["eval_a_mean_tokens"] == metrics["eval_b_mean_tokens"] == 5
    assert {"validation a", "validation b"} <= trainer.conditions()["data"].keys()


def lengths(trainer, rows, **options):
    trainer.predict(rows, **options)
    return {len(row.ids) for row in trainer.outputs}


@pytest.mark.parametrize(("name", "start"), [("keyphrases", 1), ("decoder", 0)])
def test_settings_of_generation_act(make, rows, tmp_path, name, start):
    trainer = make(name)
    assert lengths(trainer, rows) == {8}
    assert lengths(trainer, rows, max_length=6) == {6 - start}
    assert lengths(trainer, rows, max_new_tokens=5, num_beams=2) == {5}
    assert trainer.evaluate(max_length=6)["eval_cut_by_limit_rate"] == 1
    assert trainer.evaluate()["eval_mean_tokens"] == 8
    assert lengths(make(name, asked={"generation_max_length": 6}), rows) == {6 - start}
    GenerationConfig(max_new_tokens=6, num_beams=2, length_penalty=0.5).save_pretrained(tmp_path)
    lora = frtune.lora_config() if name == "decoder" else None
    trainer = make(name, asked={"generation_config": str(tmp_path)}, lora=lora)
    trainer.predict(rows)
    saved = frtune.load(frtune.save(trainer, tmp_path / "saved", proof=False), bf16=False)
    written = saved.outputs(saved.encode(rows))
    assert [row.ids for row in written] == [row.ids for row in trainer.outputs]
    assert saved.model.generation_config.num_beams == 2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("classification", {"num_beams": 2}, "num_beams=2: classification writes no text"),
        ("keyphrases", {"num_beam": 2}, "Did you mean num_beams"),
        ("keyphrases", {"num_beams": 0}, "num_beams=0: a whole number of at least 1"),
        ("keyphrases", {"num_beams": 9000}, "72,000 tokens"),
        ("keyphrases", {"max_length": 10**6}, "999,999 tokens"),
        ("decoder", {"max_length": 10**6}, "2048 positions, 64 of them for the source"),
        ("keyphrases", {"max_length": 9, "max_new_tokens": 9}, "the same limit"),
        ("keyphrases", {"temperature": 0.5}, "do_sample=True"),
        ("keyphrases", {"temperature": -1.0, "do_sample": True}, "strictly positive"),
        ("decoder", {"min_length": 4}, "Pass min_new_tokens"),
        ("decoder", {"ignore_keys": ["x"]}, "ignore_keys"),
    ],
)
def test_settings_of_generation_that_cannot_act_are_refused(make, rows, name, options, message):
    with pytest.raises(InputError, match=message):
        make(name).predict(rows, **options)


def test_arguments_of_generation_are_refused_where_nothing_is_written(make):
    for argument, value in {
        "generation_num_beams": 2,
        "generation_max_length": 9,
        "generation_config": "x",
        "predict_with_generate": True,
    }.items():
        with pytest.raises(InputError, match=f"{argument}=.*: keywords writes no text"):
            make("keywords", asked={argument: value})
    for asked, message in [
        ({"generation_config": "/no/such"}, "generation_config=/no/such: cannot be used"),
        ({"generation_config": GenerationConfig(eos_token_id=17)}, "eos_token_id=17"),
        ({"generation_num_beams": -1}, "generation_num_beams=-1: at least 1"),
    ]:
        with pytest.raises(InputError, match=message):
            make("keyphrases", asked=asked)


class Seen(TrainerCallback):
    def __init__(self):
        self.steps = 0

    def on_step_end(self, args, state, control, **kwargs):
        self.steps += 1


def test_what_takes_the_place_of_the_tasks_own_parts_acts(make):
    seen = Seen()
    losses = []

    def loss(outputs, labels, num_items_in_batch=None):
        losses.append(len(outputs["logits"]) == len(labels))
        return outputs["logits"].float().square().mean()

    sgd = (torch.optim.SGD, {"lr": 0.1})
    for name in ("similarity", "keyphrases"):
        trainer = make(name, callbacks=[seen], compute_loss_func=loss, optimizer_cls_and_kwargs=sgd)
        trainer.train()
        assert isinstance(trainer.optimizer.optimizer, torch.optim.SGD)
    assert seen.steps == 4 and losses and all(losses)
    tokenizer = make("classification").processing_class
    batches = []

    def collator(examples):
        batches.append({*examples[0]})
        return DataCollatorWithPadding(tokenizer)(examples)

    plain = make("classification").evaluate()["eval_loss"]
    own = make("classification", data_collator=collator).evaluate()["eval_loss"]
    assert own == pytest.approx(plain, abs=1e-5) and batches == [{"input_ids", "labels"}]
    scored = make(
        "similarity",
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
        compute_metrics=lambda each: {"right": float((each.predictions == each.label_ids).mean())},
    ).evaluate()
    assert scored["eval_right"] == scored["eval_accuracy"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"compute_metric": len}, "Did you mean compute_metrics"),
        ({"task": 1}, "task: is the one"),
        ({"processing_class": len}, "processing_class: is the tokenizer"),
        ({"model_init": len}, "model and model_init: both are given"),
        ({"callbacks": ["x"]}, "str is no TrainerCallback"),
        ({"compute_metrics": "f1"}, "compute_metrics: a str. Pass a function"),
        ({"optimizers": 3}, "optimizers: is no pair"),
        (
            {"optimizers": (torch.optim.SGD([torch.zeros(1, requires_grad=True)]), None)},
            "holds no weight that is trained",
        ),
        ({"optimizer_cls_and_kwargs": torch.optim.SGD}, "is no pair of a class"),
        ({"preprocess_logits_for_metrics": len}, "only compute_metrics reads"),
        ({"data_collator": len, "mixup": frtune.Mixup()}, "not with mixup"),
        ({"eval_dataset": {}}, "holds no data set"),
        ({"schedule": GenerationSchedule(every_epochs=1)}, "writes no text"),
        (
            {"compute_loss_func": len, "asked": {"label_smoothing_factor": 0.1}},
            "a loss of your own",
        ),
        ({"asked": {**BEST, "metric_for_best_model": "mine"}}, "no score of this task"),
        (
            {"eval_dataset": "sets", "asked": {**BEST, "metric_for_best_model": "eval_loss"}},
            "begins with that of a set: a_loss",
        ),
    ],
)
def test_what_cannot_act_is_refused_by_name(make, rows, settings, message):
    if settings.get("eval_dataset") == "sets":
        settings = {**settings, "eval_dataset": {"a": rows, "b": rows}}
    with pytest.raises(InputError, match=message):
        make("classification", **settings)


def tokens(trainer, rows, *, padded=False, **columns):
    found = trainer.processing_class(
        list(rows["text"]),
        truncation=True,
        max_length=40,
        padding="max_length" if padded else False,
    )
    return Dataset.from_dict({**found, **columns})


def test_rows_that_a_user_tokenised_are_as_those_of_the_task(make, rows):
    trainer = make("classification")
    own = tokens(trainer, rows, padded=True, labels=rows["label"])
    expected = trainer.evaluate(rows.map(lambda row: {"text": row["text"][:100]}))
    trainer = make("classification", train_dataset=own, eval_dataset=own)
    trainer.train()
    assert trainer.evaluate()["eval_accuracy"] == expected["eval_accuracy"]
    assert trainer.predict(own.remove_columns("labels")).predictions.shape == (8, 2)
    trainer = make("keyphrases")
    target = trainer.processing_class("budget; école")["input_ids"]
    own = tokens(trainer, rows, labels=[target] * 8)
    trainer = make("keyphrases", train_dataset=own, eval_dataset=own)
    trainer.train()
    assert "eval_f1_at_10" in trainer.evaluate()
    trainer = make("decoder")
    ids = tokens(trainer, rows)["input_ids"]
    own = Dataset.from_dict(
        {"input_ids": ids, "labels": [[-100] * (len(x) - 2) + x[-2:] for x in ids]}
    )
    trainer = make("decoder", train_dataset=own, eval_dataset=own)
    trainer.train()
    assert "eval_f1_at_10" in trainer.evaluate()


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("classification", {}, "lack labels"),
        ("classification", {"labels": [7] * 8}, "row 1: labels: 7 is none of 2 classes"),
        ("classification", {"input_ids": [[1, 10**6]] * 8, "labels": [0] * 8}, "token 1000000"),
        ("keywords", {"labels": [[0]] * 8}, "labels are 1 for"),
        ("keyphrases", {"labels": [1] * 8}, "labels are 1. Give a list of numbers"),
        ("similarity", {"labels": [1] * 8}, "input_ids hold no lists"),
    ],
)
def test_tokenised_rows_that_lack_something_are_refused_at_once(make, rows, name, columns, message):
    with pytest.raises(InputError, match=message):
        make(name, train_dataset=tokens(make(name), rows, **columns))


def test_scores_of_tokenised_keywords_need_the_texts(make, rows):
    own = tokens(make("keywords"), rows)
    own = own.add_column("labels", [[0] * len(ids) for ids in own["input_ids"]])
    make("keywords", train_dataset=own, eval_dataset=None).train()
    with pytest.raises(InputError, match="lack text, keywords, own_start"):
        make("keywords", eval_dataset=own)


@pytest.mark.parametrize("lora", [False, True])
def test_a_search_keeps_the_best_of_each_trial(make, lora):
    optuna = pytest.importorskip("optuna")
    asked = {
        **BEST, "eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps",
        "save_steps": 1, "save_total_limit": 1, "metric_for_best_model": "eval_loss",
    }  # fmt: skip
    name = "decoder" if lora else "classification"
    trainer = make(name, asked=asked, init=True, lora=frtune.lora_config() if lora else None)
    first = trainer.model
    best = trainer.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2)},
        n_trials=1 if lora else 3,
        backend="optuna",
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    folder = trainer.args.output_dir
    runs = [f"run-{i}" for i in range(1 if lora else 3)]
    found = {path.parent.name for path in Path(folder).glob("*/checkpoint-*")}
    assert found == set(runs) and f"run-{best.run_id}" in runs
    with pytest.raises(InputError, match="left none"):
        trainer.evaluate()
    trainer.args.learning_rate = best.hyperparameters["learning_rate"]
    trainer.train()
    assert trainer.model is not first
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert losses[-1] == pytest.approx(best.objective, abs=1e-4)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses), abs=1e-4)


def test_a_search_that_cannot_be_is_refused(make):
    pytest.importorskip("optuna")
    with pytest.raises(InputError, match="each trial needs a new model"):
        make("classification").hyperparameter_search()
    trainer = make("classification", init=True)
    for options, message in [
        ({"n_jobs": 2}, "one trial at a time"),
        ({"backend": "ray"}, "trials run with optuna"),
        ({"n_trials": 0}, "n_trials=0"),
        ({"direction": "minimize"}, "eval_f1_macro is to maximize"),
        ({"hp_space": lambda trial: {"learning_rat": 1}}, "Did you mean learning_rate"),
    ]:
        with pytest.raises(InputError, match=message):
            trainer.hyperparameter_search(**{"n_trials": 1, **options})
    with pytest.raises(InputError, match="trial: is for hyperparameter_search"):
        trainer.train(trial={"learning_rate": 1})
