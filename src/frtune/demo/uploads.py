"""The rows of a visitor's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frtune.data.readers import numbered_rows
from frtune.data.text_lines import REPLACING, read_lines
from frtune.demo.errors import PageError
from frtune.errors import InputError

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".txt")

# key of ``WORDS``, and the codec; none goes by the byte order mark, and is UTF-8 without it
ENCODINGS = (
    ("automatic", ""),
    ("korean", "cp949"),
    ("western", "cp1252"),
    ("japanese", "cp932"),
    ("chinese", "gb18030"),
    ("utf16", "utf-16-le"),
    ("replacing", REPLACING),
)


def uploaded_rows(path: str | Path, name: str, encoding: str | None = None) -> list[dict[str, Any]]:
    """Read the rows of an uploaded file; nothing of it is kept elsewhere.

    Args:
        path: Where the file lies.
        name: What messages call it.
        encoding: A codec; ``None`` goes by the byte order mark, and takes UTF-8 without it.

    Returns:
        The rows; of a text file, one a line with the column ``text``.

    Raises:
        InputError: With the line, for what cannot be read, and for a file without rows.
    """
    path = Path(path)
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        message = f"{name}: is none of {known}. Save it as one of them."
        raise PageError(message, "bad_suffix", known=known)
    try:
        if suffix == ".txt":
            rows = [{"text": line.strip()} for _, line in read_lines(path, encoding)]
        else:
            rows = [row for _, row in numbered_rows(path, encoding)]
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from None
    if not rows:
        raise PageError(f"{name}: has no rows.", "no_rows")
    return rows
