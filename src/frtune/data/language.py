"""A light test of a text's language: by its script, and in Latin script by its stop words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from frtune.errors import InputError, nearest

_SCRIPT = {"ko": "HANGUL", "ru": "CYRILLIC", "el": "GREEK", "ar": "ARABIC", "he": "HEBREW"}

# words of one letter are left out: they are variables and list marks as well
_STOP_WORDS = {
    "en": "the of and to in is that for it with as was on are by this be from at which or an not",
    "fr": "le la les de des du et est une un dans pour que qui par sur au aux ce cette pas ne avec",
    "de": "der die das und ein eine nicht den dem des mit für auf von zu im auch sich wird",
    "es": "el la los las de del es una un en por que con para se su al lo como más no pero está",
    "it": "il lo la gli le di del della è un una in per che con da si non sono al alla come dei",
    "pt": "os as de do da dos é um uma em por que com para se na no não ao mais como foi são pelo",
    "nl": "de het een en van is dat in op met voor niet zijn aan er die om ook naar bij",
}
_STOP_SHARE = 0.15  # of the words of a text, at least, are stop words of its language
_WORDS = re.compile(r"\w+")
_STOP_SETS = {code: frozenset(listed.split()) for code, listed in _STOP_WORDS.items()}

LANGUAGES = (*_SCRIPT, "ja", "zh", *_STOP_SETS)


def language_check(language: str) -> None:
    """Raise an ``InputError`` unless ``language`` is one that can be told."""
    if language not in LANGUAGES:
        raise InputError(
            f"language={language!r}: one of {', '.join(LANGUAGES)}."
            f"{nearest(language, list(LANGUAGES))} Leave it out to keep every language."
        )


def other_language(text: str, language: str, *, least_share: float = 0.5) -> str | None:
    """Return why ``text`` is not in ``language``, or ``None`` when it is or nothing says it isn't.

    Of its letters, ``least_share`` at least have to be of the language's script.

    Example:
        >>> other_language("내년 예산은 늘어난다 (AP)", "ko")
        >>> other_language("Next year's budget 예산", "ko")
        '12 % of the letters are Hangul'
        >>> other_language("The budget of the town is on the rise", "fr")
        'reads like en'
    """
    scripts: Counter[str] = Counter()
    for char, count in Counter(text).items():
        if char.isalpha():
            scripts[_script(char)] += count
    letters = max(1, sum(scripts.values()))
    if language == "ja":
        kana, han = scripts["HIRAGANA"] + scripts["KATAKANA"], scripts["CJK"]
        share, name = (kana + han) / letters if kana >= 0.1 * letters else kana / letters, "KANA"
    elif language == "zh":
        kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
        share, name = (scripts["CJK"] - kana) / letters, "CHINESE"
    else:
        name = _SCRIPT.get(language, "LATIN")
        share = scripts[name] / letters
    if share < least_share:
        return f"{max(0.0, share):.0%} of the letters are {name.title()}".replace("%", " %")
    if language not in _STOP_SETS:
        return None
    found = Counter(text[:4000].casefold().split())
    hits = {code: sum(found[word] for word in listed) for code, listed in _STOP_SETS.items()}
    best = max(hits, key=lambda code: (hits[code], code == language))
    # a title or a text without stop words says nothing
    return f"reads like {best}" if hits[best] >= 3 and hits[best] > 1.5 * hits[language] else None


@lru_cache(maxsize=65536)
def _script(char: str) -> str:
    return unicodedata.name(char, "UNKNOWN").split()[0].removeprefix("HALFWIDTH-")


def main_language(texts: Sequence[str], *, least_share: float = 0.9) -> str | None:
    """Return the language that nearly all texts are in, or ``None`` where that is not plain.

    A text counts for a language whose script it is in, and in Latin script for one that three of
    its stop words are of. Scripts of several languages (Cyrillic, Arabic) say nothing.

    Args:
        texts: Texts; of very short ones little can be told.
        least_share: Share of those that count for any language; these must be a half of all.

    Example:
        >>> main_language(["Le budget de la ville est voté.", "Les prix des cantines et du bus"])
        'fr'
        >>> main_language(["내년 예산은 늘어난다", "The budget of the town is on the rise"])
    """
    votes: Counter[str] = Counter(filter(None, map(_language_of, texts)))
    told = sum(votes.values())
    if not told or 2 * told < len(texts):
        return None
    ((code, count),) = votes.most_common(1)
    return code if count >= least_share * told else None


def _language_of(text: str) -> str | None:
    for code in ("ko", "el", "he", "ja", "zh"):
        if other_language(text, code) is None and any(char.isalpha() for char in text):
            return code
    words = _WORDS.findall(text[:4000].casefold())
    found = Counter(words)
    hits = {code: sum(found[word] for word in listed) for code, listed in _STOP_SETS.items()}
    first, second = Counter(hits).most_common(2)
    # a language that is not listed (Danish, Swedish) has some stop words of one that is
    least = max(3, _STOP_SHARE * len(words))
    return first[0] if first[1] >= least and first[1] > 1.5 * second[1] else None
