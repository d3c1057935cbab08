"""Cells of a CSV file that people open in a spreadsheet."""

from __future__ import annotations

from typing import Any

# a cell that begins so is computed by a spreadsheet, and may call a program or send its contents
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def shown_cell(value: Any) -> Any:
    """A cell that a spreadsheet shows and does not compute: an apostrophe before a formula's sign.

    Numbers stay numbers. It is for files that people read: data that is read again must not change.

    Example:
        >>> [shown_cell(value) for value in ("=1+1", "@SUM(A1)", "a = b", -3.5, None)]
        ["'=1+1", "'@SUM(A1)", 'a = b', -3.5, None]
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
