"""What the results say of several runs, and what a run advises."""

from __future__ import annotations

import json
from functools import partial

import pytest

from frtune.board.folder import BoardFolder
from frtune.board.result_html import advice_html, report_html, scores_html
from frtune.board.translations import WORDS
from frtune.runs.record import Run
from frtune.web.translations import PageLanguage

SAY = partial(PageLanguage(WORDS, "en").say, request=None)


def run(name, low, high, **further):
    given = {"signature": "s", "hashes": {"test": "t"}, "larger_is_better": True} | further
    return Run(
        name, "keywords", "d", rows={}, checkpoint="c", settings={"seed": name}, state="finished",
        score_name="f1", score=(low + high) / 2, low=low, high=high, **given,
    )  # fmt: skip


@pytest.mark.parametrize(
    "second, further, said",
    [
        ((0.1, 0.2), {}, "runs/a is better"),
        ((0.4, 0.5), {}, "overlap"),
        ((0.1, 0.2), {"larger_is_better": False}, "runs/b is better"),
        ((0.1, 0.2), {"hashes": {"test": "other"}}, "cannot be compared"),
    ],
)
def test_intervals_say_which_run_is_better(second, further, said):
    first = run("runs/a", 0.45, 0.6, **{k: v for k, v in further.items() if k != "hashes"})
    html = scores_html([first, run("runs/b", *second, **further)], SAY)
    assert said in html and "seed=runs/b" in html


def test_advice_and_report_are_escaped(tmp_path):
    folder, evil = BoardFolder(tmp_path), "<img src=x onerror=alert(1)>"
    (tmp_path / "a").mkdir()
    assert advice_html(folder, run("a", 0.1, 0.2)) == ""
    step = {"because": f"It is {evil}.", "do": "Do this."}
    (tmp_path / "a/next_steps.json").write_text(json.dumps([step]))
    (tmp_path / "a/report.html").write_text(evil)
    shown = advice_html(folder, run("a", 0.1, 0.2)) + report_html(folder, run("a", 0.1, 0.2), SAY)
    assert "Do this." in shown and "<img" not in shown and 'sandbox=""' in shown
    (tmp_path / "a/next_steps.json").write_text("{")
    assert advice_html(folder, run("a", 0.1, 0.2)) == ""
