"""One run at a time in a directory; a killed one lets go."""

from __future__ import annotations

import os
import signal
import time

import pytest

from frtune import InputError
from frtune.lock import LOCK_FILE, locked


def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path):
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        with locked(tmp_path / "run"):
            os.write(write, b"held")
            time.sleep(600)
    os.read(read, 4)
    with (
        pytest.raises(InputError, match="another run is writing there"),
        locked(tmp_path / "run", wait_seconds=0.2),
    ):
        pass
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with locked(tmp_path / "run"):
        assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK_FILE]


def test_a_lock_is_held_until_the_outer_block_ends_and_leaves_nothing(tmp_path):
    with locked(tmp_path / "run"):
        with locked(tmp_path / "run"):
            pass
        assert (tmp_path / "run" / LOCK_FILE).exists()
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_a_directory_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"), locked(tmp_path / "file" / "run"):
        pass
