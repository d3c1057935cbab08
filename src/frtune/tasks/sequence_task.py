"""What classification and similarity share: a model with one answer a row, a label or a score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.checks import columns_check
from frtune.data.labels import (
    check_ids,
    class_names,
    count_classes,
    known,
    known_label,
    label_id,
    label_text,
    label_values,
    ordered,
    score_of,
    train_split,
)
from frtune.data.row_checks import rows_of
from frtune.data.row_schema import RowSchema
from frtune.errors import InputError
from frtune.metrics.bootstrap import Score
from frtune.metrics.chances import softmax
from frtune.tasks.answers import Answer, ClassReport, Given, Line
from frtune.tasks.base import ModelKind, Splits, Task
from frtune.tasks.card_lines import (
    encoder_pair_lines,
    framed_pair_lines,
    is_close,
    one_label_lines,
    pair_lines,
)
from frtune.tasks.given_answers import labels_of_scores
from frtune.tasks.label_doubts import (
    Evidence,
    LabelDoubt,
    class_doubts,
    number_line,
    score_doubts,
)
from frtune.tasks.row_scores import classes_f1
from frtune.tasks.sequences import SequenceCollator, pair_frame, token_id
from frtune.tasks.shown_rows import piece

if TYPE_CHECKING:
    from datasets import Dataset
    from typing_extensions import Self

CHANCE = "probability of the true label"


class SequenceTask(Task):
    """A task whose model has a head of a few labels, or of one score, on a text or a pair.

    Attributes:
        label_column: Column with the label: text, a whole number, or a ``ClassLabel``; or with the
            score.
        labels: The labels in the order of their ids; ``None`` has ``fit`` find them.
        calibrate_head: The head's weights are divided by the temperature.
        temperature: What logits are divided by.
        least_scores: Least probability of an answer at each level, from the top.
        label_tree: What stands above the labels.
    """

    auto_classes: ClassVar[Mapping[ModelKind, str]] = {
        "encoder": "AutoModelForSequenceClassification",
        "decoder": "AutoModelForSequenceClassification",
    }
    primary_metric: ClassVar[str] = "eval_f1_macro"
    label_column: str
    labels: list[str] | None
    calibrate_head: bool = False
    temperature: float | None = None
    least_scores: list[float] | None = None
    label_tree: str | None = None

    @classmethod
    def for_planning(cls, **settings: Any) -> Self:
        return cls(**{"labels": ["0", "1"], **settings})

    # --- what a row is -------------------------------------------------------------------------

    @property
    def label_columns(self) -> tuple[str, ...]:
        return (self.label_column,)

    @property
    def stratify_column(self) -> str | None:
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

    def count_rows(self, data: Splits, *, checked: bool) -> dict[str, int]:
        """Count the training rows of each label, in the order of the labels; none for scores."""
        train, where = train_split(data), "training rows"
        if not checked:
            dataclasses.replace(self, labels=None).check(train, where)
        if self.scored:
            return {}
        return count_classes(train, self.label_column, where, self.labels)

    def of_answers(self, given: Sequence[Given], datasets: Sequence[Dataset], where: str) -> Self:
        """Return the task with the labels: those of ``scores``, else those of the rows."""
        if self.scored or self.labels is not None:
            return self
        column, found = self.label_column, labels_of_scores(given)
        for rows in datasets if found is None else []:
            columns_check(rows, [column], where)
            found = found or class_names(rows, column)
        if found is None:
            names = (
                label_text(row[column]) for rows in datasets for row in rows_of(rows, [column])
            )
            found = ordered(name for name in names if name is not None)
        if len(found) < 2:
            raise InputError(
                f"{where}, column {column}: {', '.join(found) or 'no'} label only. Name all "
                "labels that an answer may have: --labels no yes, for example."
            )
        return dataclasses.replace(self, labels=found)

    def read_label(self, value: Any) -> str:
        """The label of an answer from anywhere."""
        label = known_label(value, self.known_labels)
        if label is None and (value is None or value == ""):
            raise InputError("has no answer. Give every row a label.")
        if label is None:
            shown = ", ".join(self.known_labels[:10])
            raise InputError(f"{str(value)[:60]!r} is no label. The labels are {shown}.")
        return label

    def row_schema(self) -> RowSchema:
        found = super().row_schema()
        return dataclasses.replace(found, target="score" if self.scored else "label")

    # --- tokens and training -------------------------------------------------------------------

    def config_overrides(self) -> dict[str, Any]:
        labels = [self.name] if self.scored else self.known_labels
        return {
            # the CrossEncoder of sentence-transformers puts a sigmoid on a score unless told
            "sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"},
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

    @property
    def divisor(self) -> float | None:
        """What logits of the saved model are yet to be divided by; ``None``: nothing."""
        return None if self.calibrate_head else self.temperature

    # --- what the model card shows ---------------------------------------------------------------

    def transformers_lines(self, tokenizer: Any, kind: ModelKind) -> list[str]:
        limit = self.max_source_tokens
        if len(self.text_columns) == 1:
            least = self.least_scores if self.label_tree is None else None
            return one_label_lines(
                limit=limit,
                temperature=self.divisor,
                least=least and least[0],
                tree=self.label_tree is not None,
            )
        head = {"symmetric": self.symmetric, "scored": self.scored}
        if kind == "decoder":  # its tokenizer does not keep the two texts apart
            return framed_pair_lines(pair_frame(tokenizer), limit=limit, **head)
        return pair_lines(limit=limit, **head)

    def cross_encoder_lines(self, kind: ModelKind) -> list[str]:
        if kind != "encoder" or self.symmetric or len(self.text_columns) == 1:
            return []
        return encoder_pair_lines(scored=self.scored)

    def is_same_answer(self, printed: Any, answer: Answer) -> bool:
        if len(self.text_columns) > 1:
            found = {key: answer[key] for key in ("label", "similarity") if key in answer}
            return is_close(printed, found)
        label = answer["label"]
        if self.label_tree is not None:  # the lines know no nodes
            label = max(answer["scores"], key=answer["scores"].__getitem__)
        score = answer["score"] if label is None else answer["scores"][label]
        return is_close(printed, {"label": label, "score": score})

    # --- scores, and how an answer is shown ----------------------------------------------------

    def references(self, dataset: Dataset, tokenizer: Any = None) -> list[Any]:
        """True label (text) or score (number) of each row, raw or encoded."""
        encoded = {"input_ids", "labels"} <= {*dataset.column_names}
        raw = () if encoded else label_values(dataset, self.label_column)
        values = dataset["labels"][:] if encoded else self.target_ids(raw)
        if self.scored:
            return [float(value) for value in values]
        labels = self.known_labels
        return [labels[i] for i in values]

    def scored_columns(self, kind: str) -> tuple[str, ...]:
        return ()

    @property
    def comparable(self) -> dict[str, Any]:
        return {"labels": self.labels}

    def row_score(self, answers: Sequence[Answer], references: Sequence[Any]) -> Score:
        return classes_f1([a["label"] for a in answers], references, self.known_labels)

    def by_class(self, lines: Sequence[Line]) -> ClassReport | None:
        if self.classes is None:
            return None
        labels = self.known_labels
        said, true = ([line[name] for line in lines] for name in ("prediction", "reference"))
        matrix = metrics.confusion_matrix(said, true, labels)
        return ClassReport(labels, matrix, metrics.class_scores(said, true, labels))

    def described_label(self, line: Line, chance: float) -> dict[str, Any]:
        """A line of ``predictions.jsonl`` with a label: ``described``, with its probability."""
        found = super().described(line)
        return {**found, "said": [*found["said"], piece(f"{chance:.2f}")]}

    # --- which labels are probably wrong --------------------------------------------------------

    def review_evidence(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any
    ) -> list[dict[str, Any]]:
        """As of every task: ``score``, or ``chances``, the probability of each label."""
        if self.scored:
            return [{"score": float(np.ravel(row)[0])} for row in outputs]
        return [{"chances": row} for row in softmax(outputs).round(6).tolist()]

    def label_doubts(self, rows: Dataset, evidence: Sequence[Evidence]) -> list[LabelDoubt]:
        """As of every task: ``score_doubts``, or ``class_doubts``."""
        labels = self.references(rows)
        if self.scored:
            return score_doubts(labels, [row["score"] for row in evidence])
        chances = np.array([row["chances"] for row in evidence])
        return class_doubts(labels, chances, self.known_labels)

    def conflict_test(self, labels: Sequence[Any]) -> Callable[[Any, Any], bool]:
        """As of every task; two scores, where a quarter of the range lies between them."""
        if not self.scored:
            return super().conflict_test(labels)
        least = (max(labels) - min(labels)) / 4
        return lambda one, other: abs(one - other) > least

    def read_label_line(self, line: str) -> Any:
        return number_line(line) if self.scored else self.read_label(line)

    def label_line(self, label: Any) -> str:
        return f"{label:g}" if self.scored else label

    def label_cell(self, label: Any, before: Any) -> Any:
        """As of every task; a number stays a number, and a truth value one."""
        if isinstance(before, bool) and str(label).lower() in ("false", "true"):
            return str(label).lower() == "true"
        if isinstance(before, str) or not isinstance(before, int | float):
            return str(label) if not self.scored else self.label_line(label)
        found = score_of(label)
        if found is None:
            return label
        return int(found) if isinstance(before, int) and found.is_integer() else found
