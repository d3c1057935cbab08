"""What the labels are like: counts, lengths, absent phrases, repairs, agreement of two passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from frtune.labelling.steps import Outcome
from frtune.metrics.keyphrases import keyphrase_scores_per_document

_QUANTILES = {"p05": 0.05, "median": 0.5, "p95": 0.95}


def distribution(values: Sequence[int]) -> dict[str, float]:
    """Mean, least, most and quantiles; empty for no values.

    Example:
        >>> distribution([1, 2, 6])["mean"], distribution([1, 2, 6])["median"]
        (3.0, 2.0)
    """
    if not len(values):
        return {}
    array = np.asarray(values, dtype=np.float64)
    found = {"mean": array.mean(), "least": array.min(), "most": array.max()}
    found |= {name: np.quantile(array, share) for name, share in _QUANTILES.items()}
    return {name: round(float(value), 4) for name, value in found.items()}


def answer_quality(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Count repairs and problems, and texts asked again.

    Args:
        outcomes: One of each distinct text and pass.
    """
    repairs = Counter(repair for outcome in outcomes for repair in outcome.repairs)
    problems = Counter(problem for outcome in outcomes for problem in outcome.problems)
    return {
        "texts": len(outcomes),
        "usable": sum(outcome.value is not None for outcome in outcomes),
        "repaired": sum(bool(outcome.repairs) for outcome in outcomes),
        "repairs": dict(repairs.most_common()),
        "asked_again": sum(bool(outcome.problems) for outcome in outcomes),
        "problems": dict(problems.most_common()),
    }


def keyphrase_quality(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Numbers and lengths of phrases, and the share that is not in the text.

    Args:
        outcomes: Outcomes with a value.

    Example:
        >>> found = keyphrase_quality([Outcome(["solar cell"], [], [], proposed=2, absent=1)])
        >>> found["absent_share"], found["phrases"]["mean"], found["words_a_phrase"]["mean"]
        (0.5, 1.0, 2.0)
    """
    proposed = sum(outcome.proposed for outcome in outcomes)
    absent = sum(outcome.absent for outcome in outcomes)
    counts = [len(outcome.value) for outcome in outcomes]
    phrases = [phrase for outcome in outcomes for phrase in outcome.value]
    return {
        "absent_share": round(absent / proposed, 4) if proposed else None,
        "absent_phrases": absent,
        "proposed_phrases": proposed,
        "texts_with_absent_phrases": sum(bool(outcome.absent) for outcome in outcomes),
        "phrases": distribution(counts),
        "texts_by_phrases": {str(n): k for n, k in sorted(Counter(counts).items())},
        "words_a_phrase": distribution([len(phrase.split()) for phrase in phrases]),
        "characters_a_phrase": distribution([len(phrase) for phrase in phrases]),
        "most_frequent": dict(Counter(map(str.casefold, phrases)).most_common(10)),
    }


def label_quality(outcomes: Sequence[Outcome], labels: Sequence[str]) -> dict[str, Any]:
    """Texts of each label.

    Example:
        >>> label_quality([Outcome("sport", [], [])], ["sport", "politics"])
        {'texts_by_label': {'sport': 1, 'politics': 0}}
    """
    counts = Counter(outcome.value for outcome in outcomes)
    return {"texts_by_label": {label: counts[label] for label in labels}}


def agreement(pairs: Sequence[tuple[Any, Any]], task: str) -> tuple[dict[str, Any], list[float]]:
    """How far two passes agree, over texts that have an answer in both.

    Args:
        pairs: Both values of each text.
        task: ``"keyphrases"`` or ``"classification"``.

    Returns:
        A summary, and the agreement of each text. For keyphrases ``f1_at_m`` (exact match, case
        folded; symmetric in the passes), ``partial_f1_at_m`` and ``jaccard``, means over texts;
        a text's is its F1. For classes ``same_share`` and Cohen's ``kappa`` (1960; ``None`` where
        both passes have one class only); a text's is 1 or 0.

    Example:
        >>> agreement([(["Cells", "wind"], ["cells"])], "keyphrases")[0]["f1_at_m"]
        0.6667
        >>> agreement([([], []), ([], ["cells"])], "keyphrases")[1]
        [1.0, 0.0]
        >>> agreement([("a", "a"), ("b", "b"), ("a", "b")], "classification")
        ({'texts': 3, 'same_share': 0.6667, 'kappa': 0.4}, [1.0, 1.0, 0.0])
    """
    found: dict[str, Any] = {"texts": len(pairs)}
    if not pairs:
        return found, []
    first, second = ([pair[i] for pair in pairs] for i in (0, 1))
    if task == "classification":
        each = [float(one == other) for one, other in pairs]
        several = len({*first, *second}) > 1
        kappa = round(float(cohen_kappa_score(first, second)), 4) if several else None
        return found | {"same_share": round(sum(each) / len(each), 4), "kappa": kappa}, each

    k = max(1, *map(len, [*first, *second]))
    exact = keyphrase_scores_per_document(first, second, k=k)
    partial = keyphrase_scores_per_document(first, second, k=k, match="partial")
    columns = [exact["f1_at_m"], partial["f1_at_m"], exact["jaccard"]]
    # two passes that find none agree; scores of an empty reference are 0
    columns = [
        [float(not (a or b)) or value for a, b, value in zip(first, second, column, strict=True)]
        for column in columns
    ]
    for name, column in zip(["f1_at_m", "partial_f1_at_m", "jaccard"], columns, strict=True):
        found[name] = round(sum(column) / len(column), 4)
    return found, [round(value, 4) for value in columns[0]]
