"""Saved models side by side on the same rows: scores, agreement, size, speed, memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from frtune.comparison.measurement import measure, size_bytes
from frtune.comparison.report import write_comparison
from frtune.comparison.result import Comparison
from frtune.comparison.row_scores import RowScores, paired_difference, row_scores
from frtune.environment.hardware import processor
from frtune.errors import InputError
from frtune.evaluation import scored_rows, separator_in
from frtune.inference import load
from frtune.metrics.bootstrap import interval, resampled
from frtune.models.bitsandbytes import quantization_record
from frtune.models.lineage import lineage
from frtune.models.onnx_graph import graph_kind
from frtune.outputs import check_output_directory
from frtune.tasks.base import Task
from frtune.tasks.config_file import load_task

logger = logging.getLogger(__name__)

_TIMED = 64  # rows whose texts are timed, again and again


def compare(
    directories: Sequence[str | Path],
    data: str | Path | Dataset,
    *,
    split: str | None = None,
    max_rows: int | None = None,
    output_dir: str | Path | None = None,
    batch_sizes: Sequence[int] = (1, 32),
    bf16: bool | None = None,
    fp16: bool | None = None,
    samples: int = 2000,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    text_columns: Sequence[str] | None = None,
    decimal_comma: bool = False,
) -> Comparison:
    """Compare saved models of one task on the same rows.

    Args:
        directories: What ``frtune train`` or ``frtune quantize`` left; the others are held against
            the first.
        data: As for ``frtune.evaluate``.
        split: Which split to score; ``None`` takes test, else validation, else the only one.
        max_rows: Number of rows to score, drawn with a seed.
        output_dir: Where ``comparison.md``, ``comparison.json`` and, with the extra ``plots``,
            ``comparison.png`` go; ``None`` writes nothing.
        batch_sizes: Texts a batch, for the times.
        bf16: Compute in bf16, as of ``frtune.load``.
        fp16: Compute in fp16, as of ``frtune.load``.
        samples: Resamples of the bootstrap; the draws are the same for every model.
        columns: As for ``frtune.evaluate``.
        encoding: As for ``frtune.evaluate``.
        text_columns: As for ``frtune.load_splits``.
        decimal_comma: As for ``frtune.load_splits``.

    Raises:
        InputError: If the directories are of different tasks or labels, or the data does not fit.
    """
    if any(isinstance(size, bool) or size < 1 for size in batch_sizes) or not batch_sizes:
        raise InputError(
            f"batch_sizes={list(batch_sizes)}: whole numbers from 1. Pass 1 32, for example."
        )
    places = [Path(directory) for directory in directories]
    if output_dir is not None:
        check_output_directory(output_dir, inputs=places)
    columns = dict(columns or {})
    separator = separator_in(columns)
    saved = _same_task(places)
    tasks = [task.with_columns(columns) for task in saved]
    rows, _ = scored_rows(
        data, tasks[0], split=split, max_rows=max_rows, encoding=encoding,
        text_columns=text_columns, decimal_comma=decimal_comma, separator=separator,
    )  # fmt: skip
    for task in tasks[1:]:
        task.check(rows, str(data))
    found: list[RowScores] = []
    models: list[dict[str, Any]] = []
    names = dict(zip(tasks[0].columns, saved[0].columns, strict=True))
    timed = [
        {names[column]: value for column, value in row.items()}
        for row in rows.select_columns([*names]).select(range(min(_TIMED, len(rows)))).to_list()
    ]
    for place, name in zip(places, _names(places), strict=True):
        logger.info("comparing %s", place)
        found.append(_score(place, rows, columns, bf16=bf16, fp16=fp16))
        record = quantization_record(place)
        models.append({
            "name": name, "directory": str(place), "sequence": lineage(place),
            "quantized": record["method"] if record else graph_kind(place),
            **_statistics(found[0], found[-1], samples),
            "size_bytes": size_bytes(place),
            **measure(place, timed, task=tasks[0], batch_sizes=batch_sizes, bf16=bf16, fp16=fp16),
        })  # fmt: skip
    result = Comparison(
        tasks[0].name, len(rows), found[0].f1_name, found[0].accuracy_name, models, _machine()
    )
    if output_dir is not None:
        write_comparison(result, Path(output_dir))
    return result


def _same_task(places: Sequence[Path]) -> list[Task]:
    """The tasks of the directories, which must answer the same question."""
    if not places:
        raise InputError("directories: none. Give at least one model directory.")
    tasks = []
    for place in places:
        if not place.is_dir():
            raise InputError(f"{place}: no such directory. Give the output of frtune train.")
        tasks.append(load_task(place))
    first = tasks[0]
    for place, task in zip(places[1:], tasks[1:], strict=True):
        if type(task) is not type(first):
            raise InputError(
                f"{place}: is of the task {task.name}, and {places[0]} of {first.name}. "
                "Compare models of one task."
            )
        for name, ours in first.comparable.items():
            theirs = task.comparable[name]
            if sorted(ours or []) != sorted(theirs or []):
                raise InputError(
                    f"{place}: its {name} is {theirs}, and that of {places[0]} {ours}. "
                    "Compare models that answer alike."
                )
    return tasks


def _names(places: Sequence[Path]) -> list[str]:
    """The last part of each path, or the whole where two are alike."""
    short = [place.resolve().name for place in places]
    return [
        name if short.count(name) == 1 else str(place)
        for name, place in zip(short, places, strict=True)
    ]


def _score(
    place: Path, rows: Dataset, columns: Mapping[str, str], **precision: bool | None
) -> RowScores:
    predictor = load(place, **precision).with_columns(columns)
    encoded = predictor.encode(rows, with_labels=True)
    outputs = predictor.outputs(encoded, progress=place.name)
    return row_scores(predictor.task, outputs, encoded, predictor.tokenizer)


def _statistics(first: RowScores, own: RowScores, samples: int) -> dict[str, Any]:
    count = len(own.answers)
    draws = resampled(own.resample, count, samples=samples)
    low, high = interval(draws)
    values: dict[str, Any] = {
        "scores": own.scores,
        "accuracy": None if own.accuracy_name is None else own.scores[own.accuracy_name],
        "f1": own.scores[own.f1_name],
        "f1_low": low,
        "f1_high": high,
    }
    if own is first:
        none = dict.fromkeys(("difference", "p_value", "p_note", "agreement"))
        return {**values, **none}
    same = sum(a == b for a, b in zip(first.answers, own.answers, strict=True))
    unlike = sum(a != b for a, b in zip(first.predictions, own.predictions, strict=True))
    return {
        **values,
        "difference": own.scores[own.f1_name] - first.scores[first.f1_name],
        **paired_difference(first.resample, own.resample, count, unlike, samples),
        "agreement": same / count,
    }


def _machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }
