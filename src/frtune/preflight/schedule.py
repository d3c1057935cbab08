"""What happens at which step of the real run, and what of it looks wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from frtune.errors import InputError
from frtune.training.batching import check_filled
from frtune.training.in_force import compiles, deepspeed_config

_RATES = {"full": (1e-7, 1e-3), "lora": (1e-6, 1e-2), "tiny": (1e-6, 3e-2)}
_PATIENCE = 3  # the default of --early-stopping-patience


@dataclass(frozen=True)
class Schedule:
    """The steps of a run.

    Attributes:
        rows: Encoded training rows.
        rows_per_step: Rows of an optimizer step on all processes.
        steps_per_epoch: Optimizer steps of an epoch.
        steps: Optimizer steps of the run.

    Example:
        >>> Schedule(rows=100, rows_per_step=16, steps_per_epoch=7, steps=21).epochs
        3.0
    """

    rows: int
    rows_per_step: int
    steps_per_epoch: int
    steps: int

    @property
    def epochs(self) -> float:
        """Passes over the training rows."""
        return self.steps / self.steps_per_epoch

    def every(self, strategy: str, steps: float) -> int | None:
        """Steps from one event to the next; ``None`` for none."""
        if strategy == "no":
            return None
        if strategy == "epoch":
            return min(self.steps_per_epoch, self.steps)
        return math.ceil(self.steps * steps) if steps < 1 else int(steps)

    def evaluates_every(self, args: Any) -> int | None:
        """Steps from one evaluation to the next; ``None`` for none at all."""
        return self.every(args.eval_strategy.value, args.eval_steps or 1)

    def saves_every(self, args: Any) -> int | None:
        """Steps from one checkpoint to the next; ``None`` for none at all."""
        if args.save_strategy.value == "best":
            return self.evaluates_every(args)
        return self.every(args.save_strategy.value, args.save_steps)

    def saves(self, args: Any) -> int:
        """Checkpoints that the run writes, if none were deleted."""
        every = self.saves_every(args)
        return 0 if every is None else max(1, math.ceil(self.steps / every))


def schedule(args: Any, rows: int) -> Schedule:
    """Count the steps of a run of so many encoded training rows, as ``Trainer`` does.

    Raises:
        InputError: If the rows do not fill a batch and short batches are dropped.
    """
    check_filled(args, rows)
    at_once = args.per_device_train_batch_size * max(1, args.n_gpu) * args.world_size
    batches = rows // at_once if args.dataloader_drop_last else math.ceil(rows / at_once)
    accumulated = args.gradient_accumulation_steps
    per_epoch = math.ceil(batches / accumulated)
    total = args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * per_epoch)
    return Schedule(rows, at_once * accumulated, per_epoch, total)


def check_deepspeed_steps(args: Any, found: Schedule) -> None:
    """Refuse a DeepSpeed scheduler whose numbers are not those of the run.

    Raises:
        InputError: Names the number.
    """
    config = deepspeed_config(args)
    warmup = args.get_warmup_steps(found.steps)
    for name, value in (("total_num_steps", found.steps), ("warmup_num_steps", warmup)):
        given = config and config.get_value(f"scheduler.params.{name}")
        if given not in (None, "auto", value, max(1, value)):
            raise InputError(
                f"--deepspeed {args.deepspeed}: scheduler.params.{name} is {given}, and this run "
                f'has {value}. Write "auto" there.'
            )


def forecasts(args: Any, settings: Any, found: Schedule, *, lora: bool) -> list[str]:
    """What looks wrong in the schedule, each with its numbers."""
    warnings = [*_never_reached(args, found), *_selection(args, settings, found)]
    warmup = args.get_warmup_steps(found.steps)
    if warmup >= found.steps:
        warnings.append(
            f"warmup_steps={warmup}: all of the run's {found.steps} steps warm up, so that the "
            f"learning rate ends at {args.learning_rate * found.steps / warmup:.1e}"
        )
    low, high = _RATES["lora" if lora else "tiny" if settings.checkpoint == "tiny" else "full"]
    if not low <= args.learning_rate <= high:
        far = "high: the model will forget what it knew" if args.learning_rate > high else "low"
        warnings.append(
            f"learning_rate={args.learning_rate:g}: is very {far}; from {low:g} to {high:g} are "
            f"usual {'with LoRA' if lora else 'without LoRA'}"
        )
    if compiles(args):
        warnings.append("torch_compile=True: not tried here")
    return warnings


def _never_reached(args: Any, found: Schedule) -> list[str]:
    warnings = []
    evaluates, saves = found.evaluates_every(args), found.saves_every(args)
    epoch = found.steps_per_epoch if args.eval_strategy.value == "epoch" else 1
    if evaluates is not None and evaluates > found.steps:
        warnings.append(
            f"eval_steps={evaluates}: never reached in the run's {found.steps} steps, so that "
            "nothing is evaluated and no best checkpoint is chosen"
        )
    elif evaluates is not None and args.eval_delay * epoch > found.steps:
        warnings.append(
            f"eval_delay={args.eval_delay:g}: longer than the run ({found.steps} steps, "
            f"{found.epochs:.1f} epochs), so that nothing is evaluated"
        )
    if saves is None:
        warnings.append("save_strategy=no: a run that is killed starts again")
    elif saves > found.steps and args.save_strategy.value == "steps":
        warnings.append(
            f"save_steps={saves}: never reached in the run's {found.steps} steps; the one "
            "checkpoint is that of the last step, and a run that is killed starts again"
        )
    if args.logging_strategy.value == "steps" and args.logging_steps > found.steps:
        warnings.append(
            f"logging_steps={args.logging_steps:g}: never reached in the run's {found.steps} "
            "steps, so that no loss is logged"
        )
    return warnings


def _selection(args: Any, settings: Any, found: Schedule) -> list[str]:
    """Early stopping that cannot stop, an end that is never evaluated."""
    patience, evaluates = settings.early_stopping_patience, found.evaluates_every(args)
    told, named = patience not in (0, _PATIENCE), f"early_stopping_patience={patience}"
    if evaluates is None:
        stops = f"; {named} does nothing" if told else ""
        return [f"eval_strategy=no: the last weights are kept, whatever they are{stops}"]
    if told and not args.load_best_model_at_end:
        return [f"{named}: does nothing without load_best_model_at_end"]
    evaluations = found.steps // evaluates
    if told and 0 < evaluations <= patience:
        return [f"{named}: the run evaluates {evaluations} times and is never stopped"]
    return []
