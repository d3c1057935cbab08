"""The temperature of a classifier in its own weights, so that plain Transformers has it too."""

from __future__ import annotations

from typing import Any

import torch

from frtune.errors import InputError
from frtune.models.deepspeed import whole


def scale_logits(model: Any, factor: float) -> None:
    """Multiply a classifier's logits by ``factor``, by its last layer's weights, in place.

    Args:
        model: A model with a head of labels, with an adapter or without.
        factor: One over the temperature.

    Raises:
        InputError: If the last layer cannot be told.
    """
    count = model.config.num_labels
    found = [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module.out_features == count
        and "original_module" not in name.split(".")  # what PEFT keeps beside the trained head
    ]
    if len(found) != 1:
        raise InputError(
            f"calibrate_head: {type(model).__name__} has {len(found)} layers of {count} outputs, "
            "and one is looked for. Leave it out."
        )
    weights = [*found[0].parameters()]
    with torch.no_grad(), whole(weights):
        for weight in weights:
            weight.mul_(factor)
