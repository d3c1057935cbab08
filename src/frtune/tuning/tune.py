"""A whole search: rows, space, trials, the best and the recipe with several seeds, the report."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from frtune.errors import InputError
from frtune.files import locked
from frtune.outputs import check_own_folder, settle_conditions
from frtune.run.config import run_config
from frtune.run.data import RunData, read_data
from frtune.run.model import check_model
from frtune.run.part_runs import drop_weights
from frtune.run.settings import RunSettings, check_alone, check_settings
from frtune.tasks.base import Task
from frtune.training.resume_checks import data_hash
from frtune.training.search import objective
from frtune.tuning.report import write_report
from frtune.tuning.result import Tuning, best_number, importance, point_text, trials_of
from frtune.tuning.seed_runs import Gain, gains, train_with_seeds
from frtune.tuning.space import Space, search_space
from frtune.tuning.study import DATABASE, Direction, Search
from frtune.tuning.trial import Make, run_trial

logger = logging.getLogger(__name__)

MANIFEST = "search.json"
SEEDS = 3
_OPTION = "--output-dir"
_POLL_SECONDS = 1.0
_WAIT_SECONDS = 60.0
_UNCOMPARED = ("output_dir", "data")  # the rows themselves are compared


def tune(
    make: Make,
    output_dir: str | Path,
    *,
    fixed: Collection[str] = (),
    trials: int = 20,
    hours: float | None = None,
    seeds: int = SEEDS,
) -> Tuning:
    """Search the settings of a run on its validation rows.

    The first trial is the recipe; the others are suggested by TPE (Bergstra et al. 2011), and ended
    where they are worse than the median of the others by then. The best is trained again with
    seeds that no trial had, and so is the recipe. A search that was killed goes on where it was,
    and several processes may share one. Test rows are not looked at.

    Args:
        make: From an output directory and options by name to task, ``RunSettings`` and training
            arguments: those of the recipe, but for the options.
        output_dir: New, empty, or of the same search.
        fixed: Names of options that are not to be searched.
        trials: How many, the recipe among them.
        hours: Begin no trial after so many hours of search.
        seeds: Train the best and the recipe with so many, from 2.

    Returns:
        What was found. ``trials.csv``, ``tune.json``, ``tune.html`` and the best ``config.yaml``
        are written.

    Raises:
        InputError: Before anything is trained or written, if input is bad.
    """
    path = check_own_folder(output_dir, _OPTION, file=MANIFEST)
    task, settings, args = make(str(path), {})
    _check(task, settings, args, trials=trials, hours=hours, seeds=seeds)
    data = read_data(task, settings, args, test=False)
    rows = len(data.splits["train"])
    space = search_space(task, settings, args, fixed=fixed, rows=rows)
    name, direction = objective(args, data.task)
    with locked(path, wait_seconds=_WAIT_SECONDS):
        _settle(path, task, settings, args, data=data, space=space)
    search = Search(path, space, direction=cast(Direction, direction), seed=args.seed)
    try:
        _run_trials(search, make, data, name=name, trials=trials, hours=hours)
    except InputError:
        _undo(search)
        raise
    for number in search.trials():  # one that was killed once it was judged
        drop_weights(search.directory(number))
    chosen = list(range(args.seed + 1, args.seed + 1 + seeds))
    found = _found(search, make, data, name=name, seeds=chosen)
    with locked(path, wait_seconds=_WAIT_SECONDS):
        point = space.options(found.best_trial.point) if found.best else {}
        write_report(found, run_config(*make(str(path / "model"), point)))
    return found


def _check(
    task: Task, settings: RunSettings, args: Any, *, trials: int, hours: float | None, seeds: int
) -> None:
    """Refuse what would fail later or be ignored, before anything is read."""
    if trials < 1:
        raise InputError(
            f"--trials {trials}: at least 1, which is the recipe. Pass 20, for example."
        )
    if hours is not None and not 0 < hours < float("inf"):
        raise InputError(f"--hours {hours}: above 0. Leave it out for no limit.")
    if seeds < 2:
        raise InputError(f"seeds={seeds}: at least 2, for an interval.")
    check_alone(args, "frtune tune", "a search")
    if args.eval_strategy == "no":
        raise InputError("--eval-strategy no: trials are judged by evaluations. Leave it out.")
    check_settings(settings, args, task)
    check_model(task, settings, args)


def _settle(
    path: Path, task: Task, settings: RunSettings, args: Any, *, data: RunData, space: Space
) -> None:
    """Write what the search is of, or refuse to go on with one of something else."""
    hashes = "-".join(data_hash(rows) for rows in data.splits.values())
    conditions = {"task": task.name, "data": hashes}
    conditions |= {f"space of {each.name}": str(each) for each in space.settings}
    config = run_config(task, settings, args)
    conditions |= {name: value for name, value in config.items() if name not in _UNCOMPARED}
    other = "other rows, or other labels"
    settle_conditions(path / MANIFEST, conditions, what="search", name=_OPTION, data=other)


def _run_trials(
    search: Search, make: Make, data: RunData, *, name: str, trials: int, hours: float | None
) -> None:
    """Run trials until there are enough, those of other processes too."""
    waits = False
    while True:
        with search.next_trial(trials=trials, hours=hours) as claim:
            if claim is not None:
                logger.warning("trial %d: %s", claim.number, point_text(claim.point))
                run_trial(search, claim, make, name=name, data=data)
                continue
        if not search.others_run():
            return
        if not waits:
            logger.warning("waiting for the trials of other processes")
        waits = True
        time.sleep(_POLL_SECONDS)


def _undo(search: Search) -> None:
    """Leave no trace of a search whose recipe could not be run at all.

    Else the same command, once the input is mended, would find "another search" there.
    """
    if [*search.trials()] != [0]:
        return
    shutil.rmtree(search.directory(0), ignore_errors=True)
    for name in (MANIFEST, DATABASE):
        (search.path / name).unlink(missing_ok=True)


def _found(search: Search, make: Make, data: RunData, *, name: str, seeds: list[int]) -> Tuning:
    """Train the best and the recipe again, and put together what was found."""
    best, trials = best_number(search), trials_of(search)
    if best is None:
        reason = trials[0].line or "no trial ended"
        raise InputError(f"frtune tune: no trial could be judged. The first: {reason}")
    found: list[Gain] = []
    compared = best != 0 and trials[0].state == "complete"
    if compared:
        scores = train_with_seeds(search, make, data, best=best, seeds=seeds)
        found = gains(scores, best=best, names=_directions(data.task, name, search))
    return Tuning(
        task=data.task.name,
        directory=search.path,
        score_name=name.removeprefix("eval_"),
        larger_is_better=search.study.direction.name == "MAXIMIZE",
        space={each.name: str(each) for each in search.space.settings},
        trials=trials,
        best=best,
        seeds=seeds if compared else [],
        gains=found,
        importance=importance(search),
        rows=len(data.splits["validation"]),
    )


def _directions(task: Task, name: str, search: Search) -> dict[str, bool]:
    """The score that judged, then the task's main ones, and whether larger is better."""
    known = task.metric_directions()
    judged = {name.removeprefix("eval_"): search.study.direction.name == "MAXIMIZE"}
    return judged | {each: known.get(each, True) for each in task.headline if each not in judged}
