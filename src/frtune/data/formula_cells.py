"""Cells of a CSV that a spreadsheet would take for a formula, and run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# https://owasp.org/www-community/attacks/CSV_Injection; the wide ones count in East Asian versions
_STARTS = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


def defused(cell: Any) -> Any:
    """Put ``'`` before a text that a spreadsheet would take for a formula; else, as it is.

    Numbers stay, and texts that are one.

    Example:
        >>> defused("=1+1"), defused("@home"), defused("a=b"), defused("-3,5"), defused(-2)
        ("'=1+1", "'@home", 'a=b', '-3,5', -2)
    """
    if isinstance(cell, str) and cell.startswith(_STARTS) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def defused_row(cells: Iterable[Any], *, defuse: bool = True) -> list[Any]:
    """The cells of a row, each ``defused``; with ``defuse=False`` as they are."""
    return [defused(cell) for cell in cells] if defuse else list(cells)
