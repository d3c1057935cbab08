"""Scores of phrases as chances to be right."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from transformers import GenerationConfig

import frtune
from frtune import KeyphraseGeneration
from frtune.errors import InputError
from frtune.inference import Predictor
from frtune.metrics.chances import platt, unplatt
from frtune.metrics.phrase_chances import chance_scores, fitted_platt, precision_recall
from frtune.tasks.config_file import load_task, save_task
from frtune.tasks.generated import Generated
from frtune.tasks.ranking import PHRASES, fitted_map, ranking_of


def sure(rows, *, hits, seed=0):
    """Scores, and whether their phrases are right: less often than they say."""
    draw = np.random.default_rng(seed)
    scores = draw.uniform(0.3, 1, rows)
    return scores, draw.uniform(size=rows) < hits(scores)


def test_scores_that_promise_too_much_are_brought_to_the_share_that_is_right():
    scores, right = sure(4_000, hits=lambda s: s**4)
    fitted = fitted_platt(scores, right)
    scores, right = sure(4_000, hits=lambda s: s**4, seed=1)
    before, after = (chance_scores(v, right) for v in (scores, platt(scores, *fitted)))
    assert before["phrase_ece"] > 0.2 and after["phrase_ece"] < 0.03
    assert all(after[name] < before[name] for name in before)


def test_scores_that_hold_are_left_as_they_are():
    scores, right = sure(20_000, hits=lambda s: s)
    assert fitted_platt(scores, right) == pytest.approx((1, 0), abs=0.1)


@given(
    st.lists(st.floats(0, 1), min_size=2), st.floats(0.05, 5), st.floats(-5, 5)
)  # fmt: skip
def test_calibration_keeps_order_and_range_and_can_be_undone(scores, slope, intercept):
    found = platt(scores, slope, intercept)
    assert ((found >= 0) & (found <= 1)).all()
    order = np.argsort(scores, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    inner = [score for score in scores if 1e-4 < score < 1 - 1e-4]
    assert unplatt(platt(inner, 1.3, 0.2), 1.3, 0.2) == pytest.approx(inner, abs=1e-6)


def test_spellings_of_one_phrase_count_once_by_the_best_score():
    made = ranking_of([[("Wind", 0.2), ("wind", 0.6)], []], [["wind", "WIND"], ["sun"]], str.lower)
    assert made.scores["not calibrated"].tolist() == [0.6]
    assert (made.right.tolist(), made.total) == ([True], 2)


def test_the_curve_ends_at_precision_and_recall_of_all_phrases():
    scores, right = sure(300, hits=lambda s: s)
    recall, precision = precision_recall(scores, right, 400)
    assert (recall[-1], precision[-1]) == (right.sum() / 400, right.mean())
    assert recall == sorted(recall) and precision_recall([], [], 3) == ([], [])


@pytest.mark.parametrize(
    ("rows", "right", "said"),
    [
        (49, [True, False] * 100, "49 validation rows, and it takes 50"),
        (60, [True] * 19 + [False] * 81, "19 of 100 phrases of the validation rows are right"),
        (60, [True] * 100, "takes 20 that are and 20 that are not"),
        (60, [False] * PHRASES + [True] * PHRASES, "higher scores are right no more often"),
        (60, [], "0 of 0 phrases"),
    ],
)
def test_what_cannot_be_fitted_is_said(rows, right, said):
    found = [[(str(i), 1 - i / 500) for i in range(len(right))]]
    true = [[str(i) for i, hit in enumerate(right) if hit]]
    fitted, note = fitted_map(ranking_of(found, true, str), rows)
    assert fitted is None and note.startswith("scores of phrases are not calibrated: ")
    assert said in note


# --- the task -------------------------------------------------------------------------------------


def outputs_of(task, tokenizer, rows, seed, votes=0):
    """What a model wrote that is too sure: true phrases, and others, at the same scores."""
    draw = np.random.default_rng(seed)

    def line():
        ids = tokenizer("budget; forêt", add_special_tokens=False)["input_ids"]
        return Generated(ids, True, np.log(draw.uniform(0.5, 1, len(ids))).tolist())

    made = []
    for _ in range(rows):
        drawn = tuple(line() for _ in range(votes))
        made.append(Generated(drawn[0].ids, True, drawn[0].log_probs, drawn) if votes else line())
    return made


@pytest.fixture(scope="module")
def written(tiny):
    task = KeyphraseGeneration(max_source_tokens=32, max_target_tokens=16)
    model, tokenizer = frtune.build_model(task, checkpoint=str(tiny("t5")), proof=False)
    return model.eval(), tokenizer


def rows_of(count, share=0.5):
    true = [["budget"] if i % 10 < 10 * share else ["eau"] for i in range(count)]
    return Dataset.from_dict({"text": ["Le vent."] * count, "keyphrases": true})


@pytest.mark.parametrize("votes", [0, 4])
def test_a_task_keeps_what_was_fitted_and_gives_it_as_scores(written, tmp_path, votes):
    _, tokenizer = written
    task = KeyphraseGeneration(calibrate_scores=votes or 1)
    outputs, rows = outputs_of(task, tokenizer, 120, 0, votes), rows_of(120)
    fitted, notes = task.calibrated(outputs, rows, tokenizer)
    assert not notes and len(fitted.score_map) == 2
    plain, told = (each.answers(outputs, rows, tokenizer) for each in (task, fitted))
    for a, b in zip(plain, told, strict=True):
        assert a["keyphrases"] == b["keyphrases"]
        assert b["scores"] == pytest.approx(platt(a["scores"], *fitted.score_map).tolist())
    mean = np.mean([score for answer in told for score in answer["scores"]])
    assert mean == pytest.approx(0.25, abs=0.01)  # the share that is right
    scores = fitted.score_outputs(outputs, rows, tokenizer)
    assert scores["phrase_brier"] < scores["phrase_brier_uncalibrated"]
    plain = task.score_outputs(outputs, rows, tokenizer)
    assert {n: scores[n] for n in plain} == plain and "phrase_ece" not in plain
    assert {n for n in scores if n.startswith("phrase_")} <= {*fitted.metric_directions()}
    assert {*fitted.signatures([["a"]])} - {*task.signatures([["a"]])} == {*scores} - {*plain}
    save_task(fitted, tmp_path)
    assert load_task(tmp_path) == fitted
    assert fitted.calibrated(outputs, rows, tokenizer) == (fitted, [])  # fitting anew forgets it
    # scores of another way of writing are none of these
    other = outputs_of(task, tokenizer, 3, 1, 0 if votes else 4)
    assert fitted.answers(other, rows, tokenizer) == task.answers(other, rows, tokenizer)


def test_too_few_rows_leave_scores_as_they_are(written):
    _, tokenizer = written
    task = KeyphraseGeneration(calibrate_scores=1)
    outputs = outputs_of(task, tokenizer, 30, 0)
    fitted, (note,) = task.calibrated(outputs, rows_of(30), tokenizer)
    assert fitted.score_map is None and "30 validation rows" in note


def test_a_calibrated_model_gives_scores_unasked_and_says_where_they_do_not_hold(written, caplog):
    model, tokenizer = written
    task = KeyphraseGeneration(calibrate_scores=1, score_map=[0.5, -1.0], max_target_tokens=8)
    predictor = Predictor(task, model, tokenizer)
    plain = Predictor(KeyphraseGeneration(max_target_tokens=8), model, tokenizer)
    (told,), (raw,) = predictor.predict("Le budget."), plain.predict("Le budget.", scores=True)
    assert told["scores"] == pytest.approx(platt(raw["scores"], 0.5, -1.0).tolist())
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        assert predictor.predict("Le vent.", votes=3) == plain.predict("Le vent.", votes=3)
        predictor.predict("Le vent.", num_beams=2)
    assert [record.message for record in caplog.records] == [
        "these scores of phrases are not calibrated: those without votes are",
        "scores of phrases were calibrated without num_beams",
    ]
    chosen = predictor.predict("Le budget.", min_score=1.0)
    assert chosen[0]["keyphrases"] == []


def test_the_demo_shows_the_scores():
    task = KeyphraseGeneration()
    answer = {"text": "Le vent.", "keyphrases": ["vent", "sel"], "scores": [0.814, 0.3]}
    html = task.answer_html(answer, lambda key, **words: key)
    assert "vent 81%" in html and "sel 30%" in html
    del answer["scores"]
    assert "%" not in task.answer_html(answer, lambda key, **words: key)


@pytest.mark.parametrize("count", [0, 65, 1.5, True])
def test_a_number_of_votes_out_of_range_is_refused(count):
    with pytest.raises(InputError, match=r"calibrate_scores=.*at least 1 and at most 64"):
        KeyphraseGeneration(calibrate_scores=count)


def test_beams_of_the_arguments_do_not_stop_votes_and_what_would_is_refused_at_once(tiny, tmp_path):
    task = KeyphraseGeneration(calibrate_scores=5, max_source_tokens=32, max_target_tokens=12)
    model, tokenizer = frtune.build_model(task, checkpoint=str(tiny("t5")), proof=False)

    def trainer(**settings):
        args = frtune.training_arguments(
            task, str(tmp_path), eval_strategy="no", load_best_model_at_end=False, bf16=False,
            **settings,
        )  # fmt: skip
        return task.trainer(model, tokenizer, args, train_dataset=rows_of(8), proof=False)

    made = trainer(generation_num_beams=3)
    assert made.calibrate(rows_of(8)) == [
        "scores of phrases are not calibrated: 8 validation rows, and it takes 50"
    ]
    with pytest.raises(InputError, match="length_penalty"):
        trainer(generation_config=GenerationConfig(num_beams=3, length_penalty=2.0))
