"""JSON lines by pyarrow's reader, in a third of the time, where its rows are those of ours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.json as pa_json

from frtune.data.compression import open_bytes
from frtune.data.json_files import BATCH_ROWS, first_schema
from frtune.data.readers import numbered_rows
from frtune.data.reading import Reading
from frtune.data.text_lines import find_encoding
from frtune.errors import InputError

pc: Any = pyarrow.compute  # made on import, so that type checkers know none of its functions
_BLOCK = 1 << 22  # bytes that pyarrow parses at once; a longer row is left to our reader
_FIRST_ROWS = 100  # tell the columns
# text and whole numbers are read alike; of decimals ours sees more, such as digits that are lost
_ALIKE = (pa.string(), pa.list_(pa.string()), pa.bool_(), pa.int64())


class NotAlike(Exception):
    """The file has what pyarrow's reader takes otherwise than ours, or neither takes."""


def write_lines(path: Path, target: Path, reading: Reading) -> int:
    """Write the rows of a file of JSON lines to an Arrow file and return their number.

    The columns and their types are those of the first rows.

    Raises:
        NotAlike: If the file is none of JSON lines, a later row has other columns or types, or
            anything is wrong with one: our own reader knows the line, and what to say of it.
    """
    lines, rows = _count_lines(path, reading.encoding), 0
    first = islice(numbered_rows(path, reading.encoding), _FIRST_ROWS)
    try:
        schema = first_schema(first, path, reading)
    except (InputError, UnicodeError):
        raise NotAlike from None
    if any(field.type not in _ALIKE for field in schema):
        raise NotAlike
    try:
        with open(target, "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            for batch in _batches(path, schema):
                rows += len(batch)
                for start in range(0, len(batch), BATCH_ROWS):
                    writer.write_batch(batch.slice(start, BATCH_ROWS))
    except pa.ArrowException:
        raise NotAlike from None
    if rows != lines:
        raise NotAlike
    return rows


def _batches(path: Path, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    options = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    with open_bytes(path) as file:
        reader = pa_json.open_json(
            file, read_options=pa_json.ReadOptions(block_size=_BLOCK), parse_options=options
        )
        for batch in reader:
            batch = batch.select(schema.names).cast(schema)
            batch.validate(full=True)  # the bytes may be no UTF-8, an escape half a pair
            empty = batch.column(0).is_null()
            for column in batch.columns[1:]:
                empty = pc.and_(empty, column.is_null())
            if pc.any(empty).as_py():
                raise NotAlike  # an object without any name is none to us
            yield batch


def _count_lines(path: Path, encoding: str | None) -> int:
    """Count the lines of a file in which each is an object from end to end.

    Where each begins and ends with a brace, no object goes on in the next line.
    """
    if find_encoding(path, encoding) not in ("utf-8", "utf-8-sig"):
        raise NotAlike
    count, rest = 0, b""
    with open_bytes(path) as file:
        while block := file.read(_BLOCK):
            lines, end, rest = (rest + block).rpartition(b"\n")
            count += _checked(lines) if end else 0
            if len(rest) >= _BLOCK:
                raise NotAlike
    return count + (_checked(rest) if rest else 0)


def _checked(lines: bytes) -> int:
    """The number of lines, of which the last has no line feed."""
    between = lines.count(b"}\n{") + (lines.count(b"}\r\n{") if b"\r" in lines else 0)
    whole = lines.startswith(b"{") and lines.endswith((b"}", b"}\r"))
    if not whole or b"\0" in lines or lines.count(b"\n") != between:
        raise NotAlike
    return between + 1
