"""Keywords from predictors that need no model, so that a model's score means something."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from frtune import metrics

_WORD = re.compile(r"[^\W_]+")


def keyword_baselines(
    *,
    train_texts: Sequence[str],
    train_keywords: Sequence[Sequence[str]],
    texts: Sequence[str],
    key: Callable[[str], str],
) -> dict[str, list[list[str]]]:
    """Return the predictions of every baseline for ``texts``.

    Args:
        train_texts: Texts to count document frequencies in.
        train_keywords: Their keywords.
        texts: The texts to answer.
        key: Gives equal spellings of a keyword the same text.

    Returns:
        ``nothing`` (all O), ``tfidf`` (the words of the highest TF-IDF) and ``frequent`` (the most
        frequent training keywords that stand in the text): a list of keywords for each text, as
        many as a training row has in the mean.

    Example:
        >>> rows = keyword_baselines(
        ...     train_texts=["le vent et le sel", "le vent du nord"],
        ...     train_keywords=[["vent"], ["vent"]], texts=["un vent froid"], key=str.lower)
        >>> rows
        {'nothing': [[]], 'tfidf': [['froid']], 'frequent': [['vent']]}
    """
    count = sum(map(len, train_keywords)) / max(1, len(train_keywords))
    k = max(1, round(count))
    single = [len(_WORD.findall(keyword)) <= 1 for row in train_keywords for keyword in row]
    words_only = 2 * sum(single) > len(single)
    ranked = metrics.tfidf_phrases(train_texts, texts, 20 * k, "fr")
    kept = ([p for p in row if not words_only or " " not in p][:k] for row in ranked)
    frequencies = Counter(_words(key(keyword)) for row in train_keywords for keyword in row)
    frequencies.pop((), None)
    return {
        "nothing": [[] for _ in texts],
        "tfidf": list(kept),
        "frequent": [_frequent(_words(key(text)), frequencies, k) for text in texts],
    }


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text))


def _frequent(words: tuple[str, ...], frequencies: Counter, k: int, longest: int = 6) -> list[str]:
    """The ``k`` most frequent training keywords among the runs of ``words``."""
    runs = dict.fromkeys(
        words[start : start + length]
        for start in range(len(words))
        for length in range(1, longest + 1)
    )
    known = filter(frequencies.__contains__, runs)
    found = sorted(known, key=lambda run: (-frequencies[run], run))
    return [" ".join(run) for run in found[:k]]
