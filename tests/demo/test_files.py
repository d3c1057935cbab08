import csv
import json

import pytest

from frtune.demo.files import answer_file
from frtune.demo.uploads import uploaded_rows
from frtune.errors import InputError

TEXTS = ["L'été à la cantine.", 'Il a dit "oui", <b>non</b>.', "예산안을 밝혔다."]


def _answers(model, path, tmp_path):
    output = tmp_path / "out.csv"
    steps = list(answer_file(model, uploaded_rows(path, path.name), path.name, output))
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
    assert steps == [(3, 0)]
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
    assert steps == [(5, 4)]
    assert [bool(row["predicted_label"]) for row in found] == [True, False, False, False, False]


def test_many_rows_are_answered_in_steps(models, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("sentence2,sentence1\n" + "a,b\n" * 70)
    steps, found = _answers(models["pairs"], path, tmp_path)
    assert steps == [(32, 0), (64, 0), (70, 0)]
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
        list(answer_file(models["keywords"], rows, name, tmp_path / "out.csv"))
    assert message in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_line_a_text_is_refused_by_a_model_of_pairs(models, tmp_path):
    (tmp_path / "rows.txt").write_text("a\n")
    rows = uploaded_rows(tmp_path / "rows.txt", "rows.txt")
    with pytest.raises(InputError, match="no column sentence1"):
        list(answer_file(models["pairs"], rows, "rows.txt", tmp_path / "out.csv"))
