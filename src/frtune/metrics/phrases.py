"""Phrases before they are compared: normalisation, stems, repeats, and presence in a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import snowballstemmer

from frtune.errors import InputError
from frtune.words import folded, stands_in, words

Normalize = Literal["none", "nfc", "casefold"]
Presence = Literal["stem", "words"]

STEMMERS = {
    "en": "porter",
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
}


def normalize_phrase(phrase: str, form: Normalize = "casefold") -> str:
    """Return ``phrase`` as it is compared.

    Args:
        phrase: One phrase.
        form: ``"none"`` strips the ends; ``"nfc"`` also composes Unicode (NFC) and joins runs of
            white space; ``"casefold"`` also folds case.

    Example:
        >>> normalize_phrase(" Pa\u0302te  FEUILLETÉE ", "casefold")
        'pâte feuilletée'
    """
    if form == "none":
        return phrase.strip()
    text = folded(phrase) if form == "casefold" else unicodedata.normalize("NFC", phrase)
    return " ".join(text.split())


def stemmer_for(language: str | None) -> Callable[[str], str]:
    """Return a function that maps a phrase to its stemmed words, joined by spaces.

    English uses Porter's stemmer, as the keyphrase literature does; the other languages use
    Snowball's. Signs that are part of a word stay (``frtune.words``).

    Args:
        language: Two-letter code, a key of ``STEMMERS``.

    Raises:
        InputError: If the language has no stemmer here.

    Example:
        >>> stemmer_for("en")("Neural Networks")
        'neural network'
        >>> stemmer_for("fr")("réseaux neuronaux") == stemmer_for("fr")("réseau neuronal")
        True
        >>> stemmer_for("en")("C++ compilers"), stemmer_for("en")("C compilers")
        ('c++ compil', 'c compil')
    """
    if language not in STEMMERS:
        hint = "Korean has no stemmer: use match='exact' or 'partial'." if language == "ko" else ""
        raise InputError(
            f"language={language!r}: a language with a stemmer ({', '.join(sorted(STEMMERS))}). "
            + (hint or "Pass one of them, or use match='exact', 'partial' or 'fuzzy'.")
        )

    stem_word = lru_cache(maxsize=200_000)(snowballstemmer.stemmer(STEMMERS[language]).stemWord)

    return lambda phrase: " ".join(map(stem_word, words(phrase)))


def presence_for(language: str | None) -> Presence:
    """Return how presence in a text is decided when the caller doesn't say.

    Example:
        >>> presence_for("en"), presence_for("ko"), presence_for(None)
        ('stem', 'words', 'words')
    """
    return "stem" if language in STEMMERS else "words"


def presence_test(
    text: str, presence: Presence, stem: Callable[[str], str] | None
) -> Callable[[str], bool]:
    """Return a function that tells whether a phrase stands in ``text``.

    Args:
        text: The document.
        presence: ``"stem"``: the phrase's stems follow one another in the text's stems (Meng et al.
            2017; Boudin and Gallina 2021). ``"words"``: its case-folded words follow one another;
            beside Hangul, kana or Han a word may go on, because particles stick to it.
        stem: From ``stemmer_for``; needed by ``"stem"``.

    Example:
        >>> here = presence_test("인공지능은 AI가 빠르다. The C++ party ended.", "words", None)
        >>> here("인공지능"), here("AI"), here("Party"), here("art"), here("C")
        (True, True, True, False, False)
    """
    if presence == "stem" and stem:
        stems = f" {stem(text)} "
        return lambda phrase: bool(found := stem(phrase)) and f" {found} " in stems
    known = " ".join(words(text))
    return lambda phrase: stands_in(" ".join(words(phrase)), known)


def split_phrases(text: str, separator: str = ";") -> list[str]:
    """Split a separated string into phrases: at each separator, ends stripped, empty ones dropped.

    White space around the separator is not asked for, so that ``"; "`` splits as ``";"`` does:
    generated text often lacks the space.

    Example:
        >>> split_phrases("solar cell; wind;; silicon;")
        ['solar cell', 'wind', 'silicon']
    """
    mark = separator.strip() or separator
    if not mark:
        raise InputError("separator='': at least one character. Pass ';', for example.")
    return [phrase.strip() for phrase in text.split(mark) if phrase.strip()]


def clean_phrases(phrases: Sequence[str], form: Normalize) -> list[str]:
    """Normalise one document's phrases and drop the empty ones; order and repeats stay.

    Example:
        >>> clean_phrases(["Solar cell ", "", " "], "casefold")
        ['solar cell']
    """
    return [phrase for phrase in (normalize_phrase(p, form) for p in phrases) if phrase]


def check_documents(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> None:
    """Raise ``InputError`` unless both are equally long lists of lists of strings.

    Example:
        >>> check_documents([["a"]], [])
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: len(references)=0: as many as predictions (1). Pass one list ...
    """
    if len(predictions) != len(references):
        raise InputError(
            f"len(references)={len(references)}: as many as predictions ({len(predictions)}). "
            "Pass one list per document in each."
        )
    for name, documents in (("predictions", predictions), ("references", references)):
        for row, phrases in enumerate(documents):
            if isinstance(phrases, str) or not all(isinstance(p, str) for p in phrases):
                raise InputError(
                    f"{name}[{row}]={phrases!r:.60}: a list of phrases. "
                    "Split a separated string first: frtune.metrics.split_phrases(text)."
                )
