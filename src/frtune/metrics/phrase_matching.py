"""When a predicted phrase counts as a reference phrase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

Match = Literal["exact", "partial", "fuzzy", "stem"]


class Hits(NamedTuple):
    """One document's matches, from which the counts at any K follow.

    Args:
        predicted: For each prediction, whether it matches a reference.
        first: For each reference, the rank (from 0) of the first prediction that matches it, or the
            number of predictions when none does.
    """

    predicted: list[bool]
    first: list[int]


def exact_hits(predictions: Sequence[str], references: Sequence[str]) -> Hits:
    """Match equal strings.

    Example:
        >>> exact_hits(["a", "b"], ["b", "c"])
        Hits(predicted=[False, True], first=[1, 2])
    """
    known, missing = set(references), len(predictions)
    rank = {phrase: i for i, phrase in reversed(list(enumerate(predictions)))}  # the first wins
    return Hits([p in known for p in predictions], [rank.get(r, missing) for r in references])


def partial_hits(predictions: Sequence[str], references: Sequence[str]) -> Hits:
    """Match when either string contains the other.

    Example:
        >>> partial_hits(["solar", "wind"], ["solar cell", "solar"])
        Hits(predicted=[True, False], first=[0, 0])
    """
    match = [[p in r or r in p for r in references] for p in predictions]
    missing = [True] * len(references)
    first = [column.index(True) for column in zip(*match, missing, strict=True)]
    return Hits([any(row) for row in match], first)


def fuzzy_hits(predictions: Sequence[str], references: Sequence[str], threshold: float) -> Hits:
    """Match when rapidfuzz's normalised Indel similarity reaches ``threshold``.

    It is ``rapidfuzz.fuzz.ratio`` over 100.

    Example:
        >>> fuzzy_hits(["broadcastng"], ["broadcasting"], 0.9)
        Hits(predicted=[True], first=[0])
    """
    if not predictions or not references:
        return Hits([False] * len(predictions), [len(predictions)] * len(references))

    similarity = cdist(
        predictions, references, scorer=Indel.normalized_similarity, dtype=np.float64
    )  # (predictions, references)
    match: Any = similarity >= threshold
    first = np.where(match.any(axis=0), match.argmax(axis=0), len(predictions))
    return Hits(match.any(axis=1).tolist(), first.tolist())


def find_hits(
    predictions: Sequence[str], references: Sequence[str], match: Match, threshold: float
) -> Hits:
    """Match by the named rule; ``"stem"`` expects phrases that are stemmed already.

    Example:
        >>> find_hits(["ab"], ["abc"], "partial", 0.9).predicted
        [True]
    """
    if match == "partial":
        return partial_hits(predictions, references)
    if match == "fuzzy":
        return fuzzy_hits(predictions, references, threshold)
    return exact_hits(predictions, references)
