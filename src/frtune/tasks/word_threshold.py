"""From which probability on a word is a keyword's: read by it, and tuned on validation rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from frtune.metrics.tags import BEGIN, OUTSIDE
from frtune.tasks.answers import Scores

ROWS = 50  # validation texts from which on a threshold is tuned
TRIED = np.arange(1, 50) / 50  # 0.02 to 0.98
UNTUNED = "_untuned"  # ends the name of a score of the likeliest labels


def read_logits(logits: np.ndarray, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Label each token, and say how probable that is.

    Args:
        logits: ``(tokens, 3)``, of O, B and I.
        threshold: Least probability of not being O at which a token is a keyword's; ``None`` takes
            the likeliest label.

    Returns:
        Labels, int64 ``(tokens,)``, and probabilities: of the label, or with a threshold of not
        being O.

    Example:
        >>> logits = np.log([[0.6, 0.1, 0.3], [0.9, 0.05, 0.05]])
        >>> read_logits(logits, None)[0].tolist(), read_logits(logits, 0.3)[0].tolist()
        ([0, 0], [2, 0])
    """
    chances = special.softmax(np.asarray(logits, float), axis=-1)
    if threshold is None:
        return chances.argmax(-1), chances.max(-1)
    inside = 1 - chances[:, OUTSIDE]
    labels = chances[:, BEGIN:].argmax(-1) + BEGIN
    return np.where(inside >= threshold, labels, OUTSIDE), inside


def tuned_threshold(
    score: Callable[[float | None], float], rows: int
) -> tuple[float | None, str | None]:
    """Find the threshold of the best score; or say why it is none.

    Args:
        score: The keyword F1 of validation texts read with a threshold, or with ``None``.
        rows: How many texts these are.
    """
    said = "the threshold of words is not tuned"
    if rows < ROWS:
        return None, f"{said}: {rows} validation texts, and it takes {ROWS}"
    found = {float(value): score(float(value)) for value in TRIED}
    # of equal ones that which differs least from the likeliest label
    best = max(found, key=lambda value: (found[value], -abs(value - 0.5)))
    if found[best] <= score(None):
        return None, f"{said}: no threshold scores higher than the likeliest labels"
    return best, None


def reported_labels(values: np.ndarray) -> np.ndarray:
    """The likeliest labels of logits ``(rows, tokens, 3)``, -100 at padding, which is -100 too."""
    return np.where((values == -100).all(-1), -100, values.argmax(-1))


def untuned_scores(scores: Scores) -> Scores:
    """The scores of keywords among these, under the names they have beside tuned ones."""
    return {f"{name}{UNTUNED}": scores[name] for name in KEYWORD_SCORES}


KEYWORD_SCORES = ("keyword_f1", "keyword_precision", "keyword_recall")


def threshold_remarks(scores: Mapping[str, float]) -> list[str]:
    """What a tuned threshold did on test rows, whose scores are ``test_*``, in a sentence."""
    before = scores.get(f"test_keyword_f1{UNTUNED}")
    if before is None:
        return []
    return [
        f"The threshold of words, which was tuned on validation rows, gives a keyword F1 of "
        f"{scores['test_keyword_f1']:.3f}; the likeliest labels give {before:.3f}."
    ]
