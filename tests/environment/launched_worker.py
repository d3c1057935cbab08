"""Answers once from two processes, then loses one of them: started by ``torchrun``.

torchrun --nproc-per-node 2 tests/environment/launched_worker.py DIRECTORY
"""

from __future__ import annotations

import sys

import torch.distributed as dist

from frtune import cli
from frtune.errors import InputError


def main(directory: str) -> int:
    """Predict with the model in ``directory``; then the second process refuses a row."""
    if code := cli.main(["predict", directory, "--text", "A library."]):
        return code
    return cli.exit_code(lose_one, name="frtune")


def lose_one() -> None:
    """End one process while the other waits for it."""
    dist.init_process_group("gloo")
    dist.barrier()
    if dist.get_rank() == 1:
        raise InputError("row 7: what the user must read.")
    dist.barrier()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
