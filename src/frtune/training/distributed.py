"""What several processes of a run do together."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch

from frtune.environment.launcher import place_in_launch
from frtune.errors import InputError
from frtune.failures import DiskFullError, SavedModelError


def on_main(args: Any, function: Callable[[], Any]) -> Any:
    """Call ``function`` on the main process alone, and return its result on every process.

    Args:
        args: ``TrainingArguments`` of the run; every process must call this.
        function: Its result must be plain: it is sent to the other processes.

    Raises:
        InputError: On every process, if the function raised one.
    """
    if args.world_size == 1:
        return function()

    answer: list[Any] = [None, None]
    if args.process_index == 0:
        try:
            answer[0] = function()
        except InputError as error:
            answer[1] = str(error)
    torch.distributed.broadcast_object_list(answer, src=0, device=args.device)
    if answer[1] is not None:
        raise InputError(answer[1])
    return answer[0]


def fail_together(args: Any, error: Exception | None) -> None:
    """Raise the error of one process on every process; each of them calls this.

    Else the others would wait, at their next common step, for one that has left.

    Args:
        args: ``TrainingArguments`` of the run.
        error: This process's; ``None`` where all went well.

    Raises:
        Exception: This process's own, else the first other one; ``RuntimeError`` where its type is
            not one that the command line tells by.
    """
    mine = None if error is None else (type(error).__name__, str(error))
    answers = [mine] if args.world_size == 1 else gathered([mine])
    if error is not None:
        raise error
    kinds = {each.__name__: each for each in (InputError, DiskFullError, SavedModelError)}
    for kind, message in filter(None, answers):
        raise kinds.get(kind, RuntimeError)(message)


def least(value: int, device: torch.device) -> int:
    """The smallest value of all processes; each of them calls this.

    Args:
        value: This process's, below 2^63.
        device: Where the process group exchanges tensors.
    """
    found = torch.full((), value, dtype=torch.int64, device=device)
    torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MIN)
    return int(found)


@contextlib.contextmanager
def sharing() -> Iterator[bool]:
    """Join the processes of a launch, each on its own GPU, and leave them together.

    For a program in which all of them answer. Says whether there are several. Those that have
    joined already stay so.
    """
    processes = place_in_launch()[1]
    joins = processes > 1 and place_in_group()[1] == 1
    if joins:
        local, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if 0 < there <= local:
            raise InputError(
                f"launcher: process {local} of this host has no GPU, {there} are visible. Start "
                f"{there}, or set CUDA_VISIBLE_DEVICES= for the CPU."
            )
        if there:
            torch.cuda.set_device(local)
        # what is exchanged is on the CPU; one may have much more to do than the others
        torch.distributed.init_process_group("gloo", timeout=timedelta(days=7))
    yield processes > 1
    if joins:
        leave()


def place_in_group() -> tuple[int, int]:
    """Rank of this process and number of processes that have joined each other."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def gathered(mine: Sequence[Any]) -> list[Any]:
    """What all processes of the group have, one after the other; each of them calls this."""
    parts: list[Any] = [None] * place_in_group()[1]
    torch.distributed.all_gather_object(parts, list(mine))
    return [each for part in parts for each in part]


def leave() -> None:
    """Wait for all ranks and close the process group; does nothing in a single process.

    DeepSpeed processes may abort while the interpreter shuts down with the group still open.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
