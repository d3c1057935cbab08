"""Packed rows: the logits, the loss and the gradients that they have alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import transformers
from transformers import TrainingArguments

from frtune import (
    InputError,
    KeyphraseGeneration,
    SequenceClassification,
    build_model,
    lora_config,
)
from frtune.models.families import FAMILIES
from frtune.training.encoding import encode_dataset
from frtune.training.packing import PackingCollator, check_packing, packing_collator
from kinds import DECODERS


def _class_of(family):
    config_class = transformers.CONFIG_MAPPING[FAMILIES[family].model_types[0]]
    return transformers.MODEL_MAPPING[config_class]


# the loss falls on the prompt too, so that a row's first token has a label
TASK = KeyphraseGeneration(max_source_tokens=24, max_target_tokens=8, train_on_prompt=True)
KINDS = [
    (family, attention)
    for family in DECODERS
    for attention in ("sdpa", "eager")
    if attention == "eager" or _class_of(family)._supports_sdpa
]


def made(checkpoint, **options):
    torch.manual_seed(0)
    model, tokenizer = build_model(TASK, checkpoint=str(checkpoint), proof=False, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, tokenizer


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def decoder(request, tiny, rows):
    """Model and encoded rows of each family, with each attention that it has."""
    family, attention = request.param
    model, tokenizer = made(tiny(family))
    model.set_attn_implementation(attention)
    encoded = encode_dataset(rows, TASK, tokenizer, kind="decoder")
    examples = [encoded[i] for i in (5, 0, 3, 0)]
    assert len({len(example["input_ids"]) for example in examples}) == 3
    return model, tokenizer, examples


def alone(model, examples) -> list[torch.Tensor]:
    """Logits of each row that is given to the model without the others."""
    return [model(input_ids=torch.tensor([row["input_ids"]])).logits[0] for row in examples]


def packed(model, examples, **changes) -> list[torch.Tensor]:
    """Logits of each of the rows that are given to the model at once."""
    batch = {**packing_collator(model)(examples), **changes}
    batch.pop("labels"), batch.pop("row", None)
    return model(**batch).logits[0].split([len(row["input_ids"]) for row in examples])


def differ(first, second) -> list[float]:
    return [(a - b).abs().max().item() for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("use_cache", [False, True])
def test_packed_rows_have_the_logits_that_they_have_alone(decoder, use_cache):
    model, _, examples = decoder
    with torch.no_grad():
        expected = alone(model, examples)
        assert max(differ(expected, packed(model, examples, use_cache=use_cache))) < 1e-5
        # without the mask or the positions they have not: the test can fail
        tokens = sum(map(len, expected))
        leaking = packed(model, examples, attention_mask=torch.ones(1, tokens), use_cache=use_cache)
        moved = packed(model, examples, position_ids=torch.zeros(1, tokens, dtype=torch.int64))
    assert min(differ(expected, leaking)[1:]) > 1e-3
    assert min(differ(expected, moved)) > 1e-4


def test_other_tokens_in_one_row_change_no_other_row(decoder):
    model, _, examples = decoder
    for place in range(len(examples)):
        changed = [dict(example) for example in examples]
        changed[place]["input_ids"] = [
            token ^ 1 if i else token for i, token in enumerate(changed[place]["input_ids"])
        ]
        with torch.no_grad():
            found = differ(packed(model, examples), packed(model, changed))
        assert found.pop(place) > 1e-3
        assert max(found) == 0


def test_a_packed_loss_has_the_value_and_the_gradients_of_a_padded_one(decoder):
    model, tokenizer, examples = decoder
    loss_of, found = TASK.loss(model, SimpleNamespace(label_smoothing_factor=0.1)), []
    for collate in (TASK.collator(model, tokenizer), packing_collator(model)):
        batch = collate(examples)
        labels, _ = batch.pop("labels"), batch.pop("row")
        model.zero_grad()
        loss = loss_of(model(**batch, use_cache=False), labels)
        loss.backward()
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        found.append((loss.item(), gradients))
    (expected, padded), (value, gradients) = found
    assert value == pytest.approx(expected, rel=1e-6) and expected > 1
    assert len(gradients) == len(padded) > 10
    for ours, theirs in zip(gradients, padded, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.fixture
def trainer(tiny, rows, arguments):
    """``trainer(packing, budget, lora=..., **arguments)``; ``.seen``: shape and rows of batches."""

    def make(packing, budget=None, *, lora=None, **overrides):
        model, tokenizer = made(tiny("polyglot"), lora=lora)
        settings = {"num_train_epochs": 1, "learning_rate": 1e-3, "max_grad_norm": 1e9}
        args = arguments(TASK, **{**settings, **overrides})
        trainer = TASK.trainer(
            model, tokenizer, args, train_dataset=rows, max_tokens_per_batch=budget, packing=packing
        )
        trainer.seen, loss = [], trainer.compute_loss
        trainer.compute_loss = lambda model, inputs, *others, **options: (
            trainer.seen.append((*inputs["input_ids"].shape, inputs["row"].tolist()))
            or loss(model, inputs, *others, **options)
        )
        return trainer

    return make


def test_a_packed_step_with_lora_and_checkpointing_is_that_of_padded_rows(trainer):
    is_new = hasattr(TrainingArguments, "activation_checkpointing")  # its name from 5.20 on
    checkpointing = f"{'activation' if is_new else 'gradient'}_checkpointing"
    steps = []
    for packing, budget, overrides in (
        (False, None, {"per_device_train_batch_size": 8}),
        (True, 70, {"gradient_accumulation_steps": 20, checkpointing: True}),
        (True, None, {"per_device_train_batch_size": 8, "train_sampling_strategy": "random"}),
    ):
        one = trainer(packing, budget, lora=lora_config(dropout=0.0), **overrides)
        one.train()
        logged = next(entry for entry in one.state.log_history if "grad_norm" in entry)
        steps.append((logged["loss"], logged["grad_norm"]))
        assert sorted(row for *_, rows in one.seen for row in rows) == list(range(8))
        if packing:
            assert {sequences for sequences, *_ in one.seen} == {1}
            tokens = sum(tokens for _, tokens, _ in one.seen)
            assert tokens == sum(one.train_dataset["length"])
    assert steps[1] == pytest.approx(steps[0], rel=1e-5) and steps[0][0] > 1
    assert steps[2] == pytest.approx(steps[0], rel=1e-5)


def test_a_packed_run_goes_on_as_it_would_have_and_evaluates_unpacked(trainer):
    settings = {"per_device_train_batch_size": 3, "save_strategy": "steps", "save_steps": 2}
    whole = trainer(True, **settings)
    whole.train()
    resumed = trainer(True, **settings)
    resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-2")
    assert resumed.seen == whole.seen[-len(resumed.seen) :] != []
    assert sum(len(rows) for *_, rows in resumed.seen) == 2  # of eight, after two steps of three
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    shape = next(iter(whole.get_eval_dataloader(whole.train_dataset)))["attention_mask"].shape
    assert len(shape) == 2
    with pytest.raises(InputError, match="packing is false in place of true"):
        trainer(False, **settings).train(
            resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-2"
        )


def test_row_numbers_go_with_their_rows_and_labels_that_do_not_fit_are_refused():
    batch = PackingCollator()([{"input_ids": [1], "labels": [1], "row": row} for row in (7, 3)])
    assert batch["row"].tolist() == [7, 3] and batch["labels"].tolist() == [[-100, -100]]
    with pytest.raises(ValueError, match="example 0: 2 input_ids but 1 labels"):
        PackingCollator()([{"input_ids": [1, 2], "labels": [1]}])


def test_what_cannot_be_packed_is_refused(tiny, rows, arguments):
    task = SequenceClassification(max_source_tokens=64).fit(rows)
    model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
    with pytest.raises(InputError, match="not for classification with bert"):
        task.trainer(model, tokenizer, arguments(task), train_dataset=rows, packing=True)

    def refused(model_type="llama", attention="sdpa", **overrides):
        config = SimpleNamespace(model_type=model_type, _attn_implementation=attention)
        check_packing(TASK, SimpleNamespace(config=config), arguments(TASK, **overrides))

    refused()  # this is not
    for match, settings in (
        ("not for keyphrases with t5", {"model_type": "t5"}),
        ("flash_attention_2: it takes no mask", {"attention": "flash_attention_2"}),
        ("neftune_noise_alpha", {"neftune_noise_alpha": 5.0}),
        ("non_padding: not with packing", {"include_num_input_tokens_seen": "non_padding"}),
    ):
        with pytest.raises(InputError, match=match):
            refused(**settings)
