"""A quantised directory opens, answers as it did in memory, and is smaller."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import frtune
from frtune import InputError, build_model, lora_config, quantize
from frtune.models.int8 import INT8_WEIGHTS, Int8Embedding, Int8Linear
from frtune.models.loading import load_saved
from frtune.models.probe import probe_logits
from frtune.tasks.config_file import save_task
from refused_places import check_refused_places

TEXTS = ["L'hôpital ouvre un service de pédiatrie.", "Le maire a inauguré une bibliothèque."]


def task_named(name):
    if name == "classification":
        return frtune.SequenceClassification(labels=["a", "b", "c"], max_source_tokens=32)
    if name == "regression":
        return frtune.SentenceSimilarity(head="regression", max_source_tokens=48)
    if name == "similarity":
        return frtune.SentenceSimilarity(
            labels=["0", "1"], max_source_tokens=48, symmetric=True, label_column="label"
        )
    if name == "keywords":
        return frtune.KeywordExtraction(max_source_tokens=32)
    return frtune.KeyphraseGeneration(max_source_tokens=32, max_target_tokens=8)


@pytest.fixture
def saved(tiny, tmp_path):
    """``saved("bert", "keywords")``: a directory whose heads give logits of some size."""

    def make(family, name, *, lora=False):
        torch.manual_seed(0)
        task = task_named(name)
        model, tokenizer = build_model(
            task, checkpoint=tiny(family), lora=lora_config(r=4) if lora else None, proof=False
        )
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if "lora_B" in key or (weight.ndim == 2 and min(weight.shape) <= 3):
                    weight.normal_(std=0.3)
        directory = tmp_path / f"{family}-{name}"
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        save_task(task, directory)
        return directory

    return make


def rows_for(task):
    return [dict.fromkeys(task.text_columns, text) for text in TEXTS]


@pytest.mark.parametrize(
    ("family", "name", "method"),
    [
        ("camembert", "keywords", "int8-weights"),
        ("flaubert", "keywords", "int8"),
        ("flaubert", "classification", "int8"),
        ("bert", "similarity", "int8"),
        ("camembert", "regression", "int8"),
        ("phi", "classification", "int8"),
        ("t5", "keyphrases", "int8-weights"),
        ("bart", "keyphrases", "int8"),
        ("polyglot", "keyphrases", "int8"),
    ],
)
def test_int8_is_small_and_near_for_every_kind_of_head(saved, tmp_path, family, name, method):
    directory = saved(family, name)
    record = quantize(directory, tmp_path / "small", method=method, proof=False)
    assert record["size_after_bytes"] < 0.8 * record["size_before_bytes"]
    assert record["max_logit_difference"] < (0.1 if method == "int8" else 0.05) * max(
        1, record["max_logit"]
    )
    assert record["max_logit_difference"] > 0
    predictor = frtune.load(tmp_path / "small")
    answers = predictor.predict(rows_for(predictor.task))
    assert [row["text"] for row in answers] == TEXTS
    assert any(isinstance(module, Int8Linear) for module in predictor.model.modules())


def test_a_fresh_process_finds_the_logits_of_this_one(saved, tmp_path):
    record = quantize(saved("camembert", "keywords"), tmp_path / "small")
    assert record["reload_difference"] == pytest.approx(0, abs=1e-5)
    stored = json.loads((tmp_path / "small" / "frtune_quantization.json").read_text("utf-8"))
    assert stored == record
    assert "int8" in (tmp_path / "small" / "README.md").read_text("utf-8")
    files = {path.name for path in (tmp_path / "small").iterdir()}
    assert not {name for name in files if name.endswith((".bin", ".pt", ".pkl"))}
    assert INT8_WEIGHTS in files and "model.safetensors" not in files


def test_an_adapter_is_merged_first(saved, tmp_path):
    directory = saved("bert", "classification", lora=True)
    record = quantize(directory, tmp_path / "small", method="int8-weights", proof=False)
    assert record["merged_adapter"]
    task = frtune.load(directory).task
    adapted, tokenizer = load_saved(directory, task)
    small, _ = load_saved(tmp_path / "small", task)
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    difference = (probe_logits(adapted, batch) - probe_logits(small, batch)).abs().max()
    assert 0 < difference < 0.05


def test_heads_stay_in_full_precision(saved, tmp_path):
    directory = saved("camembert", "classification")
    quantize(directory, tmp_path / "small", proof=False)
    before = load_file(directory / "model.safetensors")
    after = load_file(tmp_path / "small" / INT8_WEIGHTS)
    heads = [name for name in before if name.startswith("classifier.")]
    assert heads and all(torch.equal(before[name], after[name]) for name in heads)
    inner = [name for name in after if name.endswith("query.weight")]
    assert inner and all(after[name].dtype == torch.int8 for name in inner)


def test_an_output_layer_that_shares_the_embedding_keeps_both_whole(saved, tmp_path):
    quantize(saved("bart", "keyphrases"), tmp_path / "small", proof=False)
    model = frtune.load(tmp_path / "small").model
    output, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    assert output.weight is embedding.weight and output.weight.dtype == torch.float32


@pytest.mark.usefixtures("warm_processes")
@pytest.mark.parametrize("method", ["bnb-int8", "nf4"])
def test_bitsandbytes_directories_open(saved, tmp_path, method):
    record = quantize(saved("camembert", "classification"), tmp_path / "small", method=method)
    assert record["layers"] > 0 and record["reload_difference"] < 1e-3
    assert len(frtune.load(tmp_path / "small").predict(TEXTS)) == 2


def test_linear_with_float_activations_equals_the_rounded_matrix():
    torch.manual_seed(0)
    weight, scale = torch.randint(-127, 128, (6, 8)).to(torch.int8), torch.rand(6)
    inputs, bias = torch.randn(3, 5, 8), torch.randn(6)
    layer = Int8Linear(weight, scale, bias, activations="float")
    expected = inputs @ (weight * scale[:, None]).T + bias
    # sums of products near 100, added up in another order
    torch.testing.assert_close(layer(inputs), expected, rtol=1e-5, atol=1e-4)


def test_the_kernel_and_plain_floats_give_the_same_product():
    torch.manual_seed(0)
    weight, scale = torch.randint(-127, 128, (32, 64)).to(torch.int8), torch.rand(32) / 100
    inputs = torch.randn(4, 7, 64) * torch.logspace(-3, 3, 7)[:, None]
    layer = Int8Linear(weight, scale, torch.randn(32), activations="int8")
    expected = layer(inputs)
    layer.pack()
    assert (layer.packed is None) == ("onednn" not in torch.backends.quantized.supported_engines)
    torch.testing.assert_close(layer(inputs), expected, rtol=1e-4, atol=1e-4)
    assert layer(torch.zeros(1, 64)).isfinite().all()


def test_a_row_does_not_depend_on_its_batch():
    weight = torch.randint(-127, 128, (8, 16)).to(torch.int8)
    layer = Int8Linear(weight, torch.rand(8), None, activations="int8")
    layer.pack()
    row, other = torch.randn(1, 16), 100 * torch.randn(1, 16)
    torch.testing.assert_close(layer(torch.cat([row, other]))[:1], layer(row))


def test_an_int8_embedding_looks_up_its_rows():
    weight, scale = torch.tensor([[1, -2], [3, 4]], dtype=torch.int8), torch.tensor([0.5, 2.0])
    found = Int8Embedding(weight, scale)(torch.tensor([[1, 0]]))
    assert found.tolist() == [[[6.0, 8.0], [0.5, -1.0]]]


def test_bad_input_is_refused_and_leaves_nothing(saved, tmp_path):
    directory = saved("bert", "classification")
    out = tmp_path / "out"
    check_refused_places(quantize, directory, tmp_path)
    with pytest.raises(InputError, match=r"method='int4': one of int8"):
        quantize(directory, out, method="int4")  # type: ignore[arg-type]
    (directory / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        quantize(directory, out)
    assert not out.exists()


def test_what_is_quantised_is_neither_quantised_again_nor_trained(saved, tmp_path):
    small = tmp_path / "small"
    quantize(saved("bert", "classification"), small, proof=False)
    with pytest.raises(InputError, match="is quantised already"):
        quantize(small, tmp_path / "smaller")
    with pytest.raises(InputError, match="does not train"):
        build_model(task_named("classification"), checkpoint=small, proof=False)
    (small / INT8_WEIGHTS).write_bytes(b"cut")
    with pytest.raises(InputError, match="Copy the whole directory"):
        frtune.load(small)


@pytest.mark.usefixtures("warm_processes")
def test_a_result_that_fails_its_proof_is_not_left(saved, tmp_path, monkeypatch):
    import frtune.model_quantization

    real = frtune.model_quantization._prove
    monkeypatch.setattr(
        frtune.model_quantization, "_prove", lambda d, t, b, logits: real(d, t, b, logits + 1)
    )
    with pytest.raises(RuntimeError, match="finds other logits"):
        quantize(saved("bert", "classification"), tmp_path / "small")
    assert not (tmp_path / "small").exists()
