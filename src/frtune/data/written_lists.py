"""Lists that a cell writes out, as JSON or as Python, NumPy and pandas write them."""

from __future__ import annotations

import ast
import html
import json
import re
import warnings
from typing import Any

# a string whole, or what is left of one without an end, and blanks between it and the next one
_STRING = re.compile(
    r"""('(?:[^'\\]|\\.|\\\Z)*(?:'|\Z)|"(?:[^"\\]|\\.|\\\Z)*(?:"|\Z))(\s+(?=['"]))?""", re.DOTALL
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
# begins as a list of text, or of lists or objects, does; is in brackets from end to end; or has an
# opening bracket alone
_LIST = re.compile(
    r"\[\s*['\"\[{(]|[\[{].*[\]}]\Z|\[[^\]]*\Z|\(\s*['\"].*\)\Z"
    r"|[A-Za-z_.]+\(\s*[\[{(].*\)\Z",  # array([...], dtype=object)
    re.DOTALL,
)
_CALL = re.compile(r"[A-Za-z_.]+\(\s*([\[{(].*[\]})])\s*(?:,[^\[\]'\"]*)?\)", re.DOTALL)

UNREADABLE = object()


def without_entities(text: str) -> str:
    """Decode HTML entities that end in a semicolon, as they must.

    Example:
        >>> without_entities("R&amp;D; caf&#233; &copy=2; AT&T;")
        'R&D; café &copy=2; AT&T;'
    """
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text) if "&" in text else text


def looks_written(text: str) -> bool:
    """Tell whether a text begins, or is in brackets, as a list that is written out.

    Example:
        >>> [looks_written(text) for text in ("['a'", "[a]", "[note] a; b", "(e)learning; (x)")]
        [True, True, False, False]
    """
    return _LIST.match(text.strip()) is not None


def parse_written(text: str) -> Any:
    r"""Return the value that ``text`` writes out; numbers in it keep their characters, as text.

    JSON is tried first, since its escapes are not Python's.

    Returns:
        The value, or ``UNREADABLE``.

    Example:
        >>> parse_written(r'["TCP\/IP", null, 1.10]'), parse_written("('l\\'eau', 2.50)")
        (['TCP/IP', None, '1.10'], ["l'eau", '2.50'])
    """
    text = text.strip()
    if call := _CALL.fullmatch(text):
        text = call[1]
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        pass
    text = _STRING.sub(lambda found: found[1] + (", " if found[2] else ""), text)  # NumPy's
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape, \d, is no matter here
            return _value(ast.parse(text, mode="eval").body, text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return UNREADABLE


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item, text) for item in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        names = [_value(name, text) for name in node.keys if name is not None]
        if all(isinstance(name, str) for name in names):
            return dict(zip(names, (_value(item, text) for item in node.values), strict=True))
    if isinstance(node, ast.Name) and node.id in ("nan", "NaN", "null"):
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bool | None):
        return node.value
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    if isinstance(inner, ast.Constant) and isinstance(inner.value, int | float):
        return ast.get_source_segment(text, node)
    raise ValueError("neither a list nor text")
