"""Sequence classification: a text goes in, one of a set of labels comes out."""

from __future__ import annotations

import dataclasses
import logging
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import frtune
from frtune.data.cleaning import clean_text
from frtune.data.labels import (
    check_ids,
    check_limit,
    check_names,
    count_classes,
    known,
    label_id,
    label_reason,
    text_reason,
    train_split,
)
from frtune.data.row_checks import check_rows, rows_of
from frtune.errors import InputError
from frtune.metrics import class_intervals, classification_scores, classification_signatures
from frtune.metrics.classification import roc_auc, softmax, write_class_details
from frtune.metrics.text_baselines import majority, tfidf_logistic
from frtune.tasks.base import ModelKind
from frtune.tasks.loss import StepLoss
from frtune.tasks.sequences import SequenceCollator, encode_texts, token_id

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments


logger = logging.getLogger(__name__)

ClassWeights = Literal["balanced"]


@dataclass(frozen=True)
class SequenceClassification:
    """Give a text one of several labels, with an encoder or with a decoder.

    The classes are found in the training rows: ``task = task.fit(train)``. They are text or whole
    numbers, and their map to ids is written into the model's config.

    Attributes:
        text_column: Column with the text.
        label_column: Column with its label: text, or a whole number.
        labels: The classes, in the order of their ids (default: those found).
        max_source_tokens: Longest text in tokens; the end of a longer one is cut.
        class_weights: ``"balanced"`` has small classes count as much as big ones: a row weighs by
            the inverse of its class's rows (King and Zeng 2001, equation 6).
        label_counts: Training rows of each class, filled in by ``fit``.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": ["loyer mars", "timbres", "loyer avril"],
        ...                           "label": ["loyer", "poste", "loyer"]})
        >>> task = SequenceClassification(class_weights="balanced").fit(rows)
        >>> task.labels, task.label_counts, task.weights
        (['loyer', 'poste'], [2, 1], [0.75, 1.5])
    """

    name: ClassVar[str] = "classification"
    auto_classes: ClassVar[dict[ModelKind, str]] = {
        "encoder": "AutoModelForSequenceClassification",
        "decoder": "AutoModelForSequenceClassification",
    }
    generates: ClassVar[bool] = False
    primary_metric: ClassVar[str] = "eval_f1_macro"
    tiny_family: ClassVar[str] = "camembert"
    health_scores: ClassVar[tuple[str, ...]] = ()

    text_column: str = "text"
    label_column: str = "label"
    labels: list[str] | None = None
    max_source_tokens: int = 512
    class_weights: ClassWeights | None = None
    label_counts: list[int] | None = field(default=None, metadata={"help": SUPPRESS})

    def __post_init__(self):

        check_limit(self.max_source_tokens)
        if self.class_weights not in (None, "balanced"):
            raise InputError(f"class_weights={self.class_weights!r}: 'balanced', or leave it out.")
        object.__setattr__(self, "labels", check_names(self.labels))

    @property
    def headline(self) -> tuple[str, ...]:
        """The scores that a reader looks at first."""
        return ("accuracy", "f1_macro", "f1_weighted", "mcc")

    # --- what a row is -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that a row to be answered must have."""
        return (self.text_column,)

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Columns that a row to be learnt or scored must have besides."""
        return (self.label_column,)

    @property
    def stratify_column(self) -> str:
        """Column whose shares a split that is cut from train should keep."""
        return self.label_column

    def reason(self, row: Mapping[str, Any]) -> str | None:
        """Say why a row cannot be learnt from; ``None`` when it can."""
        return text_reason(row[self.text_column], self.text_column) or label_reason(
            row[self.label_column], self.label_column
        )

    def fit(self, data: Dataset | Mapping[str, Dataset]) -> SequenceClassification:
        """Return the task with the classes of the training rows.

        Args:
            data: Training rows, or splits of which ``train`` is read.

        Raises:
            InputError: For a row without text or label, or if there is one class only.
        """
        train, where = train_split(data), "training rows"
        dataclasses.replace(self, labels=None).check(train, where)
        counts = count_classes(train, self.label_column, where, self.labels)
        for label, count in counts.items():
            if count < 2:
                logger.warning("class %r has %d training rows: too few to learn", label, count)
        return dataclasses.replace(self, labels=list(counts), label_counts=list(counts.values()))

    def check(self, dataset: Dataset, where: str) -> None:
        """Refuse rows that cannot be learnt from; ``where`` names them in the message.

        Raises:
            InputError: For a missing column, a blank text, a row without label, a score in place
                of a class, or a label that no training row had.
        """
        check_rows(dataset, [*self.columns, *self.label_columns], self.reason, where)
        check_ids(dataset, self.label_column, self.labels, where)

    def corpus(self, dataset: Dataset) -> Iterator[str]:
        """Every text of a data set, to train a tokenizer on."""
        return (clean_text(row[self.text_column]) for row in rows_of(dataset, self.columns))

    # --- what a builder asks -------------------------------------------------------------------

    def new_tokens(self, kind: ModelKind) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def known_labels(self) -> list[str]:
        """The classes; ``InputError`` before ``fit``."""
        return known(self.labels)

    def config_overrides(self) -> dict[str, Any]:
        """The classes and their ids."""
        labels = self.known_labels
        return {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
            "problem_type": "single_label_classification",
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
            ``input_ids``, ``length`` (tokens to order by), ``source_cut`` (was the text
            shortened) and, with labels, ``labels`` (id of the class).
        """
        texts = [clean_text(text) for text in batch[self.text_column]]
        ids, cut = encode_texts(tokenizer, texts, self.max_source_tokens)
        encoded: dict[str, list[Any]] = {
            "input_ids": ids,
            "length": [len(row) for row in ids],
            "source_cut": cut,
        }
        if with_labels:
            labels = self.known_labels
            encoded["labels"] = [label_id(value, labels) for value in batch[self.label_column]]
        return encoded

    # --- training ------------------------------------------------------------------------------

    def collator(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Any:
        """Collator for encoded rows: ``SequenceCollator``."""
        return SequenceCollator(pad_id=token_id(tokenizer.pad_token_id))

    @property
    def weights(self) -> list[float] | None:
        """One factor a class, 1 in the mean over the training rows; ``None`` without weights."""
        if self.class_weights is None:
            return None
        if self.label_counts is None:
            raise InputError(
                f"class_weights={self.class_weights!r}: needs the training rows. Use the task "
                "that task.fit(train) returns."
            )
        present = sum(count > 0 for count in self.label_counts)
        rows = sum(self.label_counts)
        return [rows / (present * count) if count else 0.0 for count in self.label_counts]

    def loss(self, model: PreTrainedModel, args: TrainingArguments) -> Any:
        """Cross-entropy over rows, the same however a step is cut into batches."""
        return StepLoss(label_smoothing=args.label_smoothing_factor, class_weights=self.weights)

    def preprocess_logits(self, logits: Any, labels: Any = None) -> Any:
        """What evaluation keeps of a batch: its logits, ``(batch, classes)``."""
        return logits[0] if isinstance(logits, tuple) else logits

    def trainer(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        args: TrainingArguments,
        *,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        **settings: Any,
    ) -> Trainer:
        """Make a ``Trainer`` for this task; see ``frtune.make_trainer``."""
        return frtune.make_trainer(
            self,
            model,
            tokenizer,
            args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            **settings,
        )

    # --- logits to labels ----------------------------------------------------------------------

    def decode(
        self, outputs: Sequence[np.ndarray], tokenizer: PreTrainedTokenizerBase | None = None
    ) -> list[str]:
        """Turn each row's logits, ``(classes,)``, into a label."""
        return [self.known_labels[int(row.argmax())] for row in outputs]

    def answers(
        self,
        outputs: Sequence[np.ndarray],
        dataset: Dataset,
        tokenizer: PreTrainedTokenizerBase,
    ) -> list[dict[str, Any]]:
        """What ``predict`` says of each row: ``label``, its ``score``, ``scores`` of all labels."""
        answers = []
        for label, row in zip(self.decode(outputs), softmax(outputs), strict=True):
            scores = dict(zip(self.known_labels, row.tolist(), strict=True))
            answers.append({"label": label, "score": scores[label], "scores": scores})
        return answers

    # --- scores --------------------------------------------------------------------------------

    def references(
        self, dataset: Dataset, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> list[str]:
        """True label of each row, raw or encoded."""
        labels = self.known_labels
        if "input_ids" in dataset.column_names and "labels" in dataset.column_names:
            return [labels[i] for i in dataset["labels"]]
        return [labels[label_id(value, labels)] for value in dataset[self.label_column]]

    def score_outputs(
        self,
        outputs: Sequence[np.ndarray],
        dataset: Dataset,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> dict[str, float]:
        """Score the logits of the rows of an encoded data set; of two classes, ROC AUC too."""
        references = self.references(dataset, tokenizer)
        scores = self.compute_metrics(self.decode(outputs), references)
        if len(self.known_labels) == 2:
            positive = self.known_labels[1]
            chances = softmax(outputs)[:, 1].tolist()
            scores["roc_auc"] = roc_auc(chances, [label == positive for label in references])
        return scores

    def compute_metrics(
        self,
        predictions: Sequence[str],
        references: Sequence[str],
        *,
        texts: Sequence[str] | None = None,
    ) -> dict[str, float]:
        """Score labels against labels; see ``frtune.metrics.classification_scores``."""
        return classification_scores(predictions, references)

    def intervals(
        self,
        outputs: Sequence[np.ndarray],
        dataset: Dataset,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> dict[str, tuple[float, float]]:
        """Bootstrap 95 % intervals of the headline scores over the rows."""
        references = self.references(dataset, tokenizer)
        found = class_intervals(self.decode(outputs), references, self.known_labels)
        return {name: found[name] for name in self.headline}

    def metric_directions(self) -> dict[str, bool]:
        """Every score that an evaluation reports, and whether greater is better."""
        names = [*self.compute_metrics(["a", "b"], ["a", "b"])]
        binary = self.labels is not None and len(self.labels) == 2
        return dict.fromkeys([*names, "roc_auc"] if binary else names, True)

    def signatures(self, references: Sequence[str]) -> dict[str, str]:
        """How each score was computed."""
        binary = self.labels is not None and len(self.labels) == 2
        found = classification_signatures(positive=self.known_labels[1] if binary else None)
        return {name: found[name] for name in found if name in self.metric_directions()}

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[str]]:
        """Labels for the test rows from predictors that need no model.

        Returns:
            ``majority`` (the most frequent label) and ``tfidf_logistic`` (TF-IDF of words and
            pairs of words with logistic regression, of balanced classes as the model's are).
            Without training rows there are none.
        """
        if train is None:
            return {}
        labels = self.references(train)
        return {
            "majority": majority(labels, len(test)),
            "tfidf_logistic": tfidf_logistic(
                list(train[self.text_column]),
                labels,
                list(test[self.text_column]),
                balanced=self.class_weights is not None,
            ),
        }

    def write_details(
        self, directory: str | Path, predictions: Sequence[str], references: Sequence[str]
    ) -> None:
        """Write ``classes.json`` and, with the extra ``plots``, ``confusion_matrix.png``."""
        write_class_details(Path(directory), predictions, references, self.known_labels)
