"""A family that frtune does not have, added at run time by one row, lives through everything."""

from __future__ import annotations

import json

import pytest

import frtune
from conftest import CORPUS
from frtune import KeywordExtraction, SequenceClassification, build_model, lora_config
from frtune.cli.train_arguments import parse_train_arguments
from frtune.models import tiny_tokenizers
from frtune.models.config_sizes import max_positions
from frtune.models.families import FAMILIES, family_for
from frtune.models.family import Family, Tiny
from frtune.planning.plan import plan
from frtune.preflight.run import preflight
from frtune.run.run import run

DATA2VEC = Family(
    name="data2vec",
    title="data2vec",
    default_checkpoint="facebook/data2vec-text-base",
    model_types=("data2vec-text",),
    lora_targets=("query", "value"),
    published={
        "facebook/data2vec-text-base": {
            "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1,
        },
    },
    tiny=Tiny(
        {None: tiny_tokenizers.roberta_bpe},
        {"pad_token_id": "<pad>", "bos_token_id": "<s>", "eos_token_id": "</s>"},
        {"max_position_embeddings": 514, "type_vocab_size": 1},
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def added(monkeypatch):
    monkeypatch.setitem(FAMILIES, "data2vec", DATA2VEC)


@pytest.fixture
def checkpoint(tmp_path):
    return frtune.tiny_checkpoint("data2vec", CORPUS, tmp_path / "tiny")


@pytest.fixture
def data(tmp_path):
    rows = [
        {"text": f"{text} {i}", "label": "short" if len(text) < 60 else "long",
         "keywords": text.split()[1:2]}
        for i, text in enumerate(CORPUS)
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_transformers_and_peft_know_the_rest():
    assert family_for("data2vec-text") is DATA2VEC
    assert DATA2VEC.kind == "encoder" and DATA2VEC.padding_side == "right"
    assert DATA2VEC.gradient_checkpointing


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize(
    "task", [SequenceClassification(labels=["long", "short"]), KeywordExtraction()]
)
def test_it_is_built_for_each_task_of_encoders(task, lora, checkpoint):
    model, tokenizer = build_model(
        task,
        checkpoint=checkpoint,
        family="data2vec",
        lora=lora_config() if lora else None,
        gradient_checkpointing=True,
    )
    batch = dict(tokenizer(CORPUS[:3], return_tensors="pt", padding=True))
    model(**batch).logits.float().sum().backward()
    trained = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert any("query.lora_B" in name for name in trained) == lora
    assert any(grad is not None and grad.abs().sum() > 0 for grad in trained.values())
    assert max_positions(model.config) == 512


def test_its_published_checkpoint_is_planned_without_network():
    found = plan("facebook/data2vec-text-base", gpu_memory="24GB", batch=2)
    assert found.family == "data2vec" and found.published and found.task == "classification"
    assert found.parameters.total == 124_647_170  # with a head of two classes
    assert not any(option.shown for option in found.options), "no test of frtune trains it"
    assert found.recommended is not None


@pytest.mark.parametrize("task_name", ["classification", "keywords"])
def test_it_is_rehearsed_trained_saved_loaded_and_answers(task_name, data, checkpoint, tmp_path):
    output = tmp_path / "run"
    asked = parse_train_arguments(
        task_name,
        [
            "--data", str(data), "--checkpoint", str(checkpoint), "--output-dir", str(output),
            "--max-source-tokens", "64", "--max-steps", "3", "--lora",
        ],
    )  # fmt: skip
    stages = preflight(*asked)
    assert {stage.status for stage in stages} <= {"ok", "warning"} and not output.exists()
    assert {"save and reload", "predict"} <= {stage.name for stage in stages}
    run(*asked)
    predictor = frtune.load(output, bf16=False)
    assert predictor.model.config.model_type == "data2vec-text"
    assert len(predictor.predict(CORPUS[:3])) == 3
    assert (output / "predictions.jsonl").is_file()


def test_without_its_row_it_is_proven_first(checkpoint, monkeypatch):
    monkeypatch.delitem(FAMILIES, "data2vec")
    assert not family_for("data2vec-text").has_row
    model, _ = build_model(SequenceClassification(labels=["a", "b"]), checkpoint=checkpoint)
    assert model.config.model_type == "data2vec-text"
