"""Runs of the board and of a terminal are seen, stopped and resumed alike."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from frtune.board.folder import BoardFolder
from frtune.board.jobs import Jobs
from frtune.board.progress import RunView, all_runs, curves, resume, stop, view
from frtune.board.train_tab import clock
from frtune.errors import InputError
from frtune.run.status import read_status
from small_data import flags_of, rows_of, write


def wait_for(what, seconds=180.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError("not in time")


def test_a_run_of_a_terminal_is_stopped_and_resumed_and_a_failed_one_says_why(tmp_path, tiny):
    folder = BoardFolder(tmp_path)
    jobs = Jobs(folder)
    write(tmp_path / "rows.csv", rows_of("classification"))
    flags = flags_of("classification", "rows.csv", tiny("bert"))
    flags = [*flags, "--logging-steps", "1", "--output-dir", "runs/long"]
    flags[flags.index("--num-train-epochs") + 1] = "2000"
    words = [sys.executable, "-m", "frtune", "train", "classification", *flags,
             "--early-stopping-patience", "0"]  # fmt: skip
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
        bad = ["train", "classification", "--data", "none.csv", "--output-dir", "runs/bad"]
        jobs.add("bad", bad, output="runs/bad", queued=True)
        found = wait_for(lambda: (v := view(folder, jobs, "runs/long")).seconds_left and v)
        assert (found.state, found.job) == ("running", None)
        assert found.steps == 4000 and found.rows_per_second > 0 and found.memory_bytes > 1e6
        assert any("loss" in entry for entry in found.history)
        with pytest.raises(InputError, match="is running"):
            resume(folder, jobs, "runs/long")
        stop(folder, jobs, "runs/long")
        assert process.wait() == 143
    assert view(folder, jobs, "runs/long").state == "stopped"
    failed = wait_for(lambda: (v := view(folder, jobs, "runs/bad")).state == "failed" and v)
    assert failed.line.startswith("--checkpoint: missing")
    assert set(all_runs(folder, jobs)) == {"runs/long", "runs/bad"}
    with pytest.raises(InputError, match="does not run"):
        stop(folder, jobs, "runs/long")

    before = read_status(tmp_path / "runs/long")["step"]
    job = resume(folder, jobs, "runs/long")
    assert job.words[-1] == "--resume"
    wait_for(lambda: (read_status(tmp_path / "runs/long").get("step") or 0) > before)
    stop(folder, jobs, "runs/long")
    wait_for(lambda: view(folder, jobs, "runs/long").state == "stopped")


def test_curves_of_several_runs_stand_on_one_plot():
    history = [{"step": 1, "loss": 2.0}, {"step": 1, "eval_f1": 0.1}, {"step": 2, "loss": 1.0}]
    drawn = curves({"a": history, "b": history}, ["loss"])
    assert drawn is not None and len(drawn.axes[0].lines) == 2
    assert curves({"a": history}, ["eval_loss"]) is None


def test_a_view_says_whether_it_is_active_and_a_clock_has_two_digits():
    assert [RunView("a", state).active for state in ("queued", "running", "failed")] == [
        True, True, False,
    ]  # fmt: skip
    assert clock(61) == "1:01"
