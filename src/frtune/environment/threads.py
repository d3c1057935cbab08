"""As many threads as the process may use: those of its container, shared out among processes."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch


def fit_threads() -> int:
    """Lower PyTorch's threads to the cores that this process has; returns how many it uses.

    PyTorch counts the cores of the machine. In a container that may use two of 64
    (``docker run --cpus 2``) 64 threads wait for each other, and so do those of the processes that
    ``deepspeed`` starts on one machine. ``OMP_NUM_THREADS`` is obeyed where it is set.
    """
    now = torch.get_num_threads()
    if "OMP_NUM_THREADS" in os.environ:
        return now
    fitting = max(1, min(now, cores_of_process()))
    if fitting < now:
        torch.set_num_threads(fitting)
    return fitting


def cores_of_process() -> int:
    """Cores that each process of a launch has on this machine; 0 where there are more processes."""
    # torchrun and accelerate name it so, deepspeed otherwise
    processes = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("LOCAL_SIZE") or "1"
    return cores_allowed() // int(processes)


def cores_allowed(root: Path = Path("/")) -> int:
    """Cores that the scheduler and the quota in ``root/sys/fs/cgroup`` leave to this process."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    folder = root / "sys" / "fs" / "cgroup"
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:  # "max 100000" or "200000 100000"; in the older layout -1 and 100000, a file each
            words = " ".join((folder / name).read_text() for name in names).split()
        except OSError:
            continue
        if words[0].isdigit():
            cores = min(cores, math.ceil(int(words[0]) / int(words[1])))
        break
    return max(1, cores)
