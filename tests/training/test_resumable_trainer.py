"""Signals, full disks and full memory end a training so that it can go on."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback

from frtune import InputError
from frtune.errors import RunStopped
from frtune.training.atomic_checkpoints import damage
from frtune.training.resource_errors import DiskFullError, MemoryFullError
from frtune.training.resumable_trainer import NonFiniteLossError
from frtune.training.signals import listening


class AtStep(TrainerCallback):
    """Does something as a step begins."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step + 1 == self.step:
            self.action()


def send(*signals):
    return lambda: [os.kill(os.getpid(), signum) for signum in signals]


def in_child(function) -> tuple[int, str]:
    """Run ``function`` in a fork; return its wait status and the text that it returned."""
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        torch.set_num_threads(1)  # a fork has none of OpenMP's threads, and would wait for them
        try:
            os.write(write, str(function()).encode())
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        text = stream.read().decode()
    return os.waitpid(pid, 0)[1], text


def names(directory):
    return sorted(path.name for path in Path(directory).iterdir())


# --- signals -------------------------------------------------------------------------------------


def test_sigterm_finishes_the_step_and_saves_it(saver, tmp_path):
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    whole = saver(tmp_path / "whole", save_strategy="no")
    whole.train()
    stopped = saver(
        tmp_path / "run", save_strategy="no", save_only_model=True,
        callbacks=[AtStep(2, send(signal.SIGTERM))],
    )  # fmt: skip
    with pytest.raises(RunStopped, match="143") as found:
        stopped.train()
    assert "checkpoint-2 is saved" in found.value.message
    assert names(tmp_path / "run") == ["checkpoint-2"]
    assert signal.signal(signal.SIGTERM, before) is signal.SIG_DFL
    resumed = saver(tmp_path / "run", save_strategy="no")
    resumed.train(resume_from_checkpoint=True)
    ends = (whole.model.state_dict(), resumed.model.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_ctrl_c_is_a_request_too_with_its_own_code():
    # a shell that starts pytest in the background has it ignore SIGINT
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with listening() as request:
        send(signal.SIGINT)()
    signal.signal(signal.SIGINT, before)
    assert RunStopped(request.signum, "").code == 130


def test_a_signal_in_the_last_step_of_an_epoch_waits_for_its_evaluation(saver, tmp_path):
    trainer = saver(
        tmp_path, num_train_epochs=2, max_steps=-1, per_device_train_batch_size=4,
        eval_strategy="epoch", save_strategy="epoch", callbacks=[AtStep(2, send(signal.SIGTERM))],
    )  # fmt: skip
    with pytest.raises(RunStopped):
        trainer.train()
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text("utf-8"))
    assert [entry["step"] for entry in state["log_history"] if "eval_loss" in entry] == [2]


def test_a_second_signal_ends_the_process_at_once():
    def stop():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with listening() as request:
            send(signal.SIGTERM)()
            assert request.agreed("cpu") == signal.SIGTERM
            send(signal.SIGTERM)()

    status, text = in_child(stop)
    assert text == ""
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


def test_a_handler_of_the_users_own_is_left_alone():
    got = []
    before = signal.signal(signal.SIGTERM, lambda *_: got.append("mine"))
    try:
        with listening() as request:
            send(signal.SIGTERM)()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (got, request.signum) == (["mine"], 0)


# --- disks ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def largest_file(size):
    """The operating system refuses to write more than ``size`` bytes into one file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path):
    """``small_disk(bytes)``: the mount point of a file system of that size."""
    mounted = []

    def make(size):
        folder = tmp_path / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("needs the right to mount a file system")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def check_full(trainer, directory, kept):
    with pytest.raises(
        DiskFullError, match=r"the disk is full. A checkpoint takes about \d+\.\d MB"
    ):
        trainer.train()
    assert names(directory) == kept
    assert damage(directory / kept[-1]) is None


def test_a_write_that_the_system_refuses_leaves_the_checkpoint_before(saver, tmp_path):
    run = tmp_path / "run"
    with largest_file(1_000_000) as limit:
        check_full(saver(run, callbacks=[AtStep(2, limit)]), run, ["checkpoint-1"])


def test_a_full_disk_leaves_the_checkpoint_before(saver, small_disk, tmp_path):
    saver(tmp_path / "one", max_steps=1).train()
    files = (tmp_path / "one" / "checkpoint-1").rglob("*")
    taken = sum(path.stat().st_size for path in files)
    run = small_disk(int(taken * 2.5)) / "run"
    check_full(saver(run), run, ["checkpoint-1", "checkpoint-2"])
    full = saver(run)
    with pytest.raises(InputError, match=r"a checkpoint takes about .* are free\. Make room"):
        full.train(resume_from_checkpoint=True)
    subprocess.run(["mount", "-o", "remount,ro", str(run.parent)], check=True)
    with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\)"):
        full.train(resume_from_checkpoint=True)


# --- memory --------------------------------------------------------------------------------------


filled: list[torch.Tensor] = []  # in a child
ROWS = 32  # need much more than is left, and one row much less
UNCUT = {"train_sampling_strategy": "group_by_length"}  # without a budget of tokens


@pytest.fixture(scope="module")
def long_rows():
    text = "budget de la cantine scolaire " * 100
    return Dataset.from_list([{"text": text, "keyphrases": ["budget"]}] * ROWS)


def no_memory():
    """Leave the process 180 MB more than it has, and nothing of what earlier tests freed."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    for block in (1 << 20, 1 << 16):
        with contextlib.suppress(RuntimeError):
            while True:
                filled.append(torch.empty(block, dtype=torch.uint8))
    resource.setrlimit(resource.RLIMIT_AS, (size + 180_000_000, resource.RLIM_INFINITY))


def much_memory():
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture
def hungry(saver, long_rows, tmp_path):
    """``hungry(first, second)``: a trainer of one step, and what each try at it begins with."""

    def make(*actions, **overrides):
        tries = iter(actions)
        return saver(
            tmp_path, dataset=long_rows, source=512, max_steps=1, save_strategy="no",
            per_device_train_batch_size=ROWS, callbacks=[AtStep(1, lambda: next(tries)())],
            **overrides,
        )  # fmt: skip

    return make


def test_out_of_memory_cuts_steps_or_names_step_batch_and_what_to_try(hungry):
    cut = hungry(no_memory)
    cut.max_tokens_per_batch = ROWS * 512

    def train():
        cut.train()
        return cut.cut_tokens

    assert int(in_child(train)[1]) in [rows * 512 for rows in (1, 2, 4, 8, 16)]
    _, text = in_child(hungry(no_memory, **UNCUT).train)
    assert text.startswith(MemoryFullError.__name__)
    assert "ran out at step 1 with a batch of 32 rows x 512 tokens" in text
    for way in ("--max-tokens-per-batch 8192 (the same", "--lora", "frtune plan --checkpoint "):
        assert way in text


def test_auto_find_batch_size_sees_the_memory_run_out(hungry):
    trainer = hungry(no_memory, much_memory, auto_find_batch_size=True, **UNCUT)

    def train():
        trainer.train()
        return trainer.state.train_batch_size

    assert in_child(train)[1] == "28"  # Accelerate tries 0.9 of the batch


# --- numbers -------------------------------------------------------------------------------------


def test_a_gradient_that_is_not_finite_names_the_rows_of_the_step(saver, tmp_path):
    trainer = saver(tmp_path, gradient_accumulation_steps=2, save_strategy="no")
    next(trainer.model.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NonFiniteLossError, match=r"gradient norm=nan in training at step 1, rows"):
        trainer.train()
    content = json.loads((tmp_path / "non_finite_rows.json").read_text("utf-8"))
    assert (content["what"], content["step"], len(set(content["rows"]))) == ("gradient norm", 1, 4)


def test_a_loss_that_is_not_finite_names_the_rows_of_its_batch_before_weights_change(
    plain, tmp_path
):
    rows = [{"x": [float(i != 5) or float("nan")] * 4, "labels": 1.0, "row": i} for i in range(12)]
    trainer = plain(tmp_path, rows=rows, gradient_accumulation_steps=4)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    with pytest.raises(NonFiniteLossError, match=r"loss=nan in training at step 1, rows \["):
        trainer.train()
    found = json.loads((tmp_path / "non_finite_rows.json").read_text("utf-8"))["rows"]
    assert len(found) == 3 and 5 in found
    after = trainer.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert trainer.args.logging_nan_inf_filter  # the user's arguments are as they were


@pytest.mark.parametrize("order", [("loss", "gradient norm"), ("gradient norm", "loss")])
def test_of_several_processes_the_one_whose_loss_is_not_finite_names_the_rows(
    order, plain, tmp_path, monkeypatch
):
    trainer = plain(tmp_path)
    monkeypatch.setattr(type(trainer.args), "world_size", 2)
    for what in order:
        with pytest.raises(NonFiniteLossError, match=f"{what}=nan"):
            rows = [7] if what == "loss" else [1, 2]
            trainer._raise_non_finite(what, float("nan"), [torch.tensor(rows), None])
    found = json.loads((tmp_path / "non_finite_rows.json").read_text("utf-8"))
    assert (found["what"], found["rows"]) == ("loss", [7])


def test_the_rows_of_an_earlier_attempt_are_not_named_again(saver, tmp_path):
    saver(tmp_path, save_strategy="no").train()
    (tmp_path / "non_finite_rows.json").write_text('{"what": "loss", "step": 1, "rows": [99]}')
    trainer = saver(tmp_path, save_strategy="no")
    trainer.train()
    assert not (tmp_path / "non_finite_rows.json").exists()


# --- without a task ------------------------------------------------------------------------------


def ends_alike(one, other):
    ends = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_plain_model_that_is_stopped_and_killed_ends_as_if_left_alone(plain, tmp_path):
    (whole := plain(tmp_path / "whole", save_strategy="no")).train()
    run = tmp_path / "run"
    with pytest.raises(RunStopped, match="143"):
        plain(run, callbacks=[AtStep(3, send(signal.SIGTERM))]).train()
    assert names(run) == ["checkpoint-2", "checkpoint-3"]

    def go_on():
        kill = AtStep(6, send(signal.SIGKILL))
        plain(run, callbacks=[kill]).train(resume_from_checkpoint=True)

    status, text = in_child(go_on)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, text
    (resumed := plain(run)).train(resume_from_checkpoint=True)
    assert Path(resumed.checked).name == "checkpoint-4"
    assert ends_alike(whole, resumed)
    assert damage(run / "checkpoint-8") is None
    assert not (run / "checkpoint-8" / "training_args.bin").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"learning_rate": 0.5}, "learning_rate is 0.5"), ({"rows": 11}, "other train rows")],
)
def test_a_plain_model_goes_on_from_its_own_run_alone(plain, tmp_path, change, message):
    plain(tmp_path, max_steps=2).train()
    if "rows" in change:
        change = {"rows": [{"x": [1.0] * 4, "labels": 1.0, "row": i} for i in range(12)]}
    with pytest.raises(InputError, match=message):
        plain(tmp_path, max_steps=2, **change).train(resume_from_checkpoint=True)


def test_a_plain_model_names_its_rows_and_its_memory(plain, tmp_path, monkeypatch):
    rows = [{"x": [float("nan")] * 4, "labels": 1.0, "row": i} for i in range(3)]
    with pytest.raises(NonFiniteLossError, match=r"loss=nan in training at step 1, rows \[\d, \d"):
        plain(tmp_path, rows=rows).train()

    def hungry(self, x, labels):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    trainer = plain(tmp_path)
    monkeypatch.setattr(type(trainer.model), "forward", hungry)
    where = r"at step 1 with a batch of 3 rows x 4 tokens\. Try --per-device-train-batch-size 1"
    with pytest.raises(MemoryFullError, match=f"{where} --gradient-accumulation-steps 2 .the same"):
        trainer.train()
    trainer = plain(tmp_path, per_device_eval_batch_size=6)
    with pytest.raises(MemoryFullError, match=r"in evaluation .* --per-device-eval-batch-size 3"):
        trainer.evaluate()
