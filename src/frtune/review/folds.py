"""Out-of-fold evidence: what models say of rows that they did not learn."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import DatasetDict
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from frtune.data.loading import cut_splits
from frtune.data.near_duplicates import NearPair
from frtune.errors import InputError
from frtune.files import draft_file, json_text
from frtune.inference import Predictor
from frtune.inference_precision import autocast
from frtune.review.rows import ReviewRows, label_strata
from frtune.run.data import RunData, tokenise
from frtune.run.model import build, starting_checkpoint, with_lora
from frtune.run.part_runs import free_memory
from frtune.run.settings import RunSettings
from frtune.run.training import build_trainer, checkpoint_to_resume
from frtune.tasks.base import Task
from frtune.tasks.label_doubts import Evidence
from frtune.training.atomic_checkpoints import checkpoints
from frtune.training.in_force import precision
from frtune.training.row_losses import row_losses
from frtune.training.training_checks import check_training

logger = logging.getLogger(__name__)

# from an output directory to task, RunSettings and training arguments
Make = Callable[[str], tuple[Task, RunSettings, Any]]


def assign_folds(
    found: ReviewRows, pairs: list[NearPair], *, folds: int, seed: int, where: str
) -> np.ndarray:
    """The fold of each row, from 0: classes in their shares, near duplicates in one fold.

    A model that learnt a copy of a row with its label would only repeat that label.

    Args:
        found: The rows.
        pairs: Near duplicates among them.
        folds: How many.
        seed: The same seed and rows give the same folds.
        where: What messages call the rows.

    Returns:
        int64 of shape ``(rows,)``.

    Raises:
        InputError: If there are too few rows.
    """
    rows = len(found.rows)
    ends = np.array([(pair.left, pair.right) for pair in pairs], int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (rows, rows))
    count, groups = connected_components(graph, directed=False)
    if count < 2 * folds:
        raise InputError(
            f"{where}: {count} different texts are too few for {folds} folds, which need "
            f"{2 * folds}. Add rows, or pass fewer --folds."
        )
    labels = label_strata(found)
    counts = Counter(labels)
    # classes with fewer rows than folds are cut as one
    kinds = {label: i for i, label in enumerate(counts) if counts[label] >= folds}
    classes = np.array([kinds.get(label, -1) for label in labels])
    cutter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    numbers = np.zeros(rows, int)
    with warnings.catch_warnings():  # of these, where even together they are few
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, held) in enumerate(cutter.split(classes, classes, groups)):
            numbers[held] = number
    return numbers


def fold_evidence(path: Path, count: int) -> list[Evidence] | None:
    """The evidence of a fold that is done, of ``count`` rows; ``None`` before."""
    if not path.is_file():
        return None
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if len(lines) != count:
        raise InputError(f"{path}: has {len(lines)} rows in place of {count}. Remove the file.")
    return lines


def write_evidence(path: Path, evidence: list[Evidence]) -> None:
    """Write what ``fold_evidence`` reads; the file appears whole or not at all."""
    with draft_file(path) as draft:
        text = "".join(json_text(dict(line)) + "\n" for line in evidence)
        draft.write_text(text, encoding="utf-8")


def train_fold(found: ReviewRows, held: np.ndarray, make: Make, directory: Path) -> list[Evidence]:
    """Train on the rows that are not held out, and say what the model says of those that are.

    A tenth of the rows to learn from selects the checkpoint. A run that was killed goes on from
    its newest checkpoint. ``directory`` is removed at the end.

    Args:
        found: The rows.
        held: Whether each is held out, bool of shape ``(rows,)``.
        make: Makes the settings.
        directory: Where the model is trained.
    """
    _, settings, args = make(str(directory))
    learnt = DatasetDict(train=found.rows.select(np.flatnonzero(~held)))
    splits, _ = cut_splits(
        learnt, where=settings.data, limits=(None, None, 0),
        stratify_by=found.task.stratify_column, stratum=found.task.stratum,
    )  # fmt: skip
    data = RunData(found.task, splits, [])
    resume = bool(checkpoints(directory))
    checkpoint = starting_checkpoint(data, settings, args)
    settings = with_lora(settings, data.task, checkpoint)
    model, tokenizer = build(data.task, settings, args, checkpoint)
    check_training(data.task, model, args, **settings.trainer_options)
    encoded = tokenise(data, model, tokenizer, args)
    trainer = build_trainer(
        data.task, settings, args, model=model, tokenizer=tokenizer, encoded=encoded
    )
    trainer.train(resume_from_checkpoint=checkpoint_to_resume(trainer, resume=resume))
    evidence = _asked(trainer, found, held)
    del trainer, model
    free_memory()
    shutil.rmtree(directory, ignore_errors=True)
    return evidence


def _asked(trainer: Any, found: ReviewRows, held: np.ndarray) -> list[Evidence]:
    """What a trained model says of the rows that are held out."""
    task, tokenizer = trainer.task, trainer.processing_class
    model = trainer.accelerator.unwrap_model(trainer.model).eval()
    kind, size = precision(trainer.args), trainer.args.per_device_eval_batch_size
    predictor = Predictor(
        task, model, tokenizer, size, kind == "bf16", trainer.generation, kind == "fp16"
    )
    encoded = predictor.encode(found.rows.select(np.flatnonzero(held)), with_labels=True)
    outputs = predictor.outputs(encoded, progress="Predicting")
    evidence = task.review_evidence(outputs, encoded, tokenizer)
    if not task.generates:
        return list(evidence)
    losses = row_losses(
        model,
        encoded,
        task,
        tokenizer,
        batch_size=size,
        autocast=partial(autocast, model.device.type, kind),
    )
    return [{**said, "loss": loss} for said, loss in zip(evidence, losses, strict=True)]
