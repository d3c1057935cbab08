"""Where each token stands in the text, also for tokenizers that do not tell."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from frtune.tasks.spans import MappedText, Span, plain

END_OF_WORD = "</w>"
# what tokenizers write for signs of the text
_QUOTES = dict.fromkeys(map(ord, "«»“”„‟《》「」『』″"), '"')
_APOSTROPHES = dict.fromkeys(map(ord, "’‘‚ʼ′`´‹›"), "'")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−━"), "-")
_SIGNS = {**_QUOTES, **_APOSTROPHES, **_DASHES, ord("。"): ".", ord("、"): ",", ord("…"): "..."}
_LOOK_AHEAD = 24  # characters, when text and tokens differ
_UNTOLD = "\0"
_AGREEING = 3  # characters that must agree before the two are taken to be in step again


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text, without special ones.

    Attributes:
        ids: Token ids.
        spans: Where each token stands in the original text; white space at its edges is left out.
        word_starts: Whether the token starts a word.
    """

    ids: list[int]
    spans: list[Span]
    word_starts: list[bool]


def tokenize(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[Tokens]:
    """Split each text into tokens with offsets into the text as it was given.

    The tokenizer reads the text in NFC, without invisible characters (``spans.plain``).
    """
    mapped = [plain(text) for text in texts]
    if tokenizer.is_fast:
        found = tokenizer(
            [each.text for each in mapped],
            add_special_tokens=False,
            truncation=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        ids = found["input_ids"]
        offsets: list[list[Any]] = found["offset_mapping"]
    else:
        pieces = [tokenizer.tokenize(each.text) for each in mapped]
        ids: list[Any] = [tokenizer.convert_tokens_to_ids(row) for row in pieces]
        offsets = [
            align([piece.removesuffix(END_OF_WORD) for piece in row], each.text)
            for row, each in zip(pieces, mapped, strict=True)
        ]
    return [
        Tokens(row, _origins(each, places), _word_starts(each.text, places))
        for row, each, places in zip(ids, mapped, offsets, strict=True)
    ]


def _origins(mapped: MappedText, offsets: Sequence[tuple[int, int]]) -> list[Span]:
    """Where tokens stand in the original text, without white space at their edges."""
    text, starts, ends = mapped.text, mapped.starts, mapped.ends
    spans, new = [], tuple.__new__  # a named tuple's own way takes three times as long
    for start, end in offsets:
        if start < end and (text[start].isspace() or text[end - 1].isspace()):
            start = end - len(text[start:end].lstrip())
            end = start + len(text[start:end].rstrip())
        if starts is None or ends is None:
            spans.append(new(Span, (start, end)))
        elif start < end:
            spans.append(new(Span, (starts[start], ends[end - 1])))
        else:
            spans.append(mapped.origin(start, end))
    return spans


def _word_starts(text: str, spans: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether each token starts a word: not when it goes on with the letters before it."""
    starts, last = [], 0
    for start, end in spans:
        goes_on = start < last or (
            0 < start == last < len(text) and _word(text[start - 1]) and _word(text[start])
        )
        starts.append(not goes_on)
        last = max(last, end)
    return starts


def _word(char: str) -> bool:
    return char.isalnum() or char == "_" or unicodedata.category(char) == "Mn"


# --- an aligner of our own -----------------------------------------------------------------------


def align(pieces: Sequence[str | None], text: str) -> list[Span]:
    """Find where each token stands in ``text``, for a tokenizer that does not tell.

    Tokens and text are compared character by character, without white space, in NFKC and with
    one form of quotation marks, apostrophes and dashes, as Moses writes them. Where they differ
    (a sign that the tokenizer dropped or rewrote) the smallest gap is taken after which they agree
    again. The work is linear in the text.

    Args:
        pieces: Characters of each token, without marks such as ``</w>``; ``None`` for a token
            that does not say what it stands for: it gets what no neighbour claims.
        text: The text in NFC.

    Returns:
        Start and end of each token, in order, never overlapping but where one character became
        several tokens (``…`` as ``...``).

    Example:
        >>> text = "L’été : «\u00a0fin\u00a0»…"
        >>> [text[a:b] for a, b in align(["L'", "ét", "é", ":", '"', "fin", '"', "..", "."], text)]
        ['L’', 'ét', 'é', ':', '«', 'fin', '»', '…', '…']
    """
    source, places = _canonical(text)
    target: list[str] = []
    owners: list[int] = []
    for i, piece in enumerate(pieces):
        letters = _UNTOLD if piece is None else _canonical(piece)[0]
        target.extend(letters)
        owners.extend([i] * len(letters))
    links = _links(source, "".join(target))
    firsts: dict[int, int] = {}
    lasts: dict[int, int] = {}
    for at, link in enumerate(links):
        if link is not None:
            firsts.setdefault(owners[at], places[link[0]])
            lasts[owners[at]] = places[link[1] - 1] + 1
    spans, end = [], 0
    for i in range(len(pieces)):
        start = firsts.get(i, end)
        end = max(start, lasts.get(i, start))
        spans.append(Span(start, end))
    return spans


def _canonical(text: str) -> tuple[str, list[int]]:
    """The characters to compare, and the place in ``text`` of each: no spaces, no joiners."""
    out: list[str] = []
    places: list[int] = []
    for i, char in enumerate(text):
        new = unicodedata.normalize("NFKC", char.translate(_SIGNS)).casefold()
        new = "".join(c for c in new.translate(_SIGNS) if unicodedata.category(c)[0] not in "ZC")
        out.append(new)
        places.extend([i] * len(new))
    return "".join(out), places


def _links(source: str, target: str) -> list[tuple[int, int] | None]:
    """For each target character the stretch of source behind it; ``None`` where there is none."""
    links: list[tuple[int, int] | None] = [None] * len(target)
    i = j = 0
    while i < len(source) and j < len(target):
        if source[i] == target[j]:
            links[j] = (i, i + 1)
            i, j = i + 1, j + 1
            continue
        skipped, written = _gap(source, target, i, j)
        # what was written stands for what was skipped, whole
        for k in range(j, j + written):
            links[k] = (i, i + skipped) if skipped else None
        i, j = i + skipped, j + written
    return links


def _gap(source: str, target: str, i: int, j: int) -> tuple[int, int]:
    """The least that must be skipped in both until they agree; all of both if they never do."""
    left, right = len(source) - i, len(target) - j
    for total in range(1, _LOOK_AHEAD):
        for written in range(max(0, total - left), min(total, right) + 1):
            if _agree(source, target, i + total - written, j + written):
                return total - written, written
    return (1, 1) if left > 1 and right > 1 else (left, right)


def _agree(source: str, target: str, i: int, j: int) -> bool:
    """Whether the next characters are equal, up to the end or to a token that does not tell."""
    if i == len(source) or j == len(target):
        return i == len(source) and j == len(target)
    a, b = source[i : i + _AGREEING], target[j : j + _AGREEING].split(_UNTOLD)[0]
    return bool(b) and a[: len(b)] == b[: len(a)]
