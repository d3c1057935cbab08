"""What needs no language model, so that a classifier's or a similarity's score means something."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from frtune.metrics.multi_label import DEFAULT, best_threshold

_THREE_FOLDS = 9  # rows of a label, three a fold
_TOKEN = r"\w+|[^\w\s]"


def majority(labels: Sequence[str], rows: int) -> list[str]:
    """Give the most frequent training label to every row; the first of those on a par.

    Example:
        >>> majority(["a", "b", "b"], 2)
        ['b', 'b']
    """
    return [Counter(labels).most_common(1)[0][0]] * rows


def tfidf_logistic(
    train_texts: Sequence[str],
    train_labels: Sequence[str],
    texts: Sequence[str],
    *,
    balanced: bool = False,
) -> list[str]:
    """Classify by logistic regression on TF-IDF of words and pairs of words.

    Args:
        train_texts: Texts to learn from.
        train_labels: Their labels, of at least two kinds.
        texts: Texts to classify.
        balanced: Weigh classes by the inverse of their rows.

    Example:
        >>> tfidf_logistic(["loyer mars", "timbre poste"], ["loyer", "poste"], ["loyer avril"])
        ['loyer']
    """
    model = make_pipeline(
        TfidfVectorizer(token_pattern=_TOKEN, ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000, class_weight="balanced" if balanced else None),
    )
    model.fit(list(train_texts), list(train_labels))
    return [str(label) for label in model.predict(list(texts))]


def most_frequent_labels(sets: Sequence[Sequence[str]], rows: int) -> list[list[str]]:
    """Give every row the most frequent training labels, as many as a training row has on average.

    Example:
        >>> most_frequent_labels([["a", "b"], ["b"], ["b"]], 2)
        [['b'], ['b']]
    """
    counts = Counter(label for row in sets for label in row)
    most = max(1, round(sum(counts.values()) / max(1, len(sets))))
    return [[label for label, _ in counts.most_common(most)] for _ in range(rows)]


def tfidf_one_vs_rest(
    train_texts: Sequence[str],
    train_sets: Sequence[Sequence[str]],
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    balanced: bool = False,
) -> list[list[str]]:
    """Give labels by a logistic regression for each, on TF-IDF of words and pairs of words.

    A label of nine training rows or more, and as many without it, has the threshold of the best F1
    in three folds of them; others have 0.5. One that no or every row has is never or always given.

    Args:
        train_texts: Texts to learn from.
        train_sets: Their labels.
        texts: Texts to be given labels.
        labels: All labels.
        balanced: Weigh rows with and without a label by the inverse of their number.

    Example:
        >>> known = ["loyer mars", "timbre poste", "loyer et timbre"] * 9
        >>> sets = [["loyer"], ["poste"], ["loyer", "poste"]] * 9
        >>> tfidf_one_vs_rest(known, sets, ["poste", "loyer de mars"], ["loyer", "poste"])
        [['poste'], ['loyer']]
    """
    vectorizer = TfidfVectorizer(token_pattern=_TOKEN, ngram_range=(1, 2), sublinear_tf=True)
    known, asked = vectorizer.fit_transform(list(train_texts)), vectorizer.transform(list(texts))
    given = np.zeros((len(texts), len(labels)), bool)
    for i, label in enumerate(labels):
        has = np.array([label in row for row in train_sets])
        if has.all() or not has.any():
            given[:, i] = has.all()
            continue
        model: Any = LogisticRegression(
            C=10, max_iter=1000, class_weight="balanced" if balanced else None
        )
        limit = DEFAULT
        if min(has.sum(), (~has).sum()) >= _THREE_FOLDS:
            chances = cross_val_predict(model, known, has, cv=3, method="predict_proba")[:, 1]
            limit = best_threshold(chances, has)
        given[:, i] = model.fit(known, has).predict_proba(asked)[:, 1] >= limit
    return [[label for label, found in zip(labels, row, strict=True) if found] for row in given]


def word_overlap(first: Sequence[str], second: Sequence[str]) -> list[float]:
    """Jaccard index of the words of each pair, without case; 0 to 1.

    Example:
        >>> word_overlap(["Le chat dort."], ["le chat mange"])
        [0.5]
    """
    found = []
    for left, right in zip(first, second, strict=True):
        a, b = (set(re.findall(r"\w+", text.casefold())) for text in (left, right))
        found.append(len(a & b) / len(a | b) if a | b else 0.0)
    return found


def calibrated(
    train: Sequence[float], targets: Sequence[float], values: Sequence[float], *, chance: bool
) -> list[float]:
    """Map one number a row to the target by a curve fitted on the training rows.

    Args:
        train: A number for each training row.
        targets: True scores, or 0 and 1.
        values: Numbers of the rows to be scored.
        chance: Logistic regression, to the chance of 1; else linear regression.

    Example:
        >>> calibrated([0.0, 1.0], [1.0, 5.0], [0.5], chance=False)
        [3.0]
    """
    known, asked = np.asarray(train)[:, None], np.asarray(values)[:, None]
    if chance:
        return LogisticRegression().fit(known, targets).predict_proba(asked)[:, 1].tolist()
    return LinearRegression().fit(known, targets).predict(asked).tolist()


def pair_baselines(
    train: Sequence[Sequence[str]],
    test: Sequence[Sequence[str]],
    *,
    targets: Sequence[float],
    chance: bool,
    seed: int = 42,
) -> dict[str, list[float]]:
    """Give the rows of ``test`` a similarity by what needs no model.

    Args:
        train: The first sentences of the training pairs, and the second ones.
        test: The same of the pairs to be scored.
        targets: True scores of the training pairs, or 0 and 1.
        chance: Whether targets are 0 and 1.
        seed: Of the random one.

    Returns:
        ``constant`` (the mean target), ``random`` (targets drawn from training) and
        ``word_overlap`` (see there; mapped to the target by ``calibrated``).
    """
    rows = len(test[0])
    known, asked = word_overlap(*train), word_overlap(*test)
    return {
        "constant": [float(np.mean(targets))] * rows,
        "random": np.random.default_rng(seed).choice(targets, rows).tolist(),
        "word_overlap": calibrated(known, targets, asked, chance=chance),
    }
