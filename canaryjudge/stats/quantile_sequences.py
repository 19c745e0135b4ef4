r"""Confidence sequences for a quantile of a stream of independent observations.

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

import numpy as np
from numpy.typing import ArrayLike

from canaryjudge.stats.binomial_sequences import count_bounds
from canaryjudge.stats.rare_events import Bounds

__all__ = [
    "quantile_interval",
    "quantile_interval_from_counts",
]


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
        Positive, in observations; see `count_bounds`.
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
