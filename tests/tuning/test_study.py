"""Trials in the database: none lost, none twice; time that counts; what is hopeless is ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState, create_trial

from frtune.run.status import RunPruned
from frtune.tuning.result import best_number
from frtune.tuning.space import Setting, Space
from frtune.tuning.study import NUMBER, STOPPED, Search, searched_seconds
from frtune.tuning.trial import EvaluationReporter

SPACE = Space((Setting("learning_rate", 1e-3, ends=(1e-4, 1e-2)),), batch=8)


def search_in(path, **options):
    return Search(path, SPACE, **{"direction": "maximize", "seed": 1, **options})


def finish(search, value=0.5, *, trials=9):
    with search.next_trial(trials=trials, hours=None) as claim:
        if claim is not None:
            search.study.tell(claim.trial, value)
        return claim


def test_the_first_trial_is_the_recipe_and_there_are_as_many_as_asked_for(tmp_path):
    search = search_in(tmp_path)
    claims = [finish(search, trials=3) for _ in range(4)]
    assert claims[0].point == {"learning_rate": 1e-3} and claims[3] is None
    assert [claim.number for claim in claims[:3]] == [0, 1, 2]
    assert len({claim.point["learning_rate"] for claim in claims[:3]}) == 3


def test_a_search_that_begins_again_draws_what_it_would_have_drawn(tmp_path):
    (tmp_path / "a").mkdir()
    whole = search_in(tmp_path / "a")
    points = [finish(whole, 0.1 * i).point for i in range(7)]
    parts = [finish(search_in(tmp_path / "b ?#"), 0.1 * i).point for i in range(7)]
    assert parts == points and len({tuple(p.values()) for p in points}) == 7


def test_a_trial_that_was_lost_goes_on_with_its_settings_beyond_the_limits(tmp_path):
    search = search_in(tmp_path)
    finish(search)
    with search.next_trial(trials=9, hours=None) as lost:
        search.directory(lost.number).joinpath("status.json").write_text("{}")
    again = search_in(tmp_path)
    with again.next_trial(trials=1, hours=1e-9) as claim:
        assert (claim.number, claim.point) == (1, lost.point)
        assert claim.directory == lost.directory
        again.study.tell(claim.trial, 0.7)
    assert {n: t.state for n, t in again.trials().items()} == {
        0: TrialState.COMPLETE, 1: TrialState.COMPLETE,
    }  # fmt: skip
    assert not again.others_run() and best_number(again) == 1
    assert finish(again, trials=2) is None
    assert finish(again).number == 2, "no number is left out"


def test_a_trial_of_another_process_is_left_to_it(tmp_path):
    search = search_in(tmp_path)
    with search.next_trial(trials=9, hours=None) as own:
        other = search_in(tmp_path)
        with other.next_trial(trials=9, hours=None) as claim:
            assert (own.number, claim.number) == (0, 1)
            assert search.others_run()
            other.study.tell(claim.trial, 1.0)
        search.study.tell(own.trial, 2.0)
    assert not search.others_run()


def trial_from(begin, seconds, number, **attributes):
    made = create_trial(value=1.0)
    made.datetime_start = datetime(2024, 1, 1) + timedelta(seconds=begin)
    made.datetime_complete = made.datetime_start + timedelta(seconds=seconds)
    made.user_attrs = {NUMBER: number, **attributes}
    return made


def test_time_that_processes_share_counts_once_and_pauses_do_not():
    assert searched_seconds([]) == 0
    trials = [trial_from(0, 60, 0), trial_from(30, 60, 1), trial_from(200, 10, 2)]
    assert searched_seconds(trials) == 100
    killed_at = (datetime(2024, 1, 1) + timedelta(seconds=340)).timestamp()
    lost = trial_from(300, 5000, 3)  # told long after the kill
    after = trial_from(5300, 20, 3, **{STOPPED: killed_at})
    assert searched_seconds([*trials, lost, after]) == 100 + 40 + 20


def test_no_trial_begins_once_the_hours_are_over(tmp_path):
    search = search_in(tmp_path)
    with search.next_trial(trials=9, hours=1e-9) as claim:
        assert claim is not None, "the recipe is always tried"
        search.study.tell(claim.trial, 1.0)
    with search.next_trial(trials=9, hours=1e-9) as claim:
        assert claim is None
    with search.next_trial(trials=9, hours=1) as claim:
        assert claim is not None


def state_at(epoch, value, *, last=False):
    history = [{"epoch": e, "eval_f1": value} for e in range(1, epoch + 1)]
    steps = 10 if last else 5
    return SimpleNamespace(log_history=history, epoch=epoch, global_step=steps, max_steps=10)


@pytest.mark.parametrize(("direction", "bad"), [("maximize", 0.1), ("minimize", 0.9)])
def test_a_hopeless_trial_is_ended_by_an_evaluation_that_happens_anyway(tmp_path, direction, bad):
    search = search_in(tmp_path, direction=direction)
    for i in range(5):
        with search.next_trial(trials=9, hours=None) as claim:
            reporter = EvaluationReporter(claim.trial, "eval_f1", may_prune=True)
            reporter.on_evaluate(None, state_at(3, 0.5 + i / 100), None)
            search.study.tell(claim.trial, 0.5)
    trial = search.study.ask()
    EvaluationReporter(trial, "eval_f1", may_prune=False).on_evaluate(None, state_at(1, bad), None)
    reporter = EvaluationReporter(trial, "eval_f1", may_prune=True)
    reporter.on_evaluate(None, state_at(2, bad, last=True), None)  # nothing is left to save
    with pytest.raises(RunPruned, match="pruned after epoch 3: worse than the median"):
        reporter.on_evaluate(None, state_at(3, bad), None)
    good = search.study.ask()
    EvaluationReporter(good, "eval_f1", may_prune=True).on_evaluate(None, state_at(3, 0.52), None)


def test_the_best_is_the_earliest_of_equals(tmp_path):
    search = search_in(tmp_path, direction="minimize")
    for value in (0.5, 0.2, 0.2, 0.9):
        finish(search, value)
    assert best_number(search) == 1
