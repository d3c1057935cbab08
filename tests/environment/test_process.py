"""Memory that was freed is there for the next batch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from frtune import cli

SCRIPT = """
import os, resource, sys
if sys.argv[1] == "keep":
    from frtune.environment.process import keep_freed_memory
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
from frtune.environment.process import return_freed_memory
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


@pytest.mark.parametrize(("command", "kept"), [("predict", True), ("plan", False)])
def test_the_program_keeps_memory_where_it_computes(command, kept, monkeypatch):
    calls = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: calls.append(command))
    assert cli.main([command]) == 2
    assert bool(calls) == kept


def test_opening_a_model_and_making_a_trainer_leave_the_hosts_memory_alone():
    script = (
        "import sys, frtune.inference, frtune.training.make_trainer\n"
        "assert 'frtune.environment.process' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_idle_threads_are_told_before_pytorch_is_imported():
    script = "import sys; from frtune.environment import process\nprint('torch' in sys.modules)\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
