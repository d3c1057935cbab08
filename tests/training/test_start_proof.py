"""Before the first step it is proven that what trains can be saved, opened, and merged."""

from __future__ import annotations

import random

import numpy as np
import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import frtune
from frtune import (
    InputError,
    KeyphraseGeneration,
    SequenceClassification,
    build_model,
    lora_config,
)
from frtune.models.probe import made_up_batch, probe_logits
from frtune.training import start_proof
from frtune.training.start_proof import prove_start

CLASSIFY = SequenceClassification(labels=[0, 1])
WRITE = KeyphraseGeneration(max_source_tokens=32, max_target_tokens=8)
LAYERS = {"camembert": ["query", "value"], "t5": ["q", "v"], "bart": ["q_proj", "v_proj"]}


@pytest.fixture(autouse=True)
def nothing_is_proven_yet(monkeypatch):
    monkeypatch.setattr(start_proof, "_proven", set())


@pytest.fixture
def trainer_of(tiny, rows, arguments):
    """``trainer_of(family, adapt=function)``: a trainer of what ``adapt`` makes of the model."""

    def make(family, *, adapt=lambda model: model, proof=True, **options):
        task = CLASSIFY if family == "camembert" else WRITE
        model, tokenizer = build_model(task, checkpoint=str(tiny(family)), proof=False, **options)
        args = arguments(task, max_steps=2, learning_rate=5e-2, per_device_train_batch_size=2)
        return task.trainer(adapt(model), tokenizer, args, train_dataset=rows, proof=proof)

    return make


def adapter(family, *, name="default", **settings):
    """What puts LoRA on a model of the family, as users of PEFT do."""
    config = {"target_modules": LAYERS[family], **settings}
    return lambda model: peft.get_peft_model(model, peft.LoraConfig(**config), adapter_name=name)


def two_adapters(model):
    model = adapter("camembert")(model)
    model.add_adapter("b", peft.LoraConfig(target_modules=["query"]))
    return model


def thawed(model):
    model = adapter("camembert", modules_to_save=["classifier"])(model)
    for name, weight in model.named_parameters():
        if "LayerNorm" in name:
            weight.requires_grad_(True)
    return model


def wider_head(model):
    model.classifier.out_proj = torch.nn.Sequential(
        model.classifier.out_proj, torch.nn.Linear(2, 2)
    )
    return model


def frozen_head(model):
    return adapter("camembert")(model)


@pytest.mark.parametrize("whole", [True, False], ids=["itself", "narrow copy"])
def test_what_could_not_be_opened_again_is_refused_with_its_name(trainer_of, monkeypatch, whole):
    if not whole:
        monkeypatch.setattr(start_proof, "WHOLE", 0)
    refused = [
        ("camembert", adapter("camembert", init_lora_weights="pissa_niter_4"), "pissa_niter_4"),
        ("camembert", adapter("camembert", name="mine"), "adapter_name=mine"),
        ("camembert", two_adapters, "adapter_name=default, b"),
        ("camembert", thawed, "LayerNorm.weight"),
        ("camembert", frozen_head, "classifier.dense.weight"),
        ("t5", adapter("t5", modules_to_save=["shared"]), "does not compute with"),
    ]
    if whole:
        refused.append(("camembert", wider_head, "model=CamembertForSequenceClassification"))
    for family, adapt, named in refused:
        with pytest.raises(InputError) as error:
            trainer_of(family, adapt=adapt)
        assert named in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("whole", [True, False], ids=["itself", "narrow copy"])
@pytest.mark.parametrize("family", ["camembert", "polyglot"])
def test_the_proof_leaves_no_trace(trainer_of, monkeypatch, family, whole):
    if not whole:
        monkeypatch.setattr(start_proof, "WHOLE", 0)
    for lora in (None, lora_config(dropout=0.5)):
        trainer = trainer_of(family, lora=lora, proof=False)
        model = trainer.model
        model.eval()
        next(model.children()).train()
        before, modes = state_of(model), [module.training for module in model.modules()]
        known = len(start_proof._proven)
        prove_start(trainer)
        assert len(start_proof._proven) == known + 1
        after = state_of(model)
        assert before.keys() == after.keys()
        assert all(np.array_equal(before[name], after[name]) for name in before)
        assert modes == [module.training for module in model.modules()]
        assert all(weight.grad is None for weight in model.parameters())


def state_of(model):
    """Weights, buffers and random states, as bytes."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    found = {n: t.detach().clone().view(torch.uint8).numpy() for n, t in tensors.items() if t.dim()}
    random_states = [torch.get_rng_state(), np.random.get_state()[1], random.getstate()[1]]
    return found | {str(i): np.asarray(state) for i, state in enumerate(random_states)}


def test_a_structure_is_proven_once_and_a_trainer_without_rows_not_at_all(trainer_of, monkeypatch):
    calls = []
    monkeypatch.setattr(start_proof, "_live_through", lambda *args, **_: calls.append(args))
    trainer = trainer_of("camembert")
    prove_start(trainer)
    trainer_of("camembert")
    assert len(calls) == 1
    trainer.train_dataset = None
    prove_start(trainer, merge=True)
    assert len(calls) == 1
    trainer_of("camembert", proof=False, lora=lora_config())
    assert len(calls) == 1
    trainer_of("camembert", lora=lora_config())
    assert len(calls) == 2


def test_a_method_that_cannot_be_merged_is_refused_where_that_is_asked(trainer_of):
    def lily(model):
        config = peft.LilyConfig(target_modules=["query_key_value"], task_type="CAUSAL_LM")
        return peft.get_peft_model(model, config)

    trainer = trainer_of("polyglot", adapt=lily)
    with pytest.raises(InputError, match=r"adapter=LILY.*cannot be merged.*Leave out merge"):
        prove_start(trainer, merge=True)


def test_another_method_is_no_lora(tiny):
    with pytest.raises(InputError, match="lora=IA3Config: a LoraConfig"):
        build_model(CLASSIFY, checkpoint=str(tiny("camembert")), lora=peft.IA3Config())


# --- merged/ ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"modules_to_save": ["lm_head"]}, {"target_modules": ["q_proj", "lm_head"]}],
    ids=["trained whole", "adapted"],
)
def test_a_tied_output_layer_is_merged_and_opened_by_transformers(trainer_of, tmp_path, settings):
    trainer = trainer_of("bart", adapt=adapter("bart", **settings))
    trainer.train()
    frtune.save(trainer, tmp_path / "m", merge=True)
    plain = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "m" / "merged")
    batch = made_up_batch(plain)
    expected = probe_logits(trainer.model, batch)
    assert (probe_logits(plain, batch) - expected).abs().max() < 1e-3
    merged = frtune.load(tmp_path / "m" / "merged", bf16=False).model
    assert (probe_logits(merged, batch) - expected).abs().max() < 1e-3


def test_a_merge_that_fails_leaves_the_adapter_and_no_merged(trainer_of, tmp_path, monkeypatch):
    trainer = trainer_of("bart", adapt=adapter("bart", modules_to_save=["lm_head"]))
    trainer.train()
    frtune.save(trainer, tmp_path / "m", merge=True)
    # what Transformers does with an output layer that its config calls tied
    monkeypatch.setattr("frtune.models.continued_adapter.unshare", lambda model: None)
    with pytest.raises(RuntimeError, match=r"merge: failed .*opened by Transformers.* is saved in"):
        frtune.save(trainer, tmp_path / "m", merge=True)
    assert not (tmp_path / "m" / "merged").exists()
    assert not list((tmp_path / "m").glob(".*"))
    assert frtune.load(tmp_path / "m").model is not None


# --- weights that are NaN ------------------------------------------------------------------------


def spoil(path, value):
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if tensors[name].is_floating_point())
    tensors[name].view(-1)[-1] = value
    save_file(tensors, path, metadata={"format": "pt"})
    return name


def test_weights_that_are_nan_are_not_answered_from_or_trained_on(trainer_of, tmp_path, tiny):
    for lora, file in ((None, "model.safetensors"), (lora_config(), "adapter_model.safetensors")):
        out = frtune.save(trainer_of("camembert", lora=lora), tmp_path / file[:5])
        name = spoil(out / file, float("nan" if lora else "-inf"))
        with pytest.raises(InputError, match="holds NaN or infinity") as error:
            frtune.load(out)
        assert name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="holds NaN or infinity"):
        build_model(CLASSIFY, checkpoint=str(tmp_path / "model"), proof=False)


def test_a_model_that_became_nan_is_not_saved(trainer_of, tmp_path):
    trainer = trainer_of("camembert")
    with torch.no_grad():
        trainer.model.classifier.dense.weight[0, 0] = float("nan")
    for proof in (True, False):
        with pytest.raises(RuntimeError, match=r"nothing is saved: .*classifier\.dense\.weight"):
            frtune.save(trainer, tmp_path / "m", proof=proof)
    assert not (tmp_path / "m").exists()
