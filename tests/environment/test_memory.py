"""Memory that was freed is there for the next batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, resource, sys
if sys.argv[1] == "keep":
    from frtune.environment.memory import keep_freed_memory
    print(keep_freed_memory())
else:
    print(False)
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def faults(size):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults(64 << 20)
print(first, faults(64 << 20))
"""


def _run(how, **environment):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    kept, *faults = done.stdout.split()
    return kept == "True", *map(int, faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone hands memory back so")
def test_a_large_block_is_reused_without_new_pages():
    _, first, again = _run("leave")
    assert again > 0.9 * first > 0, "this C library needs no help"
    kept, first, again = _run("keep")
    assert kept and again < 0.01 * first


def test_what_the_environment_sets_is_left_alone():
    kept, *_ = _run("keep", MALLOC_TRIM_THRESHOLD_="100000")
    assert not kept


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone keeps it so")
def test_gaps_between_what_is_in_use_are_handed_back():
    script = """
import ctypes
from frtune.environment.memory import return_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def resident():
    return int(open("/proc/self/statm").read().split()[1])
blocks = [libc.malloc(64 << 10) for _ in range(1000)]
for block in blocks:
    ctypes.memset(block, 1, 64 << 10)
for block in blocks[::2]:
    libc.free(block)
before = resident()
return_freed_memory()
print(before - resident())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 0.8 * 500 * 16, "pages of 4 KiB, of which a block has 16"
