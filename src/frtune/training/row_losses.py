"""The loss of each row alone, where a model writes text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from torch.nn import functional

from frtune.tasks.base import Task
from frtune.tasks.collators import IGNORED
from frtune.training.autocast import cast_once
from frtune.training.row_order import by_length


def row_losses(
    model: Any,
    encoded: Dataset,
    task: Task,
    tokenizer: Any,
    *,
    batch_size: int,
    autocast: Callable[[], Any] = contextlib.nullcontext,
) -> list[float]:
    """The mean cross-entropy of a token of each row's target, in nats.

    Args:
        model: In eval mode.
        encoded: Encoded rows, with labels.
        task: Encoded them.
        tokenizer: The model's.
        batch_size: Rows a batch.
        autocast: Makes the context that the model computes in.
    """
    collate = task.collator(model, tokenizer)
    shift = not model.config.is_encoder_decoder
    order, found = by_length(encoded["length"]), {}
    with torch.no_grad(), cast_once(model, autocast):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = collate([encoded[i] for i in rows])
            labels = batch.pop("labels")
            inputs = {n: v.to(model.device) for n, v in batch.items() if torch.is_tensor(v)}
            losses = token_means(model(**inputs).logits.float(), labels, shift=shift)
            found |= dict(zip(rows, losses.tolist(), strict=True))
    return [found[i] for i in range(len(order))]


def token_means(logits: torch.Tensor, labels: torch.Tensor, *, shift: bool) -> torch.Tensor:
    """The mean cross-entropy of the labels of each row.

    Args:
        logits: (batch, length, vocabulary).
        labels: (batch, length), -100 where no loss falls.
        shift: Decoders: position ``t`` predicts label ``t + 1``.

    Returns:
        (batch,); 0 for a row without labels.

    Example:
        >>> logits = torch.zeros(2, 2, 4)
        >>> token_means(logits, torch.tensor([[1, 2], [3, -100]]), shift=False).exp().tolist()
        [4.0, 4.0]
    """
    labels = labels.to(logits.device)
    if shift:
        logits, labels = logits[:, :-1], labels[:, 1:]
    losses = functional.cross_entropy(
        logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
    )  # (batch, length)
    return losses.sum(1) / (labels != IGNORED).sum(1).clamp(min=1)
