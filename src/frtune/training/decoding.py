"""Greedy decoding in batches that shrink: rows that are done leave, and cost nothing any more."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.modeling_outputs import BaseModelOutput

from frtune.training.draws import Draw
from frtune.training.token_log_probs import TokenLogProbs, beam_log_probs, beam_rows

# of the rows at work; each time that some leave, the cache of those that stay is copied once
_SHARE_TO_LEAVE = 0.25
# settings under which a row's next token depends on more than what the row has so far
_MORE_THAN_GREEDY = (
    "do_sample", "penalty_alpha", "prompt_lookup_num_tokens", "min_new_tokens", "guidance_scale",
    "exponential_decay_length_penalty", "begin_suppress_tokens", "encoder_repetition_penalty",
    "encoder_no_repeat_ngram_size", "cache_implementation", "forced_eos_token_id",
)  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """How rows are drawn, where they are.

    Attributes:
        copies: For each row to write the row of the inputs that it goes on from, int64.
        numbers: For ``Draw``, float32 of shape ``(rows to write, steps)``.
        warpers: For ``Draw``.
    """

    copies: torch.Tensor
    numbers: torch.Tensor
    warpers: LogitsProcessorList


Written = tuple[list[list[int]], list[list[float]] | None]  # ids, and their log probabilities


def write_batch(
    model: PreTrainedModel,
    inputs: dict[str, torch.Tensor],
    settings: dict[str, Any],
    *,
    scored: bool = False,
    drawing: Drawing | None = None,
) -> Written:
    """Token ids that ``model.generate`` writes after each prompt, padding included.

    Greedy decoding goes in legs: when a quarter of the rows has ended, ``generate`` stops, these
    rows leave the batch, and it goes on with the rest, from the cache. All else, and ranks that
    must keep step, is one leg. Rows that ``Draw`` draws go in legs, too.

    Args:
        model: In eval mode.
        inputs: ``input_ids`` and ``attention_mask``, int64 of shape ``(rows, longest)``, padded on
            the left for a decoder; on the model's device.
        settings: For ``generate``, with ``eos_token_id`` (a list) and ``max_new_tokens``.
        scored: Give the log probability of each token, too.
        drawing: Write each row several times, drawn.
    """
    if _may_shrink(model, settings):
        return _in_legs(model, inputs, settings, scored, drawing)
    if drawing is not None:
        inputs = {name: tensor[drawing.copies] for name, tensor in inputs.items()}
    if scored and (_chosen(model, settings, "num_beams") or 1) > 1:
        return _beams(model, inputs, settings)
    watch = TokenLogProbs()
    with watch.of(model) if scored else contextlib.nullcontext():
        output = model.generate(
            **inputs,
            **settings,
            stopping_criteria=StoppingCriteriaList([watch] if scored else []),
            logits_processor=_processors(drawing, slice(None), 0),
        )
    skip = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    return output[:, skip:].tolist(), watch.rows() if scored else None


def _processors(drawing: Drawing | None, rows: Any, step: int) -> LogitsProcessorList:
    if drawing is None:
        return LogitsProcessorList()
    return LogitsProcessorList([Draw(drawing.numbers[rows, step:], drawing.warpers)])


def _chosen(model: PreTrainedModel, settings: dict[str, Any], name: str) -> Any:
    return settings[name] if name in settings else getattr(model.generation_config, name, None)


def _may_shrink(model: PreTrainedModel, settings: dict[str, Any]) -> bool:
    return (
        not settings.get("synced_gpus")
        and (_chosen(model, settings, "num_beams") or 1) == 1
        and not any(_chosen(model, settings, name) for name in _MORE_THAN_GREEDY)
    )


def _beams(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], settings: dict[str, Any]
) -> Written:
    """A search with beams, some rows at a time, as ``generate`` keeps all their logits."""
    skip = 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
    count = beam_rows(model, _chosen(model, settings, "num_beams"), settings["max_new_tokens"])
    ids: list[list[int]] = []
    log_probs: list[list[float]] = []
    for start in range(0, len(inputs["input_ids"]), count):
        output = model.generate(
            **{name: tensor[start : start + count] for name, tensor in inputs.items()},
            **settings,
            return_dict_in_generate=True,
            output_logits=True,
        )
        written = output.sequences[:, skip:]
        ids += written.tolist()
        log_probs += beam_log_probs(written, output.logits, output.beam_indices)
    return ids, log_probs


def _in_legs(
    model: PreTrainedModel,
    inputs: dict[str, torch.Tensor],
    settings: dict[str, Any],
    scored: bool,
    drawing: Drawing | None,
) -> Written:
    decoder = not model.config.is_encoder_decoder
    limit = settings["max_new_tokens"]
    state = _first_state(model, inputs, drawing)
    written: list[list[int]] = [[] for _ in state["attention_mask"]]
    log_probs: list[list[float]] = [[] for _ in written]
    rows = torch.arange(len(written), device=model.device)  # those at work
    ends = torch.tensor(settings["eos_token_id"], device=model.device)
    skip = inputs["input_ids"].shape[1] if decoder else 1
    while True:
        leave, watch = _leave(ends), TokenLogProbs()
        with watch.of(model) if scored else contextlib.nullcontext():
            output = model.generate(
                **state,
                **{**settings, "max_new_tokens": limit},
                stopping_criteria=StoppingCriteriaList([leave, *([watch] if scored else [])]),
                logits_processor=_processors(drawing, rows, settings["max_new_tokens"] - limit),
                return_dict_in_generate=True,
            )
        if scored:
            for row, more in zip(rows.tolist(), watch.rows(), strict=True):
                log_probs[row] += more
        ids = output.sequences
        done = ids.shape[1] - skip >= settings["max_new_tokens"]
        gone = torch.ones_like(leave.done) if done else leave.done
        for row, new in zip(rows[gone].tolist(), ids[gone, skip:].tolist(), strict=True):
            written[row] = new
        kept = (~gone).nonzero().flatten()
        if not len(kept):
            return written, log_probs if scored else None
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


def _first_state(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], drawing: Drawing | None
) -> dict[str, Any]:
    """What the first leg reads: prompts, or sources, encoded once for all legs and draws."""
    state: dict[str, Any] = dict(inputs)
    if model.config.is_encoder_decoder:
        encoded = model.get_encoder()(**inputs, return_dict=True)
        state = {"encoder_outputs": encoded, "attention_mask": inputs["attention_mask"]}
    if drawing is None:
        return state
    if model.config.is_encoder_decoder:
        source = state["encoder_outputs"].last_hidden_state[drawing.copies]
        mask = state["attention_mask"][drawing.copies]
        encoded = BaseModelOutput(last_hidden_state=source)
        return {"encoder_outputs": encoded, "attention_mask": mask}
    return {name: tensor[drawing.copies] for name, tensor in state.items()}


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
