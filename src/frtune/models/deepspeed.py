"""What building a model needs when DeepSpeed's ZeRO-3 will split it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
from transformers.integrations import deepspeed
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled


def zero3_enabled() -> bool:
    """Whether a training configuration with ZeRO-3 is alive in this process.

    ``TrainingArguments(deepspeed=...)`` must have been made before the model.
    """
    return is_deepspeed_zero3_enabled()


def start_process_group() -> None:
    """Start the process group that splitting the weights needs, if nothing has.

    Without it, each rank counts itself alone, and DeepSpeed's batch-size check fails later.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return
    import deepspeed

    # DeepSpeed counts by its own group, also where torch has one
    if not deepspeed.comm.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        deepspeed.init_distributed(backend, auto_mpi_discovery=False)


@contextlib.contextmanager
def whole(weights: Sequence[torch.nn.Parameter]) -> Iterator[None]:
    """Put weights together that ZeRO-3 splits, and split them again as the first process has them.

    All processes must call this. Without ZeRO-3 nothing is done.
    """
    if not zero3_enabled():
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(list(weights), modifier_rank=0):
        yield


@contextlib.contextmanager
def zero3_suspended() -> Iterator[None]:
    """Make or load a whole model on one rank, in a run whose own model is split."""
    config = deepspeed._hf_deepspeed_config_weak_ref
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        deepspeed._hf_deepspeed_config_weak_ref = config


@contextlib.contextmanager
def output_untied(config_class: Any, name: str) -> Iterator[None]:
    """Keep the output layer of an encoder-decoder that has one of its own, while it is loaded.

    Transformers calls every T5 tied, and ties before it loads where ZeRO-3 splits the weights: the
    output layer would be the embedding.
    """
    model_class: Any = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING[config_class]
    tied = model_class._tied_weights_keys
    model_class._tied_weights_keys = {
        key: source for key, source in (tied or {}).items() if key != name
    }
    try:
        yield
    finally:
        model_class._tied_weights_keys = tied
