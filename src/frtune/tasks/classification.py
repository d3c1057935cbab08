"""Sequence classification: a text goes in, one of a set of labels comes out."""

from __future__ import annotations

import functools
import logging
from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import frtune
from frtune import metrics
from frtune.data.cleaning import clean_text
from frtune.data.label_sets import SEPARATOR, several_reason
from frtune.data.labels import (
    check_limit,
    check_names,
    label_reason,
    label_text,
    warn_unknown,
)
from frtune.errors import InputError
from frtune.metrics.chances import are_probabilities, softmax
from frtune.ranges import check_fields
from frtune.tasks.answer_html import Say, classes_html
from frtune.tasks.answers import Answer, Given, Intervals, Line, Scores, Texts
from frtune.tasks.base import Batch, Encoded, ModelKind, Row, Splits
from frtune.tasks.confidence import (
    Confidence,
    Decision,
    before_and_after,
    confidence_directions,
    confidence_remarks,
    confidence_scores,
    decide,
    decided_answers,
    limits_of,
    temperature_of,
)
from frtune.tasks.given_answers import label_scores
from frtune.tasks.label_tree import LabelTree, check_rule
from frtune.tasks.loss import StepLoss
from frtune.tasks.sequence_task import CHANCE, SequenceTask
from frtune.tasks.sequences import encode_texts

if TYPE_CHECKING:
    from datasets import Dataset
    from typing_extensions import Self

logger = logging.getLogger(__name__)

ClassWeights = Literal["balanced"]
SCORING = ("labels", "class_weights")  # a baseline has weights


@dataclass(frozen=True)
class SequenceClassification(SequenceTask):
    """Give a text one of several labels, with an encoder or with a decoder.

    The classes are found in the training rows: ``task = task.fit(train)``. They are text or whole
    numbers, and their map to ids is written into the model's config. With ``multi_label`` a row has
    any number of them: see ``MultiLabelClassification``, which this then is.

    Attributes:
        text_column: Column with the text.
        label_column: Column with the label: text, or a whole number.
        labels: The classes, in the order of their ids (default: those found).
        max_source_tokens: Longest text in tokens; the end of a longer one is cut.
        class_weights: ``"balanced"`` gives small classes as much weight as large ones (King and
            Zeng 2001, equation 6).
        calibrate: Calibrate probabilities: fit a temperature on the validation rows after
            training (Guo et al. 2017).
        calibrate_head: Divide the head's weights by the temperature, so that a plain Transformers
            pipeline gives the same probabilities.
        min_precision: Share of answers that must be right, such as 0.95. The validation rows give
            the lowest probability for it; below that there is no answer.
        label_tree: Levels above the labels: ``prefix:1,2`` (their first characters) or
            ``separator:/``. Each level is scored; an unsure answer is a node above.
        multi_label: A row has any number of labels: a list, or text.
        label_separator: Separator between the labels of a text.
        label_counts: Training rows of each class, filled in by ``fit``.
        train_rows: All training rows, filled in by ``fit`` where a row may have several labels.
        temperature: What logits are divided by, filled in by ``calibrated``.
        least_scores: Least probability of an answer at each level, from the top, filled in by
            ``calibrated``; 2, which none reaches, where none is sure enough.
        thresholds: Probability from which on each of several labels is given, filled in by
            ``calibrated``.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": ["loyer mars", "timbres", "loyer avril"],
        ...                           "label": ["loyer", "poste", "loyer"]})
        >>> task = SequenceClassification(class_weights="balanced").fit(rows)
        >>> task.labels, task.label_counts, task.weights
        (['loyer', 'poste'], [2, 1], [0.75, 1.5])
    """

    name: ClassVar[str] = "classification"
    recipe: ClassVar[Mapping[str, float]] = {
        "learning_rate": 2e-5,
        "per_device_train_batch_size": 16,
        "weight_decay": 0.01,
    }
    accuracy_score: ClassVar[str] = "accuracy"
    headline: ClassVar[tuple[str, ...]] = ("accuracy", "f1_macro", "f1_weighted", "mcc")
    answer_columns: ClassVar[tuple[str, ...]] = ("predicted_label", "predicted_score")
    score_fields: ClassVar[tuple[str, ...]] = (*SCORING, "multi_label", "label_separator")
    answer_key: ClassVar[str] = "label"
    answer_details: ClassVar[tuple[str, ...]] = ("score", "scores", "level", "likeliest")

    text_column: str = "text"
    label_column: str = "label"
    labels: list[str] | None = None
    max_source_tokens: int = 512
    class_weights: ClassWeights | None = None
    calibrate: bool = True
    calibrate_head: bool = False
    min_precision: float | None = None
    label_tree: str | None = None
    multi_label: bool = False
    label_separator: str = SEPARATOR
    label_counts: list[int] | None = field(default=None, metadata={"help": SUPPRESS})
    train_rows: int | None = field(default=None, metadata={"help": SUPPRESS})
    temperature: float | None = field(default=None, metadata={"help": SUPPRESS})
    least_scores: list[float] | None = field(default=None, metadata={"help": SUPPRESS})
    thresholds: list[float] | None = field(default=None, metadata={"help": SUPPRESS})

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        several = cls is SequenceClassification and settings.get("multi_label")
        return super().__new__(frtune.MultiLabelClassification if several else cls)  # type: ignore[return-value]

    def __post_init__(self):
        check_fields(self)
        check_rule(self.label_tree)
        check_limit(self.max_source_tokens)
        if self.class_weights not in (None, "balanced"):
            raise InputError(f"class_weights={self.class_weights!r}: 'balanced', or leave it out.")
        if self.calibrate_head and not self.calibrate:
            raise InputError("calibrate_head=True: needs calibrate. Leave one of them out.")
        if self.label_separator != SEPARATOR and not self.multi_label:
            raise InputError(f"label_separator={self.label_separator!r}: goes with multi_label.")
        if self.multi_label and not isinstance(self, frtune.MultiLabelClassification):
            raise InputError("multi_label=True: pass it by name, to SequenceClassification.")
        object.__setattr__(self, "labels", check_names(self.labels))

    # --- what a row is -------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.text_column,)

    def reason(self, row: Row) -> str | None:
        value = row[self.label_column]
        column = self.label_column
        return self.text_reason(row) or several_reason(value, column) or label_reason(value, column)

    def fit(self, data: Splits, *, checked: bool = False) -> SequenceClassification:
        """Return the task with the classes of the training rows.

        Raises:
            InputError: For a row without text or label, or if there is one class only.
        """
        counts = self.count_rows(data, checked=checked)
        for label, count in counts.items():
            if count < 2:
                logger.warning("class %r has %d training rows: too few to learn", label, count)
        if self.label_tree:
            LabelTree(self.label_tree, list(counts))  # refused if it puts no labels together
        return replace(self, labels=list(counts), label_counts=list(counts.values()))

    @property
    def tree(self) -> LabelTree | None:
        """What stands above the labels; ``None`` without any, and before ``fit``."""
        return LabelTree(self.label_tree, self.labels) if self.label_tree and self.labels else None

    @property
    def positive(self) -> str | None:
        """The second label of two; ``None`` of more, and before ``fit``."""
        return self.labels[1] if self.labels and len(self.labels) == 2 else None

    # --- tokens and training -------------------------------------------------------------------

    def encode(
        self, batch: Batch, tokenizer: Any, *, kind: ModelKind, with_labels: bool = True
    ) -> Encoded:
        texts = [clean_text(text) for text in batch[self.text_column]]
        ids, cut = encode_texts(tokenizer, texts, self.max_source_tokens)
        lengths = [len(row) for row in ids]
        encoded: Encoded = {"input_ids": ids, "length": lengths, "source_cut": cut}
        if with_labels:
            encoded["labels"] = self.target_ids(batch[self.label_column])
        return encoded

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

    def loss(self, model: PreTrainedModel, args: Any) -> Any:
        return StepLoss(label_smoothing=args.label_smoothing_factor, class_weights=self.weights)

    def decode(self, outputs: Sequence[Any], tokenizer: Any = None) -> list[str]:
        """Turn each row's logits, ``(classes,)``, into a label."""
        return [self.known_labels[int(row.argmax())] for row in outputs]

    def answers(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        """What ``predict`` says of each row: ``label``, its ``score``, ``scores`` of all labels."""
        chances = self.chances(outputs).tolist()
        rows = (dict(zip(self.known_labels, row, strict=True)) for row in chances)
        labels = zip(self.decode(outputs), rows, strict=True)
        return [{"label": label, "score": row[label], "scores": row} for label, row in labels]

    def chances(self, outputs: Sequence[Any]) -> np.ndarray:
        """Probabilities of logits, ``(rows, classes)``, by the temperature if there is one."""
        return softmax(np.asarray(outputs, float) / (self.divisor or 1.0))

    def decided(self, answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """As of every task: with ``min_precision``, no label where none is sure enough, ``None``.

        Then ``score`` is that of the likeliest, and ``likeliest`` names these. With ``label_tree``
        the label may be a node above; ``level`` counts from the top.
        """
        if self.min_precision is not None and self.least_scores is None:
            raise InputError(
                f"min_precision={self.min_precision}: was not fitted to validation rows. Call "
                "trainer.calibrate() before frtune.save, or train with frtune train."
            )
        return decided_answers(answers, self._decision(answers), self.tree)

    def _decision(self, answers: Sequence[Answer]) -> Decision:
        chances = self._given_chances(answers)
        return decide(chances, self.known_labels, self.least_scores, self.tree)

    def _given_chances(self, answers: Sequence[Answer]) -> np.ndarray:
        labels = self.known_labels
        return np.array([[answer["scores"][label] for label in labels] for answer in answers])

    @property
    def calibrates(self) -> bool:
        return self.calibrate or self.min_precision is not None

    def calibrated(self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None):
        """As of every task: the task with ``temperature`` and ``least_scores``.

        Too few rows for them are said, and then there are none: probabilities stay as they are,
        and there is no answer.
        """
        logits, true = np.asarray(outputs, float), self.references(dataset)
        notes, temperature, limits = [], None, None
        if self.calibrate:
            ids = [self.known_labels.index(label) for label in true]
            temperature, reason = temperature_of(logits, ids)
            notes += [reason] if reason else []
        task = replace(self, temperature=temperature, least_scores=None)
        if self.min_precision is not None:
            limits, reason = limits_of(
                replace(task, calibrate_head=False).chances(logits),
                self.known_labels,
                true,
                self.min_precision,
                self.tree,
            )
            notes += [reason] if reason else []
        return replace(task, least_scores=limits), notes

    @property
    def logit_factor(self) -> float | None:
        return 1 / self.temperature if self.calibrate_head and self.temperature else None

    # --- scores --------------------------------------------------------------------------------

    def read_answer(self, given: Given, texts: Sequence[str]) -> dict[str, Any]:
        """As of every task; ``score`` and ``scores`` where there are those of all labels.

        With these a label that ``predict`` withheld, or a node above it, is read as the likeliest.
        """
        if given.get("scores") is None:
            return {"label": self.read_label(given["prediction"])}
        scores, said = label_scores(given["scores"], self.known_labels), given["prediction"]
        tree = self.tree
        withheld = said is None or (tree is not None and tree.is_inner(str(label_text(said))))
        label = max(scores, key=scores.__getitem__) if withheld else self.read_label(said)
        return {"label": label, "score": scores[label], "scores": scores}

    def score_answers(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        """As of every task; of two classes, and with the probabilities of both, ROC AUC too."""
        references = self.references(dataset)
        scores = self.compute_metrics([answer["label"] for answer in answers], references)
        if self.positive is not None and all("scores" in answer for answer in answers):
            chances = [answer["scores"][self.positive] for answer in answers]
            scores["roc_auc"] = metrics.roc_auc(
                chances, [label == self.positive for label in references]
            )
        if all("scores" in answer for answer in answers):
            scores |= self._confidence_scores(answers, references)
        return scores

    def _confidence_scores(self, answers: Sequence[Answer], references: Sequence[str]) -> Scores:
        chances, known = self._given_chances(answers), self.known_labels
        if not are_probabilities(chances) or any(label not in known for label in references):
            return {}
        found = None if self.least_scores is None else self._decision(answers)
        return confidence_scores(
            chances, references, known, temperature=self.temperature, found=found, tree=self.tree
        )

    def compute_metrics(
        self, predictions: Sequence[str], references: Sequence[str], *, texts: Texts = None
    ) -> Scores:
        warn_unknown(references, self.labels)
        scores = metrics.classification_scores(predictions, references)
        return scores | (self.tree.scores(predictions, references) if self.tree else {})

    def answer_intervals(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        references, said = self.references(dataset), [answer["label"] for answer in answers]
        found = metrics.class_intervals(said, references, self.known_labels)
        return {name: found[name] for name in self.headline}

    def metric_directions(self) -> dict[str, bool]:
        names = [*_score_names(), *(self.tree.score_names if self.tree else ())]
        names += ["roc_auc"] if self.positive is not None else []
        return dict.fromkeys(names, True) | confidence_directions(
            temperature=self.temperature, limits=self.least_scores
        )

    def signatures(self, references: Sequence[str]) -> dict[str, str]:
        found = metrics.classification_signatures(positive=self.positive)
        names = self.tree.score_names if self.tree else []
        found |= metrics.classification.level_signatures(self.label_tree, names)
        found |= metrics.calibration.confidence_signatures(self.min_precision)
        return {name: found[name] for name in found if name in self.metric_directions()}

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[str]]:
        """Most frequent label, and logistic regression; none without training rows."""
        if train is None:
            return {}
        labels = self.references(train)
        known, asked = (list(rows[self.text_column]) for rows in (train, test))
        balanced = self.class_weights is not None
        logistic = metrics.text_baselines.tfidf_logistic(known, labels, asked, balanced=balanced)
        return {
            "majority": metrics.text_baselines.majority(labels, len(test)),
            "tfidf_logistic": logistic,
        }

    def remarks(self, metrics: Mapping[str, float]) -> list[str]:
        return confidence_remarks(metrics, self.min_precision)

    def confidence(self, lines: Sequence[Line]) -> Confidence:
        found = before_and_after(self._given_chances(lines), self.temperature)
        true = np.array([self.known_labels.index(line["reference"]) for line in lines])
        return Confidence(found, true, self.min_precision)

    def write_details(
        self, directory: str | Path, predictions: Sequence[str], references: Sequence[str]
    ) -> None:
        """Write ``classes.json`` and, with the extra ``plots``, ``confusion_matrix.png``."""
        metrics.classification.write_class_details(
            Path(directory), predictions, references, self.known_labels
        )

    # --- how an answer is shown ----------------------------------------------------------------

    def row_values(self, lines: Sequence[Line]) -> tuple[str, list[float]]:
        return CHANCE, [line["scores"][line["reference"]] for line in lines]

    def described(self, line: Line) -> dict[str, Any]:
        return self.described_label(line, line["score"])

    def answer_cells(self, answer: Answer) -> tuple[Any, ...]:
        return (answer["label"] or "", answer["score"])

    def answer_html(self, answer: Answer, say: Say) -> str:
        return classes_html(answer["label"] or say("not_sure"), answer["scores"], say)


@functools.cache
def _score_names() -> list[str]:
    return [*metrics.classification_scores(["a", "b"], ["a", "b"])]
