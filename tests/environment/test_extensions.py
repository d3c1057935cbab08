"""A lock that a killed compilation left is told, one of a compilation that goes on is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frtune.environment.extensions import check_no_abandoned_locks
from frtune.errors import InputError

CONFIGS = Path(__file__).parents[2] / "deepspeed_configs"

COMPILING = """
import sys
from torch.utils.file_baton import FileBaton
baton = FileBaton(sys.argv[1])
assert baton.try_acquire()
print("holds", flush=True)
sys.stdin.read(1)  # killed here, it leaves the lock
baton.release()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    (tmp_path / "cpu_adam").mkdir()
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which files are open")
def test_a_lock_is_told_only_where_nobody_holds_it(folder, monkeypatch):
    lock = folder / "cpu_adam" / "lock"
    check_no_abandoned_locks()
    compiling = subprocess.Popen(
        [sys.executable, "-c", COMPILING, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert compiling.stdout is not None and compiling.stdout.readline() == b"holds\n"
    check_no_abandoned_locks()
    compiling.kill()
    compiling.wait()
    assert lock.exists()
    with pytest.raises(InputError, match=r"cpu_adam/lock: left by .* Delete the file"):
        check_no_abandoned_locks()
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR")
    monkeypatch.setattr("frtune.environment.extensions.get_default_build_root", lambda: str(folder))
    os.renames(lock, folder / "py311_cpu" / "cpu_adam" / "lock")
    with pytest.raises(InputError, match="py311_cpu/cpu_adam/lock"):
        check_no_abandoned_locks()


@pytest.mark.distributed
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which files are open")
def test_a_run_under_deepspeed_is_refused_before_its_first_step(folder):
    (folder / "cpu_adam" / "lock").touch()
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "-m", "frtune", "train",
            "keyphrases", "--deepspeed", str(CONFIGS / "zero2.json"), "--use-cpu", "true",
            "--output-dir", str(folder / "run"),
        ],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode and "cpu_adam/lock: left by a compilation" in done.stderr
    assert not (folder / "run").exists()
