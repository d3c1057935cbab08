"""Files as streams of bytes: regular files only, and those of one compressed file."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from frtune.errors import InputError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")

_BLOCK = 1 << 16
_UNPACKED, _RATIO = 1 << 26, 200  # of bytes that are made to unpack to very much more
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    ".gz": lambda: zlib.decompressobj(31),
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}


def bare_name(path: Path) -> str:
    """Return a file's name without the suffix of its compression.

    Example:
        >>> bare_name(Path("data/train.csv.gz")), bare_name(Path("train.csv"))
        ('train.csv', 'train.csv')
    """
    return path.stem if path.suffix.lower() in COMPRESSIONS else path.name


def suffix_of(path: Path) -> str:
    """Return the suffix that says the format, in lower case: ``.csv`` of ``train.CSV.gz``."""
    return Path(bare_name(path)).suffix.lower()


def check_path(path: Path) -> bool:
    """Tell whether there is something at ``path``; refuse what is neither a file nor a folder.

    Raises:
        InputError: For a pipe, a socket or a device, which may never end, for a link to nothing,
            and for a path that the system refuses (too long, or not to be read).
    """
    try:
        exists, broken = path.exists(), path.is_symlink()
        regular = exists and (path.is_file() or path.is_dir())
    except (OSError, ValueError) as error:
        shown = str(path) if len(str(path)) < 80 else f"{str(path)[:60]}..."
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{shown}: cannot be opened ({reason}). Check the path.") from None
    if broken and not exists:
        raise InputError(f"{path}: is a link to nothing. Correct the link, or remove it.")
    if exists and not regular:
        raise InputError(
            f"{path}: is no file but a pipe, a socket or a device. Write the rows to a file first."
        )
    return exists


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file to read its bytes, decompressed where its suffix names a compression.

    The end of the stream is the end of the file: what follows a compressed stream is read if it
    is another one, and refused if it is anything else.

    Raises:
        InputError: For what is no regular file, and for an archive that does not hold one file.
    """
    check_path(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".zip":
            return io.BufferedReader(_zipped(path), _BLOCK)
        if suffix == ".zst":
            inner = pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")
            return io.BufferedReader(_Checked(path, inner), _BLOCK)
        raw = open(path, "rb")
    except InputError:
        raise
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be opened ({reason}). Check the file.") from None
    if suffix not in _DECOMPRESSORS:
        return raw
    return io.BufferedReader(_Decompressed(path, raw, _DECOMPRESSORS[suffix]), _BLOCK)


def check_unpacked(path: Path) -> None:
    """Unpack a compressed file once without reading its lines: the limit comes before rows do.

    Raises:
        InputError: For a file that unpacks to very much more than its size, or is damaged.
    """
    if path.suffix.lower() in (".xlsx", ".xlsm", ".xlsb", ".ods") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _most_bytes(path):
                raise _too_much(path)
    if path.suffix.lower() in COMPRESSIONS:
        with open_bytes(path) as file:
            while file.read(1 << 20):
                pass


def _most_bytes(path: Path) -> int:
    return max(_UNPACKED, _RATIO * path.stat().st_size)


def _too_much(path: Path) -> InputError:
    return InputError(
        f"{path}: unpacks to more than {_RATIO} times its size. Unpack it yourself, and name what "
        "is in it."
    )


def _zipped(path: Path) -> _Checked:
    """The one file of a zip archive; folders and what macOS adds do not count."""
    archive = zipfile.ZipFile(path)
    names = [
        name
        for name in archive.namelist()
        if not name.endswith("/")
        and not name.startswith("__MACOSX/")
        and not name.rpartition("/")[2].startswith(".")
    ]
    if len(names) != 1:
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise InputError(
            f"{path}: holds {len(names)} files{f' ({shown})' if names else ''}, and one is read. "
            "Unpack it, and name the folder."
        )
    return _Checked(path, archive.open(names[0]))


class _Stream(io.RawIOBase):
    """A stream of bytes of a file, whose errors name the file."""

    def __init__(self, path: Path):
        super().__init__()
        self._path = path
        self._most, self._given = _most_bytes(path), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            found = self._some(len(buffer))
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self._path}: is damaged, or ends too early ({error}). Get the file again."
            ) from None
        self._given += len(found)
        if self._given > self._most:
            raise _too_much(self._path)
        buffer[: len(found)] = found
        return len(found)

    def _some(self, most: int) -> bytes:
        raise NotImplementedError


class _Decompressed(_Stream):
    """What a file of one or several compressed streams holds."""

    def __init__(self, path: Path, raw: IO[bytes], make: Callable[[], Any]):
        super().__init__(path)
        self._raw, self._make = raw, make
        self._decompressor, self._left = make(), b""

    def _some(self, most: int) -> bytes:
        while True:
            if self._decompressor.eof and not self._next_stream():
                return b""
            waiting = getattr(self._decompressor, "unconsumed_tail", b"")  # zlib hands it back
            data = waiting or self._left or self._raw.read(_BLOCK)
            self._left = b""
            found = self._decompressor.decompress(data, most)
            if found:
                return found
            if not data and not self._decompressor.eof:
                raise EOFError("the compressed data ends in the middle")

    def _next_stream(self) -> bool:
        """Begin what follows the end of a stream, padding aside; damage is found as it is read."""
        self._left = self._decompressor.unused_data.lstrip(b"\0")
        while not self._left:
            block = self._raw.read(_BLOCK)
            if not block:
                return False
            self._left = block.lstrip(b"\0")
        self._decompressor = self._make()
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Checked(_Stream):
    """A stream of another library."""

    def __init__(self, path: Path, stream: Any):
        super().__init__(path)
        self._inner = stream

    def _some(self, most: int) -> bytes:
        return self._inner.read(most)

    def close(self) -> None:
        self._inner.close()
        super().close()
