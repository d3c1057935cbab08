"""Korean morphemes from Kiwi or Komoran, remembered in memory and on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from frtune.errors import InputError

logger = logging.getLogger(__name__)

Analyser = Literal["kiwi", "komoran"]

_PACKAGES = {"kiwi": ("kiwipiepy", "ko"), "komoran": ("konlpy", "komoran")}
_IN_MEMORY = 100_000


class Morphemes:
    """Split Korean text into morphemes; each text is analysed once.

    What was analysed is kept in memory and in ``morphemes.sqlite3`` in the cache directory, under a
    hash of the text and of the analyser's version, so that a new version never meets old answers.

    Args:
        analyser: ``"kiwi"`` (``pip install 'frtune[ko]'``, no Java) or ``"komoran"``
            (``pip install 'frtune[komoran]'``, needs Java).
        cache_directory: Where the file lies; ``None`` keeps nothing on disk.

    Raises:
        ImportError: If the analyser isn't installed; it names the extra.

    Example:
        >>> Morphemes("kiwi", cache_directory=None).tokenize("서울의 봄")
        ['서울', '의', '봄']
    """

    def __init__(self, analyser: Analyser = "kiwi", *, cache_directory: Path | None = None):
        if analyser not in _PACKAGES:
            raise InputError(f"analyser={analyser!r}: 'kiwi' or 'komoran'. Pass one of them.")
        self.version = analyser_version(analyser)
        self._analyser: Analyser = analyser
        self._analyse: Callable[[list[str]], list[list[str]]] | None = None
        self._known: dict[str, list[str]] = {}
        self._lock = threading.Lock()  # texts are analysed while others are generated
        self._file = cache_directory / "morphemes.sqlite3" if cache_directory else None

    def tokenize(self, text: str) -> list[str]:
        """Return the morphemes of one text."""
        return self.tokenize_all([text])[0]

    def tokenize_all(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the morphemes of each text; unknown ones are analysed together, on all cores."""
        with self._lock:
            return self._tokenize_all(texts)

    def _tokenize_all(self, texts: Sequence[str]) -> list[list[str]]:
        composed = [unicodedata.normalize("NFC", text) for text in texts]
        if len(self._known) > _IN_MEMORY:
            self._known.clear()
        unknown = [text for text in dict.fromkeys(composed) if text not in self._known]
        keys = {text: self._key(text) for text in unknown}
        if self._file and unknown:
            found = read_cache(self._file, list(keys.values()))
            self._known.update({t: found[key] for t, key in keys.items() if key in found})
            unknown = [text for text in unknown if text not in self._known]
        if unknown:
            self._analyse = self._analyse or load_analyser(self._analyser)
            fresh = dict(zip(unknown, self._analyse(unknown), strict=True))
            self._known.update(fresh)
            if self._file:
                write_cache(self._file, {keys[text]: tokens for text, tokens in fresh.items()})
        return [self._known[text] for text in composed]

    def _key(self, text: str) -> str:
        named = f"{self._analyser}-{self.version}\n{text}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(named).hexdigest()


def analyser_version(analyser: Analyser) -> str:
    """Return the version of the analyser's package, or raise ``ImportError`` that names the extra.

    Example:
        >>> analyser_version("kiwi").split(".")[0].isdigit()
        True
    """
    package, extra = _PACKAGES[analyser]
    try:
        return version(package)
    except PackageNotFoundError:
        raise ImportError(
            f"tokenizer={analyser!r}: needs {package}. Run: pip install 'frtune[{extra}]'"
        ) from None


def cache_directory() -> Path | None:
    """Return ``$FRTUNE_CACHE``, else ``$XDG_CACHE_HOME/frtune``, else ``~/.cache/frtune``.

    An empty ``FRTUNE_CACHE`` turns the disk cache off.

    Example:
        >>> from unittest.mock import patch
        >>> with patch.dict(os.environ, FRTUNE_CACHE=""):
        ...     cache_directory() is None
        True
    """
    chosen = os.environ.get("FRTUNE_CACHE")
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "frtune"


def read_cache(file: Path, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return the token lists that the file has; none when it can't be read."""
    if not file.is_file():
        return {}
    found: dict[str, list[str]] = {}
    try:
        with closing(sqlite3.connect(file, timeout=30)) as connection:
            for start in range(0, len(keys), 500):
                some = keys[start : start + 500]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, tokens FROM morphemes WHERE key IN ({marks})"
                found.update((key, json.loads(row)) for key, row in connection.execute(query, some))
    except (sqlite3.Error, ValueError) as error:
        logger.warning("morpheme cache %s not read (%s); texts are analysed again", file, error)
        return {}
    return found


def write_cache(file: Path, entries: dict[str, list[str]]) -> None:
    """Add the entries in one transaction; several processes may do so at once."""
    rows = [(key, json.dumps(tokens, ensure_ascii=False)) for key, tokens in entries.items()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS morphemes (key TEXT PRIMARY KEY, tokens TEXT NOT NULL)"
            )
            connection.executemany("INSERT OR REPLACE INTO morphemes VALUES (?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        logger.warning("morpheme cache %s not written (%s)", file, error)


@lru_cache(maxsize=1)
def load_kiwi() -> Any:
    """Return the process's one Kiwi; loading it takes seconds and hundreds of megabytes.

    Example:
        >>> [token.tag for token in load_kiwi().tokenize("서울의 봄")]
        ['NNP', 'JKG', 'NNG']
    """
    from kiwipiepy import Kiwi

    return Kiwi()


@lru_cache(maxsize=2)
def load_analyser(analyser: Analyser) -> Callable[[list[str]], list[list[str]]]:
    """Return what splits a list of texts into morphemes; loading takes seconds.

    Raises:
        ImportError: If Komoran finds no Java.
    """
    if analyser == "kiwi":
        kiwi = load_kiwi()
        return lambda texts: [[token.form for token in tokens] for tokens in kiwi.tokenize(texts)]
    from konlpy.tag import Komoran  # type: ignore[import-not-found]

    try:
        komoran = Komoran()
    except Exception as error:  # JPype's own type, which nothing else here needs
        raise ImportError(
            f"tokenizer='komoran': needs Java ({error}). Install a JDK, or set JAVA_HOME."
        ) from error
    # Komoran fails on blank text.
    return lambda texts: [komoran.morphs(text) if text.strip() else [] for text in texts]
