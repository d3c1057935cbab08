"""``--config``: what YAML could do besides ``key: value`` is refused in one line, and at once."""

from __future__ import annotations

import os
import time

import pytest

from frtune.cli import main

BOMB = "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*{'a' if i == 0 else f'b{i - 1}'}]\n"
                                  for i in range(30))  # fmt: skip
FILES = {
    "an alias bomb": (BOMB, "an anchor or alias"),
    "a merge": ("a: &a {seed: 1}\n<<: *a\n", "an anchor or alias"),
    "deep nesting": ("labels: " + "[" * 50_000, "one value or one list"),
    "a date": ("output_dir: 2024-01-01\n", "output_dir: one value, not a date"),
    "bytes": ("output_dir: !!binary aGVsbG8=\n", "not a bytes"),
    "an object": ("output_dir: !!python/object:os.system x\n", "cannot be read"),
    "no value": ("seed:\n", "seed: has no value"),
    "null": ("learning_rate: null\n", "learning_rate: has no value"),
    "a list": ("seed: [1, 2]\n", "seed: one value, not a list"),
    "a mapping": ("seed: {a: 1}\n", "seed: one value, not a dict"),
    "a date in a list": ("labels: [a, 2024-01-01]\n", "labels: one value, not a date"),
    "a key twice": ("seed: 1\nseed: 2\n", "seed: stands there twice"),
    "two spellings": ("max-steps: 1\nmax_steps: 2\n", "stands there twice"),
    "two documents": ("seed: 1\n---\nseed: 2\n", "one value or one list"),
    "not a number": ("seed: one\n", "invalid int value"),
    "not finite": ("learning_rate: .nan\n", "learning_rate=nan: at least 0"),
    "digits without end": ("seed: " + "9" * 5000 + "\n", "--config"),
    "a list alone": ("[1, 2]\n", "holds no 'key: value' lines"),
    "nothing": ("", "holds no 'key: value' lines"),
    "an empty text": ("data: ''\n", "data: is empty"),
    "yes for a name": ("text_column: yes\n", "Quote it"),
    "no YAML": ("a: b: c\n", "cannot be read"),
    "NUL": ("seed: \0\n", "cannot be read"),
    "too long": ("#" * 1_000_001, "bytes, and options take 1,000,000 at most"),
    "not UTF-8": (b"data: \xff\n", "is not UTF-8"),
}


def refused(path, capsys, message: str) -> None:
    begun = time.perf_counter()
    assert main(["train", "classification", "--config", str(path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("frtune: ") and message in lines[0], lines
    assert time.perf_counter() - begun < 20  # an alias bomb takes for ever


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_list_of_options_is_refused_at_once(name, tmp_path, capsys):
    content, message = FILES[name]
    path = tmp_path / "config.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(path, capsys, message)


def test_what_is_no_file_is_refused_at_once(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", capsys, "is no regular file")
    refused("/dev/zero", capsys, "is no regular file")
    refused(tmp_path, capsys, "is no regular file")
    refused(tmp_path / "none.yaml", capsys, "cannot be read")
    refused("x" * 5000, capsys, "cannot be read")


@pytest.mark.parametrize("flag", ["--data", "--checkpoint", "--output-dir", "--family", "--config"])
def test_an_empty_text_is_refused(flag, capsys):
    for words in ([flag, ""], [f"{flag}="]):
        assert main(["train", "classification", *words]) == 2
        assert f"{flag}: is empty" in capsys.readouterr().err
