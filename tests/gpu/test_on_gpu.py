"""Training on a CUDA GPU: each row of the benchmark's first part is right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
from _gpu_rows import correct  # noqa: E402

sys.path.remove(str(BENCHMARKS))
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    output = tmp_path_factory.mktemp("gpu")
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--part", "correct"]
    subprocess.run([*command, "--output", str(output)], check=False, timeout=500)
    lines = (output / "gpu.jsonl").read_text(encoding="utf-8").splitlines()
    return {line["row"]: line for line in map(json.loads, lines)}


@pytest.mark.parametrize("name", [row.name for row in correct(quick=False)])
def test_the_gpu_is_right(results, name):
    found = results[name]
    if "is not installed" in found.get("not measured", ""):
        pytest.skip(found["not measured"])
    assert "not measured" not in found
    assert "wrong" not in found
