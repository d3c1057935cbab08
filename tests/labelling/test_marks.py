"""What models put around phrases and lists: all forms in one run, over HTTP."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frtune.labelling.answers import parse_keyphrases, parse_label
from frtune.labelling.numbering import without_numbers
from frtune.labelling.steps import presence_in
from frtune.labelling.store import Answer

TEXT = "The town hall pays for schools, and l'école has a city budget. 시 예산은 학교를 돕는다."
HALL = ["town hall", "schools"]
OBJECT = {"keyphrases": HALL}
BOTH = json.dumps(OBJECT)
CALL = {"name": "f", "arguments": BOTH}

WHOLE = [
    # counted up
    "a) town hall\nb) schools", "A. town hall\nB. schools", "i. town hall\nii. schools",
    "I. town hall; II. schools", "#1 town hall\n#2 schools", "#1: town hall\n#2: schools",
    "1: town hall\n2: schools", "1 - town hall\n2 - schools", "[1]. town hall\n[2]. schools",
    "(1) town hall (2) schools", "1. town hall 2. schools", "가. town hall\n나. schools",
    "첫째, town hall\n둘째, schools", "n°1 : town hall\nn°2 : schools",
    "1️⃣ town hall\n2️⃣ schools", '["1) town hall", "2) schools"]',
    # signs around phrases
    "✅ town hall\n✅ schools", "→ town hall\n→ schools", "=> town hall\n=> schools",
    "- [ ] town hall\n- [x] schools", "1. [ ] town hall\n2. [ ] schools",
    "- town hall.\n- schools.", "1. **town hall:**\n2. **schools:**",
    "***town hall***; ***schools***",
    "~~town hall~~; ==schools==", "【town hall】；【schools】", "《town hall》, 《schools》",
    "〔town hall〕; 〔schools〕", "## town hall\n## schools", "#town hall\n#schools",
    "town hall; schools 😊", "town hall [1]; schools [2]", "town hall【1†a】; schools【2†b】",
    "[town hall](https://x.org/a); [schools](https://x.org/b)", "town hall؛ schools",
    "town hall; schools; etc.", "keyphrase,score\ntown hall,0.9\nschools,0.8",
    "keyphrases:\n  - phrase: town hall\n    score: 0.9\n  - phrase: schools\n    score: 0.8",
    "phrase1=town hall\nphrase2=schools", "Keyword: town hall\nKeyword: schools",
    "\\boxed{\\text{town hall}; \\text{schools}}", "\\textbf{town hall}; \\emph{schools}",
    # words around the list
    "Mots-clés extraits : town hall ; schools", "Top 2 keyphrases: town hall; schools",
    "Les mots-clés les plus importants sont : town hall ; schools",
    'Keyphrases of the text: "town hall; schools"', "**Keyphrases:** town hall; schools",
    "Bien sûr ! town hall ; schools", "물론이죠! town hall; schools",
    "Here you go: town hall; schools", "Assistant: town hall; schools",
    "assistant\ntown hall; schools", "AI: town hall; schools", "A: town hall; schools",
    "town hall; schools\n\nUser: Thanks; bye\nAssistant: You are welcome",
    "town hall; schools\n\n### Instruction:\nList; more\n### Response:\nmoon; sun",
    "town hall; schools\n</text>\n<text>\nAnother; text\n</text>",
    "<details type='reasoning'><summary>Hm</summary>a; b</details>\ntown hall; schools",
    "```thinking\nHm; well\n```\ntown hall; schools",
    '<think duration="3">a; b</think>town hall; schools',
    "**Answer**\n\ntown hall; schools", "Final answer is: town hall; schools",
    "Here is the list you asked for\ntown hall; schools", "town hall; schools\n\nConfidence: 0.9",
    "First, I read it.\nThen I choose.\nThe keyphrases: town hall; schools", "town hall,schools",
    "town hall; schools; city bud...", "town hall - 0.9\nschools - 0.8",
    # JSON and markup that are written otherwise
    f"<|channel|>commentary to=functions.f <|constrain|>json<|message|>{BOTH}<|call|>",
    json.dumps({"tool_calls": [{"type": "function", "function": CALL}]}),
    json.dumps({"type": "function", "function": CALL}),
    json.dumps({"keyphrases": json.dumps(HALL)}),
    json.dumps([json.dumps({"keyphrase": phrase}) for phrase in HALL]),
    json.dumps([OBJECT]), json.dumps({"data": HALL, "done": True, "error": None}),
    json.dumps({"answer": BOTH}), BOTH.replace('"', '\\"'), '"town hall","schools"',
    "[„town hall“, „schools“]", "[「town hall」, 「schools」]",
    json.dumps({"keyphrases": {"type": "array", "items": HALL}}), BOTH.replace('"', "&quot;"),
    "&lt;answer&gt;town hall; schools&lt;/answer&gt;",
    '<?xml version="1.0"?>\n<list>\n<k>town hall</k>\n<k>schools</k>\n</list>',
    "<list><k><![CDATA[town hall]]></k><k>schools</k></list>",
]  # fmt: skip
NONE = [
    "keine", "Keine Schlüsselwörter", "ninguna", "なし", "无", "n.a.", "NA", "NaN", "undefined",
    "(empty)", "empty list", "There are none.", "There aren't any keyphrases.", "Nothing found.",
    "Not found", "not available", "Non disponible", "Il n'y en a pas.", "none, none", "none | none",
    "Je n'ai trouvé aucun mot-clé.", "No text was provided.", "Keyphrases: []", '["empty"]',
    "<keyphrases>none</keyphrases>", "I found no keyphrases:\n[]",
]  # fmt: skip
BAD = {
    "town hall [ ]": "broken",  # brackets are no empty list
    "arr[] and more": "broken",
    "%5B%22town%20hall%22%2C%22schools%22%5D": "broken",
    "▁town▁hall;▁schools": "broken",
    "townĠhall;Ġschools": "broken",
    "town hall; schools<0x0A>": "broken",
    "> Hm, which ones; well\n\ntown hall; schools": "broken",
    "<!DOCTYPE html><html><head><title>Login</title></head><body>Sign in</body></html>": "broken",
    "502 Bad Gateway": "prose",
    "Error: rate limit exceeded": "prose",
    "Sure!": "prose",
    "Please provide the text.": "prose",
    "네, 알겠습니다.": "prose",
    "[object Object]": "prose",
    '{"keyphrases": ["string", "string"]}': "prose",
    '{"keyphrases": [1, 2, 3]}': "empty",
    "1. \n2. \n3. ": "empty",
    json.dumps([{"type": "function", "f": {"a": "b"}}]): "broken",
}


def run(server, ask, texts, out, read, answer, forms):
    """The rows of one run, by the answer to each."""
    found = {f"{TEXT} {place}!": form for place, form in enumerate(forms)}
    server.script = lambda prompt, nth: answer(
        next(form for text, form in found.items() if prompt.startswith(f"T:{text}"))
    )
    report = ask(texts(*found), response_format="text")
    assert report["complete"] and report["rows"]["read"] == len(forms)
    names = ("out.jsonl", "out.rejected.jsonl")
    rows, rejected = (read(out.with_name(n)) if out.with_name(n).exists() else [] for n in names)
    return (
        {found[row["text"]]: row["keyphrases"] for row in rows},
        {found[row["original"]["text"]]: row["reason"] for row in rejected},
    )


def test_what_stands_around_phrases_is_taken_off(server, ask, texts, out, read, answer):
    rows, rejected = run(server, ask, texts, out, read, answer, WHOLE)
    assert not rejected and rows == dict.fromkeys(WHOLE, HALL)


def test_words_for_nothing_are_an_empty_list(server, ask, texts, out, read, answer):
    rows, rejected = run(server, ask, texts, out, read, answer, NONE)
    assert not rejected and rows == {said: [] for said in NONE}


def test_what_is_not_certain_is_rejected(server, ask, texts, out, read, answer):
    rows, rejected = run(server, ask, texts, out, read, answer, BAD)
    assert not rows and rejected == BAD


LEGIT = [
    ["C++", "C#", ".NET", "A/B testing", "N/A-test", "none of the above", "R&D", "key: value"],
    ["Alien: Romulus", "#MeToo", "$HOME", "-40°C", "3.5 mm", "2:1", "Yahoo!", "@home", "100%"],
    ["1 Corinthians", "2 Corinthians"], ["n°1 mondial", "n°2 mondial"], ["1-bit", "2-bit"],
    ["1:1 mapping", "2:1 mapping"], ["5·18 민주화운동", "3·1절", "AI(인공지능)"],
    ["Ġorġ Borg", "Ċentru"], ["growth (50%)", "more", "others rights"],
    ["void pointers", "empty set"],
]  # fmt: skip
WRITTEN = [
    "a < b", "{x}", "a==b", "~~old~~", "x[0]", "《기생충》", "emoji 😊", "A. Lincoln",
    "B. Franklin",
    "void", "etc", "user: alice", "Sure", "2:1", "\\alpha",
]  # fmt: skip
WAYS = [
    "; ".join,
    lambda found: json.dumps({"keyphrases": found}),
    lambda found: "\n".join(f"- {phrase}" for phrase in found),
    lambda found: json.dumps([{"phrase": phrase, "score": 0.5} for phrase in found]),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("found", LEGIT)
def test_phrases_that_look_like_marks_stay(found, way):
    answer = Answer(way(found))
    assert parse_keyphrases(answer, is_present=lambda _: False, count=99).value == found


@pytest.mark.parametrize("way", WAYS)
def test_phrases_with_marks_that_the_text_has_stay(way):
    source = ", ".join(WRITTEN)
    here = presence_in(source, None)
    for phrase in WRITTEN:
        answer = Answer(way([phrase, "sum"]))
        parsed = parse_keyphrases(answer, is_present=here, count=99, source=source)
        assert parsed.value == [phrase, "sum"], parsed


def test_numbers_that_do_not_count_from_the_first_are_part_of_phrases():
    for pieces in (
        ["2. Liga", "3. Liga"],
        ["a. x", "c. y"],
        ["1. x", "y"],
        ["1) x", "2. y"],
        ["1. x"],
    ):
        assert without_numbers(pieces) == pieces


PARTS = st.sampled_from(
    ["town hall", "schools", "; ", ", ", "\n", "~~", "==", "***", "【", "】", "［", "］", "｛",
     "｝", "[ ] ", "- [x] ", "[1]", "](", ")", "[", "]", "<?", "?>", "<![CDATA[", "]]>", "&quot;",
     "&lt;", "&gt;", "&amp;", "\\text{", "\\boxed{", "}", "#1 ", "## ", "=> ", "✅", "1️⃣ ", "a) ",
     "b) ", "phrase: ", "score: 0.5", "A: ", "\nUser: ", "</text>", '\\"', '"', "%5B", "%22", "▁",
     "\ud83d", "<details>", "</details>", "```thinking\n", "```", "{", '{"tool_calls": [', "none"]
)  # fmt: skip
SYNTAX = re.compile(r"[{}\[\]|\"`\\<>【】［］｛｝▁\ufffd\ud800-\udfff]|\*\*|__|~~|==|##|&\w+;")


@given(st.lists(PARTS, max_size=12).map("".join), st.sampled_from(["stop", "length"]))
def test_no_phrase_holds_a_mark(said, finish):
    here = presence_in(TEXT, None)
    parsed = parse_keyphrases(Answer(said, finish), is_present=here, count=10, source=TEXT)
    for phrase in parsed.value or []:
        assert not SYNTAX.search(phrase), said
        phrase.encode()


LABELS = ["sport", "politics"]
LABEL_FORMS = {
    json.dumps({"label": json.dumps({"label": "politics"})}): "politics",
    json.dumps({"tool_calls": [{"function": {"name": "f", "arguments": '{"label": "politics"}'}}]}):
        "politics",
    '{\\"label\\": \\"politics\\"}': "politics",
    "{&quot;label&quot;: &quot;politics&quot;}": "politics",
    "<details>sport?</details>politics": "politics",
    "politics\n\nUser: and this one?\nsport": "politics",
    "Assistant: politics": "politics",
    "\\boxed{\\text{politics}}": "politics",
    "- [ ] sport\n- [x] politics": None,
    "1. politics\n2. sport": None,
}  # fmt: skip


@pytest.mark.parametrize("said", LABEL_FORMS)
def test_labels_are_read_the_same(said):
    assert parse_label(Answer(said), LABELS).value == LABEL_FORMS[said]
