"""A whole run that calibrates: what it keeps, what it never looks at, what opens it again."""

from __future__ import annotations

import csv
import json
import random

import pytest
from transformers import pipeline

from frtune import load
from frtune.cli import main
from frtune.tasks.config_file import load_task

WORDS = {
    "401": ["loyer", "bail", "local"],
    "404": ["pelle", "engin", "grue"],
    "511": ["banque", "agio", "frais"],
    "512": ["compte", "solde", "virement"],
}
SHARED = ["facture", "mars", "avril", "société", "reçu", "nord"]
FLAGS = [
    *("--num-train-epochs", "4", "--learning-rate", "2e-3", "--max-source-tokens", "32"),
    *("--min-precision", "0.6", "--label-tree", "prefix:1,2", "--disable-tqdm", "true"),
]


def write(path, rows, seed):
    """Texts of words that mostly tell the account, and of others."""
    draw = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["text", "label"])
        for i in range(rows):
            label = draw.choice([*WORDS])
            told = label if draw.random() < 0.85 else draw.choice([*WORDS])
            words = [draw.choice(WORDS[told]), *draw.sample(SHARED, 3), str(seed), str(i)]
            draw.shuffle(words)
            out.writerow([" ".join(words), label])


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, (name, rows) in enumerate([("train", 400), ("validation", 300), ("test", 120)]):
        write(folder / f"{name}.csv", rows, seed)
    return folder


def trained(data, directory, *flags, family="camembert"):
    command = ["train", "classification", "--data", str(data), "--checkpoint", "tiny"]
    assert main([*command, "--family", family, "--output-dir", str(directory), *FLAGS, *flags]) == 0
    return directory, load_task(directory)


@pytest.mark.parametrize("flags", [[], ["--family", "llama"]], ids=["camembert", "llama-lora"])
def test_a_run_keeps_what_validation_rows_say_and_test_rows_judge_it(data, tmp_path, flags, capsys):
    directory, task = trained(data, tmp_path / "run", *flags)
    metrics = json.loads((directory / "metrics.json").read_text())
    assert task.temperature and len(task.least_scores) == 3
    assert {"eval_accuracy_level_1", "test_accuracy_level_2", "test_coverage"} <= {*metrics}
    assert metrics["test_log_loss"] == pytest.approx(metrics["test_log_loss_uncalibrated"], rel=0.5)
    said = capsys.readouterr().out
    assert f"{100 * metrics['test_coverage']:.1f} % of the test rows are answered" in said
    page = (directory / "report.html").read_text("utf-8")
    assert "Reliability" not in page and "<h2>Confidence</h2>" in page and "the promise" in page

    # the directory answers as the run said, and scores as it did
    lines = [json.loads(line) for line in (directory / "predictions.jsonl").open(encoding="utf-8")]
    answers = load(directory).predict([line["input"] for line in lines])
    for line, answer in zip(lines, answers, strict=True):
        assert answer["scores"] == pytest.approx(line["scores"], abs=0.02)  # bf16
        if answer["label"] is not None:
            assert line["prediction"].startswith(answer["label"]) or answer["level"] < 3
    share = sum(answer["label"] is not None for answer in answers) / len(answers)
    assert share == pytest.approx(metrics["test_coverage"], abs=0.05)
    assert main(["evaluate", str(directory), "--data", str(data)]) == 0
    again = json.loads(capsys.readouterr().out)
    # so do the answers of predict, those that were withheld among them
    said = tmp_path / "said.jsonl"
    said.write_text("".join(json.dumps(answer) + "\n" for answer in answers), "utf-8")
    command = ["evaluate", "--predictions", str(said), "--task", str(directory)]
    assert main([*command, "--data", str(data), "--output-dir", str(tmp_path / "scored")]) == 0
    assert json.loads(capsys.readouterr().out) == pytest.approx(again, abs=0.05)
    for name in ("ece", "brier_uncalibrated", "coverage", "precision_answered", "f1_macro_level_1"):
        assert again[f"test_{name}"] == pytest.approx(metrics[f"test_{name}"], abs=0.05)


def test_test_rows_are_never_looked_at(data, tmp_path):
    """The same run with test rows of other texts and labels keeps the same, to the bit."""
    _, task = trained(data, tmp_path / "one")
    write(data / "test.csv", 90, seed=99)
    _, other = trained(data, tmp_path / "two")
    assert (task.temperature, task.least_scores) == (other.temperature, other.least_scores)
    write(data / "validation.csv", 300, seed=98)
    _, other = trained(data, tmp_path / "three")
    assert task.temperature != other.temperature


def test_without_calibration_nothing_is_kept(data, tmp_path):
    command = ["train", "classification", "--data", str(data), "--checkpoint", "tiny"]
    flags = ["--no-calibrate", "--max-steps", "2", "--output-dir", str(tmp_path / "run")]
    assert main([*command, *flags, "--disable-tqdm", "true"]) == 0
    task = load_task(tmp_path / "run")
    assert task.temperature is None and task.least_scores is None
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert "test_ece" in metrics and "test_ece_uncalibrated" not in metrics


@pytest.mark.parametrize("flags", [[], ["--family", "flaubert"], ["--family", "llama", "--merge"]])
def test_a_plain_pipeline_gives_the_same_probabilities_on_request(data, tmp_path, flags):
    directory, task = trained(data, tmp_path / "run", "--calibrate-head", "--no-bf16", *flags)
    assert task.temperature and abs(task.temperature - 1) > 0.01
    texts = ["facture loyer nord", "engin mars", "reçu avril"]
    answers = load(directory, bf16=False).predict(texts)
    place = directory / "merged" if "--merge" in flags else directory
    classify = pipeline("text-classification", model=str(place), top_k=None)
    for answer, found in zip(answers, classify(texts), strict=True):
        scores = {item["label"]: item["score"] for item in found}
        assert scores == pytest.approx(answer["scores"], abs=1e-4)
    _, plain = trained(data, tmp_path / "plain", "--no-bf16", *flags)
    assert (plain.temperature, plain.least_scores) == (task.temperature, task.least_scores)
