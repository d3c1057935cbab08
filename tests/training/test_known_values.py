"""What is read off a batch on the CPU is what the model and the loss would read off it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import AutoModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

from frtune.tasks.collators import TokenCollator
from frtune.tasks.loss import StepLoss, scored_labels
from frtune.training.known_values import PADDED, KnownCollator, know_lengths, known_padding

FAMILIES = ("bert", "flaubert", "modernbert", "t5", "bart", "polyglot", "llama", "mistral")
RAGGED = {True: [9, 5, 2], False: [7, 7]}  # padded, and the rows' lengths


def batch_of(lengths, width=None):
    ids = torch.arange(len(lengths) * max(lengths)).reshape(len(lengths), -1) % 40 + 10
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("padded", RAGGED)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_masks_are_the_same_whether_they_are_looked_at_or_known(family, attention, padded, tiny):
    implementation = {} if family == "flaubert" else {"attn_implementation": attention}
    model = AutoModel.from_pretrained(tiny(family), **implementation).eval()
    inputs = batch_of(RAGGED[padded])
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = inputs["input_ids"][:, :4]
    with torch.no_grad():
        expected = model(**inputs).last_hidden_state
        with known_padding(padded):
            found = model(**inputs).last_hidden_state
        assert torch.equal(found, expected)
        if padded and family != "flaubert":  # told otherwise, a model reads its padding
            with known_padding(False):
                assert not torch.equal(model(**inputs).last_hidden_state, expected)
        know_lengths(inputs, model, ["lengths"] if family == "flaubert" else [])
        assert torch.equal(model(**inputs).last_hidden_state, expected)


def test_masks_are_made_as_before_when_a_step_has_failed():
    before = dict(ALL_MASK_ATTENTION_FUNCTIONS)
    with pytest.raises(ValueError, match="step"), known_padding(True):
        assert dict(ALL_MASK_ATTENTION_FUNCTIONS) != before
        raise ValueError("step")
    with known_padding(None):
        assert dict(ALL_MASK_ATTENTION_FUNCTIONS) == before
    assert dict(ALL_MASK_ATTENTION_FUNCTIONS) == before


def test_another_thread_looks_at_its_own_batches(tiny):
    model = AutoModel.from_pretrained(tiny("bert")).eval()
    inputs = batch_of(RAGGED[True])
    with torch.no_grad():
        expected = model(**inputs).last_hidden_state
        before = dict(ALL_MASK_ATTENTION_FUNCTIONS)
        with ThreadPoolExecutor(1) as pool:
            first = known_padding(False)
            first.__enter__()  # this thread trains, on a batch without padding

            def answer():
                with torch.no_grad():
                    return model(**inputs).last_hidden_state

            assert torch.equal(pool.submit(answer).result(), expected)
            second = known_padding(True)
            pool.submit(second.__enter__).result()  # that one trains as well, and longer
            first.__exit__(None, None, None)
            assert torch.equal(pool.submit(answer).result(), expected)
            pool.submit(second.__exit__, None, None, None).result()
    assert dict(ALL_MASK_ATTENTION_FUNCTIONS) == before


@pytest.mark.parametrize("mask", [None, [[1, 1]], np.array([[1, 1]])])
def test_a_collator_may_give_what_is_no_tensor(mask):
    batch = KnownCollator(lambda examples: {"attention_mask": mask}, StepLoss())([])
    assert PADDED not in batch


@pytest.mark.parametrize("shift", [False, True])
def test_a_batch_without_rows_has_no_labels(shift):
    scored = scored_labels(torch.zeros(0, 5, dtype=torch.int64), shift=shift)
    assert scored["labels"].numel() == 0


@pytest.mark.parametrize(
    ("masks", "padded"),
    [
        ({"attention_mask": [[1, 1], [1, 0]]}, True),
        ({"attention_mask": [[1, 1], [1, 1]]}, False),
        ({"attention_mask": [[1, 1]], "decoder_attention_mask": [[1, 0]]}, True),
        ({"attention_mask": [[[[1, 0]]]]}, None),  # of packed rows
        ({}, None),
    ],
)
def test_a_batch_says_whether_a_mask_hides_a_token(masks, padded):
    made = {name: torch.tensor(mask) for name, mask in masks.items()}
    batch = KnownCollator(lambda examples: made, StepLoss())([])
    assert batch.get(PADDED) is padded


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize(
    "labels",
    [
        [[-100, 2, 3, -100], [-100, 1, -100, -100]],
        [[-100, 2, 3, 4], [-100, 1, 1, 2]],
        [[-100] * 4, [-100, -100, -100, 4]],
        [[-100] * 4, [-100] * 4],
    ],
    ids=["ragged", "full", "one", "none"],
)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"focal_gamma": 2.0}])
def test_the_loss_of_labels_that_are_known_is_that_of_labels_that_are_looked_for(
    shift, labels, options
):
    examples = [{"input_ids": [1] * len(row), "labels": row} for row in labels]
    loss = StepLoss(shift=shift, **options)
    batch = KnownCollator(TokenCollator(pad_id=0), loss)(examples)
    logits = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0))
    scored, labels = batch["scored"], batch["labels"]
    ways = []
    for given in ({}, {"scored": scored}):
        own = logits.clone().requires_grad_()
        value = loss({"logits": own}, labels, **given)
        value.backward()
        ways.append((value, own.grad))
    if shift:  # of a model that computes these alone
        own = logits.clone().requires_grad_()
        kept = own.take_along_dim(scored["kept"][..., None], 1)
        value = loss({"logits": kept}, labels, scored=scored)
        value.backward()
        ways.append((value, own.grad))
    for value, gradient in ways[1:]:
        assert torch.equal(value, ways[0][0]) and torch.equal(gradient, ways[0][1])
    counted = labels[:, 1:] if shift else labels
    assert (scored["labels"] != -100).sum() == (counted != -100).sum()


def test_a_row_without_labels_keeps_no_more_than_the_others():
    scored = scored_labels(torch.tensor([[-100, -100, 5, 6, 7], [-100] * 5]), shift=True)
    assert scored["kept"].shape == (2, 3) and scored["kept"][0].tolist() == [1, 2, 3]
    assert scored["labels"].tolist() == [5, 6, 7, -100, -100, -100]
