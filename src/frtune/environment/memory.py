"""Freed memory: kept for the next batch in training, handed back in work over many texts."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

# of mallopt(3)
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process reuse the memory of large tensors on the CPU; returns whether it does.

    glibc gives each large block back to the kernel when it is freed, and the next batch waits while
    the kernel clears fresh pages. Numbers do not change. The process keeps up to 1 GiB that it
    does not use at the moment. Elsewhere than on Linux with glibc nothing is done, nor where the
    environment sets malloc's thresholds.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
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

    Example:
        >>> return_freed_memory() in (True, False)
        True
    """
    if not sys.platform.startswith("linux"):
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))
