"""Lives through the cells of the capability table, one after the other in the same processes.

    python tests/cells.py CHECKPOINTS.json FOLDER FAMILY/METHOD/SHARDING[/bf16] ...

The two processes are forked from one that has imported what they need. Each cell trains two steps
with evaluation, generation and checkpoints, goes back to the best, saves with a proof, and resumes
from step 1 with gradient checkpointing. In bf16 it ends with its first step, which it saves with a
proof, and does not resume. What each saw goes to ``FOLDER/rank0.json``.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import importlib.metadata
import json
import os
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from datasets import Dataset
from deepspeed.accelerator import get_accelerator
from deepspeed.utils import nvtx
from transformers import Trainer

from frtune import (
    KeyphraseGeneration,
    SequenceClassification,
    build_model,
    load,
    lora_config,
    save,
    training_arguments,
)
from frtune.models.families import FAMILIES

RANKS = 2
IMPORTED = (
    "frtune.metrics.keyphrase_report", "frtune.metrics.signatures", "frtune.models.loading",
    "frtune.models.model_verification", "frtune.data.row_checks",
    "frtune.training.make_trainer", "frtune.training.trainer",
    "peft.tuners.lora.bnb", "scipy.stats", "sklearn.metrics", "torch.utils.cpp_extension",
    "transformers.training_args_seq2seq",
)  # fmt: skip
CONFIGS = Path(__file__).parents[1] / "deepspeed_configs"
WORDS = (
    "The city council approved the budget of the school canteen and the mayor opened a library "
    "near the theatre where a thesis studies how children learn foreign languages"
).split()
ROWS = [
    {
        "text": " ".join(WORDS[i : i + 4 + i]),
        "keyphrases": WORDS[i : i + 2] if i % 3 else ["a"],  # unlike numbers of tokens
        "label": i % 2,
    }
    for i in range(8)
]


@dataclass(frozen=True)
class Cell:
    """Family, method, sharding and precision that train together."""

    family: str
    method: str
    sharding: str
    precision: str = "fp32"

    def __str__(self) -> str:
        end = "" if self.precision == "fp32" else f"/{self.precision}"
        return f"{self.family}/{self.method}/{self.sharding}{end}"


def task_of(family: str) -> Any:
    """Keyphrases where the family can generate, classification where it cannot."""
    if FAMILIES[family].kind == "encoder":
        return SequenceClassification(labels=["0", "1"], max_source_tokens=32)
    return KeyphraseGeneration(max_source_tokens=32, max_target_tokens=4)


def features_of(family: str) -> list[str]:
    """What a cell of the family shows."""
    kind = FAMILIES[family].kind
    return [
        "train",
        *(["generate"] if kind != "encoder" else []),
        *(["checkpointing"] if FAMILIES[family].gradient_checkpointing else []),
        *(["new_tokens"] if kind == "decoder" else []),
        "resume",
    ]


def make_trainer(cell: Cell, checkpoint: str, folder: Path, *, resuming: bool) -> Any:
    """The cell's trainer: a step is of eight rows, however many processes there are."""
    task = task_of(cell.family)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    generates = FAMILIES[cell.family].kind != "encoder"
    zero = cell.sharding.startswith("zero")
    args = training_arguments(
        task,
        str(folder),
        max_steps=2 if cell.precision == "fp32" else 1,
        per_device_train_batch_size=4 // processes,
        gradient_accumulation_steps=2,
        per_device_eval_batch_size=4 // processes,
        learning_rate=1e-2,
        lr_scheduler_type="constant",
        deepspeed=str(CONFIGS / f"{cell.sharding}.json") if zero else None,
        predict_with_generate=generates,
        # a tiny model scores 0 at first, so that step 1 stays the best, and is not the last
        metric_for_best_model="f1_at_10" if generates else "accuracy",
        greater_is_better=True,
        load_best_model_at_end=not resuming,
        eval_strategy="no" if resuming else "steps",
        save_strategy="no" if resuming else "steps",
        eval_steps=1,
        save_steps=1,
        logging_steps=1,
        bf16=cell.precision == "bf16",
        disable_tqdm=True,
        use_cpu=True,
    )
    torch.manual_seed(0)  # for a new head and the adapter
    model, tokenizer = build_model(
        task,
        checkpoint=checkpoint,
        lora=None if cell.method == "full" else lora_config(dropout=0.0),
        quantization=cell.method if cell.method in ("int8", "nf4") else None,
        gradient_checkpointing=resuming and FAMILIES[cell.family].gradient_checkpointing,
        proof=False,
    )
    without_dropout(model)
    rows = Dataset.from_list(ROWS)
    return task.trainer(
        model, tokenizer, args, train_dataset=rows, eval_dataset=rows.select(range(4)),
        max_tokens_per_batch=40,  # several cuts a step
    )  # fmt: skip


def without_dropout(model: Any) -> None:
    """Leave nothing to chance."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("dropout", "attention_dropout", "activation_dropout"):
            if isinstance(getattr(module, name, None), float):  # BART's layers
                setattr(module, name, 0.0)


def live_through(cell: Cell, checkpoint: str, folder: Path) -> dict[str, Any]:
    """Run one cell; return losses, gradient norms and scores."""
    trainer = make_trainer(cell, checkpoint, folder / "run", resuming=False)
    trainer.train()
    seen: dict[str, Any] = {"steps": steps(trainer), "best": str(trainer.state.best_global_step)}
    seen["best_loss"] = loss_of(trainer)
    save(trainer, folder / "saved")
    tear_down(trainer)
    if cell.precision != "fp32":
        return seen
    del trainer
    trainer = make_trainer(cell, checkpoint, folder / "again", resuming=True)
    trainer.train(resume_from_checkpoint=str(folder / "run" / "checkpoint-1"))
    seen["resumed"] = {**steps(trainer)["2"], "eval_loss": loss_of(trainer)}
    tear_down(trainer)
    return seen


def loss_of(trainer: Any) -> float:
    """Loss on the evaluation set, without generation."""
    return Trainer.evaluate(trainer)["eval_loss"]


def steps(trainer: Any) -> dict[str, dict[str, float]]:
    """Loss, gradient norm and scores of evaluation of each step that ran."""
    found: dict[str, dict[str, float]] = {}
    for entry in trainer.state.log_history:
        wanted = ("loss", "grad_norm", "eval_loss", "eval_f1_at_10", "eval_accuracy")
        found.setdefault(str(entry["step"]), {}).update(
            {name: entry[name] for name in wanted if name in entry}
        )
    return found


def tear_down(trainer: Any = None) -> None:
    """Forget the engine and what accelerate and Transformers keep of a run."""
    from accelerate.state import AcceleratorState, GradientState
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    if trainer is not None:
        if hasattr(trainer.model_wrapped, "destroy"):
            trainer.model_wrapped.destroy()
        trainer.accelerator.free_memory()
    unset_hf_deepspeed_config()
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    for name in [name for name in os.environ if name.startswith("ACCELERATE_")]:
        del os.environ[name]
    gc.collect()


def main(*arguments: str) -> None:
    """Run the cells in two processes; raises ``RuntimeError`` if one of them ends badly."""
    for name in IMPORTED:
        importlib.import_module(name)
    nvtx.enable_nvtx = False  # marks for a GPU's profiler, around each call that ZeRO-3 makes
    # asked for again and again: a program is started to count devices, files are read for versions
    device = get_accelerator()
    device.device_count = functools.cache(device.device_count)
    importlib.metadata.metadata = functools.cache(importlib.metadata.metadata)
    importlib.metadata.version = functools.cache(importlib.metadata.version)
    gc.freeze()
    port = str(30_000 + os.getpid() % 1_000)  # none that the system gives to others meanwhile
    ids = set()
    for rank in range(RANKS):
        if (pid := os.fork()) == 0:
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, LOCAL_RANK=str(rank))
            code = 1
            try:
                run(rank, *arguments)
                code = 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code)
        ids.add(pid)
    while ids:
        pid, status = os.wait()
        ids.remove(pid)
        if status:
            for other in ids:
                os.kill(other, signal.SIGKILL)
            raise RuntimeError(f"a process ended with {os.waitstatus_to_exitcode(status)}")


def run(rank: int, checkpoints: str, folder: str, *names: str) -> None:
    """Run the cells as one of the processes, and write down what it saw after each.

    The ranks share out the cells of one process, then start their group for the others.
    """
    from frtune.training.distributed import leave

    known = json.loads(Path(checkpoints).read_text())
    local = os.environ.pop("LOCAL_RANK")
    found: dict[str, Any] = {}
    place = Path(folder, f"rank{rank}.json")
    for name in [name for name in names if "/none" in name][rank::RANKS]:
        record(name, known, folder, found, place)
        shutil.rmtree(directory(folder, name) / "run", ignore_errors=True)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(RANKS), LOCAL_RANK=local)
    torch.distributed.init_process_group("gloo", timeout=timedelta(minutes=10))
    before = None
    for name in [name for name in names if "/none" not in name]:
        record(name, known, folder, found, place)
        if rank == 0 and before is not None:  # the other process has left it too
            shutil.rmtree(directory(folder, before) / "run", ignore_errors=True)
        before = name
    saved = Path(folder, "t5-full-ddp", "saved")
    if rank == 0 and saved.is_dir():  # one process answers while the other waits
        answers = load(saved, bf16=False).predict("The mayor opened a library.")
        Path(folder, "alone.json").write_text(json.dumps(answers))
    leave()


def directory(folder: str, name: str) -> Path:
    """Where a cell writes."""
    return Path(folder, name.replace("/", "-"))


def record(
    name: str, known: dict[str, str], folder: str, found: dict[str, Any], place: Path
) -> None:
    """Run one cell, and write down all that was found so far."""
    cell = Cell(*name.split("/"))
    start = time.process_time()
    try:
        found[name] = live_through(cell, known[cell.family], directory(folder, name))
    except Exception:
        found[name] = {"error": traceback.format_exc()[-2500:]}
        with contextlib.suppress(Exception):
            tear_down()
    found[name]["cpu_seconds"] = round(time.process_time() - start, 2)
    gc.freeze()  # what was imported; accelerate collects garbage often
    place.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
