"""Greedy decoding in batches that shrink: rows that are done leave, and cost nothing any more."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel, StoppingCriteria, StoppingCriteriaList
from transformers.modeling_outputs import BaseModelOutput

# of the rows at work; each time that some leave, the cache of those that stay is copied once
_SHARE_TO_LEAVE = 0.25
# settings under which a row's next token depends on more than what the row has so far
_MORE_THAN_GREEDY = (
    "do_sample", "penalty_alpha", "prompt_lookup_num_tokens", "min_new_tokens", "guidance_scale",
    "exponential_decay_length_penalty", "begin_suppress_tokens", "encoder_repetition_penalty",
    "encoder_no_repeat_ngram_size", "cache_implementation", "forced_eos_token_id",
)  # fmt: skip


def write_batch(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], settings: dict[str, Any]
) -> list[list[int]]:
    """Token ids that ``model.generate`` writes after each prompt, padding included.

    Greedy decoding goes in legs: when a quarter of the rows has ended, ``generate`` stops, these
    rows leave the batch, and it goes on with the rest, from the cache. All else, and ranks that
    must keep step, is one leg.

    Args:
        model: In eval mode.
        inputs: ``input_ids`` and ``attention_mask``, int64 of shape ``(rows, longest)``, padded on
            the left for a decoder; on the model's device.
        settings: For ``generate``, with ``eos_token_id`` (a list) and ``max_new_tokens``.
    """
    if not _may_shrink(model, settings):
        output = model.generate(**inputs, **settings)
        skip = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        return output[:, skip:].tolist()
    return _in_legs(model, inputs, settings)


def _may_shrink(model: PreTrainedModel, settings: dict[str, Any]) -> bool:
    own = model.generation_config

    def chosen(name: str) -> Any:
        return settings[name] if name in settings else getattr(own, name, None)

    return (
        not settings.get("synced_gpus")
        and (chosen("num_beams") or 1) == 1
        and not any(chosen(name) for name in _MORE_THAN_GREEDY)
    )


def _in_legs(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], settings: dict[str, Any]
) -> list[list[int]]:
    decoder = not model.config.is_encoder_decoder
    limit = settings["max_new_tokens"]
    written: list[list[int]] = [[] for _ in inputs["input_ids"]]
    rows = torch.arange(len(written), device=model.device)  # those at work
    ends = torch.tensor(settings["eos_token_id"], device=model.device)
    state: dict[str, Any] = dict(inputs)
    if not decoder:  # else each leg would encode the source anew
        encoded = model.get_encoder()(**inputs, return_dict=True)
        state = {"encoder_outputs": encoded, "attention_mask": inputs["attention_mask"]}
    skip = inputs["input_ids"].shape[1] if decoder else 1
    while True:
        leave = _leave(ends)
        output = model.generate(
            **state,
            **{**settings, "max_new_tokens": limit},
            stopping_criteria=StoppingCriteriaList([leave]),
            return_dict_in_generate=True,
        )
        ids = output.sequences
        done = ids.shape[1] - skip >= settings["max_new_tokens"]
        gone = torch.ones_like(leave.done) if done else leave.done
        for row, new in zip(rows[gone].tolist(), ids[gone, skip:].tolist(), strict=True):
            written[row] = new
        kept = (~gone).nonzero().flatten()
        if not len(kept):
            return written
        rows = rows[kept]
        state = _next_state(state, output, kept, decoder)
        limit = settings["max_new_tokens"] - (ids.shape[1] - skip)


def _leave(ends: torch.Tensor) -> Any:
    """A stopping criterion that is met by all rows as soon as enough of them have ended."""

    class Leave(StoppingCriteria):
        done: Any = None

        def __call__(self, input_ids, scores, **options):
            ended = torch.isin(input_ids[:, -1], ends)
            self.done = ended if self.done is None else self.done | ended
            count = int(self.done.sum())
            stop = count >= max(2, _SHARE_TO_LEAVE * len(ended)) or count == len(ended)
            return torch.full_like(self.done, stop)

    return Leave()


def _next_state(
    state: dict[str, Any], output: Any, kept: torch.Tensor, decoder: bool
) -> dict[str, Any]:
    """What ``generate`` goes on from: the rows that stay, all their tokens, their cache."""
    ids = output.sequences[kept]
    name = "cache" if hasattr(output, "cache") else "past_key_values"  # until 5.23
    cache = getattr(output, name)
    if cache is not None:
        cache.batch_select_indices(kept)
    mask = state["attention_mask"][kept]
    if decoder:
        more = ids.shape[1] - mask.shape[1]
        mask = torch.cat([mask, mask.new_ones(len(mask), more)], dim=1)
        return {"input_ids": ids, "attention_mask": mask, name: cache}
    source = state["encoder_outputs"].last_hidden_state[kept]
    return {
        "encoder_outputs": BaseModelOutput(last_hidden_state=source),
        "attention_mask": mask,
        "decoder_input_ids": ids,
        "decoder_attention_mask": torch.ones_like(ids),
        name: cache,
    }
