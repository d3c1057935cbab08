"""One file of rows as a memory-mapped Arrow data set, written once for each content."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import pyarrow as pa
from datasets import Dataset, config

from frtune.data.compression import COMPRESSIONS, check_path, check_unpacked, suffix_of
from frtune.data.json_files import write_values
from frtune.data.json_lines import NotAlike, write_lines
from frtune.data.json_scan import count_objects
from frtune.data.key_files import files_of, key_rows
from frtune.data.parquet_files import write_parquet
from frtune.data.readers import TABLES, numbered_rows
from frtune.data.reading import Reading
from frtune.data.spreadsheets import SPREADSHEETS
from frtune.data.table_files import counted, write_table
from frtune.errors import InputError
from frtune.files import draft_file

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", *SPREADSHEETS)

_FORMAT = 3  # part of the cache's key: raise it whenever the same file gives other rows


def read_file(
    path: Path, encoding: str | None = None, *, reading: Reading | None = None
) -> Dataset:
    """Open a file of rows as a ``Dataset`` that lives on the disk.

    The Arrow copy is kept in the data sets' cache under the file's content, so that a changed
    file is read anew and an unchanged one is not.

    Args:
        path: The file, or a folder of ``.txt`` and ``.key`` files.
        encoding: Of a text file; ``None`` is UTF-8, or what the byte order mark says.
        reading: How cells are read; overrides ``encoding``.

    Raises:
        InputError: With file and line, for a file that is empty or broken.
    """
    reading = reading or Reading(encoding)
    check_path(path)
    key = _content_key(path, reading)
    arrow = Path(config.HF_DATASETS_CACHE) / "frtune" / key / "rows.arrow"
    if path.suffix.lower() in COMPRESSIONS and suffix_of(path) in (".parquet", *SPREADSHEETS):
        raise InputError(f"{path}: its format is compressed in itself. Unpack it first.")
    if not arrow.exists():
        check_unpacked(path)
        try:
            arrow.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"HF_DATASETS_CACHE={config.HF_DATASETS_CACHE}: read rows are kept there, "
                f"and it cannot be written ({error.strerror}). Set HF_HOME to a folder that can be."
            ) from error
        with draft_file(arrow) as draft:
            rows = _write(path, draft, reading)
            _check_rows(path, draft, rows)
    return Dataset.from_file(str(arrow))


def _content_key(path: Path, reading: Reading) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{_FORMAT}|{suffix_of(path)}|{path.suffix.lower()}|{reading}|".encode())
    for each in files_of(path) if path.is_dir() else [path]:
        if path.is_dir():
            digest.update(f"|{each.name}|".encode(errors="surrogateescape"))
        check_path(each)
        with open(each, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _write(path: Path, target: Path, reading: Reading) -> int:
    """Write the rows; their number is held against a count that no reader of rows made."""
    if path.is_dir():
        rows = write_values(lambda: key_rows(path, reading), path, target, reading)
        return counted(path, rows, len({file.stem for file in files_of(path)}))
    suffix = suffix_of(path)
    if suffix == ".parquet":
        return write_parquet(path, target, reading)
    if suffix in (*TABLES, *SPREADSHEETS):
        return write_table(path, target, reading)
    with contextlib.suppress(NotAlike):
        return write_lines(path, target, reading)
    rows = write_values(lambda: numbered_rows(path, reading.encoding), path, target, reading)
    return counted(path, rows, count_objects(path, reading.encoding))


def _check_rows(path: Path, target: Path, rows: int) -> None:
    """Refuse a copy that does not hold as many rows as were read, as on a full disk."""
    with pa.memory_map(str(target)) as source:
        written = sum(len(batch) for batch in pa.ipc.open_stream(source))
    if written != rows:
        raise InputError(f"{path}: {written} of {rows} rows were copied. Is the disk full?")
