"""Texts and pairs as tokens for a model with one answer a row, and their batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from frtune.data.token_ids import token_ids
from frtune.tasks.collators import pad, prompt_batch, row_ids


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer puts around a text, or around and between a pair.

    Rows are framed here rather than by the tokenizer's own truncation, which leaves its setting
    behind in the tokenizer, to be saved and hashed with it. An uncut row has the tokenizer's ids.

    Attributes:
        before: Ids before the text.
        between: Ids between the two texts of a pair. Where a tokenizer has none (decoders), a
            line break keeps the two apart.
        after: Ids after the text, or after the second one.
        typed: Whether the second text has token type 1 (BERT).
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    typed: bool = False

    @property
    def tokens(self) -> int:
        """Tokens that the frame takes from a row's limit."""
        return len(self.before) + len(self.between) + len(self.after)


def text_frame(tokenizer: PreTrainedTokenizerBase) -> Frame:
    """Find the frame of one text."""
    ids, text = list(tokenizer("a")["input_ids"]), token_ids(["a"], tokenizer)[0]
    start = _place(ids, text, 0)
    return Frame(tuple(ids[:start]), (), tuple(ids[start + len(text) :]))


def pair_frame(tokenizer: PreTrainedTokenizerBase) -> Frame:
    """Find the frame of a pair."""
    found = tokenizer("a", "b")
    ids = list(found["input_ids"])
    first, second = token_ids(["a", "b"], tokenizer)
    start = _place(ids, first, 0)
    gap = start + len(first)
    resumed = _place(ids, second, gap)
    between = ids[gap:resumed] or token_ids(["\n"], tokenizer)[0]
    return Frame(
        tuple(ids[:start]),
        tuple(between),
        tuple(ids[resumed + len(second) :]),
        typed=1 in found.get("token_type_ids", ()),
    )


def token_id(index: Any) -> int:
    """A special token's id, which Transformers types as many things."""
    return int(index)


def _place(ids: list[int], part: list[int], start: int) -> int:
    for i in range(start, len(ids) - len(part) + 1):
        if part and ids[i : i + len(part)] == part:
            return i
    raise ValueError(f"tokenizer: {part} is not in {ids}. Its special tokens change the text's.")


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int
) -> tuple[list[list[int]], list[bool]]:
    """Encode texts; a long one loses its end, never its special tokens.

    Returns:
        Ids of each text, at most ``max_tokens``, and whether it was cut.
    """
    frame = text_frame(tokenizer)
    room = max_tokens - frame.tokens
    # a text that no token stands for (a decoder has no frame either) still needs one to answer at
    nothing = [] if frame.tokens else [token_id(tokenizer.eos_token_id)]
    rows = token_ids(texts, tokenizer, enough=room)
    ids = [[*frame.before, *(row[:room] or nothing), *frame.after] for row in rows]
    return ids, [len(row) > room for row in rows]


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase,
    firsts: Sequence[str],
    seconds: Sequence[str],
    max_tokens: int,
) -> dict[str, list[Any]]:
    """Encode pairs; of a long pair the longer text loses its end, until both fit.

    Returns:
        ``input_ids``, at most ``max_tokens`` a pair; ``token_type_ids`` where the tokenizer has
        them; ``length``; ``source_cut``, whether the pair was cut.
    """
    frame = pair_frame(tokenizer)
    room = max_tokens - frame.tokens
    ids, types, cut = [], [], []
    sides = (token_ids(texts, tokenizer, enough=room) for texts in (firsts, seconds))
    for first, second in zip(*sides, strict=True):
        cut.append(len(first) + len(second) > room)
        if cut[-1]:
            kept = min(len(first), max(room - room // 2, room - len(second)))
            first, second = first[:kept], second[: room - kept]
        left = [*frame.before, *first, *frame.between]
        right = [*second, *frame.after]
        ids.append([*left, *right])
        types.append([0] * len(left) + [1] * len(right))
    encoded: dict[str, list[Any]] = {"input_ids": ids}
    if frame.typed:
        encoded["token_type_ids"] = types
    return {**encoded, "length": [len(row) for row in ids], "source_cut": cut}


@dataclass(frozen=True)
class SequenceCollator:
    """Pad rows into one batch, with one label a row.

    Args:
        pad_id: Token id written into ``input_ids`` at padded positions.
        orders: Sequences a row: 2 where a pair is read in both orders, one after the other.
        side: Side to pad on. Encoders and decoders with a head take both; a decoder answers at
            its last token that is no padding.
        multiple_of: Batch length is rounded up to this many tokens; 1 turns rounding off.

    Returns:
        ``input_ids``, ``attention_mask`` (1 = real token) and, where the rows have them,
        ``token_type_ids``, int64 of shape ``(batch * orders, length)``; ``labels`` (batch,),
        int64 for classes and float32 for scores, or (batch, classes), float32, where a row has
        several, and ``row`` (batch,), where the rows have them.

    Example:
        >>> batch = SequenceCollator(pad_id=1)([
        ...     {"input_ids": [5, 9, 6], "labels": 2}, {"input_ids": [5, 6], "labels": 0}])
        >>> batch["input_ids"].tolist(), batch["labels"].tolist()
        ([[5, 9, 6], [5, 6, 1]], [2, 0])
        >>> batch["attention_mask"].tolist()
        [[1, 1, 1], [1, 1, 0]]
    """

    pad_id: int
    orders: int = 1
    side: str = "right"
    multiple_of: int = 1

    def __call__(self, examples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Pad ``examples`` into one batch."""
        layout = {"side": self.side, "multiple_of": self.multiple_of}
        ids = self._sequences(examples, "input_ids")
        batch = prompt_batch(ids, pad_id=self.pad_id, **layout)
        if "token_type_ids" in examples[0]:
            types = self._sequences(examples, "token_type_ids")
            batch["token_type_ids"] = pad(types, value=0, **layout)
        if "labels" in examples[0]:
            batch["labels"] = torch.tensor([example["labels"] for example in examples])
        return {**batch, **row_ids(examples)}

    def _sequences(self, examples: Sequence[dict[str, Any]], name: str) -> list[Sequence[int]]:
        if self.orders == 1:
            return [example[name] for example in examples]
        return [sequence for example in examples for sequence in example[name]]
