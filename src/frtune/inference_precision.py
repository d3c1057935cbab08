"""What a saved model answers in: the type of its weights, autocast, and rows computed again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frtune.environment import hardware
from frtune.environment.precision import Precision, choose_precision, device_in_use
from frtune.errors import InputError
from frtune.metrics.chances import softmax
from frtune.models.adapter_base import ADAPTER_CONFIG, find_base
from frtune.models.bitsandbytes import base_quantization, quantization_record, torch_dtype
from frtune.models.checkpoint_files import number_of_weights, read_config, weight_files
from frtune.models.compatibility import check
from frtune.models.families import family_for
from frtune.models.family import Family
from frtune.models.probe import made_up_batch

LARGE = 10**9  # weights of a model; see default_dtype
ROOM = 0.8  # of a GPU's memory that weights in fp32 may take
CLOSE = 0.03  # between two chances; bf16 moves one by less than 0.004 in benchmarks/prediction.py


def autocast(device_type: str, precision: Precision) -> torch.autocast:
    """Autocast to a precision; to fp32, none."""
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device_type, dtype=half, enabled=precision != "fp32")


def rows_again(logits: Sequence[np.ndarray], precision: Precision) -> set[int]:
    """Rows to compute again without autocast: close calls, and in fp16 those that overflowed.

    Args:
        logits: As ``close_calls``.
        precision: What autocast computed in; after fp32 there are none.
    """
    again = set() if precision == "fp32" else close_calls(logits)
    if precision == "fp16":
        again |= {i for i, values in enumerate(logits) if not np.isfinite(values).all()}
    return again


def close_calls(logits: Sequence[np.ndarray]) -> set[int]:
    """Rows whose two best classes are less than ``CLOSE`` apart, in probability.

    Args:
        logits: Of each row, float32 of shape ``(classes,)``. Of one class, or of tokens,
            ``(length, classes)``, no row is close.

    Example:
        >>> import numpy as np
        >>> close_calls([np.array([0.0, 0.05]), np.array([0.0, 2.0])])
        {0}
    """
    if not logits or logits[0].ndim != 1 or len(logits[0]) < 2:
        return set()
    best = np.sort(softmax(logits))[:, -2:]  # (rows, 2)
    return set(np.flatnonzero(best[:, 1] - best[:, 0] < CLOSE).tolist())


def is_finite(model: Any) -> bool:
    """Whether the logits of two short rows are finite under fp16 autocast."""
    batch = {name: each.to(model.device) for name, each in made_up_batch(model).items()}
    if model.config.is_encoder_decoder:
        batch["decoder_input_ids"] = batch["input_ids"]
    with torch.no_grad(), autocast(model.device.type, "fp16"):
        return bool(torch.isfinite(model(**batch).logits).all())


def default_dtype(
    directory: Path,
    device: str | torch.device,
    *,
    bf16: bool | None = None,
    fp16: bool | None = None,
) -> torch.dtype | None:
    """Type of the weights on a GPU: 16 bits for a model whose fp32 would fill it; else fp32.

    Published decoders of a billion weights are in 16 bits, and mixed precision computes so.

    Args:
        directory: As of ``load``.
        device: The GPU.
        bf16: As of ``load``.
        fp16: As of ``load``.

    Returns:
        What the GPU computes in, or ``None`` for fp32, and for weights that are quantised.
    """
    packed = quantization_record(directory) or base_quantization(directory)
    family, used = family_of(directory), device_in_use(device)
    found = choose_precision(used, bears_fp16=family.fp16, bf16=bf16, fp16=fp16)
    if packed or found.precision == "fp32":
        return None
    count = sum(map(number_of_weights, weight_files(base_name(directory))))
    memory = hardware.gpu_memory(device) if used.type == "cuda" else None
    fills = memory is not None and 4 * count > ROOM * memory
    return found.dtype if fills or (family.kind == "decoder" and count >= LARGE) else None


def checked_dtype(directory: Path, dtype: Any) -> torch.dtype:
    """The type that was asked for, if it goes with the model.

    Raises:
        InputError: If it does not, or is no type.
    """
    found, family = torch_dtype(dtype), family_of(directory)
    if quantization_record(directory) is not None:
        raise InputError(f"dtype={dtype!r}: {directory} is quantised. Leave it out.")
    if found == torch.float16:
        check(family.name, method="full", features=["fp16"])
    return found


def base_name(directory: Path) -> str:
    """The directory itself, or that of the base beside whose adapter it is, or its hub name."""
    adapted = (directory / ADAPTER_CONFIG).is_file()
    return find_base(directory) if adapted else str(directory)


def family_of(directory: Path) -> Family:
    """The family of a saved model, by its config."""
    return family_for(read_config(base_name(directory)).model_type)
