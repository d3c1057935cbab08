"""Reviewed rows in order, the most doubtful first, and the table of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frtune.data.formula_cells import defused_row
from frtune.data.near_duplicates import NearPair
from frtune.files import draft_file
from frtune.review.rows import ReviewRows
from frtune.review.translations import WORDS
from frtune.tasks.label_doubts import Evidence, Reason

COLUMNS = ("row", "text", "label", "suggested_label", "confidence", "why", "split")


@dataclass(frozen=True)
class ReviewedRow:
    """A row as it is shown.

    Attributes:
        place: Its number among the reviewed rows, from 0.
        split: The split of the file that it stands in.
        number: Its number there, from 1.
        texts: Its texts.
        label: Its label, as a line.
        suggestion: What the models say instead; ``None`` where they agree.
        confidence: How sure it is that the label is another one, from 0 to 1.
        reasons: Why it is doubted.
    """

    place: int
    split: str
    number: int
    texts: tuple[str, ...]
    label: str
    suggestion: str | None
    confidence: float
    reasons: tuple[Reason, ...]

    @property
    def why(self) -> str:
        """The reasons in English."""
        return "; ".join(WORDS[reason.name][0].format(**reason.values) for reason in self.reasons)


def ranked(
    found: ReviewRows, evidence: Sequence[Evidence], pairs: Sequence[NearPair]
) -> list[ReviewedRow]:
    """The rows in order: those with a reason first, and the most doubtful first.

    Args:
        found: The rows.
        evidence: What models say of each that did not learn it.
        pairs: Near duplicates among them; those with labels that exclude one another are doubted.
    """
    task = found.task
    doubts, labels = task.label_doubts(found.rows, evidence), task.references(found.rows)
    reasons = {i: list(doubt.reasons) for i, doubt in enumerate(doubts)}
    conflict = task.conflict_test(labels)
    for pair in pairs:
        if conflict(labels[pair.left], labels[pair.right]):
            for own, other in ((pair.left, pair.right), (pair.right, pair.left)):
                where = found.places[other]
                values = {"row": str(where.number + 1), "label": task.label_line(labels[other])}
                reasons[own].append(Reason("near_duplicate", {"split": where.split, **values}))
    order = sorted(range(len(doubts)), key=lambda i: (not reasons[i], -doubts[i].doubt, i))
    columns = [list(found.rows[name]) for name in task.text_columns]
    return [
        ReviewedRow(
            place=i,
            split=found.places[i].split,
            number=found.places[i].number + 1,
            texts=tuple(column[i] for column in columns),
            label=task.label_line(labels[i]),
            suggestion=None
            if doubts[i].suggestion is None
            else task.label_line(doubts[i].suggestion),
            confidence=round(doubts[i].confidence, 4),
            reasons=tuple(reasons[i]),
        )
        for i in order
    ]


def write_table(path: Path, rows: Sequence[ReviewedRow], *, defuse: bool = True) -> None:
    """Write ``review.csv``, for people and spreadsheets: UTF-8 with a byte order mark.

    Args:
        path: Where to.
        rows: In their order.
        defuse: Put ``'`` before cells that a spreadsheet would take for formulas.
    """
    with draft_file(path) as draft, open(draft, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            cells = (row.number, "\n".join(row.texts), row.label, row.suggestion or "",
                     row.confidence, row.why, row.split)  # fmt: skip
            writer.writerow(defused_row(cells, defuse=defuse))
