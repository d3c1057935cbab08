"""How well the classes can be told from one layer's vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from frtune.data.fingerprints import Letters, band_keys, band_rows, distinct, jaccard
from frtune.errors import InputError
from frtune.metrics.bootstrap import bootstrap_interval
from frtune.study.collect import Collected
from frtune.study.cosines import Value
from frtune.study.covariance import ROUNDING
from frtune.study.settings import Settings
from frtune.tasks.base import ModelKind

TEST_SHARE = 0.25
FOLDS = 3
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
NEARLY_EQUAL = 0.8  # Jaccard index of character 5-grams
MOST_PARTNERS = 50  # texts that one is compared with for one shared band
LEAST_TEXTS = 2 * FOLDS  # of a class, copies not counted: FOLDS or more stay for training


@dataclass(frozen=True)
class Split:
    """Which texts a probe learns from, and which it is tested on.

    Attributes:
        labels: int64 ``(texts,)``: number of each text's class.
        groups: int64 ``(texts,)``: equal for texts that are the same or nearly so.
        train: Places of the texts to learn from.
        test: Places of the others, none of them in a group of ``train``.
    """

    labels: np.ndarray
    groups: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def once(self) -> np.ndarray:
        """Places of the first text of each group and class."""
        return np.sort(
            np.unique(np.stack([self.groups, self.labels]), axis=1, return_index=True)[1]
        )


def split(labels: Any, groups: Any = None) -> tuple[np.ndarray, Split]:
    """Split texts 3 : 1 within each class, by their order; a group of texts stays together.

    The order is that of the texts' hashes, so that the split is random and does not depend on the
    order in a file. A class of fewer than 6 groups is left out.

    Args:
        labels: One label a text, in the order of the hashes.
        groups: A number for each text, equal for texts that are the same or nearly so
            (``alike``); ``None``: no two are.

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
    groups = np.arange(len(texts)) if groups is None else np.asarray(groups)
    names, numbers = np.unique(texts, return_inverse=True)
    pairs = np.unique(np.stack([numbers, groups]), axis=1)
    enough = np.bincount(pairs[0], minlength=len(names)) >= LEAST_TEXTS
    if enough.sum() < 2:
        raise InputError(
            f"labels: {len(names)} class(es), {int(enough.sum())} with {LEAST_TEXTS} texts, copies "
            f"not counted. Give at least two classes of {LEAST_TEXTS} texts each."
        )
    taken = np.flatnonzero(enough[numbers])
    numbers = np.unique(numbers[taken], return_inverse=True)[1]
    groups = groups[taken]
    test = _held_out(numbers, groups)
    return taken, Split(numbers, groups, np.flatnonzero(~test), np.flatnonzero(test))


def _held_out(numbers: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whether each text is tested on: group by group, while no class has too many of its texts."""
    room = np.maximum(1, np.round(np.bincount(numbers) * TEST_SHARE)).astype(int)
    test = np.zeros(len(numbers), bool)
    _, first, places = np.unique(groups, return_index=True, return_inverse=True)
    members = np.split(np.argsort(places, kind="stable"), np.cumsum(np.bincount(places))[:-1])
    for group in np.argsort(first):
        counts = np.bincount(numbers[members[group]], minlength=len(room))
        if (counts <= room).all():
            room = room - counts
            test[members[group]] = True
    return test


def alike(texts: Sequence[str], *, threshold: float = NEARLY_EQUAL) -> np.ndarray:
    """Number texts so that those that are the same or nearly so have one number.

    Texts are the same but for case, spaces and punctuation, or their character 5-grams have a
    Jaccard index of ``threshold`` or more (MinHash finds 99 of 100 such pairs); so have all that
    hang together by such pairs.

    Returns:
        int64 of shape ``(texts,)``.

    Example:
        >>> one, other, canteen = alike(["The budget.", "the  budget", "A canteen for the school"])
        >>> one == other != canteen
        np.True_
    """
    letters = [Letters(text) for text in texts]
    _, first, same = np.unique(
        [each.key for each in letters], return_index=True, return_inverse=True
    )
    letters = [letters[i] for i in first]
    bands = band_keys(np.stack([each.signature() for each in letters]), band_rows(threshold))
    candidates: set[tuple[int, int]] = set()
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        for step in range(1, MOST_PARTNERS):
            equal = np.flatnonzero(band[order][step:] == band[order][:-step])
            if not len(equal):
                break
            candidates |= {*zip(order[equal].tolist(), order[equal + step].tolist(), strict=True)}
    shingles = cache(lambda i: distinct(letters[i].grams()))
    pairs = [(i, j) for i, j in candidates if jaccard(shingles(i), shingles(j)) >= threshold]
    ones, others = np.array(pairs, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(pairs)), (ones, others)), shape=(len(first), len(first)))
    return connected_components(graph, directed=False)[1].astype(np.int64)[same]


def probe(vectors: np.ndarray, parts: Split, *, seed: int) -> Value:
    """Test accuracy of a logistic regression, with its bootstrap interval over the test texts.

    Vectors are standardised; the strength of the L2 penalty is chosen by three-fold
    cross-validation on the training texts (linear probes: Alain and Bengio 2017), whose folds do
    not part a group either. A group of equal texts counts as one in the accuracy. A layer that is
    constant gives the share of the largest class. ``vectors`` are float ``(texts, width)``.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    strengths = {"logisticregression__C": list(STRENGTHS)}
    values = steady(vectors)
    labels, groups = parts.labels[parts.train], parts.groups[parts.train]
    copies = len(np.unique(groups)) < len(groups)
    folds = StratifiedGroupKFold(FOLDS) if copies else StratifiedKFold(FOLDS)
    search = GridSearchCV(model, strengths, cv=folds)
    with threadpool_limits(1):  # the solver's steps are so small that threads only wait
        search.fit(values[parts.train], labels, **({"groups": groups} if copies else {}))
    right = search.predict(values[parts.test]) == parts.labels[parts.test]
    _, order, places = np.unique(parts.groups[parts.test], return_index=True, return_inverse=True)
    means = np.bincount(places, right) / np.bincount(places)  # (groups,)
    means = means[np.argsort(order)]
    low, high = bootstrap_interval(means, seed=seed)
    return Value(float(np.mean(means)), low, high)


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
    return between / within if within > ROUNDING**2 * float((x**2).sum()) else math.nan


def silhouette(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette of the classes (Rousseeuw 1987), Euclidean; ``nan`` where nothing varies."""
    x = steady(vectors)
    return float(silhouette_score(x, labels)) if np.ptp(x, axis=0).any() else math.nan


def add_probes(
    found: Collected, rows: Mapping[int, tuple[str, Any]], kind: ModelKind, settings: Settings
) -> list[tuple[str, str]]:
    """Add ``*_first`` and ``*_mean`` statistics of the classes to each layer of ``found``.

    They are the probe's accuracy, ``fisher_ratio`` and ``silhouette`` over all texts, copies left
    out. ``rows`` are texts and labels by the texts' keys. The first token of a decoder sees no
    other, so that it is left out. Returned is what could not be computed, and why.
    """
    chosen = [rows[key] for key in found.arrays["text_keys"].view("uint64").tolist()]
    groups = alike([text for text, _ in chosen])
    try:
        taken, parts = split([label for _, label in chosen], groups)
    except InputError as error:
        return [("probes", str(error))]
    notes = []
    if rare := len(chosen) - len(taken):
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
            once, labels = states[parts.once], parts.labels[parts.once]
            statistics |= {
                f"probe_{vector}_accuracy": probe(states, parts, seed=settings.seed),
                f"fisher_{vector}": Value(fisher_ratio(once, labels)),
                f"silhouette_{vector}": Value(silhouette(once, labels)),
            }
    return notes
