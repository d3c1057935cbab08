"""From phrases to counts, and from counts to precision, recall and F1.

The counts of one document at a cut are three: ``hits``, the shown predictions that match some
reference; ``shown``, the predictions that count; ``missed``, the references that no shown
prediction matches. Then precision is hits / shown, recall is hits / (hits + missed), and F1 is
2 hits / (hits + shown + missed), their harmonic mean. With ``match="exact"`` or ``"stem"`` and
without repeats, hits + missed is the number of references, and these are the usual definitions.
0 / 0 is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import filterfalse
from typing import Any, NamedTuple

import numpy as np

from frtune.errors import InputError
from frtune.metrics.conventions import Conventions
from frtune.metrics.phrase_matching import find_hits
from frtune.metrics.phrases import check_documents, clean_phrases, presence_test, stemmer_for

Phrases = Sequence[Sequence[str]]
MEASURES = ("precision", "recall", "f1")


class Document(NamedTuple):
    """One document, ready to be counted.

    Args:
        predictions: Cleaned predictions, repeats included.
        references: Cleaned references, repeats included.
        parts: The two lists to compare, stemmed and de-duplicated as the conventions say, by the
            prefix of their scores: ``""``, ``"present_"``, ``"absent_"``.
    """

    predictions: list[str]
    references: list[str]
    parts: dict[str, tuple[list[str], list[str]]]


def read_documents(
    predictions: Phrases, references: Phrases, texts: Sequence[str] | None, chosen: Conventions
) -> list[Document]:
    """Check, clean, split by presence, stem and de-duplicate.

    Example:
        >>> from frtune.metrics.conventions import conventions
        >>> read_documents([["A", "a"]], [["b "]], None, conventions())
        [Document(predictions=['a', 'a'], references=['b'], parts={'': (['a'], ['b'])})]
    """
    check_documents(predictions, references)
    if texts is not None and (isinstance(texts, str) or len(texts) != len(predictions)):
        raise InputError(
            f"len(texts)={len(texts)}: as many as predictions ({len(predictions)}). "
            "Pass one text per document."
        )
    stem = stemmer_for(chosen.language) if chosen.needs_stemmer else None
    documents = []
    for row, (raw_predicted, raw_wanted) in enumerate(zip(predictions, references, strict=True)):
        predicted = clean_phrases(raw_predicted, chosen.normalize or "nfc")
        wanted = clean_phrases(raw_wanted, chosen.normalize or "nfc")
        parts = {"": (predicted, wanted)}
        if texts is not None:
            here = presence_test(texts[row], chosen.presence or "words", stem)
            present = ([*filter(here, predicted)], [*filter(here, wanted)])
            absent = ([*filterfalse(here, predicted)], [*filterfalse(here, wanted)])
            parts |= {"present_": present, "absent_": absent}
        compared = {part: _comparable(pair, chosen, stem) for part, pair in parts.items()}
        documents.append(Document(predicted, wanted, compared))
    return documents


def count_hits(documents: list[Document], part: str, chosen: Conventions) -> np.ndarray:
    """Return hits, shown, missed and the number of references, at K, M and O.

    Returns:
        float64 of shape ``(documents, 3 cuts, 4 counts)``.
    """
    counts = np.zeros((len(documents), 3, 4))
    for row, document in enumerate(documents):
        predicted, wanted = document.parts[part]
        hits = find_hits(predicted, wanted, chosen.match, chosen.threshold or 0.9)
        for column, cut in enumerate((chosen.k, len(predicted), len(wanted))):
            shown = min(cut, len(predicted))
            missed = sum(first >= shown for first in hits.first)
            divisor = cut if chosen.cut == "k" else shown
            counts[row, column] = (sum(hits.predicted[:cut]), divisor, missed, len(wanted))
    return counts


def score_names(k: int) -> list[str]:
    """Return the nine names that ``ratios`` gives.

    Example:
        >>> score_names(5)[:4]
        ['precision_at_5', 'recall_at_5', 'f1_at_5', 'precision_at_m']
    """
    return [f"{measure}_at_{cut}" for cut in (k, "m", "o") for measure in MEASURES]


def ratios(counts: np.ndarray, chosen: Conventions) -> dict[str, np.ndarray]:
    """Return precision, recall and F1 per document, ``nan`` where a document is left out."""
    scores = _precision_recall_f1(counts)  # (documents, 9)
    if chosen.empty_reference == "skip":
        scores[counts[:, 0, 3] == 0] = float("nan")
    return {name: scores[:, i] for i, name in enumerate(score_names(chosen.k))}


def macro_scores(counts: np.ndarray, chosen: Conventions) -> dict[str, float]:
    """Average over documents."""
    means = {name: mean_score(column) for name, column in ratios(counts, chosen).items()}
    if chosen.macro == "pr":
        for cut in (chosen.k, "m", "o"):
            p, r = means[f"precision_at_{cut}"], means[f"recall_at_{cut}"]
            means[f"f1_at_{cut}"] = 2 * p * r / (p + r) if p + r else 0.0
    return means


def micro_scores(counts: np.ndarray, chosen: Conventions) -> dict[str, float]:
    """Pool the counts of all documents."""
    if chosen.empty_reference == "skip":
        counts = counts[counts[:, 0, 3] > 0]
    scores = _precision_recall_f1(counts.sum(axis=0)).tolist()
    return dict(zip(score_names(chosen.k), scores, strict=True))


def jaccards(documents: list[Document], chosen: Conventions) -> list[float]:
    """Return each document's Jaccard: always exact, and repeats stay in the lists' lengths."""
    values = []
    for document in documents:
        if chosen.empty_reference == "skip" and not document.references:
            values.append(float("nan"))
            continue
        shown = document.predictions[: chosen.k]
        shared = len(set(shown) & set(document.references))
        union = len(shown) + len(document.references) - shared
        values.append(shared / union if union else 0.0)
    return values


def mean_score(values: Any) -> float:
    """Return the mean of the numbers that are not ``nan``, 0 when there are none.

    Example:
        >>> mean_score([1.0, float("nan"), 0.0]), mean_score([])
        (0.5, 0.0)
    """
    kept = np.asarray(values, float)
    kept = kept[~np.isnan(kept)]
    return float(kept.mean()) if kept.size else 0.0


def _comparable(
    pair: tuple[list[str], list[str]], chosen: Conventions, stem: Callable[[str], str] | None
) -> tuple[list[str], list[str]]:
    def prepare(phrases: list[str]) -> list[str]:
        if chosen.match == "stem" and stem:
            # A phrase of punctuation alone has no stem; it is compared as it is.
            phrases = [stem(phrase) or phrase for phrase in phrases]
        return list(dict.fromkeys(phrases)) if chosen.dedup else phrases

    return prepare(pair[0]), prepare(pair[1])


def _precision_recall_f1(counts: np.ndarray) -> np.ndarray:
    """Turn counts (..., 3 cuts, 4) into scores (..., 9), in the order of ``score_names``."""
    hits, shown, missed = counts[..., 0], counts[..., 1], counts[..., 2]
    f1 = divided(2 * hits, hits + shown + missed)
    scores = np.stack([divided(hits, shown), divided(hits, hits + missed), f1], axis=-1)
    return scores.reshape(*scores.shape[:-2], 9)


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide; 0 over nothing.

    Example:
        >>> import numpy as np
        >>> divided(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
        [0.5, 0.0]
    """
    return np.where(below > 0, above / np.where(below > 0, below, 1), 0.0)
