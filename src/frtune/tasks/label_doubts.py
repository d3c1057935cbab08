"""How doubtful a label is, by what models say that did not learn it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from frtune.errors import InputError
from frtune.tasks.shown_rows import plain_text

if TYPE_CHECKING:
    from datasets import Dataset

Evidence = Mapping[str, Any]  # of a row: what a model that did not learn it says, as JSON values
MADS = 3 * 1.4826  # median absolute deviations in three standard deviations of normal values


@dataclass(frozen=True)
class Reason:
    """Why a label is doubted.

    Attributes:
        name: A key of ``frtune.review.translations``.
        values: What its sentence is filled in with.
    """

    name: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelDoubt:
    """How doubtful the label of a row is.

    Attributes:
        doubt: The greater, the more doubtful, within one data set.
        confidence: How sure it is that the label is another one, from 0 to 1.
        suggestion: The label that the models give; ``None`` where it is that of the row.
        reasons: Why it is doubted; none where it is not.
    """

    doubt: float
    confidence: float
    suggestion: Any = None
    reasons: tuple[Reason, ...] = ()


class LabelReview:
    """The part of a task's contract that ``frtune review`` asks for.

    A label is what ``references`` gives of a row. The defaults doubt the label of each row that is
    answered otherwise.
    """

    answers: Callable[..., list[dict[str, Any]]]
    prediction: Callable[..., dict[str, Any]]
    references: Callable[..., list[Any]]

    def review_evidence(
        self, outputs: Sequence[Any], dataset: Dataset, tokenizer: Any
    ) -> list[dict[str, Any]]:
        """What a model says of raw rows that it did not learn, as JSON values.

        Args:
            outputs: As for ``answers``.
            dataset: The encoded rows, with labels.
            tokenizer: The model's.
        """
        return [self.prediction(answer) for answer in self.answers(outputs, dataset, tokenizer)]

    def label_doubts(self, rows: Dataset, evidence: Sequence[Evidence]) -> list[LabelDoubt]:
        """How doubtful each raw row's label is.

        Args:
            rows: All rows, raw.
            evidence: ``review_evidence`` of each; where the task ``generates`` with ``loss``, the
                mean loss of a token of the row's target, in nats.
        """
        found = []
        for label, said in zip(self.references(rows), evidence, strict=True):
            other = said["prediction"]
            reason = Reason("other_answer", {"label": self.label_line(other)})
            doubted = LabelDoubt(1.0, 1.0, other, (reason,))
            found.append(LabelDoubt(0.0, 0.0) if other == label else doubted)
        return found

    def conflict_test(self, labels: Sequence[Any]) -> Callable[[Any, Any], bool]:
        """What tells whether two of ``labels`` cannot both be right of one text."""
        return lambda one, other: one != other

    def label_line(self, label: Any) -> str:
        """A label as one line of text."""
        return plain_text(label)

    def read_label_line(self, line: str) -> Any:
        """The label that a line stands for.

        Raises:
            InputError: If it stands for none.
        """
        try:
            return json.loads(line)
        except ValueError:
            return line.strip()

    def label_cell(self, label: Any, before: Any) -> Any:
        """A label as it stands in a file, in the form of the value ``before`` it."""
        return label


def load_cleanlab() -> Any:
    """Import cleanlab, which finds wrong labels of classes.

    Raises:
        ImportError: If it is missing; names the extra.
    """
    try:
        import cleanlab.count
        import cleanlab.filter
        import cleanlab.rank
    except ImportError as error:
        raise ImportError("Labels are reviewed with cleanlab: pip install 'frtune[review]'.") from (
            error
        )
    return cleanlab


def class_doubts(
    labels: Sequence[str], chances: np.ndarray, names: Sequence[str]
) -> list[LabelDoubt]:
    """Confident learning: which labels of classes are probably wrong.

    A row is doubted where it is off the diagonal of the confident joint: its probability of
    another class reaches the mean that rows of this class have (Northcutt et al. 2021, equations 1
    and 2). The order is that of the normalised margin: the probability of the label less that of
    the likeliest other class (section 4.2). Both are cleanlab's.

    Args:
        labels: Of each row.
        chances: Out-of-fold probabilities, ``(rows, classes)``.
        names: The classes, in the order of ``chances``.

    Example:
        >>> chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.05, 0.95]])
        >>> found = class_doubts(list("nnppn"), chances, ["n", "p"])
        >>> [doubt.suggestion for doubt in found], [bool(doubt.reasons) for doubt in found]
        ([None, None, None, None, 'p'], [False, False, False, False, True])
    """
    cleanlab = load_cleanlab()
    present = sorted({names.index(label) for label in labels})  # a class may have no row
    places = {names[place]: i for i, place in enumerate(present)}
    ids = np.array([places[label] for label in labels])
    chances = chances[:, present] / chances[:, present].sum(axis=1, keepdims=True)
    least = cleanlab.count.get_confident_thresholds(ids, chances)  # (classes,)
    quality = cleanlab.rank.get_label_quality_scores(ids, chances, method="normalized_margin")
    doubted = cleanlab.filter.find_label_issues(
        ids, chances, filter_by="confident_learning", n_jobs=1
    )
    confident = np.where(chances >= least, chances, -1)
    likeliest = np.where(confident.max(axis=1) > 0, confident.argmax(axis=1), chances.argmax(1))
    found = []
    for i, (own, other) in enumerate(zip(ids, likeliest, strict=True)):
        chance, label = float(chances[i, other]), names[present[other]]
        reason = Reason("other_class", {"label": label, "chance": f"{chance:.2f}",
                                        "usual": f"{least[other]:.2f}"})  # fmt: skip
        found.append(
            LabelDoubt(
                1 - float(quality[i]),
                chance if other != own else 1 - float(chances[i, own]),
                label if other != own else None,
                (reason,) if doubted[i] else (),
            )
        )
    return found


def score_doubts(labels: Sequence[float], said: Sequence[float]) -> list[LabelDoubt]:
    """Which scores are far from what models say that did not learn them.

    A row is doubted where its error is more than three robust standard deviations above the
    median.

    Example:
        >>> found = score_doubts([1, 2, 3, 4, 5, 0], [1.1, 2, 3.2, 3.9, 4.8, 5])
        >>> [round(doubt.doubt, 1) for doubt in found], len(found[-1].reasons)
        ([0.1, 0.0, 0.2, 0.1, 0.2, 5.0], 1)
    """
    true = np.asarray(labels, float)
    kept = np.clip(np.asarray(said, float), true.min(), true.max())
    errors = np.abs(kept - true)
    shares, limit = ranks(errors), outlier_limit(errors)
    return [
        LabelDoubt(
            float(error),
            float(share),
            float(f"{value:.3g}"),
            (Reason("other_score", {"score": f"{value:.3g}"}),) if error > limit else (),
        )
        for error, share, value in zip(errors, shares, kept, strict=True)
    ]


def ranks(values: np.ndarray) -> np.ndarray:
    """The share of values below each.

    Example:
        >>> ranks(np.array([0.5, 0.1, 0.9, 0.1])).tolist()
        [0.5, 0.0, 0.75, 0.0]
    """
    return np.searchsorted(np.sort(values), values, side="left") / max(1, len(values))


def outlier_limit(values: np.ndarray) -> float:
    """The median and three robust standard deviations: above it a value is an outlier."""
    median = float(np.median(values))
    return median + MADS * float(np.median(np.abs(values - median)))


def number_line(line: str) -> float:
    """The score that a line stands for; an ``InputError`` where it is no number."""
    try:
        return float(line.strip().replace(",", "."))
    except ValueError:
        raise InputError(f"{line.strip()[:40]!r} is no number. Write one, such as 3.5.") from None
