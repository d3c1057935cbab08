"""What to say when the disk or the memory is full."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils.memory import should_reduce_batch_size
from transformers import Trainer

from frtune.environment.disk import check_disk, free_bytes, size_text
from frtune.failures import DiskFullError as DiskFullError
from frtune.failures import is_disk_full as is_disk_full
from frtune.training.atomic_checkpoints import checkpoints
from frtune.training.resume_checks import name_of

_SPARE = 1.05  # tokenizer, states and the file system's own needs


class MemoryFullError(RuntimeError):
    """Memory ran out; the message names the step and the batch, and what to try."""


def checkpoint_bytes(trainer: Trainer) -> int:
    """About how large a checkpoint of this run is: saved weights, and AdamW's two states.

    Under ZeRO-3 each process sees the full sizes, though it holds a part.
    """
    weights = states = 0
    model: Any = trainer.model
    for weight in model.parameters():
        numel = getattr(weight, "ds_numel", weight.numel())
        if weight.requires_grad or not hasattr(model, "peft_config"):
            weights += numel * weight.element_size()
        if weight.requires_grad:
            # two moments, and under DeepSpeed the weights once more, all in fp32
            states += numel * 4 * (3 if trainer.is_deepspeed_enabled else 2)
    return int((weights + (0 if trainer.args.save_only_model else states)) * _SPARE)


def check_room(trainer: Trainer) -> None:
    """Refuse to start where not even one checkpoint fits beside the finished model."""
    if trainer.args.save_strategy == "no":
        return
    check_disk(
        str(trainer.args.output_dir),
        needed := checkpoint_bytes(trainer),
        f"a checkpoint takes about {size_text(needed)}",
        "Make room, give another place, or pass --save-only-model (without --resume then) or "
        "--lora.",
    )


def disk_full(trainer: Trainer, checkpoint: Path) -> DiskFullError:
    """Say which checkpoint did not fit, and which one there is."""
    before = [path.name for path in checkpoints(checkpoint.parent)]
    kept = f"{before[0]} is whole: make room and pass --resume" if before else "Make room"
    return DiskFullError(
        f"{checkpoint}: the disk is full. A checkpoint takes about "
        f"{size_text(checkpoint_bytes(trainer))}, and {size_text(free_bytes(checkpoint.parent))} "
        f"are free. {kept}, or pass --save-total-limit 1 to keep fewer."
    )


def is_memory_full(error: BaseException) -> bool:
    """Whether an error says that a GPU's or the CPU's memory is full.

    Example:
        >>> is_memory_full(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
        True
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if isinstance(error, RuntimeError) and "No executable batch size found" in str(error):
        return True
    return isinstance(error, Exception) and should_reduce_batch_size(error)


def memory_full(trainer: Trainer, phase: str, batch_shape: Sequence[int]) -> MemoryFullError:
    """Say at which step, batch and length memory ran out, and what needs less.

    ``phase`` is ``"training"``, ``"evaluation"`` or ``"prediction"``; ``batch_shape`` has rows and
    tokens of the last batch, and is empty where there was none.
    """
    args, model = trainer.args, cast(Any, trainer.model)
    batch = f" with a batch of {batch_shape[0]} rows x {batch_shape[1]} tokens" * bool(batch_shape)
    if phase == "training":
        where = f"at step {trainer.state.global_step + 1}"
        ways = [_fewer_tokens(trainer, batch_shape)]
        recomputes = getattr(model, "supports_gradient_checkpointing", False)
        if recomputes and not args.gradient_checkpointing:
            ways.append("--activation-checkpointing true")
        if not hasattr(model, "peft_config"):
            ways.append("--lora")
    else:
        where = f"in {phase} after step {trainer.state.global_step}"
        ways = [f"--per-device-eval-batch-size {max(1, args.per_device_eval_batch_size // 2)}"]
    plan = f"; frtune plan --checkpoint {name} says what fits" if (name := name_of(model)) else ""
    return MemoryFullError(f"memory ran out {where}{batch}. Try {', '.join(ways)}{plan}.")


def _fewer_tokens(trainer: Any, batch_shape: Sequence[int]) -> str:
    """What has fewer tokens at once: the same training, where there is a way to have it."""
    args, smaller = trainer.args, "a smaller --max-source-tokens"
    if getattr(trainer, "cut_steps", False):
        rows, tokens = batch_shape or (1, 1)
        cuts = trainer.cut_memory
        if rows > 1 if cuts is None else cuts.batches.can_be_cut(rows):
            return f"--max-tokens-per-batch {rows * tokens // 2} (the same training)"
        return smaller
    rows, steps = args.per_device_train_batch_size, args.gradient_accumulation_steps
    if rows == 1:
        return smaller
    return (
        f"--per-device-train-batch-size {rows // 2} --gradient-accumulation-steps {steps * 2} "
        "(the same rows a step)"
    )
