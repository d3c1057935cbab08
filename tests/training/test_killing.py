"""Training that is killed again and again ends as training that was left alone."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from frtune.training.deepspeed_checkpoints import safe_deepspeed

WORKER = Path(__file__).with_name("kill_worker.py")
KILLS = 10


def killed(checkpoint, folder, rows, *kinds) -> dict:
    rows.select_columns(["text", "keyphrases"]).to_json(folder / "rows.jsonl", force_ascii=False)
    command = [sys.executable, str(WORKER), str(checkpoint), str(folder), str(KILLS), *kinds]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check_end(found: dict) -> None:
    assert found["kills"] == KILLS
    assert found["while saving"] > 0
    assert set(found["exit codes"]) == {143}  # of a SIGTERM to one of the processes
    assert not [name for name in found["left"] if name.startswith((".", "damaged"))]


@pytest.mark.slow
def test_killed_training_ends_with_the_same_weights_bit_by_bit(tiny, rows, tmp_path):
    found = killed(tiny("t5"), tmp_path, rows, "full", "lora", "deciding")
    assert set(found) == {"full", "lora", "deciding"}
    for kind in found.values():
        check_end(kind)
        assert kind["largest difference"] == 0
        assert kind["same report"]
    assert found["deciding"]["steps"] == [16, 16]  # early stopping


@pytest.mark.distributed
def test_killed_zero2_training_ends_with_the_same_weights_within_tolerance(tiny, rows, tmp_path):
    found = killed(tiny("t5"), tmp_path, rows, "zero2")["zero2"]
    check_end(found)
    assert found["largest difference"] < 1e-6


@pytest.mark.distributed
def test_deepspeed_opens_its_files_without_executing_them(tmp_path):
    from deepspeed.runtime.checkpoint_engine.torch_checkpoint_engine import TorchCheckpointEngine
    from deepspeed.runtime.zero.config import ZeroStageEnum

    class Malicious:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    engine = TorchCheckpointEngine()
    torch.save({"state": Malicious()}, tmp_path / "bad.pt")
    with safe_deepspeed():
        torch.save({"stage": ZeroStageEnum(2), "state": torch.ones(2)}, tmp_path / "good.pt")
        assert engine.load(str(tmp_path / "good.pt"))["stage"] == 2
        with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
            engine.load(str(tmp_path / "bad.pt"))
    assert not (tmp_path / "executed").exists()
