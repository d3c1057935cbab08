"""Batches of language-model examples: padded to the longest row, masked by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

IGNORED = -100


def pad(
    rows: Sequence[Sequence[int]], *, value: int, side: str = "right", multiple_of: int = 1
) -> torch.Tensor:
    """Stack ragged ``rows`` into an int64 tensor of shape ``(rows, longest)``.

    Example:
        >>> pad([[5, 6], [7]], value=0, side="left").tolist()
        [[5, 6], [0, 7]]
    """
    longest = max(map(len, rows), default=0)
    width = -(-longest // multiple_of) * multiple_of
    out = np.full((len(rows), width), value, dtype=np.int64)
    for i, row in enumerate(rows):
        place = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        out[i, place] = row
    return torch.from_numpy(out)


def row_ids(examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """``row``, int64 of shape ``(rows,)``, where the examples have it.

    An array, which stays where it is when the tensors of a batch go to a GPU.
    """
    if "row" not in examples[0]:
        return {}
    return {"row": np.array([example["row"] for example in examples], dtype=np.int64)}


def check_labels(examples: Sequence[dict[str, Any]]) -> None:
    """Raise ``ValueError`` if the ``labels`` and ``input_ids`` of an example differ in length."""
    for i, example in enumerate(examples):
        if len(example["input_ids"]) != len(example["labels"]):
            raise ValueError(
                f"example {example.get('row', i)}: {len(example['input_ids'])} input_ids but "
                f"{len(example['labels'])} labels. A decoder needs one label for each token."
            )


@dataclass(frozen=True)
class TokenCollator:
    """Pad token-classification examples into one batch.

    Padding is masked by position, not by token id, so that a pad token equal to EOS hides no EOS.

    Args:
        pad_id: Token id written into ``input_ids`` at padded positions.
        multiple_of: Batch length is rounded up to this many tokens; 1 turns rounding off.

    Returns:
        ``input_ids``, ``attention_mask`` (1 = real token) and, where the examples have them,
        ``labels`` (-100 = no loss), each int64 of shape ``(batch, length)``; ``row`` (batch,) where
        the examples have it.

    Example:
        >>> batch = TokenCollator(pad_id=1)([
        ...     {"input_ids": [5, 7, 6], "labels": [-100, 2, -100]}, {"input_ids": [5, 6],
        ...      "labels": [-100, -100]}])
        >>> batch["input_ids"].tolist(), batch["labels"].tolist()
        ([[5, 7, 6], [5, 6, 1]], [[-100, 2, -100], [-100, -100, -100]])
    """

    pad_id: int
    multiple_of: int = 1

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Pad ``examples`` into one batch."""
        ids = [example["input_ids"] for example in examples]
        batch = prompt_batch(ids, pad_id=self.pad_id, side="right", multiple_of=self.multiple_of)
        if "labels" in examples[0]:
            labels = [example["labels"] for example in examples]
            batch["labels"] = pad(labels, value=IGNORED, multiple_of=self.multiple_of)
        return {**batch, **row_ids(examples)}


class CausalCollator(TokenCollator):
    """Pad prompt + target examples into one decoder-only batch, as ``TokenCollator`` does.

    Raises:
        ValueError: If an example's ``labels`` and ``input_ids`` differ in length.

    Example:
        >>> batch = CausalCollator(pad_id=0)([
        ...     {"input_ids": [5, 6, 7], "labels": [-100, 6, 7]},
        ...     {"input_ids": [8], "labels": [8]}])
        >>> batch["labels"].tolist()
        [[-100, 6, 7], [8, -100, -100]]
        >>> batch["attention_mask"].tolist()
        [[1, 1, 1], [1, 0, 0]]
    """

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Make the batch of ``examples``."""
        check_labels(examples)
        return super().__call__(examples)


@dataclass(frozen=True)
class Seq2SeqCollator:
    """Pad sources and targets into one encoder-decoder batch.

    Args:
        pad_id: Token id written into ``input_ids`` at padded positions.
        model: Shifts the labels into ``decoder_input_ids`` as its own loss would.
        multiple_of: Batch lengths are rounded up to this many tokens; 1 turns rounding off.

    Returns:
        As ``TokenCollator``, with sources and targets of a length of their own, and
        ``decoder_input_ids`` (batch, target).
    """

    pad_id: int
    model: PreTrainedModel
    multiple_of: int = 1

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Make the batch of ``examples``."""
        batch = TokenCollator(self.pad_id, self.multiple_of)(examples)
        shifted = self.model.prepare_decoder_input_ids_from_labels(labels=batch["labels"])
        return {**batch, "decoder_input_ids": shifted}


def prompt_batch(
    prompts: Sequence[Sequence[int]], *, pad_id: int, side: str, multiple_of: int = 1
) -> dict[str, torch.Tensor]:
    """Pad prompts for generation: left for decoders, right for encoders.

    Returns:
        ``input_ids`` and ``attention_mask``, int64 of shape ``(batch, longest)``.
    """
    ids = pad(prompts, value=pad_id, side=side, multiple_of=multiple_of)
    lengths = torch.tensor([len(row) for row in prompts], dtype=torch.int64)[:, None]
    places = torch.arange(ids.shape[1])  # counted from the side that is not padded
    places = places.flip(0) if side == "left" else places
    return {"input_ids": ids, "attention_mask": (places < lengths).long()}
