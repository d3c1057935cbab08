"""A list of phrases in an answer without JSON: where one ends, and what is around them."""

from __future__ import annotations

import re
from collections.abc import Callable

from frtune.data.cleaning import clean_keyphrases, split_keyphrases
from frtune.labelling.json_values import is_name
from frtune.labelling.prose import NUMBERED, REFUSAL, is_frame, is_prose
from frtune.metrics.phrases import normalize_phrase

_OTHER_SEPARATORS = ("；", " | ", "|", "、", "，", ", ", " · ", " • ", "\t")
_ANSWER_FRAME = re.compile(
    r"(?:\A|\n)(?:[*_#]|[^\S\n])*(?:(?:my |the )?(?:final )?(?:answer|output|result)|"
    r"réponse(?: finale)?|최종 ?답변?|정답|답변?|결과)\s*[:：][*_]*\s*(?=\S)"
    r"|\A(?:the|les) (?:\w+ ){0,3}(?:key ?-?(?:phrases|words)|mots[ -]clés)"
    r"(?: (?:of|in|de|du) (?:the|this|ce|le)? ?(?:text|texte|document))? (?:are|sont)\s*[:：]?\s*",
    re.IGNORECASE,
)
_BRACKETED = re.compile(r"(\W{0,3})(?:\[([^\[\]{}<>]+)\]|<([^\[\]{}<>]+)>|\{([^\[\]{}<>]+)\})\W?")
_REFERENCE = re.compile(r"\A\[\d{1,3}\]\s*(?=\S)")
_CONJUNCTION = re.compile(r"\A(?:and|et|및|그리고)\s+", re.IGNORECASE)
_SCORE = re.compile(
    r"(?<=\w)\s*(?:\((?:score|relevance)?\s*[:=]?\s*[01]?\.\d+\)|[:=]\s*[01]?\.\d+)\Z",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1|(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\3(?!\w)")
_NAMED = re.compile(r"([^:：=;\n]{1,30}(?:=|\(\d+\)\s*[:：]))\s*(?=\S)")  # Keyphrases (3): ...
# what JSON, Python, HTML, Markdown and chat templates are written with, and bytes that are no text
_SYNTAX = re.compile(
    r"[{}\[\]|\"`\\]|\*\*|__|(?<!\w)([*_])\S(?:.*\S)?\1(?!\w)|##|[<>]|\w=[\"'“]|&#?\w+;|\ufffd"
)


def note(repairs: list[str], repair: str) -> None:
    """Add a repair that is not there yet."""
    if repair not in repairs:
        repairs.append(repair)


def split_answer(body: str, repairs: list[str], is_present: Callable[[str], bool]) -> list[str]:
    """Cut at semicolons and line ends, or at the separator that was used in their place."""
    if frame := _ANSWER_FRAME.search(body):
        body = body[frame.end() :]
        note(repairs, "prose_around")
    if (named := _NAMED.match(body)) and is_name(named[1]):
        body = body[named.end() :]
        note(repairs, "marks")
    inner = body.strip()
    end = {"(": ")", "'": "'"}.get(inner[:1])
    if end and inner.find(end, 1) == len(inner) - 1:
        body = inner[1:-1]
        note(repairs, "marks")
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    if len(lines) > 1:
        kept = [line for line in lines if ";" in line or not is_frame(line)]
        start = lines.index(kept[0]) if kept else 0
        together = lines[start : start + len(kept)] == kept  # so that what goes is around them
        if kept and len(kept) < len(lines) and together:
            note(repairs, "prose_around")
            lines = kept
    if len(lines) > 1 and not any(";" in line for line in lines):
        repairs.append("lines")
    body = "\n".join(lines)
    if len(lines) == 1 and ";" not in body and not REFUSAL.match(body):
        for mark in _OTHER_SEPARATORS:
            parts = [part.strip() for part in body.split(mark) if part.strip()]
            if _separates(parts, body, is_present):
                repairs.append("separator")
                return [
                    *parts[:-1],
                    _CONJUNCTION.sub("", parts[-1], count=1) if parts[2:] else parts[-1],
                ]
    return split_keyphrases(body, ";")


def _separates(parts: list[str], body: str, is_present: Callable[[str], bool]) -> bool:
    """Tell whether ``parts`` are phrases: short, and three, or two that stand in the text."""
    parts = [*parts[:-1], *(part.rstrip(".") for part in parts[-1:])]
    if len(parts) < 2 or any(len(part.split()) > 6 or is_prose(part) for part in parts):
        return False
    return len(parts) > 2 or (all(map(is_present, parts)) and not is_present(body))


def without_frame(pieces: list[str], repairs: list[str]) -> list[str]:
    """Drop a sentence before or after three phrases or more."""
    kept = list(pieces)
    if len(kept) > 3 and is_prose(kept[0]):
        kept = kept[1:]
    if len(kept) > 3 and is_prose(kept[-1]) and len(kept[-1].split()) > 3:
        kept = kept[:-1]
    if len(kept) < len(pieces):
        note(repairs, "prose_around")
    return kept


def clean_pieces(pieces: list[str], repairs: list[str]) -> list[str]:
    """Clean as ``frtune prepare`` does, and name what that mended."""
    if pieces[-1].endswith(".") and pieces[-1].count(".") == 1:
        pieces = [*pieces[:-1], pieces[-1][:-1]]
        note(repairs, "marks")
    each = [" ".join(clean_keyphrases([piece])) for piece in pieces]
    phrases = clean_keyphrases(pieces)
    known = {normalize_phrase(phrase) for phrase in phrases}
    mended = [piece for piece in pieces if normalize_phrase(piece) not in known]
    if any(map(NUMBERED.match, mended)):
        repairs.append("numbering")
    elif mended:
        note(repairs, "marks")
    if len({normalize_phrase(phrase) for phrase in each}) < len(each):
        repairs.append("repeats")
    return phrases


def bare(piece: str, source: str) -> str:
    """A piece without a score, brackets around it, a number before it, or emphasis in it."""
    if (score := _SCORE.search(piece)) and score[0].strip() not in source:
        piece = piece[: score.start()]
    if not has_syntax(piece, source):
        return piece
    piece = _REFERENCE.sub("", piece)
    if bracketed := _BRACKETED.fullmatch(piece):
        piece = bracketed[1] + next(inside for inside in bracketed.groups()[1:] if inside)
    return _EMPHASIS.sub(r"\2\4", piece)


def has_syntax(phrase: str, source: str) -> bool:
    """Tell whether a phrase holds signs of JSON or markup, and does not stand so in the text."""
    if not _SYNTAX.search(phrase):
        return False
    return normalize_phrase(phrase) not in normalize_phrase(source)
