"""Whether a run that is to be resumed is the run of its checkpoint, before the model is loaded."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from frtune.training.atomic_checkpoints import checkpoints, damage, read_manifest, step_of
from frtune.training.resume_checks import check_conditions, conditions

if TYPE_CHECKING:
    from frtune.tasks.base import Task

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
    """Compare a run with the newest whole checkpoint of its directory; nothing is moved there.

    What only the loaded model can tell, its frozen weights, is left to the run.

    Args:
        args: ``TrainingArguments`` of the run.
        settings: Its ``RunSettings``, with ``lora`` settled.
        task: Its task, fitted.
        checkpoint: What it starts from.
        config: The config of that.
        encoded: Its encoded splits; ``None`` leaves the rows out of the comparison.

    Returns:
        A note.

    Raises:
        InputError: Says what differs.
    """
    found = _newest_whole(Path(args.output_dir))
    if found is None:
        return f"{args.output_dir} holds no whole checkpoint: the run starts anew"
    # stands for a trainer whose model is not loaded
    model: Any = torch.nn.Module()
    model.config, model.name_or_path = config, checkpoint
    parts: Mapping[str, Any] = encoded or {}
    trainer: Any = SimpleNamespace(
        args=args,
        task=task,
        model=model,
        mixup=settings.mixing(),
        max_tokens_per_batch=settings.max_tokens_per_batch,
        packing=settings.packing,
        train_dataset=parts.get("train"),
        eval_dataset=parts.get("validation"),
    )
    ours, theirs = conditions(trainer), read_manifest(found)["conditions"]
    adapter = dict(zip(_LORA, _numbers(settings), strict=True)) if settings.lora else None
    ours["model"] = {key: ours["model"][key] for key in ("checkpoint", "type")}
    ours["model"]["lora"] = adapter
    theirs["model"]["lora"] = _first_adapter(theirs["model"].get("lora"))
    check_conditions(ours, theirs, found)
    return f"goes on from {found.name}, step {step_of(found)}"


def _numbers(settings: Any) -> tuple[int, int, float]:
    return settings.lora_r, settings.lora_alpha, settings.lora_dropout


def _first_adapter(adapters: Mapping[str, Any] | None) -> dict[str, Any] | None:
    for adapter in (adapters or {}).values():
        return {name: adapter[name] for name in _LORA}
    return None


def _newest_whole(output_dir: Path) -> Path | None:
    for checkpoint in checkpoints(output_dir):
        reason = damage(checkpoint)
        if reason is None:
            return checkpoint
        logger.warning("%s would be skipped: %s", checkpoint.name, reason)
    return None
