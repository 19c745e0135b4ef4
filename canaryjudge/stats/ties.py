"""Which numbers are the same: those that differ by no more than rounding does.

A change that is just what is tolerated is tolerated, whatever the unit. But 1.1 is not eleven tenths in binary, and 0.011 - 0.010 is not 0.1 times 0.010, while 11 - 10 is 0.1 times 10; so where a
difference, a threshold or an estimate meets a limit, what lies within a few units in the last place of the numbers that it was computed from counts as equal. Numbers that were written with fifteen
digits or fewer are never equal by mistake; those that differ are farther apart.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.stats.bounds import FloatArray

__all__ = ["ROUNDING", "about", "above", "at_least", "rounding", "snapped"]

ROUNDING: Final = 2.0**-48
"""Sixteen units in the last place: a unit each for both arms' numbers, the limit and its product with the level, and some for the sums."""


def rounding(*of: ArrayLike) -> FloatArray:
    """Give by how much a result may be off that was computed from such numbers: by their size.

    Parameters
    ----------
    *of : array_like
        Numbers that were added, subtracted or multiplied; broadcast.

    Returns
    -------
    ndarray
        Sixteen units in the last place of the largest.

    Examples
    --------
    >>> float(rounding(0.010, -0.011)) == 0.011 * 2**-48
    True
    """
    size = np.abs(of[0])
    for each in of[1:]:
        size = np.maximum(size, np.abs(each))
    return np.asarray(ROUNDING * size)


def about(first: ArrayLike, second: ArrayLike, *of: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Give the ends of what counts as equal to a sum.

    Parameters
    ----------
    first, second : array_like
        The terms; broadcast.
    *of : array_like
        What else they were computed from: of logarithms 1, because they are off by as much as their numbers are in parts.

    Returns
    -------
    tuple of ndarray
        What is lower than the first is below the sum, and what is higher than the second above it.

    Examples
    --------
    >>> low, high = about(0.1, 0.2)
    >>> bool(low <= 0.3 <= high), 0.1 + 0.2 == 0.3
    (True, False)
    """
    total = np.add(first, second)
    slack = np.where(np.isfinite(total), rounding(first, second, total, *of), 0.0)
    return np.asarray(total - slack), np.asarray(total + slack)


def above(numbers: ArrayLike, limits: ArrayLike, *of: ArrayLike) -> NDArray[np.bool_]:
    """Tell which numbers lie above limits, by more than rounding.

    Parameters
    ----------
    numbers, limits : array_like
        Broadcast.
    *of : array_like
        What else they were computed from, where that is larger than they are.

    Returns
    -------
    ndarray of bool

    Examples
    --------
    >>> above([0.30000000000000004, 0.31], 0.3).tolist()
    [False, True]
    """
    return np.asarray(np.subtract(numbers, limits) > rounding(numbers, limits, *of))


def at_least(numbers: ArrayLike, limits: ArrayLike, *of: ArrayLike) -> NDArray[np.bool_]:
    """Tell which numbers are at least limits, or lower by no more than rounding.

    Examples
    --------
    >>> at_least([0.3, 0.29], 0.1 + 0.2).tolist()
    [True, False]
    """
    return ~above(limits, numbers, *of)


def snapped(numbers: FloatArray, limits: NDArray[Any], *of: ArrayLike) -> FloatArray:
    """Put numbers that are equal to a limit but for rounding on that limit.

    Parameters
    ----------
    numbers : ndarray, shape (...)
        Such as estimates.
    limits : ndarray, shape (..., k)
        What they are held against.
    *of : array_like, shape (...)
        What the numbers were computed from.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> snapped(np.array([0.1 * 3, 0.2]), np.array([[0.3, 0.0], [0.3, 0.0]])).tolist()
    [0.3, 0.2]
    """
    found = numbers
    for k in range(limits.shape[-1]):
        limit = limits[..., k]
        found = np.where(np.abs(numbers - limit) <= rounding(numbers, limit, *of), limit, found)
    return found
