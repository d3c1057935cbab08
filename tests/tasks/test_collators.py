"""Batches are padded by position: no token hides another, whatever its id."""

from __future__ import annotations

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from frtune.tasks.collators import (
    CausalCollator,
    Seq2SeqCollator,
    TokenCollator,
    pad,
    prompt_batch,
)


@pytest.fixture(scope="module")
def shifter():
    """A T5 that turns labels into decoder inputs; it starts with 0 and pads with 0."""
    config = T5Config(
        vocab_size=16,
        d_model=8,
        d_kv=4,
        d_ff=8,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
    )
    return T5ForConditionalGeneration(config)


@pytest.fixture(params=["causal", "token", "seq2seq"])
def collator(request, shifter):
    """``collator(multiple_of=1)``: one of the three, padding with 9."""
    makers = {"causal": CausalCollator, "token": TokenCollator}

    def make(**settings):
        if request.param == "seq2seq":
            return Seq2SeqCollator(pad_id=9, model=shifter, **settings)
        return makers[request.param](pad_id=9, **settings)

    return make


def example(ids, labels=None, **more):
    return {"input_ids": ids, "labels": ids if labels is None else labels, **more}


def lists(batch):
    return {name: tensor.tolist() for name, tensor in batch.items()}


def test_equal_rows_are_not_padded(collator):
    batch = collator()([example([1, 2]), example([3, 4])])
    assert batch["input_ids"].tolist() == batch["labels"].tolist() == [[1, 2], [3, 4]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 1]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}
    assert "row" not in batch


def test_ragged_rows_are_padded_on_the_right_and_their_padding_has_no_loss(collator):
    batch = lists(collator()([example([1, 2, 3]), example([4])]))
    assert batch["input_ids"] == [[1, 2, 3], [4, 9, 9]]
    assert batch["attention_mask"] == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"] == [[1, 2, 3], [4, -100, -100]]


def test_a_single_row_is_a_batch_of_one(collator):
    batch = collator()([example([1, 2, 3])])
    assert batch["input_ids"].tolist() == batch["labels"].tolist() == [[1, 2, 3]]


def test_everything_masked_stays_masked(collator):
    batch = collator()([example([1, 2], [-100, -100]), example([3], [-100])])
    assert (batch["labels"] == -100).all()
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]


def test_a_pad_id_that_occurs_in_a_row_is_neither_masked_nor_without_loss(collator):
    batch = lists(collator()([example([9, 5, 9]), example([9])]))
    assert batch["attention_mask"] == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"] == [[9, 5, 9], [9, -100, -100]]


@pytest.mark.parametrize(("longest", "width"), [(3, 4), (4, 4), (5, 8)])
def test_lengths_are_rounded_up_to_a_multiple(collator, longest, width):
    batch = collator(multiple_of=4)([example([1] * longest), example([2])])
    for name in ("input_ids", "attention_mask", "labels"):
        assert batch[name].shape == (2, width)
    assert batch["attention_mask"].sum(dim=1).tolist() == [longest, 1]
    assert (batch["labels"] != -100).sum(dim=1).tolist() == [longest, 1]


def test_row_numbers_go_with_their_rows(collator):
    batch = collator()([example([1], row=7), example([2, 3], row=3)])
    assert batch["row"].tolist() == [7, 3]


def test_a_decoder_row_with_other_many_labels_than_tokens_is_named():
    with pytest.raises(ValueError, match="example 5: 3 input_ids but 2 labels"):
        CausalCollator(pad_id=0)([example([1], row=4), example([1, 2, 3], [1, 2], row=5)])
    with pytest.raises(ValueError, match="example 1: 1 input_ids but 0 labels"):
        CausalCollator(pad_id=0)([example([1]), example([1], [])])


def test_sources_and_targets_are_padded_apart(shifter):
    batch = lists(
        Seq2SeqCollator(pad_id=9, model=shifter)([example([1, 2, 3, 4], [5]), example([6], [7, 8])])
    )
    assert batch["input_ids"] == [[1, 2, 3, 4], [6, 9, 9, 9]]
    assert batch["labels"] == [[5, -100], [7, 8]]


def test_decoder_inputs_are_the_labels_one_later_without_a_masked_one(shifter):
    batch = lists(Seq2SeqCollator(pad_id=0, model=shifter)([example([1], [5, 6, 7]),
                                                            example([1], [8])]))  # fmt: skip
    assert batch["decoder_input_ids"] == [[0, 5, 6], [0, 8, 0]]


def test_a_token_batch_without_labels_has_none():
    assert "labels" not in TokenCollator(pad_id=0)([{"input_ids": [1]}, {"input_ids": [2, 3]}])


def test_prompts_of_decoders_are_padded_on_the_left():
    batch = prompt_batch([[1, 2, 3], [4]], pad_id=9, side="left")
    assert lists(batch) == {
        "input_ids": [[1, 2, 3], [9, 9, 4]],
        "attention_mask": [[1, 1, 1], [0, 0, 1]],
    }
    assert prompt_batch([[4], [1, 2]], pad_id=9, side="right")["input_ids"].tolist() == [
        [4, 9],
        [1, 2],
    ]


def test_left_padding_with_the_id_of_a_token_masks_no_token():
    batch = prompt_batch([[9, 1, 9], [9]], pad_id=9, side="left")
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]


def test_an_empty_row_and_no_rows_are_padded():
    assert pad([[], [1, 2]], value=0, side="left").tolist() == [[0, 0], [1, 2]]
    assert pad([], value=0).shape == (0, 0)
