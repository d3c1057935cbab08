"""The pages show what the benchmarks wrote down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("name", "columns"), [("README.md", 4), ("docs/performance.md", 6)])
def test_a_page_shows_the_results_that_are_kept(name, columns, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from table import filled, sections

    page = (ROOT / name).read_text(encoding="utf-8")
    assert "benchmarks/table.py: speed" in page
    assert filled(page, sections(columns)) == page, "run: python benchmarks/table.py --write"
    for module in ("table", "_compare"):
        sys.modules.pop(module, None)
