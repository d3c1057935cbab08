"""Rows of ``predictions.jsonl`` in pieces that a page colours: right, wrong and missed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

CHARACTERS = 600  # of a text


def plain_text(value: Any) -> str:
    """A value as text: text as it is, three figures of a number, anything else as JSON.

    Example:
        >>> plain_text("a"), plain_text(0.12345), plain_text({"stars": 3})
        ('a', '0.123', '{"stars": 3}')
    """
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def piece(text: str, kind: str = "plain") -> dict[str, str]:
    """A stretch of text; ``kind`` is ``right``, ``wrong``, ``missed`` or ``plain``."""
    return {"text": text, "kind": kind}


def phrase_pieces(
    said: Sequence[str], true: Sequence[str], key: Callable[[str], str]
) -> dict[str, Any]:
    """Phrases as ``said`` and ``true``, equal where their ``key`` is."""
    said_keys, true_keys = {key(text) for text in said}, {key(text) for text in true}
    return {
        "said": [piece(text, "right" if key(text) in true_keys else "wrong") for text in said],
        "true": [piece(text, "right" if key(text) in said_keys else "missed") for text in true],
    }


def shortened(text: str) -> str:
    """The beginning of a long text, marked as such.

    Example:
        >>> shortened("short"), len(shortened("x" * 1000))
        ('short', 601)
    """
    return text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…"


def marked_pieces(
    text: str, said: Mapping[tuple[int, int], str], true: Sequence[tuple[int, int]]
) -> list[dict[str, str]]:
    """A text cut at its keywords.

    Args:
        text: The text.
        said: The kind of each stretch that was found, by start and end.
        true: Start and end of the true ones; those that nothing found overlaps are missed.
    """
    missed = [(a, b) for a, b in true if not any(start < b and a < end for start, end in said)]
    kinds = {**dict.fromkeys(missed, "missed"), **said}
    pieces, at = [], 0
    for (start, end), kind in sorted(kinds.items()):
        if start < at or end > CHARACTERS:
            continue
        pieces += [piece(text[at:start]), piece(text[start:end], kind)]
        at = end
    pieces.append(piece(shortened(text)[at:]))
    return [part for part in pieces if part["text"]]
