"""Open a directory that was saved after training: full weights, or an adapter and its base."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from peft import PeftConfig, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

from frtune.errors import InputError
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
from frtune.models.weights import Built, fit_tokens, load_weights, serve
from frtune.tasks.base import Task

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TRAINED = (".lora_", ".modules_to_save.", ".trainable_tokens_delta.")  # parts of an adapter's keys


def load_saved(
    directory: str | os.PathLike[str],
    task: Task,
    *,
    dtype: Any = None,
    quantization: QuantizationName | BitsAndBytesConfig | None = None,
    merge: bool = False,
) -> Built:
    """Open a saved directory.

    Args:
        directory: Full weights, those of ``frtune quantize``, or a PEFT adapter whose
            ``adapter_config.json`` names its base.
            A base that is not where it was is looked for beside the adapter, under its last name.
        task: The task the model was trained for.
        dtype: Type of the weights; ``None`` is fp32.
        quantization: Load the weights in 8 or 4 bits.
        merge: Merge an adapter into its base, which must not be quantised then.

    Returns:
        The model in evaluation mode (a PEFT model for an adapter, unless merged), its tokenizer.

    Raises:
        InputError: If the directory or its base is missing or not whole.
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
        return _load_full(directory, task, dtype, quantization, record and record["method"])
    model, tokenizer = _load_adapter(directory, task, dtype, quantization)
    if merge:
        model = merge_adapter(model).model
    return model.eval(), tokenizer


def _load_full(directory: Path, task: Task, dtype: Any, quantization: Any, method: Any) -> Built:
    config, family, auto_class = read_for_task(directory, task)
    if method in ("int8", "int8-weights"):
        activations = "int8" if method == "int8" else "float"
        model = load_int8(directory, auto_class, config, activations=activations)
        return model, load_tokenizer(directory, family, config)
    check_weights(directory)
    tokenizer = load_tokenizer(directory, family, config)
    model = load_weights(
        directory, auto_class, config, dtype=dtype, quantization=quantization, new_head=False
    )
    return model.eval(), tokenizer


def _load_adapter(
    directory: Path, task: Task, dtype: Any, quantization: Any
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
    tokenizer = load_tokenizer(directory, family, config)
    model = load_weights(base, auto_class, config, dtype=dtype, quantization=quantization)
    fit_tokens(model, tokenizer)
    serve(model, task.served_end_ids(tokenizer, family.kind))
    return _put_adapter(model, directory), tokenizer


def _put_adapter(model: PreTrainedModel, directory: Path) -> Any:
    """Put the saved adapter on its base; heads are fp32 before they are filled."""
    try:
        lora = PeftConfig.from_pretrained(str(directory))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{directory / ADAPTER_CONFIG}: is no configuration of an adapter "
            f"({first_line(error)}). Copy it again."
        ) from error
    lora.base_model_name_or_path = model.name_or_path  # it may have moved
    try:
        adapted = wrap(model, lora)
        result = set_peft_model_state_dict(adapted, load_file(directory / ADAPTER_WEIGHTS))
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"directory={str(directory)!r}: its adapter does not fit its base. "
            f"Put the base it was trained on beside it. ({first_line(error)})"
        ) from error
    absent = [name for name in result.missing_keys if any(part in name for part in _TRAINED)]
    if absent or result.unexpected_keys:
        shown = ", ".join([*absent, *result.unexpected_keys][:3])
        raise InputError(
            f"directory={str(directory)!r}: its {ADAPTER_WEIGHTS} is not this adapter's ({shown}). "
            "Copy the whole directory."
        )
    return adapted


def find_base(directory: Path) -> str:
    """Return the checkpoint that an adapter belongs to.

    Raises:
        InputError: If it is a directory that is nowhere to be found.
    """
    path = directory / ADAPTER_CONFIG
    try:
        named = json.loads(path.read_text("utf-8")).get("base_model_name_or_path") or ""
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: is no configuration of an adapter. Copy it again.") from error
    if not isinstance(named, str):
        raise InputError(f"{path}: base_model_name_or_path={named!r}: a directory or hub name.")
    if Path(named).is_dir():
        return named
    last = Path(named).name
    for place in (directory, *directory.absolute().parents[:2]):
        if last and (place / last / "config.json").is_file():
            return str(place / last)
    if not named or (named.startswith((".", "/", "~")) and "/" in named) or named.count("/") > 1:
        raise InputError(
            f"directory={str(directory)!r}: its base {named!r} does not exist. "
            f"Put the base into {str(directory / (last or 'tiny'))!r}."
        )
    return named
