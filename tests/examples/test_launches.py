"""The keyphrase example under every launcher, on two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import frtune

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ZERO3 = ROOT / "deepspeed_configs" / "zero3.json"
PORT = str(29_500 + os.getpid() % 1_000)
LAUNCHERS = {
    "python": [sys.executable],
    "torchrun": [BIN / "torchrun", "--nproc-per-node", "2", "--master-port", PORT],
    "accelerate": [
        # with --cpu it would start one process
        BIN / "accelerate", "launch", "--multi_gpu", "--num_processes", "2",
        "--main_process_port", PORT,
    ],
    "deepspeed": [BIN / "deepspeed", "--num_gpus", "2", "--master_port", PORT],
}  # fmt: skip

pytestmark = pytest.mark.distributed


def launch(launcher: str, directory: Path, *options: str) -> dict[str, float]:
    """Run two steps of the example, and return the scores that it printed once."""
    command = [
        *LAUNCHERS[launcher], ROOT / "examples" / "train_kpg.py", "--output-dir", directory,
        "--max-steps", "2", "--max-rows", "9", "--batch-size", "2", "--max-source-tokens", "64",
        "--max-target-tokens", "8",
    ]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in (*command, *options)],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        },
    )
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr[-4000:]}"
    printed = done.stdout.split("\n{\n")
    assert len(printed) == 2, "the scores are printed once, by rank 0"
    return json.loads("{" + printed[1].split("\n}")[0] + "}")


def check_answers(directory: Path) -> None:
    answer = frtune.load(directory).predict("The mayor opened a library.")
    assert list(answer[0]) == ["text", "keyphrases"]


# the combinations of memory levers are lived through in tests/test_cells.py
@pytest.mark.parametrize(
    ("launcher", "options"),
    [
        ("python", ["--family", "t5"]),
        ("torchrun", ["--family", "polyglot", "--lora", "--int8"]),
        ("accelerate", ["--family", "t5"]),
        ("deepspeed", ["--family", "polyglot", "--deepspeed", str(ZERO3)]),
    ],
)
def test_example_runs_under_each_launcher(launcher, options, tmp_path):
    scores = launch(launcher, tmp_path / "run", *options)
    assert 0 <= scores["test_f1_at_10"] <= 1 and scores["test_loss"] > 0
    assert (tmp_path / "run" / "adapter_config.json").exists() == ("--lora" in options)
    # each process keeps its random numbers
    states = list((tmp_path / "run").glob("checkpoint-2/rng_state*"))
    assert len(states) == (1 if launcher == "python" else 2)
    check_answers(tmp_path / "run")
