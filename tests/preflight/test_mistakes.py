"""Mistakes that a run meets when rows are tokenised or steps are taken: preflight names each."""

from __future__ import annotations

import json
import shutil

import pytest

from frtune.cli import main

NUMBERS = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty", "thirty", "forty", "fifty", "sixty",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory, corpus):
    """24 articles, as many rows of two classes, and what is damaged or contradicts the flags."""
    made = tmp_path_factory.mktemp("preflight")
    for name, target in (("articles", "keyphrases"), ("classes", "label")):
        rows = [
            {
                "text": f"{number} {corpus[i % 21]}",
                target: ["no", "yes"][i % 2] if target == "label" else number.split(),
            }
            for i, number in enumerate(NUMBERS)
        ]
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (made / f"{name}.jsonl").write_text(lines, "utf-8")
    sizes = {"train_micro_batch_size_per_gpu": 32, "gradient_accumulation_steps": "auto"}
    (made / "zero.json").write_text(json.dumps({"zero_optimization": {"stage": 2}, **sizes}))
    return made


@pytest.fixture(scope="module")
def damaged(folder, tiny):
    """A checkpoint whose weights file is cut off."""
    directory = shutil.copytree(tiny("t5"), folder / "damaged")
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100_000])
    return directory


def preflight(folder, checkpoint, *flags, task="keyphrases"):
    data = folder / ("articles.jsonl" if task == "keyphrases" else "classes.jsonl")
    command = ["preflight", "train", task, "--data", str(data), "--checkpoint", str(checkpoint)]
    return main([*command, "--output-dir", str(folder / "never"), *flags])


SELECT = ["--metric-for-best-model", "f1_at_10", "--greater-is-better", "true"]
MISTAKES = {
    "scores at every other evaluation": (
        [*SELECT, "--generate-every-epochs", "2"], "needs generation at every evaluation"),
    "scores within an epoch": (
        [*SELECT, "--generate-every-epochs", "1", "--eval-strategy", "steps", "--save-strategy",
         "steps"], "needs generation at every evaluation"),
    "tracker that is not installed": (["--report-to", "comet_ml"], "report_to=comet_ml: its"),
    "optimizer that is not installed": (["--optim", "lomo"], "optim=lomo: its package is missing"),
    "scheduler without its number": (
        ["--lr-scheduler-type", "cosine_with_min_lr"], "min_lr"),
    "hub without a token": (["--push-to-hub", "true"], "push_to_hub=True"),
    "batches that never fill": (
        ["--dataloader-drop-last", "true", "--per-device-train-batch-size", "64"],
        "do not fill a batch of 64"),
    "disk that fills up": (["--save-total-limit", "999999999", "--num-train-epochs", "9999999"],
                           "are free"),
    "DeepSpeed file against flags": (
        ["--deepspeed", "zero.json"], "train_micro_batch_size_per_gpu=32 vs"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_in_one_line(name, folder, tiny, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    flags, message = MISTAKES[name]
    check_failed(preflight(folder, tiny("t5"), *flags), message, folder, capsys)


def test_weights_that_are_cut_off_are_named(folder, damaged, capsys):
    check_failed(preflight(folder, damaged), "model.safetensors: is not a whole", folder, capsys)


def test_weights_of_another_model_are_named(folder, tiny, capsys):
    other = shutil.copytree(tiny("t5"), folder / "other")
    config = json.loads((other / "config.json").read_text("utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "d_ff": 512}), "utf-8")
    check_failed(preflight(folder, other), "missing or of another shape", folder, capsys)


def test_a_checkpoint_of_other_settings_is_named(folder, tiny, capsys):
    from frtune.training.atomic_checkpoints import draft_of, finish

    checkpoint = folder / "begun" / "checkpoint-4"
    draft_of(checkpoint).mkdir(parents=True)
    (draft_of(checkpoint) / "trainer_state.json").write_text("{}")
    arguments = {"learning_rate": 5e-5}
    finish(checkpoint, {"arguments": arguments, "model": {"type": "t5", "lora": None}})
    (checkpoint.parent / "config.yaml").write_text("")
    flags = ["--resume", "--output-dir", str(checkpoint.parent), "--learning-rate", "1e-3"]
    code = preflight(folder, tiny("t5"), *flags)
    check_failed(code, "learning_rate is 0.001 in place of 5e-05", folder, capsys)


def test_output_longer_than_the_positions_is_named(folder, tiny, capsys):
    code = preflight(folder, tiny("bart"), "--max-target-tokens", "3000")
    check_failed(code, "max_target_tokens=3000: this bart has 2048 positions", folder, capsys)


def test_evaluation_without_predictions_is_named(folder, tiny, capsys):
    flags = ["--prediction-loss-only", "true"]
    code = preflight(folder, tiny("bert"), *flags, task="classification")
    check_failed(code, "prediction_loss_only=True: the scores need predictions", folder, capsys)


def test_what_only_training_shows_is_found_in_the_miniature_run(folder, tiny, capsys, monkeypatch):
    def fails(*args, **options):
        raise ValueError("no such schedule")

    monkeypatch.setattr("frtune.training.trainer.TaskTrainer.create_scheduler", fails)
    code = preflight(folder, tiny("bert"), task="classification")
    message = "failed at 'model': ValueError: no such schedule"
    line = check_failed(code, message, folder, capsys)
    assert "would stop once the model is loaded and the rows are tokenised" in line


def check_failed(code, message, folder, capsys):
    """Code 2, a last line with the message, and nothing left; returns the line."""
    captured = capsys.readouterr()
    line = captured.err.rstrip("\n").splitlines()[-1]
    assert line.startswith("frtune: preflight failed at ") and message in line
    assert "The real run would stop" in line and "failed" in captured.out
    assert code == 2
    assert not (folder / "never").exists()
    return line
