"""Training on growing shares of the rows, several seeds each: what more rows would bring."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from frtune.errors import InputError, RunStopped
from frtune.files import staged, write_json
from frtune.outputs import check_output_directory, contents
from frtune.run.data import RunData, read_data
from frtune.run.learning_curve_page import PAGE_FILE, curve_page
from frtune.run.learning_curve_summary import LearningCurve, Share, summed_up
from frtune.run.manifest import RUN_MANIFEST
from frtune.run.model import check_model
from frtune.run.part_runs import drop_weights, final_scores, finished, free_memory
from frtune.run.run import run
from frtune.run.seeds import Make, check_same_run
from frtune.run.settings import RunSettings, check_settings
from frtune.tasks.base import Task
from frtune.training.resume_checks import data_hash

logger = logging.getLogger(__name__)

CURVE_FILE = "learning_curve.json"
PARTS = (16, 8, 4, 2, 1)  # of the training rows: a sixteenth, an eighth, ...
LEAST_ROWS = 5  # of the smallest share
SEEDS = 3


@dataclass(frozen=True)
class _Runs:
    """The runs of a curve: one for each share and seed."""

    make: Make
    root: Path
    rows: list[int]
    seeds: list[int]
    resume: bool

    def place(self, rows: int, seed: int) -> Path:
        return self.root / f"rows-{rows}" / f"seed-{seed}"

    def made(self, rows: int, seed: int) -> tuple[Task, RunSettings, Any]:
        """Task, settings and arguments of one run."""
        task, settings, args = self.make(seed, str(self.place(rows, seed)))
        settings = replace(settings, curve_rows=True, max_train_rows=rows, resume=self.resume)
        return task, settings, args

    def each(self) -> list[tuple[int, int]]:
        """Rows and seed of each, the smallest share first: what fails, fails early."""
        return [(rows, seed) for rows in self.rows for seed in self.seeds]


def learning_curve(
    make: Make,
    *,
    output_dir: str | Path,
    seeds: int = SEEDS,
    first: int = 42,
    resume: bool = False,
) -> LearningCurve:
    """Train on 1/16 to all of the training rows, and forecast the scores of more rows.

    Each share and seed is a run in ``output_dir/rows-N/seed-S``, with the rows of ``curve_rows``: a
    larger share holds the smaller ones of the seed, and each class has its share. Runs are scored
    on the validation rows; test rows are left out. A power law with an offset is fitted to the
    scores (``frtune.run.power_law.fit_power_law``), once without the largest share, to check it.
    ``learning_curve.json`` and ``learning_curve.html`` stand beside the runs.

    Args:
        make: From a seed and an output directory to task, ``RunSettings`` and training arguments,
            as ``parse_train_arguments`` returns them. ``max_train_rows`` is the largest share.
        output_dir: New or empty, or with ``resume`` that of the same curve.
        seeds: How many, from 2.
        first: The first seed; the others follow it.
        resume: Leave finished runs alone, and go on with one that was interrupted.

    Returns:
        The curve, its check and its forecasts.

    Raises:
        InputError: Before anything is trained, if input is bad, or a finished run is of other rows
            or options.
        RunStopped: A signal ended it; ``resume`` goes on.

    Example:
        >>> from frtune import parse_train_arguments
        >>> def make(seed, output_dir):
        ...     flags = ["--seed", str(seed), "--output-dir", output_dir]
        ...     return parse_train_arguments("classification", flags)
        >>> learning_curve(make, output_dir="runs/curve", seeds=1)
        Traceback (most recent call last):
        ...
        frtune.errors.InputError: --seeds 1: a learning curve needs 2 or more. Leave it out for 3.
    """
    root = Path(output_dir)
    if seeds < 2:
        raise InputError(
            f"--seeds {seeds}: a learning curve needs 2 or more. Leave it out for {SEEDS}."
        )
    task, settings, args = make(first, str(root))
    _check(task, settings, args, root, resume)
    data = read_data(task, replace(settings, curve_rows=True), args)
    rows = shares_of(len(data.splits["train"]), settings.data)
    runs = _Runs(make, root, rows, list(range(first, first + seeds)), resume)
    for each in runs.each():
        if finished(runs.place(*each)):
            _check_finished(runs, *each)
    found = _summary(data, runs, _scores(runs, f"eval_{data.task.main_score}"))
    with staged(root) as draft:
        write_json(draft / CURVE_FILE, found.content())
        page = curve_page(found, f"{task.name}: {root.resolve().name}, learning curve", data.notes)
        (draft / PAGE_FILE).write_text(page, encoding="utf-8")
    return found


def shares_of(rows: int, where: str) -> list[int]:
    """The shares of so many training rows; ``where`` names them in the message.

    Example:
        >>> shares_of(1000, "reviews.csv")
        [63, 125, 250, 500, 1000]
    """
    least = LEAST_ROWS * PARTS[0]
    if rows < least:
        raise InputError(
            f"{where}: {rows} training rows are too few for a learning curve, which needs {least}. "
            "Add rows, or leave --learning-curve out."
        )
    return [math.ceil(rows / part) for part in PARTS]


def _check(task: Task, settings: RunSettings, args: Any, root: Path, resume: bool) -> None:
    """Refuse what would fail later or be ignored, before anything is read."""
    if args.world_size > 1:
        raise InputError(
            f"--learning-curve: with one process only, and there are {args.world_size}. Leave the "
            "launcher out."
        )
    if args.push_to_hub:
        raise InputError("--push-to-hub: a learning curve makes many models. Leave it out.")
    held = contents(check_output_directory(root))
    others = [name for name in held if not name.startswith(("rows-", "."))]
    others = [name for name in others if name not in (CURVE_FILE, PAGE_FILE)]
    if others:
        raise InputError(
            f"output_dir={root}: holds something else ({', '.join(others[:3])}). Give a new "
            "directory."
        )
    if held and not resume:
        raise InputError(
            f"output_dir={root}: holds a learning curve. Give a new directory, or pass --resume to "
            "continue it."
        )
    check_settings(settings, args, task)
    check_model(task, settings, args)


def _check_finished(runs: _Runs, rows: int, seed: int) -> None:
    """Refuse a finished run of other options or other rows."""
    place = runs.place(rows, seed)
    task, settings, args = runs.made(rows, seed)
    check_same_run(place, task, settings, args)
    manifest = json.loads((place / RUN_MANIFEST).read_text(encoding="utf-8"))
    for name, split in read_data(task, settings, args).splits.items():
        if manifest["data"][name]["hash"] != data_hash(split):
            raise InputError(
                f"{place}: was run on other {name} rows. Give the same data, or another "
                "--output-dir."
            )


def _scores(runs: _Runs, name: str) -> Mapping[tuple[int, int], float]:
    """Run what is not finished; the validation score of each run."""
    found: dict[tuple[int, int], float] = {}
    every = runs.each()
    for number, (rows, seed) in enumerate(every, start=1):
        place = runs.place(rows, seed)
        told = f"run {number} of {len(every)}: {rows} rows, seed {seed}"
        if finished(place):
            logger.warning("%s: finished before", told)
            metrics = final_scores(place)
        else:
            logger.warning("%s: %s", told, place)
            try:
                metrics = run(*runs.made(rows, seed), validate=True)
            except RunStopped as stop:
                line = f"stopped in run {number} of {len(every)}; continue with --resume"
                raise RunStopped(stop.signum, line) from None
        free_memory()
        drop_weights(place, keep_model=True)
        value = metrics.get(name)
        found[rows, seed] = math.nan if value is None else float(value)
    return found


def _summary(data: RunData, runs: _Runs, scores: Mapping[tuple[int, int], float]) -> LearningCurve:
    task = data.task
    return summed_up(
        task.name,
        task.main_score,
        greater_is_better=task.metric_directions().get(task.main_score, True),
        seeds=runs.seeds,
        validation_rows=len(data.splits["validation"]),
        shares=[Share(n, [scores[n, seed] for seed in runs.seeds]) for n in runs.rows],
    )
