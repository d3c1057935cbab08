"""Rows of JSON values to Arrow files: a column has one type, that of its widest values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from frtune.data.reading import Reading
from frtune.errors import InputError

BATCH_ROWS = 1000
_DEEPEST = 16  # lists in lists; beyond some hundreds each library fails in its own way
_EXACT = 2**53  # whole numbers that a double holds

Batch = list[tuple[int, dict[str, Any]]]


def write_values(
    rows: Callable[[], Iterator[tuple[int, dict[str, Any]]]],
    path: Path,
    target: Path,
    reading: Reading,
) -> int:
    """Write rows to an Arrow file and return their number.

    They are written under the types of the first batch; once more when later ones widen these.

    Args:
        rows: Reads them from the start: line and row.
        path: What they are called in messages.
        target: The Arrow file.
        reading: ``needed`` says which columns must have one type. The values of another that has
            several are written as JSON text.

    Raises:
        InputError: With file and line, for a needed column of several types.
    """
    types = _Types(path, reading)
    count = types.write(rows(), target)
    if types.changed:
        again = types.write(rows(), target)
        if again != count:
            raise InputError(f"{path}: was changed while it was read. Start again.")
    return count


def first_schema(
    rows: Iterator[tuple[int, dict[str, Any]]], path: Path, reading: Reading
) -> pa.Schema:
    """The columns of some rows and their types; arguments and errors as above."""
    types = _Types(path, reading)
    types.widen(list(rows))
    return types.schema()


class _Types:
    """The types of columns as far as rows were seen.

    Attributes:
        changed: Whether they changed after the first batch was written.
    """

    def __init__(self, path: Path, reading: Reading):
        self._path, self._needed = path, reading.needed
        self._known: dict[str, pa.DataType] = {}
        self._odd: set[str] = set()  # columns of several types, which nobody needs
        self.changed = False

    def write(self, rows: Iterator[tuple[int, dict[str, Any]]], target: Path) -> int:
        count, writer, settled = 0, None, self.changed
        self.changed = False
        first = None
        with open(target, "wb") as sink:
            while batch := list(islice(rows, BATCH_ROWS)):
                if not settled:
                    self.widen(batch)
                count += len(batch)
                first = first or self.schema()
                if self.schema() != first:
                    self.changed = True
                    continue
                writer = writer or pa.ipc.new_stream(sink, first)
                writer.write_batch(self._record_batch(batch, first))
            if writer is None:
                raise InputError(f"{self._path}: has no rows. Add some.")
            writer.close()
        return count

    def schema(self) -> pa.Schema:
        """The schema as it is written: a column without any value is text."""
        return pa.schema(
            (name, pa.string() if name in self._odd or pa.types.is_null(kind) else kind)
            for name, kind in self._known.items()
        )

    def widen(self, batch: Batch) -> None:
        for name in dict.fromkeys(name for _, row in batch for name in row):
            if name in self._odd:
                continue
            if "\0" in name:  # names end there in Arrow's files
                raise InputError(f"{self._path}: the name {name!r} holds U+0000. Rename it.")
            known = self._known.get(name, pa.null())
            try:
                found = _array([row.get(name) for _, row in batch]).type
                self._known[name] = _wider(known, found)
            except (pa.ArrowException, OverflowError, UnicodeError, _TooDeep, _BrokenName):
                if self._needed is None or name in self._needed:
                    raise _culprit(self._path, name, batch, known) from None
                self._odd.add(name)
                self._known[name] = pa.string()

    def _record_batch(self, batch: Batch, schema: pa.Schema) -> pa.RecordBatch:
        columns = []
        for field in schema:
            values = [row.get(field.name) for _, row in batch]
            if field.name in self._odd:
                values = [None if value is None else json.dumps(value) for value in values]
            try:
                columns.append(pa.array(values, type=field.type))
            except (pa.ArrowException, OverflowError):  # a whole number too big for a decimal
                raise _culprit(self._path, field.name, batch, field.type) from None
        return pa.RecordBatch.from_arrays(columns, schema=schema)


class _BrokenName(Exception):
    """A name in an object holds U+0000, where names end in Arrow's files."""


class _TooDeep(Exception):
    """Lists or objects in one another, beyond ``_DEEPEST``."""


def _array(values: Iterable[Any]) -> pa.Array:
    values = list(values)
    if any(isinstance(value, list | dict) and _is_deep(value) for value in values):
        raise _TooDeep
    return pa.array(values)


def _is_deep(value: list | dict) -> bool:
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        if any("\0" in name for each in level if isinstance(each, dict) for name in each):
            raise _BrokenName
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [item for each in inner for item in each if isinstance(item, list | dict)]
        if not level:
            return False
    return True


def _wider(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    schemas = [pa.schema([("x", left)]), pa.schema([("x", right)])]
    return pa.unify_schemas(schemas, promote_options="permissive").field("x").type


def _culprit(path: Path, name: str, batch: Batch, known: pa.DataType) -> InputError:
    """The error for the first value of a column that does not go with those before it."""
    for line, row in batch:
        where, value = f"{path}, line {line}, column {name}", row.get(name)
        try:
            known = _wider(known, _array([value]).type)
        except OverflowError:
            return InputError(f"{where}: the number is beyond 64 bits. Write it as text.")
        except UnicodeError:
            return InputError(f"{where}: holds half a surrogate pair. Write the character whole.")
        except _BrokenName:
            return InputError(f"{where}: holds an object with U+0000 in a name. Rename it.")
        except _TooDeep:
            return InputError(f"{where}: nests lists or objects too deeply. Write it flat.")
        except pa.ArrowException:
            before = "mixed types" if pa.types.is_null(known) else f"{_kind(known)} before it"
            return InputError(
                f"{where}: holds {_kind_of(value)}, but {before}. "
                "Give the column one type in every row."
            )
    for line, row in batch:  # a decimal may follow the number that it cannot stand beside
        if isinstance(value := row.get(name), int) and abs(value) > _EXACT:
            return InputError(
                f"{path}, line {line}, column {name}: the number {value} would lose digits "
                "beside decimals. Write it as text."
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
