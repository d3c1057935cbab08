"""Runs that are parts of a whole: of several seeds, of a learning curve, of a search."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path

import torch

from frtune.training.saving import MERGED, MERGED_BASE, TINY

_METRICS = "metrics.json"
_CHECKPOINTS = ("checkpoint-*", "damaged-*")
_WEIGHTS = (*_CHECKPOINTS, MERGED, TINY, MERGED_BASE, "*.safetensors", "*.bin")


def has_begun(directory: Path) -> bool:
    """Whether a run left something in its directory to go on from."""
    return any((directory / name).exists() for name in ("config.yaml", TINY, MERGED_BASE))


def finished(directory: Path) -> bool:
    """Whether a run came to its scores."""
    return (directory / _METRICS).is_file()


def final_scores(directory: Path) -> dict[str, float]:
    """The scores of a run that is ``finished``: ``eval_*`` and, with test rows, ``test_*``."""
    return json.loads((directory / _METRICS).read_text(encoding="utf-8"))


def free_memory() -> None:
    """Let go of the last model, before the next one is loaded."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def drop_weights(directory: Path, *, keep_model: bool = False) -> None:
    """Remove the checkpoints of a run and, unless it is to be used, its weights and their base.

    Scores, settings and report stay, for ``frtune runs``.
    """
    for pattern in _CHECKPOINTS if keep_model else _WEIGHTS:
        for path in directory.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
