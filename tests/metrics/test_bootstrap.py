import math

import numpy as np
import pytest
from scipy import stats

from frtune.errors import InputError
from frtune.metrics import bootstrap_interval, bootstrap_intervals
from frtune.metrics.bootstrap import count_score, few_rows_note, paired_p_value, resampled


def test_interval_agrees_with_the_normal_approximation():
    values = [0.0, 1.0] * 200
    low, high = bootstrap_interval(values, samples=4000)
    half = 1.96 * 0.5 / math.sqrt(400)
    assert low == pytest.approx(0.5 - half, abs=0.01)
    assert high == pytest.approx(0.5 + half, abs=0.01)


def test_interval_is_deterministic_and_follows_the_seed():
    values = [i / 97 for i in range(97)]
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


def test_interval_is_wider_at_a_higher_level():
    values = [i / 97 for i in range(97)]
    low, high = bootstrap_interval(values, level=0.99)
    inner_low, inner_high = bootstrap_interval(values, level=0.5)
    assert low < inner_low < inner_high < high


def test_chunks_do_not_lose_samples():
    low, high = bootstrap_interval([0.0, 1.0] * 150_000, samples=20)
    assert 0.49 < low < high < 0.51


def test_documents_left_out_do_not_count():
    nan = float("nan")
    assert bootstrap_interval([1.0, nan, 1.0]) == (1.0, 1.0)
    assert bootstrap_intervals({"a": [nan], "b": [0.5]}) == {"a": (0.0, 0.0), "b": (0.5, 0.5)}


def test_bad_input_is_named():
    with pytest.raises(InputError, match="level=95"):
        bootstrap_interval([1.0], level=95)
    with pytest.raises(InputError, match="samples=0"):
        bootstrap_interval([1.0], samples=0)


def test_bounds_are_those_of_the_first_release():
    rising = [i / 97 for i in range(97)]
    exactly = lambda *ends: pytest.approx(ends, abs=1e-12)  # noqa: E731
    assert bootstrap_interval(rising) == exactly(0.43649697098522694, 0.5479567435434158)
    assert bootstrap_interval(rising, level=0.9, samples=333, seed=7) == exactly(
        0.44533956849824635, 0.5438197470506961
    )
    assert bootstrap_interval([0.1, 0.7]) == exactly(0.1, 0.7)
    assert bootstrap_interval([0.3] * 5 + [math.nan, 0.9], samples=50) == exactly(0.3, 0.6)


def test_draws_are_those_of_the_first_release():
    right = np.array([[i % 3 == 0, 1] for i in range(40)], float)
    score = count_score(right, lambda sums: sums[:, 0] / sums[:, 1])
    draws = resampled(score, 40, samples=5, seed=2)
    assert draws.tolist() == [0.275, 0.275, 0.3, 0.5, 0.3]
    assert resampled(lambda picks: picks.sum(axis=1) + 0.5, 1, samples=3).tolist() == [0.5] * 3


@pytest.mark.parametrize("rows", [0, 1, 2, 4, 5, 6, 12])
def test_no_p_value_is_below_what_the_rows_can_give(rows):
    first, second = np.zeros(max(rows, 1)), np.ones(max(rows, 1)) * (rows > 0)
    draws = [resampled(lambda p, v=v: v[p].mean(axis=1), len(v), samples=2000)
             for v in (first, second)]  # fmt: skip
    found = paired_p_value(*draws, rows=rows)
    # the exact test of signs, all on one side
    exact = stats.binomtest(rows, rows, 0.5).pvalue if rows else 1.0
    assert found == pytest.approx(max(exact, 2 / 2001 if rows else 1.0))
    note = few_rows_note(rows)
    assert (note is None) == (rows >= 6)
    assert note is None or f"{rows} rows, too few" in note
