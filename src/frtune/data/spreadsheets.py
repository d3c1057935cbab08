"""The rows of an Excel or OpenDocument file, every cell as the text that it shows plainly."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frtune.data.compression import check_path
from frtune.errors import InputError

SPREADSHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def sheet_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with its number in the sheet, from 1.

    Raises:
        InputError: Without the extra ``excel``, for a damaged file, and when several sheets hold
            rows.
    """
    for number, cells in enumerate(_only_sheet(path), start=1):
        texts = [cell_text(cell) for cell in cells]
        if any(texts):
            yield number, texts


def _only_sheet(path: Path) -> list[list[Any]]:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise InputError(
            f"{path}: Excel files are read with the extra excel. Install it "
            "(pip install 'frtune[excel]'), or save the sheet as CSV."
        ) from None
    check_path(path)
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            sheets = {
                name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
                for name in book.sheet_names
            }
    except Exception as error:  # the reader has no common error
        raise InputError(
            f"{path}: is no spreadsheet that can be read ({error}). Save it anew, or as CSV."
        ) from None
    filled = [name for name, rows in sheets.items() if any(any(map(cell_text, r)) for r in rows)]
    if len(filled) > 1:
        raise InputError(
            f"{path}: {len(filled)} sheets hold rows ({', '.join(filled[:5])}), and one is read. "
            "Keep one of them, or save each as a CSV file."
        )
    return sheets[filled[0]] if filled else []


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
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        value = value.date()
    return str(value)
