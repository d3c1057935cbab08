"""Activations on tensors without data are those that a real step keeps."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer

from conftest import FAMILY_NAMES
from frtune import KeyphraseGeneration, SequenceClassification, build_model, lora_config
from frtune.models.families import FAMILIES
from frtune.planning.activations import Step, activations
from frtune.planning.parameters import architecture


def task_of(family):
    if FAMILIES[family].kind == "encoder":
        return SequenceClassification(labels=["0", "1"])
    return KeyphraseGeneration()


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_they_grow_with_the_rows_and_shrink_with_checkpointing(family, tiny):
    found = architecture(tiny(family), task_of(family))
    target = 0 if FAMILIES[family].kind == "encoder" else 16
    two, four = (
        activations(found, Step(rows, 64, target), lora=None, casting="fp32") for rows in (2, 4)
    )
    assert 1.8 < four.saved / two.saved <= 2.01
    if FAMILIES[family].gradient_checkpointing:
        assert four.recomputed < four.saved
    else:
        assert four.recomputed == four.saved


def test_a_decoders_layer_is_what_korthikanti_derives():
    """34 bytes a token and unit of width (equation 1), less the attention matrix and dropout."""
    import dataclasses

    found = architecture("EleutherAI/polyglot-ko-1.3b", KeyphraseGeneration())
    rows, tokens, width = 4, 256, 2048
    sizes = []
    for layers in (4, 5):
        found.config.num_hidden_layers = layers
        step = Step(rows, tokens - 16, 16)
        sizes.append(activations(dataclasses.replace(found), step, lora=None, casting="bf16").saved)
    assert sizes[1] - sizes[0] == pytest.approx(34 * rows * tokens * width, rel=0.15)


def test_depth_is_extrapolated_exactly(tiny):
    """Four layers, run as one and two, keep what four layers keep in a real step."""
    from transformers import AutoModelForSequenceClassification

    task = SequenceClassification(labels=["0", "1"])
    found = architecture(tiny("bert"), task)
    found.config.num_hidden_layers = 4
    found.config.hidden_dropout_prob = found.config.attention_probs_dropout_prob = 0.0
    planned = activations(found, Step(2, 64, 0), lora=None, casting="fp32").saved
    model = AutoModelForSequenceClassification.from_config(found.config).train()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    ids = torch.ones(2, 64, dtype=torch.long)
    mask = ids.clone()
    mask[0, 60:] = 0  # Transformers leaves a mask out that masks nothing
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model(input_ids=ids, attention_mask=mask).logits
        torch.nn.functional.cross_entropy(logits, ids[:, 0], reduction="sum")
    assert planned == pytest.approx(sum(s.nbytes() for s in kept.values()), rel=0.02)


def test_autocast_copies_weights_and_bf16_needs_less(tiny):
    found = architecture(tiny("polyglot"), KeyphraseGeneration())
    step = Step(4, 64, 16)
    fp32, autocast, bf16 = (
        activations(found, step, lora=None, casting=casting)
        for casting in ("fp32", "autocast", "bf16")
    )
    assert autocast.weight_copies > 0 == fp32.weight_copies == bf16.weight_copies
    assert bf16.saved < autocast.saved < fp32.saved


def test_a_model_is_trained_with_new_tokens_after_its_plan(tiny):
    """What a pass on tensors without data asks for is not what a real one is given."""
    task, lora = KeyphraseGeneration(), lora_config()
    model, _ = build_model(task, checkpoint=str(tiny("llama")), proof=False)
    model.save_pretrained(folder := tiny("llama").parent / "with rows for new tokens")
    AutoTokenizer.from_pretrained(tiny("llama")).save_pretrained(folder)
    activations(architecture(folder, task), Step(2, 16, 4), lora=lora, casting="fp32")
    model, tokenizer = build_model(task, checkpoint=str(folder), lora=lora, proof=False)
    ids = tokenizer(["The mayor opened a library."], return_tensors="pt")["input_ids"]
    model.train()(input_ids=ids, labels=ids).loss.backward()
    grown = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert grown and all(type(each) is torch.Tensor for each in grown)
