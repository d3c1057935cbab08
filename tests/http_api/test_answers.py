"""The API gives what ``frtune predict`` gives, however requests come."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from frtune import load
from frtune.cli import main

LINES = [
    "Le conseil municipal a voté le budget de la cantine scolaire pour l'année prochaine.",
    "서울시는 올해 예산안 12조 원을 확정했다고 밝혔다.",
    "La forêt brûlée sera replantée dès l'été, où les chênes étaient les plus âgés. " * 6,
    "budget",
    '"quotes", \\ and <b>tags</b>\nand a second line',
]
TEXTS = [f"{text} {i}" for i in range(8) for text in LINES]


def question(name, text):
    return {"text": text, "text_pair": "a second text"} if name == "pairs" else {"text": text}


def rounded(answer):
    """An answer whose numbers may differ by rounding, as of batches of other sizes."""
    if isinstance(answer, dict):
        return {name: rounded(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [rounded(value) for value in answer]
    return pytest.approx(answer, abs=1e-5) if isinstance(answer, float) else answer


@pytest.fixture(scope="module")
def expected(saved):
    """What ``Predictor.predict`` says of each text, by model."""
    found = {}
    for name, directory in saved.items():
        predictor = load(directory, bf16=False)
        columns = predictor.task.text_columns
        rows = [dict(zip(columns, question(name, text).values(), strict=True)) for text in TEXTS]
        found[name] = predictor.predict(rows)
    return found


@pytest.mark.parametrize("name", ["marks", "phrases", "classes", "pairs"])
def test_a_text_gets_what_the_command_prints(server, saved, name, capsys):
    asked = question(name, LINES[0])
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in asked.items()]
    assert main(["predict", str(saved[name]), "--no-bf16", *flags]) == 0
    printed = json.loads(capsys.readouterr().out)
    status, answer = server.predict(name, asked)
    assert status == 200 and answer == rounded(printed)
    assert list(answer) == list(printed)


@pytest.mark.parametrize("name", ["marks", "phrases", "classes", "pairs"])
def test_several_texts_are_answered_in_order(server, expected, name):
    asked = {"texts": TEXTS}
    if name == "pairs":
        asked["text_pairs"] = ["a second text"] * len(TEXTS)
    status, answers = server.predict(name, asked)
    assert status == 200 and answers == rounded(expected[name])


def test_16_clients_get_the_answers_of_predict(server, expected):
    asked = [(name, i) for name in expected for i in range(len(TEXTS))]

    def ask(item):
        name, i = item
        return server.predict(name, question(name, TEXTS[i]))

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, asked))
    for (name, i), (status, answer) in zip(asked, answers, strict=True):
        assert status == 200 and answer == rounded(expected[name][i])
    _, _, measured = server.ask("/metrics")
    lines = dict(line.rsplit(" ", 1) for line in measured.decode().splitlines() if line[0] != "#")
    batches = float(lines['frtune_batch_texts_count{model="classes"}'])
    texts = float(lines['frtune_texts_total{model="classes"}'])
    assert batches < texts, "requests that came together were computed together"


def test_a_title_is_read(server, saved):
    rows = [{"text": LINES[0], "title": "Forêt"}, {"text": LINES[0], "title": None}]
    with_title, without = load(saved["phrases"], bf16=False).predict(rows)
    asked = {"texts": [LINES[0]] * 2, "titles": ["Forêt", None]}
    assert server.predict("phrases", asked) == (200, [rounded(with_title), rounded(without)])
    one = server.predict("phrases", {"text": LINES[0], "title": "Forêt"})
    assert one == (200, rounded(with_title))


def test_no_texts_get_no_answers(server):
    assert server.predict("classes", {"texts": []}) == (200, [])


@pytest.mark.slow
def test_what_a_server_is_told_of_answers_acts(start, saved):
    flags = ["--top-k=1", "--max-target-tokens=4", "--num-beams=2", "--scores", "--no-bf16"]
    found = start([saved["phrases"]], *flags).predict("phrases", {"texts": TEXTS[:3]}, key=None)
    options = {"top_k": 1, "max_target_tokens": 4, "num_beams": 2, "scores": True}
    assert found == (200, rounded(load(saved["phrases"], bf16=False, **options).predict(TEXTS[:3])))


def test_the_models_are_listed(server):
    status, _, models = server.ask("/v1/models")
    assert status == 200 and [model["name"] for model in models] == list(
        ("marks", "phrases", "classes", "pairs")
    )
    assert models[3]["takes_pairs"] and models[1]["takes_titles"]
    assert models[0]["max_texts"] == 40 and models[0]["max_characters"] == 2000
