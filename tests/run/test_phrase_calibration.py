"""Whole runs that fit scores of phrases, and a threshold of words, to validation rows."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys

import pytest

from frtune import load
from frtune.cli import main
from frtune.tasks.config_file import load_task

FILLER = ["le", "de", "pour", "avec", "dans", "sur", "vent", "nord", "ville"]
KEYS = ["budget", "école", "mairie", "route", "cantine"]
FLAGS = {
    "keyphrases": ["--num-train-epochs", "4", "--learning-rate", "5e-3", "--max-source-tokens",
                   "32", "--max-target-tokens", "16", "--calibrate-scores", "1"],
    "keywords": ["--num-train-epochs", "6", "--learning-rate", "2e-3", "--max-source-tokens", "32",
                 "--gradient-accumulation-steps", "1", "--per-device-train-batch-size", "8",
                 "--metric-for-best-model", "eval_loss", "--greater-is-better", "false",
                 "--tune-threshold"],
}  # fmt: skip
FITTED = {"keyphrases": "score_map", "keywords": "threshold"}


def row(task, draw, number):
    words = draw.sample(FILLER, 5) + draw.sample(KEYS, 2)
    draw.shuffle(words)
    text = f"{' '.join(words)} {number}."
    if task == "keywords":  # of the five words each is likelier none
        return {"text": text, "keywords": [w for w in words if w in KEYS and draw.random() < 0.4]}
    phrases = ["budget" if draw.random() < 0.9 else "impôt", draw.choice(["école", "mairie"])]
    return {"text": text, "keyphrases": phrases}


def write(path, task, rows, seed):
    draw = random.Random(seed)
    made = (json.dumps(row(task, draw, i), ensure_ascii=False) for i in range(rows))
    path.write_text("".join(f"{line}\n" for line in made), "utf-8")


def write_data(folder, task):
    folder.mkdir()
    for seed, (name, rows) in enumerate([("train", 240), ("validation", 80), ("test", 80)]):
        write(folder / f"{name}.jsonl", task, rows, seed)
    return folder


def trained(task, data, directory, *flags):
    family = [] if task == "keyphrases" else ["--family", "bert"]
    command = ["train", task, "--data", str(data), "--output-dir", str(directory)]
    start = [] if "--checkpoint" in flags else ["--checkpoint", "tiny", *family]
    more = ["--disable-tqdm", "true", "--no-bf16", "--no-proof"]
    assert main([*command, *start, *FLAGS[task], *more, *flags]) == 0
    return directory


def fitted(directory):
    task = load_task(directory)
    return getattr(task, FITTED[task.name])


@pytest.fixture(scope="module", params=["keyphrases", "keywords"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    data = write_data(folder / "data", request.param)
    return request.param, data, trained(request.param, data, folder / "run")


def lines_of(directory):
    return [json.loads(line) for line in (directory / "predictions.jsonl").open(encoding="utf-8")]


def test_a_run_keeps_what_it_fitted_and_says_what_it_did_on_test_rows(run, capsys):
    task, data, directory = run
    assert fitted(directory)
    metrics = json.loads((directory / "metrics.json").read_text())
    signatures = json.loads((directory / "signatures.json").read_text())
    page = (directory / "report.html").read_text("utf-8")
    card = (directory / "README.md").read_text("utf-8")
    assert "<h2>Confidence</h2>" in page and "Precision and recall of the phrases" in page
    if task == "keyphrases":
        assert metrics["test_phrase_ece"] < 0.15 and "test_phrase_brier_uncalibrated" in metrics
        assert "(phrase_ece)" in page and "Share of right phrases by their score" in page
        assert {"phrase_ece", "phrase_brier_uncalibrated"} <= {*signatures}
    else:
        assert metrics["test_keyword_f1"] > metrics["test_keyword_f1_untuned"] + 0.1
        assert "The threshold of words" in page and "The threshold of words" in card
        assert "keyword_f1_untuned" in signatures and "pipeline(" not in card
    assert main(["evaluate", str(directory), "--data", str(data), "--no-bf16"]) == 0
    again = json.loads(capsys.readouterr().out)
    shared = {*metrics} & {*again}
    assert {name for name in metrics if name.startswith(("test_phrase", "test_keyword"))} <= shared
    assert {n: again[n] for n in shared} == pytest.approx({n: metrics[n] for n in shared}, abs=1e-3)


def test_the_directory_answers_as_the_run_did(run):
    task, _, directory = run
    lines = lines_of(directory)
    answers = load(directory, bf16=False).predict([line["input"] for line in lines])
    for line, answer in zip(lines, answers, strict=True):
        if task == "keyphrases":
            assert answer["keyphrases"] == line["prediction"]
            assert answer["scores"] == pytest.approx(line["scores"], abs=1e-3)
        else:
            assert [item["text"] for item in answer["keywords"]] == line["prediction"]
            scores = [item["score"] for item in line["spans"]]
            assert [item["score"] for item in answer["keywords"]] == pytest.approx(scores, abs=1e-3)


def test_test_rows_are_never_looked_at(run, tmp_path):
    """The same run with test rows of other texts and truths keeps the same, to the bit."""
    task, data, directory = run
    other = tmp_path / "data"
    shutil.copytree(data, other)
    write(other / "test.jsonl", task, 60, seed=99)
    assert fitted(trained(task, other, tmp_path / "one")) == fitted(directory)
    write(other / "validation.jsonl", task, 80, seed=98)
    assert fitted(trained(task, other, tmp_path / "two")) != fitted(directory)


def test_a_run_that_goes_on_fits_the_same(run, tmp_path):
    task, data, directory = run
    cut = tmp_path / "run"
    shutil.copytree(directory, cut)
    _, *rest = sorted(cut.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    for path in rest:
        shutil.rmtree(path)
    trained(task, data, cut, "--resume")
    assert fitted(cut) == pytest.approx(fitted(directory), abs=1e-6)


def test_an_int8_copy_keeps_what_was_fitted(run, tmp_path):
    task, _, directory = run
    copy = tmp_path / "int8"
    assert main(["quantize", str(directory), "--output", str(copy)]) == 0
    assert fitted(copy) == fitted(directory)
    (answer,) = load(copy).predict(["le budget de la mairie."])
    if task == "keyphrases":
        assert len(answer["scores"]) == len(answer["keyphrases"])
    else:
        assert all(item["score"] >= fitted(copy) for item in answer["keywords"])


@pytest.mark.parametrize("task", ["keyphrases", "keywords"])
def test_an_adapter_is_calibrated_too(task, tmp_path):
    data = write_data(tmp_path / "data", task)
    directory = trained(task, data, tmp_path / "run", "--lora", "--learning-rate", "2e-2")
    task = load_task(directory)
    found = json.loads((directory / "metrics.json").read_text())
    known = "test_phrase_ece" if task.name == "keyphrases" else "test_keyword_f1_untuned"
    assert (fitted(directory) is not None) == (known in found)


def test_votes_are_calibrated_by_votes(tmp_path, capsys):
    data = write_data(tmp_path / "data", "keyphrases")
    directory = trained("keyphrases", data, tmp_path / "run", "--calibrate-scores", "4")
    metrics = json.loads((directory / "metrics.json").read_text())
    assert fitted(directory) and "test_phrase_ece" not in metrics  # of what is written once
    page = (directory / "report.html").read_text("utf-8")
    assert "Precision and recall of the phrases" in page and "Share of right phrases" not in page
    capsys.readouterr()
    command = ["evaluate", str(directory), "--data", str(data), "--votes", "4"]
    assert main(command) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["test_phrase_brier"] <= scores["test_phrase_brier_uncalibrated"] + 0.02


def test_few_validation_rows_are_said_and_nothing_is_kept(tmp_path, capsys):
    data = write_data(tmp_path / "data", "keyphrases")
    directory = trained(
        "keyphrases", data, tmp_path / "run", "--max-eval-rows", "20", "--max-steps", "1"
    )
    assert fitted(directory) is None
    said = "scores of phrases are not calibrated: 20 validation rows"
    assert said in (directory / "report.html").read_text("utf-8")


@pytest.mark.distributed
def test_two_processes_fit_what_one_does(run, tmp_path):
    task, data, directory = run
    still = ["--checkpoint", str(directory), "--learning-rate", "0", "--max-steps", "1"]
    one = trained(task, data, tmp_path / "one", *still)
    two = tmp_path / "two"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "frtune", "train", task, "--data", str(data), "--output-dir", str(two),
        *FLAGS[task], *still, "--disable-tqdm", "true", "--no-bf16", "--no-proof",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert fitted(two) == pytest.approx(fitted(one), abs=1e-4)
