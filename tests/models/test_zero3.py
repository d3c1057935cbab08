import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from frtune.models.loading import load_saved
from tasks import Generate

WORKER = Path(__file__).with_name("zero3_worker.py")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("family", "mode"), [("polyglot", "lora"), ("polyglot", "full"), ("gptj", "lora")]
)
def test_new_tokens_train_save_and_reload_under_zero3(tiny, tmp_path, family, mode):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
        "--master-port", str(free_port()), str(WORKER), str(tiny(family)), str(tmp_path), mode,
    ]  # fmt: skip
    run = subprocess.run(
        command,
        cwd=WORKER.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    # a ZeRO-3 process may abort after its work is done: what counts is what it left
    assert (tmp_path / "rank0.json").is_file(), run.stderr[-3000:]
    ranks = [json.loads((tmp_path / f"rank{i}.json").read_text()) for i in (0, 1)]
    assert ranks[0] == ranks[1]
    assert ranks[0]["rows"] >= ranks[0]["tokens"]
    moved = ranks[0]["moved"]
    if mode == "lora":
        assert len([name for name in moved if "trainable_tokens_delta" in name]) == 2
        assert all("lora_" in name or "trainable_tokens_delta" in name for name in moved)
        saved = load_file(tmp_path / "saved" / "adapter_model.safetensors")
        assert all(min(tensor.shape) > 0 for tensor in saved.values())
        assert max(tensor.shape[0] for tensor in saved.values()) < ranks[0]["tokens"]
    model, _ = load_saved(tmp_path / "saved", Generate())
    seen = torch.load(tmp_path / "logits.pt")
    with torch.no_grad():
        assert torch.allclose(model(input_ids=seen["probe"]).logits, seen["logits"], atol=1e-4)
