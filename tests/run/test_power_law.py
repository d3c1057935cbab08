"""The power law with an offset: beside scipy's fit, and its intervals beside the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from frtune import InputError
from frtune.run.power_law import deviations_of, fit_power_law, grows

ROWS = [50, 100, 200, 400, 800]


def law(rows, limit, factor, exponent):
    return limit - factor * np.asarray(rows, float) ** -exponent


def drawn(random, *parameters, seeds=3, deviation=0.01):
    return [list(law(n, *parameters) + random.normal(0, deviation, seeds)) for n in ROWS]


@pytest.mark.parametrize("seed", range(4))
def test_the_fit_is_that_of_scipys_weighted_least_squares(seed):
    scores = drawn(np.random.default_rng(seed), 0.85, 2.0, 0.6, deviation=0.004)
    found = fit_power_law(ROWS, scores)
    means = np.mean(scores, axis=1)
    theirs, _ = curve_fit(
        law, ROWS, means, p0=(0.85, 2.0, 0.6), sigma=deviations_of(scores),
        bounds=([0, 0, 0.05], [1, 100, 2]),
    )  # fmt: skip
    assert found.score([*ROWS, 1600, 3200]) == pytest.approx(
        law([*ROWS, 1600, 3200], *theirs), abs=1e-3
    )


@pytest.mark.parametrize(
    "parameters", [(0.85, 1.5, 0.5), (0.95, 1.0, 0.25), (0.8, 4.0, 0.8)], ids=str
)
def test_intervals_hold_the_truth_in_about_19_of_20_curves(parameters):
    random = np.random.default_rng(7)
    held = {"check": 0, "gain": 0, "score": 0}
    for _ in range(40):
        scores = drawn(random, *parameters, deviation=0.012)
        check = fit_power_law(ROWS[:-1], scores[:-1]).forecast(ROWS[-1])
        held["check"] += check.low <= np.mean(scores[-1]) <= check.high
        twice = fit_power_law(ROWS, scores).forecast(1600)
        truth = law(1600, *parameters)
        held["gain"] += twice.gain_low <= truth - law(800, *parameters) <= twice.gain_high
        held["score"] += twice.low <= truth + random.normal(0, 0.012, 3).mean() <= twice.high
    assert all(count >= 36 for count in held.values()), held


def test_intervals_widen_with_noise_and_with_distance():
    quiet, loud = (
        fit_power_law(ROWS, drawn(np.random.default_rng(1), 0.85, 1.5, 0.5, deviation=each))
        for each in (0.003, 0.02)
    )

    def width(each):
        return each.gain_high - each.gain_low

    assert width(quiet.forecast(1600)) < width(loud.forecast(1600))
    assert width(quiet.forecast(1600)) < width(quiet.forecast(3200))
    assert quiet.forecast(1600) == quiet.forecast(1600), "the same draws each time"
    low, high = quiet.band([800, 3200])
    assert (low < quiet.score([800, 3200])).all() and (quiet.score([800, 3200]) < high).all()


def test_no_forecast_exceeds_the_best_score():
    scores = [[value, value + 0.001] for value in (0.5, 0.7, 0.85, 0.94, 0.999)]
    found = fit_power_law(ROWS, scores)
    assert found.limit <= 1 and found.forecast(10**6).score <= 1


def test_scores_that_are_flat_or_fall_do_not_grow():
    assert not grows(ROWS, [[0.3, 0.3]] * 5)
    assert not grows(ROWS, [[0.5, 0.51], [0.5, 0.49], [0.48, 0.5], [0.49, 0.5], [0.5, 0.48]])
    assert grows(ROWS, drawn(np.random.default_rng(0), 0.85, 1.5, 0.5))


def test_a_jump_at_the_end_is_no_power_law():
    flat = [[0.30, 0.31], [0.31, 0.30], [0.30, 0.31], [0.31, 0.30], [0.70, 0.71]]
    assert not fit_power_law(ROWS, flat).holds
    assert fit_power_law(ROWS, drawn(np.random.default_rng(0), 0.85, 1.5, 0.5)).holds


def test_too_few_shares_or_seeds_are_refused():
    with pytest.raises(InputError, match="3 or more"):
        fit_power_law([1, 2], [[0.1, 0.2], [0.2, 0.3]])
    with pytest.raises(InputError, match="two or more"):
        fit_power_law([1, 2, 4], [[0.1], [0.2, 0.3], [0.4, 0.5]])
