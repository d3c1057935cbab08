"""What the benchmarks of utilisation count, and where the one of GPUs does not run."""

from __future__ import annotations

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
    from _gpu_fast import count_flops

    asked = {"checkpoint": "EleutherAI/polyglot-ko-1.3b", "family": "polyglot", "quick": True,
             "length": 32, "method": "lora"}  # fmt: skip
    square, linear, rest = count_flops(asked)["curve"]
    assert square > 0
    assert linear > 100 * square
    assert abs(rest) < 1
    long = square * 32**2 + linear * 32
    square, linear, _ = count_flops({**asked, "method": "full"})["curve"]
    # two of three products, and all of the attention's
    assert 0.6 < long / (square * 32**2 + linear * 32) < 0.85


def test_operations_are_grouped_by_what_they_do():
    from _flops import group_of

    assert group_of("aten::mm") == group_of("aten::addmm") == "linear layers' products"
    assert group_of("aten::bmm") == "attention products"
    assert group_of("aten::native_dropout") == "dropout"
    assert group_of("aten::_fused_adamw_") == "optimizer and clipping"


def test_without_a_gpu_the_benchmark_says_so():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    from _gpu_correct import hardware

    said = hardware({"device": "cuda"})["not measured"]
    assert "no CUDA device here" in said
