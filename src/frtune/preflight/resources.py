"""Whether the run's checkpoints fit on the disk, and its training in the memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

from frtune.errors import InputError
from frtune.models.compatibility import QUANTIZED, Method, Sharding
from frtune.planning.activations import Casting, Step, activations
from frtune.planning.memory import memory, trained
from frtune.planning.parameters import Architecture, Parameters, count
from frtune.planning.plan import CONTEXT, plan
from frtune.preflight.schedule import Schedule

if TYPE_CHECKING:
    from frtune.tasks.base import Task

SPARE = 1.05  # tokenizer, trainer state and the file system's own


def sharding_of(args: Any) -> Sharding:
    """The sharding that the arguments ask for."""
    config = getattr(args, "hf_deepspeed_config", None)
    if config is None:
        return "none" if args.world_size * max(1, args.n_gpu) == 1 else "ddp"
    stage = config.get_value("zero_optimization.stage", 0)
    offload = config.is_offload()
    if stage == 3:
        return "zero3_offload" if offload else "zero3"
    return "zero2_offload" if offload else "zero2"


def checkpoint_bytes(parameters: Parameters, method: Method, args: Any) -> tuple[int, int]:
    """Bytes of a checkpoint during training, and of the model directory's weights at the end."""
    count = trained(parameters, method)
    size = 2 if sharding_of(args).startswith("zero") and args.bf16 else 4
    weights = size * count
    states = 0 if args.save_only_model else (12 if args.deepspeed else 8) * count
    return weights + states, weights


def check_disk(
    args: Any, schedule: Schedule, parameters: Parameters, method: Method, *, merge: bool
) -> str:
    """Refuse a run whose checkpoints do not fit beside each other.

    For a moment there is one more than ``save_total_limit``: the newest is written before the
    oldest goes.

    Returns:
        A note with the numbers.

    Raises:
        InputError: Says how much is needed and how much is free.
    """
    each, final = checkpoint_bytes(parameters, method, args)
    saves = schedule.saves(args)
    limit = args.save_total_limit
    kept = saves if limit is None else min(saves, limit + 1)
    merged = 4 * parameters.total if merge else 0
    needed = round(SPARE * (kept * each + final + merged))
    place = _existing(args.output_dir)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise InputError(
            f"output_dir={args.output_dir}: needs {size_text(needed)} for {kept} checkpoints of "
            f"{size_text(each)} and the model, while {size_text(free)} are free on {place}. Pass "
            f"--save-total-limit 1 or --save-only-model true, or choose another disk."
        )
    return (
        f"needs {size_text(needed)} ({kept} checkpoints of {size_text(each)}); "
        f"{size_text(free)} are free"
    )


def _existing(directory: str) -> Path:
    path = Path(directory).absolute()
    return next(folder for folder in [path, *path.parents] if folder.exists())


def size_text(count: float) -> str:
    """Bytes as people read them.

    Example:
        >>> size_text(2_500_000_000), size_text(90_000)
        ('2.5 GB', '90 kB')
    """
    for unit, power in (("GB", 1e9), ("MB", 1e6)):
        if count >= power:
            return f"{count / power:,.1f} {unit}"
    return f"{count / 1e3:,.0f} kB"


def memory_forecast(
    found: Architecture,
    task: Task,
    args: Any,
    *,
    method: Method,
    lora: Any,
    checkpoint: str | os.PathLike[str],
) -> tuple[str, str | None]:
    """Compare what ``frtune plan`` expects with the memory of this machine.

    Returns:
        A note, and a warning if the longest batch does not fit.
    """
    processes = args.world_size * max(1, args.n_gpu)
    on_gpu = args.device.type == "cuda"
    room = torch.cuda.mem_get_info()[1] if on_gpu else _host_bytes() // processes
    place = "the GPU" if on_gpu else "this host, free for each process"
    sharding, precision = sharding_of(args), "bf16" if args.bf16 or args.fp16 else "fp32"
    casting: Casting = (
        "fp32" if precision == "fp32" else "bf16" if sharding.startswith("zero") else "autocast"
    )
    batch = args.per_device_train_batch_size
    step = Step(batch, task.max_source_tokens, task.max_target_tokens)
    kept = activations(found, step, lora=None if method == "full" else lora, casting=casting)
    states = memory(count(found, lora), method, sharding, gpus=processes, precision=precision)
    used = kept.recomputed if args.gradient_checkpointing else kept.saved
    used += kept.loss - (kept.weight_copies if method in QUANTIZED else 0)
    peak = states.states + states.buffers + used + (CONTEXT if on_gpu else 0)
    note = f"about {size_text(peak)} at most, of {size_text(room)} on {place}"
    if peak <= room:
        return note, None
    best = plan(
        checkpoint, task=task, gpus=processes, gpu_memory=room, batch=batch, precision=precision
    ).recommended
    way = f"frtune plan recommends: {best.command}" if best else "Lower the batch or the tokens"
    return note, f"the longest batch may run out of memory. {way}"


def _host_bytes() -> int:

    return int(psutil.virtual_memory().available)
