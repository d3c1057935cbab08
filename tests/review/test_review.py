"""Reviews of all tasks: the table, the kill, what is refused, and test rows that nobody reads."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from datasets import Dataset

from frtune import InputError, SequenceClassification
from frtune.cli import main
from frtune.data.near_duplicates import repeats
from frtune.errors import RunStopped
from frtune.review.folds import assign_folds
from frtune.review.ranking import COLUMNS
from frtune.review.review import review
from frtune.review.rows import Place, ReviewRows
from frtune.training.trainer import TaskTrainer
from small_data import FAMILY, SEVERAL, flags_of, rows_of, watch_trap, write, write_trapped


def table_of(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("task", list(FAMILY))
def test_each_task_has_a_table_of_all_rows_and_keeps_no_model(task, maker, tmp_path):
    suffix = "jsonl" if task in ("keyphrases", SEVERAL) else "csv"
    rows = rows_of(task)
    data = write(tmp_path / f"rows.{suffix}", rows)
    found = review(maker(task, data, "--max-test-rows", "0"), tmp_path / "out", folds=2)
    table = table_of(tmp_path / "out" / "review.csv")
    assert list(table[0]) == list(COLUMNS)
    assert sorted(int(row["row"]) for row in table) == list(range(1, 25))
    first = table[0]
    own = rows[int(first["row"]) - 1]
    assert first["text"].startswith(next(v for n, v in own.items() if n in ("text", "sentence1")))
    assert 0 <= float(first["confidence"]) <= 1
    reasons = [bool(row["why"]) for row in table]
    assert reasons == sorted(reasons, reverse=True) and sum(reasons) == found.doubted
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["fold-1.jsonl", "fold-2.jsonl", "review.csv", "review.json"]


def test_a_row_is_asked_of_a_model_that_did_not_learn_it(maker, tmp_path, monkeypatch):
    data = write(tmp_path / "rows.csv", rows_of("classification"))
    learnt = []
    train = TaskTrainer.train

    def watched(self, *args, **kwargs):
        learnt.append({tuple(ids) for ids in self.train_dataset["input_ids"]})
        learnt[-1] |= {tuple(ids) for ids in self.eval_dataset["input_ids"]}
        return train(self, *args, **kwargs)

    monkeypatch.setattr(TaskTrainer, "train", watched)
    make = maker("classification", data, "--max-test-rows", "0")
    review(make, tmp_path / "out", folds=3)
    assert [len(rows) for rows in learnt] == [16, 16, 16]
    assert not set.intersection(*learnt), "each row is held out once"


def test_finished_folds_are_not_trained_again(maker, tmp_path, monkeypatch):
    data = write(tmp_path / "rows.csv", rows_of("classification"))
    make = maker("classification", data)
    before = review(make, tmp_path / "out", folds=2).rows
    monkeypatch.setattr(TaskTrainer, "train", None)
    assert review(make, tmp_path / "out", folds=2).rows == before


def test_a_review_that_was_stopped_says_how_it_goes_on(maker, tmp_path, monkeypatch):
    data = write(tmp_path / "rows.csv", rows_of("classification"))

    sent = []

    def stopped(self, *args, **kwargs):
        if not sent:  # a second one would end the process at once
            sent.append(os.kill(os.getpid(), signal.SIGTERM))
        return train(self, *args, **kwargs)

    train = TaskTrainer.training_step
    monkeypatch.setattr(TaskTrainer, "training_step", stopped)
    with pytest.raises(RunStopped) as stop:
        review(maker("classification", data), tmp_path / "out", folds=2)
    assert stop.value.code == 143
    assert stop.value.message == "stopped in fold 1 of 2; the same command continues"


KILLED = """
    import os, signal, sys
    from transformers import TrainerCallback
    from frtune import parse_train_arguments
    from frtune.review.review import review
    from frtune.review import folds

    class Kill(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if "fold-2" in args.output_dir and state.global_step >= 4:
                os.kill(os.getpid(), signal.SIGKILL)

    build = folds.build_trainer
    def with_kill(*args, **kwargs):
        trainer = build(*args, **kwargs)
        trainer.add_callback(Kill())
        return trainer
    folds.build_trainer = with_kill
    review(lambda out: parse_train_arguments(
        "classification", [*sys.argv[2:], "--output-dir", out]), sys.argv[1], folds=2)
"""


def test_a_review_that_was_killed_goes_on_where_it_was(tiny, maker, tmp_path, monkeypatch, caplog):
    data = write(tmp_path / "rows.csv", rows_of("classification", 40))
    further = ["--max-test-rows", "0", "--eval-strategy", "steps", "--eval-steps", "2",
               "--save-strategy", "steps", "--save-steps", "2", "--max-steps", "8",
               "--per-device-train-batch-size", "4"]  # fmt: skip
    flags = [*flags_of("classification", data, tiny("bert")), *further]
    program = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "killed"), *flags]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert (tmp_path / "killed" / "fold-1.jsonl").is_file()
    assert (tmp_path / "killed" / "fold-2" / "checkpoint-4").is_dir()
    assert not (tmp_path / "killed" / "review.csv").exists()
    steps = []
    step = TaskTrainer.training_step

    def counted(self, *args, **kwargs):
        steps.append((self.args.output_dir[-6:], self.state.global_step))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(TaskTrainer, "training_step", counted)
    make = maker("classification", data, *further)
    resumed = review(make, tmp_path / "killed", folds=2)
    assert set(steps) == {("fold-2", step) for step in (4, 5, 6, 7)}
    whole = review(make, tmp_path / "whole", folds=2)
    assert resumed.rows == whole.rows


def test_test_rows_are_never_looked_at(maker, tmp_path, monkeypatch):
    """They lie in a trap: labels that no row may have, and copies of texts with other labels."""
    folder = write_trapped(tmp_path / "data", rows_of("classification"))
    seen = watch_trap(monkeypatch)
    found = review(maker("classification", folder), tmp_path / "out", folds=2)
    assert found.found.task.labels == ["even", "odd"] and len(found.rows) == 24
    assert "test: 25 rows are left out, and not looked at" in found.found.notes
    assert not any(seen) and len(seen) > 10
    assert "TRAP" not in (tmp_path / "out" / "review.csv").read_text("utf-8-sig")


def test_rows_that_training_would_cut_for_test_are_left_out(maker, tmp_path):
    rows = rows_of("classification", 40)
    data = write(tmp_path / "rows.csv", rows)
    task, settings, args = maker("classification", data)(str(tmp_path / "run"))
    from frtune.run.data import read_data

    test = set(read_data(task, settings, args).splits["test"]["text"])
    found = review(maker("classification", data), tmp_path / "out", folds=2)
    assert len(test) == 4 and not test & {text for row in found.rows for text in row.texts}
    assert len(found.rows) == 36


def test_near_duplicates_stay_in_one_fold_and_other_labels_are_told(maker, tmp_path):
    rows = rows_of("classification")
    rows[20] = {**rows[1], "label": "even", "text": rows[1]["text"] + "!"}
    data = write(tmp_path / "rows.csv", rows)
    found = review(maker("classification", data, "--max-test-rows", "0"), tmp_path / "out", folds=3)
    why = {row.number: row.why for row in found.rows}
    assert "row 21 of train has nearly the same text, and the label even" in why[2]
    assert "row 2 of train has nearly the same text, and the label odd" in why[21]
    pairs = repeats(found.found.texts)
    folds = assign_folds(found.found, pairs, folds=3, seed=1, where="x")
    numbers = {place.number: fold for place, fold in zip(found.found.places, folds, strict=True)}
    assert numbers[1] == numbers[20]


def test_folds_have_the_classes_in_their_shares():
    labels = ["a"] * 40 + ["b"] * 20
    rows = Dataset.from_dict({"text": [f"{i} {i * 97}" for i in range(60)], "label": labels})
    task = SequenceClassification().fit(rows)
    found = ReviewRows(task, rows, [Place("train", i) for i in range(60)], {}, [], [])
    folds = assign_folds(found, [], folds=5, seed=3, where="x")
    for fold in range(5):
        held = [label for label, number in zip(labels, folds, strict=True) if number == fold]
        assert (held.count("a"), held.count("b")) == (8, 4)
    assert np.array_equal(folds, assign_folds(found, [], folds=5, seed=3, where="x"))
    assert not np.array_equal(folds, assign_folds(found, [], folds=5, seed=4, where="x"))


@pytest.mark.parametrize(
    ("change", "flags", "message"),
    [
        ("none", ["--label-column", "nothing"], "nothing"),
        ("one class", [], "is the only label"),
        ("few", [], "too few for 5 folds"),
        ("none", ["--folds", "1"], "--folds 1: at least 2"),
        ("none", ["--max-test-rows", "3"], "test rows are not reviewed"),
        ("none", ["--resume"], "--resume: no such option"),
        ("none", ["--push-to-hub", "true"], "--push-to-hub"),
        ("none", ["--output", "there"], "holds files of something else"),
        ("test alone", [], "has no train split"),
    ],
)
def test_bad_input_is_told_in_one_line(change, flags, message, tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = rows_of("classification", 6 if change == "few" else 24)
    rows = [{**row, "label": "odd"} for row in rows] if change == "one class" else rows
    name = "test.csv" if change == "test alone" else "rows.csv"
    write(tmp_path / name, rows)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "thesis.txt").write_text("mine")
    given = ["review", name, "--task", "classification", "--checkpoint", str(tiny("bert"))]
    assert main([*given, "--no-page", *flags]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("frtune: ") and message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["there", name])


def test_an_output_of_other_data_or_options_is_refused(maker, tmp_path):
    rows = rows_of("classification")
    data = write(tmp_path / "rows.csv", rows)
    review(maker("classification", data), tmp_path / "out", folds=2)
    with pytest.raises(InputError, match="folds=2, and this command has 3"):
        review(maker("classification", data), tmp_path / "out", folds=3)
    with pytest.raises(InputError, match=r"learning_rate=.*, and this command has 0\.5"):
        review(maker("classification", data, "--learning-rate", "0.5"), tmp_path / "out", folds=2)
    write(data, [{**rows[0], "label": "odd"}, *rows[1:]])
    with pytest.raises(InputError, match="is a review of other rows, or other labels"):
        review(maker("classification", data), tmp_path / "out", folds=2)


def test_the_command_ends_with_the_table(tiny, tmp_path, capsys):
    rows = rows_of("classification")
    rows[0]["text"] = f"={rows[0]['text']}"
    data = write(tmp_path / "rows.csv", rows)
    flags = flags_of("classification", data, tiny("bert"))[2:]
    out = str(tmp_path / "out")
    given = ["review", str(data), "--task", "classification", "--output", out, "--folds", "2"]
    assert main([*given, "--no-page", *flags]) == 0
    said = capsys.readouterr().out
    assert f"labels are doubtful: {out}/review.csv" in said
    safe = {row["text"] for row in table_of(tmp_path / "out" / "review.csv")}
    assert json.loads((tmp_path / "out" / "review.json").read_text())["folds"] == 2
    assert main([*given, "--no-page", "--no-defuse", *flags]) == 0  # the folds are done
    plain = {row["text"] for row in table_of(tmp_path / "out" / "review.csv")}
    assert rows[0]["text"] in plain and f"'{rows[0]['text']}" in safe


@pytest.mark.slow
def test_a_pretrained_model_finds_turned_labels(minilm, shared, tmp_path):
    with open(shared / "data" / "en_rotten_tomatoes" / "train.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["text"].strip()][::20][:420]
    turned = set(range(0, 420, 20))
    for place in turned:
        rows[place] = {**rows[place], "label": {"0": "1", "1": "0"}[rows[place]["label"]]}
    data = write(tmp_path / "rows.csv", rows)
    given = ["review", str(data), "--task", "classification", "--checkpoint", str(minilm),
             "--output", str(tmp_path / "out"), "--folds", "3", "--no-page", "--max-test-rows", "0",
             "--learning-rate", "1e-4", "--num-train-epochs", "2",
             "--disable-tqdm", "true"]  # fmt: skip
    assert main(given) == 0
    order = [int(row["row"]) - 1 for row in table_of(tmp_path / "out" / "review.csv")]
    first = sum(place in turned for place in order[:42])
    assert first >= 5, "chance is 2"
    assert np.mean([order.index(place) for place in turned]) < 0.35 * len(rows), "chance is half"
