"""Scores: pure functions on lists, without torch.

Public names load on first use.

Example:
    >>> from frtune.metrics import keyphrase_scores
    >>> keyphrase_scores([["solar cell"]], [["Solar cell", "silicon"]])["f1_at_m"]
    0.6666666666666666
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "keyphrase_scores": "frtune.metrics.keyphrases",
    "keyphrase_scores_per_document": "frtune.metrics.keyphrases",
    "split_phrases": "frtune.metrics.phrases",
    "rouge_scores": "frtune.metrics.rouge",
    "rouge_scores_per_document": "frtune.metrics.rouge",
    "default_tokenizer": "frtune.metrics.tokenizers",
    "LostCharactersWarning": "frtune.metrics.tokenizers",
    "combined_scores": "frtune.metrics.keyphrase_report",
    "combined_intervals": "frtune.metrics.keyphrase_report",
    "combined_signatures": "frtune.metrics.keyphrase_report",
    "keyphrase_signatures": "frtune.metrics.signatures",
    "rouge_signatures": "frtune.metrics.signatures",
    "generation_health": "frtune.metrics.generation",
    "first_phrases": "frtune.metrics.baselines",
    "tfidf_phrases": "frtune.metrics.baselines",
    "title_copy": "frtune.metrics.baselines",
    "baseline_rows": "frtune.metrics.baselines",
    "classification_scores": "frtune.metrics.classification",
    "class_scores": "frtune.metrics.classification",
    "confusion_matrix": "frtune.metrics.classification",
    "confusion_picture": "frtune.metrics.classification",
    "roc_auc": "frtune.metrics.classification",
    "correlation_scores": "frtune.metrics.classification",
    "classification_signatures": "frtune.metrics.classification",
    "correlation_signatures": "frtune.metrics.classification",
    "keyword_scores": "frtune.metrics.spans",
    "keyword_scores_per_document": "frtune.metrics.spans",
    "span_scores": "frtune.metrics.spans",
    "span_signatures": "frtune.metrics.spans",
    "tagged_spans": "frtune.metrics.spans",
    "token_scores": "frtune.metrics.spans",
    "class_intervals": "frtune.metrics.intervals",
    "correlation_intervals": "frtune.metrics.intervals",
    "keyword_intervals": "frtune.metrics.intervals",
    "bootstrap_interval": "frtune.metrics.confidence",
    "bootstrap_intervals": "frtune.metrics.confidence",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'frtune.metrics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
