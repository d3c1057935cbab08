"""Probabilities, scores and ranks are those of fp32, in whatever type the base computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.special import softmax
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from frtune import (
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
    evaluate,
    lora_config,
    quantize,
    save,
)
from frtune.cli import main
from frtune.cli.train_arguments import parse_train_arguments
from frtune.inference import Predictor, load
from frtune.models.families import FAMILIES, families_for
from frtune.models.family import has_head
from frtune.models.weights import head_names
from frtune.tasks.config_file import save_task
from frtune.training.arguments import training_arguments
from frtune.training.autocast import heads_in_fp32

COUNT = 60
CLASSIFYING = [
    name
    for name in families_for({"encoder", "decoder"})
    if has_head(FAMILIES[name].model_types[0], SequenceClassification.auto_classes["encoder"])
]
WORDS = "le maire ouvre la ville école budget vote projet rue parc eau train route pont".split()
TASKS = {
    "regression": SentenceSimilarity(head="regression"),
    "pairs": SentenceSimilarity(),
    "classes": SequenceClassification(),
    "keywords": KeywordExtraction(max_source_tokens=32),
}


def rows_of(task):
    draw = np.random.default_rng(0)
    one, two = ([" ".join(draw.choice(WORDS, 7)) for _ in range(COUNT)] for _ in range(2))
    if isinstance(task, KeywordExtraction):
        return Dataset.from_dict({"text": one, "keywords": [[t.split()[2]] for t in one]})
    labels = [i % 2 for i in range(COUNT)]
    if isinstance(task, SequenceClassification):
        return Dataset.from_dict({"text": one, "label": labels})
    return Dataset.from_dict({"sentence1": one, "sentence2": two, "label": labels})


def values_of(outputs):
    """One number a row: its only logit, or the chance of class 1, of the second token here."""
    rows = np.stack([row[1] if row.ndim > 1 else row for row in outputs]).astype(float)
    return rows[:, 0] if rows.shape[1] == 1 else softmax(rows, axis=1)[:, 1]


def spread_head(model):
    """Let a new head tell rows apart, as a trained one does."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    with torch.no_grad():
        for name in head_names(base):
            for weight in base.get_submodule(name).parameters():
                weight.mul_(10 if weight.dim() > 1 else 1)


@pytest.mark.parametrize("lora", [None, lora_config(r=2)], ids=["full", "lora"])
@pytest.mark.parametrize("name", TASKS)
def test_values_and_ranks_are_those_of_fp32(name, lora, tiny):
    rows = rows_of(TASKS[name])
    task = TASKS[name].fit(rows)
    torch.manual_seed(0)
    model, tokenizer = build_model(task, checkpoint=tiny("bert"), proof=False, lora=lora)
    spread_head(model)
    found = {}
    for bf16 in (False, True):
        predictor = Predictor(task, model.eval(), tokenizer, bf16=bf16)
        outputs = predictor.outputs(predictor.encode(rows))
        assert all(row.dtype == np.float32 for row in outputs)
        found[bf16] = values_of(outputs)
    exact, quick = found[False], found[True]
    assert not np.array_equal(exact, quick), "bf16 was not used at all"
    assert len(np.unique(quick)) == len(np.unique(exact))
    assert spearmanr(exact, quick)[0] > 0.99
    labels = np.arange(COUNT) % 2
    assert roc_auc_score(labels, quick) == pytest.approx(roc_auc_score(labels, exact), abs=0.01)
    assert np.abs(quick - exact).max() < 0.05 * np.ptp(exact)


@pytest.mark.parametrize("family", CLASSIFYING)
def test_heads_of_every_family_compute_in_fp32(family, tiny):
    task = TASKS["regression"]
    model, tokenizer = build_model(task, checkpoint=tiny(family), proof=False)
    encoded = Predictor(task, model.eval(), tokenizer).encode(rows_of(task).select(range(24)))
    plain = {name: p.data_ptr() for name, p in model.named_parameters()}
    for dtype in (torch.float32, torch.bfloat16):
        predictor = Predictor(task, model.to(dtype), tokenizer, bf16=True)
        found = values_of(predictor.outputs(encoded))
        assert len(np.unique(found)) == 24
        assert any(value != float(torch.tensor(value).bfloat16()) for value in found)
        assert {p.dtype for p in model.parameters()} == {dtype}
        assert not any("forward" in vars(module) for module in model.modules())
    assert plain.keys() == dict(model.named_parameters()).keys()


def test_an_error_leaves_heads_as_they_were(tiny):
    model, _ = build_model(TASKS["regression"], checkpoint=tiny("bert"), proof=False)
    model.to(torch.bfloat16)
    with pytest.raises(KeyError), heads_in_fp32(model):
        assert model.classifier.weight.dtype == torch.float32
        assert model.base_model.encoder.layer[0].output.dense.weight.dtype == torch.bfloat16
        raise KeyError
    assert model.classifier.weight.dtype == torch.bfloat16
    assert "forward" not in vars(model.classifier)


def saved(task, tiny, place, **options):
    rows = rows_of(task)
    torch.manual_seed(0)
    model, tokenizer = build_model(task.fit(rows), checkpoint=tiny("bert"), proof=False, **options)
    spread_head(model)
    for part in (model, tokenizer):
        part.save_pretrained(place)
    save_task(task.fit(rows), place)
    return place, rows


@pytest.mark.parametrize("name", ["regression", "pairs", "classes"])
def test_the_evaluation_of_training_has_values_of_fp32(name, tiny, tmp_path):
    rows = rows_of(TASKS[name])
    task = TASKS[name].fit(rows)
    torch.manual_seed(0)
    model, tokenizer = build_model(task, checkpoint=tiny("bert"), proof=False)
    spread_head(model)
    found = {}
    for bf16 in (False, True):  # Accelerate leaves its autocast on the model
        args = training_arguments(task, str(tmp_path / str(bf16)), bf16=bf16, disable_tqdm=True)
        trainer = task.trainer(model, tokenizer, args, eval_dataset=rows)
        scores = trainer.predict(rows).metrics
        found[bf16] = values_of(trainer.outputs)
    assert len(np.unique(found[True])) == len(np.unique(found[False]))
    assert spearmanr(found[True], found[False])[0] > 0.99
    assert np.isfinite(list(scores.values())).all()


def test_opened_directories_have_values_of_fp32(tiny, tmp_path):
    place, rows = saved(TASKS["regression"], tiny, tmp_path / "model")
    quantize(place, tmp_path / "int8", proof=False)
    texts = rows.to_list()

    def values(directory, **options):
        answers = load(directory, **options).predict(texts)
        return np.array([answer["similarity"] for answer in answers])

    for directory, options in (
        (place, {"bf16": True}), (place, {"dtype": "bf16"}), (tmp_path / "int8", {"bf16": True}),
    ):  # fmt: skip
        found, exact = values(directory, **options), values(directory, bf16=False)
        assert len(np.unique(found)) == len(np.unique(exact))
        assert spearmanr(found, exact)[0] > 0.8, options
        close = evaluate(directory, rows, **options)["test_spearman"]
        assert close == pytest.approx(
            evaluate(directory, rows, bf16=False)["test_spearman"], abs=0.05
        )


def test_bf16_is_spelt_alike_in_all_commands(tiny, tmp_path, capsys, monkeypatch):
    for command in ("train similarity", "evaluate", "predict", "compare", "study", "demo", "plan"):
        with pytest.raises(SystemExit):
            main([*command.split(), "--help"])
        shown = capsys.readouterr().out
        assert "--bf16" in shown and "--no-bf16" in shown, command
    for flag, expected in (("--bf16", True), ("--no-bf16", False)):
        assert parse_train_arguments("similarity", [flag])[2].bf16 is expected
    place, rows = saved(TASKS["regression"], tiny, tmp_path / "model")
    rows.to_json(tmp_path / "rows.jsonl")
    seen = []
    for module in ("cli.predict", "evaluation", "comparison.compare"):
        monkeypatch.setattr(
            f"frtune.{module}.load", lambda *a, **o: seen.append(o["bf16"]) or load(*a, **o)
        )
    monkeypatch.setattr("frtune.comparison.compare.measure", lambda *a, bf16, **o: {
        "latency": {}, "bf16": bf16, "memory_bytes": 0})  # fmt: skip
    for flag in ("--bf16", "--no-bf16"):
        data = str(tmp_path / "rows.jsonl")
        assert main(["predict", str(place), "--file", data, flag]) == 0
        assert main(["evaluate", str(place), "--data", data, flag]) == 0
        assert main(["compare", str(place), "--data", data, flag]) == 0
    assert seen == [True, True, True, False, False, False]


@pytest.mark.parametrize("family", families_for({"encoder"}))
def test_a_cross_encoder_gives_the_scores_of_a_saved_model(family, tiny, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    for name in ("regression", "pairs"):
        rows = rows_of(TASKS[name]).select(range(6))
        task = TASKS[name].fit(rows)
        for lora in (None, lora_config(r=2)):
            model, tokenizer = build_model(task, checkpoint=tiny(family), proof=False, lora=lora)
            place = tmp_path / f"{name}{lora is None}"
            args = training_arguments(task, str(tmp_path / "run"), bf16=False, eval_strategy="no",
                load_best_model_at_end=False, disable_tqdm=True)  # fmt: skip
            save(
                task.trainer(model, tokenizer, args, train_dataset=rows),
                place,
                proof=False,
                merge=lora is not None,
            )
            place = place if lora is None else place / "merged"
            expected = Predictor(task, model.eval(), tokenizer).outputs
            expected = expected(Predictor(task, model, tokenizer).encode(rows))
            pairs = list(zip(rows["sentence1"], rows["sentence2"], strict=True))
            found = sentence_transformers.CrossEncoder(str(place), device="cpu").predict(pairs)
            assert found.reshape(6, -1) == pytest.approx(np.stack(expected), abs=1e-4), (name, lora)
