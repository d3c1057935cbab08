"""What to say when the disk or the memory is full."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate.utils.memory import should_reduce_batch_size

from frtune.errors import InputError
from frtune.models.families import family_for
from frtune.training.atomic_checkpoints import checkpoints

if TYPE_CHECKING:
    from frtune.training.trainer import TaskTrainer

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# safetensors and torch report the operating system's error in words
_FULL_WORDS = ("os error 28", "os error 122", "os error 27", "file write failed", "unexpected pos")
_SPARE = 1.05  # tokenizer, states and the file system's own needs


class DiskFullError(RuntimeError):
    """A checkpoint did not fit on the disk; the message says how much is needed."""


class MemoryFullError(RuntimeError):
    """Memory ran out; the message names the step and the batch, and what to try."""


def checkpoint_bytes(trainer: TaskTrainer) -> int:
    """About how large a checkpoint of this run is: saved weights, and AdamW's two states.

    Under ZeRO-3 each process sees the full sizes, though it holds a part.
    """
    weights = states = 0
    adapter = hasattr(trainer.model, "peft_config")
    for weight in trainer.model.parameters():
        numel = getattr(weight, "ds_numel", weight.numel())
        if weight.requires_grad or not adapter:
            weights += numel * weight.element_size()
        if weight.requires_grad:
            # two moments, and under DeepSpeed the weights once more, all in fp32
            states += numel * 4 * (3 if trainer.is_deepspeed_enabled else 2)
    return int((weights + (0 if trainer.args.save_only_model else states)) * _SPARE)


def check_disk(trainer: TaskTrainer) -> None:
    """Refuse to start where not even one checkpoint fits beside the finished model.

    Raises:
        InputError: With what is needed and what is free.
    """
    if trainer.args.save_strategy == "no":
        return
    needed, free = checkpoint_bytes(trainer), free_bytes(trainer.args.output_dir)
    if needed > free:
        raise InputError(
            f"output_dir={trainer.args.output_dir}: a checkpoint takes about {size(needed)}, and "
            f"{size(free)} are free. Make room, give another place, or pass --save-only-model "
            "(without --resume then) or --lora."
        )


def disk_full(error: BaseException, trainer: TaskTrainer, checkpoint: Path) -> DiskFullError | None:
    """What to raise in place of ``error`` if it says that the disk is full, else ``None``."""
    if not is_disk_full(error):
        return None

    before = [path.name for path in checkpoints(checkpoint.parent)]
    kept = f"{before[0]} is whole: make room and pass --resume" if before else "Make room"
    return DiskFullError(
        f"{checkpoint}: the disk is full. A checkpoint takes about "
        f"{size(checkpoint_bytes(trainer))}, and {size(free_bytes(checkpoint.parent))} are free. "
        f"{kept}, or pass --save-total-limit 1 to keep fewer."
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk is full.

    Example:
        >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device"))
        True
        >>> is_disk_full(OSError(errno.ENOENT, "No such file"))
        False
    """
    for found in _chain(error):
        if isinstance(found, OSError) and found.errno in _FULL:
            return True
        if not isinstance(found, OSError) and any(word in str(found) for word in _FULL_WORDS):
            return True
    return False


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def free_bytes(directory: str | os.PathLike[str]) -> int:
    """Bytes that are free where ``directory`` is, or will be."""
    place = Path(directory).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def size(count: float) -> str:
    """Write a number of bytes for people.

    Example:
        >>> size(1_234_567), size(2.5e9), size(800)
        ('1.2 MB', '2.5 GB', '0.0 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


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


def memory_full(trainer: TaskTrainer, phase: str) -> MemoryFullError:
    """Say at which step, batch and length memory ran out, and what needs less."""
    args, shape, model = trainer.args, trainer.batch_shape, cast(Any, trainer.model)
    batch = f" with a batch of {shape[0]} rows x {shape[1]} tokens" if shape else ""
    if phase == "training":
        where = f"at step {trainer.state.global_step + 1}"
        rows, steps = args.per_device_train_batch_size, args.gradient_accumulation_steps
        smaller = (
            f"--per-device-train-batch-size {rows // 2} --gradient-accumulation-steps {steps * 2} "
            "(the same rows a step)"
            if rows > 1
            else "a smaller --max-source-tokens"
        )
        can = family_for(model.config.model_type).gradient_checkpointing
        others = [
            *(
                []
                if args.gradient_checkpointing or not can
                else ["--activation-checkpointing true"]
            ),
            *([] if hasattr(model, "peft_config") else ["--lora"]),
        ]
        ways = ", ".join([smaller, *others])
    else:
        where = f"in {phase} after step {trainer.state.global_step}"
        ways = f"--per-device-eval-batch-size {max(1, args.per_device_eval_batch_size // 2)}"
    name = getattr(model, "name_or_path", "") or model.config.name_or_path
    return MemoryFullError(
        f"memory ran out {where}{batch}. Try {ways}; "
        f"frtune plan --checkpoint {name} says what fits."
    )
