"""Options that say how the columns of a file are called and read, the same in every command."""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Iterable
from typing import Any

COLUMNS = (
    ("text-column", "column with the text (text)"),
    ("title-column", "column with a title that is part of the source"),
    ("first-column", "column with one sentence (sentence1)"),
    ("second-column", "column with the other sentence (sentence2)"),
    ("label-column", "column with the label or the score (label)"),
    ("keywords-column", "column with a list or a separated string (keywords)"),
    ("keyphrases-column", "column with a list or a separated string (keyphrases)"),
    ("keyphrase-field", "field with the phrase, where the column holds objects"),
)


def add_columns(parser: Any, names: Iterable[str] | None = None) -> None:
    """Add the options of the columns, or of some of them."""
    for name, text in COLUMNS:
        if names is None or name in names:
            parser.add_argument(f"--{name}", metavar="NAME", help=text, type=nfc)


def add_reading(parser: Any) -> None:
    """Add the options that say how files are read."""
    parser.add_argument(
        "--encoding", help="of text files, such as cp1252 or cp949; utf-8-replace puts U+FFFD for "
        "bytes that are not UTF-8 (default: utf-8, or the BOM's)",
    )  # fmt: skip
    parser.add_argument(
        "--text-columns", nargs="+", metavar="NAME", type=nfc,
        help="columns of CSV, TSV and Excel files whose cells stay text, whatever they look like",
    )  # fmt: skip
    parser.add_argument(
        "--decimal-comma", action="store_true", help="read cells such as 3,8 as numbers"
    )


def nfc(name: str) -> str:
    """A name as columns have it: in NFC, however the keyboard wrote it."""
    return unicodedata.normalize("NFC", name)


def given_columns(chosen: argparse.Namespace) -> dict[str, str]:
    """The columns that were named, by the fields of a task."""
    names = (name.replace("-", "_") for name, _ in COLUMNS)
    return {n: getattr(chosen, n) for n in names if getattr(chosen, n, None) is not None}
