"""Rows of one split that came from one place, and one type for a column in all places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from datasets import Dataset, Features, Value

from frtune.data.cell_types import as_cells, pc
from frtune.data.compression import suffix_of
from frtune.data.readers import TABLES
from frtune.data.reading import Reading
from frtune.data.spreadsheets import SPREADSHEETS
from frtune.errors import InputError


class Part(NamedTuple):
    """Rows of one split that came from one place; ``name`` is the file, or the data set's split."""

    split: str
    name: str
    rows: Dataset


def same_types(parts: list[Part], reading: Reading) -> list[Part]:
    """Give a column one type in all parts.

    Numbers of tables that are text in another part are text again, with the characters that they
    had. A column that nobody needs becomes JSON text where there is no common type.

    Raises:
        InputError: For a needed column of types that have none in common.
    """
    for name in dict.fromkeys(name for part in parts for name in part.rows.column_names):
        have = [part for part in parts if name in part.rows.column_names]
        types = {_type(part, name) for part in have}
        if len(types) == 1:
            continue
        tables = [part for part in have if _is_table(part)]
        of_tables = {_type(part, name) for part in tables}
        if len(of_tables) > 1 or (of_tables and pa.string() in types):
            parts = [_as_text(p, name) if p in tables else p for p in parts]
        parts = _one_type(parts, name, reading)
    return parts


def words_joined(parts: list[Part], names: tuple[str, ...]) -> tuple[list[Part], list[str]]:
    """Make a text of a list of words, as some data sets have it, with a space between two words.

    Returns:
        The parts, and a note for each that was changed.
    """
    joined, notes = [], []
    for part in parts:
        for name in names:
            kind = _type(part, name) if name in part.rows.column_names else pa.null()
            if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
                part = _joined(part, name)
                notes.append(f"{part.name}, column {name}: lists of words were joined by spaces")
        joined.append(part)
    return joined, notes


def _joined(part: Part, name: str) -> Part:
    features = part.rows.features.copy()
    features[name] = Value("string")

    def join(table: pa.Table) -> pa.Table:
        texts = pc.binary_join(table[name], " ")
        return table.set_column(table.column_names.index(name), name, texts)

    rows = part.rows.with_format("arrow").map(
        join, batched=True, features=features, desc=f"joining words of {name}"
    )
    rows.reset_format()
    return part._replace(rows=rows)


def _one_type(parts: list[Part], name: str, reading: Reading) -> list[Part]:
    have = [part for part in parts if name in part.rows.column_names]
    common, first = _type(have[0], name), have[0]
    for part in have[1:]:
        wider = _common_type(common, _type(part, name))
        if wider is None and (reading.needed is None or name in reading.needed):
            raise InputError(
                f"{part.name}, column {name}: holds {_type(part, name)}, but {common} in "
                f"{Path(first.name).name}. Give the column one type in every file."
            )
        if wider is None:
            return [_as_json(part, name) if part in have else part for part in parts]
        common = wider
    return [_cast(part, name, common) if part in have else part for part in parts]


def _type(part: Part, name: str) -> pa.DataType:
    return part.rows.features.arrow_schema.field(name).type


def _is_table(part: Part) -> bool:
    return suffix_of(Path(part.name)) in (*TABLES, *SPREADSHEETS)


def _common_type(left: pa.DataType, right: pa.DataType) -> Any:
    """The type that holds both; ``None`` when there is none."""
    schemas = [pa.schema([("x", left)]), pa.schema([("x", right)])]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return None


def _cast(part: Part, name: str, kind: pa.DataType) -> Part:
    if _type(part, name) == kind:
        return part
    features = part.rows.features.copy()
    features[name] = Features.from_arrow_schema(pa.schema([(name, kind)]))[name]
    return part._replace(rows=part.rows.cast(features))


def _as_text(part: Part, name: str) -> Part:
    if pa.types.is_string(_type(part, name)):
        return part
    return _with_column(part, name, as_cells(part.rows[name][:]))


def _as_json(part: Part, name: str) -> Part:
    values = part.rows[name][:]
    if pa.types.is_string(_type(part, name)):
        return part
    return _with_column(part, name, [json.dumps(value, default=str) for value in values])


def _with_column(part: Part, name: str, values: list[Any]) -> Part:
    names = part.rows.column_names
    draft = f"{name} as text"  # beside the other, since rows of no columns are no rows
    rows = part.rows.add_column(draft, pa.array(values, pa.string()))
    rows = rows.remove_columns(name).rename_column(draft, name)
    return part._replace(rows=rows.select_columns(names))
