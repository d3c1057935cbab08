"""What is compared: a model in PyTorch and its graphs, each asked for the same."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frtune.inference import Predictor
from frtune.model_export.checked_rows import longest_batch, parts
from frtune.model_export.greedy import (
    Ends,
    GraphWriter,
    write_with_model,
)
from frtune.models.onnx_graph import OnnxEncoder
from frtune.tasks.collators import prompt_batch
from frtune.training.generation import prompts_of

BATCH = 16  # rows of a batch of several
_FEW = 8  # rows whose numbers are compared one by one, and text by text
_BATCHES, _WARM_UP, _RUNS = 8, 3, 60  # of times: the median of many
SECONDS = 10.0  # in which a size of batches is timed, or a little more


class Side(ABC):
    """One way to answer.

    Args:
        predictor: The task, the tokenizer, and for PyTorch the model.
    """

    def __init__(self, predictor: Predictor):
        self.predictor = predictor

    @abstractmethod
    def outputs(self, encoded: Any) -> list[Any]:
        """What the task reads answers from, of each encoded row."""

    @abstractmethod
    def numbers(self, encoded: Any, other: Side | None = None) -> list[np.ndarray]:
        """Logits of rows alone, in batches of several, and of the longest ones.

        Args:
            encoded: The rows; the first few are taken.
            other: Whose text is gone on from, where text is written.
        """

    @abstractmethod
    def once(self, encoded: Any, rows: Sequence[int]) -> Callable[[], Any]:
        """What is timed: an answer to one batch."""


def seconds_in_turns(sides: Sequence[Side], encoded: Any, size: int) -> list[float]:
    """Median seconds a text of each side, in batches of so many.

    They take turns, so that whatever else the machine does slows all alike.
    """
    count = len(encoded)
    batches = [[(start + i) % count for i in range(size)] for start in range(min(count, _BATCHES))]
    calls = [[side.once(encoded, rows) for rows in batches] for side in sides]
    found: list[list[float]] = [[] for _ in sides]
    begun = time.perf_counter()
    for turn in range(_WARM_UP + _RUNS):
        for seconds, side in zip(found, calls, strict=True):
            start = time.perf_counter()
            side[turn % len(side)]()
            seconds.append(time.perf_counter() - start)
        if turn > 2 * _WARM_UP and time.perf_counter() - begun > SECONDS:
            break
    return [float(np.median(seconds[_WARM_UP:])) / size for seconds in found]


class EncoderSide(Side):
    """An encoder with its head: in PyTorch, or a graph in its place."""

    @classmethod
    def of_graph(cls, predictor: Predictor, path: Path) -> EncoderSide:
        """The graph of the predictor's model."""
        return cls(replace(predictor, model=OnnxEncoder(path, predictor.model.config)))

    def outputs(self, encoded: Any) -> list[Any]:
        """Logits of each encoded row."""
        return replace(self.predictor, batch_size=BATCH).outputs(encoded)

    def numbers(self, encoded: Any, other: Side | None = None) -> list[np.ndarray]:
        """As of every side; of tokens, those that are no padding."""
        few = encoded.select(range(min(_FEW, len(encoded))))
        found = []
        for size in (1, 3):
            logits = replace(self.predictor, batch_size=size).outputs(few)
            if self.predictor.task.labels_tokens:  # what stands at padding is nobody's answer
                logits = [row[:n] for row, n in zip(logits, few["length"], strict=True)]
            found += logits
        model, task = self.predictor.model, self.predictor.task
        batch = longest_batch(model.config, task, self.predictor.tokenizer.pad_token_id)
        with torch.no_grad():
            logits = model(**batch).logits
        kept = batch["attention_mask"].bool()
        return [*found, (logits[kept] if task.labels_tokens else logits).numpy()]

    def once(self, encoded: Any, rows: Sequence[int]) -> Callable[[], Any]:
        """From a batch to its logits."""
        model, tokenizer = self.predictor.model, self.predictor.tokenizer
        made = self.predictor.task.collator(model, tokenizer)([encoded[i] for i in rows])
        batch = {name: made[name] for name in made if name not in ("row", "labels")}

        def answered() -> None:
            with torch.no_grad():
                model(**batch)

        return answered


class WriterSide(Side):
    """An encoder-decoder that writes greedily: in PyTorch, or its graphs.

    Args:
        predictor: As of ``Side``.
        ends: What begins and ends a text.
        graphs: The graphs; ``None`` is PyTorch.
    """

    def __init__(self, predictor: Predictor, ends: Ends, graphs: GraphWriter | None = None):
        super().__init__(predictor)
        self.ends, self.graphs = ends, graphs

    def write(
        self, batch: Any, *, scored: bool = False, ends: Ends | None = None, **of: Any
    ) -> Any:
        """Write after each row of a batch; ``of`` is for the graphs alone."""
        ends = ends or self.ends
        if self.graphs is not None:
            return self.graphs.write(batch, ends, scored=scored, **of)
        return write_with_model(self.predictor.model, batch, ends, scored=scored)

    def outputs(self, encoded: Any) -> list[Any]:
        """What is written for each encoded row."""
        found: list[Any] = []
        for rows in parts(len(encoded), BATCH):
            found += self.write(self._batch(encoded, rows)).generated(self.ends)
        return found

    def numbers(self, encoded: Any, other: Any = None) -> list[np.ndarray]:
        """As of every side, of each token that is written."""
        count = min(_FEW, len(encoded))
        groups = [*parts(min(count, 2), 1), *parts(count, 3)]
        batches = [(self._batch(encoded, rows), self.ends) for rows in groups]
        model, task = self.predictor.model, self.predictor.task
        longest = longest_batch(model.config, task, self.ends.pad_id)
        batches.append((longest, replace(self.ends, limit=min(8, self.ends.limit))))
        found = []
        for batch, ends in batches:
            of = {} if other is None else {"forced": other.write(batch, ends=ends).ids}
            found.append(self.write(batch, scored=True, ends=ends, **of).logits)
        return found

    def once(self, encoded: Any, rows: Sequence[int]) -> Callable[[], Any]:
        """From a batch to all of its text."""
        batch = self._batch(encoded, rows)
        return lambda: self.write(batch)

    def _batch(self, encoded: Any, rows: Sequence[int]) -> Any:
        prompts = prompts_of(encoded, "encoder-decoder")
        ids = [prompts[i] for i in rows]
        return prompt_batch(ids, pad_id=self.ends.pad_id, side="right")
