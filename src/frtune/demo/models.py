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
from frtune.demo.errors import TooLong
from frtune.demo.uploads import uploaded_rows
from frtune.errors import InputError
from frtune.inference import Predictor, load
from frtune.models.lineage import LINEAGE_FILE, lineage
from frtune.names import named
from frtune.tasks.base import Task
from frtune.tasks.shown_rows import plain_text

EXAMPLES = 5


@dataclass(frozen=True)
class Facts:
    """What a page says of a model.

    Attributes:
        base: What it was trained from.
        score_name: Its main score on the test rows.
        score: Its value; ``None`` without test rows.
    """

    base: str = ""
    score_name: str = ""
    score: float | None = None


@dataclass(frozen=True)
class PageModel:
    """A model that a page answers with.

    Attributes:
        name: What the page calls it.
        predictor: The opened model.
        max_characters: Longest text, title and pair counted together.
        examples: Rows to try it on.
        truths: What is true of each of these, as text; empty where that is not known.
        facts: Where the model comes from, and how good it is.
    """

    name: str
    predictor: Predictor
    max_characters: int = 20_000
    examples: Sequence[Mapping[str, Any]] = ()
    truths: Sequence[str] = ()
    facts: Facts = Facts()
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

    def read_tokens(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, int] | None]:
        """How much of each row the model reads, as ``Predictor.read_tokens`` says."""
        return self.predictor.read_tokens(rows)

    def truth(self, place: int) -> str:
        """What is true of the example at ``place``; empty where that is not known."""
        return self.truths[place] if place < len(self.truths) else ""


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
        task, truths = predictor.task, []
        if examples:
            rows = [row for file in examples for row in uploaded_rows(file, Path(file).name)]
            rows = [row for row in rows if all(row.get(c) for c in task.text_columns)]
        else:
            rows, truths = _own_examples(Path(path), task)
        facts = _facts(Path(path), task)
        found[name] = PageModel(
            name, predictor, max_characters, rows[:EXAMPLES], truths[:EXAMPLES], facts
        )
    return found


def _facts(directory: Path, task: Task) -> Facts:
    """What the files beside the weights say of a model."""
    base, *_ = lineage(directory)
    if (path := directory / LINEAGE_FILE).is_file():
        checkpoint = str(json.loads(path.read_text("utf-8")).get("checkpoint", ""))
        name = Path(checkpoint).name if Path(checkpoint).is_absolute() else checkpoint
        base = f"{name} ({base})" if name and name != base else base
    scores = directory / "metrics.json"
    known = json.loads(scores.read_text("utf-8")) if scores.is_file() else {}
    return Facts(base, task.main_score, known.get(f"test_{task.main_score}"))


def _own_examples(directory: Path, task: Task) -> tuple[list[dict[str, Any]], list[str]]:
    """The first rows that the model was tested on, and their truth; else of the bundled sample."""
    columns = task.text_columns
    tested = directory / "predictions.jsonl"
    if tested.is_file():
        with tested.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in islice(lines, EXAMPLES)]
        keys = ("input", "input_pair")[: len(columns)]
        if rows and all(key in rows[0] for key in keys):
            truths = [plain_text(row["reference"]) if "reference" in row else "" for row in rows]
            texts = ((row[key] for key in keys) for row in rows)
            return [dict(zip(columns, values, strict=True)) for values in texts], truths

    if (sample := samples().get(task.name)) is None:
        return [], []
    with as_file(sample) as path:
        kept = list(islice(uploaded_rows(path, path.name), EXAMPLES))
    original = type(task)().text_columns
    texts = ((row[key] for key in original) for row in kept)
    return [dict(zip(columns, values, strict=True)) for values in texts], []
