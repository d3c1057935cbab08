"""What ``Trainer`` lacks a hook for: finite losses, named rows, generation in evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import Seq2SeqTrainer, Trainer
from transformers.integrations import is_deepspeed_zero3_enabled

from frtune.errors import InputError
from frtune.quantization import save_base_quantization
from frtune.tasks._store import save_task
from frtune.training.encoding import encode_dataset, kind_of
from frtune.training.generation import Generated, generate, prompts_of
from frtune.training.order import by_length


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


class NonFiniteLossError(RuntimeError):
    """The loss became NaN or infinite; the message names the step and the rows."""


class TaskTrainer(Trainer):
    """A ``Trainer`` that stops at a non-finite loss and can generate while it evaluates.

    Made by ``task.trainer(...)``. ``evaluate`` reports the loss and, where the schedule says so,
    the task's scores on generated output. ``predict`` always generates.
    """

    task: Any
    schedule: GenerationSchedule
    outputs: list[Any] | None
    mixup: Any

    def __init__(
        self,
        *,
        task: Any,
        schedule: GenerationSchedule | None = None,
        mixup: Any = None,
        **settings: Any,
    ):
        self.task = task
        self.mixup = mixup
        self.schedule = schedule or GenerationSchedule()
        self.outputs = None
        self._scored: Dataset | None = None
        super().__init__(**settings)

    # --- rows keep their number, and a bad loss names them --------------------------------------

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns = self._signature_columns or []
        ours = ("row", "length", *(("soft_labels", "sentence_vector") if self.mixup else ()))
        self._signature_columns = [*columns, *(name for name in ours if name not in columns)]

    # --- training batches are mixed, others are not ---------------------------------------------

    def get_train_dataloader(self):
        """As ``Trainer.get_train_dataloader``; with ``mixup``, its batches say how to mix them."""
        if self.mixup is None:
            return super().get_train_dataloader()
        from frtune.augment.mixup import training_collator

        plain = self.data_collator
        self.data_collator = training_collator(
            self.mixup, self.task, self.model, collator=plain, seed=self.args.seed
        )
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def training_step(self, model, inputs, num_items_in_batch=None):
        """As ``Trainer.training_step``, on mixed rows and labels where the batch says so."""
        if self.mixup is None:
            return super().training_step(model, inputs, num_items_in_batch)
        from frtune.augment.hooks import mixed

        with mixed(self.model, inputs) as inputs:
            return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """As ``Trainer.compute_loss``; raises ``NonFiniteLossError``."""
        rows = inputs.pop("row", None)
        result = super().compute_loss(
            model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
        )
        loss = result[0] if return_outputs else result
        if not torch.isfinite(loss).all():
            raise NonFiniteLossError(self._non_finite(loss, rows))
        return result

    def _non_finite(self, loss: torch.Tensor, rows: torch.Tensor | None) -> str:
        where = "unknown rows" if rows is None else f"rows {rows.tolist()}"
        phase = "training" if self.model.training else "evaluation"
        return (
            f"loss={loss.detach().float().mean().item()} in {phase} at step "
            f"{self.state.global_step + 1}, {where} of the {phase} set (counted from 0). Look at "
            "these rows; lower --learning-rate, or use --bf16 in place of --fp16. The last "
            f"checkpoint in {self.args.output_dir} is whole."
        )

    # --- raw rows in, a directory that frtune.load opens out -----------------------------------

    def encode(self, dataset: Dataset) -> Dataset:
        """Encode rows with the task; encoded ones are returned as they are."""
        with self.args.main_process_first(desc="tokenising"):
            return encode_dataset(
                dataset, self.task, self.processing_class, kind=kind_of(self.model)
            )

    def _issue_warnings_after_load(self, load_result):
        """As ``Trainer``'s, but silent on a missing name whose weight was loaded under another."""
        weights = self.model.state_dict()
        missing = set(load_result.missing_keys)
        loaded = {tensor.data_ptr() for name, tensor in weights.items() if name not in missing}
        load_result.missing_keys[:] = [
            name
            for name in load_result.missing_keys
            if name not in weights or weights[name].data_ptr() not in loaded
        ]
        super()._issue_warnings_after_load(load_result)

    def _save(self, output_dir=None, state_dict=None):
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            directory = output_dir or self.args.output_dir
            save_task(self.task, directory)
            save_base_quantization(directory, self.model)

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
        return every is not None and round(epoch) % every == 0 and abs(epoch - round(epoch)) < 1e-6

    def _get_eval_sampler(self, eval_dataset):
        """Longest rows first, so that little is padded; ``evaluation_loop`` restores the order."""
        if "length" not in getattr(eval_dataset, "column_names", ()):
            return super()._get_eval_sampler(eval_dataset)
        return by_length(eval_dataset["length"])

    def evaluation_loop(self, dataloader, description, prediction_loss_only=None, **settings):
        """As ``Trainer.evaluation_loop``; the task's scores join the metrics."""
        loss_only = True if self._scored is None or self.task.generates else None
        output = super().evaluation_loop(dataloader, description, loss_only, **settings)
        if self._scored is None:
            return output
        rows = self._scored
        if self.task.generates:
            if self.is_in_train and self.schedule.max_rows:
                rows = rows.select(range(min(self.schedule.max_rows, len(rows))))
            outputs = self.generate_rows(rows, progress=description)
            predictions = _padded([row.ids for row in outputs])
        else:
            order = by_length(rows["length"])
            predictions = np.empty_like(output.predictions)
            predictions[order] = output.predictions
            outputs = list(predictions)
        self.outputs = outputs
        prefix = settings.get("metric_key_prefix", "eval")
        scores = self.task.score_outputs(outputs, rows, self.processing_class)
        output.metrics.update({f"{prefix}_{name}": value for name, value in scores.items()})
        return output._replace(predictions=predictions)

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None, **options):
        """As ``Trainer.prediction_step``: ``Seq2SeqTrainer``'s own generation is not used."""
        return Trainer.prediction_step(self, model, inputs, prediction_loss_only, ignore_keys)

    def generate_rows(self, dataset: Dataset, progress: str | None = None) -> list[Generated]:
        """Generate for every row of an encoded data set, in its order, on every process."""
        model = self.accelerator.unwrap_model(self.model_wrapped, keep_fp32_wrapper=False)
        kind = kind_of(self.model)
        options = {}
        if beams := getattr(self.args, "generation_num_beams", None):
            options["num_beams"] = beams
        return generate(
            model,
            self.processing_class,
            prompts_of(dataset, kind),
            end_id=self.task.end_id(self.processing_class, kind),
            max_new_tokens=self.task.max_target_tokens,
            batch_size=self.schedule.batch_size or self.args.per_device_eval_batch_size,
            autocast=self.compute_loss_context_manager,
            synced_gpus=is_deepspeed_zero3_enabled(),
            progress=None if self.args.disable_tqdm else progress,
            **options,
        )


class TaskSeq2SeqTrainer(TaskTrainer, Seq2SeqTrainer):
    """The same for encoder-decoders: a ``Seq2SeqTrainer``."""


def _padded(rows: Sequence[Sequence[int]]):
    from frtune.training.collators import IGNORED, pad

    return pad(rows, value=IGNORED).numpy()
