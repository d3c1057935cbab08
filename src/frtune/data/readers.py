"""The rows of a table or JSON file, one at a time, each with the line it starts at."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from frtune.data.compression import suffix_of
from frtune.data.spreadsheets import SPREADSHEETS, sheet_records
from frtune.data.text_lines import read_chunks, read_lines
from frtune.errors import InputError

Row = dict[str, Any]

TABLES = (".csv", ".tsv", ".txt")  # a .txt is one when its header has tabs

_BLANK = re.compile(r"[ \t\r\n\ufeff]*")
_SEPARATOR_LINE = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's first line of a CSV file


def numbered_rows(path: Path, encoding: str | None = None) -> Iterator[tuple[int, Row]]:
    """Yield ``(line, row)`` for every row of a text file; the format goes by its extension.

    Cells of CSV, TSV and Excel come as text. Nothing but the row at hand is kept in memory.

    Raises:
        InputError: With file and line, at the first thing that is not of the format.
    """
    suffix = suffix_of(path)
    if suffix in SPREADSHEETS:
        return _rows_of(path, sheet_records(path), ",")
    if suffix in TABLES:
        layout = find_layout(path, encoding)
        return _rows_of(path, _records(path, encoding, layout), layout.delimiter)
    if suffix == ".json" and _starts_array(path, encoding):
        return _array_rows(path, encoding)
    return _json_lines(path, encoding)


# --- CSV and TSV ---------------------------------------------------------------------------------


def find_delimiter(header: str, suffix: str = ".csv") -> str:
    r"""Return what separates the columns of a header line: comma, semicolon, tab or bar.

    Example:
        >>> find_delimiter("text;keywords"), find_delimiter("text,keywords; more")
        (';', ',')
        >>> find_delimiter("text")
        ','
    """
    usual = "\t" if suffix == ".tsv" else ","
    bare = re.sub(r'"[^"]*"', "", header)
    best = max(",;\t|", key=lambda char: (bare.count(char), char == usual))
    return best if bare.count(best) else usual


class Layout(NamedTuple):
    """How a table is written.

    Attributes:
        delimiter: What separates the columns.
        quoted: Whether fields may stand in quotation marks, as RFC 4180 says.
        skipped: Lines before the header: a line such as ``sep=;`` that Excel writes and reads.
    """

    delimiter: str
    quoted: bool
    skipped: int


def find_layout(path: Path, encoding: str | None = None) -> Layout:
    """Look at the head of a table, and of one with tabs at all of it, for how it is written."""
    lines = ((number, line) for number, line in read_lines(path, encoding) if line.strip())
    number, head = next(lines, (0, None))
    if head is None:
        raise InputError(f"{path}: is empty. It needs a header line and rows.")
    if told := _SEPARATOR_LINE.fullmatch(head):
        return Layout(told[1], told[1] != "\t" or _is_quoted(path, encoding, number), number)
    delimiter = find_delimiter(head, suffix_of(path))
    return Layout(delimiter, delimiter != "\t" or _is_quoted(path, encoding, 0), 0)


def read_header(path: Path, encoding: str | None, layout: Layout) -> tuple[int, list[str]]:
    """Return the line that the header of a table starts at, and the names of its columns."""
    line, cells = next(_records(path, encoding, layout), (0, None))
    if cells is None:
        raise InputError(f"{path}: is empty. It needs a header line and rows.")
    return line, _column_names(path, line, cells)


def _records(path: Path, encoding: str | None, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    lines = _lines_after(path, encoding, layout.skipped)
    if layout.quoted:
        return _quoted_records(path, lines, layout)
    return _plain_records(lines)


def _lines_after(path: Path, encoding: str | None, skipped: int) -> Iterator[tuple[int, str]]:
    return (item for item in read_lines(path, encoding) if item[0] > skipped)


def _rows_of(
    path: Path, records: Iterator[tuple[int, list[str]]], delimiter: str
) -> Iterator[tuple[int, Row]]:
    first, names = next(records, (0, None))
    if names is None:
        raise InputError(f"{path}: is empty. It needs a header line and rows.")
    header = _column_names(path, first, names)
    for line, cells in records:
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {line}: {len(cells)} fields, but the header has {len(header)} "
                f"({_shown(header)}). Correct the line; a field that holds {delimiter!r} "
                'or a line break stands in "quotation marks".'
            )
        yield line, dict(zip(header, cells, strict=True))


def _shown(names: list[str]) -> str:
    shown = ", ".join(names[:10])
    return (shown if len(shown) < 200 else f"{shown[:200]}...") + (
        ", ..." if len(names) > 10 else ""
    )


def _column_names(path: Path, line: int, cells: list[str]) -> list[str]:
    """The header's names in NFC; a nameless column (a written index, say) is called column_N."""
    names = [
        unicodedata.normalize("NFC", cell).strip() or f"column_{i}"
        for i, cell in enumerate(cells, start=1)
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"{path}, line {line}: the header has {', '.join(twice)} more than once. "
            "Rename the columns so that each name stands once."
        )
    return names


def _is_quoted(path: Path, encoding: str | None, skipped: int) -> bool:
    """Tell whether a tab-separated file quotes its fields as CSV does.

    It does when lines cut at tabs have unequal numbers of fields, or when every field that begins
    with a quotation mark also ends with one and doubles those inside. Stray marks say it doesn't.
    """
    whole = re.compile(r'"(?:[^"]|"")*"')
    tabs, quoted = None, False
    for _, line in _lines_after(path, encoding, skipped):
        if _is_blank(line):
            continue
        cells = line.rstrip("\r\n").split("\t")
        tabs = len(cells) if tabs is None else tabs
        starts = [cell for cell in cells if cell.startswith('"')]
        if len(cells) != tabs:
            return quoted or bool(starts)
        if any(not whole.fullmatch(cell) for cell in starts):
            return False
        quoted = quoted or bool(starts)
    return quoted


def _is_blank(line: str) -> bool:
    """Tell a blank line from a row of empty cells, which has tabs."""
    return not line.strip() and "\t" not in line


def _plain_records(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines:
        if not _is_blank(line):
            yield number, line.rstrip("\r\n").split("\t")


def _quoted_records(
    path: Path, lines: Iterable[tuple[int, str]], layout: Layout
) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(2**31 - 1)  # the module's own limit is shorter than a long article
    last = layout.skipped

    def text() -> Iterator[str]:
        nonlocal last
        for last, line in lines:  # noqa: B007
            yield line

    records = csv.reader(text(), delimiter=layout.delimiter, strict=True)
    while True:
        start = last + 1
        try:
            cells = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(_bad_quoting(path, start, last, str(error))) from None
        if cells:
            yield start, cells


def _bad_quoting(path: Path, start: int, last: int, error: str) -> str:
    if "end of data" in error:
        return (
            f"{path}, line {start}: a quotation mark opens in this row and is never closed. "
            'Close it, or write a mark inside a quoted field twice ("").'
        )
    where = f"line {last}" if start == last else f"lines {start} to {last}"
    if "new-line" in error:
        return (
            f"{path}, {where}: a return (CR) stands alone, where lines end with a line feed (LF). "
            "Save the file with the line ends of Unix or Windows; a field with it is quoted."
        )
    return (
        f"{path}, {where}: a quoted field does not end where its quotation mark does ({error}). "
        'Write a mark inside a quoted field twice ("").'
    )


# --- JSON ----------------------------------------------------------------------------------------


class _Twice(ValueError):
    """A name that stands twice in one object: of the two values one would be lost."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with its names in NFC."""
    found = {
        name if name.isascii() else unicodedata.normalize("NFC", name): value
        for name, value in pairs
    }
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next((name for name in names if names.count(name) > 1), names[0]))
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _what_is_wrong(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON ({error.msg}, column {error.colno})"
    if isinstance(error, _Twice):
        return f"has {str(error)[:40]!r} twice in one object"
    if isinstance(error, RecursionError):
        return "nests lists or objects too deeply"
    return "holds a number of thousands of digits"


def _json_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, Row]]:
    number = 0
    for number, line in read_lines(path, encoding):
        if not line.strip():
            continue
        try:
            value = _DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: {_what_is_wrong(error)}. "
                "Correct the line; a file has one JSON object a line, or one array of objects."
            ) from None
        yield number, _checked(path, number, value)
    if not number:
        raise InputError(f"{path}: is empty. It needs one JSON object a line.")


def _checked(path: Path, line: int, value: Any) -> Row:
    if not isinstance(value, dict) or not value:
        kind = "an empty object" if value == {} else type(value).__name__
        raise InputError(
            f"{path}, line {line}: holds {kind}, not a row. "
            'Write each row as an object, {"column": value, ...}.'
        )
    return value


def _starts_array(path: Path, encoding: str | None) -> bool:
    head = next(iter(read_chunks(path, encoding)), "")
    return head[_BLANK.match(head).end() :].startswith("[")  # type: ignore[union-attr]


def _array_rows(path: Path, encoding: str | None) -> Iterator[tuple[int, Row]]:
    """Rows of JSON arrays, decoded as they are read, so that a big file fits a small memory.

    Arrays that follow one another, as joined files have them, are read one after the other.
    """
    chunks = iter(read_chunks(path, encoding))
    text, line, at = next(chunks), 1, 0
    inside = after_row = False
    while True:
        stop = _BLANK.match(text, at).end()  # type: ignore[union-attr]
        line, at = line + text.count("\n", at, stop), stop
        if at == len(text) and (more := _more(chunks, 1)):
            text, at = more, 0
            continue
        mark = text[at : at + 1]
        if not inside:
            if not mark:
                return
            if mark != "[":
                raise InputError(
                    f"{path}, line {line}: {text[at : at + 20]!r} follows the end of the array. "
                    "Correct the file; it has one array of objects, or one object a line."
                )
            inside, after_row, at = True, False, at + 1
        elif mark == "]":
            inside, at = False, at + 1
        elif mark == "," and after_row:
            at, after_row = at + 1, False
        else:
            if after_row:
                raise InputError(
                    f"{path}, line {line}: is not JSON (no ',' before a row). Correct it."
                )
            value, length, text = _next_value(path, line, text[at:], chunks)
            yield line, _checked(path, line, value)
            line, at, after_row = line + text.count("\n", 0, length), length, True


def _next_value(path: Path, line: int, text: str, chunks: Iterable[str]) -> tuple[Any, int, str]:
    """Decode the value that ``text`` begins with, of which the end may be still to read.

    Returns:
        The value, how many characters it has, and the text with what was read besides.
    """
    while True:
        try:
            return *_DECODER.raw_decode(text), text
        except json.JSONDecodeError as error:
            more = _more(chunks, len(text))
            if not more:
                raise InputError(_bad_array(path, line, text, error)) from None
            text += more
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {line}: {_what_is_wrong(error)}. Correct the row."
            ) from None


def _more(chunks: Iterable[str], least: int) -> str:
    """At least as much text as there is already: reading a long row then costs linear time."""
    found: list[str] = []
    for chunk in chunks:
        found.append(chunk)
        if sum(map(len, found)) >= least:
            break
    return "".join(found)


def _bad_array(path: Path, line: int, text: str, error: json.JSONDecodeError) -> str:
    line += text.count("\n", 0, error.pos)
    if error.pos >= len(text.rstrip()):
        return f"{path}, line {line}: the array ends in the middle of a row. Write the file again."
    return f"{path}, line {line}: is not JSON ({error.msg}). Correct the line."
