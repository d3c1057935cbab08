"""Encoded rows in memory, where they are few: without Arrow, its files, and its import."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from frtune.tasks.base import Batch, Encoded, ModelKind, Task

FEW = 1_000  # rows; of more, Arrow takes less memory


@dataclass(frozen=True)
class EncodedRows:
    """Rows by column, read as a ``Dataset`` is.

    Example:
        >>> rows = EncodedRows({"text": ["a", "b"], "length": [3, 4]})
        >>> rows["length"], rows[1], len(rows)
        ([3, 4], {'text': 'b', 'length': 4}, 2)
    """

    columns: Mapping[str, list[Any]]

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        return list(self.columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        return {name: values[key] for name, values in self.columns.items()}

    def select_columns(self, names: Iterable[str]) -> EncodedRows:
        """Some of the columns."""
        return EncodedRows({name: self.columns[name] for name in names})

    def iter(self, batch_size: int) -> Iterator[dict[str, list[Any]]]:
        """Batches of rows, by column."""
        for start in range(0, len(self), batch_size):
            yield {name: v[start : start + batch_size] for name, v in self.columns.items()}

    def of_owners(self, owners: Sequence[int]) -> EncodedRows:
        """The encoded rows of some raw rows, in that order, numbered anew.

        Example:
            >>> rows = EncodedRows({"length": [3, 9, 5], "row": [0, 0, 1]})
            >>> rows.of_owners([1, 0]).columns
            {'length': [5, 3, 9], 'row': [0, 1, 1]}
        """
        parts: dict[int, list[int]] = {}
        for i, owner in enumerate(self.columns["row"]):
            parts.setdefault(owner, []).append(i)
        kept = [(new, i) for new, owner in enumerate(owners) for i in parts[owner]]
        picked = {name: [values[i] for _, i in kept] for name, values in self.columns.items()}
        return EncodedRows({**picked, "row": [new for new, _ in kept]})


def encode_few(
    rows: Sequence[Mapping[str, Any]],
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    kind: ModelKind,
) -> EncodedRows:
    """Encode rows without labels as ``frtune.training.encoding.encode_dataset`` does.

    Args:
        rows: With the task's columns.
        task: The task.
        tokenizer: The model's.
        kind: The model's kind.
    """
    batch = {column: [row[column] for row in rows] for column in task.columns}
    encoded, owners, firsts = encode_batch(batch, task, tokenizer, kind=kind, with_labels=False)
    raw = {
        column: [values[i] if first else None for i, first in zip(owners, firsts, strict=True)]
        for column, values in batch.items()
    }
    return EncodedRows({**raw, **encoded, "row": owners})


def read_tokens(
    rows: Sequence[Mapping[str, Any]],
    encoded: EncodedRows,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    kind: ModelKind,
) -> list[tuple[int, int] | None]:
    """How many tokens of each row the model reads, where these are not all.

    Args:
        rows: With the task's columns.
        encoded: The same, from ``encode_few``.
        task: The task.
        tokenizer: The model's.
        kind: The model's kind.

    Returns:
        For each row that is answered from its beginning: the tokens that are read, and those that
        it has; ``None`` for the others. A task that reads in windows reads all.
    """
    found: list[tuple[int, int] | None] = [None] * len(rows)
    cut = encoded["source_cut"] if "source_cut" in encoded.column_names else []
    if places := [i for i, shorter in enumerate(cut) if shorter]:
        longer = [rows[i] for i in places]
        whole = encode_few(longer, task.without_limit(), tokenizer, kind=kind)
        for i, ids in zip(places, whole["input_ids"], strict=True):
            found[i] = _tokens(encoded["input_ids"][i]), _tokens(ids)
    return found


def _tokens(input_ids: Sequence[Any]) -> int:
    """Tokens of an encoded row, of a pair in one of its orders."""
    first = input_ids[0]
    return len(input_ids) if isinstance(first, int) else len(first)


def encode_batch(
    batch: Batch,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    *,
    kind: ModelKind,
    with_labels: bool,
) -> tuple[Encoded, list[int], list[bool]]:
    """Encode a batch, and say of each encoded row whose it is, and whether it is its first.

    A task may make several encoded rows of one; the first of them keeps the raw columns, for a long
    text would be stored once a window.
    """
    collects = gc.isenabled()
    gc.disable()  # a batch makes millions of spans, and none is garbage yet
    try:
        encoded = task.encode(batch, tokenizer, kind=kind, with_labels=with_labels)
    finally:
        if collects:
            gc.enable()
    owners = encoded.pop("row_in_batch", None)
    if owners is None:
        count = len(next(iter(encoded.values())))
        return encoded, list(range(count)), [True] * count
    firsts = [i == 0 or owner != owners[i - 1] for i, owner in enumerate(owners)]
    return encoded, owners, firsts
