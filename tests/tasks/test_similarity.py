"""Sentence similarity: pairs, both heads, both orders, loss, reloading, bad input."""

import numpy as np
import pytest
import torch
from datasets import Dataset

import frtune
from frtune import SentenceSimilarity, build_model, load_splits, lora_config
from frtune.data.row_checks import set_aside
from frtune.errors import InputError
from frtune.tasks.sequences import encode_pairs
from frtune.training.arguments import training_arguments
from kinds import CLASSIFYING, ENCODERS

SCORED = SentenceSimilarity(head="regression", label_column="score")


def pairs(count=24):
    """Ragged pairs: similar when the second repeats the first."""
    first = ["le maire ouvre " + "la ville " * (i * 5 % 9) for i in range(count)]
    second = [a if i % 2 else "une forêt " + "brûlée " * (i % 5) for i, a in enumerate(first)]
    return Dataset.from_dict(
        {
            "sentence1": first,
            "sentence2": second,
            "label": [i % 2 for i in range(count)],
            "score": [5.0 * (i % 2) - i % 3 * 0.25 + 0.5 for i in range(count)],
        }
    )


def built(task, tiny, family, **options):
    model, tokenizer = build_model(task, checkpoint=tiny(family), **options)
    for module in model.modules():  # so that a step can be repeated
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "attention_dropout"):
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
        "gradient_accumulation_steps": 1,
    }
    return training_arguments(task, str(directory), **{**settings, **overrides})


# --- encoding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ENCODERS)
def test_uncut_pairs_are_encoded_as_the_tokenizer_does(family, tiny):
    tokenizer = build_model(SCORED, checkpoint=tiny(family))[1]
    first, second = ["L'été, où ?", "a"], ["le maire 12 €", "la forêt"]
    found = encode_pairs(tokenizer, first, second, 128)
    expected = tokenizer(first, second)
    for name in ("input_ids", "token_type_ids"):
        if name in expected:
            assert found[name] == [list(row) for row in expected[name]]
    typed = any(1 in row for row in expected.get("token_type_ids", ()))
    assert ("token_type_ids" in found) == typed
    assert found["source_cut"] == [False, False]


def test_a_decoder_keeps_the_sentences_apart(tiny):
    tokenizer = build_model(SCORED, checkpoint=tiny("phi"))[1]
    [ids] = encode_pairs(tokenizer, ["un chat"], ["dort"], 64)["input_ids"]
    assert tokenizer.decode(ids) == "un chat\ndort"


def test_of_a_long_pair_the_longer_sentence_is_cut(tiny):
    tokenizer = build_model(SCORED, checkpoint=tiny("camembert"))[1]
    size = len(tokenizer("forêt")["input_ids"]) - 2
    long, short = "forêt " * 400, "forêt"
    cases = encode_pairs(tokenizer, [long, short, long], [short, long, long], 32)
    sep = tokenizer.sep_token_id
    assert cases["source_cut"] == [True] * 3 and cases["length"] == [32] * 3
    ends = [ids.index(sep) for ids in cases["input_ids"]]
    assert ends[0] == 32 - 3 - size and ends[1] == 1 + size and ends[2] == 1 + (32 - 4) // 2
    assert [ids[-1] for ids in cases["input_ids"]] == [sep] * 3


# --- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "family"),
    [
        *((which, family) for which in ("labels", "scores") for family in CLASSIFYING),
        ("both orders", "camembert"),
        ("both orders", "phi"),
    ],
)
def test_loss_and_gradients_do_not_depend_on_how_a_step_is_cut(which, family, tiny, tmp_path):
    task = SCORED if which == "scores" else SentenceSimilarity(symmetric=which == "both orders")
    task = task.fit(pairs())
    found = []
    for size, steps in ((8, 1), (2, 4)):
        torch.manual_seed(0)
        model, tokenizer = built(task, tiny, family)
        args = arguments(
            task,
            tmp_path,
            max_steps=1,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            max_grad_norm=1e9,
        )
        trainer = task.trainer(model, tokenizer, args, train_dataset=pairs())
        trainer.train()
        found.append(
            [(e["loss"], e["grad_norm"]) for e in trainer.state.log_history if "grad_norm" in e]
        )
    assert len(found[0]) == 1
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


def test_the_regression_loss_is_the_mean_squared_error(tiny, tmp_path):
    model, tokenizer = built(SCORED, tiny, "bert")
    trainer = SCORED.trainer(model, tokenizer, arguments(SCORED, tmp_path), eval_dataset=pairs())
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] == pytest.approx(metrics["eval_mse"], rel=1e-4)
    assert model.config.num_labels == 1 and model.config.problem_type == "regression"


@pytest.mark.parametrize(
    ("family", "symmetric", "lora"),
    [("bert", True, False), ("flaubert", False, True), ("phi", True, True)],
)
def test_train_save_and_reload_give_the_same_similarities(family, symmetric, lora, tiny, tmp_path):
    task = SentenceSimilarity(symmetric=symmetric).fit(pairs())
    model, tokenizer = built(task, tiny, family, **({"lora": lora_config(r=4)} if lora else {}))
    args = arguments(task, tmp_path, num_train_epochs=4, learning_rate=2e-3)
    data = pairs()
    trainer = task.trainer(model, tokenizer, args, train_dataset=data, eval_dataset=data)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before
    expected = task.decode(trainer.predict(data).predictions)
    frtune.save(trainer, tmp_path / "model")
    predictor = frtune.load(tmp_path / "model", bf16=False)
    assert predictor.task == task
    rows = data.select_columns(list(task.columns)).to_list()
    answers = predictor.predict(rows)
    found = [answer["similarity"] for answer in answers]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert {a["label"] for a in answers} <= {"0", "1"}
    turned = [{"sentence1": r["sentence2"], "sentence2": r["sentence1"]} for r in rows]
    again = [answer["similarity"] for answer in predictor.predict(turned)]
    assert np.allclose(again, found, atol=1e-5) == symmetric
    scores = frtune.evaluate(tmp_path / "model", data)
    assert scores["test_accuracy"] == trainer.evaluate()["eval_accuracy"]


def test_both_orders_are_averaged_for_each_row(tiny, tmp_path):
    both, one = (SentenceSimilarity(symmetric=flag).fit(pairs()) for flag in (True, False))
    model, tokenizer = built(both, tiny, "bert")
    args = arguments(both, tmp_path, per_device_eval_batch_size=5)
    folded = both.trainer(model, tokenizer, args).predict(pairs()).predictions
    plain = one.trainer(model, tokenizer, args)
    swapped = pairs().rename_columns({"sentence1": "sentence2", "sentence2": "sentence1"})
    sides = [plain.predict(data).predictions for data in (pairs(), swapped)]
    np.testing.assert_allclose(folded, np.mean(sides, axis=0), atol=1e-5)


# --- scores --------------------------------------------------------------------------------------


def test_scores_are_declared_and_signed():
    task = SentenceSimilarity().fit(pairs())
    logits = [np.array(row) for row in ([2.0, 0], [0, 1.0])]
    scores = task.score_outputs(logits, pairs(2))
    assert scores["accuracy"] == scores["f1"] == scores["roc_auc"] == 1
    for each, found in ((task, scores), (SCORED, SCORED.compute_metrics([1.0, 2.0], [1.0, 2.0]))):
        assert set(found) == set(each.metric_directions()) == set(each.signatures([]))
        assert set(each.headline) <= set(found)
        assert each.primary_metric.removeprefix("eval_") in found
    assert SCORED.metric_directions()["mse"] is False
    assert SentenceSimilarity.primary_metric == "eval_f1_macro"


def test_word_overlap_solves_what_is_copied():
    task = SentenceSimilarity().fit(pairs())
    found = task.baselines(pairs(), pairs())
    scores = {n: task.compute_metrics(p, task.references(pairs())) for n, p in found.items()}
    assert scores["word_overlap"]["roc_auc"] == 1 and scores["constant"]["roc_auc"] == 0.5
    assert SCORED.baselines(pairs(), pairs())["constant"][0] == pytest.approx(
        np.mean(pairs()["score"])
    )
    assert task.baselines(None, pairs()) == {}


# --- bad input -----------------------------------------------------------------------------------


def bad(**columns):
    base = {"sentence1": ["a b", "c"], "sentence2": ["b", "d"], "label": [0, 1]}
    return Dataset.from_dict({**base, **columns})


@pytest.mark.parametrize(
    ("columns", "fields", "message"),
    [
        ({"sentence2": ["b", " "]}, {}, "row 2: column sentence2 is blank"),
        ({"sentence1": ["NS", "c"]}, {}, "row 1: column sentence1 holds the placeholder 'NS'"),
        ({"label": [1, None]}, {}, "row 2: column label has no label"),
        ({"label": [3.5, 1.0]}, {}, "row 1: column label holds 3.5, a score and no class"),
        ({"label": [1, 1]}, {}, "'1' is the only label"),
        ({"label": ["alike", "other"]}, {}, "which of 'alike' and 'other' means similar"),
        ({"label": ["a", "b"]}, {"head": "regression"}, "row 1: .*'a', which is no number"),
        ({"label": [1.0, float("nan")]}, {"head": "regression"}, "row 2: .* has no score"),
        ({"label": [1.0, float("inf")]}, {"head": "regression"}, "row 2: .* is no number|'inf'"),
        ({"label": ["x", "y"]}, {"labels": ["y", "z"]}, r"'x' is not in labels=\['y', 'z'\]"),
    ],
)
def test_bad_rows_are_refused_with_their_place(columns, fields, message):
    with pytest.raises(InputError, match=message):
        SentenceSimilarity(**fields).fit(bad(**columns))


def test_three_labels_are_refused():
    data = Dataset.from_dict(
        {"sentence1": list("abc"), "sentence2": list("abc"), "label": [0, 1, 2]}
    )
    with pytest.raises(InputError, match="3 labels"):
        SentenceSimilarity().fit(data)


def test_named_labels_say_which_is_similar():
    data = bad(label=["alike", "other"])
    task = SentenceSimilarity(labels=["other", "alike"]).fit(data)
    assert task.labels == ["other", "alike"] and task.label_of(0.9) == "alike"


@pytest.mark.parametrize(
    "fields",
    [{"head": "ranking"}, {"labels": ["a", "b", "c"]}, {"labels": [0, 1], "head": "regression"},
     {"max_source_tokens": 0}],
)  # fmt: skip
def test_bad_fields_are_refused(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        SentenceSimilarity(**fields)


def test_half_a_pair_is_refused_in_prediction(tiny):
    task = SentenceSimilarity().fit(pairs())
    tokenizer = build_model(task, checkpoint=tiny("bert"))[1]
    half = {"sentence1": ["a"], "sentence2": [None]}
    with pytest.raises(InputError, match="Give both sentences"):
        task.encode(half, tokenizer, kind="encoder", with_labels=False)


def test_paws_x_as_published_loses_eight_rows_with_a_reason(shared):
    splits, _ = load_splits(shared / "data/fr_pawsx/raw_dev_2k.tsv", cut=False)
    task = SentenceSimilarity()
    with pytest.raises(InputError, match=r"row 21: .*'NS', in 8 of 2000 rows"):
        task.fit(splits)
    kept, rejected = set_aside(splits["train"], task)
    assert len(kept) == 1992 and len(rejected) == 8
    assert all("placeholder" in r["reason"] or "blank" in r["reason"] for r in rejected)
    assert task.fit(kept).labels == ["0", "1"]
