"""Training batches of a decoder without padding: rows end to end, none of which sees another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from frtune.errors import InputError
from frtune.models.families import kind_of
from frtune.tasks.base import Task
from frtune.tasks.collators import IGNORED, check_labels, row_ids

ATTENTION = ("sdpa", "eager")  # implementations that take a mask as it is given


@dataclass(frozen=True)
class PackingCollator:
    """Lay prompt + target examples end to end in one sequence.

    The mask is explicit. Models can find the rows by ``position_ids`` themselves, but do so only
    without a mask and a cache, and else let the rows leak into each other without a word.

    Args:
        additive: Write the mask as numbers to be added to the scores, as eager attention needs it
            (it would add 1 for ``True``); else as truth values, for SDPA.

    Returns:
        ``input_ids``, ``labels`` (-100 = no loss; always at a row's first token, which the row
        before must not predict) and ``position_ids`` (from 0 in each row), each int64 of shape
        ``(1, tokens)``. ``attention_mask``, of shape ``(1, 1, tokens, tokens)``: a token sees those
        before it in its row, and itself; bool, or float32 of 0 and minus infinity. ``row``, int64
        of shape ``(rows,)``, where the examples have it.

    Raises:
        ValueError: If an example's ``labels`` and ``input_ids`` differ in length.

    Example:
        >>> batch = PackingCollator()([
        ...     {"input_ids": [5, 6], "labels": [-100, 6]},
        ...     {"input_ids": [8, 9], "labels": [8, 9]}])
        >>> batch["labels"].tolist(), batch["position_ids"].tolist()
        ([[-100, 6, -100, 9]], [[0, 1, 0, 1]])
        >>> batch["attention_mask"][0, 0].int().tolist()
        [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    """

    additive: bool = False

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make the batch of ``examples``."""
        check_labels(examples)
        ids, labels = (
            torch.tensor(np.concatenate([np.asarray(each[name], np.int64) for each in examples]))
            for name in ("input_ids", "labels")
        )
        lengths = torch.tensor([len(example["input_ids"]) for example in examples])
        member = torch.repeat_interleave(torch.arange(len(examples)), lengths)  # (tokens,)
        positions = torch.arange(len(ids)) - (lengths.cumsum(0) - lengths)[member]
        mask = (member[:, None] == member[None, :]).tril_()  # (tokens, tokens)
        if self.additive:
            mask = torch.zeros(mask.shape).masked_fill_(~mask, -torch.inf)
        return {
            "input_ids": ids[None],
            "attention_mask": mask[None, None],
            "position_ids": positions[None],
            "labels": labels.masked_fill(positions == 0, IGNORED)[None],
            **row_ids(examples),
        }


def packing_collator(model: Any) -> PackingCollator:
    """The collator whose mask ``model`` reads."""
    return PackingCollator(additive=model.config._attn_implementation == "eager")


def check_packing(task: Task, model: Any, args: Any) -> None:
    """Refuse (``InputError``) to pack what cannot be, or what would then train otherwise.

    ``model`` may be anything with its ``config``.
    """
    if not (task.generates and kind_of(model) == "decoder"):
        raise InputError(
            f"packing: for decoders that write text, not for {task.name} with "
            f"{model.config.model_type}. Leave it out; rows of like length need little padding."
        )
    attention = getattr(model.config, "_attn_implementation", None) or "sdpa"
    if attention not in ATTENTION:
        raise InputError(
            f"packing with attn_implementation={attention}: it takes no mask of rows. "
            f"Load the model with {' or '.join(ATTENTION)}."
        )
    if args.n_gpu > 1:
        raise InputError(
            f"packing: not with {args.n_gpu} GPUs in one process, which split a batch by rows. "
            "Launch with torchrun, a process for each."
        )
    if args.neftune_noise_alpha is not None:
        raise InputError(
            "packing: not with neftune_noise_alpha, whose noise shrinks with the length of a "
            "sequence. Leave one out."
        )
    if args.include_num_input_tokens_seen == "non_padding":
        raise InputError(
            "include_num_input_tokens_seen=non_padding: not with packing, which has no padding. "
            "Pass all."
        )
