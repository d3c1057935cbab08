"""Scores of classes and of similarity scores, by scikit-learn and SciPy; fractions from 0 to 1."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn import metrics

from frtune.errors import InputError
from frtune.files import write_json
from frtune.metrics.conventions import signature
from frtune.moved import moved_names
from frtune.plotting import has_matplotlib, require_matplotlib

__getattr__ = moved_names(__name__)

logger = logging.getLogger(__name__)

AVERAGES = ("macro", "weighted")
PARTS = ("precision", "recall", "f1")


def classification_scores(
    predictions: Sequence[str], references: Sequence[str]
) -> dict[str, float]:
    """Score predicted classes against true ones.

    A class counts in an average when a row has it or was given it; precision without any
    prediction of a class is 0. ``mcc`` is Matthews' correlation for any number of classes
    (Gorodkin 2004, equation 8), from -1 to 1; 0 when all rows have, or were given, one class.

    Returns:
        ``accuracy``, ``precision_macro``, ``recall_macro``, ``f1_macro``, the same as
        ``..._weighted`` (by the rows of each class), and ``mcc``.

    Example:
        >>> scores = classification_scores(["a", "a", "b", "a"], ["a", "a", "b", "b"])
        >>> scores["accuracy"], round(scores["f1_macro"], 4), round(scores["mcc"], 4)
        (0.75, 0.7333, 0.5774)
    """
    _check(predictions, references)
    scores = {"accuracy": float(metrics.accuracy_score(references, predictions))}
    for average in AVERAGES:
        found = _parts(predictions, references, average=average)
        scores |= {f"{p}_{average}": float(v) for p, v in zip(PARTS, found[:3], strict=True)}
    one = len({*predictions, *references}) == 1
    scores["mcc"] = 0.0 if one else float(metrics.matthews_corrcoef(references, predictions))
    return scores


def class_scores(
    predictions: Sequence[str], references: Sequence[str], labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Score each class alone: ``precision``, ``recall``, ``f1`` and ``rows``.

    Example:
        >>> class_scores(["a", "a"], ["a", "b"], ["a", "b"])["a"]
        {'precision': 0.5, 'recall': 1.0, 'f1': 0.6666666666666666, 'rows': 1}
    """
    _check(predictions, references)
    *parts, rows = _parts(predictions, references, labels=list(labels), average=None)
    return {
        label: dict(zip(PARTS, map(float, found), strict=True)) | {"rows": int(count)}
        for label, count, *found in zip(labels, rows, *parts, strict=True)
    }


def confusion_matrix(
    predictions: Sequence[str], references: Sequence[str], labels: Sequence[str]
) -> list[list[int]]:
    """Count rows by true class (down) and predicted class (across), in the order of ``labels``.

    Example:
        >>> confusion_matrix(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
        [[1, 0], [1, 1]]
    """
    _check(predictions, references)
    known = set(labels)
    for label in [*predictions, *references]:
        if label not in known:
            raise InputError(f"label={label!r}: not in labels. Name every label there.")
    return metrics.confusion_matrix(references, predictions, labels=list(labels)).tolist()


def roc_auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Chance that a positive row scores above a negative one, ties half (Fawcett 2006, section 7).

    Returns:
        0 to 1; 0.5, chance, when the rows are all positive or all negative.

    Example:
        >>> roc_auc([0.9, 0.4, 0.6], [True, False, False]), roc_auc([0.5, 0.5], [True, False])
        (1.0, 0.5)
    """
    _check(scores, positive)
    if len(set(map(bool, positive))) < 2:
        return 0.5
    return float(metrics.roc_auc_score([bool(value) for value in positive], scores))


def correlation_scores(
    predictions: Sequence[float], references: Sequence[float]
) -> dict[str, float]:
    """Score predicted numbers against true ones.

    Returns:
        ``pearson`` and ``spearman``, from -1 to 1 and 0 when either side is constant; ``mse``,
        in the square of the scores' own unit.

    Example:
        >>> scores = correlation_scores([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
        >>> round(scores["pearson"], 4), scores["spearman"], round(scores["mse"], 4)
        (0.982, 1.0, 0.3333)
    """
    _check(predictions, references)
    left, right = np.asarray(predictions, float), np.asarray(references, float)
    scores = {"pearson": 0.0, "spearman": 0.0, "mse": float(((left - right) ** 2).mean())}
    if np.ptp(left) and np.ptp(right):
        scores["pearson"] = float(stats.pearsonr(left, right)[0])  # type: ignore[arg-type]
        scores["spearman"] = float(stats.spearmanr(left, right)[0])  # type: ignore[arg-type]
    return scores


def classification_signatures(*, positive: str | None = None) -> dict[str, str]:
    """How ``classification_scores`` are computed, one line a score.

    Args:
        positive: The label that ``roc_auc`` and ``f1`` of two classes are about; ``None`` leaves
            these two out.

    Example:
        >>> classification_signatures()["f1_macro"]
        'f1_macro|avg:macro|classes:seen|zero_division:0|v:0.2'
    """
    averaged = {
        f"{part}_{average}": f"{part}_{average}|avg:{average}|classes:seen|zero_division:0"
        for average in AVERAGES
        for part in PARTS
    }
    names = {"accuracy": "accuracy", **averaged, "mcc": "mcc|gorodkin"}
    if positive is not None:
        names["f1"] = f"f1|positive:{positive}|zero_division:0"
        names["roc_auc"] = f"roc_auc|positive:{positive}|ties:half"
    return {name: signature(text) for name, text in names.items()}


def level_signatures(rule: str | None, names: Sequence[str]) -> dict[str, str]:
    """How scores of the levels of a tree of labels are computed, one line a score."""
    return {name: signature(name, f"labels:{rule}", "classes:seen") for name in names}


def correlation_signatures() -> dict[str, str]:
    """How ``correlation_scores`` are computed, one line a score."""
    texts = ("pearson|constant:0", "spearman|ties:average|constant:0", "mse|unit:data")
    return {text.split("|")[0]: signature(text) for text in texts}


def confusion_picture(matrix: Sequence[Sequence[int]], labels: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix: counts written, cells shaded by their share of the true class.

    Raises:
        ImportError: Without the extra ``plots``.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    counts = np.asarray(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.0, 1.5 + 0.6 * len(labels))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true", title="Rows by true and predicted class")
    for i, j in np.ndindex(counts.shape):
        colour = "white" if shares[i, j] > 0.5 else "black"
        axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour)
    figure.savefig(path, dpi=150)


def write_class_details(
    directory: Path, predictions: Sequence[str], references: Sequence[str], labels: Sequence[str]
) -> None:
    """Write ``classes.json`` and, where matplotlib is, ``confusion_matrix.png``."""
    matrix = confusion_matrix(predictions, references, labels)
    classes = class_scores(predictions, references, labels)
    content = {"classes": classes, "labels": list(labels), "confusion_matrix": matrix}
    write_json(directory / "classes.json", content)
    if not has_matplotlib():
        logger.info("no confusion_matrix.png: pip install 'frtune[plots]' draws it")
        return
    confusion_picture(matrix, labels, directory / "confusion_matrix.png")


def _parts(predictions: Sequence[str], references: Sequence[str], **options: Any) -> Any:
    """Precision, recall, F1 and rows; a fraction over nothing is 0."""
    options["zero_division"] = 0
    return metrics.precision_recall_fscore_support(references, predictions, **options)


def _check(predictions: Sequence[Any], references: Sequence[Any]) -> None:
    if len(predictions) != len(references) or not len(references):
        raise InputError(
            f"predictions={len(predictions)} rows, references={len(references)} rows: the same "
            "number, at least 1. Pass one prediction for each reference."
        )
