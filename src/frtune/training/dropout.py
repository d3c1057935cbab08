"""Dropout masks drawn fast on CPUs where PyTorch draws them one number after the other."""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

LEVELS = 1 << 16  # of a number that is compared with the probability
_free = threading.Lock()


@contextlib.contextmanager
def fast_masks(device: torch.device) -> Iterator[None]:
    """Let ``bernoulli_``, which makes the masks of dropout, draw fast while the context lasts.

    PyTorch's own is fast on Intel's processors alone; on others the masks of attention take a third
    of a step on long texts. Here they are as independent, and as determined by PyTorch's random
    state. The numbers are others than PyTorch would draw.

    Args:
        device: Where the model is; nothing is done but on a CPU that is slow at it.
    """
    # a kernel can be replaced once: a run within a run, or in another thread, has it already
    if device.type != "cpu" or draws_fast() or not _free.acquire(blocking=False):
        yield
        return
    library = torch.library.Library("aten", "IMPL")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a kernel is replaced
            library.impl("bernoulli_.float", bernoulli_, "CPU")
        yield
    finally:
        library._destroy()
        _free.release()


def bernoulli_(
    mask: torch.Tensor, p: float = 0.5, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Fill ``mask`` with 1 with probability ``p``, to 1 part in 65,536, and with 0 otherwise.

    One number drawn by PyTorch seeds SFC64, which draws 16 bits an element.

    Args:
        mask: Of any shape and dtype; changed in place.
        p: Probability of 1, from 0 to 1.
        generator: Draws the seed; ``None`` takes PyTorch's own.

    Example:
        >>> bernoulli_(torch.empty(2, 3), 1.0).tolist()
        [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    if not 0 <= p <= 1:
        raise ValueError(f"p={p}: from 0 to 1. Pass a probability.")
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    bits = np.random.SFC64(seed).random_raw(-(-mask.numel() // 4)).view(np.int16)
    drawn = torch.from_numpy(bits)[: mask.numel()].view(mask.shape)  # of -32768 to 32767
    limit = round(p * LEVELS) - LEVELS // 2
    # bytes are cast faster than truth values; the limit of p = 1 is above all of int16
    ones = drawn < limit if limit < LEVELS // 2 else torch.ones_like(drawn, dtype=torch.bool)
    return mask.copy_(ones.view(torch.uint8))


@functools.cache
def draws_fast() -> bool:
    """Whether PyTorch draws by MKL, which it does on Intel's processors alone.

    Example:
        >>> draws_fast() in (True, False)
        True
    """
    file = Path("/proc/cpuinfo")
    intel = file.is_file() and "GenuineIntel" in file.read_text(encoding="utf-8", errors="replace")
    return intel and torch.backends.mkl.is_available()
