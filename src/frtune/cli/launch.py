"""On how many GPUs a command runs: a process each under ``torchrun``, one GPU, or the CPU."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from frtune.environment.launcher import DEBUG, is_launched, place_in_launch
from frtune.environment.torchrun import torchrun, torchrun_words
from frtune.errors import InputError

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class LaunchOptions:
    """Where it runs.

    Attributes:
        gpus: GPUs, a process each; 0 is the CPU (default: all visible).
    """

    gpus: int | None = None


def launched(
    words: Sequence[str], gpus: int | None, *, usual: int | None = None, alone: str | None = None
) -> int | None:
    """Start this command on several GPUs, and wait for its end; or settle on one device.

    Called before anything asks CUDA, so that this process holds no memory of a GPU.

    Args:
        words: The command and its arguments.
        gpus: As ``LaunchOptions``.
        usual: The most GPUs to take where ``gpus`` does not say; ``None`` takes all.
        alone: The option that has the command done by one process, if one has.

    Returns:
        The exit code; ``None`` where this process does the work: under a launcher, on one GPU or
        none.

    Raises:
        InputError: For more GPUs than there are, or than the launcher or ``alone`` allow.
    """
    if is_launched():
        _check_launched(gpus)
        return None
    wanted = _wanted(gpus)
    if alone is not None and gpus is not None and gpus > 1:
        raise InputError(f"--gpus {gpus}: not with {alone}, which takes one. Leave it out.")
    if gpus is None and usual is not None:
        wanted = min(wanted, usual)
    if wanted < 2 or alone is not None:
        use_one_device(cpu=gpus == 0)
        return None
    debug = DEBUG in os.environ
    program = ["-m", "frtune", *words, *["--debug"] * debug]
    shown = shlex.join(["torchrun", *torchrun_words(wanted, program)])
    name = f"frtune {words[0]}"
    sys.stderr.write(f"{name}: {wanted} GPUs, a process each; --gpus 1 takes one. As: {shown}\n")
    sys.stderr.flush()
    code, line = torchrun(wanted, program, all_say=debug)
    if line:
        sys.stderr.write(f"{line if line.startswith('frtune') else f'{name}: {line}'}\n")
    return code


def use_one_device(*, cpu: bool = False) -> None:
    """Leave this process one of several visible GPUs, or with ``cpu`` none; a launcher's are left.

    ``Trainer`` would copy the model to each of them (``nn.DataParallel``).
    """
    if is_launched():
        return
    if cpu:
        os.environ[_VISIBLE] = ""
    elif torch.cuda.device_count() > 1:
        os.environ[_VISIBLE] = os.environ.get(_VISIBLE, "0").split(",")[0]


def _wanted(gpus: int | None) -> int:
    """How many GPUs to run on: all that are visible, or as many as were asked for."""
    there = torch.cuda.device_count()
    if gpus == 0:
        if there == 0 and torch.accelerator.is_available():
            raise InputError(
                "--gpus 0: hides NVIDIA's GPUs alone. Pass --use-cpu true to train on the CPU."
            )
        return 0
    if gpus is None or gpus <= there:
        return there if gpus is None else gpus
    if there == 0:
        raise InputError(f"--gpus {gpus}: no GPU is visible here. Leave it out, or pass --gpus 0.")
    told = f" ({_VISIBLE}={os.environ[_VISIBLE]})" if _VISIBLE in os.environ else ""
    raise InputError(f"--gpus {gpus}: {there} are visible{told}. Pass {there}, or leave it out.")


def _check_launched(gpus: int | None) -> None:
    here = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("LOCAL_SIZE")
    processes = int(here) if here else place_in_launch()[1]
    if gpus is not None and gpus != processes:
        raise InputError(
            f"--gpus {gpus}: a launcher started {processes} process{'es' * (processes > 1)} on "
            "this host. Leave it out, and tell the launcher."
        )
