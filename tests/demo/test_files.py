import csv
import json

import pytest

from frtune import SequenceClassification
from frtune.demo.errors import told
from frtune.demo.files import answer_file
from frtune.demo.models import open_models
from frtune.demo.translations import WORDS
from frtune.demo.uploads import uploaded_rows
from frtune.errors import InputError

TEXTS = ["L'été à la cantine.", 'Il a dit "oui", <b>non</b>.', "예산안을 밝혔다."]


def _answers(model, path, tmp_path):
    output = tmp_path / "out.csv"
    steps = list(answer_file([model], uploaded_rows(path, path.name), path.name, output))
    assert output.read_bytes().startswith(b"\xef\xbb\xbf")
    with output.open(encoding="utf-8-sig", newline="") as file:
        return steps, list(csv.DictReader(file))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_each_format_gets_its_answers_and_keeps_its_columns(models, suffix, tmp_path):
    path = tmp_path / f"rows{suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".csv":
            writer = csv.writer(file)
            writer.writerows([["id", "text"], *enumerate(TEXTS)])
        elif suffix == ".jsonl":
            rows = [{"id": i, "text": text, "tags": ["é"]} for i, text in enumerate(TEXTS)]
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            file.writelines(f"{text}\n" for text in TEXTS)
    model = models["keywords"]
    steps, found = _answers(model, path, tmp_path)
    assert steps == [(3, 0, 0)]
    assert [row["text"] for row in found] == TEXTS
    for row, answer in zip(found, model.predict([{"text": text} for text in TEXTS]), strict=True):
        spans = json.loads(row["predicted_spans"])
        assert [(s["start"], s["end"]) for s in spans] == [
            (k["start"], k["end"]) for k in answer["keywords"]
        ]
        assert row["predicted_keywords"].split("; ") == list(
            dict.fromkeys(row["text"][s["start"] : s["end"]] for s in spans)
        )
        assert row.get("tags", '["é"]') == '["é"]'


def test_blank_and_long_rows_are_left_without_an_answer(models, tmp_path):
    path = tmp_path / "rows.jsonl"
    texts = ["fine", " ", None, "x" * 501, 7]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    steps, found = _answers(models["classes"], path, tmp_path)
    assert steps == [(5, 4, 0)]
    assert [bool(row["predicted_label"]) for row in found] == [True, False, False, False, False]


def test_many_rows_are_answered_in_steps(models, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("sentence2,sentence1\n" + "a,b\n" * 70)
    steps, found = _answers(models["pairs"], path, tmp_path)
    assert steps == [(32, 0, 0), (64, 0, 0), (70, 0, 0)]
    scores = [float(row["predicted_similarity"]) for row in found]
    assert scores == pytest.approx(
        scores[:1] * 70, abs=1e-6
    )  # a batch of another size rounds otherwise


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.pdf", b"x", "rows.pdf: is none of .csv"),
        ("rows.csv", b"texte\nabc\n", "rows.csv: has no column text; it has texte"),
        ("rows.csv", b"text,id\nabc\n", "rows.csv, line 2: 1 fields"),
        ("rows.csv", b"text\n\xff\xfe\n", "rows.csv, line 2"),
        ("rows.jsonl", b'{"text": "a"}\n{oops\n', "rows.jsonl, line 2"),
        ("rows.txt", b"", "rows.txt: has no rows"),
    ],
)
def test_a_bad_file_is_refused_by_its_own_name(models, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        rows = uploaded_rows(tmp_path / name, name)
        list(answer_file([models["keywords"]], rows, name, tmp_path / "out.csv"))
    assert message in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_line_a_text_is_refused_by_a_model_of_pairs(models, tmp_path):
    (tmp_path / "rows.txt").write_text("a\n")
    rows = uploaded_rows(tmp_path / "rows.txt", "rows.txt")
    with pytest.raises(InputError, match="no column sentence1"):
        list(answer_file([models["pairs"]], rows, "rows.txt", tmp_path / "out.csv"))


def _file(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding=encoding, newline="")
    return path


def test_columns_of_the_file_stay_as_they_are(models, tmp_path):
    path = _file(tmp_path, "text,predicted_label,predicted_label_2\nun loyer,mine,too\n")
    _, (row,) = _answers(models["classes"], path, tmp_path)
    assert (row["predicted_label"], row["predicted_label_2"]) == ("mine", "too")
    assert row["predicted_label_3"] in models["classes"].task.labels


def test_two_models_answer_side_by_side(models, tmp_path):
    path, output = _file(tmp_path, "text\nun loyer\n"), tmp_path / "out.csv"
    both = [models["classes"], models["keywords"]]
    list(answer_file(both, uploaded_rows(path, path.name), path.name, output))
    with output.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == [
        "text", "predicted_label_classes", "predicted_score_classes",
        "predicted_keywords_keywords", "predicted_spans_keywords",
    ]  # fmt: skip
    assert row["predicted_label_classes"] in models["classes"].task.labels


FORMULAS = ["=1+1", "+33 6 12", "-a", "@SUM(A1)", "\tx", "＝1"]


@pytest.mark.parametrize("defuse", [True, False])
def test_no_cell_is_a_formula_unless_that_is_asked_for(models, tmp_path, defuse):
    path, output = tmp_path / "rows.jsonl", tmp_path / "out.csv"
    rows = [{"text": "ok", "=name": cell, "number": "-3.5"} for cell in FORMULAS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    read = uploaded_rows(path, path.name)
    list(answer_file([models["classes"]], read, path.name, output, defuse=defuse))
    with output.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    mark = "'" if defuse else ""
    assert [row[f"{mark}=name"] for row in found] == [mark + cell for cell in FORMULAS]
    assert {row["number"] for row in found} == {"-3.5"}


def test_rows_that_are_longer_than_the_model_reads_are_counted(saved, tmp_path):
    task = SequenceClassification(labels=["a", "b"], max_source_tokens=16)
    (model,) = open_models([saved("short", task, "camembert")]).values()
    path = _file(tmp_path, f"text\ncourt\n{'long ' * 40}\n")
    steps, _ = _answers(model, path, tmp_path)
    assert steps == [(2, 0, 1)]
    short, (read, whole) = model.read_tokens([{"text": "court"}, {"text": "long " * 40}])
    tokens = model.predictor.tokenizer("long " * 40)["input_ids"]
    assert short is None and (read, whole) == (16, len(tokens))


def test_a_file_in_another_encoding_is_read(tmp_path):
    path = _file(tmp_path, "text\n예산안을 밝혔다\n", encoding="cp949")
    assert uploaded_rows(path, path.name, "cp949") == [{"text": "예산안을 밝혔다"}]


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("rows.pdf", b"x", "bad_suffix"),
        ("rows.csv", b"text,id\nabc\n", "bad_fields"),
        ("rows.csv", b"text\n\xff\xfe\n", "bad_encoding"),
        ("rows.csv", b"text\na\0b\n", "bad_encoding"),
        ("rows.csv", b'text\n"abc\n', "bad_quotes"),
        ("rows.csv", b'text\n"a"b\n', "bad_quotes"),
        ("rows.csv", b"text,text\na,b\n", "same_names"),
        ("rows.csv", b"", "no_rows"),
        ("rows.csv", b"texte\nabc\n", "no_column"),
        ("rows.jsonl", b"{oops\n", "bad_json"),
        ("rows.jsonl", b"[1]\n", "no_row"),
        ("rows.json", b'[{"text": "a"}, {"te', "bad_json"),
        ("rows.jsonl", b'{"text": "a", "text": "b"}\n', "bad_json"),
        ("rows.txt", b"", "no_rows"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_wrong_with_a_file_is_said_in_the_language_of_the_page(
    models, tmp_path, name, content, key, place
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        rows = uploaded_rows(tmp_path / name, name)
        list(answer_file([models["keywords"]], rows, name, tmp_path / "out.csv"))
    found = told(error.value, lambda key, **values: WORDS[key][place].format(**values))
    assert WORDS[key][place].split("{")[0] in found, (error.value, found)
    assert "--encoding" not in found and "unreadable" not in found
