"""Layers that compute no padding: the numbers of padded batches, in every family that can."""

from __future__ import annotations

import pytest
import torch

from frtune import (
    KeywordExtraction,
    Mixup,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
    lora_config,
)
from frtune.models.families import FAMILIES
from frtune.training.unpadded import MULTIPLE, unpadded_layers, without_padding

ENCODERS = [name for name in FAMILIES if FAMILIES[name].kind == "encoder"]
UNPADDED = [name for name in ENCODERS if FAMILIES[name].unpadded]
TASKS = {
    "classification": SequenceClassification(max_source_tokens=64),
    "similarity": SentenceSimilarity(max_source_tokens=64, head="regression"),
    "keywords": KeywordExtraction(max_source_tokens=64),
}


@pytest.fixture
def trainer(tiny, rows, arguments):
    """``trainer(task name, family, ...)``: one whose model has no dropout, and learns."""

    def make(task, family="bert", mixup=None, lora=None, cut_steps=True, build=None, **overrides):
        torch.manual_seed(0)
        task = TASKS[task].fit(rows)
        model, tokenizer = build_model(
            task, checkpoint=str(tiny(family)), lora=lora, proof=False, **(build or {})
        )
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        args = arguments(task, per_device_train_batch_size=8, max_steps=1, **overrides)
        return task.trainer(
            model, tokenizer, args, train_dataset=rows, mixup=mixup, cut_steps=cut_steps,
            proof=False,
        )  # fmt: skip

    return make


def _watched(model):
    """Shapes that the last layer computes: ``(rows, tokens)`` each time."""
    layers = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == model.config.num_hidden_layers
    ]
    shapes = []
    layers[0][-1].register_forward_pre_hook(
        lambda _module, args, options: shapes.append(
            tuple((args[0] if args else options["hidden_states"]).shape[:2])
        ),
        with_kwargs=True,
    )
    return shapes


def _grown(model, loss):
    model.zero_grad()
    loss.backward()
    return {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", UNPADDED)
def test_logits_and_gradients_are_those_of_the_padded_batch(family, task, side, trainer):
    made = trainer(task, family, lora=lora_config(dropout=0.0) if task == "similarity" else None)
    made.processing_class.padding_side = side
    model = made.model.train()
    rows = made._remove_unused_columns(made.train_dataset, "training")
    inputs = made.data_collator([rows[i] for i in range(8)])
    used = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")
            if name in inputs}  # fmt: skip
    real = int(used["attention_mask"].sum())
    assert real < used["attention_mask"].numel(), "nothing is padded"
    shapes = _watched(model)
    padded = model(**used).logits
    with without_padding(model.config, unpadded_layers(model), used):
        packed = model(**used).logits
    assert shapes == [tuple(used["input_ids"].shape), (1, real + -real % MULTIPLE)]
    if padded.dim() == 3:  # nothing reads a label of padding
        kept = used["attention_mask"].bool()
        padded, packed = padded[kept], packed[kept]
    torch.testing.assert_close(packed, padded, rtol=1e-5, atol=1e-6)
    weight = torch.randn_like(padded)
    expected, found = (_grown(model, (each * weight).sum()) for each in (padded, packed))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_a_row_is_not_changed_by_the_rows_beside_it(trainer):
    made = trainer("keywords")
    model = made.model.train()
    lengths = [3, 17, 17, 1, 9, 30, 2, 17]
    ids = torch.randint(5, 60, (8, 30))
    mask = (torch.arange(30) < torch.tensor(lengths)[:, None]).long()
    with torch.no_grad():
        with without_padding(model.config, unpadded_layers(model), {"attention_mask": mask}):
            together = model(input_ids=ids, attention_mask=mask).logits
        for i, length in enumerate(lengths):
            alone = model(input_ids=ids[i : i + 1, :length]).logits[0]
            torch.testing.assert_close(together[i, :length], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("task", TASKS)
def test_a_step_of_the_trainer_computes_no_padding_and_learns_the_same(task, precision, trainer):
    learnt = {}
    for cut_steps in (False, True):
        made = trainer(task, cut_steps=cut_steps, bf16=precision == "bf16")
        shapes = _watched(made.model)
        made.train()
        first = next(entry for entry in made.state.log_history if "grad_norm" in entry)
        learnt[cut_steps] = first["loss"], first["grad_norm"]
        tokens = sum(made.train_dataset["length"])
        if cut_steps:
            assert shapes == [(1, tokens + -tokens % MULTIPLE)], "one cut without padding"
        else:
            assert shapes[0][0] == 8 and shapes[0][0] * shapes[0][1] > tokens
    close = 1e-5 if precision == "fp32" else 2e-2
    assert learnt[True] == pytest.approx(learnt[False], rel=close)


@pytest.mark.parametrize(
    "what", ["mixup", "checkpointing", "checkpointing argument", "eager", "DeBERTa", "ModernBERT"]
)
def test_where_layers_cannot_they_compute_padded_batches(what, trainer):
    family = {"DeBERTa": "deberta_v2", "ModernBERT": "modernbert"}.get(what, "bert")
    made = trainer(
        "classification", family, mixup=Mixup(alpha=0.4) if what == "mixup" else None,
        build={"gradient_checkpointing": True} if what == "checkpointing" else None,
        gradient_checkpointing=what == "checkpointing argument",
    )  # fmt: skip
    if what == "eager":
        made.model.set_attn_implementation("eager")
    shapes = _watched(made.model)
    made.train()
    tokens = sum(made.train_dataset["length"])
    assert shapes and (1, tokens + -tokens % MULTIPLE) not in shapes


@pytest.mark.parametrize("lengths", [[0, 9, 4], [0, 0, 0]])
def test_a_batch_with_empty_rows_is_computed_as_ever(lengths, trainer):
    model = trainer("classification").model.train()
    mask = (torch.arange(9) < torch.tensor(lengths)[:, None]).long()
    inputs = {"input_ids": torch.randint(5, 60, (3, 9)), "attention_mask": mask}
    expected = model(**inputs).logits
    with without_padding(model.config, unpadded_layers(model), inputs):
        torch.testing.assert_close(model(**inputs).logits, expected)


def test_the_model_is_left_as_it_was(trainer):
    model = trainer("classification").model
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    before = model.config.to_dict(), model.config._attn_implementation
    with (
        pytest.raises(RuntimeError, match="stopped"),
        without_padding(model.config, unpadded_layers(model), {"attention_mask": mask}),
    ):
        raise RuntimeError("stopped")
    assert (model.config.to_dict(), model.config._attn_implementation) == before
    layers = unpadded_layers(model)
    assert layers is not None and not any(layer._forward_pre_hooks for layer in layers)
    assert not any(layer._forward_hooks for layer in layers)
    whole = torch.ones(2, 3, dtype=torch.long)  # nothing is padded: nothing is done
    with without_padding(model.config, unpadded_layers(model), {"attention_mask": whole}):
        assert model.config._attn_implementation == "sdpa"
