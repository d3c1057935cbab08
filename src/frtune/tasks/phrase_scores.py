"""Scores of generated phrases: which tokens wrote each of them, and what several draws say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from statistics import fmean

from frtune.data.cleaning import clean_keyphrases, phrase_places
from frtune.metrics.phrases import normalize_phrase

Scored = list[tuple[str, float]]  # phrases with their scores


def phrase_scores(
    phrases: Sequence[str], prefixes: Sequence[str], log_probs: Sequence[float], separator: str
) -> list[float]:
    """The probability of each phrase: exp of the mean log probability of its tokens.

    A token is a phrase's where it wrote one of its characters; what separates phrases is no
    phrase's.

    Args:
        phrases: What the written line was parsed to, in order.
        prefixes: The line as it stood after each token.
        log_probs: Of each token.
        separator: Stands between phrases.

    Example:
        >>> prefixes = ["sun", "sun;", "sun; wind", "sun; wind"]
        >>> found = phrase_scores(["sun", "wind"], prefixes, [-1.0, -5.0, -2.0, -0.1], "; ")
        >>> [round(score, 3) for score in found]
        [0.368, 0.135]
    """
    if not phrases:
        return []
    line = prefixes[-1]
    ends = [_common(prefix, line) for prefix in prefixes]
    # an end never moves back, though a marker empties the line
    ends = [*accumulate(reversed(ends), min)][::-1]
    starts = [0, *ends[:-1]]
    # a token that holds a part of a character's bytes adds none yet, and is of the one to come
    tokens = [(a, max(a + 1, b), p) for a, b, p in zip(starts, ends, log_probs, strict=True)]
    found = []
    for start, end in phrase_spans(line, phrases, separator):
        own = [p for a, b, p in tokens if a < end and b > start]
        found.append(math.exp(fmean(own or log_probs)))
    return found


def _common(a: str, b: str) -> int:
    """How many characters two texts have in common at their start."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def phrase_spans(line: str, phrases: Sequence[str], separator: str) -> list[tuple[int, int]]:
    """Where in a line each phrase stands that it was parsed to.

    Of a phrase that cleaning changed inside, it is the place between two separators.

    Example:
        >>> phrase_spans("solar cell; Solar  cell; cell", ["solar cell", "cell"], "; ")
        [(0, 10), (25, 29)]
    """
    places = phrase_places(line, separator)
    seen: set[str] = set()
    found: list[tuple[int, int]] = []
    at = 0
    for phrase in phrases:
        # a place that repeats an earlier phrase, or holds none, is not where this one stands
        rest = [(max(at, start), end) for start, end in places if end > at]
        kept = next((p for p in rest if _key(line[slice(*p)]) not in seen), (at, len(line)))
        start = line.find(phrase, *kept)
        start = line.find(phrase, kept[0]) if start < 0 else start
        span = (start, start + len(phrase)) if start >= 0 else kept
        found.append(span)
        seen |= {"", normalize_phrase(phrase)}
        at = span[1]
    return found


def _key(text: str) -> str:
    return normalize_phrase(next(iter(clean_keyphrases([text])), ""))


def by_votes(votes: Sequence[Scored], key: Callable[[str], str]) -> Scored:
    """Phrases of several draws, merged and ranked.

    The score is ``(count - 1 + probability) / draws``: in how many draws a phrase comes, then its
    mean probability in these.

    Args:
        votes: What each draw says, phrases with their probabilities.
        key: What spellings of one phrase have in common. The most frequent spelling is shown.

    Example:
        >>> votes = [[("wind", 0.5), ("sun", 0.9)], [("Wind", 0.7)], [("wind", 0.6)]]
        >>> [(phrase, round(score, 3)) for phrase, score in by_votes(votes, str.lower)]
        [('wind', 0.867), ('sun', 0.3)]
    """
    spellings: dict[str, Counter[str]] = {}
    chances: dict[str, list[float]] = {}
    for vote in votes:
        best: dict[str, float] = {}
        for phrase, chance in vote:
            name = key(phrase)
            spellings.setdefault(name, Counter())[phrase] += 1
            best[name] = max(best.get(name, 0.0), chance)
        for name, chance in best.items():
            chances.setdefault(name, []).append(chance)
    found = [
        (spellings[name].most_common(1)[0][0], (len(each) - 1 + fmean(each)) / len(votes))
        for name, each in chances.items()
    ]
    return sorted(found, key=lambda item: -item[1])
