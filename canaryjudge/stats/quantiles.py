r"""Quantiles, and means: their bounds and bands, without a model of the distribution.

The number N of n independent points at or below the q-quantile is binomial, whatever the distribution (at least Bin(n, q)
where it has atoms), and so order statistics bound the quantile exactly [1]_. Neighboring points of a metric resemble each
other; then N varies more, by the long-run variance of the series of indicators 1{x <= quantile} [2]_, and the ranks
move out.

Distribution functions and quantile differences have bands that hold at all places together. The band of Dvoretzky, Kiefer and Wolfowitz, with Massart's constant [3]_: the empirical distribution function of n independent
observations lies within eps = sqrt(log(2 / (1 - level)) / (2 n)) of the true one, everywhere, with probability `level` at least. Read
sideways, it holds every quantile: between the empirical quantiles at p - eps and p + eps. Two arms at sqrt(level) each (as independent
samples) give a band for the difference of quantiles [4]_. Observations that depend on their neighbors make the bands too narrow.

References
----------
.. [1] H. A. David and H. N. Nagaraja, *Order Statistics*, 3rd ed. (2003), section 7.1.
.. [2] P. W. Glynn and P. Heidelberger, "Quantile estimation in dependent sequences", Operations Research 32 (1984),
       185-209 (who group the points; here the variance comes from `canaryjudge.stats.long_run`).
.. [3] P. Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of Probability 18 (1990), 1269-1283.
.. [4] K. A. Doksum and G. L. Sievers, "Plotting with confidence: graphical comparisons of two populations", Biometrika 63 (1976),
       421-434.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import FloatArray, PValues, bisect, t_pvalues
from canaryjudge.stats.long_run import FEWEST_POINTS, long_run_variance
from canaryjudge.stats.ties import about, snapped

__all__ = [
    "Estimate",
    "QuantileTest",
    "dkw_margin",
    "mean_bounds",
    "mean_pvalues",
    "median",
    "medians",
    "quantile_differences",
]


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate between two confidence bounds, in the unit of the series.

    Attributes
    ----------
    estimate : ndarray
        The estimate.
    low : ndarray
        Lower bound; -inf where the points are too few for one.
    high : ndarray
        Upper bound; inf where the points are too few for one.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray


class QuantileTest:
    """Tests and bounds of a quantile of one series, by the number of points at or below it.

    For N ~ Bin(n, q), the lower bound is the l-th smallest point with the largest l such that P(N <= l - 1) < level, the upper bound the
    u-th with the smallest u such that P(N >= u) < level. Points next to each other may resemble each other: these probabilities are at
    least those of (N - n q) / sqrt(n V) by the t distribution, with V the long-run variance of 1{x <= estimate} and its degrees of
    freedom. Extreme quantiles of dependent series are bounded too narrowly where fewer than some ten points lie beyond the
    quantile, as the indicators then hold too few changes to learn their dependence from.

    Parameters
    ----------
    series : array_like, shape (n,)
        Points in order of time, n >= 1. Fewer than 3 points bound nothing.
    q : float
        Which quantile, in (0, 1); the smallest value that at least the share q of points does not exceed.

    Raises
    ------
    ValueError
        The series has no points.

    Examples
    --------
    The 42nd and the 59th of 100 points in no order bound their median, as `qbinom(.05, 100, .5)` in R gives 42; the p-value is
    `pbinom(41, 100, .5)`. The same points in order say next to nothing:

    >>> import numpy as np
    >>> points = np.arange(1.0, 101.0)
    >>> mixed = points.reshape(2, 50).T.ravel()
    >>> QuantileTest(mixed, 0.5).bounds(0.05), QuantileTest(points, 0.5).bounds(0.05)
    ((42.0, 59.0), (-inf, inf))
    >>> round(float(QuantileTest(mixed, 0.5).pvalues(41.5).greater), 8)
    0.04431304
    """

    def __init__(self, series: ArrayLike, q: float) -> None:
        points = np.asarray(series, dtype=np.float64)
        estimate = np.quantile(points, q, method="inverted_cdf")
        self._ranked, self._q = np.sort(points), q
        self._spread, self._df = _spread((points <= estimate).astype(np.float64))

    def pvalues(self, values: ArrayLike) -> PValues:
        """Test the quantile against values; `bounds` inverts this.

        Parameters
        ----------
        values : array_like
            In the unit of the series.

        Returns
        -------
        PValues
            `greater` for the null "quantile <= value", P(N <= k), and `less` for "quantile > value", P(N >= k), where k points are at
            most the value; of the shape of `values`.
        """
        n, q = len(self._ranked), self._q
        count = np.searchsorted(self._ranked, about(values, 0.0)[1], side="right").astype(np.float64)
        greater, less = _at_most(count, n, q), _at_most(n - count, n, 1 - q)
        greater = np.maximum(greater, _t_tail(count - n * q, n - count, self._spread, self._df))
        less = np.maximum(less, _t_tail(n * q - count, count, self._spread, self._df))
        return PValues(greater, less)

    def bounds(self, level: float) -> tuple[float, float]:
        """Bound the quantile.

        Parameters
        ----------
        level : float
            Error probability of each bound, in (0, .5).

        Returns
        -------
        tuple of (float, float)
            -inf and inf where there are too few points.
        """
        few, many = _ranks(len(self._ranked), self._q, level, self._spread, self._df)
        ends = np.concatenate([[-np.inf], self._ranked, [np.inf]])
        return float(ends[int(few)]), float(ends[len(self._ranked) + 1 - int(many)])


def mean_bounds(series: ArrayLike, level: ArrayLike) -> Estimate:
    """Bound the mean of a series whose points may resemble their neighbors.

    mean -+ t sqrt(V / n), with V the long-run variance and t of its degrees of freedom. The mean must be near normal: the
    tails of the points light, or n large. The bounds of a constant series are its mean.

    Parameters
    ----------
    series : array_like, shape (..., n)
        Points in order of time.
    level : array_like, shape (...)
        Error probability of each bound, in (0, .5).

    Returns
    -------
    Estimate
        Arrays of shape (...); fewer than 3 points bound nothing.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> found = mean_bounds(np.random.default_rng(1).normal(5, 1, 400), 0.05)
    >>> round(float(found.low), 2), round(float(found.estimate), 2), round(float(found.high), 2)
    (4.87, 4.92, 4.97)
    """
    mean, error, df = _mean(series)
    reach = -special.stdtrit(df, np.asarray(level, dtype=np.float64)) * error
    mean, reach = np.broadcast_arrays(mean, reach)
    return Estimate(mean, np.asarray(mean - reach), np.asarray(mean + reach))


def mean_pvalues(series: ArrayLike, value: ArrayLike) -> PValues:
    """Test the mean of a series against a value; `mean_bounds` inverts this.

    Parameters
    ----------
    series : array_like, shape (..., n)
        Points in order of time.
    value : array_like, shape (...)
        Value in the unit of the series.

    Returns
    -------
    PValues
        `greater` for the null "mean <= `value`" and `less` for "mean >= `value`"; 1 of fewer than 3 points.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> bool(mean_pvalues(np.random.default_rng(1).normal(5, 1, 400), 4.8).greater < 0.001)
    True
    """
    mean, error, df = _mean(series)
    at = np.asarray(value, dtype=np.float64)
    found, bounded = t_pvalues(snapped(mean, at[..., None]) - at, error, df), np.isfinite(error)
    return PValues(np.where(bounded, found.greater, 1.0), np.where(bounded, found.less, 1.0))


def _ranks(
    n: int, q: float, level: float, spread: FloatArray, df: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return how many numbers of points N = 0, 1, ... are proof of a larger quantile, and N = n, n - 1, ... of a smaller one."""

    def fewest(share: float) -> FloatArray:
        near = np.ceil(np.nan_to_num(special.bdtrik(level, n, share))) + np.arange(-2.0, 3.0)
        enough = _at_most(np.clip(near, -1, n), n, share) >= level
        if enough[-1] and not enough[0]:
            return np.asarray(np.clip(near, -1, n)[enough.argmax()])
        whole = np.array(-1.0), np.array(float(n)), (n + 1).bit_length() + 1
        return np.asarray(
            np.floor(bisect(lambda count: _at_most(np.floor(count), n, share) < level, *whole)) + 1
        )

    few, many = fewest(q), fewest(1 - q)
    reach = spread * special.stdtrit(df, level) - 0.5
    moves = spread > 0
    few = np.where(moves, np.minimum(few, np.maximum(np.ceil(n * q + reach), 0.0)), few)
    many = np.where(moves, np.minimum(many, np.maximum(np.ceil(n * (1 - q) + reach), 0.0)), many)
    return few, many


def _at_most(count: FloatArray, n: int, q: float) -> FloatArray:
    """Return P(N <= count) for N ~ Bin(n, q), 0 below 0; P(N >= count) is that of n - count and 1 - q."""
    inside = special.betaincc(np.maximum(count, 0) + 1, np.maximum(n - count, 1), q)
    return np.where(count < 0, 0.0, np.where(count < n, inside, 1.0))


def _spread(indicators: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the standard deviation of the number of points below the quantile and its degrees of freedom."""
    n = indicators.shape[-1]
    if n < FEWEST_POINTS:
        return np.full(indicators.shape[:-1], np.inf), np.ones(indicators.shape[:-1])
    run = long_run_variance(indicators - indicators[..., :1])
    return np.sqrt(n * run.variance), run.df


def _t_tail(excess: FloatArray, room: FloatArray, spread: FloatArray, df: FloatArray) -> FloatArray:
    """Return the t tail of a number of points, with half a point of continuity; 1 where the number is at its limit."""
    tail = special.stdtr(df, (excess + 0.5) / np.where(spread > 0, spread, 1.0))
    return np.where((room <= 0) | np.isinf(spread), 1.0, np.where(spread > 0, tail, 0.0))


def _mean(series: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the mean, its standard error and the degrees of freedom of that."""
    points = np.asarray(series, dtype=np.float64)
    n = points.shape[-1]
    # measured from its first point, a constant series varies by nothing, not by rounding errors
    moved = points - points[..., :1]
    mean = np.asarray(points[..., 0] + moved.mean(axis=-1))
    if n < FEWEST_POINTS:
        return mean, np.full(mean.shape, np.inf), np.ones(mean.shape)
    run = long_run_variance(moved)
    return mean, np.sqrt(run.variance / n), run.df


_FEW = 10_000
"""Sorting more of them costs more than it saves."""


def median(values: NDArray[np.float64]) -> float:
    """Give the median of some numbers, as `numpy.median` does for one array without NaN, in a tenth of its time.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Finite numbers, at least one.

    Returns
    -------
    float
        The middle one, or the mean of the two in the middle.

    Examples
    --------
    >>> median(np.array([3.0, 1.0, 2.0])), median(np.array([4.0, 1.0, 2.0, 3.0]))
    (2.0, 2.5)
    """
    n = len(values)
    if n > _FEW:
        return float(np.median(values))
    ordered = np.sort(values)
    return float((ordered[(n - 1) // 2] + ordered[n // 2]) / 2)


def medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the median of each row, as `median` does.

    Parameters
    ----------
    values : ndarray, shape (..., n)
        Finite numbers, at least one a row.

    Returns
    -------
    ndarray, shape (...)
        The middle ones.

    Examples
    --------
    >>> medians(np.array([[3.0, 1.0, 2.0], [1.0, 5.0, 0.0]])).tolist()
    [2.0, 1.0]
    """
    n = values.shape[-1]
    low, high = (n - 1) // 2, n // 2
    parted = np.partition(values, high, axis=-1)
    below = parted[..., high] if low == high else parted[..., :high].max(axis=-1)
    return np.asarray((below + parted[..., high]) / 2)


def dkw_margin(n: int, level: float) -> float:
    """Give the half width of the band around an empirical distribution function.

    Parameters
    ----------
    n : int
        Observations, one or more.
    level : float
        Probability that the band holds the whole of the true function, between 0 and 1.

    Returns
    -------
    float
        A difference of probabilities.

    Examples
    --------
    >>> round(dkw_margin(100, 0.95), 4)
    0.1358
    """
    return float(np.sqrt(np.log(2 / (1 - level)) / (2 * n)))


def quantile_differences(
    baseline: ArrayLike, canary: ArrayLike, probability: ArrayLike, level: float
) -> Estimate:
    """Estimate how quantiles differ between two samples, with a band for all of them together.

    Parameters
    ----------
    baseline, canary : array_like, shapes (n,) and (m,)
        Finite observations, one or more each.
    probability : array_like, shape (k,)
        Which quantiles, between 0 and 1.
    level : float
        Probability that the band holds all true differences.

    Returns
    -------
    Estimate
        Of shape (k,), canary minus baseline; infinite bounds where so few observations bound nothing.

    Examples
    --------
    >>> found = quantile_differences(range(1000), range(50, 1050), [0.5], 0.95)
    >>> found.estimate.tolist(), bool(found.low[0] < 50 < found.high[0])
    ([50.0], True)
    """
    asked = np.asarray(probability, dtype=np.float64)
    each = float(np.sqrt(level))
    ends = []
    for sample in (baseline, canary):
        ascending = np.sort(np.asarray(sample, dtype=np.float64))
        margin = dkw_margin(len(ascending), each)
        ends.append(
            (_order(ascending, asked), _order(ascending, asked - margin), _order(ascending, asked + margin))
        )
    (middle, below, above), (new_middle, new_below, new_above) = ends
    return Estimate(new_middle - middle, new_below - above, new_above - below)


def _order(ascending: FloatArray, probability: FloatArray) -> FloatArray:
    """Give the smallest value that at least this share do not exceed; beyond 0 and 1 nothing is known."""
    n = len(ascending)
    rank = np.ceil(probability * n - 1e-9).astype(np.intp)
    found = ascending[np.clip(rank - 1, 0, n - 1)]
    return np.where(probability > 1, np.inf, np.where(probability <= 0, -np.inf, found))
