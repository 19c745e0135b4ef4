r"""Evidence and bounds that hold at any time, however often one looks.

S_t is a sum whose expectation is 0 under the null hypothesis, V_t its variance so far. Averaged over effects of both
signs (or one) by a normal prior, the likelihood ratio is a martingale, the normal mixture [1]_,

.. math:: M = \sqrt{\frac{\rho}{V + \rho}} \exp\!\left(\frac{S^2}{2 (V + \rho)}\right)
          \quad \text{or, one-sided,} \quad 2 M \, \Phi\!\left(\frac{S}{\sqrt{V + \rho}}\right),

which ever gets to 1 / level with a probability of at most the level. rho sets where it is tightest, and must be fixed
beforehand. With estimated variances this holds in the limit of many observations [2]_.

The number x of n independent observations that are events of probability p is binomial. With a beta prior of mean p and weight
k, the likelihood ratio averaged over all other probabilities (one-sided: over greater ones) is

.. math:: M = \frac{B(k p + x, k (1 - p) + n - x)}{B(k p, k (1 - p))} p^{-x} (1 - p)^{-(n - x)}
          \left[ \frac{P(\theta > p \mid x, n)}{P(\theta > p)} \right],

the beta-binomial mixture [1]_, which ever gets to 1 / level with a probability of at most the level. k + 1 plays the part of the
normal mixture's rho, in observations. It must be fixed beforehand; with V / (2 ln(1 / level) + ln(1 + 2 ln(1 / level))), the bounds are
about as close as they can be after V observations. The intersection of the intervals of all looks so far is as valid as the last.

The number of observations at or below the p-quantile is binomial (at least so where the distribution has atoms; the number below
it at most), so that bounds of that count at all times are bounds of the quantile by order statistics, or by the
thresholds of a histogram [3]_. The intersection of the intervals of all looks so far is as valid as the last.

References
----------
.. [1] S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
       sequences", Annals of Statistics 49 (2021), 1055-1080.
.. [2] I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and
       asymptotic confidence sequences", Annals of Statistics 52 (2024), 2613-2640.
.. [3] S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
       identification", Bernoulli 28 (2022), 1704-1728.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import Bounds, FloatArray, bisect, floats

__all__ = ["count_bounds", "normal_log_mixture", "quantile_interval", "quantile_interval_from_counts"]


def normal_log_mixture(s: ArrayLike, v: ArrayLike, rho: ArrayLike, *, one_sided: bool = False) -> FloatArray:
    """Give the log of the normal mixture, the evidence against an expectation of 0 (one-sided: of at most 0).

    Parameters
    ----------
    s : array_like
        Sum of the observations less what the null hypothesis expects.
    v : array_like
        Variance of the sum, at least 0.
    rho : array_like
        Positive; V / (2 ln(1 / level) + ln(1 + 2 ln(1 / level))) is close to the best at the variance V, with twice the level for one side.
    one_sided : bool
        Whether only positive sums are evidence.

    Returns
    -------
    ndarray
        Logarithms of e-values, broadcast; 1 / e-value is a p-value that may be looked at at any time.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> round(float(normal_log_mixture(30.352089903763, 100, 12.600561229)), 6), round(math.log(20), 6)
    (2.995732, 2.995732)
    """
    s, v, rho = floats(s, v, rho)
    if not ((v >= 0) & (v < np.inf)).all():
        raise ValueError("a variance must be at least 0 and finite")
    if not ((rho > 0) & (rho < np.inf)).all():
        raise ValueError("rho must be positive and finite")
    if not np.isfinite(s).all():
        raise ValueError("a sum must be finite")
    log_mixture = np.log(rho / (v + rho)) / 2 + np.square(s) / (2 * (v + rho))
    if one_sided:
        log_mixture = log_mixture + math.log(2) + special.log_ndtr(s / np.sqrt(v + rho))
    return np.asarray(log_mixture)


_LEAST_WEIGHT = 1e-3
"""Of the prior, in observations."""


def count_bounds(
    n: ArrayLike, p: ArrayLike, level: ArrayLike, rho: ArrayLike, *, one_sided: bool = False
) -> Bounds:
    """Give the counts of events of probability `p` that are no surprise at any time.

    Parameters
    ----------
    n : array_like
        Number of observations so far, at least 0.
    p : array_like
        Probability of an event, in (0, 1).
    level : array_like
        Error probability over all times, in (0, 1): of both bounds together, of each where `one_sided`.
    rho : array_like
        Positive, in observations: where the bounds are closest. The prior's weight is rho - 1, at least .001.
    one_sided : bool
        Whether each bound is to hold by itself.

    Returns
    -------
    Bounds
        A count below `low` or above `high` refutes `p`; 0 and `n` where no count does. Broadcast.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> bounds = count_bounds(1000, 0.9, 0.05, 126.0)
    >>> float(bounds.low.round(3)), float(bounds.high.round(3))
    (869.738, 927.271)
    """
    n, p, level, rho = floats(n, p, level, rho)
    if not ((n >= 0) & (n < np.inf)).all():
        raise ValueError("a number of observations must be at least 0 and finite")
    for value, name in ((p, "the probability of an event"), (level, "the level")):
        if not ((value > 0) & (value < 1)).all():
            raise ValueError(f"{name} must lie between 0 and 1")
    if not ((rho > 0) & (rho < np.inf)).all():
        raise ValueError("rho must be positive and finite")
    weight = np.maximum(rho - 1, _LEAST_WEIGHT)
    high = _highest_count(n, p, level, weight, one_sided=one_sided)
    return Bounds(n - _highest_count(n, 1 - p, level, weight, one_sided=one_sided), high)


def _log_mixture(
    x: FloatArray, n: FloatArray, odds: tuple[FloatArray, FloatArray], weight: FloatArray, *, one_sided: bool
) -> FloatArray:
    """Give the log of the mixture of the module's docstring, for the probabilities of an event and of none."""
    p, rest = odds
    a, b = weight * p, weight * rest
    log_mixture = special.betaln(a + x, b + (n - x)) - special.betaln(a, b)
    log_mixture = log_mixture - special.xlogy(x, p) - special.xlogy(n - x, rest)
    if one_sided:
        with np.errstate(divide="ignore"):
            share = special.betainc(b + (n - x), a + x, rest) / special.betainc(b, a, rest)
            log_mixture = log_mixture + np.log(share)
    return np.asarray(log_mixture)


def _highest_count(
    n: FloatArray, p: FloatArray, level: FloatArray, weight: FloatArray, *, one_sided: bool
) -> FloatArray:
    """Give the largest count, not a whole number, that is not evidence enough for a greater probability."""
    needed, odds = -np.log(level), (p, 1 - p)
    return bisect(lambda x: _log_mixture(x, n, odds, weight, one_sided=one_sided) <= needed, n * p, n)


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
