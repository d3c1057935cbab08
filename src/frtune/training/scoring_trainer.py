"""A trainer that encodes a task's rows and scores answers, while training and afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, DatasetDict
from torch.utils.data import DataLoader
from transformers.integrations import is_deepspeed_zero3_enabled

from frtune.data.checks import columns_check
from frtune.errors import InputError
from frtune.models.families import kind_of
from frtune.models.head_scale import scale_logits
from frtune.models.served_config import use_cache_of
from frtune.tasks.base import Task
from frtune.tasks.collators import IGNORED, pad
from frtune.tasks.generated import Generated
from frtune.training.autocast import cast_once
from frtune.training.encoding import check_dataset, encode_dataset
from frtune.training.generation import generate_rows
from frtune.training.generation_options import GenerationOptions, argument_options, merged
from frtune.training.resumable_trainer import ResumableTrainer
from frtune.training.row_order import by_length
from frtune.training.tokenised_rows import prepared
from frtune.training.user_metrics import (
    check_reported,
    of_arrays,
    of_phrases,
    restored,
    user_scores,
)


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


class ScoringTrainer(ResumableTrainer):
    """A ``ResumableTrainer`` that takes a task's raw rows, and scores its answers.

    Attributes:
        task: The task.
        schedule: When an evaluation generates.
        generation: How answers are written, as the arguments say.
        outputs: What the model said of each row that was scored last.
        own_use_cache: ``use_cache`` in the config of the model that is trained; ``None``: not
            there.
    """

    def __init__(self, *, task: Task, schedule: GenerationSchedule | None = None, **settings: Any):
        self.task = task
        self.schedule = schedule or GenerationSchedule()
        self.outputs: list[Any] | None = None
        self._scored: Dataset | None = None
        first: Any = settings.get("model") or settings["model_init"].ready
        self.generation: GenerationOptions = argument_options(task, first, settings["args"])
        if task.generates and task.calibrates:
            for options in task.calibration_options:  # refused now, and not after the training
                merged(task, first, self.generation, options)
        own = getattr(first, "generation_config", None)
        self.own_use_cache = use_cache_of(first)  # Trainer writes its own into the model's config
        super().__init__(**settings)
        if own is not None:
            first.generation_config = own  # Seq2SeqTrainer replaces it, the special ids with it

    # --- raw rows in ----------------------------------------------------------------------------

    def encode(self, dataset: Dataset) -> Dataset:
        """Encode rows with the task; encoded ones are returned as they are.

        Rows without the column of the labels are encoded without them.
        """
        kind, task = kind_of(self.model), self.task
        labelled = {*task.label_columns} <= {*dataset.column_names}
        with self.args.main_process_first(desc="tokenising"):
            return encode_dataset(
                dataset, task, self.processing_class, kind=kind, with_labels=labelled
            )

    # --- scores and answers out ------------------------------------------------------------------

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval", **options):
        """As ``Trainer.evaluate``, with scores on generated output where the schedule says so.

        Args:
            eval_dataset: Rows with labels, raw or encoded; several sets by name, or the name of
                one; ``None`` takes the trainer's.
            ignore_keys: Refused: the scores read logits alone.
            metric_key_prefix: Before the name of each score.
            options: How answers are written this time: ``num_beams``, ``votes``, ...

        Raises:
            InputError: If there are no rows, or none with labels, or an option cannot act.
        """
        given = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(given, Mapping) and not isinstance(given, DatasetDict):
            metrics: dict[str, float] = {}
            for name, rows in given.items():
                which = name if eval_dataset is None else rows
                prefix = f"{metric_key_prefix}_{name}"
                metrics |= self.evaluate(which, ignore_keys, prefix, **options)
        else:
            rows = self._rows_to_answer("eval_dataset", given, ignore_keys)
            if "labels" not in rows.column_names:
                raise InputError(
                    f"eval_dataset: has no column {self.task.label_columns[0]}, which evaluate "
                    "compares answers with. trainer.predict answers without."
                )
            shown = eval_dataset if eval_dataset is None or isinstance(given, str) else rows
            with self._scoring(rows if self._scores_now() else None, options):
                metrics = super().evaluate(shown, ignore_keys, metric_key_prefix)
        chosen = self.args.load_best_model_at_end or self.args.save_strategy == "best"
        if self.is_in_train and metric_key_prefix == "eval" and chosen:
            check_reported(self.args, metrics)
        return metrics

    def predict(self, test_dataset, ignore_keys=None, metric_key_prefix="test", **options):
        """As ``Trainer.predict``, in the order of the rows.

        ``predictions`` are generated ids, or what the task keeps of the logits, padded with -100.
        ``trainer.outputs`` holds one ``Generated`` or one array a row. Rows without labels have no
        scores.

        Args:
            test_dataset: Rows, raw or encoded.
            ignore_keys: Refused: answers are read off the logits alone.
            metric_key_prefix: Before the name of each score.
            options: How answers are written this time: ``num_beams``, ``votes``, ...

        Raises:
            InputError: If there are no rows, or an option cannot act.
        """
        rows = self._rows_to_answer("test_dataset", test_dataset, ignore_keys)
        shown = rows
        if "labels" not in rows.column_names and "row" in rows.column_names:
            shown = rows.remove_columns("row")  # taken out of a batch with its loss
        with self._scoring(rows, options):
            return super().predict(shown, ignore_keys, metric_key_prefix)

    def calibrate(self, eval_dataset: Any = None) -> list[str]:
        """Fit what the task fits to validation rows: a temperature, a threshold, a scale of scores.

        ``frtune train`` does it after training. ``trainer.task`` then is the fitted one, which
        ``frtune.save`` keeps. With several processes, all of them must call this.

        Args:
            eval_dataset: Rows that the model did not learn, raw or encoded; ``None`` takes those of
                the trainer. Not the test rows, which are to say whether it holds.

        Returns:
            What could not be fitted, one sentence each.

        Raises:
            InputError: If there are no such rows.
        """
        if not self.task.calibrates:
            return []
        given = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(given, Mapping):
            raise InputError(f"eval_dataset: has {len(given)} sets. Pass the rows of one.")
        rows = self._rows_to_answer("eval_dataset", given, None)
        notes: list[str] = []
        for options in self.task.calibration_options:
            self.predict(rows, metric_key_prefix="calibration", **options)
            said = self.outputs or []
            self.task, more = self.task.calibrated(said, rows, self.processing_class)
            notes += more
        if (factor := self.task.logit_factor) is not None:
            scale_logits(self.accelerator.unwrap_model(self.model), factor)
        return notes

    def _rows_to_answer(self, where: str, given: Any, ignore_keys: Any) -> Any:
        """Encoded rows of what ``evaluate`` or ``predict`` was given."""
        if self.model is None:
            raise InputError(
                "model: a search of hyperparameters left none. Set the best arguments and train."
            )
        if ignore_keys:
            raise InputError(
                f"ignore_keys={ignore_keys}: answers are read off the logits alone. Leave it out."
            )
        if isinstance(given, str):
            sets = self.eval_dataset if isinstance(self.eval_dataset, Mapping) else {}
            if given not in sets:
                raise InputError(f"{where}={given!r}: no such set. There are {', '.join(sets)}.")
            return sets[given]
        if given is None:
            raise InputError(f"{where}: is missing. Pass rows.")
        if given is self.eval_dataset:
            return given
        check_dataset(where, given)
        task, tokens = self.task, "input_ids" in given.column_names
        if not tokens:
            columns_check(given, task.columns, where)
        needs = task.scored_columns(kind_of(self.model)) if "labels" in given.column_names else ()
        if tokens:
            given = prepared(
                given, task, self.model, self.processing_class, where=where, needs=needs
            )
        return self.encode(given)

    @contextlib.contextmanager
    def _scoring(self, dataset: Any, options: Mapping[str, Any]):
        before, self._scored = self.generation, dataset
        try:
            self.generation = merged(self.task, self.model, before, options)
            yield
        finally:
            self._scored, self.generation = None, before

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
        rows, task = self._scored, self.generation.applied(self.task)
        loss_only = True if rows is None or task.generates else None
        labelled = rows is None or "labels" in rows.column_names
        if task.generates and not labelled:
            dataloader = DataLoader([])  # no loss, but the model is made ready
        given, found = self.compute_metrics, []
        self.compute_metrics = None if given is None else lambda each: found.append(each) or {}
        try:
            with cast_once(self.model, self.accelerator.autocast):
                output = super().evaluation_loop(
                    dataloader, description, loss_only, ignore_keys, metric_key_prefix
                )
        finally:
            self.compute_metrics = given
        if rows is None:
            return output
        if task.generates:
            if self.is_in_train and self.schedule.max_rows:
                rows = rows.select(range(min(self.schedule.max_rows, len(rows))))
            self.outputs = self.generate_rows(rows, progress=description)
            ids = pad([row.ids for row in self.outputs], value=IGNORED).numpy()
            output = output._replace(predictions=ids, num_samples=len(rows))
        else:
            order = by_length(rows["length"])
            paired = isinstance(output.predictions, tuple)  # the user's, too
            kept = output.predictions[0] if paired else output.predictions
            labels = restored(output.label_ids, order)
            self.outputs = list(restored(kept, order))
            shown = task.reported(restored(kept, order))
            output = output._replace(predictions=shown, label_ids=labels)
            found = [of_arrays(each, order, task, paired=paired) for each in found]
        if not labelled:
            return output
        scores = task.score_outputs(self.outputs, rows, self.processing_class)
        ours = {f"{metric_key_prefix}_{name}": scores[name] for name in scores}
        output.metrics.update(ours)
        if given is not None and task.generates:
            inputs = "inputs" in self.args.include_for_metrics
            found = [of_phrases(task, self.outputs, rows, self.processing_class, inputs=inputs)]
        for each in found:
            output.metrics.update(user_scores(given, each, prefix=metric_key_prefix, ours=ours))
        return output

    def generate_rows(self, dataset: Dataset, progress: str | None = None) -> list[Generated]:
        """Generate for all rows of an encoded data set, in order."""
        # without keeping the wrapper, the steps that follow would go on without mixed precision
        model = self.accelerator.unwrap_model(self.model_wrapped, keep_fp32_wrapper=True)
        return generate_rows(
            model,
            dataset,
            self.generation.applied(self.task),
            self.processing_class,
            options={**self.generation.settings, "synced_gpus": is_deepspeed_zero3_enabled()},
            batch_size=self.schedule.batch_size or self.args.per_device_eval_batch_size,
            autocast=self.accelerator.autocast,
            progress=None if self.args.disable_tqdm else progress,
            scored=self.generation.scores,
            votes=self.generation.drawn,
        )
