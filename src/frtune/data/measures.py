"""Numbers about each row that an audit is made of, computed in batches by ``Dataset.map``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import List, Value
from transformers import PreTrainedTokenizerBase

from frtune.data.fingerprints import Letters, band_keys, band_rows, sketch, word_codes, word_key
from frtune.data.token_ids import token_ids
from frtune.words import stands_in, words


def is_present(phrase: str, text: str) -> bool:
    """Tell whether ``phrase`` stands in ``text`` as whole words, in any case.

    Signs that are part of a word count. After Hangul, kana and Chinese characters a particle or
    another word may follow at once.

    Example:
        >>> is_present("budget", "The Budget."), is_present("art", "The party")
        (True, False)
        >>> is_present("예산", "내년 예산은"), is_present("C", "C++")
        (True, False)
    """
    return stands_in(_joined_words(phrase), _joined_words(text), compounds=False)


def _joined_words(text: str) -> str:
    return " ".join(words(text))


def measure(
    texts: Sequence[str],
    phrases: Sequence[Sequence[str]] | None,
    *,
    threshold: float,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> dict[str, Any]:
    """Measure a batch of rows.

    Args:
        texts: Clean texts, titles included.
        phrases: Clean keyphrases of each; ``None`` leaves ``phrases`` and ``present`` out.
        threshold: Jaccard index from which on two texts are near duplicates.
        tokenizer: Counts ``tokens``, special ones left out; ``None`` leaves that column out.

    Returns:
        ``key`` (equal for equal texts), ``bands``, ``sketch`` and ``codes`` (of the words; see
        ``fingerprints``), ``characters``, ``words``, ``phrases``, ``present`` (phrases that stand
        in the text) and perhaps ``tokens``.
    """
    letters = [Letters(text) for text in texts]
    known = [_joined_words(text) for text in texts]
    signatures = np.stack([each.signature() for each in letters])  # (texts, hashes)
    codes = word_codes([each.joined_words for each in letters])
    found: dict[str, Any] = {
        "key": [word_key(row, text) for row, text in zip(known, texts, strict=True)],
        "bands": band_keys(signatures, band_rows(threshold)),
        "sketch": sketch(signatures),
        "codes": codes,
        "characters": [len(text) for text in texts],
        "words": [len(each) for each in codes],
    }
    if phrases is not None:
        found["phrases"] = [len(row) for row in phrases]
        found["present"] = [
            sum(stands_in(_joined_words(phrase), text, compounds=False) for phrase in row)
            for row, text in zip(phrases, known, strict=True)
        ]
    if tokenizer is not None:
        found["tokens"] = count_tokens(texts, tokenizer)
    return found


def measured_types(*, phrases: bool, tokens: bool) -> dict[str, Any]:
    """The types of the columns of ``measure``, as ``datasets.Features`` takes them."""
    counts = ["characters", "words", *["phrases", "present"] * phrases, *["tokens"] * tokens]
    return {
        "key": Value("int64"),
        "bands": List(Value("uint64")),
        "sketch": List(Value("uint8")),
        "codes": List(Value("uint32")),
        **dict.fromkeys(counts, Value("int64")),
    }


def count_tokens(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the number of tokens of each text, without special tokens."""
    return [len(ids) for ids in token_ids(texts, tokenizer)]


def processes(rows: int, num_proc: int | None = None) -> int | None:
    """Return how many processes ``map`` should use for so many rows; ``None`` is this one alone.

    Starting one costs as much as a few thousand rows, so that small data stays in one.

    Example:
        >>> processes(100), processes(100_000, num_proc=3)
        (None, 3)
    """
    affinity = getattr(os, "sched_getaffinity", None)
    wanted = num_proc or (len(affinity(0)) if affinity else os.cpu_count() or 1)
    wanted = min(wanted, rows // 2000)
    return wanted if wanted > 1 else None
