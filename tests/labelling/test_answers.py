"""Answers as models write them."""

import pytest

from frtune.labelling.answers import parse_keyphrases, parse_label
from frtune.labelling.steps import presence_in
from frtune.labelling.store import Answer

TEXT = "The city budget pays for schools in Paris, France. 시 예산은 학교를 돕는다."


def keyphrases(text, finish="stop", count=10):
    here = presence_in(TEXT, None)
    return tuple(parse_keyphrases(Answer(text, finish), is_present=here, count=count))


@pytest.mark.parametrize(
    ("text", "phrases", "repairs"),
    [
        ("city budget; schools; Paris", ["city budget", "schools", "Paris"], []),
        ("city budget;schools ;Paris", ["city budget", "schools", "Paris"], []),
        ("시 예산; 학교", ["시 예산", "학교"], []),
        ("C++; 1,000 won; U.S.A.", ["C++", "1,000 won", "U.S.A."], []),
        ("Keyphrases: city budget; schools", ["city budget", "schools"], ["marks"]),
        ("**city budget**; \"schools\".", ["city budget", "schools"], ["marks"]),
        ("1. city budget\n2. schools", ["city budget", "schools"], ["lines", "numbering"]),
        ("1) city budget; 2) schools", ["city budget", "schools"], ["numbering"]),
        ("- city budget\n- schools", ["city budget", "schools"], ["lines", "marks"]),
        ("city budget, schools, Paris", ["city budget", "schools", "Paris"], ["separator"]),
        ("city budget | schools", ["city budget", "schools"], ["separator"]),
        ("city budget, schools", ["city budget", "schools"], ["separator"]),
        ("Paris, France", ["Paris, France"], []),
        ("Sure! city budget; schools", ["city budget", "schools"], ["prose_around"]),
        ("Here are the keyphrases:\ncity budget; schools\nI hope that this helps you!",
         ["city budget", "schools"], ["prose_around"]),
        ("city budget; schools; Paris; France; I hope this helps!",
         ["city budget", "schools", "Paris", "France"], ["prose_around"]),
        ("<think>Budget; or tax?</think>\ncity budget", ["city budget"], ["reasoning"]),
        ('["city budget", "schools"]', ["city budget", "schools"], ["json"]),
        ('```json\n{"keyphrases": ["city budget"]}\n```', ["city budget"], ["code_fence", "json"]),
        ("schools; Schools; Paris", ["schools", "Paris"], ["repeats"]),
    ],
)  # fmt: skip
def test_keyphrases_are_read_and_repaired(text, phrases, repairs):
    assert keyphrases(text) == (phrases, repairs, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        (" ;; \n", "empty"),
        ("<think>I will think for ever", "cut"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI language model, I do not read texts; sorry.", "refusal"),
        ("Je suis désolé, je ne peux pas répondre.", "refusal"),
        ("죄송합니다. 도와드릴 수 없습니다.", "refusal"),
        ("The text is about the budget of a city and what it pays for.", "prose"),
        ("이 글은 시 예산에 관한 글입니다.", "prose"),
        ("1. **Budget** - what the city pays\n2. **Schools** - where children go", "prose"),
    ],
)
def test_what_are_no_keyphrases_is_refused(text, problem):
    value, _, found = keyphrases(text)
    assert (value, found) == (None, problem)


def test_a_phrase_that_looks_like_a_refusal_and_is_in_the_text_stays():
    here = presence_in("The album Sorry For Party Rocking came out.", None)
    parsed = parse_keyphrases(Answer("Sorry For Party Rocking"), is_present=here, count=10)
    assert parsed.value == ["Sorry For Party Rocking"]


def test_a_filtered_answer_is_a_refusal():
    assert keyphrases("", finish="content_filter")[2] == "refusal"


def test_half_a_phrase_at_the_limit_is_dropped():
    assert keyphrases("city budget; scho", finish="length") == (["city budget"], ["cut"], None)
    assert keyphrases("city bud", finish="length")[2] == "cut"


def test_more_phrases_than_asked_for_are_cut():
    assert keyphrases("a; b; c", count=2) == (["a", "b"], ["too_many"], None)


@pytest.mark.parametrize(
    ("text", "label", "repairs"),
    [
        ("sport", "sport", []),
        ("Sport", "sport", ["case"]),
        ('"sport".', "sport", ["marks"]),
        ("The label is: **sport**", "sport", ["frame"]),
        ("Étiquette : économie locale", "économie locale", ["frame"]),
        ("sport\n\nbecause a cup is played for", "sport", ["prose_around"]),
        ('{"label": "sport"}', "sport", ["json"]),
    ],
)
def test_a_label_is_read_and_repaired(text, label, repairs):
    labels = ["sport", "politics", "économie locale"]
    assert tuple(parse_label(Answer(text), labels)) == (label, repairs, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("not sport", "not_a_label"),
        ("sports", "not_a_label"),
        ("It could be sport or politics.", "not_a_label"),
        ("sport\npolitics", "not_a_label"),
        ("I cannot say that.", "refusal"),
    ],
)
def test_what_is_no_label_is_refused(text, problem):
    parsed = parse_label(Answer(text), ["sport", "politics"])
    assert (parsed.value, parsed.problem) == (None, problem)


def test_labels_that_differ_in_case_alone_are_told_apart():
    assert parse_label(Answer("Us"), ["US", "Us"]).value == "Us"
    assert parse_label(Answer("us"), ["US", "Us"]).problem == "not_a_label"
