"""Scores: pure functions on lists, without torch.

Public names load on first use: all at once they take ten times as long as ``keyphrase_scores``,
most of it scikit-learn and NLTK.

Example:
    >>> from frtune.metrics import keyphrase_scores
    >>> keyphrase_scores([["solar cell"]], [["Solar cell", "silicon"]])["f1_at_m"]
    0.6666666666666666
"""

from __future__ import annotations

import lazy_loader

_HOMES = {
    "baselines": ["first_phrases", "tfidf_phrases", "title_copy", "baseline_rows"],
    "bootstrap": ["bootstrap_interval", "bootstrap_intervals"],
    "classification": [
        "classification_scores",
        "class_scores",
        "confusion_matrix",
        "confusion_picture",
        "roc_auc",
        "correlation_scores",
        "classification_signatures",
        "correlation_signatures",
    ],
    "generation": ["generation_health"],
    "intervals": ["class_intervals", "correlation_intervals", "keyword_intervals"],
    "keyphrase_report": ["combined_scores", "combined_intervals", "combined_signatures"],
    "keyphrases": ["keyphrase_scores", "keyphrase_scores_per_document"],
    "phrases": ["split_phrases"],
    "rouge": ["rouge_scores", "rouge_scores_per_document"],
    "signatures": ["keyphrase_signatures", "rouge_signatures"],
    "spans": [
        "keyword_scores",
        "keyword_scores_per_document",
        "span_scores",
        "span_signatures",
        "tagged_spans",
        "token_scores",
    ],
    "tokenizers": ["default_tokenizer", "LostCharactersWarning"],
}

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs=_HOMES)
