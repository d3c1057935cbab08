"""What a file seems to be for: its encoding, a task, and which column holds what."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from frtune.data.readers import numbered_rows
from frtune.data.text_lines import read_lines
from frtune.errors import InputError
from frtune.tasks.base import Task
from frtune.tasks.config_file import task_class

SAMPLE_ROWS = 300  # that are looked at
SEPARATORS = ("; ", ", ", "|", " / ", "\n")
_TEXTS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")  # files with an encoding
_PHRASES = re.compile(r"key ?(word|phrase)|mots? ?cl[eé]s?|tags?$|키워드|핵심어", re.IGNORECASE)
_LABEL = re.compile(
    r"^(label|class|categor|account|target|y$|compte|classe|cat[eé]gorie|[eé]tiquette"
    r"|라벨|레이블|분류|범주|계정)", re.IGNORECASE,
)  # fmt: skip
_SCORE = re.compile(r"score|similarit|note|점수|유사도", re.IGNORECASE)
_TITLE = re.compile(r"title|titre|제목", re.IGNORECASE)
_PRESENT = 0.9  # share of phrases in their texts from which on they are keywords


@dataclass(frozen=True)
class Choices:
    """How a file is read, and what for.

    Attributes:
        data: The file, seen from the folder.
        task: Name of the task.
        columns: Fields of the task (``text_column``) to columns of the file.
        encoding: A codec; empty goes by the byte order mark, and is UTF-8 without it.
        options: Further fields of the task, such as ``separator`` or ``multi_label``.
    """

    data: str
    task: str
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def made(self) -> Task:
        """The task; ``InputError`` for values that it refuses."""
        return task_class(self.task)(**self.columns, **self.options)

    def words(self, output: str) -> list[str]:
        """The ``frtune prepare`` that reads the file so.

        Example:
            >>> Choices("a.csv", "keywords", {"text_column": "texte"}, "cp1252").words("prepared/a")
            ['prepare', 'a.csv', '--task', 'keywords', '--output', 'prepared/a', \
'--encoding=cp1252', '--text-column=texte']
        """
        found = ["prepare", self.data, "--task", self.task, "--output", output]
        given = {**({"encoding": self.encoding} if self.encoding else {}), **self.columns}
        for name, value in {**given, **self.options}.items():
            flag = f"--{name.replace('_', '-')}"
            found.append(flag if value is True else f"{flag}={value}")
        return found


def column_fields(task: str) -> list[str]:
    """The fields of a task that name columns, texts first.

    Example:
        >>> column_fields("similarity")
        ['first_column', 'second_column', 'label_column']
    """
    names = task_class(task).__dataclass_fields__
    return [name for name in names if name.endswith("_column")]


def read_sample(path: Path, encoding: str = "", rows: int = SAMPLE_ROWS) -> list[dict[str, Any]]:
    """The first rows of a file.

    Raises:
        InputError: With the line, for what cannot be read.
    """
    if path.suffix.lower() == ".parquet":
        return list(islice(_parquet_rows(path), rows))
    return [dict(row) for _, row in islice(numbered_rows(path, encoding or None), rows)]


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=100):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own are among them
        raise InputError(f"{path.name}: cannot be read as Parquet. Write it again.") from error


def likely_encoding(path: Path) -> str:
    """The codec that the whole file is in by all signs; empty for UTF-8 and marked files."""
    if path.suffix.lower() not in _TEXTS:
        return ""
    try:
        for _ in read_lines(path):
            pass
    except InputError as error:
        found = re.search(r"--encoding ([\w-]+)", str(error))
        return found[1] if found else ""
    return ""


def propose(data: str, rows: Sequence[Mapping[str, Any]], encoding: str = "") -> Choices:
    """Guess what rows are for.

    Args:
        data: Their file, as commands name it.
        rows: The first rows.
        encoding: Of the file.

    Example:
        >>> rows = [{"libelle": f"facture du loyer {i}", "compte": 613} for i in range(9)]
        >>> found = propose("lines.csv", rows)
        >>> found.task, dict(found.columns)
        ('classification', {'text_column': 'libelle', 'label_column': 'compte'})
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [row[name] for row in rows if row.get(name) not in (None, "")] for name in names}
    cells = {name: values for name, values in cells.items() if values}
    texts = _by_length(cells)
    phrases = next((name for name in cells if _PHRASES.search(_plain(name))), None)
    label = next((name for name in cells if _LABEL.search(_plain(name))), None)
    lists = next((n for n, v in cells.items() if all(isinstance(each, list) for each in v)), None)
    if phrases is None and label is None and lists is not None:
        phrases = lists
    if phrases is not None and label is None:
        return _with_phrases(data, rows, encoding, cells, phrases)
    score = next((name for name in cells if _SCORE.search(name) and _is_number(cells[name])), None)
    pair = [name for name in texts if re.search(r"[12ab]$", name) and name not in (label, score)]
    target = label or score or _few_values(cells, texts)
    if len(pair) == 2 and target is not None:
        first, second = sorted(pair)
        columns = {"first_column": first, "second_column": second, "label_column": target}
        regression = (
            any(float(v) % 1 for v in cells[target]) if _is_number(cells[target]) else False
        )
        options = {"head": "regression"} if regression else {}
        return Choices(data, "similarity", columns, encoding, options)
    text = next((name for name in texts if name != target), names[0] if names else "text")
    several = isinstance(cells[target][0], list) if target else False
    options = {"multi_label": True} if several else {}
    columns = {"text_column": text, "label_column": target or (names or ["label"])[-1]}
    return Choices(data, "classification", columns, encoding, options)


def _with_phrases(
    data: str, rows: Sequence[Mapping[str, Any]], encoding: str, cells: Any, phrases: str
) -> Choices:
    rest = {name: values for name, values in cells.items() if name != phrases}
    title = next((name for name in rest if _TITLE.search(name)), None)
    texts = [name for name in _by_length(rest) if name != title] or [title or phrases]
    separator = _separator(cells[phrases])
    total = found = 0
    for row in rows:
        value, text = row.get(phrases) or [], str(row.get(texts[0]) or "").casefold()
        each = value.split(separator.strip() or separator) if isinstance(value, str) else value
        words = [str(word).strip().casefold() for word in each]
        total, found = total + len(words), found + sum(word in text for word in words)
    keywords = total > 0 and found / total >= _PRESENT
    columns = {"text_column": texts[0]}
    if title is not None and title != texts[0] and not keywords:
        columns["title_column"] = title
    columns["keywords_column" if keywords else "keyphrases_column"] = phrases
    options = {} if separator == SEPARATORS[0] else {"separator": separator}
    return Choices(data, "keywords" if keywords else "keyphrases", columns, encoding, options)


def _separator(values: Sequence[Any]) -> str:
    texts = [value for value in values if isinstance(value, str)]
    counts = {mark: sum(text.count(mark.strip(" ")) for text in texts) for mark in SEPARATORS}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else SEPARATORS[0]


def _by_length(cells: Mapping[str, Sequence[Any]]) -> list[str]:
    """Columns of text, those with the longest first."""
    lengths = {
        name: sum(map(len, values)) / len(values)
        for name, values in cells.items()
        if all(isinstance(value, str) for value in values) and not _is_number(values)
    }
    return sorted(lengths, key=lambda name: -lengths[name])


def _few_values(cells: Mapping[str, Sequence[Any]], texts: Sequence[str]) -> str | None:
    """The column with the fewest values that repeat, the longest text left out."""
    counts = {
        name: len({str(value) for value in values})
        for name, values in cells.items()
        if name not in texts[:1] and len({str(value) for value in values}) * 2 <= len(values)
    }
    return min(counts, key=lambda name: counts[name]) if counts else None


def _is_number(values: Sequence[Any]) -> bool:
    try:
        return all(not isinstance(value, bool) and float(value) == float(value) for value in values)
    except (TypeError, ValueError):
        return False


def _plain(name: str) -> str:
    return re.sub(r"[_\W]+", " ", unicodedata.normalize("NFC", name)).strip()
