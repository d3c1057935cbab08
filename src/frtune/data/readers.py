"""The rows of a CSV, TSV, JSON or JSONL file, one at a time, each with the line it starts at."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from frtune.data.text_lines import read_chunks, read_lines
from frtune.errors import InputError

Row = dict[str, Any]

_BLANK = re.compile(r"[ \t\r\n\ufeff]*")


def numbered_rows(path: Path, encoding: str | None = None) -> Iterator[tuple[int, Row]]:
    """Yield ``(line, row)`` for every row of a text file; the format goes by its extension.

    Cells of CSV and TSV come as text. Nothing but the row at hand is kept in memory.

    Raises:
        InputError: With file and line, at the first thing that is not of the format.
    """
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _table_rows(path, encoding)
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


def _table_rows(path: Path, encoding: str | None) -> Iterator[tuple[int, Row]]:
    head = next((line for _, line in read_lines(path, encoding) if line.strip()), None)
    if head is None:
        raise InputError(f"{path}: is empty. It needs a header line and rows.")
    delimiter = find_delimiter(head, path.suffix.lower())
    if delimiter == "\t" and not _is_quoted(path, encoding):
        lines = ((number, line) for number, line in read_lines(path, encoding) if line.strip())
        records = ((number, line.rstrip("\r\n").split("\t")) for number, line in lines)
    else:
        records = _quoted_records(path, encoding, delimiter)
    first, names = next(records)
    header = _column_names(path, first, names)
    for line, cells in records:
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {line}: {len(cells)} fields, but the header has {len(header)} "
                f"({', '.join(header)}). Mend the line; a field that holds {delimiter!r} "
                'or a line break stands in "quotation marks".'
            )
        yield line, dict(zip(header, cells, strict=True))


def _column_names(path: Path, line: int, cells: list[str]) -> list[str]:
    """The header's names; a nameless column (a written index, say) is called column_N."""
    names = [cell.strip() or f"column_{i}" for i, cell in enumerate(cells, start=1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"{path}, line {line}: the header has {', '.join(twice)} more than once. "
            "Rename the columns so that each name stands once."
        )
    return names


def _is_quoted(path: Path, encoding: str | None) -> bool:
    """Tell whether a tab-separated file quotes its fields as CSV does.

    It does when lines cut at tabs have unequal numbers of fields, or when every field that begins
    with a quotation mark also ends with one and doubles those inside. Stray marks say it doesn't.
    """
    whole = re.compile(r'"(?:[^"]|"")*"')
    tabs, quoted = None, False
    for _, line in read_lines(path, encoding):
        if not line.strip():
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


def _quoted_records(
    path: Path, encoding: str | None, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(2**31 - 1)  # the module's own limit is shorter than a long article
    last = 0

    def text() -> Iterator[str]:
        nonlocal last
        for last, line in read_lines(path, encoding):  # noqa: B007
            yield line

    records = csv.reader(text(), delimiter=delimiter, strict=True)
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
    return (
        f"{path}, {where}: a quoted field does not end where its quotation mark does ({error}). "
        'Write a mark inside a quoted field twice ("").'
    )


# --- JSON ----------------------------------------------------------------------------------------


def _json_lines(path: Path, encoding: str | None) -> Iterator[tuple[int, Row]]:
    number = 0
    for number, line in read_lines(path, encoding):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}, line {number}: is not JSON ({error.msg}, column {error.colno}). "
                "Mend the line; a file has one JSON object a line, or one array of objects."
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
    """Rows of one JSON array, decoded as it is read, so that a big file fits a small memory."""
    chunks = iter(read_chunks(path, encoding))
    decode = json.JSONDecoder().raw_decode
    text, line = next(chunks), 1
    opened = _BLANK.match(text).end() + 1  # type: ignore[union-attr]
    line, text, after_row = line + text.count("\n", 0, opened), text[opened:], False
    at = 0
    while True:
        stop = _BLANK.match(text, at).end()  # type: ignore[union-attr]
        line, at = line + text.count("\n", at, stop), stop
        if at < len(text) and text[at] == "]":
            return
        if at < len(text) and text[at] == "," and after_row:
            at, after_row = at + 1, False
            continue
        try:
            if after_row and at < len(text):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            value, stop = decode(text, at)
        except json.JSONDecodeError as error:
            more = _more(chunks, len(text) - at)
            if not more:
                raise InputError(_bad_array(path, line, text, at, error)) from None
            text, at = text[at:] + more, 0
            continue
        yield line, _checked(path, line, value)
        line, at, after_row = line + text.count("\n", at, stop), stop, True


def _more(chunks: Iterable[str], least: int) -> str:
    """At least as much text as there is already: reading a long row then costs linear time."""
    found: list[str] = []
    for chunk in chunks:
        found.append(chunk)
        if sum(map(len, found)) >= least:
            break
    return "".join(found)


def _bad_array(path: Path, line: int, text: str, at: int, error: json.JSONDecodeError) -> str:
    line += text.count("\n", at, error.pos)
    if error.pos >= len(text.rstrip()):
        return f"{path}, line {line}: the array ends in the middle of a row. Write the file anew."
    return f"{path}, line {line}: is not JSON ({error.msg}). Mend the line."
