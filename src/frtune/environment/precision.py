"""What a device computes in: bf16, fp16 or fp32, and why. Every command and function asks here."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Literal

import torch

from frtune.environment import hardware
from frtune.errors import InputError

Precision = Literal["bf16", "fp16", "fp32"]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

_BF16_SINCE = (8, 0)  # Ampere; before it CUDA emulates bf16 in fp32
_FP16_SINCE = (7, 0)  # Volta
_FP16_BEFORE = ((5, 3), (6, 0), (6, 2))  # twice the speed of fp32; 6.1 has a 64th
_CLOSE = 0.02  # largest error of a gradient in fp16, relative to the largest gradient


@dataclass(frozen=True)
class Device:
    """What decides a device's precision.

    Attributes:
        type: As of ``torch.device``: ``cuda``, ``cpu``, ``mps``, ...
        name: For messages.
        bf16: Whether bf16 is computed, and not emulated.
        fp16: Whether fp16 is fast and right.
        figures: What tells it, for messages.
    """

    type: str
    name: str
    bf16: bool
    fp16: bool
    figures: str = ""


@dataclass(frozen=True)
class Choice:
    """A precision, and why it was chosen.

    Attributes:
        precision: ``bf16``, ``fp16`` or ``fp32``.
        reason: In words.
    """

    precision: Precision
    reason: str

    @property
    def dtype(self) -> torch.dtype:
        """The type of ``torch``."""
        return DTYPES[self.precision]


def gpu(name: str, capability: tuple[int, int]) -> Device:
    """An NVIDIA GPU, present or not, by its compute capability.

    Example:
        >>> t4 = gpu("T4", (7, 5))
        >>> t4.bf16, t4.fp16, gpu("GTX 1080", (6, 1)).fp16, gpu("A100", (8, 0)).bf16
        (False, True, False, True)
    """
    fp16 = capability >= _FP16_SINCE or capability in _FP16_BEFORE
    figures = "compute capability {}.{}".format(*capability)
    return Device("cuda", name, capability >= _BF16_SINCE, fp16, figures)


def cpu() -> Device:
    """The processor. bf16 is fast with AVX512-BF16 or AMX; nothing computes in fp16."""
    fast = hardware.has_bf16()
    return Device("cpu", "the CPU", fast, False, f"{'' if fast else 'no '}AVX512-BF16 or AMX")


def device_in_use(device: str | torch.device | None = None) -> Device:
    """The device that computes.

    Args:
        device: Of the model; ``None`` is the accelerator, and the CPU where there is none.
    """
    if device is None:
        device = torch.accelerator.current_accelerator() if hardware.has_accelerator() else "cpu"
    found = torch.device(device or "cpu")
    if found.type == "cpu":
        return cpu()
    if found.type == "cuda":
        index = torch.cuda.current_device() if found.index is None else found.index
        name = torch.cuda.get_device_name(index)
        if torch.version.hip:
            return Device("cuda", name, True, True, "ROCm")
        return gpu(name, torch.cuda.get_device_capability(index))
    if found.type == "mps":
        right = fp16_is_right("mps")
        return Device("mps", "MPS", False, right, f"fp16 is {'' if right else 'not '}right there")
    return Device(found.type, found.type, False, False, "not known to be faster in 16 bits")


def training_device(*, use_cpu: bool) -> Device:
    """The device that a run trains on: of several GPUs on this host, the one that can least.

    Args:
        use_cpu: Of ``TrainingArguments``. ``accelerate launch --cpu`` says it to Accelerate alone.
    """
    use_cpu = use_cpu or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    if use_cpu or not hardware.has_accelerator() or not torch.cuda.is_available():
        return device_in_use("cpu" if use_cpu else None)
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    used = range(min(processes, torch.cuda.device_count())) if processes > 1 else [0]
    found = [device_in_use(f"cuda:{index}") for index in used]
    return min(found, key=lambda each: (each.bf16, each.fp16))


def choose_precision(
    device: Device,
    *,
    bears_fp16: bool,
    bf16: bool | None = None,
    fp16: bool | None = None,
) -> Choice:
    """Decide what a model computes in.

    Args:
        device: What it computes on.
        bears_fp16: Whether its family keeps finite in fp16.
        bf16: What the user says; ``None`` says nothing.
        fp16: The same of fp16. ``bf16=False`` alone asks for fp32.

    Raises:
        InputError: If bf16 is asked for where it is emulated, fp16 on a CPU or of a family that
            overflows in it, or both.

    Example:
        >>> choose_precision(gpu("T4", (7, 5)), bears_fp16=True)
        Choice(precision='fp16', reason='T4 (compute capability 7.5) only emulates bf16')
        >>> choose_precision(gpu("T4", (7, 5)), bears_fp16=False).precision
        'fp32'
    """
    what = f"{device.name} ({device.figures})" if device.figures else device.name
    if bf16 and fp16:
        raise InputError("bf16 and fp16: one of them. Leave the other out.")
    if bf16:
        check_bf16(device, bears_fp16=bears_fp16)
        return Choice("bf16", "asked for")
    if fp16:
        if device.type == "cpu":
            raise InputError(
                "fp16=True: on CPUs nothing computes in it. "
                "Pass --bf16, or leave both out for fp32."
            )
        if not bears_fp16:
            raise InputError(
                "fp16=True: this family overflows in fp16. "
                "Pass bf16 where the hardware has it, or leave both out."
            )
        return Choice("fp16", "asked for")
    if bf16 is False:
        return Choice("fp32", "asked for")
    if device.bf16:
        return Choice("bf16", f"{what} computes in bf16")
    reason = f"{what} only emulates bf16" if device.type == "cuda" else what
    if device.fp16 and fp16 is None and bears_fp16:
        return Choice("fp16", reason)
    if device.fp16:
        reason += f", and {'fp16 is off' if fp16 is False else 'the family overflows in fp16'}"
    elif device.type == "cuda":
        reason += ", and is slow in fp16"
    return Choice("fp32", reason)


def check_bf16(device: Device, *, bears_fp16: bool = True) -> None:
    """Refuse (``InputError``) bf16 on a card that only emulates it."""
    if device.type == "cuda" and not device.bf16:
        way = "Leave it out" + (", or pass fp16" if device.fp16 and bears_fp16 else "")
        raise InputError(
            f"bf16=True: {device.name} has {device.figures} and only emulates bf16, slower than "
            f"fp32; 8.0 and above compute in it. {way}."
        )


@functools.cache
def fp16_is_right(device: str) -> bool:
    """Whether a device computes under fp16 autocast what it computes in fp32, measured.

    A linear layer, attention, a norm and a loss run forward and backward with a scaled loss.
    """
    try:
        exact, half = _gradients(device, half=False), _gradients(device, half=True)
    except (RuntimeError, NotImplementedError, TypeError):  # an operation is missing there
        return False
    error = (exact - half).abs().max() / exact.abs().max()
    return bool(torch.isfinite(half).all()) and float(error) < _CLOSE


def _gradients(device: str, *, half: bool) -> torch.Tensor:
    """Loss and gradients of a small block, on the CPU, in fp32."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device).requires_grad_()

    states, weights, norm = drawn(2, 64, 64), drawn(64, 192), drawn(64)
    with torch.autocast(device, torch.float16, enabled=half):
        parts = (states @ weights / 8).view(2, 64, 4, 48).transpose(1, 2)  # (batch, heads, seq, 48)
        mixed = torch.nn.functional.scaled_dot_product_attention(*parts.split(16, dim=-1))
        mixed = torch.nn.functional.layer_norm(
            mixed.transpose(1, 2).reshape(2, 64, 64), (64,), norm
        )
        loss = torch.nn.functional.cross_entropy(
            mixed.flatten(0, 1).float(), torch.arange(128, device=device) % 64
        )
    scale = 2.0**16 if half else 1.0
    (loss * scale).backward()
    gradients = [each.grad.float().cpu().flatten() for each in (states, weights, norm)]  # type: ignore[union-attr]
    return torch.cat([loss.detach().float().cpu()[None], *(each / scale for each in gradients)])
