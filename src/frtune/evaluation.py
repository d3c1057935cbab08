"""Scores of a saved directory on any data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from frtune.data.loading import load_splits
from frtune.errors import InputError
from frtune.inference import load
from frtune.score_files import write_scores
from frtune.training.saving import staged

if TYPE_CHECKING:
    from datasets import Dataset

    from frtune.tasks.base import Task


def evaluate(
    directory: str | Path,
    data: str | Path | Dataset,
    *,
    output_dir: str | Path | None = None,
    split: str | None = None,
    encoding: str | None = None,
    max_rows: int | None = None,
    batch_size: int = 16,
    progress: str | None = None,
    columns: Mapping[str, str] | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
) -> dict[str, float]:
    """Score a saved model directory on ``data``.

    Args:
        directory: What ``frtune train`` left.
        data: File, folder, hub name or ``Dataset``, as for training; nothing is cut from it.
        output_dir: Where ``metrics.json``, ``signatures.json`` and ``predictions.jsonl`` go;
            ``None`` writes nothing.
        split: Which split to score; ``None`` takes test, else validation, else the only one.
        encoding: Encoding of the data files.
        max_rows: Score so many rows, after a seeded shuffle.
        batch_size: Rows a batch.
        progress: Label of a progress bar; ``None`` shows none.
        columns: What columns are called in ``data`` where it differs from what the model was
            trained on, by the task's fields: ``{"text_column": "comments"}``.
        text_columns: As for ``frtune.load_splits``.
        decimal_comma: As for ``frtune.load_splits``.

    Returns:
        The scores, as ``test_*``, the baselines' among them.
    """
    predictor = load(directory, batch_size=batch_size).with_columns(columns or {})
    reading = {"text_columns": text_columns, "decimal_comma": decimal_comma}
    rows, train = _rows(data, predictor.task, split, encoding, max_rows, **reading)
    encoded = predictor.encode(rows, with_labels=True)
    outputs = predictor.outputs(encoded, progress=progress)
    task, tokenizer = predictor.task, predictor.tokenizer
    scores = task.score_outputs(outputs, encoded, tokenizer)
    metrics = {f"test_{name}": float(value) for name, value in scores.items()}
    with staged(output_dir) if output_dir else TemporaryDirectory() as draft:
        metrics, _ = write_scores(
            Path(draft),
            task,
            tokenizer,
            rows=rows,
            encoded=encoded,
            outputs=outputs,
            train=train,
            metrics=metrics,
        )
    return metrics


def _rows(
    data: Any,
    task: Task,
    split: str | None,
    encoding: str | None,
    max_rows: int | None,
    **reading: Any,
) -> tuple[Dataset, Dataset | None]:
    """The rows to score, and the training rows where the data has them."""
    splits, _ = load_splits(data, task=task, encoding=encoding, cut=False, **reading)
    if split is None:
        split = next(name for name in ("test", "validation", "train") if name in splits)
    if split not in splits:
        raise InputError(f"split={split}: {data} has {', '.join(splits)}. Name one of these.")
    rows = splits[split]
    task.check(rows, f"{data}, {split}")
    if max_rows is not None and max_rows < 1:
        raise InputError(f"max_rows={max_rows}: at least 1. Leave it out to score all.")
    if max_rows is not None and max_rows < len(rows):
        rows = rows.shuffle(seed=42).select(range(max_rows))
    return rows, splits["train"] if split != "train" and "train" in splits else None
