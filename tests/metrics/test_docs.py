import doctest
from pathlib import Path


def test_outputs_on_the_metrics_page_are_true():
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert result.attempted > 20
    assert result.failed == 0
