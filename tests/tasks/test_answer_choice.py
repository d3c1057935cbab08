"""What is kept of an answer: keywords by score and by number."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import frtune
from frtune import InputError, KeywordExtraction
from frtune.cli import main
from frtune.tasks.answer_choice import WHOLE, AnswerChoice

TEXTS = [
    "Le vent du nord souffle sur la ville et le vent tombe.",
    "La cantine de l'école ouvre ses portes aux familles du quartier.",
]


@pytest.fixture(scope="module")
def saved(tiny, tmp_path_factory):
    """Directories of keywords and of classes; their weights are random."""

    def made(task):
        model, tokenizer = frtune.build_model(task, checkpoint=tiny("bert"), proof=False)
        directory = tmp_path_factory.mktemp(task.name)
        args = frtune.training_arguments(
            task, str(directory), eval_strategy="no", save_strategy="no",
            load_best_model_at_end=False, bf16=False,
        )  # fmt: skip
        return str(frtune.save(task.trainer(model, tokenizer, args), directory / "model"))

    tasks = (KeywordExtraction(), frtune.SequenceClassification(labels=["0", "1"]))
    return {task.name: made(task) for task in tasks}


items = st.lists(
    st.builds(
        dict, text=st.sampled_from(["eau", "Eau", "sel", "vent", "été"]), score=st.floats(0, 1)
    )
)


@given(items, st.none() | st.floats(0, 1), st.none() | st.integers(1, 4))
def test_kept_keywords_are_the_best_ones_with_all_their_places(found, least, most):
    task = KeywordExtraction()
    (answer,) = task.choose([{"keywords": found}], AnswerChoice(min_score=least, top_k=most))
    kept = answer["keywords"]
    places = iter(found)
    assert all(any(item == other for other in places) for item in kept)  # in their order
    high = [item for item in found if item["score"] >= (least or 0)]
    best = {
        key: max(x["score"] for x in high if task.key(x["text"]) == key)
        for key in (task.key(x["text"]) for x in high)
    }
    keys = {task.key(item["text"]) for item in kept}
    assert len(keys) == min(len(best), most or len(best))
    assert kept == [item for item in high if task.key(item["text"]) in keys]
    out = [score for key, score in best.items() if key not in keys]
    assert not out or max(out) <= min(best[key] for key in keys)


def test_nothing_chosen_changes_nothing():
    answers = [{"keywords": [{"text": "eau", "start": 0, "end": 3}]}]
    assert KeywordExtraction().choose(answers, WHOLE) == answers
    with pytest.raises(InputError, match=r"^min_score=0.5: these answers have no scores"):
        KeywordExtraction().choose(answers, AnswerChoice(min_score=0.5))


def test_a_choice_acts_in_every_place(saved, capsys):
    directory = saved["keywords"]
    predictor = frtune.load(directory, bf16=False, device="cpu")
    whole = predictor.predict(TEXTS)
    scores = sorted(x["score"] for answer in whole for x in answer["keywords"])
    least = scores[len(scores) // 2]
    chosen = predictor.predict(TEXTS, min_score=least, top_k=2)
    assert chosen != whole
    expected = predictor.task.choose(whole, AnswerChoice(least, 2))
    assert chosen == [{**a, **b} for a, b in zip(whole, expected, strict=True)]
    loaded = frtune.load(directory, bf16=False, device="cpu", min_score=least, top_k=2)
    assert loaded.predict(TEXTS) == chosen
    assert len(loaded.predict(TEXTS, top_k=1)[0]["keywords"]) <= len(chosen[0]["keywords"])
    flags = ["--min-score", repr(least), "--top-k", "2", "--no-bf16", "--gpus", "0"]
    assert main(["predict", directory, "--text", TEXTS[0], *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [x["text"] for x in found["keywords"]] == [x["text"] for x in chosen[0]["keywords"]]


def test_scores_are_those_of_the_chosen_answers(saved, tmp_path):
    rows = tmp_path / "rows.jsonl"
    lines = [{"text": text, "keywords": text.split()[1:6:2]} for text in TEXTS * 4]
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found, signed, said = {}, {}, {}
    for name, choice in (("all", {}), ("one", {"top_k": 1})):
        out = tmp_path / name
        found[name] = frtune.evaluate(saved["keywords"], rows, output_dir=out, bf16=False, **choice)
        signed[name] = json.loads((out / "signatures.json").read_text())
        read = (out / "predictions.jsonl").read_text().splitlines()
        said[name] = [json.loads(line) for line in read]
    task = KeywordExtraction()
    assert all(len({*map(task.key, line["prediction"])}) <= 1 for line in said["one"])
    assert any(len({*map(task.key, line["prediction"])}) > 1 for line in said["all"])
    for name, lines in said.items():
        by_hand = task.compute_metrics(
            [line["spans"] for line in lines],
            [line["reference"] for line in lines],
            texts=[line["input"] for line in lines],
        )
        for score, value in by_hand.items():
            assert found[name][f"test_{score}"] == pytest.approx(value), (name, score)
            if low := found[name].get(f"test_{score}_low"):
                assert low <= value + 1e-9 <= found[name][f"test_{score}_high"] + 2e-9
    assert found["one"]["test_token_accuracy"] == found["all"]["test_token_accuracy"]
    assert signed["one"] == {key: f"{text}|top_k:1" for key, text in signed["all"].items()}


@pytest.mark.parametrize(
    ("kind", "flags", "message"),
    [
        ("classification", ["--min-score", "0.5"], "--min-score: the answers of classification"),
        ("classification", ["--top-k", "3"], "--top-k: the answers of classification have no such"),
        ("keywords", ["--min-score", "1.5"], "min_score=1.5: at least 0 and at most 1"),
        ("keywords", ["--top-k", "0"], "top_k=0: at least 1"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_a_choice_that_cannot_be_is_refused_in_one_line(
    saved, tmp_path, capsys, command, kind, flags, message
):
    (tmp_path / "rows.csv").write_text("text,label,keywords\neau,0,eau\n")
    given = ["--text", "eau"] if command == "predict" else ["--data", str(tmp_path / "rows.csv")]
    assert main([command, saved[kind], *given, *flags]) == 2
    assert message in capsys.readouterr().err.rstrip("\n").splitlines()[-1]


def test_python_refuses_what_the_answers_do_not_have(saved):
    predictor = frtune.load(saved["classification"], bf16=False, device="cpu")
    with pytest.raises(InputError, match=r"^--top-k: the answers of classification"):
        predictor.predict("eau", top_k=3)
    for value in (True, 2.5, "3"):
        with pytest.raises(InputError, match="top_k="):
            dataclasses.replace(WHOLE, top_k=value)
