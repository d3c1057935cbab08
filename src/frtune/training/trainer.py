"""The trainer of a task: raw rows in, steps cut by length, scores on generated output."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from transformers import Seq2SeqTrainer, Trainer
from transformers.trainer_utils import default_hp_space_optuna, number_of_arguments

from frtune.environment.progress import brief_bars
from frtune.environment.threads import fit_threads
from frtune.errors import InputError
from frtune.models.adapter_base import save_base_record, save_head_config
from frtune.models.lineage import save_lineage
from frtune.models.served_config import use_cache_as
from frtune.tasks.base import Task
from frtune.tasks.config_file import save_task
from frtune.tasks.loss import SCORED, keep_scored
from frtune.training.batching import LengthBatches, TrainerSlots, groups_by_length, uncut
from frtune.training.cut_memory import CutMemory
from frtune.training.cut_probe import can_probe, device_memory, probe
from frtune.training.device_checks import check_devices
from frtune.training.in_force import compiles, precision
from frtune.training.known_values import PADDED, KnownCollator, know_lengths, known_padding
from frtune.training.metric_schedule import scheduled
from frtune.training.mixup.collator import training_collator
from frtune.training.mixup.hooks import mixed
from frtune.training.packing import packing_collator
from frtune.training.progress import show_headlines
from frtune.training.resumable_trainer import NonFiniteLossError
from frtune.training.resume_checks import name_of, task_conditions
from frtune.training.scoring_trainer import GenerationSchedule, ScoringTrainer
from frtune.training.search import check_search, checked_space, judged_by, objective
from frtune.training.step_cuts import (
    OVERHEAD_CPU,
    OVERHEAD_CPU_BF16,
    OVERHEAD_GPU,
    OVERHEAD_UNPADDED,
    CutRows,
    Step,
    StepCollator,
    StepCuts,
    adds_up_each,
    cuts_of,
    most_tokens,
)
from frtune.training.trainer_settings import UserCollator, check_loss
from frtune.training.unpadded import unpadded_layers, without_padding

__all__ = ["GenerationSchedule", "NonFiniteLossError", "TaskSeq2SeqTrainer", "TaskTrainer"]


class TaskTrainer(ScoringTrainer):
    """A ``ScoringTrainer`` that batches and mixes a task's rows, and saves what answers for it.

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
        cut_steps: bool = True,
        packing: bool = False,
        optimizer_cls_and_kwargs: Any = None,
        own_loss: bool = True,
        **settings: Any,
    ):
        self.mixup = mixup
        self.max_tokens_per_batch = max_tokens_per_batch
        self.cut_steps = cut_steps and own_loss and uncut(settings["args"]) is None
        self.packing = packing
        self.own_loss = own_loss
        self.cut_memory: CutMemory | None = None
        self._layers: Any = None  # that compute no padding
        super().__init__(task=task, schedule=schedule, **settings)
        check_devices(self.args)  # 1 where the model itself stands on several
        self._settle_model()
        self.optimizer_cls_and_kwargs = optimizer_cls_and_kwargs  # Seq2SeqTrainer takes none
        best = (self.args.metric_for_best_model or "loss").removeprefix("eval_")
        show_headlines(self, {*task.headline, best})
        if self.args.device.type == "cpu":
            fit_threads()
        elif self.args.dataloader_pin_memory:
            # batches go to the GPU while it computes; else each of their tensors waits for it
            self.accelerator.dataloader_config.non_blocking = True

    def conditions(self) -> dict[str, Any]:
        """What a run must share with this one to go on from its checkpoints, as JSON values."""
        found = {
            **super().conditions(),
            **task_conditions(self.task, mixup=self.mixup, packing=self.packing),
        }
        if self.cut_steps:  # rows a step are what counts
            found["arguments"].pop("per_device_train_batch_size", None)
        return found

    # --- models that are made anew, for each training or trial ------------------------------------

    def train(self, resume_from_checkpoint=None, trial=None, ignore_keys_for_eval=None):
        """As ``ResumableTrainer.train``.

        Raises:
            InputError: As of ``ResumableTrainer.train``; and for a ``trial`` that nothing reads, or
                ``ignore_keys_for_eval``: the scores read logits alone.
        """
        if ignore_keys_for_eval:
            raise InputError(
                f"ignore_keys_for_eval={ignore_keys_for_eval}: the scores read the logits alone. "
                "Leave it out."
            )
        reads = self.model_init is not None and number_of_arguments(self.model_init.make)
        if trial is not None and self.hp_search_backend is None and not reads:
            raise InputError(
                "trial: is for hyperparameter_search, or a model_init that takes it. Leave it out."
            )
        return super().train(resume_from_checkpoint, trial)

    def _settle_model(self) -> None:
        """Have the model write as the arguments say, wherever its directory is opened."""
        model: Any = self.model
        if not self.task.generates:
            return
        settings = dict(self.generation.settings)
        if self.generation.max_target_tokens is not None:
            settings["max_new_tokens"] = self.generation.max_target_tokens
        model.generation_config.update(**settings)

    def _hp_search_setup(self, trial):
        """As ``Trainer``'s; loss and collator are those of the new model and arguments."""
        super()._hp_search_setup(trial)
        if self.model_init is None:
            return
        if trial is not None:
            self._conditions = None
        self._settle_model()
        if not isinstance(self.data_collator, UserCollator):
            self.data_collator = self.task.collator(self.model, self.processing_class)
        loss = self.task.loss(self.model, self.args)
        if self.own_loss:
            self.compute_loss_func = loss
        else:
            check_loss(loss, self.args)

    def hyperparameter_search(
        self,
        hp_space=None,
        compute_objective=None,
        n_trials=20,
        direction=None,
        backend=None,
        hp_name=None,
        **kwargs,
    ):
        """As ``Trainer.hyperparameter_search``, with Optuna; needs ``model_init``.

        A trial is judged by ``compute_objective``, or by the score that chooses the best model, and
        then ``direction`` is that score's. Each has its checkpoints in a directory of its own,
        ``run-0`` and so on. No model is left; set the best arguments and train.

        Raises:
            InputError: If trials cannot be made anew, or ``hp_space`` changes what they cannot.
        """
        check_search(self, backend=backend, n_trials=n_trials, options=kwargs)
        if compute_objective is None:
            name, own = objective(self.args, self.task)
            if direction not in (None, own):
                raise InputError(f"direction={direction}: {name} is to {own}. Pass that.")
            compute_objective, direction = judged_by(name), own
        space = hp_space or default_hp_space_optuna
        try:
            return super().hyperparameter_search(
                hp_space=checked_space(space, self.args),
                compute_objective=compute_objective,
                n_trials=n_trials,
                direction=direction or "minimize",
                backend="optuna",
                hp_name=hp_name,
                **kwargs,
            )
        finally:
            self.hp_search_backend = None

    # --- rows keep their number, for what names them ---------------------------------------------

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        columns = self._signature_columns or []
        ours = ("row", "length", *(("soft_labels", "sentence_vector") if self.mixup else ()))
        self._signature_columns = [*columns, *(name for name in ours if name not in columns)]

    # --- the rows of a step, in its micro-batches -----------------------------------------------

    def _step_batches(self, rows: Any) -> StepCuts | LengthBatches | None:
        """This process's batches of encoded training rows; ``None`` leaves them to ``Trainer``."""
        self._layers, args = None, self.args
        if "length" not in getattr(rows, "column_names", ()):
            return None
        size, seed = self._train_batch_size, args.data_seed
        seed = args.seed if seed is None else seed
        lengths = rows.with_format("numpy")["length"][:]
        now: Any = {
            "processes": args.world_size, "process": args.process_index,
            "epoch": lambda: int(self.state.epoch or 0),
        }  # fmt: skip
        by_length, bound = groups_by_length(args), self.max_tokens_per_batch
        if by_length:
            slots: Any = LengthBatches(lengths, batch_size=size, seed=seed, **now)
        else:
            slots = TrainerSlots(
                len(rows), batch_size=size, processes=args.world_size,
                seed=seed if args.train_sampling_strategy == "random" else None,
                drop_last=args.dataloader_drop_last,
            )  # fmt: skip
        if not self.cut_steps or (by_length and bound is None):
            return slots if by_length else None
        gpu = args.device.type != "cpu"
        default = bound or most_tokens(lengths, batch_size=size, gpu=gpu)

        def most() -> int:
            found = self.cut_tokens or default
            return found if bound is None else min(found, bound)

        self._layers = self._layers_without_padding()
        overhead = OVERHEAD_CPU_BF16 if precision(args) == "bf16" else OVERHEAD_CPU
        if gpu or self._layers is not None:
            overhead = OVERHEAD_GPU if gpu else OVERHEAD_UNPADDED
        return StepCuts(
            slots, lengths, accumulation=args.gradient_accumulation_steps, most=most,
            overhead=overhead,
            least=2 if self.mixup is not None and self.mixup.rows is None else 1, **now,
        )  # fmt: skip

    def _layers_without_padding(self) -> Any:
        """Layers that get the tokens of a cut end to end: measured on CPUs alone."""
        apart = adds_up_each(self.accelerator) or self.mixup is not None or compiles(self.args)
        if apart or self.args.device.type != "cpu":
            return None
        return unpadded_layers(self.model)

    def _get_dataloader(self, dataset, description, batch_size, sampler_fn=None, is_training=False,
                        dataloader_key=None):  # fmt: skip
        """As ``Trainer``'s, with the cuts of steps in training.

        ``dataloader_drop_last`` is for training, every other row is scored.
        """
        before = self.data_collator, self.args.dataloader_drop_last
        if is_training:
            self.data_collator = KnownCollator(self.data_collator, self.compute_loss_func)
        else:
            self.args.dataloader_drop_last = False
        if is_training and (batches := self._step_batches(dataset)) is not None:
            sampler_fn = lambda _: batches  # noqa: E731
            if isinstance(batches, StepCuts):
                dataset = CutRows(self._remove_unused_columns(dataset, description))
                collator: Any = StepCollator(self.data_collator)
                self.data_collator = collator
                self.cut_memory = CutMemory(self, batches, dataset, collator)
        try:
            return super()._get_dataloader(
                dataset, description, batch_size, sampler_fn, is_training, dataloader_key
            )
        finally:
            self.data_collator, self.args.dataloader_drop_last = before

    def _run_epoch(self, model, *args, **options):
        """As ``Trainer``'s; before the first one, the memory of a GPU is measured."""
        memory = device_memory(self.args)
        unknown = self.cut_tokens is None and self.max_tokens_per_batch is None
        if memory is not None and unknown and self.cut_memory is not None and can_probe(self):
            self.cut_tokens = probe(self.cut_memory, model, memory)
        if self._layers is not None:  # Trainer may have switched checkpointing on
            self._layers = unpadded_layers(self.model)
        super()._run_epoch(model, *args, **options)

    def _get_num_items_in_batch(self, batch_samples, device):
        cuts = [inputs for batch in batch_samples for inputs in cuts_of(batch)]
        return super()._get_num_items_in_batch(cuts, device)

    def floating_point_ops(self, inputs):
        """As ``Trainer.floating_point_ops``, of all cuts."""
        return sum(super(TaskTrainer, self).floating_point_ops(each) for each in cuts_of(inputs))

    def _track_num_input_tokens(self, inputs):
        for each in cuts_of(inputs):
            super()._track_num_input_tokens(each)

    def create_scheduler(self, num_training_steps, optimizer=None):
        """As ``Trainer.create_scheduler``; one that follows a score has the score's direction."""
        with scheduled(self.args):
            return super().create_scheduler(num_training_steps, optimizer)

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
        if isinstance(inputs, Step) and self.cut_memory is not None:
            return self.cut_memory.run(model, inputs, *args, **options)
        with mixed(self.model, inputs) as inputs:
            return super().training_step(model, inputs, *args, **options)

    def compute_loss(self, model, inputs, *args, **options):
        """As ``Trainer.compute_loss``; a decoder computes only the logits that the loss reads."""
        loss: Any = self.compute_loss_func
        # compiling wants shapes that do not depend on the labels; of a model split over devices the
        # last one has the logits, and the first the labels
        if not (compiles(self.args) or self.is_model_parallel):
            keep_scored(inputs, loss)
        know_lengths(inputs, self.model, self._signature_columns or ())
        scored, padded = inputs.pop(SCORED, None), inputs.pop(PADDED, None)
        if scored is not None:
            self.compute_loss_func = partial(loss, scored=scored)
        layers = self._layers if model.training else None
        apart = without_padding(self.model.config, layers, inputs)
        try:
            # a loss of the user's own may ask other models, of other batches
            with (
                known_padding(padded if self.own_loss and not compiles(self.args) else None),
                apart,
            ):
                return super().compute_loss(model, inputs, *args, **options)
        finally:
            self.compute_loss_func = loss

    # --- a directory that frtune.load opens ------------------------------------------------------

    @brief_bars()
    def _save(self, output_dir=None, state_dict=None):
        with use_cache_as(self.model, self.own_use_cache):
            super()._save(output_dir, state_dict)
        if self.args.should_save:
            directory = output_dir or self.args.output_dir
            save_task(self.generation.applied(self.task), directory)
            save_base_record(directory, self.model)

    def write_model(self, directory: str | Path) -> None:
        """Write model, tokenizer, task and lineage; all processes call this."""
        super().write_model(directory)
        if self.args.process_index == 0:
            start = getattr(self.model, "continued_from", None) or name_of(self.model)
            save_lineage(directory, checkpoint=start, task=self.task.name)
            save_head_config(directory, self.model, self.task, self.processing_class)
            if self.generation.settings:  # an adapter is saved without it
                model: Any = self.model
                model.generation_config.save_pretrained(directory)


class TaskSeq2SeqTrainer(TaskTrainer, Seq2SeqTrainer):
    """The same for encoder-decoders: a ``Seq2SeqTrainer``."""

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None, **gen_kwargs):
        """As ``Trainer.prediction_step``: ``Seq2SeqTrainer``'s own generation is not used."""
        return Trainer.prediction_step(self, model, inputs, prediction_loss_only, ignore_keys)
