"""The words of a text with the signs that belong to them: ``C++``, ``.NET``, ``5.5``, ``3-D``."""

from __future__ import annotations

import re
import unicodedata

# Hangul, kana and Han: particles and compounds leave no space at a phrase's edges.
UNSPACED = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_KANA_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")

_SIGNS = re.compile(r"([^\w\s])\1*")  # runs of one sign
_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]*[^\s*])\1(?![\w*])")
_SPACES = (", ", ". ", "; ", ": ", "’", "'")  # the commonest of the signs that count as spaces
_HYPHENS = "-\u2010\u2011\u2012\u2013\u2212"
_APOSTROPHES = "'’‘ʼ"
_BEHIND = "+#*♯"  # part of the word that they follow
_ALONE = "%‰&@§"  # words, though Unicode calls them punctuation
_NO_WORDS = "<>|~"  # brackets and separators, though Unicode calls them symbols
_VARIANTS = re.compile("[\ufe00-\ufe0f\u20e3]")  # of the look of the sign before


def folded(text: str) -> str:
    """Return ``text`` in NFC and case-folded.

    Example:
        >>> folded("Pa\u0302te FEUILLETÉE")
        'pâte feuilletée'
    """
    # Folding can decompose (İ becomes i and a dot), hence the second NFC.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def words(text: str) -> list[str]:
    """Return the case-folded words of a text, with the signs that are part of them.

    Part of a word are a point before it (``.NET``), points and commas between digits (``5.5``),
    and ``+``, ``#`` and ``*`` right behind it (``C++``, ``C#``, ``A*``), but for the asterisks of
    ``**emphasis**``. Words of their own are symbols (``€``, ``°``, emoji), ``% ‰ & @ §``, ``#``
    before a word, signs of mathematics beside a word or before a number, a hyphen beside a digit
    or at the end of a word (``3-D``, ``-5``, ``A-``), and any sign between two letters or digits
    (``I/O``, ``Node.js``) but apostrophes and hyphens between letters. All other signs count as
    spaces.

    Example:
        >>> words("C++, C# and “C”: .NET 5.5 (3–D) costs 5 %.")
        ['c++', 'c#', 'and', 'c', '.net', '5.5', '3', '-', 'd', 'costs', '5', '%']
        >>> words("L'eau, peut-être **douce**...") == words("l’eau peut être douce")
        True
    """
    text = folded(text)
    if "*" in text:
        text = _EMPHASIS.sub(r"\2", text)
    for sign in _SPACES:
        text = text.replace(sign, "  ")  # two, since a sign looks over one at a number: < 5
    return _SIGNS.sub(_spaced, text).split()


def stands_in(phrase: str, text: str, *, compounds: bool = True) -> bool:
    """Tell whether the words of ``phrase`` follow one another in ``text``.

    Args:
        phrase: Words joined by spaces.
        text: The same. Beside a letter of Hangul, kana or Han a word may go on.
        compounds: Whether a word may start in the middle of another of Hangul (추가예산).

    Example:
        >>> stands_in("c", "c++ is no c"), stands_in("c", "c++"), stands_in("ai", "ai는 빠르다")
        (True, False, True)
    """
    at = text.find(phrase) if phrase else -1
    while at >= 0:
        end = at + len(phrase)
        starts = at == 0 or _apart(text[at - 1 : at + 1], UNSPACED if compounds else _KANA_HAN)
        if starts and (end == len(text) or _apart(text[end - 1 : end + 1], UNSPACED)):
            return True
        at = text.find(phrase, at + 1)
    return False


def _apart(pair: str, unspaced: re.Pattern[str]) -> bool:
    """Whether a word may end between two characters."""
    return " " in pair or (pair[1] not in _BEHIND and unspaced.search(pair) is not None)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_" or unicodedata.category(char or " ")[0] == "M"


def _spaced(run: re.Match[str]) -> str:
    """A run of one sign, with spaces where it ends the words beside it."""
    sign, text, (start, end) = run[0], run.string, run.span()
    after = text[end] if end < len(text) else " "
    if after == " " and sign in ".,;:":
        return " "
    before, kind = text[start - 1] if start else " ", unicodedata.category(run[1])
    if kind == "Cf" or _VARIANTS.match(sign):
        return ""  # invisible
    if kind[0] == "M":
        return sign
    follows, leads = _is_word(before), _is_word(after)
    numbers = before.isdigit() and after.isdigit()
    if sign == "." and leads and (numbers or not (follows or before in (*_BEHIND, "."))):
        return sign
    if sign == "," and numbers:
        return sign
    if follows and (sign in _BEHIND or sign == "++") and not (sign == "+" and leads):
        return f"{sign} " if leads else sign
    if run[1] in _HYPHENS:
        alone = after.isdigit() or (follows and (before.isdigit() or not leads))
        return f" {'-' * len(sign)} " if alone else " "
    alone = _is_symbol(run[1], kind) or (sign == "#" and leads)
    if kind == "Sm" and (run[1] in "<>" or not (follows or leads)):  # brackets, dashes, arrows
        alone = text[end : end + 2].strip()[:1].isdigit()
    between = leads and (follows or before in (*_BEHIND, "%")) and run[1] not in _APOSTROPHES
    return f" {sign} " if alone or between else " "


def _is_symbol(sign: str, kind: str) -> bool:
    # below U+0300, modifiers are quotation marks and accents that stand alone
    modifier = kind == "Sk" and sign < "\u0300"
    return sign in _ALONE or (kind[0] == "S" and sign not in _NO_WORDS and not modifier)
