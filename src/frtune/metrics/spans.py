"""Scores of keyword extraction: of tokens, of spans, and of the keywords themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import numpy as np
from sklearn.metrics import f1_score

from frtune.errors import InputError
from frtune.metrics.conventions import signature
from frtune.metrics.counting import Phrases
from frtune.metrics.phrases import normalize_phrase
from frtune.metrics.tags import IGNORED, OUTSIDE
from frtune.moved import moved_names

__getattr__ = moved_names(__name__)


def token_scores(
    predictions: Sequence[Sequence[int]], references: Sequence[Sequence[int]]
) -> dict[str, float]:
    """Score the labels of tokens; what is -100 in the references does not count.

    Accuracy says little where most tokens are O, so it comes with that of a predictor that says O
    always.

    Args:
        predictions: Labels of each row's tokens: 0 (O), 1 (B), 2 (I).
        references: True labels, -100 for padding, special tokens and later subwords.

    Returns:
        ``token_accuracy``; ``token_accuracy_all_o``, the same of O everywhere; ``token_f1_macro``,
        the mean F1 of the labels that occur. All 0 without tokens.

    Raises:
        InputError: If rows differ in length.

    Example:
        >>> token_scores([[0, 1, 0, 0, 2]], [[0, 1, 2, 0, -100]])
        {'token_accuracy': 0.75, 'token_accuracy_all_o': 0.5, 'token_f1_macro': 0.6}
    """
    _check_rows(predictions, references)
    for row, labels in zip(predictions, references, strict=True):
        if len(row) != len(labels):
            raise InputError(
                f"len(predictions[i])={len(row)}: as many labels as the reference has "
                f"({len(labels)}). Pass one label per token."
            )
    predicted, true = (
        np.fromiter(chain.from_iterable(rows), np.int64) for rows in (predictions, references)
    )
    predicted, true = predicted[true != IGNORED], true[true != IGNORED]
    if not len(true):
        return {"token_accuracy": 0.0, "token_accuracy_all_o": 0.0, "token_f1_macro": 0.0}
    return {
        "token_accuracy": float((predicted == true).mean()),
        "token_accuracy_all_o": float((true == OUTSIDE).mean()),
        "token_f1_macro": float(f1_score(true, predicted, average="macro")),
    }


def span_scores(
    predictions: Sequence[Sequence[tuple[int, int]]],
    references: Sequence[Sequence[tuple[int, int]]],
) -> dict[str, float]:
    """Score spans; a span is right when both its ends are. Micro-averaged, as seqeval does.

    Args:
        predictions: Start and end of the spans of each document.
        references: The true ones.

    Returns:
        ``span_precision``, ``span_recall``, ``span_f1``; 0 where there is nothing to divide by.

    Example:
        >>> span_scores([[(0, 4), (9, 12)]], [[(0, 4), (9, 13), (20, 22)]])["span_precision"]
        0.5
    """
    _check_rows(predictions, references)
    pairs = zip(map(set, predictions), map(set, references), strict=True)
    return _micro("span", pairs)


def keyword_scores(
    predictions: Phrases, references: Phrases, *, normalize: Callable[[str], str] = normalize_phrase
) -> dict[str, float]:
    """Score the set of keywords of each document, however often each occurs in it.

    Keywords of the reference that the text does not hold count as missed.

    Args:
        predictions: Keywords of each document; repeats count once.
        references: The true ones.
        normalize: Gives equal spellings the same text.

    Returns:
        ``keyword_precision``, ``keyword_recall`` and ``keyword_f1`` over all keywords of all
        documents (micro), and ``keyword_f1_macro``, the mean of the documents' F1 (1 for a
        document that has no keyword and gets none).

    Example:
        >>> keyword_scores([["Vent", "eau", "eau"], []], [["vent", "sel", "eau"], ["pluie"]])
        {'keyword_precision': 1.0, 'keyword_recall': 0.5, 'keyword_f1': 0.6666666666666666,
         'keyword_f1_macro': 0.4}
    """
    _check_rows(predictions, references)
    sets = _sets(predictions, references, normalize)
    each = [_document_f1(*pair) for pair in sets]
    return {**_micro("keyword", sets), "keyword_f1_macro": sum(each) / len(each) if each else 0.0}


def keyword_scores_per_document(
    predictions: Phrases, references: Phrases, *, normalize: Callable[[str], str] = normalize_phrase
) -> dict[str, list[float]]:
    """Return ``keyword_f1`` of each document, for intervals and paired tests.

    Example:
        >>> keyword_scores_per_document([["a"], []], [["a", "b"], []])
        {'keyword_f1': [0.6666666666666666, 1.0]}
    """
    _check_rows(predictions, references)
    return {"keyword_f1": [_document_f1(*p) for p in _sets(predictions, references, normalize)]}


def span_signatures(*, ignore_accents: bool = True, subwords: str = "all") -> dict[str, str]:
    """Return how each score of keyword extraction was computed.

    Example:
        >>> span_signatures()["keyword_f1"]
        'keyword_f1|norm:fold-noaccents|avg:micro|v:0.2'
    """
    norm = "norm:fold-noaccents" if ignore_accents else "norm:fold"
    parts = {
        "token_accuracy": [f"tokens:{subwords}"],
        "token_accuracy_all_o": [f"tokens:{subwords}"],
        "token_f1_macro": [f"tokens:{subwords}", "avg:labels"],
        **{f"span_{name}": ["match:exact", "avg:micro"] for name in ("precision", "recall", "f1")},
        **{f"keyword_{name}": [norm, "avg:micro"] for name in ("precision", "recall", "f1")},
        "keyword_f1_macro": [norm, "avg:macro"],
        "keyword_recall_limit": [norm, "avg:micro"],
    }
    return {name: signature(name, *fields) for name, fields in parts.items()}


def _sets(predictions, references, normalize) -> list[tuple[set[str], set[str]]]:
    pairs = zip(predictions, references, strict=True)
    return [
        (set(map(normalize, predicted)), set(map(normalize, true))) for predicted, true in pairs
    ]


def _document_f1(predicted: set, true: set) -> float:
    sizes = len(predicted) + len(true)
    return 2 * len(predicted & true) / sizes if sizes else 1.0


def _micro(kind: str, pairs: Iterable[tuple[set, set]]) -> dict[str, float]:
    right = predicted = true = 0
    for found, wanted in pairs:
        right += len(found & wanted)
        predicted += len(found)
        true += len(wanted)
    return {
        f"{kind}_precision": right / predicted if predicted else 0.0,
        f"{kind}_recall": right / true if true else 0.0,
        f"{kind}_f1": 2 * right / (predicted + true) if predicted + true else 0.0,
    }


def _check_rows(predictions: Sequence, references: Sequence) -> None:
    if len(predictions) != len(references):
        raise InputError(
            f"len(predictions)={len(predictions)}: as many rows as references "
            f"({len(references)}). Pass one row per document."
        )
