"""Files and splits of every name: read as the split that they are, or named."""

import os
import socket

import pytest
from datasets import Dataset, DatasetDict

from frtune.data.folders import split_files
from frtune.data.loading import load_splits
from frtune.errors import InputError

TABLE = "text,label\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(6))


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(TABLE)
    return folder


def sizes(source):
    splits, notes = load_splits(source, cut=False)
    return {name: len(rows) for name, rows in splits.items()}, notes


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["training.csv", "testing.csv"], {"train": 6, "test": 6}),
        (["train.csv", "eval.csv", "holdout.csv"], {"train": 6, "validation": 6, "test": 6}),
        (["TRAIN.csv", "Evaluation.csv"], {"train": 6, "validation": 6}),
        (["sts-train.csv", "sts-dev.csv"], {"train": 6, "validation": 6}),
        (["ratings_train.csv", "ratings_test.csv"], {"train": 6, "test": 6}),
        (["train/a.csv", "train/b.csv", "test/part.csv"], {"train": 12, "test": 6}),
        (["train.csv", "test/part.csv"], {"train": 6, "test": 6}),
        (["train-00000-of-00002-0a1b2c3d4e5f.csv", "train-00001-of-00002-0a1b2c3d4e5f.csv"],
         {"train": 12}),
        (["train_0.csv", "train_1.csv", "train_2.csv"], {"train": 18}),
        (["data/train.csv", "data/valid.csv"], {"train": 6, "validation": 6}),
    ],
)  # fmt: skip
def test_names_that_the_field_uses_are_understood(tmp_path, names, expected):
    assert sizes(fill(tmp_path, *names))[0] == expected


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train", "eval"], {"train": 1, "validation": 2}),
        (["training", "test"], {"train": 1, "test": 2}),
        (["only"], {"train": 1}),
        (["train", "unsupervised"], {"train": 1}),
    ],
)
def test_splits_of_a_data_set_are_read_or_named(tmp_path, splits, expected):
    data = DatasetDict(
        {name: Dataset.from_dict({"a": ["x"] * (i + 1)}) for i, name in enumerate(splits)}
    )
    data.save_to_disk(str(tmp_path / "saved"))
    for source in (data, tmp_path / "saved"):
        found, notes = sizes(source)
        assert found == expected
        assert len(notes) == len(splits) - len(expected)
        assert all("split unsupervised was not read" in note for note in notes)


@pytest.mark.parametrize("name", ["test.txt", "valid.doc", "test.tar.gz", "dev.csv.rar"])
def test_a_likely_split_that_cannot_be_read_is_refused(tmp_path, name):
    fill(tmp_path, "train.csv", name)
    for cut in (True, False):
        with pytest.raises(InputError, match=f"{name}: looks like the .* and is not read"):
            load_splits(tmp_path, cut=cut)


def test_a_broken_link_a_pipe_and_a_socket_are_refused(tmp_path):
    fill(tmp_path / "a", "train.csv")
    (tmp_path / "a" / "test.csv").symlink_to("nowhere.csv")
    with pytest.raises(InputError, match=r"test.csv: is a link to nothing"):
        sizes(tmp_path / "a")
    fill(tmp_path / "b", "train.csv")
    os.mkfifo(tmp_path / "b" / "test.csv")
    with pytest.raises(InputError, match=r"test.csv: is no file but a pipe"):
        sizes(tmp_path / "b")
    with socket.socket(socket.AF_UNIX) as sock:
        path = tmp_path / "s.csv"
        sock.bind(str(path))
        with pytest.raises(InputError, match=r"s.csv: is no file but a pipe, a socket"):
            sizes(path)


def test_a_missing_part_is_refused(tmp_path):
    fill(tmp_path, "train-00000-of-00003.csv", "train-00002-of-00003.csv", "test.csv")
    with pytest.raises(InputError, match="train has 2 of 3 parts; number 1 is missing"):
        sizes(tmp_path)
    _, notes = sizes(tmp_path / "train-00000-of-00003.csv")
    assert notes[0] == "train-00000-of-00003.csv is one of 3 parts, and was read alone"


def test_a_gap_in_plain_numbers_is_said(tmp_path):
    assert "train: there is no part 1" in sizes(fill(tmp_path, "train_0.csv", "train_2.csv"))[1]


def test_files_that_are_left_out_are_named(tmp_path):
    fill(tmp_path, "train.csv", "raw_train.csv", "labels.xyz", "more/x.csv", ".hidden.csv")
    (tmp_path / "README.md").write_text("x")
    assert sizes(tmp_path)[1] == [
        "labels.xyz was not read: .xyz is no format that is read here",
        "more was not read: a folder",
        "raw_train.csv was not read: train is read from elsewhere",
    ]


def test_two_files_for_one_split_are_refused_in_any_format(tmp_path):
    fill(tmp_path, "train.csv", "dev.csv", "valid.csv.gz")
    with pytest.raises(InputError, match=r"dev.csv and valid.csv.gz are all validation"):
        sizes(tmp_path)


def test_a_split_beside_a_single_file_is_named(tmp_path):
    fill(tmp_path, "train.csv", "test.csv")
    assert sizes(tmp_path / "train.csv") == (
        {"train": 6},
        ["test.csv beside train.csv not read: name the folder"],
    )


def test_a_txt_table_with_tabs_is_read(tmp_path):
    for split in ("train", "test"):
        text = TABLE.replace(",", "\t")
        (tmp_path / f"ratings_{split}.txt").write_text(text)
    assert sizes(tmp_path)[0] == {"train": 6, "test": 6}
    assert sizes(tmp_path / "ratings_test.txt")[0] == {"train": 6}


def test_folders_of_texts_and_keys_are_read(tmp_path):
    import frtune

    def write(texts, keys):
        for folder in (texts, keys):
            folder.mkdir(parents=True, exist_ok=True)
        for i in range(12):
            (texts / f"{i:02}.txt").write_text(f"Title {i}\n\nAbout solar cells.\n")
            (keys / f"{i:02}.key").write_text("solar cells\r\ncitation\n\n")

    write(tmp_path / "one", tmp_path / "one")
    write(tmp_path / "two" / "docsutf8", tmp_path / "two" / "keys")
    write(tmp_path / "three" / "train", tmp_path / "three" / "train")
    write(tmp_path / "three" / "test", tmp_path / "three" / "test")
    for name, expected in (("one", ["train"]), ("two", ["train"]), ("three", ["train", "test"])):
        for task, column in (
            (frtune.KeyphraseGeneration(), "keyphrases"),
            (frtune.KeywordExtraction(), "keywords"),
        ):
            splits, _ = load_splits(tmp_path / name, task=task, cut=False)
            assert list(splits) == expected
            assert splits["train"][3] == {
                "id": "03",
                "text": "Title 3\n\nAbout solar cells.",
                column: ["solar cells", "citation"],
            }
    (tmp_path / "one" / "extra.txt").write_text("No keys.")
    rows = load_splits(tmp_path / "one", cut=False)[0]["train"]
    assert rows[12] == {"id": "extra", "text": "No keys.", "keyphrases": None}
    with pytest.raises(InputError, match="row 13: column keyphrases holds no keyphrase"):
        frtune.KeyphraseGeneration().check(rows, "one")


def test_splits_are_found_beside_and_inside(tmp_path):
    fill(tmp_path / "a", "part-0000.csv", "part-0001.csv")
    assert len(split_files(tmp_path / "a")[0]["train"]) == 2
    for number, (name, message) in enumerate(
        (("train/test.csv", "looks like another split than train"), ("data/test.csv", "the test"))
    ):
        folder = tmp_path / str(number)
        fill(folder, "train/train.csv" if number == 0 else "train.csv", name)
        with pytest.raises(InputError, match=message):
            split_files(folder)
    fill(tmp_path / "b", "reviews_train.csv", "reviews_test.csv", "films_test.csv")
    assert split_files(tmp_path / "b" / "reviews_train.csv")[1] == [
        "reviews_test.csv beside reviews_train.csv not read: name the folder"
    ]
