"""The end of a run with several processes."""

from __future__ import annotations


def leave() -> None:
    """Wait for all ranks and close the process group; does nothing in a single process.

    DeepSpeed processes may abort while the interpreter shuts down with the group still open.
    """
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
