"""Scores of several labels a row, against definitions written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frtune import InputError, metrics
from frtune.metrics.multi_label import (
    best_threshold,
    fitted_thresholds,
    multi_label_row_score,
    set_scores_by_label,
)

SETS = st.lists(st.sampled_from(["a", "b", "c"]), unique=True)


def f1(hits, said, true):
    return 2 * hits / (said + true) if said + true else 0.0


@given(st.lists(st.tuples(SETS, SETS), min_size=1, max_size=12))
def test_scores_are_what_their_definitions_say(pairs):
    said, true = ([set(pair[i]) for pair in pairs] for i in (0, 1))
    found = metrics.multi_label_scores(*zip(*pairs, strict=True))
    counts = {
        label: (
            sum(label in s and label in t for s, t in zip(said, true, strict=True)),
            sum(label in s for s in said),
            sum(label in t for t in true),
        )
        for label in "abc"
    }
    assert found["f1_micro"] == pytest.approx(f1(*np.sum([*counts.values()], axis=0)))
    seen = [f1(*each) for each in counts.values() if each[1] + each[2]]
    assert found["f1_macro"] == pytest.approx(np.mean(seen) if seen else 0.0)
    exact = [s == t for s, t in zip(said, true, strict=True)]
    assert found["exact_match"] == pytest.approx(np.mean(exact))
    score = multi_label_row_score(*zip(*pairs, strict=True), ["a", "b", "c"])
    assert score(np.arange(len(pairs))[None])[0] == pytest.approx(found["f1_micro"])
    for label, parts in set_scores_by_label(*zip(*pairs, strict=True), [*"abc"]).items():
        assert parts["f1"] == pytest.approx(f1(*counts[label]))
        assert parts["rows"] == counts[label][2]


def test_ranking_counts_rows_with_labels_alone():
    chances = np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]])
    true = np.array([[1, 0, 1], [0, 0, 0]])
    assert metrics.ranking_precision(chances, true) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.ranking_precision(chances[1:], true[1:]) == 0.0


def test_no_threshold_is_better():
    draw = np.random.default_rng(0)
    for _ in range(50):
        chances = draw.random(30).round(1)  # with ties
        true = draw.random(30) < chances
        limit = best_threshold(chances, true)

        def score(at, chances=chances, true=true):
            given_ = chances >= at
            return f1((given_ & true).sum(), given_.sum(), true.sum())

        assert score(limit) == pytest.approx(max(score(at) for at in np.linspace(0, 1, 101)))


@pytest.mark.parametrize(
    ("chances", "right"),
    [([0.99999999, 0.9999998, 0.2], 1), ([3e-7, 2e-7, 1e-7], 2), ([1.0, 0.9999999], 1)],
    ids=["near 1", "near 0", "1"],
)
def test_a_threshold_parts_probabilities_that_differ_by_less_than_it_is_rounded_to(chances, right):
    true = np.arange(len(chances)) < right
    assert ((np.array(chances) >= best_threshold(np.array(chances), true)) == true).all()


def test_labels_of_few_rows_share_a_threshold():
    draw = np.random.default_rng(1)
    chances = draw.random((100, 3))
    true = chances > 0.4
    true[:, 2] = False
    true[:4, 2] = True
    limits, few = fitted_thresholds(chances, true)
    assert few == [2] and limits[0] == pytest.approx(0.4, abs=0.03)
    assert limits[2] == best_threshold(chances.ravel(), true.ravel())


def test_unequal_numbers_of_rows_are_refused():
    with pytest.raises(InputError, match="the same number"):
        metrics.multi_label_scores([["a"]], [])


def test_baselines_read_texts():
    texts = ["loyer mars", "timbre poste", "loyer et timbre", "rien"] * 12
    sets = [["loyer"], ["poste"], ["loyer", "poste"], []] * 12
    found = metrics.text_baselines.tfidf_one_vs_rest(texts, sets, texts, ["loyer", "poste"])
    assert found == sets
    assert metrics.text_baselines.most_frequent_labels(sets, 1) == [["loyer"]]
