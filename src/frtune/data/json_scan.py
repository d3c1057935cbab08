"""A look at the bytes of a JSON file: how many objects stand in no other object."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from frtune.data.text_lines import utf8_blocks

_ESCAPED = re.compile(rb"\\.", re.DOTALL)
_QUOTE, _OPEN, _CLOSE = b'"{}'


def count_objects(path: Path, encoding: str | None = None) -> int:
    """Count the outermost objects of JSON lines or arrays by their braces, with no JSON reader.

    Example:
        >>> file = Path(getfixture("tmp_path")) / "rows.json"
        >>> file.write_text('[{"a": "}{"}, {"b": {"c": 1}}] [{}]')
        35
        >>> count_objects(file)
        3
    """
    count, depth = 0, 0
    in_text, rest = False, b""
    for block in utf8_blocks(path, encoding):
        block = _ESCAPED.sub(b"", rest + block)
        rest = b"\\" if block.endswith(b"\\") else b""  # its character is in the next block
        found = np.frombuffer(block, np.uint8)
        found = found[(found == _QUOTE) | (found == _OPEN) | (found == _CLOSE)]
        quotes = np.cumsum(found == _QUOTE) + in_text
        braces = found[(quotes % 2 == 0) & (found != _QUOTE)]
        depths = np.cumsum(np.where(braces == _OPEN, 1, -1)) + depth
        count += int(((braces == _OPEN) & (depths == 1)).sum())
        depth = int(depths[-1]) if len(depths) else depth
        in_text = bool(quotes[-1] % 2) if len(quotes) else in_text
    return count
