"""Signatures: a score's conventions in one line. Two numbers compare when their signatures agree.

The idea is sacreBLEU's (Post 2018, "A Call for Clarity in Reporting BLEU Scores").
"""

from __future__ import annotations

from typing import Any

from frtune.metrics.conventions import Conventions, conventions, signature
from frtune.metrics.counting import score_names
from frtune.metrics.rouge import ROUGE_KEYS
from frtune.metrics.tokenizers import AnyTokenizer, find_tokenizer


def keyphrase_signatures(
    *, k: int = 10, with_texts: bool = False, searched: str = "text", **options: Any
) -> dict[str, str]:
    """Return the signature of each score that ``keyphrase_scores`` gives with the same options.

    A choice that can't change the score isn't in its signature, and neither are
    ``empty_reference`` and ``macro`` at their defaults.

    Args:
        k: As in ``keyphrase_scores``.
        with_texts: Whether ``texts`` are passed.
        searched: What the texts are, in which phrases are present or absent: ``"text"``, say, or
            ``"title+text"``.
        **options: As in ``keyphrase_scores``.

    Returns:
        A signature for each key of ``keyphrase_scores`` but its counts.

    Example:
        >>> keyphrase_signatures(match="partial")["f1_at_10"]
        'f1_at_10|match:partial|norm:nfc|dedup:no|cut:pred|avg:macro|v:0.2'
        >>> keyphrase_signatures(match="stem", language="en", cut="k")["micro_f1_at_10"]
        'micro_f1_at_10|match:stem-en|norm:casefold|dedup:yes|cut:k|avg:micro|v:0.2'
    """
    chosen = conventions(k=k, **options)
    signatures: dict[str, str] = {}
    for part in ("", "present_", "absent_") if with_texts else ("",):
        for average in ("macro", "micro"):
            for name in score_names(k):
                key = f"{'micro_' if average == 'micro' else ''}{part}{name}"
                signatures[key] = _keyphrase(key, part, average, chosen, searched)
    norm = f"norm:{chosen.normalize}"
    fields = [f"k:{k}", "match:exact", norm, "dedup:no", "cut:pred", "avg:macro"]
    signatures["jaccard"] = signature("jaccard", *fields, *_skipped(chosen))
    signatures["duplicate_rate"] = signature("duplicate_rate", norm, "avg:micro")
    return signatures


def rouge_signatures(*, tokenizer: AnyTokenizer = None) -> dict[str, str]:
    """Return the signature of each score that ``rouge_scores`` gives with the same tokenizer.

    A function of the caller's own appears under its name; lists of tokens as ``given``.

    Args:
        tokenizer: As in ``rouge_scores``.

    Example:
        >>> rouge_signatures(tokenizer="fr")["rougeL"]
        'rougeL|tok:words|agg:mean|v:0.2'
        >>> rouge_signatures(tokenizer=str.split)["rouge1"]
        'rouge1|tok:custom-str.split|agg:mean|v:0.2'
    """
    name = "given" if tokenizer is None else find_tokenizer(tokenizer).signature
    return {key: signature(key, f"tok:{name}", "agg:mean") for key in ROUGE_KEYS}


def _keyphrase(key: str, part: str, average: str, chosen: Conventions, searched: str) -> str:
    match = {
        "stem": f"stem-{chosen.language}",
        "fuzzy": f"fuzzy-{chosen.threshold:g}" if chosen.threshold else "fuzzy",
    }.get(chosen.match, chosen.match)
    if average == "macro" and chosen.macro == "pr" and "f1_" in key:
        average = "macro-pr"
    dedup = "yes" if chosen.dedup else "no"
    fields = [f"match:{match}", f"norm:{chosen.normalize}", f"dedup:{dedup}"]
    fields += [f"cut:{chosen.cut}", f"avg:{average}"]
    if part:
        stemmed = f"stem-{chosen.language}" if chosen.presence == "stem" else chosen.presence
        fields += [f"presence:{stemmed}", f"searched:{searched}"]
    return signature(key, *fields, *_skipped(chosen))


def _skipped(chosen: Conventions) -> list[str]:
    return ["empty:skip"] if chosen.empty_reference == "skip" else []
