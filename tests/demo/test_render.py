import re
from html import unescape

import pytest

from frtune.demo.session import error_html
from frtune.demo.translations import WORDS
from frtune.tasks.config_file import task_class

EVIL = "<script>alert(1)</script> <img src=x onerror=alert(2)>"


def say(key, **values):
    return WORDS[key][0].format(**values)


def _text(html):
    return unescape(re.sub(r"<[^>]*>", " ", html))


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("keywords", {"text": EVIL, "keywords": [
            {"text": EVIL[:8], "start": 0, "end": 8, "score": 0.5},
            {"text": EVIL[26:], "start": 26, "end": len(EVIL), "score": 0.25}]}),
        ("keywords", {"text": EVIL, "keywords": []}),
        ("keyphrases", {"text": EVIL, "keyphrases": ["img src=x", EVIL, "<b>absent</b>"]}),
        ("keyphrases", {"text": EVIL, "keyphrases": []}),
        ("classification", {"text": EVIL, "label": EVIL, "score": 1.0, "scores": {EVIL: 1.0}}),
        ("similarity", {"text": EVIL, "text_pair": EVIL, "similarity": 0.5, "label": EVIL}),
    ],
)  # fmt: skip
def test_no_task_lets_markup_through(task, answer):
    html = task_class(task)().answer_html(answer, say)
    ours = {"div", "mark", "small", "p", "b", "br", "span", "table", "tr", "td", "th"}
    assert set(re.findall(r"<\s*/?\s*([a-zA-Z!]+)", html)) <= ours
    assert "<script" not in html and "<img" not in html and "<b>absent" not in html
    assert html.count("onerror") == html.count("onerror=alert(2)&gt;")


def test_keywords_stand_at_their_offsets_with_scores_and_counts():
    text = "L'été, la cantine, l'été."
    found = [{"text": "été", "start": 2, "end": 5, "score": 0.5},
             {"text": "cantine", "start": 10, "end": 17, "score": 0.75},
             {"text": "été", "start": 21, "end": 24, "score": 1.0}]  # fmt: skip
    html = task_class("keywords")().answer_html({"text": text, "keywords": found}, say)
    marks = re.findall(r"<mark[^>]*>(\w+)<small>([\d.]+)</small></mark>", html)
    assert marks == [("été", "0.50"), ("cantine", "0.75"), ("été", "1.00")]
    rows = re.findall(r"<tr><td>(.*?)</td><td[^>]*>(.*?)</td><td[^>]*>(.*?)</td></tr>", html)
    assert rows == [("été", "1.00", "2"), ("cantine", "0.75", "1")]


def test_absent_phrases_stand_apart():
    answer = {"text": "The wind farm.", "keyphrases": ["Wind farm", "energy"]}
    html = task_class("keyphrases")().answer_html(answer, say)
    assert re.findall(r"<mark>(.*?)</mark>", html) == ["wind farm"]
    assert re.findall(r'<span class="frtune-chip">(.*?)</span>', html) == ["Wind farm"]
    assert re.findall(r'<span class="frtune-chip frtune-absent">(.*?)</span>', html) == ["energy"]
    assert html.index(WORDS["present"][0]) < html.index(WORDS["absent"][0])


def test_classes_come_best_first_and_many_are_counted():
    scores = {f"c{i}": i / 300 for i in range(25)}
    html = task_class("classification")().answer_html({"label": "c24", "scores": scores}, say)
    shown = re.findall(r"<td>(c\d+)</td><td[^>]*>([\d.]+%)", html)
    assert shown[0] == ("c24", "8.0%")
    assert len(shown) == 20
    assert "Other classes: 5" in html


def test_a_similarity_outside_0_and_1_keeps_its_number():
    html = task_class("similarity")().answer_html({"similarity": 4.25}, say)
    assert "4.250" in html and "width:100.0%" in html
    assert WORDS["label"][0] not in _text(html)


def test_a_similarity_says_what_its_number_means():
    labelled = task_class("similarity")(labels=["autre", "même"])
    assert "“même”" in labelled.answer_html({"similarity": 0.5, "label": "même"}, say)
    scored = task_class("similarity")(head="regression")
    assert WORDS["similarity_score"][0] in _text(scored.answer_html({"similarity": 4.25}, say))


def test_a_message_is_escaped():
    assert "<img" not in error_html(EVIL)
