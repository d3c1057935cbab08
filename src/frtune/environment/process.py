"""The C library's memory and the idle threads of the whole process; imports no PyTorch."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

# of mallopt(3)
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30


def keep_freed_memory() -> bool:
    """Let this process reuse the memory of large tensors on the CPU; returns whether it does.

    For a program: a library leaves its host's memory alone.

    glibc gives each large block back to the kernel when it is freed, and the next batch waits while
    the kernel clears fresh pages. Numbers do not change. The process keeps up to 1 GiB that it
    does not use at the moment. Elsewhere than on Linux with glibc nothing is done, nor where the
    environment sets malloc's thresholds.
    """
    chosen = any(name.startswith("MALLOC_") and name.endswith("THRESHOLD_") for name in os.environ)
    if not sys.platform.startswith("linux") or chosen or "GLIBC_TUNABLES" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        return False
    return bool(mallopt(MMAP_THRESHOLD, KEPT_BYTES)) and bool(mallopt(TRIM_THRESHOLD, KEPT_BYTES))


def return_freed_memory() -> bool:
    """Hand the C library's free memory back to the system; returns whether it could.

    Batches of many lengths leave gaps between what is in use, of which glibc keeps more and more.
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))


def wait_briefly() -> None:
    """Let idle threads sleep after microseconds; for a program, before PyTorch is imported.

    GNU OpenMP's threads otherwise spin for milliseconds while they wait for each other. Where
    another process needs the cores, they then spin away the time in which the other could have run,
    and a step takes many times as long. What the environment says is left alone.

    Example:
        >>> wait_briefly()
        >>> bool({"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys())
        True
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import without looking for garbage, now and later, among what modules hold; for a program.

    Half a million objects of PyTorch and Transformers live as long as the process. To go through
    them again and again takes a twentieth of the start.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
