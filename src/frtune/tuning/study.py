"""The trials of a search in ``tune.db``: which comes next, which was lost, and what each found.

Several processes share the database. Each holds the lock of its trial's directory, so that a trial
whose process was killed is known at once: it is marked as failed, and enqueued again with the same
settings and the same directory, where its run goes on from its newest checkpoint.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from frtune.files import is_locked, locked
from frtune.run.status import STATUS_FILE
from frtune.tuning.space import Space

logger = logging.getLogger(__name__)

DATABASE = "tune.db"
Direction = Literal["maximize", "minimize"]
NUMBER, STOPPED, LINE = "number", "stopped", "line"  # user attributes of a trial
_WARM_UP = 5  # tenths of an epoch before which none is pruned
_FIRST = 5  # trials before TPE has something to go by, and before any is pruned
_WAIT_SECONDS = 60.0  # for another process that takes its next trial, at most


@dataclass(frozen=True)
class Claim:
    """A trial that this process runs.

    Attributes:
        trial: Of Optuna.
        number: Of the trial, which its directory is named by.
        directory: Where it runs; this process holds its lock.
        point: Its settings.
    """

    trial: optuna.Trial
    number: int
    directory: Path
    point: dict[str, float]


class Search:
    """The trials of a search.

    Args:
        path: The folder that holds them.
        space: What is searched.
        direction: ``"maximize"`` or ``"minimize"``.
        seed: Of what is drawn; with the same seed a search in one process is the same.
    """

    def __init__(self, path: Path, space: Space, *, direction: Direction, seed: int):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.path, self.space, self.seed = path, space, seed

        def connect() -> sqlite3.Connection:
            # by path, as a URL takes no folder with a question mark
            return sqlite3.connect(path / DATABASE, timeout=60, check_same_thread=False)

        pruner = optuna.pruners.MedianPruner(n_startup_trials=_FIRST, n_warmup_steps=_WARM_UP)
        with locked(path, wait_seconds=_WAIT_SECONDS):
            storage = RDBStorage("sqlite:///tune.db", engine_kwargs={"creator": connect})
            self.study = optuna.create_study(
                storage=storage,
                study_name="tune",
                direction=direction,
                load_if_exists=True,
                pruner=pruner,
            )
            if not self.study.get_trials(deepcopy=False):
                self.study.enqueue_trial(space.recipe)

    def directory(self, number: int) -> Path:
        """Where a trial runs."""
        return self.path / f"trial-{number}"

    def trials(self) -> dict[int, FrozenTrial]:
        """The trials that began, by number; of one that was lost, its last part."""
        found = {}
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state != TrialState.WAITING:
                found[number_of(trial)] = trial
        return found

    def others_run(self) -> bool:
        """Whether other processes have trials under way, or one was lost."""
        return any(
            trial.state in (TrialState.RUNNING, TrialState.WAITING)
            for trial in self.study.get_trials(deepcopy=False)
        )

    @contextlib.contextmanager
    def next_trial(self, *, trials: int, hours: float | None) -> Iterator[Claim | None]:
        """Take the next trial, and hold its directory; ``None`` where none is to begin.

        A trial that was lost comes first, whatever ``trials`` and ``hours`` say.
        """
        with contextlib.ExitStack() as held:
            with locked(self.path, wait_seconds=_WAIT_SECONDS):
                claim = self._claim(trials, hours)
                if claim is not None:
                    held.enter_context(locked(claim.directory))
            yield claim

    def _claim(self, trials: int, hours: float | None) -> Claim | None:
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not is_locked(self.directory(number_of(trial))):
                self._retry(trial)
        begun = self.trials()
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        lost = any(NUMBER in trial.user_attrs for trial in waiting)
        seconds = searched_seconds(self.study.get_trials(deepcopy=False))
        over = len(begun) >= trials or (hours is not None and seconds >= 3600 * hours)
        if over and begun and not lost:
            return None
        with warnings.catch_warnings():  # of optuna before 5: constant_liar was experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # anew for each trial: a sampler that begins again would draw the same points again
            self.study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=_FIRST, seed=self.seed + len(begun), constant_liar=True
            )
        trial = self.study.ask()
        number = trial.user_attrs.get(NUMBER, len(begun))
        trial.set_user_attr(NUMBER, number)
        return Claim(trial, number, self.directory(number), self.space.suggest(trial))

    def _retry(self, trial: FrozenTrial) -> None:
        """Mark a trial of a process that ended as failed, and enqueue it to go on."""
        number = number_of(trial)
        logger.warning("trial %d was interrupted, and continues", number)
        files = [self.directory(number) / STATUS_FILE, *self.directory(number).glob("*")]
        times = [file.stat().st_mtime for file in files if file.exists()]
        begun = trial.datetime_start or datetime.now()
        stopped = max([begun.timestamp(), *times])
        attributes = {NUMBER: number, STOPPED: stopped}
        self.study.enqueue_trial(trial.params, user_attrs=attributes)
        self.study.tell(trial.number, state=TrialState.FAIL)


def number_of(trial: FrozenTrial) -> int:
    """The number of a trial, by which its directory is named; its parts after a kill share it."""
    return trial.user_attrs.get(NUMBER, trial.number)


def searched_seconds(trials: list[FrozenTrial]) -> float:
    """For how long trials ran, by the clock: what several processes did at once counts once.

    The pause between a kill and going on does not count.
    """
    stops = [(number_of(t), t.user_attrs[STOPPED]) for t in trials if STOPPED in t.user_attrs]
    now, spans = datetime.now().timestamp(), []
    for trial in trials:
        if trial.datetime_start is None:
            continue
        end = trial.datetime_complete.timestamp() if trial.datetime_complete else now
        begin = trial.datetime_start.timestamp()
        own = [at for number, at in stops if number == number_of(trial) and begin <= at < end]
        spans.append((begin, min([*own, end])))
    total, until = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total
