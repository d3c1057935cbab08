"""The corrected data: what was decided, in the format of the input, and nothing else changed."""

from __future__ import annotations

import csv
import json

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, List

from frtune import KeyphraseGeneration, KeywordExtraction, SentenceSimilarity
from frtune import SequenceClassification as Classification
from frtune.errors import InputError
from frtune.review.corrected import write_corrected
from frtune.review.folder import Decision, Decisions
from frtune.review.ranking import ranked, write_table
from frtune.review.review import Review
from frtune.review.rows import read_rows
from frtune.review.session import ReviewSession
from frtune.run.settings import RunSettings
from small_data import rows_of, write


def reviewed(task, data, folder, *, encoding=None, **settings):
    """A review of which nobody trained a model: all rows are as doubtful."""
    found = read_rows(task, RunSettings(data=str(data), encoding=encoding, **settings))
    some = (
        {"chances": [0.5] * len(found.task.labels)} if "label" in task.row_schema().target else {}
    )
    kinds = {"label": some, "labels": some, "score": {"score": 1.0}}
    said = kinds.get(task.row_schema().target, {"prediction": ["a"], "loss": 1.0, "given": [],
                                                "extra": [], "tokens": [1, 1, 1, 1]})  # fmt: skip
    folder.mkdir(exist_ok=True)
    return Review(found, ranked(found, [said] * len(found.rows), []), folder, encoding)


def decide(review, number, action, label=None, split="train"):
    session = ReviewSession(review)
    place = next(
        i for i, row in enumerate(review.rows) if (row.number, row.split) == (number, split)
    )
    session.decide(place, action, label)


def text_of(path):
    return path.read_text("utf-8")


def test_a_csv_keeps_its_cells_its_delimiter_and_its_test_rows(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    head = "id;text;label;note\n"
    rows = [f'00{i};"a ""text""; {i * 7919}";{"xy"[i % 2]};=1+{i}\n' for i in range(8)]
    (folder / "train.csv").write_text(head + "".join(rows), "utf-8")
    (folder / "test.csv").write_text(head + "009;;;TRAP\n", "utf-8")
    review = reviewed(Classification(), folder, tmp_path / "out")
    decide(review, 1, "change", "y")
    decide(review, 2, "drop")
    decide(review, 3, "keep")
    assert write_corrected(review) == (tmp_path / "out" / "corrected", 1, 1)
    written = "".join(
        text_of(tmp_path / "out" / "corrected" / f"{name}.csv").removeprefix(head)
        for name in ("train", "validation")
    )
    assert sorted(written.splitlines(True)) == sorted([rows[0].replace(";x;", ";y;"), *rows[2:]])
    assert text_of(tmp_path / "out" / "corrected" / "test.csv") == head + "009;;;TRAP\n"


def test_one_file_becomes_the_splits_that_training_cuts(tmp_path):
    data = write(tmp_path / "rows.csv", rows_of("classification", 40))
    before = read_rows(Classification(), RunSettings(data=str(data)))
    review = reviewed(Classification(), data, tmp_path / "out")
    row = review.rows[0]
    decide(review, row.number, "drop")
    place, *_ = write_corrected(review)
    sizes = {path.stem: len(text_of(path).splitlines()) - 1 for path in place.iterdir()}
    assert sum(sizes.values()) == 39 and sizes["test"] == 4
    after = read_rows(Classification(), RunSettings(data=str(place)))
    assert {*after.rows["text"]} == {*before.rows["text"]} - {row.texts[0]}


def test_lines_of_json_keep_lists_objects_and_types(tmp_path):
    rows = [{"text": f"{i * 7919} sun", "keyphrases": [f"sun {i}"], "n": i} for i in range(12)]
    data = write(tmp_path / "train.jsonl", rows)
    review = reviewed(KeyphraseGeneration(), data, tmp_path / "out", max_test_rows=0)
    decide(review, 1, "change", "moon; wind ; moon")
    write_corrected(review)
    found = [json.loads(line) for path in sorted((tmp_path / "out" / "corrected").iterdir())
             for line in text_of(path).splitlines()]  # fmt: skip
    assert sorted(found, key=lambda row: row["n"]) == [
        {**rows[0], "keyphrases": ["moon", "wind"]},
        *rows[1:],
    ]


def test_an_array_of_json_stays_one_and_a_label_of_numbers_a_number(tmp_path):
    rows = [{"text": f"{i * 7919} sun", "label": i % 2} for i in range(12)]
    (tmp_path / "train.json").write_text(json.dumps(rows), "utf-8")
    review = reviewed(Classification(), tmp_path / "train.json", tmp_path / "out", max_test_rows=0)
    decide(review, 1, "change", "1")
    write_corrected(review)
    files = [tmp_path / "out" / "corrected" / f"{name}.json" for name in ("train", "validation")]
    found = [row for path in files for row in json.loads(text_of(path))]
    assert sorted(found, key=lambda row: int(row["text"].split()[0]))[0] == {**rows[0], "label": 1}


def test_tsv_without_quotes_keywords_and_scores(tmp_path):
    lines = [f'{i * 7919} "sun\tsun;\n' for i in range(12)]
    (tmp_path / "train.tsv").write_text("text\tkeywords\n" + "".join(lines), "utf-8")
    review = reviewed(
        KeywordExtraction(separator=";"), tmp_path / "train.tsv", tmp_path / "out", max_test_rows=0
    )
    decide(review, 1, "change", "sun; 0")
    write_corrected(review)
    files = [tmp_path / "out" / "corrected" / f"{name}.tsv" for name in ("train", "validation")]
    found = [line for path in files for line in text_of(path).splitlines(True)[1:]]
    assert sorted(found) == sorted(['0 "sun\tsun;0\n', *lines[1:]])

    data = write(tmp_path / "train.csv", rows_of("similarity"))
    task = SentenceSimilarity(head="regression", label_column="score")
    review = reviewed(task, data, tmp_path / "scores", max_test_rows=0)
    decide(review, 1, "change", "2,5")
    write_corrected(review)
    with open(tmp_path / "scores" / "corrected" / "train.csv", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    with open(tmp_path / "scores" / "corrected" / "validation.csv", encoding="utf-8") as file:
        written += list(csv.DictReader(file))
    assert sorted(row["score"] for row in written).count("2.5") == 1
    with pytest.raises(InputError, match="is no number"):
        decide(review, 2, "change", "good")


def test_parquet_and_saved_data_keep_the_names_of_classes(tmp_path):
    rows = {"text": [f"{i * 7919} sun" for i in range(12)], "label": [i % 2 for i in range(12)]}
    data = Dataset.from_dict(rows).cast_column("label", ClassLabel(names=["no", "yes"]))
    data.to_parquet(str(tmp_path / "train.parquet"))
    DatasetDict(train=data).save_to_disk(str(tmp_path / "saved"))
    for name in ("train.parquet", "saved"):
        review = reviewed(Classification(), tmp_path / name, tmp_path / f"out-{name}",
                          max_test_rows=0)  # fmt: skip
        decide(review, 1, "change", "yes")
        place, *_ = write_corrected(review)
        found = read_rows(Classification(), RunSettings(data=str(place), max_test_rows=0))
        assert found.task.labels == ["no", "yes"]
        labels = dict(zip(found.rows["text"], found.task.references(found.rows), strict=True))
        assert labels["0 sun"] == "yes" and labels["15838 sun"] == "no"


def test_several_labels_stay_lists_also_of_named_classes(tmp_path):
    sets = [[i % 2, 2] if i % 3 else [] for i in range(12)]
    data = Dataset.from_dict({"text": [f"{i * 7919} sun" for i in range(12)], "label": sets})
    data = data.cast_column("label", List(ClassLabel(names=["no", "yes", "maybe"])))
    data.to_parquet(str(tmp_path / "train.parquet"))
    task = Classification(multi_label=True)
    review = reviewed(task, tmp_path / "train.parquet", tmp_path / "out", max_test_rows=0)
    decide(review, 1, "change", "maybe; no")
    decide(review, 2, "change", "")
    place, *_ = write_corrected(review)
    found = read_rows(task, RunSettings(data=str(place), max_test_rows=0))
    labels = dict(zip(found.rows["text"], found.task.references(found.rows), strict=True))
    assert labels["0 sun"] == ["maybe", "no"] and labels["7919 sun"] == []
    assert labels["15838 sun"] == ["no", "maybe"]


def test_a_split_whose_rows_are_all_dropped_has_no_file(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder / "train.csv", rows_of("classification"))
    write(folder / "validation.csv", rows_of("classification")[:2])
    review = reviewed(Classification(), folder, tmp_path / "out", max_test_rows=0)
    for number in (1, 2):
        decide(review, number, "drop", split="validation")
    place, changed, dropped = write_corrected(review)
    assert [path.name for path in place.iterdir()] == ["train.csv"] and (changed, dropped) == (0, 2)


def test_a_label_that_no_row_may_have_is_refused(tmp_path):
    data = write(tmp_path / "train.csv", rows_of("classification"))
    review = reviewed(Classification(), data, tmp_path / "out")
    with pytest.raises(InputError, match=r"'evn' is no label\. The labels are even, odd"):
        decide(review, review.rows[0].number, "change", "evn")
    data = write(tmp_path / "train.jsonl", rows_of("keyphrases"))
    review = reviewed(KeyphraseGeneration(), data, tmp_path / "phrases", max_test_rows=0)
    with pytest.raises(InputError, match="no keyphrase"):
        decide(review, 1, "change", " ; ")
    assert len(review.decisions()) == 0


def test_decisions_are_kept_at_once_and_the_next_row_is_the_first_open_one(tmp_path):
    data = write(tmp_path / "train.csv", rows_of("classification"))
    review = reviewed(Classification(), data, tmp_path / "out")
    session = ReviewSession(review)
    assert session.resume() == 0
    session.decide(0, "keep")
    session.decide(2, "drop")
    assert ReviewSession(review).resume() == 1
    again = Decisions(tmp_path / "out" / "decisions.json")
    assert dict(again.items()) == {
        review.rows[0].place: Decision("keep"), review.rows[2].place: Decision("drop"),
    }  # fmt: skip
    session.decide(0, "drop")
    assert session.sheet(0).decision == Decision("drop")
    assert ReviewSession(review).sheet(0).decision == Decision("drop")
    assert session.sheet(99).row is None
    for text in ("[1]", "{", '{"0": {"action": "burn"}}'):
        (tmp_path / "out" / "decisions.json").write_text(text)
        with pytest.raises(InputError, match="decisions"):
            review.decisions()


def test_the_table_computes_nothing_in_a_spreadsheet(tmp_path):
    signs = ["=1", "+a", "-a", "@x", "\tx", "\rx"]
    rows = [{"text": f"{signs[i % 6]} {i * 7919}", "label": "=ab"[i % 2 :]} for i in range(12)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    review = reviewed(Classification(), tmp_path / "train.jsonl", tmp_path / "out", max_test_rows=0)
    write_table(tmp_path / "table.csv", review.rows)
    with open(tmp_path / "table.csv", encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert {row["text"][0] for row in found} == {"'"}
    assert {row["label"] for row in found} == {"'=ab", "ab"}
    assert not any(cell[:1] in "=+-@\t\r" for row in found for cell in row.values() if cell)
    write_table(tmp_path / "plain.csv", review.rows, defuse=False)
    with open(tmp_path / "plain.csv", encoding="utf-8-sig", newline="") as file:
        assert {row["text"][0] for row in csv.DictReader(file)} == {sign[0] for sign in signs}
