"""The pieces of HTML that the board shows; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from frtune.html import figure_data
from frtune.tasks.highlight import CSS as BASE_CSS
from frtune.tasks.highlight import escape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST = 160  # characters of a cell

CSS = (
    BASE_CSS
    + """
.frtune-command { background: var(--background-fill-secondary); border-radius: .3em;
  border: 1px solid var(--border-color-primary); padding: .6em .8em; margin: .2em 0 .6em;
  font-family: monospace; font-size: .85em; white-space: pre-wrap; overflow-wrap: anywhere;
  user-select: all; }
.frtune-log { user-select: text; max-height: 20em; overflow-y: auto; }
.frtune-head { font-weight: 600; margin: .8em 0 .2em; }
.frtune-grid { display: grid; gap: .8em;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 20em), 1fr)); }
.frtune-grid img { max-width: 100%; background: #fff; border-radius: .3em; }
.frtune-progress { background: var(--border-color-primary); border-radius: .3em; margin: .4em 0; }
.frtune-rows td, .frtune-rows th { vertical-align: top; font-size: .9em;
  border-top: 1px solid var(--border-color-primary) !important; padding-top: .3em !important; }
.frtune-rows td, .frtune-rows th { overflow-wrap: break-word; }
.frtune-ok { border-inline-start: 4px solid #009e73; padding: .4em .8em; overflow-wrap: anywhere; }
.frtune-report { width: 100%; height: 40em; border: 1px solid var(--border-color-primary);
  border-radius: .3em; background: #fff; }
@media (max-width: 480px) {
  .tab-wrapper .tab-container button { padding-inline: .35em !important;
    font-size: .8em !important; }
}
.frtune-scroll { overflow-x: auto; margin: .4em 0 .8em; }
.frtune-rows .number { text-align: end !important; }
"""
)


def cell(value: Any) -> str:
    """A value as a cell shows it: its beginning, escaped.

    Example:
        >>> cell(None), cell(["a", "<b>"]), cell(0.25)
        ('', 'a; &lt;b&gt;', '0.25')
    """
    if value is None:
        return ""
    text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; numbers stand to the right."""
    rows = [list(row) for row in rows]
    right = [_is_number(value) for value in rows[0]] if rows else []
    right += [False] * (len(heads) - len(right))
    top = "".join(
        f'<th class="number">{cell(head)}</th>' if number else f"<th>{cell(head)}</th>"
        for head, number in zip(heads, right, strict=False)
    )
    lines = []
    for row in rows:
        cells = (
            f'<td class="number">{cell(value)}</td>'
            if _is_number(value)
            else f"<td>{cell(value)}</td>"
            for value in row
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<div class="frtune-scroll" tabindex="0"><table class="frtune-table frtune-rows">'
        f"<tr>{top}</tr>{''.join(lines)}</table></div>"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def head(text: str) -> str:
    """A heading within a tab."""
    return f'<h3 class="frtune-head">{escape(text)}</h3>'


def command(title: str, text: str) -> str:
    """A command or file as it can be copied: a click selects it whole."""
    return f'{head(title)}<pre class="frtune-command">{escape(text)}</pre>'


def log(title: str, text: str) -> str:
    """The end of a log; the keyboard scrolls it."""
    body = f'<pre class="frtune-command frtune-log" tabindex="0">{escape(text)}</pre>'
    return head(title) + body


def done(text: str) -> str:
    """A message of success."""
    return f'<div class="frtune-ok" role="status">{escape(text)}</div>'


def figure(drawn: Figure, name: str) -> str:
    """A figure as a picture below its title."""
    picture = f'<img alt="{escape(name)}" src="data:image/svg+xml;base64,{figure_data(drawn)}">'
    return f"<div>{head(name)}{picture}</div>"


def bar(share: float) -> str:
    """How far something is, from 0 to 1."""
    percent = round(100 * min(max(share, 0.0), 1.0))
    return (
        f'<div class="frtune-progress" role="progressbar" aria-valuenow="{percent}" '
        'aria-valuemin="0" aria-valuemax="100">'
        f'<div class="frtune-bar" style="width:{percent}%"></div></div>'
    )
