"""One file of rows as a memory-mapped Arrow data set, written once for each content."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, config

from frtune.data.readers import numbered_rows
from frtune.errors import InputError

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")

_FORMAT = 1  # part of the cache's key: raise it whenever the same file gives other rows
_BATCH_ROWS = 1000
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")

Batch = list[tuple[int, dict[str, Any]]]


def read_file(path: Path, encoding: str | None = None) -> Dataset:
    """Open a file of rows as a ``Dataset`` that lives on the disk.

    The Arrow copy is kept in the data sets' cache under the file's content, so that a changed
    file is read anew and an unchanged one is not.

    Raises:
        InputError: With file and line, for a file that is empty or broken.
    """
    key = _content_key(path, encoding)
    arrow = Path(config.HF_DATASETS_CACHE) / "frtune" / key / "rows.arrow"
    if not arrow.exists():
        arrow.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=arrow.parent, suffix=".part")
        os.close(handle)
        try:
            _write(path, encoding, Path(partial))
            os.replace(partial, arrow)
        finally:
            Path(partial).unlink(missing_ok=True)
    return Dataset.from_file(str(arrow))


def _content_key(path: Path, encoding: str | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{_FORMAT}|{path.suffix.lower()}|{encoding}|".encode())
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write(path: Path, encoding: str | None, target: Path) -> None:
    """Write the rows under the first batch's types; once more when later batches widen them."""
    if path.suffix.lower() == ".parquet":
        _write_parquet(path, target)
    elif (schema := _write_batches(path, encoding, target, None)) is not None:
        _write_batches(path, encoding, target, schema)


def _write_batches(
    path: Path, encoding: str | None, target: Path, fixed: pa.Schema | None
) -> pa.Schema | None:
    """Write the rows; return the schema to write them with instead, or ``None`` when done."""
    cells_are_text = path.suffix.lower() in (".csv", ".tsv")
    schema, first, writer = fixed, fixed, None
    with open(target, "wb") as sink:
        for batch in _batched(numbered_rows(path, encoding), _BATCH_ROWS):
            if fixed is None:
                found = _cell_types(batch) if cells_are_text else _value_types(path, batch)
                schema = found if schema is None else _merge(path, schema, found, batch)
                first = first or schema
            if schema == first:
                shown = _visible(schema)
                writer = writer or pa.ipc.new_stream(sink, shown)
                writer.write_batch(_record_batch(batch, shown, cells_are_text))
        if writer is None:
            raise InputError(f"{path}: has no rows. Add some below the header.")
        writer.close()
    return None if schema == first else schema


def _batched(rows: Iterable[tuple[int, dict]], size: int) -> Iterator[Batch]:
    rows = iter(rows)
    while batch := list(islice(rows, size)):
        yield batch


def _visible(schema: pa.Schema) -> pa.Schema:
    """The schema as it is written: a column without any value is text."""
    return pa.schema(
        (field.name, pa.string() if pa.types.is_null(field.type) else field.type)
        for field in schema
    )


def _record_batch(batch: Batch, schema: pa.Schema, cells_are_text: bool) -> pa.RecordBatch:
    rows = [row for _, row in batch]
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if cells_are_text and not pa.types.is_string(field.type):
            convert = int if pa.types.is_integer(field.type) else float
            values = [convert(value) if value else None for value in values]
        columns.append(pa.array(values, type=field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


# --- types of CSV cells --------------------------------------------------------------------------


def _cell_types(batch: Batch) -> pa.Schema:
    """Types of text cells: whole numbers, decimals, else text. ``007`` and ``NA`` are text."""

    def kind(name: str) -> pa.DataType:
        found = pa.null()
        for _, row in batch:
            value = row[name]
            if not value or (pa.types.is_integer(found) and _WHOLE.fullmatch(value)):
                continue
            if not _DECIMAL.fullmatch(value):
                return pa.string()
            whole = _WHOLE.fullmatch(value) and not pa.types.is_floating(found)
            found = pa.int64() if whole else pa.float64()
        return found

    return pa.schema([(name, kind(name)) for name in batch[0][1]])


# --- types of JSON values ------------------------------------------------------------------------


def _value_types(path: Path, batch: Batch) -> pa.Schema:
    names = dict.fromkeys(name for _, row in batch for name in row)
    fields = []
    for name in names:
        try:
            fields.append((name, pa.array([row.get(name) for _, row in batch]).type))
        except (pa.ArrowException, OverflowError, UnicodeError):
            raise _culprit(path, name, batch, pa.null()) from None
    return pa.schema(fields)


def _merge(path: Path, schema: pa.Schema, found: pa.Schema, batch: Batch) -> pa.Schema:
    """The schema that holds both; text is the widest type of CSV cells."""
    merged = {field.name: field.type for field in schema}
    for field in found:
        known = merged.get(field.name, pa.null())
        try:
            merged[field.name] = wider(known, field.type)
        except pa.ArrowException:
            if path.suffix.lower() not in (".csv", ".tsv"):
                raise _culprit(path, field.name, batch, known) from None
            merged[field.name] = pa.string()
    return pa.schema(list(merged.items()))


def wider(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    """The type that holds both; raises an ``ArrowException`` when there is none."""
    schemas = [pa.schema([("x", left)]), pa.schema([("x", right)])]
    return pa.unify_schemas(schemas, promote_options="permissive").field("x").type


def _culprit(path: Path, name: str, batch: Batch, known: pa.DataType) -> InputError:
    """The error for the first value of a column that does not go with those before it."""
    for line, row in batch:
        where = f"{path}, line {line}, column {name}"
        try:
            found = pa.array([row.get(name)]).type
            known = wider(known, found)
        except OverflowError:
            return InputError(f"{where}: the number is beyond 64 bits. Write it as text.")
        except UnicodeError:
            return InputError(f"{where}: holds half a surrogate pair. Write the character whole.")
        except pa.ArrowException:
            before = "mixed types" if pa.types.is_null(known) else f"{_kind(known)} before it"
            return InputError(
                f"{where}: holds {_kind_of(row[name])}, but {before}. "
                "Give the column one type in every row."
            )
    return InputError(f"{path}, column {name}: mixed types. Give the column one type in every row.")


def _kind_of(value: Any) -> str:
    kinds = {bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return kinds.get(type(value), "a number")


def _kind(found: pa.DataType) -> str:
    names = (
        (pa.types.is_boolean, "true or false"),
        (pa.types.is_string, "text"),
        (pa.types.is_list, "a list"),
        (pa.types.is_struct, "an object"),
    )
    return next((name for test, name in names if test(found)), "a number")


# --- Parquet -------------------------------------------------------------------------------------


def _write_parquet(path: Path, target: Path) -> None:
    try:
        with pq.ParquetFile(path) as source, open(target, "wb") as sink:
            if not source.metadata.num_rows:
                raise InputError(f"{path}: has no rows.")
            names = source.schema_arrow.names
            if len(set(names)) < len(names):
                raise InputError(f"{path}: has a column name more than once. Rename the columns.")
            with pa.ipc.new_stream(sink, source.schema_arrow) as writer:
                for batch in source.iter_batches(_BATCH_ROWS):
                    writer.write_batch(batch)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not Parquet ({error}). Write the file anew.") from None
