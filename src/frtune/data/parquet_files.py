"""Parquet to Arrow files, with the columns that ``datasets`` has a type for."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from frtune.data.compression import check_path
from frtune.data.reading import Reading
from frtune.errors import InputError

_BATCH_ROWS = 1000
_JOINED = re.compile(rb"PAR1\s*PAR1")  # the end of a file, and the start of the next


def write_parquet(path: Path, target: Path, reading: Reading) -> int:
    """Copy the rows of a Parquet file to an Arrow file and return their number.

    A map becomes a list of objects with ``key`` and ``value``. A column of a type that
    ``datasets`` has not is left out (``parquet_columns`` says which).

    Raises:
        InputError: For a file that is empty or damaged, or a needed column of such a type.
    """
    check_path(path)
    rows = 0
    try:
        with pq.ParquetFile(path) as source, open(target, "wb") as sink:
            counted = source.metadata.num_rows
            _check_whole(path, source.metadata)
            if not counted:
                raise InputError(f"{path}: has no rows.")
            names = source.schema_arrow.names
            if len(set(names)) < len(names):
                raise InputError(f"{path}: has a column name more than once. Rename the columns.")
            schema = _schema(path, source.schema_arrow, reading)
            with pa.ipc.new_stream(sink, schema) as writer:
                for batch in source.iter_batches(_BATCH_ROWS, columns=schema.names):
                    writer.write_batch(_plain(batch, schema))
                    rows += len(batch)
    except (pa.ArrowException, OSError, RecursionError, UnicodeError) as error:
        raise InputError(f"{path}: is not Parquet ({error}). Write the file again.") from None
    if rows != counted:
        raise InputError(f"{path}: holds {rows} rows, but says {counted}. Write the file again.")
    return rows


def _check_whole(path: Path, footer: pq.FileMetaData) -> None:
    """Refuse joined files: the last footer names the rows of one, and its places are of that one.

    Bytes that the footer's columns do not account for are indexes and filters, or other files.
    """
    held = sum(
        footer.row_group(group).column(column).total_compressed_size
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    )
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"PAR1" or _JOINED.search(data, 0, len(data) - held):
            raise InputError(
                f"{path}: seems to be several files joined, and the footer knows one of them. "
                "Put each in a file of its own."
            )


def left_out(path: Path) -> dict[str, str]:
    """The columns of a Parquet file that are not read, and their types."""
    schema = pq.read_schema(path)
    return {field.name: str(field.type) for field in schema if _known(field.type) is None}


def _schema(path: Path, schema: pa.Schema, reading: Reading) -> pa.Schema:
    fields = []
    for field in schema:
        kind = _known(field.type)
        if kind is None and field.name in (reading.needed or ()):
            raise InputError(
                f"{path}, column {field.name}: holds {field.type}, a type that is not read. "
                "Write it as text."
            )
        if kind is not None:
            fields.append(pa.field(field.name, kind))
    return pa.schema(fields, metadata=schema.metadata)


def _known(kind: pa.DataType) -> pa.DataType | None:
    """A type that ``datasets`` has, for values of ``kind``; ``None`` when there is none."""
    if pa.types.is_dictionary(kind):
        return _known(kind.value_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_map(kind):
        pair = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        return _known(pa.list_(pair))
    try:
        Features.from_arrow_schema(pa.schema([("x", kind)]))
    except Exception:  # whatever datasets raises for a type that it has not
        return None
    return kind


def _plain(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    for cells, kind in zip(batch.columns, schema.types, strict=True):
        if pa.types.is_map(cells.type):
            pairs = pa.StructArray.from_arrays([cells.keys, cells.items], names=["key", "value"])
            offsets = pa.array(cells.offsets, pa.int32())
            missing = cells.is_null() if cells.null_count else None
            cells = pa.ListArray.from_arrays(offsets, pairs, mask=missing)
        columns.append(cells if cells.type == kind else cells.cast(kind))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
