"""From which probability on each of several labels is given, fitted to validation rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from frtune import metrics
from frtune.tasks.confidence import ROWS

DEFAULT = 0.5  # before thresholds are fitted
_SHOWN = 5


def thresholds_of(
    chances: np.ndarray, true: np.ndarray, labels: Sequence[str]
) -> tuple[list[float] | None, str | None]:
    """Fit a threshold for each label to validation rows; and say what could not be fitted.

    Args:
        chances: Probability of each label, ``(rows, labels)``.
        true: 1 for each label that a row has, ``(rows, labels)``.
        labels: The labels.
    """
    if len(chances) < ROWS:
        return None, (
            f"labels are given from {DEFAULT} on: {len(chances)} validation rows, and thresholds "
            f"take {ROWS}"
        )
    limits, few = metrics.fitted_thresholds(chances, true)
    if not few:
        return limits, None
    shown = ", ".join(labels[i] for i in few[:_SHOWN]) + ", ..." * (len(few) > _SHOWN)
    return limits, (
        f"{len(few)} of {len(labels)} labels have too few validation rows for a threshold of their "
        f"own, and share one: {shown}"
    )


def two_classes(has: np.ndarray, lacks: np.ndarray) -> np.ndarray:
    """Labels of rows, ``(rows, labels)``, as classes: 1 has it, 0 lacks it.

    Example:
        >>> two_classes(np.array([[0.9, 0.2]]), np.array([[0.1, 0.8]])).tolist()
        [[0.1, 0.9], [0.8, 0.2]]
    """
    return np.stack([lacks.ravel(), has.ravel()], axis=1)
