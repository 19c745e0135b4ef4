"""The two-sample rank test of histograms: P(canary > baseline) from counts in buckets, against a tolerated shift.

Mann and Whitney's statistic needs no more than the arms' distributions, and counts in buckets tell those up to what lies within a bucket; what
that leaves open, `canaryjudge.stats.bucket_bands` bounds, and a proof has to hold at the unfavorable end. The noise is that of the samples' rank
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

from canaryjudge.stats.bucket_bands import BucketBands, Curve, FloatArray
from canaryjudge.stats.lasting_noise import LastingNoise, joined
from canaryjudge.stats.long_run import long_run_variance
from canaryjudge.stats.placements import Noise, series_noise

__all__ = ["FEWEST_INTERVALS", "BucketShift", "bucket_shift_test"]

FEWEST_INTERVALS: Final = 6
"""Fewer intervals say nothing of how they depend on each other; only the observations' own number is left."""
_CORE = 0.1
"""Probabilities within this of 1/2 are inverted as they are; beyond it the interval goes on in a straight line."""
_WIDE = 0.25
_WIDE_SHARE = 0.5
_LARGEST_CRITICAL_VALUE = 8.0
"""As for samples (`canaryjudge.stats.rank_test`)."""
_GRID = np.concatenate([[0.0005, 0.005, 0.02], np.linspace(0.05, 0.95, 19), [0.98, 0.995, 0.9995]])
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
    noise = _noise(bands.middle, middle.estimate, (first, second), factor, concurrent=concurrent)
    error, df, slope = noise.standard_error[0], noise.df[0], middle.slope
    if lasting is not None:
        slope = float(lasting.least_slope(np.array([slope]))[0])
        error, df = joined(error, df, lasting.standard_error / slope, lasting.df)
    critical = -stdtrit(df[:, None], np.asarray(levels, dtype=np.float64))
    abstains = critical > _LARGEST_CRITICAL_VALUE
    widths = np.where(abstains, 0.0, critical) * error[:, None]
    grid = middle.grid
    # from above, "most" mirrors what "least" is from below
    least = _Extended(lambda shifts: bands.probability_greater(shifts, "least"), grid, slope)
    most = _Extended(lambda shifts: 1 - bands.probability_greater(-shifts, "most"), -grid[::-1], slope)
    low, open_low = least.bounds(widths)
    high, open_high = most.bounds(widths)
    statistic = (least.beyond_half(greater_at)) / error
    return BucketShift(
        estimate=float(np.clip(middle.estimate, open_low, -open_high)),
        low=np.where(abstains, -np.inf, low),
        high=np.where(abstains, np.inf, -high),
        pvalue_greater=stdtr(df, -statistic),
        pvalue_less=stdtr(df, -most.beyond_half(-less_at) / error),
        abstains=abstains,
        statistic=statistic,
        df=df,
        standard_error=error * slope,
        probability_greater=middle.probability_greater,
        rho=float(noise.rho[0]),
        open_low=open_low,
        open_high=-open_high,
    )


class _Middle:
    """Shift and slope by the smooth reading."""

    def __init__(self, baseline: Curve, canary: Curve) -> None:
        def falling(shifts: FloatArray) -> FloatArray:
            return canary.probability_greater(baseline, shifts)

        span = canary.values[-1] - baseline.values[0] + baseline.values[-1] - canary.values[0]
        inside = canary.quantiles(_GRID) - baseline.quantiles(1 - _GRID)
        ends = canary.values[0] - baseline.values[-1] - span, canary.values[-1] - baseline.values[0] + span
        self.grid = np.concatenate([[ends[0]], inside, [ends[1]]])
        spread = np.array([_CORE, -_CORE, _WIDE, -_WIDE, 0.0])
        found = _crossings(falling, self.grid, 0.5 + spread)
        core, wide = (found[1] - found[0]) / (2 * _CORE), (found[3] - found[2]) / (2 * _WIDE)
        self.estimate = float(found[4])
        self.slope = float(max(core, _WIDE_SHARE * wide, np.finfo(float).tiny))
        self.probability_greater = float(falling(np.zeros(1))[0])


class _Extended:
    """A falling function of the shift that goes on in a straight line once it is beyond the core; see `canaryjudge.stats.rank_test`."""

    def __init__(self, falling: Callable[[FloatArray], FloatArray], grid: FloatArray, slope: float) -> None:
        self._falling, self._grid, self._slope = falling, grid, slope
        self._anchor = -np.inf

    def bounds(self, widths: FloatArray) -> tuple[FloatArray, float]:
        """Give the shifts at which it is so far above 1/2, and the one at which it is 1/2."""
        inside = np.minimum(widths.ravel(), _CORE)
        found = _crossings(self._falling, self._grid, 0.5 + np.concatenate([inside, [_CORE, 0.0]]))
        self._anchor = float(found[-2])
        bounds = found[:-2] - (widths.ravel() - inside) * self._slope
        return bounds.reshape(widths.shape), float(found[-1])

    def beyond_half(self, shifts: FloatArray) -> FloatArray:
        """Give by how much it exceeds 1/2 at shifts; after `bounds`."""
        with np.errstate(over="ignore"):
            line = _CORE + (self._anchor - shifts) / self._slope
        return np.where(shifts < self._anchor, line, np.minimum(self._falling(shifts) - 0.5, _CORE))


def _crossings(
    falling: Callable[[FloatArray], FloatArray], grid: FloatArray, targets: FloatArray
) -> FloatArray:
    """Find the largest shifts at which a falling function still reaches its targets; -inf where it never does."""
    known = falling(grid)
    position = (known[:, None] >= targets).sum(axis=0)  # grid points that still reach it
    never, always = position == 0, position == len(grid)
    position = np.clip(position, 1, len(grid) - 1)
    left, right = grid[position - 1], grid[position]
    above, below = known[position - 1] - targets, known[position] - targets
    columns = np.arange(len(targets))
    fine = _PRECISION * (grid[-2] - grid[1])
    for _ in range(_MOST_STEPS):
        width = right - left
        if (width <= np.maximum(_CLOSE * np.minimum(np.abs(left), np.abs(right)), fine)).all():
            break
        # a step past the straight line to both sides closes the bracket where the function is smooth, halving it anywhere else
        line = _line(above, below)
        parts = np.stack(
            [line - _OVERSHOOT, line + _OVERSHOOT, np.where(line < 0.5, line + 0.25, line - 0.25)]
        )
        tried = left + width * np.sort(np.maximum(np.minimum(parts, 1.0), 0.0), axis=0)
        values = falling(tried.ravel()).reshape(tried.shape) - targets
        reached = (values >= 0).sum(axis=0)
        edges, heights = np.stack([left, *tried, right]), np.stack([above, *values, below])
        left, right = edges[reached, columns], edges[reached + 1, columns]
        above, below = heights[reached, columns], heights[reached + 1, columns]
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
        return _interval_noise(series[0], series[1], scales, resolution, concurrent=concurrent)
    known = [np.maximum(total - 1, 1.0) for total in totals]
    first, second = (
        shares @ deviation**2 / df for shares, deviation, df in zip(pooled, deviations, known, strict=True)
    )
    variance = np.maximum(second + scales**2 * first, resolution**2)
    df = variance**2 / np.maximum(second**2 / known[1] + (scales**2 * first) ** 2 / known[0], resolution**4)
    df = np.maximum(df, min(known))
    return Noise(np.sqrt(variance)[None], df[None], np.zeros(1))


def _interval_noise(
    of_baseline: FloatArray, of_canary: FloatArray, scales: FloatArray, resolution: float, *, concurrent: bool
) -> Noise:
    """Estimate the noise from the scores of the intervals."""
    if not concurrent:
        return series_noise(
            of_canary[None], of_baseline[None], scales, concurrent=False, resolution=resolution
        )
    ones = np.ones(1)
    shared = series_noise(of_canary[None], of_baseline[None], ones, concurrent=True, resolution=resolution)
    # what both feel cancels but for the limit's part of it, whose own, longer waves the difference hides
    own = np.sqrt(long_run_variance(of_baseline).variance / len(of_baseline))
    error = shared.standard_error + np.abs(scales - 1) * own
    return Noise(error, np.broadcast_to(shared.df, error.shape), shared.rho)


def _bucket_scores(own: Curve, other: Curve, shift: float, buckets: int) -> FloatArray:
    """Place the observations of each bucket in the other arm moved by the shift: the mean share of it that lies below them."""
    placed = np.interp(own.centers + shift, other.values, other.shares).reshape(buckets, -1)
    weight = own.mass.reshape(buckets, -1)
    held = weight.sum(axis=1)
    weighted = np.divide((placed * weight).sum(axis=1), held, out=placed.mean(axis=1), where=held > 0)
    return np.asarray(weighted)
