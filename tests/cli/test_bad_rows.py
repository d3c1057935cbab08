"""Rows as users have them: refused in one line that says where and what to do, or read rightly."""

from __future__ import annotations

import json

import pytest

import frtune
from frtune.cli import main

ROWS = 24


def table(header, rows, separator=",", encoding="utf-8"):
    lines = [separator.join(row) for row in (header, *rows)]
    return ("\n".join(lines) + "\n").encode(encoding)


def objects(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def lines_with(label=None, text=None, labels="ab"):
    """Invoice lines of two classes; the third row has the label or the text that is given."""
    rows = [[f"ligne {i}", labels[i % len(labels)]] for i in range(ROWS)]
    rows[2] = [rows[2][0] if text is None else text, rows[2][1] if label is None else label]
    return table(["text", "label"], rows)


def pairs_with(label=None, second=None, scores=False):
    """Pairs with labels 0 and 1, or scores; the third row has what is given."""
    labels = [str(i % 2 + 0.5 * scores) for i in range(ROWS)]
    rows = [[f"un {i}", f"deux {i}", label] for i, label in enumerate(labels)]
    rows[2] = [rows[2][0], second if second is not None else rows[2][1], label or rows[2][2]]
    return table(["sentence1", "sentence2", "label"], rows, ";")


def keywords_with(value, text="le budget voté"):
    rows = [{"text": f"le budget {i}", "keywords": ["budget"]} for i in range(ROWS)]
    if not isinstance(value, list):
        rows = [{**row, "keywords": "budget; école"} for row in rows]
    rows[2] = {"text": text, "keywords": value}
    return objects(rows)


REFUSED = {
    "one class only": ("classification", lines_with(labels="a"), [], "'a' is the only label"),
    "a label for each row": (
        "classification", lines_with(labels=[f"n{i}" for i in range(ROWS)]), [],
        "a label of its own",
    ),
    "NaN label": ("classification", lines_with("NaN"), [], "row 3: column label has no label"),
    "no label": ("classification", lines_with(""), [], "row 3: column label has no label"),
    "float labels": (
        "classification", lines_with(labels=["0.5", "1.25", "3.0"]), [],
        "row 1: column label holds 0.5, a score and no class, in 16 of 24 rows",
    ),
    "empty text": (
        "classification", lines_with(text=""), [],
        "row 3: column text is blank. Correct such rows; frtune prepare sets them aside.",
    ),
    "invisible text": ("classification", lines_with(text="\u00ad\u200b"), [], "text is blank"),
    "cp1252": (
        "classification", table(["text", "label"], [["été", "a"]] * 9, ";", "cp1252"), [],
        "line 2, byte 1: 0xE9 is not UTF-8. Save the file as UTF-8, or pass its encoding: "
        "--encoding cp1252, for example.",
    ),
    "other columns": (
        "classification", table(["libelle", "compte"], [["a", "b"]] * 9, ";"), [],
        "rows.csv: has no column text; it has libelle, compte.",
    ),
    "one label of pairs": (
        "similarity", table(["sentence1", "sentence2", "label"], [["a", "b", "1"]] * 9), [],
        "'1' is the only label",
    ),
    "half a pair": ("similarity", pairs_with(second=" "), [], "row 3: column sentence2 is blank"),
    "no translation": (
        "similarity", pairs_with(second="NS"), [], "row 3: column sentence2 holds the placeholder"
    ),
    "scores as labels": (
        "similarity", pairs_with(scores=True), [], "row 1: column label holds 0.5, a score and no"
    ),
    "decimal comma": (
        "similarity", pairs_with("3,8", scores=True), ["--head", "regression"],
        "row 3: column label holds '3,8', which is no number; --decimal-comma reads it. Correct",
    ),
    "NaN score": (
        "similarity", objects([{"sentence1": "a", "sentence2": "b", "label": float("nan")}] * 9),
        ["--head", "regression"], "row 1: column label has no score, in 9 of 9 rows",
    ),
    "a broken list": ("keywords", keywords_with("['budget'"), [], "row 3: column keywords holds"),
    "a set": ("keywords", keywords_with("{'budget'}"), [], "which is no list that can be read"),
    "numbers for keywords": (
        "keywords", objects([{"text": "a 1", "keywords": [1, 2]}] * 9), [],
        "row 1: column keywords holds a list with 1 in it",
    ),
    "a number for keywords": (
        "keywords", objects([{"text": "a 1", "keywords": 1}] * 9), [],
        "row 1: column keywords holds a int, 1; a list of text, or separated text, is needed",
    ),
    "no keywords": ("keywords", keywords_with(""), [], "row 3: column keywords holds no keywords"),
    "no text": ("keywords", keywords_with(["budget"], text=" "), [], "row 3: column text is blank"),
    "keywords not in texts": (
        "keywords", objects([{"text": "le budget", "keywords": ["vélo"]}] * 9), [],
        "no keyword of column keywords stands in its text",
    ),
}  # fmt: skip


def refused(argv, message, capsys):
    """The command ends with code 2, and its last line is the whole message."""
    assert main(argv) == 2
    shown = capsys.readouterr()
    last = shown.err.rstrip("\n").splitlines()[-1]
    assert last.startswith("frtune: ") and message in last, last
    assert "Traceback" not in shown.err and shown.out == ""


@pytest.mark.parametrize("case", REFUSED)
def test_training_refuses_rows_with_their_place_and_leaves_nothing(case, tmp_path, capsys):
    task, content, flags, message = REFUSED[case]
    path = tmp_path / ("rows.jsonl" if content[:1] == b"{" else "rows.csv")
    path.write_bytes(content)
    command = ["train", task, "--data", str(path), "--checkpoint", "tiny", *flags]
    refused([*command, "--output-dir", str(tmp_path / "run")], message, capsys)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_label_that_training_has_not_is_refused_before_training(tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    for name, labels in (("train", "ab"), ("validation", "ab"), ("test", "abz")):
        (folder / f"{name}.csv").write_bytes(lines_with(labels=labels))
    command = ["train", "classification", "--data", str(folder), "--checkpoint", "tiny"]
    message = "test, row 3: column label has labels that training has not: 'z' (8 rows)"
    refused([*command, "--output-dir", str(tmp_path / "run")], message, capsys)
    assert not (tmp_path / "run").exists()


# --- evaluate and predict ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tiny, tmp_path_factory):
    """A model directory of classification; its weights are random."""
    task = frtune.SequenceClassification(labels=["a", "b"])
    model, tokenizer = frtune.build_model(task, checkpoint=tiny("camembert"))
    directory = tmp_path_factory.mktemp("classes")
    args = frtune.training_arguments(task, str(directory), eval_strategy="no", save_strategy="no",
                                     load_best_model_at_end=False, bf16=False)  # fmt: skip
    return str(frtune.save(task.trainer(model, tokenizer, args), directory / "model"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines_with("z"), "train, row 3: column label has labels that training has not: 'z'"),
        (lines_with("NaN"), "row 3: column label has no label"),
        (lines_with(text=" "), "row 3: column text is blank"),
        (lines_with(text="été").decode().encode("cp1252"), "line 4, byte 1: 0xE9 is not UTF-8"),
        (table(["text"], [["a"]]), "has no column label"),
    ],
)
def test_evaluation_refuses_rows_with_their_place(model, tmp_path, capsys, content, message):
    path, output = tmp_path / "rows.csv", tmp_path / "scores"
    path.write_bytes(content)
    command = ["evaluate", model, "--data", str(path), "--output-dir", str(output)]
    refused(command, message, capsys)
    assert not output.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lines_with(text=""), "rows.csv, row 3: column text is blank, in 1 of 24 rows"),
        (table(["texte"], [["a"]]), "has no column text; it has texte"),
        ("text\nété\n".encode("cp1252"), "line 2, byte 1: 0xE9 is not UTF-8"),
    ],
)
def test_prediction_refuses_rows_with_their_place(model, tmp_path, capsys, content, message):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    command = ["predict", model, "--file", str(path), "--output", str(tmp_path / "answers.jsonl")]
    refused(command, message, capsys)
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]


# --- what looks bad and is read rightly ----------------------------------------------------------

NASTY = (
    "Loyer \u00abmars\u00bb 😀👩\u200d👩\u200d👧 12 €",
    "abon\u00adnement té\u00adlé\u00adphone",
    "e\u0301te\u0301 a\u0300 Noe\u0308l",
    "très long " * 40,
)
LONG = "Le loyer de l'hiver est long. " * 700  # 21,000 characters


def nasty_rows(task):
    """A header and rows of a task, with emoji, soft hyphens, NFD accents and a long text."""
    texts = [LONG, *(f"{NASTY[i % 4]} {i}" for i in range(1, 40))]
    if task == "classification":
        labels = [*["a", "b"] * 19, "a", "seul"]  # a class with one row
        return ["text", "label"], [list(row) for row in zip(texts, labels, strict=True)]
    if task == "similarity":
        turned = [*texts[1:], texts[0]]
        labels = ["0", "1"] * 20
        header = ["sentence1", "sentence2", "label"]
        return header, [list(row) for row in zip(texts, turned, labels, strict=True)]
    words = ("LOYER", "téléphone", "été", "très long")
    return ["text", "keywords"], [[text, words[i % 4]] for i, text in enumerate(texts)]


@pytest.mark.parametrize("task", ["classification", "similarity", "keywords"])
def test_nasty_texts_are_read_and_no_row_is_lost(task, tmp_path, capsys, caplog):
    path, run = tmp_path / "rows.csv", tmp_path / "run"
    path.write_bytes(table(*nasty_rows(task), ";", "utf-8-sig"))
    flags = ["--checkpoint", "tiny", "--max-source-tokens", "64", "--max-steps", "2",
             "--disable-tqdm", "true"]  # fmt: skip
    with caplog.at_level("WARNING", "frtune"):
        assert main(["train", task, "--data", str(path), "--output-dir", str(run), *flags]) == 0
    assert "longer than max_source_tokens=64" in caplog.text
    assert "(32, 4 and 4 rows)" in caplog.text
    assert "do not stand in their text" not in caplog.text
    assert ("class 'seul' has 1 training row" in caplog.text) == (task == "classification")
    assert len((run / "predictions.jsonl").read_text("utf-8").splitlines()) == 4
    assert main(["evaluate", str(run), "--data", str(path)]) == 0
    answers = run / "evaluation" / "rows" / "predictions.jsonl"
    assert len(answers.read_text("utf-8").splitlines()) == 40
    capsys.readouterr()
    pair = ["--text-pair", NASTY[1]] if task == "similarity" else []
    assert main(["predict", str(run), "--text", LONG, *pair]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == LONG


def test_the_way_out_of_cp1252_works(model, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_bytes(table(["text", "label"], [["été", "a"], ["œuf", "b"]], ";", "cp1252"))
    assert main(["predict", model, "--file", str(path), "--encoding", "cp1252"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["text"] for answer in answers] == ["été", "œuf"]
