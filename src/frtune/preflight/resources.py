"""Whether the run's checkpoints fit on the disk, and its training in the memory."""

from __future__ import annotations

import os
from typing import Any

import psutil
import torch

from frtune.environment.disk import check_disk, size_text
from frtune.models.compatibility import QUANTIZED, Method, Sharding
from frtune.planning.activations import Step, activations, casting_of
from frtune.planning.memory import memory, trained
from frtune.planning.parameters import Architecture, Parameters, count
from frtune.planning.plan import CONTEXT, plan
from frtune.preflight.schedule import Schedule
from frtune.tasks.base import Task
from frtune.training.batching import groups_by_length, uncut
from frtune.training.in_force import deepspeed_config
from frtune.training.in_force import precision as precision_of
from frtune.training.step_cuts import FAST_CPU

SPARE = 1.05  # tokenizer, trainer state and the file system's own


def sharding_of(args: Any) -> Sharding:
    """The sharding that the arguments ask for."""
    config = deepspeed_config(args)
    if config is None:
        return "none" if args.world_size * max(1, args.n_gpu) == 1 else "ddp"
    if config.get_value("zero_optimization.stage", 0) == 3:
        return "zero3_offload" if config.is_offload() else "zero3"
    return "zero2_offload" if config.is_offload() else "zero2"


def checkpoint_bytes(parameters: Parameters, method: Method, args: Any) -> tuple[int, int]:
    """Bytes of a checkpoint during training, and of the model directory's weights at the end."""
    count = trained(parameters, method)
    size = 2 if sharding_of(args).startswith("zero") and precision_of(args) != "fp32" else 4
    weights = size * count
    states = 0 if args.save_only_model else (12 if deepspeed_config(args) else 8) * count
    return weights + states, weights


def disk_forecast(
    args: Any, schedule: Schedule, parameters: Parameters, method: Method, *, merge: bool
) -> str:
    """Refuse a run whose checkpoints do not fit beside each other, else note the numbers.

    For a moment there is one more than ``save_total_limit``: the newest is written before the
    oldest goes.

    Raises:
        InputError: Says how much is needed and how much is free.
    """
    each, final = checkpoint_bytes(parameters, method, args)
    saves, limit = schedule.saves(args), args.save_total_limit
    kept = saves if limit is None else min(saves, limit + 1)
    needed = round(SPARE * (kept * each + final + (4 * parameters.total if merge else 0)))
    return check_disk(
        args.output_dir,
        needed,
        f"needs {size_text(needed)} for {kept} checkpoints of {size_text(each)} and the model",
        "Pass --save-total-limit 1 or --save-only-model true, or choose another disk.",
    )


def memory_forecast(
    found: Architecture,
    task: Task,
    args: Any,
    *,
    method: Method,
    lora: Any,
    checkpoint: str | os.PathLike[str],
    budget: int | None = None,
) -> tuple[str, str | None]:
    """Set ``frtune plan`` against this machine: a note, and a warning if training does not fit.

    A step that is cut needs the memory of one of the longest rows; one that is not, of a batch.
    ``budget`` is ``max_tokens_per_batch``.
    """
    processes = args.world_size * max(1, args.n_gpu)
    on_gpu = args.device.type == "cuda"
    host = psutil.virtual_memory().available // processes
    available = torch.cuda.mem_get_info()[1] if on_gpu else host
    place = "the GPU" if on_gpu else "this host, free for each process"
    sharding, precision = sharding_of(args), precision_of(args)
    casting = casting_of(precision, sharding)
    states = memory(count(found, lora), method, sharding, gpus=processes, precision=precision)
    target = task.max_target_tokens
    tokens = task.max_source_tokens + (target if found.family.kind == "decoder" else 0)
    batch = rows = args.per_device_train_batch_size
    cuts = uncut(args) is None and (budget is not None or not groups_by_length(args))
    if cuts and budget is not None:
        rows = max(1, min(batch * args.gradient_accumulation_steps, budget // tokens))
    elif cuts and not on_gpu:
        rows = max(1, min(batch, FAST_CPU // tokens))

    def peak(rows: int) -> int:
        step = Step(rows, task.max_source_tokens, target)
        kept = activations(found, step, lora=None if method == "full" else lora, casting=casting)
        used = kept.recomputed if args.gradient_checkpointing else kept.saved
        used += kept.loss - (kept.weight_copies if method in QUANTIZED else 0)
        return states.states + states.buffers + used + (CONTEXT if on_gpu else 0)

    needed = peak(rows)
    note = f"about {size_text(needed)} at most, of {size_text(available)} on {place}"
    if needed <= available:
        return note, None
    while cuts and (rows := rows // 2):
        if peak(rows) <= available:
            fits = rows * tokens
            return f"{note}; fits with cuts of {fits} tokens (--max-tokens-per-batch {fits})", None
    options: Any = {"gpus": processes, "gpu_memory": available, "precision": precision}
    best = plan(checkpoint, task=task, batch=batch, **options).recommended
    way = f"frtune plan recommends: {best.command}" if best else "Lower the batch or the tokens"
    what = "one of the longest rows" if cuts else "the longest batch"
    return note, f"{what} may run out of memory. {way}"
