"""Constants on a device: copied there once, since each copy makes the CPU wait for a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch

_MOST = 32
_kept: dict[tuple[tuple[float, ...], torch.dtype, torch.device], torch.Tensor] = {}


def on_device(values: Sequence[float], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """``values`` as a tensor of shape ``(values,)``, kept for the next call; not to be changed.

    One of a mode in which tensors are no plain ones (fake, or of inference) is not kept.

    Example:
        >>> on_device([1, 3], dtype=torch.float32, device=torch.device("cpu"))
        tensor([1., 3.])
    """
    key = tuple(values), dtype, device
    if (found := _kept.get(key)) is None:
        found = torch.tensor(key[0], dtype=dtype, device=device)
        if type(found) is torch.Tensor and not found.is_inference():
            if len(_kept) >= _MOST:
                _kept.clear()
            _kept[key] = found
    return found
