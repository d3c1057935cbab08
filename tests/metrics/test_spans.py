"""Scores of keyword extraction."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frtune import InputError
from frtune.metrics import (
    keyword_scores,
    keyword_scores_per_document,
    span_scores,
    span_signatures,
    tagged_spans,
    token_scores,
)

NAMES = {0: "O", 1: "B-KEY", 2: "I-KEY"}
LABELS = st.lists(st.lists(st.integers(0, 2), max_size=12), min_size=1, max_size=5)


def scrambled(rows, seed):
    rng = random.Random(seed)
    return [[label if rng.random() < 0.7 else rng.randint(0, 2) for label in row] for row in rows]


@settings(max_examples=150, deadline=None)
@given(LABELS, st.integers(0, 100))
def test_span_scores_are_seqevals(true, seed):
    seqeval = pytest.importorskip("seqeval.metrics")
    predicted = scrambled(true, seed)
    ours = span_scores(
        [tagged_spans(row) for row in predicted], [tagged_spans(row) for row in true]
    )
    names = [[[NAMES[label] for label in row] for row in rows] for rows in (true, predicted)]
    for name in ("precision", "recall", "f1"):
        score = getattr(seqeval, f"{name}_score")
        assert ours[f"span_{name}"] == pytest.approx(score(*names, zero_division=0))


@settings(max_examples=100, deadline=None)
@given(LABELS, st.integers(0, 100))
def test_token_scores_are_scikit_learns(true, seed):
    from sklearn.metrics import accuracy_score, f1_score

    predicted = scrambled(true, seed)
    ours = token_scores(predicted, true)
    flat = [[label for row in rows for label in row] for rows in (true, predicted)]
    if not flat[0]:
        assert set(ours.values()) == {0.0}
        return
    assert ours["token_accuracy"] == pytest.approx(accuracy_score(*flat))
    assert ours["token_f1_macro"] == pytest.approx(f1_score(*flat, average="macro"))


def test_padding_and_special_tokens_cannot_flatter():
    true, predicted = [[1, 2, 0]], [[0, 0, 0]]
    padded = [[-100, 1, 2, 0, -100, *[-100] * 50]]
    bare = token_scores(predicted, true)
    assert bare == token_scores([[0] * 55], padded)
    assert bare["token_accuracy"] == bare["token_accuracy_all_o"] == pytest.approx(1 / 3)
    assert bare["token_f1_macro"] == pytest.approx((0.5 + 0 + 0) / 3)


def test_a_predictor_of_nothing_gets_nothing_but_token_accuracy():
    assert set(span_scores([[]], [[(0, 3)]]).values()) == {0.0}
    assert set(keyword_scores([[]], [["eau"]]).values()) == {0.0}


def test_keywords_that_are_not_in_the_text_are_missed_not_forgiven():
    scores = keyword_scores([["eau", "Eau", "sel"]], [["eau", "absent"]])
    assert scores["keyword_precision"] == 0.5
    assert scores["keyword_recall"] == 0.5


def test_micro_and_macro_by_hand():
    scores = keyword_scores([["a", "b"], [], ["x"]], [["a"], [], ["y", "z"]])
    assert scores["keyword_precision"] == pytest.approx(1 / 3)
    assert scores["keyword_recall"] == pytest.approx(1 / 3)
    assert scores["keyword_f1_macro"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    per_document = keyword_scores_per_document([["a", "b"], [], ["x"]], [["a"], [], ["y", "z"]])
    assert per_document["keyword_f1"] == pytest.approx([2 / 3, 1, 0])


KEYWORDS = st.lists(st.lists(st.sampled_from("aAbcdé"), max_size=5), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(KEYWORDS, st.randoms())
def test_scores_are_bounded_symmetric_and_blind_to_order(rows, rng):
    others = [[*rng.sample(row, len(row))[: rng.randint(0, 5)], "b"] for row in rows]
    scores, swapped = keyword_scores(others, rows), keyword_scores(rows, others)
    assert all(0 <= value <= 1 for value in scores.values())
    assert scores["keyword_f1"] == pytest.approx(swapped["keyword_f1"])
    assert scores["keyword_precision"] == pytest.approx(swapped["keyword_recall"])
    shuffled = [rng.sample(row, len(row)) for row in others]
    assert keyword_scores(shuffled, rows) == scores
    perfect = keyword_scores(rows, rows)
    assert perfect["keyword_f1"] == (1.0 if any(rows) else 0.0)
    assert perfect["keyword_f1_macro"] == 1.0


@pytest.mark.parametrize("score", [span_scores, keyword_scores, token_scores])
def test_rows_that_do_not_match_are_refused(score):
    with pytest.raises(InputError, match=r"len\(predictions\)=1"):
        score([[]], [])


def test_labels_that_do_not_match_are_refused():
    with pytest.raises(InputError, match="one label per token"):
        token_scores([[0]], [[0, 1]])


def test_every_score_has_a_signature():
    names = {*span_scores([], []), *keyword_scores([], []), *token_scores([], [])}
    assert names < set(span_signatures())
    assert span_signatures(ignore_accents=False) != span_signatures()
