"""Searches of all tasks: what is left, kills, processes that share, test rows that nobody reads."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
import yaml

from frtune import InputError, find_runs, load, parse_train_arguments
from frtune.cli import main
from frtune.errors import RunStopped
from frtune.run.data import read_data
from frtune.training.trainer import TaskTrainer
from frtune.tuning.result import gain_text
from frtune.tuning.seed_runs import gains
from frtune.tuning.tune import tune
from small_data import FAMILY, flags_of, rows_of, watch_trap, write, write_trapped

TASKS = [task for task in FAMILY if task != "several labels"]
# rates at which tiny models learn nothing, and nothing but the rate is searched
SMALL = ["--max-steps", "2", "--weight-decay", "0", "--per-device-train-batch-size", "4",
         "--gradient-accumulation-steps", "1", "--eval-strategy", "steps", "--eval-steps", "1",
         "--save-strategy", "steps", "--save-steps", "1"]  # fmt: skip
FIXED = ("max_steps", "weight_decay", "per_device_train_batch_size", "gradient_accumulation_steps")


def data_of(task, folder, count=24):
    suffix = "jsonl" if task == "keyphrases" else "csv"
    return write(folder / f"rows.{suffix}", rows_of(task, count))


def table_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def weights_in(path):
    found = [*path.rglob("*.safetensors"), *path.rglob("checkpoint-*")]
    return sorted(each.relative_to(path).as_posix() for each in found)


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_a_table_a_page_and_a_config_that_trains(task, maker, tmp_path, capsys):
    out = tmp_path / "out"
    found = tune(maker(task, data_of(task, tmp_path)), out, fixed=["num_train_epochs"], trials=2,
                 seeds=2)  # fmt: skip
    assert [trial.state for trial in found.trials] == ["complete", "complete"]
    table = table_of(out / "trials.csv")
    names = ["learning_rate", "rows_per_step", "weight_decay"]
    assert list(table[0]) == ["trial", "state", found.score_name, *names, "epochs", "seconds",
                              "line"]  # fmt: skip
    assert [float(row[found.score_name]) for row in table] == [t.score for t in found.trials]
    content = json.loads((out / "tune.json").read_text("utf-8"))
    assert content["best"]["number"] == found.best and content["meaning"] == found.sentences()
    page = (out / "tune.html").read_text("utf-8")
    assert page.index("In short") < page.index("<table") and "Too few trials" in page
    assert not re.search(r"(src|href)=.(?!data:)|url\(|@import|<script", page), "it stands alone"
    for number in (0, 1):
        metrics = json.loads((out / f"trial-{number}" / "metrics.json").read_text("utf-8"))
        assert metrics[f"eval_{found.score_name}"] == found.trials[number].score
        assert not any(name.startswith("test_") for name in metrics)
    kept = {name.split("/")[1] for name in weights_in(out)}
    assert kept <= {f"trial-{found.best}"}, "of the best alone, trained with the seeds"
    assert len(find_runs(out).groups[0].runs) == 2 + 4 * (found.best > 0)
    config = yaml.safe_load((out / "config.yaml").read_text("utf-8"))
    assert config["learning_rate"] == float(f"{found.best_trial.point['learning_rate']:.3g}")
    assert config["output_dir"] == str(out / "model") and "resume" not in config
    _, _, args = parse_train_arguments(task, ["--config", str(out / "config.yaml")])
    assert args.learning_rate == config["learning_rate"] and args.num_train_epochs == 1


@pytest.fixture
def rate_maker(maker, tmp_path):
    """``rate_maker()``: settings of which the rate alone is left to search."""
    data = data_of("classification", tmp_path, 40)
    return lambda *flags: maker("classification", data, *SMALL, *flags)


@pytest.fixture
def planted(monkeypatch):
    """The score is what a test plants: the lower the rate, the better."""
    evaluate = TaskTrainer.evaluate

    def lower_is_better(trainer, *args, **options):
        metrics = evaluate(trainer, *args, **options)
        metrics["eval_f1_macro"] = 1 - 1e4 * trainer.args.learning_rate
        trainer.state.log_history[-1].update(metrics)
        return metrics

    monkeypatch.setattr(TaskTrainer, "evaluate", lower_is_better)


def test_the_best_is_set_beside_the_recipe_with_seeds_that_no_trial_had(
    planted, rate_maker, tmp_path
):
    out = tmp_path / "out"
    found = tune(rate_maker("--seed", "5"), out, fixed=FIXED, trials=3)
    assert found.best > 0 and found.seeds == [6, 7, 8]
    gain = found.gains[0]
    assert gain.name == "f1_macro" and gain.verdict == "gain"
    places = sorted((out / "seeds").glob("*/*"))
    assert [place.name for place in places] == ["seed-6", "seed-7", "seed-8"] * 2
    for name, scores in (("trial-0", gain.recipe), (f"trial-{found.best}", gain.tuned)):
        runs = [place / "metrics.json" for place in places if place.parent.name == name]
        assert [json.loads(run.read_text())["eval_f1_macro"] for run in runs] == scores
    assert found.sentences()[0].startswith("A gain: f1_macro changed by +")
    assert "chosen by the same validation rows" in (out / "tune.html").read_text("utf-8")
    kept = [f"seeds/trial-{found.best}/seed-{seed}/model.safetensors" for seed in (6, 7, 8)]
    assert weights_in(out) == kept


@pytest.mark.parametrize(
    ("tuned", "larger", "said"),
    [
        ([0.82, 0.79, 0.84], True, "A gain within the noise: x changed by +0.0167"),
        ([0.78, 0.81, 0.77], True, "No gain: x changed by -0.0133"),
        ([0.78, 0.81, 0.77], False, "A gain within the noise: x changed by -0.0133"),
        ([0.8, 0.8, 0.8], True, "No gain: x changed by +0.0000"),
        ([0.90, 0.91, 0.90], True, "A gain: x changed by +0.1033"),
        ([0.90, 0.91, 0.90], False, "A loss: x changed by +0.1033"),
    ],
)
def test_a_gain_within_the_noise_is_called_that(tuned, larger, said):
    scores = {4: [{"eval_x": x} for x in tuned], 0: [{"eval_x": 0.8, "eval_y": 1.0}] * 3}
    (gain,) = gains(scores, best=4, names={"x": larger, "y": True})
    assert gain_text(gain, 3).startswith(said)


def test_a_recipe_that_nothing_beats_is_kept(rate_maker, tmp_path):
    found = tune(rate_maker(), tmp_path / "out", fixed=FIXED, trials=1)
    assert found.sentences()[0] == "No trial did better than the recipe. Keep it."
    assert not (tmp_path / "out" / "seeds").exists() and found.gains == []
    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text("utf-8"))
    assert config["learning_rate"] == found.trials[0].point["learning_rate"]


@pytest.mark.parametrize("kind", ["memory", "loss"])
def test_a_trial_that_fails_by_its_settings_is_not_the_end(kind, rate_maker, tmp_path, monkeypatch):
    step = TaskTrainer.compute_loss

    def failing(self, *args, **options):
        loss = step(self, *args, **options)
        if "trial-1" in self.args.output_dir and self.model.training:
            if kind == "memory":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB.")
            return loss * float("nan")
        return loss

    monkeypatch.setattr(TaskTrainer, "compute_loss", failing)
    found = tune(rate_maker(), tmp_path / "out", fixed=FIXED, trials=3, seeds=2)
    assert [trial.state for trial in found.trials] == ["complete", "failed", "complete"]
    said = {"memory": "memory ran out at step 1", "loss": "loss=nan in training at step 1"}[kind]
    assert said in (found.trials[1].line or "")
    assert said in table_of(tmp_path / "out" / "trials.csv")[1]["line"]
    assert "1 failed" in found.sentences()[-1]


def test_settings_that_change_are_refused_and_more_trials_are_not(rate_maker, maker, tmp_path):
    out, make = tmp_path / "out", rate_maker()
    assert len(tune(make, out, fixed=FIXED, trials=1).trials) == 1
    assert len(tune(make, out, fixed=FIXED, trials=2, seeds=2).trials) == 2
    with pytest.raises(InputError, match="a search of space of num_train_epochs=None, and this"):
        tune(make, out, fixed=FIXED[1:], trials=2)
    with pytest.raises(InputError, match=r"a search of seed=42, and this command has 5"):
        tune(rate_maker("--seed", "5"), out, fixed=FIXED, trials=2)
    rows = rows_of("classification", 40)
    data = write(tmp_path / "rows.csv", [*rows[:-1], {**rows[-1], "label": "even"}])
    with pytest.raises(InputError, match="a search of other rows, or other labels"):
        tune(maker("classification", data, *SMALL), out, fixed=FIXED, trials=2)
    data = data_of("keywords", tmp_path)
    with pytest.raises(InputError, match="a search of task=classification, and this"):
        tune(maker("keywords", data, *SMALL), out, fixed=FIXED, trials=2)


def test_test_rows_are_never_looked_at(maker, tmp_path, monkeypatch):
    """They lie in a trap: labels that no row may have, and texts that no row may lack."""
    rows = rows_of("classification")
    folder = write_trapped(tmp_path / "data", rows)
    seen = watch_trap(monkeypatch)
    make = maker("classification", folder, *SMALL)
    found = tune(make, tmp_path / "out", fixed=FIXED, trials=2, seeds=2)
    assert not any(seen) and len(seen) > 10 and found.rows == 2
    for place in (tmp_path / "out").rglob("*.json"):
        assert "TRAP" not in place.read_text("utf-8"), place
    manifest = json.loads((tmp_path / "out" / "trial-0" / "manifest.json").read_text("utf-8"))
    assert list(manifest["data"]) == ["train", "validation"]
    write(folder / "test.csv", rows[:3])  # other test rows are the same search
    again = tune(make, tmp_path / "out", fixed=FIXED, trials=2, seeds=2)
    assert [t.score for t in again.trials] == [t.score for t in found.trials]


def test_rows_that_training_would_cut_for_test_are_left_aside(maker, tmp_path):
    data = data_of("classification", tmp_path, 40)
    parts = maker("classification", data, *SMALL)(str(tmp_path / "run"), {})
    whole, kept = read_data(*parts).splits, read_data(*parts, test=False).splits
    assert list(kept) == ["train", "validation"] and len(whole["test"]) == 4
    for name, rows in kept.items():
        assert rows["text"] == whole[name]["text"]


KILLED = """
    import os, signal, sys
    from transformers import TrainerCallback
    from frtune import parse_train_arguments
    from frtune.tuning import seed_runs, trial
    from frtune.tuning.tune import tune

    place, output, flags = sys.argv[1], sys.argv[2], sys.argv[3:]

    class Kill(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if place in args.output_dir and state.global_step == 1:
                os.kill(os.getpid(), signal.SIGKILL)

    run = trial.run
    def with_kill(*args, callbacks=(), **options):
        return run(*args, callbacks=[*callbacks, Kill()], **options)
    trial.run = seed_runs.run = with_kill

    def make(output, options):
        words = [w for name, value in options.items() for w in (f"--{name}", str(value))]
        return parse_train_arguments(
            "classification", [*flags, "--output-dir", output, *words])

    fixed = ("max_steps", "weight_decay", "per_device_train_batch_size",
             "gradient_accumulation_steps")
    tune(make, output, fixed=fixed, trials=2, seeds=2)
"""


@pytest.mark.usefixtures("warm_processes")
def test_a_search_that_was_killed_goes_on_where_it_was(tiny, maker, tmp_path, monkeypatch):
    """It is killed twice: in a trial, and in a run with a further seed."""
    data = data_of("classification", tmp_path, 40)
    flags = [*SMALL, "--metric-for-best-model", "loss", "--greater-is-better", "false"]
    words = [*flags_of("classification", data, tiny("bert")), *flags]
    out = tmp_path / "killed"
    for place in ("trial-1", "seeds"):
        program = [sys.executable, "-c", textwrap.dedent(KILLED), place, str(out), *words]
        done = subprocess.run(program, capture_output=True, text=True, env={**os.environ})
        assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
        (checkpoint,) = out.rglob("checkpoint-1")
        assert place in str(checkpoint) and not (out / "tune.json").exists()
    steps = []
    step = TaskTrainer.training_step

    def counted(self, *args, **kwargs):
        steps.append((self.args.output_dir, self.state.global_step))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(TaskTrainer, "training_step", counted)
    make = maker("classification", data, *flags)
    resumed = tune(make, out, fixed=FIXED, trials=2, seeds=2)
    assert {step for where, step in steps if where == str(checkpoint.parent)} == {1}
    assert all("seeds" in where for where, _ in steps), "trials are not trained again"
    monkeypatch.undo()
    whole = tune(make, tmp_path / "whole", fixed=FIXED, trials=2, seeds=2)
    shown = [[(t.number, t.state, t.score, t.point) for t in found.trials]
             for found in (resumed, whole)]  # fmt: skip
    assert shown[0] == shown[1] and resumed.best == whole.best and resumed.gains == whole.gains


def test_a_search_that_was_stopped_says_how_it_goes_on(rate_maker, tmp_path, monkeypatch):
    sent = []
    train = TaskTrainer.training_step

    def stopped(self, *args, **kwargs):
        if not sent:  # a second one would end the process at once
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        return train(self, *args, **kwargs)

    monkeypatch.setattr(TaskTrainer, "training_step", stopped)
    with pytest.raises(RunStopped) as stop:
        tune(rate_maker(), tmp_path / "out", fixed=FIXED, trials=2)
    assert stop.value.code == 143
    assert stop.value.message == "stopped in trial 0; the same command continues"
    found = tune(rate_maker(), tmp_path / "out", fixed=FIXED, trials=1)
    assert [(t.number, t.state) for t in found.trials] == [(0, "complete")]


@pytest.mark.distributed
def test_two_processes_share_the_trials_and_the_seeds(tiny, tmp_path):
    data = data_of("classification", tmp_path, 40)
    command = [sys.executable, "-m", "frtune", "tune", "classification", "--trials", "6",
               "--output-dir", str(tmp_path / "out"), "--use-cpu", "true",
               *flags_of("classification", data, tiny("bert")), *SMALL]  # fmt: skip
    two = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in two]
    assert [process.returncode for process in two] == [0, 0], [text[1][-2000:] for text in said]
    began = [re.findall(r"^trial (\d+): learning_rate", err, re.MULTILINE) for _, err in said]
    assert sorted(map(int, [*began[0], *began[1]])) == list(range(6)), "each once"
    assert all(began), "both had some"
    content = json.loads((tmp_path / "out" / "tune.json").read_text("utf-8"))
    assert [trial["number"] for trial in content["trials"]] == list(range(6))
    seeds = re.findall(r"with seed \d+: (\S+)", said[0][1] + said[1][1])
    assert len(seeds) == len(set(seeds)) == (6 if content["best"]["number"] else 0)
    tables = [out[out.index("Trials, the best first") :] for out, _ in said]
    assert tables[0] == tables[1], "both end with the same result"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--trials", "0"], "--trials 0: at least 1"),
        (["--hours", "0"], "--hours 0.0: above 0"),
        (["--eval-strategy", "no", "--load-best-model-at-end", "false"],
         "--eval-strategy no: trials are judged by evaluations"),
        (["--push-to-hub", "true"], "--push-to-hub: a search publishes no model"),
        (["--resume"], "--resume: no such option"),
        (["--learning-rat", "1"], "--learning-rat: no such option"),
        (["--max-steps", "2", "--learning-rate", "1e-3", "--weight-decay", "0",
          "--per-device-train-batch-size", "4", "--gradient-accumulation-steps", "1"],
         "every setting that it searches is given"),
        (["--metric-for-best-model", "loss"], "greater_is_better=True: loss is better when"),
        (["--output-dir", "there"], "--output-dir there: holds files of something else"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_before_any_work(flags, message, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data_of("classification", tmp_path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("mine")
    given = ["tune", "classification", "--data", "rows.csv", "--checkpoint", str(tiny("bert"))]
    assert main([*given, *flags]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("frtune: ") and message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "there"]


def test_the_command_prints_the_trials_and_how_to_train_the_best(tiny, tmp_path, capsys):
    data = data_of("classification", tmp_path)
    out = str(tmp_path / "out")
    flags = flags_of("classification", data, tiny("bert"))
    assert main(["tune", "classification", *flags, "--trials", "1", "--output-dir", out]) == 0
    said = capsys.readouterr().out
    assert "No trial did better than the recipe" in said
    assert f"frtune train classification --config {out}/config.yaml" in said
    assert (
        "num_train_epochs" not in json.loads((tmp_path / "out" / "tune.json").read_text())["space"]
    ), "the flags fixed it"
    assert main(["train", "classification", "--config", f"{out}/config.yaml"]) == 0
    assert (tmp_path / "out" / "model" / "model.safetensors").is_file()


@pytest.mark.slow
def test_a_pretrained_model_is_tuned_and_the_best_is_kept(minilm, shared, tmp_path):
    with open(shared / "data" / "en_rotten_tomatoes" / "train.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["text"].strip()][::100][:60]
    data, out = write(tmp_path / "rows.csv", rows), tmp_path / "out"
    flags = ["--data", str(data), "--checkpoint", str(minilm), "--max-test-rows", "0",
             "--num-train-epochs", "1", "--weight-decay", "0", "--metric-for-best-model", "loss",
             "--greater-is-better", "false", "--no-proof", "--max-source-tokens", "32",
             "--disable-tqdm", "true"]  # fmt: skip

    def make(output, options):
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        given = [*flags, "--output-dir", output, *words]
        return parse_train_arguments("classification", given)

    found = tune(make, out, fixed=["num_train_epochs", "weight_decay"], trials=3, seeds=2)
    assert found.best > 0 and not found.larger_is_better
    scores = {trial.number: trial.score for trial in found.trials}
    assert scores[found.best] == min(scores.values()) < scores[0]
    assert found.best_trial.point["learning_rate"] > 2e-5, "one epoch of the recipe is too short"
    assert max(found.gains[0].tuned) < min(found.gains[0].recipe)
    model = load(out / "seeds" / f"trial-{found.best}" / "seed-43")
    assert model.predict(["a wonderful film"])[0]["label"] in ("0", "1")
