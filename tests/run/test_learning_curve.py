"""Learning curves on tiny models: all tasks, the kill, what is refused, test rows nobody reads."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from frtune import find_runs, learning_curve, parse_train_arguments, read_data
from frtune.cli import main
from frtune.errors import InputError, RunStopped
from frtune.run.learning_curve import shares_of
from frtune.training.atomic_checkpoints import checkpoints
from frtune.training.trainer import TaskTrainer
from small_data import FAMILY, SEVERAL, flags_of, rows_of, watch_trap, write

SHORT = ["--max-steps", "2", "--per-device-train-batch-size", "4"]
ONCE = ["--eval-strategy", "no", "--save-strategy", "no", "--load-best-model-at-end", "false"]
EACH_STEP = ["--eval-strategy", "steps", "--eval-steps", "1", "--save-strategy", "steps",
             "--save-steps", "1"]  # fmt: skip
ALL = [(rows, seed) for rows in (5, 10, 20, 40, 80) for seed in (42, 43)]


def trapped(folder, task="classification"):
    """Rows of train and validation, and test rows that lie in a trap: labels no row may have."""
    folder.mkdir()
    suffix = "jsonl" if task in ("keyphrases", SEVERAL) else "csv"
    rows = rows_of(task, 92)
    write(folder / f"train.{suffix}", rows[:80])
    write(folder / f"validation.{suffix}", rows[80:])
    target = {"keywords": "keywords", "keyphrases": "keyphrases", "similarity": "score"}
    bad = {target.get(task, "label"): [] if suffix == "jsonl" else "TRAP"}
    write(folder / f"test.{suffix}", [{**row, **bad} for row in rows[:5]])
    return folder


def flags(tiny, data, *further, task="classification"):
    return [*flags_of(task, data, tiny(FAMILY[task])), *SHORT, *further]


def maker(given, task="classification"):
    name = "classification" if task == SEVERAL else task
    return lambda seed, output_dir: parse_train_arguments(
        name, [*given, "--seed", str(seed), "--output-dir", output_dir]
    )


@pytest.fixture(scope="module")
def curve(tiny, tmp_path_factory):
    """A whole curve, its folder, its flags, and whether anything that was read was of the trap."""
    folder = tmp_path_factory.mktemp("curve")
    given = flags(tiny, trapped(folder / "data"), *EACH_STEP)
    with pytest.MonkeyPatch.context() as patch:
        seen = watch_trap(patch)
        found = learning_curve(maker(given), output_dir=folder / "run", seeds=2)
    return found, folder, given, seen


@pytest.mark.slow
def test_each_share_and_seed_is_a_run_scored_on_the_validation_rows(curve):
    found, folder, _, _ = curve
    assert [(share.rows, len(share.scores)) for share in found.shares] == [
        (rows, 2) for rows in (5, 10, 20, 40, 80)
    ]
    assert (found.score, found.validation_rows, found.seeds) == ("f1_macro", 12, [42, 43])
    for share in found.shares:
        for seed, score in zip(found.seeds, share.scores, strict=True):
            place = folder / "run" / f"rows-{share.rows}" / f"seed-{seed}"
            metrics = json.loads((place / "metrics.json").read_text())
            assert metrics["eval_f1_macro"] == score
            assert not [name for name in metrics if name.startswith("test_")]
            assert not checkpoints(place), "a finished run keeps its model alone"
    written = json.loads((folder / "run" / "learning_curve.json").read_text())
    assert written["shares"][2]["scores"] == found.shares[2].scores
    assert "<h1>classification: run" in (folder / "run" / "learning_curve.html").read_text("utf-8")


@pytest.mark.slow
def test_test_rows_are_never_looked_at(curve):
    _, folder, _, seen = curve
    assert not any(seen) and len(seen) > 100
    for path in (folder / "run").rglob("*.json*"):
        assert "TRAP" not in path.read_text("utf-8")
    config = parse_train_arguments(
        "classification", ["--config", str(folder / "run" / "rows-10" / "seed-43" / "config.yaml")]
    )
    assert "test: 5 rows left out, and not looked at" in read_data(*config).notes


@pytest.mark.slow
def test_the_runs_are_listed_with_what_differs(curve):
    (group,) = find_runs(curve[1] / "run").groups
    assert {run.name for run in group.runs} == {f"rows-{n}/seed-{seed}" for n, seed in ALL}
    assert group.differing == ["max_train_rows", "seed"]
    assert {run.state for run in group.runs} == {"finished"}


@pytest.mark.slow
def test_a_config_repeats_its_run(curve, tmp_path, capsys):
    found, folder, _, _ = curve
    config = folder / "run" / "rows-20" / "seed-43" / "config.yaml"
    output = ["--output-dir", str(tmp_path / "again")]
    assert main(["train", "classification", "--config", str(config), *output]) == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    assert again["eval_f1_macro"] == found.shares[2].scores[1]


KILLED = """
    import os, signal, sys
    from transformers import TrainerCallback
    from frtune import learning_curve, parse_train_arguments
    from frtune.run import run as module

    class Kill(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if "rows-10/seed-43" in args.output_dir:
                os.kill(os.getpid(), signal.SIGKILL)

    build = module.build_trainer
    def with_kill(*args, **kwargs):
        trainer = build(*args, **kwargs)
        trainer.add_callback(Kill())
        return trainer
    module.build_trainer = with_kill
    learning_curve(lambda seed, out: parse_train_arguments(
        "classification", [*sys.argv[2:], "--seed", str(seed), "--output-dir", out]),
        output_dir=sys.argv[1], seeds=2)
"""


@pytest.mark.slow
def test_a_curve_that_was_killed_goes_on_where_it_was(curve, tmp_path, monkeypatch, capsys):
    _, _, given, _ = curve
    root = tmp_path / "run"
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(root), *given]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert (root / "rows-10" / "seed-43" / "checkpoint-1").is_dir()
    assert not (root / "learning_curve.json").exists()
    steps, step = [], TaskTrainer.training_step

    def counted(self, *args, **kwargs):
        where = "/".join(self.args.output_dir.split("/")[-2:])
        steps.append((where, self.state.global_step))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(TaskTrainer, "training_step", counted)
    command = ["train", "classification", "--learning-curve", *given, "--output-dir", str(root)]
    assert main([*command, "--seeds", "2"]) == 2
    assert "pass --resume to continue it" in capsys.readouterr().err and not steps
    assert main([*command, "--seeds", "2", "--resume"]) == 0
    trained = [f"rows-{rows}/seed-{seed}" for rows, seed in ALL[4:]]
    expected = [("rows-10/seed-43", 1), *((name, at) for name in trained for at in (0, 1))]
    assert list(dict.fromkeys(steps)) == expected, "each step counts once, in order"
    found = json.loads((root / "learning_curve.json").read_text())
    assert found == json.loads((curve[1] / "run" / "learning_curve.json").read_text())
    assert "learning_curve.html" in capsys.readouterr().out


@pytest.mark.slow
def test_a_signal_says_how_the_curve_goes_on(curve, tmp_path, monkeypatch):
    sent, train = [], TaskTrainer.training_step

    def stopped(self, *args, **kwargs):
        if not sent:  # a second one would end the process at once
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        return train(self, *args, **kwargs)

    monkeypatch.setattr(TaskTrainer, "training_step", stopped)
    with pytest.raises(RunStopped) as stop:
        learning_curve(maker(curve[2]), output_dir=tmp_path / "run", seeds=2)
    assert stop.value.code == 143
    assert stop.value.message == "stopped in run 1 of 10; continue with --resume"


@pytest.mark.slow
def test_finished_runs_of_other_options_or_rows_are_refused(curve, tmp_path):
    _, folder, given, _ = curve
    shutil.copytree(folder / "run", tmp_path / "run")
    again = {"output_dir": tmp_path / "run", "seeds": 2, "resume": True}
    with pytest.raises(InputError, match=r"was run with learning_rate=.*, and this .* has 0\.5"):
        learning_curve(maker([*given, "--learning-rate", "0.5"]), **again)
    shutil.copytree(folder / "data", tmp_path / "data")
    rows = rows_of("classification", 92)
    write(tmp_path / "data" / "validation.csv", rows[79:91])
    other = [str(tmp_path / "data") if word == str(folder / "data") else word for word in given]
    for config in (tmp_path / "run").rglob("config.yaml"):  # the same file, with other rows now
        text = config.read_text("utf-8").replace(str(folder / "data"), str(tmp_path / "data"))
        config.write_text(text, "utf-8")
    with pytest.raises(InputError, match="was run on other validation rows"):
        learning_curve(maker(other), **again)


@pytest.mark.slow
@pytest.mark.parametrize("task", [SEVERAL, "similarity", "keywords", "keyphrases"])
def test_each_task_has_a_curve_of_its_main_score(task, tiny, tmp_path):
    given = flags(tiny, trapped(tmp_path / "data", task), *ONCE, task=task)
    found = learning_curve(maker(given, task), output_dir=tmp_path / "run", seeds=2)
    values = [value for share in found.shares for value in share.scores]
    assert len(values) == 10 and all(math.isnan(value) or -1 <= value <= 1 for value in values)
    assert not all(map(math.isnan, values))
    expected = {"similarity": "spearman", "keywords": "keyword_f1", "keyphrases": "f1_at_10",
                SEVERAL: "f1_micro"}  # fmt: skip
    assert found.score == expected[task]
    assert (found.reason is None) == bool(found.forecasts)
    assert (tmp_path / "run" / "learning_curve.html").is_file()


def test_shares_are_nested_stratified_and_drawn_anew_by_each_seed(tiny, tmp_path):
    data = write(tmp_path / "rows.csv", rows_of("classification", 100))

    def texts(rows, seed):
        more = ["--curve-rows", "--max-train-rows", str(rows), "--seed", str(seed)]
        splits = read_data(*parse_train_arguments("classification", flags(tiny, data, *more)))
        assert splits.task.labels == ["even", "odd"]
        return splits.splits["train"]

    for seed in (42, 43):
        shares = [texts(rows, seed) for rows in (5, 10, 20, 40, 80)]
        for small, large in itertools.pairwise(shares):
            assert {*small["text"]} < {*large["text"]}
        assert sorted(map(shares[2]["label"].count, ("even", "odd"))) == [10, 10]
    assert {*texts(20, 42)["text"]} != {*texts(20, 43)["text"]}
    assert {*texts(80, 42)["text"]} == {*texts(80, 43)["text"]}


def test_rows_that_training_would_cut_for_test_are_left_out(tiny, tmp_path):
    data = write(tmp_path / "rows.csv", rows_of("classification", 100))
    plain, curve = (
        read_data(*parse_train_arguments("classification", flags(tiny, data, *more))).splits
        for more in ([], ["--curve-rows"])
    )
    assert [*curve] == ["train", "validation"] and len(plain["test"]) == 10
    assert curve["validation"]["text"] == plain["validation"]["text"]
    assert {*curve["train"]["text"]} == {*plain["train"]["text"]}


def test_a_class_that_a_share_lacks_is_known_all_the_same(tiny, tmp_path):
    rows = rows_of("classification", 100)
    rows = [{**row, "label": f"class {i % 8}"} for i, row in enumerate(rows)]
    data = write(tmp_path / "rows.csv", rows)
    more = ["--curve-rows", "--max-train-rows", "5"]
    found = read_data(*parse_train_arguments("classification", flags(tiny, data, *more)))
    assert len(found.task.labels) == 8 and len({*found.splits["train"]["label"]}) == 5


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        (100, ["--seeds", "1"], "--seeds 1: a learning curve needs 2 or more"),
        (100, ["--seeds", "many"], "--seeds many: a whole number"),
        (60, [], "48 training rows are too few for a learning curve, which needs 80"),
        (100, ["--max-train-rows", "70"], "70 training rows are too few"),
        (100, ["--max-test-rows", "3"], "a learning curve looks at no test row"),
        (100, ["--push-to-hub", "true"], "--push-to-hub: a learning curve makes many models"),
        (100, ["--label-column", "nothing"], "nothing"),
        (100, ["--output-dir", "there"], "holds something else (thesis.txt)"),
        (100, ["--output-dir", "there", "--resume"], "holds something else (thesis.txt)"),
        (100, ["--lora-r", "4"], "no adapter is trained"),
    ],
)
def test_bad_input_is_told_in_one_line(rows, more, message, tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = write(tmp_path / "rows.csv", rows_of("classification", rows))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("mine")
    command = ["train", "classification", "--learning-curve", "--output-dir", "out"]
    assert main([*command, *flags(tiny, data.name), *more]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("frtune: ") and message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "there"]


def test_a_launcher_is_refused(tiny, tmp_path):
    given = flags(tiny, write(tmp_path / "rows.csv", rows_of("classification", 100)))
    task, settings, args = maker(given)(42, str(tmp_path / "run"))

    class Launched(type(args)):
        world_size = 2

    args.__class__ = Launched
    with pytest.raises(InputError, match="one process only, and there are 2"):
        learning_curve(lambda *_: (task, settings, args), output_dir=tmp_path / "run")


def test_the_shares_are_halves_of_halves():
    assert shares_of(80, "x") == [5, 10, 20, 40, 80]
    assert shares_of(1001, "x") == [63, 126, 251, 501, 1001]


@pytest.mark.slow
def test_more_film_reviews_bring_a_pre_trained_bert_more(minilm, shared, tmp_path, capsys):
    given = [
        "--data", str(shared / "data" / "en_rotten_tomatoes"), "--checkpoint", str(minilm),
        "--max-train-rows", "320", "--max-eval-rows", "150", "--num-train-epochs", "2",
        "--learning-rate", "2e-4", "--per-device-train-batch-size", "8", "--max-source-tokens",
        "32", "--disable-tqdm", "true", "--no-proof", "--calibrate", "false", *ONCE,
    ]  # fmt: skip
    command = ["train", "classification", "--learning-curve", "--seeds", "2", *given]
    assert main([*command, "--output-dir", str(tmp_path / "run")]) == 0
    found = json.loads((tmp_path / "run" / "learning_curve.json").read_text())
    means = [share["mean"] for share in found["shares"]]
    assert [share["rows"] for share in found["shares"]] == [20, 40, 80, 160, 320]
    assert means[-1] > max(0.55, means[0] + 0.02)
    assert (found["reason"] is None) == bool(found["forecasts"])
    for each in found["forecasts"]:
        assert each["low"] <= each["score"] <= each["high"] and each["gain"] >= 0
    assert "f1_macro on the validation rows, 2 seeds" in capsys.readouterr().out
