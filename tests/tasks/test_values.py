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
    lora_config,
    make_trainer,
    save,
)
from frtune.cli import main
from frtune.inference import Predictor, load
from frtune.models.families import FAMILIES, families_for
from frtune.models.weights import head_names
from frtune.tasks.config_file import save_task
from frtune.training.arguments import training_arguments
from frtune.training.autocast import heads_in_fp32

COUNT = 60
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


@pytest.mark.parametrize("family", families_for({"encoder", "decoder"}))
def test_heads_of_every_family_compute_in_fp32(family, tiny):
    task = TASKS["regression"]
    model, tokenizer = build_model(task, checkpoint=tiny(family), proof=False)
    encoded = Predictor(task, model.eval(), tokenizer).encode(rows_of(task).select(range(24)))
    plain = {name: p.data_ptr() for name, p in model.named_parameters()}
    for dtype in (torch.float32, torch.bfloat16):
        predictor = Predictor(task, model.to(dtype), tokenizer, bf16=True)
        found = values_of(predictor.outputs(encoded))
        assert len(np.unique(found)) == 24
        assert any(value != np.float32(torch.tensor(value).bfloat16()) for value in found)
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


def trained(task, rows, tiny, place, **options):
    model, tokenizer = build_model(task, checkpoint=tiny("bert"), proof=False, **options)
    spread_head(model)
    settings = {"bf16": True, "max_steps": 1, "save_strategy": "no", "disable_tqdm": True}
    args = training_arguments(
        task, str(place / "run"), load_best_model_at_end=False, learning_rate=0.0, **settings
    )
    return make_trainer(task, model, tokenizer, args, data={"train": rows, "validation": rows})
