"""What a search found: its trials, the best, what it gained, and that in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from frtune.names import counted
from frtune.tuning.seed_runs import Gain
from frtune.tuning.study import LINE, Search

_LEAST_TRIALS = 8  # completed ones, for a word on which setting mattered
_STATES = {
    TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes:
        number: From 0, which is the recipe.
        state: ``complete``, ``pruned`` or ``failed``.
        score: On the validation rows; of a pruned one, its last; ``None`` of a failed one.
        point: Its settings.
        epochs: How far it came; ``None`` where it was never evaluated.
        seconds: Of its last part.
        line: Why it was pruned or failed.
    """

    number: int
    state: str
    score: float | None
    point: dict[str, float]
    epochs: float | None
    seconds: float | None
    line: str | None

    @classmethod
    def of(cls, number: int, trial: FrozenTrial) -> Trial:
        """From what Optuna keeps."""
        last = max(trial.intermediate_values, default=None)
        score = trial.value
        if score is None and last is not None and trial.state == TrialState.PRUNED:
            score = trial.intermediate_values[last]
        return cls(
            number,
            _STATES[trial.state],
            score,
            trial.params,
            None if last is None else last / 10,
            None if trial.duration is None else round(trial.duration.total_seconds(), 1),
            trial.user_attrs.get(LINE),
        )


@dataclass(frozen=True)
class Tuning:
    """What a search found.

    Attributes:
        task: Name of the task.
        directory: Where it stands.
        score_name: What judged the trials, without ``eval_``.
        larger_is_better: Its direction.
        space: The settings that were searched, in words.
        trials: All trials, in order.
        best: Number of the best.
        seeds: With which the best and the recipe were trained again; empty where the recipe is the
            best, or could not be run.
        gains: What the best gained with them, first in the score that judged.
        importance: Share of each setting in how much the scores differ; ``None`` where too few
            trials were completed.
        rows: Validation rows.
    """

    task: str
    directory: Path
    score_name: str
    larger_is_better: bool
    space: dict[str, str]
    trials: list[Trial]
    best: int
    seeds: list[int]
    gains: list[Gain]
    importance: dict[str, float] | None
    rows: int

    @property
    def best_trial(self) -> Trial:
        """The best."""
        return next(trial for trial in self.trials if trial.number == self.best)

    def sentences(self) -> list[str]:
        """What it means, in plain words."""
        states = [trial.state for trial in self.trials]
        counts = ", ".join(
            f"{states.count(state)} {word}"
            for state, word in (("pruned", "ended early"), ("failed", "failed"))
            if state in states
        )
        said = [
            f"{counted(len(states), 'trial')}{f' ({counts})' if counts else ''}, judged by "
            f"{self.score_name} on {counted(self.rows, 'validation row')}. Test rows were not "
            "looked at."
        ]
        return [*self._verdict(), *said]

    def _verdict(self) -> list[str]:
        if self.best == 0:
            return ["No trial did better than the recipe. Keep it."]
        found = f"The best is trial {self.best}: {point_text(self.best_trial.point)}."
        if not self.gains:
            why = next(trial.line for trial in self.trials if trial.number == 0)
            return [found, f"The recipe itself could not be run, to be compared ({why})."]
        return [gain_text(self.gains[0], len(self.seeds)), found, _caution(self.gains[0])]


def gain_text(gain: Gain, seeds: int) -> str:
    """The verdict on one score.

    Example:
        >>> from frtune.run.seed_statistics import Difference
        >>> gain_text(Gain("f1", True, [], [], Difference(0.1, -0.2, 0.4, 0.3)), 3)
        'A gain within the noise: f1 changed by +0.1000 (95 % interval -0.2000 to +0.4000, 3
        seeds).'
    """
    mean, low, high, _ = gain.difference
    better = mean != 0 and (mean > 0) is gain.larger_is_better
    what = {
        "gain": "A gain",
        "loss": "A loss",
        "noise": "A gain within the noise" if better else "No gain",
    }[gain.verdict]
    return (
        f"{what}: {gain.name} changed by {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f}, "
        f"{counted(seeds, 'seed')})."
    )


def _caution(gain: Gain) -> str:
    if gain.verdict == "gain":
        return (
            "These settings were chosen by the same validation rows: on other rows the gain is "
            "probably smaller."
        )
    return "The recipe is as good as these settings, as far as so few seeds can tell."


def point_text(point: dict[str, float]) -> str:
    """A point in one line.

    Example:
        >>> point_text({"learning_rate": 0.000034567, "num_train_epochs": 3})
        'learning_rate 3.46e-05, num_train_epochs 3'
    """
    return ", ".join(f"{name} {value:.3g}" for name, value in point.items())


def trials_of(search: Search) -> list[Trial]:
    """The trials of a search, in order."""
    return [Trial.of(number, trial) for number, trial in sorted(search.trials().items())]


def best_number(search: Search) -> int | None:
    """The number of the best trial, the earliest of equals; ``None`` where none was completed."""
    sign = -1 if search.study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    done = {n: t.value for n, t in search.trials().items() if t.state == TrialState.COMPLETE}
    return min(done, key=lambda n: (sign * float(done[n] or 0), n), default=None)


def importance(search: Search) -> dict[str, float] | None:
    """How much of the scores' spread each setting explains, by fANOVA (Hutter et al. 2014).

    ``None`` where fewer than eight trials were completed, or all of them scored the same.
    """
    done = [t for t in search.trials().values() if t.state == TrialState.COMPLETE]
    if len(done) < _LEAST_TRIALS or len({trial.value for trial in done}) < 2:
        return None
    evaluator: Any = FanovaImportanceEvaluator(seed=search.seed)
    study: optuna.Study = search.study
    return get_param_importances(study, evaluator=evaluator)
