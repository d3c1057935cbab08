"""Which of several labels a row are probably wrong, or missing: each is a question of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from frtune.data.label_sets import as_indicators, label_set
from frtune.tasks.label_doubts import Evidence, LabelDoubt, Reason, class_doubts
from frtune.tasks.phrase_labels import phrases_cell, phrases_line
from frtune.tasks.sequence_task import SequenceTask

if TYPE_CHECKING:
    from datasets import Dataset

WITHOUT, WITH = "without", "with"


class LabelSetDoubts(SequenceTask):
    """The review of several labels a row, of ``MultiLabelClassification``, whose fields it has."""

    label_separator: str
    chances: Callable[..., np.ndarray]

    def review_evidence(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any
    ) -> list[dict[str, Any]]:
        """As of every task: ``chances``, the probability of each label."""
        return [{"chances": row} for row in self.chances(outputs).round(6).tolist()]

    def label_doubts(self, rows: Dataset, evidence: Sequence[Evidence]) -> list[LabelDoubt]:
        """As of every task: ``class_doubts`` of each label, with it and without it.

        The order of rows is that of their most doubtful label.
        """
        labels, given = self.known_labels, self.references(rows)
        true = np.array(as_indicators(given, labels))  # (rows, labels)
        chances = np.array([row["chances"] for row in evidence])
        by_label = {
            label: class_doubts(
                [WITH if value else WITHOUT for value in true[:, i]],
                np.stack([1 - chances[:, i], chances[:, i]], axis=-1),
                [WITHOUT, WITH],
            )
            for i, label in enumerate(labels)
            if 0 < true[:, i].sum() < len(true)  # else there is nothing to compare with
        }
        of_rows = ({label: each[i] for label, each in by_label.items()} for i in range(len(given)))
        return [_joined(row, doubts, self) for row, doubts in zip(given, of_rows, strict=True)]

    def conflict_test(self, labels: Sequence[Any]) -> Callable[[Any, Any], bool]:
        """As of every task; rows of one text have the same labels."""
        return lambda one, other: {*one} != {*other}

    def label_line(self, label: Any) -> str:
        return phrases_line(label, self.label_separator)

    def read_label_line(self, line: str) -> list[str]:
        found = label_set(line.strip() or "[]", self.label_separator)
        return [self.read_label(label) for label in found]

    def label_cell(self, label: Any, before: Any) -> Any:
        """As of every task; numbers stay numbers, in a list too."""
        if isinstance(before, str) and not label:
            return "[]"
        if isinstance(before, list) and before and all(isinstance(item, int) for item in before):
            cell = super().label_cell
            return [cell(each, before[0]) for each in label]
        if before is not None and not isinstance(before, str | list):
            one = len(label) == 1
            return super().label_cell(label[0], before) if one else self.label_cell(label, "")
        return phrases_cell(label, before, self.label_separator)


def _joined(given: list[str], doubts: dict[str, LabelDoubt], task: LabelSetDoubts) -> LabelDoubt:
    """The doubt of a row, of those of its labels."""
    wrong = [label for label in given if label in doubts and doubts[label].reasons]
    lacking = [label for label in doubts if label not in given and doubts[label].reasons]
    told = {"labels_unlikely": wrong, "labels_missing": lacking}
    reasons = tuple(
        Reason(name, {"phrases": task.label_line(labels)})
        for name, labels in told.items()
        if labels
    )
    turned = {label for label in doubts if doubts[label].suggestion is not None}
    said = [label for label in given if label not in turned]
    said += [label for label in doubts if label in turned and label not in given]
    worst = max(doubts.values(), key=lambda doubt: doubt.doubt, default=LabelDoubt(0.0, 0.0))
    return LabelDoubt(worst.doubt, worst.confidence, said if turned else None, reasons)
