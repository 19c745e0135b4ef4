"""Buckets whose edges are the powers of one number: which a value is in, and the edges, equal to the last bit on any machine."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.pair import FloatArray

__all__ = ["LogBuckets"]

_SMALLEST: Final = 1e-12
_SPAN: Final = 1e12
_LARGEST: Final = float(np.finfo(np.float64).max)
_EXACT: Final = Context(prec=40)


@lru_cache(maxsize=2**16)
def _power(relative_error: float, exponent: int) -> float:
    """Give gamma to a power, correctly rounded: logarithms and powers of floats differ between machines in the last bit."""
    error = Decimal(repr(relative_error))
    return float(_EXACT.power(_EXACT.divide(1 + error, 1 - error), exponent))


class LogBuckets:
    r"""Buckets of a fixed relative width, :math:`(\gamma^{i-1}, \gamma^i]` with :math:`\gamma = (1 + e) / (1 - e)`.

    A bucket's key is 0 for zero, k > 0 for the k-th bucket above 1e-12 or so, and -k for its mirror among the negative values, which has
    its closed end nearer to zero; so keys are ordered as values are, and every bucket holds what is at most its upper edge.

    Parameters
    ----------
    relative_error : float
        The e: each value is within it of its bucket's middle.

    Attributes
    ----------
    span : int
        How many buckets a factor of 10^12 takes.
    largest : int
        The key of the largest float.

    Examples
    --------
    >>> buckets = LogBuckets(0.5)  # gamma is 3
    >>> keys = buckets.keys(np.array([1.0, 1.5, 3.0, 4.0, 0.0, -3.0])).tolist()
    >>> keys, [buckets.upper(key) for key in keys]
    ([26, 27, 27, 28, 0, -28], [1.0, 3.0, 3.0, 9.0, 0.0, -3.0])
    """

    def __init__(self, relative_error: float) -> None:
        self._error = relative_error
        self._log = 2 * math.atanh(relative_error)
        self._first = math.floor(math.log(_SMALLEST) / self._log)
        self.span = math.ceil(math.log(_SPAN) / self._log)
        self.largest = math.ceil(math.log(_LARGEST) / self._log) + 1 - self._first

    def keys(self, values: FloatArray) -> NDArray[np.int64]:
        """Find the bucket of each value.

        Parameters
        ----------
        values : ndarray, shape (n,)
            Finite numbers.

        Returns
        -------
        ndarray of int, shape (n,)
            The keys.
        """
        if not len(values):
            return np.zeros(0, dtype=np.int64)
        least = self._edge(0)
        magnitude = np.abs(values)
        clipped = np.maximum(magnitude, least)
        keys = np.ceil(np.log(clipped) / self._log).astype(np.int64) - self._first
        # the logarithm may be off by a rounding, so each value is held against its bucket's edges
        low = int(keys.min()) - 1
        edges = self._edges(keys - low, low)
        negative = values < 0
        above, at = clipped > edges[keys - low], clipped == edges[keys - low]
        keys += above | (negative & at)
        below, at = clipped < edges[keys - low - 1], clipped == edges[keys - low - 1]
        keys -= below | (~negative & at)
        keys[magnitude < least] = 0
        return np.where(negative, -keys, keys)

    def upper(self, key: int) -> float:
        """Give a bucket's upper edge; infinite beyond the largest float."""
        if key == 0:
            return 0.0
        return self._edge(key) if key > 0 else -self._edge(-key - 1)

    def middle(self, key: int) -> float:
        """Give the number that all values of a bucket are within the relative error of: the lower edge times 1 + e, up to the sign."""
        if key == 0:
            return 0.0
        return math.copysign(min(self._edge(abs(key) - 1) * (1 + self._error), _LARGEST), key)

    def _edge(self, rank: int) -> float:
        return _power(self._error, self._first + rank)

    def _edges(self, offsets: NDArray[np.int64], low: int) -> NDArray[Any]:
        """Tabulate the edges of the occupied buckets; NaN elsewhere."""
        needed = np.zeros(int(offsets.max()) + 1, dtype=np.bool_)
        needed[offsets] = needed[offsets - 1] = True
        edges = np.full(len(needed), np.nan)
        for offset in np.flatnonzero(needed).tolist():
            edges[offset] = self._edge(low + offset)
        return edges
