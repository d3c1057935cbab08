"""An exported graph answers as its model does, at every length and batch, or nothing is left."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch

import frtune
from frtune import InputError, build_model, export, lora_config
from frtune.cli import main
from frtune.comparison.measurement import size_bytes
from frtune.failures import DiskFullError
from frtune.model_export import comparison, graphs, sides
from frtune.model_export.checked_rows import rows_to_check
from frtune.model_export.graph_quantization import quantize_graphs
from frtune.models.loading import load_saved
from frtune.models.onnx_graph import graph_kind
from frtune.tasks.config_file import load_task, save_task
from frtune.training.generation import generation_settings
from refused_places import check_refused_places

TEXTS = ["L'hôpital ouvre un service de pédiatrie.", "Le maire a inauguré une bibliothèque.", "Oui"]
LIMIT = 32
OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 9)
pytestmark = pytest.mark.skipif(OLD, reason="PyTorch 2.9 is the first that frtune export takes")


@pytest.fixture(scope="module", autouse=True)
def little_timing():
    """A time for each size of batches that is enough to have one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sides, "SECONDS", 0.1)
        yield


def task_named(name):
    if name == "classification":
        return frtune.SequenceClassification(labels=["a", "b", "c"], max_source_tokens=LIMIT)
    if name == "calibrated":
        return frtune.SequenceClassification(
            labels=["a", "b", "c"], max_source_tokens=LIMIT, temperature=2.0
        )
    if name == "several labels":
        return frtune.MultiLabelClassification(labels=["a", "b", "c"], max_source_tokens=LIMIT)
    if name == "regression":
        return frtune.SentenceSimilarity(head="regression", max_source_tokens=LIMIT)
    if name == "similarity":
        return frtune.SentenceSimilarity(labels=["0", "1"], max_source_tokens=LIMIT, symmetric=True)
    if name == "keywords":
        return frtune.KeywordExtraction(max_source_tokens=LIMIT)
    return frtune.KeyphraseGeneration(max_source_tokens=LIMIT, max_target_tokens=8)


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """``saved("bert", "keywords")``: a directory whose heads give logits of some size."""
    made = {}

    def make(family, name, *, lora=False):
        key = f"{family}-{name}-{lora}".replace(" ", "-")
        if key not in made:
            torch.manual_seed(0)
            task = task_named(name)
            adapter = lora_config(r=4) if lora else None
            model, tokenizer = build_model(task, checkpoint=tiny(family), lora=adapter, proof=False)
            with torch.no_grad():
                for weight_name, weight in model.named_parameters():
                    if "lora_B" in weight_name or (weight.ndim == 2 and min(weight.shape) <= 3):
                        weight.normal_(std=0.3)
            made[key] = tmp_path_factory.mktemp("saved") / key
            model.save_pretrained(made[key])
            tokenizer.save_pretrained(made[key])
            save_task(task, made[key])
        return made[key]

    return make


@pytest.fixture(scope="module")
def exported(saved, tmp_path_factory):
    """``exported("bert", "keywords")``: the directory of its graph."""
    made = {}

    def make(family, name, **options):
        key = (family, name, *options.items())
        if key not in made:
            lora = options.pop("lora", False)
            made[key] = tmp_path_factory.mktemp("exported") / "graph"
            export(saved(family, name, lora=lora), made[key], **options)
        return made[key]

    return make


def opened(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def batch_of(rows, length, typed):
    """Made-up rows; the last is padded but for one token."""
    ids = torch.arange(rows * length).reshape(rows, length) % 60 + 5
    mask = torch.ones_like(ids)
    if rows > 1:
        mask[-1, 1:] = 0
    batch = {"input_ids": ids, "attention_mask": mask}
    if typed:
        batch["token_type_ids"] = (ids % 2).long()
    return batch


def check_logits(directory, graph):
    """The graph's logits are those of Transformers, of batches that it was not traced with."""
    model, _ = load_saved(directory, load_task(directory))
    session = opened(graph)
    names = [each.name for each in session.get_inputs()]
    for rows, length in ((1, 1), (1, 9), (3, 5), (5, LIMIT)):
        batch = batch_of(rows, length, "token_type_ids" in names)
        with torch.no_grad():
            expected = model(**batch).logits.numpy()
        found = session.run(["logits"], {name: batch[name].numpy() for name in names})[0]
        assert found.shape == expected.shape
        real = batch["attention_mask"].bool().numpy()
        if found.ndim == 3:
            found, expected = found[real], expected[real]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    return names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("flaubert", "keywords"),
        ("deberta_v2", "several labels"),
        ("modernbert", "keywords"),
        ("xlm_roberta", "regression"),
        ("electra", "similarity"),
    ],
)
def test_every_family_of_encoders_has_the_logits_of_transformers(saved, exported, family, name):
    names = check_logits(saved(family, name), exported(family, name) / graphs.GRAPH)
    assert ("token_type_ids" in names) == (family == "electra")


def test_a_graph_of_bert_has_the_logits_of_transformers(saved, exported):
    directory = exported("bert", "classification")
    names = check_logits(saved("bert", "classification"), directory / graphs.GRAPH)
    assert names == ["input_ids", "attention_mask", "token_type_ids"]
    record = json.loads((directory / "frtune_export.json").read_text("utf-8"))
    original, graph = record["sides"]
    assert graph["difference"] <= 1e-4 * graph["largest"] and graph["same"] == graph["rows"] == 8
    assert original["difference"] is None and record["files"] == ["model.onnx"]
    config = json.loads((directory / "config.json").read_text("utf-8"))
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert {"tokenizer.json", "tokenizer_config.json", "frtune_task.json", "README.md"} <= {
        path.name for path in directory.iterdir()
    }


def test_an_adapter_is_merged_first(saved, exported):
    check_logits(
        saved("camembert", "keywords", lora=True),
        exported("camembert", "keywords", lora=True) / graphs.GRAPH,
    )


def test_frtune_opens_a_graph_and_answers_as_the_model_does(saved, exported, tmp_path):
    directory = saved("bert", "classification")
    expected = frtune.load(directory, bf16=False).predict(TEXTS)
    found = frtune.load(exported("bert", "classification")).predict(TEXTS)
    for a, b in zip(expected, found, strict=True):
        assert a["label"] == b["label"] and a["scores"] == pytest.approx(b["scores"], abs=1e-5)
    data = tmp_path / "rows.csv"
    data.write_text("text,label\n" + "".join(f'"{text}",b\n' for text in TEXTS), "utf-8")
    scores = [
        frtune.evaluate(each, data, bf16=False)
        for each in (directory, exported("bert", "classification"))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


@pytest.mark.parametrize("name", ["classification", "calibrated"])
def test_the_readme_shows_lines_that_print_the_answer(exported, name):
    directory = exported("bert", name)
    text = (directory / "README.md").read_text("utf-8")
    code, printed = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)\n```", text, re.S).groups()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=directory.parent, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == printed
    shown = eval(re.search(r"^texts = (.*)$", code, re.M)[1])
    assert "frtune" not in code and "transformers" not in code
    answer = frtune.load(directory).predict(shown)[0]
    assert eval(printed) == pytest.approx(answer["scores"], abs=1e-4)


def test_int8_is_small_near_and_the_only_graph(saved, tmp_path):
    data = tmp_path / "rows.csv"
    rows = "".join(f'"{text} {i}",{"abc"[i % 3]}\n' for i, text in enumerate(TEXTS * 4))
    data.write_text("comment,label\n" + rows, "utf-8")
    found = export(
        saved("bert", "classification"), tmp_path / "small", int8=True, data=data, max_rows=10,
        columns={"text_column": "comment"},
    )  # fmt: skip
    original, graph, small = found["sides"]
    assert small["size_bytes"] < 0.4 * graph["size_bytes"] and small["rows"] == 10
    assert graph["difference"] < small["difference"] < 0.2 * small["largest"]
    assert original["score"] == graph["score"] and 0 <= small["score"] <= 1
    graph_files = [path.name for path in (tmp_path / "small").glob("*.onnx*")]
    assert graph_files == found["files"] == ["model_quantized.onnx"]
    assert len(frtune.load(tmp_path / "small").predict(TEXTS)) == 3


def test_compare_knows_a_graph_and_its_size(exported):
    directory = exported("bert", "classification")
    assert size_bytes(directory) == (directory / "model.onnx").stat().st_size
    assert graph_kind(directory) == "onnx" and graph_kind(directory.parent) is None


def test_the_texts_compared_are_those_of_the_test_rows_else_samples(tmp_path):
    task = frtune.SentenceSimilarity(max_source_tokens=LIMIT)
    made = rows_to_check(tmp_path, task)
    assert not made.labelled and made.origin == "8 sample texts"
    assert all(row["sentence1"] and row["sentence2"] for row in made.rows)
    lines = [{"input": "Oui", "input_pair": text, "prediction": "0"} for text in (*TEXTS, " ")]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "predictions.jsonl").write_text(text, "utf-8")
    found = rows_to_check(tmp_path, task)
    assert found.origin == "3 texts of predictions.jsonl"
    assert found.rows[0] == {"sentence1": "Oui", "sentence2": TEXTS[0]}


def test_large_weights_stand_beside_the_graph(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "SEPARATE_BYTES", 1000)
    directory = saved("distilbert", "classification")
    model, _ = load_saved(directory, load_task(directory))
    files = graphs.write_encoder(model, tmp_path)
    assert files == ["model.onnx", "model.onnx_data"]
    assert (tmp_path / "model.onnx").stat().st_size < 500_000
    check_logits(directory, tmp_path / "model.onnx")
    small = quantize_graphs(tmp_path, files)
    assert {path.name for path in tmp_path.iterdir()} == {*files, *small}
    assert opened(tmp_path / small[0]).get_outputs()[0].name == "logits"


@pytest.mark.slow
@pytest.mark.parametrize("family", ["t5", "bart"])
def test_an_encoder_decoder_writes_what_generate_writes(saved, exported, family):
    directory, out = saved(family, "keyphrases"), exported(family, "keyphrases")
    record = json.loads((out / "frtune_export.json").read_text("utf-8"))
    assert record["files"] == [graphs.ENCODER, graphs.DECODER, graphs.WITH_PAST]
    assert record["sides"][1]["same"] == record["sides"][1]["rows"]
    assert (out / "generation_config.json").is_file()
    task = load_task(directory)
    model, tokenizer = load_saved(directory, task)
    text = (out / "README.md").read_text("utf-8")
    code, printed = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)\n?```", text, re.S).groups()
    shown = eval(re.search(r"\.encode\((.*)\)\.ids$", code, re.M)[1])
    assert shown.startswith("generate keyphrases: ")
    ids = task.encode(
        {"text": [shown.removeprefix("generate keyphrases: ")]}, tokenizer,
        kind="encoder-decoder", with_labels=False,
    )["input_ids"]  # fmt: skip
    settings = generation_settings(
        tokenizer, end_id=task.end_id(tokenizer, "encoder-decoder"), max_new_tokens=8
    )
    with torch.no_grad():
        written = model.generate(input_ids=torch.tensor(ids), **settings)[0]
    assert printed.strip() == tokenizer.decode(written, skip_special_tokens=True).strip()
    with pytest.raises(InputError, match="holds the graphs of an encoder-decoder"):
        frtune.load(out)


def test_a_graph_that_differs_is_told_in_one_line_and_leaves_nothing(
    saved, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(comparison, "ALLOWED", 0.0)
    out = tmp_path / "out"
    words = ["export", str(saved("bert", "classification")), "--to", "onnx", "--output", str(out)]
    monkeypatch.setattr(comparison, "_LEAST", 0.0)
    assert main(words) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the graph's logits are not the model's" in last
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_a_model_that_pytorch_cannot_export_is_told_in_one_line(saved, tmp_path, capsys):
    directory = str(saved("longformer", "classification"))
    capsys.readouterr()
    assert main(["export", directory, "--to", "onnx", "--output", str(tmp_path / "out")]) == 1
    told = capsys.readouterr()
    assert told.out == "" and "cannot export this model" in told.err
    assert len([line for line in told.err.splitlines() if "Tokenising" not in line and line]) == 1
    assert [*tmp_path.iterdir()] == []


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(saved, tmp_path):
    directory = saved("bert", "classification")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(DiskFullError, match="the disk is full"):
            export(directory, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_exported_is_refused_before_any_work(saved, tmp_path):
    directory, out = saved("bert", "classification"), tmp_path / "out"
    check_refused_places(export, directory, tmp_path)
    with pytest.raises(InputError, match=r"to='onx': onnx\. Did you mean onnx\?"):
        export(directory, out, to="onx")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"is a decoder \(gpt2\)"):
        export(saved("gpt2", "keyphrases"), out)
    with pytest.raises(InputError, match=r"no such file|does not exist|neither"):
        export(directory, out, data=tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="max_rows=3: goes with data"):
        export(directory, out, max_rows=3)
    with pytest.raises(InputError, match="max_rows=0: goes with data"):
        export(directory, out, max_rows=0)
    with pytest.raises(InputError, match="text_column='body': goes with data"):
        export(directory, out, columns={"text_column": "body"})
    frtune.quantize(directory, tmp_path / "int8", proof=False)
    with pytest.raises(InputError, match=r"is quantised \(int8\).*Export what it was made from"):
        export(tmp_path / "int8", out)
    assert not out.exists()


def test_an_old_pytorch_and_a_missing_package_are_named(saved, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "2.8.1+cpu")
        with pytest.raises(InputError, match=r"needs PyTorch 2\.9 or newer"):
            export(saved("bert", "classification"), tmp_path / "out")
    for name in ("onnxscript", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(InputError, match=rf"{name}.*pip install 'frtune\[export\]'"):
                export(saved("bert", "classification"), tmp_path / "out")


def test_a_graph_is_no_checkpoint_and_takes_no_device_or_type(exported, tmp_path):
    directory = exported("bert", "classification")
    for refused in (
        lambda: export(directory, tmp_path / "out"),
        lambda: frtune.quantize(directory, tmp_path / "out"),
        lambda: build_model(task_named("classification"), checkpoint=directory, proof=False),
    ):
        with pytest.raises(InputError, match="graph for ONNX Runtime, and no weights"):
            refused()
    with pytest.raises(InputError, match=r"bf16=True: .* holds a graph for ONNX Runtime"):
        frtune.load(directory, bf16=True)
    with pytest.raises(InputError, match="dtype='bf16'"):
        frtune.load(directory, dtype="bf16")


def test_a_graph_that_is_cut_short_or_gone_is_told(exported, tmp_path):
    directory = tmp_path / "copy"
    directory.mkdir()
    for path in exported("bert", "classification").iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    graph = directory / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"model\.onnx: ONNX Runtime cannot open it"):
        frtune.load(directory)
    graph.unlink()
    with pytest.raises(InputError, match=r"model\.onnx: is missing"):
        frtune.load(directory)
