"""Answers from a saved directory."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune import training
from frtune.data.cleaning import clean_text
from frtune.environment import hardware
from frtune.environment.precision import Choice, Precision, choose_precision, device_in_use
from frtune.environment.progress import brief_bar
from frtune.environment.threads import fit_threads
from frtune.errors import InputError
from frtune.inference_precision import (
    autocast,
    base_name,
    checked_dtype,
    default_dtype,
    is_finite,
    rows_again,
)
from frtune.models.bitsandbytes import base_quantization
from frtune.models.checkpoint_files import read_config
from frtune.models.deepspeed import zero3_suspended
from frtune.models.families import family_for, kind_of
from frtune.models.loading import load_saved
from frtune.models.onnx_graph import check_graph_options, export_record
from frtune.models.proof_record import warn_unproven
from frtune.tasks.answer_choice import WHOLE, AnswerChoice
from frtune.tasks.base import Task
from frtune.tasks.config_file import check_directory, load_task
from frtune.training.autocast import cast_once
from frtune.training.distributed import gathered, place_in_group
from frtune.training.encoded_rows import FEW, EncodedRows, encode_few, read_tokens
from frtune.training.generation import generate_rows
from frtune.training.generation_options import GenerationOptions, generation_options, merged
from frtune.training.row_order import by_length

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictor:
    """A model that answers for its task.

    Attributes:
        task: The task that the model was trained for.
        model: In eval mode, on its device.
        tokenizer: The model's tokenizer.
        batch_size: Rows a batch; where text is generated, more of short rows, in the same memory.
        bf16: Compute in bf16 under autocast, but heads, and labels that hang on rounding, in fp32.
        generation: How answers are written, where the task writes text.
        fp16: As ``bf16``, in fp16. A row that overflows in it is computed in fp32.
        shared: Every process of a launch calls ``predict`` or ``outputs`` with the same rows; they
            share the batches, and each gets all answers.
        choice: What is kept of each answer.
    """

    task: Task
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_size: int = 16
    bf16: bool = False
    generation: GenerationOptions = field(default_factory=GenerationOptions)
    fp16: bool = False
    shared: bool = False
    choice: AnswerChoice = WHOLE

    @property
    def precision(self) -> Precision:
        """What autocast computes in."""
        return "bf16" if self.bf16 else "fp16" if self.fp16 else "fp32"

    def with_columns(self, columns: Mapping[str, str]) -> Predictor:
        """The predictor for rows whose columns have other names than the model was trained on.

        Args:
            columns: Fields of the task to names, such as ``{"text_column": "comments"}``.

        Raises:
            InputError: For a field that the task has not.
        """
        return dataclasses.replace(self, task=self.task.with_columns(columns))

    def predict(
        self,
        texts: Sequence[str | Mapping[str, Any]] | Mapping[str, Any] | str,
        *,
        progress: str | None = None,
        num_beams: int | None = None,
        max_target_tokens: int | None = None,
        scores: bool | None = None,
        votes: int | None = None,
        seed: int | None = None,
        min_score: float | None = None,
        top_k: int | None = None,
        present_only: bool | None = None,
    ) -> list[dict[str, Any]]:
        """Answer for each text.

        Args:
            texts: Texts, or rows with the task's columns (a title beside the text, or the two
                sentences of a pair).
            progress: Label of a progress bar; ``None`` shows none.
            num_beams: Beams of the search, where the task writes text; ``None`` takes those that
                the predictor was loaded with.
            max_target_tokens: Tokens written at most; ``None`` as of ``num_beams``.
            scores: Keyphrases: give their ``scores``, from 0 to 1, too.
            votes: Keyphrases: draw each text so often, 2 to 64 times, and rank by the votes;
                ``None`` as of ``num_beams``.
            seed: Of these draws; ``None`` takes 42.
            min_score: The least score of a keyword or keyphrase; ``None`` as of ``num_beams``.
            top_k: Different ones of each text at most, of the highest scores; all places of
                these stay. ``None`` as of ``num_beams``.
            present_only: Keyphrases: only those that occur in the text.

        Returns:
            One dict per text, in order: ``text`` (and of a pair ``text_pair``) and the task's
            answer, such as ``keyphrases``.

        Raises:
            InputError: For a text that is not a string or is blank, for half a pair, for a setting
                of generation that does not go with task or model, and for a choice that the
                answers do not have.
        """
        chosen = {"num_beams": num_beams, "max_target_tokens": max_target_tokens}
        chosen |= {"scores": scores, "votes": votes, "seed": seed}
        generation = merged(self.task, self.model, self.generation, chosen)
        choice = self.choice.updated(min_score=min_score, top_k=top_k, present_only=present_only)
        if (generation, choice) != (self.generation, self.choice):
            if generation != self.generation:
                _note_scores(self.task, generation)
            told = dataclasses.replace(self, generation=generation, choice=choice)
            return told.predict(texts, progress=progress)
        self.task.check_choice(choice)
        rows = self.checked_rows([texts] if isinstance(texts, (str, Mapping)) else texts)
        if not rows:
            return []
        encoded = self.encode_few(rows) if len(rows) <= FEW else self.encode(rows)
        return self.answer(rows, encoded, progress=progress)

    def answer(
        self,
        rows: Sequence[Mapping[str, Any]],
        encoded: Dataset | EncodedRows,
        *,
        progress: str | None = None,
    ) -> list[dict[str, Any]]:
        """The answers of ``predict`` to rows that are encoded.

        Args:
            rows: From ``checked_rows``.
            encoded: The same, from ``encode`` or ``encode_few``.
            progress: Label of a progress bar; ``None`` shows none.
        """
        outputs = self.outputs(encoded, progress=progress)
        answers = self.task.decided(self.task.answers(outputs, encoded, self.tokenizer))
        answers = self.task.choose(answers, self.choice, encoded)
        names = dict(zip(("text", "text_pair"), self.task.text_columns, strict=False))
        return [
            {**{name: row[column] for name, column in names.items()}, **answer}
            for row, answer in zip(rows, answers, strict=True)
        ]

    def checked_rows(self, texts: Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Texts, or rows with the task's columns, as rows with these columns alone.

        Raises:
            InputError: For a text that is not a string or is blank, and for half a pair.
        """
        rows = []
        for i, item in enumerate(texts):
            row = item if isinstance(item, Mapping) else {self.task.columns[0]: item}
            row = {column: row.get(column) for column in self.task.columns}
            for column in self.task.text_columns:
                if not isinstance(row[column], str) or not clean_text(row[column]):
                    pair = len(self.task.text_columns) > 1
                    way = "both sentences of the pair" if pair else "a text with words in it"
                    where = f"text {i + 1}: {column}" if pair else f"text {i + 1}:"
                    raise InputError(f"{where} {row[column]!r} is blank. Give {way}.")
            rows.append(row)
        return rows

    def encode(
        self, rows: Sequence[Mapping[str, Any]] | Dataset, *, with_labels: bool = False
    ) -> Dataset:
        """Encode rows, by default without their labels."""
        return training.encoding.encode_rows(
            rows, self.task, self.tokenizer, kind=kind_of(self.model), with_labels=with_labels
        )

    def read_tokens(
        self, texts: Sequence[str | Mapping[str, Any]], encoded: EncodedRows | None = None
    ) -> list[tuple[int, int] | None]:
        """How much of each text is read: ``frtune.training.encoded_rows.read_tokens``.

        Args:
            texts: As for ``predict``.
            encoded: The same, from ``encode_few``; ``None`` encodes them.
        """
        rows = self.checked_rows(texts)
        encoded = self.encode_few(rows) if encoded is None else encoded
        return read_tokens(rows, encoded, self.task, self.tokenizer, kind=kind_of(self.model))

    def encode_few(self, rows: Sequence[Mapping[str, Any]]) -> EncodedRows:
        """Encode rows of ``checked_rows`` in memory; of many, ``encode`` takes less of it."""
        return encode_few(rows, self.task, self.tokenizer, kind=kind_of(self.model))

    def outputs(self, encoded: Dataset | EncodedRows, *, progress: str | None = None) -> list[Any]:
        """Run the model over encoded rows: one ``Generated``, or one array of logits, a row.

        Args:
            encoded: From ``encode``.
            progress: Label of a progress bar; ``None`` shows none.
        """
        with zero3_suspended():  # the model is whole, and needs no other process
            if not self.task.generates:
                return self._logits(encoded, progress)
            return generate_rows(
                self.model,
                encoded,
                self.generation.applied(self.task),
                self.tokenizer,
                options=self.generation.settings,
                batch_size=self.batch_size,
                autocast=self._autocast,
                shared=self.shared,  # one process may answer while others do something else
                progress=progress,
                scored=(
                    self.generation.scores or self.choice.by_score or self.task.answers_have_scores
                ),
                votes=self.generation.drawn,
            )

    def _logits(self, encoded: Dataset | EncodedRows, progress: str | None) -> list[np.ndarray]:
        """Logits of each encoded row, float32: ``(classes,)``, or ``(batch length, classes)``.

        Rows whose label would hang on the rounding of bf16 or fp16 are computed without it.
        """
        order = by_length(encoded["length"])
        found: dict[int, np.ndarray] = {}
        quiet = progress is None
        with brief_bar(total=len(order), desc=progress, disable=quiet, unit="row") as bar:
            for i, values in self._logits_of(encoded, order, self._autocast):
                found[i] = values
                bar.update()
        found = dict(gathered([*found.items()])) if self.shared else found
        rows = [found[i] for i in range(len(order))]
        wanted = rows_again(rows, self.precision)
        again = [i for i in order if i in wanted]
        more = self._logits_of(encoded, again, contextlib.nullcontext)
        found |= dict(gathered([*more]) if self.shared else more)
        if self.model.dtype == torch.float16:
            for i in again:
                if not np.isfinite(found[i]).all():
                    raise InputError(
                        f"row {i + 1}: its logits overflow in weights of fp16. Pass --dtype fp32."
                    )
        return [found[i] for i in range(len(order))]

    def _logits_of(
        self, encoded: Dataset | EncodedRows, order: Sequence[int], autocast: Callable[[], Any]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Rows by number, in that order, each with its logits; where shared, those of one process.

        Batches are those of one process, so that the logits are, too.
        """
        collate = self.task.collator(self.model, self.tokenizer)
        rank, processes = place_in_group() if self.shared else (0, 1)
        size = self.batch_size
        # nothing is written after what is read, and of a decoder all of it would be kept
        options = {"use_cache": False} if kind_of(self.model) == "decoder" else {}
        with cast_once(self.model, autocast):
            for start in range(rank * size, len(order), processes * size):
                rows = order[start : start + size]
                batch = collate([encoded[i] for i in rows])
                # no loss is wanted, and a pair in both orders has logits for two and one label
                kept = (name for name in batch if name not in ("row", "labels"))
                batch = {name: batch[name].to(self.model.device) for name in kept}
                logits = self.task.fold_logits(self.model(**batch, **options).logits.float())
                yield from zip(rows, logits.cpu().numpy(), strict=True)

    def _autocast(self) -> torch.autocast:
        return autocast(self.model.device.type, self.precision)


def load(
    directory: str | Path,
    *,
    batch_size: int = 16,
    bf16: bool | None = None,
    fp16: bool | None = None,
    device: str | None = None,
    dtype: Any = None,
    num_beams: int | None = None,
    max_target_tokens: int | None = None,
    scores: bool | None = None,
    votes: int | None = None,
    seed: int | None = None,
    min_score: float | None = None,
    top_k: int | None = None,
    present_only: bool | None = None,
) -> Predictor:
    """Open a model directory of ``frtune train`` or ``frtune.save``.

    Args:
        directory: The model directory: full weights, or an adapter beside its base, which is
            opened in 8 or 4 bits if it was trained so.
        batch_size: Rows a batch.
        bf16: Compute in bf16; ``None`` does where the model's device computes in it, or goes by
            ``dtype``.
        fp16: Compute in fp16; ``None`` does on a GPU without bf16, where the family bears it.
        device: ``"cuda"``, ``"cpu"``, ...; ``None`` takes an accelerator where there is one.
        dtype: Type of the weights: ``"fp32"``, ``"bf16"`` or ``"fp16"``, or a ``torch.dtype``;
            ``None`` takes bf16, or fp16 as above, on a GPU for a decoder of a billion weights or
            more, and for a model that does not fit in fp32; else fp32.
        num_beams: Beams of the search, where the task writes text; ``None`` takes what the
            directory says, which is 1 unless it was trained with more.
        max_target_tokens: Tokens written at most; ``None`` takes the task's.
        scores: Keyphrases: answers have ``scores``, too.
        votes: Keyphrases: sample N answers for each text (2 to 64), and rank by votes.
        seed: Of these draws; ``None`` takes 42.
        min_score: The least score of a keyword or keyphrase; ``None`` takes all.
        top_k: Different ones of each text at most, of the highest scores; ``None`` takes all.
        present_only: Keyphrases: only those that occur in the text.

    Returns:
        The predictor of the directory's task.

    Raises:
        InputError: If the directory does not exist, or holds no whole model, or the type does not
            go with it, or a setting of generation with task or model, or a choice of answers with
            the task; or for bf16 on a card that emulates it.
    """
    directory = check_directory(directory)
    task = load_task(directory)
    choice = AnswerChoice(min_score, top_k, present_only)
    task.check_choice(choice)
    warn_unproven(directory)
    chosen = {"num_beams": num_beams, "max_target_tokens": max_target_tokens}
    chosen |= {"scores": scores, "votes": votes, "seed": seed}
    generation = GenerationOptions()
    if any(value is not None for value in chosen.values()):
        generation = generation_options(task, read_config(base_name(directory)), chosen)
        _note_scores(task, generation)
    if export_record(directory) is not None:
        check_graph_options(directory, device=device, dtype=dtype, bf16=bf16, fp16=fp16)
        device, bf16 = "cpu", False
    if device is None and hardware.has_accelerator():
        device = torch.accelerator.current_accelerator().type
    chosen = {"bf16": bf16, "fp16": fp16}
    if dtype is not None:
        dtype = checked_dtype(directory, dtype)
        if bf16 is None and not fp16:
            chosen["bf16"] = dtype == torch.bfloat16
    elif device not in (None, "cpu") and bf16 is not False:
        dtype = default_dtype(directory, device, **chosen)
    base = base_quantization(directory)

    def opened(dtype: torch.dtype | None) -> Any:
        model, tokenizer = load_saved(directory, task, dtype=dtype, quantization=base, graphs=True)
        if device is not None and not getattr(model, "is_quantized", False):
            model.to(device)
        return model.eval(), tokenizer

    model, tokenizer = opened(dtype)
    if model.device.type == "cpu":
        fit_threads()
    found = choose_precision(
        device_in_use(model.device), bears_fp16=family_for(model.config.model_type).fp16, **chosen
    )
    if found.precision == "fp16" and not fp16 and not is_finite(model):
        logger.warning("%s: fp32, since the model overflows in fp16", directory)
        found = Choice("fp32", "the model overflows in fp16")
        if dtype == torch.float16:
            model = None  # two do not fit
            torch.cuda.empty_cache()
            model, tokenizer = opened(None)
    bf16, fp16 = found.precision == "bf16", found.precision == "fp16"
    return Predictor(task, model, tokenizer, batch_size, bf16, generation, fp16, choice=choice)


def _note_scores(task: Task, generation: GenerationOptions) -> None:
    if note := task.scores_note(votes=generation.votes, settings=generation.settings):
        logger.warning(note)
