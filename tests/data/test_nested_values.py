"""Phrases, texts and scores that are no plain text: one rule in every task."""

import dataclasses
import json

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

import frtune
from frtune.data.checks import separator_check
from frtune.data.labels import known_label, label_text, score_of
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.data.prepare import Cut, prepare
from frtune.data.written_lists import UNREADABLE, parse_written
from frtune.errors import InputError

WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4)


@pytest.mark.parametrize(
    ("value", "field", "phrases"),
    [
        (None, None, []),
        (["solar cells", None, " "], None, ["solar cells"]),
        ([["solar", "cells"], ["citation"]], None, ["solar cells", "citation"]),
        ([{"phrase": "a b", "score": 1}], "phrase", ["a b"]),
        ([{"phrase": ["a", "b"]}], "phrase", ["a b"]),
        ({"phrase": ["a", "b c"], "score": [1, 2]}, "phrase", ["a", "b c"]),
        ('[{"phrase": "a"}]', "phrase", ["a"]),
        (r'["\u00e9cole", "TCP\/IP", null, "\ud83d\ude00"]', None, ["école", "TCP/IP", "😀"]),
        ("['l\\'été', \"b\"]", None, ["l'été", "b"]),
        ("('a', 'b')", None, ["a", "b"]),
        ("['a' 'b']", None, ["a", "b"]),
        ("[1990.10, 6E1, 007]", None, None),
        ("[1990.10, 6E1]", None, ["1990.10", "6E1"]),
        ("['1990.10', 1990.10, -2.50, nan]", None, ["1990.10", "1990.10", "-2.50"]),
        ("R&amp;D; caf&eacute;", None, ["R&D", "café"]),
        (["R&amp;D"], None, ["R&D"]),
        ("[note] a; (b) c", None, ["[note] a", "(b) c"]),
    ],
)
def test_phrases_are_read_by_one_rule(value, field, phrases):
    reason = phrases_reason(value, "k", field)
    if phrases is None:
        assert reason == f"column k holds {value!r}, which is no list that can be read"
    else:
        assert read_phrases(value, "; ", field) == phrases
        assert (reason is None) == (value is not None)


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ([{"phrase": "a"}], None, "name the field of the phrase: --keyphrase-field"),
        ({"a": 1}, None, "name the field of the phrase: --keyphrase-field"),
        ([{"phrase": "a"}], "text", "an object without the field text; it has phrase"),
        ([["svm", "support vector machine"]], None, "several forms of a phrase"),
        ([b"a"], None, "a list with b'a' in it"),
        (b"a", None, "a bytes, b'a'"),
        ([1, 2], None, "a list with 1 in it"),
        (5, None, "a int, 5"),
        ([True], None, "a list with True in it"),
        ("{'budget'}", None, "which is no list that can be read"),
        ("['budget'", None, "which is no list that can be read"),
        ("[" * 5000 + "]" * 5000, None, "which is no list that can be read"),
        ("  ", None, "holds no keyphrases"),
    ],
)
def test_what_holds_no_phrases_is_refused_with_the_row_in_every_task(value, field, message):
    assert message in phrases_reason(value, "k", field)
    assert read_phrases(value, "; ", field) == []
    row = {"text": "a text", "k": value}
    for task in (
        frtune.KeyphraseGeneration(keyphrases_column="k", keyphrase_field=field),
        frtune.KeywordExtraction(keywords_column="k", keyphrase_field=field),
    ):
        assert message.removesuffix("keyphrases") in task.reason(row)


@given(WORDS)
def test_lists_that_are_written_out_come_back(words):
    assert parse_written(json.dumps(words)) == words
    assert parse_written(json.dumps(words, ensure_ascii=False)) == words
    assert parse_written(repr(words)) == words
    numpy = repr(words).replace("', '", "' '") if "'" not in "".join(words) else repr(words)
    assert parse_written(numpy) == words


@pytest.mark.parametrize("words", [[" "], ["a' 'b"], ['a" "b'], ["\n", "it's"], ["'", '"'], ["\\"]])
def test_quotes_and_blanks_within_a_string_divide_nothing(words):
    assert parse_written(repr(words)) == words


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_text_is_read_or_has_a_reason(text):
    for value in (text, f"[{text}]", f"('{text}')", f'["{text}"', f"{{{text}}}"):
        read = read_phrases(value)
        assert all(isinstance(phrase, str) and phrase.strip() for phrase in read)
        assert phrases_reason(value, "k") is None or read == []
        parse_written(value)


def test_code_in_a_cell_is_not_run():
    assert parse_written("[__import__('os').getcwd()]") is UNREADABLE


def test_preparing_sets_aside_what_cannot_be_read(tmp_path):
    values = [json.dumps(["gaz"]), "[broken", "a; b", "", '[{"phrase": "x"}]']
    rows = Dataset.from_dict(
        {"text": [f"texte numero {i} {'mot' * i}" for i in range(5)], "keyphrases": values}
    )
    audit = prepare(rows, tmp_path / "out", frtune.KeyphraseGeneration(), cut=Cut("1:0:0"))
    assert audit["rejected"] == {"unusable_keyphrases": 2, "no_keyphrases": 1}
    assert audit["rows"]["adds_up"]


def test_entities_are_decoded_in_prepared_texts_and_phrases(tmp_path):
    rows = Dataset.from_dict(
        {"text": [f"R&amp;D du n&#176; {i}" for i in range(3)], "keyphrases": ["R&amp;D; b"] * 3}
    )
    audit = prepare(rows, tmp_path / "out", frtune.KeyphraseGeneration(), cut=Cut("1:0:0"))
    written = json.loads((tmp_path / "out" / "train.jsonl").open().readline())
    assert written == {"text": "R&D du n° 0", "keyphrases": ["R&D", "b"]}
    assert audit["splits"]["train"]["present_share"] == 0.5


def test_the_commonest_reason_is_said_when_no_row_is_left(tmp_path):
    rows = Dataset.from_dict({"text": ["a", "b", " "], "keyphrases": ["[a", "[b", "c"]})
    with pytest.raises(InputError, match=r"2 unusable_keyphrases, 1 blank_text \(such as: column "
                       r"keyphrases holds '\[a', which is no list that can be read\)"):  # fmt: skip
        prepare(rows, tmp_path / "out", frtune.KeyphraseGeneration())


# --- separators ----------------------------------------------------------------------------------


def check(values, separator="; "):
    separator_check(Dataset.from_dict({"k": values}), "k", separator, "x.csv")


def test_a_separator_that_most_rows_lack_is_refused_with_counts():
    with pytest.raises(
        InputError, match=r"'; ' is in 1 of 24 rows only; ', ' is in 23.*', ', for example"
    ):
        check(["a; b", *["a, b, c"] * 23])


def test_single_phrases_and_written_lists_need_no_separator():
    check(["a; b", *["one"] * 20])
    check(["a; b", *["one, more"] * 1])
    check(["a; b", *["one"] * 15, *["Paris, France"] * 5])
    check(["('a', 'b')", "['a', 'b']", '["a", "b"]'])
    check(["R&amp;D"] * 5)
    check(["R&amp;D, b"] * 5, ", ")


# --- labels and scores ---------------------------------------------------------------------------


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_score_is_read_from_its_text(value):
    assert score_of(str(value)) == score_of(value) == float(value)


@pytest.mark.parametrize("text", ["", "a", "3,8", "1_0", "inf", "nan", "0x1", "1e999", "١", "1 2"])
def test_what_is_no_score(text):
    assert score_of(text) is None


@given(st.lists(st.text("0123456789.-eE ", min_size=1, max_size=6), min_size=1, max_size=5))
def test_labels_of_different_characters_never_merge(texts):
    labels = list(dict.fromkeys(filter(None, map(label_text, texts))))
    assert [known_label(label, labels) for label in labels] == labels


def test_labels_like_numbers_are_put_in_an_order(tmp_path):
    labels = ["--5", "10", "9", "²", "1" * 5000]
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(10)], "label": labels * 2})
    task = frtune.SequenceClassification().fit(rows)
    assert sorted(task.labels) == sorted(labels)
    assert dataclasses.replace(task).known_labels == task.labels


def test_a_score_on_labels_that_the_model_does_not_know_warns_loudly(caplog):
    task = frtune.SequenceClassification(labels=["0", "1", "2"])
    with caplog.at_level("WARNING", "frtune"):
        task.compute_metrics(["0", "1"], ["1", "2"])
        task.metric_directions()
        assert not caplog.records
        task.compute_metrics(["0", "1", "2"], ["2", "3", "4"])
    assert (
        "SCORES MEAN LITTLE: the model knows 1 of 3 labels of these rows; not 3, 4" in caplog.text
    )
