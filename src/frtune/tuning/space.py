"""The space of a search: which settings are tried, where, and as which flags."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from frtune.errors import InputError
from frtune.models.lora import lora_config
from frtune.run.model import has_new_adapter
from frtune.run.settings import RunSettings
from frtune.tasks.base import Task
from frtune.training.arguments import rows_per_step

# what a range without the recipe's value becomes: this many times below and above it
_AROUND = 5
_EPOCHS_AROUND = 2
_BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")


@dataclass(frozen=True)
class Setting:
    """One setting that is searched.

    Attributes:
        name: Of the setting.
        recipe: Its value in the recipe, where the search begins.
        ends: Least and greatest; ``None`` where there are ``choices``.
        choices: The values, in order; ``None`` where there are ``ends``.
    """

    name: str
    recipe: float
    ends: tuple[float, float] | None = None
    choices: tuple[float, ...] | None = None

    def suggest(self, trial: optuna.Trial) -> float:
        """The value of a trial: whole numbers evenly, others on a logarithmic scale."""
        if self.choices is not None:
            return trial.suggest_categorical(self.name, self.choices)  # type: ignore[return-value]
        low, high = self.ends or (self.recipe, self.recipe)
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(self.name, low, high)
        return trial.suggest_float(self.name, low, high, log=True)

    def __str__(self) -> str:
        if self.choices is not None:
            return ", ".join(f"{value:g}" for value in self.choices)
        return " to ".join(f"{value:g}" for value in self.ends or ())


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        settings: One or more.
        batch: Rows of a micro-batch that fit the memory, as the recipe or the user says.
        accumulated: Micro-batches of a step, where the user fixed their number.
        scales_adapter: Whether the adapter's scale follows its rank.
    """

    settings: tuple[Setting, ...]
    batch: int
    accumulated: int | None = None
    scales_adapter: bool = True

    @property
    def recipe(self) -> dict[str, float]:
        """The recipe as a point of the space."""
        return {setting.name: setting.recipe for setting in self.settings}

    def suggest(self, trial: optuna.Trial) -> dict[str, float]:
        """The point of a trial."""
        return {setting.name: setting.suggest(trial) for setting in self.settings}

    def options(self, point: Mapping[str, float]) -> dict[str, float]:
        """A point as options of ``frtune train``: values by name, in three digits."""
        options = {
            name: value if value == self.recipe.get(name) else _short(value)
            for name, value in point.items()
        }
        rows = options.pop("rows_per_step", None)
        if rows is not None:
            options |= dict(zip(_BATCH, self._step(int(rows)), strict=True))
        if self.scales_adapter and "lora_r" in options:
            options["lora_alpha"] = 2 * options["lora_r"]
        return options

    def _step(self, rows: int) -> tuple[int, int]:
        """Micro-batch and accumulation of so many rows: batches as large as memory is known for."""
        if self.accumulated is not None:
            return rows // self.accumulated, self.accumulated
        batch = next(size for size in range(min(self.batch, rows), 0, -1) if rows % size == 0)
        return batch, rows // batch


def search_space(
    task: Task, settings: RunSettings, args: Any, *, fixed: Collection[str], rows: int
) -> Space:
    """The space of a search: what the task's ``search_ranges`` say and the user did not fix.

    Args:
        task: What is learnt.
        settings: Of the recipe.
        args: Its ``TrainingArguments``.
        fixed: Names of the options that the user gave.
        rows: Training rows; a step has no more than these.

    Raises:
        InputError: If nothing is left to search.

    Example:
        >>> from frtune import SequenceClassification, training_arguments
        >>> task = SequenceClassification()
        >>> args = training_arguments(task, "runs/x", use_cpu=True)
        >>> found = search_space(task, RunSettings(checkpoint="tiny"), args,
        ...                      fixed={"learning_rate", "weight_decay"}, rows=500)
        >>> [f"{each.name}: {each}" for each in found.settings]
        ['num_train_epochs: 2 to 6', 'rows_per_step: 8, 16, 32, 64']
    """
    ranges, adapter = task.search_ranges, has_new_adapter(task, settings)
    found = []
    if "learning_rate" not in fixed:
        low, high = ranges.learning_rate
        found.append(_between("learning_rate", args.learning_rate, low,
                              high * (ranges.lora_rate if adapter else 1)))  # fmt: skip
    if not {"num_train_epochs", "max_steps"} & {*fixed}:
        found.append(_epochs(args.num_train_epochs, *ranges.num_train_epochs))
    if not {*_BATCH} <= {*fixed}:
        found.append(_rows_per_step(args, ranges.rows_per_step, fixed, rows))
    if "weight_decay" not in fixed:
        found.append(_one_of("weight_decay", args.weight_decay, ranges.weight_decay))
    if adapter and "lora_r" not in fixed:
        found.append(_one_of("lora_r", settings.lora_r or lora_config().r, ranges.lora_r))
    if not found:
        raise InputError(
            "frtune tune: every setting that it searches is given, and nothing is left to search. "
            "Leave out --learning-rate, --num-train-epochs, --weight-decay or the rows of a step."
        )
    return Space(
        tuple(found),
        batch=args.per_device_train_batch_size,
        accumulated=args.gradient_accumulation_steps if _BATCH[1] in fixed else None,
        scales_adapter="lora_alpha" not in fixed,
    )


def _short(value: float) -> float:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _between(name: str, recipe: float, low: float, high: float) -> Setting:
    """A range; where the recipe is of another kind of model (a tiny one), one around it."""
    if not low <= recipe <= high:
        low, high = recipe / _AROUND, recipe * _AROUND
    return Setting(name, recipe, ends=(low, high))


def _epochs(recipe: float, low: int, high: int) -> Setting:
    epochs = max(1, round(recipe))
    if not low <= epochs <= high:
        low, high = max(1, epochs // _EPOCHS_AROUND), epochs * _EPOCHS_AROUND
    return Setting("num_train_epochs", epochs, ends=(low, high))


def _rows_per_step(
    args: Any, choices: tuple[int, ...], fixed: Collection[str], rows: int
) -> Setting:
    """The rows of a step: multiples of what the user fixed, and no more than there are."""
    recipe, unit = rows_per_step(args), 1
    for name in _BATCH:
        unit *= getattr(args, name) if name in fixed else 1
    usable = [each for each in choices if each % unit == 0 and each <= rows]
    return _one_of("rows_per_step", recipe, tuple(usable))


def _one_of(name: str, recipe: float, choices: tuple[float, ...]) -> Setting:
    return Setting(name, recipe, choices=tuple(sorted({recipe, *choices})))
