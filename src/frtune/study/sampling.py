"""Samples that depend on a text's words alone, not on its place in a file or a batch.

Bottom-k sampling (Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches"): every item
has a hash, and the ``k`` smallest are the sample, uniform and without replacement. The same tokens
are so drawn for every checkpoint whose tokenizer cuts the texts alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_CHUNK_TOKENS = 100_000


def text_keys(texts: Sequence[str], labels: Sequence[Any] | None, *, seed: int) -> np.ndarray:
    """Hash texts with their labels; the second of two equal ones gets another hash.

    Returns:
        uint64 of shape ``(texts,)``.

    Example:
        >>> a, b = text_keys(["x", "y"], None, seed=1), text_keys(["y", "x"], None, seed=1)
        >>> a.tolist() == b[::-1].tolist()
        True
    """
    seen: dict[bytes, int] = {}
    keys = np.empty(len(texts), np.uint64)
    for i, text in enumerate(texts):
        label = "" if labels is None else str(labels[i])
        content = f"{seed}\0{label}\0{text}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(content, digest_size=16).digest()
        repeat = seen[digest] = seen.get(digest, -1) + 1
        if repeat:
            digest = hashlib.blake2b(digest + str(repeat).encode(), digest_size=16).digest()
        keys[i] = int.from_bytes(digest[:8], "little")
    return keys


def bottom(keys: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the ``k`` smallest keys, smallest first.

    Example:
        >>> import numpy as np
        >>> bottom(np.array([5, 1, 4, 2]), 3).tolist()
        [1, 3, 2]
    """
    if len(keys) > k:
        places = np.argpartition(keys, k - 1)[:k]
        return places[np.argsort(keys[places], kind="stable")]
    return np.argsort(keys, kind="stable")


def token_keys(keys: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Hash (text, position) pairs by the finaliser of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        z = keys + (positions.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@dataclass(frozen=True)
class TokenSample:
    """Sampled tokens, and where in a batch they are.

    Attributes:
        flat: int64 ``(k,)``, ascending: numbers of the tokens, counted through all texts.
        slots: int64 ``(k,)``: place of each in the sample, whose order does not depend on that of
            the texts.
    """

    flat: np.ndarray
    slots: np.ndarray

    @classmethod
    def draw(cls, keys: np.ndarray, offsets: np.ndarray, k: int) -> TokenSample:
        """Draw ``k`` tokens.

        Args:
            keys: uint64 ``(texts,)``, one key a text.
            offsets: int64 ``(texts + 1,)``: text ``i`` has tokens ``offsets[i]:offsets[i + 1]``.
            k: Tokens to draw; fewer where there are fewer.
        """
        kept, flat = np.empty(0, np.uint64), np.empty(0, np.int64)
        for start in range(0, int(offsets[-1]), _CHUNK_TOKENS):
            numbers = np.arange(start, min(start + _CHUNK_TOKENS, int(offsets[-1])))
            rows = np.searchsorted(offsets, numbers, side="right") - 1
            found = token_keys(keys[rows], numbers - offsets[rows])
            kept, flat = np.concatenate([kept, found]), np.concatenate([flat, numbers])
            best = bottom(kept, k)
            kept, flat = kept[best], flat[best]
        order = np.argsort(flat)
        return cls(flat[order], order)

    def in_batch(self, offsets: np.ndarray, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Find the sampled tokens of the texts ``rows``, whose tokens are laid end to end.

        Returns:
            Their places in the batch and their slots in the sample, int64.
        """
        starts, ends = offsets[np.asarray(rows)], offsets[np.asarray(rows) + 1]
        parts = [slice(*found) for found in np.searchsorted(self.flat, [starts, ends]).T]
        shifts = np.cumsum(ends - starts) - ends
        places = [self.flat[part] + shift for part, shift in zip(parts, shifts, strict=True)]
        return np.concatenate(places), np.concatenate([self.slots[part] for part in parts])
