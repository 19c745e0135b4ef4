"""A change from before to after, held against what the same hours of earlier days did: time of day removed, the variance between days allowed for.

A switch of all traffic has no arms that share the clock. What the level does from the one window to the other by itself (the morning's rise) is what it did on earlier days
between the same two clock times; what it did differently from day to day is how well that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.long_run import long_run_variance

__all__ = [
    "FEWEST_DAYS",
    "Departure",
    "Windows",
    "against_days",
    "jump_at_switch",
    "moderated",
]

FEWEST_DAYS: Final = 3
"""Fewer days do not tell by how much days differ."""
_FEWEST_CLOCKS: Final = 3
"""Variances of fewer places of the clock say nothing of how variances differ."""
_FEWEST_PAIRS: Final = 30
_FEWEST_FOR_TREND: Final = 5
"""Fewer pairs of windows, or days, tell neither the trend nor which part of a day's level lasts."""
_WAVES: Final = 8


@dataclass(frozen=True, slots=True)
class Departure:
    """By how much a change departs from what was to be expected.

    Attributes
    ----------
    estimate : float
        The change less the expected one.
    expected : float
        The expected change.
    standard_error : float
        Its standard deviation where nothing is wrong, the prediction's own included.
    df : float
        Degrees of freedom of the t distribution that it follows.
    spread : float
        Standard deviation of the change from day to day; NaN where there are no days.
    days : int
        Days that it was held against.
    carried : float
        Which part of the level before is expected to last; 1 is all of it.
    """

    estimate: float
    expected: float
    standard_error: float
    df: float
    spread: float = np.nan
    days: int = 0
    carried: float = 1.0

    def pvalues(self, at: ArrayLike) -> FloatArray:
        """Give the p-values for "the departure is at most" and "at least" so much, shape (..., 2)."""
        from scipy.special import stdtr  # noqa: PLC0415 - keeps the import of canaryjudge light

        distance = self.estimate - np.asarray(at, dtype=np.float64)
        if self.standard_error == 0:
            score = np.where(distance == 0, 0.0, np.copysign(np.inf, distance))
        else:
            score = distance / self.standard_error
        return np.stack([stdtr(self.df, -score), stdtr(self.df, score)], axis=-1)

    def bounds(self, error: float) -> tuple[float, float]:
        """Bound the departure; each end alone is wrong with this probability."""
        from scipy.special import stdtrit  # noqa: PLC0415 - as above

        margin = float(stdtrit(self.df, 1 - error)) * self.standard_error
        return self.estimate - margin, self.estimate + margin


@dataclass(frozen=True, slots=True)
class Windows:
    """The level of windows before and after a time of the clock, on as many days; on logarithms, or as it is.

    Attributes
    ----------
    before, after : ndarray, shape (days, clocks)
        The first column is of the release's own times of the clock, the others of other ones, as far apart, that share no points. NaN where a day lacks data.
    days : ndarray, shape (days,)
        How many days each is away from the release's: negative.
    groups : ndarray of int, shape (days,)
        Of which kind each day is: 0 are those that resemble the release's, such as the same day of the week. The others tell of trend and variance alone.
    """

    before: FloatArray
    after: FloatArray
    days: FloatArray
    groups: NDArray[np.intp]

    @property
    def own(self) -> NDArray[np.bool_]:
        """Which days have the release's own times of the clock."""
        return ~np.isnan(self.before[:, 0] + self.after[:, 0])


def against_days(own: tuple[float, float], earlier: Windows, extra: float = 0.0) -> Departure | None:
    """Hold the levels before and after a switch against those of earlier days at the same times of the clock.

    Parameters
    ----------
    own : pair of float
        The release's level before and after.
    earlier : Windows
        The same of earlier days.
    extra : float
        Variance that the release's change has beyond that of an earlier day, because its windows are thinner.

    Returns
    -------
    Departure or None
        None where fewer than two days of the release's kind, or fewer than three days of any, have the release's own times.

    Notes
    -----
    What is compared with its mean over the D days of the release's kind is y = after - b before - (1 - b) slope day. With b = 1 it is the day's own change, from which a level that is peculiar to the day cancels; with
    b = 0 the level after at that time of the clock, less a straight trend over the days. b is that of a regression of after on before over all days and times of the clock, without their means and trend, from 0 to 1:
    as much of a day's level as lasts from the one window to the other. It is 1 where there are fewer than 5 days or 30 pairs of windows to tell it.

    Where days are exchangeable, y - mean(y_d) has the variance s² (1 + 1/D), and that of the trend beside it. s² is known from few days, so it is moderated by those of the other times of the clock (`moderated`), whose
    degrees of freedom count as far as days differ no more as a whole than their windows do by themselves; they are joined to those of the trend by Satterthwaite's formula. Where b and the trend are fitted to n windows, or to as many as those of a day are worth
    that share its level, s² grows by n / (n - 2).

    Examples
    --------
    >>> days = np.array([[0.10], [0.12], [0.08], [0.10]])
    >>> earlier = Windows(0 * days, days, np.arange(-4.0, 0.0), np.zeros(4, dtype=int))
    >>> found = against_days((0.0, 0.30), earlier)
    >>> round(found.estimate, 3), round(found.standard_error, 4), found.df
    (0.2, 0.0183, 3.0)
    """
    there, kinds = earlier.own, earlier.groups
    alike = there & (kinds == 0)
    if np.count_nonzero(alike) < 2 or np.count_nonzero(there) < FEWEST_DAYS:
        return None
    before, after = (
        np.where(np.isnan(earlier.before + earlier.after), np.nan, level)
        for level in (earlier.before, earlier.after)
    )
    ahead = np.where(np.isnan(before), np.nan, earlier.days[:, None])
    inner = [_less_means(level, kinds) for level in (before, after, ahead)]
    carried, slope, slope_variance, trend_df, wider = _carried(*inner)
    changes = after - carried * before - (1 - carried) * slope * ahead
    rest = _less_means(changes, kinds)
    freedom = np.sum(
        [
            np.maximum(np.count_nonzero(~np.isnan(changes[kinds == kind]), axis=0) - 1, 0)
            for kind in np.unique(kinds)
        ],
        axis=0,
    )
    clocks = freedom > 0
    variance, df = moderated(np.nansum(rest[:, clocks] ** 2, axis=0) / freedom[clocks], freedom[clocks])
    df = max(float(freedom[0]), df / _as_a_whole(rest))
    count = int(np.count_nonzero(alike))
    expected = float(changes[alike, 0].mean())
    of_days = wider * variance * (1 + 1 / count)
    of_trend = slope_variance * ((1 - carried) * float(earlier.days[alike].mean())) ** 2
    whole = of_days + of_trend
    if whole > 0:
        df = whole**2 / (of_days**2 / df + of_trend**2 / trend_df)
    return Departure(
        own[1] - carried * own[0] - expected,
        expected + (carried - 1) * own[0],
        float(np.sqrt(whole + max(extra, 0.0))),
        df,
        float(np.sqrt(variance)),
        count,
        carried,
    )


def _less_means(levels: FloatArray, kinds: NDArray[np.intp]) -> FloatArray:
    """Subtract the mean of each time of the clock, over the days of a kind."""
    found = levels.copy()
    for kind in np.unique(kinds):
        part = levels[kinds == kind]
        count = np.count_nonzero(~np.isnan(part), axis=0)
        found[kinds == kind] -= np.nansum(part, axis=0) / np.maximum(count, 1)
    return found


def _carried(
    before: FloatArray, after: FloatArray, ahead: FloatArray
) -> tuple[float, float, float, float, float]:
    """Tell which part of a day's level lasts, of levels without their means; the trend a day, its variance by whole days, and the degrees of freedom of that; and how many times the variance is larger than what is left when both are fitted."""
    known = ~np.isnan(before)
    days = np.count_nonzero(known.any(axis=1))
    moves = float(np.nansum(ahead**2))
    if np.count_nonzero(known) < _FEWEST_PAIRS or days < _FEWEST_FOR_TREND or moves == 0:
        return 1.0, 0.0, 0.0, 1.0, 1.0
    slope = float(np.nansum(ahead * (before + after))) / (2 * moves)
    first, last = before - slope * ahead, after - slope * ahead
    own = float(np.nansum(first**2))
    carried = float(np.clip(np.nansum(first * last) / own, 0.0, 1.0)) if own > 0 else 1.0
    # each day's part of the slope as a whole: its windows may share the day's level
    parts = np.nansum(ahead * (first + last) / 2, axis=1)
    df = float(days - 2)
    # windows of a day that share its level are worth fewer
    worth = np.count_nonzero(known) * (1 - 1 / days) / _as_a_whole(first)
    wider = worth / max(worth - 2, worth / 3)
    return carried, slope, float((parts**2).sum()) / moves**2 * days / df, df, wider


def _as_a_whole(rest: FloatArray) -> float:
    """Tell how many times the mean of a day varies more than that of as many independent windows."""
    counts = np.count_nonzero(~np.isnan(rest), axis=1)
    some = counts > 0
    sums = np.nansum(rest, axis=1)[some]
    square = float(np.nanmean(rest**2))
    return max(1.0, float((sums**2 / counts[some]).mean()) / square) if square > 0 else 1.0


def moderated(variances: ArrayLike, freedom: ArrayLike) -> tuple[float, float]:
    """Moderate the first of several variances by the others.

    Parameters
    ----------
    variances, freedom : array_like, shape (k,)
        Estimated variances and their degrees of freedom.

    Returns
    -------
    variance, df : float
        The moderated variance of the first and its degrees of freedom, at most those of all together.

    Notes
    -----
    (d0 s0² + d s²) / (d0 + d) with d0 + d degrees of freedom, where s0² and d0 are fitted to how the variances differ: d0 is large where all vary alike, and small where each has its own (Smyth [1]_). By his section 6.2: with z = log s², e = z - digamma(d/2) + log(d/2), trigamma(d0/2) is the variance of e less the mean of trigamma(d/2), and log s0² = mean(e) + digamma(d0/2) - log(d0/2).
    With fewer than three of them, or where the first is 0, there is nothing to moderate by.

    References
    ----------
    .. [1] G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray experiments", Statistical Applications in Genetics and Molecular Biology 3 (2004), article 3.

    Examples
    --------
    >>> variance, df = moderated([4.0, 1.0, 1.2, 0.9, 1.1], [6, 6, 6, 6, 6])
    >>> 1.0 < variance < 4.0, df > 6
    (True, True)
    """
    from scipy.special import digamma, polygamma  # noqa: PLC0415 - keeps the import of canaryjudge light

    s2, d = np.asarray(variances, dtype=np.float64), np.asarray(freedom, dtype=np.float64)
    some = s2 > 0
    if np.count_nonzero(some) < _FEWEST_CLOCKS or not some[0]:
        return float(s2[0]), float(d[0])
    z, half = np.log(s2[some]), d[some] / 2
    e = z - digamma(half) + np.log(half)
    excess = float(e.var(ddof=1) - polygamma(1, half).mean())
    if excess <= 0:
        return float((s2 * d).sum() / d.sum()), float(d.sum())
    prior = 2 * _inverse_trigamma(excess)
    at = float(np.exp(e.mean() + digamma(prior / 2) - np.log(prior / 2)))
    return float((prior * at + d[0] * s2[0]) / (prior + d[0])), float(min(prior + d[0], d.sum()))


def _inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value by Newton's method (Smyth 2004, appendix)."""
    from scipy.special import polygamma  # noqa: PLC0415 - as above

    if value > 1e7:
        return float(1 / np.sqrt(value))
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return float(x)


def jump_at_switch(
    before: ArrayLike, after: ArrayLike, times: tuple[ArrayLike, ArrayLike], at: float
) -> Departure:
    """Estimate the jump of a series at a switch, with a line of its own on either side: an interrupted series.

    Parameters
    ----------
    before, after : array_like, shape (n,) and (m,)
        Points before and after, four or more each.
    times : pair of array_like
        When they are.
    at : float
        When the switch is.

    Returns
    -------
    Departure
        The jump; `expected` is the line before, carried on to the switch. It knows nothing of what the series does by itself from one hour to the next, beyond a line.

    Notes
    -----
    Least squares with a level and a slope on either side. The estimate is a sum of the points with fixed weights w; its variance is that of the sum of w times the residuals, long-run by the eight lowest
    cosine waves (Lazarus, Lewis, Stock and Watson 2018), each side by itself, and no smaller than with independent residuals.

    Examples
    --------
    >>> minutes = np.arange(20.0)
    >>> found = jump_at_switch(minutes, minutes + 25.0, (minutes, minutes + 20), 20.0)
    >>> round(found.estimate, 6), round(found.expected, 6)
    (5.0, 20.0)
    """
    ends: list[float] = []
    freedom: list[float] = []
    variance = 0.0
    for points, when in zip((before, after), times, strict=True):
        y = np.asarray(points, dtype=np.float64)
        x = np.asarray(when, dtype=np.float64) - at
        center = x.mean()
        spread = float(((x - center) ** 2).sum())
        weights = 1 / len(y) - (center * (x - center) / spread if spread > 0 else 0.0)
        end = float(np.sum(weights * y))
        slope = float(np.sum((x - center) * y)) / spread if spread > 0 else 0.0
        rest = y - y.mean() - slope * (x - center)
        n = len(y)
        independent = float(np.square(weights).sum() * np.square(rest).sum() / (n - 2))
        long_run = long_run_variance(weights * rest, most=_WAVES)
        ends.append(end)
        variance += max(independent, n * float(long_run.variance) * n / (n - 2))
        freedom.append(min(float(long_run.df), n - 2.0))
    return Departure(ends[1] - ends[0], ends[0], float(np.sqrt(variance)), min(freedom))
