"""Files that are no files, or are made to break a reader: exit code 2, and one line."""

import gzip
import os

import pytest
from datasets import Dataset

from frtune.cli import main


def one_line(argv, message, capsys):
    assert main(argv) == 2
    shown = capsys.readouterr()
    lines = shown.err.rstrip("\n").splitlines()
    assert lines[-1].startswith("frtune: ") and message in lines[-1], lines[-1]
    assert "Traceback" not in shown.err and len(lines[-1]) < 600


def command(path, tmp_path):
    return ["prepare", str(path), "--task", "classification", "--output", str(tmp_path / "out")]


HOSTILE = {
    "deep.jsonl": ('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "nests lists or objects"),
    "deeper.json": ("[" + '{"text": ' * 50_000, "nests lists or objects too deeply"),
    "nested.jsonl": ('{"text": "a", "label": ' + "[" * 300 + "]" * 300 + "}", "label: nests lists"),
    "digits.jsonl": ('{"text": "a", "label": ' + "1" * 5000 + "}", "thousands of digits"),
    "digits.json": ('[{"text": "a", "label": ' + "1" * 5000 + "}]", "thousands of digits"),
    "float.jsonl": ('{"text": "a", "label": ' + "1" * 4000 + ".5}", "column label"),
    "bad.xlsx": ("PK", ""),
    "bad.csv.gz": ("not compressed", "is damaged, or ends too early"),
    "bad.csv.zip": ("not an archive", "cannot be opened"),
    "bad.parquet": ("PAR1" * 9, "is not Parquet"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_line(name, tmp_path, capsys):
    content, message = HOSTILE[name]
    (tmp_path / name).write_text(content)
    one_line(command(tmp_path / name, tmp_path), message, capsys)


def test_pipes_devices_links_and_long_paths_are_one_line(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for path, message in (
        (tmp_path / "pipe.csv", "is no file but a pipe"),
        (tmp_path / "zero.csv", "is no file but a pipe, a socket or a device"),
        ("/dev/zero", "is no file but a pipe, a socket or a device"),
        (tmp_path / "loop.csv", "is a link to nothing"),
        ("x" * 5000, "cannot be opened (File name too long)"),
        ("y/" * 5000, "cannot be opened (File name too long)"),
        ("a\0b.csv", "no such file or folder"),
    ):
        one_line(command(path, tmp_path), message, capsys)


def test_a_file_that_unpacks_to_very_much_is_one_line(tmp_path, capsys):
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(b"text,label\n" + b"0" * (1 << 27), 1))
    one_line(command(tmp_path / "rows.csv.gz", tmp_path), "unpacks to more than", capsys)


def test_numbers_of_5000_digits_in_a_table_are_text(tmp_path, capsys):
    rows = "".join(f"texte {i},{str(i % 2 + 1) * 5000}\n" for i in range(8))
    (tmp_path / "rows.csv").write_text("text,label\n" + rows)
    assert main([*command(tmp_path / "rows.csv", tmp_path), "--split", "1:0:0"]) == 0
    assert "1" * 5000 in (tmp_path / "out" / "train.jsonl").read_text()


def test_a_pipe_in_a_folder_that_is_read_whole_is_one_line(tmp_path, capsys):
    keys, saved = tmp_path / "keys", tmp_path / "saved"
    keys.mkdir()
    (keys / "a.txt").write_text("text")
    os.mkfifo(keys / "a.key")
    Dataset.from_dict({"text": ["a"], "label": ["b"]}).save_to_disk(saved)
    arrow = next(saved.glob("*.arrow"))
    arrow.unlink()
    os.mkfifo(arrow)
    for path, pipe in ((keys, "a.key"), (saved, arrow.name)):
        one_line(command(path, tmp_path), f"{pipe}: is no file but a pipe", capsys)
    (keys / "a.key").unlink()
    (keys / "a.key").mkdir()
    one_line(command(keys, tmp_path), "a.key: cannot be read (Is a directory)", capsys)


def test_a_format_that_is_compressed_twice_is_one_line(tmp_path, capsys):
    for name in ("a.parquet.gz", "a.xlsx.zip"):
        (tmp_path / name).write_bytes(gzip.compress(b"PK"))
        one_line(command(tmp_path / name, tmp_path), "Unpack it first", capsys)


def test_a_very_long_word_of_a_message_is_cut(capsys):
    one_line(["x" * 5000], "xxx... no such command", capsys)
