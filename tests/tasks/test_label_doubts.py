"""Which labels are doubted, by evidence that is made up here."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from frtune import (
    InputError,
    KeyphraseGeneration,
    KeywordExtraction,
    SentenceSimilarity,
    SequenceClassification,
    build_model,
)
from frtune.inference import Predictor
from frtune.tasks.keyphrase_doubts import unsupported
from frtune.tasks.label_doubts import class_doubts, outlier_limit, ranks, score_doubts
from frtune.tasks.phrase_labels import phrases_cell


def confident_joint(labels, chances):
    """Which rows are off the diagonal, by equation 1 of Northcutt et al. (2021)."""
    least = [chances[labels == j, j].mean() for j in range(chances.shape[1])]
    off = []
    for label, row in zip(labels, chances, strict=True):
        above = [j for j in range(len(row)) if row[j] >= least[j]]
        off.append(bool(above) and max(above, key=lambda j: row[j]) != label)
    return off


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_rows_off_the_diagonal_of_the_confident_joint_are_doubted(seed, classes):
    drawn = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), np.arange(classes), drawn.integers(0, classes, 30)]
    chances = drawn.dirichlet(np.ones(classes), len(labels))
    chances[np.arange(len(labels)), labels] += 0.7
    chances /= chances.sum(1, keepdims=True)
    names = [f"c{i}" for i in range(classes)]
    found = class_doubts([names[i] for i in labels], chances, names)
    off = np.array(confident_joint(labels, chances)) & (chances.argmax(1) != labels)
    assert [bool(doubt.reasons) for doubt in found] == off.tolist()
    own = chances[np.arange(len(labels)), labels]
    others = np.where(np.eye(classes)[labels] > 0, -1, chances).max(1)
    order = sorted(range(len(labels)), key=lambda i: -found[i].doubt)
    assert np.all(np.diff((own - others)[order]) >= -1e-9), "the normalised margin"


def test_a_class_without_rows_is_never_suggested_and_changes_nothing():
    chances = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.9, 0.05, 0.05]])
    found = class_doubts(["a", "a", "b", "b"], chances, ["a", "b", "none"])
    assert [doubt.suggestion for doubt in found] == [None, None, None, "a"]
    assert found[3].confidence == pytest.approx(0.9 / 0.95)


def test_scores_far_from_what_models_say_are_outliers():
    said = [*np.linspace(0, 5, 20)]
    labels = [value + 0.1 * (-1) ** i for i, value in enumerate(said)]
    labels[7] = 5.0
    found = score_doubts(labels, said)
    assert [i for i, doubt in enumerate(found) if doubt.reasons] == [7]
    assert found[7].confidence == 0.95 and found[7].suggestion == pytest.approx(said[7], abs=0.01)
    assert outlier_limit(np.zeros(4)) == 0 and ranks(np.array([2.0])).tolist() == [0.0]


def test_phrases_that_no_text_supports_are_told_in_each_language():
    texts = ["solar cells and wind", "the wind", "인공지능은 빠르다", "날씨가 좋다"]
    phrases = [["Solar Cells", "enrgy"], ["wind", "solar cells", "energy"], ["인공지능", "속도"],
               ["energy", "인공지능"]]  # fmt: skip
    assert unsupported(texts, phrases) == [["enrgy"], [], ["속도"], []]
    assert unsupported(["he ran"], [["running"]]) == [["running"]]
    assert unsupported(["the runs"], [["run"]], language="en") == [[]]
    assert unsupported([], []) == []


def test_keyphrases_are_ordered_by_loss_and_support():
    phrases = [["sun"]] * 6 + [["sun", "xqz"], ["wind"]]
    texts = [f"sun and wind {i}" for i in range(8)]
    rows = Dataset.from_dict({"text": texts, "keyphrases": phrases})
    losses = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.2, 9.0]
    said = [{"prediction": ["sun"], "loss": loss} for loss in losses]
    found = KeyphraseGeneration().label_doubts(rows, said)
    assert [reason.name for reason in found[7].reasons] == ["high_loss"]
    assert [reason.name for reason in found[6].reasons] == ["unsupported_phrases"]
    assert found[6].reasons[0].values == {"phrases": "xqz"}
    assert [bool(doubt.reasons) for doubt in found[:6]] == [False] * 6
    assert found[7].suggestion == ["sun"] and found[0].suggestion is None


@pytest.mark.parametrize("subwords", ["word", "first", "all"])
def test_keywords_are_doubted_by_their_spans(subwords, tiny):
    text, far = "the budget of the school", "a forest beside the river"
    task = KeywordExtraction(subwords=subwords, max_source_tokens=32)
    rows = Dataset.from_dict({"text": [text, far], "keywords": ["budget; moon", "forest"]})
    model, tokenizer = build_model(task, checkpoint=str(tiny("bert")), proof=False)
    encoded = Predictor(task, model, tokenizer).encode(rows, with_labels=True)

    def logits(row, words):
        """As sure as can be that these words are keywords, and no others."""
        found = np.zeros((len(row["input_ids"]), 3))
        found[:, 0] = 4.0
        for i, (start, end) in enumerate(zip(row["starts"], row["ends"], strict=True)):
            for word in words:
                at = row["text"].index(word)
                if start < at + len(word) and end > at:
                    found[row["own_start"] + i] = [0.0, 4.0, 0.0]
        return found

    outputs = [logits(encoded[0], ["school"]), logits(encoded[1], ["forest"])]
    said = task.review_evidence(outputs, encoded, tokenizer)
    (budget, low), (moon, none) = said[0]["given"]
    assert (budget, moon, none) == ("budget", "moon", None) and low < 0.1
    assert said[0]["extra"][0][0] == "school" and said[0]["extra"][0][1] > 0.9
    assert said[1]["extra"] == [] and said[1]["given"][0][1] > 0.9
    doubts = task.label_doubts(rows, said)
    names = [reason.name for reason in doubts[0].reasons]
    assert names[-1] == "keywords_not_in_text" and doubts[1].reasons == ()
    assert doubts[0].doubt > 0.9 > 0.2 > doubts[1].doubt
    assert "school" in doubts[0].suggestion and doubts[1].suggestion is None


def test_labels_are_shown_typed_and_written_in_the_form_of_the_file():
    classes = SequenceClassification(labels=["0", "1"])
    assert classes.label_cell("1", 0) == 1 and classes.label_cell("1", "0") == "1"
    assert SequenceClassification(labels=["false", "true"]).label_cell("true", False) is True
    assert classes.read_label_line(" 1 ") == "1"
    scores = SentenceSimilarity(head="regression")
    assert scores.read_label_line("3,5") == 3.5 and scores.label_line(3.0) == "3"
    assert scores.label_cell(3.5, 2) == 3.5 and scores.label_cell(3.0, 2) == 3
    assert scores.label_cell(3.5, "2.0") == "3.5"
    with pytest.raises(InputError, match="is no number"):
        scores.read_label_line("much")
    phrases = KeywordExtraction(separator=";")
    assert phrases.read_label_line("sun; wind;sun") == ["sun", "wind"]
    assert phrases.label_cell(["sun", "wind"], "a;b") == "sun;wind"
    assert phrases_cell(["sun"], [{"p": "a", "n": 1}], ";", "p") == [{"p": "sun", "n": None}]


def test_labels_conflict_where_both_cannot_be_right():
    classes, phrases = SequenceClassification(), KeyphraseGeneration()
    assert classes.conflict_test(["a", "b"])("a", "b") and not classes.conflict_test(["a"])(
        "a", "a"
    )
    conflict = SentenceSimilarity(head="regression").conflict_test([0.0, 5.0])
    assert conflict(1.0, 2.5) and not conflict(1.0, 2.0)
    conflict = phrases.conflict_test([])
    assert conflict(["sun"], ["wind"]) and not conflict(["sun"], ["Sun", "wind"])


def test_several_labels_a_row_are_questions_of_their_own():
    sets = [["eau"], ["eau", "sel"], ["sel"], [], ["eau"], ["sel"], ["eau", "sel"], []]
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(8)], "label": sets})
    task = SequenceClassification(multi_label=True).fit(rows)
    chances = [[0.95 if "eau" in row else 0.05, 0.95 if "sel" in row else 0.05] for row in sets]
    chances[0] = [0.02, 0.98]  # has eau, and the models say sel
    found = task.label_doubts(rows, [{"chances": row} for row in chances])
    assert [bool(doubt.reasons) for doubt in found] == [True] + [False] * 7
    assert found[0].suggestion == ["sel"] and found[1].suggestion is None
    told = {reason.name: reason.values["phrases"] for reason in found[0].reasons}
    assert told == {"labels_unlikely": "eau", "labels_missing": "sel"}
    assert max(found, key=lambda doubt: doubt.doubt) is found[0]
    assert task.read_label_line("sel; eau") == ["sel", "eau"] and task.read_label_line(" ") == []
    with pytest.raises(InputError, match="'vent' is no label"):
        task.read_label_line("sel; vent")
    assert task.label_cell([], "eau; sel") == "[]" and task.label_cell(["eau"], ["sel"]) == ["eau"]
    assert task.label_cell(["1"], [2, 3]) == [1] and task.label_cell(["sel"], [2]) == ["sel"]
    assert task.label_cell(["1"], 2) == 1 and task.label_cell([], 2) == "[]"
    conflict = task.conflict_test(sets)
    assert conflict(["eau"], ["eau", "sel"]) and not conflict(["eau", "sel"], ["sel", "eau"])
