"""Rows to tokens: checked, cached by content, counted where they were cut."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from frtune.errors import InputError
from frtune.tasks._task import ModelKind

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

ROWS_WORTH_A_PROCESS = 5_000


def kind_of(model: Any) -> ModelKind:
    """The model's kind, by its family."""
    from frtune.models.families import family_for

    return family_for(model.config.model_type).kind


def encode_dataset(
    dataset: Dataset,
    task: Any,
    tokenizer: PreTrainedTokenizerBase,
    *,
    kind: str,
    with_labels: bool = True,
    num_proc: int | None = None,
) -> Dataset:
    """Encode every row with ``task.encode``; a data set that has ``input_ids`` is left as it is.

    The result is an Arrow file keyed by the content of data, task and tokenizer, so that a second
    run starts at once. The columns that the scores need stay beside the tokens, and ``row`` numbers
    the rows from 0. A task may make several encoded rows of one; its ``encode`` then says whose
    they are in ``row_in_batch``, and the first of them keeps the raw columns (the rest: ``None``).

    Args:
        dataset: Raw rows.
        task: The task; its ``columns`` and ``label_columns`` must be there.
        tokenizer: As the builder returned it.
        kind: The model's kind.
        with_labels: Encode targets too.
        num_proc: Processes; by default one a core for large data sets.
    """
    if "input_ids" in dataset.column_names:
        return dataset
    needed = [*task.columns, *(task.label_columns if with_labels else ())]
    if num_proc is None:
        num_proc = min(os.cpu_count() or 1, len(dataset) // ROWS_WORTH_A_PROCESS) or None
    return dataset.select_columns(needed).map(
        _encode_batch,
        batched=True,
        with_indices=True,
        num_proc=num_proc if (num_proc or 1) > 1 else None,
        fn_kwargs={
            "task": task,
            "tokenizer": tokenizer,
            "kind": kind,
            "with_labels": with_labels,
        },
        new_fingerprint=_fingerprint(dataset, task, tokenizer, kind, with_labels),
        desc="Tokenising",
    )


def _encode_batch(batch, indices, *, task, tokenizer, kind, with_labels):
    encoded = task.encode(batch, tokenizer, kind=kind, with_labels=with_labels)
    owners = encoded.pop("row_in_batch", None)
    if owners is None:
        return {**encoded, "row": indices}
    firsts = [i == 0 or owner != owners[i - 1] for i, owner in enumerate(owners)]
    # a long text would be stored once a window
    raw = {
        name: [
            values[owner] if first else None for owner, first in zip(owners, firsts, strict=True)
        ]
        for name, values in batch.items()
    }
    return {**raw, **encoded, "row": [indices[owner] for owner in owners]}


def _fingerprint(dataset: Any, task: Any, tokenizer: Any, kind: str, with_labels: bool) -> str:
    from datasets.fingerprint import Hasher

    from frtune import __version__

    backend = getattr(tokenizer, "backend_tokenizer", None)
    vocabulary = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab())
    fields = json.dumps(dataclasses.asdict(task), sort_keys=True)
    special = json.dumps(tokenizer.special_tokens_map, sort_keys=True, default=str)
    name = type(tokenizer).__name__
    parts = [dataset._fingerprint, task.name, fields, vocabulary, special, name, kind, with_labels]
    return Hasher.hash([*parts, __version__])


def truncation_report(dataset: Dataset) -> dict[str, int]:
    """Rows of an encoded data set whose source or target was cut to fit.

    Returns:
        ``rows``, ``source_cut``, ``target_cut``.
    """
    counts = {"rows": len(dataset)}
    for name in ("source_cut", "target_cut"):
        if name in dataset.column_names:
            counts[name] = sum(dataset[name])
    return counts


def check_length(task: Any, model: Any) -> None:
    """Refuse a task whose longest row does not fit the model's positions."""
    positions = _positions(model.config)
    if positions is None:
        return
    decoder = not getattr(model.config, "is_encoder_decoder", False) and task.generates
    needed = task.max_source_tokens + (task.max_target_tokens if decoder else 0)
    if needed > positions:
        room = positions - (task.max_target_tokens if decoder else 0)
        raise InputError(
            f"max_source_tokens={task.max_source_tokens}: this {model.config.model_type} has "
            f"{positions} positions. Pass --max-source-tokens {room} or less."
        )


def _positions(config: Any) -> int | None:
    """Positions that the model can embed; ``None`` where they are relative and unlimited."""
    if config.model_type in ("t5", "mt5", "umt5"):
        return None
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if found and config.model_type in ("camembert", "roberta", "xlm-roberta"):
        return found - config.pad_token_id - 1
    return found
