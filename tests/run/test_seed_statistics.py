"""Means, intervals and tests over seeds, against scipy's own."""

from __future__ import annotations

import pytest
from scipy import stats

from frtune import InputError
from frtune.run.seed_statistics import difference_of_runs, mean_of_runs

WITH, WITHOUT = [0.81, 0.84, 0.83, 0.80], [0.80, 0.81, 0.83, 0.81]


def test_the_interval_of_a_mean_is_students():
    found = mean_of_runs(WITH)
    low, high = stats.t.interval(0.95, 3, loc=found.mean, scale=stats.sem(WITH))
    assert (found.mean, found.low, found.high) == pytest.approx((0.82, low, high))


def test_the_paired_test_is_scipys():
    found = difference_of_runs(WITH, WITHOUT)
    assert found.p_value == pytest.approx(stats.ttest_rel(WITH, WITHOUT).pvalue)
    assert found.mean == pytest.approx(0.0075)
    assert found.low < found.mean < found.high


def test_runs_that_do_not_differ_differ_by_nothing():
    assert difference_of_runs(WITH, WITH) == (0, 0, 0, 1)
    constant = difference_of_runs([0.1, 0.2], [0.0, 0.1])
    assert constant.p_value == 0.5 and constant.low == constant.high == pytest.approx(0.1)


def test_one_seed_or_missing_pairs_are_refused():
    with pytest.raises(InputError, match="two seeds or more"):
        mean_of_runs([0.8])
    with pytest.raises(InputError, match="pairs of the same seed"):
        difference_of_runs(WITH, WITHOUT[:3])
