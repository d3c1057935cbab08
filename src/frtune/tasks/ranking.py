"""Phrases of many rows, ranked by their scores, and what the scores are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from frtune import metrics
from frtune.metrics.chances import BEFORE, platt, unplatt
from frtune.tasks.phrase_scores import Scored

ROWS = 50  # validation rows from which on scores are calibrated
PHRASES = 20  # right ones, and wrong ones, that it takes


class Ranking(NamedTuple):
    """Phrases of many rows, each with its score.

    Attributes:
        scores: Of each phrase: ``not calibrated``, then ``calibrated`` where that was done.
        right: Whether the phrase is among its row's references.
        total: How many references there are.
    """

    scores: dict[str, np.ndarray]
    right: np.ndarray
    total: int


def ranking_of(
    found: Sequence[Scored],
    references: Sequence[Sequence[str]],
    key: Callable[[str], str],
    fitted: Sequence[float] | None = None,
) -> Ranking:
    """Judge the phrases of rows.

    Args:
        found: Each row's phrases with their scores; of those of one key the best score counts.
        references: Each row's true phrases.
        key: What spellings of one phrase have in common.
        fitted: Slope and intercept, where these scores are calibrated.

    Example:
        >>> made = ranking_of([[("Wind", 0.5), ("sun", 0.25)]], [["wind", "rain"]], str.lower)
        >>> made.scores["not calibrated"].tolist(), made.right.tolist(), made.total
        ([0.5, 0.25], [True, False], 2)
    """
    scores, right, total = [], [], 0
    for phrases, true in zip(found, references, strict=True):
        known = set(map(key, true))
        total += len(known)
        best: dict[str, float] = {}
        for phrase, score in phrases:
            best[key(phrase)] = max(best.get(key(phrase), 0.0), score)
        scores += best.values()
        right += [name in known for name in best]
    values = np.array(scores, float)
    by_name = {"not calibrated": values}
    if fitted is not None:
        by_name = {"not calibrated": unplatt(scores, *fitted), "calibrated": values}
    return Ranking(by_name, np.array(right, bool), total)


def fitted_map(ranking: Ranking, rows: int) -> tuple[list[float] | None, str | None]:
    """Fit what makes scores chances, as slope and intercept; or say why it is not done.

    Args:
        ranking: Of validation rows, with the scores that are to be calibrated.
        rows: How many rows these are.
    """
    said, right = "scores of phrases are not calibrated", ranking.right
    if rows < ROWS:
        return None, f"{said}: {rows} validation rows, and it takes {ROWS}"
    hits = int(right.sum())
    if min(hits, len(right) - hits) < PHRASES:
        return None, (
            f"{said}: {hits} of {len(right)} phrases of the validation rows are right, and it "
            f"takes {PHRASES} that are and {PHRASES} that are not"
        )
    found = metrics.phrase_chances.fitted_platt(ranking.scores["not calibrated"], right)
    if found is None:
        return None, f"{said}: phrases of higher scores are right no more often"
    return list(found), None


def chance_scores(ranking: Ranking, fitted: Sequence[float]) -> dict[str, float]:
    """Scores of ``frtune.metrics.phrase_chances``, after and before calibration; of no phrase none.

    Args:
        ranking: With scores that are not calibrated.
        fitted: Slope and intercept.
    """
    values, right = ranking.scores["not calibrated"], ranking.right
    if not len(right):
        return {}
    before = metrics.phrase_chances.chance_scores(values, right)
    after = metrics.phrase_chances.chance_scores(platt(values, *fitted), right)
    return after | {f"{name}{BEFORE}": value for name, value in before.items()}


def chance_remarks(scores: Mapping[str, float]) -> list[str]:
    """What ``chance_scores`` of test rows, ``test_*``, say, in a sentence."""
    if "test_phrase_ece" not in scores:
        return []
    after, before = scores["test_phrase_ece"], scores[f"test_phrase_ece{BEFORE}"]
    return [
        f"Scores of phrases are off the share of right ones by {100 * after:.1f} % on average, and "
        f"were by {100 * before:.1f} % before calibration (phrase_ece)."
    ]
