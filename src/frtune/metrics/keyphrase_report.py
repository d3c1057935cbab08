"""The scores that one report of generated keyphrases shows together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frtune.metrics.bootstrap import bootstrap_interval
from frtune.metrics.counting import MEASURES, Phrases
from frtune.metrics.keyphrases import keyphrase_scores, keyphrase_scores_per_document
from frtune.metrics.rouge import rouge_scores, rouge_scores_per_document
from frtune.metrics.signatures import keyphrase_signatures, rouge_signatures

# what keyphrase_scores counts beside its scores
_COUNTS = {"documents", "predictions", "references", "empty_predictions", "empty_references"}

Pair = tuple[Phrases, Phrases]  # predictions and references


def combined_scores(
    predictions: Phrases,
    references: Phrases,
    *,
    tokenizer: str,
    k: int = 10,
    separator: str = "; ",
    texts: Sequence[str] | None = None,
    written: Pair | None = None,
) -> dict[str, float]:
    """Exact scores, those at K of the substring match, and ROUGE of the joined phrases.

    Args:
        predictions: One list of phrases per document, best first.
        references: One list of phrases per document.
        tokenizer: Of ROUGE; see ``rouge_scores``.
        k: Predictions that count at K.
        separator: Joins the phrases for ROUGE.
        texts: The documents; adds ``present_`` and ``absent_`` scores.
        written: Predictions and references as they are written, with their repeats and not
            normalised. The substring match and ROUGE are of these; ``None`` takes the others.

    Returns:
        Fractions from 0 to 1: the names of ``keyphrase_scores``, ``partial_`` before those of the
        substring match, and ``rouge1`` ... ``rougeLsum``.

    Example:
        >>> scores = combined_scores([["wind"]], [["wind power"]], tokenizer="whitespace")
        >>> scores["f1_at_10"], scores["partial_f1_at_10"], round(scores["rouge1"], 4)
        (0.0, 1.0, 0.6667)
    """
    exact = keyphrase_scores(predictions, references, k=k, texts=texts)
    loose, options = _partial(predictions, references, written)
    partial = keyphrase_scores(*loose, k=k, **options)
    rouge = rouge_scores(*_lines(*loose, separator), tokenizer=tokenizer)
    return {**{n: v for n, v in exact.items() if n not in _COUNTS}, **_at(k, partial), **rouge}


def combined_signatures(
    *, tokenizer: str, k: int = 10, searched: str = "text", written: bool = False
) -> dict[str, str]:
    """How each score of ``combined_scores`` (with texts) was computed.

    Args:
        tokenizer: As in ``combined_scores``.
        k: As in ``combined_scores``.
        searched: As in ``keyphrase_signatures``.
        written: Whether ``written`` is passed.
    """
    _, options = _partial([], [], ([], []) if written else None)
    loose = {
        **_at(k, keyphrase_signatures(k=k, **options)),
        **rouge_signatures(tokenizer=tokenizer),
    }
    if written:
        loose = {name: text.replace("|v:", "|phrases:written|v:") for name, text in loose.items()}
    return {**keyphrase_signatures(k=k, with_texts=True, searched=searched), **loose}


def combined_intervals(
    predictions: Phrases,
    references: Phrases,
    names: Sequence[str],
    *,
    tokenizer: str,
    k: int = 10,
    separator: str = "; ",
    texts: Sequence[str] | None = None,
    written: Pair | None = None,
) -> dict[str, tuple[float, float]]:
    """Bootstrap 95 % intervals over documents of the scores called ``names``.

    Scores that are no mean over documents (``micro_...``, ``duplicate_rate``) have none.
    """
    exact = keyphrase_scores_per_document(predictions, references, k=k, texts=texts)
    loose, options = _partial(predictions, references, written)
    partial = keyphrase_scores_per_document(*loose, k=k, **options)
    lines = _lines(*loose, separator)
    rouge = rouge_scores_per_document(*lines, tokenizer=tokenizer)
    values = {**exact, **_at(k, partial), **rouge}
    return {name: bootstrap_interval(values[name]) for name in names if name in values}


def _partial(
    predictions: Phrases, references: Phrases, written: Pair | None
) -> tuple[Pair, dict[str, Any]]:
    """What the substring match compares, and its conventions."""
    if written is None:
        return (predictions, references), {"match": "partial"}
    return written, {"match": "partial", "normalize": "none"}


def _at(k: int, partial: Mapping[str, Any]) -> dict[str, Any]:
    """Of the substring match, what is reported: the scores at K."""
    names = [f"{score}_at_{k}" for score in MEASURES]
    return {f"partial_{name}": partial[name] for name in names}


def _lines(
    predictions: Phrases, references: Phrases, separator: str
) -> tuple[list[str], list[str]]:
    return [separator.join(row) for row in predictions], [separator.join(row) for row in references]
