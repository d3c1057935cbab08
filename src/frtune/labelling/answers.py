"""From what a model wrote to keyphrases or a label: repaired where that is safe, else refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from frtune.data.cleaning import clean_keyphrases, split_keyphrases
from frtune.labelling.store import Answer
from frtune.metrics.phrases import normalize_phrase

_LONGEST_PHRASE = 10  # words
_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
_REFUSAL = re.compile(
    r"\W*(?:(?:i['’]?m|i am|we are|we['’]re) (?:sorry|unable|not able)|sorry\b|i apologi[sz]e|"
    r"i (?:can['’]?t|cannot|can not|won['’]?t)\b|(?:as|i am|i['’]m) an? (?:ai|language model)|"
    r"unfortunately\b|(?:je suis |nous sommes )?désolée?s?\b|je ne (?:peux|suis) pas|"
    r"en tant qu['’](?:ia|intelligence)|malheureusement\b|죄송|미안|저는 (?:ai|인공지능)|"
    r"도와드릴 수 없)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"(?:i hope|hope (?:this|that|it)|let me know|feel free|n['’]hésitez pas|도움이 되)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?。！？…:：]['\"”’)*]*$")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_EXPLAINED = re.compile(r"\W*(?:\d{1,3}[.)]\s*)?\*\*[^*]+\*\*\s*[-–—:：]\s*\S")
_GREETING = re.compile(
    r"(?:sure|certainly|of course|okay|bien sûr|네|물론입니다)[!,.]\s+", re.IGNORECASE
)
_NUMBERED = re.compile(r"\W*(?:\(?\d{1,3}[.)．]|[①-⑳])\s*\S")
_QUOTES = " \"'`*“”«»‘’.。"
_OTHER_SEPARATORS = ("；", " | ", "|", "、", "，", ", ", " · ", " • ", "\t")
_LABEL_FRAME = re.compile(
    r"(?:(?:the|la|le) )?(?:(?:best|final|correct) )?"
    r"(?:label|class[e]?|category|answer|étiquette|catégorie|réponse|레이블|라벨|분류|답)"
    r"\s*(?:is|est|[:：=])\s*[:：]?\s*",
    re.IGNORECASE,
)


class Parsed(NamedTuple):
    """What an answer says.

    Args:
        value: Keyphrases, a label, or ``None``.
        repairs: What was mended, by name.
        problem: Why there is no value: ``empty``, ``refusal``, ``prose``, ``cut`` or
            ``not_a_label``; ``None`` when there is one.
    """

    value: Any
    repairs: list[str]
    problem: str | None = None


def parse_keyphrases(answer: Answer, *, is_present: Callable[[str], bool], count: int) -> Parsed:
    r"""Read keyphrases.

    Args:
        answer: What the model wrote.
        is_present: Tells whether a phrase stands in the text; settles where a comma separates.
        count: Most phrases; further ones are cut.

    Returns:
        A list of phrases as ``value``; ``repairs`` out of ``reasoning``, ``code_fence``, ``json``,
        ``prose_around``, ``separator``, ``lines``, ``cut``, ``numbering``, ``marks``, ``repeats``
        and ``too_many``.

    Example:
        >>> here = "the city budget pays for schools".__contains__
        >>> parse_keyphrases(Answer("1. city budget\n2. schools"), is_present=here, count=10)
        Parsed(value=['city budget', 'schools'], repairs=['lines', 'numbering'], problem=None)
        >>> parse_keyphrases(Answer("I'm sorry, but I can't help."), is_present=here, count=10)
        Parsed(value=None, repairs=[], problem='refusal')
    """
    body, repairs = _unwrap(answer.text)
    if isinstance(body, dict):
        lists = [value for value in body.values() if isinstance(value, (list, str))]
        body = lists[0] if len(lists) == 1 else answer.text
    if isinstance(body, list):
        pieces = [str(item).strip() for item in body if str(item).strip()]
    else:
        pieces = _pieces(body, repairs, is_present)
    if not pieces:
        return Parsed(None, repairs, "refusal" if answer.finish == "content_filter" else "empty")
    if answer.finish == "length" and not isinstance(body, list):
        if len(pieces) == 1:
            return Parsed(None, repairs, "prose" if _is_prose(pieces[0]) else "cut")
        pieces = pieces[:-1]  # it may be half a phrase
        repairs.append("cut")
    pieces = _without_frame(pieces, repairs)
    refused = _REFUSAL.match(pieces[0]) and not is_present(pieces[0])
    if any(map(_is_prose, pieces)) or (
        refused and (len(pieces) == 1 or len(pieces[0].split()) > 4)
    ):
        return Parsed(None, repairs, "refusal" if refused else "prose")
    phrases = _cleaned(pieces, repairs)
    if len(phrases) > count:
        repairs.append("too_many")
    return Parsed(phrases[:count], repairs) if phrases else Parsed(None, repairs, "empty")


def _unwrap(text: str) -> tuple[Any, list[str]]:
    """Take reasoning, code fences and JSON off; a string, a list or a dictionary is left."""
    repairs = []
    body = _THINKING.sub("", text).strip()
    if body != text.strip():
        repairs.append("reasoning")
    if greeting := _GREETING.match(body):
        body = body[greeting.end() :]
        repairs.append("prose_around")
    fences = _FENCE.findall(body)
    if len(fences) == 1:
        body = fences[0].strip()
        repairs.append("code_fence")
    if body[:1] in ("{", "["):
        try:
            found = json.loads(body)
        except ValueError:
            return body, repairs
        if isinstance(found, dict) or all(isinstance(item, (str, int, float)) for item in found):
            return found, [*repairs, "json"]
    return body, repairs


def _pieces(body: str, repairs: list[str], is_present: Callable[[str], bool]) -> list[str]:
    """Cut at semicolons and line ends, or at the separator that was used in their place."""
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    if len(lines) > 1:
        kept = [line for line in lines if ";" in line or not _is_frame(line)]
        start = lines.index(kept[0]) if kept else 0
        together = lines[start : start + len(kept)] == kept  # so that what goes is around them
        if kept and len(kept) < len(lines) and together:
            repairs.extend({"prose_around"}.difference(repairs))
            lines = kept
    if len(lines) > 1 and not any(";" in line for line in lines):
        repairs.append("lines")
    body = "\n".join(lines)
    if len(lines) == 1 and ";" not in body and not _REFUSAL.match(body):
        for mark in _OTHER_SEPARATORS:
            parts = [part.strip() for part in body.split(mark) if part.strip()]
            if _separates(parts, body, is_present):
                repairs.append("separator")
                return parts
    return split_keyphrases(body, ";")


def _separates(parts: list[str], body: str, is_present: Callable[[str], bool]) -> bool:
    """Tell whether ``parts`` are phrases: short, and three, or two that stand in the text."""
    parts = [*parts[:-1], *(part.rstrip(".") for part in parts[-1:])]
    if len(parts) < 2 or any(len(part.split()) > 6 or _is_prose(part) for part in parts):
        return False
    return len(parts) > 2 or (all(map(is_present, parts)) and not is_present(body))


def _is_frame(line: str) -> bool:
    """Tell whether a line introduces or follows the phrases, and is none itself."""
    return not _NUMBERED.match(line) and (_is_prose(line) or line.endswith((":", "：")))


def _is_prose(piece: str) -> bool:
    """Tell whether a piece is a sentence, or too long for a phrase."""
    words = len(piece.split())
    framed = _EXPLAINED.match(piece) or (words > 2 and _CLOSING.match(piece))
    if words > _LONGEST_PHRASE or len(piece) > 120 or framed:
        return True
    if not _SENTENCE_END.search(piece):
        return False
    return words >= 5 or (len(piece) >= 12 and bool(_UNSPACED.search(piece)))


def _without_frame(pieces: list[str], repairs: list[str]) -> list[str]:
    """Drop a sentence before or after three phrases or more."""
    kept = list(pieces)
    if len(kept) > 3 and _is_prose(kept[0]):
        kept = kept[1:]
    if len(kept) > 3 and _is_prose(kept[-1]) and len(kept[-1].split()) > 3:
        kept = kept[:-1]
    if len(kept) < len(pieces):
        repairs.extend({"prose_around"}.difference(repairs))
    return kept


def _cleaned(pieces: list[str], repairs: list[str]) -> list[str]:
    """Clean as ``frtune prepare`` does, and name what that mended."""
    if pieces[-1].endswith(".") and pieces[-1].count(".") == 1:
        pieces = [*pieces[:-1], pieces[-1][:-1]]
        repairs.append("marks")
    each = [" ".join(clean_keyphrases([piece])) for piece in pieces]
    phrases = clean_keyphrases(pieces)
    known = {normalize_phrase(phrase) for phrase in phrases}
    mended = [piece for piece in pieces if normalize_phrase(piece) not in known]
    if any(map(_NUMBERED.match, mended)):
        repairs.append("numbering")
    elif mended and "marks" not in repairs:
        repairs.append("marks")
    if len({normalize_phrase(phrase) for phrase in each}) < len(each):
        repairs.append("repeats")
    return phrases


def parse_label(answer: Answer, labels: Sequence[str]) -> Parsed:
    """Read one of ``labels``.

    Case, Unicode form, white space, quotation marks, a final point, ``Label:`` before it and
    further lines behind it are looked past; a sentence that mentions a label is not an answer.

    Example:
        >>> parse_label(Answer("**Sport**."), ["sport", "politics"])
        Parsed(value='sport', repairs=['marks'], problem=None)
        >>> parse_label(Answer("It is not sport."), ["sport", "politics"]).problem
        'not_a_label'
    """
    body, repairs = _unwrap(answer.text)
    if isinstance(body, dict):
        values = [value for value in body.values() if isinstance(value, (str, int))]
        body = str(values[0]) if len(values) == 1 else answer.text
    elif isinstance(body, list):
        body = str(body[0]) if len(body) == 1 else answer.text
    lines = [line.strip() for line in str(body).splitlines() if line.strip()]
    if not lines:
        return Parsed(None, repairs, "refusal" if answer.finish == "content_filter" else "empty")
    folded: dict[str, list[str]] = {}
    for label in labels:
        folded.setdefault(normalize_phrase(label), []).append(label)
    others = {normalize_phrase(line) for line in lines[1:]} & folded.keys()
    bare = lines[0].strip(_QUOTES)
    framed = bare[frame.end() :] if (frame := _LABEL_FRAME.match(bare)) else bare
    forms = [(lines[0], []), (bare, ["marks"]), (framed.strip(_QUOTES), ["frame"])]
    for shown, mended in forms:
        found = [shown] if shown in labels else folded.get(normalize_phrase(shown), [])
        if len(found) == 1 and not others:
            if len(lines) > 1 and "prose_around" not in repairs:
                mended = [*mended, "prose_around"]
            if not mended and shown != found[0]:
                mended = ["case"]
            return Parsed(found[0], [*repairs, *mended])
    return Parsed(None, repairs, "refusal" if _REFUSAL.match(lines[0]) else "not_a_label")
