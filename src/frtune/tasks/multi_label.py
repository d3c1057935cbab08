"""Classification with several labels a row: a text goes in, any number of labels come out."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frtune import metrics
from frtune.data.checks import separator_check
from frtune.data.label_sets import (
    as_indicators,
    check_label_sets,
    count_label_sets,
    label_set,
    label_set_reason,
    label_sets,
)
from frtune.data.labels import ordered, train_split
from frtune.data.row_schema import RowSchema
from frtune.errors import InputError
from frtune.metrics.bootstrap import Score
from frtune.metrics.chances import sigmoid
from frtune.tasks.answer_html import Say, label_set_html
from frtune.tasks.answers import Answer, ClassReport, Given, Intervals, Line, Scores, Texts
from frtune.tasks.base import ModelKind, Row, Splits
from frtune.tasks.card_lines import is_close, several_labels_lines
from frtune.tasks.classification import SequenceClassification
from frtune.tasks.confidence import (
    ROWS,
    Confidence,
    before_and_after,
    confidence_directions,
    confidence_scores,
    few_rows_note,
    temperature_of,
)
from frtune.tasks.given_answers import label_scores, labels_of_scores
from frtune.tasks.label_set_doubts import LabelSetDoubts
from frtune.tasks.label_thresholds import DEFAULT, thresholds_of, two_classes
from frtune.tasks.loss import StepLoss
from frtune.tasks.shown_rows import phrase_pieces

if TYPE_CHECKING:
    from datasets import Dataset
    from typing_extensions import Self

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MultiLabelClassification(LabelSetDoubts, SequenceClassification):
    """Give a text any number of labels: ``SequenceClassification(multi_label=True)`` is this.

    A row has a list of labels, or text with a separator between them; ``[]`` is a row without any.
    Each label has a probability of its own, and is given from a threshold on, which is fitted on
    the validation rows. Attributes are those of ``SequenceClassification``.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"text": ["loyer et timbres", "timbres"],
        ...                           "label": ["loyer; poste", "poste"]})
        >>> task = SequenceClassification(multi_label=True, class_weights="balanced").fit(rows)
        >>> task.labels, task.label_counts, task.weights
        (['loyer', 'poste'], [1, 2], [[1.0, 0.0], [1.0, 1.0]])
    """

    primary_metric: ClassVar[str] = "eval_ranking_precision"  # needs no threshold
    accuracy_score: ClassVar[str] = "exact_match"
    headline: ClassVar[tuple[str, ...]] = (
        "f1_micro", "f1_macro", "exact_match", "ranking_precision",
    )  # fmt: skip
    main_score: ClassVar[str] = "f1_micro"  # type: ignore[assignment] # baselines have it, too
    answer_columns: ClassVar[tuple[str, ...]] = ("predicted_labels", "predicted_scores")
    answer_key: ClassVar[str] = "labels"
    answer_details: ClassVar[tuple[str, ...]] = ("scores",)

    multi_label: bool = True

    def __post_init__(self):
        super().__post_init__()
        if not self.multi_label:
            raise InputError("multi_label=False: take SequenceClassification.")
        for name in ("min_precision", "label_tree"):
            if getattr(self, name) is not None:
                raise InputError(
                    f"{name}={getattr(self, name)!r}: for one label a row. Leave {name} or "
                    "multi_label out."
                )
        if not self.label_separator.strip():
            raise InputError(f"label_separator={self.label_separator!r}: is blank. Name one.")

    # --- what a row is -------------------------------------------------------------------------

    @property
    def separator(self) -> str:
        return self.label_separator

    def row_schema(self) -> RowSchema:
        return replace(super().row_schema(), target="labels")

    def reason(self, row: Row) -> str | None:
        column = self.label_column
        found = label_set_reason(row[column], column, self.label_separator)
        return self.text_reason(row) or found

    def check(self, dataset: Dataset, where: str) -> None:
        super().check(dataset, where)
        separator_check(
            dataset, self.label_column, self.label_separator, where, "--label-separator"
        )

    def check_labels(self, dataset: Dataset, where: str) -> None:
        check_label_sets(dataset, self.label_column, self.labels, where, self.label_separator)

    def stratum(self, value: Any) -> list[str]:
        return label_set(value, self.label_separator)

    def fit(self, data: Splits, *, checked: bool = False) -> Self:
        """Return the task with the labels of the training rows.

        Raises:
            InputError: For a row without text or labels, or if there is one label only.
        """
        train, where = train_split(data), "training rows"
        if not checked:
            replace(self, labels=None).check(train, where)
        counts = count_label_sets(
            train, self.label_column, where, self.labels, self.label_separator
        )
        for label, count in counts.items():
            if count < 2:
                logger.warning("label %r has %d training rows: too few to learn", label, count)
        found = list(counts.values())
        return replace(self, labels=list(counts), label_counts=found, train_rows=len(train))

    def of_answers(self, given: Sequence[Given], datasets: Sequence[Dataset], where: str) -> Self:
        if self.labels is not None:
            return self
        found = labels_of_scores(given)
        if found is None:
            values = [self._labels_of(answer["prediction"]) for answer in given]
            for rows in datasets:
                values += label_sets(rows, self.label_column, self.label_separator)
            found = ordered(label for row in values for label in row)
        if len(found) < 2:
            raise InputError(
                f"{where}, column {self.label_column}: {', '.join(found) or 'no'} label only. "
                "Name all labels that an answer may have: --labels no yes, for example."
            )
        return replace(self, labels=found)

    # --- tokens and training -------------------------------------------------------------------

    def config_overrides(self) -> dict[str, Any]:
        return {**super().config_overrides(), "problem_type": "multi_label_classification"}

    @property
    def head_bias(self) -> list[float] | None:
        """Logarithm of the odds of each label; none where weights make both sides as heavy."""
        if self.label_counts is None or self.train_rows is None or self.weights is not None:
            return None
        has = np.array(self.label_counts) + 0.5  # of a label that none or all have, too
        return np.log(has / (self.train_rows + 1 - has)).tolist()

    def target_ids(self, values: Sequence[Any]) -> list[list[float]]:
        """``labels`` of encoded rows: 1 for each label that the row has, and 0 for the others."""
        rows = [label_set(value, self.label_separator) for value in values]
        for label in {label for row in rows for label in row} - {*self.known_labels}:
            raise InputError(f"label={label!r}: one of {', '.join(self.known_labels)}.")
        return as_indicators(rows, self.known_labels)

    @property
    def weights(self) -> list[list[float]] | None:  # type: ignore[override]
        """Factors of rows that lack each label, and that have it, as two classes; or ``None``."""
        if self.class_weights is None:
            return None
        if self.label_counts is None or self.train_rows is None:
            raise InputError(
                f"class_weights={self.class_weights!r}: needs the training rows. Use the task "
                "that task.fit(train) returns."
            )
        rows, has = self.train_rows, self.label_counts
        sides = [[rows - count for count in has], has]
        return [[rows / (2 * count) if 0 < count < rows else float(count > 0) for count in side]
                for side in sides]  # fmt: skip

    def loss(self, model: PreTrainedModel, args: Any) -> Any:
        smoothing, weights = args.label_smoothing_factor, self.weights
        flat = None if weights is None else [*weights[0], *weights[1]]
        return StepLoss(label_smoothing=smoothing, class_weights=flat, binary=True)

    def decode(self, outputs: Sequence[Any], tokenizer: Any = None) -> list[list[str]]:  # type: ignore[override]
        """Turn each row's logits, ``(labels,)``, into labels, the most probable first."""
        return [answer["labels"] for answer in self._answers(self.chances(outputs))]

    def answers(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: PreTrainedTokenizerBase
    ) -> list[dict[str, Any]]:
        """What ``predict`` says of each row: ``labels``, and ``scores`` of all labels."""
        return self._answers(self.chances(outputs))

    def _answers(self, chances: np.ndarray) -> list[dict[str, Any]]:
        found, limits = [], self.limits_by_label
        for row in chances.tolist():
            scores = dict(zip(self.known_labels, row, strict=True))
            given = [label for label in scores if scores[label] >= limits[label]]
            given.sort(key=lambda label, scores=scores: -scores[label])
            found.append({"labels": given, "scores": scores})
        return found

    @property
    def limits_by_label(self) -> dict[str, float]:
        """Probability from which on each label is given."""
        limits = self.thresholds or [DEFAULT] * len(self.known_labels)
        return dict(zip(self.known_labels, limits, strict=True))

    def chances(self, outputs: Sequence[Any]) -> np.ndarray:
        """Probability of each label, ``(rows, labels)``, by the temperature if there is one."""
        return sigmoid(np.asarray(outputs, float) / (self.divisor or 1.0))

    def decided(self, answers: Sequence[Answer]) -> list[dict[str, Any]]:
        return [dict(answer) for answer in answers]

    @property
    def calibrates(self) -> bool:
        return True

    def calibrated(self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any = None):
        """As of every task: with ``temperature`` and ``thresholds``, or neither of too few rows."""
        logits = np.asarray(outputs, float)
        true = np.array(as_indicators(self.references(dataset), self.known_labels))
        notes, temperature = [], None
        if self.calibrate and len(logits) < ROWS:
            notes.append(few_rows_note(len(logits)))
        elif self.calibrate:
            two = two_classes(logits, np.zeros_like(logits))
            temperature, reason = temperature_of(two, true.ravel().astype(int).tolist())
            notes += [reason] if reason else []
        task = replace(self, temperature=temperature)
        chances = replace(task, calibrate_head=False).chances(logits)
        limits, reason = thresholds_of(chances, true, self.known_labels)
        return replace(task, thresholds=limits), [*notes, *([reason] if reason else [])]

    # --- scores --------------------------------------------------------------------------------

    def references(self, dataset: Dataset, tokenizer: Any = None) -> list[list[str]]:
        """True labels of each row, raw or encoded."""
        if not {"input_ids", "labels"} <= {*dataset.column_names}:
            return list(label_sets(dataset, self.label_column, self.label_separator))
        labels = self.known_labels
        return [[labels[i] for i in np.flatnonzero(row)] for row in dataset["labels"][:]]

    def _labels_of(self, value: Any) -> list[str]:
        if value is None or value != value:
            raise InputError('has no answer. Write [] or "" for one without labels.')
        if isinstance(value, str) and not value.strip():
            return []
        if (reason := label_set_reason(value, "prediction", self.label_separator)) is not None:
            raise InputError(f"{reason}.")
        return label_set(value, self.label_separator)

    def read_answer(self, given: Given, texts: Sequence[str]) -> dict[str, Any]:
        """As of every task; ``scores`` where there are those of all labels."""
        labels = [self.read_label(label) for label in self._labels_of(given["prediction"])]
        if given.get("scores") is None:
            return {"labels": labels}
        return {"labels": labels, "scores": label_scores(given["scores"], self.known_labels)}

    def score_answers(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Scores:
        """As of every task; with scores of all labels, how well these rank and hold, too."""
        references = self.references(dataset)
        found = self.compute_metrics([answer["labels"] for answer in answers], references)
        if not all("scores" in answer for answer in answers):
            return found
        labels = self.known_labels
        chances, true = self._given_chances(answers), np.array(as_indicators(references, labels))
        found["ranking_precision"] = metrics.ranking_precision(chances, true)
        if ((chances < 0) | (chances > 1)).any():
            return found
        two, classes = two_classes(chances, 1 - chances), true.ravel().astype(int).astype(str)
        return found | confidence_scores(
            two, classes.tolist(), ["0", "1"], temperature=self.temperature, found=None, tree=None
        )

    def compute_metrics(  # type: ignore[override]
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[Sequence[str]],
        *,
        texts: Texts = None,
    ) -> Scores:
        return metrics.multi_label_scores(predictions, references)

    def answer_intervals(
        self, answers: Sequence[Answer], dataset: Dataset, tokenizer: Any = None
    ) -> Intervals:
        said = [answer["labels"] for answer in answers]
        return metrics.multi_label_intervals(said, self.references(dataset), self.known_labels)

    def row_score(self, answers: Sequence[Answer], references: Sequence[Any]) -> Score:
        said = [answer["labels"] for answer in answers]
        return metrics.multi_label.multi_label_row_score(said, references, self.known_labels)

    def agreement_key(self, answer: Answer) -> tuple[str, ...]:
        return tuple(sorted(self.prediction(answer)["prediction"]))

    def metric_directions(self) -> dict[str, bool]:
        names = [*_score_names(), "ranking_precision"]
        return dict.fromkeys(names, True) | confidence_directions(
            temperature=self.temperature, limits=None
        )

    def signatures(self, references: Sequence[Any]) -> dict[str, str]:
        found = metrics.multi_label_signatures()
        found |= metrics.calibration.confidence_signatures(None)
        return {name: found[name] for name in found if name in self.metric_directions()}

    def baselines(self, train: Dataset | None, test: Dataset) -> dict[str, list[Any]]:
        """The most frequent labels, and logistic regression for each label.

        Both are those of ``frtune.metrics.text_baselines``; without training rows there are none.
        """
        if train is None:
            return {}
        sets = self.references(train)
        known, asked = (list(rows[self.text_column]) for rows in (train, test))
        logistic = metrics.text_baselines.tfidf_one_vs_rest(
            known, sets, asked, self.known_labels, balanced=self.class_weights is not None
        )
        return {
            "most_frequent": metrics.text_baselines.most_frequent_labels(sets, len(test)),
            "tfidf_logistic": logistic,
        }

    def confidence(self, lines: Sequence[Line]) -> Confidence:
        chances = self._given_chances(lines)
        found = before_and_after(two_classes(chances, 1 - chances), self.temperature)
        true = np.array(as_indicators([line["reference"] for line in lines], self.known_labels))
        return Confidence(found, true.ravel().astype(int), None, of_rows=False)

    def by_class(self, lines: Sequence[Line]) -> ClassReport:
        said, true = ([line[name] for line in lines] for name in ("prediction", "reference"))
        found = metrics.multi_label.set_scores_by_label(said, true, self.known_labels)
        return ClassReport(self.known_labels, None, found)

    def write_details(
        self, directory: Any, predictions: Sequence[Any], references: Sequence[Any]
    ) -> None:
        """Write ``classes.json``."""
        metrics.multi_label.write_label_details(
            directory, predictions, references, self.known_labels
        )

    # --- how an answer is shown ----------------------------------------------------------------

    def transformers_lines(self, tokenizer: PreTrainedTokenizerBase, kind: ModelKind) -> list[str]:
        return several_labels_lines(
            self.limits_by_label, limit=self.max_source_tokens, temperature=self.divisor
        )

    def is_same_answer(self, printed: Any, answer: Answer) -> bool:
        given = {label: answer["scores"][label] for label in answer["labels"]}
        return is_close(printed, given)

    def row_values(self, lines: Sequence[Line]) -> tuple[str, list[float]]:
        true = np.array(as_indicators([line["reference"] for line in lines], self.known_labels))
        chances = self._given_chances(lines)
        values = np.where(true > 0, chances, 1 - chances).mean(1)
        return "mean probability of what is true of each label", values.tolist()

    def described(self, line: Line) -> dict[str, Any]:
        return phrase_pieces(line["prediction"], line["reference"], str)

    def answer_cells(self, answer: Answer) -> tuple[Any, ...]:
        labels, scores = answer["labels"], answer["scores"]
        shown = [f"{scores[label]:.4f}" for label in labels]
        return tuple(self.label_separator.join(each) for each in (labels, shown))

    def answer_html(self, answer: Answer, say: Say) -> str:
        return label_set_html(answer["labels"], answer["scores"], say)


@functools.cache
def _score_names() -> list[str]:
    return [*metrics.multi_label_scores([["a"]], [["a"]])]
