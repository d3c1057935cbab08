"""The pages show what the benchmarks wrote down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("README.md", "quoted"),
        ("docs/performance.md", "headlines"),
        ("docs/performance.md", "speed"),
        ("docs/performance.md", "serve"),
        ("docs/performance.md", "floor"),
        ("docs/keywords.md", "reading"),
        ("docs/classification.md", "several"),
        ("docs/review.md", "review"),
        ("docs/learning_curve.md", "curve"),
        ("docs/tune.md", "tuning"),
        ("docs/study.md", "states"),
        ("docs/quantization.md", "quantised"),
    ],
)
def test_a_page_shows_the_results_that_are_kept(name, section, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from table import filled, sections

    page = (ROOT / name).read_text(encoding="utf-8")
    assert f"benchmarks/table.py: {section}" in page
    assert filled(page, sections()) == page, "run: python benchmarks/table.py --write"
    kept = (
        "table", "_compare", "keyword_reading", "several_labels", "review", "learning_curve",
        "tuning", "scores",
    )  # fmt: skip
    for module in kept:
        sys.modules.pop(module, None)
