"""Scores of several labels a row, by scikit-learn, and the thresholds of giving them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn import metrics
from sklearn.preprocessing import MultiLabelBinarizer

from frtune.errors import InputError
from frtune.files import write_json
from frtune.metrics.bootstrap import Score, count_score, interval, macro_f1, resampled
from frtune.metrics.classification import PARTS
from frtune.metrics.conventions import signature
from frtune.metrics.counting import divided

Sets = Sequence[Sequence[str]]

DEFAULT = 0.5  # probability from which on a label is given, before one is fitted
FEW = 5  # validation rows with a label from which on it has a threshold of its own


def multi_label_scores(predictions: Sets, references: Sets) -> dict[str, float]:
    """Score predicted sets of labels against true ones.

    Micro scores count all labels of all rows together. ``f1_macro`` is the mean over the labels
    that a row has or was given. A fraction over nothing is 0.

    Returns:
        ``f1_micro``, ``precision_micro``, ``recall_micro``, ``f1_macro``, and ``exact_match``, the
        share of rows whose labels are all right and complete.

    Example:
        >>> found = multi_label_scores([["a"], ["b"], []], [["a", "b"], ["b"], []])
        >>> {name: round(value, 3) for name, value in found.items() if "f1" in name}
        {'f1_micro': 0.8, 'f1_macro': 0.833}
        >>> round(found["exact_match"], 3)
        0.667
    """
    said, true, _ = _indicators(predictions, references)
    micro = _parts(np.stack([(said & true).sum(), said.sum(), true.sum()]))
    each = _parts(np.stack([(said & true).sum(0), said.sum(0), true.sum(0)]))
    seen = (said | true).any(0)
    return {
        **{f"{name}_micro": float(value) for name, value in micro.items()},
        "f1_macro": float(each["f1"][seen].mean()) if seen.any() else 0.0,
        "exact_match": float((said == true).all(1).mean()),
    }


def ranking_precision(chances: np.ndarray, true: np.ndarray) -> float:
    """Label ranking average precision (Schapire and Singer 2000), 1 where true labels rank first.

    For each true label of a row: of the labels that score as high as it, the share that is true;
    the mean over the labels of a row, then over the rows that have a label.

    Args:
        chances: Score of each label, ``(rows, labels)``.
        true: 1 for each label that a row has, ``(rows, labels)``.

    Example:
        >>> ranking_precision(np.array([[0.9, 0.5, 0.1]]), np.array([[1, 0, 1]]))
        0.833...
    """
    chances, true = np.asarray(chances, float), np.asarray(true) > 0
    having = true.any(1)
    if not having.any():
        return 0.0
    return float(metrics.label_ranking_average_precision_score(true[having], chances[having]))


def set_scores_by_label(
    predictions: Sets, references: Sets, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Score each label alone: ``precision``, ``recall``, ``f1`` and ``rows``.

    Example:
        >>> set_scores_by_label([["a"], ["a"]], [["a"], []], ["a", "b"])["a"]
        {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666, 'rows': 1}
    """
    said, true, _ = _indicators(predictions, references, labels)
    counts = np.stack([(said & true).sum(0), said.sum(0), true.sum(0)])
    parts = _parts(counts)
    return {
        label: {name: float(parts[name][i]) for name in PARTS} | {"rows": int(counts[2][i])}
        for i, label in enumerate(labels)
    }


def fitted_thresholds(chances: np.ndarray, true: np.ndarray) -> tuple[list[float], list[int]]:
    """Find the probability from which on each label is given: that of the best F1 (Yang 2001).

    A label of fewer than five rows gets the one threshold of the best micro F1 of all labels, as
    its own would be chance.

    Args:
        chances: Probability of each label, ``(rows, labels)``, of rows that were not learnt.
        true: 1 for each label that a row has, ``(rows, labels)``.

    Returns:
        The thresholds, ``(labels,)``, and the places of labels that got the common one.

    Example:
        >>> chances = np.array([[0.4], [0.3], [0.35], [0.2], [0.5], [0.1], [0.45]])
        >>> limits, common = fitted_thresholds(chances, chances >= 0.3)
        >>> [round(limit, 3) for limit in limits], common
        ([0.25], [])
    """
    chances, true = np.asarray(chances, float), np.asarray(true) > 0
    common = best_threshold(chances.ravel(), true.ravel())
    few = np.flatnonzero(true.sum(0) < FEW).tolist()
    limits = [
        common if i in few else best_threshold(chances[:, i], true[:, i])
        for i in range(chances.shape[1])
    ]
    return limits, few


def best_threshold(chances: np.ndarray, true: np.ndarray) -> float:
    """The threshold of the best F1, half way to the next lower probability; 0.5 where none is true.

    Example:
        >>> best_threshold(np.array([0.9, 0.6, 0.2]), np.array([True, True, False]))
        0.4
        >>> best_threshold(np.array([0.99999999, 0.9999998]), np.array([True, False]))
        0.99999999
    """
    if not true.any():
        return DEFAULT
    precision, recall, limits = metrics.precision_recall_curve(true, chances)
    f1 = divided(2 * precision * recall, precision + recall)[:-1]  # the last has no threshold
    best = limits[len(f1) - 1 - int(np.argmax(f1[::-1]))]  # of equals, the one that gives least
    lower = chances[chances < best].max(initial=0.0)
    between = float(round((best + lower) / 2, 6))
    # of probabilities next to 0 or 1 rounding may reach one of the two
    return between if lower < between <= best else float(best)


def multi_label_row_score(predictions: Sets, references: Sets, labels: Sequence[str]) -> Score:
    """Micro F1 of rows that are drawn again, for the bootstrap."""
    return count_score(_row_counts(predictions, references, labels).sum(1), _micro_f1)


def multi_label_intervals(
    predictions: Sets, references: Sets, labels: Sequence[str], *, samples: int = 1000
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % intervals of ``f1_micro``, ``f1_macro`` and ``exact_match`` over the rows.

    Example:
        >>> found = multi_label_intervals([["a"], ["b"]] * 20, [["a"], ["a"]] * 20, ["a", "b"])
        >>> [round(bound, 3) for bound in found["exact_match"]]
        [0.35, 0.65]
    """
    counts = _row_counts(predictions, references, labels)
    said, true, _ = _indicators(predictions, references, labels)
    flat = counts.reshape(len(counts), -1)
    right = np.stack([(said == true).all(1), np.ones(len(said))], axis=1)
    scores = {
        "f1_micro": count_score(counts.sum(1), _micro_f1),
        "f1_macro": count_score(flat, macro_f1(flat)),
        "exact_match": count_score(right, lambda sums: sums[:, 0] / sums[:, 1]),
    }
    return {
        name: interval(resampled(score, len(counts), samples=samples))
        for name, score in scores.items()
    }


def multi_label_signatures() -> dict[str, str]:
    """How ``multi_label_scores`` and ``ranking_precision`` are computed, one line a score.

    Example:
        >>> multi_label_signatures()["f1_macro"]
        'f1_macro|several_labels|avg:macro|classes:seen|zero_division:0|v:0.2'
    """
    names = {f"{part}_micro": "avg:micro|zero_division:0" for part in PARTS}
    names["f1_macro"] = "avg:macro|classes:seen|zero_division:0"
    names |= {"exact_match": "all_labels", "ranking_precision": "lrap|rows:with_labels"}
    return {name: signature(name, "several_labels", text) for name, text in names.items()}


def write_label_details(
    directory: Path, predictions: Sets, references: Sets, labels: Sequence[str]
) -> None:
    """Write ``classes.json``: each label alone."""
    found = set_scores_by_label(predictions, references, labels)
    write_json(directory / "classes.json", {"classes": found, "labels": list(labels)})


def _row_counts(predictions: Sets, references: Sets, labels: Sequence[str]) -> np.ndarray:
    """Right, predicted and true, of each row and label: ``(rows, labels, 3)``."""
    said, true, _ = _indicators(predictions, references, labels)
    return np.stack([said & true, said, true], axis=-1).astype(np.int64)


def _parts(counts: np.ndarray) -> dict[str, np.ndarray]:
    """``precision``, ``recall`` and ``f1`` of what is right, predicted and true, three first."""
    right, said, true = counts.astype(float)
    found = (divided(right, said), divided(right, true), divided(2 * right, said + true))
    return dict(zip(PARTS, found, strict=True))


def _micro_f1(sums: np.ndarray) -> np.ndarray:
    return divided(2.0 * sums[:, 0], sums[:, 1] + sums[:, 2])


def _indicators(
    predictions: Sets, references: Sets, labels: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Both sides as booleans, ``(rows, labels)``, and the labels: those given, or those there."""
    if len(predictions) != len(references) or not len(references):
        raise InputError(
            f"predictions={len(predictions)} rows, references={len(references)} rows: the same "
            "number, at least 1. Pass one prediction for each reference."
        )
    seen = sorted({label for side in (predictions, references) for row in side for label in row})
    names = list(labels) if labels is not None else seen or [""]
    if unknown := [label for label in seen if label not in names and labels is not None]:
        raise InputError(f"label={unknown[0]!r}: not in labels. Name every label there.")
    binarizer = MultiLabelBinarizer(classes=names).fit([])
    said, true = (np.asarray(binarizer.transform(side)) > 0 for side in (predictions, references))
    return said, true, names
