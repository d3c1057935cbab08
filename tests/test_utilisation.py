"""What the benchmarks of utilisation count, and where the one of GPUs does not run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.mark.parametrize(("rows", "length"), [(8, 32), (1, 8)])
def test_the_formula_of_a_step_is_what_torch_counts(rows, length):
    from utilisation import counted, formula, make_config

    config = make_config(True)
    assert formula(config, rows, length) == counted(True, rows, length) > 0
    config.num_hidden_layers += 1  # the formula tells shapes apart
    assert formula(config, rows, length) != counted(True, rows, length)


def test_a_frozen_base_under_lora_has_fewer_flops_and_a_row_grows_as_its_square():
    from gpu import flops

    asked = {"checkpoint": "EleutherAI/polyglot-ko-1.3b", "family": "polyglot", "quick": True,
             "length": 32, "method": "lora"}  # fmt: skip
    short, long = flops(asked, [8], 0), flops(asked, [32], 0)
    assert long == pytest.approx(flops(asked, [32, 8], 0) - short)
    assert long > 4 * short
    full = flops({**asked, "method": "full"}, [32], 0)
    assert 0.6 < long / full < 0.85  # two of three products, and all of the attention's


def test_operations_are_grouped_by_what_they_do():
    from _flops import group_of

    assert group_of("aten::mm") == group_of("aten::addmm") == "linear layers' products"
    assert group_of("aten::bmm") == "attention products"
    assert group_of("aten::native_dropout") == "dropout"
    assert group_of("aten::_fused_adamw_") == "optimizer and clipping"


def test_without_a_gpu_the_benchmark_says_so(capsys, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    from gpu import main

    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no CUDA device here" in line
