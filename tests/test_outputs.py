"""Places to write to are tried before the work, in every command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import frtune.cli as cli
from frtune import InputError
from frtune.files import DRAFT
from frtune.outputs import check_output_directory, check_output_file, contents


@pytest.fixture
def places(tmp_path):
    """Places that cannot be written, by what is wrong with them."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    (tmp_path / "shut").mkdir()
    found = {
        "empty": "", "blank": " ", "long": "x" * 300, "deep": "/".join(["d" * 200] * 25),
        "no disk": "/proc/x", "under one": "/proc/x/y.jsonl", "device": "/dev/null/x",
        "under a file": tmp_path / "file" / "x", "link": tmp_path / "link",
        "under a link": tmp_path / "link" / "x",
    }  # fmt: skip
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path / "shut")]
    mounted = subprocess.run(mount, capture_output=True).returncode == 0
    if mounted:
        found["read-only"] = tmp_path / "shut" / "a" / "b"
    yield {name: str(place) for name, place in found.items()}
    if mounted:
        subprocess.run(["umount", str(tmp_path / "shut")], check=True)


def test_a_place_that_cannot_be_written_is_refused_and_nothing_made(places, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for check in (check_output_directory, check_output_file):
        for what, place in places.items():
            with pytest.raises(InputError, match=r"^output(_dir)?=") as error:
                check(place)
            assert "\n" not in str(error.value) and len(str(error.value)) < 400, what
    with pytest.raises(InputError, match="is a file"):
        check_output_directory(tmp_path / "file")
    for folder in (tmp_path, f"{tmp_path / 'new'}/", "."):
        with pytest.raises(InputError, match="is a directory"):
            check_output_file(folder)
    with pytest.raises(InputError, match="is read itself"):
        check_output_directory(tmp_path, inputs=[tmp_path / "shut" / ".."])
    check_output_directory(tmp_path / "a" / "b")
    check_output_file(tmp_path / "c" / "d.jsonl", "--output")
    assert sorted(tmp_path.rglob("*")) == before


def test_drafts_of_killed_processes_are_no_contents(tmp_path):
    (tmp_path / f"{DRAFT}00000000-1-1-abc").mkdir()  # of another host: it may live
    assert contents(tmp_path) == []
    assert contents(tmp_path / "none") == []


def test_every_command_tries_its_output_before_it_reads_a_model(places, tmp_path, capsys):
    model = tmp_path / "model"  # would be refused when it is read
    model.mkdir()
    (model / "frtune_task.json").write_text('{"task": "classification"}')
    data = tmp_path / "rows.csv"
    data.write_text("text,label\n" + "un budget,a\n" * 30)
    commands = [
        ["train", "classification", "--data", data, "--checkpoint", "tiny", "--output-dir"],
        ["preflight", "train", "classification", "--data", data, "--checkpoint", "tiny",
         "--output-dir"],
        ["evaluate", model, "--data", data, "--output-dir"],
        ["evaluate", "--predictions", data, "--task", "classification", "--data", data,
         "--output-dir"],
        ["evaluate", "--predictions", data, data, "--task", "classification", "--data", data,
         "--output-dir"],
        ["predict", model, "--text", "un", "--output"],
        ["compare", model, "--data", data, "--output"],
        ["study", model, model, "--names", "a", "b", "--data", data, "--output-dir"],
        ["quantize", model, "--output"],
        ["label", data, "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--output"],
        ["prepare", data, "--task", "classification", "--output"],
        ["rate", model, "--output"],
    ]  # fmt: skip
    before = sorted(tmp_path.rglob("*"))
    places = [*(places[name] for name in ("empty", "no disk", "link")), str(data)]
    for command in commands:
        for place in places if command[0] != "rate" else places[:-1]:
            assert cli.main([*map(str, command), place]) == 2, (command, place)
            (line,) = capsys.readouterr().err.splitlines()
            assert "output" in line, line
    assert sorted(tmp_path.rglob("*")) == before


def test_of_a_launch_the_first_process_alone_makes_a_folder_to_try(tmp_path, monkeypatch):
    """Two at once would each remove what the other one is about to write in."""
    made = []
    monkeypatch.setattr(Path, "mkdir", lambda place, *_: made.append(place.name) or os.mkdir(place))
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, expected in (("1", []), ("0", ["new", "deep"])):
        monkeypatch.setenv("RANK", rank)
        check_output_file(tmp_path / "new" / "deep" / "answers.jsonl")
        assert made == expected and not [*tmp_path.iterdir()]
