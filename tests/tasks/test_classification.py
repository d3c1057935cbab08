"""Sequence classification: rows, encoding, loss, training, reloading, bad input."""

import dataclasses
import logging

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value

import frtune
from frtune import SequenceClassification, build_model, lora_config
from frtune.data.row_checks import set_aside
from frtune.errors import InputError
from frtune.tasks.sequences import SequenceCollator, encode_texts
from frtune.training.arguments import training_arguments
from kinds import CLASSIFYING, DECODERS, ENCODERS

WORDS = {"loyer": "loyer du bureau", "poste": "timbres et colis", "énergie": "facture de gaz"}


def rows(count=24, longest=30):
    """Ragged rows whose first words tell the class; classes 3:2:1."""
    names = [name for name, share in zip(WORDS, (3, 2, 1), strict=True) for _ in range(share)]
    labels = [names[i % 6] for i in range(count)]
    texts = [f"{WORDS[label]} " + "la ville " * (i * 7 % longest) for i, label in enumerate(labels)]
    return Dataset.from_dict({"text": texts, "label": labels})


def built(task, tiny, family, **options):
    model, tokenizer = build_model(task, checkpoint=tiny(family), **options)
    for module in model.modules():  # so that a step can be repeated
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for name in ("dropout", "attention_dropout"):
        for module in model.modules():
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model, tokenizer


def arguments(task, directory, **overrides):
    settings = {
        "bf16": False,
        "disable_tqdm": True,
        "save_strategy": "no",
        "load_best_model_at_end": False,
        "eval_strategy": "no",
        "logging_steps": 1,
        "train_sampling_strategy": "sequential",
        "per_device_train_batch_size": 8,
    }
    return training_arguments(task, str(directory), **{**settings, **overrides})


# --- what a row is -------------------------------------------------------------------------------


def test_fit_finds_classes_and_counts_in_a_settled_order():
    task = SequenceClassification().fit(rows(12))
    assert task.labels == ["loyer", "poste", "énergie"] and task.label_counts == [6, 4, 2]
    numbers = Dataset.from_dict({"text": ["a"] * 4, "label": [10, 9, 2, 2]})
    task = SequenceClassification().fit({"train": numbers})
    assert task.labels == ["2", "9", "10"]
    assert task.config_overrides()["id2label"] == {0: "2", 1: "9", 2: "10"}
    named = SequenceClassification(labels=["9", "10", "2"]).fit(numbers)
    assert named.labels == ["9", "10", "2"] and named.label_counts == [1, 1, 2]


def test_names_of_a_class_label_column_are_the_labels(tiny):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    data = Dataset.from_dict({"text": ["mal", "bien"], "label": [0, 1]}, features=features)
    task = SequenceClassification().fit(data)
    task.check(data, "test")
    assert task.labels == ["neg", "pos"] and task.references(data) == ["neg", "pos"]
    without = Dataset.from_dict({"text": ["mal", "?"], "label": [0, -1]}, features=features)
    with pytest.raises(InputError, match="row 2: column label has no label"):
        task.check(without, "test")


def test_balanced_weights_are_one_in_the_mean_over_rows():
    task = SequenceClassification(class_weights="balanced").fit(rows(12))
    assert task.weights == pytest.approx([12 / (3 * n) for n in (6, 4, 2)])
    mean = sum(w * n for w, n in zip(task.weights, task.label_counts, strict=True)) / 12
    assert mean == pytest.approx(1)
    with pytest.raises(InputError, match="needs the training rows"):
        _ = SequenceClassification(class_weights="balanced", labels=["a", "b"]).weights


# --- encoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", CLASSIFYING)
def test_uncut_rows_have_the_tokenizers_own_ids(family, tiny):
    task = SequenceClassification(labels=["a", "b"])
    tokenizer = frtune.build_model(task, checkpoint=tiny(family))[1]
    texts = ["L'été, le maire a voté 12 € 😀.", "a", "Noël"]
    ids, cut = encode_texts(tokenizer, texts, 512)
    assert ids == [list(row) for row in tokenizer(texts)["input_ids"]] and cut == [False] * 3
    short, cut = encode_texts(tokenizer, texts, 8)
    assert cut == [True, False, False] and len(short[0]) == 8
    assert short[0][-1] == ids[0][-1] or family not in ENCODERS
    assert encode_texts(tokenizer, [""], 8)[0][0]


def test_encode_counts_long_texts_and_leaves_the_tokenizer_as_it_was(tiny):
    task = SequenceClassification(labels=["a", "b"], max_source_tokens=64)
    tokenizer = build_model(task, checkpoint=tiny("camembert"))[1]
    before = tokenizer.backend_tokenizer.to_str()
    batch = {"text": ["x" * 20_000, "court", "e\u0301te\u0301 soft\u00adhyphen 😀"], "label": "aba"}
    encoded = task.encode(batch, tokenizer, kind="encoder")
    assert encoded["source_cut"] == [True, False, False] and encoded["length"][0] == 64
    assert encoded["labels"] == [0, 1, 0]
    clean = task.encode(
        {"text": ["été softhyphen 😀"]}, tokenizer, kind="encoder", with_labels=False
    )
    assert clean["input_ids"][0] == encoded["input_ids"][2] and "labels" not in clean
    assert tokenizer.backend_tokenizer.to_str() == before


@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_answers_at_its_last_real_token_whatever_the_padding(family, tiny):
    task = SequenceClassification().fit(rows())
    model, tokenizer = built(task, tiny, family)
    model.eval()
    assert model.config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id
    encoded = task.encode(rows(5)[:], tokenizer, kind="decoder")
    examples = [{"input_ids": ids} for ids in encoded["input_ids"]]
    with torch.no_grad():
        right, left = (
            model(**SequenceCollator(tokenizer.pad_token_id, side=side)(examples)).logits
            for side in ("right", "left")
        )
        alone = [model(input_ids=torch.tensor([e["input_ids"]])).logits[0] for e in examples]
    torch.testing.assert_close(right, torch.stack(alone), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-4)


# --- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", CLASSIFYING)
def test_loss_and_gradients_do_not_depend_on_how_a_step_is_cut(family, tiny, tmp_path):
    task = SequenceClassification(class_weights="balanced").fit(rows())
    found = []
    for size, steps in ((8, 1), (2, 4)):
        torch.manual_seed(0)
        model, tokenizer = built(task, tiny, family)
        args = arguments(
            task,
            tmp_path,
            max_steps=2,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            max_grad_norm=1e9,
        )
        trainer = task.trainer(model, tokenizer, args, train_dataset=rows())
        trainer.train()
        logs = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
        found.append([(entry["loss"], entry["grad_norm"]) for entry in logs])
    assert len(found[0]) == 2
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def test_the_first_loss_is_the_weighted_mean_over_rows(tiny, tmp_path):
    task = SequenceClassification(class_weights="balanced").fit(rows(12))
    model, tokenizer = built(task, tiny, "bert")
    trainer = task.trainer(
        model, tokenizer, arguments(task, tmp_path), train_dataset=rows(12), eval_dataset=rows(12)
    )
    outputs = torch.tensor(trainer.predict(rows(12)).predictions)
    labels = torch.tensor(trainer.eval_dataset["labels"])
    each = torch.nn.functional.cross_entropy(outputs, labels, reduction="none")
    expected = (each * torch.tensor(task.weights)[labels]).mean().item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, abs=1e-5)


def test_predictions_stand_in_the_order_of_the_rows(tiny, tmp_path):
    task = SequenceClassification().fit(rows())
    model, tokenizer = built(task, tiny, "camembert")
    trainer = task.trainer(
        model, tokenizer, arguments(task, tmp_path, per_device_eval_batch_size=5)
    )
    predictions = trainer.predict(rows()).predictions
    model.eval()
    collate = task.collator(model, tokenizer)
    for i in (0, 3, 11, 23):
        encoded = task.encode(rows()[i : i + 1], tokenizer, kind="encoder")
        with torch.no_grad():
            alone = model(**collate([{"input_ids": encoded["input_ids"][0]}])).logits[0]
        np.testing.assert_allclose(predictions[i], alone, atol=1e-5)
    assert len({tuple(row) for row in predictions.round(6).tolist()}) > 20


@pytest.mark.parametrize(
    ("family", "lora"), [("camembert", False), ("flaubert", True), ("phi", True)]
)
def test_train_save_and_reload_give_the_same_predictions(family, lora, tiny, tmp_path):
    data = rows(48, longest=6)
    task = SequenceClassification().fit(data)
    options = {"lora": lora_config(r=4)} if lora else {}
    model, tokenizer = built(task, tiny, family, **options)
    args = arguments(
        task, tmp_path, num_train_epochs=6, learning_rate=3e-3, logging_strategy="epoch"
    )
    trainer = task.trainer(model, tokenizer, args, train_dataset=data, eval_dataset=data)
    before = trainer.evaluate()["eval_loss"]
    heads = {n: p.clone() for n, p in model.named_parameters() if is_head(n) and p.requires_grad}
    assert heads
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before
    assert any(not torch.equal(heads[n], p) for n, p in model.named_parameters() if n in heads)
    expected = trainer.predict(data).predictions
    frtune.save(trainer, tmp_path / "model")
    predictor = frtune.load(tmp_path / "model", bf16=False)
    assert predictor.task == task
    assert predictor.model.config.id2label == {0: "loyer", 1: "poste", 2: "énergie"}
    outputs = predictor.outputs(predictor.encode(data))
    np.testing.assert_allclose(np.stack(outputs), expected, atol=1e-5)
    answer = predictor.predict(data["text"][0])[0]
    assert answer["label"] == task.labels[expected[0].argmax()]
    assert answer["score"] == max(answer["scores"].values())
    assert sum(answer["scores"].values()) == pytest.approx(1)


def is_head(name):
    return any(part in name for part in ("classifier", "sequence_summary", "score"))


def test_the_saved_model_answers_alike_in_a_plain_pipeline(tiny, tmp_path):
    from transformers import pipeline

    task = SequenceClassification().fit(rows())
    model, tokenizer = built(task, tiny, "camembert")
    frtune.save(task.trainer(model, tokenizer, arguments(task, tmp_path)), tmp_path / "model")
    ours = frtune.load(tmp_path / "model", bf16=False).predict(list(WORDS.values()))
    theirs = pipeline("text-classification", model=str(tmp_path / "model"), device="cpu")(
        list(WORDS.values())
    )
    assert [a["label"] for a in ours] == [a["label"] for a in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["score"] == pytest.approx(other["score"], abs=1e-5)


# --- scores --------------------------------------------------------------------------------------


def test_scores_of_two_classes_have_roc_auc_and_all_are_declared():
    data = Dataset.from_dict({"text": ["a", "b", "c", "d"], "label": [0, 1, 1, 0]})
    task = SequenceClassification().fit(data)
    logits = [np.array(row) for row in ([2.0, 0], [0, 1.0], [0.5, 0.4], [1.0, 0])]
    scores = task.score_outputs(logits, data)
    assert scores["accuracy"] == 0.75 and scores["roc_auc"] == 1.0
    assert set(scores) == set(task.metric_directions()) == set(task.signatures(["0"]))
    assert set(task.headline) <= set(scores)
    assert "roc_auc" not in SequenceClassification().fit(rows()).metric_directions()


def test_baselines_and_details(tmp_path):
    task = SequenceClassification().fit(rows(48))
    found = task.baselines(rows(48), rows(12))
    assert found["majority"] == ["loyer"] * 12
    assert found["tfidf_logistic"] == rows(12)["label"]
    assert task.baselines(None, rows(12)) == {}
    task.write_details(tmp_path, found["majority"], task.references(rows(12)))
    assert (tmp_path / "classes.json").is_file()


# --- bad input -----------------------------------------------------------------------------------

NAN = float("nan")


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", "b"], ["x", "x"], "'x' is the only label"),
        (["a", "b"], ["x", None], "row 2: column label has no label"),
        (["a", "b"], [1.0, NAN], "row 2: column label has no label"),
        (["a", "b"], ["x", "NaN"], "row 2: column label has no label"),
        (["a", "b", "c"], [0.5, 1.0, 0.25], r"row 1: .*holds 0.5, a score .* in 2 of 3 rows"),
        (["a", " \u00ad"], ["x", "y"], "row 2: column text is blank"),
        (["a", None], ["x", "y"], "row 2: column text is blank"),
        ([1, 2], ["x", "y"], "row 1: column text holds '1', which is no text"),
        (["a", "b"], [["x"], ["y"]], "--multi-label learns several"),
        (["a"] * 20, list(range(20)), "a label of its own"),
    ],
)
def test_bad_rows_are_refused_with_their_place(texts, labels, message):
    data = Dataset.from_dict({"text": texts, "label": labels})
    with pytest.raises(InputError, match=message):
        SequenceClassification().fit(data)


def test_whole_floats_are_classes_as_pandas_writes_them():
    data = Dataset.from_dict({"text": ["a", "b"], "label": [0.0, 1.0]})
    assert SequenceClassification().fit(data).labels == ["0", "1"]


def test_a_missing_column_is_named():
    data = Dataset.from_dict({"texte": ["a"], "label": ["x"]})
    with pytest.raises(InputError, match="has no column text; it has texte, label"):
        SequenceClassification().fit(data)


def test_a_label_unseen_in_training_is_named_before_training(tiny, tmp_path):
    task = SequenceClassification().fit(rows())
    unseen = Dataset.from_dict({"text": ["a", "b", "c"], "label": ["loyer", "impôt", "impôt"]})
    with pytest.raises(InputError, match=r"row 2: .*'impôt' \(2 rows\).*loyer, poste, énergie"):
        task.check(unseen, "data.csv, validation")
    numbers = Dataset.from_dict({"text": ["a"], "label": [0]})  # no id of a class by accident
    with pytest.raises(InputError, match="'0'"):
        task.check(numbers, "test")


def test_a_class_with_one_row_is_reported(caplog):
    data = Dataset.from_dict({"text": ["a", "b", "c"], "label": ["x", "x", "y"]})
    with caplog.at_level(logging.WARNING, "frtune"):
        assert SequenceClassification().fit(data).label_counts == [2, 1]
    assert "'y' has 1 training row" in caplog.text


def test_building_before_fit_says_what_to_do(tiny):
    with pytest.raises(InputError, match=r"task\.fit"):
        build_model(SequenceClassification(), checkpoint=tiny("bert"))


@pytest.mark.parametrize(
    "fields",
    [{"labels": ["a"]}, {"labels": ["a", "a"]}, {"labels": "ab"}, {"max_source_tokens": 4},
     {"max_source_tokens": True}, {"class_weights": "inverse"}],
)  # fmt: skip
def test_bad_fields_are_refused(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        SequenceClassification(**fields)


def test_rows_can_be_set_aside_with_a_reason():
    data = Dataset.from_dict({"text": ["a", "", "c"], "label": ["x", "y", None]})
    kept, rejected = set_aside(data, SequenceClassification())
    assert kept["text"] == ["a"]
    assert [(r["row"], r["reason"]) for r in rejected] == [
        (2, "column text is blank"),
        (3, "column label has no label"),
    ]
    assert rejected[0]["original"] == {"text": "", "label": "y"}


def test_a_task_is_the_same_after_saving(tmp_path):
    from frtune.tasks.config_file import load_task, save_task

    task = SequenceClassification(class_weights="balanced").fit(rows())
    save_task(task, tmp_path)
    assert load_task(tmp_path) == task
    assert dataclasses.asdict(load_task(tmp_path))["label_counts"] == task.label_counts
