"""Rows that a user tokenised: checked at once, and given the columns that batches need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute
from datasets import Dataset

from frtune.errors import InputError
from frtune.models.config_sizes import max_positions
from frtune.models.families import kind_of
from frtune.tasks.base import Task
from frtune.tasks.collators import IGNORED
from frtune.training.encoding import tokenised_elsewhere

compute: Any = pyarrow.compute  # its functions are made when it is imported


def prepared(
    dataset: Dataset, task: Task, model: Any, tokenizer: Any, *, where: str, needs: Sequence[str]
) -> Dataset:
    """Rows of the user's own tokens as those of frtune; all others as they are.

    Padded tokens, whose ``attention_mask`` is 0, are taken out. ``length`` and ``row`` are added
    and, of a decoder that writes, ``prompt_length``: the labels that are -100 at the beginning.

    Args:
        dataset: Rows.
        task: The task.
        model: The model.
        tokenizer: Its tokenizer.
        where: What messages call the rows.
        needs: Columns that must be there besides ``input_ids``.

    Raises:
        InputError: If columns are missing, or do not hold what task and model need.
    """
    if not tokenised_elsewhere(dataset):
        return dataset
    dataset = _unpadded(dataset)
    _check(dataset, task, model, tokenizer, where)
    dataset = _completed(dataset, task, model)
    if missing := [name for name in needs if name not in dataset.column_names]:
        raise InputError(
            f"{where}: the rows are tokenised, and lack {', '.join(missing)} beside input_ids. Add "
            f"{'it' if len(missing) == 1 else 'them'}, or pass raw rows with "
            f"{', '.join((*task.columns, *task.label_columns))}."
        )
    return dataset


def _unpadded(dataset: Dataset) -> Dataset:
    if "attention_mask" not in dataset.column_names:
        return dataset
    masks = dataset.with_format("arrow")[:]["attention_mask"]
    flat = masks
    while hasattr(flat.type, "value_type"):
        flat = compute.list_flatten(flat)
    if compute.min(flat).as_py() == 1:
        return dataset
    names = [n for n in ("input_ids", "token_type_ids", "labels") if n in dataset.column_names]

    def shortened(row: dict[str, Any]) -> dict[str, Any]:
        return {name: _kept(row[name], row["attention_mask"]) for name in names}

    return dataset.map(shortened, desc="Taking padding out").remove_columns("attention_mask")


def _kept(values: Any, mask: Sequence[Any]) -> Any:
    if mask and isinstance(mask[0], list):  # both orders of a pair
        nested = isinstance(values, list) and bool(values) and isinstance(values[0], list)
        return [_kept(*pair) for pair in zip(values, mask, strict=True)] if nested else values
    if not isinstance(values, list) or len(values) != len(mask):
        return values  # a label, or the target of an encoder-decoder
    return [value for value, real in zip(values, mask, strict=True) if real]


def _check(dataset: Dataset, task: Task, model: Any, tokenizer: Any, where: str) -> None:
    ids = dataset["input_ids"]
    orders = 2 if task.symmetric else 1
    size, positions = len(tokenizer), max_positions(model.config)
    embedding = model.get_input_embeddings()
    size = max(size, getattr(embedding, "num_embeddings", 0) or 0)
    for row, value in enumerate(ids):
        nested = bool(value) and isinstance(value[0], list)
        if nested != (orders == 2) or (nested and len(value) != 2):
            raise InputError(
                f"{where}, row {row + 1}: input_ids hold {'lists' if nested else 'no lists'}. "
                f"{'Give a list of two, one an order' if orders == 2 else 'Give token ids'}."
            )
        for one in value if nested else [value]:
            _check_ids(one, size, positions, f"{where}, row {row + 1}")
    if "labels" in dataset.column_names:
        _check_labels(dataset, task, model, where)


def _check_ids(ids: Sequence[int], size: int, positions: int | None, where: str) -> None:
    if not ids:
        raise InputError(f"{where}: has no token. Leave it out.")
    if max(ids) >= size or min(ids) < 0:
        raise InputError(
            f"{where}: token {max(ids) if max(ids) >= size else min(ids)} is none of this model's "
            f"{size:,}. Tokenise with the tokenizer that the builder returned."
        )
    if positions is not None and len(ids) > positions:
        raise InputError(
            f"{where}: {len(ids)} tokens, and this model has {positions} positions. Cut it."
        )


def _check_labels(dataset: Dataset, task: Task, model: Any, where: str) -> None:
    """Labels as the loss reads them: one a row, one a token, a target's ids, or 0 and 1 a class."""
    if getattr(model.config, "problem_type", None) == "multi_label_classification":
        _check_indicators(dataset, model.config.num_labels, where)
        return
    a_token = task.labels_tokens or (task.generates and kind_of(model) == "decoder")
    classes = getattr(model.config, "num_labels", 0)
    for row, (labels, ids) in enumerate(zip(dataset["labels"], dataset["input_ids"], strict=True)):
        place = f"{where}, row {row + 1}: labels"
        listed = isinstance(labels, list)
        if listed != (task.labels_tokens or task.generates) or labels is None:
            shape = "a list of numbers" if task.labels_tokens or task.generates else "one number"
            raise InputError(f"{place} are {str(labels)[:40]}. Give {shape}.")
        if a_token and len(labels) != len(ids):
            raise InputError(
                f"{place} are {len(labels)} for {len(ids)} input_ids. Give one for each, "
                f"{IGNORED} for tokens without loss."
            )
        if task.generates or task.scored:
            continue
        for label in labels if listed else [labels]:
            if not (label in range(classes) or (listed and label == IGNORED)):
                raise InputError(f"{place}: {label} is none of {classes} classes, from 0.")


def _check_indicators(dataset: Dataset, classes: int, where: str) -> None:
    for row, labels in enumerate(dataset["labels"], start=1):
        if not isinstance(labels, list) or len(labels) != classes or {*labels} - {0.0, 1.0}:
            raise InputError(
                f"{where}, row {row}: labels are {str(labels)[:40]}. Give {classes} numbers, 1.0 "
                "for each class that the row has, else 0.0."
            )


def _completed(dataset: Dataset, task: Task, model: Any) -> Dataset:
    columns, count = dataset.column_names, len(dataset)
    if "length" not in columns:
        ids = dataset["input_ids"]
        lengths = [max(map(len, value)) if task.symmetric else len(value) for value in ids]
        dataset = dataset.add_column("length", lengths)  # type: ignore[call-arg]
    if "row" not in columns:
        dataset = dataset.add_column("row", list(range(count)))  # type: ignore[call-arg]
    writes = task.generates and kind_of(model) == "decoder"
    if writes and "prompt_length" not in columns:
        if "labels" not in columns:
            prompts = list(dataset["length"])
        else:
            prompts = [int(np.argmax(np.array(x) != IGNORED)) for x in dataset["labels"]]
        if all(prompts):
            dataset = dataset.add_column("prompt_length", prompts)  # type: ignore[call-arg]
    return dataset
