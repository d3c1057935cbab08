"""Weights in 8 or 4 bits: fewer bytes of memory, the rest of the training as before.

``frtune.model_quantization`` quantises a finished model; the record that it leaves is read here.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from transformers import BitsAndBytesConfig

from frtune.environment.precision import choose_precision, device_in_use
from frtune.errors import InputError, nearest
from frtune.files import read_record

QuantizationName = Literal["int8", "nf4"]

QUANTIZATION_FILE = "frtune_quantization.json"
BASE_FILE = "frtune_base.json"  # beside an adapter: its base's fingerprint and quantisation


def quantization_config(
    name: QuantizationName | None, *, compute_dtype: Any = None, skip_modules: Sequence[str] = ()
) -> BitsAndBytesConfig | None:
    """Make the bitsandbytes configuration of a name.

    ``int8`` is LLM.int8() (Dettmers et al., 2022): a quarter of the memory of fp32 weights.
    ``nf4`` is the NormalFloat of QLoRA (Dettmers et al., 2023) with double quantisation: an
    eighth. Quantised weights are frozen, so that both go with LoRA only. Neither goes with ZeRO-3,
    which splits the weights that bitsandbytes packs; ZeRO-2 does.

    Args:
        name: ``"int8"``, ``"nf4"``, or ``None`` for no quantisation.
        compute_dtype: nf4 only: type of the multiplications, as a name or a ``torch.dtype``;
            ``None`` takes bf16, which T5 survives; a GPU that emulates it multiplies in fp16 or
            fp32 instead, as the family bears. int8 multiplies in integers.
        skip_modules: Names of modules that stay as they are. The builders pass the task's heads
            and the output layer: a quantised head cannot be trained.

    Returns:
        The configuration for ``from_pretrained(quantization_config=...)``, or ``None``.

    Raises:
        InputError: If the name is unknown, or int8 is given a compute type.

    Example:
        >>> quantization_config(None) is None
        True
        >>> quantization_config("nf4").bnb_4bit_quant_type
        'nf4'
    """
    if name is None:
        return None
    allowed = list(get_args(QuantizationName))
    if name not in allowed:
        hint = nearest(str(name), allowed)
        raise InputError(f"quantization={name!r}: {' or '.join(allowed)}.{hint}")
    skipped = list(skip_modules) or None
    if name == "int8":
        if compute_dtype is not None:
            raise InputError(
                f"compute_dtype={compute_dtype}: for nf4 only, since int8 multiplies in integers. "
                "Leave it out."
            )
        _say_cast_once()
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch_dtype(compute_dtype) or torch.bfloat16,
        llm_int8_skip_modules=skipped,
    )


def not_emulated(config: Any, *, bears_fp16: bool) -> Any:
    """nf4 of bf16, in what the GPU in use computes in instead, where it emulates bf16.

    Args:
        config: A ``BitsAndBytesConfig``, or ``None``; left as it is.
        bears_fp16: Whether the family keeps finite in fp16.
    """
    multiplies = getattr(config, "load_in_4bit", False) and config.bnb_4bit_compute_dtype
    if multiplies != torch.bfloat16 or (device := device_in_use()).type == "cpu":
        return config
    config = copy.deepcopy(config)
    config.bnb_4bit_compute_dtype = choose_precision(device, bears_fp16=bears_fp16).dtype
    return config


def computed_here(config: Any, *, bears_fp16: bool) -> Any:
    """The config of a model, whose stored nf4 does not ask for what the GPU in use emulates."""
    stored = getattr(config, "quantization_config", None)
    if not (isinstance(stored, dict) and stored.get("load_in_4bit")):
        return config
    given = BitsAndBytesConfig.from_dict(stored)
    found = not_emulated(given, bears_fp16=bears_fp16)
    if found is given:
        return config
    config = copy.deepcopy(config)
    config.quantization_config = found.to_dict()
    return config


@functools.cache
def _say_cast_once() -> None:
    """Let bitsandbytes say once, not at every layer and step, that int8 casts to fp16."""
    seen: Counter[str] = Counter()

    def is_new(record: logging.LogRecord) -> bool:
        template = str(record.msg)[:40]
        seen[template] += 1
        return seen[template] == 1

    logging.getLogger("bitsandbytes.autograd._functions").addFilter(is_new)


def torch_dtype(dtype: Any) -> Any:
    """Turn ``"bfloat16"``, ``"float16"`` or ``"float32"`` into the ``torch.dtype``.

    Their short names are ``"bf16"``, ``"fp16"`` and ``"fp32"``.

    Raises:
        InputError: If it is neither of these nor one of the three ``torch.dtype``.

    Example:
        >>> torch_dtype("bfloat16")
        torch.bfloat16
    """
    if dtype is None:
        return None
    allowed = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    short = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    found = dtype if dtype in allowed.values() else {**allowed, **short}.get(str(dtype))
    if found is None:
        hint = nearest(str(dtype), list(allowed))
        raise InputError(f"dtype={dtype!r}: one of {', '.join(allowed)}.{hint}")
    return found


def quantization_record(directory: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Say how a finished model was quantised.

    Returns:
        ``method`` and what else ``frtune quantize`` wrote down, or ``None`` for a model in full
        precision.

    Raises:
        InputError: If the record cannot be read.
    """
    path = Path(directory) / QUANTIZATION_FILE
    return read_record(path, "a quantisation", "Quantise again", method=str)


def base_record(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """What a saved adapter's directory says of its base; empty where it says nothing.

    Raises:
        InputError: If the record cannot be read.
    """
    path = Path(directory) / BASE_FILE
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")).items())
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: is no record of a base ({error}). Copy it again.") from error


def base_quantization(directory: str | os.PathLike[str]) -> BitsAndBytesConfig | None:
    """How the base of a saved adapter was quantised when the adapter was trained on it.

    An adapter has learnt to make up for what its base lost, and was scored on that base.

    Returns:
        The configuration for ``load_saved``, or ``None`` for a base in full precision.

    Raises:
        InputError: If the record cannot be read.
    """
    values = base_record(directory).get("quantization_config")
    if values is None:
        return None
    try:
        return BitsAndBytesConfig(**values)
    except (ValueError, TypeError, AttributeError) as error:
        path = Path(directory) / BASE_FILE
        raise InputError(f"{path}: is no record of a base ({error}). Copy it again.") from error
