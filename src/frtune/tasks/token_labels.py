"""Keywords as labels of tokens (O, B, I), and labels as keywords."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from frtune.metrics.tags import BEGIN, IGNORED, INSIDE, OUTSIDE, tagged_spans
from frtune.tasks.alignment import Tokens
from frtune.tasks.spans import Span

Subwords = Literal["all", "first", "word"]

LABELS = {OUTSIDE: "O", BEGIN: "B-KEY", INSIDE: "I-KEY"}

# what a tokenizer may glue to a word
OPENING = re.compile(
    r"(?:[\s«“\"'‘(\[]+|(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu)['’])(?=\w)", re.IGNORECASE
)
CLOSING = re.compile(r"(?<=\w)[\s.,;:!?…»”\"'’)\]]+\Z")


class Found(NamedTuple):
    """A keyword that a model marks in a text: ``text[start:end]``.

    ``score`` is the mean probability of its tokens' labels, ``None`` where only labels are known.
    """

    start: int
    end: int
    score: float | None


def label_tokens(tokens: Tokens, spans: Sequence[Span], subwords: Subwords = "all") -> list[int]:
    """Label each token: B at the first one of a span, I at its others, O elsewhere.

    A token that reaches into a span belongs to it.

    Args:
        tokens: Tokens of a text.
        spans: Disjoint spans of that text, in order.
        subwords: ``"first"`` labels the first token of each word and leaves the others out (-100);
            the others label all tokens.
    """
    labels = []
    current, begun = 0, -1
    for start, end in tokens.spans:
        while current < len(spans) and spans[current].end <= start:
            current += 1
        inside = current < len(spans) and spans[current].start < end
        labels.append(OUTSIDE if not inside else INSIDE if begun == current else BEGIN)
        begun = current if inside else begun
    return _of_words(labels, tokens.word_starts) if subwords == "first" else labels


def _of_words(labels: Sequence[int], word_starts: Sequence[bool]) -> list[int]:
    """Put a word's label on its first token, -100 on its others."""
    out: list[int] = []
    word = 0
    for i, (label, starts) in enumerate(zip(labels, word_starts, strict=True)):
        if starts:
            word = i
        elif out[word] == OUTSIDE:
            out[word] = label
        out.append(label if starts else IGNORED)
    return out


def read_labels(
    labels: Sequence[int],
    spans: Sequence[Span],
    text: str,
    *,
    word_starts: Sequence[bool] | None = None,
    scores: Sequence[float] | None = None,
) -> list[Found]:
    """Read keywords off the labels of a text's tokens.

    A keyword is a run of tokens that begins with B, or with I after O, and goes on with I: the
    groups of a Transformers pipeline with ``aggregation_strategy="simple"``. Punctuation and
    elided words that the tokenizer glued to a word are left out.

    Args:
        labels: A label for each token.
        spans: Where each token stands in ``text``.
        text: The text.
        word_starts: Give it where only the first token of a word counts.
        scores: Probability of each label.

    Example:
        >>> spans = [Span(0, 2), Span(2, 5), Span(5, 11), Span(12, 18)]
        >>> read_labels([0, 1, 2, 0], spans, "l'opération ouverte")
        [Found(start=2, end=11, score=None)]
    """
    counted = [True] * len(labels) if word_starts is None else word_starts
    labels = _spread(labels, counted)
    found = []
    for first, after in _disjoint(tagged_spans(labels), spans):
        start, end = _tight(text, spans[first], spans[after - 1])
        if not text[start:end].strip():
            continue
        score = None
        if scores is not None:
            values = [scores[i] for i in range(first, after) if counted[i]]
            score = float(sum(values) / len(values))
        found.append(Found(start, end, score))
    return found


def _disjoint(runs: Iterable[tuple[int, int]], spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Join runs that share a character, which may be several tokens (as SentencePiece's lone ▁)."""
    joined: list[tuple[int, int]] = []
    for first, after in runs:
        if joined and spans[first].start < spans[joined[-1][1] - 1].end:
            first, _ = joined.pop()
        joined.append((first, after))
    return joined


def _spread(labels: Sequence[int], word_starts: Sequence[bool]) -> list[int]:
    """Give every token the label of its word's first one."""
    out: list[int] = []
    for label, starts in zip(labels, word_starts, strict=True):
        if not starts and out:
            label = OUTSIDE if out[-1] == OUTSIDE else INSIDE
        out.append(label)
    return out


def _tight(text: str, first: Span, last: Span) -> tuple[int, int]:
    """Start and end of a keyword without what stands in its first and last token beside it."""
    start, end = first.start, max(first.end, last.end)
    if opening := OPENING.match(text, start, first.end):
        start = opening.end()
    if closing := CLOSING.search(text[max(last.start, start) : end]):
        end = max(last.start, start) + closing.start()
    return start, end
