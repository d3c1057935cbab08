"""Every row of the table, and types without one, from a tiny checkpoint to an answer."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch
import transformers
from datasets import Dataset

import frtune
from conftest import CORPUS
from frtune import (
    KeyphraseGeneration,
    KeywordExtraction,
    SequenceClassification,
    build_model,
    lora_config,
    training_arguments,
)
from frtune.cli.train_arguments import parse_train_arguments
from frtune.models import type_proof
from frtune.models.decoders import ROWS as DECODER_ROWS
from frtune.models.families import FAMILIES, family_for, family_named
from frtune.models.type_proof import prove_type
from frtune.models.weights import untied_output
from frtune.planning.plan import plan
from frtune.preflight.run import preflight
from frtune.training.mixup.hooks import check_hidden

WITHOUT_ROW = (
    "albert", "mpnet", "rembert", "xlm", "plbart", "longt5", "bloom", "falcon", "gpt_neo",
    "stablelm", "cohere", "starcoder2", "granitemoe",
)  # fmt: skip
ROWS = [
    {"text": f"{text} {i}", "label": ("long", "short")[i % 2], "keyphrases": text.split()[:2]}
    for i, text in enumerate(CORPUS[:8])
]
TIED = {
    "gemma2",
    "gemma3",
    "gpt2",
    "opt",
    "phi3",
    "qwen2",
    "qwen3",
    "exaone4",
    "smollm3",
    "granite",
}


def task_of(name):
    if family_named(name).kind == "encoder":
        return SequenceClassification(labels=["long", "short"], max_source_tokens=32)
    return KeyphraseGeneration(max_source_tokens=32, max_target_tokens=6)


def trained(name, checkpoint, folder, **options):
    """Two steps, saved; opening it again with equal logits is part of saving."""
    task = task_of(name)
    model, tokenizer = build_model(task, checkpoint=checkpoint, **options)
    args = training_arguments(
        task, str(folder / "run"), max_steps=2, per_device_train_batch_size=2, learning_rate=1e-2,
        bf16=False, disable_tqdm=True, use_cpu=True, eval_strategy="no", save_strategy="no",
        logging_steps=1, load_best_model_at_end=False,
    )  # fmt: skip
    before = {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=Dataset.from_list(ROWS), eval_dataset=None
    )
    trainer.train()
    after = dict(model.named_parameters())
    assert any(not torch.equal(before[n], after[n].detach()) for n in before)
    frtune.save(trainer, folder / "saved")
    return folder / "saved"


def answers_of(directory):
    return frtune.load(directory, bf16=False).predict(CORPUS[:3])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_trains_in_full_and_with_lora_is_saved_loaded_merged_and_planned(
    name, tiny, tmp_path
):
    walk(name, tiny(name), tmp_path)


@pytest.mark.parametrize("name", WITHOUT_ROW)
def test_a_type_without_a_row_goes_the_same_way(name, tiny, tmp_path):
    assert not family_for(name).has_row
    walk(name, tiny(name), tmp_path)


def walk(name, checkpoint, folder):
    full = trained(name, checkpoint, folder / "full")
    assert len(answers_of(full)) == 3
    recomputes = family_named(name).gradient_checkpointing
    options = {"lora": lora_config(), "gradient_checkpointing": recomputes}
    adapter = trained(name, checkpoint, folder / "lora", **options)
    assert len(answers_of(adapter)) == 3
    task = task_of(name)
    merged, _ = frtune.models.loading.load_saved(adapter, task, merge=True)
    assert not hasattr(merged, "peft_config")
    found = plan(checkpoint, gpu_memory="24GB", batch=1, task=task, precision="fp32")
    assert found.recommended.method == "full"
    assert found.recommended.shown == family_named(name).has_row


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_rehearsed(name, tiny, tmp_path):
    rehearse(name, tiny(name), tmp_path)


@pytest.mark.parametrize("name", ["albert", "bloom", "plbart"])
def test_a_type_without_a_row_is_rehearsed(name, tiny, tmp_path):
    rehearse(name, tiny(name), tmp_path)


def rehearse(name, checkpoint, folder):
    data = folder / "rows.jsonl"
    rows = [{**row, "text": f"{row['text']} {i}"} for i in range(3) for row in ROWS]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    asked = parse_train_arguments(
        task_of(name).name,
        [
            "--data", str(data), "--checkpoint", str(checkpoint), "--lora", "--max-steps", "2",
            "--output-dir", str(folder / "run"), "--max-source-tokens", "32",
        ],
    )  # fmt: skip
    stages = preflight(*asked)
    assert {stage.status for stage in stages} <= {"ok", "warning"}
    assert {"save and reload", "predict"} <= {stage.name for stage in stages}


@pytest.mark.parametrize("method", ["int8", "nf4"])
@pytest.mark.parametrize("name", ["xlm_roberta", "mt5", "qwen3", "albert"])
def test_lora_trains_on_a_quantised_base_of_each_kind(name, method, tiny, tmp_path):
    saved = trained(name, tiny(name), tmp_path, lora=lora_config(), quantization=method)
    assert len(answers_of(saved)) == 3


@pytest.mark.parametrize(("name", "fits"), [("rembert", True), ("xlm", False), ("albert", False)])
def test_states_are_mixed_at_blocks_that_are_whole_modules(name, fits, tiny):
    model, _ = build_model(task_of(name), checkpoint=tiny(name), proof=False)
    with (
        contextlib.nullcontext()
        if fits
        else pytest.raises(frtune.InputError, match=f"{name} has no list of its blocks")
    ):
        check_hidden(model)


@pytest.mark.parametrize("name", [row.name for row in DECODER_ROWS])
def test_a_tiny_decoder_is_tied_where_the_family_is(name, tiny):
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny(name))
    assert (untied_output(model) is None) == (name in TIED)


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("whisper", "no head for text"),
        ("resnet", "no head for text"),
        ("gemma3", r"several models \(text, vision\).* alone is gemma3_text\."),
        ("t5gemma", r"several models \(encoder, decoder\)"),
        ("no_such_type", "Transformers has no such type"),
    ],
)
def test_a_type_without_a_head_is_refused(model_type, reason):
    with pytest.raises(frtune.InputError, match=f"model_type='{model_type}': .*{reason}"):
        family_for(model_type)


@pytest.mark.parametrize(
    ("model_type", "reason"),
    [
        ("funnel", "fails to be made .*num_hidden_layers"),
        ("lilt", "fails to train .*shapes"),
        ("mamba", "fails to train with LoRA .*incompatible"),
        ("blenderbot", "fails to be made .*decoder"),
        ("xmod", "fails to train .*language unknown"),
    ],
)
def test_a_type_that_cannot_be_proven_is_refused_with_the_reason(model_type, reason, monkeypatch):
    monkeypatch.setattr(type_proof, "_proven", set())
    config = transformers.AutoConfig.for_model(model_type)
    family = family_for(model_type)
    task = task_of(model_type)
    with pytest.raises(frtune.InputError, match=reason):
        prove_type(config, family, task.auto_classes[family.kind], lora=lora_config())


def test_a_task_without_a_head_on_the_type_is_refused_before_anything_is_loaded(tmp_path):
    transformers.AutoConfig.for_model("bros").save_pretrained(tmp_path)
    with pytest.raises(frtune.InputError, match=r"'classification': not for bros.*Use one of"):
        build_model(task_of("bert"), checkpoint=tmp_path)
    transformers.AutoConfig.for_model("perceiver").save_pretrained(tmp_path)
    with pytest.raises(frtune.InputError, match=r"'keywords': not for perceiver"):
        build_model(KeywordExtraction(), checkpoint=tmp_path)


def test_a_type_is_proven_once_and_a_row_never(monkeypatch):
    seen = []
    monkeypatch.setattr(type_proof, "_proven", set())
    monkeypatch.setattr(type_proof, "_live_through", lambda config, *_: seen.append(config))
    config = transformers.AutoConfig.for_model("albert")
    head = "AutoModelForSequenceClassification"
    for _ in range(2):
        prove_type(config, family_for("albert"), head)
    prove_type(config, family_for("albert"), head, lora=lora_config())
    prove_type(transformers.AutoConfig.for_model("bert"), family_for("bert"), head)
    assert seen == [config, config]


def test_the_proof_leaves_the_random_numbers_as_they_are(monkeypatch):
    monkeypatch.setattr(type_proof, "_proven", set())
    torch.manual_seed(3)
    state = torch.get_rng_state()
    config = transformers.AutoConfig.for_model("albert")
    prove_type(config, family_for("albert"), "AutoModelForTokenClassification", lora=lora_config())
    assert torch.equal(torch.get_rng_state(), state)
