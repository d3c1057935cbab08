"""Logits of a model on a few rows, to compare two models by."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel


def probe_logits(model: Any, batch: Mapping[str, Any], *, device: Any = None) -> Any:
    """Logits of a batch in evaluation mode, in fp32 on the CPU, without mixed precision.

    ``model`` may stand in the wrapper of several processes (DDP, DeepSpeed's engine). ``device`` is
    where it computes, where that is not where its weights are.
    """
    # the mixed-precision forward is the inner model's, and the config too
    model = extract_model_from_parallel(model)
    device = device or next(model.parameters()).device
    inputs = {name: value.to(device) for name, value in batch.items() if hasattr(value, "to")}
    config = model.config
    if config.is_encoder_decoder and not {"labels", "decoder_input_ids"} & set(inputs):
        shape = (len(inputs["input_ids"]), 1)
        start = torch.full(shape, config.decoder_start_token_id, device=device)
        inputs["decoder_input_ids"] = start
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), _without_autocast(model):
            return model(**inputs).logits.float().cpu()
    finally:
        model.train(training)


def made_up_batch(model: Any) -> dict[str, Any]:
    """Two rows of six ids, the last of the vocabulary, where new tokens are."""
    rows = model.config.get_text_config().vocab_size
    ids = torch.arange(rows - 12, rows).reshape(2, 6)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@contextlib.contextmanager
def _without_autocast(model: Any) -> Iterator[None]:
    """Take off the mixed-precision forward that ``accelerate`` puts on a model it trains."""
    wrapped, original = (vars(model).get(name) for name in ("forward", "_original_forward"))
    if wrapped is None or original is None:
        yield
        return
    model.forward = original
    try:
        yield
    finally:
        model.forward = wrapped
