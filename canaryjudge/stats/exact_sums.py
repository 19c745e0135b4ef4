"""Sums that do not depend on the order of their terms, so that shards merged in any order give the same bits.

Floating-point addition is not associative: minutes added one by one, all at once or region by region differ in their last
bits, and a verdict near its threshold could differ with them. Here every term is first rounded to a multiple of 2^-40, and
whole numbers are added, which is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ExactSum"]

_BITS = 40
_UNIT = float(2**_BITS)
_MASK = 2**_BITS - 1
_LARGEST = 2.0**50


class ExactSum:
    """An array of sums, exact in multiples of 2^-40 (9e-13) and up to 9e18 in size; a term counts up to 2^50 (1e15).

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.

    Examples
    --------
    >>> forward, backward = ExactSum(()), ExactSum(())
    >>> for term in (0.1, 1e9, 0.2):
    ...     forward.add(term)
    >>> for term in (0.2, 1e9, 0.1):
    ...     backward.add(term)
    >>> float(forward.value) == float(backward.value)
    True
    """

    __slots__ = ("parts", "whole")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.whole: NDArray[np.int64] = np.zeros(shape, dtype=np.int64)
        self.parts: NDArray[np.int64] = np.zeros(shape, dtype=np.int64)

    def add(self, terms: ArrayLike) -> None:
        """Add one term to each sum; finite numbers of the array's shape."""
        numbers = np.minimum(np.maximum(np.asarray(terms, dtype=np.float64), -_LARGEST), _LARGEST)
        floor = np.floor(numbers)
        numbers = (numbers - floor) * _UNIT
        self._carry(floor.astype(np.int64), np.rint(numbers).astype(np.int64))

    def add_all(self, terms: ArrayLike) -> None:
        """Add many terms to each sum, shape (n, ...): the same as one after the other."""
        numbers = np.asarray(terms, dtype=np.float64)
        if len(numbers) == 1:
            self.add(numbers[0])
            return
        numbers = np.minimum(np.maximum(numbers, -_LARGEST), _LARGEST)
        floor = np.floor(numbers)
        parts = np.rint((numbers - floor) * _UNIT).astype(np.int64).sum(axis=0)
        self._carry(floor.astype(np.int64).sum(axis=0), parts)

    def add_to(self, rows: NDArray[np.intp], terms: NDArray[np.float64]) -> None:
        """Add one term to each sum of some rows of the array, which are all different: as each by itself would."""
        part = ExactSum(())
        part.whole, part.parts = self.whole[rows], self.parts[rows]
        part.add(terms)
        self.whole[rows], self.parts[rows] = part.whole, part.parts

    def merge(self, other: ExactSum) -> None:
        """Add the other's sums."""
        self._carry(other.whole, other.parts)

    @property
    def value(self) -> NDArray[np.float64]:
        """The sums as floating-point numbers."""
        return np.asarray(self.whole + self.parts / _UNIT)

    def copy(self) -> ExactSum:
        """Give sums of their own."""
        twin = ExactSum(())
        twin.whole, twin.parts = self.whole.copy(), self.parts.copy()
        return twin

    def _carry(self, whole: NDArray[np.int64], parts: NDArray[np.int64]) -> None:
        total = self.parts + parts
        self.parts = total & _MASK
        total >>= _BITS
        total += whole
        self.whole = self.whole + total
