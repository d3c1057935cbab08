"""The rows of a visitor's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frtune.data.readers import numbered_rows
from frtune.data.text_lines import read_lines
from frtune.errors import InputError

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt")


def uploaded_rows(path: str | Path, name: str) -> list[dict[str, Any]]:
    """Read the rows of an uploaded file; nothing of it is kept elsewhere.

    Args:
        path: Where the file lies.
        name: What messages call it.

    Returns:
        The rows; of a text file, one a line with the column ``text``.

    Raises:
        InputError: With the line, for what cannot be read, and for a file without rows.
    """
    path = Path(path)
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{name}: is none of {', '.join(SUFFIXES)}. Save it as one of them.")
    try:
        if suffix == ".txt":
            rows = [{"text": line.strip()} for _, line in read_lines(path)]
        else:
            rows = [row for _, row in numbered_rows(path)]
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from None
    if not rows:
        raise InputError(f"{name}: has no rows.")
    return rows
