"""A power law with an offset, fitted to scores by training rows, and forecasts with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import isotonic_regression

from frtune.errors import InputError

EXPONENTS = np.geomspace(0.05, 2, 120)  # among which the best is taken
DRAWS = 2000
LEAST_DEVIATION = 1e-3  # of a score by the seed: less is not shown
LEVEL = 0.95
MINDED = 0.01  # of a score: so far off may a mean be, however little the seeds differ
PARAMETERS = 3


@dataclass(frozen=True)
class Forecast:
    """What a score would be with so many training rows.

    Attributes:
        rows: Number of rows.
        score: The forecast.
        low: Lower end of the 95 % interval of the mean score of as many seeds.
        high: Upper end.
        gain: What the curve grows by from the largest share that it was fitted to.
        gain_low: Lower end of its 95 % interval.
        gain_high: Upper end.
    """

    rows: int
    score: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class PowerLaw:
    """``limit - factor * rows ** -exponent``, with draws of what it might be as well.

    Attributes:
        limit: The score that ever more rows lead to.
        factor: What is lacking at one row; 0 or more.
        exponent: How fast it falls.
        largest: The largest share that the curve was fitted to.
        deviation: Standard deviation of the mean score of as many seeds.
        freedom: Degrees of freedom of ``deviation``.
        draws: Limit, factor and exponent of fits to scores drawn anew, ``(draws, 3)``.
        holds: Whether the means lie as near to it as the seeds explain.
    """

    limit: float
    factor: float
    exponent: float
    largest: int
    deviation: float
    freedom: int
    draws: np.ndarray
    holds: bool = True

    def score(self, rows: int | Sequence[int] | np.ndarray) -> np.ndarray:
        """The curve at some numbers of rows.

        Example:
            >>> curve = PowerLaw(0.9, 1.0, 0.5, 100, 0.01, 4, np.zeros((0, 3)))
            >>> curve.score([4, 100]).round(3).tolist()
            [0.4, 0.8]
        """
        return self.limit - self.factor * np.asarray(rows, float) ** -self.exponent

    def band(self, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval of the curve itself at some numbers of rows."""
        low, high = np.quantile(_scores(self.draws, np.asarray(rows, float)), _tails(), axis=0)
        return low, high

    def forecast(self, rows: int, *, seed: int = 0) -> Forecast:
        """The score with so many rows."""
        drawn = _scores(self.draws, np.array([rows, self.largest], float))  # (draws, 2)
        random = np.random.default_rng([seed, 1])  # not those that the draws are made of
        noise = random.standard_t(self.freedom, len(drawn)) * self.deviation
        low, high = np.quantile(drawn[:, 0] + noise, _tails())
        least, most = np.quantile(drawn[:, 0] - drawn[:, 1], _tails())
        score, here = self.score([rows, self.largest])
        ends = (float(low), float(high), float(score - here), float(least), float(most))
        return Forecast(rows, float(score), *ends)


def grows(rows: Sequence[int], scores: Sequence[Sequence[float]]) -> bool:
    """Whether scores grow with the logarithm of rows by more than chance (one-sided, p < 0.05).

    Example:
        >>> grows([10, 20, 40], [[0.5, 0.5], [0.6, 0.5], [0.6, 0.7]])
        True
        >>> grows([10, 20, 40], [[0.5, 0.6], [0.6, 0.5], [0.5, 0.6]])
        False
    """
    x = np.log([n for n, values in zip(rows, scores, strict=True) for _ in values])
    y = np.concatenate([np.asarray(values, float) for values in scores])
    if np.ptp(y) == 0:
        return False
    return float(stats.linregress(x, y, alternative="greater")[3]) < 0.05


def fit_power_law(
    rows: Sequence[int], scores: Sequence[Sequence[float]], *, best: float = 1.0, seed: int = 0
) -> PowerLaw:
    """Fit ``limit - factor * rows ** -exponent`` to scores that grow with rows.

    The form is that of Cortes et al. 1993 and Hestness et al. 2017; Viering and Loog 2022 review
    where it holds. It is fitted by least squares, each mean weighted by its variance over seeds.
    For a given exponent the rest is linear, so that the exponents are tried one by one (variable
    projection, Golub and Pereyra 1973). The intervals are those of a parametric bootstrap (Efron
    and Tibshirani 1993, section 6.5): means are drawn around the curve by Student's t and fitted
    anew. Where the means lie further from the curve than seeds explain, the draws are that wider.

    Args:
        rows: Training rows of each share, growing.
        scores: The scores of each share, one a seed; two or more.
        best: What no score can exceed.
        seed: Of the draws.

    Raises:
        InputError: For fewer than three shares, or fewer than two seeds.

    Example:
        >>> rows = [100, 200, 400, 800]
        >>> scores = [[0.9 - 2 * n**-0.5 - 0.001, 0.9 - 2 * n**-0.5 + 0.001] for n in rows]
        >>> found = fit_power_law(rows, scores).forecast(1600)
        >>> round(found.score, 2), found.low < 0.85 < found.high
        (0.85, True)
    """
    if len(rows) < PARAMETERS:
        raise InputError(f"rows: {len(rows)} shares. A curve with an offset needs 3 or more.")
    least = min(map(len, scores))
    if least < 2:
        raise InputError("scores: one seed. Give two or more of each share.")
    x = np.asarray(rows, float)
    means = np.array([np.mean(values) for values in scores])
    counts = np.array([len(values) for values in scores])
    deviations = deviations_of(scores)
    errors = deviations / np.sqrt(counts)
    freedom = int((counts - 1).sum())
    fitted = _fit(x, means[None], errors, best)[0]
    curve = _scores(fitted[None], x)[0]
    spare = len(rows) - PARAMETERS
    misfit = float((((means - curve) / errors) ** 2).sum()) / spare if spare else 0.0
    scale = errors * math.sqrt(max(1.0, misfit))
    noise = np.random.default_rng(seed).standard_t(freedom, (DRAWS, len(rows)))
    draws = _fit(x, curve + noise * scale, errors, best)
    deviation = float(deviations[-1]) / math.sqrt(least)
    limit, factor, exponent = map(float, fitted)
    # lack of fit, by an F test, and by more than anybody minds
    lacks = spare and misfit > stats.f.ppf(0.99, spare, freedom)
    holds = not (lacks and np.abs(means - curve).max() > MINDED)
    return PowerLaw(limit, factor, exponent, max(rows), deviation, freedom, draws, holds)


def deviations_of(scores: Sequence[Sequence[float]]) -> np.ndarray:
    """Standard deviation over seeds of each share, the smallest share first.

    Variances of few seeds are rough. They are taken not to grow with rows: the most likely ones
    under that order are those of isotonic regression (Barlow et al. 1972, section 2.3). Of each
    and of their median, the mean is taken.

    Example:
        >>> deviations_of([[0.5, 0.6], [0.5, 0.52], [0.5, 0.54]]).round(4).tolist()
        [0.0524, 0.0224, 0.0224]
    """
    variances = np.array([np.var(values, ddof=1) for values in scores])
    ordered = isotonic_regression(variances, increasing=False).x
    return np.maximum(np.sqrt((ordered + np.median(ordered)) / 2), LEAST_DEVIATION)


def _tails() -> tuple[float, float]:
    return (1 - LEVEL) / 2, (1 + LEVEL) / 2


def _scores(curves: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Curves ``(n, 3)`` at ``x``: ``(n, rows)``."""
    limit, factor, exponent = (curves[:, i, None] for i in range(3))
    return limit - factor * x**-exponent  # (n, rows)


def _fit(x: np.ndarray, means: np.ndarray, errors: np.ndarray, best: float) -> np.ndarray:
    """Limit, factor and exponent for each row of ``means``, ``(n, shares)``: ``(n, 3)``."""
    scale = x.max()
    powers = (x / scale) ** -EXPONENTS[:, None]  # (exponents, shares)
    weights = errors**-2 / (errors**-2).sum()
    centre, mean = powers @ weights, means @ weights  # (exponents,), (n,)
    spread = (powers - centre[:, None]) ** 2 @ weights
    shared = (means - mean[:, None]) @ (weights * (powers - centre[:, None])).T  # (n, exponents)
    slope = np.maximum(-shared / spread, 0)
    limit = mean[:, None] + slope * centre
    held = np.maximum((best - means) @ (weights * powers).T / (powers**2 @ weights), 0)
    slope = np.where(limit > best, held, slope)
    limit = np.minimum(limit, best)
    loss = np.zeros_like(slope)
    for i, weight in enumerate(weights):
        loss += weight * (limit - slope * powers[:, i] - means[:, i, None]) ** 2
    at = loss.argmin(axis=1)
    take = np.arange(len(means)), at
    exponent = EXPONENTS[at]
    return np.stack([limit[take], slope[take] * scale**exponent, exponent], axis=1)
