"""Tables (CSV, TSV, Excel) to Arrow files: read as text first, then typed column by column."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from frtune.data.cell_types import Kind, column_kind, points_for_commas, type_of, typed_array
from frtune.data.compression import open_bytes, suffix_of
from frtune.data.readers import TABLES, Layout, Row, find_layout, numbered_rows, read_header
from frtune.data.reading import Reading
from frtune.data.spreadsheets import Rounded, count_rows
from frtune.data.table_scan import count_records
from frtune.data.text_lines import find_encoding
from frtune.errors import InputError

_BATCH_ROWS = 1000
_BLOCK = 1 << 24  # bytes that pyarrow parses at once; a longer row is left to our reader


def write_table(path: Path, target: Path, reading: Reading) -> int:
    """Write the rows of a table to an Arrow file, and return their number.

    Raises:
        InputError: With file and line, for a table that is empty or broken.
    """
    as_text = target.with_suffix(".text")
    try:
        kinds, rows = _write_text(path, as_text, reading)
        _write_typed(as_text, target, kinds)
    finally:
        as_text.unlink(missing_ok=True)
    return rows


def _write_text(path: Path, target: Path, reading: Reading) -> tuple[dict[str, Kind], int]:
    """Write all cells as text; return what each column is, and the number of rows."""
    layout = find_layout(path, reading.encoding) if suffix_of(path) in TABLES else None
    expected = count_records(path, layout, reading.encoding) if layout else count_rows(path)
    if expected is not None:
        expected -= 1 + bool(layout and layout.skipped)  # the header, and what is above
    plain = find_encoding(path, reading.encoding) in ("utf-8", "utf-8-sig") if layout else False
    if layout and plain and expected is not None:
        try:
            return _write_batches(_quick_batches(path, layout), path, target, reading, expected)
        except (pa.ArrowException, UnicodeError, _NotQuick):
            pass  # our own reader knows the line that is wrong, or reads what pyarrow does not
    if layout and not layout.quoted:
        expected = None  # our reader skips lines of spaces between rows with tabs
    return _write_batches(_careful_batches(path, reading), path, target, reading, expected)


def _write_batches(
    batches: Iterator[pa.RecordBatch],
    path: Path,
    target: Path,
    reading: Reading,
    expected: int | None,
) -> tuple[dict[str, Kind], int]:
    rows, kinds = 0, {}
    writer: pa.RecordBatchStreamWriter | None = None
    with open(target, "wb") as sink:
        for batch in batches:
            if reading.decimal_comma:
                batch = _with_points(batch, reading.text_columns)
            for name, cells in zip(batch.schema.names, batch.columns, strict=True):
                named = name in reading.text_columns
                kinds[name] = "text" if named else column_kind(cells, kinds.get(name, "empty"))
            writer = writer or pa.ipc.new_stream(sink, batch.schema)
            writer.write_batch(batch)
            rows += len(batch)
        if writer is None or not rows:
            raise InputError(f"{path}: has no rows. Add some below the header.")
        writer.close()
    return kinds, counted(path, rows, expected)


def counted(path: Path, rows: int, expected: int | None) -> int:
    """Return the number of rows that were read, if the file holds as many.

    Args:
        path: The file.
        rows: Rows that its reader gave.
        expected: Rows by a second count, of the bytes; ``None`` when there is none.

    Raises:
        RuntimeError: If they differ: rows would be lost, or made.
    """
    if expected is not None and rows != expected:
        raise RuntimeError(f"{path}: {rows} rows were read, but the file holds {expected}.")
    return rows


class _NotQuick(Exception):
    """The table has what pyarrow's reader takes otherwise than ours."""


def _quick_batches(path: Path, layout: Layout) -> Iterator[pa.RecordBatch]:
    """Batches of pyarrow's reader, all cells as text."""
    line, names = read_header(path, "utf-8", layout)
    # lines above and within the header are counted in lines of the file, which pyarrow skips
    if line != layout.skipped + 1 or len(names) < 2 or layout.skipped:
        raise _NotQuick
    with open_bytes(path) as file:
        batches = pa_csv.open_csv(
            file,
            read_options=pa_csv.ReadOptions(
                column_names=names, skip_rows=_header_lines(path, layout), block_size=_BLOCK
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.delimiter,
                quote_char='"' if layout.quoted else False,
                newlines_in_values=layout.quoted,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
        yield from batches


def _header_lines(path: Path, layout: Layout) -> int:
    """Lines of the header: one, or more when a name in quotation marks holds line breaks."""
    with open_bytes(path) as file:
        head = file.readline()
    if layout.quoted and head.count(b'"') % 2:
        raise _NotQuick
    return 1


def _careful_batches(path: Path, reading: Reading) -> Iterator[pa.RecordBatch]:
    """Batches of our own reader, all cells as text."""
    numbered = numbered_rows(path, reading.encoding)
    rows = (
        (row for _, row in numbered)
        if suffix_of(path) in TABLES
        else _exact(path, numbered, reading)
    )
    while batch := list(islice(rows, _BATCH_ROWS)):
        names = list(batch[0])
        columns = [pa.array([row[name] for row in batch], pa.string()) for name in names]
        yield pa.RecordBatch.from_arrays(columns, names=names)


def _exact(path: Path, numbered: Iterator[tuple[int, Row]], reading: Reading) -> Iterator[Row]:
    """The rows of a spreadsheet; a needed number that lost its last digits is refused."""
    for line, row in numbered:
        for name, cell in row.items():
            if isinstance(cell, Rounded) and (reading.needed is None or name in reading.needed):
                raise InputError(
                    f"{path}, line {line}, column {name}: holds {cell}, a number of more digits "
                    "than a spreadsheet keeps. Write the column as text."
                )
        yield row


def _with_points(batch: pa.RecordBatch, text_columns: tuple[str, ...]) -> pa.RecordBatch:
    columns = [
        cells if name in text_columns else points_for_commas(cells)
        for name, cells in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _write_typed(as_text: Path, target: Path, kinds: dict[str, Kind]) -> None:
    """Give the columns their types; without any but text the file is the one to keep."""
    if set(kinds.values()) <= {"text", "empty"}:
        os.replace(as_text, target)
        return
    schema = pa.schema([(name, type_of(kind)) for name, kind in kinds.items()])
    with (
        pa.memory_map(str(as_text)) as source,
        open(target, "wb") as sink,
        pa.ipc.new_stream(sink, schema) as writer,
    ):
        for batch in pa.ipc.open_stream(source):
            columns = map(typed_array, batch.columns, kinds.values())
            writer.write_batch(pa.RecordBatch.from_arrays(list(columns), schema=schema))
