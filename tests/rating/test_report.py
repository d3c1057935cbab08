import json
import math

import numpy as np
import pytest
from scipy.stats import permutation_test

from frtune.errors import InputError
from frtune.rating.automatic import agreement
from frtune.rating.report import (
    exact_p_value,
    krippendorff_alpha,
    mean_values,
    rating_report,
    report_markdown,
    write_report,
)
from frtune.rating.store import RatingStore
from frtune.rating.study import Item, Judgement, RatingStudy

NAN = float("nan")
# the example in the documentation of the package krippendorff, ordinal 0.815
EXAMPLE = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


def _items(phrases, references):
    return tuple(
        Item(f"text {i}", rows, true)
        for i, (rows, true) in enumerate(zip(phrases, references, strict=True))
    )


def test_alpha_is_that_of_the_documented_example():
    study = RatingStudy(("one",), _items([((),)] * 12, [None] * 12))
    judgements = {
        (f"rater {i}", item): Judgement({0: grade}, {})
        for i, row in enumerate(EXAMPLE)
        for item, grade in enumerate(row)
        if not math.isnan(grade)
    }
    alpha, note = krippendorff_alpha(study, judgements)
    assert (round(alpha, 3), note) == (0.815, None)


def test_alpha_of_preferences_counts_no_difference_as_a_choice():
    # 8 answers in 4 units, nominal: pairs (0,0) (1,1) (tie,tie) (0,1); values 0, 1, tie: 3, 3, 2
    # observed disagreement 2 / 8; expected (64 - 9 - 9 - 4) / (8 * 7) = 42 / 56
    study = RatingStudy(("a", "b"), _items([((), ())] * 4, [None] * 4), mode="prefer")
    said = {"ada": [0, 1, None, 0], "bob": [0, 1, None, 1]}
    judgements = {(rater, item): Judgement({}, {}, best)
                  for rater, row in said.items() for item, best in enumerate(row)}  # fmt: skip
    alpha, _ = krippendorff_alpha(study, judgements)
    assert alpha == pytest.approx(1 - (2 / 8) / (42 / 56))


def test_alpha_needs_two_raters_and_two_answers():
    study = RatingStudy(("one",), _items([((),)] * 2, [None] * 2))
    alone = {("ada", 0): Judgement({0: 1.0}, {}), ("bob", 1): Judgement({0: 2.0}, {})}
    assert krippendorff_alpha(study, alone) == (None, "no item was judged by two raters")
    same = {(rater, 0): Judgement({0: 3.0}, {}) for rater in ("ada", "bob")}
    assert krippendorff_alpha(study, same) == (None, "all answers are the same")


def test_values_are_means_over_raters():
    study = RatingStudy(("a", "b"), _items([((), ())] * 3, [None] * 3))
    judgements = {
        ("ada", 2): Judgement({0: 1.0, 1: 2.0}, {}),
        ("bob", 2): Judgement({0: 4.0, 1: 4.0}, {}),
        ("ada", 0): Judgement({0: 5.0, 1: 3.0}, {}),
    }
    items, values = mean_values(study, judgements)
    assert items == [0, 2]
    assert values.tolist() == [[5.0, 3.0], [2.5, 3.0]]
    prefer = RatingStudy(("a", "b"), study.items, mode="prefer")
    said = {("ada", 0): Judgement({}, {}, 1), ("bob", 0): Judgement({}, {}, None)}
    assert mean_values(prefer, said)[1].tolist() == [[0.25, 0.75]]


@pytest.fixture
def store(tmp_path):
    """Two runs on ten items: the second is right and rated two higher, but on one item."""
    phrases = [(("wrong", "words"), ("solar cell", "wind"))] * 10
    study = RatingStudy(("raw|0", "tuned"), _items(phrases, [("solar cell", "wind")] * 9 + [None]))
    store = RatingStore.create(tmp_path / "ratings", study)
    for item in range(10):
        second = 4.0 if item else 1.0
        store.save("ada", item, Judgement({0: 2.0, 1: second}, {0: (0,)}))
    store.save("bob", 0, Judgement({0: 2.0, 1: 1.0}, {0: (0, 1)}))
    return store


def test_the_report_has_the_numbers_worked_out_by_hand(store):
    report = rating_report(store, samples=400)
    first, second = report["runs"]
    assert (report["items"], report["raters"]) == (10, {"ada": 10, "bob": 1})
    assert (first["mean"], first["low"], first["high"]) == (2.0, 2.0, 2.0)
    assert second["mean"] == pytest.approx(3.7)  # nine times 4, once 1
    assert second["low"] < 3.7 <= second["high"] <= 4.0
    assert second["difference"] == pytest.approx(1.7)
    assert second["difference_low"] > 0
    assert second["p_value"] == 4 / 2**10, "19 and 17, and as much below"
    assert second["test"] == "exact"
    assert first["wrong_share"] == pytest.approx(12 / 22)
    assert second["wrong_share"] == 0.0
    assert report["alpha"] == pytest.approx(1.0)
    found = report["automatic"]["f1_at_m"]
    assert report["automatic_items"] == 9
    # scores 0 and 1; ratings 2 and, of the nine, eight times 4 and once 1
    assert found["same_order"] == pytest.approx(8 / 9)
    assert found["pairs"] == 9
    ranks = [10.0 - 4.5 + 0.5] * 9, [1.0, *[14.5] * 8]
    expected = np.corrcoef([0.0] * 9 + [1.0] * 9, [*ranks[0], *ranks[1]])[0, 1]
    assert found["spearman"] == pytest.approx(expected)
    assert set(report["automatic"]) >= {"f1_at_10", "partial_f1_at_m", "jaccard", "rougeL"}


def test_the_report_is_written_for_people_and_for_programs(store, tmp_path):
    report = rating_report(store, samples=100)
    write_report(report, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "ratings.json").read_text()) == report
    text = (tmp_path / "out" / "ratings.md").read_text()
    assert text == report_markdown(report)
    assert "raw\\|0" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) == 4 + 2 + len(report["automatic"])


def test_without_answers_there_is_no_report(tmp_path):
    study = RatingStudy(("one",), _items([((),)], [None]))
    with pytest.raises(InputError, match="no answers yet"):
        rating_report(RatingStore.create(tmp_path / "file", study))


def test_a_score_that_never_varies_has_no_correlation():
    found = agreement(np.ones((3, 2)), np.array([[1, 2], [2, 1], [3, 3]]), samples=10)
    assert found == {"spearman": None, "low": None, "high": None, "pairs": 2, "same_order": 0.5}


def test_true_phrases_judged_as_a_run_are_not_scored_against_themselves(tmp_path):
    items = _items([(("a",), ("a", "b"))] * 4, [("a", "b")] * 4)
    store = RatingStore.create(tmp_path / "file", RatingStudy(("run", "(reference)"), items))
    for item in range(4):
        store.save("ada", item, Judgement({0: float(item + 1), 1: 5.0}, {}))
    report = rating_report(store, samples=20)
    assert [row["name"] for row in report["runs"]] == ["run", "(reference)"]
    assert all(found["pairs"] == 0 for found in report["automatic"].values())


def test_four_items_are_too_few_for_a_small_p_value(tmp_path):
    study = RatingStudy(("raw", "tuned"), _items([(("wrong",), ("wind",))] * 4, [("wind",)] * 4))
    store = RatingStore.create(tmp_path / "four", study)
    for item in range(4):
        store.save("ada", item, Judgement({0: 1.0, 1: 4.0}, {}))
    report = rating_report(store)
    second = report["runs"][1]
    assert second["p_value"] == 0.125 and "4 rows, too few" in second["p_note"]
    text = report_markdown(report)
    assert "0.125, exact (too few)" in text and "Too few, tuned: the two differ on 4 rows" in text


def test_the_exact_test_is_scipys():
    differences = np.array([0.5, -1.0, 2.0, 2.0, 0.0, 1.5, -0.5, 3.0])
    found = permutation_test(
        (differences,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples",
        n_resamples=np.inf, vectorized=True,
    )  # fmt: skip
    assert exact_p_value(differences) == pytest.approx(found.pvalue)


def test_few_items_are_a_caution_and_many_are_none(store, tmp_path):
    report = rating_report(store, samples=20)
    assert "10 items were judged, fewer than 30" in report["caution"]
    assert "**Caution**: 10 items were judged" in report_markdown(report)
    study = RatingStudy(("a", "b"), _items([((), ())] * 30, [None] * 30))
    many = RatingStore.create(tmp_path / "many", study)
    for item in range(30):
        many.save("ada", item, Judgement({0: 1.0, 1: 2.0 + item % 2}, {}))
    report = rating_report(many, samples=20)
    assert report["caution"] is None and report["runs"][1]["test"] == "bootstrap"


def test_the_report_opens_with_what_it_means(store):
    lines = report_markdown(rating_report(store, samples=20)).splitlines()
    assert lines[2] == (
        "The raters liked tuned best: mean 3.70 on a scale from 1 (worst) to 5 (best). Each "
        "difference from raw|0 is more than chance."
    )


def test_two_runs_that_are_liked_alike_have_no_winner(tmp_path):
    study = RatingStudy(("a", "b"), _items([((), ())] * 30, [None] * 30))
    store = RatingStore.create(tmp_path / "alike", study)
    for item in range(30):
        store.save("ada", item, Judgement({0: 3.0, 1: 3.0}, {}))
    lines = report_markdown(rating_report(store, samples=20)).splitlines()
    assert lines[2].startswith("The raters liked a and b best, equally well: mean 3.00")


def test_one_of_a_kind_is_counted_as_one(tmp_path):
    study = RatingStudy(("one",), _items([((),)], [None]))
    store = RatingStore.create(tmp_path / "one", study)
    store.save("ada", 0, Judgement({0: 4.0}, {}))
    text = report_markdown(rating_report(store, samples=20))
    assert "1 item, 1 answer of 1 rater." in text and "1 item was judged" in text
