"""Text as HTML, everything escaped, with stretches of it highlighted."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from frtune.tasks.spans import Span, find_keywords, fold, keyword_key
from frtune.words import UNSPACED

CSS = """
.frtune-text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.9; }
.frtune-text mark, .frtune-chip { color: inherit; border-radius: .3em; padding: .1em .25em;
  background: color-mix(in srgb, #e69f00 calc(15% + var(--s, 1) * 40%), transparent); }
.frtune-text mark small { opacity: .75; margin-inline-start: .3em; font-size: .7em; }
.frtune-chip { display: inline-block; margin: .15em .3em .15em 0; overflow-wrap: anywhere; }
.frtune-absent { background: none; border: 1px dashed #0072b2; }
.frtune-error { border-inline-start: 4px solid #d55e00; padding: .4em .8em;
  overflow-wrap: anywhere; }
.frtune-bar { background: #0072b2; height: .6em; border-radius: .3em; min-width: 1px;
  margin: .4em 0; }
.frtune-warning { border-inline-start: 4px solid #e69f00; padding: .4em .8em; margin: .4em 0;
  overflow-wrap: anywhere; }
.frtune-table { border-collapse: collapse; width: 100%; }
.frtune-table, .frtune-table tr { border: 0 !important; }
.frtune-table td, .frtune-table th { padding: .15em .6em .15em 0 !important; text-align: start;
  border: 0 !important; overflow-wrap: anywhere; }
.frtune-table .number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
.frtune-table th[scope=row] { white-space: nowrap; }
.frtune-table .share { width: 50%; }
@media (max-width: 480px) { .frtune-table .share { width: 25%; } }
:lang(ko) { word-break: keep-all; }
:focus-visible { outline: 2px solid currentColor !important; outline-offset: -2px !important; }
button:focus-visible { outline-offset: -5px !important; }
[role=listbox]:focus-visible, [role=combobox]:focus-visible { outline-offset: 3px !important; }
[type=radio]:focus-visible, [type=checkbox]:focus-visible { outline-offset: 1px !important; }
.frtune-note { opacity: .75; font-size: .9em; }
footer .divider { display: none; }
#examples button { text-align: start; }
"""


class Mark(NamedTuple):
    """A stretch ``text[start:end]`` to highlight; ``score`` from 0 to 1 is shown beside it."""

    start: int
    end: int
    score: float | None = None


def escape(value: object) -> str:
    """``value`` as text of a page, quotation marks too.

    Example:
        >>> escape('<img onerror="x">')
        '&lt;img onerror=&quot;x&quot;&gt;'
    """
    return html.escape(str(value), quote=True)


def marked_text(text: str, marks: Iterable[Mark]) -> str:
    """Return ``text`` as HTML with ``marks`` highlighted.

    Of two that overlap the first stays, and the longer of two that start together.

    Example:
        >>> marked_text("a <b> c", [Mark(2, 5)])
        '<div class="frtune-text">a <mark>&lt;b&gt;</mark> c</div>'
    """
    parts, at = [], 0
    for mark in sorted(marks, key=lambda mark: (mark.start, -mark.end)):
        if not at <= mark.start < mark.end <= len(text):
            continue
        parts.append(escape(text[at : mark.start]))
        inside, style = escape(text[mark.start : mark.end]), ""
        if mark.score is not None:
            style = f' style="--s:{mark.score:.2f}"'
            inside += f"<small>{mark.score:.2f}</small>"
        parts.append(f"<mark{style}>{inside}</mark>")
        at = mark.end
    return f'<div class="frtune-text">{"".join(parts)}{escape(text[at:])}</div>'


def find_phrases(text: str, phrases: Sequence[str]) -> tuple[list[Span], list[bool]]:
    """Find phrases in a text, whatever their case, apostrophes and spaces.

    Phrases stand between word boundaries; one with Hangul, kana or Han is looked for anywhere,
    because particles stick to it. Of spans that overlap the longest stays.

    Returns:
        The spans, and for each phrase whether the text holds it.

    Example:
        >>> find_phrases("인공지능은 빠르다.", ["인공지능", "속도"])
        ([Span(start=0, end=4)], [True, False])
    """
    found = find_keywords(text, phrases, ignore_accents=False)
    spans, missing = list(found.spans), {_key(phrase) for phrase in found.missing}
    folded = fold(text, ignore_accents=False)
    for key in sorted(filter(UNSPACED.search, missing), key=len, reverse=True):
        for place in re.finditer(re.escape(key), folded.text):
            missing.discard(key)
            span = folded.origin(*place.span())
            if all(span.end <= other.start or other.end <= span.start for other in spans):
                spans.append(span)
    keys = [_key(phrase) for phrase in phrases]
    return sorted(spans), [bool(key) and key not in missing for key in keys]


def _key(phrase: str) -> str:
    return keyword_key(phrase, ignore_accents=False)
