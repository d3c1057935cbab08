"""A model of the host computes elsewhere, where one of its layers is at a time."""

from __future__ import annotations

import weakref

import pytest
import torch
from transformers.modeling_layers import GradientCheckpointingLayer

from frtune import KeyphraseGeneration, SequenceClassification, build_model, lora_config
from frtune.models.layer_offload import layers_in_turn
from frtune.models.model_verification import share_packed
from frtune.models.probe import made_up_batch, probe_logits


class Elsewhere:
    """Counts the bytes of the copies that are alive, and their most; values are doubled."""

    def __init__(self):
        self.now = self.most = 0

    def __call__(self, tensor):
        copy = tensor * 2 if tensor.is_floating_point() else tensor.clone()
        self.now += copy.nbytes
        self.most = max(self.most, self.now)
        weakref.finalize(copy.untyped_storage(), self.leave, copy.nbytes)
        return copy

    def leave(self, size):
        self.now -= size


def sizes(model):
    """Bytes of all tensors, and of the largest layer."""

    def nbytes(module):
        return sum({id(t): t.nbytes for t in (*module.parameters(), *module.buffers())}.values())

    layers = [m for m in model.modules() if isinstance(m, GradientCheckpointingLayer)]
    return nbytes(model), sum(map(nbytes, layers)), max(map(nbytes, layers), default=0)


@pytest.mark.parametrize("lora", [False, True])
def test_one_layer_at_a_time_computes_what_the_whole_model_does(tiny, lora):
    for family in ("t5", "polyglot", "camembert", "flaubert"):
        labels = SequenceClassification(labels=["no", "yes"])
        task = KeyphraseGeneration() if family in ("t5", "polyglot") else labels
        options = {"lora": lora_config(r=4) if lora else None, "proof": False}
        model, _ = build_model(task, checkpoint=str(tiny(family)), **options)
        batch, elsewhere = made_up_batch(model), Elsewhere()
        own = {name: t.clone() for name, t in model.state_dict().items()}
        with torch.no_grad():
            for tensor in dict.fromkeys((*model.parameters(), *model.buffers())):
                if tensor.is_floating_point():
                    tensor.mul_(2)
        expected = probe_logits(model, batch)
        with torch.no_grad():
            for tensor in dict.fromkeys((*model.parameters(), *model.buffers())):
                if tensor.is_floating_point():
                    tensor.div_(2)
        assert not torch.equal(probe_logits(model, batch), expected)
        with layers_in_turn(model, "cpu", copy=elsewhere):
            assert torch.equal(probe_logits(model, batch), expected), family
        whole, inside, largest = sizes(model)
        assert elsewhere.most == whole - inside + largest, family
        assert elsewhere.now == 0
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, own[name]), name


def test_packed_layers_are_shared_and_the_adapter_is_not(tiny):
    options = {"lora": lora_config(r=4), "quantization": "int8", "proof": False}
    model, opened = (
        build_model(KeyphraseGeneration(), checkpoint=str(tiny("polyglot")), **options)[0]
        for _ in range(2)
    )
    share_packed(opened, model)
    for name, module in opened.named_modules():
        shared = type(module).__module__.startswith("bitsandbytes.")
        assert (module is model.get_submodule(name)) == shared, name
    with torch.no_grad():
        for parameter in opened.parameters():
            if parameter.requires_grad:
                parameter.add_(1)
    batch = made_up_batch(model)
    assert not torch.equal(probe_logits(model, batch), probe_logits(opened, batch))
