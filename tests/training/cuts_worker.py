"""Trains with steps cut by length and without, each in two processes: started by ``torchrun``.

torchrun --nproc-per-node 2 tests/training/cuts_worker.py CHECKPOINT FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from cells import CONFIGS, ROWS, tear_down, without_dropout
from frtune import SequenceClassification, build_model, training_arguments
from frtune.training.distributed import leave
from frtune.training.resource_errors import MemoryFullError
from frtune.training.step_cuts import cuts_of

STEP = 8  # rows of a step, however many processes there are
COUNT = 7  # rows
SEVERAL = [
    {"text": row["text"], "label": ["a", "b", "c"][: i % 3] + ["d"] * (i == 1)}
    for i, row in enumerate(ROWS)
]  # as many as a step has
ROOM = 20  # tokens


def learnt(
    checkpoint: str, folder: str, sharding: str, *, several: bool = False, short: Any = None,
    **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Rows of this process in each step, and the losses and gradient norms of all.

    With ``several`` rows have several labels. ``short(tokens)`` says for each cut whether memory
    runs out.
    """
    rows = Dataset.from_list(SEVERAL if several else ROWS[:COUNT])
    task = SequenceClassification(labels=["0", "1"], max_source_tokens=32)
    if several:
        task = SequenceClassification(multi_label=True, max_source_tokens=32).fit(rows)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    args = training_arguments(
        task, folder, num_train_epochs=2, per_device_train_batch_size=1, learning_rate=1e-2,
        gradient_accumulation_steps=STEP // processes, eval_strategy="no", save_strategy="no",
        logging_steps=1, load_best_model_at_end=False, max_grad_norm=1e9, bf16=False,
        disable_tqdm=True,
        deepspeed=None if sharding == "ddp" else str(CONFIGS / f"{sharding}.json"), use_cpu=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model, tokenizer = build_model(task, checkpoint=checkpoint, proof=False)
    without_dropout(model)
    if short is not None:

        def full(module: Any, given: Any) -> None:
            if short(given[0].numel()):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")

        model.get_input_embeddings().register_forward_pre_hook(full)
    trainer = task.trainer(model, tokenizer, args, train_dataset=rows, proof=False, **settings)
    seen: list[list[int]] = []
    collate = trainer.get_batch_samples

    def collected(*given: Any) -> Any:
        batches, items = collate(*given)
        cuts = [each["row"].tolist() for batch in batches for each in cuts_of(batch)]
        seen.append(cuts)
        return batches, items

    trainer.get_batch_samples = collected
    problem = None
    try:
        trainer.train()
    except MemoryFullError as error:
        problem = str(error)
    history = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    tear_down(trainer)
    return {
        "seen": seen, "learnt": [[entry["loss"], entry["grad_norm"]] for entry in history],
        "cut_tokens": trainer.cut_tokens, "problem": problem,
    }  # fmt: skip


def main(checkpoint: str, folder: str) -> None:
    """Write what this process saw to ``FOLDER/rankN.json``."""
    found = {}
    for sharding in ("ddp", "zero2", "zero3"):
        for name, settings in (
            ("plain", {"cut_steps": False}), ("cut", {"max_tokens_per_batch": 12}),
        ):  # fmt: skip
            found[f"{sharding} {name}"] = learnt(checkpoint, folder, sharding, **settings)
        found[f"{sharding} several"] = learnt(
            checkpoint, folder, sharding, several=True, max_tokens_per_batch=12
        )
    rank = torch.distributed.get_rank()
    # in the second process alone, before the last cut
    budget = {"max_tokens_per_batch": 30}
    found["ddp short"] = learnt(
        checkpoint, folder, "ddp", short=lambda tokens: rank == 1 and tokens > ROOM, **budget
    )
    for sharding in ("ddp", "zero2"):  # where each waits for the others
        found[f"{sharding} full"] = learnt(
            checkpoint, folder, sharding, short=lambda tokens: True, max_tokens_per_batch=1000
        )
    Path(folder, f"rank{rank}.json").write_text(json.dumps(found))
    leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
