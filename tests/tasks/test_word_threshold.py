"""From which probability on a word is a keyword's."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from frtune import KeywordExtraction, build_model
from frtune.errors import InputError
from frtune.inference import Predictor
from frtune.metrics.tags import BEGIN, INSIDE, OUTSIDE
from frtune.tasks.answer_choice import AnswerChoice
from frtune.tasks.config_file import load_task, save_task
from frtune.tasks.word_threshold import read_logits, tuned_threshold

WORDS = ["vent", "budget", "sel", "commune"]


@pytest.fixture(scope="module")
def predictor(tiny):
    task = KeywordExtraction(max_source_tokens=32)
    model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
    return Predictor(task, model.eval(), tokenizer)


def rows_of(count):
    """Texts in which every word stands, each with one keyword or two."""
    true = [["budget"] if i % 2 else ["budget", "commune"] for i in range(count)]
    return Dataset.from_dict({"text": [" ".join(WORDS)] * count, "keywords": true})


def outputs_of(encoded, chances):
    """Logits by which each word is a keyword with its chance, whatever its tokens are."""
    found = []
    for row in encoded:
        values = np.full((len(row["input_ids"]), 3), [10.0, 0.0, 0.0])
        word = -1
        for i, starts in enumerate(row["word_starts"]):
            word += starts
            inside = chances[word]
            at = row["own_start"] + i
            values[at, OUTSIDE] = np.log(1 - inside)
            likelier, other = (BEGIN, INSIDE) if starts else (INSIDE, BEGIN)
            values[at, [likelier, other]] = np.log([0.8 * inside, 0.2 * inside])
        found.append(values)
    return found


@pytest.fixture
def answered(predictor):
    """Rows, and outputs that rank the true words first and find none of them likely."""

    def made(count=60, chances=(0.1, 0.45, 0.2, 0.31)):
        encoded = predictor.encode(rows_of(count), with_labels=True)
        return encoded, outputs_of(encoded, chances)

    return made


def test_a_threshold_reads_words_below_the_likeliest_label():
    logits = np.log([[0.6, 0.3, 0.1], [0.55, 0.15, 0.3], [0.9, 0.05, 0.05], [0.4, 0.35, 0.25]])
    labels, scores = read_logits(logits, None)
    assert labels.tolist() == [0, 0, 0, 0]  # O is likeliest even where it is unlikely
    assert scores == pytest.approx([0.6, 0.55, 0.9, 0.4])
    labels, scores = read_logits(logits, 0.4)
    assert labels.tolist() == [BEGIN, INSIDE, OUTSIDE, BEGIN]
    assert scores == pytest.approx([0.4, 0.45, 0.1, 0.6])


@pytest.mark.parametrize("subwords", ["all", "first", "word"])
def test_a_task_keeps_the_threshold_and_answers_by_it(answered, predictor, tmp_path, subwords):
    encoded, outputs = answered()
    task = KeywordExtraction(tune_threshold=True, subwords=subwords, max_source_tokens=32)
    fitted, notes = task.calibrated(outputs, encoded)
    # with both words F1 is 0.857, with the surer one 0.8
    assert not notes and fitted.threshold == 0.3
    save_task(fitted, tmp_path)
    assert load_task(tmp_path) == fitted
    assert task.answers(outputs, encoded, None)[0] == {"keywords": []}
    (first, second) = fitted.answers(outputs, encoded, None)[0]["keywords"]
    assert (first["text"], second["text"]) == ("budget", "commune")
    assert (first["score"], second["score"]) == pytest.approx((0.45, 0.31))
    kept = fitted.choose(fitted.answers(outputs, encoded, None), AnswerChoice(min_score=0.4))
    assert [item["text"] for item in kept[0]["keywords"]] == ["budget"]
    scores = fitted.score_outputs(outputs, encoded)
    assert scores["keyword_f1"] == pytest.approx(6 / 7) and scores["keyword_f1_untuned"] == 0.0
    assert {*scores} == {*fitted.metric_directions()} == {*fitted.signatures([])}
    plain = task.score_outputs(outputs, encoded)
    assert {*plain} == {*task.metric_directions()} and plain["keyword_f1"] == 0.0
    assert fitted.calibrated(outputs, encoded) == (fitted, [])  # tuning anew forgets it
    assert (
        "0.857; the likeliest labels give 0.000"
        in fitted.remarks({f"test_{name}": value for name, value in scores.items()})[0]
    )


def test_a_threshold_above_a_half_takes_words_away(answered):
    encoded, outputs = answered(chances=(0.7, 0.9, 0.6, 0.8))
    fitted, _ = KeywordExtraction(tune_threshold=True).calibrated(outputs, encoded)
    assert 0.7 < fitted.threshold <= 0.8


def test_where_the_likeliest_labels_are_best_or_rows_are_few_it_is_said(answered):
    task = KeywordExtraction(tune_threshold=True)
    fitted, (note,) = task.calibrated(*reversed(answered(40)))
    assert fitted.threshold is None and "40 validation texts, and it takes 50" in note
    fitted, (note,) = task.calibrated(*reversed(answered(chances=(0.1, 0.9, 0.1, 0.9))))
    assert fitted.threshold is None and "no threshold scores higher" in note
    assert tuned_threshold(lambda value: 0.0, 60)[0] is None


def test_labels_cannot_be_read_by_a_threshold(answered):
    encoded, outputs = answered(3)
    labels = [values.argmax(-1) for values in outputs]
    task = KeywordExtraction(threshold=0.3)
    with pytest.raises(InputError, match=r"threshold=0.3: .* these are labels. Give logits"):
        task.answers(labels, encoded, None)


def test_lines_of_predictions_are_ranked_by_the_best_score_of_each_keyword():
    task = KeywordExtraction()
    spans = [{"text": "Vent", "score": 0.4}, {"text": "vent", "score": 0.7}]
    made = task.ranking([{"spans": spans, "reference": ["vent", "sel"]}])
    assert (made.scores["not calibrated"].tolist(), made.right.tolist()) == ([0.7], [True])
    assert made.total == 2
    assert task.ranking([{"spans": [{"text": "vent"}], "reference": []}]) is None


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_threshold_out_of_range_is_refused(value):
    with pytest.raises(InputError, match="threshold="):
        KeywordExtraction(threshold=value)
