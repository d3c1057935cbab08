"""Open a directory that was saved after training: full weights, or an adapter and its base."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peft import PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import (
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import GENERATION_CONFIG_NAME

from frtune.errors import InputError
from frtune.models.adapter_base import ADAPTER_CONFIG, find_base, read_adapter_config
from frtune.models.bitsandbytes import QuantizationName, quantization_record, torch_dtype
from frtune.models.checkpoint_files import (
    check_safetensors,
    check_weights,
    first_line,
    read_for_task,
)
from frtune.models.int8 import load_int8
from frtune.models.lora import merge as merge_adapter
from frtune.models.lora import wrap
from frtune.models.tokenizer import load_tokenizer
from frtune.models.weight_verification import check_finite
from frtune.models.weights import Built, fit_tokens, load_weights, serve
from frtune.tasks.base import Task

ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TRAINED = (".lora_", ".modules_to_save.", ".trainable_tokens_delta.")  # parts of an adapter's keys


def load_saved(
    directory: str | os.PathLike[str],
    task: Task,
    *,
    dtype: Any = None,
    quantization: QuantizationName | BitsAndBytesConfig | None = None,
    merge: bool = False,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Built:
    """Open a saved directory.

    Args:
        directory: Full weights, those of ``frtune quantize``, or a PEFT adapter whose
            ``adapter_config.json`` names its base.
            The base is looked for beside the adapter, under its last name, then where it was.
        task: The task the model was trained for.
        dtype: Type of the weights; ``None`` is fp32.
        quantization: Load the weights in 8 or 4 bits.
        merge: Merge an adapter into its base, which must not be quantised then.
        tokenizer: The directory's tokenizer, where it is known without reading it.

    Returns:
        The model in evaluation mode (a PEFT model for an adapter, unless merged), its tokenizer.

    Raises:
        InputError: If the directory or its base is missing or not whole, the base another model,
            or a weight NaN.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"directory={str(directory)!r}: does not exist. Pass a saved model's.")
    if merge and quantization is not None:
        raise InputError(
            f"quantization={quantization!r}: not with merge=True, for merged 8 or 4 bit weights "
            "are rounded. Leave one of the two out."
        )
    dtype = torch_dtype(dtype)
    record = quantization_record(directory)
    if record is not None and quantization is not None:
        raise InputError(
            f"quantization={quantization!r}: {directory} is quantised already "
            f"({record['method']}). Leave it out."
        )
    if not (directory / ADAPTER_CONFIG).is_file():
        method = record and record["method"]
        return _load_full(directory, task, dtype, quantization, method, tokenizer)
    model, tokenizer = _load_adapter(directory, task, dtype, quantization, tokenizer)
    if merge:
        model = merge_adapter(model).model
    return model.eval(), tokenizer


def _load_full(
    directory: Path, task: Task, dtype: Any, quantization: Any, method: Any, tokenizer: Any
) -> Built:
    config, family, auto_class = read_for_task(directory, task)
    if method in ("int8", "int8-weights"):
        activations = "int8" if method == "int8" else "float"
        model = load_int8(directory, auto_class, config, activations=activations)
        return model, load_tokenizer(directory, family, config)
    check_weights(directory)
    tokenizer = tokenizer or load_tokenizer(directory, family, config)
    model = load_weights(
        directory, auto_class, config, dtype=dtype, quantization=quantization, new_head=False
    )
    return model.eval(), tokenizer


def _load_adapter(
    directory: Path, task: Task, dtype: Any, quantization: Any, tokenizer: Any
) -> tuple[Any, PreTrainedTokenizerBase]:
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
    model = load_weights(base, auto_class, config, dtype=dtype, quantization=quantization)
    fit_tokens(model, tokenizer, at_least=trained_rows(directory))
    serve(model, task.served_end_ids(tokenizer, family.kind))
    if (directory / GENERATION_CONFIG_NAME).is_file():
        model.generation_config = GenerationConfig.from_pretrained(directory)
    return put_adapter(model, directory), tokenizer


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
