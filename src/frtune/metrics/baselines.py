"""Keyphrase predictors that learn next to nothing, so that a model's score means something."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from frtune.errors import InputError
from frtune.metrics.morphemes import load_kiwi
from frtune.metrics.stopwords import ENGLISH, FRENCH

_TOKEN = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*|[^\w\s]|_")
_ELISION = re.compile(r"\b(jusqu|lorsqu|puisqu|quoiqu|qu|[cdjlmnst])['’]", re.IGNORECASE)
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_NOUN_TAGS = {"NNG", "NNP", "SL", "SH", "SN", "XPN", "XSN"}
_MAX_WORDS = 4
# The first K phrases stand in a text's beginning; analysing the rest would only cost time.
_LEAD_CHARACTERS = 2_000
_MAX_TRAIN_TEXTS = 20_000


def first_phrases(
    texts: Sequence[str], k: int = 10, language: str | None = None
) -> list[list[str]]:
    """Predict the first ``k`` noun-like phrases of each text.

    In Korean they are runs of nouns by Kiwi, or, with a warning, words with their particles when
    Kiwi isn't installed. Otherwise they are runs of up to four words between stop words and
    punctuation, RAKE's candidates (Rose et al. 2010). English and French have stop words here; in
    other languages words of up to three letters take their place.

    Args:
        texts: The documents.
        k: Phrases per document, at most.
        language: ``"ko"``, ``"fr"``, ``"en"`` or another two-letter code.

    Example:
        >>> first_phrases(["La mesure du vent solaire est un problème ouvert."], 2, "fr")
        [['mesure', 'vent solaire']]
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k={k!r}: a whole number from 1. Pass k=10, for example.")
    leads = [text[:_LEAD_CHARACTERS] for text in texts]
    korean = language == "ko"
    chunks = _korean_chunks(leads) if korean else (_chunks(lead, language) for lead in leads)
    return [_unique(line)[:k] for line in chunks]


def title_copy(titles: Sequence[str], k: int = 10, language: str | None = None) -> list[list[str]]:
    """Predict the noun-like phrases of the title.

    Args:
        titles: One title per document.
        k: Phrases per document, at most.
        language: As in ``first_phrases``.

    Example:
        >>> title_copy(["A Model of Ship Control"], language="en")
        [['Model', 'Ship Control']]
    """
    return first_phrases(titles, k, language)


def tfidf_phrases(
    train_texts: Sequence[str], texts: Sequence[str], k: int = 10, language: str | None = None
) -> list[list[str]]:
    """Predict the ``k`` phrases of one to three words with the highest TF-IDF.

    Phrases neither begin nor end with a stop word and cross no punctuation. Document frequencies
    come from the training texts alone (the first 20,000), smoothed as scikit-learn does, so that a
    phrase never seen in training counts as the rarest. In Korean the candidates are Kiwi's noun
    runs and the frequencies are theirs.

    Args:
        train_texts: Texts to count document frequencies in.
        texts: The documents.
        k: Phrases per document, at most.
        language: As in ``first_phrases``.

    Example:
        >>> train = ["the wind is strong", "the wind is weak", "the sun is weak"]
        >>> tfidf_phrases(train, ["the solar wind and the solar cell"], 2, "en")
        [['solar', 'solar wind']]
    """
    if not train_texts:
        raise InputError("train_texts=[]: at least one text. Pass the training texts.")

    train = train_texts[:_MAX_TRAIN_TEXTS]
    train_candidates, candidates = _candidates(train, language), _candidates(texts, language)
    # The vocabulary is the scored texts', so that memory doesn't grow with the training set.
    counter = CountVectorizer(analyzer=lambda phrases: map(str.casefold, phrases))
    if not any(candidates):
        return [[] for _ in texts]
    counter.fit(candidates)
    weights = TfidfTransformer(sublinear_tf=True, norm=None)  # type: ignore[arg-type]
    weights.fit(counter.transform(train_candidates))
    scores = csr_matrix(weights.transform(counter.transform(candidates)))
    column = counter.vocabulary_
    rows = []
    for row, line in enumerate(candidates):
        start, end = scores.indptr[row], scores.indptr[row + 1]
        value = dict(zip(scores.indices[start:end], scores.data[start:end], strict=True))
        # Sorting is stable: of equal weights the one that stands first in the text wins.
        ranked = sorted(_unique(line), key=lambda phrase: -value[column[phrase.casefold()]])
        rows.append(ranked[:k])
    return rows


def baseline_rows(
    texts: Sequence[str],
    *,
    k: int = 10,
    language: str | None = None,
    train_texts: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
) -> dict[str, list[list[str]]]:
    """Return the predictions of every baseline that the data allows.

    Args:
        texts: The documents.
        k: Phrases per document, at most.
        language: As in ``first_phrases``.
        train_texts: Adds ``tfidf``.
        titles: Adds ``title_copy``.

    Returns:
        ``first_phrases``, ``tfidf`` and ``title_copy``, each one list of phrases per document.

    Example:
        >>> sorted(baseline_rows(["solar wind"], train_texts=["wind"], titles=["Sun"]))
        ['first_phrases', 'tfidf', 'title_copy']
    """
    rows = {"first_phrases": first_phrases(texts, k, language)}
    if train_texts:
        rows["tfidf"] = tfidf_phrases(train_texts, texts, k, language)
    if titles is not None:
        rows["title_copy"] = title_copy(titles, k, language)
    return rows


def _chunks(text: str, language: str | None) -> list[str]:
    """Return runs of one to four words between stop words and punctuation, in order."""
    runs: list[list[str]] = [[]]
    for token in _words(text, language):
        if _is_break(token, language):
            runs.append([])
        else:
            runs[-1].append(token)
    kept = (" ".join(run) for run in runs if 1 <= len(run) <= _MAX_WORDS)
    return [chunk for chunk in kept if len(chunk) > 1 and not chunk.isdigit()]


def _words(text: str, language: str | None) -> list[str]:
    composed = unicodedata.normalize("NFC", text)
    return _TOKEN.findall(composed if language == "en" else _ELISION.sub(r"\1 ", composed))


def _is_break(token: str, language: str | None) -> bool:
    folded = token.casefold()
    if not folded[0].isalnum():
        return True
    if language == "en":
        return folded in ENGLISH
    return folded in FRENCH if language == "fr" else len(folded) <= 3


def _ngrams(text: str, language: str | None) -> list[str]:
    """Return runs of one to three words with no stop word at either end, in order."""
    tokens = _words(text, language)
    breaks = [_is_break(token, language) for token in tokens]
    found = []
    for start, token in enumerate(tokens):
        if breaks[start] or len(token) == 1 or token.isdigit():
            continue
        for end in range(start + 1, min(start + 3, len(tokens)) + 1):
            if not tokens[end - 1][0].isalnum():
                break
            if not breaks[end - 1]:
                found.append(" ".join(tokens[start:end]))
    return found


def _candidates(texts: Sequence[str], language: str | None) -> list[list[str]]:
    if language == "ko":
        return list(_korean_chunks(texts))
    return [_ngrams(text, language) for text in texts]


def _korean_chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield each text's runs of nouns, as they are written."""
    if not find_spec("kiwipiepy"):
        warnings.warn(
            "kiwipiepy is not installed: Korean candidate phrases keep their particles. "
            "Run: pip install 'frtune[ko]'",
            stacklevel=3,
        )
        for text in texts:
            words = (_EDGES.sub("", word) for word in unicodedata.normalize("NFC", text).split())
            yield [word for word in words if len(word) > 1]
        return
    composed = [unicodedata.normalize("NFC", text) for text in texts]
    for text, tokens in zip(composed, load_kiwi().tokenize(composed), strict=True):
        yield _noun_runs(text, tokens)


def _noun_runs(text: str, tokens: Sequence[Any]) -> list[str]:
    runs: list[list[int]] = []  # [start, end, tokens]
    for token in tokens:
        if token.tag not in _NOUN_TAGS:
            runs.append([])
            continue
        if runs and runs[-1] and token.start - runs[-1][1] <= 1 and runs[-1][2] < _MAX_WORDS:
            runs[-1][1:] = [token.start + token.len, runs[-1][2] + 1]
        else:
            runs.append([token.start, token.start + token.len, 1])
    found = (text[run[0] : run[1]] for run in runs if run)
    return [phrase for phrase in found if len(phrase) > 1 and not phrase.isdigit()]


def _unique(phrases: Sequence[str]) -> list[str]:
    """Drop repeats, whatever their case; the first stays as it is written."""
    first: dict[str, str] = {}
    for phrase in phrases:
        first.setdefault(phrase.casefold(), phrase)
    return list(first.values())
