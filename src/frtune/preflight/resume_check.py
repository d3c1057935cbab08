"""Whether a run that is to be resumed is the run of its checkpoint, before the model is loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from frtune.tasks.base import Task
from frtune.training.atomic_checkpoints import checkpoints, damage, read_manifest, step_of
from frtune.training.resume_checks import check_conditions, conditions, task_conditions

logger = logging.getLogger(__name__)

_LORA = ("r", "alpha", "dropout")


def check_resumable(
    args: Any,
    settings: Any,
    task: Task,
    *,
    checkpoint: str,
    config: Any,
    encoded: Mapping[str, Any] | None,
) -> str:
    """Compare a run with the newest whole checkpoint of its directory, and return a note.

    Nothing is moved there. What only the loaded model can tell, its frozen weights, is left to the
    run. ``settings.lora`` is settled, the task is fitted, and ``config`` is that of ``checkpoint``,
    which the run starts from. ``encoded`` of ``None`` leaves the rows out of the comparison.

    Raises:
        InputError: Says what differs.
    """
    found = _newest_whole(Path(args.output_dir))
    if found is None:
        return f"{args.output_dir} holds no whole checkpoint: the run starts again"
    # stands for the model, which is not loaded
    model: Any = torch.nn.Module()
    model.config, model.name_or_path = config, checkpoint
    parts: Mapping[str, Any] = encoded or {}
    ours = {
        **conditions(args, model, train=parts.get("train"), validation=parts.get("validation")),
        **task_conditions(task, mixup=settings.mixing(), packing=settings.packing),
    }
    theirs = read_manifest(found)["conditions"]
    ours["model"] = {key: ours["model"][key] for key in ("checkpoint", "type")}
    adapter = {name: getattr(settings, f"lora_{name}") for name in _LORA}
    ours["model"]["lora"] = adapter if settings.lora else None
    first = next(iter((theirs["model"].get("lora") or {}).values()), None)
    theirs["model"]["lora"] = first and {name: first[name] for name in _LORA}
    check_conditions(ours, theirs, found)
    return f"continues from {found.name}, step {step_of(found)}"


def _newest_whole(output_dir: Path) -> Path | None:
    for checkpoint in checkpoints(output_dir):
        reason = damage(checkpoint)
        if reason is None:
            return checkpoint
        logger.warning("%s would be skipped: %s", checkpoint.name, reason)
    return None
