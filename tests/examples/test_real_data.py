"""Every encoder task and example runs to its end on real data, with tiny checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frtune.cli import main
from kinds import ENCODERS
from scripts import run_script

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
FEW = ["--max-train-rows", "60", "--max-eval-rows", "12", "--max-test-rows", "12"]
TASKS = {
    "reviews": ("classification", "fr_allocine", []),
    "paraphrases": ("similarity", "fr_pawsx", []),
    "scores": ("similarity", "fr_stsb", ["--label-column", "score", "--head", "regression"]),
    "keywords": ("keywords", "fr_keys_youtube_wikinews", []),
}
RUNS = {
    "train_classifier": ["--data", "fr_allocine", "--families", "camembert", "flaubert", "bert",
                         "--max-train-rows", "60", "--max-test-rows", "12"],
    "train_similarity": ["--data", "fr_pawsx/raw_dev_2k.tsv", "--symmetric", "--max-rows", "60"],
    "train_keywords": ["--data", "fr_keys_youtube_wikinews", "--pairs", "fr_pawsx", "--approach",
                       "both", "--quantize", "--max-rows", "24"],
    "train_mixup": ["--data", "en_rotten_tomatoes", "--family", "bert", "--seeds", "2", "--epochs",
                    "1", "--max-train-rows", "60", "--max-test-rows", "12"],
    "study_embeddings": ["--data", "fr_allocine", "--max-train-rows", "60", "--max-rows", "40"],
}  # fmt: skip


@pytest.mark.parametrize("family", ENCODERS)
@pytest.mark.parametrize("run", TASKS)
def test_training_runs_to_its_end(run, family, shared, tmp_path):
    task, data, options = TASKS[run]
    output = tmp_path / "run"
    code = main(["train", task, "--data", str(shared / "data" / data), "--checkpoint", "tiny",
                 "--family", family, "--output-dir", str(output), "--max-steps", "2",
                 "--disable-tqdm", "true", "--max-source-tokens", "64",
                 *FEW, *options])  # fmt: skip
    assert code == 0
    scores = json.loads((output / "metrics.json").read_text())
    assert {name.split("_")[0] for name in scores} >= {"eval", "test"}
    lines = (output / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 12


@pytest.mark.usefixtures("warm_processes")
@pytest.mark.parametrize("name", RUNS)
def test_example_runs_to_its_end(name, shared, tmp_path, monkeypatch):
    options = [
        str(shared / "data" / value) if RUNS[name][i - 1] in ("--data", "--pairs") else value
        for i, value in enumerate(RUNS[name])
    ]
    steps = [] if name == "train_mixup" else ["--max-steps", "2"]
    monkeypatch.chdir(tmp_path)
    script = EXAMPLES / f"{name}.py"
    assert run_script(script, monkeypatch, *options, *steps, "--output-dir", "out") == 0
    assert list((tmp_path / "out").rglob("*.json"))
