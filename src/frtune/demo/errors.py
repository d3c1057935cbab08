"""What is wrong with a text or a file, for a visitor who reads it in their language."""

from __future__ import annotations

import re
from typing import Any

from frtune.errors import InputError
from frtune.tasks.answer_html import Say


class PageError(InputError):
    """An error that the page says in the visitor's language.

    Args:
        message: For the API and the terminal.
        key: Of ``frtune.demo.translations.WORDS``.
        values: What its text is filled with.
    """

    def __init__(self, message: str, key: str, **values: Any):
        super().__init__(message)
        self.key, self.values = key, values


class TooLong(PageError):
    """A text of more characters than the page takes."""

    def __init__(self, found: int, allowed: int):
        message = f"text: has {found} characters; {allowed} are allowed. Shorten it."
        super().__init__(message, "too_long", found=found, allowed=allowed)


# what the readers of files say, and the key of the same in the page's languages
_FILE_ERRORS = (
    (r"NUL byte|is not (UTF|utf|cp|gb)", "bad_encoding"),
    (r"(?P<found>\d+) fields, but the header has (?P<wanted>\d+)", "bad_fields"),
    (r"quotation mark|quoted field|return \(CR\)", "bad_quotes"),
    (r"the header has (?P<names>.+?) more than once", "same_names"),
    (r"is empty", "no_rows"),
    (r"JSON|nests|in one object|digits|array", "bad_json"),
    (r"not a row", "no_row"),
)


def told(error: InputError, say: Say) -> str:
    """Say an error about a file in the visitor's language.

    Args:
        error: Of the readers, or a ``PageError``.
        say: Turns a key of ``WORDS`` into words.
    """
    if isinstance(error, PageError):
        return say(error.key, **error.values)
    text = str(error)
    line = re.search(r"lines? (\d+)", text)
    where = say("in_line", line=line[1]) if line else ""
    for pattern, key in _FILE_ERRORS:
        if found := re.search(pattern, text):
            return where + say(key, **found.groupdict())
    return where + say("unreadable")
