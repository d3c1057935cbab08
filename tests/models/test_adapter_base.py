"""An adapter finds the base that it was trained on, and no other."""

import json
import os
import shutil
import subprocess
import sys

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForMaskedLM

from conftest import CORPUS
from frtune import (
    InputError,
    KeywordExtraction,
    SequenceClassification,
    build_model,
    lora_config,
    tiny_checkpoint,
)
from frtune.models.adapter_base import find_base, fingerprint, save_base_record, save_head_config
from frtune.models.bitsandbytes import BASE_FILE
from frtune.models.loading import load_saved
from frtune.models.probe import probe_logits
from tasks import Generate, batch_for

CLASSES = SequenceClassification(labels=["a", "b", "c"])


def make_run(folder, *, seed):
    """A run's directory: an adapter, and the tiny base that it was made from inside it."""
    base = tiny_checkpoint("t5", CORPUS, folder / "tiny", seed=seed)
    model, tokenizer = build_model(Generate(), checkpoint=base, lora=lora_config())
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_base_record(folder, model)
    return probe_logits(model, batch(model, tokenizer))


def batch(model, tokenizer):
    return batch_for(model, tokenizer, CORPUS[:2])


def logits(folder):
    model, tokenizer = load_saved(folder, Generate())
    return probe_logits(model, batch(model, tokenizer))


def record(folder, base):
    """Let an adapter's directory name ``base``, as 0.1.0 did where that is a relative path."""
    path = folder / "adapter_config.json"
    content = json.loads(path.read_text("utf-8")) | {"base_model_name_or_path": str(base)}
    path.write_text(json.dumps(content), "utf-8")


# --- the fingerprint ------------------------------------------------------------------------------


def test_a_copy_has_the_same_fingerprint_however_it_is_cut(tiny, tmp_path):
    expected = fingerprint(tiny("bert"))
    assert expected and len(expected) == 32
    assert fingerprint(shutil.copytree(tiny("bert"), tmp_path / "copy")) == expected
    cut = shutil.copytree(tiny("bert"), tmp_path / "cut")
    (cut / "model.safetensors").unlink()
    AutoModelForMaskedLM.from_pretrained(tiny("bert")).save_pretrained(cut, max_shard_size="500KB")
    assert (cut / "model.safetensors.index.json").is_file()
    shutil.copy(tiny("bert") / "config.json", cut)
    assert fingerprint(cut) == expected


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [("hidden_act", "relu", False), ("id2label", {"0": "a"}, True), ("use_cache", False, True)],
)
def test_of_the_config_counts_what_changes_outputs(tiny, tmp_path, name, value, same):
    folder = shutil.copytree(tiny("bert"), tmp_path / "copy")
    content = json.loads((folder / "config.json").read_text("utf-8")) | {name: value}
    (folder / "config.json").write_text(json.dumps(content))
    assert (fingerprint(folder) == fingerprint(tiny("bert"))) is same


def test_a_weight_that_has_moved_a_little_counts(tiny, tmp_path):
    folder = shutil.copytree(tiny("bert"), tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[3]
    weights[name] += 1e-6
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert fingerprint(folder) != fingerprint(tiny("bert"))


def test_what_has_no_weights_has_no_fingerprint(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert fingerprint(tmp_path) is None
    assert fingerprint("nobody/nothing") is None


# --- the base -------------------------------------------------------------------------------------


def test_a_moved_run_never_takes_the_base_of_another(tmp_path, monkeypatch):
    """The base was named by a path relative to the working directory, which another run has now."""
    monkeypatch.chdir(tmp_path)
    expected = make_run(tmp_path / "run", seed=1)
    (tmp_path / "run").rename(tmp_path / "moved")
    other = make_run(tmp_path / "run", seed=2)
    for named in (tmp_path / "run" / "tiny", "run/tiny"):
        record(tmp_path / "moved", named)
        for with_record in (True, False):
            if not with_record:  # as 0.1.0 left it
                (tmp_path / "moved" / BASE_FILE).rename("kept.json")
            assert torch.equal(logits(tmp_path / "moved"), expected)
        (tmp_path / "kept.json").rename(tmp_path / "moved" / BASE_FILE)
    assert not torch.equal(other, expected)


def test_another_base_is_refused_with_both_named(tmp_path):
    make_run(tmp_path / "a", seed=1)
    make_run(tmp_path / "b", seed=2)
    mine = fingerprint(tmp_path / "a" / "tiny")
    shutil.rmtree(tmp_path / "a" / "tiny")
    record(tmp_path / "a", tmp_path / "b" / "tiny")
    other = fingerprint(tmp_path / "b" / "tiny")
    with pytest.raises(
        InputError, match=rf"{mine}, and '.*b/tiny' is another model, with {other}\. Put the base"
    ):
        load_saved(tmp_path / "a", Generate())


def test_a_base_beside_that_is_another_one_is_passed_over(tmp_path):
    expected = make_run(tmp_path / "a", seed=1)
    make_run(tmp_path / "b", seed=2)
    shutil.move(tmp_path / "a" / "tiny", tmp_path / "kept" / "tiny")
    shutil.copytree(tmp_path / "b" / "tiny", tmp_path / "a" / "tiny")
    record(tmp_path / "a", tmp_path / "kept" / "tiny")
    assert find_base(tmp_path / "a") == str(tmp_path / "kept" / "tiny")
    assert torch.equal(logits(tmp_path / "a"), expected)


@pytest.mark.parametrize(
    ("task", "family", "head"),
    [
        (CLASSES, "bert", "SequenceClassification"),
        (CLASSES, "llama", "SequenceClassification"),
        (KeywordExtraction(), "camembert", "TokenClassification"),
    ],
)
def test_plain_peft_takes_the_classes_from_the_saved_config(tiny, tmp_path, task, family, head):
    model, tokenizer = build_model(task, checkpoint=tiny(family), lora=lora_config())
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    save_head_config(tmp_path, model, task, tokenizer)
    config = AutoConfig.from_pretrained(tmp_path)
    assert config.architectures == [type(model.get_base_model()).__name__]
    assert config.id2label == task.config_overrides()["id2label"]
    names = ("num_labels", "id2label", "label2id", "pad_token_id")
    plain = getattr(peft, f"AutoPeftModelFor{head}").from_pretrained(
        tmp_path, **{name: getattr(config, name) for name in names}
    )
    inputs = batch(model, tokenizer)
    assert torch.equal(probe_logits(plain, inputs), probe_logits(model, inputs))
    assert plain.config.id2label == config.id2label


@pytest.mark.usefixtures("warm_processes")
def test_plain_peft_opens_the_adapter_from_another_working_directory(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    base = os.path.relpath(tiny_checkpoint("t5", CORPUS, "run/tiny"))
    model, tokenizer = build_model(Generate(), checkpoint=base, lora=lora_config())
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    model.save_pretrained("run")
    tokenizer.save_pretrained("run")
    inputs = {name: value for name, value in batch(model, tokenizer).items()}
    torch.save((inputs, probe_logits(model, inputs)), tmp_path / "expected.pt")
    program = """
import sys, torch
from peft import AutoPeftModelForSeq2SeqLM
from transformers import AutoModelForSeq2SeqLM
inputs, expected = torch.load("../expected.pt")
model = AutoPeftModelForSeq2SeqLM.from_pretrained("../work/run").eval()
assert torch.allclose(model(**inputs).logits, expected, atol=1e-5)
model = AutoModelForSeq2SeqLM.from_pretrained("../work/run").eval()
assert torch.allclose(model(**inputs).logits, expected, atol=1e-5)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "elsewhere",
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
