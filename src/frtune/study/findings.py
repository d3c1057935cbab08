"""What a study found, in sentences: what changed most, in which layer, from what to what."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from frtune.study.result import Study
from frtune.study.tables import (
    compared,
    curve,
    identical,
    main_answers,
    of_checkpoint,
    rank_answer,
    same_layer,
)


class Change(NamedTuple):
    """The largest difference between two checkpoints in one statistic.

    Attributes:
        before: In the first checkpoint.
        after: In the second.
        where: ``most in layer N``, or ``in the last layer`` where depths differ.
    """

    before: float
    after: float
    where: str

    @property
    def verb(self) -> str:
        """``rises`` or ``falls``."""
        return "rises" if self.after > self.before else "falls"

    @property
    def ends(self) -> str:
        """``from X to Y``, with as many digits as tell the two apart."""
        before, after = number(self.before), number(self.after)
        if before == after and abs(self.before - self.after) >= 0.0005:
            before, after = f"{self.before:.3f}", f"{self.after:.3f}"
        return f"from {before} to {after}"


def findings(study: Study) -> dict[str, list[str]]:
    """Say in words what the study found.

    Args:
        study: What ``frtune.study.study`` returned.

    Returns:
        Sentences by subject: ``movement``, ``cosines``, ``norms``, ``spectrum``, ``probes``,
        ``answer``. A subject without numbers is left out.
    """
    pairs = [pair for pair in comparisons(study) if not identical(study, *pair)]
    subjects = {"movement": _movement, "cosines": _cosines, "norms": _norms}
    subjects |= {"spectrum": _spectrum, "probes": _probes}
    found = {
        name: [s for pair in pairs for s in say(study, *pair)] for name, say in subjects.items()
    }
    found["movement"] = [*_twins(study), *found["movement"]]
    found["probes"] = [*_probe_levels(study), *found["probes"]]
    found["answer"] = [_answer(study, answer) for answer in main_answers(study)]
    if len(study.checkpoints) == 1:
        found["cosines"] = list(_course(study, study.checkpoints[0]["name"]))
    return {subject: sentences for subject, sentences in found.items() if sentences}


def headlines(study: Study) -> list[str]:
    """The main sentence of each subject: what moved, cosines, probes, the study's question.

    Args:
        study: What ``frtune.study.study`` returned.
    """
    subjects = (_movement, _cosines, _probes)
    pairs = [pair for pair in comparisons(study) if not identical(study, *pair)]
    found: list[str | None] = [*_twins(study)]
    found += [next(say(study, *pair), None) for say in subjects for pair in pairs]
    if len(study.checkpoints) == 1:
        found = [*_course(study, study.checkpoints[0]["name"]), *_probe_levels(study)]
    return [text for text in found if text] + [_answer(study, each) for each in main_answers(study)]


def comparisons(study: Study) -> list[tuple[str, str]]:
    """Return which checkpoints are set against each other, each but the first with one before it.

    That is the earliest whose tokens were compared with its own, else the first of the study.
    """
    names = [checkpoint["name"] for checkpoint in study.checkpoints]
    pairs = set(compared(study, "drift_cosine"))
    return [
        next(((a, b) for a in names[:i] if (a, b) in pairs), (names[0], b))
        for i, b in enumerate(names)
        if i
    ]


def _twins(study: Study) -> Iterator[str]:
    """The pairs that are the same model."""
    for a, b in comparisons(study):
        if identical(study, a, b):
            yield f"{a} and {b} are identical: every token has the same vector in every layer."


def _movement(study: Study, a: str, b: str) -> Iterator[str]:
    rows = same_layer(study.pairs, a, b)
    turn, distance = curve(rows, "drift_cosine"), curve(rows, "drift_distance")
    if not len(turn):
        return
    most, least = int(turn.idxmax()), int(turn.idxmin())
    if turn[most] < 0.001:
        yield (
            f"From {a} to {b} the tokens' vectors hardly turned in any layer: 1 - cosine is at "
            f"most {number(turn[most])} ({layer_name(most)})."
        )
        return
    apart = ""
    if len(distance):
        apart = f" and lie {number(distance[most])} times the first one's length apart"
    yield (
        f"From {a} to {b}, {layer_name(most)} moved most: there, in the mean, a token's two "
        f"vectors have a cosine of {number(1 - turn[most])}{apart}. "
        f"{layer_name(least).capitalize()} moved least (cosine {number(1 - turn[least])})."
    )
    debiased = curve(rows, "cka_debiased")
    alike, name = (debiased, "debiased CKA") if len(debiased) else (curve(rows, "cka"), "CKA")
    if len(alike):
        high, low = int(alike.idxmax()), int(alike.idxmin())
        yield (
            f"Up to rotation and scale, {a} and {b} are most alike in {layer_name(high)} ({name} "
            f"{number(alike[high])}) and least in {layer_name(low)} ({name} {number(alike[low])})."
        )


def _cosines(study: Study, a: str, b: str) -> Iterator[str]:
    if within := largest_change(study, a, b, "cosine_within"):
        text = _told(within, "the cosine between tokens of one text", a, b, 0.005)
        adjusted = largest_change(study, a, b, "cosine_within_adjusted")
        if adjusted:
            small = abs(adjusted.after - adjusted.before) < 0.005
            how = f"{adjusted.verb} {adjusted.where}, {adjusted.ends}"
            text += f" Corrected for anisotropy, it {'hardly changes' if small else how}."
        yield text
    if between := largest_change(study, a, b, "cosine_between"):
        yield _told(between, "the cosine between tokens of different texts", a, b, 0.005)


def _norms(study: Study, a: str, b: str) -> Iterator[str]:
    if change := largest_change(study, a, b, "norm_q50", relative=True):
        small = 0.01 * abs(change.before)
        yield _told(change, "the median length of token vectors", a, b, small)


def _spectrum(study: Study, a: str, b: str) -> Iterator[str]:
    if change := largest_change(study, a, b, "effective_rank", relative=True):
        small = 0.01 * abs(change.before)
        width = {c["name"]: c["width"] for c in study.checkpoints}[b]
        text = _told(change, "the number of directions in use (effective rank)", a, b, small)
        yield f"{text[:-1]}; the vectors have {width} dimensions."


def _probe_levels(study: Study) -> Iterator[str]:
    """The best layer of each checkpoint, against always saying the largest class."""
    labels = study.data.get("labels") or {}
    share = max(labels.values()) / sum(labels.values()) if labels else math.nan
    for checkpoint in study.checkpoints:
        rows = of_checkpoint(study, checkpoint["name"])
        accuracy = curve(rows, "probe_mean_accuracy")
        if not len(accuracy):
            continue
        best = int(accuracy.idxmax())
        low, _ = _ends(rows, "probe_mean_accuracy", best)
        text = (
            f"In {checkpoint['name']}, {layer_name(best)} classifies best: a probe on the mean "
            f"vector is right for {_interval(rows, 'probe_mean_accuracy', best)} of the texts"
        )
        if math.isnan(share):
            yield f"{text}."
        elif low > share:
            yield f"{text}; always saying the largest class, for {number(share)}."
        else:
            yield f"{text}, which is not surely more than the largest class has ({number(share)})."


def _probes(study: Study, a: str, b: str) -> Iterator[str]:
    """What the last layer gained or lost."""
    before, after = of_checkpoint(study, a), of_checkpoint(study, b)
    vectors = {"probe_mean_accuracy": "mean vector", "probe_first_accuracy": "first token"}
    for statistic, vector in vectors.items():
        first, second = curve(before, statistic), curve(after, statistic)
        if not (len(first) and len(second)):
            continue
        i, j = int(first.index[-1]), int(second.index[-1])
        change = Change(first[i], second[j], "in the last layer")
        if change.before == change.after:
            yield f"On the {vector} of the last layer the probe is as good in {b} as in {a}."
            continue
        (low, high), (lower, upper) = _ends(before, statistic, i), _ends(after, statistic, j)
        apart = low > upper or lower > high  # of nan, neither is
        yield (
            f"On the {vector} of the last layer the probe's accuracy {change.verb} from "
            f"{_interval(before, statistic, i)} in {a} to {_interval(after, statistic, j)} in {b}; "
            + ("the intervals do not overlap." if apart else "the intervals overlap.")
        )


def _answer(study: Study, answer: dict[str, Any]) -> str:
    """Whether convergence tells accuracy: the sign of r, unless an interval holds 0.

    One layer far from the others can make a high r alone; the correlation of the ranks must
    agree.
    """
    name, layers = answer["checkpoint"], f"{answer['n']} layers"
    r, low, high = (answer[key] for key in ("value", "low", "high"))
    if not math.isfinite(low):
        size = f"r = {number(r)} over {layers}, too few for an interval"
        return f"In {name}, whether convergence tells a layer's accuracy stays open: {size}."
    size = f"r = {number(r)} (95% interval {number(low)} to {number(high)}, {layers})"
    ranks = rank_answer(study, answer)
    sure = not low <= 0 <= high
    if ranks and math.isfinite(ranks["low"]):
        low, high = ranks["low"], ranks["high"]
        size += f"; by ranks {number(ranks['value'])} ({number(low)} to {number(high)})"
        sure = sure and r * ranks["value"] > 0 and not low <= 0 <= high
    if not sure:
        return f"In {name}, convergence does not surely tell how well a layer classifies: {size}."
    return (
        f"In {name}, convergence tells how well a layer classifies: {size}. Layers in which the "
        f"tokens of a text are more alike, less anisotropy, classify "
        f"{'better' if r > 0 else 'worse'}."
    )


def _course(study: Study, name: str) -> Iterator[str]:
    """How the cosines of a single checkpoint go through its layers."""
    rows = of_checkpoint(study, name)
    for statistic, what in (
        ("cosine_within", "the cosine between tokens of one text"),
        ("cosine_within_adjusted", "the same less anisotropy"),
        ("cosine_between", "the cosine between tokens of different texts"),
    ):
        values = curve(rows, statistic)
        if len(values):
            high, low = int(values.idxmax()), int(values.idxmin())
            yield (
                f"In {name}, {what} goes from {number(values.iloc[0])} in "
                f"{layer_name(int(values.index[0]))} to {number(values.iloc[-1])} in the last "
                f"layer; it is highest in {layer_name(high)} ({number(values[high])}) and lowest "
                f"in {layer_name(low)} ({number(values[low])})."
            )


def largest_change(
    study: Study, a: str, b: str, statistic: str, *, relative: bool = False
) -> Change | None:
    """Find where a statistic differs most from ``a`` to ``b``; of unlike depths, the last layers.

    ``relative`` compares by ratio, for statistics without a fixed scale. ``None`` where the two
    have no layer in common with this statistic.
    """
    first, second = (curve(of_checkpoint(study, name), statistic) for name in (a, b))
    depths = {c["name"]: c["layers"] for c in study.checkpoints}
    if not (len(first) and len(second)):
        return None
    if depths[a] != depths[b]:
        return Change(float(first.iloc[-1]), float(second.iloc[-1]), "in the last layer")
    common = first.index.intersection(second.index)
    if not len(common):
        return None
    before, after = (np.asarray(each[common], float) for each in (first, second))
    with np.errstate(divide="ignore", invalid="ignore"):  # of 0 in both, no change
        size = np.abs(np.log(after / before)) if relative else np.abs(after - before)
    at = int(np.argmax(np.nan_to_num(size)))
    return Change(float(before[at]), float(after[at]), f"most in {layer_name(int(common[at]))}")


def _told(change: Change, what: str, a: str, b: str, small: float) -> str:
    if change.after == change.before:
        return f"From {a} to {b}, {what} stays as it was."
    much = abs(change.after - change.before) >= small
    verb = change.verb if much else "hardly changes:"
    return f"From {a} to {b}, {what} {verb} {change.where}, {change.ends}."


def layer_name(layer: int) -> str:
    """Return ``the embeddings`` or ``layer N``."""
    return f"layer {layer}" if layer else "the embeddings"


def number(value: float) -> str:
    """Write a number with as many digits as a reader needs.

    Example:
        >>> [number(x) for x in (0.6412, 12.3456, 431.2, 0.0031, 0.0, -0.8)]
        ['0.64', '12.3', '431', '0.0031', '0.00', '-0.80']
    """
    size = abs(value)
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2g}" if 0 < size < 0.01 else f"{value:.2f}"


def _interval(rows: pd.DataFrame, statistic: str, layer: int) -> str:
    value = number(curve(rows, statistic)[layer])
    low, high = _ends(rows, statistic, layer)
    return f"{value} (95% {number(low)} to {number(high)})" if math.isfinite(low) else value


def _ends(rows: pd.DataFrame, statistic: str, layer: int) -> tuple[float, float]:
    """The ends of an interval, ``nan`` where there is none."""
    low, high = (curve(rows, statistic, end).get(layer, math.nan) for end in ("low", "high"))
    return float(low), float(high)  # type: ignore[arg-type]
