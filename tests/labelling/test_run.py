"""Whole runs: rows in, labelled rows, rejected rows and the report out."""

import json

import pytest

from frtune import Budget, KeyphraseGeneration, SequenceClassification, load_splits
from frtune.errors import InputError


def test_rows_keep_their_columns_and_can_be_learnt_from(server, ask, texts, out, read):
    report = ask(texts("The budget of a school.", "Another budget."))
    assert read(out) == [
        {"id": 0, "text": "The budget of a school.", "keyphrases": ["budget", "school"]},
        {"id": 1, "text": "Another budget.", "keyphrases": ["budget", "school"]},
    ]
    splits, _ = load_splits(out, cut=False)
    KeyphraseGeneration().check(splits["train"], "out.jsonl")
    assert report == json.loads(out.with_name("out.report.json").read_text("utf-8"))
    assert sorted(p.name for p in out.parent.iterdir() if p.name.startswith("out")) == [
        "out.answers.jsonl", "out.answers.jsonl.lock", "out.jsonl", "out.report.json"
    ]  # fmt: skip


def test_labels_of_classes_can_be_learnt_from(server, ask, texts, out, read, answer):
    server.script = lambda prompt, nth: answer("Sport." if "cup" in prompt else "politics")
    report = ask(texts("a cup", "a vote", "a cup final", "a law"), task="classification",
                 labels=["sport", "politics"])  # fmt: skip
    assert [row["label"] for row in read(out)] == ["sport", "politics"] * 2
    assert report["labels"] == {"texts_by_label": {"sport": 2, "politics": 2}}
    assert report["answers"]["repairs"] == {"marks": 2}
    splits, _ = load_splits(out, task_name="classification", cut=False)
    assert SequenceClassification().fit(splits["train"]).labels == ["politics", "sport"]


def test_the_same_text_is_asked_about_once(server, ask, texts, out, read):
    report = ask(texts("a", "b", "a", " a "), concurrency=3)
    assert sorted(server.prompts) == ["T:a", "T:b"]
    assert len(read(out)) == 4 and report["rows"]["repeated_texts"] == 2


def test_a_second_run_asks_nothing_and_writes_the_same(server, ask, texts, out):
    path = texts("a", "b")
    ask(path)
    first = out.read_bytes()
    with pytest.raises(InputError, match="exists"):
        ask(path)
    out.unlink()
    report = ask(path)
    assert len(server.asked) == 2 and out.read_bytes() == first
    assert report["requests"]["texts_answered_before"] == 2


@pytest.mark.parametrize(
    "changed",
    [{"template": "U:{text}"}, {"parameters": {"temperature": 1}}, {"max_output_tokens": 9}],
)
def test_another_question_is_asked_anew(server, ask, texts, out, changed):
    path = texts("a")
    ask(path)
    out.unlink()
    ask(path, **changed)
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "bad", ["I'm sorry, but I can't do that.", "", "It is a text about a city."]
)
def test_a_bad_answer_is_asked_for_again_once(server, ask, texts, out, read, answer, bad):
    server.script = lambda prompt, nth: answer(bad if prompt == "T:a" else "budget")
    report = ask(texts("a"))
    assert len(server.asked) == 2 and server.prompts[1].startswith("T:a\n\nAnswer with at most 10")
    assert read(out)[0]["keyphrases"] == ["budget"]
    assert report["answers"]["asked_again"] == 1 and len(report["answers"]["problems"]) == 1


def test_two_bad_answers_set_the_row_aside(server, ask, texts, out, read, answer):
    server.script = lambda prompt, nth: answer("No idea." if "T:b" in prompt else "sport")
    report = ask(texts("a", "b"), task="classification", labels=["sport", "politics"])
    (row,) = read(out.with_name("out.rejected.jsonl"))
    assert (row["reason"], row["detail"], row["row"]) == ("not_a_label", "No idea.", 2)
    assert report["rows"] == {"read": 2, "labelled": 1, "rejected": 1, "repeated_texts": 0}
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("policy", "phrases", "requests"),
    [
        ("keep", ["budget", "school", "moon"], 1),
        ("drop", ["budget", "school"], 1),
        ("again", ["budget"], 2),
    ],
)
def test_phrases_that_are_not_in_the_text(
    server, ask, texts, out, read, answer, policy, phrases, requests
):
    server.script = lambda prompt, nth: answer(
        "budget; sun" if "word for word" in prompt else "budget; school; moon"
    )
    report = ask(texts("The budgets of a school: budget"), absent_phrases=policy)
    assert read(out)[0]["keyphrases"] == phrases and len(server.asked) == requests
    assert report["keyphrases"]["absent_phrases"] == 1
    assert report["keyphrases"]["absent_share"] == (0.5 if policy == "again" else 0.3333)


def test_a_language_compares_stems(server, ask, texts):
    report = ask(texts("Two budgets of schools."), language="en")
    assert report["keyphrases"]["absent_share"] == 0.0


def test_two_passes_are_compared_and_the_first_is_kept(server, ask, texts, out, read, answer):
    server.script = lambda prompt, nth: answer(
        "budget; tax" if nth and prompt == "T:a" else "budget; school"
    )
    report = ask(texts("a", "b"), passes=2, parameters={"temperature": 1})
    assert server.prompts.count("T:a") == 2
    assert [(row["keyphrases"], row["agreement"]) for row in read(out)] == [
        (["budget", "school"], 0.5), (["budget", "school"], 1.0)
    ]  # fmt: skip
    assert report["agreement"] == {
        "texts": 2,
        "f1_at_m": 0.75,
        "partial_f1_at_m": 0.75,
        "jaccard": 0.6667,
    }
    assert report["notes"] == []


def test_two_passes_of_classes(server, ask, texts, out, read, answer):
    server.script = lambda prompt, nth: answer(
        "b" if prompt == "T:x" or (nth and prompt == "T:y") else "a"
    )
    report = ask(texts("x", "y", "z"), passes=2, task="classification", labels=["a", "b"])
    # 2 of 3 agree; by chance (1/3)(2/3) + (2/3)(1/3) = 4/9: (2/3 - 4/9) / (5/9) = 0.4
    assert report["agreement"] == {"texts": 3, "same_share": 0.6667, "kappa": 0.4}
    assert [row["agreement"] for row in read(out)] == [1.0, 0.0, 1.0]
    assert "how steady the server is" in report["notes"][0]


def test_blank_rows_are_set_aside(server, ask, texts, out, read):
    report = ask(texts("a", " ", "b", ""))
    assert report["rejected"] == {"blank_text": 2} and len(server.asked) == 2
    assert [row["row"] for row in read(out.with_name("out.rejected.jsonl"))] == [2, 4]


def test_the_title_is_put_before_the_text(server, ask, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("title,text\nBudget,The town votes.\n", encoding="utf-8")
    ask(path, title_column="title")
    assert server.prompts == ["T:Budget\nThe town votes."]


def test_lines_of_text_in_another_encoding(server, ask, tmp_path, out, read, answer):
    from frtune import Endpoint, LabelJob, label

    path = tmp_path / "lines.txt"
    path.write_bytes("Le théâtre ouvre.\n\nL'été.\n".encode("cp1252"))
    with pytest.raises(InputError, match="encoding cp1252"):
        ask(path)
    label(path, out, job=LabelJob(template="{text}"), endpoint=Endpoint(server.url, "m"),
          encoding="cp1252", max_rows=2)  # fmt: skip
    assert server.prompts == ["Le théâtre ouvre."]


# --- budget -------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_budget_is_never_passed_and_nearly_used(server, ask, texts, out, answer, concurrency):
    server.script = lambda prompt, nth: answer("budget", tokens=(60, 40))
    path = texts(*(f"text {i}" for i in range(30)))
    report = ask(path, budget=Budget(tokens=1_000), concurrency=concurrency, max_output_tokens=50)
    spent = report["spent"]["input_tokens"] + report["spent"]["output_tokens"]
    # the next request could come to 64 + 8 + 50 tokens
    assert report["stopped"] == "budget" and 1_000 - 122 < spent <= 1_000
    assert spent == 100 * len(server.asked) and not out.exists()

    report = ask(path, budget=Budget(tokens=1_200), max_output_tokens=50)
    assert report["stopped"] == "budget" and len(server.asked) == 11
    report = ask(path, max_output_tokens=50)
    assert report["complete"] and len(server.asked) == 30
    assert report["spent"]["input_tokens"] == 1_800


def test_a_budget_in_money(server, ask, texts, answer):
    server.script = lambda prompt, nth: answer("budget", tokens=(60, 40))
    budget = Budget(cost=0.001, price_input=1.0, price_output=5.0)  # a request costs 0.00026
    report = ask(texts(*"abcdefgh"), budget=budget, max_output_tokens=50)
    # the fourth could come to 3 * 0.00026 + (67 + 250) / 1e6 = 0.001097
    assert len(server.asked) == 3 and report["spent"]["cost"] == pytest.approx(0.00078)


def test_a_server_that_makes_prompts_longer_is_reckoned_with(server, ask, texts, answer):
    server.script = lambda prompt, nth: answer("budget", tokens=(500, 5))
    report = ask(texts(*"abcdefgh"), budget=Budget(tokens=2_000), max_output_tokens=50)
    # 3 * 505 tokens; the fourth could come to 550, as the first three say
    assert len(server.asked) == 3 and report["spent"]["input_tokens"] == 1_500


def test_answers_without_usage_count_at_their_most(server, ask, texts, answer):
    server.script = lambda prompt, nth: answer("budget", tokens=None)
    report = ask(texts("a"))
    assert report["spent"]["output_tokens"] == 256
    assert report["requests"]["answers_without_usage"] == 1


def test_rows_that_have_an_answer_are_written_on_request(server, ask, texts, out, read, answer):
    report = ask(texts(*"abcdefgh"), budget=Budget(tokens=400), partial=True)
    labelled = report["rows"]["labelled"]
    assert 0 < labelled < 8 and len(read(out)) == labelled
    assert report["rejected"] == {"not_asked": 8 - labelled} and not report["complete"]


def test_no_usable_answer_leaves_no_output(server, ask, texts, out, answer):
    server.script = lambda prompt, nth: answer("")
    report = ask(texts("a", "b"))
    assert report["rejected"] == {"empty": 2} and not out.exists()
    assert out.with_name("out.rejected.jsonl").exists()
