"""The last layer of a classifier: its bias at the start, and the temperature in its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from frtune.errors import InputError
from frtune.models.deepspeed import whole


def start_from_shares(model: Any, bias: Sequence[float]) -> bool:
    """Set the bias of a new head, in place, so that it begins with the shares of the labels.

    Of several labels a row most are absent. A head that begins at one half first learns that alone,
    and with few rows no more: BERT's pooler is saturated by then. The bias is that of Lin et al.
    2017, section 4.1, with the share of each label for their one share.

    Args:
        model: A model with a head of labels, without an adapter.
        bias: The logarithm of the odds of each label.

    Returns:
        Whether it was set: not of a head that has learnt, nor of one without bias (decoders).
    """
    found = _last_layers(model)
    if len(found) != 1 or found[0].bias is None:
        return False
    with torch.no_grad(), whole([found[0].bias]):
        if found[0].bias.any():  # a new head's is 0
            return False
        found[0].bias.copy_(torch.tensor(bias))
    return True


def scale_logits(model: Any, factor: float) -> None:
    """Multiply a classifier's logits by ``factor``, by its last layer's weights, in place.

    Args:
        model: A model with a head of labels, with an adapter or without.
        factor: One over the temperature.

    Raises:
        InputError: If the last layer cannot be told.
    """
    found = _last_layers(model)
    if len(found) != 1:
        raise InputError(
            f"calibrate_head: {type(model).__name__} has {len(found)} layers of "
            f"{model.config.num_labels} outputs, and one is looked for. Leave it out."
        )
    weights = [*found[0].parameters()]
    with torch.no_grad(), whole(weights):
        for weight in weights:
            weight.mul_(factor)


def _last_layers(model: Any) -> list[torch.nn.Linear]:
    """The layers that may be the head's last: those of as many outputs as there are labels."""
    return [
        module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and module.out_features == model.config.num_labels
        and "original_module" not in name.split(".")  # what PEFT keeps beside the trained head
    ]
