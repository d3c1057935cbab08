"""Folders of ``.txt`` files with ``.key`` files: a text, and its keyphrases one a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frtune.data.reading import Reading
from frtune.data.text_lines import read_lines

TEXT, KEY = ".txt", ".key"

_TEXT_FOLDERS = ("docsutf8", "docs", "texts", "text")
_KEY_FOLDERS = ("keys", "key")


def folders_of(path: Path) -> tuple[Path, Path] | None:
    """Where texts and keys of a folder are; ``None`` when it is no folder of such files.

    Both in the folder itself, or ``docsutf8`` (also ``docs``) beside ``keys`` in it.
    """
    if not path.is_dir():
        return None
    if any(file.suffix == KEY for file in path.iterdir()):
        return path, path
    texts = next((path / name for name in _TEXT_FOLDERS if (path / name).is_dir()), None)
    keys = next((path / name for name in _KEY_FOLDERS if (path / name).is_dir()), None)
    has_keys = keys is not None and any(file.suffix == KEY for file in keys.iterdir())
    return (texts, keys) if texts and keys and has_keys else None


def files_of(path: Path) -> list[Path]:
    """All texts and keys of a folder, in order."""
    folders = folders_of(path) or ()
    return [
        file
        for folder, suffix in zip(folders, (TEXT, KEY), strict=False)
        for file in sorted(folder.iterdir())
        if file.suffix == suffix
    ]


def key_rows(path: Path, reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and row of each document: ``id`` (its name), ``text`` and its phrases.

    A document without a text, or without keys, has none (``None``), so that the row is refused or
    set aside, and counted.
    """
    texts, keys = (
        {file.stem: file for file in files_of(path) if file.suffix == suffix}
        for suffix in (TEXT, KEY)
    )
    for number, name in enumerate(sorted({*texts, *keys}), start=1):
        text = phrases = None
        if name in texts:
            text = "".join(line for _, line in read_lines(texts[name], reading.encoding)).strip()
        if name in keys:
            lines = (line.strip() for _, line in read_lines(keys[name], reading.encoding))
            phrases = [line for line in lines if line]
        yield number, {"id": name, "text": text, reading.phrases_column: phrases}
