"""Exact one-sided inference on the ratio of two event rates, for events that are rare or rates that are counts.

Given the number m of events in both arms, those of the canary are binomial: x_c ~ Bin(m, pi(r)) with
pi(r) = r n_c / (r n_c + n_b), whatever the baseline's rate [1]_. All functions are continuous in the events,
so that events divided by an overdispersion factor are welcome, and all broadcast over leading axes.
Worse means larger: for the other direction the caller swaps the arms.

References
----------
.. [1] J. Przyborowski and H. Wilenski, "Homogeneity of results in testing samples from Poisson series",
       Biometrika 31 (1940), 313-323.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = [
    "Bounds",
    "FloatArray",
    "PValues",
    "beta_quantile",
    "bisect",
    "floats",
    "rate_ratio_bounds",
    "rate_ratio_pvalues",
]

FloatArray = NDArray[np.float64]

_SMALLEST_SAFE = 1e-60
"""Below this level SciPy's inverse of the incomplete beta function can miss its root or give NaN; bisection does not."""
_LARGEST_LOG_ODDS = 700.0
"""exp(700) is near the largest float."""
_SMALLEST_SHARE = 1e-300
"""A share of events smaller than this counts as 0, and so bounds nothing."""
_HALVINGS = 64
"""As many as narrow an interval of length 1400 to the spacing of floats."""


@dataclass(frozen=True, slots=True)
class PValues:
    """Two one-sided p-values of the same quantity against the same value.

    Attributes
    ----------
    greater : ndarray
        P-value of the evidence that the quantity is greater than the value (null: it is at most the value).
    less : ndarray
        P-value of the evidence that the quantity is less than the value (null: it is at least the value).
    """

    greater: FloatArray
    less: FloatArray


@dataclass(frozen=True, slots=True)
class Bounds:
    """A lower and an upper confidence bound, each of which errs with probability `level`.

    Attributes
    ----------
    low : ndarray
        Lower bound, in the quantity's unit; the smallest possible value (or -inf) where there is none.
    high : ndarray
        Upper bound, in the quantity's unit; the largest possible value (or inf) where there is none.
    """

    low: FloatArray
    high: FloatArray


def rate_ratio_pvalues(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, ratio: ArrayLike
) -> PValues:
    """Test the ratio of the canary's event rate to the baseline's against `ratio`, exactly.

    The p-values are the tails of the conditional binomial, P(X >= x_c) = I_pi(x_c, x_b + 1) and
    P(X <= x_c) = I_{1 - pi}(x_b, x_c + 1), with I the regularized incomplete beta function. They are exact for
    Poisson counts (and conservative, as every test of discrete data at a fixed level is), conservative for
    proportions (whose variance is smaller) and right only where the counts are not overdispersed: divide
    events by the factor of `canaryjudge.stats.dispersion` before.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, at least 0; whole numbers or not.
    nc, nb : array_like
        Exposures (hours, requests) of the canary and of the baseline in one unit; where one is 0, nothing is known.
    ratio : array_like
        Null value of the ratio, at least 0.

    Returns
    -------
    PValues
        `greater` for the null "ratio of the rates <= `ratio`", `less` for the null ">= `ratio`"; both are 1
        where there are no events. Shape: that of the arguments, broadcast.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    Breast cancer and X-ray fluoroscopy, 41 cases in 28,010 person-years against 15 in 19,017
    (`poisson.test(c(41, 15), c(28010, 19017), alternative="greater")` in R gives .02383012):

    >>> round(float(rate_ratio_pvalues(41, 28010, 15, 19017, 1).greater), 8)
    0.02383012
    """
    xc, nc, xb, nb, ratio = floats(xc, nc, xb, nb, ratio)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        odds = ratio * nc / nb
        greater = special.betainc(xc, xb + 1, 1 / (1 + 1 / odds))
        less = special.betainc(xb, xc + 1, 1 / (1 + odds))
    known = (nc > 0) & (nb > 0)
    return PValues(np.where(known & (xc > 0), greater, 1.0), np.where(known & (xb > 0), less, 1.0))


def rate_ratio_bounds(xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, level: ArrayLike) -> Bounds:
    """Bound the ratio of the canary's event rate to the baseline's, exactly.

    The bounds are the Clopper-Pearson limits of pi, mapped to r = pi / (1 - pi) * n_b / n_c. They invert
    `rate_ratio_pvalues`: `low` > r exactly where the p-value `greater` of r is below `level`, and `high` < r
    where `less` is.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, at least 0; whole numbers or not.
    nc, nb : array_like
        Exposures (hours, requests) of the canary and of the baseline in one unit; where one is 0, nothing is known.
    level : array_like
        Error probability of each bound, in [0, 1); 0 gives 0 and inf.

    Returns
    -------
    Bounds
        `low` is 0 where the canary has no events, `high` is inf where the baseline has none. Shape: that of
        the arguments, broadcast.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `poisson.test(c(41, 15), c(28010, 19017), conf.level=.9)$conf.int` in R gives 1.09801 and 3.24703:

    >>> bounds = rate_ratio_bounds(41, 28010, 15, 19017, .05)
    >>> round(float(bounds.low), 5), round(float(bounds.high), 5)
    (1.09801, 3.24703)
    """
    xc, nc, xb, nb, level = floats(xc, nc, xb, nb, level)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = nb / nc
        pi, rest = beta_quantile(xc, xb + 1, level)
        low = pi / rest * scale
        rest, pi = beta_quantile(xb, xc + 1, level)
        high = pi / rest * scale
    known = (nc > 0) & (nb > 0) & (level > 0)
    return Bounds(np.where(known & (xc > 0), low, 0.0), np.where(known & (xb > 0), high, np.inf))


def beta_quantile(a: FloatArray, b: FloatArray, level: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Solve I_y(a, b) = level for y.

    Parameters
    ----------
    a, b : ndarray
        Parameters of the beta distribution, positive (where one is 0, the answer means nothing).
    level : ndarray, same shape
        Probability in [0, 1].

    Returns
    -------
    y, rest : ndarray
        The quantile and 1 - y, each solved for by itself, so that neither loses digits near 0.

    Examples
    --------
    >>> import numpy as np
    >>> y, rest = beta_quantile(np.array(1.0), np.array(2.0), np.array(0.36))
    >>> round(float(y), 12), round(float(rest), 12)
    (0.2, 0.8)
    """
    y, rest = special.betaincinv(a, b, level), special.betainccinv(b, a, level)
    extreme = (level > 0) & (level < _SMALLEST_SAFE)
    if extreme.any():
        end = np.full(level.shape, _LARGEST_LOG_ODDS)
        log_odds = bisect(lambda u: special.betainc(a, b, special.expit(u)) < level, -end, end)
        y = np.where(extreme, special.expit(log_odds), y)
        rest = np.where(extreme, special.expit(-log_odds), rest)
    # near the smallest float the root may be smaller than can be told
    return np.where(y > _SMALLEST_SHARE, y, 0.0), np.where(rest > _SMALLEST_SHARE, rest, 0.0)


def bisect(
    holds: Callable[[FloatArray], NDArray[np.bool_]],
    low: FloatArray,
    high: FloatArray,
    halvings: int = _HALVINGS,
) -> FloatArray:
    """Find where a condition stops to hold, elementwise.

    Parameters
    ----------
    holds : callable
        Condition on an array of the shape of `low`: True up to some point and False from there on.
    low, high : ndarray
        Ends of the intervals searched.
    halvings : int
        How often an interval is halved.

    Returns
    -------
    ndarray
        The last point at which `holds` was seen to be True, within 2**-halvings of the interval's length of the first
        False; `high` where it holds everywhere, `low` where it holds nowhere.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(bisect(lambda x: x**2 < 2, np.array(0.0), np.array(2.0))), 12)
    1.414213562373
    """
    end, everywhere = high, holds(high)
    for _ in range(halvings):
        middle = (low + high) / 2
        inside = holds(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(everywhere, end, low)


def floats(*values: ArrayLike) -> tuple[FloatArray, ...]:
    """Broadcast the arguments to float arrays of one shape.

    Examples
    --------
    >>> [array.tolist() for array in floats(1, [2, 3])]
    [[1.0, 1.0], [2.0, 3.0]]
    """
    return np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
