"""What one-sided tests and bounds are given as, and what finds them: bisection, and quantiles of the beta distribution."""

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
    "crossing",
    "floats",
    "t_pvalues",
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
_EVALUATIONS = 120
"""More than any crossing takes."""
_SPACING = 4 * float(np.finfo(np.float64).eps)


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


def t_pvalues(excess: ArrayLike, error: ArrayLike, df: ArrayLike) -> PValues:
    """Test by the t distribution how far an estimate lies from a value.

    Parameters
    ----------
    excess : array_like
        Estimate minus the value.
    error : array_like
        Standard error of the estimate; 0 where it is certain.
    df : array_like
        Degrees of freedom of the error.

    Returns
    -------
    PValues
        Broadcast; 0 or 1 where the estimate is certain.

    Examples
    --------
    `pt(-2, 10)` in R gives .03669402:

    >>> round(float(t_pvalues(4.0, 2.0, 10.0).greater), 8), float(t_pvalues(4.0, 0.0, 10.0).less)
    (0.03669402, 1.0)
    """
    over, errors, known = (np.asarray(values, dtype=np.float64) for values in (excess, error, df))
    moves = errors > 0
    t = over / np.where(moves, errors, 1.0)
    greater = np.where(moves, special.stdtr(known, -t), np.where(over > 0, 0.0, 1.0))
    return PValues(greater, np.where(moves, special.stdtr(known, t), np.where(over < 0, 0.0, 1.0)))


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


def crossing(
    falling: Callable[[FloatArray], FloatArray],
    low: FloatArray,
    high: FloatArray,
    ends: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray:
    """Find where a function falls through 0, elementwise, by Chandrupatla's method [1]_: inverse quadratic steps where they are safe, and else halvings.

    Parameters
    ----------
    falling : callable
        Function on an array of the shape of `low`: positive up to some point on the way to `high`, and not from there on.
    low, high : ndarray
        Ends of the intervals searched; of either order.
    ends : tuple of ndarray, optional
        The function's values there, where they are known.

    Returns
    -------
    ndarray
        The point, to the spacing of floats or a part of 2**-56 of the interval; `high` where the function is positive everywhere, `low` where it is nowhere. An element has the same bits in any company.

    References
    ----------
    .. [1] T. R. Chandrupatla, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear function without using derivatives", Advances in Engineering Software 28 (1997), 145-149.

    Examples
    --------
    >>> import numpy as np
    >>> crossing(lambda x: 2 - x**2, np.array([0.0, 0.0, 1.5]), np.array([2.0, 1.0, 2.0])).round(12).tolist()
    [1.414213562373, 1.0, 1.5]
    """
    first, last = ends or (falling(low), falling(high))
    a, b = low + 0.0, high + 0.0
    fa, fb = (_signed(values) for values in (first, last))
    least = np.abs(b - a) * 2.0**-56
    open_ = (fa > 0) & (fb < 0)
    found = np.where(fa < 0, a, b)
    x, c, fc = (a + b) / 2, a, fa
    for _ in range(_EVALUATIONS):
        if not open_.any():
            break
        f = _signed(falling(x))
        # the new point takes the place of the end on its side, and what it replaces stays for the curve
        same = (f > 0) == (fa > 0)
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = x, f
        better = np.abs(fa) < np.abs(fb)
        best = np.where(better, a, b)
        found = np.where(open_, best, found)
        width = np.abs(b - a)
        tolerance = 2 * np.maximum(_SPACING * np.abs(best), least)
        open_ &= width > tolerance
        safe = np.where(width > 0, b - a, 1.0)
        with np.errstate(all="ignore"):
            xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
            curved = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
            part = fa / (fb - fa) * fc / (fb - fc) + (c - a) / safe * fa / (fc - fa) * fb / (fc - fb)
        part = np.where(curved & np.isfinite(part), part, 0.5)
        edge = np.minimum(tolerance / 2 / np.abs(safe), 0.5)
        x = a + np.clip(part, edge, 1 - edge) * (b - a)
    return found


def _signed(values: FloatArray) -> FloatArray:
    """Let what is not positive be negative."""
    return np.where(values > 0, values, np.minimum(np.where(np.isnan(values), -1.0, values), -1e-300))


def floats(*values: ArrayLike) -> tuple[FloatArray, ...]:
    """Broadcast the arguments to float arrays of one shape.

    Examples
    --------
    >>> [array.tolist() for array in floats(1, [2, 3])]
    [[1.0, 1.0], [2.0, 3.0]]
    """
    return np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values))
