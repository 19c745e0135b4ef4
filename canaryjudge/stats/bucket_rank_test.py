"""The two-sample rank test of histograms: P(canary > baseline) from counts in buckets, against a tolerated shift.

Mann and Whitney's statistic needs no more than the arms' distributions, and counts in buckets tell those up to what lies within a bucket; what
that leaves open, `canaryjudge.stats.bucket_distributions` bounds, and a proof has to hold at the unfavorable end. The noise is that of the samples' rank
test (`canaryjudge.stats.rank_test`): each interval's observations are scored by their placements in the other arm, aligned by the
estimated shift, and the long-run variance of the intervals' scores allows for weather and bursts that the observations of an interval
share. A million observations in 20 buckets cost 20 numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.bucket_distributions import BucketBands, Curve
from canaryjudge.stats.long_run import long_run_variance
from canaryjudge.stats.rank_test import (
    CORE,
    LARGEST_CRITICAL_VALUE,
    WIDE,
    WIDE_SHARE,
    Noise,
    series_noise,
    waves_for,
)
from canaryjudge.stats.replicas import LastingNoise, joined

__all__ = ["FEWEST_INTERVALS", "BucketShift", "bucket_shift_test"]

FEWEST_INTERVALS: Final = 6
"""Fewer intervals say nothing of how they depend on each other; only the observations' own number is left."""
_GRID = np.concatenate([[0.0005, 0.005, 0.02], np.linspace(0.05, 0.95, 19), [0.98, 0.995, 0.9995]])
_NEAR = np.array([-0.25, -0.13, -0.09, -0.05, -0.025, -0.012, -0.005, 0.0, 0.02])
"""Where the bounds are sought first, in slopes from the estimate: the least falls short of the smooth reading."""
_OVERSHOOT = 0.02
_MOST_STEPS = 60
_CLOSE = 1e-4
_PRECISION = 1e-6
"""Once so close, relative to the shift or to the span of all shifts, the function is as good as straight."""


@dataclass(frozen=True, slots=True)
class BucketShift:
    """What the rank test says of two histograms; k limits and l levels.

    Attributes
    ----------
    estimate : float
        Hodges-Lehmann shift of the canary against the baseline, in the unit of the edges.
    low, high : ndarray, shape (k, l)
        One-sided confidence bounds of the shift, each wrong with probability `level`.
    pvalue_greater, pvalue_less : ndarray, shape (k,)
        For the null hypotheses "shift <= limit" and "shift >= limit".
    abstains : ndarray of bool, shape (k, l)
        The level asks for more than so few intervals can tell; the bounds are infinite there.
    statistic : ndarray, shape (k,)
        t at the limit, for "shift <= limit".
    df : ndarray, shape (k,)
        Its degrees of freedom.
    standard_error : ndarray, shape (k,)
        Standard error of the estimate, in the unit of the edges.
    probability_greater : float
        P(canary > baseline) + P(equal) / 2, by the smooth reading.
    rho : float
        Lag-1 autocorrelation of the intervals' scores.
    open_low, open_high : float
        Between these the buckets alone leave the shift open, however many observations there are.
    """

    estimate: float
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    abstains: NDArray[np.bool_]
    statistic: FloatArray
    df: FloatArray
    standard_error: FloatArray
    probability_greater: float
    rho: float
    open_low: float
    open_high: float


def bucket_shift_test(
    bands: BucketBands,
    baseline: ArrayLike,
    canary: ArrayLike,
    limits: ArrayLike,
    *,
    levels: ArrayLike = (0.01, 0.05),
    scales: ArrayLike = 1.0,
    concurrent: bool = False,
    lasting: LastingNoise | None = None,
) -> BucketShift:
    r"""Test whether a canary's histograms are shifted beyond limits, with the shift's estimate and bounds.

    Parameters
    ----------
    bands : BucketBands
        The distributions that agree with the sums of the histograms.
    baseline : array_like, shape (n, b)
        Observations of each interval in each bucket, in order of time; some.
    canary : array_like, shape (m, b)
        The same of the canary; m = n and row i of the same interval where `concurrent`.
    limits : array_like, shape (k, 2) or (k,)
        Shifts to test against, in the unit of the edges: for `pvalue_greater`, and for `pvalue_less`. They differ where a limit is not known better than
        a bucket.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds.
    scales : array_like, shape (k,)
        What the baseline's noise is multiplied by at each limit, as for samples.
    concurrent : bool
        The arms share the clock, so that what both feel cancels.
    lasting : LastingNoise, optional
        By how much the arms differ where nothing is wrong, beyond the scatter of their observations.

    Returns
    -------
    BucketShift
        Estimate, bounds, p-values. A limit lies below `low` just where `pvalue_greater` is below the level.

    Notes
    -----
    With :math:`U(\delta) = P(C - \delta > B)`, of which the counts leave open :math:`U^-(\delta) \le U(\delta) \le U^+(\delta)`,
    :math:`t = (U^-(\delta) - 1/2) / se` for "shift <= limit" and :math:`(U^+(\delta) - 1/2) / se` for "shift >= limit". Interval t of
    the canary has the score :math:`N_t (\bar p_t - P) / \bar N`, the deviation of the mean placement of its
    observations from that of all, times its share of them: the linearized weighted mean. Of fewer than six intervals an arm the
    variance is that of independent observations (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, with ties).

    Examples
    --------
    >>> edges = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, np.inf])
    >>> baseline, canary = np.array([[50, 150, 300, 300, 150, 40, 10]]), np.array([[10, 60, 180, 300, 260, 130, 60]])
    >>> bands = BucketBands(edges, baseline.sum(axis=0), canary.sum(axis=0))
    >>> test = bucket_shift_test(bands, baseline, canary, [0.3])
    >>> round(test.estimate, 2), bool(test.pvalue_greater[0] < 1e-6), test.low.round(2).tolist()
    (0.87, True, [[0.71, 0.75]])
    """
    first, second = np.asarray(baseline, dtype=np.float64), np.asarray(canary, dtype=np.float64)
    at = np.asarray(limits, dtype=np.float64)
    greater_at, less_at = (at, at) if at.ndim == 1 else at.T
    factor = np.broadcast_to(np.asarray(scales, dtype=np.float64), greater_at.shape)
    middle = _Middle(*bands.middle)
    wanted = np.asarray(levels, dtype=np.float64)
    noise = _noise(
        bands.middle, middle.estimate, (first, second), factor, concurrent=concurrent, waves=waves_for(wanted)
    )
    error, df, slope = noise.standard_error[0], noise.df[0], middle.slope
    noises = [(error, df)]
    if lasting is not None:
        slope = float(lasting.least_slope(np.array([slope]))[0])
        error, df = joined(error, df, lasting.standard_error / slope, lasting.df)
        noises.append((error, df))
    critical = [-stdtrit(known[:, None], wanted) for _, known in noises]
    abstains = critical[0] > LARGEST_CRITICAL_VALUE
    # lasting noise that is well known does not lend its degrees of freedom to observations that are not
    reach = np.fmax.reduce([value * each[:, None] for value, (each, _) in zip(critical, noises, strict=True)])
    widths = np.where(abstains, 0.0, reach)
    both = _Extended(bands, middle, slope)
    (low, high), (open_low, open_high) = both.bounds(widths)
    above, below = both.beyond_half(np.array([greater_at, -less_at]))
    statistic = above / error
    return BucketShift(
        estimate=float(np.clip(middle.estimate, open_low, -open_high)),
        low=np.where(abstains, -np.inf, low),
        high=np.where(abstains, np.inf, -high),
        pvalue_greater=np.fmax.reduce([stdtr(known, -above / each) for each, known in noises]),
        pvalue_less=np.fmax.reduce([stdtr(known, -below / each) for each, known in noises]),
        abstains=abstains,
        statistic=statistic,
        df=df,
        standard_error=error * slope,
        probability_greater=middle.probability_greater,
        rho=float(noise.rho[0]),
        open_low=float(open_low),
        open_high=-float(open_high),
    )


class _Middle:
    """Shift and slope by the smooth reading."""

    def __init__(self, baseline: Curve, canary: Curve) -> None:
        def falling(shifts: FloatArray) -> FloatArray:
            return canary.probability_greater(baseline, shifts[0])[None]

        span = canary.values[-1] - baseline.values[0] + baseline.values[-1] - canary.values[0]
        inside = canary.quantiles(_GRID) - baseline.quantiles(1 - _GRID)
        ends = canary.values[0] - baseline.values[-1] - span, canary.values[-1] - baseline.values[0] + span
        self.grid = np.concatenate([[ends[0]], inside, [ends[1]]])
        spread = np.array([CORE, -CORE, WIDE, -WIDE, 0.0])
        (found,) = _crossings(falling, self.grid[None], self.grid[None], 0.5 + spread)
        core, wide = (found[1] - found[0]) / (2 * CORE), (found[3] - found[2]) / (2 * WIDE)
        self.estimate = float(found[4])
        self.slope = float(max(core, WIDE_SHARE * wide, np.finfo(float).tiny))
        self.probability_greater = float(canary.probability_greater(baseline, np.zeros(1))[0])


class _Extended:
    """The least of the probability from below, and its most from above, falling with the shift and the shift turned round, straight beyond the core."""

    def __init__(self, bands: BucketBands, middle: _Middle, slope: float) -> None:
        self._bands, self._slope = bands, slope
        self._grid = np.array([middle.grid, -middle.grid[::-1]])
        self._near = np.array([[middle.estimate], [-middle.estimate]]) + slope * _NEAR
        self._anchor = np.full((2, 1), -np.inf)

    def _falling(self, shifts: FloatArray) -> FloatArray:
        least = self._bands.probability_greater(shifts[0], "least")
        return np.array([least, 1 - self._bands.probability_greater(-shifts[1], "most")])

    def bounds(self, widths: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give the shifts, from below and turned round, at which they are so far above 1/2, and at which they are 1/2."""
        inside = np.minimum(widths.ravel(), CORE)
        found = _crossings(self._falling, self._grid, self._near, 0.5 + np.concatenate([inside, [CORE, 0.0]]))
        self._anchor = found[:, -2:-1]
        bounds = found[:, :-2] - (widths.ravel() - inside) * self._slope
        return bounds.reshape(2, *widths.shape), found[:, -1]

    def beyond_half(self, shifts: FloatArray) -> FloatArray:
        """Give by how much they exceed 1/2 at shifts of shape (2, k); after `bounds`."""
        with np.errstate(over="ignore"):
            line = CORE + (self._anchor - shifts) / self._slope
        return np.where(shifts < self._anchor, line, np.minimum(self._falling(shifts) - 0.5, CORE))


def _crossings(
    falling: Callable[[FloatArray], FloatArray], grid: FloatArray, near: FloatArray, targets: FloatArray
) -> FloatArray:
    """Find the largest shifts (r, t) at which r falling functions still reach t targets, on a grid, first near where they probably do; -inf where they never do."""
    fine = _PRECISION * (grid[:, -2] - grid[:, 1])[:, None]
    known = falling(near)
    if (known[:, 0] >= targets.max()).all() and (known[:, -1] < targets.min()).all():
        grid = near
    elif near is not grid:
        known = falling(grid)
    points = grid.shape[1]
    place = (known[:, :, None] >= targets).sum(axis=1)  # grid points that still reach it
    never, always = place == 0, place == points
    place = np.minimum(np.maximum(place, 1), points - 1)
    rows, columns = np.arange(len(grid))[:, None], np.arange(len(targets))
    left, right = grid[rows, place - 1], grid[rows, place]
    above, below = known[rows, place - 1] - targets, known[rows, place] - targets
    for step in range(_MOST_STEPS):
        width = right - left
        if (width <= np.maximum(_CLOSE * np.minimum(np.abs(left), np.abs(right)), fine)).all():
            break
        # a step past the straight line to both sides closes the bracket where the function is smooth, halving it anywhere else
        line = _line(above, below)
        past = _OVERSHOOT / (1 + step) ** 2  # the closer, the straighter
        parts = np.array([line - past, line + past, np.where(line < 0.5, line + 0.25, line - 0.25)])
        np.maximum(np.minimum(parts, 1.0, out=parts), 0.0, out=parts).sort(axis=0)
        tried = (left + width * parts).swapaxes(0, 1)
        values = falling(tried.reshape(len(grid), -1)).reshape(tried.shape) - targets
        edges = np.concatenate([left[:, None], tried, right[:, None]], axis=1)
        heights = np.concatenate([above[:, None], values, below[:, None]], axis=1)
        before = rows, (values >= 0).sum(axis=1), columns
        after = rows, before[1] + 1, columns
        left, right, above, below = edges[before], edges[after], heights[before], heights[after]
    found = left + (right - left) * _line(above, below)
    return np.where(never, -np.inf, np.where(always, np.inf, found))


def _line(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.divide(above, above - below, out=np.full_like(above, 0.5), where=above > below)


def _noise(
    middle: tuple[Curve, Curve],
    shift: float,
    arms: tuple[FloatArray, FloatArray],
    scales: FloatArray,
    *,
    concurrent: bool,
    waves: int,
) -> Noise:
    """Estimate the noise of U from the scores of the intervals, or of the observations where there are too few intervals."""
    baseline, canary = middle
    totals = [counts.sum() for counts in arms]
    of_baseline = _bucket_scores(baseline, canary, shift, arms[0].shape[1])
    of_canary = _bucket_scores(canary, baseline, -shift, arms[1].shape[1])
    pooled = [counts.sum(axis=0) / total for counts, total in zip(arms, totals, strict=True)]
    deviations = [
        scores - scores @ shares for scores, shares in zip((of_baseline, of_canary), pooled, strict=True)
    ]
    resolution = 0.5 / (totals[0] * totals[1])
    if min(len(counts) for counts in arms) >= FEWEST_INTERVALS:
        series = [
            (counts @ deviation) * (len(counts) / total)
            for counts, deviation, total in zip(arms, deviations, totals, strict=True)
        ]
        return _interval_noise((series[0], series[1]), scales, resolution, concurrent=concurrent, waves=waves)
    known = [np.maximum(total - 1, 1.0) for total in totals]
    first, second = (
        shares @ deviation**2 / df for shares, deviation, df in zip(pooled, deviations, known, strict=True)
    )
    variance = np.maximum(second + scales**2 * first, resolution**2)
    df = variance**2 / np.maximum(second**2 / known[1] + (scales**2 * first) ** 2 / known[0], resolution**4)
    df = np.maximum(df, min(known))
    return Noise(np.sqrt(variance)[None], df[None], np.zeros(1))


def _interval_noise(
    series: tuple[FloatArray, FloatArray],
    scales: FloatArray,
    resolution: float,
    *,
    concurrent: bool,
    waves: int,
) -> Noise:
    """Estimate the noise from the scores of the intervals, of the baseline and of the canary."""
    baseline, canary = series

    def estimated(factor: FloatArray) -> Noise:
        return series_noise(
            canary[None],
            baseline[None],
            factor,
            concurrent=concurrent,
            resolution=resolution,
            waves=waves,
        )

    if not concurrent:
        return estimated(scales)
    shared = estimated(np.ones(1))
    # what both feel cancels but for the limit's part of it, whose own, longer waves the difference hides
    own = np.sqrt(long_run_variance(baseline, most=waves).variance / len(baseline))
    error = shared.standard_error + np.abs(scales - 1) * own
    return Noise(error, np.broadcast_to(shared.df, error.shape), shared.rho)


def _bucket_scores(own: Curve, other: Curve, shift: float, buckets: int) -> FloatArray:
    """Place the observations of each bucket in the other arm moved by the shift: the mean share of it that lies below them."""
    placed = np.interp(own.centers + shift, other.values, other.shares).reshape(buckets, -1)
    weight = own.mass.reshape(buckets, -1)
    held = weight.sum(axis=1)
    weighted = np.divide((placed * weight).sum(axis=1), held, out=placed.mean(axis=1), where=held > 0)
    return np.asarray(weighted)
