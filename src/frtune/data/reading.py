"""What a reader is told about a file besides its path."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reading:
    """How the cells and values of files are read.

    Attributes:
        encoding: Of text files; ``None`` is UTF-8, or what the byte order mark says;
            ``utf-8-replace`` is UTF-8 with U+FFFD for each byte that does not belong.
        text_columns: Columns of tables whose cells stay text, whatever they look like.
        decimal_comma: Cells such as ``3,8`` are numbers.
        needed: Columns that must have one type; others that have several are read as JSON text.
            ``None`` needs all.
        phrases_column: How the phrases of a folder of ``.txt`` and ``.key`` files are called.
        texts: Columns of which a list of words is a text.
        scores: Columns with scores, in which ``decimal_comma`` holds for text of every source.

    Example:
        >>> from frtune import KeywordExtraction
        >>> Reading.of_task(KeywordExtraction(), text_columns=["id"]).text_columns
        ('id', 'text', 'keywords')
    """

    encoding: str | None = None
    text_columns: tuple[str, ...] = ()
    decimal_comma: bool = False
    needed: tuple[str, ...] | None = None
    phrases_column: str = "keyphrases"
    texts: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()

    @classmethod
    def of_task(
        cls,
        task: Any,
        *,
        encoding: str | None = None,
        text_columns: Sequence[str] | None = None,
        decimal_comma: bool = False,
        with_labels: bool = True,
    ) -> Reading:
        """How a task wants its rows: its texts and phrases are text, whatever they look like."""
        wanted = [*(text_columns or ()), *task.columns]
        of_phrases = task.separator is not None
        wanted += task.label_columns if of_phrases else ()
        return cls(
            encoding,
            tuple(dict.fromkeys(map(_nfc, wanted))),
            decimal_comma,
            tuple(map(_nfc, (*task.columns, *(task.label_columns if with_labels else ())))),
            task.label_columns[0] if of_phrases else "keyphrases",
            tuple(task.columns),
            tuple(task.label_columns) if task.row_schema().target == "score" else (),
        )


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
