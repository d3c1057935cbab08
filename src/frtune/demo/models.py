"""The models of a page: opened once, asked one at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import as_file
from itertools import islice
from pathlib import Path
from typing import Any

from frtune.data.sources import samples
from frtune.demo.uploads import uploaded_rows
from frtune.errors import InputError
from frtune.inference import Predictor, load
from frtune.names import named
from frtune.tasks.base import Task

EXAMPLES = 5


class TooLong(InputError):
    """A text of more characters than the page takes."""

    def __init__(self, found: int, allowed: int):
        super().__init__(f"text: has {found} characters; {allowed} are allowed. Shorten it.")
        self.found, self.allowed = found, allowed


@dataclass(frozen=True)
class PageModel:
    """A model that a page answers with.

    Attributes:
        name: What the page calls it.
        predictor: The opened model.
        max_characters: Longest text, title and pair counted together.
        examples: Rows to try it on.
    """

    name: str
    predictor: Predictor
    max_characters: int = 20_000
    examples: Sequence[Mapping[str, Any]] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def task(self) -> Task:
        """The model's task."""
        return self.predictor.task

    @property
    def takes_pairs(self) -> bool:
        """Whether it compares two texts."""
        return len(self.task.text_columns) == 2

    def row(self, text: str, pair: str = "", title: str = "") -> dict[str, Any]:
        """The row of what a visitor typed."""
        row: dict[str, Any] = dict(zip(self.task.text_columns, (text, pair), strict=False))
        return row | ({self.task.title_column: title or None} if self.task.title_column else {})

    def parts(self, row: Mapping[str, Any]) -> tuple[str, str, str]:
        """Text, pair and title of a row, as a visitor would type them."""
        values = [str(row.get(column) or "") for column in self.task.text_columns]
        title = str(row.get(self.task.title_column) or "") if self.task.title_column else ""
        return values[0], values[1] if len(values) > 1 else "", title

    def check(self, row: Mapping[str, Any]) -> None:
        """Refuse a row that is too long.

        Raises:
            TooLong: Says how long it is.
        """
        found = sum(len(part) for part in self.parts(row))
        if found > self.max_characters:
            raise TooLong(found, self.max_characters)

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Answer for rows, while no other request uses the model."""
        for row in rows:
            self.check(row)
        with self._lock:
            return self.predictor.predict(rows)


def open_models(
    directories: Sequence[str | Path],
    *,
    max_characters: int = 20_000,
    examples: Sequence[str | Path] = (),
    bf16: bool | None = None,
    fp16: bool | None = None,
) -> dict[str, PageModel]:
    """Open model directories for a page.

    Args:
        directories: What ``frtune train`` left.
        max_characters: Longest text.
        examples: Files of rows to try; each model offers those with its columns. Without any,
            the first of the rows it was tested on, or of the bundled sample.
        bf16: Compute in bf16, as of ``frtune.load``.
        fp16: Compute in fp16, as of ``frtune.load``.

    Returns:
        Name (as much of the path's end as tells it from the others) to model.

    Raises:
        InputError: If a directory holds no model, or an example file no rows.
    """
    if not directories:
        raise InputError("DIR: at least one. Give the output of frtune train.")
    if max_characters < 1:
        raise InputError(f"max_characters={max_characters}: at least 1.")
    paths = named([str(Path(directory)) for directory in directories])
    found = {}
    for name, path in paths.items():
        predictor = load(path, bf16=bf16, fp16=fp16)
        if examples:
            rows = [row for file in examples for row in uploaded_rows(file, Path(file).name)]
            rows = [row for row in rows if all(row.get(c) for c in predictor.task.text_columns)]
        else:
            rows = _own_examples(Path(path), predictor.task)
        found[name] = PageModel(name, predictor, max_characters, rows[:EXAMPLES])
    return found


def _own_examples(directory: Path, task: Task) -> list[dict[str, Any]]:
    """The first rows that the model was tested on, else of the bundled sample."""
    columns = task.text_columns
    tested = directory / "predictions.jsonl"
    if tested.is_file():
        with tested.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in islice(lines, EXAMPLES)]
        keys = ("input", "input_pair")[: len(columns)]
        if rows and all(key in rows[0] for key in keys):
            return [dict(zip(columns, (row[key] for key in keys), strict=True)) for row in rows]

    if (sample := samples().get(task.name)) is None:
        return []
    with as_file(sample) as path:
        kept = list(islice(uploaded_rows(path, path.name), EXAMPLES))
    original = type(task)().text_columns
    return [dict(zip(columns, (row[key] for key in original), strict=True)) for row in kept]
