"""A ratio of times stands in a table only where both ways reached the same quality."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import pytest

OURS = [0.80, 0.82, 0.79, 0.81, 0.80]


@pytest.fixture
def shown(monkeypatch, capsys):
    """What the script prints of a row, and the cells of the page."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    import _compare
    import table

    def show(theirs, ours=OURS, **more):
        runs = {
            name: [{"seconds": seconds, "cpu_seconds": seconds, "accuracy": value} for value in row]
            for name, seconds, row in (("frtune", 1.0, ours), ("peer", 7.0, theirs))
        }
        row = {"what": "w", "goals": {"peer": 1.5}, "runs": runs, "seeds": [*range(len(ours))]}
        row["ratios"] = {"peer": _compare.times_as_long(runs["peer"], runs["frtune"])}
        row |= more
        _compare.report("w.py", [row], Namespace(quick=True))
        return capsys.readouterr().out, table.cells(row, "peer")

    yield show
    kept = ("table", "_compare", "_judge", "pair_classification", "order_of_rows")
    ours = ("keyword_reading", "several_labels", "review", "learning_curve", "tuning", "scores")
    for module in (*kept, *ours):
        sys.modules.pop(module, None)


def test_a_ratio_is_shown_at_equal_quality(shown):
    printed, cells = shown([0.81, 0.81, 0.80, 0.80, 0.80])
    assert "7.00" in printed
    assert cells[3:5] == ["7", "7"]
    assert cells[5] == "accuracy 0.8040 ± 0.0142 / 0.8040 ± 0.0068"
    assert cells[6] == "accuracy +0.0000 (-0.0124 to +0.0124)"


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ([value + 0.005 for value in OURS], "differs"),  # a little better with every seed
        ([value - 0.005 for value in OURS], "differs"),  # or a little worse
        ([0.90, 0.80, 0.70, 0.85, 0.70], "more than 0.01"),  # an interval with zero, but too wide
    ],
)
def test_a_ratio_of_unequal_quality_is_not_shown(shown, theirs, reason):
    printed, cells = shown(theirs)
    assert "not comparable" in printed
    assert reason in printed
    assert cells[3:5] == ["not comparable", ""]
    assert "7" not in "".join([*printed.split("accuracy")[0], *cells[:5]])


def test_quality_that_is_unknown_is_not_equal(shown):
    assert "one seed" in shown([0.8], [0.8])[0]
    runs = {name: [{"seconds": 1, "cpu_seconds": 1}] * 2 for name in ("frtune", "peer")}
    assert "not measured" in shown(OURS, runs=runs)[0]
    runs = {"frtune": [{"texts": "a"}], "peer": [{"texts": "b"}]}
    from _compare import inequality

    assert inequality({"runs": runs}, "peer") == "texts differ"
    assert inequality({"runs": runs, "quality": {"same_labels": 0.99}}, "peer")
    assert not inequality({"runs": {"frtune": runs["frtune"], "peer": runs["frtune"]}}, "peer")


def test_a_peer_on_few_rows_is_judged_by_the_one_that_learns_the_same(shown):
    few = [{"seconds": 7.0, "cpu_seconds": 7.0}] * 5
    ours = [{"seconds": 1.0, "cpu_seconds": 1.0, "accuracy": value} for value in OURS]
    for value, equal in ((0.0, True), (0.01, False)):
        other = [{**run, "accuracy": run["accuracy"] + value} for run in ours]
        runs = {"frtune": ours, "peer": few, "other": other}
        cells = shown(OURS, runs=runs, **{"judged by": {"peer": "other"}})[1]
        assert (cells[3] == "7") is equal
        assert cells[5].endswith("(of other)")


def test_an_order_of_rows_has_its_share_of_the_gain_and_its_difference_to_random(shown):
    import order_of_rows

    def runs(seconds, less):
        return [
            {"seconds": seconds, "cpu_seconds": seconds, "score": value - less, "loss": 0.5}
            for value in OURS
        ]

    found = {
        "random": runs(20.0, 0),
        "like length": runs(10.0, 0.02),
        "random steps": runs(12.5, 0),
    }
    ways = {way: order_of_rows.compared(found, way) for way in order_of_rows.WAYS}
    assert ways["random steps"]["share"] == {"seconds": 0.6, "cpu_seconds": 0.6}
    from table import order

    lines = order({"table": [{"data": "pairs", "score": "accuracy", "ways": ways}]})
    assert "| -2.00 (-2.00 to -2.00) |" in lines[3]
    assert "| +0.00 (+0.00 to +0.00) |" in lines[4]
    assert lines[4].endswith("| 12 | 1.60 | 1.60 | **60 %** / **60 %** |")  # short of 85 %


def test_a_finished_run_is_not_run_again(shown, monkeypatch, tmp_path):
    import _compare

    done = []

    def run(way, threads):
        done.append(way.keywords["seed"])
        return {"accuracy": 0.5}

    monkeypatch.setattr(_compare, "UNFINISHED", tmp_path)
    monkeypatch.setattr(_compare, "run_apart", run)
    args = Namespace(threads=1, quick=False)
    for seed, rows in ((1, 8), (2, 8), (1, 8), (1, 9)):
        key = {"way": "frtune", "seed": seed, "rows": rows}
        assert _compare.run_once(key, print, args) == {"accuracy": 0.5}
    assert done == [1, 2, 1]  # the same run once; other rows are another run
