"""What DeepSpeed compiles on first use: a killed compilation leaves a lock that is waited for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from torch.utils.cpp_extension import get_default_build_root

from frtune.errors import InputError


def check_no_abandoned_locks() -> None:
    """Refuse to train where a compilation would wait for ever.

    Raises:
        InputError: If a lock lies in ``TORCH_EXTENSIONS_DIR`` that no process here holds.
    """
    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    # of one kind of torch each, where the folder is PyTorch's own
    for lock in [*root.glob("*/lock"), *root.glob("*/*/lock")]:
        if sys.platform == "linux" and not _is_open(lock):
            raise InputError(
                f"{lock}: left by a compilation that was killed, and would be waited for without "
                "end. Delete the file, unless another machine compiles there now."
            )


def _is_open(path: Path) -> bool:
    """Whether a process of this user has a file open: who compiles keeps the lock so."""
    wanted = os.path.realpath(path)
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == wanted:
                return True
        except OSError:  # the process has ended, or closed it
            continue
    return not path.exists()  # released meanwhile
