"""The trainer of a task: raw rows in, batches of like length, scores on generated output."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import Seq2SeqTrainer, Trainer
from transformers.integrations import is_deepspeed_zero3_enabled

from frtune.environment.progress import brief_bars
from frtune.environment.threads import fit_threads
from frtune.errors import InputError
from frtune.models.adapter_base import save_base_record, save_head_config
from frtune.models.families import kind_of
from frtune.models.lineage import save_lineage
from frtune.tasks.base import Task
from frtune.tasks.collators import IGNORED, pad
from frtune.tasks.config_file import save_task
from frtune.tasks.generated import Generated
from frtune.tasks.loss import keep_scored
from frtune.training.autocast import cast_once
from frtune.training.batching import LengthBatches, by_length, groups_by_length
from frtune.training.encoding import encode_dataset
from frtune.training.generation import generate_rows
from frtune.training.in_force import compiles
from frtune.training.mixup.collator import training_collator
from frtune.training.mixup.hooks import mixed
from frtune.training.packing import packing_collator
from frtune.training.progress import show_headlines
from frtune.training.resumable_trainer import NonFiniteLossError, ResumableTrainer
from frtune.training.resume_checks import name_of, task_conditions

__all__ = ["GenerationSchedule", "NonFiniteLossError", "TaskSeq2SeqTrainer", "TaskTrainer"]


@dataclass(frozen=True)
class GenerationSchedule:
    """When an evaluation generates, on how many rows, and in what batches.

    Generation makes evaluation slow, so it is off during training by default: the scores are
    computed once, on the best checkpoint.

    Attributes:
        every_epochs: Generate at the evaluation that ends each so many epochs; ``None`` never
            does while training.
        max_rows: Score the first so many rows of the evaluation set while training.
        batch_size: Rows a batch and process; ``None`` takes ``per_device_eval_batch_size``.
    """

    every_epochs: int | None = None
    max_rows: int | None = None
    batch_size: int | None = None

    def __post_init__(self):
        for name in ("every_epochs", "max_rows", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}={value}: at least 1. Leave it out for the default.")


class TaskTrainer(ResumableTrainer):
    """A ``ResumableTrainer`` that encodes, batches and mixes a task's rows, and scores its answers.

    Made by ``task.trainer(...)``. ``evaluate`` reports the loss and, where the schedule says so,
    the task's scores on generated output. ``predict`` always generates.
    """

    def __init__(
        self,
        *,
        task: Task,
        schedule: GenerationSchedule | None = None,
        mixup: Any = None,
        max_tokens_per_batch: int | None = None,
        packing: bool = False,
        **settings: Any,
    ):
        self.task = task
        self.mixup = mixup
        self.max_tokens_per_batch = max_tokens_per_batch
        self.packing = packing
        self.schedule = schedule or GenerationSchedule()
        self.outputs: list[Any] | None = None
        self._scored: Dataset | None = None
        super().__init__(**settings)
        best = (self.args.metric_for_best_model or "loss").removeprefix("eval_")
        show_headlines(self, {*task.headline, best})
        if self.args.device.type == "cpu":
            fit_threads()

    def conditions(self) -> dict[str, Any]:
        """What a run must share with this one to go on from its checkpoints, as JSON values."""
        own = task_conditions(
            self.task,
            mixup=self.mixup,
            max_tokens_per_batch=self.max_tokens_per_batch,
            packing=self.packing,
        )
        return {**super().conditions(), **own}

    # --- rows keep their number, for what names them ---------------------------------------------

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns = self._signature_columns or []
        ours = ("row", "length", *(("soft_labels", "sentence_vector") if self.mixup else ()))
        self._signature_columns = [*columns, *(name for name in ours if name not in columns)]

    # --- training batches hold rows of like length ----------------------------------------------

    def _get_train_sampler(self, train_dataset=None):
        """Batches of rows of like length where the arguments group by length."""
        rows: Any = self.train_dataset if train_dataset is None else train_dataset
        known = "length" in getattr(rows, "column_names", ())
        if not (known and groups_by_length(self.args)):
            return super()._get_train_sampler(train_dataset)
        seed = self.args.data_seed
        return LengthBatches(
            rows["length"],
            batch_size=self._train_batch_size,
            max_tokens=self.max_tokens_per_batch,
            processes=self.args.world_size,
            process=self.args.process_index,
            seed=self.args.seed if seed is None else seed,
            epoch=lambda: int(self.state.epoch or 0),
        )

    # --- training batches are packed or mixed, others are not -----------------------------------

    def get_train_dataloader(self):
        """As ``Trainer.get_train_dataloader``; ``packing`` packs, ``mixup`` says how to mix."""
        plain = self.data_collator
        if self.packing:
            self.data_collator = packing_collator(self.model)
        elif self.mixup is not None:
            self.data_collator = training_collator(
                self.mixup, self.task, self.model, collator=plain, seed=self.args.seed
            )
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def training_step(self, model, inputs, *args, **options):
        """As ``Trainer.training_step``, on mixed rows and labels where the batch says so."""
        with mixed(self.model, inputs) as inputs:
            return super().training_step(model, inputs, *args, **options)

    def compute_loss(self, model, inputs, *args, **options):
        """As ``Trainer.compute_loss``; a decoder computes only the logits that the loss reads."""
        # compiling wants shapes that do not depend on the labels; of a model split over devices the
        # last one has the logits, and the first the labels
        if not (compiles(self.args) or self.is_model_parallel):
            keep_scored(inputs, self.compute_loss_func)
        return super().compute_loss(model, inputs, *args, **options)

    # --- raw rows in, a directory that frtune.load opens out -----------------------------------

    def encode(self, dataset: Dataset) -> Dataset:
        """Encode rows with the task; encoded ones are returned as they are."""
        kind = kind_of(self.model)
        with self.args.main_process_first(desc="tokenising"):
            return encode_dataset(dataset, self.task, self.processing_class, kind=kind)

    @brief_bars()
    def _save(self, output_dir=None, state_dict=None):
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            directory = output_dir or self.args.output_dir
            save_task(self.task, directory)
            save_base_record(directory, self.model)

    def write_model(self, directory: str | Path) -> None:
        """Write model, tokenizer, task and lineage; all processes call this."""
        super().write_model(directory)
        if self.args.process_index == 0:
            start = getattr(self.model, "continued_from", None) or name_of(self.model)
            save_lineage(directory, checkpoint=start, task=self.task.name)
            save_head_config(directory, self.model, self.task, self.processing_class)

    # --- generation in evaluation --------------------------------------------------------------

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval", **options):
        """As ``Trainer.evaluate``, with scores on generated output where the schedule says so."""
        given = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(given, Mapping):  # Trainer calls this again for each of them
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        if isinstance(eval_dataset, Dataset):
            given = eval_dataset = self.encode(eval_dataset)
        with self._scoring(given if self._scores_now() else None):
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix, **options)

    def predict(self, test_dataset, ignore_keys=None, metric_key_prefix="test", **options):
        """As ``Trainer.predict``, in the order of the rows.

        ``predictions`` are generated ids, or what the task keeps of the logits, padded with -100.
        ``trainer.outputs`` holds one ``Generated`` or one array a row.
        """
        test_dataset = self.encode(test_dataset)
        with self._scoring(test_dataset):
            return super().predict(test_dataset, ignore_keys, metric_key_prefix, **options)

    @contextlib.contextmanager
    def _scoring(self, dataset: Any):
        self._scored = dataset
        try:
            yield
        finally:
            self._scored = None

    def _scores_now(self) -> bool:
        if not (self.task.generates and self.is_in_train):
            return True
        if getattr(self.args, "predict_with_generate", False):
            return True
        every, epoch = self.schedule.every_epochs, self.state.epoch or 0
        if every == 1 and self.state.global_step >= self.state.max_steps:
            return True  # max_steps ends the run within an epoch
        return every is not None and round(epoch) % every == 0 and abs(epoch - round(epoch)) < 1e-6

    def _get_eval_sampler(self, eval_dataset):
        """Longest rows first, so that little is padded; ``evaluation_loop`` restores the order."""
        if "length" not in getattr(eval_dataset, "column_names", ()):
            return super()._get_eval_sampler(eval_dataset)
        return by_length(eval_dataset["length"])

    def evaluation_loop(
        self,
        dataloader,
        description,
        prediction_loss_only=None,
        ignore_keys=None,
        metric_key_prefix="eval",
    ):
        """As ``Trainer.evaluation_loop``; the task's scores join the metrics."""
        loss_only = True if self._scored is None or self.task.generates else None
        with cast_once(self.model, self.accelerator.autocast):
            output = super().evaluation_loop(
                dataloader, description, loss_only, ignore_keys, metric_key_prefix
            )
        if self._scored is None:
            return output
        rows = self._scored
        if self.task.generates:
            if self.is_in_train and self.schedule.max_rows:
                rows = rows.select(range(min(self.schedule.max_rows, len(rows))))
            outputs = self.generate_rows(rows, progress=description)
            predictions = pad([row.ids for row in outputs], value=IGNORED).numpy()
        else:
            order = by_length(rows["length"])
            predictions = np.empty_like(output.predictions)
            predictions[order] = output.predictions
            outputs = list(predictions)
        self.outputs = outputs
        scores = self.task.score_outputs(outputs, rows, self.processing_class)
        output.metrics.update({f"{metric_key_prefix}_{name}": scores[name] for name in scores})
        return output._replace(predictions=predictions)

    def generate_rows(self, dataset: Dataset, progress: str | None = None) -> list[Generated]:
        """Generate for all rows of an encoded data set, in order."""
        # without keeping the wrapper, the steps that follow would go on without mixed precision
        model = self.accelerator.unwrap_model(self.model_wrapped, keep_fp32_wrapper=True)
        options = {"synced_gpus": is_deepspeed_zero3_enabled()}
        if beams := getattr(self.args, "generation_num_beams", None):
            options["num_beams"] = beams
        return generate_rows(
            model,
            dataset,
            self.task,
            self.processing_class,
            options=options,
            batch_size=self.schedule.batch_size or self.args.per_device_eval_batch_size,
            autocast=self.accelerator.autocast,
            progress=None if self.args.disable_tqdm else progress,
        )


class TaskSeq2SeqTrainer(TaskTrainer, Seq2SeqTrainer):
    """The same for encoder-decoders: a ``Seq2SeqTrainer``."""

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None, **gen_kwargs):
        """As ``Trainer.prediction_step``: ``Seq2SeqTrainer``'s own generation is not used."""
        return Trainer.prediction_step(self, model, inputs, prediction_loss_only, ignore_keys)
