"""Sentence similarity: two sentences go in, the chance of a paraphrase or a score comes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import frtune
from frtune.data.cleaning import clean_text
from frtune.data.labels import (
    check_ids,
    check_limit,
    check_names,
    check_pair_labels,
    count_classes,
    known,
    label_id,
    label_reason,
    score_reason,
    sentence_reason,
    train_split,
)
from frtune.data.row_checks import check_rows, rows_of
from frtune.errors import InputError
from frtune.metrics import (
    class_scores,
    classification_scores,
    classification_signatures,
    correlation_intervals,
    correlation_scores,
    correlation_signatures,
    roc_auc,
)
from frtune.metrics.classification import softmax
from frtune.metrics.intervals import pair_intervals
from frtune.metrics.text_baselines import pair_baselines
from frtune.tasks.base import ModelKind
from frtune.tasks.loss import StepLoss
from frtune.tasks.sequences import SequenceCollator, encode_pairs, token_id

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments


Head = Literal["classification", "regression"]


@dataclass(frozen=True)
class SentenceSimilarity:
    """Say how similar two sentences are, with an encoder or a decoder that reads both at once.

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
    auto_classes: ClassVar[dict[ModelKind, str]] = {
        "encoder": "AutoModelForSequenceClassification",
        "decoder": "AutoModelForSequenceClassification",
    }
    generates: ClassVar[bool] = False
    primary_metric: ClassVar[str] = "eval_f1_macro"
    tiny_family: ClassVar[str] = "camembert"
    health_scores: ClassVar[tuple[str, ...]] = ()

    first_column: str = "sentence1"
    second_column: str = "sentence2"
    label_column: str = "label"
    head: Head = "classification"
    labels: list[str] | None = None
    max_source_tokens: int = 128
    symmetric: bool = False

    def __post_init__(self):

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
        """The scores that a reader looks at first."""
        scores = ("pearson", "spearman", "mse")
        return scores if self.scored else ("accuracy", "f1", "f1_macro", "roc_auc")

    # --- what a row is -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a row to be answered must have."""
        return (self.first_column, self.second_column)

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Columns that a row to be learnt or scored must have besides."""
        return (self.label_column,)

    @property
    def stratify_column(self) -> str | None:
        """Column whose shares a split that is cut from train should keep; none for scores."""
        return None if self.scored else self.label_column

    def reason(self, row: Mapping[str, Any]) -> str | None:
        """Say why a row cannot be learnt from; ``None`` when it can.

        Example:
            >>> SentenceSimilarity().reason({"sentence1": "NS", "sentence2": "Oui.", "label": 0})
            "column sentence1 holds the placeholder 'NS'"
        """
        for column in self.columns:
            if found := sentence_reason(row[column], column):
                return found
        value = row[self.label_column]
        return (score_reason if self.scored else label_reason)(value, self.label_column)

    def fit(self, data: Dataset | Mapping[str, Dataset]) -> SentenceSimilarity:
        """Return the task with the two labels of the training rows; with scores, the task itself.

        Args:
            data: Training rows, or splits of which ``train`` is read.

        Raises:
            InputError: For a row that cannot be used, for one label or more than two, or for two
                that do not say which means similar.
        """
        train, where = train_split(data), "training rows"
        dataclasses.replace(self, labels=None).check(train, where)
        if self.scored:
            return self
        found = list(count_classes(train, self.label_column, where, self.labels))
        check_pair_labels(found, f"{where}, column {self.label_column}", named=self.labels)
        return dataclasses.replace(self, labels=found)

    def check(self, dataset: Dataset, where: str) -> None:
        """Refuse rows that cannot be learnt from; ``where`` names them in the message.

        Raises:
            InputError: For a missing column, a blank sentence or ``NS``, a row without label, a
                score for the classification head or text for the regression head.
        """
        check_rows(dataset, [*self.columns, *self.label_columns], self.reason, where)
        if not self.scored:
            check_ids(dataset, self.label_column, self.labels, where)

    def corpus(self, dataset: Dataset) -> Iterator[str]:
        """Every sentence of a data set, to train a tokenizer on."""
        for row in rows_of(dataset, self.columns):
            yield from (clean_text(row[column]) for column in self.columns)

    # --- what a builder asks -------------------------------------------------------------------

    def new_tokens(self, kind: ModelKind) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def known_labels(self) -> list[str]:
        """The two labels; ``InputError`` before ``fit``."""
        return known(self.labels)

    def config_overrides(self) -> dict[str, Any]:
        """The two labels and their ids; or one output, with its name."""
        labels = ["similarity"] if self.scored else self.known_labels
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
            "problem_type": "regression" if self.scored else "single_label_classification",
        }

    # --- text to tokens ------------------------------------------------------------------------

    def encode(
        self,
        batch: Mapping[str, Sequence[Any]],
        tokenizer: PreTrainedTokenizerBase,
        *,
        kind: ModelKind,
        with_labels: bool = True,
    ) -> dict[str, list[Any]]:
        """Turn a batch of rows (column to values, as ``datasets.map`` passes it) into tokens.

        Returns:
            ``input_ids``; ``token_type_ids`` for a tokenizer that has them (both of them a list of
            two, one an order, when symmetric); ``length``; ``source_cut`` (was the pair shortened);
            with labels, ``labels`` (id of the class, or score).
        """
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
            values = batch[self.label_column]
            encoded["labels"] = (
                [float(value) for value in values]
                if self.scored
                else [label_id(value, self.known_labels) for value in values]
            )
        return encoded

    # --- training ------------------------------------------------------------------------------

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        """Collator for encoded rows: ``SequenceCollator``."""
        orders = 2 if self.symmetric else 1
        return SequenceCollator(pad_id=token_id(tokenizer.pad_token_id), orders=orders)

    def fold_logits(self, logits: Any) -> Any:
        """Average the two orders of each pair: ``(batch * 2, classes)`` to ``(batch, classes)``."""
        if not self.symmetric:
            return logits
        return logits.reshape(-1, 2, logits.shape[-1]).mean(1)  # (batch, orders, classes)

    def loss(self, model: PreTrainedModel, args: TrainingArguments) -> Any:
        """Cross-entropy or squared error over pairs, the same however a step is cut."""
        smoothing = 0.0 if self.scored else args.label_smoothing_factor
        loss = StepLoss(regression=self.scored, label_smoothing=smoothing)
        if not self.symmetric:
            return loss

        def of_both_orders(outputs, labels, num_items_in_batch=None):
            logits = self.fold_logits(outputs["logits"])
            return loss({"logits": logits}, labels, num_items_in_batch)

        return of_both_orders

    def preprocess_logits(self, logits: Any, labels: Any = None) -> Any:
        """What evaluation keeps of a batch: its logits, ``(batch, classes)``, of both orders."""
        return self.fold_logits(logits[0] if isinstance(logits, tuple) else logits)

    def trainer(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        args: TrainingArguments,
        **settings: Any,
    ) -> Trainer:
        """Make a ``Trainer`` for this task; ``frtune.make_trainer`` says more."""
        return frtune.make_trainer(self, model, tokenizer, args, **settings)

    # --- logits to similarities ----------------------------------------------------------------

    def decode(
        self, outputs: Sequence[np.ndarray], tokenizer: PreTrainedTokenizerBase | None = None
    ) -> list[float]:
        """Turn each row's logits into the chance of the similar label, or into the score."""
        if self.scored:
            return [float(row[0]) for row in outputs]
        return softmax(outputs)[:, 1].tolist()

    def label_of(self, similarity: float) -> str:
        """The label for a chance: the similar one from 0.5."""
        return self.known_labels[similarity >= 0.5]

    def answers(
        self, outputs: Sequence[np.ndarray], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        """What ``predict`` says of each pair: ``similarity`` and, of two labels, ``label``."""
        found = self.decode(outputs)
        if self.scored:
            return [{"similarity": value} for value in found]
        return [{"label": self.label_of(value), "similarity": value} for value in found]

    # --- scores --------------------------------------------------------------------------------

    def references(
        self, dataset: Dataset, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> list[Any]:
        """True label (text) or score (number) of each row, raw or encoded."""
        encoded = {"input_ids", "labels"} <= {*dataset.column_names}
        values = dataset["labels" if encoded else self.label_column]
        if self.scored:
            return [float(value) for value in values]
        labels = self.known_labels
        return [labels[value if encoded else label_id(value, labels)] for value in values]

    def score_outputs(
        self,
        outputs: Sequence[np.ndarray],
        dataset: Dataset,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> dict[str, float]:
        """Score the logits of the rows of an encoded data set."""
        return self.compute_metrics(self.decode(outputs), self.references(dataset, tokenizer))

    def compute_metrics(
        self,
        predictions: Sequence[float],
        references: Sequence[Any],
        *,
        texts: Sequence[str] | None = None,
    ) -> dict[str, float]:
        """Score similarities against labels or scores.

        With labels: ``frtune.metrics.classification_scores``, ``f1`` of the similar label, and
        ``roc_auc``. With scores: ``frtune.metrics.correlation_scores``.
        """
        if self.scored:
            return correlation_scores(predictions, references)
        similar = self.known_labels[1]
        found = [self.label_of(value) for value in predictions]
        return {
            **classification_scores(found, references),
            "f1": class_scores(found, references, [similar])[similar]["f1"],
            "roc_auc": roc_auc(predictions, [label == similar for label in references]),
        }

    def intervals(
        self,
        outputs: Sequence[np.ndarray],
        dataset: Dataset,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> dict[str, tuple[float, float]]:
        """Bootstrap 95 % intervals of the headline scores over the rows."""
        values, references = self.decode(outputs), self.references(dataset, tokenizer)
        if self.scored:
            return correlation_intervals(values, references)
        said = [self.label_of(value) for value in values]
        found = pair_intervals(values, said, references, self.known_labels)
        return {name: found[name] for name in self.headline}

    def metric_directions(self) -> dict[str, bool]:
        """Every score that an evaluation reports, and whether greater is better."""
        if self.scored:
            return {"pearson": True, "spearman": True, "mse": False}
        task = dataclasses.replace(self, labels=self.labels or ["0", "1"])
        return dict.fromkeys(task.compute_metrics([0.0, 1.0], task.known_labels), True)

    def signatures(self, references: Sequence[Any]) -> dict[str, str]:
        """How each score was computed."""
        if self.scored:
            return correlation_signatures()
        return classification_signatures(positive=self.known_labels[1])

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[float]]:
        """Similarities for the test rows by ``frtune.metrics.text_baselines.pair_baselines``.

        Without training rows there are none.
        """
        if train is None:
            return {}
        known = self.references(train)
        targets = known if self.scored else [float(v == self.known_labels[1]) for v in known]
        pairs = [[list(rows[name]) for name in self.columns] for rows in (train, test)]
        return pair_baselines(*pairs, targets=targets, chance=not self.scored)
