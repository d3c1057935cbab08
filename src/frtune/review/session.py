"""What a person sees of a row, and what becomes of their decision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frtune.data.label_sets import item_names
from frtune.errors import InputError
from frtune.review.corrected import changed_value, named, write_corrected
from frtune.review.folder import Action, Decision
from frtune.review.ranking import ReviewedRow
from frtune.review.review import Review

_LABELS = 10  # that a message names
_LABEL_CHARACTERS = 60


@dataclass(frozen=True)
class Sheet:
    """A row as it is shown.

    Attributes:
        place: From 0 to the number of rows; that number is the end.
        row: The row; ``None`` at the end.
        decision: What was decided of it before.
        typed: The label that is proposed to be typed.
    """

    place: int
    row: ReviewedRow | None = None
    decision: Decision | None = None
    typed: str = ""


class ReviewSession:
    """Hands out rows and takes decisions; nothing is remembered but in the files.

    Args:
        review: What was found.
    """

    def __init__(self, review: Review):
        self.review = review
        self.rows = review.rows
        self.decisions = review.decisions()

    def resume(self) -> int:
        """The first place that nothing was decided of, the end if there is none."""
        open_ = (i for i, row in enumerate(self.rows) if self.decisions.get(row.place) is None)
        return next(open_, len(self.rows))

    def sheet(self, place: int) -> Sheet:
        """What stands at ``place``."""
        place = min(max(place, 0), len(self.rows))
        if place == len(self.rows):
            return Sheet(place)
        row = self.rows[place]
        before = self.decisions.get(row.place)
        proposed = row.label if row.suggestion is None else row.suggestion
        typed = proposed if before is None or before.label is None else before.label
        return Sheet(place, row, before, typed)

    def decide(self, place: int, action: Action, label: str | None = None) -> None:
        """Keep a decision.

        Args:
            place: Of the row.
            action: Keep, change or drop.
            label: The new label, where it is changed.

        Raises:
            InputError: If the label is none of the task's.
        """
        if not 0 <= place < len(self.rows):
            raise InputError(f"place={place}: from 0 to {len(self.rows) - 1}.")
        row = self.rows[place].place
        line = self._checked(row, label or "") if action == "change" else None
        self.decisions.decide(row, Decision(action, line))

    def _checked(self, row: int, label: str) -> str:
        """The label as it is kept; refused if rows cannot have it."""
        found = self.review.found
        column = found.task.label_columns[0]
        names, raw = item_names(found.rows, column), found.rows[row]
        value = changed_value(self.review, label, named(raw[column], names))
        if names is None and (reason := found.task.reason({**raw, column: value})):
            raise InputError(f"{reason}. Write a label, or drop the row.")
        return found.task.label_line(found.task.read_label_line(label))

    def known_labels(self) -> list[str]:
        """Some labels that rows have, cut to a readable length."""
        labels = dict.fromkeys(row.label for row in self.rows if row.label)
        return [label[:_LABEL_CHARACTERS] for label in list(labels)[:_LABELS]]

    def save(self) -> tuple[Path, int, int]:
        """Write the corrected data; returns where, and how many rows were changed and dropped."""
        return write_corrected(self.review)
