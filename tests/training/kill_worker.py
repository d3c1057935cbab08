"""Trains while it is killed and stopped; prints, as JSON, how that ends beside a whole run.

A parent that has imported everything and computed nothing forks the trainings, so that each costs
a second: the whole run tells it what there is to import.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState

import frtune.training.trainer  # noqa: F401 - before the forks, which share it
from frtune import KeyphraseGeneration, build_model, lora_config, training_arguments
from frtune.errors import RunStopped
from frtune.training.atomic_checkpoints import checkpoints
from frtune.training.distributed import leave

STEPS = 24
END = "end.json"
IMPORTED = "imported.txt"
# so that no run is done before it was killed often enough
STEPS_AN_ATTEMPT = 1
ZERO2 = {
    "zero_optimization": {"stage": 2},
    "optimizer": {"type": "AdamW", "params": {"lr": "auto", "torch_adam": True}},
    "train_micro_batch_size_per_gpu": "auto",
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
}


class Counter(TrainerCallback, ExportableState):
    """Lowers the rate at every third step that it saw."""

    def __init__(self):
        self.seen = 0

    def on_step_end(self, args, state, control, optimizer=None, **kwargs):
        self.seen += 1
        if self.seen % 3 == 0:
            for group in optimizer.param_groups:
                group["lr"] *= 0.9

    def state(self):
        return {"args": {}, "attributes": {"seen": self.seen}}


# the loss never falls by so much: early stopping ends it at step 16, and the rate falls on and on
DECIDING = {
    "lr_scheduler_type": "reduce_lr_on_plateau",
    "lr_scheduler_kwargs": {"patience": 1, "threshold": 0.5, "factor": 0.7},
    "load_best_model_at_end": True,
    "logging_steps": 5,
}


def train(kind: str, checkpoint: str, folder: Path, rows: list[dict], goes_on: bool) -> None:
    """One training, from where the last one was killed if it ``goes_on``, to its end."""
    task = KeyphraseGeneration(max_source_tokens=64, max_target_tokens=8)
    settings = {
        "max_steps": STEPS, "per_device_train_batch_size": 2, "learning_rate": 1e-3, "bf16": False,
        "disable_tqdm": True, "save_strategy": "steps", "save_steps": 1, "logging_steps": 1,
        "eval_strategy": "steps", "eval_steps": 1, "metric_for_best_model": "eval_loss",
        "greater_is_better": False, "deepspeed": ZERO2 if kind == "zero2" else None,
    }  # fmt: skip
    settings |= DECIDING if kind == "deciding" else {}
    args = training_arguments(task, str(folder), **settings)
    torch.manual_seed(0)
    lora = lora_config() if kind == "lora" else None
    model, tokenizer = build_model(task, checkpoint=checkpoint, lora=lora, proof=False)
    data = Dataset.from_list(rows)
    held_out = data.select(range(2))
    callbacks = [EarlyStoppingCallback(15, 99.0), Counter()] if kind == "deciding" else []
    trainer = task.trainer(
        model, tokenizer, args, train_dataset=data, eval_dataset=held_out, callbacks=callbacks,
        proof=not goes_on,
    )  # fmt: skip
    try:
        trainer.train(resume_from_checkpoint=goes_on or None)
    except RunStopped:
        leave()
        raise
    if args.process_index == 0:
        weights = {k: v.clone() for k, v in trainer.model.state_dict().items()}
        save_file(weights, folder / "weights")
        (folder / END).write_text(json.dumps(report(trainer), sort_keys=True), encoding="utf-8")
        (folder / IMPORTED).write_text("\n".join(sys.modules), encoding="utf-8")
    leave()


def report(trainer) -> list:
    """What the run tells of itself, but for times and places."""
    state, timed = trainer.state, ("_runtime", "_per_second")
    history = [
        {key: value for key, value in entry.items() if not key.endswith(timed)}
        for entry in state.log_history
    ]
    return [state.global_step, state.best_global_step, state.stateful_callbacks, history]


def any_saved(folder: Path) -> bool:
    return bool(checkpoints(folder)) or any(folder.glob(".draft-*/*/frtune_checkpoint.json"))


def start(processes: int, kind: str, checkpoint: str, folder: Path, rows: list[dict]) -> list[int]:
    """Fork the training's processes; return their ids."""
    goes_on = any_saved(folder)  # asked before one of them tidies up
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ids = []
    for rank in range(processes):
        if (pid := os.fork()) == 0:
            if processes > 1:
                os.environ.update(
                    RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes),
                    MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
                )  # fmt: skip
            code = 1
            try:
                train(kind, checkpoint, folder, rows, goes_on)
                code = 0
            except RunStopped as stop:
                code = stop.code
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code)
        ids.append(pid)
    return ids


def ended(pid: int) -> bool:
    found, status = os.waitpid(pid, os.WNOHANG)
    if found and status and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        raise RuntimeError(f"the training ended by itself, with status {status}")
    return bool(found)


def kill(ids: list[int], folder: Path, chance: random.Random) -> bool:
    """Kill at a moment drawn by ``chance``, every other time while a checkpoint is written.

    Returns:
        Whether a draft was left behind, so that the kill struck while one was written.
    """
    last = newest_step(folder) + STEPS_AN_ATTEMPT
    before = drafts(folder)
    while_saving = chance.random() < 0.5
    until = time.monotonic() + chance.uniform(0, 3)
    while not ended(ids[0]):
        if newest_step(folder) >= last or (not while_saving and time.monotonic() > until):
            break
        if while_saving and drafts(folder) - before:
            time.sleep(chance.uniform(0, 0.03))
            break
        time.sleep(0.001)
    else:
        raise RuntimeError("the training ended before it was killed")
    chance.shuffle(ids)
    # SIGTERM has it finish the step and save
    signum = signal.SIGTERM if len(ids) == 1 and chance.random() < 0.2 else signal.SIGKILL
    for pid in ids:
        os.kill(pid, signum)
    for pid in ids:
        os.waitpid(pid, 0)
    return bool(drafts(folder) - before)


def drafts(folder: Path) -> set[int]:
    """When the files were made that are in drafts; those of a killed run stay until the next."""
    found = set()
    for draft in folder.glob(".draft-checkpoint-*"):
        for inside, _, names in os.walk(draft):  # passes over what has been renamed meanwhile
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    found.add(os.stat(os.path.join(inside, name)).st_ctime_ns)
    return found


def stop(ids: list[int], folder: Path) -> list[int]:
    """Ask one of the processes to stop; return the exit codes of all."""
    last = newest_step(folder) + 1
    while newest_step(folder) < last and not ended(ids[0]):
        time.sleep(0.01)
    os.kill(ids[-1], signal.SIGTERM)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ids]


def newest_step(folder: Path) -> int:
    found = checkpoints(folder)
    return int(found[0].name.split("-")[1]) if found else 0


def compare(kind: str, checkpoint: str, folder: Path, rows: list[dict], kills: int) -> dict:
    """Train once whole and once with kills, and compare the weights."""
    processes = 2 if kind == "zero2" else 1
    ends = []
    struck, codes, chance = [], [], random.Random(kind)
    for name in ("whole", "killed"):
        directory = folder / kind / name
        directory.mkdir(parents=True)
        arguments = (processes, kind, checkpoint, directory, rows)
        if name == "killed":
            struck = [kill(start(*arguments), directory, chance) for _ in range(kills)]
            codes = stop(start(*arguments), directory)
        for pid in start(*arguments):
            os.waitpid(pid, 0)
        import_all((directory / IMPORTED).read_text(encoding="utf-8").split())
        ends.append(directory)
    best, last = (
        [load_file(end / name) for end in ends]
        for name in ("weights", f"checkpoint-{newest_step(ends[0])}/{weights_of(kind)}")
    )
    return {
        "kills": len(struck),
        "while saving": sum(struck),
        "exit codes": codes,
        "steps": [newest_step(end) for end in ends],
        "same report": len({(end / END).read_text(encoding="utf-8") for end in ends}) == 1,
        "largest difference": max(difference(*best), difference(*last)),
        "left": sorted(path.name for path in ends[1].iterdir()),
    }


def import_all(names: list[str]) -> None:
    """Import what a training did, for the next ones; some of it only exists while one runs."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def weights_of(kind: str) -> str:
    return "adapter_model.safetensors" if kind == "lora" else "model.safetensors"


def difference(one: dict, other: dict) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


if __name__ == "__main__":
    checkpoint, folder, kills, *kinds = sys.argv[1:]
    rows = [json.loads(line) for line in Path(folder, "rows.jsonl").open(encoding="utf-8")]
    found = {kind: compare(kind, checkpoint, Path(folder), rows, int(kills)) for kind in kinds}
    sys.stdout.write(json.dumps(found) + "\n")
