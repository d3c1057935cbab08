"""Both approaches of the example run whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kinds import ENCODERS

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_keywords.py"


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["1", "2"])
@pytest.mark.parametrize("family", ENCODERS)
def test_the_example_runs_whole(tmp_path, approach, family):
    command = [sys.executable, str(EXAMPLE), "--approach", approach, "--family", family]
    done = subprocess.run(
        [*command, "--max-steps", "2", "--output-dir", str(tmp_path)],
        capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"test_keyword_f1"' in done.stdout
    assert ("weights, all equal" in done.stdout) == (approach == "1")
    assert (tmp_path / f"approach{approach}" / "frtune_task.json").is_file()
