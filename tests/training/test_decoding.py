"""Rows that end leave the batch, and no text changes."""

from __future__ import annotations

import pytest
import torch

from frtune import KeyphraseGeneration, build_model
from frtune.tasks.collators import pad, prompt_batch
from frtune.training.decoding import write_batch
from frtune.training.generation import _batches, _until_end
from kinds import GENERATING

LIMIT = 16
END = 4


@pytest.fixture(params=GENERATING)
def asked(request, tiny):
    """A model whose texts end at several lengths, a batch of prompts, and the settings."""
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=LIMIT)
    model, tokenizer = build_model(task, checkpoint=str(tiny(request.param)), proof=False)
    model.eval()
    decoder = not model.config.is_encoder_decoder
    drawn = torch.Generator().manual_seed(0)
    size = len(model.get_output_embeddings().weight)
    prompts, texts = (
        [torch.randint(5, size, (n,), generator=drawn).tolist() for n in lengths]
        for lengths in (range(3, 27, 2), range(12))
    )
    side = "left" if decoder else "right"
    inputs = prompt_batch(prompts, pad_id=tokenizer.pad_token_id, side=side)
    settings = {"max_new_tokens": LIMIT, "do_sample": False, "use_cache": True,
                "pad_token_id": tokenizer.pad_token_id, "eos_token_id": [END]}  # fmt: skip
    remember(model, inputs, pad([[*text, END] for text in texts], value=-100), decoder)
    return model, inputs, settings


@torch.no_grad()
def remember(model, inputs, labels, decoder):
    """Fit the output layer to the labels, by least squares on what the blocks give."""
    seen = []
    if decoder:
        ids = torch.cat([inputs["input_ids"], labels.clamp(min=0)], 1)
        mask = torch.cat([inputs["attention_mask"], (labels >= 0).long()], 1)
        inputs = {"input_ids": ids, "attention_mask": mask,
                  "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}  # fmt: skip
    else:
        inputs = {**inputs, "labels": labels}
    old = model.get_output_embeddings()
    hook = old.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model(**inputs)
    hook.remove()
    width = labels.shape[1]
    states = (seen[0][:, -width - 1 : -1] if decoder else seen[0])[labels >= 0].double()
    wanted = torch.nn.functional.one_hot(labels[labels >= 0], len(old.weight)).double()
    head = torch.nn.Linear(states.shape[1], len(old.weight), bias=False)
    head.weight.copy_((torch.linalg.pinv(states) @ wanted).T)
    model.set_output_embeddings(head)


def plain(model, inputs, settings):
    """The texts of ``generate`` itself."""
    skip = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    return model.generate(**inputs, **settings)[:, skip:].tolist()


def ended(rows, settings):
    return [_until_end(row, settings["eos_token_id"], LIMIT) for row in rows]


def test_rows_leave_and_the_others_write_what_they_wrote(asked):
    model, _, settings = asked
    wanted = ended(plain(*asked), settings)
    assert len({len(ids) for ids, _ in wanted}) > 2, "texts must end at several lengths"
    seen: list[tuple[int, int]] = []  # rows and tokens of each forward pass
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[:2]))
    found = ended(write_batch(*asked)[0], settings)
    hook.remove()
    assert found == wanted
    assert seen[0][0] == 12 and seen[-1][0] < 12
    assert all(tokens == 1 for _, tokens in seen[1:]), "the cache was not used"


def test_beams_are_left_to_generate(asked):
    model, inputs, settings = asked
    settings = {**settings, "num_beams": 2}
    assert write_batch(model, inputs, settings)[0] == plain(model, inputs, settings)


def test_short_rows_make_larger_batches_in_the_memory_of_the_longest():
    lengths = [10, 90, 40, 10, 90, 10, 10]
    batches = _batches(lengths, 2, 10)
    assert batches == [[1, 4], [2, 0, 3, 5], [6]]
    for batch in batches:
        assert len(batch) * (max(lengths[i] for i in batch) + 10) <= 2 * (90 + 10)
