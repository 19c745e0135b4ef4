"""What one-sided tests and bounds are given as, and what finds them: bisection, and quantiles of the beta distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Bounds", "FloatArray", "PValues", "beta_quantile", "bisect", "floats"]

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
