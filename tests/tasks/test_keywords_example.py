"""Both approaches of the example run whole."""

from pathlib import Path

import pytest

from kinds import ENCODERS
from scripts import run_script

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_keywords.py"


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["1", "2"])
@pytest.mark.parametrize("family", ENCODERS)
def test_the_example_runs_whole(tmp_path, approach, family, monkeypatch, capsys):
    options = ["--approach", approach, "--family", family, "--max-steps", "2"]
    assert run_script(EXAMPLE, monkeypatch, *options, "--output-dir", tmp_path) == 0
    printed = capsys.readouterr().out
    assert '"test_keyword_f1"' in printed
    assert ("weights, all equal" in printed) == (approach == "1")
    assert (tmp_path / f"approach{approach}" / "frtune_task.json").is_file()
