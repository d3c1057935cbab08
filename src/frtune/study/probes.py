"""How well the classes can be told from one layer's vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from frtune.errors import InputError
from frtune.metrics.bootstrap import bootstrap_interval
from frtune.study.collect import Collected
from frtune.study.cosines import Value
from frtune.study.settings import Settings
from frtune.tasks.base import ModelKind

TEST_SHARE = 0.25
FOLDS = 3
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
ROUNDING = 1e-6  # of float32, after a few layers
LEAST_TEXTS = 2 * FOLDS  # of a class: FOLDS or more stay for training


@dataclass(frozen=True)
class Split:
    """Which texts a probe learns from, and which it is tested on.

    Attributes:
        labels: int64 ``(texts,)``: number of each text's class.
        train: Places of the texts to learn from.
        test: Places of the others.
    """

    labels: np.ndarray
    train: np.ndarray
    test: np.ndarray


def split(labels: Any) -> tuple[np.ndarray, Split]:
    """Split texts 3 : 1 within each class, by their order.

    The order is that of the texts' hashes, so that the split is random and does not depend on the
    order in a file. A class of fewer than 6 texts is left out.

    Args:
        labels: One label a text, in the order of the hashes.

    Returns:
        Places of the texts that take part, and their split.

    Raises:
        InputError: If fewer than two classes have enough texts.

    Example:
        >>> taken, found = split(["a", "b"] * 8 + ["rare"])
        >>> len(taken), found.train.tolist(), found.test.tolist()
        (16, [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [0, 1, 2, 3])
    """
    texts = np.asarray([str(label) for label in labels])
    names, numbers, counts = np.unique(texts, return_inverse=True, return_counts=True)
    enough = counts >= LEAST_TEXTS
    if enough.sum() < 2:
        raise InputError(
            f"labels: {len(names)} class(es), {int(enough.sum())} with {LEAST_TEXTS} texts. "
            f"Give at least two classes of {LEAST_TEXTS} texts each."
        )
    taken = np.flatnonzero(enough[numbers])
    numbers = np.unique(numbers[taken], return_inverse=True)[1]
    test = np.zeros(len(taken), bool)
    for number in range(int(enough.sum())):
        members = np.flatnonzero(numbers == number)
        test[members[: max(1, round(len(members) * TEST_SHARE))]] = True
    return taken, Split(numbers, np.flatnonzero(~test), np.flatnonzero(test))


def probe(vectors: np.ndarray, parts: Split, *, seed: int) -> Value:
    """Test accuracy of a logistic regression, with its bootstrap interval over the test texts.

    Vectors are standardised; the strength of the L2 penalty is chosen by three-fold
    cross-validation on the training texts (linear probes: Alain and Bengio 2017). A layer that is
    constant gives the share of the largest class. ``vectors`` are float ``(texts, width)``.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    strengths = {"logisticregression__C": list(STRENGTHS)}
    search = GridSearchCV(model, strengths, cv=StratifiedKFold(FOLDS))
    values = steady(vectors)
    with threadpool_limits(1):  # the solver's steps are so small that threads only wait
        search.fit(values[parts.train], parts.labels[parts.train])
    right = search.predict(values[parts.test]) == parts.labels[parts.test]
    low, high = bootstrap_interval(right, seed=seed)
    return Value(float(np.mean(right)), low, high)


def steady(vectors: np.ndarray) -> np.ndarray:
    """Return the vectors as float64, with dimensions that vary by rounding alone made constant.

    The embedding of [CLS] is the same for every text, but for its last digit; standardising would
    blow that up.
    """
    values = vectors.astype(float)
    noise = values.std(0) <= ROUNDING * abs(values).max(initial=0)
    values[:, noise] = values[:1, noise]
    return values


def fisher_ratio(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Scatter between classes over scatter within them, as traces (Fisher 1936; Fukunaga 1990).

    ``sum n_c |m_c - m|^2 / sum |x - m_c|^2``; ``nan`` where nothing varies within classes.

    Args:
        vectors: float ``(texts, width)``.
        labels: int ``(texts,)``.

    Example:
        >>> import numpy as np
        >>> fisher_ratio(np.array([[0.0], [2.0], [8.0], [10.0]]), np.array([0, 0, 1, 1]))
        16.0
    """
    x = steady(vectors)
    between = within = 0.0
    for label in np.unique(labels):
        members = x[labels == label]
        centre = members.mean(0)
        between += len(members) * float(((centre - x.mean(0)) ** 2).sum())
        within += float(((members - centre) ** 2).sum())
    return between / within if within > 0 else math.nan


def add_probes(
    found: Collected, labels: Mapping[int, Any], kind: ModelKind, settings: Settings
) -> list[tuple[str, str]]:
    """Add ``*_first`` and ``*_mean`` statistics of the classes to each layer of ``found``.

    They are the probe's accuracy, ``fisher_ratio`` and the silhouette (Rousseeuw 1987), which is
    over all texts with Euclidean distances, from -1 to 1. ``labels`` are by the texts' keys. The
    first token of a decoder sees no other, so that it is left out. Returned is what could not be
    computed, and why.
    """
    keys = found.arrays["text_keys"].view("uint64").tolist()
    try:
        taken, parts = split([labels[key] for key in keys])
    except InputError as error:
        return [("probes", str(error))]
    notes = []
    if rare := len(keys) - len(taken):
        notes.append(("probes", f"{rare} texts of classes with fewer than {LEAST_TEXTS} left out"))
    vectors = ["mean", "first"]
    if kind == "decoder":
        vectors = ["mean"]
        notes.append(("probes on the first token", "that of a decoder sees no other token"))
    for layer, statistics in enumerate(found.statistics):
        if layer in found.broken:
            continue
        for vector in vectors:
            states = found.arrays[f"text_{vector}"][layer][taken]
            silhouette = silhouette_score(steady(states), parts.labels)
            statistics |= {
                f"probe_{vector}_accuracy": probe(states, parts, seed=settings.seed),
                f"fisher_{vector}": Value(fisher_ratio(states, parts.labels)),
                f"silhouette_{vector}": Value(float(silhouette)),
            }
    return notes
