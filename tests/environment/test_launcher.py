"""One process of a launch does what the others cannot share, and says why the launch failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from launched_worker import commands

from frtune import cli
from frtune.environment.launcher import is_lost_peer, place_in_launch

SAVED = Path(__file__).parents[1] / "fixtures" / "v0_1_0" / "models"


@pytest.fixture
def rank(monkeypatch, tmp_path):
    """``rank(1)``: this process is number 1 of two."""
    monkeypatch.setattr(cli, "_ENDED_SECONDS", 0)
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))

    def make(number):
        for name, value in (("RANK", number), ("WORLD_SIZE", 2), ("LOCAL_RANK", number)):
            monkeypatch.setenv(name, str(value))
        return tmp_path / "error.json"

    return make


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name not in cli.SHARED])
def test_only_the_first_process_does_a_command(command, rank, capsys):
    rank(1)
    assert cli.main([command, "--no-such-option"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_first_process_says_so_works_alone_and_tells_the_launcher(rank, capsys):
    place = rank(0)
    assert cli.main(["plan", "--no-such-option"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("frtune plan: one process does this; the other 1 ended")
    assert place_in_launch() == (0, 1) and "LOCAL_RANK" not in os.environ
    assert json.loads(place.read_text())["message"]["message"] == said[1]


def test_help_is_printed_once(rank, capsys):
    rank(1)
    assert cli.main(["train", "classification", "--help"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_process_that_lost_another_does_not_show_the_raw_error(rank, capsys):
    place = rank(1)
    error = RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer")

    def program():
        raise error

    assert is_lost_peer(error) and not is_lost_peer(RuntimeError("out of memory"))
    assert cli.exit_code(program, name="frtune") == 1
    assert capsys.readouterr().err.startswith("frtune: process 1: another process of the run ended")
    assert not place.exists(), "the summary of the launcher is of the other process"


@pytest.mark.distributed
def test_two_processes_answer_as_one_and_the_last_word_is_that_of_the_one_that_failed(tmp_path):
    rows = "".join(f"A library, number {i}, opens.\n" for i in range(11))
    (tmp_path / "rows.txt").write_text(rows)
    one, two = tmp_path / "one", tmp_path / "two"
    alone = ""
    for words in commands(SAVED, one):  # in fresh processes: what a test before did may round
        words = [sys.executable, "-m", "frtune", *words]
        alone += subprocess.run(words, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(
        [
            Path(sys.executable).with_name("torchrun"), "--nproc-per-node", "2", "--standalone",
            Path(__file__).with_name("launched_worker.py"), SAVED, two,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == alone and alone.count('"text": "A library, number') == 11
    names = {path.name for path in one.iterdir()}
    assert {"keyphrases.jsonl", "votes.jsonl", "metrics.json", "predictions.jsonl"} <= names
    for name in names:
        assert (two / name).read_text() == (one / name).read_text()
    assert "one process does this" not in done.stderr
    assert "peer" not in done.stderr and done.stderr.count("another process") == 0
    last = [line for line in done.stderr.splitlines() if line.strip(" =")][-1]
    assert last.endswith("frtune: row 7: what the user must read.")
