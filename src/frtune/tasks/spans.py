"""Where the keywords of a list stand in a text, by character of the text as it was given."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

# an elided word before an apostrophe; "aujourd'hui", "quelqu'un" and "presqu'île" are whole words
_ELISION = re.compile(r"(?<![^\W_])(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu)'\Z", re.IGNORECASE)
_POSSESSIVE = re.compile(r"'s(?![^\W_])")
_LONGEST_ELISION = len("lorsqu'") + 1
_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ′＇`´"), "'")
_HYPHENS = dict.fromkeys(map(ord, "‐‑‒–−"), "-")
_SIGNS = {**_APOSTROPHES, **_HYPHENS}
_JAMO = re.compile("[\u3131-\u318e\uffa0-\uffdc]")  # letters that stand alone: ㅋ, ㅠ
_LIGATURES = {ord("œ"): "oe", ord("æ"): "ae"}
_JOINERS = "\u200c\u200d"
# signs behind a word that are part of it (C++, C#, A*); a lone + between two words is none
_WORD_SIGN = re.compile(r"(?<=[\w+])(?:\+\+|\+(?!\w)|[#♯*](?!\*))")


class Span(NamedTuple):
    """A stretch of text: ``text[start:end]``."""

    start: int
    end: int


@dataclass(frozen=True)
class MappedText:
    """A text that was rewritten, and where each of its characters came from.

    Attributes:
        text: The rewritten text.
        starts: Where the origin of each character starts; ``None`` if nothing moved.
        ends: Where it ends.
    """

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None

    def origin(self, start: int, end: int) -> Span:
        """The stretch of the original text behind ``text[start:end]``."""
        if self.starts is None or self.ends is None:
            return Span(start, end)
        if start >= end:
            at = self.starts[start] if start < len(self.starts) else (self.ends or [0])[-1]
            return Span(at, at)
        return Span(self.starts[start], self.ends[end - 1])


def plain(text: str) -> MappedText:
    r"""Return ``text`` as tokenizers should read it: NFC, nothing invisible, spaces for line ends.

    Example:
        >>> found = plain("com\u00admune e\u0301te\u0301")
        >>> found.text, found.origin(8, 11)
        ('commune été', Span(start=9, end=14))
    """
    if text.isprintable() and unicodedata.is_normalized("NFC", text):
        return MappedText(text)
    return _rewritten(text, _plain_cluster)


def fold(text: str, *, ignore_accents: bool = True) -> MappedText:
    """Return ``text`` without what keywords may differ in: case, forms of signs, accents, spaces.

    Example:
        >>> fold("L’Été  à Œuvre").text, fold("L’Été", ignore_accents=False).text
        ("l'ete a oeuvre", "l'été")
    """
    if text.isascii() and text.isprintable() and "  " not in text and "`" not in text:
        return MappedText(text.lower())
    return _rewritten(text, _folded_without_accents if ignore_accents else _folded, single=True)


def keyword_key(text: str, *, ignore_accents: bool = True) -> str:
    """Return what two spellings of a keyword have in common.

    Example:
        >>> keyword_key(" École  d’été ")
        "ecole d'ete"
    """
    return fold(text, ignore_accents=ignore_accents).text.strip()


def _rewritten(text: str, change: Callable[[str], str], *, single: bool = False) -> MappedText:
    """Rewrite each character with its combining marks; ``single`` keeps one space of a run."""
    different = set(text)
    if any(map(_continues, different)):
        return _rewritten_clusters(text, change, single=single)
    table = {char: change(char) for char in different}
    pieces = [table[char] for char in text]
    whole = "".join(pieces)
    if single and "  " in whole:
        return _rewritten_clusters(text, change, single=True)
    if all(len(piece) == 1 for piece in table.values()):
        return MappedText(whole)
    starts = [i for i, piece in enumerate(pieces) for _ in piece]
    return MappedText(whole, starts, [start + 1 for start in starts])


def _rewritten_clusters(text: str, change: Callable[[str], str], *, single: bool) -> MappedText:
    """The same for any text, and slower."""
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    while position < len(text):
        start, position = position, position + 1
        while _continues_at(text, position):
            position += 1
        new = change(text[start:position])
        if single and new == " " and out and out[-1] == " ":
            ends[-1] = position
            continue
        out.extend(new)
        starts.extend([start] * len(new))
        ends.extend([position] * len(new))
    return MappedText("".join(out), starts, ends)


@lru_cache(maxsize=1 << 16)
def _continues(char: str) -> bool:
    """Whether ``char`` is written onto the one before it: a mark, or a Hangul vowel or final."""
    mark = unicodedata.category(char) in ("Mn", "Me") or char in "\uff9e\uff9f\u0e33\u0eb3"
    return mark or "\u1160" <= char <= "\u11ff"


def _continues_at(text: str, at: int) -> bool:
    """Whether ``text[at]`` belongs to the one before it; also what is invisible, and marked."""
    while at < len(text) and _invisible(text[at]) and not text[at].isspace():
        at += 1
    return at < len(text) and _continues(text[at])


@lru_cache(maxsize=1 << 16)
def _invisible(char: str) -> bool:
    """Control and format characters, and halves of surrogate pairs."""
    return unicodedata.category(char) in ("Cc", "Cf", "Cs")


@lru_cache(maxsize=1 << 16)
def _plain_cluster(cluster: str) -> str:
    if cluster[0].isspace():
        return " "
    kept = (c for c in cluster if c in _JOINERS or not _invisible(c))
    return unicodedata.normalize("NFC", "".join(kept))


@lru_cache(maxsize=1 << 16)
def _folded(cluster: str) -> str:
    if cluster[0].isspace():
        return " "
    kept = "".join(c for c in cluster if not _invisible(c))
    if _JAMO.match(kept):  # NFKC would join them to the letters around them
        return kept
    # signs first: NFKC turns an acute accent into a space and a mark; and again, for it also makes
    # signs of others (a double prime becomes two primes)
    kept = unicodedata.normalize("NFKC", kept.translate(_SIGNS))
    kept = unicodedata.normalize("NFKC", kept.casefold()).translate(_SIGNS)
    return " " if kept[:1] == " " else kept


@lru_cache(maxsize=1 << 16)
def _folded_without_accents(cluster: str) -> str:
    apart = unicodedata.normalize("NFD", _folded(cluster)).translate(_LIGATURES)
    # in NFC again, for Hangul
    kept = "".join(c for c in apart if unicodedata.category(c) != "Mn")
    return unicodedata.normalize("NFC", kept)


# --- finding -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Occurrences:
    """Where the keywords of one text stand in it.

    Attributes:
        spans: Every occurrence that no longer one overlaps, in the order of the text.
        missing: Keywords that the text does not hold.
        hidden: Keywords whose every occurrence lies under a longer one.
        overlapped: Occurrences that lie under a longer one.
    """

    spans: list[Span]
    missing: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    overlapped: int = 0


def find_keywords(
    text: str, keywords: Iterable[str], *, ignore_accents: bool = True
) -> Occurrences:
    """Find every occurrence of every keyword, between word boundaries.

    Case, the form of apostrophes and hyphens, white space, invisible characters and Unicode form
    do not matter, and accents only if asked for. A word may follow an elided one
    (``l'opération``). Where occurrences overlap the longest stays; of equal ones, the first.

    Args:
        text: The text, in any Unicode form.
        keywords: Keywords; those that are equal after folding count once.
        ignore_accents: Whether ``ecole`` finds ``école``.

    Example:
        >>> text = "L’opération vise l'eau, pas l'eau de mer d'aujourd'hui."
        >>> found = find_keywords(text, ["OPERATION", "eau", "eau de mer", "hui"])
        >>> [text[start:end] for start, end in found.spans], found.missing, found.overlapped
        (['opération', 'eau', 'eau de mer'], ['hui'], 1)
    """
    folded = fold(text, ignore_accents=ignore_accents)
    keys: dict[str, str] = {}
    for keyword in keywords:
        keys.setdefault(keyword_key(keyword, ignore_accents=ignore_accents), keyword)
    keys.pop("", None)
    places = {key: _places(folded.text, key) for key in keys}
    every = [(-len(key), start, key) for key, starts in places.items() for start in starts]
    taken: list[tuple[int, int]] = []
    kept: set[str] = set()
    used = bytearray(len(folded.text))
    for length, start, key in sorted(every):
        end = start - length
        if any(used[start:end]):
            continue
        used[start:end] = b"\x01" * (end - start)
        taken.append((start, end))
        kept.add(key)
    return Occurrences(
        spans=[folded.origin(start, end) for start, end in sorted(taken)],
        missing=[keys[key] for key, starts in places.items() if not starts],
        hidden=[keys[key] for key, starts in places.items() if starts and key not in kept],
        overlapped=len(every) - len(taken),
    )


def _places(text: str, key: str) -> list[int]:
    """Starts of ``key`` in folded ``text`` that lie between word boundaries."""
    found = []
    start = text.find(key)
    while start >= 0:
        end = start + len(key)
        sign = _WORD_SIGN.match(text, end) and text[start - 1 : start] != "*"  # not *emphasis*
        if _opens(text, start) and _closes(text, end) and not sign:
            found.append(start)
        start = text.find(key, start + 1)
    return found


def _word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _opens(text: str, at: int) -> bool:
    """Whether a word may start at ``at``; a sign may start anywhere."""
    if at == 0 or not _word(text[at]):
        return True
    before = text[at - 1]
    if before == "'" and at > 1 and _word(text[at - 2]):
        return bool(_ELISION.search(text[max(0, at - _LONGEST_ELISION) : at]))
    point = before == "." and (at == 1 or text[at - 2].isspace())  # .NET
    return not _word(before) and not point and not _in_number(text, at - 1)


def _closes(text: str, at: int) -> bool:
    """Whether a word may end before ``at``."""
    if at == len(text) or not _word(text[at - 1]):
        return True
    if text[at] == "'" and at + 1 < len(text) and _word(text[at + 1]):
        return bool(_POSSESSIVE.match(text, at))
    return not _word(text[at]) and not _in_number(text, at)


def _in_number(text: str, at: int) -> bool:
    """Whether the sign at ``at`` stands inside a number: ``3,14``."""
    return (
        text[at] in ".,"
        and 0 < at < len(text) - 1
        and text[at - 1].isdigit()
        and text[at + 1].isdigit()
    )
