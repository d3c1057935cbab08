"""JSON in an answer, also where it is Python, broken or cut off; what is whole is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_START = re.compile(r"[\[{]\s*(?:[\"'“„‘«「『\[{\]}]|\Z)|\{\s*\w+\s*:|\A\(\s*[\"'“]")
_BARE = re.compile(r"(?:[\w -]{1,30}[:：]\s*)?(?=[\[{])")
_FRAME = re.compile(r"```[\w-]*|^\s*(?:[a-z]+ )?\w+\s*=\s*$", re.MULTILINE)  # a fence, x =
_STRAIGHT = str.maketrans(dict.fromkeys("«»‘’„“”「」『』", '"'))
_QUOTES = "\"'“”‘’«»"
_HALF_A_KEY = re.compile(r"\{\s*(?:[\"'“][^:{}]*|\w*)\Z")
_UNREADABLE = object()


class Number(str):
    """A number of JSON, in the characters that it was written with."""


class Found(NamedTuple):
    """The JSON of an answer.

    Args:
        values: Each list or object that could be read, in order.
        around: What stands outside them.
        is_item: Whether a semicolon stands beside it: it is one of a list then.
        is_exact: Whether all is JSON to the letter.
        is_cut: Whether the last one has no end.
        is_broken: Whether one of them cannot be read safely.
    """

    values: list[Any]
    around: str
    is_item: bool
    is_exact: bool
    is_cut: bool
    is_broken: bool


def find_json(text: str) -> Found | None:
    """Read the lists and objects in ``text``; ``None`` where nothing begins as one does.

    Of one that is cut off the last text is dropped, unless its closing quotation mark is there.

    Example:
        >>> found = find_json('Here: {"keyphrases": ["town hall", "sch')
        >>> found.values, found.around, found.is_cut
        ([{'keyphrases': ['town hall']}], 'Here:', True)
        >>> find_json("town hall; school") is None
        True
    """
    chunks = list(_chunks(text))
    if not chunks:
        return None
    values, exact = [], True
    for start, end, is_whole in chunks:
        value = _strict(text[start:end])
        if value is _UNREADABLE:
            exact, value = False, _tolerant(text[start:end], is_whole)
        values.append(value)
    ends = [0, *(end for _, end, _ in chunks)]
    starts = [start for start, _, _ in chunks]
    around = [text[end:start] for end, start in zip(ends, starts, strict=False)]
    around.append(text[ends[-1] :])
    item = any(part.rstrip().endswith(";") for part in around[:-1]) or any(
        part.lstrip().startswith(";") and part.strip(" \n;") for part in around[1:]
    )
    read = [value for value in values if value is not _UNREADABLE]
    outside = _FRAME.sub("", "\n".join(around)).strip(" \n;,")
    return Found(read, outside, item, exact, not chunks[-1][2], len(read) < len(values))


def _chunks(text: str) -> Iterator[tuple[int, int, bool]]:
    """Where each list or object starts and ends, and whether its end is there."""
    at = 0
    if (bare := _BARE.match(text)) and _end(text, bare.end()) == len(text):
        yield bare.end(), len(text), True  # keyphrases: [city budget, schools]
        return
    while start := _START.search(text, at):
        end = _end(text, start.start())
        at = end or len(text)
        yield start.start(), at, end is not None


def _end(text: str, start: int) -> int | None:
    """Where the bracket at ``start`` is closed; brackets between double quotes do not count."""
    depth, quoted, at = 0, False, start
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted:
            depth += (char in "[{(") - (char in "]})")
            if depth == 0:
                return at + 1
        at += 1
    return None


def _strict(chunk: str) -> Any:
    try:
        return json.loads(chunk, parse_int=Number, parse_float=Number)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _tolerant(chunk: str, is_whole: bool) -> Any:
    """Correct JSON; unreadable where a text in it may not be what the model meant as one."""
    try:
        import json_repair
    except ImportError:
        raise ImportError(
            "frtune label needs the package json-repair: pip install 'frtune[label]'."
        ) from None
    if not is_whole:
        chunk = _HALF_A_KEY.sub("", chunk)  # json-repair takes {"na for a list
    if not {'"', "'"} & set(chunk):
        chunk = chunk.translate(_STRAIGHT)
    try:
        value = json_repair.loads(chunk, skip_json_loads=True)
        leaves = list(_leaves(value))
    except (ValueError, RecursionError):
        return _UNREADABLE
    if not isinstance(value, (list, dict)):
        return _UNREADABLE
    if not is_whole and leaves and not _is_last_whole(leaves[-1], chunk):
        _drop_last(value)
        leaves.pop()
    safe = all(_is_delimited(leaf, chunk) for leaf in leaves if isinstance(leaf, str))
    return value if safe else _UNREADABLE


def _leaves(value: Any) -> Iterator[Any]:
    """Texts, numbers and the like, in order."""
    if isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield value


def _drop_last(value: Any) -> bool:
    """Take the last leaf out of lists and objects; tell whether there was one."""
    for key in reversed(list(value) if isinstance(value, dict) else range(len(value))):
        is_leaf = not isinstance(value[key], (list, dict))
        if is_leaf:
            del value[key]
        if is_leaf or _drop_last(value[key]):
            return True
    return False


def _is_delimited(leaf: str, chunk: str) -> bool:
    r"""Tell whether a text stands in ``chunk`` between quotation marks, or between commas.

    ``['a', 'l'école']`` can be read as a, l and école': the quotation mark behind l is followed by
    no comma.
    """
    if not leaf.strip():
        return True
    return not {leaf[0], leaf[-1]} & set(_QUOTES) and _between(leaf).search(chunk) is not None


def _is_last_whole(leaf: Any, chunk: str) -> bool:
    """Tell whether the last text of what is cut off has its end: where it stands last."""
    if not isinstance(leaf, str) or not leaf.strip():
        return False
    at = max(chunk.rfind(form) for form in _forms(leaf))
    before = len(chunk[: max(at, 0)].rstrip())
    return before > 0 and _between(leaf).match(chunk, before - 1) is not None


def _forms(leaf: str) -> set[str]:
    """A text as JSON or Python may write it."""
    forms = {leaf, leaf.replace("'", r"\'")}
    return forms | {json.dumps(leaf, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}


def _between(leaf: str) -> re.Pattern[str]:
    form = "|".join(map(re.escape, sorted(_forms(leaf))))
    behind = r"\s*(?:[\]}),:;\n\"'“]|//|/\*"
    return re.compile(
        rf"[\"“]\s*(?:{form})\s*[\"”]{behind}|\Z)"
        rf"|'\s*(?:{form})\s*'{behind})"
        rf"|[\[{{(,:]\s*(?:{form}){behind})",
        re.IGNORECASE,
    )
