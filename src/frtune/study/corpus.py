"""Texts as a model's tokens, and their batches."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from frtune.data.token_ids import token_ids
from frtune.study.sampling import bottom
from frtune.tasks.sequences import text_frame

_CHUNK_TEXTS = 1000


@dataclass(frozen=True)
class Corpus:
    """Texts as tokens, without the special ones that stand around each.

    Attributes:
        ids: int32 ``(tokens,)``: the tokens of all texts, end to end, after the cut.
        offsets: int64 ``(texts + 1,)``: text ``i`` has ``ids[offsets[i]:offsets[i + 1]]``.
        before: Special tokens in front of each text.
        after: Special tokens behind each text.
        keys: uint64 ``(texts,)``: hashes of the texts, from ``text_keys``.
        cut: Texts that lost their end.
        wordless: Texts left out because no token stands for them.
        signature: Equal for two tokenizers that cut these texts into the same tokens.
    """

    ids: np.ndarray
    offsets: np.ndarray
    before: tuple[int, ...]
    after: tuple[int, ...]
    keys: np.ndarray
    cut: int
    wordless: int
    signature: str

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, int64 ``(texts,)``."""
        return np.diff(self.offsets)

    def describe(self) -> dict[str, Any]:
        """Counts for the record: ``tokens`` (``real``, ``special``) and ``cut_texts``."""
        special = len(self.lengths) * (len(self.before) + len(self.after))
        tokens = {"real": int(self.lengths.sum()), "special": special}
        return {"tokens": tokens, "cut_texts": self.cut}

    def batches(self, token_budget: int) -> Iterator[list[int]]:
        """Group texts of like length, longest first, into batches of at most ``token_budget``.

        Padding and special tokens count. A text that is longer than the budget is a batch alone.
        """
        frame = len(self.before) + len(self.after)
        lengths = self.lengths
        batch: list[int] = []
        for row in np.argsort(-lengths, kind="stable").tolist():
            if batch and (len(batch) + 1) * (int(lengths[batch[0]]) + frame) > token_budget:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def padded(self, rows: Sequence[int], *, pad_id: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``input_ids`` and ``attention_mask``, int64 ``(batch, longest)``, right-padded."""
        lengths = self.lengths[list(rows)]
        head, tail = len(self.before), len(self.after)
        ids = np.full((len(rows), int(lengths.max()) + head + tail), pad_id, np.int64)
        ids[:, :head] = self.before
        mask = np.zeros_like(ids)
        for i, (row, length) in enumerate(zip(rows, lengths.tolist(), strict=True)):
            ids[i, head : head + length] = self.ids[self.offsets[row] : self.offsets[row + 1]]
            ids[i, head + length : head + length + tail] = self.after
            mask[i, : head + length + tail] = 1
        return ids, mask

    def frequent(self, most: int, occurrences: int) -> np.ndarray:
        """Return the ids of the ``most`` frequent tokens that occur often enough, int64."""
        counts = np.bincount(self.ids)
        order = np.argsort(-counts, kind="stable")[:most]
        return order[counts[order] >= occurrences]

    def sampled_texts(self, k: int) -> np.ndarray:
        """Return the rows of ``k`` texts drawn by their keys, in the order of the keys."""
        return bottom(self.keys, k)


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], keys: np.ndarray, *, max_tokens: int
) -> Corpus:
    """Encode texts; a long one loses its end, never its special tokens.

    Args:
        tokenizer: Any tokenizer; its special tokens are found by encoding a letter.
        texts: Texts that are not blank.
        keys: uint64 ``(texts,)`` from ``text_keys``.
        max_tokens: Longest text, special tokens included.
    """
    frame = text_frame(tokenizer)
    limit = max(1, max_tokens - frame.tokens)
    pieces, lengths, cut = [np.empty(0, np.int32)], np.zeros(len(texts), np.int64), 0
    for start in range(0, len(texts), _CHUNK_TEXTS):
        rows = token_ids(texts[start : start + _CHUNK_TEXTS], tokenizer, enough=limit)
        cut += sum(len(row) > limit for row in rows)
        rows = [row[:limit] for row in rows]
        lengths[start : start + len(rows)] = [len(row) for row in rows]
        pieces.append(np.fromiter(itertools.chain.from_iterable(rows), np.int32))
    wordy = np.flatnonzero(lengths)
    ids = np.concatenate(pieces)
    offsets = np.concatenate([[0], np.cumsum(lengths[wordy])])
    return Corpus(
        ids=ids,
        offsets=offsets,
        before=frame.before,
        after=frame.after,
        keys=keys[wordy],
        cut=cut,
        wordless=len(texts) - len(wordy),
        signature=_signature(tokenizer, ids, offsets, keys[wordy]),
    )


def _signature(tokenizer: Any, ids: np.ndarray, offsets: np.ndarray, keys: np.ndarray) -> str:
    used = np.unique(ids)
    found = hashlib.blake2b(digest_size=16)
    found.update("\0".join(map(str, tokenizer.convert_ids_to_tokens(used.tolist()))).encode())
    order = np.argsort(keys)  # so that the order of the texts does not count
    found.update(np.diff(offsets)[order].tobytes())
    for row in order:
        found.update(ids[offsets[row] : offsets[row + 1]].tobytes())
    return found.hexdigest()
