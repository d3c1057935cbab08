"""One trial: a run that reports its evaluations, may be pruned, and leaves no weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import TrialState
from transformers import TrainerCallback

from frtune.errors import InputError, RunStopped, first_line
from frtune.run.data import RunData
from frtune.run.part_runs import drop_weights, final_scores, finished, free_memory, has_begun
from frtune.run.run import run
from frtune.run.settings import RunSettings
from frtune.run.status import RunPruned
from frtune.tasks.base import Task
from frtune.training.resource_errors import MemoryFullError, is_memory_full
from frtune.training.resumable_trainer import NonFiniteLossError
from frtune.tuning.study import LINE, Claim, Search

logger = logging.getLogger(__name__)

# from an output directory and options by name to task, RunSettings and training arguments
Make = Callable[[str, Mapping[str, Any]], tuple[Task, RunSettings, Any]]


class EvaluationReporter(TrainerCallback):
    """Reports each evaluation to Optuna, and ends a run that others are ahead of.

    Evaluations are counted in tenths of an epoch, so that trials with other rows a step are
    compared where they have seen the same number of rows.

    Args:
        trial: What it reports to.
        name: The score that judges trials, with ``eval_``.
        may_prune: Whether the run may be ended.
    """

    def __init__(self, trial: optuna.Trial, name: str, *, may_prune: bool):
        self.trial, self.name, self.may_prune = trial, name, may_prune
        self._reported: set[int] = set()

    def on_evaluate(self, args, state, control, **kwargs):
        """Report what is new: of a run that went on, also what it had found before."""
        for entry in state.log_history:
            epoch = round(10 * entry.get("epoch", 0))
            value = entry.get(self.name)
            if value is None or epoch in self._reported or not math.isfinite(value):
                continue
            self._reported.add(epoch)
            self.trial.report(value, epoch)
        last = state.global_step >= state.max_steps
        if self._reported and self.may_prune and not last and self.trial.should_prune():
            raise RunPruned(
                f"pruned after epoch {state.epoch:g}: worse than the median of the trials by then"
            )


def run_trial(search: Search, claim: Claim, make: Make, *, name: str, data: RunData) -> None:
    """Run a trial, tell Optuna what it found, and remove its weights.

    Memory that ran out, and a loss or weights that are not finite, make a failed trial.

    Raises:
        RunStopped: After SIGTERM or SIGINT; the trial goes on with the same command.
        InputError: If the recipe itself cannot be run.
    """
    trial, recipe = claim.trial, claim.number == 0
    reporter = EvaluationReporter(trial, name, may_prune=not recipe)
    state, value, line = TrialState.FAIL, None, None
    try:
        value = _score(claim, make, search, name=name, data=data, reporter=reporter)
        state = TrialState.COMPLETE
        if not math.isfinite(value):
            state, value, line = TrialState.FAIL, None, f"{name} is not finite"
    except RunPruned as pruned:
        state, line = TrialState.PRUNED, str(pruned)
    except RunStopped as stop:
        told = f"stopped in trial {claim.number}; the same command continues"
        raise RunStopped(stop.signum, told) from None
    except (RuntimeError, MemoryError, InputError) as error:
        if not _is_of_settings(error) or (recipe and isinstance(error, InputError)):
            raise
        line = first_line(error)
    if line:
        trial.set_user_attr(LINE, line)
        logger.warning("trial %d: %s", claim.number, line)
    search.study.tell(trial, value, state=state)
    free_memory()
    drop_weights(claim.directory)


def _score(
    claim: Claim, make: Make, search: Search, *, name: str, data: RunData, reporter: Any
) -> float:
    """Run a trial's settings, from where they were left, and return their score."""
    place = claim.directory
    if finished(place):  # killed between its end and Optuna's word
        metrics = final_scores(place)
    else:
        task, settings, args = make(str(place), search.space.options(claim.point))
        settings = replace(settings, resume=has_begun(place), merge=False, proof=False)
        metrics = run(task, settings, args, callbacks=[reporter], data=data)
    if name not in metrics:
        raise InputError(
            f"metric_for_best_model={name.removeprefix('eval_')}: the evaluations report no such "
            f"score. There are {', '.join(key for key in metrics if key.startswith('eval_'))}."
        )
    return float(metrics[name])


def _is_of_settings(error: BaseException) -> bool:
    """Whether a trial failed by its own settings: memory, a loss or weights that are not finite."""
    return isinstance(error, MemoryFullError | NonFiniteLossError | InputError) or (
        is_memory_full(error)
    )
