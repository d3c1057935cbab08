"""Inference under autocast casts each weight once, and leaves the model as it was."""

from __future__ import annotations

import contextlib
import functools

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from frtune import KeyphraseGeneration, build_model, lora_config
from frtune.training.autocast import cast_once, kept_casts

AUTOCAST = functools.partial(torch.autocast, "cpu", torch.bfloat16)
BATCHES = 3


class Casts(TorchDispatchMode):
    """Counts what is cast to bf16, by the place of its memory."""

    def __init__(self):
        super().__init__()
        self.counts: dict[int, int] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "_to_copy" in str(function) and (kwargs or {}).get("dtype") == torch.bfloat16:
            place = args[0].data_ptr()
            self.counts[place] = self.counts.get(place, 0) + 1
        return function(*args, **(kwargs or {}))


def _model(tiny, lora):
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=8)
    config = lora_config(r=2) if lora else None
    model, _ = build_model(task, checkpoint=str(tiny("polyglot")), proof=False, lora=config)
    return model.eval()


def _run(model, context):
    ids = torch.arange(12).view(1, -1) + 5
    with Casts() as casts, context:
        logits = [model(input_ids=ids).logits for _ in range(BATCHES)]
    weights = {p.data_ptr() for p in model.parameters() if p.dim() == 2}
    return logits, {place: n for place, n in casts.counts.items() if place in weights}


@contextlib.contextmanager
def _each_time():
    with torch.no_grad(), AUTOCAST():
        yield


@pytest.mark.parametrize("lora", [False, True])
def test_each_weight_is_cast_once_and_results_are_the_same(lora, tiny):
    model = _model(tiny, lora)
    trainable = {name: p.requires_grad for name, p in model.named_parameters()}
    expected, before = _run(model, _each_time())
    found, once = _run(model, cast_once(model, AUTOCAST))
    assert once and set(once.values()) == {1}
    assert set(once) == set(before)
    assert not lora or max(before.values()) == BATCHES, "frozen weights need no help"
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert {name: p.requires_grad for name, p in model.named_parameters()} == trainable


def test_frozen_weights_are_not_kept_where_checkpointing_spares_memory(tiny):
    model = _model(tiny, lora=True)
    model.gradient_checkpointing_enable()
    _, counts = _run(model, cast_once(model, AUTOCAST))
    assert max(counts.values()) == BATCHES


@pytest.mark.parametrize("autocast", [AUTOCAST, contextlib.nullcontext])
def test_weights_are_frozen_again_after_an_error(autocast, tiny):
    model = _model(tiny, lora=True)
    trainable = {name: p.requires_grad for name, p in model.named_parameters()}
    with pytest.raises(KeyError), cast_once(model, autocast):
        inside = {name: p.requires_grad for name, p in model.named_parameters()}
        assert (inside == trainable) == (autocast is contextlib.nullcontext)
        raise KeyError
    assert {name: p.requires_grad for name, p in model.named_parameters()} == trainable
    assert torch.is_grad_enabled()


def test_training_goes_on_in_bf16_after_an_evaluation_that_generates(tiny, rows, arguments):
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=4)
    model, tokenizer = build_model(task, checkpoint=str(tiny("t5")), proof=False)
    args = arguments(
        task, bf16=True, max_steps=2, eval_strategy="steps", eval_steps=1,
        predict_with_generate=True, per_device_train_batch_size=2,
    )  # fmt: skip
    trainer = task.trainer(model, tokenizer, args, train_dataset=rows, eval_dataset=rows)
    seen = []
    model.get_encoder().register_forward_pre_hook(
        lambda module, inputs: seen.append((module.training, torch.is_autocast_enabled("cpu")))
    )
    trainer.train()
    # two steps, each evaluated and generated for
    assert {training for training, _ in seen} == {True, False} and all(cast for _, cast in seen)


def test_a_thread_that_keeps_casts_casts_no_weight_twice_and_computes_in_fp32_besides(tiny):
    model = _model(tiny, lora=False)
    expected, _ = _run(model, cast_once(model, AUTOCAST))
    ids = torch.arange(12).view(1, -1) + 5
    with torch.no_grad():
        plain = model(input_ids=ids).logits
    counts = {}
    with kept_casts("cpu"):
        for _ in range(2):
            found, once = _run(model, cast_once(model, AUTOCAST))
            for place, count in once.items():
                counts[place] = counts.get(place, 0) + count
            assert torch.equal(found[0], expected[0])
        with torch.no_grad():
            assert torch.equal(model(input_ids=ids).logits, plain)
    assert counts and set(counts.values()) == {1}
    _, after = _run(model, cast_once(model, AUTOCAST))
    assert after, "once it ends, casts are forgotten"
