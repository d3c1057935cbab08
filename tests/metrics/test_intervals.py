"""Intervals are those of the scores themselves, computed anew on each draw of rows."""

from __future__ import annotations

import numpy as np
import pytest

from frtune.metrics import (
    class_intervals,
    class_scores,
    classification_scores,
    correlation_intervals,
    correlation_scores,
    keyword_intervals,
    keyword_scores,
    roc_auc,
    span_scores,
    token_scores,
)
from frtune.metrics.bootstrap import interval
from frtune.metrics.intervals import auc_score, score_intervals
from frtune.tasks.row_scores import classes_f1

ROWS, SAMPLES = 24, 40


def drawn(score):
    """The interval of ``score(picks)``, row by row, on the draws that the library makes."""
    picks = np.random.default_rng(0).integers(ROWS, size=(SAMPLES, ROWS))
    found = [score(list(row)) for row in picks]
    return {name: interval(np.array([each[name] for each in found])) for name in found[0]}


def check(found, expected):
    assert found and set(found) <= set(expected)
    for name, bounds in found.items():
        assert bounds == pytest.approx(expected[name], abs=1e-9), name
        assert bounds[0] < bounds[1], name


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "c", "never"]])
def test_classes(labels):
    rng = np.random.default_rng(1)
    kinds = [label for label in labels if label != "never"]
    true = [str(value) for value in rng.choice(kinds, ROWS)]
    said = [t if rng.random() < 0.6 else str(rng.choice(kinds)) for t in true]

    def score(rows):
        pair = [said[i] for i in rows], [true[i] for i in rows]
        return {**classification_scores(*pair), "f1": class_scores(*pair, ["b"])["b"]["f1"]}

    found = class_intervals(said, true, labels, samples=SAMPLES)
    assert ("f1" in found) == (len(labels) == 2)
    check(found, drawn(score))


def test_roc_auc_with_ties():
    rng = np.random.default_rng(2)
    true = rng.random(ROWS) < 0.4
    values = np.round(true * 0.3 + rng.random(ROWS), 1)
    found = score_intervals({"roc_auc": auc_score(values, true)}, ROWS, samples=SAMPLES)
    check(found, drawn(lambda rows: {"roc_auc": roc_auc(values[rows], true[rows])}))


def test_correlations_far_from_zero():
    rng = np.random.default_rng(3)
    x = 1e6 + rng.normal(size=ROWS)
    y = x + rng.normal(size=ROWS)
    found = correlation_intervals(x, y, samples=SAMPLES)
    check(found, drawn(lambda rows: correlation_scores(x[rows], y[rows])))


def test_keywords_spans_and_tokens():
    rng = np.random.default_rng(4)
    words = [
        ({*rng.choice(list("abcde"), 2)}, {*rng.choice(list("abcde"), 3)}) for _ in range(ROWS)
    ]
    ends = [(rng.integers(0, 4, 2), rng.integers(0, 4, 3)) for _ in range(ROWS)]
    spans = [({(i, i + 2) for i in p}, {(i, i + 2) for i in t}) for p, t in ends]
    tokens = [(rng.integers(0, 3, 5).tolist(), [-100, *rng.integers(0, 3, 4).tolist()])
              for _ in range(ROWS)]  # fmt: skip

    def score(rows):
        return {
            **keyword_scores(*zip(*(words[i] for i in rows), strict=True), normalize=str),
            **span_scores(*zip(*(map(list, spans[i]) for i in rows), strict=True)),
            **token_scores(*zip(*(tokens[i] for i in rows), strict=True)),
        }

    check(keyword_intervals(words, spans, tokens, samples=SAMPLES), drawn(score))


def test_nothing_to_find_is_zero_and_no_error():
    found = keyword_intervals([(set(), set())] * 3, [(set(), set())] * 3, [([0], [0])] * 3)
    assert found["keyword_f1"] == (0.0, 0.0) and found["token_accuracy"] == (1.0, 1.0)


def test_a_draw_without_a_class_does_not_drop_the_class():
    # I stands in one text of twelve and is never found: it counts with 0 in every draw
    tokens = [([0, 0, 1, 0], [0, 0, 1, 0])] * 11 + [([0, 0, 1, 0], [0, 2, 1, 0])]
    score = token_scores(*map(list, zip(*tokens, strict=True)))["token_f1_macro"]
    none = [(set(), set())] * len(tokens)
    low, high = keyword_intervals(none, none, tokens)["token_f1_macro"]
    assert low <= score <= high < 0.7
    true = ["a"] * 10 + ["b"] * 10 + ["rare"]
    for said in (true, ["a"] * 10 + ["b"] * 10 + ["a"]):
        score = classification_scores(said, true)["f1_macro"]
        low, high = class_intervals(said, true, ["a", "b", "rare"])["f1_macro"]
        assert low <= score <= high <= (1.0 if said == true else 0.7)
        counts = classes_f1(said, true, ["a", "b", "rare"])
        draws = counts(np.array([[0] * 11 + [10] * 10, [*range(21)]]))
        assert draws[1] == pytest.approx(score)
        assert draws[0] == pytest.approx(1.0 if said == true else 2 / 3, abs=0.02)


def test_macro_scores_lie_in_their_intervals():
    rng = np.random.default_rng(7)
    for _ in range(100):
        shares = rng.dirichlet([0.5] * 5)
        true = [str(value) for value in rng.choice(list("abcde"), 30, p=shares)]
        said = [t if rng.random() < 0.7 else str(rng.choice(list("abcde"))) for t in true]
        score = classification_scores(said, true)["f1_macro"]
        low, high = class_intervals(said, true, list("abcde"), samples=200)["f1_macro"]
        assert low <= score <= high, (said, true)
