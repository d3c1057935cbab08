"""Values of answers from anywhere: lists of phrases, keywords with places, numbers, chances."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from frtune.data.labels import label_text, score_of
from frtune.data.nested_values import phrases_reason, read_phrases
from frtune.errors import InputError


def phrase_list(value: Any, separator: str) -> list[str]:
    """The phrases of one answer: of a list of text, or of text; none of an empty one.

    Example:
        >>> phrase_list("budget; école", "; "), phrase_list(["budget"], "; "), phrase_list("", "; ")
        (['budget', 'école'], ['budget'], [])
    """
    if value is None or value != value:
        raise InputError('has no answer. Write [] or "" for one without phrases.')
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or value.strip():
        reason = phrases_reason(value, "prediction")
        if reason is not None:
            raise InputError(f"{reason}.")
    return read_phrases(value, separator)


def keyword_span(item: Any, text: str) -> dict[str, Any]:
    """A keyword with its place, as ``predict`` gives it; refused where the text says otherwise.

    Example:
        >>> keyword_span({"text": "eau", "start": 2, "end": 5}, "l'eau")
        {'text': 'eau', 'start': 2, 'end': 5}
    """
    found = {name: item.get(name) for name in ("text", "start", "end")} if item else {}
    start, end = found.get("start"), found.get("end")
    if type(start) is not int or type(end) is not int or not isinstance(found["text"], str):
        raise InputError(f"{str(item)[:60]!r} has no text, start and end. Give all three, or text.")
    if not 0 <= start < end <= len(text) or text[start:end] != found["text"]:
        raise InputError(
            f"{found['text'][:60]!r} does not stand at {start} to {end} of the text. Give places "
            "in the text of the row, or the keywords as text alone."
        )
    score = item.get("score")
    return {**found, **({} if score is None else {"score": score})}


def number_of(value: Any) -> float:
    """The number of an answer, which may be the text of one; ``nan`` and the like are refused.

    Example:
        >>> number_of(3), number_of("0.50")
        (3.0, 0.5)
    """
    if value is None or value == "":
        raise InputError("has no answer. Give every row a number.")
    number = score_of(value)
    if number is None:
        comma = isinstance(value, str) and score_of(value.replace(",", ".")) is not None
        hint = "--decimal-comma reads it." if comma else "Give every row one."
        raise InputError(f"{str(value)[:60]!r} is no number. {hint}")
    return number


def label_scores(value: Any, labels: Sequence[str]) -> dict[str, float]:
    """The score of each label, of an object or of its JSON text.

    Example:
        >>> label_scores('{"b": 0.25, "a": 0.75}', ["a", "b"])
        {'a': 0.75, 'b': 0.25}
    """
    found = {str(label_text(name)): chance for name, chance in _object(value).items()}
    if {*found} != {*labels}:
        raise InputError(
            f"scores of {', '.join(list(found)[:10])}, but the labels are {', '.join(labels[:10])}."
            " Give a score for each label."
        )
    return {label: number_of(found[label]) for label in labels}


def labels_of_scores(given: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """The labels that the scores of the first answer are of; ``None`` without any."""
    scores = given[0].get("scores") if given else None
    return None if scores is None else [str(label_text(name)) for name in _object(scores)]


def _object(value: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = value
    if not isinstance(found, Mapping):
        raise InputError(f"scores {str(value)[:60]!r} are no object of a number for each label.")
    return found
