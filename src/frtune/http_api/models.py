"""The models that are served: opened once, each with its limits and its queue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frtune.errors import InputError
from frtune.http_api.batcher import Batcher
from frtune.http_api.problems import Problem
from frtune.http_api.settings import BatchSettings, Limits
from frtune.inference import Predictor, load
from frtune.tasks.base import Task
from frtune.tasks.config_file import check_directory, load_task


@dataclass(frozen=True)
class ServedModel:
    """A model that answers requests.

    Attributes:
        name: The last part of its directory's path.
        predictor: The opened model.
        batcher: Its queue.
        limits: What a request may hold.
    """

    name: str
    predictor: Predictor
    batcher: Batcher
    limits: Limits

    @property
    def task(self) -> Task:
        """The model's task."""
        return self.predictor.task

    def rows(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        titles: Sequence[str | None] | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of a request, checked.

        Raises:
            Problem: If there are too many texts, one is too long or blank, or pairs or titles do
                not go with them.
        """
        if len(texts) > self.limits.max_texts:
            raise Problem(
                "too_many_texts",
                f"{len(texts)} texts; {self.limits.max_texts} are allowed. Send several requests.",
            )
        columns = [self.task.text_columns[0]]
        parts: list[Sequence[str | None]] = [texts]
        takes_pairs = len(self.task.text_columns) == 2
        for field, column, values, needed in (
            ("text_pair", self.task.text_columns[-1], pairs, takes_pairs),
            ("title", self.task.title_column, titles, False),
        ):
            taken = takes_pairs if field == "text_pair" else column is not None
            if values is None and not needed:
                continue
            self._check(field, len(texts), values, taken=taken)
            columns.append(str(column))
            parts.append(values or ())
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*parts, strict=True)]
        for number, row in enumerate(rows, start=1):
            self._check_text(number, "".join(part or "" for part in row.values()))
        try:
            return self.predictor.checked_rows(rows)
        except InputError as error:
            raise Problem("invalid", str(error)) from None

    def _check_text(self, number: int, text: str) -> None:
        """Refuse what is too long, and half of a letter: JSON can write it, and UTF-8 cannot."""
        if len(text) > self.limits.max_characters:
            raise Problem(
                "text_too_long",
                f"text {number}: has {len(text)} characters; {self.limits.max_characters} are "
                "allowed. Shorten it.",
            )
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Problem(
                "invalid", f"text {number}: has a lone surrogate, which is no letter. Take it out."
            ) from None

    def _check(
        self, field: str, count: int, values: Sequence[str | None] | None, *, taken: bool
    ) -> None:
        """Refuse pairs or titles that are missing, too many, or not read."""
        if not taken:
            raise Problem("invalid", f"{field}: {self.name} reads none. Leave it out.")
        if values is None:
            raise Problem("invalid", f"{field}: {self.name} compares two texts. Give the other.")
        if len(values) != count:
            raise Problem("invalid", f"{field}s: {len(values)} of them for {count} texts.")


def open_models(
    directories: Sequence[str | Path],
    *,
    limits: Limits,
    batching: BatchSettings,
    seen: Callable[[str, int], Any] = lambda name, texts: None,
    **options: Any,
) -> dict[str, ServedModel]:
    """Open model directories, each with a queue of its own.

    Args:
        directories: What ``frtune train`` left.
        limits: What a request may hold.
        batching: How requests are put together.
        seen: Is told a model's name and the number of texts of each batch.
        options: Of ``frtune.load``.

    Returns:
        Name to model.

    Raises:
        InputError: If a directory holds no model, or two have one name.
    """
    if limits.max_texts > batching.max_waiting:
        raise InputError(
            f"max_waiting={batching.max_waiting}: less than max_texts={limits.max_texts}, so that "
            "a request could never be taken. Raise it."
        )
    places = _named(directories)
    for place in places.values():  # all of them, before the first is opened
        load_task(check_directory(place))
    turn = threading.Lock()
    found = {}
    for name, place in places.items():
        predictor = load(place, **options)
        _try(predictor)
        batcher = Batcher(predictor, batching, turn=turn, seen=lambda n, name=name: seen(name, n))
        found[name] = ServedModel(name, predictor, batcher, limits)
    return found


def _named(directories: Sequence[str | Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for directory in directories:
        name = Path(directory).resolve().name or "model"
        if name in found:
            raise InputError(
                f"{directory}: {found[name]} has the same name, {name}, by which a request names "
                "its model. Rename one."
            )
        found[name] = Path(directory)
    return found


def _try(predictor: Predictor) -> None:
    """Answer once: what a model computes first takes longer, and it shows that it answers."""
    row: Mapping[str, Any] = dict.fromkeys(predictor.task.text_columns, "1 2 3")
    predictor.predict([row])
