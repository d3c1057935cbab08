"""Keyphrase scores: precision, recall and F1 at K, at M and at O, Jaccard, repeats.

``frtune.metrics.counting`` says what is counted, ``frtune.metrics.conventions`` by which rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frtune.metrics.conventions import conventions
from frtune.metrics.counting import (
    Phrases,
    count_hits,
    jaccards,
    macro_scores,
    mean_score,
    micro_scores,
    ratios,
    read_documents,
)
from frtune.metrics.phrase_matching import Match


def keyphrase_scores(
    predictions: Phrases,
    references: Phrases,
    *,
    k: int = 10,
    match: Match = "exact",
    language: str | None = None,
    texts: Sequence[str] | None = None,
    **options: Any,
) -> dict[str, float]:
    """Score predicted keyphrases against reference keyphrases.

    Empty phrases are dropped first, then predictions are cut. A document without predictions scores
    0; for one without references see ``empty_reference``.

    Args:
        predictions: One list of phrases per document, best first.
        references: One list of phrases per document.
        k: Predictions that count at K; also the cut of ``jaccard``.
        match: ``"exact"``, ``"partial"`` (substring, either direction), ``"fuzzy"`` or ``"stem"``.
        language: Two-letter code; ``match="stem"`` needs it, presence in the text uses it.
        texts: The documents; adds ``present_`` and ``absent_`` scores, for which predictions and
            references are both split by whether they stand in the text.
        **options: ``normalize``, ``dedup``, ``cut``, ``empty_reference``, ``macro``, ``threshold``
            and ``presence``, as in ``frtune.metrics.conventions.Conventions``.

    Returns:
        Fractions from 0 to 1: ``precision``, ``recall`` and ``f1``, each ``_at_{k}``, ``_at_m``
        (all predictions) and ``_at_o`` (as many as references); means over documents under these
        names, over all phrases pooled with ``micro_`` before; ``jaccard``; ``duplicate_rate``, the
        share of predictions that repeat an earlier one of their document. And counts:
        ``documents``, ``predictions``, ``references``, ``empty_predictions``, ``empty_references``.

    Raises:
        InputError: If lengths differ or an option is unknown or out of range.

    Example:
        >>> predictions, references = [["solar cell", "wind"]], [["solar cells", "silicon"]]
        >>> scores = keyphrase_scores(predictions, references, match="partial")
        >>> scores["precision_at_10"], scores["recall_at_10"], scores["jaccard"]
        (0.5, 0.5, 0.0)
        >>> scores = keyphrase_scores([["Cells"]], [["cell"]], match="stem", language="en")
        >>> scores["f1_at_m"]
        1.0
    """
    chosen = conventions(k=k, match=match, language=language, **options)
    documents = read_documents(predictions, references, texts, chosen)
    parts = ("", "present_", "absent_") if texts is not None else ("",)
    scores: dict[str, float] = {}
    for part in parts:
        counts = count_hits(documents, part, chosen)
        macro, micro = macro_scores(counts, chosen), micro_scores(counts, chosen)
        scores |= {f"{part}{name}": value for name, value in macro.items()}
        scores |= {f"micro_{part}{name}": value for name, value in micro.items()}
    scores["jaccard"] = mean_score(jaccards(documents, chosen))
    total = sum(len(document.predictions) for document in documents)
    repeats = total - sum(len(set(document.predictions)) for document in documents)
    return scores | {
        "duplicate_rate": repeats / total if total else 0.0,
        "documents": float(len(documents)),
        "predictions": float(total),
        "references": float(sum(len(document.references) for document in documents)),
        "empty_predictions": float(sum(not document.predictions for document in documents)),
        "empty_references": float(sum(not document.references for document in documents)),
    }


def keyphrase_scores_per_document(
    predictions: Phrases, references: Phrases, *, texts: Sequence[str] | None = None, **options: Any
) -> dict[str, list[float]]:
    """Score each document by itself, for confidence intervals and reports.

    The mean of a list is the score of that name (``f1_...`` under ``macro="f1"``). With
    ``empty_reference="skip"`` the documents left out are ``nan``.

    Args:
        predictions: One list of phrases per document, best first.
        references: One list of phrases per document.
        texts: The documents; adds ``present_`` and ``absent_`` scores.
        **options: The further ones of ``keyphrase_scores``.

    Returns:
        For each unpooled score, and ``jaccard``, one number per document.

    Example:
        >>> keyphrase_scores_per_document([["a"], ["b"]], [["a"], ["c"]])["f1_at_m"]
        [1.0, 0.0]
    """
    chosen = conventions(**options)
    documents = read_documents(predictions, references, texts, chosen)
    parts = ("", "present_", "absent_") if texts is not None else ("",)
    values: dict[str, list[float]] = {}
    for part in parts:
        counts = count_hits(documents, part, chosen)
        for name, column in ratios(counts, chosen).items():
            values[f"{part}{name}"] = column.tolist()
    return values | {"jaccard": jaccards(documents, chosen)}
