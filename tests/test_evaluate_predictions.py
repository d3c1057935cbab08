"""A file of answers is scored as a saved model is, and each answer stands for its own row."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from datasets import Dataset

import frtune
from frtune.cli import main
from frtune.tasks.answer_files import AnswerColumns

MODELS = Path(__file__).parent / "fixtures" / "v0_1_0" / "models"
TASKS = ("classification", "similarity", "keywords", "keyphrases")
# what no answer tells: scores of tokens
UNTOLD = {
    "keywords": {"token_accuracy", "token_accuracy_all_o", "token_f1_macro"},
    "keyphrases": {"cut_by_limit_rate", "mean_tokens"},
}
ROWS = {
    "text": ["Le vent et le sel.", "Un budget voté.", "La forêt brûlée."],
    "keyphrases": [["vent", "sel"], ["budget"], ["forêt brûlée"]],
    "id": ["x1", "x2", "x3"],
}


def read(path):
    return json.loads(path.read_text("utf-8"))


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path):
    rows = [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]
    return write_lines(tmp_path / "rows.jsonl", rows)


@pytest.mark.parametrize("name", TASKS)
def test_answers_of_a_model_have_the_scores_that_the_model_had(name, tmp_path, capsys):
    model, data = MODELS / name, tmp_path / "data"
    data.mkdir()
    rows, _ = frtune.load_splits("sample", task_name=name, cut=False)
    rows["train"].select(range(60)).to_json(data / "train.jsonl")
    rows["train"].select(range(60, 80)).to_json(data / "test.jsonl")
    flags = ["--data", str(data), "--output-dir"]
    assert main(["evaluate", str(model), *flags, str(tmp_path / "model")]) == 0
    file = tmp_path / "model" / "predictions.jsonl"
    capsys.readouterr()
    command = ["evaluate", "--predictions", str(file), "--task", name, *flags]
    assert main([*command, str(tmp_path / "file")]) == 0
    said = capsys.readouterr()
    before, after = (read(tmp_path / place / "metrics.json") for place in ("model", "file"))
    assert json.loads(said.out) == after
    untold = {
        key for key in before
        if any(key.removeprefix("test_").startswith(score) for score in UNTOLD.get(name, ()))
    }  # fmt: skip
    assert after == {key: value for key, value in before.items() if key not in untold}
    assert any("baseline" in key for key in after) and any(key.endswith("_low") for key in after)
    signatures = [read(tmp_path / place / "signatures.json") for place in ("model", "file")]
    assert signatures[1].items() <= signatures[0].items()
    assert {*signatures[0]} - {*signatures[1]} <= UNTOLD.get(name, set())
    assert file.read_bytes() == (tmp_path / "file" / "predictions.jsonl").read_bytes()
    assert len({tuple(json.loads(line)) for line in file.read_text("utf-8").splitlines()}) == 1

    # what predict says of the same rows
    answers = tmp_path / "answers.jsonl"
    asked = ["predict", str(model), "--file", str(data / "test.jsonl"), "--output", str(answers)]
    assert main(asked) == 0
    found = frtune.evaluate_predictions(answers, data, model)
    main_score = f"test_{frtune.load(model).task.main_score}"
    assert found[main_score] == pytest.approx(before[main_score], abs=1e-9)
    # a model directory, or the task's settings, in place of its name; and two files
    pair = ["evaluate", "--predictions", str(answers), str(file), "--task", str(model)]
    capsys.readouterr()
    assert main([*pair, "--data", str(data)]) == 0
    both = json.loads(capsys.readouterr().out)
    assert both["difference"] == pytest.approx(0, abs=1e-9) and both["rows"] == 20
    assert both["p_value"] > 0.5 and both["second"]["metrics"] == after


def test_answers_from_anywhere_are_read_alike(data, tmp_path):
    said = [["vent"], [], ["forêt", "forêt brûlée"]]
    expected = frtune.evaluate_predictions(said, data, "keyphrases")
    assert expected["test_f1_at_m"] == pytest.approx((2 / 3 + 0 + 2 / 3) / 3)
    text = ["vent", "", "forêt; forêt brûlée"]
    lines = tmp_path / "lines.txt"
    lines.write_text("\ufeff" + "\n".join(text) + "\n", encoding="utf-8")
    table = tmp_path / "table.csv"
    with table.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["id", "gpt"], *zip(["x1", "x2", "x3"], text, strict=True)])
    files = {
        lines: {},
        table: {"prediction": "gpt"},
        write_lines(tmp_path / "own.jsonl", [{"n": 1, "output": row} for row in said]): {},
        write_lines(tmp_path / "json.jsonl", [{"pred": json.dumps(row)} for row in said]): {},
        write_lines(
            tmp_path / "turned.jsonl",
            [{"id": f"x{i}", "response": "|".join(said[i - 1])} for i in (3, 1, 2)],
        ): {"separator": "|"},
    }
    for path, columns in files.items():
        options = AnswerColumns(**columns)
        found = frtune.evaluate_predictions(path, data, "keyphrases", columns=options)
        assert found == expected, path


LABELS = Dataset.from_dict({"text": ["un", "deux", "trois"], "label": ["a", "b", "a"]})
PAIRS = {"sentence1": ["un", "deux", "trois"], "sentence2": ["1", "2", "3"]}


def test_probabilities_add_what_needs_them():
    alone = frtune.evaluate_predictions(["a", "b", "b"], LABELS, "classification")
    assert "test_roc_auc" not in alone and alone["test_accuracy"] == pytest.approx(2 / 3)
    chances = [{"a": 0.9, "b": 0.1}, {"b": 0.8, "a": 0.2}, {"a": 0.4, "b": 0.6}]
    rows = [{"label": max(row, key=row.get), "scores": row} for row in chances]
    assert frtune.evaluate_predictions(rows, LABELS, "classification")["test_roc_auc"] == 1.0
    pairs = Dataset.from_dict({**PAIRS, "label": [0, 1, 1]})
    found = frtune.evaluate_predictions([0.1, 0.9, 0.4], pairs, "similarity")
    assert (found["test_roc_auc"], found["test_accuracy"]) == (1.0, pytest.approx(2 / 3))
    assert "test_roc_auc" not in frtune.evaluate_predictions([0, 1, 0], pairs, "similarity")
    scores = Dataset.from_dict({**PAIRS, "label": [0.5, 4.5, 3.0]})
    given = {"settings": {"head": "regression"}}
    found = frtune.evaluate_predictions([1, 5, 3], scores, "similarity", **given)
    assert found["test_spearman"] == pytest.approx(1)


REFUSED = [
    (["a", "b"], "classification", "2 answers for 3 rows"),
    (["a", "b", "c"], "classification", "row 3: 'c' is no label"),
    (["a", None, "b"], "classification", "row 2: "),
    ([], "classification", "is empty"),
    ([{"label": "a", "other": 1}] * 3, "classification", "--prediction-column"),
    ([{"pred": "a", "text": t} for t in ("un", "trois", "deux")], "classification", "row 2: its"),
    ([{"label": "a", "scores": {"a": 1, "b": 0}}, {"label": "a", "scores": {"a": 1}},
      {"label": "a", "scores": {"a": 1, "b": 0}}], "classification", "row 2: has no answer"),
    ([0.1, float("nan"), 0.2], "regression", "row 2: 'nan' is no number"),
    ([0.1, 0.2, float("inf")], "regression", "row 3: 'inf' is no number"),
    (["0.1", "x", "0.2"], "regression", "row 2: 'x' is no number"),
    ([0.1, 1.2, 0.3], "similarity", "row 2: 1.2 is neither a label"),
    ([{"a": 1}] * 3, "keyphrases", "which of its columns"),
    ([{"prediction": {"vent": 1}}] * 3, "keyphrases", "row 1: "),
    ([["a"], None, ["b"]], "keyphrases", "row 2: has no answer"),
    (["vent, sel", "a, b", "c, d"], "keyphrases", "separator"),
    ([{"id": i, "prediction": ["a"]} for i in ("x1", "x2", "x2")], "keyphrases", "row 3: id 'x2'"),
    ([{"id": i, "prediction": ["a"]} for i in ("x1", "x2", "x9")], "keyphrases", "row 3: id 'x9'"),
    ([{"id": i, "prediction": ["a"]} for i in ("x1", "x3")], "keyphrases", "no answer for row 2"),
]  # fmt: skip


def test_what_is_no_answer_is_refused_with_its_row_and_nothing_is_written(tmp_path):
    data = {
        "classification": LABELS,
        "similarity": Dataset.from_dict({**PAIRS, "label": [0, 1, 1]}),
        "regression": Dataset.from_dict({**PAIRS, "label": [0.5, 4.5, 3.0]}),
        "keyphrases": Dataset.from_dict(ROWS),
    }
    for answers, name, message in REFUSED:
        settings = {"head": "regression"} if name == "regression" else {}
        task = "similarity" if name == "regression" else name
        output = tmp_path / "out"
        with pytest.raises(frtune.InputError) as error:
            frtune.evaluate_predictions(
                answers, data[name], task, settings=settings, output_dir=output
            )
        assert message in str(error.value), (answers, str(error.value))
        assert "\n" not in str(error.value) and not output.exists()


def test_the_command_refuses_what_does_not_go_together(data, tmp_path, capsys):
    file = write_lines(tmp_path / "a.jsonl", [{"prediction": ["vent"]}] * 3)
    given = ["--predictions", str(file)]
    known = [*given, "--task", "keyphrases"]
    for flags, message in [
        ([], "DIR or --predictions"),
        ([str(tmp_path), *known], "no model answers"),
        (given, "needs --task"),
        ([*known, "--batch-size", "4"], "--batch-size"),
        ([*known, "--head", "regression"], "head: is no setting of keyphrases"),
        ([str(tmp_path), "--k", "5"], "--k: goes with --predictions"),
        (["--predictions", *[str(file)] * 3, "--task", "keyphrases"], "3 files"),
        (["--predictions", str(tmp_path), "--task", "keyphrases"], "is a folder"),
        (["--predictions", "none.csv", "--task", "keyphrases"], "no such file"),
    ]:
        assert main(["evaluate", *flags, "--data", str(data)]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1, error
    assert main(["evaluate", *known, "--data", str(data), "--k", "5"]) == 0
    assert "test_f1_at_5" in json.loads(capsys.readouterr().out)
    assert (tmp_path / "evaluation" / "a" / "metrics.json").is_file()


def test_numbers_with_decimal_commas_are_read_on_request(tmp_path):
    pair = {"sentence1": ["a", "b", "c"], "sentence2": ["d", "e", "f"], "score": [1.5, 2.5, 4.0]}
    task = frtune.SentenceSimilarity(head="regression", label_column="score")
    (tmp_path / "a.csv").write_text('pred\n"1,5"\n"2,5"\n"4,0"\n', encoding="utf-8")
    (tmp_path / "a.txt").write_text("1,5\n2,5\n4,0\n", encoding="utf-8")
    rows = Dataset.from_dict(pair)
    for answers in (tmp_path / "a.csv", tmp_path / "a.txt", ["1,5", "2,5", "4,0"]):
        found = frtune.evaluate_predictions(answers, rows, task, decimal_comma=True)
        assert found["test_mse"] == 0
        with pytest.raises(frtune.InputError, match=r"row 1: '1,5' .*--decimal-comma"):
            frtune.evaluate_predictions(answers, rows, task)
    with pytest.raises(frtune.InputError, match="row 2: has no answer"):
        frtune.evaluate_predictions([1.5, None, 4.0], rows, task)


def test_near_numbers_are_other_answers_to_a_paired_test():
    count = 40
    pairs = {name: [f"{name} {i}" for i in range(count)] for name in ("sentence1", "sentence2")}
    rows = Dataset.from_dict({**pairs, "score": [i / count for i in range(count)]})
    task = frtune.SentenceSimilarity(head="regression", label_column="score")
    first = [0.5 + 0.001 * (i * 7 % count) for i in range(count)]
    second = [0.5 + 0.001 * i for i in range(count)]
    found = frtune.compare_predictions(first, second, rows, task)
    assert found["p_value"] < 0.05 and found["p_note"] is None


def test_advice_on_answers_names_their_own_options(tmp_path):
    said = {"prediction": ["vent, sel", "budget, vote", "forêt, brûlée"]}
    with pytest.raises(frtune.InputError, match="--prediction-separator ', '"):
        frtune.evaluate_predictions(Dataset.from_dict(said), Dataset.from_dict(ROWS), "keyphrases")
    lines = [{"input": "Le vent.", "reference": "a", "prediction": "a"}] * 2
    rows = Dataset.from_dict({"text": ["Le vent."] * 3, "label": ["a", "b", "a"]})
    own = write_lines(tmp_path / "predictions.jsonl", lines)
    with pytest.raises(
        frtune.InputError, match=r"2 answers for 3 rows.* --data .*predictions\.jsonl"
    ):
        frtune.evaluate_predictions(own, rows, "classification")
    task = frtune.SequenceClassification(
        text_column="input", label_column="reference", labels=("a", "b")
    )
    assert frtune.evaluate_predictions(own, own, task)["test_accuracy"] == 1


def test_predictions_repeat_their_rows_with_the_title_that_was_read(tmp_path):
    rows = Dataset.from_dict({
        "head": ["Magnetometer", "Budget"], "text": ["a field of noise", "the school canteen"],
        "keyphrases": [["magnetometer"], ["canteen", "taxes"]],
    })  # fmt: skip
    task = frtune.KeyphraseGeneration(title_column="head")
    said = [["magnetometer"], ["canteen"]]
    first = frtune.evaluate_predictions(said, rows, task, output_dir=tmp_path / "a")
    again = tmp_path / "a" / "predictions.jsonl"
    columns = {"text_column": "input", "title_column": "title", "keyphrases_column": "reference"}
    second = frtune.evaluate_predictions(again, again, "keyphrases", settings=columns)
    assert second == first and first["test_present_f1_at_10"] == 1.0


@pytest.mark.parametrize("scores", [[[3.2, -1.0], [0.0, 5.0]], [[0.2, 0.2], [0.1, 0.5]]])
def test_scores_that_are_no_probabilities_are_not_judged_as_such(scores, caplog):
    rows = Dataset.from_dict({"text": ["Le vent.", "Le sel."], "label": ["a", "b"]})
    given = [
        {"prediction": label, "scores": dict(zip("ab", row, strict=True))}
        for label, row in zip("ab", scores, strict=True)
    ]
    found = frtune.evaluate_predictions(given, rows, "classification")
    assert found["test_roc_auc"] == 1.0 and "test_log_loss" not in found
    assert "not scored, since answers alone do not tell: log_loss, brier, ece" in caplog.text
