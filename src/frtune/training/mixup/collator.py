"""The collator of mixed training batches, and what can be mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from frtune.errors import InputError
from frtune.tasks.base import Task
from frtune.training.in_force import compiles
from frtune.training.mixup.hooks import block_count, check_hidden
from frtune.training.mixup.mixing import aligned, blended, head_classes, one_hot, united_inputs
from frtune.training.mixup.mixup import Mixup
from frtune.training.mixup.stored_rows import StoredCollator


@dataclass(frozen=True)
class MixupCollator:
    """Make a batch as the task's collator does, and say how its rows are to be mixed.

    Args:
        collator: The task's collator.
        mixup: What to mix.
        seed: Seed of the run.
        classes: Labels of the head; ``None`` where it answers with a score.
        blocks: Blocks of the model.

    Returns:
        What ``collator`` returns, and ``soft_labels``, float32, mixed: (batch, classes), (batch,
        length, classes), or (batch,) of scores. ``labels`` stay those of the rows: they are
        counted. ``mixup`` says what ``mixup.hooks.mixed`` does in the forward pass. For the level
        ``embeddings``, ``attention_mask`` has the tokens of both rows of a pair, and
        ``input_ids`` the partner's where a row has padding: a token is there, with its position.
    """

    collator: Any
    mixup: Mixup
    seed: int
    classes: int | None
    blocks: int = 1

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make the batch of ``examples``."""
        batch = self.collator(examples)
        ids, labels = batch["input_ids"], batch["labels"]
        size = len(labels)
        mix = self.mixup.draw(
            size, blocks=self.blocks, seed=self.seed, content=ids.numpy().tobytes()
        )
        rows = torch.tensor(mix.partners)
        orders = len(ids) // size  # sequences a row, one after the other
        partners = (rows[:, None] * orders + torch.arange(orders)).flatten()
        whole = one_hot(labels, self.classes)
        batch["soft_labels"] = blended(whole, mix.share, rows)
        batch["mixup"] = {"level": self.mixup.level, **mix._asdict(), "partners": partners}
        if self.mixup.level == "embeddings":
            batch["mixup"]["input_ids"] = ids
            batch.update(united_inputs(batch, mix.share, partners))
        return batch


def check_mixup(mixup: Mixup, task: Task, model: Any, args: Any) -> None:
    """Refuse (``InputError``) what cannot be mixed; without ``model``, what the task says of it."""
    if task.generates:
        raise InputError(
            f"mixup: not for {task.name}, which writes text and has no label to mix. Leave it out."
        )
    if mixup.level == "sentence" and task.labels_tokens:
        raise InputError(
            f"mixup level='sentence': {task.name} are labels of tokens. "
            "Take 'embeddings' or 'hidden'."
        )
    if mixup.rows is None and args.per_device_train_batch_size < 2:
        raise InputError(
            "mixup with per_device_train_batch_size=1: a row is mixed with another of its batch. "
            "Pass 2 or more."
        )
    if compiles(args) or args.n_gpu > 1:
        what = "torch_compile=True" if compiles(args) else f"{args.n_gpu} GPUs in one process"
        way = "Leave it out" if compiles(args) else "Launch with torchrun, a process for each"
        raise InputError(f"mixup: not with {what}. {way}.")
    if mixup.level == "hidden" and model is not None:
        blocks = block_count(model)
        if mixup.layer is not None and mixup.layer > blocks:
            raise InputError(f"mixup layer={mixup.layer}: this model has blocks 1 to {blocks}.")
        check_hidden(model)


def training_collator(mixup: Mixup, task: Task, model: Any, *, collator: Any, seed: int) -> Any:
    """The collator of training batches: ``collator`` is the task's own."""
    classes = head_classes(task, model)
    collator = aligned(collator, model)
    if mixup.rows is not None:
        return StoredCollator(collator, classes=classes)
    return MixupCollator(collator, mixup, seed=seed, classes=classes, blocks=block_count(model))
