"""What is planned against what training holds, by the benchmark's own measurement."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "memory_plan.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "method"),
    [
        ("MiniLM", "full"),
        ("pko-t5-base, 2 + 2 layers", "lora"),
        ("pko-t5-base, 2 + 2 layers", "int8"),
    ],
)
def test_states_are_planned_within_15_percent(case, method):
    spec = importlib.util.spec_from_file_location("memory_plan", SCRIPT)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    planned, measured = benchmark.planned(case, method), benchmark.measure(case, method)
    for part in ("weights", "gradients", "optimizer", "states"):
        assert planned[part] == pytest.approx(measured[part], rel=0.15), part
