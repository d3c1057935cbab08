"""``frtune runs`` finds every run below a folder, says its state, and compares like with like."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest
from transformers import TrainerCallback

from frtune import InputError, find_runs
from frtune.cli import main
from frtune.cli.train_arguments import parse_train_arguments
from frtune.errors import RunStopped
from frtune.files import is_locked, locked
from frtune.run.run import run

FLAGS = ["--checkpoint=tiny", "--max-steps=4", "--max-train-rows=32", "--max-eval-rows=8",
         "--per-device-train-batch-size=2", "--logging-steps=1", "--disable-tqdm=true",
         "--no-proof"]  # fmt: skip


class At(TrainerCallback):
    """Does something after a step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.act()


def train(directory, *flags, act=None, step=2):
    argv = [*FLAGS, f"--output-dir={directory}", *flags]
    callbacks = [At(step, act)] if act else []
    return run(*parse_train_arguments("classification", argv), callbacks=callbacks)


def fail():
    raise RuntimeError("the card fell\nout of its slot")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs in every state, and what a run that was under way said of itself."""
    root = tmp_path_factory.mktemp("runs")
    seen = []
    train(root / "a" / "slow", "--learning-rate=1e-5", "--max-test-rows=8")
    train(root / "a" / "fast", "--learning-rate=2e-3", "--max-test-rows=8",
          act=lambda: seen.append(find_runs(root, where=["name=a/fast"])))  # fmt: skip
    train(root / "b", "--max-test-rows=6")
    train(root / "untested", "--max-test-rows=0")
    with pytest.raises(RunStopped):
        train(root / "stopped", act=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(RuntimeError):
        train(root / "failed", act=fail, step=3)
    shutil.copytree(root / "stopped", root / "killed")
    status = json.loads((root / "killed" / "status.json").read_text())
    (root / "killed" / "status.json").write_text(json.dumps({**status, "state": "running"}))
    return root, seen


@pytest.fixture(scope="module")
def runs(folder):
    return {run.name: run for group in find_runs(folder[0]).groups for run in group.runs}


def test_every_run_is_found_with_its_state(runs):
    assert {name: run.state_text for name, run in runs.items()} == {
        "a/slow": "finished",
        "a/fast": "finished",
        "b": "finished",
        "untested": "finished",
        "stopped": "stopped at step 2 of 4",
        "failed": "failed at step 3 of 4: RuntimeError: the card fell",
        "killed": "stopped at step 2 of 4",
    }
    assert "checkpoint-2 is saved" in (runs["stopped"].line or "")


def test_a_run_under_way_says_so(folder):
    ((group,),) = [found.groups for found in folder[1]]
    (under_way,) = group.runs
    assert under_way.state == "running" and under_way.steps == 4
    assert under_way.score is None


def test_scores_of_other_test_rows_stand_in_another_group(folder):
    groups = find_runs(folder[0]).groups
    scored = [
        ({run.name for run in group.runs}, group.test_rows) for group in groups if group.signature
    ]
    assert ({"a/slow", "a/fast"}, 8) in scored and ({"b"}, 6) in scored and len(scored) == 2


def test_scores_of_another_signature_stand_in_another_group(folder, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(folder[0] / "a" / "slow", tmp_path / name)
    path = tmp_path / "two" / "signatures.json"
    path.write_text(path.read_text("utf-8").replace("avg:macro", "avg:other"), "utf-8")
    assert [len(group.runs) for group in find_runs(tmp_path).groups] == [1, 1]


def test_a_group_names_what_differs_and_nothing_else(folder):
    (group,) = (g for g in find_runs(folder[0]).groups if g.test_rows == 8)
    assert group.differing == ["learning_rate"]


def test_a_row_has_data_score_interval_time_and_size(runs):
    found = runs["a/fast"]
    assert (found.data, found.checkpoint, found.rows["train"]) == ("sample", "tiny", 32)
    assert len(found.hashes["test"]) == 32
    assert found.low <= found.score <= found.high and found.score_name == "f1_macro"
    assert found.seconds > 0 and found.size_bytes > 1000
    assert found.score == found.metrics["test_f1_macro"]


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (["state=failed"], {"failed"}),
        (["state!=finished"], {"stopped", "failed", "killed"}),
        (["name=a/*"], {"a/slow", "a/fast"}),
        (["learning_rate>=2e-3"], {"a/fast"}),
        (["learning_rate<0.002", "score>=0"], {"a/slow", "b"}),
        (["checkpoint=*bert*"], set()),
    ],
)
def test_conditions_choose(folder, where, names):
    assert {run.name for g in find_runs(folder[0], where=where).groups for run in g.runs} == names


def test_runs_are_sorted_by_score_or_as_asked(folder):
    (best,) = find_runs(folder[0], where=["name=a/*"]).groups
    assert best.runs[0].score >= best.runs[1].score
    for reverse in (False, True):
        (found,) = find_runs(
            folder[0], where=["name=a/*"], sort="learning_rate", reverse=reverse
        ).groups
        assert [run.name for run in found.runs] == ["a/slow", "a/fast"][:: -1 if reverse else 1]


def test_a_stopped_run_that_goes_on_is_finished_and_its_time_counts(folder, tmp_path):
    shutil.copytree(folder[0] / "stopped", tmp_path / "run")
    path = tmp_path / "run" / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 1000.0}))
    config = tmp_path / "run" / "config.yaml"
    train(tmp_path / "run", f"--config={config}", "--resume")
    ((found,),) = [group.runs for group in find_runs(tmp_path).groups]
    assert (found.state, found.step, found.line) == ("finished", 4, None)
    assert found.seconds > 1000


def test_the_command_prints_tables_or_json(folder, capsys):
    assert main(["runs", str(folder[0])]) == 0
    shown = capsys.readouterr().out
    for text in ("a/fast", "learning_rate=0.002", "stopped at step 2 of 4", "8 test rows"):
        assert text in shown
    assert main(["runs", str(folder[0]), "--json", "--where", "state=failed"]) == 0
    content = json.loads(capsys.readouterr().out)
    (failed,) = content["groups"][0]["runs"]
    assert failed["line"] == "RuntimeError: the card fell" and failed["settings"]["max_steps"] == 4


def test_a_damaged_run_is_named_and_the_others_are_shown(folder, tmp_path, capsys):
    for name in ("good", "torn"):
        shutil.copytree(folder[0] / "failed", tmp_path / name)
    (tmp_path / "torn" / "manifest.json").write_text('{"task": ')
    assert main(["runs", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert "good" in shown.out and "left out" in shown.err and "torn/manifest.json" in shown.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["none"], "none: no such directory"),
        ([".", "--where", "state"], "not NAME=VALUE"),
        ([".", "--sort", "learning_rat"], "Did you mean learning_rate?"),
        ([".", "--where", "stat=failed"], "Did you mean state?"),
    ],
)
def test_bad_input_is_told_in_one_line(flags, message, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder[0])
    assert main(["runs", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_folder_without_runs_says_so(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert "no run" in capsys.readouterr().out


def test_runs_of_0_1_0_are_read():
    folder = os.path.join(os.path.dirname(__file__), "..", "fixtures", "v0_1_0")
    found = {run.name: run for group in find_runs(folder).groups for run in group.runs}
    assert found["models/classification"].state == "finished"
    assert found["models/classification"].seconds == pytest.approx(7.1029)
    assert found["resume"].state_text == "stopped at step 3"


def test_asking_for_a_lock_writes_nothing_and_frees_nothing(tmp_path):
    assert not is_locked(tmp_path) and not list(tmp_path.iterdir())
    with locked(tmp_path):
        assert is_locked(tmp_path)
        assert is_locked(tmp_path)
        with pytest.raises(InputError):
            find_runs(tmp_path / "none")
    assert not is_locked(tmp_path)
