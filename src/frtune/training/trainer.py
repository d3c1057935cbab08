"""What ``Trainer`` lacks a hook for: whole checkpoints, finite losses, generated scores."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset
from transformers import Seq2SeqTrainer, Trainer
from transformers.integrations import is_deepspeed_zero3_enabled

from frtune.environment.memory import keep_freed_memory
from frtune.environment.threads import fit_threads
from frtune.errors import InputError, RunStopped
from frtune.models.bitsandbytes import save_base_quantization
from frtune.models.families import kind_of
from frtune.tasks.collators import IGNORED, pad
from frtune.tasks.config_file import save_task
from frtune.tasks.generated import Generated
from frtune.tasks.loss import keep_scored
from frtune.training.autocast import cast_once
from frtune.training.batching import LengthBatches, groups_by_length
from frtune.training.dropout import fast_masks
from frtune.training.encoding import encode_dataset
from frtune.training.evaluation_order import by_length
from frtune.training.generation import generate, generation_settings, prompts_of
from frtune.training.hub import push, push_checkpoint
from frtune.training.mixup.collator import training_collator as mixing
from frtune.training.mixup.hooks import mixed
from frtune.training.packing import packing_collator
from frtune.training.resumable_trainer import (
    drafted,
    explained_memory,
    report_non_finite,
    restore_patience,
    resumed_from,
    settle_best,
    stop_if_asked,
    surviving,
)
from frtune.training.resume_checks import conditions
from frtune.training.signals import StopRequest

if TYPE_CHECKING:
    from frtune.tasks.base import Task


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
    """Loss or gradients became NaN or infinite; the message names the step and the rows."""


class TaskTrainer(Trainer):
    """A ``Trainer`` that stops at a non-finite loss and can generate while it evaluates.

    Made by ``task.trainer(...)``. ``evaluate`` reports the loss and, where the schedule says so,
    the task's scores on generated output. ``predict`` always generates.
    """

    task: Task
    schedule: GenerationSchedule
    outputs: list[Any] | None
    mixup: Any

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
        self.outputs = None
        self._scored: Dataset | None = None
        self.stop = StopRequest()
        self.draft_dir: str | None = None
        self.checked: str | None = None
        self.batch_shape: tuple[int, ...] = ()
        self._conditions: dict[str, Any] | None = None
        self._step_rows: list[int] = []
        self.last_step = self.saved_step = -1
        super().__init__(**settings)
        if self.args.device.type == "cpu":
            keep_freed_memory()
            fit_threads()

    # --- a run that survives its end ------------------------------------------------------------

    def train(self, resume_from_checkpoint=None, *args, **options):
        """As ``Trainer.train``; checkpoints are checked before they are resumed from.

        Raises:
            InputError: If the checkpoint is damaged or of another run, or another run writes here.
            RunStopped: After SIGTERM or SIGINT, when the step is done and a checkpoint saved.
        """
        with surviving(self), fast_masks(self.args.device):
            checkpoint = resumed_from(self, resume_from_checkpoint)
            result = super().train(checkpoint, *args, **options)
            if signum := self.stop.agreed(self.args.device):
                raise RunStopped(signum, "training was done; pass --resume for what comes after")
            return result

    def conditions(self) -> dict[str, Any]:
        """What a run must share with this one to go on from its checkpoints."""
        if self._conditions is None:  # takes seconds for large data
            self._conditions = conditions(self)
        return self._conditions

    def _get_output_dir(self, trial):
        return self.draft_dir or super()._get_output_dir(trial)

    def _save_checkpoint(self, model, trial):
        run_dir = self._get_output_dir(trial)
        with drafted(self, run_dir):
            super()._save_checkpoint(model, trial)
        self.saved_step = self.state.global_step
        if self.args.push_to_hub:
            self._push_from_checkpoint(f"{run_dir}/checkpoint-{self.saved_step}")

    def _init_training_state(self, *args, **options):
        found = super()._init_training_state(*args, **options)
        settle_best(self)
        return found

    def _load_callback_state(self):
        super()._load_callback_state()
        restore_patience(self)

    def _run_epoch(self, *args, **options):
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True  # resumed after the last step
            return
        super()._run_epoch(*args, **options)

    def _maybe_log_save_evaluate(self, tr_loss, grad_norm, model, trial, *args, **options):
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, model, trial, *args, **options)
        stop_if_asked(self, lambda: self._save_checkpoint(model, trial))

    # --- rows keep their number, and a bad loss names them --------------------------------------

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
        self.data_collator = training_collator(self)
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def training_step(self, model, inputs, num_items_in_batch=None):
        """As ``Trainer.training_step``, on mixed rows and labels where the batch says so."""
        self._note_batch(inputs)
        if "row" in inputs:
            self._step_rows += inputs["row"].tolist()
        if self.mixup is None:
            return super().training_step(model, inputs, num_items_in_batch)

        with mixed(self.model, inputs) as inputs:
            return super().training_step(model, inputs, num_items_in_batch)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """As ``Trainer.compute_loss``; raises ``NonFiniteLossError``."""
        rows = inputs.pop("row", None)
        # compiling wants shapes that do not depend on the labels; of a model split over devices the
        # last one has the logits, and the first the labels
        if not (self.args.torch_compile or self.is_model_parallel):
            keep_scored(inputs, self.compute_loss_func)
        result = super().compute_loss(
            model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
        )
        loss: Any = result[0] if return_outputs else result
        if not torch.isfinite(loss).all():
            value = loss.detach().float().mean().item()
            raise NonFiniteLossError(
                report_non_finite(self, "loss", value, None if rows is None else rows.tolist())
            )
        return result

    def _get_grad_norm(self, model, grad_norm=None):
        norm = super()._get_grad_norm(model, grad_norm)
        rows, self._step_rows = self._step_rows, []
        scaled = self.args.fp16  # its scaler skips a step whose gradients overflow
        # DeepSpeed says -1 for a norm that is not finite
        if norm is not None and not scaled and not 0 <= float(norm) < float("inf"):
            raise NonFiniteLossError(
                report_non_finite(self, "gradient norm", float(norm), rows or None)
            )
        return norm

    def _note_batch(self, inputs: Mapping[str, Any]) -> None:
        shapes = (tuple(value.shape) for value in inputs.values() if torch.is_tensor(value))
        self.batch_shape = next((shape for shape in shapes if len(shape) == 2), ())

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

    # --- the hub: without pickles, and without rows of the data --------------------------------

    def push_to_hub(self, commit_message: str | None = "End of training", **options):
        """As ``Trainer.push_to_hub``; ``frtune.training.hub.push`` says what is left out."""
        return push(self, commit_message or "End of training", **options)

    def _push_from_checkpoint(self, checkpoint_folder):

        if self.draft_dir is None:  # a draft is about to be renamed
            push_checkpoint(self, checkpoint_folder)

    # --- generation in evaluation --------------------------------------------------------------

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval", **options):
        """As ``Trainer.evaluate``, with scores on generated output where the schedule says so."""
        given = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(given, Mapping):  # Trainer calls this again for each of them
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        if isinstance(eval_dataset, Dataset):
            given = eval_dataset = self.encode(eval_dataset)
        with self._explained("evaluation"), self._scoring(given if self._scores_now() else None):
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix, **options)

    def predict(self, test_dataset, ignore_keys=None, metric_key_prefix="test", **options):
        """As ``Trainer.predict``, in the order of the rows.

        ``predictions`` are generated ids, or what the task keeps of the logits, padded with -100.
        ``trainer.outputs`` holds one ``Generated`` or one array a row.
        """
        test_dataset = self.encode(test_dataset)
        with self._explained("prediction"), self._scoring(test_dataset):
            return super().predict(test_dataset, ignore_keys, metric_key_prefix, **options)

    def _explained(self, phase: str) -> contextlib.AbstractContextManager[None]:
        # while training, auto_find_batch_size must see the error as it is
        return contextlib.nullcontext() if self.is_in_train else explained_memory(self, phase)

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

    def evaluation_loop(self, dataloader, description, prediction_loss_only=None, **settings):
        """As ``Trainer.evaluation_loop``; the task's scores join the metrics."""
        loss_only = True if self._scored is None or self.task.generates else None
        with cast_once(self.model, self.compute_loss_context_manager):
            output = super().evaluation_loop(dataloader, description, loss_only, **settings)
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
        prefix = settings.get("metric_key_prefix", "eval")
        scores = self.task.score_outputs(outputs, rows, self.processing_class)
        output.metrics.update({f"{prefix}_{name}": value for name, value in scores.items()})
        return output._replace(predictions=predictions)

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None, **options):
        """As ``Trainer.prediction_step``: ``Seq2SeqTrainer``'s own generation is not used."""
        self._note_batch(inputs)
        return Trainer.prediction_step(self, model, inputs, prediction_loss_only, ignore_keys)

    def generate_rows(self, dataset: Dataset, progress: str | None = None) -> list[Generated]:
        """Generate for all rows of an encoded data set, in order."""
        model = self.accelerator.unwrap_model(self.model_wrapped, keep_fp32_wrapper=False)
        kind = kind_of(self.model)
        settings = generation_settings(
            self.processing_class,
            end_id=self.task.end_id(self.processing_class, kind),
            max_new_tokens=self.task.max_target_tokens,
            synced_gpus=is_deepspeed_zero3_enabled(),
        )
        if beams := getattr(self.args, "generation_num_beams", None):
            settings["num_beams"] = beams
        return generate(
            model,
            prompts_of(dataset, kind),
            settings,
            batch_size=self.schedule.batch_size or self.args.per_device_eval_batch_size,
            autocast=self.compute_loss_context_manager,
            progress=None if self.args.disable_tqdm else progress,
        )


class TaskSeq2SeqTrainer(TaskTrainer, Seq2SeqTrainer):
    """The same for encoder-decoders: a ``Seq2SeqTrainer``."""


def training_collator(trainer: Any) -> Any:
    """The collator of a ``TaskTrainer``'s training batches: packing, mixing, or as for others."""
    if trainer.packing:
        return packing_collator(trainer.model)
    if trainer.mixup is None:
        return trainer.data_collator

    plain, seed = trainer.data_collator, trainer.args.seed
    return mixing(trainer.mixup, trainer.task, trainer.model, collator=plain, seed=seed)
