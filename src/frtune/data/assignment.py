"""What becomes of each row: the split that it goes to, or why it is rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset

from frtune.data.audit import column_of
from frtune.data.near_duplicates import NearPair, first_of_each
from frtune.data.row_schema import RowSchema
from frtune.data.sources import Part, listed
from frtune.data.splitting import SPLITS, Cut, cut_rows
from frtune.errors import InputError

REJECTED = -1


@dataclass
class RowAssignment:
    """The rows of an examined table and what becomes of them.

    Attributes:
        table: As ``examine`` returns it.
        parts: Where the rows came from.
        schema: What the rows are for.
        split: Place in ``SPLITS`` of each row's split, -1 for a rejected row; int8, ``(rows,)``.
        late: Reason and detail of rows that were rejected for another row's sake.
    """

    table: Dataset
    parts: list[Part]
    schema: RowSchema
    split: np.ndarray
    late: dict[int, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def of_filters(cls, table: Dataset, parts: list[Part], schema: RowSchema) -> RowAssignment:
        """Start with what the filters say and with the splits that the rows came in."""
        came_in = np.array([SPLITS.index(part.split) for part in parts], np.int8)
        split = came_in[column_of(table, "part")]
        reasons = table.data.column("reason").chunks
        kept = np.array([not reason for chunk in reasons for reason in chunk.to_pylist()], bool)
        return cls(table, parts, schema, np.where(kept, split, REJECTED).astype(np.int8))

    def place(self, row: int) -> str:
        """Where a row came from, in words."""
        return f"{self.parts[self._cell('part', row)].name}, row {self._cell('row', row) + 1}"

    def _cell(self, column: str, row: int) -> Any:
        """One value; ``Dataset`` takes a hundred times as long for it."""
        return self.table.data.column(column)[row].as_py()

    def reject_repeats(self) -> None:
        """Reject rows whose text another has too; the one in test or validation is kept.

        Of labels and scores, a repeated text with another one is a conflict.
        """
        rows = np.flatnonzero(self.split >= 0)
        keys = column_of(self.table, "key")[rows]
        first = rows[first_of_each(keys, -self.split[rows].astype(np.int64))]
        repeated = first != rows
        for row, kept in zip(rows[repeated].tolist(), first[repeated].tolist(), strict=True):
            found, wanted = self._target(row), self._target(kept)
            if found == wanted:
                self.late[row] = ("duplicate", f"same text as {self.place(kept)}")
            else:
                detail = f"{found!r}, but {wanted!r} with the same text in {self.place(kept)}"
                self.late[row] = ("conflict", detail)
            self.split[row] = REJECTED

    def _target(self, row: int) -> str | float | None:
        """The label or score of a row; ``None`` where rows have phrases."""
        if self.schema.target == "phrases":
            return None
        value = self._cell(self.schema.target_name, row)
        return "; ".join(sorted(value)) if self.schema.target == "labels" else value

    def strata(self, rows: np.ndarray) -> Sequence[Any] | None:
        """A number for each row's label, by which a cut is stratified; ``None`` without labels.

        Of several labels a row, their list.
        """
        if self.schema.target == "labels":
            return self.table.data.column(self.schema.target_name).take(rows).to_pylist()
        if self.schema.target != "label":
            return None
        labels = self.table.data.column(self.schema.target_name).dictionary_encode()
        numbers = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in labels.chunks]
        return np.concatenate(numbers)[rows].tolist()

    def reject_near(self, pairs: list[NearPair]) -> None:
        """Of near duplicates in two splits, reject the one in train, or else in validation."""
        for pair in pairs:
            low, high = sorted((pair.left, pair.right), key=lambda row: int(self.split[row]))
            if self.split[low] >= 0:
                detail = f"Jaccard {pair.jaccard:.2f} with {self.place(high)}"
                self.late[low] = ("near_duplicate", detail)
                self.split[low] = REJECTED

    def cut(self, cut: Cut, *, where: str) -> list[str]:
        """Cut the wanted and missing splits off train, classes in their shares; return notes."""
        kept = np.flatnonzero(self.split >= 0)
        if not len(kept):
            raise InputError(f"{where}: no row is left of {len(self.split)}: {self._reasons()}")
        if cut.resplit:
            self.split[kept] = 0
        came_in = {part.split for part in self.parts} if not cut.resplit else {"train"}
        missing = {name: part for name, part in cut.wanted.items() if name not in came_in}
        train = np.flatnonzero(self.split == 0)
        if not missing or not len(train):
            return []
        strata = self.strata(train)
        rows = cut_rows(len(train), missing, seed=cut.seed, where=f"{where}, train", strata=strata)
        for name, drawn in rows.items():
            self.split[train[drawn]] = SPLITS.index(name)
        sizes = listed([f"{len(each)} {name}" for name, each in rows.items()])
        note = f"{listed(list(missing))} cut from train with seed {cut.seed}: {sizes} rows"
        return [
            note + (f", stratified by {self.schema.target_column}" if strata is not None else "")
        ]

    def _reasons(self) -> str:
        """The counts, and the commonest reason in words, of the first row that has it."""
        counts = self.count_reasons()
        shown = ", ".join(f"{count} {reason}" for reason, count in counts.items())
        columns = (self.table.data.column(name).to_pylist() for name in ("reason", "detail"))
        pairs = [*self.late.values(), *zip(*columns, strict=True)]
        commonest = next(iter(counts), None)
        detail = next((detail for reason, detail in pairs if reason == commonest and detail), "")
        said = f" (such as: {detail[:160]})" if detail else ""
        return f"{shown}{said}. Check the columns and the limits."

    def count_reasons(self) -> dict[str, int]:
        """Count the rejected rows by their reason, the most frequent first."""
        counts = Counter(reason for reason, _ in self.late.values())
        for chunk in self.table.data.column("reason").chunks:
            counts.update(filter(None, chunk.to_pylist()))
        return dict(counts.most_common())
