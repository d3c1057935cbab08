"""Whole runs with several labels a row: trained, opened, scored, mixed, quantised, compared."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

from frtune import InputError, SequenceClassification, load
from frtune.cli import main
from frtune.cli.train_arguments import parse_train_arguments
from frtune.demo.translations import WORDS as PAGE_WORDS
from frtune.run.run import run
from frtune.tasks.config_file import load_task, save_task
from frtune.tasks.loss import StepLoss

WORDS = {
    "eau": ["fuite", "robinet"], "gaz": ["chauffage", "brûleur"], "loyer": ["bail", "loyer"],
    "<b>poste": ["timbre", "courrier"],
}  # fmt: skip
FLAGS = [
    *("--num-train-epochs", "4", "--learning-rate", "3e-3", "--max-source-tokens", "32"),
    *("--multi-label", "--disable-tqdm", "true"),
]
KEPT = [*("--save-strategy", "steps", "--save-steps", "10"),
        *("--eval-strategy", "steps", "--eval-steps", "10")]  # fmt: skip
TEXT = "fuite timbre bail nord"


def write(path, rows, seed):
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            labels = [label for label in WORDS if draw.random() < 0.35]
            words = [draw.choice(WORDS[label]) for label in labels if draw.random() < 0.9]
            words += ["facture", draw.choice(["mars", "avril"]), str(seed), str(i)]
            draw.shuffle(words)
            file.write(json.dumps({"text": " ".join(words), "label": labels}) + "\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for seed, (name, rows) in enumerate([("train", 400), ("validation", 120), ("test", 100)]):
        write(folder / f"{name}.jsonl", rows, seed)
    return folder


def trained(data, directory, *flags):
    command = ["train", "classification", "--data", str(data), "--checkpoint", "tiny"]
    assert main([*command, "--output-dir", str(directory), *FLAGS, *flags]) == 0
    return directory, load_task(directory)


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    return trained(data, tmp_path_factory.mktemp("model") / "run")[0]


def in_french(key, **values):
    return PAGE_WORDS[key][1].format(**values)


def scores_of(directory):
    return json.loads((directory / "metrics.json").read_text())


def test_a_run_learns_and_says_what_it_learnt(model, data, tmp_path, capsys):
    task, metrics = load_task(model), scores_of(model)
    assert type(task).__name__ == "MultiLabelClassification" and len(task.thresholds) == 4
    assert metrics["test_f1_micro"] > metrics["test_baseline_most_frequent_f1_micro"] + 0.1
    assert metrics["test_f1_micro_low"] <= metrics["test_f1_micro"] <= metrics["test_f1_micro_high"]
    assert {"test_ece", "test_ece_uncalibrated", "test_ranking_precision"} <= {*metrics}
    classes = json.loads((model / "classes.json").read_text())
    assert {*classes} == {"classes", "labels"} and {*classes["classes"]} == {*WORDS}
    page = (model / "report.html").read_text("utf-8")
    assert "Each class alone" in page and "&lt;b&gt;poste" in page and "<b>poste" not in page
    config = json.loads((model / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    # the directory answers and scores as the run did
    lines = [json.loads(line) for line in (model / "predictions.jsonl").open(encoding="utf-8")]
    answers = load(model, bf16=False).predict([line["input"] for line in lines])
    assert [*answers[0]] == ["text", "labels", "scores"]
    for line, answer in zip(lines, answers, strict=True):
        assert answer["scores"] == pytest.approx(line["scores"], abs=0.05)  # bf16
    assert main(["evaluate", str(model), "--data", str(data)]) == 0
    again = json.loads(capsys.readouterr().out)
    said = tmp_path / "said.jsonl"
    said.write_text("".join(json.dumps(answer) + "\n" for answer in answers), "utf-8")
    command = ["evaluate", "--predictions", str(said), "--data", str(data)]
    for more in (["--task", str(model)], ["--task", "classification", "--multi-label"]):
        assert main([*command, *more, "--output-dir", str(tmp_path / "scored")]) == 0
        given = json.loads(capsys.readouterr().out)
        for name in ("f1_micro", "f1_macro", "exact_match", "ranking_precision", "ece"):
            assert given[f"test_{name}"] == pytest.approx(again[f"test_{name}"], abs=0.05)
            assert metrics[f"test_{name}"] == pytest.approx(again[f"test_{name}"], abs=0.05)


def test_answers_are_shown_escaped(model):
    predictor = load(model)
    task, answer = predictor.task, predictor.predict([TEXT])[0]
    shown = task.answer_html(answer, in_french)
    assert "<b>poste" not in shown
    none = task.answer_html({**answer, "labels": []}, in_french)
    assert "Aucune étiquette" in none
    assert task.answer_cells({**answer, "labels": ["eau", "gaz"]})[0] == "eau; gaz"


def test_test_rows_are_never_looked_at(model, data, tmp_path):
    other = tmp_path / "data"
    other.mkdir()
    for seed, (name, rows) in enumerate([("train", 400), ("validation", 120), ("test", 100)]):
        write(other / f"{name}.jsonl", rows, seed if name != "test" else 99)
    _, task = trained(other, tmp_path / "run")
    known = load_task(model)
    assert (task.temperature, task.thresholds) == (known.temperature, known.thresholds)
    write(other / "validation.jsonl", 120, seed=98)
    _, task = trained(other, tmp_path / "other")
    assert task.thresholds != known.thresholds


@pytest.mark.parametrize("flags", [[], ["--calibrate-head"], ["--family", "llama", "--merge"]])
def test_the_lines_of_the_card_give_the_same_answers(data, tmp_path, flags):
    directory, task = trained(data, tmp_path / "run", "--no-bf16", *flags)
    place = directory / "merged" if "--merge" in flags else directory
    model = AutoModelForSequenceClassification.from_pretrained(place).eval()
    tokenizer = AutoTokenizer.from_pretrained(place)
    lines = task.transformers_lines(tokenizer, "encoder")
    found: list[dict[str, float]] = []
    names = {"torch": torch, "model": model, "tokenizer": tokenizer, "print": found.append}
    for text in (TEXT, "chauffage loyer mars", "avril"):
        exec("\n".join(lines).replace('"..."', repr(text)), names)
        (ours,) = load(directory, bf16=False).predict([text])
        assert task.is_same_answer(found[-1], ours)


@pytest.mark.parametrize(
    "flags",
    [
        ["--mixup"],
        ["--mixup", "--mixup-level", "hidden"],
        ["--mixup", "--mixup-level", "sentence"],
        ["--mixup", "--mixup-rows", "50"],
        ["--mixup", "--mixup-level", "sentence", "--mixup-rows", "50"],
        ["--family", "llama", "--lora"],
    ],
    ids=" ".join,
)
def test_what_trains_with_one_label_trains_with_several(data, tmp_path, flags):
    few = ["--max-train-rows", "120", "--class-weights", "balanced", "--num-train-epochs", "1"]
    directory, task = trained(data, tmp_path / "run", *few, *flags)
    assert 0 < scores_of(directory)["test_ranking_precision"] <= 1 and task.thresholds


class Killed(TrainerCallback):
    """Ends a run after a step, as a power cut does."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 15:
            raise RuntimeError("killed")


def test_a_run_that_was_killed_ends_as_one_that_was_not(data, tmp_path):
    few = ["--max-train-rows", "120", "--num-train-epochs", "3", "--seed", "3", *KEPT]
    whole, task = trained(data, tmp_path / "whole", *few)
    command = ["--data", str(data), "--checkpoint", "tiny", "--output-dir", str(tmp_path / "run")]
    asked = parse_train_arguments("classification", [*command, *FLAGS, *few])
    with pytest.raises(RuntimeError, match="killed"):
        run(*asked[:3], callbacks=[Killed()])
    again, resumed = trained(data, tmp_path / "run", *few, "--resume")
    assert resumed == task and task.thresholds
    one, other = (load_file(where / "model.safetensors") for where in (whole, again))
    assert one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)
    clocks = ("runtime", "per_second")
    reached = [{name: value for name, value in scores_of(where).items()
                if not name.endswith(clocks)} for where in (whole, again)]  # fmt: skip
    assert reached[0] == reached[1] and "test_f1_micro" in reached[0]


def test_quantised_and_compared(model, data, tmp_path, capsys):
    assert main(["quantize", str(model), "--output", str(tmp_path / "int8")]) == 0
    assert load_task(tmp_path / "int8").thresholds == load_task(model).thresholds
    table = ["compare", str(model), str(tmp_path / "int8"), "--data", str(data)]
    assert main([*table, "--max-rows", "40", "--output", str(tmp_path / "table")]) == 0
    assert "f1_micro" in capsys.readouterr().out


def test_prepared_rows_train_and_conflicts_are_set_aside(tmp_path):
    rows = [f"ligne {i} du compte;{label}" for i, label in enumerate(["a|b", "b", "a", "[]"] * 25)]
    rows += ["ligne 0 du compte;a", "sans étiquette;"]
    (tmp_path / "x.csv").write_text("text;label\n" + "\n".join(rows) + "\n", "utf-8")
    command = ["prepare", str(tmp_path / "x.csv"), "--task", "classification", "--multi-label"]
    assert main([*command, "--output", str(tmp_path / "none")]) == 2  # another separator
    flags = ["--label-separator", "|", "--output", str(tmp_path / "out")]
    assert main([*command, *flags]) == 0
    audit = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert audit["rejected"] == {"conflict": 1, "unusable_label": 1}
    assert audit["splits"]["train"]["labels"] == {"a": 40, "b": 40}
    first = json.loads((tmp_path / "out" / "test.jsonl").read_text("utf-8").splitlines()[0])
    assert isinstance(first["label"], list)
    directory, task = trained(tmp_path / "out", tmp_path / "run", "--num-train-epochs", "1")
    assert task.thresholds is None  # 10 validation rows
    assert load(directory).predict(["ligne"])[0]["scores"].keys() == {"a", "b"}


def test_the_loss_is_that_of_torch():
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), (torch.rand(6, 3) > 0.5).float()
    expected = functional.binary_cross_entropy_with_logits(logits, labels)
    assert StepLoss(binary=True)({"logits": logits}, labels) == pytest.approx(expected.item())
    weights = [[0.5, 1.0, 2.0], [3.0, 1.0, 0.25]]
    each = torch.where(labels > 0, torch.tensor(weights[1]), torch.tensor(weights[0]))
    expected = functional.binary_cross_entropy_with_logits(logits, labels, each)
    loss = StepLoss(binary=True, class_weights=[*weights[0], *weights[1]])
    assert loss({"logits": logits}, labels).item() == pytest.approx(expected.item())
    smooth = functional.binary_cross_entropy_with_logits(logits, labels * 0.9 + 0.05)
    loss = StepLoss(binary=True, label_smoothing=0.1)
    assert loss({"logits": logits}, labels).item() == pytest.approx(smooth.item())


def test_a_task_is_kept_and_changed(tmp_path):
    rows = Dataset.from_dict({"text": ["a", "b"], "label": [["x", "y"], ["y"]]})
    task = SequenceClassification(multi_label=True, class_weights="balanced").fit(rows)
    save_task(task, tmp_path)
    assert load_task(tmp_path) == task and task.weights == [[1.0, 0.0], [1.0, 1.0]]
    assert replace(task, max_source_tokens=64).labels == ["x", "y"]
    with pytest.raises(InputError, match="take SequenceClassification"):
        replace(task, multi_label=False)


@pytest.mark.parametrize(
    "value",
    [None, 0.5, ["unknown"], "x;unknown", {"x": 1}],
    ids=["none", "half", "list", "text", "dict"],
)
def test_answers_that_are_none_are_refused(value):
    task = SequenceClassification(multi_label=True, labels=["x", "y"])
    with pytest.raises(InputError, match="row 1"):
        task.read_answers([{"prediction": value}], [["text"]], "answers")
    read = task.read_answers([{"prediction": v} for v in ("", "[]", "x; y")], [["t"]] * 3, "a")
    assert [answer["labels"] for answer in read] == [[], [], ["x", "y"]]
