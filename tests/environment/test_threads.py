"""Threads: no more than the cores that a process may use."""

from __future__ import annotations

import os

import pytest
import torch

from frtune.cli import main
from frtune.environment.threads import cores_allowed, fit_threads

HERE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 10_000),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 10_000),
        ({}, 10_000),
    ],
)
def test_the_quota_of_a_container_counts(files, quota, tmp_path):
    for name, text in files.items():
        place = tmp_path / "sys/fs/cgroup" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    assert cores_allowed(tmp_path) == min(HERE, quota)


def test_processes_share_the_cores_unless_told_otherwise(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
        assert fit_threads() == torch.get_num_threads() == 4
        monkeypatch.delenv("OMP_NUM_THREADS")
        expected = max(1, min(4, cores_allowed() // 2))
        assert fit_threads() == torch.get_num_threads() == expected
        assert fit_threads() == expected, "shared out among the processes once"
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "2000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
    ],
)
def test_the_program_lets_idle_threads_sleep_unless_told_otherwise(
    environment, expected, monkeypatch
):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is put back afterwards
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["predict"]) == 2
    assert os.environ.get("GOMP_SPINCOUNT") == expected
