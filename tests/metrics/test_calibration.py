"""Scores of probabilities, temperatures and promised precision, recounted by other means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import brier_score_loss

from frtune.errors import InputError
from frtune.metrics.calibration import (
    calibration_scores,
    coverage_curve,
    fitted_temperature,
    least_confidence,
    lower_bound,
)
from frtune.metrics.chances import tempered


def drawn(seed, rows=400, classes=3, temperature=1.0):
    """Logits, and labels that are drawn from their softmax at a temperature."""
    random = np.random.default_rng(seed)
    logits = 3 * random.normal(size=(rows, classes))
    chances = special.softmax(logits / temperature, axis=-1)
    return logits, np.array([random.choice(classes, p=row) for row in chances])


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_a_slow_count(seed):
    logits, true = drawn(seed, rows=97, classes=2 + seed % 4)
    chances = special.softmax(logits, axis=-1)
    found = calibration_scores(chances, true)
    loss = brier = 0.0
    bins = {}
    for row, label in zip(chances, true, strict=True):
        loss -= math.log(row[label])
        brier += sum((p - (i == label)) ** 2 for i, p in enumerate(row)) / 2
        confidence = max(row)
        at = next(i for i in range(15) if confidence <= (i + 1) / 15)
        bins.setdefault(at, []).append((confidence, row.argmax() == label))
    ece = sum(
        abs(sum(p for p, _ in rows) / len(rows) - sum(r for _, r in rows) / len(rows)) * len(rows)
        for rows in bins.values()
    )
    expected = {"log_loss": loss / 97, "brier": brier / 97, "ece": ece / 97}
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_brier_score_of_two_classes_is_that_of_scikit_learn():
    logits, true = drawn(1, classes=2)
    chances = special.softmax(logits, axis=-1)
    found = calibration_scores(chances, true)["brier"]
    assert found == pytest.approx(brier_score_loss(true, chances[:, 1]))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 8.0])
def test_the_temperature_that_made_the_labels_is_found_and_is_the_best(temperature):
    logits, true = drawn(2, rows=6_000, temperature=temperature)
    found = fitted_temperature(logits, true)
    assert found == pytest.approx(temperature, rel=0.1)

    def loss(value):
        return calibration_scores(special.softmax(logits / value, axis=-1), true)["log_loss"]

    assert all(loss(found) <= loss(found * factor) for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_rows_that_fit_no_temperature_have_none():
    logits, true = drawn(3)
    assert fitted_temperature(logits, logits.argmax(1)) is None  # all right
    assert fitted_temperature(logits, np.random.default_rng(0).permutation(true)) is None
    with pytest.raises(InputError, match=r"shape .* at least one row"):
        fitted_temperature(np.zeros((0, 2)), [])


def test_what_a_temperature_did_to_probabilities_can_be_undone():
    logits, _ = drawn(4)
    before = special.softmax(logits, axis=-1)
    after = special.softmax(logits / 1.7, axis=-1)
    assert np.allclose(tempered(after, 1 / 1.7), before)
    assert np.allclose(tempered(before, 1.7), after)
    assert tempered(np.array([[1.0, 0.0]]), 2.0).tolist() == [[1.0, 0.0]]


def test_the_lower_bound_is_that_of_the_beta_distribution():
    for hits, rows in [(1, 1), (95, 100), (7, 20), (300, 300)]:
        expected = stats.beta.ppf(0.05, hits, rows - hits + 1)
        assert lower_bound(hits, rows) == pytest.approx(expected)
    assert lower_bound(0, 0) == lower_bound(0, 5) == 0.0


def test_a_promised_precision_holds_for_new_rows():
    """In 400 draws the true precision falls short in no more than the doubt allows."""
    random = np.random.default_rng(5)

    def rows(count):
        sure = random.uniform(0.5, 1, count)
        return sure, random.uniform(size=count) < sure  # confidence that holds exactly

    short = answered = 0
    for _ in range(400):
        limit = least_confidence(*rows(500), 0.85)
        if limit is None:
            continue
        answered += 1
        short += (1 + limit) / 2 < 0.85  # the mean of the confidences above it
    assert answered > 300
    assert short <= 0.05 * answered


def test_without_enough_rows_nothing_is_promised():
    sure, right = np.linspace(0.5, 1, 40), np.ones(40, bool)
    assert least_confidence(sure, right, 0.95) is None
    assert least_confidence(sure[:0], right[:0], 0.5) is None
    assert least_confidence(np.ones(400), np.ones(400, bool), 0.95) == 1.0
    assert least_confidence(np.ones(400), np.zeros(400, bool), 0.5) is None


def test_the_curve_ends_at_the_error_of_all_rows():
    logits, true = drawn(6)
    chances = special.softmax(logits, axis=-1)
    right = chances.argmax(1) == true
    covered, wrong = coverage_curve(chances.max(1), right)
    assert covered[-1] == 1 and wrong[-1] == pytest.approx(1 - right.mean())
    half = covered.index(0.5)
    surest = np.argsort(-chances.max(1))[:200]
    assert wrong[half] == pytest.approx(1 - right[surest].mean())
