"""The page and the table of a search: what mattered, the order, and text that is only shown."""

from __future__ import annotations

import pytest

from chromium import visit
from frtune.run.seed_statistics import difference_of_runs
from frtune.tuning.report import ordered, page_html
from frtune.tuning.result import Trial, Tuning, importance
from frtune.tuning.seed_runs import Gain
from frtune.tuning.space import Setting, Space
from frtune.tuning.study import Search

SPACE = Space(
    (
        Setting("learning_rate", 1e-3, ends=(1e-4, 1e-2)),
        Setting("weight_decay", 0.0, choices=(0.0, 0.01)),
    ),
    batch=8,
)


def told(path, count):
    """A search of so many trials, whose score hangs on the rate alone."""
    search = Search(path, SPACE, direction="minimize", seed=3)
    for _ in range(count):
        with search.next_trial(trials=count, hours=None) as claim:
            search.study.tell(claim.trial, claim.point["learning_rate"])
    return search


def test_what_mattered_is_told_of_enough_trials(tmp_path):
    assert importance(told(tmp_path / "few", 7)) is None
    shares = importance(told(tmp_path / "many", 12))
    assert list(shares) == ["learning_rate", "weight_decay"] and shares["learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def tuning(directory, larger=True, **given):
    trials = [
        Trial(0, "complete", 0.5, {"learning_rate": 1e-3}, 3.0, 1.0, None),
        Trial(1, "failed", None, {"learning_rate": 1e-2}, None, 1.0, "<script>loss=nan"),
        Trial(2, "pruned", 0.9, {"learning_rate": 2e-3}, 1.0, 1.0, "pruned"),
        Trial(3, "complete", 0.7, {"learning_rate": 4e-3}, 3.0, 1.0, None),
    ]
    space = {"learning_rate": "0.0001 to 0.01"}
    told = {"seeds": [], "gains": [], "importance": {"learning_rate": 1.0}, "rows": 9, **given}
    return Tuning("keywords", directory, "f1", larger, space, trials, best=0, **told)


def test_the_best_stands_first_and_failed_trials_last(tmp_path):
    assert [trial.number for trial in ordered(tuning(tmp_path))] == [3, 0, 2, 1]
    assert [trial.number for trial in ordered(tuning(tmp_path, larger=False))] == [0, 3, 2, 1]


def test_text_on_the_page_is_only_shown(tmp_path):
    page = page_html(tuning(tmp_path / "<b>mine"))
    assert "&lt;b&gt;mine" in page and "&lt;script&gt;loss=nan" in page
    assert "<script" not in page and "<b>" not in page
    assert "Share of each setting" in page and "learning_rate 1.00" in page


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_no_table_is_wider_than_its_box(tmp_path, width):
    names = ("learning_rate", "weight_decay", "warmup_ratio", "label_smoothing_factor",
             "num_train_epochs", "per_device_train_batch_size")  # fmt: skip
    point: dict[str, float] = {name: 0.000123 for name in names}
    trials = [Trial(i, "complete", 0.5, point, 3.0, 100.0, "word " * 30 * i) for i in range(3)]
    tuned, recipe = [0.5, 0.6, 0.7, 0.6, 0.5], [0.4, 0.5, 0.5, 0.4, 0.5]
    gain = Gain("partial_f1_at_10", True, tuned, recipe, difference_of_runs(tuned, recipe))
    found = tuning(tmp_path, seeds=list(range(100, 105)), gains=[gain], importance=point)
    found = Tuning(**{**vars(found), "trials": trials, "space": dict.fromkeys(point, "0 to 1")})
    path = tmp_path / "tune.html"
    path.write_text(page_html(found), encoding="utf-8")
    with visit(path.as_uri(), viewport={"width": width, "height": 800}) as seen:
        assert seen.page.locator("table").count() >= 2
        assert seen.wide() == []


def test_a_recipe_that_could_not_be_run_is_told(tmp_path):
    found = tuning(tmp_path)
    failed = Trial(0, "failed", None, {"learning_rate": 1e-3}, None, 1.0, "memory ran out")
    trials = [failed, *found.trials[1:]]
    again = Tuning(**{**vars(found), "trials": trials, "best": 3})
    assert "could not be run, to be compared (memory ran out)" in again.sentences()[1]
