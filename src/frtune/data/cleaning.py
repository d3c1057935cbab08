"""Cleaning of texts and of keyphrase labels, as people and language models write them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from frtune.data.written_lists import looks_written, parse_written, without_entities

# --- texts ---------------------------------------------------------------------------------------

# control characters but tab and line feed; soft hyphen, zero-width, direction marks, BOM
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
# joiners carry meaning in Arabic and Indic scripts and in emoji, and nowhere else
_JOINER = re.compile("[\u200c\u200d](?<![\u0600-\u0dff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff].)")
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
# a lone plain space is most of them and is passed over
_SPACES = re.compile(r"(?: |(?=[^\S\n ]))[^\S\n]+")
_AROUND_LINE_END = re.compile(r" \n ?|\n ")
_BLANK_LINES = re.compile(r"\n{3,}")


def clean_text(text: str | None) -> str:
    r"""Return ``text`` in NFC without invisible characters and with plain white space.

    Control, zero-width and direction characters and soft hyphens go; runs of spaces (no-break
    and ideographic ones too) become one; line ends become ``\n``, at most two in a row.

    Example:
        >>> clean_text("L\u2019e\u0301te\u0301\u00a0: com\u00admune\u200b,\r\n  canton \n\n\n fin")
        'L’été : commune,\ncanton\n\nfin'
    """
    text = (text or "").replace("\u00a0", " ")
    # most texts are printable but for line feeds, and then hold nothing that these would change
    usual = text.replace("\n", "").isprintable()
    if not usual:
        text = _JOINER.sub("", _INVISIBLE.sub("", _LINE_END.sub("\n", text)))
    text = unicodedata.normalize("NFC", text)
    if not usual or "  " in text:
        text = _SPACES.sub(" ", text)
    if "\n" in text:
        text = _BLANK_LINES.sub("\n\n", _AROUND_LINE_END.sub("\n", text))
    return text.strip()


# --- one value to phrases ------------------------------------------------------------------------

# separators that are no part of a phrase, so that the space beside them may be missing
_SAFE = (";", "|", "；", "、", "•", "\t")


def split_keyphrases(value: Any, separator: str = "; ") -> list[str]:
    r"""Return the phrases of one label, however it is stored; not yet cleaned.

    Args:
        value: A list, a separated string, a list written as a string (``"['a', 'b']"``), a
            number, or ``None``. Each line of a string holds phrases of its own; HTML entities are
            decoded.
        separator: What stands between phrases of a string. The space of ``"; "`` and ``" | "``
            may be missing; that of ``", "`` and ``" - "`` may not (``1,000``, ``TF-IDF``).

    Example:
        >>> split_keyphrases("budget;school canteen; 1,000 won")
        ['budget', 'school canteen', '1,000 won']
        >>> split_keyphrases("['budget', \"l'école\"]")
        ['budget', "l'école"]
        >>> split_keyphrases(None), split_keyphrases(["budget", None])
        ([], ['budget'])
    """
    if value is None or value != value:  # NaN is not equal to itself
        return []
    if isinstance(value, str):
        listed = _list_literal(value)
        return _split_text(value, separator) if listed is None else split_keyphrases(listed)
    if isinstance(value, Iterable):
        return [
            phrase
            for item in value
            for phrase in ([item] if isinstance(item, str) else split_keyphrases(item, separator))
            if phrase.strip()
        ]
    return [str(value)]


def has_separator(text: str, separator: str) -> bool:
    """Tell whether ``text`` holds the separator, a line break, or is a list in writing.

    Example:
        >>> has_separator("budget;school", "; "), has_separator("budget, school", "; ")
        (True, False)
    """
    return (
        _literal_separator(separator) in text
        or "\n" in text.strip()
        or _list_literal(text) is not None
    )


def _literal_separator(separator: str) -> str:
    return separator.strip(" ") if separator.strip(" ") in _SAFE else separator


def _split_text(text: str, separator: str) -> list[str]:
    parts = (
        part.strip()
        for line in without_entities(text).splitlines()
        for part in line.split(_literal_separator(separator))
    )
    return [part for part in parts if part]


def phrase_places(text: str, separator: str) -> list[tuple[int, int]]:
    """Where ``text`` may hold a phrase: between separators and line breaks.

    Example:
        >>> phrase_places("sun; wind", "; ")
        [(0, 3), (4, 9)]
    """
    literal = _literal_separator(separator)
    places, at = [], 0
    for line in text.splitlines(keepends=True):
        for part in line.split(literal):
            places.append((at, at + len(part)))
            at += len(part) + len(literal)
        at -= len(literal)
    return places


def _list_literal(text: str) -> list[Any] | None:
    """The list that ``text`` writes out (as JSON, pandas and NumPy do), or ``None``."""
    if text.strip()[:1] not in ("[", "(") or not looks_written(text):
        return None
    found = parse_written(text)
    plain = isinstance(found, list) and all(item is None or isinstance(item, str) for item in found)
    return found if plain else None


# --- phrases to clean phrases --------------------------------------------------------------------

_HEADER = re.compile(
    r"(?:\*\*)?(?:"
    r"(?:extracted |main |핵심 ?)?"
    r"(?:key[ _-]?phrases?|key[ _-]?words?|mots?[ -]?cl[ée]s?|키워드|키프레이즈|핵심어|주제어)"
    r"|(?:here (?:are|is)|the following|voici|다음은)\b[^:：]{0,60}"
    r") ?(?:\*\*)? ?[:：](?:\*\*)? *",
    re.IGNORECASE,
)
_BULLET = re.compile(r"(?:[-*+–—](?= )|[•·‣▪◦●○■□▶►①-⑳])+ *")
_PARENTHESIS_NUMBER = re.compile(r"(?:\(\d{1,3}\)|\d{1,3}\)) +(?=\S)")
_DOT_NUMBER = re.compile(r"(\d{1,3})[.．](?: +(?=\S)|(?=[^\d\s.]))")
_PAIRS = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "「": "」", "『": "』", "`": "`"}
_EDGES = " \n;,|、，；"
# words with one space, hyphen or apostrophe between: nothing stands around them
_PLAIN_PHRASE = re.compile(r"[^\W\d_]\w*(?:[ '’-]\w+)*")


def clean_keyphrases(phrases: Iterable[str]) -> list[str]:
    """Return the phrases without what stands around them, each once, in their order.

    Bullets, numbering, headers (``Keyphrases:``, ``키워드:``, ``mots-clés :``), quotation marks
    and stray separators go; empty phrases and those of punctuation alone go; of phrases that
    differ in case or in Unicode form the first stays. What is inside a phrase stays. A number
    with a point counts as numbering only when the phrases are counted up. Cleaning twice
    changes nothing.

    Example:
        >>> clean_keyphrases(["Keyphrases: 1. budget", "2. « école »", "3. Budget;", " - "])
        ['budget', 'école']
        >>> clean_keyphrases(["TF(태스크포스)", "C++", "1.5°C", "3D", "2023 budget", "3. Liga"])
        ['TF(태스크포스)', 'C++', '1.5°C', '3D', '2023 budget', '3. Liga']
    """
    found = list(phrases)
    if all(map(_is_plain, found)):
        return _first_of_each(found)
    while True:
        cleaned = _first_of_each(_without_numbers([_strip(p) for p in _lines(found)]))
        if cleaned == found:
            return cleaned
        found = cleaned


def _is_plain(phrase: str) -> bool:
    # ① and the like are letters of a word to the pattern, and bullets here
    plain = _PLAIN_PHRASE.fullmatch(phrase or "") is not None and phrase[0].isalpha()
    return plain and unicodedata.is_normalized("NFC", phrase)


def _lines(phrases: Iterable[str]) -> Iterator[str]:
    for phrase in phrases:
        yield from clean_text(phrase).split("\n")


def _strip(phrase: str) -> str:
    """Take away what stands around one phrase until nothing is left to take."""
    while True:
        before = phrase
        phrase = phrase.strip(_EDGES)
        for pattern in (_HEADER, _BULLET, _PARENTHESIS_NUMBER):
            if match := pattern.match(phrase):
                phrase = phrase[match.end() :]
        phrase = _unquote(phrase)
        if phrase == before:
            return phrase


def _unquote(phrase: str) -> str:
    """Take off a pair of quotation marks around the whole, or one whose other half is lost."""
    if phrase[:2] == phrase[-2:] == "**" and len(phrase) > 4:
        return phrase[2:-2]
    first, last = phrase[:1], phrase[-1:]
    close = _PAIRS.get(first, "")
    if len(phrase) > 1 and last == close and close not in phrase[1:-1]:
        return phrase[1:-1]
    if first in ('"', "“", "«", "「", "『") and close not in phrase[1:]:
        return phrase[1:]
    opening = {'"': '"', "”": "“", "»": "«", "」": "「", "』": "『"}.get(last)
    inches = last == '"' and phrase[-2:-1].isdigit()
    if opening and opening not in phrase[:-1] and not inches:
        return phrase[:-1]
    return phrase


def _without_numbers(phrases: list[str]) -> list[str]:
    """Take off ``1.``, ``2.``, ... when they count the phrases up."""
    matches = [_DOT_NUMBER.match(phrase) for phrase in phrases]
    numbers = [int(match[1]) for match in matches if match]
    counted = len(numbers) >= 2 and all(a < b for a, b in pairwise(numbers))
    most = 2 * len(numbers) >= sum(1 for phrase in phrases if phrase)
    if not (counted and most) and not (len(phrases) == 1 and numbers == [1]):
        return phrases
    return [p[m.end() :] if m else p for p, m in zip(phrases, matches, strict=True)]


def _first_of_each(phrases: Iterable[str]) -> list[str]:
    first: dict[str, str] = {}
    for phrase in phrases:
        if phrase[:1].isalnum() or any(
            not unicodedata.category(char).startswith(("P", "Z")) for char in phrase
        ):
            first.setdefault(unicodedata.normalize("NFC", phrase.casefold()), phrase)
    return list(first.values())
