"""Answers in the forms that models give them, over HTTP: right, or rejected with its reason."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frtune.labelling.answers import parse_keyphrases, parse_label
from frtune.labelling.steps import presence_in
from frtune.labelling.store import Answer

TEXT = "The town hall pays for schools, and l'école has a city budget. 시 예산은 학교를 돕는다."
HALL = ["town hall", "schools"]
BOTH = '{"keyphrases": ["town hall", "schools"]}'

WHOLE = {
    "semicolons": "town hall; schools",
    "JSON": BOTH,
    "JSON list": '["town hall", "schools"]',
    "fenced": f"```json\n{BOTH}\n```",
    "fenced in one line": f"```json {BOTH}```",
    "fenced, no end": f"```json\n{BOTH}",
    "fenced list without JSON": "```\ntown hall\nschools\n```",
    "JSON string": json.dumps(BOTH),
    "cut off behind a text": '{"keyphrases": ["town hall", "schools"',
    "cut off behind a comma": '{"keyphrases": ["town hall", "schools", ',
    "cut off behind a quotation mark": '{"keyphrases": ["town hall", "schools", "',
    "cut off in a text": '{"keyphrases": ["town hall", "schools", "city bud',
    "cut off in an escape": '{"keyphrases": ["town hall", "schools", "l\'\\u00e',
    "cut off, fenced": '```json\n{"keyphrases": [\n  "town hall",\n  "schools",\n  "city b',
    "cut off in the next key": '{"keyphrases": ["town hall", "schools"], "expl',
    "cut off in the next value": '{"keyphrases": ["town hall", "schools"], "expl": "The town h',
    "cut off in an object": '[{"keyphrase": "town hall"}, {"keyphrase": "schools"}, {"keyphra',
    "cut off in another key": '[{"n": 1, "phrase": "town hall"}, {"n": 2, "phrase": "schools"}, {"',
    "cut off behind another key": '[{"phrase": "town hall"}, {"phrase": "schools"}, {"n"',
    "one bracket missing": '{"keyphrases": ["town hall", "schools"}',
    "Python list": "['town hall', 'schools']",
    "Python object": "{'keyphrases': ['town hall', 'schools'], 'sure': True, 'why': None}",
    "Python tuple": "('town hall', 'schools')",
    "Python assignment": 'keyphrases = ["town hall", "schools"];',
    "trailing commas": '{"keyphrases": ["town hall", "schools",],}',
    "comma missing": '["town hall" "schools"]',
    "comments": '["town hall", // where\n "schools"]',
    "no quotation marks": "[town hall, schools]",
    "keys without quotation marks": '{keyphrases: ["town hall", "schools"]}',
    "curly quotation marks": "{“keyphrases”: [“town hall”, “schools”]}",
    "guillemets": "[«town hall», «schools»]",
    "dots": '["town hall", "schools", ...]',
    "list of objects": '[{"keyphrase": "town hall", "score": 0.9}, {"keyphrase": "schools"}]',
    "list of objects with reasons": json.dumps(
        [{"phrase": "town hall", "why": "It pays."}, {"phrase": "schools", "why": "They get it."}]
    ),
    "list of pairs": '[["town hall", 0.9], ["schools", 0.8]]',
    "lists in a list": '[["town hall"], ["schools"]]',
    "scores": '{"town hall": 0.9, "schools": 0.8}',
    "numbered object": '{"1": "town hall", "2": "schools"}',
    "numbered keys": '{"keyphrase_1": "town hall", "keyphrase_2": "schools"}',
    "a second key": '{"keyphrases": ["town hall", "schools"], "explanation": "They stand there."}',
    "a second list": '{"sentences": ["It pays."], "keyphrases": ["town hall", "schools"]}',
    "another name": '{"mots-clés": ["town hall", "schools"], "langue": "anglais"}',
    "a Korean name": '{"핵심어": ["town hall", "schools"], "언어": "영어"}',
    "one string": '{"keyphrases": "town hall; schools"}',
    "one string in a list": '{"keyphrases": ["town hall; schools"]}',
    "nested objects": '{"result": {"language": "en", "keyphrases": ["town hall", "schools"]}}',
    "nested groups": '{"keyphrases": {"present": ["town hall"], "absent": ["schools"]}}',
    "tool call": '<tool_call>{"name": "f", "arguments": {"keyphrases": ["town hall", "schools"]}}'
    "</tool_call>",
    "the same object twice": f"{BOTH}\n{BOTH}",
    "an object a phrase": '{"keyphrase": "town hall"}\n{"keyphrase": "schools"}',
    "prose before JSON": f"Here are the keyphrases of the text:\n\n{BOTH}",
    "prose around JSON": f"Sure! Here you are: {BOTH} I hope that this helps you.",
    "reasoning": f"<think>Is it [town] or {{hall}}? Both; yes.</think>\n{BOTH}",
    "reasoning without an opening": "Town; hall? I take both.\n</think>\n\ntown hall; schools",
    "two reasonings": "<think>a</think><think>b; c</think>town hall; schools",
    "other reasoning": "<|channel>thought\nHm; well.<channel|>town hall; schools",
    "Mistral's reasoning": "[THINK]Hm; well.[/THINK]town hall; schools",
    "thought process": "Here is my thought process: hm; well. Here is my response: "
    "town hall; schools",
    "channels": "<|channel|>analysis<|message|>Hm; well.<|end|><|start|>assistant<|channel|>final"
    "<|message|>town hall; schools<|return|>",
    "channels with a format": "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    f"<|channel|>final <|constrain|>json<|message|>{BOTH}",
    "channels without tokens": "analysisThe user asks; well.assistantfinaltown hall; schools",
    "end of turn": "town hall; schools<|im_end|>",
    "end of turn, and on": "town hall; schools<|im_end|>\n<|im_start|>user\nThanks; bye",
    "Llama's tokens": "<|start_header_id|>assistant<|end_header_id|>\n\ntown hall; schools"
    "<|eot_id|>",
    "Gemma's tokens": "<start_of_turn>model\ntown hall; schools<end_of_turn>",
    "sentence tokens": "<s> town hall; schools</s>",
    "instruction tokens": "[/INST] town hall; schools</s>",
    "DeepSeek's token": "town hall; schools<｜end▁of▁sentence｜>",
    "JSON and a token": f"{BOTH}<|endoftext|>",
    "answer tags": "<answer>town hall; schools</answer>",
    "answer tags around JSON": f"I looked.\n<answer>\n{BOTH}\n</answer>",
    "answer tag without an end": "<answer>town hall; schools",
    "reasoning and answer tags": "Hm; well</think><answer>town hall; schools</answer></s>",
    "XML": "<keyphrases><phrase>town hall</phrase><phrase>schools</phrase></keyphrases>",
    "HTML": "<ul>\n<li><b>town hall</b></li>\n<li>schools</li>\n</ul>",
    "boxed": "$\\boxed{town hall; schools}$",
    "bold": "**town hall**; **schools**",
    "code": "`town hall`; `schools`",
    "brackets": "[town hall]; [schools]",
    "numbers in brackets": "[1] town hall; [2] schools",
    "heading": "### Keyphrases\n- town hall\n- schools",
    "YAML": "keyphrases:\n  - town hall\n  - schools",
    "final answer": "I read the text.\n\n**Final answer:** town hall; schools",
    "YAML in one line": "keyphrases: [town hall, schools]",
    "round brackets": "(town hall; schools)",
    "a sentence before": "The keyphrases of the text are: town hall; schools",
    "a note": "town hall; schools\n\n(Note: no others.)",
    "scores behind phrases": "town hall (0.95); schools (score: 0.8)",
    "the same object again and again": f"{BOTH}\n{BOTH}\n" + BOTH[:30],
    "no error": '{"error": null, "keyphrases": ["town hall", "schools"]}',
    "an explanation with a semicolon": f"{BOTH}\n\nExplanation: both stand there; one pays.",
    "none among phrases": "town hall; schools; N/A",
    "tool call with a string": '<tool_call>{"name": "f", "arguments": "{\\"keyphrases\\": '
    '[\\"town hall\\", \\"schools\\"]}"}</tool_call>',
    "tool calls in a list": '[TOOL_CALLS][{"name": "f", "arguments": {"keyphrases": '
    '["town hall", "schools"]}}]',
    "a function's parameters": f'{{"name": "f", "parameters": {BOTH}}}',
    "assignment without JSON": "Keyphrases = town hall; schools",
    "a count": "Keyphrases (2): town hall; schools",
    "italics": "*town hall*; _schools_",
    "bold inside a word": "**t**own hall; schools",
    "a mark at the end": "town hall; schools ###",
    "single quotation marks around all": "'town hall; schools'",
}  # fmt: skip
NONE = [
    "none", "none; none", "null", "None.", "N/A", "n/a", "-", "[]", "{}", '{"keyphrases": []}',
    '{"keyphrases": null}',
    '{"keyphrases": ["none"]}', '["N/A"]', "Keyphrases: none", "No keyphrases found.",
    "There are no keyphrases in this text.", "No relevant key phrases could be identified.",
    "The text does not contain any keyphrases.", "I could not find any key phrases in the text.",
    "None. The text is too short.", "<think>Nothing there.</think>None", "**None**",
    "aucun", "Aucun mot-clé trouvé.", "Aucune phrase clé",
    "Il n'y a pas de mots-clés dans ce texte.",
    "Néant", "없음", "없음.", "해당 없음", "키워드가 없습니다.", "핵심어 없음",
    "이 텍스트에는 핵심 키워드가 없습니다.",
]  # fmt: skip
BAD = {
    "cut off at once": ('{"keyphrases": ["town', "cut"),
    "cut off before all": ('```json\n{"keyphrases": [', "cut"),
    "cut off in the first key": ('{"keyphr', "cut"),
    "cut off before the list": ('{"language": "en", "keyphr', "cut"),
    "cut off in a string": ('{"keyphrases": "town hall; sch', "cut"),
    "broken quotation marks": ("['town hall', 'l'école']", "broken"),
    "two lists": ('{"present": ["town hall"], "absent": ["schools"]}', "broken"),
    "two objects that differ": (
        f'{BOTH}\n{{"keyphrases": ["town hall", "moon"]}}',
        "several_answers",
    ),
    "an error": ('{"error": "no text was given"}', "broken"),
    "the schema": ('{"type": "object", "properties": {"keyphrases": {"type": "array"}}}', "broken"),
    "another object": ('{"sentiment": "neutral", "length": 12}', "broken"),
    "explanations": ('{"town hall": "where people meet", "schools": "where they learn"}', "broken"),
    "JSON among phrases": ('town hall; ["schools"]; city budget', "broken"),
    "half an object among phrases": ('town hall; {"a"', "broken"),
    "template": ("{{keyphrase}}; {{keyphrase}}", "broken"),
    "table": ("| Rank | Phrase |\n|---|---|\n| 1 | town hall |", "broken"),
    "half a tag": ("town hall; schools</ans", "broken"),
    "bytes that are no text": ("\ufffdt\ufffd; caf\ufffd", "broken"),
    "a channel without a message": ("<|channel|>analysis", "cut"),
    "the form alone": ('{"keyphrases": ["keyphrase 1", "keyphrase 2"]}', "empty"),
    "marks alone": ("``", "empty"),
    "empty texts": ('{"keyphrases": ["", ""]}', "empty"),
    "nothing": ("", "empty"),
    "a token alone": ("<|im_end|>", "empty"),
    "reasoning without an end": ("<think>I think; I still think", "cut"),
    "a channel without tokens or end": ("analysisThe user asks for; well", "cut"),
    "a channel without an end": ("<|channel|>analysis<|message|>I think; I still", "cut"),
    "refusal in JSON": ('{"keyphrases": ["I\'m sorry, but I cannot help with that."]}', "refusal"),
    "prose in JSON": ('{"answer": "The text is about a town hall and what it pays for."}', "prose"),
}


@pytest.mark.parametrize("form", WHOLE)
def test_phrases_come_out_of_every_form(server, ask, texts, out, read, answer, form):
    server.script = lambda prompt, nth: answer(WHOLE[form])
    report = ask(texts(TEXT))
    assert read(out)[0]["keyphrases"] == HALL and len(server.asked) == 1
    assert report["answers"]["problems"] == {}


@pytest.mark.parametrize("said", NONE)
def test_that_there_are_none_is_an_empty_list(server, ask, texts, out, read, answer, said):
    server.script = lambda prompt, nth: answer(said)
    report = ask(texts(TEXT))
    assert read(out)[0]["keyphrases"] == [] and len(server.asked) == 1
    assert report["keyphrases"]["texts_by_phrases"] == {"0": 1}
    assert report["answers"]["repairs"]["none"] == 1
    assert report["notes"] == [
        "rows with an empty list of keyphrases: 1. frtune prepare sets them aside, which training "
        "needs"
    ]


def test_two_passes_that_find_none_agree(server, ask, texts, out, read, answer):
    server.script = lambda prompt, nth: answer("none")
    report = ask(texts(TEXT), passes=2, parameters={})
    assert report["agreement"]["f1_at_m"] == 1.0 and read(out)[0]["agreement"] == 1.0


@pytest.mark.parametrize("form", BAD)
def test_what_cannot_be_read_safely_is_rejected_with_its_reason(
    server, ask, texts, out, read, answer, form
):
    said, reason = BAD[form]
    server.script = lambda prompt, nth: answer(said)
    report = ask(texts(TEXT))
    assert report["rejected"] == {reason: 1} and not out.exists()
    (row,) = read(out.with_name("out.rejected.jsonl"))
    assert row["reason"] == reason and row["detail"]


LABELS = ["sport", "politics", "économie locale", "sports", "1"]
LABEL_FORMS = {
    '{"label": "politics"}': "politics",
    '{"reason": "a vote, no sport", "label": "politics"}': "politics",
    '{"label": "politics", "confidence": 0.9}': "politics",
    '{"result": {"label": "politics"}}': "politics",
    "{'label': 'politics',}": "politics",
    '["politics"]': "politics",
    '[{"label": "politics"}]': "politics",
    '```json\n{"label": "politics"': "politics",
    '{"label": "politics"}\n{"label": "politics"}': "politics",
    '{"étiquette": "économie locale"}': "économie locale",
    '{"label": 1}': "1",
    '{"name": "f", "arguments": {"label": "politics"}}': "politics",
    "sport or politics?</think>politics": "politics",
    "<answer>politics</answer><|im_end|>": "politics",
    "$\\boxed{\\text{politics}}$": "politics",
    "<label>politics</label>": "politics",
    '{"label": "poli': "cut",
    '{"reason": "It is about a vote", "lab': "cut",
    '{"sport": 0.1, "politics": 0.9}': "not_a_label",
    '["sport", "politics"]': "not_a_label",
    '{"label": "sport"}\n{"label": "politics"}': "not_a_label",
    '{"error": "politics"}': "not_a_label",
    "none": "not_a_label",
    "<think>It could be sport": "cut",
}


@pytest.mark.parametrize("said", LABEL_FORMS)
def test_labels_in_every_form(server, ask, texts, out, read, answer, said):
    server.script = lambda prompt, nth: answer(said)
    report = ask(texts(TEXT), task="classification", labels=LABELS)
    expected = LABEL_FORMS[said]
    if expected in LABELS:
        assert read(out)[0]["label"] == expected
    else:
        assert report["rejected"] == {expected: 1}


def test_half_a_label_at_the_limit_is_none():
    assert parse_label(Answer("sport", "length"), LABELS).problem == "cut"
    assert parse_label(Answer("sports", "length"), LABELS).value == "sports"
    assert parse_label(Answer('{"label": "sport"', "length"), LABELS).value == "sport"


@pytest.mark.parametrize(
    "run", ["'!' * 300_000", "'a' + 3 * '\\n' * 100_000 + 'b'", "'<!--' * 40_000", "'<?' * 80_000"]
)
def test_the_time_to_read_a_long_run_of_one_sign_grows_with_its_length(run):
    """A model that fails may write one sign on and on. Squared, it is a quarter of an hour."""
    code = (
        "from frtune.labelling.answers import Answer, parse_keyphrases\n"
        f"print(parse_keyphrases(Answer({run}), is_present=bool, count=9))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert done.returncode == 0 and b"Parsed(" in done.stdout


# --- properties -----------------------------------------------------------------------------------

HERE = presence_in(TEXT, None)
SYNTAX = re.compile(r"[{}\[\]|\"`\\<>]|\*\*|__|\*\w+\*|##|\ufffd")
WORDS = st.lists(
    st.sampled_from(
        ["town hall", "schools", "city budget", "l'école", "시 예산", "café", "Nobel 2024", "C++",
         "R&D"]
    ),
    min_size=1, max_size=5, unique=True,
)  # fmt: skip
RENDERINGS = (
    lambda found: json.dumps({"keyphrases": found}),
    lambda found: json.dumps(found, indent=2, ensure_ascii=False),
    lambda found: f"```json\n{json.dumps({'keyphrases': found}, ensure_ascii=False)}\n```",
    lambda found: json.dumps([{"keyphrase": each, "score": 0.5} for each in found]),
    lambda found: json.dumps({"language": "en", "keyphrases": found, "note": "They stand there."}),
    lambda found: json.dumps([{"rank": 1, "type": "x", "phrase": each} for each in found]),
    lambda found: repr([{"n": 1, "phrase": each} for each in found]),
    lambda found: repr(found),
    lambda found: f"<think>Hm, well.</think>{json.dumps({'keyphrases': found})}<|im_end|>",
)
PARTS = st.sampled_from(
    ["town hall", "schools", "; ", ", ", '"', "'", "[", "]", "{", "}", ":", '{"keyphrases": [',
     '["', '", "', '"]', "]}", "\\", "\n", "```", "```json\n", "<think>", "</think>", "<answer>",
     "</answer>", "</s>", "<|im_end|>", "<|channel|>final<|message|>", "<li>", "**", "|",
     "&lt;b&gt;", "none", "*", "_", "###", "- ", "1. ", "(", ")", "\\u00e9", "<|", "|>", "</", "“",
     "”"]
)  # fmt: skip


def phrases_of(said, finish="stop"):
    return parse_keyphrases(Answer(said, finish), is_present=HERE, count=10, source=TEXT)


@given(st.lists(PARTS, max_size=12).map("".join), st.sampled_from(["stop", "length", None]))
def test_no_phrase_holds_the_syntax_of_json_or_markup(said, finish):
    for phrase in phrases_of(said, finish).value or []:
        assert not SYNTAX.search(phrase), said


@given(WORDS, st.sampled_from(RENDERINGS), st.floats(0, 1))
def test_of_json_that_is_cut_off_whole_phrases_alone_are_kept(found, rendering, share):
    whole = rendering(found)
    assert phrases_of(whole).value == found
    value = phrases_of(whole[: int(share * len(whole))]).value
    assert value is None or (value and value == found[: len(value)]), whole


@given(WORDS, st.text(max_size=12))
def test_a_phrase_that_stands_in_the_text_with_its_signs_stays(found, signs):
    source = f"The type vector<int> and x[0] {{ }} {signs}"
    here = presence_in(source, None)
    answer = Answer("vector<int>; x[0]; sum")
    parsed = parse_keyphrases(answer, is_present=here, count=10, source=source)
    assert parsed.value == ["vector<int>", "x[0]", "sum"]
