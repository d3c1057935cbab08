"""Generation keeps the order of rows, whatever their length and however they are batched."""

from __future__ import annotations

import pytest
import torch

from frtune import KeyphraseGeneration, build_model
from frtune.models.families import kind_of
from frtune.training.encoding import encode_dataset
from frtune.training.generation import _share, generate, generation_settings, prompts_of


@pytest.mark.parametrize("family", ["t5", "bart", "polyglot", "llama"])
def test_batches_give_each_row_what_it_gets_alone(family, tiny, rows):
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=8)
    model, tokenizer = build_model(task, checkpoint=str(tiny(family)), proof=False)
    kind = kind_of(model)
    lazy = prompts_of(encode_dataset(rows, task, tokenizer, kind=kind), kind)
    prompts = [lazy[i] for i in range(len(lazy))]
    end = task.end_id(tokenizer, kind)
    settings = generation_settings(tokenizer, end_id=end, max_new_tokens=8)
    together = generate(model, lazy, settings, batch_size=3)
    alone = [generate(model, [p], settings, batch_size=1)[0] for p in prompts]
    assert len({len(prompt) for prompt in prompts}) > 2, "rows must differ in length"
    assert [row.ids for row in together] == [row.ids for row in alone]


def test_an_end_token_finishes_a_row_and_the_limit_does_not(tiny, rows):
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=6)
    model, tokenizer = build_model(task, checkpoint=str(tiny("polyglot")), proof=False)
    prompts = prompts_of(encode_dataset(rows, task, tokenizer, kind="decoder"), "decoder")
    end = task.end_id(tokenizer, "decoder")
    settings = generation_settings(tokenizer, end_id=end, max_new_tokens=6)
    for row in generate(model, prompts, settings):
        assert len(row.ids) == 6 and not row.finished
    with torch.no_grad():  # whatever comes in, the end marker comes out
        head = model.get_output_embeddings()
        head.weight.zero_()
        bias = torch.zeros(head.weight.shape[0])
        bias[end] = 9.0
        head.bias = torch.nn.Parameter(bias)
    for row in generate(model, prompts, settings):
        assert row.ids == [end] and row.finished


def test_an_end_that_the_checkpoint_forces_at_the_limit_is_not_the_models_own(tiny, rows):
    task = KeyphraseGeneration(max_source_tokens=64)
    model, tokenizer = build_model(task, checkpoint=str(tiny("bart")), proof=False)
    end = task.end_id(tokenizer, "encoder-decoder")
    model.generation_config.forced_eos_token_id = end  # as facebook/bart-base has it
    model.final_logits_bias[0, end] = -1e4
    kind = "encoder-decoder"
    prompts = prompts_of(encode_dataset(rows, task, tokenizer, kind=kind), kind)
    settings = generation_settings(tokenizer, end_id=end, max_new_tokens=6)
    for row in generate(model, prompts, settings):
        assert len(row.ids) == 6 and end not in row.ids and not row.finished


@pytest.mark.parametrize("batches", range(1, 8))
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_get_equally_many_batches_and_no_row_counts_twice(batches, world_size):
    work = [[10 * i, 10 * i + 1] for i in range(batches)]
    shares = [list(_share(work, rank, world_size)) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    counted = [row for share in shares for rows, counts in share if counts for row in rows]
    assert sorted(counted) == sorted(row for rows in work for row in rows)
