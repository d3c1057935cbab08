"""What ``torchrun``, ``deepspeed`` or ``accelerate launch`` tells the processes it starts."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

# by which libraries know that they are one of several processes
_GROUP = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "LOCAL_SIZE",
    "ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP",
)  # fmt: skip
# in the environment of processes that frtune itself started: it repeats their last line
TOLD = "FRTUNE_STARTED_BY_FRTUNE"
# in the environment where the command has --debug
DEBUG = "FRTUNE_DEBUG"
# gloo raises a plain RuntimeError, others one of torch.distributed
_LOST = ("by peer", "gloo/transport", "DistBackendError", "DistNetworkError", "DistStoreError")


def place_in_launch() -> tuple[int, int]:
    """Rank of this process and number of processes; ``(0, 1)`` where nothing launched it.

    Example:
        >>> place_in_launch()
        (0, 1)
    """
    rank, processes = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if not (rank.isdecimal() and processes.isdecimal()):
        return 0, 1
    return int(rank), int(processes)


def is_launched() -> bool:
    """Whether a launcher started this process, be it as the only one.

    ``accelerate launch`` tells a process that is alone its settings, and no rank.
    """
    return "RANK" in os.environ or "ACCELERATE_MIXED_PRECISION" in os.environ


def leave_launch() -> None:
    """Make this process one that works alone, before a library starts a group with the others."""
    for name in _GROUP:
        os.environ.pop(name, None)


def tell_launcher(message: str) -> bool:
    """Give ``torchrun`` and ``accelerate launch`` the line that their summary, the last, repeats.

    Returns whether it is the only one to say it, as ``frtune`` is where it started this process.

    The file and its format are those of ``torch.distributed.elastic``'s ``ErrorHandler``.
    """
    place = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not place:
        return False
    content = {"message": message, "extraInfo": {"timestamp": str(int(time.time()))}}
    with contextlib.suppress(OSError):
        Path(place).write_text(json.dumps({"message": content}), encoding="utf-8")
        return TOLD in os.environ
    return False


def is_lost_peer(error: BaseException) -> bool:
    """Tell whether an error says that another process of the launch ended."""
    words = f"{type(error).__name__}: {error}"
    several = place_in_launch()[1] > 1
    return several and isinstance(error, RuntimeError) and any(part in words for part in _LOST)
