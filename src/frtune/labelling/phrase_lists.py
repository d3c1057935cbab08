"""A list of phrases in an answer without JSON: where one ends, and what is around them."""

from __future__ import annotations

import re
from collections.abc import Callable

from frtune.data.cleaning import clean_keyphrases, split_keyphrases
from frtune.labelling.json_values import is_name
from frtune.labelling.numbering import at_numbers
from frtune.labelling.prose import NUMBERED, REFUSAL, is_frame, is_prose
from frtune.metrics.phrases import normalize_phrase

_OTHER_SEPARATORS = ("；", "؛", " | ", "|", "、", "，", ", ", ",", " · ", " • ", "\t")
_ANSWER_FRAME = re.compile(
    r"(?:\A|\n)(?:[*_#]|[^\S\n])*(?:(?:my |the )?(?:final )?(?:answer|output|result)"
    r"(?: is)?|réponse(?: finale)?|최종 ?답변?|정답|답변?|결과)\s*[:：][*_]*\s*(?=\S)"
    r"|\A(?:the|les) (?:\w+ ){0,3}(?:key ?-?(?:phrases|words)|mots[ -]clés)"
    r"(?: (?:of|in|de|du) (?:the|this|ce|le)? ?(?:text|texte|document))? (?:are|sont)\s*[:：]?\s*",
    re.IGNORECASE,
)
_AND_SO_ON = re.compile(r"(?:and )?(?:etc|so on|others|more)|등등?|기타", re.IGNORECASE)
_CONJUNCTION = re.compile(r"\A(?:and|et|및|그리고)\s+", re.IGNORECASE)
_HEAD = re.compile(
    r"^([^;:：\n]{0,40}(?:key ?-?(?:phrases|words)|mots?[ -]cl[ée]s|키워드|핵심 ?(?:어|구문|표현))"
    r"[^;:：\n]{0,40})[:：](?:\*\*)?\s*(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE = re.compile(r"[.!?:。：]\W*\Z")
_HEADING = re.compile(
    r"\W*(?:(?:final )?answer|output|results?|response|réponse|최종 ?답변?|답변?|결과)\W*",
    re.IGNORECASE,
)
_NAMED = re.compile(r"([^:：=;\n]{1,30}(?:=|\(\d+\)\s*[:：]))\s*(?=\S)")  # Keyphrases (3): ...


def note(repairs: list[str], repair: str) -> None:
    """Add a repair that is not there yet."""
    if repair not in repairs:
        repairs.append(repair)


def split_answer(body: str, repairs: list[str], is_present: Callable[[str], bool]) -> list[str]:
    """Cut at semicolons and line ends, or at the separator that was used in their place."""
    body = _without_head(body, repairs, is_present)
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    if len(lines) > 1:
        kept = [line for line in lines if ";" in line or not is_frame(line)]
        start = lines.index(kept[0]) if kept else 0
        together = lines[start : start + len(kept)] == kept  # so that what goes is around them
        if kept and len(kept) < len(lines) and together:
            note(repairs, "prose_around")
            lines = kept
    body = "\n".join(lines)
    if ";" in body:
        return split_keyphrases(body, ";")
    if len(lines) > 1:
        repairs.append("lines")
    elif not is_present(body) and len(counted := at_numbers(body)) > 1:
        note(repairs, "numbering")
        return counted
    elif not REFUSAL.match(body):
        for mark in _OTHER_SEPARATORS:
            parts = [part.strip() for part in body.split(mark) if part.strip()]
            if _separates(parts, body, is_present) and (mark != "," or all(map(is_present, parts))):
                note(repairs, "separator")
                last = _CONJUNCTION.sub("", parts[-1], count=1) if parts[2:] else parts[-1]
                return [*parts[:-1], last]
    return split_keyphrases(body, ";")


def _without_head(body: str, repairs: list[str], is_present: Callable[[str], bool]) -> str:
    """The list without words that introduce it, and marks around all of it."""
    if frame := _ANSWER_FRAME.search(body):
        body = body[frame.end() :]
        note(repairs, "prose_around")
    if (named := _NAMED.match(body)) and is_name(named[1]):
        body = body[named.end() :]
        note(repairs, "marks")
    for head in _HEAD.finditer(body):
        before = [line for line in body[: head.start()].splitlines() if line.strip()]
        known = is_name(head[1]) and not before  # clean_pieces takes it off
        if not (known or is_present(head[1])) and all(map(_SENTENCE.search, before)):
            note(repairs, "prose_around")
            body = body[head.end() :]
            break
    inner = body.strip()
    end = {"(": ")", "'": "'", '"': '"'}.get(inner[:1])
    if end and inner.find(end, 1) == len(inner) - 1:
        body = inner[1:-1]
        note(repairs, "marks")
    return body


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


def without_rest(
    phrases: list[str], repairs: list[str], is_present: Callable[[str], bool]
) -> list[str]:
    """Phrases without a heading, words for phrases, numbers alone, "etc." and half a phrase.

    All of it stays where it is in the text.
    """
    kept = [phrase for phrase in phrases if is_present(phrase) or not is_name(phrase)]
    head = re.split(r"[,\t|]", kept[0])[0] if len(kept) > 1 and not is_present(kept[0]) else ""
    if is_name(head) or _HEADING.fullmatch(head):
        kept = kept[1:]
    last = kept[-1] if len(kept) > 1 and not is_present(kept[-1]) else ""
    if last.endswith(("...", "…")):
        note(repairs, "cut")
    if last.endswith(("...", "…")) or _AND_SO_ON.fullmatch(last.strip(" .…")):
        kept = kept[:-1]
    worded = any(any(map(str.isalpha, phrase)) or is_present(phrase) for phrase in kept)
    return kept if worded else []


def clean_pieces(pieces: list[str], repairs: list[str]) -> list[str]:
    """Clean as ``frtune prepare`` does, and name what that mended."""
    ended = [piece.endswith(".") and piece.count(".") == 1 for piece in pieces]
    if ended[-1]:
        pieces = [p[:-1] if all(ended) or p is pieces[-1] else p for p in pieces]
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
