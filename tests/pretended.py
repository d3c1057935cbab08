"""A machine with other hardware, as ``torch`` tells of it."""

from __future__ import annotations

import torch

from frtune.environment import hardware, precision

# name, compute capability, number of GPUs; None is a CPU
T4 = ("T4", (7, 5), 1)
GTX_1650_TI = ("GTX 1650 Ti", (7, 5), 1)
GTX_1080 = ("GTX 1080", (6, 1), 1)
V100 = ("V100", (7, 0), 1)
A100 = ("A100", (8, 0), 1)
H100 = ("H100", (9, 0), 1)
TWO_A100 = ("A100", (8, 0), 2)


def pretend(monkeypatch, card=None, *, fast_cpu=False, mps=None):
    """Have ``torch`` tell of a card, or of none; ``mps`` is what the probe of MPS finds."""
    name, capability, count = card or ("", None, 0)
    kind = "cuda" if card else "mps" if mps is not None else None
    found = {
        "torch.cuda.is_available": bool(card),
        "torch.cuda.device_count": count,
        "torch.cuda.current_device": 0,
        "torch.cuda.get_device_name": name,
        "torch.cuda.get_device_capability": capability,
        "torch.accelerator.is_available": kind is not None,
        "torch.accelerator.current_accelerator": kind and torch.device(kind),
    }
    for place, value in found.items():
        monkeypatch.setattr(place, lambda *_, value=value, **__: value)
    monkeypatch.setattr(hardware, "has_bf16", lambda: fast_cpu)
    monkeypatch.setattr(hardware, "gpu_memory", lambda *_: 16 * 10**9 if card else None)
    if mps is not None:
        monkeypatch.setattr(precision, "fp16_is_right", lambda device: mps)
