"""Whether generation itself works: does it stop, is it cut, is it empty, does it repeat."""

from __future__ import annotations

from collections.abc import Sequence

from frtune.errors import InputError
from frtune.metrics.phrases import clean_phrases


def generation_health(
    phrases: Sequence[Sequence[str]],
    *,
    token_counts: Sequence[int],
    finished: Sequence[bool],
    limit: int,
) -> dict[str, float]:
    """Describe generated keyphrases without looking at any reference.

    Args:
        phrases: The phrases of each document.
        token_counts: Generated tokens of each document, the end token included.
        finished: Whether the document ended with an end token.
        limit: The most tokens that could be generated.

    Returns:
        ``eos_rate``: share of documents that ended by themselves. ``cut_by_limit_rate``: share that
        reached the limit without an end. ``empty_rate``: share without a phrase.
        ``repeated_phrase_rate``: share of all phrases that repeat an earlier one of their document
        (case-folded). ``mean_tokens`` and ``mean_phrases``: per document. All 0 without documents.

    Raises:
        InputError: If lengths differ, or ``limit`` isn't positive.

    Example:
        >>> phrases = [["a", "A"], []]
        >>> generation_health(phrases, token_counts=[4, 8], finished=[True, False], limit=8)
        {'eos_rate': 0.5, 'cut_by_limit_rate': 0.5, 'empty_rate': 0.5, 'repeated_phrase_rate': 0.5,
         'mean_tokens': 6.0, 'mean_phrases': 1.0}
    """
    documents = len(phrases)
    for name, values in (("token_counts", token_counts), ("finished", finished)):
        if len(values) != documents:
            raise InputError(
                f"len({name})={len(values)}: as many as phrases ({documents}). "
                "Pass one value per document."
            )
    if limit < 1:
        raise InputError(f"limit={limit}: a whole number from 1. Pass max_new_tokens.")
    cleaned = [clean_phrases(line, "casefold") for line in phrases]
    total = sum(len(line) for line in cleaned)
    repeated = total - sum(len(set(line)) for line in cleaned)
    cut = sum(n >= limit and not ended for n, ended in zip(token_counts, finished, strict=True))
    share = 1 / documents if documents else 0.0
    return {
        "eos_rate": sum(map(bool, finished)) * share,
        "cut_by_limit_rate": cut * share,
        "empty_rate": sum(not line for line in cleaned) * share,
        "repeated_phrase_rate": repeated / total if total else 0.0,
        "mean_tokens": float(sum(token_counts) * share),
        "mean_phrases": total * share,
    }
