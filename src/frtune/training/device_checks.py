"""Several GPUs in one process, which ``Trainer`` makes ``nn.DataParallel`` of: refused."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from frtune.environment.torchrun import torchrun_words
from frtune.errors import InputError


def check_devices(args: Any, model: Any = None) -> None:
    """Refuse (``InputError``) arguments by which one process would train on several GPUs.

    ``nn.DataParallel`` multiplies loss and gradients by their number, and leaves autocast off.

    Args:
        args: ``TrainingArguments``.
        model: One whose layers stand on several devices is computed as it is.
    """
    places = getattr(model, "hf_device_map", None) or {}
    if args.n_gpu < 2 or len({*places.values()} - {"cpu", "disk"}) > 1:
        return
    raise InputError(
        f"args: {args.n_gpu} GPUs in one process, where loss and gradients would be multiplied by "
        f"{args.n_gpu}. Start a process for each: {launch_command(args.n_gpu, sys.argv)}. Or set "
        "CUDA_VISIBLE_DEVICES=0, and take one."
    )


def launch_command(processes: int, typed: Sequence[str]) -> str:
    """What to type to start the running program with ``torchrun``.

    Args:
        processes: How many.
        typed: ``sys.argv``.

    Example:
        >>> launch_command(2, ["train.py", "--data", "my rows.csv"])
        "torchrun --standalone --nproc-per-node 2 train.py --data 'my rows.csv'"
    """
    name, words = typed[0] if typed else "", typed[1:]
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.origin == name:  # python -m
        program = ["-m", spec.name.removesuffix(".__main__"), *words]
    elif Path(name).name == "frtune":
        program = ["-m", "frtune", *words]
    elif name.endswith(".py") and "ipykernel" not in name:
        program = [name, *words]
    else:  # a notebook, or typed in
        program = ["script.py"]
    return shlex.join(["torchrun", *torchrun_words(processes, program)])
