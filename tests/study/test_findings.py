"""Sentences: right for what rises, for what falls, and for what is missing."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

import planted_study
from frtune.study.findings import comparisons, findings, headlines


def test_the_layer_that_changed_most_is_named_with_its_values():
    found = findings(planted_study.study(changes={("cosine_within", 3): 0.64}))["cosines"][0]
    assert found.startswith(
        "From raw to tuned, the cosine between tokens of one text rises most in layer 3, "
        "from 0.28 to 0.64."
    )


def test_a_fall_is_called_a_fall():
    changes = {("cosine_within", 0): 0.02, ("effective_rank", 2): 8.1, ("norm_q50", 4): 7.0}
    found = findings(planted_study.study(changes=changes))
    assert "falls most in the embeddings, from 0.20 to 0.02" in found["cosines"][0]
    assert "falls most in layer 2, from 100 to 8.10; the vectors have 384" in found["spectrum"][0]
    assert "falls most in layer 4, from 14.0 to 7.00" in found["norms"][0]


def test_no_change_is_called_none():
    assert "stays as it was" in findings(planted_study.study())["cosines"][0]
    small = findings(planted_study.study(changes={("cosine_within", 1): 0.2251}))
    assert "hardly changes: most in layer 1" in small["cosines"][0]


def test_what_moved_names_the_layer_that_turned_most():
    found = findings(planted_study.study())["movement"]
    assert (
        "layer 4 moved most: there, in the mean, a token's two vectors have a cosine of 0.50"
        in (found[0])
    )
    assert "The embeddings moved least (cosine 1.00)" in found[0]
    assert "most alike in the embeddings (CKA 1.00) and least in layer 4 (CKA 0.43)" in found[1]


def test_nothing_moved():
    study = planted_study.study()
    pairs = study.pairs.copy()
    pairs.loc[pairs["statistic"] == "drift_cosine", "value"] = 0.0
    found = findings(dataclasses.replace(study, pairs=pairs))["movement"]
    assert "hardly turned in any layer" in found[0] and "moved most" not in found[0]


@pytest.mark.parametrize(
    ("r", "said", "not_said"),
    [
        ((-0.83, -0.95, -0.4), "more alike, less anisotropy, classify worse", "not surely"),
        ((0.9, 0.6, 0.98), "more alike, less anisotropy, classify better", "not surely"),
        ((0.3, -0.4, 0.8), "does not surely tell", "classify better"),
        ((0.3, math.nan, math.nan), "stays open: r = 0.30 over 5 layers, too few", "surely"),
    ],
)
def test_the_answer_follows_the_interval(r, said, not_said):
    found = findings(planted_study.study(("raw",), r=r))["answer"]
    assert said in found[0] and not_said not in found[0]


def test_one_layer_far_off_does_not_make_an_answer():
    study = planted_study.study(("raw",), r=(0.83, 0.22, 0.97))
    ranks = {**study.answers[0], "statistic": "spearman", "value": 0.3, "low": -0.6, "high": 0.9}
    study.answers.append(ranks)
    (found,) = findings(study)["answer"]
    assert "does not surely tell" in found and "by ranks 0.30 (-0.60 to 0.90)" in found


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (0.85, "rises from 0.75 (95% 0.73 to 0.77) in raw to 0.85 (95% 0.83 to 0.87) in tuned; the "
         "intervals do not overlap"),
        (0.74, "falls from 0.75 (95% 0.73 to 0.77) in raw to 0.74 (95% 0.72 to 0.76) in tuned; the "
         "intervals overlap"),
        (0.75, "is as good in tuned as in raw"),
    ],
)  # fmt: skip
def test_probes_gain_lose_or_stay(last, said):
    study = planted_study.study(changes={("probe_mean_accuracy", 4): last})
    assert any(said in sentence for sentence in findings(study)["probes"])


def test_a_probe_that_may_be_no_better_than_the_largest_class_is_called_so():
    changes = {("probe_mean_accuracy", layer): 0.53 for layer in range(5)}
    found = findings(planted_study.study(("raw",), changes))["probes"]
    assert "not surely more than the largest class has (0.52)" in found[0]


def test_one_checkpoint_is_described_and_not_compared():
    study = planted_study.study(("raw",))
    found = findings(study)
    assert set(found) == {"cosines", "probes", "answer"}
    assert "goes from 0.20 in the embeddings to 0.30 in the last layer" in found["cosines"][0]
    assert not any("From raw" in sentence for sentence in headlines(study))


def test_three_checkpoints_are_each_set_against_what_they_share_tokens_with():
    study = planted_study.study(("raw", "tuned", "other"))
    assert comparisons(study) == [("raw", "tuned"), ("raw", "other")]
    rows = study.pairs[study.pairs["b"] == "other"].assign(a="tuned")
    pairs = study.pairs[study.pairs["b"] != "other"]
    study = dataclasses.replace(study, pairs=pd.concat([pairs, rows]))
    assert comparisons(study) == [("raw", "tuned"), ("tuned", "other")]


def test_unlike_depths_are_compared_in_the_last_layer():
    study = planted_study.study()
    study.checkpoints[1]["layers"] = 2
    layers = study.layers
    layers = layers[(layers["checkpoint"] == "raw") | (layers["layer"] <= 2)]
    found = findings(dataclasses.replace(study, layers=layers))
    assert "falls in the last layer, from 0.30 to 0.25" in found["cosines"][0]


def test_missing_statistics_leave_their_sentences_out():
    study = planted_study.study(
        without=("drift_cosine", "cosine_within", "probe_mean_accuracy", "probe_first_accuracy")
    )
    found = findings(study)
    assert "movement" not in found and "probes" not in found and "answer" not in found
    assert len(found["cosines"]) == 1
