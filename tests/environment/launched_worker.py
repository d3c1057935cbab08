"""Answers and scores in two processes, then loses one of them: started by ``torchrun``.

torchrun --nproc-per-node 2 tests/environment/launched_worker.py MODELS FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch.distributed as dist

from frtune import cli
from frtune.errors import InputError


def commands(saved: Path, folder: Path) -> list[list[str]]:
    """What answers and scores: to the screen, to a file, and to a directory."""
    rows = ["--file", str(folder.parent / "rows.txt"), "--batch-size", "2", "--no-bf16"]
    data = ["--data", "sample", "--max-rows", "5", "--batch-size", "2", "--no-bf16"]
    return [
        ["predict", str(saved / "classification"), *rows],
        ["predict", str(saved / "keyphrases"), *rows, "--output", str(folder / "keyphrases.jsonl")],
        ["predict", str(saved / "keyphrases"), *rows, "--votes", "3",
         "--output", str(folder / "votes.jsonl")],
        ["evaluate", str(saved / "keyphrases"), *data, "--output-dir", str(folder)],
    ]  # fmt: skip


def main(saved: str, folder: str) -> int:
    """Answer with the models in ``saved``; then the second process refuses a row."""
    dist.init_process_group("gloo")  # anew for each command, gloo would not find its peers
    for words in commands(Path(saved), Path(folder)):
        if code := cli.main(words):
            return code
    return cli.exit_code(lose_one, name="frtune")


def lose_one() -> None:
    """End one process while the other waits for it."""
    dist.barrier()
    if dist.get_rank() == 1:
        raise InputError("row 7: what the user must read.")
    dist.barrier()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
