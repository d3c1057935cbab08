"""Shapes with random weights, their FLOPs, and the matrix-product peak they are set against."""

from __future__ import annotations

import functools
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

WORDS = "la ville ouvre une école près du fleuve et le conseil vote le budget de la forêt".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def texts(count: int, words: int) -> list[str]:
    """Texts of so many words, each of at least a token."""
    chosen = random.Random(0)
    made = [*WORDS, *("".join(chosen.choices(LETTERS, k=6)) for _ in range(2000))]
    return [" ".join(chosen.choices(made, k=words)) for _ in range(count)]


def counted_flops(make: Callable[[], Any], inputs: dict[str, Sequence[int]], **options: Any) -> int:
    """FLOPs of a training step, counted as PyTorch dispatches them, without computing anything.

    Args:
        make: Makes the model; called on the meta device. Its attention should be eager, whose
            products are all counted and none twice.
        inputs: Shape of each integer tensor that the model is called with.
        options: Further arguments of the call.

    Returns:
        Products alone, a multiplication and an addition as two; forward and backward.
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = make().train()
        batch = {name: torch.zeros(shape, dtype=torch.int64) for name, shape in inputs.items()}
    with FlopCounterMode(display=False) as counter:
        model(**batch, **options).loss.backward()
    return counter.get_total_flops()


def clock(device: torch.device) -> float:
    """Seconds by the clock, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def product_rates(
    shapes: dict[str, tuple[int, int, int]],
    *,
    device: torch.device,
    dtype: torch.dtype,
    seconds: float,
) -> dict[str, dict[str, float]]:
    """FLOPs a second of ``(n, k) x (k, m)`` products, the median of several, by name.

    Args:
        shapes: ``(n, k, m)`` by name.
        device: Where they are computed.
        dtype: Of the factors.
        seconds: For each of them; three are computed at least.

    Returns:
        By name, for ``seconds`` by the clock and for ``cpu_seconds`` of this process.
    """
    found = {}
    for name, (n, k, m) in shapes.items():
        first = torch.randn(n, k, device=device, dtype=dtype)
        second = torch.randn(k, m, device=device, dtype=dtype)
        out = torch.mm(first, second)
        taken: list[float] = []
        cpu: list[float] = []
        while len(taken) < 3 or sum(taken) < seconds:
            started, used = clock(device), time.process_time()
            torch.mm(first, second, out=out)
            taken.append(clock(device) - started)
            cpu.append(time.process_time() - used)
        times = {"seconds": taken, "cpu_seconds": cpu}
        found[name] = {
            what: 2 * n * k * m / statistics.median(values) for what, values in times.items()
        }
    return found


def square(size: int) -> dict[str, tuple[int, int, int]]:
    """The shape of the peak's product."""
    return {f"{size} x {size} x {size}": (size, size, size)}


def kernels(profile: Any, *, on_device: bool) -> Iterator[tuple[str, float]]:
    """Name and seconds of each operation, without those it calls, or of each device kernel's."""
    for event in profile.key_averages():
        taken = event.self_device_time_total if on_device else event.self_cpu_time_total
        if taken:
            yield event.key, taken / 1e6


# parts of the operation's name, in this order; the first group that has one takes it
GROUPS = {
    "optimizer and clipping": ("adamw", "_foreach", "optimizer", "linalg_vector_norm"),
    "dropout": ("dropout", "bernoulli", "philox"),
    "layer norm": ("layer_norm", "layernorm", "rms_norm"),
    "gelu": ("gelu",),
    "softmax and loss": ("softmax", "nll_loss", "cross_entropy"),
    "attention products": ("bmm", "scaled_dot_product", "flash", "fmha"),
    "linear layers' products": ("addmm", "aten::mm", "aten::linear", "mkldnn", "gemm", "cutlass",
                                "nvjet", "xmma", "igemm"),
    "embeddings": ("embedding", "index_put", "index_select", "aten::index"),
    "bias gradients": ("aten::sum", "reduce"),
    "copies, sums, masks": ("copy", "aten::add", "aten::mul", "aten::div", "fill", "zero", "where",
                            "elementwise", "masked"),
}  # fmt: skip


@functools.cache
def group_of(name: str) -> str:
    """The group of an operation.

    Example:
        >>> group_of("aten::addmm"), group_of("aten::_softmax_backward_data"), group_of("x")
        ("linear layers' products", 'softmax and loss', 'other')
    """
    lower = name.lower()
    for group, parts in GROUPS.items():
        if any(part in lower for part in parts):
            return group
    return "other"


def shares(profile: Any, *, on_device: bool) -> dict[str, float]:
    """Share of a profiled step's time that each group took, the largest first."""
    spent: dict[str, float] = {}
    for name, seconds in kernels(profile, on_device=on_device):
        spent[group_of(name)] = spent.get(group_of(name), 0.0) + seconds
    total = sum(spent.values())
    return {group: round(spent[group] / total, 4) for group in sorted(spent, key=spent.get)[::-1]}
