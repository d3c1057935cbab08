"""The dispatcher: help, version, debug, errors."""

from __future__ import annotations

import signal

import pytest

from frtune import __version__
from frtune.cli import COMMANDS, _take_debug, main
from frtune.errors import RunStopped


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


def test_no_command_is_bad_input_and_shows_the_help(capsys):
    assert main([]) == 2
    assert "usage: frtune" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"frtune {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command, capsys):
    argv = [command, "keyphrases", "--help"] if command == "train" else [command, "--help"]
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 0 and "usage: frtune" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "kept", "debug"),
    [
        (["--debug", "train"], ["train"], True),
        (["predict", "--debug", "--text", "a"], ["predict", "--text", "a"], True),
        (["predict", "d", "--debug"], ["predict", "d"], True),
        (
            ["train", "--debug", "underflow_overflow"],
            ["train", "--debug", "underflow_overflow"],
            False,
        ),
        (["train"], ["train"], False),
    ],
)
def test_debug_is_ours_unless_it_has_a_value(argv, kept, debug):
    assert _take_debug(argv) == (kept, debug)


def test_debug_shows_the_traceback_and_keeps_the_exit_code(capsys):
    assert main(["trian"]) == main(["--debug", "trian"]) == 2
    error = capsys.readouterr().err
    assert error.count("Traceback") == 1 and error.count("frtune: trian: no such command") == 2


def test_a_stopped_run_ends_with_its_code_and_a_line(monkeypatch, capsys):
    def stopped(argv):
        raise RunStopped(signal.SIGTERM, "stopped after step 3; checkpoint-3 is saved")

    monkeypatch.setattr("frtune.cli.plan.main", stopped)
    assert main(["plan"]) == 143
    assert capsys.readouterr().err == "frtune: stopped after step 3; checkpoint-3 is saved\n"
