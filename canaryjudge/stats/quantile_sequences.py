r"""Confidence sequences for one quantile, and for a whole distribution, of a stream of independent observations.

The number of observations at or below the p-quantile is binomial (at least so where the distribution has atoms; the number below
it at most), so that bounds of that count at all times are bounds of the quantile by order statistics, or by the
thresholds of a histogram [1]_. The intersection of the intervals of all looks so far is as valid as the last.

References
----------
.. [1] S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
       identification", Bernoulli 28 (2022), 1704-1728.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from canaryjudge.stats.binomial_sequences import count_bounds
from canaryjudge.stats.rare_events import Bounds, FloatArray, floats

__all__ = [
    "dkw_radius",
    "empirical_process_bound",
    "quantile_interval",
    "quantile_interval_from_counts",
]

_LEAST_A = 0.71


def quantile_interval(
    values: ArrayLike, q: float, level: float, rho: float, *, one_sided: bool = False
) -> Bounds:
    """Bound a quantile of a stream by order statistics of its observations so far.

    Parameters
    ----------
    values : array_like, shape (..., n)
        Independent observations so far, in any order.
    q : float
        Which quantile, in (0, 1).
    level : float
        Error probability over all times, in (0, 1): of both bounds together, of each where `one_sided`.
    rho : float
        Positive, in observations; see `canaryjudge.stats.binomial_sequences`.
    one_sided : bool
        Whether each bound is to hold by itself.

    Returns
    -------
    Bounds
        Arrays of shape (...); -inf and inf where there are too few observations.

    Raises
    ------
    ValueError
        A value is not a number, or another argument is not in its range.

    Examples
    --------
    >>> bounds = quantile_interval(np.arange(1, 1001), 0.9, 0.05, 126.0)
    >>> float(bounds.low), float(bounds.high)
    (870.0, 928.0)
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim == 0 or np.isnan(x).any():
        raise ValueError("the observations must be a list of numbers, none of them missing")
    n = x.shape[-1]
    ranks = count_bounds(n, q, level, rho, one_sided=one_sided)
    # as many at or below the quantile as `low`, and no more below it than `high`
    padded = np.concatenate(
        [np.full((*x.shape[:-1], 1), -np.inf), np.sort(x), np.full((*x.shape[:-1], 1), np.inf)], -1
    )
    return Bounds(padded[..., math.ceil(ranks.low)], padded[..., math.floor(ranks.high) + 1])


def quantile_interval_from_counts(
    counts: ArrayLike,
    n: ArrayLike,
    thresholds: ArrayLike,
    q: float,
    level: float,
    rho: float,
    *,
    one_sided: bool = False,
) -> Bounds:
    """Bound a quantile of a stream by a cumulative histogram of its observations so far.

    Parameters
    ----------
    counts : array_like, shape (..., J)
        How many observations so far are at or below each threshold.
    n : array_like, shape (...)
        Number of observations so far.
    thresholds : array_like, shape (J,)
        In order; the last may be inf.
    q, level, rho, one_sided
        As for `quantile_interval`.

    Returns
    -------
    Bounds
        Arrays of shape (...): thresholds, or -inf and inf where none bounds the quantile. Never narrower than
        `quantile_interval` of the same observations.

    Raises
    ------
    ValueError
        The counts or the thresholds fall, do not fit each other or `n`, or another argument is not in its range.

    Examples
    --------
    >>> counts, edges = [500, 840, 880, 990], [0.1, 0.2, 0.5, 1.0]
    >>> found = quantile_interval_from_counts(counts, 1000, edges, 0.9, 0.05, 126.0)
    >>> float(found.low), float(found.high)
    (0.2, 1.0)
    """
    c, edges = np.asarray(counts, dtype=np.float64), np.asarray(thresholds, dtype=np.float64)
    total = np.asarray(n, dtype=np.float64)
    if edges.ndim != 1 or c.ndim == 0 or c.shape != (*total.shape, edges.size):
        raise ValueError(
            f"counts of shape {c.shape} do not fit thresholds of shape {edges.shape} and numbers of shape {total.shape}"
        )
    if not (edges[1:] >= edges[:-1]).all():
        raise ValueError("the thresholds must not fall")
    if not ((c >= 0) & (c <= total[..., np.newaxis])).all() or (np.diff(c) < 0).any():
        raise ValueError(
            "the counts must not fall from one threshold to the next, nor leave 0 to the number of observations"
        )
    bounds = count_bounds(total, q, level, rho, one_sided=one_sided)
    # where so few are at or below a threshold, the quantile is above it; where so many are, it is not
    low = np.where(c < bounds.low[..., np.newaxis], edges, -np.inf).max(axis=-1, initial=-np.inf)
    high = np.where(c > bounds.high[..., np.newaxis], edges, np.inf).min(axis=-1, initial=np.inf)
    return Bounds(low, high)


def dkw_radius(n: ArrayLike, level: ArrayLike) -> FloatArray:
    r"""Give the half-width of a band about the empirical distribution function that holds the true one at all times.

    :math:`.85 \sqrt{(\ln(1 + \ln n) + .8 \ln(1612 / \alpha)) / n}` (corollary 2 of [1]_); a little less is found by
    `empirical_process_bound`, with more work.

    Parameters
    ----------
    n : array_like
        Number of observations so far, at least 0.
    level : array_like
        Error probability over all times and all quantiles, in (0, 1).

    Returns
    -------
    ndarray
        Half-widths, broadcast; inf at n < 1.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> dkw_radius([100, 10_000], 0.05).round(4).tolist()
    [0.2692, 0.0277]
    """
    n, level = floats(n, level)
    _check(n, level)
    some = np.maximum(n, 1.0)
    radius = 0.85 * np.sqrt((np.log1p(np.log(some)) + 0.8 * np.log(1612 / level)) / some)
    return np.where(n >= 1, radius, np.inf)


def empirical_process_bound(n: ArrayLike, level: float, *, a: float = 0.85, n_min: float = 1.0) -> FloatArray:
    r"""Give the half-width of a band about the empirical distribution function, from `n_min` observations on.

    :math:`A \sqrt{(\ln(1 + \ln(n / n_{min})) + C) / n}`, where C solves :math:`\alpha = \inf_{\eta > 1} 4 e^{-\gamma^2 C} (1 +
    1 / ((\gamma^2 - 1) \ln \eta))` with :math:`\gamma = \sqrt{2 / \eta} (A - \sqrt{2 (\eta - 1) / C})` > 1 (theorem 2
    of [1]_).

    Parameters
    ----------
    n : array_like
        Number of observations so far, at least 0.
    level : float
        Error probability over all times and all quantiles, in (0, 1).
    a : float
        A, at least .71 (the least possible is 1 / sqrt(2)).
    n_min : float
        Number of observations from which the band holds, at least 1.

    Returns
    -------
    ndarray, shape of n
        Half-widths; inf at less than `n_min`.

    Raises
    ------
    ValueError
        An argument is not in its range.

    Examples
    --------
    >>> empirical_process_bound([100, 10_000], 0.025).round(4).tolist()
    [0.2734, 0.0281]
    """
    count = np.asarray(n, dtype=np.float64)
    _check(count, np.asarray(level))
    if not _LEAST_A <= a < math.inf or not 1 <= n_min < math.inf:
        raise ValueError(f"a must be at least .71 and n_min at least 1, but they are {a} and {n_min}")
    some = np.maximum(count, n_min)
    radius = a * np.sqrt((np.log1p(np.log(some / n_min)) + _band_constant(level, a)) / some)
    return np.where(count >= n_min, radius, np.inf)


@lru_cache(maxsize=64)
def _band_constant(level: float, a: float) -> float:
    """Solve for the constant C of `empirical_process_bound`."""
    from scipy.optimize import brentq, minimize_scalar  # noqa: PLC0415 - slow to import, and seldom needed

    def log_error(constant: float) -> float:
        def gamma(eta: float) -> float:
            return math.sqrt(2 / eta) * (a - math.sqrt(2 * (eta - 1) / constant))

        def log_bound(eta: float) -> float:
            square = gamma(eta) ** 2
            return math.log(4) - square * constant + math.log1p(1 / ((square - 1) * math.log(eta)))

        # gamma falls from more than 1 to less, and the bound is infinite at both ends of that interval
        last = brentq(lambda eta: gamma(eta) - 1, 1.0, 2 * a**2, xtol=1e-14)
        inner = (1 + 1e-12 * (last - 1), last - 1e-9 * (last - 1))
        return float(minimize_scalar(log_bound, bounds=inner, method="bounded", options={"xatol": 1e-9}).fun)

    high = 8.0
    while log_error(high) > math.log(level):
        high *= 2
    return float(brentq(lambda constant: log_error(constant) - math.log(level), high / 1e3, high, xtol=1e-12))


def _check(n: FloatArray, level: FloatArray) -> None:
    """Raise where a number of observations or the level is not in its range."""
    if not ((n >= 0) & (n < np.inf)).all():
        raise ValueError("a number of observations must be at least 0 and finite")
    if not ((level > 0) & (level < 1)).all():
        raise ValueError("the level must lie between 0 and 1")
