"""What a run must share with a checkpoint to go on from it, and what it may change."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from datasets import Dataset
from peft import PeftType
from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from frtune.errors import InputError
from frtune.files import write_json
from frtune.tasks.base import Task
from frtune.training.arguments import rows_per_step
from frtune.training.atomic_checkpoints import check_foreign, damage, read_manifest
from frtune.training.in_force import precision, zero

logger = logging.getLogger(__name__)

# arguments that change the weights, or which of them are kept; those of batches are one condition
ARGUMENTS = (
    "learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm",
    "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "optim", "optim_args",
    "optim_target_modules", "seed", "data_seed", "bf16", "fp16", "train_sampling_strategy",
    "dataloader_drop_last", "neftune_noise_alpha", "ignore_data_skip", "auto_find_batch_size",
    "metric_for_best_model", "greater_is_better",
)  # fmt: skip
# the user may change these on the way, and is told what follows
CHANGEABLE = {
    "num_train_epochs": "the learning rate follows the new length from here on",
    "max_steps": "the learning rate follows the new length from here on",
    "per_device_train_batch_size": "batches are cut again, and rows of this epoch may come twice",
}
_SAMPLED_VALUES = 64


def conditions(args: Any, model: Any, *, train: Any, validation: Any) -> dict[str, Any]:
    """What a run's weights depend on, whatever it learns, as JSON values.

    ``train`` and ``validation`` are left out where they are no ``datasets.Dataset``.

    Returns:
        ``data``, ``model``, ``arguments`` (each a dict), ``deepspeed``, ``processes`` and
        ``rows_per_step``.
    """
    sets = validation if isinstance(validation, Mapping) else {"": validation}
    data = {"train": train, **{f"validation {n}".strip(): rows for n, rows in sets.items()}}
    return _as_json({
        "data": {name: data_hash(rows) for name, rows in data.items() if hasattr(rows, "features")},
        "model": _model(model),
        "arguments": {
            **{name: getattr(args, name, None) for name in (*ARGUMENTS, *CHANGEABLE)},
            **{name: precision(args) == name for name in ("bf16", "fp16")},
        },
        "deepspeed": zero(args),
        "processes": args.world_size,
        "rows_per_step": rows_per_step(args),
    })  # fmt: skip


def given_optimizers(trainer: Any) -> dict[str, str]:
    """Optimizer and scheduler that a trainer, just made, was given besides its arguments."""
    chosen = getattr(trainer, "optimizer_cls_and_kwargs", None)
    given = {
        "optimizer": chosen[0] if chosen else trainer.optimizer and type(trainer.optimizer),
        "scheduler": trainer.lr_scheduler and type(trainer.lr_scheduler),
    }
    usual = "what the arguments say"
    return {name: f"a {kind.__name__}" if kind else usual for name, kind in given.items()}


def task_conditions(task: Task, *, mixup: Any, packing: bool) -> dict[str, Any]:
    """What the weights of a task's run depend on besides, as JSON values."""
    return _as_json({
        "task": {"name": task.name, **dataclasses.asdict(task)},
        "packing": packing,
        "mixup": None if mixup is None else dataclasses.asdict(mixup),
    })  # fmt: skip


def _as_json(found: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(found, default=str))


def check_whole(checkpoint: Path) -> Path:
    """The checkpoint itself; refused if it is damaged, or frtune did not write it."""
    reason = damage(checkpoint) if checkpoint.is_dir() else "there is no such directory"
    if reason:
        raise InputError(
            f"resume_from_checkpoint={checkpoint}: is not whole: {reason}. Give another one."
        )
    check_foreign(checkpoint)
    return checkpoint


def check_state(checkpoint: Path, *, deepspeed: bool = False) -> None:
    """Refuse a checkpoint whose state is of another step, or lacks the optimizer's.

    ``deepspeed`` says whether the run that goes on from it is DeepSpeed's.
    """
    path = checkpoint / TRAINER_STATE_NAME
    try:
        step = TrainerState.load_from_json(str(path)).global_step
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise InputError(f"{path}: is not the state of a training ({error}).") from error
    manifest = read_manifest(checkpoint)
    if step != manifest["step"]:
        raise InputError(f"{path}: is the state of step {step}. Give another checkpoint.")
    # without them Trainer would start a new optimizer and schedule, and say nothing
    files = manifest["files"]
    sharded = any(name.startswith("global_step") for name in files)
    if sharded != deepspeed and (sharded or "scheduler.pt" in files):
        made, way = ("with", "with the same") if sharded else ("without", "without")
        raise InputError(
            f"{checkpoint}: was saved {made} DeepSpeed, whose optimizer differs. "
            f"Start {way} --deepspeed or accelerate launch --use_deepspeed."
        )
    if "scheduler.pt" not in files and not sharded:
        raise InputError(
            f"{checkpoint}: was saved with --save-only-model and cannot be resumed, only trained "
            f"from: pass --checkpoint {checkpoint} and a new --output-dir."
        )
    latest = checkpoint / "latest"  # where DeepSpeed looks for its files
    if latest.is_file() and latest.read_text("utf-8").strip() != f"global_step{step}":
        raise InputError(f"{latest}: is not of step {step}. Give another checkpoint.")


def save_state(state: TrainerState, path: Path) -> None:
    """Write a state as ``TrainerState.save_to_json`` does; a score that is NaN becomes null."""
    write_json(path, json.loads(json.dumps(dataclasses.asdict(state), sort_keys=True)))


def check_conditions(ours: dict[str, Any], theirs: dict[str, Any], checkpoint: Path) -> None:
    """Refuse to go on from a checkpoint of another run.

    ``theirs`` are in the manifest of ``checkpoint``.

    Raises:
        InputError: Says what differs. What is in ``CHANGEABLE`` is let through with a warning.
    """
    if theirs.get("max_tokens_per_batch") is not None:
        raise InputError(
            f"--resume: {checkpoint} is of an earlier version, whose max_tokens_per_batch chose "
            "the rows of a step. Train again in a new directory."
        )
    differences, changes = [], []
    for where, name, mine, other in _pairs(ours, theirs):
        if mine == other:
            continue
        if where == "arguments" and name in CHANGEABLE:
            changes.append((name, f"{name} is {_shown(mine)} in place of {_shown(other)}"))
        elif where == "data":
            differences.append(f"other {name} rows")
        elif where == "model" and name == "frozen_in_use":
            differences.append("other frozen weights")
        elif where == "optimizers":
            differences.append(f"the {name} is {mine} in place of {other} (optimizers=)")
        else:
            label = name if where in ("arguments", "task") else f"{where} {name}".strip()
            differences.append(f"{label} is {_shown(mine)} in place of {_shown(other)}")
    if differences:
        raise InputError(
            f"--resume: not the run of {checkpoint}: {'; '.join(differences)}. Give what that run "
            "had (config.yaml beside it says), or train again in a new directory."
        )
    if theirs.get("model", {}).get("frozen") and "frozen_in_use" not in theirs["model"]:
        logger.warning("%s: of an earlier version: its frozen weights are not compared", checkpoint)
    for name, change in changes:
        note = "%s: %s, so that the result is not that of one run with these settings"
        logger.warning(note, change, CHANGEABLE[name])


def _pairs(ours: dict[str, Any], theirs: dict[str, Any]):
    """``(where, name, ours, theirs)`` of each condition that both runs wrote down."""
    for where in ours.keys() & theirs.keys():
        mine, other = ours[where], theirs[where]
        if not (isinstance(mine, dict) and isinstance(other, dict)):
            yield where, "", mine, other
            continue
        for name in sorted(mine.keys() & other.keys()):
            yield where, name, mine[name], other[name]


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def data_hash(dataset: Dataset) -> str:
    """Hash what a data set holds, however it is stored: names, rows and their order.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_list([{"text": "a", "input_ids": [1, 2]}] * 3)
        >>> data_hash(rows) == data_hash(rows.select([2, 1, 0]))
        True
        >>> data_hash(rows) == data_hash(rows.select([0, 1]))
        False
    """
    digest = hashlib.blake2b(digest_size=16)
    batches: Any = dataset.with_format("arrow").iter(batch_size=1000)
    for batch in batches:
        for name in sorted(batch.column_names):
            digest.update(name.encode())
            column = batch.column(name).combine_chunks()  # how it is cut depends on the storage
            for chunk in getattr(column, "chunks", [column]):
                _update(digest, chunk)
    return digest.hexdigest()


def _update(digest: Any, array: Any) -> None:
    """Add an Arrow array to a hash by its values, at the speed of arrays where they are numbers."""
    kind = array.type
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and not array.null_count:
        _update(digest, array.value_lengths())
        _update(digest, array.flatten())
    elif (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and not array.null_count:
        digest.update(array.to_numpy(zero_copy_only=False).tobytes())
    else:
        digest.update(json.dumps(array.to_pylist(), default=str).encode())


def _model(model: Any) -> dict[str, Any]:
    """What identifies the model that the run starts from; its trained weights are no part of it."""
    peft = getattr(model, "peft_config", None) or {}
    config = getattr(model, "config", None)
    quantized = getattr(config, "quantization_config", None)
    return {
        "checkpoint": Path(name_of(model)).name,
        "type": getattr(config, "model_type", type(model).__name__),
        "lora": {key: _lora(config) for key, config in peft.items()} or None,
        "quantized": None if quantized is None else str(getattr(quantized, "quant_method", "yes")),
        "frozen_in_use": _frozen_hash(model),  # "frozen" of earlier versions had all of them
    }


def name_of(model: Any) -> str:
    """Name or directory of the checkpoint that a model was opened from; may be empty."""
    own = getattr(model, "name_or_path", "")
    return str(own or getattr(getattr(model, "config", None), "name_or_path", ""))


def _lora(config: Any) -> dict[str, Any]:
    """What identifies an adapter: LoRA's sizes, and all settings of another method of PEFT."""
    targets = getattr(config, "target_modules", None)
    targets = targets if isinstance(targets, str) else sorted(targets or ())
    if config.peft_type == PeftType.LORA:
        sizes = {"r": config.r, "alpha": config.lora_alpha, "dropout": config.lora_dropout}
        return {**sizes, "targets": targets}
    passing = ("base_model_name_or_path", "inference_mode", "target_modules")
    found = {name: value for name, value in vars(config).items() if name not in passing}
    found = {n: sorted(v, key=str) if isinstance(v, set) else v for n, v in found.items()}
    return {**found, "peft_type": str(config.peft_type.value), "targets": targets}


def _frozen_hash(model: Any) -> str | None:
    """Hash a sample of the weights that no checkpoint of the run holds, since they do not change.

    PEFT keeps a copy of what ``modules_to_save`` trains, as drawn: it is never computed with.

    Returned is ``None`` where there are none, or where ZeRO-3 holds parts of them only.
    """
    if any(hasattr(weight, "ds_id") for weight in model.parameters()):
        return None  # parts of some are kept whole: a hash of those would vary with the engine
    digest, count = hashlib.blake2b(digest_size=16), 0
    for name, weight in sorted(model.named_parameters()):
        if weight.requires_grad or not weight.is_floating_point() or not weight.numel():
            continue
        if "original_module" in name.split("."):
            continue
        values = weight.detach().reshape(-1)
        values = values[:: max(1, len(values) // _SAMPLED_VALUES)].to("cpu", torch.float32)
        digest.update(name.encode() + values.contiguous().numpy().tobytes())
        count += 1
    return digest.hexdigest() if count else None
