"""Text files as numbered lines, with the place of every byte that does not belong."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path

from frtune.data.compression import open_bytes
from frtune.errors import InputError

REPLACING = "utf-8-replace"  # UTF-8 in which a byte that does not belong becomes U+FFFD

_LONGEST = 1 << 27  # bytes of a line

# UTF-32's mark begins with UTF-16's, so it is looked for first
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def find_encoding(path: Path, encoding: str | None = None) -> str:
    """Return the encoding that ``path`` is read with.

    ``encoding`` is a Python codec's name; ``None`` looks for a byte order mark and takes UTF-8
    when there is none.

    Raises:
        InputError: If there is no such codec.
    """
    with open_bytes(path) as file:
        head = file.read(4)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if encoding is None:
        return marked or "utf-8"
    if encoding.lower() == REPLACING:
        return REPLACING
    try:
        name = codecs.lookup(encoding).name
        b"".decode(name)  # a codec of bytes to bytes, such as zip, is none of text
    except LookupError:
        raise InputError(
            f"encoding={encoding!r}: a codec's name, such as utf-8, cp1252, cp949 or utf-16. "
            "Leave it out for UTF-8."
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def read_lines(path: Path, encoding: str | None = None) -> Iterator[tuple[int, str]]:
    r"""Yield each line of ``path`` with its number, from 1; line ends stay on.

    Lines end at ``\n`` only, so that U+2028 and the like stay inside a text. The file is read
    as it is consumed.

    Raises:
        InputError: At a byte that is not of the encoding, and at a NUL byte; with the line.
    """
    name = find_encoding(path, encoding)
    if name.startswith(("utf-16", "utf-32", "utf-7")):
        yield from _wide_lines(path, name)
        return
    errors = "replace" if name == REPLACING else "strict"
    name = "utf-8-sig" if name == REPLACING else name
    with open_bytes(path) as file:
        for number, raw in enumerate(iter(lambda: file.readline(_LONGEST), b""), start=1):
            if len(raw) == _LONGEST and not raw.endswith(b"\n"):
                raise InputError(
                    f"{path}, line {number}: is longer than {_LONGEST >> 20} MiB, so it is no row. "
                    "Check the file; it has one row a line."
                )
            if b"\0" in raw:
                raise InputError(_nul(path, number))
            try:
                line = raw.decode(name, errors)
            except UnicodeDecodeError as error:
                raise InputError(_undecodable(path, number, raw, name, error)) from None
            if number == 1:
                name = "utf-8" if name == "utf-8-sig" else name
            yield number, line


def read_chunks(path: Path, encoding: str | None = None) -> Iterator[str]:
    """Yield the text of ``path`` in pieces of a million characters; errors as ``read_lines``."""
    name = find_encoding(path, encoding)
    errors = "replace" if name == REPLACING else "strict"
    name = "utf-8-sig" if name == REPLACING else name
    try:
        with (
            open_bytes(path) as raw,
            io.TextIOWrapper(raw, encoding=name, errors=errors, newline="") as file,
        ):
            while chunk := file.read(1 << 20):
                yield chunk
    except UnicodeDecodeError as error:
        for _ in read_lines(path, encoding):  # raises at the line itself
            pass
        raise InputError(f"{path}: is not {name}: {error.reason}.") from None


def utf8_blocks(path: Path, encoding: str | None = None, size: int = 1 << 22) -> Iterator[bytes]:
    """Yield the bytes of a text file in UTF-8, whatever its encoding, without a mark at the start.

    Bytes of a file in UTF-8 are as they stand there, be they right or not; errors of other
    encodings as ``read_lines``.
    """
    if not find_encoding(path, encoding).startswith("utf-8"):
        yield from (chunk.encode("utf-8", "surrogatepass") for chunk in read_chunks(path, encoding))
        return
    with open_bytes(path) as file:
        block = file.read(size).removeprefix(codecs.BOM_UTF8)
        while block:
            yield block
            block = file.read(size)


def _wide_lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Lines of an encoding in which a line feed is more than one byte."""
    number = 0
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=name, newline="\n") as file:
        try:
            for number, line in enumerate(file, start=1):
                if "\0" in line:
                    raise InputError(_nul(path, number))
                yield number, line.removeprefix("\ufeff") if number == 1 else line
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}, after line {number}: is not {name} ({error.reason}). "
                "Pass the file's own encoding with --encoding."
            ) from None


def _nul(path: Path, number: int) -> str:
    return (
        f"{path}, line {number}: holds a NUL byte, so it is damaged, or UTF-16 without its mark. "
        "Remove the byte, or pass --encoding utf-16-le."
    )


def _undecodable(path: Path, number: int, raw: bytes, name: str, error: UnicodeDecodeError) -> str:
    wanted = "UTF-8" if name.startswith("utf-8") else name
    what = (
        f"{path}, line {number}, byte {error.start + 1}: 0x{raw[error.start]:02X} is not {wanted}"
    )
    if wanted != "UTF-8":
        return (
            f"{what}. Save the file as UTF-8, or pass its encoding: --encoding utf-8, for example."
        )
    bad, good = count_bad_bytes(path)
    if good > bad:  # another encoding would spoil every letter that is read rightly now
        others = "It is the only one" if bad == 1 else f"There are {bad}"
        return (
            f"{what}. {others} in a file that is UTF-8 elsewhere. Correct it, or pass --encoding "
            f"{REPLACING}, which puts U+FFFD in its place."
        )
    found = f"--encoding {_likely(raw)}, for example."
    return f"{what}. Save the file as UTF-8, or pass its encoding: {found}"


def count_bad_bytes(path: Path) -> tuple[int, int]:
    """Count places of a file that are not UTF-8, and characters beyond ASCII that are."""
    bad = good = 0
    with open_bytes(path) as file:
        for raw in file:
            if not raw.isascii():
                text = raw.decode("utf-8", "replace")
                wrong = text.count("\ufffd") - raw.count(b"\xef\xbf\xbd")
                bad += wrong
                good += sum(char > "\x7f" for char in text) - wrong
    return bad, good


def _likely(raw: bytes) -> str:
    """Guess what a line that is not UTF-8 is: Korean Windows, or Western Windows."""
    try:
        text = raw.decode("cp949")
    except UnicodeDecodeError:
        return "cp1252"
    return "cp949" if sum("가" <= char <= "힣" for char in text) >= 2 else "cp1252"
