"""Paths below the folder of a board, and nothing outside."""

from __future__ import annotations

import pytest
import yaml

from frtune.board.folder import BoardFolder, checked_name
from frtune.errors import InputError


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    return BoardFolder(root)


@pytest.mark.parametrize("name", ["../x.csv", "/etc/passwd", "a/../../x", "a\0b", "link", "link/x"])
def test_a_path_outside_is_refused_through_links_too(folder, name):
    (folder.root / "link").symlink_to(folder.root.parent)
    with pytest.raises(InputError, match="outside the folder"):
        folder.inside(name)


def test_files_of_the_folder_are_offered_and_neither_its_own_nor_links_out_of_it(folder):
    secret = folder.root.parent / "secret.csv"
    secret.write_text("a\n1\n")
    (folder.root / "link.csv").symlink_to(secret)
    for name in ("b.csv", "sub/a.jsonl", "board/x.json", "runs/r/p.jsonl", "prepared/p/train.jsonl",
                 ".hidden/a.csv", "notes.md", "-o.csv"):  # fmt: skip
        path = folder.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\n1\n")
    (folder.root / "elsewhere").mkdir()
    for name in ("manifest.json", "rows.jsonl"):  # a run that a terminal left somewhere
        (folder.root / "elsewhere" / name).write_text("{}")
    assert folder.data_files() == ["./-o.csv", "b.csv", "sub/a.jsonl"]


def test_an_uploaded_file_replaces_none_and_keeps_to_the_folder(folder, tmp_path):
    source = tmp_path / "upload"
    source.write_text("a;b\n")
    names = [folder.take(source, name) for name in ("../../é.csv", "é.csv", "--data.csv")]
    assert names == ["é.csv", "é-2.csv", "data.csv"]
    with pytest.raises(InputError, match=r"one of \.csv"):
        folder.take(source, "x.py")


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a" * 81, "a\n"[:0], "a b"])
def test_a_name_is_one_of_a_file(name):
    with pytest.raises(InputError, match="letters, digits"):
        checked_name(name)


def test_a_configuration_is_written_as_it_is_read(folder):
    config = {"data": "prepared/a", "lora": True, "labels": ["loyer", "énergie"]}
    name = folder.write_config("a", config)
    assert name == "board/a.yaml"
    assert yaml.safe_load((folder.root / name).read_text("utf-8")) == config
    (folder.board / "a.json").write_text("{}")
    assert folder.free_name("runs", "a") == "a-2"
