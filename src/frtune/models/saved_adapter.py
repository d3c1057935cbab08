"""A saved adapter on its base; apart from full weights, which open without PEFT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import GENERATION_CONFIG_NAME

from frtune.errors import InputError
from frtune.models.adapter_base import ADAPTER_CONFIG, find_base
from frtune.models.checkpoint_files import (
    check_safetensors,
    check_weights,
    first_line,
    read_for_task,
)
from frtune.models.lora import merge, wrap
from frtune.models.served_config import serve
from frtune.models.tokenizer import load_tokenizer
from frtune.models.weight_verification import check_finite
from frtune.models.weights import fit_tokens, load_weights
from frtune.tasks.base import Task

__all__ = ["load_adapter", "merge", "put_adapter", "read_adapter_config", "trained_rows"]

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TRAINED = (".lora_", ".modules_to_save.", ".trainable_tokens_delta.")  # parts of an adapter's keys


def load_adapter(
    directory: Path,
    task: Task,
    dtype: Any,
    quantization: Any,
    tokenizer: Any,
    device: str | None = None,
) -> tuple[Any, PreTrainedTokenizerBase]:
    """Open a saved adapter on its base; see ``frtune.models.loading.load_saved``."""
    if not (directory / ADAPTER_WEIGHTS).is_file():
        raise InputError(
            f"directory={str(directory)!r}: has {ADAPTER_CONFIG} but no {ADAPTER_WEIGHTS}. "
            "Copy the whole directory."
        )
    check_safetensors(directory / ADAPTER_WEIGHTS)
    base = find_base(directory)
    config, family, auto_class = read_for_task(base, task)
    check_weights(base)
    tokenizer = tokenizer or load_tokenizer(directory, family, config)
    model = load_weights(
        base, auto_class, config, dtype=dtype, quantization=quantization, device=device
    )
    fit_tokens(model, tokenizer, at_least=trained_rows(directory))
    serve(model, task.served_settings(tokenizer, family.kind))
    if (directory / GENERATION_CONFIG_NAME).is_file():
        model.generation_config = GenerationConfig.from_pretrained(directory)
    return put_adapter(model, directory), tokenizer


def read_adapter_config(directory: Path) -> Any:
    """PEFT's settings of a saved adapter; ``InputError`` if they are none."""
    try:
        return PeftConfig.from_pretrained(str(directory))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{directory / ADAPTER_CONFIG}: is no configuration of an adapter "
            f"({first_line(error)}). Copy it again."
        ) from error


def trained_rows(directory: Path) -> int:
    """Rows that the embedding must have for those that an adapter trained."""
    found = json.loads((directory / ADAPTER_CONFIG).read_text("utf-8"))
    indices = found.get("trainable_token_indices") or {}
    rows = indices.values() if isinstance(indices, dict) else [indices]
    return max((index + 1 for row in rows for index in row), default=0)


def put_adapter(
    model: PreTrainedModel,
    directory: Path,
    *,
    trainable: bool = False,
    dropout: float | None = None,
) -> Any:
    """Put the saved adapter on its base; heads are fp32 before they are filled.

    Args:
        model: The base, with a row for each token.
        directory: The saved adapter.
        trainable: Whether it is to be trained further.
        dropout: LoRA's dropout; ``None`` keeps the saved one.

    Raises:
        InputError: If the adapter does not fit the base, or is not whole.
    """
    lora = read_adapter_config(directory)
    lora.inference_mode = not trainable
    if dropout is not None:
        lora.lora_dropout = dropout
    lora.base_model_name_or_path = model.name_or_path  # it may have moved
    trained = load_file(directory / ADAPTER_WEIGHTS)
    check_finite(f"directory={str(directory)!r}", trained.items())
    try:
        adapted = wrap(model, lora)
        result = set_peft_model_state_dict(adapted, trained)
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"directory={str(directory)!r}: its adapter does not fit its base. "
            f"Put the base it was trained on beside it. ({first_line(error)})"
        ) from error
    absent = _absent(adapted, result.missing_keys)
    if absent or result.unexpected_keys:
        shown = ", ".join([*absent, *result.unexpected_keys][:3])
        raise InputError(
            f"directory={str(directory)!r}: its {ADAPTER_WEIGHTS} is not this adapter's ({shown}). "
            "Copy the whole directory."
        )
    return adapted


def _absent(adapted: PeftModel, missing: Sequence[str]) -> list[str]:
    """Trained weights that the file lacks; one that is tied to another stands there once."""
    trained = {
        name: id(parameter)
        for name, parameter in adapted.named_parameters(remove_duplicate=False)
        if any(part in name for part in _TRAINED)
    }
    found = {trained[name] for name in trained.keys() - set(missing)}
    return [name for name in missing if name in trained and trained[name] not in found]
