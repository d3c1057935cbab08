"""Scores of classes and similarities against numbers computed by hand."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frtune.errors import InputError
from frtune.metrics import (
    class_scores,
    classification_scores,
    classification_signatures,
    confusion_matrix,
    confusion_picture,
    correlation_scores,
    correlation_signatures,
    roc_auc,
)
from frtune.metrics.chances import softmax
from frtune.metrics.classification import write_class_details
from frtune.metrics.text_baselines import majority, pair_baselines, tfidf_logistic, word_overlap

# true: a a a b b c; predicted: a a b b c c
TRUE, PREDICTED = list("aaabbc"), list("aabbcc")


def test_scores_are_those_computed_by_hand():
    scores = classification_scores(PREDICTED, TRUE)
    # a: P 2/2, R 2/3, F 4/5; b: P 1/2, R 1/2, F 1/2; c: P 1/2, R 1/1, F 2/3
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["precision_macro"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert scores["recall_macro"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert scores["f1_macro"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert scores["f1_weighted"] == pytest.approx((3 * 4 / 5 + 2 * 1 / 2 + 2 / 3) / 6)
    # Gorodkin: (c s - sum t p) / sqrt((s2 - sum p2)(s2 - sum t2)), c=4, s=6, t=(3,2,1), p=(2,2,2)
    assert scores["mcc"] == pytest.approx((4 * 6 - (6 + 4 + 2)) / math.sqrt((36 - 12) * (36 - 14)))


def test_perfect_and_disjoint():
    assert set(classification_scores(TRUE, TRUE).values()) == {1.0}
    scores = classification_scores(["b", "a"], ["a", "b"])
    assert scores["accuracy"] == scores["f1_macro"] == 0 and scores["mcc"] == -1


def test_a_class_never_predicted_scores_zero_without_a_warning(recwarn):
    scores = classification_scores(["a", "a"], ["a", "b"])
    assert scores["f1_macro"] == pytest.approx((2 / 3 + 0) / 2) and scores["mcc"] == 0
    assert not recwarn.list


def test_classes_alone_and_the_matrix():
    found = class_scores(PREDICTED, TRUE, ["a", "b", "c", "d"])
    assert found["b"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 2}
    assert found["d"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "rows": 0}
    assert confusion_matrix(PREDICTED, TRUE, ["a", "b", "c"]) == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    with pytest.raises(InputError, match="label='z'"):
        confusion_matrix(["z"], ["a"], ["a"])


def test_roc_auc_counts_ties_half():
    # positives 0.9 0.5, negatives 0.5 0.1: pairs won 1, 1, tied 0.5, won 1
    assert roc_auc([0.9, 0.5, 0.5, 0.1], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert roc_auc([0.1, 0.2], [True, True]) == 0.5


def test_correlations():
    scores = correlation_scores([1, 2, 3, 4], [1, 3, 2, 4])
    assert scores["spearman"] == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert scores["pearson"] == pytest.approx(0.8)
    assert scores["mse"] == pytest.approx(0.5)
    assert correlation_scores([2.5, 2.5], [1, 4]) == {"pearson": 0, "spearman": 0, "mse": 2.25}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_fractions_stay_in_bounds_and_ignore_order(rows):
    predictions, references = zip(*rows, strict=True)
    scores = classification_scores(predictions, references)
    assert all(0 <= v <= 1 for name, v in scores.items() if name != "mcc")
    assert -1 <= scores["mcc"] <= 1
    again = classification_scores(predictions[::-1], references[::-1])
    assert again == pytest.approx(scores)
    matrix = confusion_matrix(predictions, references, "abc")
    assert sum(matrix[i][i] for i in range(3)) / len(rows) == pytest.approx(scores["accuracy"])


@pytest.mark.parametrize(
    "score", [classification_scores, correlation_scores, roc_auc], ids=lambda f: f.__name__
)
def test_uneven_or_empty_lists_are_refused(score):
    for predictions, references in (([1], [1, 0]), ([], [])):
        with pytest.raises(InputError, match="rows"):
            score(predictions, references)


def test_every_score_has_a_signature():
    names = {*classification_scores(["a"], ["a"]), "f1", "roc_auc"}
    assert set(classification_signatures(positive="1")) == names
    assert set(classification_signatures()) == names - {"f1", "roc_auc"}
    assert set(correlation_signatures()) == set(correlation_scores([1], [1]))


def test_softmax_of_large_logits_is_finite():
    assert softmax([[1000.0, 1000.0], [0.0, -1000.0]]).tolist() == [[0.5, 0.5], [1.0, 0.0]]


def test_details_are_written_for_people_and_programs(tmp_path):
    write_class_details(tmp_path, PREDICTED, TRUE, ["a", "b", "c"])
    content = json.loads((tmp_path / "classes.json").read_text("utf-8"))
    assert content["confusion_matrix"][0] == [2, 1, 0] and content["classes"]["a"]["rows"] == 3


def test_picture_of_the_matrix(tmp_path):
    pytest.importorskip("matplotlib")
    confusion_picture([[2, 1], [0, 3]], ["été", "hiver"], tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")


# --- baselines -----------------------------------------------------------------------------------


def test_majority_and_overlap():
    assert majority(["a", "b", "b"], 2) == ["b", "b"]
    assert word_overlap(["", "Un CHAT"], ["", "un chien"]) == [0.0, pytest.approx(1 / 3)]


def test_tfidf_logistic_learns_words_and_takes_texts_without_letters():
    texts = ["bon film", "mauvais film", "très bon", "très mauvais", "!!!", "a"]
    labels = ["1", "0", "1", "0", "1", "0"]
    assert tfidf_logistic(texts, labels, ["bon", "mauvais", "!", "zzz"])[:3] == ["1", "0", "1"]


def test_pair_baselines_are_calibrated_on_training():
    first, second = ["a b", "a b", "c d", "c d"], ["a b", "a x", "c d", "y z"]
    found = pair_baselines(
        (first, second), (["q r"], ["q r"]), targets=[1.0, 0.0, 1.0, 0.0], chance=True
    )
    assert found["constant"] == [0.5] and found["word_overlap"][0] > 0.5
    assert found["random"][0] in (0.0, 1.0)
