"""The example and the command line, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frtune.cli import main
from scripts import run_script

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "examples" / "train_mixup.py"


@pytest.mark.slow
def test_the_comparison_runs_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    def example(*options: str):
        few = ["--epochs", "1", "--max-train-rows", "32", "--max-test-rows", "16"]
        code = run_script(SCRIPT, monkeypatch, "--output-dir", tmp_path, *few, *options)
        return code, capsys.readouterr()

    levels = ["--levels", "embeddings", "sentence", "--offline-rows", "8"]
    code, done = example(*levels, "--seeds", "2")
    assert code == 0
    results = json.loads((tmp_path / "results.json").read_text())
    arms = ["none", "embeddings", "embeddings, 8 stored", "sentence", "sentence, 8 stored"]
    assert [run["arm"] for run in results["runs"]] == arms * 2
    assert [line.split(" |")[0][2:] for line in done.out.splitlines()[-5:]] == arms
    assert results["summary"]["sentence"]["accuracy_difference"].keys() >= {"low", "p_value"}

    results["runs"].pop()
    (tmp_path / "results.json").write_text(json.dumps(results))
    _, again = example(*levels, "--seeds", "2")
    assert again.out.count(", MixUp: ") == 1 and "seed 43, MixUp: sentence, 8" in again.out
    last = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert last[:-1] == results["runs"] and len(last) == 10

    code, other = example("--alpha", "0.4", "--seeds", "2")
    assert code == 2 and "another alpha, offline_rows" in other.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "1"], "--seeds 1: an interval needs 2 or more."),
        (["--alpha", "0"], "alpha=0.0: above 0."),
        (["--levels", "tokens"], "level='tokens': embeddings, hidden, sentence."),
        (["--layer", "2"], "--layer: for --levels hidden."),
    ],
)
def test_bad_input_to_the_example_is_one_line(options, message, monkeypatch, capsys, tmp_path):
    assert run_script(SCRIPT, monkeypatch, "--output-dir", tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_the_command_line_trains_with_mixup(tmp_path):
    mixup = ["--mixup", "--mixup-level", "hidden", "--mixup-layer", "1"]
    few = ["--max-steps", "2", "--output-dir", str(tmp_path / "run")]
    assert main(["train", "classification", *mixup, *few]) == 0
    config = (tmp_path / "run" / "config.yaml").read_text()
    assert "mixup: true" in config and "mixup_layer: 1" in config
    assert main(["predict", str(tmp_path / "run"), "--text", "loyer mars"]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["classification", "--mixup-rows", "3"], "--mixup-rows: needs --mixup"),
        (["classification", "--mixup", "--mixup-alpha", "-1"], "alpha=-1.0: above 0"),
        (["classification", "--mixup", "--mixup-rows", "9999"], "two for each, and there are 240"),
        (["keyphrases", "--mixup", "--max-train-rows", "20"], "has no label to mix"),
    ],
)
def test_bad_input_to_the_command_line_is_one_line(options, message, capsys, tmp_path):
    assert main(["train", *options, "--output-dir", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
