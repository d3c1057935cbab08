"""A whole review: rows, folds, the table, and what a page needs to go on from there."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frtune.data.near_duplicates import repeats
from frtune.errors import InputError, RunStopped
from frtune.files import locked
from frtune.review.folder import (
    DECISIONS,
    TABLE,
    Decisions,
    check_folder,
    settle_manifest,
)
from frtune.review.folds import Make, assign_folds, fold_evidence, train_fold, write_evidence
from frtune.review.ranking import ReviewedRow, ranked, write_table
from frtune.review.rows import ReviewRows, read_rows
from frtune.run.config import run_config
from frtune.run.model import check_model
from frtune.run.settings import check_alone, check_settings
from frtune.tasks.base import Task
from frtune.tasks.label_doubts import Evidence, load_cleanlab
from frtune.training.resume_checks import data_hash

logger = logging.getLogger(__name__)

_NEAR = 0.8  # Jaccard index of near duplicates, as of an audit
_UNCOMPARED = ("output_dir", "data")  # the rows themselves are compared


@dataclass(frozen=True)
class Review:
    """What was found.

    Attributes:
        found: The rows that were reviewed.
        rows: They, in order: the most doubtful first.
        directory: Where ``review.csv`` stands, and what is decided.
        encoding: Of the data files.
    """

    found: ReviewRows
    rows: list[ReviewedRow]
    directory: Path
    encoding: str | None = None

    @property
    def doubted(self) -> int:
        """How many rows have a reason to doubt their label."""
        return sum(bool(row.reasons) for row in self.rows)

    def decisions(self) -> Decisions:
        """What was decided so far."""
        return Decisions(self.directory / DECISIONS)


def review(make: Make, output_dir: str | Path, *, folds: int = 5, defuse: bool = True) -> Review:
    """Say which labels of a data set are probably wrong.

    A model is trained on all folds but one and asked about that one, for each fold in turn. What a
    fold found is kept, and a review that was killed goes on where it was. ``review.csv`` has the
    rows in order.

    Args:
        make: From an output directory to task, ``RunSettings`` and training arguments.
        output_dir: New, empty, or of the same review.
        folds: How many, from 2.
        defuse: Put ``'`` before cells of the table that a spreadsheet would take for formulas.

    Raises:
        InputError: Before anything is trained or written, if input is bad.
    """
    path = check_folder(output_dir)
    task, settings, args = make(str(path))
    _check(task, settings, args, folds)
    found = read_rows(task, settings)
    pairs = repeats(found.texts, threshold=_NEAR)
    numbers = assign_folds(found, pairs, folds=folds, seed=args.seed, where=settings.data)
    config = run_config(task, settings, args)
    conditions = {"task": task.name, "data": data_hash(found.rows), "folds": folds}
    conditions |= {n: value for n, value in config.items() if n not in _UNCOMPARED}
    with locked(path):
        settle_manifest(path, conditions)
        for note in found.notes:
            logger.warning(note)
        evidence = _evidence(found, numbers, make, path)
        rows = ranked(found, evidence, pairs)
        write_table(path / TABLE, rows, defuse=defuse)
    return Review(found, rows, path, settings.encoding)


def _check(task: Task, settings: Any, args: Any, folds: int) -> None:
    """Refuse what would fail later or be ignored, before anything is read."""
    if folds < 2:
        raise InputError(f"--folds {folds}: at least 2.")
    check_alone(args, "frtune review", "a review")
    check_settings(settings, args, task)
    check_model(task, settings, args)
    if task.row_schema().target in ("label", "labels"):
        load_cleanlab()


def _evidence(found: ReviewRows, numbers: np.ndarray, make: Make, path: Path) -> list[Evidence]:
    """The evidence of all rows, in their order; folds that are done are not trained again."""
    evidence: list[Evidence] = [{} for _ in numbers]
    count = int(numbers.max()) + 1
    for number in range(count):
        held, name = numbers == number, f"fold-{number + 1}"
        lines = fold_evidence(path / f"{name}.jsonl", int(held.sum()))
        if lines is None:
            logger.warning(
                "fold %d of %d: %d rows to learn, %d to ask about", number + 1, count,
                int((~held).sum()), int(held.sum()),
            )  # fmt: skip
            try:
                lines = train_fold(found, held, make, path / name)
            except RunStopped as stop:
                told = f"stopped in fold {number + 1} of {count}; the same command continues"
                raise RunStopped(stop.signum, told) from None
            write_evidence(path / f"{name}.jsonl", lines)
        else:
            logger.warning("fold %d of %d: done before", number + 1, count)
        _fill(evidence, np.flatnonzero(held), lines)
    return evidence


def _fill(evidence: list[Evidence], places: np.ndarray, lines: Sequence[Evidence]) -> None:
    for place, line in zip(places, lines, strict=True):
        evidence[place] = line
