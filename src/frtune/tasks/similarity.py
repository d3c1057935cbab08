"""Sentence similarity: two sentences go in, the chance of a paraphrase or a score comes out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.cleaning import clean_text
from frtune.data.labels import (
    check_limit,
    check_names,
    check_pair_labels,
    label_reason,
    label_text,
    score_reason,
    sentence_reason,
    warn_unknown,
)
from frtune.data.row_schema import RowSchema
from frtune.errors import InputError
from frtune.metrics.bootstrap import Score, spearman_score
from frtune.metrics.chances import softmax
from frtune.metrics.intervals import class_intervals, pair_intervals
from frtune.ranges import check_fields
from frtune.tasks.answer_html import Say, similarity_html
from frtune.tasks.answers import Answer, Given, Intervals, Line, Scores, Texts
from frtune.tasks.base import Batch, Encoded, ModelKind, Row, Splits
from frtune.tasks.given_answers import number_of
from frtune.tasks.loss import StepLoss
from frtune.tasks.sequence_task import CHANCE, SequenceTask
from frtune.tasks.sequences import encode_pairs
from frtune.tasks.shown_rows import piece

if TYPE_CHECKING:
    from datasets import Dataset

Head = Literal["classification", "regression"]


def _similarities(answers: Sequence[Answer]) -> list[float] | None:
    """Score or chance of each answer; ``None`` where one says its label alone."""
    known = all("similarity" in answer for answer in answers)
    return [answer["similarity"] for answer in answers] if known else None


def _in_any_order(texts: Sequence[str]) -> str:
    return "\n".join(sorted(texts))


@dataclass(frozen=True)
class SentenceSimilarity(SequenceTask):
    """Compare two sentences, with an encoder or a decoder that reads both at once.

    With the classification head the answer is the chance that the second sentence paraphrases the
    first, learnt from two labels. With the regression head it is a score in the data's own unit
    (0 to 5 for STS-B), learnt by squared error.

    Attributes:
        first_column: Column with one sentence.
        second_column: Column with the other.
        label_column: Column with the label, or with the score.
        head: Learn two labels (classification) or a score (regression).
        labels: The label of pairs that are not similar, then of those that are (default: 0 and
            1, false and true, no and yes).
        max_source_tokens: Longest pair in tokens; the longer sentence is cut first.
        symmetric: Read each pair in both orders and average the logits, in training, evaluation
            and prediction, so that order does not matter. Twice the work.

    Example:
        >>> task = SentenceSimilarity(head="regression", label_column="score")
        >>> task.columns, task.label_columns, task.primary_metric
        (('sentence1', 'sentence2'), ('score',), 'eval_spearman')
    """

    name: ClassVar[str] = "similarity"
    answer_columns: ClassVar[tuple[str, ...]] = ("predicted_similarity", "predicted_label")
    score_fields: ClassVar[tuple[str, ...]] = ("head", "labels")
    answer_details: ClassVar[tuple[str, ...]] = ("similarity",)
    recipe: ClassVar[Mapping[str, float]] = {
        "learning_rate": 3e-5,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 8,
    }

    first_column: str = "sentence1"
    second_column: str = "sentence2"
    label_column: str = "label"
    head: Head = "classification"
    labels: list[str] | None = None
    max_source_tokens: int = 128
    symmetric: bool = False

    def __post_init__(self):
        check_fields(self)
        check_limit(self.max_source_tokens)
        if self.head not in ("classification", "regression"):
            raise InputError(f"head={self.head!r}: 'classification' or 'regression'.")
        labels = check_names(self.labels)
        if labels is not None and (len(labels) != 2 or self.scored):
            raise InputError(
                f"labels={labels}: two, for the classification head only. Use task classification "
                "for more, and leave labels out with head='regression'."
            )
        object.__setattr__(self, "labels", labels)
        if self.scored:
            object.__setattr__(self, "primary_metric", "eval_spearman")

    @property
    def scored(self) -> bool:
        """Whether pairs have scores, and not labels."""
        return self.head == "regression"

    @property
    def headline(self) -> tuple[str, ...]:
        scores = ("pearson", "spearman", "mse")
        return scores if self.scored else ("accuracy", "f1", "f1_macro", "roc_auc")

    # --- what a row is -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.first_column, self.second_column)

    def reason(self, row: Row) -> str | None:
        """As of every task.

        Example:
            >>> SentenceSimilarity().reason({"sentence1": "NS", "sentence2": "Oui.", "label": 0})
            "column sentence1 holds the placeholder 'NS'"
        """
        for column in self.columns:
            if found := sentence_reason(row[column], column):
                return found
        value = row[self.label_column]
        return (score_reason if self.scored else label_reason)(value, self.label_column)

    def fit(self, data: Splits, *, checked: bool = False) -> SentenceSimilarity:
        """Return the task with the two labels of the training rows; with scores, the task itself.

        Raises:
            InputError: For a row that cannot be used, for one label or more than two, or for two
                that do not say which means similar.
        """
        found = [*self.count_rows(data, checked=checked)]
        if self.scored:
            return self
        check_pair_labels(found, f"training rows, column {self.label_column}", named=self.labels)
        return replace(self, labels=found)

    def row_schema(self) -> RowSchema:
        """A pair is compared with others in either order."""
        found = super().row_schema()
        return replace(found, join=_in_any_order, settings={**found.settings, "head": self.head})

    # --- answers from anywhere -----------------------------------------------------------------

    @property
    def answer_key(self) -> str:
        """What ``predict`` calls the answer."""
        return "similarity" if self.scored else "label"

    def of_answers(
        self, given: Sequence[Given], datasets: Sequence[Dataset], where: str
    ) -> SentenceSimilarity:
        found = super().of_answers(given, datasets, where)
        if not self.scored:
            check_pair_labels(found.known_labels, where, named=self.labels)
        return found

    def read_answers(
        self, given: Sequence[Given], texts: Sequence[Sequence[str]], where: str
    ) -> list[dict[str, Any]]:
        """As of every task; where not every answer is a label, they are probabilities."""
        values = [answer.get("prediction") for answer in given]
        alone = not any("similarity" in answer for answer in given)
        if not self.scored and alone and {*map(label_text, values)} - {*self.known_labels}:
            given = [{"similarity": value} for value in values]
        return super().read_answers(given, texts, where)

    def read_answer(self, given: Given, texts: Sequence[str]) -> dict[str, Any]:
        if self.scored:
            return {"similarity": number_of(given["prediction"])}
        if "similarity" not in given:
            return {"label": self.read_label(given["prediction"])}
        chance = number_of(given["similarity"])
        if "prediction" in given:
            return {"label": self.read_label(given["prediction"]), "similarity": chance}
        if not 0 <= chance <= 1:
            raise InputError(
                f"{chance} is neither a label ({', '.join(self.known_labels)}) nor a probability "
                "from 0 to 1. Give labels, or probabilities of the second label."
            )
        return {"label": self.label_of(chance), "similarity": chance}

    # --- tokens and training -------------------------------------------------------------------

    def encode(
        self, batch: Batch, tokenizer: Any, *, kind: ModelKind, with_labels: bool = True
    ) -> Encoded:
        """As of every task; ``input_ids`` are a list of two, one an order, when symmetric."""
        for column in self.columns:
            if not all(isinstance(text, str) for text in batch[column]):
                raise InputError(f"{column}: not text in every row. Give both sentences of a pair.")
        first, second = ([clean_text(text) for text in batch[name]] for name in self.columns)
        encoded = encode_pairs(tokenizer, first, second, self.max_source_tokens)
        if self.symmetric:
            turned = encode_pairs(tokenizer, second, first, self.max_source_tokens)
            for name in ("input_ids", "token_type_ids"):
                if name in encoded:
                    orders = zip(encoded[name], turned[name], strict=True)
                    encoded[name] = [list(pair) for pair in orders]
        if with_labels:
            encoded["labels"] = self.target_ids(batch[self.label_column])
        return encoded

    def fold_logits(self, logits: Any) -> Any:
        """Average the two orders of each pair: ``(batch * 2, classes)`` to ``(batch, classes)``."""
        if not self.symmetric:
            return logits
        return logits.reshape(-1, 2, logits.shape[-1]).mean(1)  # (batch, orders, classes)

    def loss(self, model: PreTrainedModel, args: Any) -> Any:
        smoothing = 0.0 if self.scored else args.label_smoothing_factor
        loss = StepLoss(regression=self.scored, label_smoothing=smoothing)

        def of_both_orders(outputs, labels, num_items_in_batch=None):
            logits = self.fold_logits(outputs["logits"])
            return loss({"logits": logits}, labels, num_items_in_batch)

        return of_both_orders if self.symmetric else loss

    def decode(self, outputs: Sequence[Any], tokenizer: Any = None) -> list[float]:
        """Turn each row's logits into the chance of the similar label, or into the score."""
        if self.scored:
            return [float(row[0]) for row in outputs]
        return softmax(outputs)[:, 1].tolist()

    def label_of(self, similarity: float) -> str:
        """The label for a chance: the similar one from 0.5."""
        return self.known_labels[similarity >= 0.5]

    def answers(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        """What ``predict`` says of each pair: ``similarity`` and, of two labels, ``label``."""
        found = self.decode(outputs)
        if self.scored:
            return [{"similarity": value} for value in found]
        return [{"label": self.label_of(value), "similarity": value} for value in found]

    # --- scores --------------------------------------------------------------------------------

    def predictions(self, outputs: Sequence[Any], dataset: Any, tokenizer: Any) -> list[float]:
        return self.decode(outputs)

    def compute_metrics(
        self, predictions: Sequence[float], references: Sequence[Any], *, texts: Texts = None
    ) -> Scores:
        """Score similarities against labels or scores.

        With labels: ``frtune.metrics.classification_scores``, ``f1`` of the similar label, and
        ``roc_auc``. With scores: ``frtune.metrics.correlation_scores``.
        """
        if self.scored:
            return metrics.correlation_scores(predictions, references)
        found = [self.label_of(value) for value in predictions]
        return self._label_scores(found, predictions, references)

    def _label_scores(
        self, labels: Sequence[str], chances: Sequence[float] | None, references: Sequence[str]
    ) -> Scores:
        """Scores of labels and, where they are known, of the chances of the similar one."""
        warn_unknown(references, self.labels)
        similar = self.known_labels[1]
        scores = metrics.classification_scores(labels, references)
        scores["f1"] = metrics.class_scores(labels, references, [similar])[similar]["f1"]
        if chances is not None:
            scores["roc_auc"] = metrics.roc_auc(chances, [label == similar for label in references])
        return scores

    def score_answers(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        """As of every task; ROC AUC of labels with their probabilities only."""
        references, chances = self.references(dataset), _similarities(answers)
        if self.scored:
            return metrics.correlation_scores(chances or [], references)
        return self._label_scores([answer["label"] for answer in answers], chances, references)

    def answer_intervals(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        references, chances = self.references(dataset), _similarities(answers)
        if self.scored:
            return metrics.correlation_intervals(chances or [], references)
        said = [answer["label"] for answer in answers]
        if chances is None:
            found = class_intervals(said, references, self.known_labels)
        else:
            found = pair_intervals(chances, said, references, self.known_labels)
        return {name: found[name] for name in self.headline if name in found}

    def metric_directions(self) -> dict[str, bool]:
        if self.scored:
            return {"pearson": True, "spearman": True, "mse": False}
        task = replace(self, labels=self.labels or ["0", "1"])
        return dict.fromkeys(task.compute_metrics([0.0, 1.0], task.known_labels), True)

    def signatures(self, references: Sequence[Any]) -> dict[str, str]:
        if self.scored:
            return metrics.correlation_signatures()
        return metrics.classification_signatures(positive=self.known_labels[1])

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[float]]:
        """Similarities for the test rows by ``frtune.metrics.text_baselines.pair_baselines``.

        Without training rows there are none.
        """
        if train is None:
            return {}
        known = self.references(train)
        targets = known if self.scored else [float(v == self.known_labels[1]) for v in known]
        pairs = [[list(rows[name]) for name in self.columns] for rows in (train, test)]
        return metrics.text_baselines.pair_baselines(
            *pairs, targets=targets, chance=not self.scored
        )

    # --- how an answer is shown ----------------------------------------------------------------

    @property
    def accuracy_score(self) -> str | None:
        return None if self.scored else "accuracy"

    @property
    def comparable(self) -> dict[str, Any]:
        return {"head": self.head, "labels": self.labels}

    def row_score(self, answers: Sequence[Answer], references: Sequence[Any]) -> Score:
        if not self.scored:
            return super().row_score(answers, references)
        return spearman_score(np.array([a["similarity"] for a in answers]), np.array(references))

    def agreement_key(self, answer: Answer) -> Hashable:
        return round(answer["similarity"], 1) if self.scored else super().agreement_key(answer)

    def row_values(self, lines: Sequence[Line]) -> tuple[str, list[float]]:
        if self.scored:
            errors = [abs(line["prediction"] - line["reference"]) for line in lines]
            return "less the error", [-error for error in errors]
        similar = self.known_labels[1]
        return CHANCE, [
            line["similarity"] if line["reference"] == similar else 1 - line["similarity"]
            for line in lines
        ]

    def described(self, line: Line) -> dict[str, Any]:
        if not self.scored:
            return self.described_label(line, line["similarity"])
        said, true = (piece(f"{line[name]:.3g}") for name in ("prediction", "reference"))
        return {"said": [said], "true": [true]}

    def answer_cells(self, answer: Answer) -> tuple[Any, ...]:
        return (answer["similarity"], answer.get("label", ""))

    def answer_html(self, answer: Answer, say: Say) -> str:
        meaning = say("similarity_score")
        if not self.scored:
            meaning = say("similarity_chance", label=(self.labels or ["0", "1"])[1])
        return similarity_html(answer["similarity"], answer.get("label"), meaning, say)
