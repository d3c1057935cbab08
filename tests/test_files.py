"""Files appear whole or not at all; one run at a time in a directory, and a killed one lets go."""

from __future__ import annotations

import errno
import os
import signal
import time

import pytest

from frtune import InputError
from frtune.failures import DiskFullError, failure_line
from frtune.files import (
    LOCK_FILE,
    draft_file,
    draft_folder,
    is_draft,
    locked,
    new_folder,
    staged,
    write_json,
)


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


@pytest.mark.parametrize("kill", [True, False])
def test_drafts_of_killed_processes_go_at_the_next_draft_and_no_others(tmp_path, kill):
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        with draft_folder(tmp_path) as folder, draft_file(tmp_path / "file.txt") as file:
            (folder / "a.txt").write_text("half")
            file.write_text("half")
            os.write(write, b"written")
            time.sleep(600)
    os.read(read, 7)
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2 and all(is_draft(name) for name in left)
    if kill:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    write_json(tmp_path / "one.json", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"one.json"} | (set() if kill else left)
    if not kill:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_drafts_of_elsewhere_go_when_they_are_old(tmp_path):
    names = [".draft-00000000-1-1-x", ".draft-ab12_xyz", ".draft-checkpoint-4", ".drafts"]
    for name in names:
        (tmp_path / name).mkdir()
    write_json(tmp_path / "one.json", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"one.json", *names}
    for name in names:
        os.utime(tmp_path / name, (0, 0))
    write_json(tmp_path / "one.json", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"one.json", *names[2:]}


def test_a_new_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyError), new_folder(tmp_path / "a" / "out") as draft:
        (draft / "x").write_text("1")
        raise KeyError
    assert not (tmp_path / "a").exists()
    (tmp_path / "empty").mkdir()
    for name in ("out", "empty"):
        with new_folder(tmp_path / name) as draft:
            (draft / "x").write_text("1")
            assert files_in(tmp_path / name) == set()
        assert files_in(tmp_path / name) == {"x"}
    assert not [path for path in tmp_path.iterdir() if is_draft(path.name)]


def test_a_disk_that_is_full_is_told_with_the_place(tmp_path):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    for draft in (staged, new_folder, draft_file):
        with pytest.raises(DiskFullError, match=r"out: the disk is full") as error:
            with draft(tmp_path / "out"):
                full()
        assert "MB are free. Make room" in failure_line(error.value)
    assert list(tmp_path.iterdir()) == []
    for number, words in ((errno.EMFILE, "ulimit -n"), (errno.EROFS, "cannot be written")):
        line = failure_line(OSError(number, os.strerror(number), "/some/file"))
        assert words in line and "\n" not in line
    assert failure_line(OSError(errno.ENOENT, "none", "x")) is None


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


def test_an_error_leaves_no_folder_that_was_made_for_the_draft(tmp_path):
    (tmp_path / "kept").mkdir()
    for place in (tmp_path / "a" / "b" / "c", tmp_path / "kept" / "c"):
        for write in (draft_file, new_folder, staged):
            with pytest.raises(ValueError), write(place):
                raise ValueError
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


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
