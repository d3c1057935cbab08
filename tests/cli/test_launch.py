"""On which GPUs a command runs: the counts are set, and what would be started is checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.elastic.multiprocessing import errors

from frtune import InputError, SequenceClassification, build_model, cli, training_arguments
from frtune.cli import launch
from frtune.cli.train import launched_run
from frtune.environment.torchrun import torchrun, torchrun_words
from frtune.run.settings import RunSettings, check_settings
from frtune.training.device_checks import check_devices, launch_command

SAVED = Path(__file__).parents[1] / "fixtures" / "v0_1_0" / "models"
PREDICT = ["predict", str(SAVED / "classification"), "--file", "rows.txt"]
TRAIN = ["train", "classification"]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """``machine(2)``: one with two GPUs; the list that it returns gets what torchrun is told."""
    started = []

    def torchrun(processes, program, **options):
        started.append(torchrun_words(processes, program))
        return 7, "frtune: what the first to fail said."

    monkeypatch.chdir(tmp_path)
    Path("rows.txt").write_text("A library.\n")
    monkeypatch.setattr(launch, "torchrun", torchrun)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    for name in ("RANK", "WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)

    def make(gpus, **launcher):
        started.clear()
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        for name, value in launcher.items():
            monkeypatch.setenv(name, value)
        return started

    return make


def test_a_process_that_leaves_no_word_is_told_by_its_exit_code(monkeypatch):
    def run(args):
        failure = errors.ProcessFailure(local_rank=1, pid=1, exitcode=3, error_file="")
        raise errors.ChildFailedError("frtune", {1: failure})

    monkeypatch.setattr("frtune.environment.torchrun.run", run)
    code, line = torchrun(2, ["-m", "frtune", "predict"])
    assert code == 3 and line.startswith("process 1 ended with exit code 3.")


def test_debug_reaches_the_processes(machine):
    started = machine(2)
    assert cli.main([*PREDICT, "--debug"]) == 7
    assert started[0][-1] == "--debug"
    cli.main(PREDICT)
    assert started[-1][-1] != "--debug"


@pytest.mark.parametrize(
    "words",
    [
        PREDICT,
        ["evaluate", str(SAVED / "classification"), "--data", "sample"],
        [*TRAIN, "--lora", "--output-dir", "my runs"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_starts_on_all_gpus_or_as_many_as_are_named(words, machine, capsys):
    for flags, gpus in (([], 3), (["--gpus", "2"], 2)):
        started = machine(3)
        assert cli.main([*words, *flags]) == 7
        told = ["--standalone", "--nproc-per-node", str(gpus), "-m", "frtune", *words, *flags]
        assert started == [told]
        said = capsys.readouterr().err.splitlines()
        shown = f"As: torchrun --standalone --nproc-per-node {gpus} -m frtune {words[0]} "
        assert len(said) == 2 and shown in said[0] and said[0].startswith(f"frtune {words[0]}: ")
        assert said[1] == "frtune: what the first to fail said."


def test_bad_flags_are_told_before_anything_starts(machine, capsys):
    refused = [
        ([*PREDICT, "--gpus", "4"], "--gpus 4: 3 are visible (CUDA_VISIBLE_DEVICES=4,5,6)."),
        ([*TRAIN, "--gpus", "9"], "--gpus 9: 3 are visible"),
        ([*TRAIN, "--gpus", "-1"], "gpus=-1: at least 0"),
        ([*TRAIN, "--gpus", "2", "--seeds", "3"], "--gpus 2: not with --seeds"),
        ([*TRAIN, "--gpus", "2", "--learning-curve"], "--gpus 2: not with --learning-curve"),
        ([*TRAIN, "--gpus", "2", "--use-cpu", "true"], "--gpus 2: not with --use-cpu"),
        ([*TRAIN, "--learning-rat", "1"], "--learning-rat: no such option"),
        (["predict", "nowhere", "--file", "rows.txt"], "nowhere: no such directory"),
        (["evaluate", "nowhere", "--data", "sample"], "nowhere: no such directory"),
        (["preflight", *TRAIN, "--gpus", "4"], "--gpus 4: 3 are visible"),
    ]
    for words, said in refused:
        started = machine(3)
        assert cli.main(words) == 2 and not started
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1 and said in told[0]
    started = machine(0)
    assert cli.main([*PREDICT, "--gpus", "1"]) == 2 and not started
    assert "--gpus 1: no GPU is visible here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gpus", "flag", "options", "visible"),
    [
        (3, None, {"usual": 1}, "4"),  # preflight, one text
        (3, None, {"alone": "--seeds"}, "4"),
        (3, 1, {}, "4"),
        (3, 0, {}, ""),
        (1, None, {}, "4,5,6"),
        (0, None, {}, "4,5,6"),
    ],
)
def test_one_process_sees_one_gpu_or_none(gpus, flag, options, visible, machine):
    started = machine(gpus)
    assert launch.launched(["train"], flag, **options) is None and not started
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


def test_under_a_launcher_nothing_is_started(machine):
    for launcher in (
        {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"},
        {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_SIZE": "2"},
    ):
        started = machine(3, **launcher)
        assert launch.launched(["train"], None) is None and launch.launched(["train"], 2) is None
        with pytest.raises(InputError, match="--gpus 3: a launcher started 2 processes"):
            launch.launched(["train"], 3)
        assert not started and os.environ["CUDA_VISIBLE_DEVICES"] == "4,5,6"


def test_processes_of_a_launcher_may_train_on_the_cpu(machine):
    flags = ["--data", "sample", "--checkpoint", "tiny", "--use-cpu", "true"]
    started = machine(3, RANK="0", WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    assert launched_run("keyphrases", flags, ["train", "keyphrases", *flags]) is None
    assert not started


@pytest.mark.parametrize("command", sorted(cli.ONE_DEVICE))
def test_other_commands_take_one_gpu(command, machine):
    started = machine(3)
    cli.main([command, "--no-such-option"])
    assert not started and os.environ["CUDA_VISIBLE_DEVICES"] == "4"


def test_a_trainer_on_several_gpus_is_refused_with_the_command_to_type(tiny, tmp_path, monkeypatch):
    task = SequenceClassification(labels=["a", "b"])
    model, tokenizer = build_model(task, checkpoint=str(tiny("camembert")))
    args = training_arguments(task, str(tmp_path), use_cpu=True)
    args._n_gpu = 2  # as where two are visible
    monkeypatch.setattr(sys, "argv", ["train.py", "--epochs", "3"])
    told = "torchrun --standalone --nproc-per-node 2 train.py --epochs 3"
    with pytest.raises(InputError, match=told):
        task.trainer(model, tokenizer, args)
    with pytest.raises(InputError, match=told):
        check_settings(RunSettings(), args, task)
    model.hf_device_map = {"a": 0, "b": 1}  # a model over two GPUs is no DataParallel
    check_devices(args, model)
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py"])
    assert launch_command(4, sys.argv).endswith("--nproc-per-node 4 script.py")


PROGRAM = """
import os, sys, torch
from frtune import cli
torch.cuda.device_count = lambda: 2
sys.exit(cli.main(sys.argv[1:]))
"""


def frtune(*words, **options):
    """A program of its own on a machine with two GPUs, as this process sees it."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        capture_output=True, text=True, timeout=300, **options,
    )  # fmt: skip


@pytest.mark.distributed
def test_what_fails_in_the_processes_is_told_once(tmp_path):
    rows = tmp_path / "rows.txt"
    rows.write_text("A library.\n\nA school.\n")
    failed = frtune("predict", SAVED / "classification", "--file", rows)
    assert failed.returncode == 2 and failed.stdout == ""
    said = failed.stderr.splitlines()
    assert len(said) == 2 and said[1].startswith(f"frtune: --file {rows}, line 2: blank.")
