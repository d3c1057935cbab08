"""From JSON to phrases or to a label, whatever the objects are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from frtune.labelling.json_answers import Number, find_json


def _plain(name: str) -> str:
    """A name without case, accents, digits and signs."""
    text = unicodedata.normalize("NFKD", name.casefold())
    text = "".join(char for char in text if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", re.sub(r"[\W\d_]+", "", text))


_PHRASES, _LABELS, _ANSWERS = (
    frozenset(map(_plain, names.split()))
    for names in (
        "keyphrase keyphrases keyword keywords phrase phrases term terms keyterm keyterms tag tags "
        "topic topics mot-clé mots-clés mot-clef mots-clefs phrase-clé phrases-clés expression "
        "expressions 키워드 핵심어 핵심구 핵심구문 핵심키워드 키프레이즈 주제어",
        "label class category catégorie classe étiquette prediction predicted_label réponse answer "
        "레이블 라벨 분류 답 답변",
        "answer answers result results output response réponse value values text name item items "
        "list data content final 답 답변 결과",
    )
)
Pieces = list[str] | None


def names_phrases(value: Any) -> bool:
    """Tell whether an object, one in it, or one of a list has phrases under a word for them.

    A list without objects needs no such word.
    """
    if isinstance(value, list):
        objects = [item for item in value if isinstance(item, dict) and item]
        return not objects or any(map(names_phrases, objects))
    return isinstance(value, dict) and bool(_named(value, _PHRASES))


def names_label(value: Any) -> bool:
    """Tell whether an object, or one in it, has a label under a word for it."""
    return isinstance(value, dict) and bool(_named(value, _LABELS))


def phrases_of(values: Sequence[Any], is_present: Callable[[str], bool]) -> Pieces:
    """The phrases that lists and objects hold; ``None`` where it is not certain which they are.

    Example:
        >>> phrases_of([{"language": "en", "keyphrases": [{"text": "sun", "score": 1}]}], bool)
        ['sun']
        >>> phrases_of([{"present": ["sun"], "absent": ["moon"]}], bool) is None
        True
    """
    values = [_called(_decoded(value)) for value in values]
    named = [value for value in values if isinstance(value, dict) and names_phrases(value)]
    if len(named) == 1 and len(values) > 1:
        return _pieces(named[0], is_present)
    read = [_pieces(value, is_present) for value in values]
    known = [pieces for pieces in read if pieces is not None]
    if not known or len(known) < len(read):
        return None
    if all(pieces == known[0] for pieces in known):
        return known[0]
    if all(len(pieces) == 1 for pieces in known):  # an object, or a list, a phrase
        return [piece for pieces in known for piece in pieces]
    return None


def label_of(values: Sequence[Any]) -> str | None:
    """The one label that lists and objects hold, or ``None``.

    Example:
        >>> label_of([{"reason": "a cup", "label": "sport"}]), label_of([["sport", "politics"]])
        ('sport', None)
    """
    found = {_label(_called(_decoded(value))) for value in values}
    return found.pop() if len(found) == 1 else None


def is_name(phrase: str) -> bool:
    """Tell whether a phrase is a word for phrases: a model may repeat the form of its answer.

    Example:
        >>> is_name("Keyphrase 1"), is_name("Mots-clés"), is_name("term life")
        (True, True, False)
    """
    return _plain(phrase) in _PHRASES


def _decoded(value: Any) -> Any:
    """A value whose texts are read where they are lists or objects of JSON themselves."""
    if isinstance(value, dict):
        return {name: _decoded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if _is_text(value) and value.strip()[:1] in ("[", "{") and '"' in value:
        read = find_json(value)
        if read and read.is_exact and not read.around and len(read.values) == 1:
            return read.values[0]
    return value


def _called(value: Any) -> Any:
    """What a model gives to the one function that it calls; else ``value`` itself."""
    call = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(call, dict) and any(isinstance(v, list) for v in _named(call, _PHRASES)):
        return call
    for name in ("tool_calls", "function"):  # a whole message, or one call of it
        if isinstance(call, dict) and isinstance(call.get(name), (dict, list)):
            return _called(call[name])
    if isinstance(call, dict) and call.keys() in ({"name", "arguments"}, {"name", "parameters"}):
        given = call.get("arguments", call.get("parameters"))
        if isinstance(given, dict):
            return given
    return value


def _named(value: dict[str, Any], names: frozenset[str]) -> list[Any]:
    """The values under one of ``names``, in the outermost objects that have any."""
    found = [item for name, item in value.items() if _plain(str(name)) in names]
    inner = [item for item in value.values() if isinstance(item, dict)]
    return found or [hit for item in inner for hit in _named(item, names)]


def _pieces(value: Any, is_present: Callable[[str], bool]) -> Pieces:
    if isinstance(value, dict):
        return _of_object(value, is_present)
    if isinstance(value, list):
        return _of_list(value)
    return _scalar(value)


def _of_object(value: dict[str, Any], is_present: Callable[[str], bool]) -> Pieces:
    if found := _named(value, _PHRASES):
        same = all(item == found[0] for item in found)
        numbered = len({_plain(str(name)) for name in value}) == 1
        if same or numbered:
            return _together([_of_named(item) for item in (found[:1] if same else found)])
        return None
    is_form = {"properties", "$schema"} & value.keys()
    if is_form or value.get("error"):
        return None
    if not value or _is_numbered(value):
        return _of_list(list(value.values()))
    lists = [item for item in value.values() if isinstance(item, list)]
    inner = [item for item in value.values() if isinstance(item, dict)]
    if len(lists) + len(inner) == 1:
        return _pieces((lists + inner)[0], is_present)
    if not lists and not inner:
        texts = [item for name, item in value.items() if _plain(name) in _ANSWERS]
        if len(texts) == 1:
            return _scalar(texts[0])
        if all(isinstance(item, (Number, int, float)) for item in value.values()):
            scored = list(value)  # {"town hall": 0.9, "school": 0.8}
            return scored if all(map(is_present, scored)) else None
    return None


def _of_named(value: Any) -> Pieces:
    """What stands under a word for phrases."""
    if isinstance(value, dict):
        if isinstance(value.get("items"), list):  # of a schema that was filled in
            return _of_list(value["items"])
        lists = all(isinstance(item, list) for item in value.values())
        if not lists and not _is_numbered(value):
            return None
        return _together([_of_named(item) for item in value.values()])
    return _of_list(value) if isinstance(value, list) else _scalar(value)


def _of_list(value: list[Any]) -> Pieces:
    """The items of a list: phrases, or objects or lists with one and its score each."""
    objects = [item for item in value if isinstance(item, dict)]
    for names in (_PHRASES, _ANSWERS):
        found = [[v for name, v in item.items() if _plain(name) in names] for item in objects]
        if any(found):
            break
    else:
        found = [[v for v in item.values() if _is_text(v)] for item in objects]
        nested = any(isinstance(v, (dict, list)) for item in objects for v in item.values())
        if nested or any(len(item) > 2 for item in objects):
            return None
    of_objects = iter(found)  # one that is cut off lacks its phrase
    return _together(
        [_one_of(next(of_objects)) if isinstance(item, dict) else _of_item(item) for item in value]
    )


def _one_of(values: list[Any]) -> Pieces:
    return None if len(values) > 1 else _scalar(values[0] if values else None)


def _of_item(value: Any) -> Pieces:
    if not isinstance(value, list):
        return _scalar(value)
    texts = [item for item in value if _is_text(item)]
    return texts if len(texts) in (len(value), 1) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _is_numbered(value: dict[str, Any]) -> bool:
    return all(not _plain(str(name)) and any(map(str.isdigit, str(name))) for name in value)


def _scalar(value: Any) -> Pieces:
    if value is None:
        return []
    known = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return [str(value)] if known else None


def _together(parts: Sequence[Pieces]) -> Pieces:
    known = [part for part in parts if part is not None]
    return [piece for part in known for piece in part] if len(known) == len(parts) else None


def _label(value: Any) -> str | None:
    if isinstance(value, list):
        return _label(value[0]) if len(value) == 1 else None
    if isinstance(value, dict):
        named = _named(value, _LABELS)
        found = named or list(value.values())
        same = len(found) > 0 and all(item == found[0] for item in found)
        return _label(found[0]) if same and (named or not {"error"} & value.keys()) else None
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
