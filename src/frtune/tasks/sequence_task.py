"""What classification and similarity share: a model with one answer a row, a label or a score."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from frtune.data.labels import check_ids, known, label_id, label_values, score_of
from frtune.data.row_schema import RowSchema
from frtune.tasks.base import ModelKind, Task
from frtune.tasks.row_scores import classes_f1
from frtune.tasks.sequences import SequenceCollator, token_id
from frtune.tasks.shown_rows import piece

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from typing_extensions import Self

    from frtune.metrics.bootstrap import Score

CHANCE = "probability of the true label"


class SequenceTask(Task):
    """A task whose model has a head of a few labels, or of one score, on a text or a pair.

    Attributes:
        label_column: Column with the label: text, a whole number, or a ``ClassLabel``; or with the
            score.
        labels: The labels in the order of their ids; ``None`` has ``fit`` find them.
    """

    auto_classes: ClassVar[Mapping[ModelKind, str]] = {
        "encoder": "AutoModelForSequenceClassification",
        "decoder": "AutoModelForSequenceClassification",
    }
    primary_metric: ClassVar[str] = "eval_f1_macro"
    label_column: str
    labels: list[str] | None

    @classmethod
    def for_planning(cls, **settings: Any) -> Self:
        """The task with two labels."""
        return cls(**{"labels": ["0", "1"], **settings})

    # --- what a row is -------------------------------------------------------------------------

    @property
    def label_columns(self) -> tuple[str, ...]:
        return (self.label_column,)

    @property
    def stratify_column(self) -> str | None:
        """The labels' column; none for scores."""
        return None if self.scored else self.label_column

    @property
    def classes(self) -> list[str] | None:
        return None if self.scored else self.labels

    @property
    def known_labels(self) -> list[str]:
        """The labels; ``InputError`` before ``fit``."""
        return known(self.labels)

    def check_labels(self, dataset: Dataset, where: str) -> None:
        if not self.scored:
            check_ids(dataset, self.label_column, self.labels, where)

    def row_schema(self) -> RowSchema:
        found = super().row_schema()
        return dataclasses.replace(found, target="score" if self.scored else "label")

    # --- tokens and training -------------------------------------------------------------------

    def config_overrides(self) -> dict[str, Any]:
        """The labels and their ids; or one output, with the task's name."""
        labels = [self.name] if self.scored else self.known_labels
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
            "problem_type": "regression" if self.scored else "single_label_classification",
        }

    def target_ids(self, values: Sequence[Any]) -> list[Any]:
        """``labels`` of encoded rows: ids of labels, or scores."""
        if self.scored:
            return [score_of(value) for value in values]
        labels = self.known_labels
        return [label_id(value, labels) for value in values]

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        orders = 2 if self.symmetric else 1
        return SequenceCollator(pad_id=token_id(tokenizer.pad_token_id), orders=orders)

    # --- scores, and how an answer is shown ----------------------------------------------------

    def references(self, dataset: Dataset, tokenizer: Any = None) -> list[Any]:
        """True label (text) or score (number) of each row, raw or encoded."""
        encoded = {"input_ids", "labels"} <= {*dataset.column_names}
        raw = () if encoded else label_values(dataset, self.label_column)
        values = dataset["labels"] if encoded else self.target_ids(raw)
        if self.scored:
            return [float(value) for value in values]
        labels = self.known_labels
        return [labels[i] for i in values]

    @property
    def comparable(self) -> dict[str, Any]:
        return {"labels": self.labels}

    def row_score(self, answers: Sequence[Mapping[str, Any]], references: Sequence[Any]) -> Score:
        """Macro F1 of the labels."""
        return classes_f1([a["label"] for a in answers], references, self.known_labels)

    def described_label(self, line: Mapping[str, Any], chance: float) -> dict[str, Any]:
        """A line of ``predictions.jsonl`` with a label: ``described``, with its probability."""
        said, true = line["prediction"], line["reference"]
        kind = "right" if said == true else "wrong"
        return {
            "said": [piece(str(said), kind), piece(f"{chance:.2f}")],
            "true": [piece(str(true))],
        }
