"""What the scores of growing shares of the training rows come to: a curve, a check, forecasts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frtune.names import counted
from frtune.run.power_law import Forecast, PowerLaw, fit_power_law, grows

TIMES = {2: "Twice", 4: "Four times"}
LEAST_SHARES = 4  # a curve of three numbers, and one share to check it
FEW_VALIDATION_ROWS = 200


@dataclass(frozen=True)
class Share:
    """A number of training rows.

    Attributes:
        rows: How many.
        scores: One a seed; NaN where the score is not defined.
    """

    rows: int
    scores: list[float]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return sum(self.scores) / len(self.scores)


@dataclass(frozen=True)
class Check:
    """The largest share, held back, beside what the smaller ones forecast for it.

    Attributes:
        forecast: From the smaller shares.
        reached: The mean score of the largest share.
    """

    forecast: Forecast
    reached: float

    @property
    def off(self) -> float:
        """What was reached, less the forecast."""
        return self.reached - self.forecast.score

    @property
    def within(self) -> bool:
        """Whether the forecast's interval holds what was reached."""
        return self.forecast.low <= self.reached <= self.forecast.high


@dataclass(frozen=True)
class LearningCurve:
    """Scores on the validation rows by the number of training rows, and what more would bring.

    Attributes:
        task: Name of the task.
        score: Name of the score: the task's main one.
        greater_is_better: Its direction.
        seeds: The seeds.
        validation_rows: How many rows the scores are of.
        shares: The shares, growing.
        law: The curve, of the score or, where less is better, of its negative; ``None`` where
            there is no forecast.
        check: How far a forecast of the largest share was off; ``None`` where there is none.
        forecasts: With twice and four times the rows of the largest share; none where the curve
            cannot be trusted.
        reason: Why there is no forecast.
    """

    task: str
    score: str
    greater_is_better: bool
    seeds: list[int]
    validation_rows: int
    shares: list[Share]
    law: PowerLaw | None
    check: Check | None
    forecasts: list[Forecast]
    reason: str | None

    @property
    def sign(self) -> int:
        """1, or -1 where less is better."""
        return 1 if self.greater_is_better else -1

    def content(self) -> dict[str, Any]:
        """The curve as JSON values."""
        law, check = self.law, self.check
        names = ("task", "score", "greater_is_better", "seeds", "validation_rows", "reason")
        return {
            **{name: getattr(self, name) for name in names},
            "interval": "95 %, parametric bootstrap over the seeds",
            "shares": [{**dataclasses.asdict(share), "mean": share.mean} for share in self.shares],
            "curve": law and {
                "limit": self.sign * law.limit,
                "factor": self.sign * law.factor,
                "exponent": law.exponent,
            },
            "check": check and {
                **dataclasses.asdict(check.forecast),
                "reached": check.reached,
                "off": check.off,
                "within": check.within,
            },
            "forecasts": [dataclasses.asdict(each) for each in self.forecasts],
        }  # fmt: skip


def summed_up(
    task: str,
    score: str,
    *,
    greater_is_better: bool,
    seeds: Sequence[int],
    validation_rows: int,
    shares: Sequence[Share],
) -> LearningCurve:
    """Fit a curve to the shares, check it on the largest, and say what more rows would bring.

    Example:
        >>> shares = [Share(n, [0.9 - n**-0.5, 0.902 - n**-0.5]) for n in (50, 100, 200, 400, 800)]
        >>> found = summed_up("keywords", "f1", greater_is_better=True, seeds=[1, 2],
        ...                   validation_rows=500, shares=shares)
        >>> [(each.rows, round(each.gain, 3)) for each in found.forecasts], found.check.within
        ([(1600, 0.01), (3200, 0.018)], True)
    """
    sign = 1 if greater_is_better else -1
    known = [share for share in shares if all(map(math.isfinite, share.scores))]
    law, reason = _law(known, score, sign)
    check, forecasts = None, []
    if law is not None:
        earlier, why = _law(known[:-1], score, sign, least=LEAST_SHARES - 1)
        if earlier is None:
            law, reason = None, f"without the largest share, {why}"
        else:
            rows = known[-1].rows
            check = Check(_directed(earlier.forecast(rows), sign), known[-1].mean)
            forecasts = [_directed(law.forecast(times * rows), sign) for times in TIMES]
    return LearningCurve(
        task, score, greater_is_better, list(seeds), validation_rows, list(shares), law, check,
        forecasts, reason,
    )  # fmt: skip


def _law(
    shares: Sequence[Share], score: str, sign: int, *, least: int = LEAST_SHARES
) -> tuple[PowerLaw | None, str | None]:
    """The curve of some shares, or why there is none."""
    if len(shares) < least:
        return None, f"{score} has a value for {counted(len(shares), 'share')} only."
    rows = [share.rows for share in shares]
    values = [[sign * value for value in share.scores] for share in shares]
    if not grows(rows, values):
        return None, (
            f"from {rows[0]:,} to {rows[-1]:,} rows, {score} does not get better by more than "
            "the seeds differ."
        )
    most = max(max(each) for each in values)
    best = (1.0 if sign > 0 else 0.0) if most <= 1 else math.inf
    law = fit_power_law(rows, values, best=best)
    if not law.holds:
        return None, (
            f"from {rows[0]:,} to {rows[-1]:,} rows, {score} lies further from a power law than "
            "the seeds explain."
        )
    return law, None


def _directed(forecast: Forecast, sign: int) -> Forecast:
    """A forecast of the score, from one of its negative where less is better."""
    if sign > 0:
        return forecast
    return Forecast(
        forecast.rows, -forecast.score, -forecast.high, -forecast.low,
        -forecast.gain, -forecast.gain_high, -forecast.gain_low,
    )  # fmt: skip


def meaning(found: LearningCurve) -> list[str]:
    """What the curve says, in plain words, one thing a sentence."""
    said = []
    if found.reason is not None:
        said.append(
            f"There is no forecast: {found.reason} Whether more rows would help is not known."
        )
    largest = found.shares[-1].rows
    for times, each in zip(TIMES, found.forecasts, strict=False):
        words = TIMES[times]
        said.append(
            f"{words} as many training rows ({each.rows:,} in place of {largest:,}) would bring "
            f"about {points(each.gain)} points of {found.score} (95 % interval "
            f"{points(each.gain_low)} to {points(each.gain_high)})."
        )
    said += _checked(found)
    if found.validation_rows < FEW_VALIDATION_ROWS:
        said.append(
            f"{counted(found.validation_rows, 'validation row')} are few: other rows could give "
            "other scores, which no interval here tells."
        )
    return said


def _checked(found: LearningCurve) -> list[str]:
    """What holding the largest share back showed."""
    check = found.check
    if check is None:
        return []
    told, smaller = check.forecast, found.shares[-2].rows
    how = "within the interval" if check.within else "outside of the interval"
    text = (
        f"Check: the shares of up to {smaller:,} rows forecast {told.score:.3f} ({told.low:.3f} to "
        f"{told.high:.3f}) for {told.rows:,} rows, and {check.reached:.3f} was reached. The "
        f"forecast was off by {points(check.off)} points, {how}."
    )
    return [text if check.within else f"{text} Do not rely on the forecasts above."]


def points(value: float) -> str:
    """A difference of scores in hundredths, signed.

    Example:
        >>> points(0.0142), points(-0.0001)
        ('+1.4', '+0.0')
    """
    return f"{round(100 * value, 1) + 0.0:+.1f}"
