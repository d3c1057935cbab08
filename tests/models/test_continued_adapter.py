"""A saved adapter is trained further, or merged before a new one is trained."""

import json

import pytest
import torch
from safetensors.torch import load_file
from test_build import step

import frtune
from conftest import CORPUS
from frtune import InputError, SequenceClassification, build_model, lora_config
from frtune.cli.train_arguments import parse_train_arguments
from frtune.models.adapter_base import find_base, save_base_record
from frtune.models.continued_adapter import merge_saved
from frtune.models.lineage import lineage
from frtune.models.probe import probe_logits
from frtune.preflight.run import preflight
from frtune.run.run import run
from frtune.tasks.config_file import save_task
from tasks import batch_for

TASK = SequenceClassification(labels=["bad", "fair", "good"])


def first(tmp_path, checkpoint, *, task=TASK, **options):
    """Train an adapter for two steps and save it; its directory."""
    lora = lora_config(r=4, alpha=8, dropout=0.0)
    model, tokenizer = build_model(task, checkpoint=checkpoint, lora=lora, **options)
    step(model, batch_for(model, tokenizer, CORPUS[:4]))
    folder = tmp_path / "first"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_task(task, folder)
    save_base_record(folder, model)
    return folder


def compare(folder, model, tokenizer):
    """The largest difference between the logits of a model and those of a saved one."""
    batch = dict(tokenizer(CORPUS[:3], return_tensors="pt", padding=True))
    saved = frtune.load(folder, bf16=False).model
    return (probe_logits(model, batch) - probe_logits(saved, batch)).abs().max().item()


@pytest.mark.parametrize(
    ("family", "task"),
    [("bert", TASK), ("polyglot", TASK), ("polyglot", frtune.KeyphraseGeneration())],
)
def test_it_goes_on_where_it_was_and_trains_what_it_trained(tiny, tmp_path, family, task):
    folder = first(tmp_path, tiny(family), task=task)
    fresh, _ = build_model(task, checkpoint=tiny(family), lora=lora_config(r=4, alpha=8))
    model, tokenizer = build_model(task, checkpoint=folder)
    assert compare(folder, model, tokenizer) == 0 and model.training
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in fresh.named_parameters() if p.requires_grad}
    batch = batch_for(model, tokenizer, CORPUS[:4])
    assert step(model, batch) == step(fresh, batch)
    model.save_pretrained(tmp_path / "second")
    assert find_base(tmp_path / "second") == str(tiny(family))


@pytest.mark.parametrize("asked", [None, "int8"])
def test_the_base_stays_in_the_bits_that_it_was_in(tiny, tmp_path, asked):
    folder = first(tmp_path, tiny("polyglot"), quantization="nf4")
    model, tokenizer = build_model(TASK, checkpoint=folder, quantization=asked)
    assert model.config.quantization_config.load_in_4bit == (asked is None)
    assert (compare(folder, model, tokenizer) == 0) is (asked is None)


def test_the_dropout_may_change_and_nothing_else(tiny, tmp_path):
    folder = first(tmp_path, tiny("bert"))
    model, _ = build_model(TASK, checkpoint=folder, lora=lora_config(r=4, alpha=8, dropout=0.5))
    rates = {m.p for n, m in model.named_modules() if n.endswith("lora_dropout.default")}
    assert rates == {0.5}
    for lora, said in (
        (lora_config(r=2, alpha=8), "r=2, and the adapter in '.*first' has 4"),
        (lora_config(r=4, alpha=8, dora=True), "use_dora=True, and .* has False"),
        (lora_config(r=4, alpha=8, target_modules=["key"]), "target_modules={'key'}, and"),
    ):
        with pytest.raises(InputError, match=rf"lora: {said}.*--merge-first"):
            build_model(TASK, checkpoint=folder, lora=lora)


@pytest.mark.parametrize(
    "task", [frtune.KeywordExtraction(), SequenceClassification(labels=["good", "bad", "fair"])]
)
def test_for_another_task_it_is_refused_and_the_merged_model_is_the_way_out(tiny, tmp_path, task):
    folder = first(tmp_path, tiny("bert"))
    with pytest.raises(InputError, match=r"do not fit .* go on from it, pass --merge-first"):
        build_model(task, checkpoint=folder)
    merged = merge_saved(folder, tmp_path / "merged")
    model, tokenizer = build_model(TASK, checkpoint=merged)
    assert compare(folder, model, tokenizer) < 1e-5
    assert build_model(task, checkpoint=merged, lora=lora_config())[0].peft_config
    with pytest.raises(InputError, match=r"exists\. Give a new directory"):
        merge_saved(folder, tmp_path / "merged")


def test_an_adapter_that_is_not_frtunes_is_refused(tiny, tmp_path):
    folder = first(tmp_path, tiny("bert"))
    (folder / "frtune_task.json").unlink()
    with pytest.raises(InputError, match=r"an adapter without frtune_task\.json, so not frtune's"):
        build_model(TASK, checkpoint=folder)


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture
def asked(tiny, tmp_path):
    """``asked("out", "--flag")``: what a run is told, on a few rows."""
    rows = [{"text": f"{text} {i}", "label": TASK.labels[i % 3]} for i, text in enumerate(CORPUS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def parse(name, *flags, checkpoint=None):
        return parse_train_arguments(
            "classification",
            [
                "--data", str(tmp_path / "rows.jsonl"), "--max-source-tokens", "48",
                "--checkpoint", str(checkpoint or tiny("bert")), "--max-steps", "2",
                "--output-dir", str(tmp_path / name), "--learning-rate", "1e-2", *flags,
            ],
        )  # fmt: skip

    return parse


def test_runs_go_on_from_the_adapter_of_another(asked, tiny, tmp_path):
    run(*asked("one", "--lora", "--lora-r", "4"))
    again = asked("two", checkpoint=tmp_path / "one")
    stages = preflight(*again)
    assert {stage.status for stage in stages} <= {"ok", "warning"}
    run(*again)
    assert find_base(tmp_path / "two") == str(tiny("bert"))
    assert lineage(tmp_path / "two") == ["bert", "classification", "classification"]
    settings = json.loads((tmp_path / "two" / "adapter_config.json").read_text("utf-8"))
    assert settings["r"] == 4
    assert "lora_r: 4" in (tmp_path / "two" / "config.yaml").read_text("utf-8")
    one, two = (load_file(tmp_path / n / "adapter_model.safetensors") for n in ("one", "two"))
    assert one.keys() == two.keys()
    assert not all(torch.equal(one[name], two[name]) for name in one)
    assert len(frtune.load(tmp_path / "two").predict(CORPUS[:2])) == 2
    for flags, said in (
        (["--no-lora"], "--no-lora: .*one holds an adapter"),
        (["--lora-r", "8"], "lora: r=8, and the adapter"),
    ):
        with pytest.raises(InputError, match=said):
            run(*asked("three", *flags, checkpoint=tmp_path / "one"))
        assert not (tmp_path / "three" / "config.yaml").exists()
    merges = asked("four", "--merge-first", "--lora", checkpoint=tmp_path / "one")
    assert {stage.status for stage in preflight(*merges)} <= {"ok", "warning"}
    run(*merges)
    assert find_base(tmp_path / "four") == str(tmp_path / "four" / "base")
    assert lineage(tmp_path / "four") == ["bert", "classification", "classification"]
    settings = json.loads((tmp_path / "four" / "adapter_config.json").read_text("utf-8"))
    assert settings["r"] == 8


def test_there_must_be_an_adapter_to_merge_first(asked):
    with pytest.raises(InputError, match=r"--merge-first: .* holds no adapter"):
        run(*asked("out", "--merge-first"))
