"""What a model puts around a phrase: taken off, unless the text has it so."""

from __future__ import annotations

import re
from functools import lru_cache

from frtune.labelling.json_values import is_name
from frtune.metrics.phrases import normalize_phrase

_PAIRS = ("[]", "<>", "{}", "【】", "［］", "｛｝", "《》", "〈〉", "〔〕")
_BRACKETED = re.compile(
    r"([^\w\s]{0,3})(?:"
    + "|".join(rf"\{a}([^\[\]{{}}<>\{a}\{b}]+)\{b}" for a, b in _PAIRS)
    + r")\W?"
)
_BULLET = re.compile(r"\A[-*+–—•]\s+(?=\S)")
_REFERENCE = re.compile(r"\A(?:\[\d{1,3}\]|#{2,6}(?=\s)|[-=]+>+|[→⇒➔➜➤▸►]+)\s*(?=\S)")
_SOURCES = re.compile(r"\s*(?:\[\^?\d{1,3}\]|【[^【】]*†[^【】]*】)\Z")
_LINK = re.compile(r"!?\[([^\[\]]+)\]\([^()\s]*\)")
_EMOJI = "[\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\U0001f000-\U0001faff]"
_SIGNS = re.compile(rf"\A{_EMOJI}+\s*(?=\S)|(?<=\S)\s*{_EMOJI}+\Z")
_NAME = re.compile(r"[-*\s]*([^:：=;\n]{1,30}?)\s*[:：=](?:\*\*)?\s*(?=\S)")
_SCORE = re.compile(
    r"(?<=\w)\s*(?:\((?:score|relevance)?\s*[:=]?\s*[01]?\.\d+\)|\s[-–—]+>?\s*[01]?\.\d+|[:=,\t]\s*[01]?\.\d+)\Z",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(
    r"(\*{2,3}|__|`|~~|==)(?=\S)(.+?)(?<=\S)\1|(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\3(?!\w)"
)
# what JSON, Python, HTML, Markdown and chat templates are written with, and bytes that are no text
_SYNTAX = re.compile(
    r"[{}\[\]|\"`\\<>｛｝［］【】▁\ufffd\ud800-\udfff]|\*\*|__|~~|==|##|\w=[\"'“]|&#?\w+;"
    r"|(?<!\w)([*_])\S(?:.*\S)?\1(?!\w)|(?<=[a-z])Ġ|%[0-9A-F]{2}.*%[0-9A-F]{2}"
)


def bare(piece: str, source: str) -> str:
    """A piece without what a model puts around it: none of it stands so in the text.

    That is a score, brackets, an arrow, an emoji, a number or a source in brackets, a link's
    address, emphasis, a word for phrases, or a colon at its end.
    """
    if (score := _SCORE.search(piece)) and score[0].strip() not in source:
        piece = piece[: score.start()]
    piece = _BULLET.sub("", piece)
    if _stands_in(piece, source):
        return piece
    if (named := _NAME.match(piece)) and is_name(named[1]):
        piece = piece[named.end() :]
    piece = _SOURCES.sub("", _SIGNS.sub("", _REFERENCE.sub("", piece)))
    if bracketed := _BRACKETED.fullmatch(piece):
        piece = bracketed[1] + next(inside for inside in bracketed.groups()[1:] if inside)
    piece = _EMPHASIS.sub(r"\2\4", _LINK.sub(r"\1", piece))
    if piece[:1] == "#" and _stands_in(piece[1:], source) and not _stands_in(piece, source):
        piece = piece[1:]
    return piece.rstrip(" :：")


def own_fields(pieces: list[str]) -> list[str]:
    """Of the lines of objects, as YAML writes them, those with phrases."""
    fields = [_NAME.match(piece) for piece in pieces]
    named = [
        piece for piece, field in zip(pieces, fields, strict=True) if field and is_name(field[1])
    ]
    return named if len(named) > 1 and all(fields) else pieces


@lru_cache(maxsize=1)
def _plain(source: str) -> str:
    return normalize_phrase(source)


def _stands_in(phrase: str, source: str) -> bool:
    return bool(phrase.strip()) and normalize_phrase(phrase) in _plain(source)


def has_syntax(phrase: str, source: str) -> bool:
    """Tell whether a phrase holds signs of JSON or markup, and does not stand so in the text."""
    if not _SYNTAX.search(phrase):
        return False
    return not _stands_in(phrase, source)
