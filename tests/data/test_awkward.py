"""The awkward inputs of the shared folder, and what is right for each; small ones of each kind."""

import contextlib
import gzip
import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

import frtune
from frtune.data.loading import load_splits
from frtune.data.prepare import Cut, prepare
from frtune.errors import InputError
from frtune.evaluation import scored_rows
from frtune.run.data import read_data
from frtune.run.settings import RunSettings
from frtune.study.rows import read_rows

CLASSES = frtune.SequenceClassification()
PHRASES = frtune.KeyphraseGeneration()


@pytest.fixture(scope="session")
def awkward(shared):
    if not (shared / "awkward").is_dir():
        pytest.skip("the awkward inputs are not here (FRTUNE_SHARED)")
    return shared / "awkward"


def read(path, task=CLASSES, **options):
    splits, notes = load_splits(path, task=task, cut=False, **options)
    return splits, notes


def labels_of(path, **options):
    rows = read(path, **options)[0]["train"]
    return CLASSES.fit(rows).references(rows)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("concat_arrays.json", {"train": 30}),
        ("dd_eval", {"train": 20, "validation": 40}),
        ("f_gz", {"train": 20, "test": 40}),
        ("pa_odd.parquet", {"train": 40}),
        ("excel_sep.csv", {"train": 30}),
    ],
)
def test_all_rows_are_read(awkward, name, sizes):
    assert {split: len(rows) for split, rows in read(awkward / name)[0].items()} == sizes


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("cl_accounts", {"606", "613", "625"}),
        ("stars_cl", {"1", "2", "3", "4", "5"}),
        ("stars_1to5.csv", {"1", "2", "3", "4", "5"}),
        ("dec_labels.csv", {"401.10", "401.20", "606.00"}),
        ("dash.csv", {"--5", "2"}),
        ("excel_sep.csv", {"a", "b"}),
    ],
)
def test_labels_are_those_that_were_written(awkward, name, labels):
    assert set(labels_of(awkward / name)) == labels


def test_long_ids_are_text_and_unchanged(awkward):
    ids = read(awkward / "long_ids.csv")[0]["train"]["id"]
    assert list(ids) == [str(1294030472427835000 + i) for i in range(30)]


def test_a_split_is_not_cut_while_a_likely_one_lies_unread(awkward):
    with pytest.raises(InputError, match=r"test.txt: looks like the test split, and is not read"):
        load_splits(awkward / "f_txt", task=CLASSES)


def test_phrases_of_the_shared_folder(awkward):
    rows = read(awkward / "kp_jsonstr.csv", PHRASES)[0]["train"]
    expected = ["école de mode", "TCP/IP", "emoji 😀 phrase"]
    assert all(PHRASES.phrases(row) == expected for row in rows)
    with pytest.raises(
        InputError, match=r"row 1: column keyphrases holds a dict.*--keyphrase-field"
    ):
        PHRASES.check(read(awkward / "kp_dicts.jsonl", PHRASES)[0]["train"], "x")
    task = frtune.KeyphraseGeneration(keyphrase_field="phrase")
    rows = read(awkward / "kp_dicts.jsonl", task)[0]["train"]
    assert task.phrases(rows[0]) == ["solar cells", "neural network"]
    rows, notes = read(awkward / "kp_textlist.jsonl", PHRASES)
    assert rows["train"][0]["text"] == "Article 0 about solar cells l'eau"
    assert "lists of words were joined by spaces" in notes[0]
    with pytest.raises(InputError, match=r"'; ' is in 1 of 24 rows only; ', ' is in 23"):
        PHRASES.check(read(awkward / "kp_mixed_sep.csv", PHRASES)[0]["train"], "x")


def test_the_bad_byte_is_named_and_can_be_replaced(awkward):
    path = awkward / "one_bad_byte.csv"
    with pytest.raises(InputError, match=r"line 32, byte 23: 0xE9 is not UTF-8. It is the only"):
        read(path)
    rows, notes = read(path, encoding="utf-8-replace")
    assert sum("\ufffd" in text for text in rows["train"]["text"]) == 1
    assert notes == ["one_bad_byte.csv: 1 places that are not UTF-8 were replaced by U+FFFD"]


def test_decimal_commas_are_an_option_that_the_message_names(awkward, tmp_path):
    task = frtune.SentenceSimilarity(head="regression", label_column="score")
    with pytest.raises(InputError, match=r"such as: .*'0,0'.*--decimal-comma reads it"):
        prepare(awkward / "deccomma.csv", tmp_path / "a", task)
    audit = prepare(awkward / "deccomma.csv", tmp_path / "b", task, decimal_comma=True)
    assert audit["rows"]["kept"] == 30


def test_a_header_in_nfd_is_found(awkward):
    task = frtune.SequenceClassification(text_column="libell\u00e9")
    task.check(read(awkward / "headnfd.csv", task)[0]["train"], "x")


# --- small ones of each kind ---------------------------------------------------------------------


def test_arrays_one_after_the_other_are_read_and_anything_else_is_refused(tmp_path):
    path = tmp_path / "a.json"
    one, two = ([{"text": f"{name}{i}", "label": "x"} for i in range(9)] for name in "ab")
    path.write_text(json.dumps(one) + "\n\n " + json.dumps(two, indent=1) + "\n")
    assert list(read(path)[0]["train"]["text"]) == [row["text"] for row in one + two]
    for rest in ("garbage", '{"text": "c"}', "]", "\u00a0"):
        path.write_text(json.dumps(one) + f"\n{rest}\n")
        with pytest.raises(InputError, match=r"a.json, line 2: .* follows the end of the array"):
            read(path)


def test_a_name_that_stands_twice_in_an_object_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "text": "b"}\n')
    with pytest.raises(InputError, match="line 1: has 'text' twice in one object"):
        read(tmp_path / "a.jsonl")


def test_class_label_names_are_labels_in_preparing_and_scoring(tmp_path):
    names = ["5", "4", "3", "2", "1"]  # in this order, so that an id is never its name
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    data = {"text": [f"film {i}" for i in range(25)], "label": [i % 5 for i in range(25)]}
    rows = Dataset.from_dict(data, features=features)
    task = CLASSES.fit(rows)
    assert task.labels == names
    assert task.references(rows)[:5] == names
    prepare(DatasetDict(train=rows), tmp_path / "out", CLASSES, cut=Cut("1:0:0"))
    written = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").open()]
    assert [row["label"] for row in written][:5] == names


def test_numbers_and_booleans_are_the_same_label_in_json_and_csv(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(8)))
    for name, values in (("int", [0, 1]), ("float", [0.0, 1.0])):
        rows = [{"text": f"t{i}", "label": values[i % 2]} for i in range(8)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        assert labels_of(tmp_path / f"{name}.jsonl") == labels_of(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("text,label\n" + "".join(f"t{i},{i > 3}\n" for i in range(8)))
    rows = [{"text": f"t{i}", "label": i > 3} for i in range(8)]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = CLASSES.fit(read(tmp_path / "b.csv")[0]["train"])
    booleans = read(tmp_path / "b.jsonl")[0]["train"]
    task.check(booleans, "b.jsonl")
    assert task.references(booleans) == ["False"] * 4 + ["True"] * 4


def test_unused_odd_columns_block_nothing_and_needed_ones_are_named(tmp_path):
    rows = [{"text": f"t{i}", "label": "ab"[i % 2], "odd": [i, "x", {"a": [i]}][i % 3]}
            for i in range(9)]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(tmp_path / "a.jsonl")[0]["train"]
    assert [json.loads(value) for value in found["odd"]] == [row["odd"] for row in rows]
    with pytest.raises(InputError, match="line 2, column odd: holds text, but a number before it"):
        read(tmp_path / "a.jsonl", frtune.SequenceClassification(label_column="odd"))
    table = pa.table(
        {
            "text": ["a", "b"],
            "label": ["x", "y"],
            "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int32())),
            "i": pa.array([None, None], pa.month_day_nano_interval()),
        }
    )
    try:
        pq.write_table(table, tmp_path / "a.parquet")
    except pa.ArrowNotImplementedError:
        pq.write_table(table.drop(["i"]), tmp_path / "a.parquet")
    found, _ = read(tmp_path / "a.parquet")
    assert found["train"]["m"][:] == [[{"key": "k", "value": 1}], None]


def test_bytes_are_refused_by_name(tmp_path):
    table = pa.table({"text": ["a", "b"] * 5, "label": pa.array([b"x", b"y"] * 5)})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"row 1: column label holds b'x', not one label \(bytes"):
        CLASSES.check(read(tmp_path / "a.parquet")[0]["train"], "a")
    table = pa.table({"text": pa.array([b"x", b"y"]), "label": ["a", "b"]})
    pq.write_table(table, tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"row 1: column text holds .*which is no text"):
        CLASSES.check(read(tmp_path / "b.parquet")[0]["train"], "b")


def test_dates_are_labels_and_times_are_refused(tmp_path):
    import datetime

    days = [datetime.date(2024, 5, 1 + i % 2) for i in range(8)]
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(8)], "label": days})
    assert CLASSES.fit(rows).labels == ["2024-05-01", "2024-05-02"]
    times = [datetime.datetime(2024, 5, 1 + i % 2, 7) for i in range(8)]
    rows = Dataset.from_dict({"text": [f"t{i}" for i in range(8)], "label": times})
    with pytest.raises(InputError, match=r"column label holds 2024-05-01 07:00:00, not one label"):
        CLASSES.check(rows, "x")


def test_one_split_compressed_beside_another_is_read(tmp_path):
    text = "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(8))
    (tmp_path / "train.csv").write_text(text)
    (tmp_path / "dev.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert {k: len(v) for k, v in read(tmp_path)[0].items()} == {"train": 8, "validation": 8}


def test_max_test_rows_0_leaves_test_away_and_cuts_none(tmp_path):
    text = "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(20))
    (tmp_path / "train.csv").write_text(text)
    splits, notes = load_splits(tmp_path / "train.csv", max_test_rows=0)
    assert {k: len(v) for k, v in splits.items()} == {"train": 18, "validation": 2}
    (tmp_path / "test.csv").write_text(text)
    splits, notes = load_splits(tmp_path, max_test_rows=0)
    assert list(splits) == ["train", "validation"] and "test: none of 20 rows" in notes
    with pytest.raises(InputError, match="rows of test=-1: at least 0, for none"):
        load_splits(tmp_path, max_test_rows=-1)


def test_class_label_names_are_scores_in_preparing_too(tmp_path):
    features = Features({"sentence1": Value("string"), "sentence2": Value("string"),
                         "label": ClassLabel(names=["5", "4", "3", "2", "1"])})  # fmt: skip
    texts = {"sentence1": [f"a {i}" for i in range(25)], "sentence2": [f"b {i}" for i in range(25)]}
    rows = Dataset.from_dict({**texts, "label": [i % 5 for i in range(25)]}, features=features)
    task = frtune.SentenceSimilarity(head="regression")
    prepare(DatasetDict(train=rows), tmp_path / "out", task, cut=Cut("1:0:0"))
    written = [json.loads(line) for line in (tmp_path / "out" / "train.jsonl").open()]
    assert [row["label"] for row in written] == task.references(rows)
    assert task.references(rows)[:5] == [5.0, 4.0, 3.0, 2.0, 1.0]


def test_decimal_commas_are_read_from_every_source_beside_what_is_no_number(tmp_path):
    task = frtune.SentenceSimilarity(head="regression")
    rows = Dataset.from_list(
        [{"sentence1": f"a {i}", "sentence2": "b", "label": f"{i},25"} for i in range(9)]
        + [{"sentence1": "c", "sentence2": "d", "label": "n/a"}]
    )
    rows.to_json(str(tmp_path / "a.jsonl"))
    rows.to_parquet(str(tmp_path / "a.parquet"))
    rows.to_csv(str(tmp_path / "a.csv"), index=False)
    for source in (rows, *(tmp_path / f"a.{kind}" for kind in ("jsonl", "parquet", "csv"))):
        found = read(source, task, decimal_comma=True)[0]["train"]
        reasons = [task.reason(row) for row in found]
        assert reasons[:-1] == [None] * 9 and "'n/a', which is no number" in reasons[-1]
        assert task.references(found.select(range(9))) == [i + 0.25 for i in range(9)]


def test_few_commas_in_single_phrases_are_no_separator():
    rows = {"text": ["t"] * 60, "keyphrases": ["alpha"] * 59 + ["1,000 won"]}
    PHRASES.check(Dataset.from_dict(rows), "x")
    rows["keyphrases"][:30] = ["a, b"] * 30
    with pytest.raises(InputError, match=r"'; ' is in none of 60 rows; .*--separator"):
        PHRASES.check(Dataset.from_dict(rows), "x")


def test_test_rows_without_labels_do_not_stop_a_run_that_leaves_them(tmp_path):
    text = "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(20))
    (tmp_path / "train.csv").write_text(text)
    (tmp_path / "test.csv").write_text("text\nt\n")
    args = SimpleNamespace(main_process_first=lambda desc: contextlib.nullcontext())
    settings = RunSettings(data=str(tmp_path), max_test_rows=0)
    assert list(read_data(CLASSES, settings, args).splits) == ["train", "validation"]
    (tmp_path / "train.csv").unlink()
    with pytest.raises(InputError, match=r"has no train split; it has test\. Name the training"):
        read_data(CLASSES, RunSettings(data=str(tmp_path)), args)


def test_a_study_reads_labels_as_training_does():
    labels = ClassLabel(names=["9", "8"])
    features = Features({"comments": Value("string"), "label": labels})
    rows = Dataset.from_dict({"comments": ["a", "b"], "label": [1, 0]}, features=features)
    assert read_rows(rows, text_column="comments") == (["a", "b"], ["8", "9"])
    unknown = Dataset.from_dict({"comments": ["a", "b"], "label": [1, -1]}, features=features)
    with pytest.raises(InputError, match="row 2: column label has no label"):
        read_rows(unknown, text_column="comments")


def test_phrases_of_scored_rows_may_have_another_separator_and_columns():
    raw = Dataset.from_dict({"body": ["eau, sel"] * 4, "tags": ["eau, sel"] * 4})
    for task in (PHRASES, frtune.KeywordExtraction()):
        column = task.label_columns[0]
        asked = task.with_columns({"text_column": "body", f"{column}_column": "tags"})
        rows, _ = scored_rows(raw, asked, separator=", ")
        assert rows["tags"][0] == ["eau", "sel"]
        with pytest.raises(InputError, match="--separator ', '"):
            scored_rows(raw, asked)
    with pytest.raises(InputError, match="classification has no lists with a separator"):
        scored_rows(raw, CLASSES.with_columns({"text_column": "body"}), separator=", ")
    with pytest.raises(InputError, match="--keyphrase-field: not of classification"):
        CLASSES.with_columns({"keyphrase_field": "phrase"})
