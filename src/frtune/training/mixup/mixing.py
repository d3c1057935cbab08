"""A batch mixed with itself: labels, masks, ids."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch.nn import functional

from frtune.models.families import kind_of
from frtune.tasks.base import Task
from frtune.tasks.collators import IGNORED


def blended(values: torch.Tensor, share: float, partners: torch.Tensor) -> torch.Tensor:
    """Mix each row with its partner: ``share * values + (1 - share) * values[partners]``."""
    return share * values + (1 - share) * values[partners]


def united(mask: torch.Tensor, share: float, partners: torch.Tensor) -> torch.Tensor:
    """Let a row see what it sees or its partner does; the share of a row that is 0 sees nothing.

    Args:
        mask: Rows first; boolean, of 0 and 1, or to be added to scores (0 and very negative).
        share: Share of the rows themselves.
        partners: The partner of each row.
    """
    if share == 1:
        return mask
    other = mask[partners]
    return other if share == 0 else torch.maximum(mask, other)


def united_inputs(
    batch: dict[str, torch.Tensor], share: float, partners: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Mask, ids and token types of pairs of sequences: the partner's where a row has padding."""
    own = batch["attention_mask"] == 1
    inputs = {"attention_mask": united(batch["attention_mask"], share, partners)}
    for name in ("input_ids", "token_type_ids"):
        if name in batch:
            values, other = batch[name], batch[name][partners]
            shown = values if share == 1 else torch.where(own, values, other)
            inputs[name] = other if share == 0 else shown
    return inputs


def one_hot(labels: torch.Tensor, classes: int | None) -> torch.Tensor:
    """Class ids as probabilities, float32, 0 throughout where a label is -100.

    Scores, and 0 and 1 for each of several labels, stay as they are.

    Example:
        >>> import torch
        >>> one_hot(torch.tensor([1, -100]), 2).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    if classes is None or labels.is_floating_point():
        return labels.float()
    counted = labels != IGNORED
    return functional.one_hot(labels.clamp(min=0), classes).float() * counted[..., None]


def aligned(collator: Any, model: Any) -> Any:
    """The task's collator, padding on the left for a decoder.

    A decoder answers at the last token. Padded on the left, the last tokens of two rows stand at
    the same place, where each has read its whole text.
    """
    return dataclasses.replace(collator, side="left") if kind_of(model) == "decoder" else collator


def head_classes(task: Task, model: Any) -> int | None:
    """Labels that the head tells apart; ``None`` where it answers with a score."""
    return None if task.scored else model.config.num_labels
