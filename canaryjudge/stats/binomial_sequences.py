r"""Evidence and confidence sequences for the probability of an event, at all times.

The number x of n independent observations that are events of probability p is binomial. With a beta prior of mean p and weight
k, the likelihood ratio averaged over all other probabilities (one-sided: over greater ones) is

.. math:: M = \frac{B(k p + x, k (1 - p) + n - x)}{B(k p, k (1 - p))} p^{-x} (1 - p)^{-(n - x)}
          \left[ \frac{P(\theta > p \mid x, n)}{P(\theta > p)} \right],

the beta-binomial mixture [1]_, which ever gets to 1 / level with a probability of at most the level. k + 1 plays the part of the
normal mixture's rho, in observations: `best_rho` of `canaryjudge.stats.confidence_sequences` with the number of observations at
which the interval matters most. It must be fixed beforehand. The intersection of the intervals of all looks so far is as
valid as the last.

References
----------
.. [1] S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
       sequences", Annals of Statistics 49 (2021), 1055-1080.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.rare_events import Bounds, FloatArray, bisect, floats

__all__ = [
    "bernoulli_interval",
    "beta_binomial_bound",
    "beta_binomial_log_mixture",
    "binomial_log_mixture",
    "count_bounds",
]

_LEAST_WEIGHT = 1e-3
_LARGEST_LOG_ODDS = 680.0
"""exp(680) is near the largest float, with room for the prior's weight."""
_SMALLEST_SHARE = 1e-295
"""A probability smaller than this counts as 0."""


def binomial_log_mixture(
    count: ArrayLike, n: ArrayLike, p: ArrayLike, rho: ArrayLike, *, one_sided: bool = False
) -> FloatArray:
    """Give the log evidence that events have another probability than `p` (one-sided: a greater one).

    Parameters
    ----------
    count : array_like
        Events among the observations so far, from 0 to `n`.
    n : array_like
        Number of observations so far, at least 0.
    p : array_like
        Probability of an event under the null hypothesis, in (0, 1).
    rho : array_like
        Positive, in observations; see `canaryjudge.stats.confidence_sequences.best_rho`. The prior's weight is rho - 1,
        at least .001.
    one_sided : bool
        Whether only many events are evidence; the null hypothesis is then a probability of at most `p`.

    Returns
    -------
    ndarray
        Logarithms of e-values, broadcast; -inf where a one-sided one is less than the smallest float.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> float(binomial_log_mixture(60, 100, 0.5, 14.0).round(4))
    0.6971
    """
    x, n, p, rho = floats(count, n, p, rho)
    _check_trials(x, n)
    _check_inside(p, "the probability of an event")
    return _log_mixture(x, n, (p, 1 - p), _weight(rho), one_sided=one_sided)


def beta_binomial_log_mixture(
    s: ArrayLike, v: ArrayLike, g: ArrayLike, h: ArrayLike, rho: ArrayLike, *, one_sided: bool = False
) -> FloatArray:
    """Give the log evidence that a sum of observations from -g to h does not have the expectation 0.

    It is `binomial_log_mixture` with p = g / (g + h), n = v / (g h) and the count n p + s / (g + h).

    Parameters
    ----------
    s : array_like
        Sum of the observations, from -v / h to v / g; one beyond, by rounding, counts as the end.
    v : array_like
        Variance of the sum if all observations were -g or h, at least 0: their number times g h.
    g, h : array_like
        Limits of an observation, positive.
    rho : array_like
        Positive, in the unit of `v`; see `canaryjudge.stats.confidence_sequences.best_rho`.
    one_sided : bool
        Whether only positive sums are evidence.

    Returns
    -------
    ndarray
        Logarithms of e-values, broadcast; -inf where a one-sided one is less than the smallest float.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> float(beta_binomial_log_mixture(10, 25, 0.5, 0.5, 3.5).round(4))
    0.6971
    """
    s, v, g, h, rho = floats(s, v, g, h, rho)
    n, p = _trials(v, g, h)
    if not np.isfinite(s).all():
        raise ValueError("a sum must be finite")
    count = np.clip(n * p + s / (g + h), 0.0, n)
    return _log_mixture(count, n, (p, h / (g + h)), _weight(rho / (g * h)), one_sided=one_sided)


def beta_binomial_bound(
    v: ArrayLike, level: ArrayLike, g: ArrayLike, h: ArrayLike, rho: ArrayLike, *, one_sided: bool = False
) -> FloatArray:
    """Give the boundary above 0 that a sum of observations from -g to h crosses at any time with at most `level`.

    Parameters
    ----------
    v : array_like
        Variance of the sum if all observations were -g or h, at least 0: their number times g h.
    level : array_like
        Error probability over all times, in (0, 1); that of both sides together unless `one_sided`. The lower
        boundary is that of -s, with `g` and `h` exchanged.
    g, h : array_like
        Limits of an observation, positive.
    rho : array_like
        Positive, in the unit of `v`; see `canaryjudge.stats.confidence_sequences.best_rho`.
    one_sided : bool
        Whether the sum is to be bounded above only.

    Returns
    -------
    ndarray
        The largest sum at which the mixture is not more than 1 / level, broadcast; at most v / g, which no sum exceeds.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> beta_binomial_bound([2.5, 250], 0.05, 0.5, 0.5, 32.0).round(4).tolist()
    [5.0, 47.9515]
    """
    v, level, g, h, rho = floats(v, level, g, h, rho)
    n, p = _trials(v, g, h)
    _check_inside(level, "the level")
    count = _highest_count(n, p, level, _weight(rho / (g * h)), one_sided=one_sided)
    return np.asarray((count - n * p) * (g + h))


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
        Positive, in observations; see `binomial_log_mixture`.
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
    _check_trials(np.zeros_like(n), n)
    _check_inside(p, "the probability of an event")
    _check_inside(level, "the level")
    weight = _weight(rho)
    high = _highest_count(n, p, level, weight, one_sided=one_sided)
    return Bounds(n - _highest_count(n, 1 - p, level, weight, one_sided=one_sided), high)


def bernoulli_interval(
    count: ArrayLike, n: ArrayLike, level: ArrayLike, rho: ArrayLike, *, one_sided: bool = False
) -> Bounds:
    """Bound the probability of an event at all times.

    Parameters
    ----------
    count : array_like
        Events among the observations so far, from 0 to `n`.
    n : array_like
        Number of observations so far, at least 0.
    level : array_like
        Error probability over all times, in (0, 1): of both bounds together, of each where `one_sided`.
    rho : array_like
        Positive, in observations; see `binomial_log_mixture`.
    one_sided : bool
        Whether each bound is to hold by itself.

    Returns
    -------
    Bounds
        0 and 1 where there are no observations. Broadcast.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> bounds = bernoulli_interval(120, 10_000, 0.05, 126.0025)
    >>> float(bounds.low.round(6)), float(bounds.high.round(6))
    (0.008743, 0.015844)
    """
    x, n, level, rho = floats(count, n, level, rho)
    _check_trials(x, n)
    _check_inside(level, "the level")
    weight = _weight(rho)
    low = _least_probability(x, n, level, weight, one_sided=one_sided)
    return Bounds(low, 1 - _least_probability(n - x, n, level, weight, one_sided=one_sided))


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


def _least_probability(
    x: FloatArray, n: FloatArray, level: FloatArray, weight: FloatArray, *, one_sided: bool
) -> FloatArray:
    """Give the smallest probability against which a count is not evidence enough for a greater one."""
    needed = -np.log(level)

    def inside(log_odds: FloatArray) -> NDArray[np.bool_]:
        odds = special.expit(log_odds), special.expit(-log_odds)
        return np.asarray(_log_mixture(x, n, odds, weight, one_sided=one_sided) <= needed)

    share = x / np.where(n > 0, n, 1.0)
    start = np.clip(special.logit(share), -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    p = special.expit(bisect(inside, start, np.full(x.shape, -_LARGEST_LOG_ODDS)))
    return np.where(p > _SMALLEST_SHARE, p, 0.0)


def _weight(rho: FloatArray) -> FloatArray:
    """Give the weight of the prior in observations."""
    if not ((rho > 0) & (rho < np.inf)).all():
        raise ValueError("rho must be positive and finite")
    return np.maximum(rho - 1, _LEAST_WEIGHT)


def _trials(v: FloatArray, g: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Translate a variance and limits into the number of observations and the probability of the upper limit."""
    if not ((g > 0) & (g < np.inf) & (h > 0) & (h < np.inf)).all():
        raise ValueError("the limits of an observation must be positive and finite")
    if not ((v >= 0) & (v < np.inf)).all():
        raise ValueError("a variance must be at least 0 and finite")
    return v / (g * h), g / (g + h)


def _check_trials(x: FloatArray, n: FloatArray) -> None:
    """Raise where a count is not one of so many observations."""
    if not ((n >= 0) & (n < np.inf)).all():
        raise ValueError("a number of observations must be at least 0 and finite")
    if not ((x >= 0) & (x <= n)).all():
        raise ValueError("a count must be at least 0 and at most the number of observations")


def _check_inside(value: FloatArray, name: str) -> None:
    """Raise where a probability is not in (0, 1)."""
    if not ((value > 0) & (value < 1)).all():
        raise ValueError(f"{name} must lie between 0 and 1")
