"""Answers that are withheld, and trees of labels."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from frtune import SequenceClassification
from frtune.errors import InputError
from frtune.tasks.confidence import NEVER, decide, fitted_limits
from frtune.tasks.config_file import load_task, save_task
from frtune.tasks.label_tree import LabelTree

ACCOUNTS = ["401", "404", "411", "512", "601"]


def logits_for(true, labels, *, seed, noise):
    """Logits that point at the true label, and at its neighbour where it is hard."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(true), len(labels)))
    logits[np.arange(len(true)), [labels.index(label) for label in true]] += noise
    return logits


def rows_of(labels, count):
    return Dataset.from_dict(
        {"text": [f"ligne {i}" for i in range(count)], "label": (labels * count)[:count]}
    )


def test_paths_go_from_the_top_to_the_label():
    tree = LabelTree("separator:/", ["a/b/c", "a/d", "e"])
    assert tree.path("a/b/c") == ["a", "a/b", "a/b/c"]
    assert [tree.nodes(level) for level in (1, 2, 3)] == [
        ["a", "e"],
        ["a/b", "a/d", "e"],
        ["a/b/c", "a/d", "e"],
    ]
    assert tree.chances(np.array([[0.5, 0.3, 0.2]]), 1).tolist() == [[0.8, 0.2]]


@pytest.mark.parametrize(
    "rule", ["", "prefix", "prefix:", "prefix:0,1", "prefix:2,1", "prefix:1,1", "prefix:a",
             "prefix:٣", "separator:", "suffix:1", "1,2"],
)  # fmt: skip
def test_a_rule_that_is_none_is_refused_with_those_there_are(rule):
    with pytest.raises(InputError, match=r"label_tree=.*prefix:1,2,3 .* or separator:/"):
        SequenceClassification(label_tree=rule)


def test_a_rule_that_puts_no_label_under_another_is_refused():
    rows = rows_of(["achat", "vente"], 8)
    with pytest.raises(InputError, match=r"label_tree='separator:/': puts no label under"):
        SequenceClassification(label_tree="separator:/").fit(rows)


def test_an_uncertain_leaf_is_answered_by_its_deepest_sure_parent():
    tree = LabelTree("prefix:1,2", ACCOUNTS)
    chances = np.array(
        [
            [0.97, 0.01, 0.01, 0.005, 0.005],
            [0.50, 0.45, 0.03, 0.01, 0.01],
            [0.40, 0.20, 0.38, 0.01, 0.01],
            [0.25, 0.25, 0.10, 0.20, 0.20],
        ]
    )
    found = decide(chances, ACCOUNTS, [0.9, 0.9, 0.9], tree)
    assert found.labels == ["401", "40", "4", None]
    assert found.scores == pytest.approx([0.97, 0.95, 0.98, 0.25])


def test_levels_promise_their_precision_on_rows_that_lower_ones_left_open():
    true = (ACCOUNTS * 400)[:2_000]
    random = np.random.default_rng(0)
    # siblings are hard to tell apart, the class of the account is not
    logits = logits_for(true, ACCOUNTS, seed=1, noise=0.0)
    for row, label in enumerate(true):
        for i, other in enumerate(ACCOUNTS):
            logits[row, i] += 6.0 * (other[0] == label[0]) + 1.5 * random.uniform() * (
                other == label
            )
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    tree = LabelTree("prefix:1,2", ACCOUNTS)
    limits = fitted_limits(chances[:1_000], ACCOUNTS, true[:1_000], 0.9, tree)
    found = decide(chances[1_000:], ACCOUNTS, limits, tree)
    known = list(zip(found.labels, true[1_000:], strict=True))
    answered = [(said, label) for said, label in known if said is not None]
    right = sum(label.startswith(said) for said, label in answered)
    assert len(answered) > 900 and right / len(answered) >= 0.9
    assert any(len(said) < 3 for said, _ in answered)
    flat = fitted_limits(chances[:1_000], ACCOUNTS, true[:1_000], 0.9, None)
    alone = decide(chances[1_000:], ACCOUNTS, flat, None)
    assert sum(label is not None for label in alone.labels) < len(answered)


def test_withheld_answers_name_the_likeliest_and_scores_stay_those_of_all_rows(tmp_path):
    labels = ["a", "b", "c", "d"]
    rows = rows_of(labels, 600)
    task = SequenceClassification(min_precision=0.9).fit(rows)
    true = list(rows["label"])
    outputs = list(logits_for(true, labels, seed=2, noise=2.0))
    fitted, notes = task.calibrated(outputs, rows)
    assert not notes and fitted.temperature > 0 and 0 < fitted.least_scores[0] < 1
    answers = fitted.answers(outputs, rows, None)
    decided = fitted.decided(answers)
    withheld = [row for row in decided if row["label"] is None]
    assert 0 < len(withheld) < 600
    for row in withheld:
        assert len(row["likeliest"]) == 3 and row["score"] < fitted.least_scores[0]
        assert row["scores"][row["likeliest"][0]] == max(row["scores"].values())
    scores = fitted.score_outputs(outputs, rows)
    plain = task.score_outputs(outputs, rows)
    assert scores["accuracy"] == plain["accuracy"]
    assert scores["coverage"] == 1 - len(withheld) / 600
    assert scores["precision_answered"] >= 0.9 > scores["accuracy"]
    assert scores["log_loss"] <= scores["log_loss_uncalibrated"] == plain["log_loss"]
    assert {*scores} == {*fitted.metric_directions()} == {*fitted.signatures(true)}
    save_task(fitted, tmp_path)
    again = load_task(tmp_path)
    assert again == fitted and again.decided(answers) == decided
    # what was fitted is of those rows alone: fitting anew forgets it
    assert fitted.calibrated(outputs, rows) == (fitted, [])


def test_where_nothing_can_be_fitted_it_is_said():
    labels = ["a", "b"]
    few = rows_of(labels, 40)
    task = SequenceClassification(min_precision=0.95).fit(few)
    outputs = list(logits_for(list(few["label"]), labels, seed=3, noise=1.0))
    fitted, notes = task.calibrated(outputs, few)
    assert fitted.temperature is None and fitted.least_scores == [NEVER]
    assert notes[0] == "probabilities are not calibrated: 40 validation rows, and it takes 50"
    assert "no probability assures min_precision=0.95" in notes[1]
    assert {row["label"] for row in fitted.decided(fitted.answers(outputs, few, None))} == {None}
    many = rows_of(labels, 60)
    right = [5.0 * np.array([label == "a", label == "b"]) for label in many["label"]]
    fitted, (note,) = SequenceClassification().fit(many).calibrated(right, many)
    assert fitted.temperature is None and "all are right" in note


def test_a_precision_that_was_never_fitted_gives_no_answer():
    rows = rows_of(["a", "b"], 8)
    task = SequenceClassification(min_precision=0.9).fit(rows)
    answers = task.answers([np.zeros(2)] * 8, rows, None)
    with pytest.raises(InputError, match=r"min_precision=0.9: was not fitted.*trainer.calibrate"):
        task.decided(answers)


@pytest.mark.parametrize("value", [0, 1, 1.5, -0.2, float("nan")])
def test_a_precision_out_of_range_is_refused(value):
    with pytest.raises(InputError, match="min_precision="):
        SequenceClassification(min_precision=value)


def test_levels_are_scored():
    rows = rows_of(ACCOUNTS, 100)
    task = SequenceClassification(label_tree="prefix:1,2").fit(rows)
    said = ["404" if label == "401" else label for label in rows["label"]]
    scores = task.compute_metrics(said, list(rows["label"]))
    assert (scores["accuracy"], scores["accuracy_level_2"]) == (0.8, 1.0)
    outputs = list(logits_for(list(rows["label"]), task.labels, seed=4, noise=3.0))
    answer = task.decided(task.answers(outputs, rows, None))[0]
    assert (answer["label"], answer["level"]) == ("401", 3)
