"""Whether weights and config belong together: checked on shapes, and by what loading left over."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from frtune.errors import InputError, first_line
from frtune.models import deepspeed
from frtune.models.checkpoint_files import number_of_weights
from frtune.models.config_fields import field_at_fault

_FLOATING = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_NEW_WEIGHTS = 10**7  # of a new head; less need not be refused before it is allocated


def empty_model(checkpoint: object, loader: Any, config: Any) -> Any:
    """Make the model of a config on the meta device, in fp32: shapes without data.

    Args:
        checkpoint: Where the config comes from, for the message.
        loader: Class of Transformers, or one of its auto classes.
        config: The config; it is not changed.

    Raises:
        InputError: If the config makes no model.
    """
    try:
        return _empty(loader, copy.deepcopy(config))
    except Exception as error:  # each class fails in its own way on values it was not made for
        raise InputError(
            f"checkpoint={str(checkpoint)!r}: its config.json makes no model"
            f"{_field_at_fault(loader, config)} ({first_line(error)}). "
            "Copy the one that belongs to the weights."
        ) from error


def _empty(loader: Any, config: Any) -> Any:
    with deepspeed.zero3_suspended(), torch.device("meta"):
        if issubclass(loader, PreTrainedModel):
            return loader(config)  # type: ignore[arg-type]
        return loader.from_config(config, dtype=torch.float32)


def _field_at_fault(loader: Any, config: Any) -> str:
    """The field without which the config makes a model, for a message."""
    settings = config.to_diff_dict()

    def fails(kept: dict[str, Any]) -> bool:
        try:
            _empty(loader, type(config)(**kept))
        except Exception:
            return True
        return False

    name = field_at_fault(settings, fails)
    return f": {name}={settings[name]!r:.80}" if name else ""


def check_size(checkpoint: object, loader: Any, config: Any, files: Sequence[Path]) -> None:
    """Refuse a config that makes no model, or one of far more weights than the files hold.

    Nothing is allocated for it. The arguments are those of ``empty_model``, and the safetensors.

    Raises:
        InputError: If they do not belong together.
    """
    skeleton = empty_model(checkpoint, loader, config)
    described = sum(parameter.numel() for parameter in skeleton.parameters())
    stored = sum(map(number_of_weights, files))
    packed = getattr(config, "quantization_config", None) is not None
    if described > 2 * stored + _NEW_WEIGHTS and not packed:
        raise InputError(
            f"checkpoint={str(checkpoint)!r}: its config.json describes {described / 1e6:,.0f} "
            f"million weights, and its files hold {stored / 1e6:,.0f} million. "
            "Copy those that belong together."
        )


def check_whole(
    checkpoint: object, model: PreTrainedModel, info: Mapping[str, Any], heads: list[str]
) -> None:
    """Refuse weights that are missing or of another shape, and more of them than the model has.

    A new head's may be missing; another head's, and what Transformers computes, may be more.

    Args:
        checkpoint: Where they come from, for the message.
        model: What they were loaded into.
        info: What Transformers said of the loading.
        heads: Names of modules that are new; empty: all must be there, and nothing else.
    """
    where = f"checkpoint={str(checkpoint)!r}"
    mismatched = [key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]]
    own = tuple(f"{head}." for head in heads)
    absent = sorted(n for n in {*info["missing_keys"], *mismatched} if not n.startswith(own))
    if absent:
        raise InputError(
            f"{where}: {len(absent)} weights are missing or of another shape ({_some(absent)}) for "
            f"{type(model).__name__}. Choose a checkpoint of the whole model."
        )
    modules = dict(model.named_modules())
    rest = (name for name in info["unexpected_keys"] if not name.startswith(own))
    surplus = sorted(name for name in rest if not _is_explained(name, model, modules))
    if surplus:
        raise InputError(
            f"{where}: {len(surplus)} of its weights ({_some(surplus)}) have no place in the model "
            "of its config.json, which would be cut. Copy the config.json that belongs to them."
        )


def check_finite(where: str, tensors: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Refuse weights that are NaN or infinite: every answer would hang on them.

    Args:
        where: What they are of, for the message.
        tensors: Names and weights. What holds no floating-point numbers here, such as packed
            weights and those that ZeRO-3 keeps elsewhere, is passed over.

    Raises:
        InputError: Names the first of them.
    """
    for name, tensor in tensors:
        if tensor.is_meta or not tensor.numel() or tensor.dtype not in _FLOATING:
            continue
        low, high = torch.aminmax(tensor.detach())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(
                f"{where}: its weight {name} holds NaN or infinity. Copy it again; if it was "
                "trained so, take an earlier checkpoint or train again with a lower learning rate."
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _is_explained(name: str, model: PreTrainedModel, modules: Mapping[str, Any]) -> bool:
    """Whether a weight that the model lacks is another head's, or a buffer of older versions.

    What stands in the base and is no layer there, or is a weight that a layer there lacks, is not:
    a config with too few layers, or without the biases.
    """
    prefix = f"{model.base_model_prefix}."
    names = {name, f"{prefix}{name}", name.removeprefix(prefix)}  # with and without the head
    parts = max((_known_parts(each, modules) for each in names), key=lambda found: len(found[0]))
    known, left = parts
    parent = modules[".".join(known)]
    if parent in (model, model.base_model):
        return True
    return len(left) == 1 and not any(True for _ in parent.parameters(recurse=False))


def _known_parts(name: str, modules: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The longest part of a weight's name that is a module's, and what is left of the name."""
    parts = name.split(".")
    known = len(parts) - 1
    while ".".join(parts[:known]) not in modules:
        known -= 1
    return parts[:known], parts[known:]
