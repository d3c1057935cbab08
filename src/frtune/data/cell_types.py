"""Types of the cells of a table: text, unless writing the value gives the same characters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute

Kind = Literal["empty", "whole", "decimal", "text"]

pc: Any = pyarrow.compute  # made on import, so that type checkers know none of its functions

_EXACT = 2**53  # beyond, whole numbers are text: who reads them as doubles would change them
_WHOLE = re.compile(r"(?:0|-?[1-9][0-9]{0,15})")
_DECIMAL = re.compile(r"(?:-?[0-9]{1,17}\.[0-9]{1,17})")
_ARROW = {"whole": pa.int64(), "decimal": pa.float64()}


def cell_kind(cell: str) -> Kind:
    """Say what one cell is.

    Example:
        >>> [cell_kind(cell) for cell in ("7", "007", "-0", "401.1", "401.10", "6E1", "1" * 19, "")]
        ['whole', 'text', 'text', 'decimal', 'text', 'text', 'text', 'empty']
    """
    if not cell:
        return "empty"
    if _WHOLE.fullmatch(cell):
        return "whole" if abs(int(cell)) <= _EXACT else "text"
    if _DECIMAL.fullmatch(cell) and repr(float(cell)) == cell:
        return "decimal"
    return "text"


def column_kind(cells: pa.Array, known: Kind = "empty") -> Kind:
    """Say what all cells of a column are; of different kinds they are text.

    Args:
        cells: Text: the cells of a column, or some of them.
        known: What those before them are.

    Example:
        >>> column_kind(pa.array(["1", "", "2"])), column_kind(pa.array(["1", "2.5"]))
        ('whole', 'text')
        >>> column_kind(pa.array(["2.5"]), "whole"), column_kind(pa.array(["", ""]))
        ('text', 'empty')
    """
    filled = cells.filter(pc.not_equal(cells, ""))
    if known == "text" or not len(filled):
        return known
    kind = cell_kind(filled[0].as_py())
    if kind == "text" or known not in ("empty", kind):
        return "text"
    pattern = _WHOLE if kind == "whole" else _DECIMAL
    if not pc.all(pc.match_substring_regex(filled, rf"\A{pattern.pattern}\z")).as_py():
        return "text"
    if kind == "whole":
        least, most = pc.min_max(filled.cast(pa.int64())).as_py().values()
        return "whole" if -_EXACT <= least and most <= _EXACT else "text"
    return "decimal" if all(repr(float(cell)) == cell for cell in filled.to_pylist()) else "text"


def typed_array(cells: pa.Array, kind: Kind) -> pa.Array:
    """Convert a column of text to its type; an empty cell of numbers is none."""
    if kind not in _ARROW:
        return cells
    return pc.if_else(pc.equal(cells, ""), None, cells).cast(_ARROW[kind])


def type_of(kind: Kind) -> pa.DataType:
    """The Arrow type of a kind; a column without any value is text."""
    return _ARROW.get(kind, pa.string())


def as_cells(values: Sequence[Any]) -> list[str]:
    """Write numbers of ``typed_array`` as the characters that they were read from."""
    return ["" if value is None else str(value) for value in values]


def points_for_commas(cells: pa.Array) -> pa.Array:
    """Write numbers with a decimal comma with a point; leave anything else.

    Example:
        >>> points_for_commas(pa.array(["3,8", "12", "1,2,3", "a, b"])).to_pylist()
        ['3.8', '12', '1,2,3', 'a, b']
    """
    return pc.replace_substring_regex(
        cells, pattern=r"\A([-+]?[0-9]+),([0-9]+)\z", replacement=r"\1.\2"
    )
