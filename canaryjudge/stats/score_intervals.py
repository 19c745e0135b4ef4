"""Wilson's score interval of one share, and what keeps it from erring more often than it promises.

The score test holds (x - n p) / sqrt(n p (1 - p)) against the normal distribution [1]_, with half an event of continuity
correction. Where events are rare their counts are skewed, and the lower bound errs more often than it says: 1.5 times at 10 to 100
expected events and a level of 1 %, 3 times below one. A bound of one side that is a function of the events alone cannot be sharper than
Clopper and Pearson's and keep its level everywhere [2]_. So `score_pvalues` and `score_bounds` take the exact value wherever it is the
more careful one.

References
----------
.. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. American Statistical Association
       22 (1927), 209-212; the correction is that of R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, method 4.
.. [2] L. D. Brown, T. T. Cai and A. DasGupta, "Interval estimation for a binomial proportion", Statistical Science 16 (2001), 101-133.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues
from canaryjudge.stats.rare_events import Bounds, FloatArray, PValues, floats

__all__ = ["score_bounds", "score_pvalues", "wilson_bounds", "wilson_pvalues"]

_CORRECTION = 0.5


def wilson_pvalues(x: ArrayLike, n: ArrayLike, value: ArrayLike) -> PValues:
    """Test one share against `value` by its score, with continuity correction.

    z = (x - 1/2 - n p) / sqrt(n p (1 - p)) for "greater", and with + 1/2 for "less".

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    value : array_like
        Null value p of the share, in [0, 1].

    Returns
    -------
    PValues
        `greater` for the null "share <= `value`" and `less` for ">= `value`".

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `prop.test(30, 1000, p=.02, alternative="greater")$p.value` in R gives .0159432:

    >>> round(float(wilson_pvalues(30, 1000, 0.02).greater), 7)
    0.0159432
    """
    x, n, value = floats(x, n, value)
    return PValues(_greater(x, n, value), _greater(n - x, n, 1 - value))


def wilson_bounds(x: ArrayLike, n: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound one share by inverting `wilson_pvalues`.

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    level : array_like
        Error probability of each bound, in [0, .5].

    Returns
    -------
    Bounds
        `low` is 0 where there are no events, `high` is 1 where all are events.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `prop.test(30, 1000, conf.level=.9)$conf.int` in R gives .02188911 and .04078853:

    >>> bounds = wilson_bounds(30, 1000, 0.05)
    >>> round(float(bounds.low), 8), round(float(bounds.high), 8)
    (0.02188911, 0.04078853)
    """
    x, n, level = floats(x, n, level)
    return Bounds(_low(x, n, level), np.asarray(1 - _low(n - x, n, level)))


def score_pvalues(x: ArrayLike, n: ArrayLike, value: ArrayLike) -> PValues:
    """Test one share against `value` by its score, or exactly where the score would err too often.

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    value : array_like
        Null value of the share, in [0, 1].

    Returns
    -------
    PValues
        The larger ones of `wilson_pvalues` and `canaryjudge.stats.proportions.proportion_pvalues`.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> round(float(score_pvalues(3, 17, 0.05).greater), 6)
    0.050253
    """
    score, exact = wilson_pvalues(x, n, value), proportion_pvalues(x, n, value)
    return PValues(np.maximum(score.greater, exact.greater), np.maximum(score.less, exact.less))


def score_bounds(x: ArrayLike, n: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound one share by inverting `score_pvalues`.

    Parameters
    ----------
    x, n : array_like
        Events, between 0 and n, and their total; whole numbers or not.
    level : array_like
        Error probability of each bound, in [0, .5].

    Returns
    -------
    Bounds
        The outer ones of `wilson_bounds` and `canaryjudge.stats.proportions.proportion_bounds`.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> bounds = score_bounds(30, 1000, 0.05)
    >>> round(float(bounds.low), 8), round(float(bounds.high), 8)
    (0.02167478, 0.04078853)
    """
    score, exact = wilson_bounds(x, n, level), proportion_bounds(x, n, level)
    return Bounds(np.minimum(score.low, exact.low), np.maximum(score.high, exact.high))


def _greater(x: FloatArray, n: FloatArray, value: FloatArray) -> FloatArray:
    spread = np.sqrt(n * value * (1 - value))
    excess = x - _CORRECTION - n * value
    certain = np.where(excess > 0, 0.0, 1.0)
    tail = special.ndtr(-excess / np.where(spread > 0, spread, 1.0))
    return np.where(x > 0, np.where(spread > 0, tail, certain), 1.0)


def _low(x: FloatArray, n: FloatArray, level: FloatArray) -> FloatArray:
    """Return the smaller root p of (x - 1/2 - n p)**2 = z**2 n p (1 - p)."""
    events = np.maximum(x - _CORRECTION, 0.0)
    z = -special.ndtri(level)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = z * np.sqrt(z**2 + 4 * events * (1 - events / n))
        low = np.where(np.isinf(z), 0.0, (2 * events + z**2 - root) / (2 * (n + z**2)))
    return np.where((x > 0) & (n > 0), np.maximum(low, 0.0), 0.0)
