"""Automatic scores of each judged list of phrases, and how far people agree with them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from frtune.metrics import (
    default_tokenizer,
    keyphrase_scores_per_document,
    rouge_scores_per_document,
)
from frtune.metrics.bootstrap import interval, resampled, spearman_score
from frtune.metrics.phrases import STEMMERS
from frtune.metrics.semantic import encoder as make_encoder
from frtune.metrics.semantic import semantic_scores_per_document
from frtune.rating.sources import REFERENCE
from frtune.rating.study import RatingStudy


def automatic_scores(
    study: RatingStudy,
    items: list[int],
    *,
    k: int = 10,
    language: str | None = None,
    encoder: str | None = None,
) -> dict[str, np.ndarray]:
    """Score the phrases of each run for some items against their true phrases.

    Args:
        study: The study.
        items: Places of items that have true phrases.
        k: Cut of ``f1_at_K``.
        language: Two-letter code; adds the F1 of stems where the language has a stemmer.
        encoder: Checkpoint; adds ``semantic_f1``.

    Returns:
        By name of the score, ``(items, runs)``; the true phrases, where they were judged as a run,
        are left out.
    """
    runs = scored_runs(study)
    predictions = [list(study.items[i].phrases[run]) for i in items for run in runs]
    references = [list(study.items[i].reference or ()) for i in items for _ in runs]
    lines = [["; ".join(row) for row in rows] for rows in (predictions, references)]
    scores = partial(keyphrase_scores_per_document, predictions, references, k=k)
    exact = scores()
    found = {name: exact[name] for name in (f"f1_at_{k}", "f1_at_m")}
    found["partial_f1_at_m"] = scores(match="partial")["f1_at_m"]
    found["jaccard"] = exact["jaccard"]
    if language in STEMMERS:
        found["stem_f1_at_m"] = scores(match="stem", language=language)["f1_at_m"]
    rouge = rouge_scores_per_document(*lines, tokenizer=default_tokenizer(lines[1]))
    found |= {name: rouge[name] for name in ("rouge1", "rouge2", "rougeL")}
    if encoder is not None:
        semantic = semantic_scores_per_document(predictions, references, make_encoder(encoder))
        found["semantic_f1"] = semantic["semantic_f1"]
    shape = len(items), len(runs)
    return {name: np.array(values, dtype=float).reshape(shape) for name, values in found.items()}


def scored_runs(study: RatingStudy) -> list[int]:
    """Places of the runs that are no reference."""
    return [run for run, name in enumerate(study.runs) if name != REFERENCE]


def agreement(scores: np.ndarray, ratings: np.ndarray, *, samples: int = 1000) -> dict[str, Any]:
    """How far a score goes along with the ratings.

    Args:
        scores: ``(items, runs)``.
        ratings: Mean ratings, ``(items, runs)``.
        samples: Draws of items for the interval.

    Returns:
        ``spearman`` over all lists of phrases, with ``low`` and ``high`` (95 %, items drawn);
        ``None`` where either side never varies. ``same_order``: of the pairs of runs of an item
        that raters put apart, the share that the score puts in the same order (a tie of the score
        counts half); ``pairs``: how many such pairs there are.

    Example:
        >>> import numpy as np
        >>> found = agreement(np.array([[0.0, 0.5], [0.2, 0.1]]), np.array([[1, 3], [2, 5]]))
        >>> found["same_order"], found["pairs"], round(found["spearman"], 4)
        (0.5, 2, 0.4)
    """
    items, runs = scores.shape
    found: dict[str, Any] = dict.fromkeys(("spearman", "low", "high"))
    if np.ptp(scores) > 0 and np.ptp(ratings) > 0:
        flat = spearman_score(scores.ravel(), ratings.ravel())

        def of_items(picks: np.ndarray) -> np.ndarray:
            rows = picks[:, :, None] * runs + np.arange(runs)  # (samples, items, runs)
            return flat(rows.reshape(len(picks), -1))

        found["spearman"] = float(flat(np.arange(scores.size)[None])[0])
        found["low"], found["high"] = interval(resampled(of_items, items, samples=samples))
    first, second = np.triu_indices(runs, 1)
    by_people = np.sign(ratings[:, first] - ratings[:, second])
    by_score = np.sign(scores[:, first] - scores[:, second])
    apart = by_people != 0
    found["pairs"] = int(apart.sum())
    found["same_order"] = None
    if found["pairs"]:
        same = np.where(by_score == 0, 0.5, by_score == by_people)
        found["same_order"] = float(same[apart].mean())
    return found
