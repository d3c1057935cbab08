"""Jobs are processes of their own, and all that is known of them stands in files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from frtune.board.folder import BoardFolder
from frtune.board.jobs import Jobs, is_alive
from frtune.errors import InputError
from frtune.files import is_locked


@pytest.fixture
def jobs(tmp_path):
    return Jobs(BoardFolder(tmp_path))


def wait_for(what, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("not in time")


def test_a_command_runs_by_itself_and_its_end_is_written_down(jobs):
    jobs.add("version", ["--version"])
    job = wait_for(lambda: (j := jobs.find("version")) and j.state == "ended" and j)
    assert job.code == 0
    assert jobs.log("version").split("\n")[0] == "$ frtune --version"
    jobs.add("bad", ["prepare", "x.csv", "--task", "nothing", "--output", "y"])
    job = wait_for(lambda: (j := jobs.find("bad")) and j.state == "ended" and j)
    assert job.code == 2 and "nothing" in jobs.error("bad")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no safe path")
def test_a_python_file_in_the_folder_is_not_run(jobs, tmp_path):
    for name in ("json", "datasets", "frtune"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the folder')\n")
    jobs.add("version", ["--version"])
    job = wait_for(lambda: (j := jobs.find("version")) and j.state == "ended" and j)
    assert job.code == 0 and "of the folder" not in jobs.log("version")


def test_the_queue_goes_on_one_at_a_time_when_who_asked_was_killed(jobs, tmp_path):
    program = (
        "import sys, time; from frtune.board.folder import BoardFolder\n"
        "from frtune.board.jobs import Jobs\n"
        "jobs = Jobs(BoardFolder(sys.argv[1]))\n"
        "for name in ('first', 'second'): jobs.add(name, ['--version'], queued=True)\n"
        "print('added', flush=True); time.sleep(600)\n"
    )
    board = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert board.stdout and board.stdout.readline() == "added\n"
    os.killpg(board.pid, signal.SIGKILL)
    board.wait()
    wait_for(lambda: all((j := jobs.find(n)) and j.state == "ended" for n in ("first", "second")))
    first, second = jobs.find("first"), jobs.find("second")
    assert second.process_started >= first.process_started
    wait_for(lambda: not is_locked(jobs.queue))


def test_a_process_that_has_ended_runs_until_its_end_is_written_and_is_lost_without_a_keeper(jobs):
    jobs.add("version", ["--version"])
    job = wait_for(lambda: (j := jobs.find("version")) and j.state == "ended" and j)
    me = psutil.Process()
    unwritten = replace(job, code=None, keeper=me.pid, keeper_started=me.create_time())
    assert unwritten.state == "running"
    assert replace(unwritten, keeper_started=1.0).state == "lost"


def test_what_waits_is_taken_out_and_what_is_damaged_is_left_out(jobs, monkeypatch):
    monkeypatch.setattr(Jobs, "keep_going", lambda self, name=None: None)  # nobody works it off
    jobs.add("waits", ["--version"], queued=True)
    with pytest.raises(InputError, match="queued already"):
        jobs.add("waits", ["--version"], queued=True)
    (jobs.folder.board / "broken.json").write_text("{")
    assert [job.name for job in jobs.all()] == ["waits"]
    jobs.stop("waits")
    assert jobs.all() == []
    with pytest.raises(InputError, match="does not run"):
        jobs.stop("waits")


def test_a_process_is_known_by_its_start_too():
    assert is_alive(os.getpid(), None)
    assert not is_alive(os.getpid(), 1.0), "another process had this number"
    assert not is_alive(None, None)


def test_lines_that_were_written_over_are_shown_as_they_were_left(jobs):
    path = jobs.log_path("a")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"$ frtune x\n 10%\r 20%\r100%\r\n\nfrtune: bad: 1\n")
    assert jobs.log("a") == "$ frtune x\n100%\nfrtune: bad: 1"
    assert jobs.error("a") == "bad: 1"
