"""Files appear whole or not at all; one run at a time in a directory, and a killed one lets go."""

from __future__ import annotations

import os
import signal
import time

import pytest

from frtune import InputError
from frtune.files import LOCK_FILE, locked, staged


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


def files_in(directory):
    return {
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()
    }


def test_staged_files_appear_at_the_end(tmp_path):
    with staged(tmp_path / "out") as draft:
        (draft / "a.json").write_text("1")
        (draft / "folder").mkdir()
        (draft / "folder" / "b.json").write_text("2")
        assert {name for name in os.listdir(tmp_path / "out")} == {draft.name}
        assert draft.name.startswith(".")
    assert files_in(tmp_path / "out") == {"a.json", "folder/b.json"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_staged_leaves_nothing_on_an_error(tmp_path, error):
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(error), staged(tmp_path) as draft:
        (draft / "a.json").write_text("new")
        (draft / "b.json").write_text("new")
        raise error
    assert os.listdir(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_staged_replaces_files_and_whole_folders_and_keeps_others(tmp_path):
    for name in ("a.json", "kept.json", "folder/old.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    with staged(tmp_path) as draft:
        (draft / "a.json").write_text("new")
        (draft / "folder").mkdir()
        (draft / "folder" / "new.json").write_text("new")
    assert files_in(tmp_path) == {"a.json", "kept.json", "folder/new.json"}
    assert (tmp_path / "a.json").read_text() == "new"
