"""``manifest.json``: from what, with what and on what a run was made, to make it again."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from frtune.environment.hardware import hardware
from frtune.environment.versions import versions
from frtune.training.in_force import in_force
from frtune.training.resume_checks import data_hash
from frtune.training.trainer import TaskTrainer

RUN_MANIFEST = "manifest.json"
# what changes how floating point numbers are added up
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED")


def run_manifest(
    trainer: TaskTrainer, splits: DatasetDict, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Collect what a run's weights depend on, before its first step.

    Returns:
        JSON values: ``task``, ``arguments``, ``seeds``, ``data`` (rows and hash of each split),
        ``model``, ``versions``, ``git``, ``in_force`` (precision and ZeRO, whoever decided them),
        ``hardware``, ``environment``, ``started`` (UTC) and
        ``resumed_from``, the checkpoint's name.
    """
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
        "in_force": in_force(args),
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
