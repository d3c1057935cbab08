"""``manifest.json``: from what, with what and on what a run was made, to make it again."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frtune.training.resume_checks import data_hash

if TYPE_CHECKING:
    from datasets import DatasetDict

    from frtune.training.trainer import TaskTrainer

RUN_MANIFEST = "manifest.json"
# what changes how floating point numbers are added up
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED")


def run_manifest(
    trainer: TaskTrainer, splits: DatasetDict, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Collect what a run's weights depend on.

    Args:
        trainer: Before its first step.
        splits: Raw rows.
        arguments: Those of ``config.yaml``.

    Returns:
        JSON values: ``task``, ``arguments``, ``seeds``, ``data`` (rows and hash of each split),
        ``model``, ``versions``, ``git``, ``hardware``, ``environment``, ``started`` (UTC) and
        ``resumed_from``, the checkpoint's name.
    """
    from frtune.run.model_card import versions

    args = trainer.args
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "resumed_from": Path(trainer.checked).name if trainer.checked else None,
        "task": trainer.task.name,
        "arguments": arguments,
        "seeds": {"seed": args.seed, "data_seed": args.data_seed, "split": 42},
        "data": {
            name: {"rows": len(rows), "hash": data_hash(rows)} for name, rows in splits.items()
        },
        "model": trainer.conditions()["model"],
        "versions": versions(),
        "git": git_state(),
        "hardware": hardware(args.world_size),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def git_state(directory: str | Path = ".") -> dict[str, Any] | None:
    """Commit of the repository around ``directory``, and whether tracked files differ from it.

    ``None`` outside of a repository, and where git is not installed.
    """

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=directory, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(git("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def hardware(processes: int = 1) -> dict[str, Any]:
    """Processor, cores, threads, memory and GPUs of this machine.

    Args:
        processes: Of the run, over all hosts.
    """
    import torch

    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "processes": processes,
        "system": platform.platform(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
