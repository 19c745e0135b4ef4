"""The two-sample rank test against a tolerated shift, robust to autocorrelation.

Mann and Whitney's U counts how often a canary point lies above a baseline point. Its textbook variance takes all points as
independent; on real minutes that makes it alarm on a third of healthy pairs. Here the variance is estimated from the series
themselves: U - 1/2 is, to first order, the mean of the canary points' placements in the baseline's distribution minus the mean
of the baseline points' placements in the canary's, so its variance follows from the long-run variances of the two placement
series (or of their difference, point by point, where both arms share the clock). The samples are aligned by the
Hodges-Lehmann shift first: placements of separated samples would all be 0 or 1, and claim to know everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.differences import Differences, Merged, all_differences, reached
from canaryjudge.stats.long_run import dependence, long_run_variance
from canaryjudge.stats.quantiles import medians
from canaryjudge.stats.replicas import LastingNoise, joined
from canaryjudge.stats.ties import about, above, rounding

__all__ = [
    "CORE",
    "LARGEST_CRITICAL_VALUE",
    "WIDE",
    "WIDE_SHARE",
    "Noise",
    "ShiftTest",
    "estimated_noise",
    "placements",
    "series_noise",
    "shift_test",
    "textbook_noise",
    "waves_for",
]

CORE: Final = 0.1
"""Ranks within this of the median are inverted as they are; beyond it the interval goes on in a straight line."""
WIDE: Final = 0.25
WIDE_SHARE: Final = 0.5
"""Where differences pile up around the median, half the slope over the middle half of them holds the line back."""
LARGEST_CRITICAL_VALUE: Final = 8.0
"""A level that needs more standard errors than this asks for more than a variance known so roughly can give."""
RankMethod = Literal["robust", "exact", "asymptotic"]

_CHUNK = 4_000_000
"""Differences held in memory at a time for a batch."""


@dataclass(frozen=True, slots=True)
class ShiftTest:
    """What the rank test says of a batch of pairs; k limits and l levels.

    Attributes
    ----------
    estimate : ndarray, shape (...)
        Hodges-Lehmann shift of the canary against the baseline, in the samples' unit.
    low, high : ndarray, shape (..., k, l)
        One-sided confidence bounds of the shift, each wrong with probability `level`; one pair for each limit, because the
        baseline's noise weighs differently there.
    pvalue_greater, pvalue_less : ndarray, shape (..., k)
        For the null hypotheses "shift <= limit" and "shift >= limit".
    abstains : ndarray of bool, shape (..., k, l)
        The level asks for more than the data can tell; the bounds are infinite there.
    statistic : ndarray, shape (..., k)
        The test's statistic at the limit: t for `robust`, z for `asymptotic`, U for `exact`.
    df : ndarray, shape (..., k)
        Degrees of freedom; infinite for the textbook methods.
    standard_error : ndarray, shape (..., k)
        Standard error of the estimate, in the samples' unit.
    probability_greater : ndarray, shape (...)
        P(canary > baseline) + P(equal) / 2.
    rho : ndarray, shape (...)
        Lag-1 autocorrelation of the placements.
    method : {"robust", "exact", "asymptotic"}
        The method that was used.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    abstains: NDArray[np.bool_]
    statistic: FloatArray
    df: FloatArray
    standard_error: FloatArray
    probability_greater: FloatArray
    rho: FloatArray
    method: RankMethod


def shift_test(  # noqa: PLR0913 - all but the points have defaults
    baseline: ArrayLike,
    canary: ArrayLike,
    limits: ArrayLike,
    *,
    levels: ArrayLike = (0.01, 0.05),
    scales: ArrayLike = 1.0,
    concurrent: bool = False,
    method: RankMethod = "robust",
    lasting: LastingNoise | None = None,
    size: float = 0.0,
) -> ShiftTest:
    r"""Test whether the canary is shifted beyond limits, with the shift's estimate and bounds.

    Parameters
    ----------
    baseline : array_like, shape (..., n)
        Points in order of time.
    canary : array_like, shape (..., m)
        Points in order of time; m = n and point i at the same time where `concurrent`.
    limits : array_like, shape (..., k) or (k,)
        Shifts to test against, in the samples' unit.
    levels : array_like, shape (l,) or (k, l)
        One-sided error rates of the bounds: of those at every limit, or at each.
    scales : array_like, shape (..., k) or (k,)
        What the baseline's noise is multiplied by at each limit: ``1 + tolerance`` where the limit is that share of the baseline's
        own median, which is then known no better than the baseline is.
    concurrent : bool
        The arms share the clock, so that what both feel cancels in the difference of their placements.
    method : {"robust", "exact", "asymptotic"}
        `exact` and `asymptotic` are the textbook test, for independent points; `exact` falls back to `asymptotic` where there are
        ties or more than 2,500 differences.
    lasting : LastingNoise, optional
        Of `robust`: by how much the arms differ where nothing is wrong, beyond the scatter of their points. It makes no interval narrower.
    size : float
        Points are rounded as numbers of this size at least: of logarithms 1.

    Returns
    -------
    ShiftTest
        Estimate, bounds, p-values. A limit lies below `low` just where `pvalue_greater` is below the level.

    Notes
    -----
    With D the distribution of all differences ``canary_i - baseline_j`` (ties counted half), t = (1/2 - D(limit)) / se. The
    bounds are the values at which t is the critical value. D is inverted as it is within .1 of its median; farther out it is
    continued in a straight line, so that a shift far beyond both samples' ranges can still be told from one just beyond. Degrees of
    freedom by Welch-Satterthwaite, with the weights of the sample sizes.

    References
    ----------
    .. [1] Mann and Whitney (1947), Annals of Mathematical Statistics 18:50.
    .. [2] Hodges and Lehmann (1963), Annals of Mathematical Statistics 34:598.
    .. [3] Brunner and Munzel (2000), Biometrical Journal 42:17 (placements).
    .. [4] Lazarus, Lewis, Stock and Watson (2018), J. Business & Economic Statistics 36:541.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> test = shift_test(rng.normal(100, 5, 60), rng.normal(120, 5, 60), limits=[10.0])
    >>> float(test.estimate.round(1)), bool(test.pvalue_greater[0] < 1e-6)
    (20.1, True)
    """
    first, second = np.asarray(baseline, dtype=np.float64), np.asarray(canary, dtype=np.float64)
    at = np.asarray(limits, dtype=np.float64)
    wanted = np.asarray(levels, dtype=np.float64)
    factor = np.broadcast_to(np.asarray(scales, dtype=np.float64), at.shape)
    batch = np.broadcast_shapes(first.shape[:-1], second.shape[:-1], at.shape[:-1])
    rows = int(np.prod(batch))
    first, second, at, factor = (
        np.broadcast_to(part, (*batch, part.shape[-1])).reshape(rows, -1)
        for part in (first, second, at, factor)
    )
    lasts = None if lasting is None else lasting.for_rows(batch, at.shape[-1])
    step = max(1, _CHUNK // (first.shape[1] * second.shape[1]))
    if method == "exact" and not _exact_applies(first, second, at, size):
        method = "asymptotic"
    parts = [
        _one_chunk(
            first[i : i + step],
            second[i : i + step],
            at[i : i + step],
            wanted,
            (factor[i : i + step], None if lasts is None else lasts.part(slice(i, i + step)), size),
            concurrent,
            method,
        )
        for i in range(0, rows, step)
    ]
    names = [name for name in ShiftTest.__slots__ if name != "method"]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return ShiftTest(
        **{name: part.reshape((*batch, *part.shape[1:])) for name, part in arrays.items()}, method=method
    )


def _one_chunk(
    baseline: FloatArray,
    canary: FloatArray,
    limits: FloatArray,
    levels: FloatArray,
    noisy: tuple[FloatArray, LastingNoise | None, float],
    concurrent: bool,  # noqa: FBT001 - passed on from the keyword of shift_test
    method: RankMethod,
) -> ShiftTest:
    scales, lasting, size = noisy
    differences = all_differences(baseline, canary, size)
    estimate = differences.median()
    if method == "exact":
        return _exact(differences, estimate, limits, levels, baseline.shape[1], canary.shape[1])
    slope = _slope(differences)
    if method == "robust":
        moved = placements(baseline, canary, estimate, size, differences.samples)
        noise = estimated_noise(moved, scales, concurrent=concurrent, waves=waves_for(levels))
        noises = [noise]
        if lasting is not None:
            slope = lasting.least_slope(slope)
            noises.append(_with_lasting(noise, lasting, slope))
        levels_of = [medians(points) for points in differences.samples or (baseline, canary)]
        typical = np.maximum(np.maximum(*np.abs(levels_of)), size)
        share, below_none = _extended_share(differences, limits, slope, typical)
    else:
        noises = [textbook_noise(baseline, canary, limits, size)]
        share, below_none = differences.below(limits), differences.below(np.zeros((len(baseline), 1)))[:, 0]
    noise = noises[-1]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        statistics = [(0.5 - share) / each.standard_error for each in noises]
    # lasting noise that is well known does not lend its degrees of freedom to points that are not
    tail_greater, tail_less = (
        np.fmax.reduce(side)
        for side in zip(
            *(_tails(t, each.df) for t, each in zip(statistics, noises, strict=True)), strict=True
        )
    )
    floor = (
        1 / comb(baseline.shape[1] + canary.shape[1], baseline.shape[1])
        if baseline.shape[1] + canary.shape[1] <= 1000
        else 0.0
    )
    critical = [_critical(levels, each.df) for each in noises]
    abstains = (critical[0] > LARGEST_CRITICAL_VALUE) | (levels < floor)
    half_width = np.fmax.reduce(
        [value * each.standard_error[..., None] for value, each in zip(critical, noises, strict=True)]
    )
    low, high = (
        _extended_bounds(differences, half_width, slope)
        if method == "robust"
        else _rank_bounds(differences, half_width)
    )
    return ShiftTest(
        estimate=estimate,
        low=np.where(abstains, -np.inf, low),
        high=np.where(abstains, np.inf, high),
        pvalue_greater=np.maximum(tail_greater, floor),
        pvalue_less=np.maximum(tail_less, floor),
        abstains=abstains,
        statistic=statistics[-1],
        df=noise.df,
        standard_error=noise.standard_error * slope[:, None],
        probability_greater=1 - below_none,
        rho=noise.rho,
        method=method,
    )


def _with_lasting(noise: Noise, lasting: LastingNoise, slope: FloatArray) -> Noise:
    """Add the lasting noise, which is known as a shift, to that of the ranks."""
    with np.errstate(divide="ignore", invalid="ignore"):
        of_ranks = np.where(slope[:, None] > 0, lasting.standard_error / slope[:, None], 0.0)
    error, df = joined(noise.standard_error, noise.df, of_ranks, lasting.df)
    return Noise(error, df, noise.rho)


def _slope(differences: Differences) -> FloatArray:
    """Change of the shift for a change of the rank, around the median."""
    core, wide = (
        (differences.anchor(0.5 - width, "high") - differences.anchor(0.5 - width, "low")) / (2 * width)
        for width in (CORE, WIDE)
    )
    return np.maximum(core, WIDE_SHARE * wide)


def _extended_share(
    differences: Differences, values: FloatArray, slope: FloatArray, typical: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Share of the differences below each value, and of those below 0; beyond the core the first goes on in a straight line, past 0 and 1. Points of a typical size tell what is beyond, and what is rounding."""
    low, high = (differences.anchor(0.5 - CORE, side)[:, None] for side in ("low", "high"))
    steepness = np.maximum(slope[:, None], np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        left = 0.5 - CORE - (low - values) / steepness
        right = 0.5 + CORE + (values - high) / steepness
    beyond = [above(*pair, typical[:, None]) for pair in ((low, values), (values, high))]
    outside = beyond[0] | beyond[1]
    inside = np.where(outside, 0.0, values)  # no difference is asked of anyway
    counted = differences.below(np.concatenate([inside, np.zeros((len(inside), 1))], axis=1))
    return np.where(outside, np.where(beyond[0], left, right), counted[:, :-1]), counted[:, -1]


def _extended_bounds(
    differences: Differences, half_width: FloatArray, slope: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Values at which the extended share is half_width from 1/2; half_width has shape (batch, k, l)."""
    widths = half_width.reshape(len(half_width), -1)
    inside = np.minimum(widths, CORE)
    beyond = (widths - inside) * slope[:, None]
    lower = differences.quantile(0.5 - inside, "low") - beyond
    upper = differences.quantile(0.5 - inside, "high") + beyond
    return lower.reshape(half_width.shape), upper.reshape(half_width.shape)


def _rank_bounds(differences: Differences, half_width: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Do the same without the line: unbounded where the ranks run out."""
    widths = half_width.reshape(len(half_width), -1)
    tail = 0.5 - np.minimum(widths, 0.5)
    lower = np.where(widths < 0.5, differences.quantile(tail, "low"), -np.inf)
    upper = np.where(widths < 0.5, differences.quantile(tail, "high"), np.inf)
    return lower.reshape(half_width.shape), upper.reshape(half_width.shape)


def _tails(t: FloatArray, df: FloatArray) -> tuple[FloatArray, FloatArray]:
    normal, size = np.isinf(df), np.abs(t)
    tail = np.where(normal, ndtr(-size), stdtr(np.where(normal, 1.0, df), -size))
    return np.where(t > 0, tail, 1 - tail), np.where(t > 0, 1 - tail, tail)


def _critical(levels: FloatArray, df: FloatArray) -> FloatArray:
    normal = np.isinf(df)[..., None]
    finite = np.where(normal, 1.0, df[..., None])
    return np.asarray(np.where(normal, -ndtri(levels), -stdtrit(finite, levels)))


def _exact_applies(baseline: FloatArray, canary: FloatArray, limits: FloatArray, size: float) -> bool:
    """Tell whether there are few differences, and no ties within a sample or at a limit."""
    if baseline.shape[1] * canary.shape[1] > 2500:
        return False
    tied_inside = any((np.diff(np.sort(rows, axis=1), axis=1) == 0).any() for rows in (baseline, canary))
    ends = [about(baseline, at[:, None], size) for at in limits.T]
    return not tied_inside and not any(
        ((canary[:, :, None] >= low[:, None]) & (canary[:, :, None] <= high[:, None])).any()
        for low, high in ends
    )


def _exact(
    differences: Differences, estimate: FloatArray, limits: FloatArray, levels: FloatArray, n: int, m: int
) -> ShiftTest:
    """Do the textbook test by the exact distribution of U, with Bauer's (1972) bounds."""
    cumulative = _null_distribution(n, m)
    pairs = n * m
    below = differences.below(limits) * pairs  # U of the baseline; without ties a whole number
    u = np.rint(pairs - below).astype(np.intp)
    greater = cumulative[np.rint(below).astype(np.intp)]  # P(U >= u) = P(U <= pairs - u)
    less = cumulative[u]
    position = np.searchsorted(
        cumulative, levels, "right"
    )  # as many values of U are small enough at the level
    shape = (*limits.shape, levels.shape[-1])
    tail = np.broadcast_to(np.maximum(position - 0.5, 0) / pairs, shape).reshape(
        len(limits), -1
    )  # half: safe against rounding
    low, high = differences.quantile(tail, "low"), differences.quantile(tail, "high")
    abstains = np.broadcast_to(position == 0, shape)
    spread = np.sqrt((n + m + 1) / (12 * n * m)) * _slope(differences)
    return ShiftTest(
        estimate=estimate,
        low=np.where(abstains, -np.inf, low.reshape(shape)),
        high=np.where(abstains, np.inf, high.reshape(shape)),
        pvalue_greater=greater,
        pvalue_less=less,
        abstains=abstains,
        statistic=u.astype(np.float64),
        df=np.full(limits.shape, np.inf),
        standard_error=np.broadcast_to(spread[:, None], limits.shape),
        probability_greater=1 - differences.below(np.zeros((len(limits), 1)))[:, 0],
        rho=np.zeros(len(limits)),
        method="exact",
    )


@lru_cache(maxsize=64)
def _null_distribution(n: int, m: int) -> FloatArray:
    """P(U <= u) for u = 0 .. n m, by the generating function of Mann and Whitney's counts."""
    counts = np.zeros(n * m + 1)
    counts[0] = 1.0
    for i in range(1, n + 1):
        for u in range(n * m, m + i - 1, -1):  # times (1 - q^(m+i))
            counts[u] -= counts[u - m - i]
        for u in range(i, n * m + 1):  # divided by (1 - q^i)
            counts[u] += counts[u - i]
    return np.cumsum(counts / comb(n + m, n))


_LARGE, _LARGEST = 100_000, 2_000_000
"""Of a baseline of so many points, how it is sorted is kept; of more it would hold too much memory."""
_FEW_PAIRS = 10_000
"""So few pairs of points are compared outright."""
_LOWEST_WAVES, _MORE_WAVES = 8, 32
"""Windows of one service drift more slowly than their lag-1 autocorrelation tells, and only the lowest waves show it. On recorded healthy windows
8 in place of 32 halve the false fails at the same power."""
_SMALL_LEVEL = 1e-3
"""At smaller levels the t distribution of so few waves asks for more than any fault shows, so more of them are taken."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How uncertain U - 1/2 is.

    Attributes
    ----------
    standard_error : ndarray, shape (batch, k)
        Its standard error at each limit.
    df : ndarray, shape (batch, k)
        Degrees of freedom of its t distribution; infinite where it is normal.
    rho : ndarray, shape (batch,)
        Lag-1 autocorrelation of the placements.
    """

    standard_error: FloatArray
    df: FloatArray
    rho: FloatArray


def placements(
    baseline: FloatArray,
    canary: FloatArray,
    shift: FloatArray | float = 0.0,
    size: float = 0.0,
    ascending: tuple[FloatArray, FloatArray] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Place each point in the other sample's distribution.

    Parameters
    ----------
    baseline : ndarray, shape (batch, n)
        One sample a row.
    canary : ndarray, shape (batch, m)
        The other.
    shift : ndarray, shape (batch,), or float
        By how much its points lie above where they are placed.
    size : float
        Points are rounded as numbers of this size at least: of logarithms 1.
    ascending : tuple of ndarray, shapes (batch, n) and (batch, m), optional
        The same points in ascending order, where they are sorted already.

    Returns
    -------
    tuple of ndarray, shapes (batch, m) and (batch, n)
        Share of the baseline below each canary point, and share of the canary below each baseline point, equals counted half.

    Examples
    --------
    >>> of_canary, of_baseline = placements(np.array([[1.0, 2.0]]), np.array([[2.0, 3.0]]))
    >>> of_canary.tolist(), of_baseline.tolist()
    ([[0.75, 1.0]], [[0.0, 0.25]])
    """
    n, m = baseline.shape[1], canary.shape[1]
    if n * m <= _FEW_PAIRS:
        return _placements_of_few(baseline, canary, *about(baseline, np.asarray(shift)[..., None], size))
    of_canary, of_baseline = np.empty(canary.shape), np.empty(baseline.shape)
    first, second = ascending or (np.sort(baseline, axis=1), np.sort(canary, axis=1))
    for row, (low, high) in enumerate(
        zip(*about(first, np.broadcast_to(shift, len(first))[:, None], size), strict=True)
    ):
        merged = Merged(low, second[row])
        below, up_to = merged.below / m, merged.up_to / n
        if reached(high, merged.up_to, second[row]):
            other = Merged(second[row], high)
            below, up_to = (
                (merged.below + other.up_to) / (2 * m),
                (merged.up_to + other.below) / (2 * n),
            )
        large = _LARGE <= n <= _LARGEST
        order = _order(baseline[row].tobytes()) if large else np.argsort(baseline[row])
        of_baseline[row, order] = below
        of_canary[row, np.argsort(canary[row])] = up_to
    return of_canary, of_baseline


def _placements_of_few(
    baseline: FloatArray, canary: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Place points among the others by one sort of both; where a point of one arm lies about where one of the other does, from low to high, by comparing all pairs of the row."""
    n, m = baseline.shape[1], canary.shape[1]
    both = np.concatenate([low, canary], axis=1)
    order = np.argsort(both, axis=1)
    of_canary, ascending = order >= n, np.sort(both, axis=1)
    near = 2 * (high - low).max(axis=1, keepdims=True)
    met = (ascending[:, 1:] - ascending[:, :-1] <= near) & (of_canary[:, 1:] != of_canary[:, :-1])
    before = of_canary.cumsum(axis=1)  # canary points up to each
    counted = np.empty(both.shape, dtype=np.intp)
    np.put_along_axis(counted, order, np.where(of_canary, np.arange(1, n + m + 1) - before, before), axis=1)
    counted *= 2
    if (tied := met.any(axis=1)).any():
        points = canary[tied][:, :, None]
        pairs = (points > high[tied][:, None, :]).astype(np.int16)
        pairs += points >= low[tied][:, None, :]
        counted[tied, n:] = pairs.sum(axis=2, dtype=np.int16)
        counted[tied, :n] = 2 * m - pairs.sum(axis=1, dtype=np.int16)
    return counted[:, n:] / (2 * n), counted[:, :n] / (2 * m)


@lru_cache(maxsize=1)
def _order(points: bytes) -> NDArray[np.intp]:
    """Give what sorts points; of the last, because rules that ask of a part of the canary ask of the same baseline again."""
    return np.argsort(np.frombuffer(points))


def waves_for(levels: FloatArray) -> int:
    """Give how many of the lowest waves tell the noise, for a test at these error rates."""
    return _LOWEST_WAVES if levels.min(initial=1.0) >= _SMALL_LEVEL else _MORE_WAVES


def estimated_noise(
    placed: tuple[FloatArray, FloatArray],
    scales: FloatArray,
    *,
    concurrent: bool,
    waves: int = _MORE_WAVES,
) -> Noise:
    """Estimate the noise from the placements of aligned samples.

    Parameters
    ----------
    placed : tuple of ndarray, shapes (batch, m) and (batch, n)
        Their `placements`, of points in order of time, the canary's moved by the Hodges-Lehmann shift.
    scales : ndarray, shape (k,) or (batch, k)
        What the baseline's noise is multiplied by at each limit.
    concurrent : bool
        Point i of both arms lies at the same time.
    waves : int
        No more waves than this are averaged; see `waves_for`.

    Returns
    -------
    Noise
        Separate variances and Welch-Satterthwaite degrees of freedom, with the weights of the sample sizes, or the variance of the
        difference where the arms share the clock.
    """
    of_canary, of_baseline = placed
    resolution = 0.5 / (of_baseline.shape[1] * of_canary.shape[1])
    return series_noise(
        of_canary, of_baseline, scales, concurrent=concurrent, resolution=resolution, waves=waves
    )


def series_noise(
    of_canary: FloatArray,
    of_baseline: FloatArray,
    scales: FloatArray,
    *,
    concurrent: bool,
    resolution: float,
    waves: int = _MORE_WAVES,
) -> Noise:
    """Estimate the noise from the placements of each point, or from what they add up to in each interval.

    Parameters
    ----------
    of_canary, of_baseline : ndarray, shapes (batch, m) and (batch, n)
        Placements of each arm in the other, in order of time.
    scales, concurrent, waves
        As `estimated_noise` takes them.
    resolution : float
        The standard error is at least this.

    Returns
    -------
    Noise
        That of the difference of the means.
    """
    n, m = of_baseline.shape[1], of_canary.shape[1]
    if concurrent:
        series = of_canary[:, None, :] - scales[..., None] * of_baseline[:, None, :]
        both = long_run_variance(series, most=waves)
        variance, df, rho = both.variance / n, both.df, dependence(series[:, 0])
    else:
        rho = (m * dependence(of_canary) + n * dependence(of_baseline)) / (m + n)
        canary, first = (long_run_variance(series, rho, most=waves) for series in (of_canary, of_baseline))
        variance = (canary.variance / m)[:, None] + scales**2 * (first.variance / n)[:, None]
        share_canary, share_baseline = 1 / m, scales**2 / n
        df = (share_canary + share_baseline) ** 2 / (
            share_canary**2 / canary.df[:, None] + share_baseline**2 / first.df[:, None]
        )
    return Noise(np.maximum(np.sqrt(variance), resolution), df, rho)


def textbook_noise(baseline: FloatArray, canary: FloatArray, limits: FloatArray, size: float = 0.0) -> Noise:
    """Give the noise of independent points without a shift, less where points are tied (Lehmann 1975, p. 20).

    Parameters
    ----------
    baseline, canary : ndarray, shapes (batch, n) and (batch, m)
        The samples.
    limits : ndarray, shape (batch, k)
        Shifts by which the canary is moved before ties are counted.
    size : float
        Points are rounded as numbers of this size at least.

    Returns
    -------
    Noise
        That of the normal approximation.
    """
    n, m = baseline.shape[1], canary.shape[1]
    total = n + m
    ties = np.array(
        [
            [_tie_sum(np.concatenate([first, second - at]), max(abs(at), size)) for at in line]
            for first, second, line in zip(baseline, canary, limits, strict=True)
        ]
    )
    variance = (total + 1 - ties / (total * (total - 1))) / (12 * n * m)
    return Noise(
        np.sqrt(np.maximum(variance, (0.5 / (n * m)) ** 2)),
        np.full(limits.shape, np.inf),
        np.zeros(len(baseline)),
    )


def _tie_sum(points: FloatArray, size: float) -> float:
    inorder = np.sort(points)
    apart = np.flatnonzero(np.diff(inorder) > 2 * rounding(inorder[1:], size))
    counts = np.diff(apart, prepend=-1, append=len(inorder) - 1).astype(np.float64)
    return float((counts**3 - counts).sum())
