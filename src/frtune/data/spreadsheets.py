"""The rows of an Excel or OpenDocument file, every cell as the text that it shows plainly."""

from __future__ import annotations

import datetime
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from frtune.data.compression import check_path
from frtune.errors import InputError

SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")  # a character that XML has not, or a return


def sheet_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with its number in the sheet, from 1.

    Raises:
        InputError: Without the extra ``excel``, for a damaged file, and when several sheets hold
            rows.
    """
    for number, cells in enumerate(_only_sheet(path), start=1):
        texts = [cell_text(cell) for cell in cells]
        if any(map(str.strip, texts)):
            yield number, texts


def count_rows(path: Path) -> int | None:
    """Count the rows that are not empty, the header included, in the XML of a file.

    Returns:
        The count; ``None`` for formats without XML.

    Raises:
        InputError: For a damaged file.
    """
    if path.suffix.lower() not in (".xlsx", ".xlsm"):
        return None
    _reader(path)  # without it, this is what to say
    try:
        return _count_rows(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, ElementTree.ParseError, LookupError,
            ValueError, NotImplementedError, RuntimeError) as error:  # fmt: skip
        raise _unreadable(path, error) from None


def _count_rows(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        shared = [
            bool(_text(item))
            for name in archive.namelist()
            if name.lower() == "xl/sharedstrings.xml"
            for item in _elements(archive.open(name), "si")
        ]
        return sum(
            any(_is_filled(cell, shared) for cell in row)
            for name in archive.namelist()
            if name.lower().startswith("xl/worksheets/") and name.lower().endswith(".xml")
            for row in _elements(archive.open(name), "row")
        )


def _elements(file: IO[bytes], name: str) -> Iterator[ElementTree.Element]:
    """Each element of a name, which is dropped then, so that memory stays flat."""
    parents: list[ElementTree.Element] = []
    for event, element in ElementTree.iterparse(file, ("start", "end")):
        if event == "start":
            parents.append(element)
            continue
        parents.pop()
        if _local(element) == name:
            yield element
            parents[-1].clear()


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _is_filled(cell: ElementTree.Element, shared: list[bool]) -> bool:
    kind = cell.get("t")
    if kind == "inlineStr":
        return bool(_text(cell))
    value = next((child.text or "" for child in cell if _local(child) == "v"), "").strip()
    if kind == "s" and value:
        return shared[int(value)]
    return bool(value) and kind != "e"  # an error is read as an empty cell


def _text(element: ElementTree.Element) -> str:
    """The text of a string's runs, without what says how it is pronounced."""
    if _local(element) == "t":
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), element.text or "").strip()
    return "".join(_text(child) for child in element if _local(child) != "rPh")


def _only_sheet(path: Path) -> list[list[Any]]:
    workbook = _reader(path)
    check_path(path)
    try:
        with workbook.from_path(str(path)) as book:
            sheets = {
                name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in book.sheet_names
            }
    except Exception as error:  # the reader has no common error
        raise _unreadable(path, error) from None
    filled = [name for name, rows in sheets.items() if any(any(map(cell_text, r)) for r in rows)]
    if len(filled) > 1:
        raise InputError(
            f"{path}: {len(filled)} sheets hold rows ({', '.join(filled[:5])}), and one is read. "
            "Keep one of them, or save each as a CSV file."
        )
    return sheets[filled[0]] if filled else []


def _reader(path: Path) -> Any:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise InputError(
            f"{path}: Excel files are read with the extra excel. Install it "
            "(pip install 'frtune[excel]'), or save the sheet as CSV."
        ) from None
    return CalamineWorkbook


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: is no spreadsheet that can be read ({error}). Save it again, or as CSV."
    )


class Rounded(str):
    """A whole number beyond 2^53: its cell may have held other last digits."""


def cell_text(value: Any) -> str:
    """Write a cell as text: whole numbers without a point, dates as ISO 8601 says.

    Example:
        >>> [cell_text(value) for value in ("a", 5.0, 401.1, True, datetime.date(2024, 5, 1), "")]
        ['a', '5', '401.1', 'true', '2024-05-01', '']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value)) if abs(value) < 2**53 else Rounded(value)
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return str(value)
