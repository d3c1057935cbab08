"""The folder that a board works in: what stands in it, and nothing outside it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frtune.errors import InputError
from frtune.files import draft_file, yaml_text

BOARD, PREPARED, RUNS = "board", "prepared", "runs"  # below the folder
AUDIT = "audit.json"
DATA_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls", ".ods")
_DEPTH = 4  # folders below the folder in which data is looked for
_MOST_FILES = 500  # in a menu
_NAME = re.compile(r"[\w][\w.-]{0,79}")


class BoardFolder:
    """A folder with data, and what a board writes: ``prepared/``, ``runs/`` and ``board/``.

    ``board/`` holds the ``config.yaml`` of each run, its job and its log.

    Args:
        root: The folder.

    Raises:
        InputError: If it is no folder.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root).resolve()
        if not self.root.is_dir():
            raise InputError(f"{root}: no such directory. Give the folder with your data.")

    @property
    def board(self) -> Path:
        """Where configurations, jobs and logs are."""
        return self.inside(BOARD)

    def inside(self, name: str | os.PathLike[str]) -> Path:
        """The path of something below the folder, links followed.

        Raises:
            InputError: If it is outside, or no path.
        """
        try:
            path = (self.root / name).resolve()
        except (ValueError, OSError, RuntimeError):  # a NUL byte, links in a circle
            path = Path("/")
        if not path.is_relative_to(self.root):
            raise InputError(
                f"{os.fspath(name)[:100]!r}: is outside the folder of this page. Move it there, "
                "or start frtune board on another folder."
            )
        return path

    def name_of(self, path: Path) -> str:
        """A path as commands name it, seen from the folder."""
        name = path.relative_to(self.root).as_posix()
        return f"./{name}" if name.startswith("-") else name  # no option of a command

    def data_files(self) -> list[str]:
        """Files that can be prepared, the page's own left out, in order of their names."""
        return sorted(self._files(self.root, _DEPTH))[:_MOST_FILES]

    def _files(self, place: Path, depth: int) -> Iterator[str]:
        own = {self.root / name for name in (BOARD, PREPARED, RUNS)}
        try:
            entries = sorted(place.iterdir())
        except OSError:
            return
        for path in entries:
            if path.name.startswith(".") or path in own or (path / "manifest.json").is_file():
                continue
            if path.is_dir() and not path.is_symlink() and depth:
                yield from self._files(path, depth - 1)
            elif path.suffix.lower() in DATA_SUFFIXES and self._is_inside(path):
                yield self.name_of(path)

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.root) and path.is_file()

    def prepared(self) -> list[str]:
        """Folders that ``frtune prepare`` wrote, the newest first."""
        found = [path.parent for path in self.inside(PREPARED).glob(f"*/{AUDIT}")]
        found = [path for path in found if path.resolve().is_relative_to(self.root)]
        found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        return [self.name_of(path) for path in found]

    def free_name(self, place: str, wanted: str) -> str:
        """``wanted``, numbered where ``place`` has it already.

        Raises:
            InputError: If it is no name of a file.
        """
        name = checked_name(wanted)
        taken = {path.stem for path in self.board.glob("*.json")}
        number, found = 1, name
        while (self.inside(place) / found).exists() or found in taken:
            number += 1
            found = f"{name}-{number}"
        return found

    def take(self, source: Path, name: str) -> str:
        """Copy an uploaded file into the folder; one of that name stays, and the new is numbered.

        Returns:
            Its name there.
        """
        cleaned = unicodedata.normalize("NFC", Path(name).name)
        stem, suffix = os.path.splitext(re.sub(r"[^\w.() -]", "_", cleaned).lstrip("-. ") or "data")
        if suffix.lower() not in DATA_SUFFIXES:
            raise InputError(f"{cleaned}: one of {', '.join(DATA_SUFFIXES)}. Save it as one.")
        target, number = self.inside(f"{stem[:80]}{suffix}"), 1
        while target.exists():
            number += 1
            target = self.inside(f"{stem[:80]}-{number}{suffix}")
        with draft_file(target) as draft, open(source, "rb") as read, open(draft, "wb") as written:
            while block := read.read(1 << 20):
                written.write(block)
        return self.name_of(target)

    def write_config(self, name: str, config: dict[str, Any]) -> str:
        """Write the ``config.yaml`` of a run, and return its name in the folder."""
        path = self.board / f"{checked_name(name)}.yaml"
        with draft_file(path) as draft:
            draft.write_text(yaml_text(config), encoding="utf-8")
        return self.name_of(path)


def checked_name(name: str) -> str:
    """A name of a run or of prepared data.

    Raises:
        InputError: If it is none.

    Example:
        >>> checked_name("invoices-2"), checked_name(" 송장 ")
        ('invoices-2', '송장')
    """
    name = unicodedata.normalize("NFC", name.strip())
    if not _NAME.fullmatch(name):
        raise InputError(
            f"name={name[:80]!r}: letters, digits, '-', '_' and '.', 80 at most, a letter or digit "
            "first."
        )
    return name
