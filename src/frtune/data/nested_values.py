"""The one rule by which texts and phrases are read that are not plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from frtune.data.cleaning import split_keyphrases
from frtune.data.written_lists import UNREADABLE, looks_written, parse_written, without_entities

_NEEDED = "a list of text, or separated text, is needed"


class _Unreadable(Exception):
    """Says what a value holds that is no phrase."""


def read_phrases(value: Any, separator: str = "; ", field: str | None = None) -> list[str]:
    r"""Return the phrases of one value of a data set; not yet cleaned.

    - Text is split at the separator and at line ends, or is a list that is written out, as JSON
      or as Python does.
    - A list holds text; or objects, of which ``field`` names the one with the phrase; or lists of
      words, which are joined by spaces.
    - An object has the list under ``field``.

    Args:
        value: The value.
        separator: As for ``split_keyphrases``.
        field: Name of the phrase in objects.

    Returns:
        The phrases; none of a value of which ``phrases_reason`` says why it cannot be read.

    Example:
        >>> read_phrases([["solar", "cells"], "citation"])
        ['solar cells', 'citation']
        >>> read_phrases([{"phrase": "solar cells", "score": 0.9}], field="phrase")
        ['solar cells']
        >>> read_phrases('["emoji \\ud83d\\ude00", null]')
        ['emoji 😀']
    """
    try:
        return _phrases(value, separator, field)
    except _Unreadable:
        return []


def phrases_reason(
    value: Any, column: str, field: str | None = None, kind: str = "keyphrases"
) -> str | None:
    """Say why a value holds no phrases that can be read; ``None`` when it does.

    An empty list is read, and holds none.

    Args:
        value: The value.
        column: Its column, in the message.
        field: As for ``read_phrases``.
        kind: What the phrases are called.

    Example:
        >>> phrases_reason(["eau", "sel"], "keywords"), phrases_reason("eau;sel", "keywords")
        (None, None)
        >>> phrases_reason({"eau": 1}, "keywords")
        "column keywords holds a dict, {'eau': 1}; name the field of the phrase: --keyphrase-field"
    """
    if _is_none(value) or (isinstance(value, str) and not value.strip()):
        return f"column {column} holds no {kind}"
    try:
        _phrases(value, "; ", field)
    except _Unreadable as error:
        return f"column {column} holds {error}"
    return None


def _is_none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _phrases(value: Any, separator: str, field: str | None) -> list[str]:
    if _is_none(value):
        return []
    if isinstance(value, str):
        if not looks_written(value):
            return split_keyphrases(value, separator)
        found = parse_written(value)
        if found is UNREADABLE or not isinstance(found, list | dict):
            raise _Unreadable(f"{value.strip()[:40]!r}, which is no list that can be read")
        if isinstance(found, dict) and field is None:
            raise _Unreadable(
                f"{value.strip()[:40]!r}, which is no list that can be read but an object; "
                "name the field of the phrase: --keyphrase-field"
            )
        return _phrases(found, separator, field)
    if isinstance(value, list) and all(type(item) is str for item in value):
        return [phrase for phrase in map(without_entities, value) if phrase.strip()]
    if isinstance(value, Mapping):
        return _phrases(_field(value, field, value), separator, None)
    if isinstance(value, bytes | bytearray | memoryview) or not isinstance(value, Iterable):
        raise _Unreadable(f"a {type(value).__name__}, {str(value)[:40]}; {_NEEDED}")
    items = [item for item in value if not _is_none(item)]
    _check_forms(items)
    found = [_phrase(item, field) for item in items]
    return [phrase for phrase in found if phrase.strip()]


def _check_forms(items: Iterable[Any]) -> None:
    """Refuse lists of a phrase's forms, which are no lists of words: a word has no space in it."""
    lists = [item for item in items if isinstance(item, list | tuple)]
    spaced = any(isinstance(word, str) and " " in word.strip() for each in lists for word in each)
    several = next((each for each in lists if len(each) > 1), None)
    if spaced and several is not None:
        raise _Unreadable(
            f"a list with several forms of a phrase in it, {str(several)[:40]}; keep one of each"
        )


def _phrase(item: Any, field: str | None) -> str:
    if isinstance(item, Mapping):
        item = _field(item, field, item)
    if isinstance(item, list | tuple) and all(isinstance(word, str) for word in item):
        return without_entities(" ".join(item))
    if not isinstance(item, str):
        raise _Unreadable(f"a list with {str(item)[:40]} in it; {_NEEDED}")
    return without_entities(item)


def _field(item: Mapping[str, Any], field: str | None, shown: Any) -> Any:
    if field is None:
        raise _Unreadable(
            f"a dict, {str(shown)[:40]}; name the field of the phrase: --keyphrase-field"
        )
    if field not in item:
        names = ", ".join(map(str, item))[:60]
        raise _Unreadable(f"an object without the field {field}; it has {names}")
    return item[field]
