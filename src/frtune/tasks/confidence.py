"""What a classifier's probabilities allow: a temperature, and from where on it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from frtune import metrics
from frtune.metrics.chances import BEFORE, CALIBRATION, tempered
from frtune.tasks.label_tree import LabelTree

ROWS = 50  # validation rows from which on a temperature is fitted
NEVER = 2.0  # a least probability that none reaches
_UNCALIBRATED = "probabilities are not calibrated"
LIKELIEST = 3  # classes named where there is no answer


class Confidence(NamedTuple):
    """What the figures of a classifier's confidence show.

    Attributes:
        chances: Probabilities of the classes, ``(rows, classes)``: ``not calibrated``, then
            ``calibrated`` where there is a temperature.
        true: The true class of each row, from 0.
        precision: What ``min_precision`` promises.
        of_rows: Whether a row is answered once; else each of several labels is.
    """

    chances: dict[str, np.ndarray]
    true: np.ndarray
    precision: float | None
    of_rows: bool = True


@dataclass(frozen=True)
class Decision:
    """The answers of rows: which node, at which level, how probable; ``None`` where there is none.

    Attributes:
        labels: A label, or a node above one.
        levels: On which level that was decided, from 1, the top; on the last all are labels.
        scores: The probability of the label or node, or of the likeliest where none is answered.
    """

    labels: list[str | None]
    levels: list[int | None]
    scores: list[float]


def decide(
    chances: np.ndarray,
    labels: Sequence[str],
    limits: Sequence[float] | None,
    tree: LabelTree | None,
) -> Decision:
    """Answer with the likeliest label, or where that is not sure with the deepest node that is.

    Args:
        chances: Probability of each label, ``(rows, labels)``.
        labels: The labels.
        limits: Least probability of an answer at each level, from the top. Without any, each row
            is answered with a label.
        tree: What stands above the labels.
    """
    rows, levels = len(chances), tree.levels if tree else 1
    found = Decision([None] * rows, [None] * rows, chances.max(1).tolist())
    for level in range(levels, 0, -1):
        limit = 0.0 if limits is None else limits[level - 1]
        chance, nodes = at_level(chances, labels, level, tree)
        for row, node in enumerate(chance.argmax(1)):
            if found.labels[row] is None and chance[row, node] >= limit:
                found.labels[row] = nodes[node]
                found.levels[row] = level
                found.scores[row] = float(chance[row, node])
    return found


def decided_answers(
    answers: Sequence[Mapping[str, Any]], found: Decision, tree: LabelTree | None
) -> list[dict[str, Any]]:
    """Answers with the label that was decided, or without one, and with the likeliest labels."""
    out = []
    for answer, label, score in zip(answers, found.labels, found.scores, strict=True):
        row = {**answer, "label": label, "score": score}
        if label is None:
            scores = answer["scores"]
            row["likeliest"] = sorted(scores, key=scores.__getitem__, reverse=True)[:LIKELIEST]
        elif tree is not None:
            row["level"] = len(tree.path(label))
        out.append(row)
    return out


def at_level(
    chances: np.ndarray, labels: Sequence[str], level: int, tree: LabelTree | None
) -> tuple[np.ndarray, list[str]]:
    """Probabilities and names of the nodes of a level."""
    if tree is None:
        return chances, list(labels)
    return tree.chances(chances, level), tree.nodes(level)


def right_at(
    said: Sequence[str | None], levels: Sequence[int | None], true: Sequence[str],
    tree: LabelTree | None,
) -> list[bool]:  # fmt: skip
    """Whether each answer is the true label, or a node above it; no answer is not right."""
    return [
        answer is not None and (tree.node(label, level or 1) if tree else label) == answer
        for answer, level, label in zip(said, levels, true, strict=True)
    ]


def few_rows_note(rows: int) -> str:
    """Say that there are too few validation rows for a temperature."""
    return f"{_UNCALIBRATED}: {rows} validation rows, and it takes {ROWS}"


def temperature_of(logits: np.ndarray, true: Sequence[int]) -> tuple[float | None, str | None]:
    """Fit a temperature to validation rows; or say why there is none.

    Args:
        logits: ``(rows, classes)``.
        true: The true class of each row, from 0.
    """
    if len(logits) < ROWS:
        return None, few_rows_note(len(logits))
    found = metrics.calibration.fitted_temperature(logits, true)
    if found is None:
        return None, (
            f"{_UNCALIBRATED}: the validation rows fit no temperature (all are right, or surer "
            "answers are right no more often)"
        )
    return found, None


def limits_of(
    chances: np.ndarray,
    labels: Sequence[str],
    true: Sequence[str],
    precision: float,
    tree: LabelTree | None,
) -> tuple[list[float], str | None]:
    """As ``fitted_limits``; and why there will be no answer, where no level has one."""
    limits = fitted_limits(chances, labels, true, precision, tree)
    if min(limits) < NEVER:
        return limits, None
    return limits, (
        f"there will be no answers: on {len(true)} validation rows no probability assures "
        f"min_precision={precision}. Give more validation rows, or ask for less"
    )


def before_and_after(chances: np.ndarray, temperature: float | None) -> dict[str, np.ndarray]:
    """``chances`` of ``Confidence``, of probabilities by ``temperature`` if there is one."""
    if temperature is None:
        return {"not calibrated": chances}
    return {"not calibrated": tempered(chances, 1 / temperature), "calibrated": chances}


def confidence_scores(
    chances: np.ndarray,
    true: Sequence[str],
    labels: Sequence[str],
    *,
    temperature: float | None,
    found: Decision | None,
    tree: LabelTree | None,
) -> dict[str, float]:
    """How far probabilities hold, before and after calibration, and the answers that are given."""
    ids = [labels.index(label) for label in true]
    scores = metrics.calibration.calibration_scores(chances, ids)
    if temperature is not None:
        before = metrics.calibration.calibration_scores(tempered(chances, 1 / temperature), ids)
        scores |= {f"{name}{BEFORE}": value for name, value in before.items()}
    if found is not None:
        right = right_at(found.labels, found.levels, true, tree)
        answered = sum(label is not None for label in found.labels)
        scores["coverage"] = answered / len(true)
        scores["precision_answered"] = sum(right) / answered if answered else 0.0
    return scores


def confidence_directions(
    *, temperature: float | None, limits: Sequence[float] | None
) -> dict[str, bool]:
    """The names of ``confidence_scores``, and whether greater is better."""
    errors = [*CALIBRATION]
    errors += [f"{name}{BEFORE}" for name in CALIBRATION] if temperature is not None else []
    given = ("coverage", "precision_answered") if limits is not None else ()
    return dict.fromkeys(given, True) | dict.fromkeys(errors, False)


def confidence_remarks(scores: Mapping[str, float], precision: float | None) -> list[str]:
    """What ``confidence_scores`` of test rows, ``test_*``, say, in sentences."""
    found = []
    if f"test_ece{BEFORE}" in scores:
        before, after = scores[f"test_ece{BEFORE}"], scores["test_ece"]
        found.append(
            f"Confidence is off by {100 * after:.1f} % on average, and was by {100 * before:.1f} % "
            "before calibration (expected calibration error, ece)."
        )
    if precision is not None and "test_coverage" in scores:
        said, right = 100 * scores["test_coverage"], scores["test_precision_answered"]
        text = f"At {100 * precision:.4g} % precision, {said:.1f} % of the test rows are answered"
        if said:
            held = "held" if right >= precision else "was not kept"
            text += f" without a look; {100 * right:.1f} % of these answers are right"
            text += f": the promise {held}"
        found.append(f"{text}.")
    return found


def fitted_limits(
    chances: np.ndarray,
    labels: Sequence[str],
    true: Sequence[str],
    precision: float,
    tree: LabelTree | None,
) -> list[float]:
    """Find the least probability of an answer at each level, from the top, for a precision.

    The labels come first; each level above is judged on the rows that those below it leave open,
    and the doubt of 5 % is shared by the levels. Where no probability will do it is ``NEVER``.
    """
    levels = tree.levels if tree else 1
    limits = [NEVER] * levels
    open_ = np.ones(len(chances), bool)
    for level in range(levels, 0, -1):
        chance, nodes = at_level(chances, labels, level, tree)
        said = [nodes[node] for node in chance.argmax(1)]
        own = [tree.node(label, level) if tree else label for label in true]
        right = np.array(said) == np.array(own)
        limit = metrics.calibration.least_confidence(
            chance.max(1)[open_], right[open_], precision, doubt=0.05 / levels
        )
        if limit is not None:
            limits[level - 1] = limit
            open_ &= chance.max(1) < limit
    return limits
