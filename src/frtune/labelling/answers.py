"""From what a model wrote to keyphrases or a label: repaired where that is safe, else refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from frtune.data.cleaning import clean_keyphrases, split_keyphrases
from frtune.labelling.chat_markup import PAGE, Body, strip_markup
from frtune.labelling.json_answers import Found, find_json
from frtune.labelling.json_values import is_name, label_of, names_label, names_phrases, phrases_of
from frtune.labelling.numbering import without_numbers
from frtune.labelling.phrase_lists import (
    clean_pieces,
    note,
    split_answer,
    without_frame,
    without_rest,
)
from frtune.labelling.phrase_marks import bare, has_syntax, own_fields
from frtune.labelling.prose import AMBIGUOUS, REFUSAL, is_frame, is_prose, says_none, says_nothing
from frtune.labelling.store import Answer
from frtune.metrics.phrases import normalize_phrase

_QUOTE, _ESCAPED_QUOTE = re.compile(r'(?<!\\)"'), re.compile(r'[\[{,:\s]\\"')
_QUOTES = " \"'`*“”«»‘’.。"
_LABEL_FRAME = re.compile(
    r"(?:(?:the|la|le) )?(?:(?:best|final|correct) )?"
    r"(?:label|class[e]?|category|answer|étiquette|catégorie|réponse|레이블|라벨|분류|답)"
    r"\s*(?:is|est|[:：=])\s*[:：]?\s*",
    re.IGNORECASE,
)


class Parsed(NamedTuple):
    """What an answer says.

    Args:
        value: Keyphrases, a label, or ``None``. No keyphrases is a list too.
        repairs: What was mended, by name.
        problem: Why there is no value: ``empty``, ``refusal``, ``prose``, ``cut``, ``broken``,
            ``several_answers`` or ``not_a_label``; ``None`` when there is one.
    """

    value: Any
    repairs: list[str]
    problem: str | None = None


def parse_keyphrases(
    answer: Answer, *, is_present: Callable[[str], bool], count: int, source: str = ""
) -> Parsed:
    r"""Read keyphrases.

    Args:
        answer: What the model wrote.
        is_present: Tells whether a phrase stands in the text; settles where a comma separates.
        count: Most phrases; further ones are cut.
        source: The text. What JSON and markup are written with is no part of a phrase unless it
            stands there.

    Returns:
        A list of phrases as ``value``; ``repairs`` out of ``reasoning``, ``turn_token``, ``tags``,
        ``code_fence``, ``json``, ``json_mended``, ``prose_around``, ``separator``, ``lines``,
        ``cut``, ``numbering``, ``marks``, ``syntax``, ``repeats``, ``none`` and ``too_many``.

    Example:
        >>> here = "the city budget pays for schools".__contains__
        >>> parse_keyphrases(Answer("1. city budget\n2. schools"), is_present=here, count=10)
        Parsed(value=['city budget', 'schools'], repairs=['lines', 'numbering'], problem=None)
        >>> parse_keyphrases(Answer("I'm sorry, but I can't help."), is_present=here, count=10)
        Parsed(value=None, repairs=[], problem='refusal')
        >>> parse_keyphrases(Answer('{"keyphrases": []}'), is_present=here, count=10).value
        []
    """
    if answer.finish == "content_filter":
        return Parsed(None, [], "refusal")
    if PAGE.match(answer.text) and not PAGE.match(source):
        return Parsed(None, [], "broken")
    body = _unwrapped(answer.text, source)
    if not body.text:
        return Parsed(None, body.repairs, _nothing(answer, body))
    if found := find_json(body.text):
        pieces, repairs, problem = _from_json(found, body, is_present)
    else:
        pieces, repairs, problem = _from_text(body, answer, is_present)
    if problem:
        return Parsed(None, repairs, problem)
    if _is_none(pieces, is_present):
        return Parsed([], [*repairs, "none"])
    pieces = without_frame(pieces, repairs)
    if problem := _said_instead(pieces, is_present):
        return Parsed(None, repairs, problem)
    phrases = clean_pieces(_bare(pieces, repairs, is_present, source), repairs)
    plain = [phrase for phrase in phrases if not has_syntax(phrase, source)]
    if len(plain) < len(phrases) and (not found or not plain):
        return Parsed(None, repairs, "broken")
    if len(plain) < len(phrases):
        repairs.append("syntax")
    phrases = [phrase for phrase in plain if not _tells_none(phrase, is_present)]
    if plain and not phrases:
        return Parsed([], [*repairs, "none"])
    kept = without_rest(phrases, repairs, is_present)
    if len(kept) > count:
        repairs.append("too_many")
    return Parsed(kept[:count], repairs) if kept else Parsed(None, repairs, "empty")


def _said_instead(pieces: list[str], is_present: Callable[[str], bool]) -> str | None:
    """``refusal`` or ``prose`` for what a model says instead of phrases."""
    refused = REFUSAL.match(pieces[0]) and not is_present(pieces[0])
    if refused and (len(pieces) == 1 or len(pieces[0].split()) > 4):
        return "refusal"
    if any(map(is_prose, pieces)):
        return "refusal" if refused else "prose"
    nothing = len(set(pieces)) == 1 and says_nothing(pieces[0]) and not is_present(pieces[0])
    return "prose" if nothing else None


def _bare(
    pieces: list[str], repairs: list[str], is_present: Callable[[str], bool], source: str
) -> list[str]:
    """Pieces without numbers and marks."""
    counted = pieces if all(map(is_present, pieces)) else without_numbers(pieces)
    if counted != pieces:
        note(repairs, "numbering")
    unwrapped = [bare(piece, source) for piece in own_fields(counted)]
    if unwrapped != counted:
        note(repairs, "marks")
    return unwrapped


def _unwrapped(text: str, source: str) -> Body:
    """Take off what stands around an answer, and the quotation marks of a JSON string."""
    body = strip_markup(text, source)
    found = body.text
    if _ESCAPED_QUOTE.search(found) and not _QUOTE.search(found):
        found = f'"{found}"'  # what a string of JSON holds, without its quotation marks
    while isinstance(read := _read_string(found), str) and (find_json(read) or "\n" in read):
        found = read.strip()
    if isinstance(read, list) and len(read) > 1:  # "town hall","schools"
        found = json.dumps(read, ensure_ascii=False)
    return body if found == body.text else Body(found, [*body.repairs, "json"])


def _read_string(text: str) -> str | list[Any] | None:
    """The string of JSON that a text is, or strings with commas between them."""
    if not text[:1] == text[-1:] == '"':
        return None
    try:
        strings = json.loads(f"[{text}]")
    except (ValueError, RecursionError):
        return None
    return strings[0] if len(strings) == 1 else strings


def _nothing(answer: Answer, body: Body) -> str:
    """Why there is no answer."""
    return "cut" if answer.finish == "length" or body.unfinished else "empty"


Read = tuple[list[str], list[str], str | None]


def _from_json(found: Found, body: Body, is_present: Callable[[str], bool]) -> Read:
    """Pieces, repairs and a problem of an answer with JSON in it."""
    repairs = [*body.repairs, "json"]
    if not found.is_exact:
        repairs.append("json_mended")
    if found.around:
        note(repairs, "prose_around")
    if found.is_item:
        return [], repairs, "broken"
    if found.is_broken:
        return [], repairs, "cut" if found.is_cut else "broken"
    values = found.values
    if found.is_cut:
        repairs.append("cut")
        values = values[:-1] or values  # a model that repeats its answer up to the limit
        if not names_phrases(values[-1]):  # what they stand under is to come
            return [], repairs, "cut"
    pieces = phrases_of(values, is_present)
    if pieces is None:
        return [], repairs, "several_answers" if len(values) > 1 else "broken"
    texts = [piece.strip() for piece in pieces if piece.strip()]
    if not texts and (pieces or found.is_cut):
        return [], repairs, "cut" if found.is_cut else "empty"
    around = [line for line in found.around.splitlines() if line.strip()]
    if not texts and not all(map(_is_beside, around)):  # brackets among words are no empty list
        return [], repairs, "broken"
    if len(texts) == 1:
        return split_answer(texts[0], repairs, is_present), repairs, None
    return [part for text in texts for part in split_keyphrases(text, ";")], repairs, None


def _is_beside(line: str) -> bool:
    """Tell whether a line beside an empty list may stand there: it introduces or explains it."""
    return is_frame(line) or says_none(line) or is_name(line)


def _from_text(body: Body, answer: Answer, is_present: Callable[[str], bool]) -> Read:
    """The same of an answer without JSON."""
    repairs = [*body.repairs]
    pieces = split_answer(body.text, repairs, is_present)
    if not pieces:
        return [], repairs, _nothing(answer, body)
    if answer.finish == "length":
        if len(pieces) == 1:
            return [], repairs, "prose" if is_prose(pieces[0]) else "cut"
        pieces = pieces[:-1]  # it may be half a phrase
        repairs.append("cut")
    return pieces, repairs, None


def _is_none(pieces: list[str], is_present: Callable[[str], bool]) -> bool:
    """Tell whether the pieces say that there are no keyphrases."""
    if not pieces:
        return True
    said = " ".join(clean_keyphrases(pieces[:1])) or pieces[0]
    if len(parts := re.split(r"\s*[,|/]\s+", said)) > 1:  # none, none
        return len(pieces) == 1 and all(_tells_none(part, is_present) for part in parts)
    return _tells_none(said, is_present) and all(map(is_prose, pieces[1:]))


def _tells_none(phrase: str, is_present: Callable[[str], bool]) -> bool:
    """Tell whether a phrase says that there is none: null and no keywords may stand in a text."""
    ambiguous = " " in phrase or phrase.casefold() in AMBIGUOUS
    return says_none(phrase) and not (ambiguous and is_present(phrase))


def parse_label(answer: Answer, labels: Sequence[str], source: str = "") -> Parsed:
    """Read one of ``labels``.

    Case, Unicode form, white space, quotation marks, a final point, ``Label:`` before it and
    further lines behind it are looked past; a sentence that mentions a label is not an answer.

    Example:
        >>> parse_label(Answer("**Sport**."), ["sport", "politics"])
        Parsed(value='sport', repairs=['marks'], problem=None)
        >>> parse_label(Answer("It is not sport."), ["sport", "politics"]).problem
        'not_a_label'
    """
    if answer.finish == "content_filter":
        return Parsed(None, [], "refusal")
    body = _unwrapped(answer.text, source)
    text, repairs = body.text, [*body.repairs]
    if (found := find_json(text)) and text not in labels:
        repairs += ["json"] if found.is_exact else ["json", "json_mended"]
        named = all(map(names_label, found.values)) if found.is_cut else not found.is_broken
        text = (label_of(found.values) if named else None) or ""
        if not text:
            return Parsed(None, repairs, "cut" if found.is_cut else "not_a_label")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return Parsed(None, repairs, _nothing(answer, body))
    folded: dict[str, list[str]] = {}
    for label in labels:
        folded.setdefault(normalize_phrase(label), []).append(label)
    others = {normalize_phrase(line) for line in lines[1:]} & folded.keys()
    for shown, mended in _label_forms(lines[0]):
        found_labels = [shown] if shown in labels else folded.get(normalize_phrase(shown), [])
        if len(found_labels) != 1 or others:
            continue
        label = found_labels[0]
        at_limit = answer.finish == "length" and len(lines) == 1 and not found
        if at_limit and _goes_on(label, labels):
            return Parsed(None, repairs, "cut")
        if len(lines) > 1 and "prose_around" not in repairs:
            mended = [*mended, "prose_around"]
        if not mended and shown != label:
            mended = ["case"]
        return Parsed(label, [*repairs, *mended])
    if answer.finish == "length" and len(lines) == 1:
        return Parsed(None, repairs, "cut")
    return Parsed(None, repairs, "refusal" if REFUSAL.match(lines[0]) else "not_a_label")


def _label_forms(line: str) -> list[tuple[str, list[str]]]:
    """A line as it is, without marks, and without words before the label."""
    bare = line.strip(_QUOTES)
    framed = bare[frame.end() :] if (frame := _LABEL_FRAME.match(bare)) else bare
    return [(line, []), (bare, ["marks"]), (framed.strip(_QUOTES), ["frame"])]


def _goes_on(label: str, labels: Sequence[str]) -> bool:
    """Tell whether another label begins as this one does."""
    start = normalize_phrase(label)
    return any(other != label and normalize_phrase(other).startswith(start) for other in labels)
