"""Text of users, in Markdown."""

from __future__ import annotations

import re

_SIGNS = re.compile(r"([\\`*<>\[\]|])")


def plain(text: object) -> str:
    r"""Text on one line, of which Markdown makes nothing else.

    Example:
        >>> plain("a*b|<script>")
        'a\\*b\\|\\<script\\>'
    """
    return _SIGNS.sub(r"\\\1", " ".join(str(text).split()))


def code(text: object) -> str:
    """Text in a code span, on one line.

    Example:
        >>> code("runs/a"), code("a`b")
        ('`runs/a`', '`` a`b ``')
    """
    text = " ".join(str(text).split())
    marks = _longest(text)
    if not marks:
        return f"`{text}`"
    fence = "`" * (marks + 1)
    return f"{fence} {text} {fence}"


def block(text: str, language: str) -> str:
    """Lines in a code block that nothing in them ends."""
    fence = "`" * max(3, _longest(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}\n"


def _longest(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
