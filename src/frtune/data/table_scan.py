"""A look at the bytes of a table: is it plain RFC 4180, and how many records does it hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frtune.data.readers import Layout
from frtune.data.text_lines import utf8_blocks

_BLOCK = 1 << 22
_QUOTE, _LINE_FEED, _RETURN = b'"'[0], b"\n"[0], b"\r"[0]


def count_records(path: Path, layout: Layout, encoding: str | None = None) -> int | None:
    """Count the records of a plain table by its bytes, the header and what is above included.

    Returns:
        The count; ``None`` for a table that is not plain: a quotation mark within a field that is
        not quoted, a line that ends in a return alone, a NUL byte, a delimiter beyond ASCII.
    """
    if not layout.delimiter.isascii():
        return None
    ends = np.zeros(256, bool)  # what may stand beside a quotation mark
    ends[[ord(layout.delimiter), _LINE_FEED, _QUOTE]] = True
    after = ends.copy()
    after[_RETURN] = True
    records, open_quote = 0, False
    tail = np.frombuffer(b"\n\n", np.uint8)  # the two bytes before those to look at
    blocks = utf8_blocks(path, encoding, _BLOCK)
    block = next(blocks, b"")
    while block:
        following = next(blocks, b"")
        data = np.concatenate([tail, np.frombuffer(block, np.uint8)])  # 2 + len(block)
        following_byte = following[:1] or b"\n"
        nexts = np.concatenate([data[1:], np.frombuffer(following_byte, np.uint8)])
        here = data[2:]
        if not following and here[-1] == _RETURN:
            return None
        if not here.all() or (here[nexts[2:] != _LINE_FEED] == _RETURN).any():
            return None
        quotes = np.flatnonzero(here == _QUOTE) if layout.quoted else np.array([], int)
        opens = (np.arange(len(quotes)) + open_quote) % 2 == 0
        before, behind = data[1:-1][quotes], nexts[2:][quotes]
        if not (ends[before[opens]].all() and after[behind[~opens]].all()):
            return None
        line_ends = np.flatnonzero(here == _LINE_FEED)
        inside = (np.searchsorted(quotes, line_ends) + open_quote) % 2 == 1
        one, two = data[1:-1][line_ends], data[:-2][line_ends]
        blank = (one == _LINE_FEED) | ((one == _RETURN) & (two == _LINE_FEED))
        records += int((~inside & ~blank).sum())
        open_quote = bool((len(quotes) + open_quote) % 2)
        tail, block = data[-2:], following
    if open_quote:
        return None
    return records + int(tail[-1] != _LINE_FEED)
