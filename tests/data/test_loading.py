import json

import pytest
from datasets import Dataset, DatasetDict

from frtune.data.loading import columns_check, load_splits
from frtune.errors import InputError

ROWS = [
    {"id": i, "text": f'l’été, {i} "mots"\n예산', "keyphrases": f"a{i}; b", "score": i / 4}
    for i in range(20)
]


def write(path, rows=ROWS):
    import csv

    if path.suffix == ".csv":
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".tsv":
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    elif path.suffix == ".parquet":
        Dataset.from_list(rows).to_parquet(str(path))
    else:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "ndjson", "parquet"])
def test_every_format_gives_the_same_rows_and_types(tmp_path, suffix):
    splits, _ = load_splits(write(tmp_path / f"train.{suffix}"), cut=False)
    assert splits["train"].to_list() == ROWS
    assert splits["train"].cache_files  # memory-mapped


def test_indented_and_line_wise_json_are_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=2))
    (tmp_path / "b.json").write_text("\n".join(map(json.dumps, ROWS)))
    for name in ("a.json", "b.json"):
        assert load_splits(tmp_path / name, cut=False)[0]["train"].to_list() == ROWS


def test_an_array_longer_than_one_chunk_is_read(tmp_path):
    rows = [{"text": "가나다 " * 9000, "n": i} for i in range(60)]
    assert load_splits(write(tmp_path / "a.json", rows), cut=False)[0]["train"].to_list() == rows


def test_missing_splits_are_cut_from_train_and_said(tmp_path):
    splits, notes = load_splits(write(tmp_path / "articles.csv"))
    assert {name: len(rows) for name, rows in splits.items()} == {
        "train": 16,
        "validation": 2,
        "test": 2,
    }
    assert notes == ["validation and test were cut from train: 8:1:1, seed 42 (16, 2 and 2 rows)"]
    ids = [row["id"] for rows in splits.values() for row in rows]
    assert sorted(ids) == list(range(20))
    again, _ = load_splits(tmp_path / "articles.csv")
    assert [rows["id"][:] for rows in again.values()] == [rows["id"][:] for rows in splits.values()]
    other, _ = load_splits(tmp_path / "articles.csv", seed=7)
    assert other["test"]["id"][:] != splits["test"]["id"][:]


def test_only_the_missing_split_is_cut(tmp_path):
    write(tmp_path / "train.jsonl")
    write(tmp_path / "dev.jsonl", ROWS[:3])
    splits, notes = load_splits(tmp_path)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [18, 3, 2]
    assert notes == ["test was cut from train: 9:1, seed 42 (18 and 2 rows)"]


def test_a_file_named_test_is_not_cut(tmp_path):
    splits, notes = load_splits(write(tmp_path / "test.csv"))
    assert list(splits) == ["test"] and len(splits["test"]) == 20 and not notes


def test_files_of_other_names_are_left_unread_and_said(tmp_path):
    write(tmp_path / "train.jsonl")
    write(tmp_path / "raw.jsonl")
    (tmp_path / "README.md").write_text("x")
    _, notes = load_splits(tmp_path, cut=False)
    assert notes == ["raw.jsonl was not read: its name is not a split's"]


def test_shards_are_joined_in_order(tmp_path):
    write(tmp_path / "train-00001-of-00002.parquet", ROWS[10:])
    write(tmp_path / "train-00000-of-00002.parquet", ROWS[:10])
    assert load_splits(tmp_path, cut=False)[0]["train"].to_list() == ROWS


def test_saved_and_given_data_sets_are_read(tmp_path):
    rows = Dataset.from_list(ROWS)
    rows.save_to_disk(str(tmp_path / "one"))
    DatasetDict(train=rows, val=rows).save_to_disk(str(tmp_path / "many"))
    assert list(load_splits(tmp_path / "one", cut=False)[0]) == ["train"]
    assert list(load_splits(tmp_path / "many", cut=False)[0]) == ["train", "validation"]
    assert len(load_splits(rows)[0]["test"]) == 2
    assert len(load_splits(DatasetDict(only=rows))[0]["train"]) == 16


@pytest.mark.parametrize("task", ["keyphrases", "keywords", "classification", "similarity"])
def test_samples_are_bundled(task):
    splits, _ = load_splits("sample", task_name=task)
    assert list(splits) == ["train", "validation", "test"]


def test_limits_take_rows_after_a_seeded_shuffle(tmp_path):
    path = write(tmp_path / "a.csv")
    splits, notes = load_splits(path, max_train_rows=5, max_eval_rows=1, max_test_rows=50)
    assert [len(rows) for rows in splits.values()] == [5, 1, 2]
    assert "train: 5 of 16 rows, drawn with seed 42" in notes
    assert splits["train"]["id"][:] != sorted(splits["train"]["id"][:])
    assert load_splits(path, max_train_rows=5)[0]["train"]["id"][:] == splits["train"]["id"][:]
    with pytest.raises(InputError, match="rows of train=0"):
        load_splits(path, max_train_rows=0)


def test_a_changed_file_of_the_same_size_is_read_anew(tmp_path):
    import os

    path = write(tmp_path / "a.jsonl")
    load_splits(path)
    stat = path.stat()
    path.write_text(path.read_text().replace("mots", "MOTS"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert "MOTS" in load_splits(path)[0]["train"][0]["text"]


def test_types_widen_over_batches_and_files(tmp_path):
    rows = [{"x": i, "y": None, "z": "7"} for i in range(1500)]
    rows += [{"x": 0.5, "y": "t", "z": "x"}]
    # 0 as a decimal would be written 0.0, so that a table's whole numbers and decimals are text
    for suffix, kind in (("jsonl", "float64"), ("csv", "string")):
        train = load_splits(write(tmp_path / f"a.{suffix}", rows), cut=False)[0]["train"]
        kinds = [feature.dtype for feature in train.features.values()]
        assert kinds == [kind, "string", "string"] and len(train) == 1501
        assert train[0]["z"] == "7" and train[1500]["y"] == "t"
    folder = tmp_path / "two"
    folder.mkdir()
    write(folder / "train.csv", [{"label": "1"}, {"label": "2"}])
    write(folder / "test.csv", [{"label": "x"}])
    splits, _ = load_splits(folder, cut=False)
    assert splits["train"].features == splits["test"].features


def test_numbers_with_leading_zeros_and_na_stay_text(tmp_path):
    (tmp_path / "a.csv").write_text("code,answer,n\n007,NA,1\n1,null,\n")
    train = load_splits(tmp_path / "a.csv", cut=False)[0]["train"]
    assert train.to_list() == [
        {"code": "007", "answer": "NA", "n": 1},
        {"code": "1", "answer": "null", "n": None},
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp949", "cp1252"])
def test_encodings_are_read(tmp_path, encoding):
    text = "예산" if encoding == "cp949" else "été" if encoding == "cp1252" else "été 예산"
    path = tmp_path / "a.csv"
    path.write_bytes(f"text,keywords\r\n{text},x\r\n".encode(encoding))
    given = None if encoding in ("utf-8-sig", "utf-16") else encoding
    train = load_splits(path, cut=False, encoding=given)[0]["train"]
    assert train.to_list() == [{"text": text, "keywords": "x"}]


def test_a_semicolon_separates_when_the_header_says_so(tmp_path):
    (tmp_path / "a.csv").write_text('text;keys\n"a, b; c";d\n')
    train = load_splits(tmp_path / "a.csv", cut=False)[0]["train"]
    assert train.to_list() == [{"text": "a, b; c", "keys": "d"}]


def test_tsv_is_unquoted_when_quotation_marks_are_stray(tmp_path):
    (tmp_path / "a.tsv").write_text('a\tb\n"T" est\t"x"\ny\t5" z\n')
    train = load_splits(tmp_path / "a.tsv", cut=False)[0]["train"]
    assert train.to_list() == [{"a": '"T" est', "b": '"x"'}, {"a": "y", "b": '5" z'}]
    (tmp_path / "b.tsv").write_text('a\tb\n"x\ny"\tz\n')
    assert load_splits(tmp_path / "b.tsv", cut=False)[0]["train"].to_list() == [
        {"a": "x\ny", "b": "z"}
    ]


def test_real_tsv_with_stray_quotation_marks_loses_no_row(shared):
    splits, _ = load_splits(shared / "fr_pawsx" / "raw_dev_2k.tsv", cut=False)
    rows = splits["train"]
    assert len(rows) == 2000 and set(rows["label"]) == {0, 1}
    raw = (shared / "fr_pawsx" / "raw_dev_2k.tsv").read_text(encoding="utf-8")
    texts = [*rows["sentence1"], *rows["sentence2"]]
    assert sum(text.count('"') for text in texts) == raw.count('"') > 0


@pytest.mark.parametrize(
    ("folder", "sizes"),
    [
        ("fr_papyrus_f", {"train": 1088, "validation": 200}),
        ("en_inspec", {"train": 1000, "validation": 500}),
        ("fr_keys_youtube_wikinews", {"train": 7229, "validation": 905, "test": 905}),
        ("ko_nsmc", {"train": 8000, "validation": 1000}),
    ],
)
def test_real_folders_have_the_rows_that_they_say(shared, folder, sizes):
    splits, _ = load_splits(shared / folder, cut=False)
    assert {name: len(rows) for name, rows in splits.items()} == sizes


def test_a_missing_column_names_those_found():
    rows = Dataset.from_dict({"texte": ["a"], "id": [1]})
    with pytest.raises(InputError, match=r"x.csv: has no column text; it has texte, id. Did you"):
        columns_check(rows, ["text"], "x.csv")
