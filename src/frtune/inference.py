"""Answers from a saved directory."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from tqdm.auto import tqdm

from frtune.data.cleaning import clean_text
from frtune.environment.hardware import has_accelerator, has_bf16
from frtune.environment.threads import fit_threads
from frtune.errors import InputError
from frtune.metrics.classification import softmax
from frtune.models.bitsandbytes import base_quantization
from frtune.models.families import kind_of
from frtune.models.loading import load_saved
from frtune.tasks.config_file import load_task
from frtune.training.autocast import cast_once
from frtune.training.batching import by_length
from frtune.training.encoding import encode_dataset
from frtune.training.generation import generate, generation_settings, prompts_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from frtune.tasks.base import Task
    from frtune.tasks.generated import Generated

CLOSE = 0.03  # between two chances; bf16 moves one by less than 0.004 in benchmarks/prediction.py


@dataclass(frozen=True)
class Predictor:
    """A model that answers for its task.

    Attributes:
        task: The task that the model was trained for.
        model: In eval mode, on its device.
        tokenizer: The model's tokenizer.
        batch_size: Rows a batch; where text is generated, more of short rows, in the same memory.
        bf16: Compute in bf16 under autocast, but labels that hang on its rounding in fp32.
    """

    task: Task
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_size: int = 16
    bf16: bool = False

    def with_columns(self, columns: Mapping[str, str]) -> Predictor:
        """The predictor for rows whose columns have other names than the model was trained on.

        Args:
            columns: Fields of the task to names, such as ``{"text_column": "comments"}``.

        Raises:
            InputError: For a field that the task has not.
        """
        known = [f.name for f in dataclasses.fields(self.task) if f.name.endswith("_column")]
        for name in columns:
            if name not in (*known, "keyphrase_field"):
                flags = ", ".join(f"--{each.replace('_', '-')}" for each in known)
                raise InputError(
                    f"--{name.replace('_', '-')}: not of {self.task.name}, which has {flags}."
                )
        return dataclasses.replace(self, task=dataclasses.replace(self.task, **columns))

    def predict(
        self,
        texts: Sequence[str | Mapping[str, Any]] | Mapping[str, Any] | str,
        *,
        progress: str | None = None,
    ) -> list[dict[str, Any]]:
        """Answer for each text.

        Args:
            texts: Texts, or rows with the task's columns (a title beside the text, or the two
                sentences of a pair).
            progress: Label of a progress bar; ``None`` shows none.

        Returns:
            One dict per text, in order: ``text`` (and of a pair ``text_pair``) and the task's
            answer, such as ``keyphrases``.

        Raises:
            InputError: For a text that is not a string or is blank, and for half a pair.
        """
        rows = self._rows([texts] if isinstance(texts, (str, Mapping)) else texts)
        if not rows:
            return []
        encoded = self.encode(rows)
        outputs = self.outputs(encoded, progress=progress)
        answers = self.task.answers(outputs, encoded, self.tokenizer)
        names = dict(zip(("text", "text_pair"), self.task.text_columns, strict=False))
        return [
            {**{name: row[column] for name, column in names.items()}, **answer}
            for row, answer in zip(rows, answers, strict=True)
        ]

    def _rows(self, texts: Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
        rows = []
        for i, item in enumerate(texts):
            row = item if isinstance(item, Mapping) else {self.task.columns[0]: item}
            row = {column: row.get(column) for column in self.task.columns}
            for column in self.task.text_columns:
                if not isinstance(row[column], str) or not clean_text(row[column]):
                    raise InputError(f"text {i + 1}: {self._blank(column, row[column])}")
            rows.append(row)
        return rows

    def _blank(self, column: str, value: Any) -> str:
        if len(self.task.text_columns) > 1:
            return f"{column} {value!r} is blank. Give both sentences of the pair."
        return f"{value!r} is blank. Give a text with words in it."

    def encode(
        self, rows: Sequence[Mapping[str, Any]] | Dataset, *, with_labels: bool = False
    ) -> Dataset:
        """Encode rows, by default without their labels."""
        if not isinstance(rows, Dataset):
            rows = Dataset.from_list([dict(row) for row in rows])
        return encode_dataset(
            rows, self.task, self.tokenizer, kind=kind_of(self.model), with_labels=with_labels
        )

    def outputs(self, encoded: Dataset, *, progress: str | None = None) -> list[Any]:
        """Run the model over encoded rows: one ``Generated``, or one array of logits, a row.

        Args:
            encoded: From ``encode``.
            progress: Label of a progress bar; ``None`` shows none.
        """
        if self.task.generates:
            return self._generate(encoded, progress)
        return self._logits(encoded, progress)

    def _generate(self, encoded: Dataset, progress: str | None) -> list[Generated]:

        kind = kind_of(self.model)
        settings = generation_settings(
            self.tokenizer,
            end_id=self.task.end_id(self.tokenizer, kind),
            max_new_tokens=self.task.max_target_tokens,
        )
        return generate(
            self.model,
            prompts_of(encoded, kind),
            settings,
            batch_size=self.batch_size,
            autocast=self._autocast,
            shared=False,  # one process may answer while others do something else
            progress=progress,
        )

    def _logits(self, encoded: Dataset, progress: str | None) -> list[np.ndarray]:
        """Logits of each encoded row, float32: ``(classes,)``, or ``(batch length, classes)``.

        Rows whose label would hang on the rounding of bf16 are computed without it.
        """
        order = by_length(encoded["length"])
        found: list[Any] = [None] * len(order)
        with tqdm(total=len(order), desc=progress, disable=progress is None, unit="row") as bar:
            for i, values in self._logits_of(encoded, order, self._autocast):
                found[i] = values
                bar.update()
        close = close_calls(found) if self.bf16 else set()
        again = [i for i in order if i in close]
        for i, values in self._logits_of(encoded, again, contextlib.nullcontext):
            found[i] = values
        return found

    def _logits_of(
        self, encoded: Dataset, order: Sequence[int], autocast: Callable[[], Any]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Rows by number, in that order, each with its logits."""
        collate = self.task.collator(self.model, self.tokenizer)
        with cast_once(self.model, autocast):
            for start in range(0, len(order), self.batch_size):
                rows = order[start : start + self.batch_size]
                batch = collate([encoded[i] for i in rows])
                # no loss is wanted, and a pair in both orders has logits for two and one label
                kept = (name for name in batch if name not in ("row", "labels"))
                batch = {name: batch[name].to(self.model.device) for name in kept}
                logits = self.task.fold_logits(self.model(**batch).logits.float())
                yield from zip(rows, logits.cpu().numpy(), strict=True)

    @contextlib.contextmanager
    def _autocast(self) -> Iterator[None]:

        device = self.model.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.bf16):
            yield


def close_calls(logits: Sequence[np.ndarray]) -> set[int]:
    """Rows whose two best classes are less than ``CLOSE`` apart, in probability.

    Args:
        logits: Of each row ``(classes,)``; of one class, or of tokens ``(length, classes)``, no row
            is close.

    Example:
        >>> import numpy as np
        >>> close_calls([np.array([0.0, 0.05]), np.array([0.0, 2.0])])
        {0}
    """
    if not logits or logits[0].ndim != 1 or len(logits[0]) < 2:
        return set()
    best = np.sort(softmax(logits))[:, -2:]  # (rows, 2)
    return set(np.flatnonzero(best[:, 1] - best[:, 0] < CLOSE).tolist())


def load(
    directory: str | Path,
    *,
    batch_size: int = 16,
    bf16: bool | None = None,
    device: str | None = None,
) -> Predictor:
    """Open a directory that ``frtune train`` (or ``frtune.save``) left.

    Args:
        directory: The model directory: full weights, or an adapter beside its base, which is
            opened in 8 or 4 bits if it was trained so.
        batch_size: Rows a batch.
        bf16: Compute in bf16; ``None`` does where the hardware is fast at it.
        device: ``"cuda"``, ``"cpu"``, ...; ``None`` takes an accelerator where there is one.

    Returns:
        The predictor of the directory's task.

    Raises:
        InputError: If the directory does not exist, or holds no whole model.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory. Give the output of frtune train.")
    task = load_task(directory)
    model, tokenizer = load_saved(directory, task, quantization=base_quantization(directory))
    if device is None and has_accelerator():
        device = torch.accelerator.current_accelerator().type
    if device is not None and not getattr(model, "is_quantized", False):
        model.to(device)
    model.eval()
    if model.device.type == "cpu":
        fit_threads()
    return Predictor(task, model, tokenizer, batch_size, has_bf16() if bf16 is None else bf16)
