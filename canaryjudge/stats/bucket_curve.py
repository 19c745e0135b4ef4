"""A distribution known by its buckets, read between their edges."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BucketCurve"]

FloatArray = NDArray[np.float64]


class BucketCurve:
    r"""The share of observations beyond a value, from counts in buckets.

    Between two edges the log odds of lying beyond a value are taken to fall on a straight line in the logarithm of the value (in the value
    itself where edges are not positive): exact for log-logistic values, close for lognormal ones in their tails too, where a straight line
    in the share would put far too many observations next to the edge.

    Parameters
    ----------
    edges : array_like, shape (k,)
        Upper edges of the buckets, ascending; the last infinite.
    counts : array_like, shape (k,)
        Observations in each bucket; some.

    Examples
    --------
    >>> curve = BucketCurve([0.1, 0.2, 0.4, np.inf], [20, 30, 40, 10])
    >>> round(curve.quantile(0.5), 3), curve.log_odds([0.4]).round(3).tolist()
    (0.2, [-2.197])
    """

    def __init__(self, edges: ArrayLike, counts: ArrayLike) -> None:
        finite = np.asarray(edges, dtype=np.float64)[:-1]
        observed = np.asarray(counts, dtype=np.float64)
        beyond = observed[::-1].cumsum()[::-1][1:]
        with np.errstate(divide="ignore"):
            odds = np.log(beyond) - np.log(observed.sum() - beyond)
        self._logarithmic = bool(len(finite) and finite[0] > 0)
        self._edges = np.log(finite) if self._logarithmic else finite
        self._odds = odds
        self._known = np.isfinite(odds)

    def log_odds(self, values: ArrayLike) -> FloatArray:
        """Give the log odds of lying beyond values.

        Parameters
        ----------
        values : array_like, shape (n,)
            Values.

        Returns
        -------
        ndarray, shape (n,)
            Log odds; NaN where a value lies outside the edges between which there are observations on both sides.
        """
        at = np.asarray(values, dtype=np.float64)
        edges, odds = self._edges[self._known], self._odds[self._known]
        if not len(edges):
            return np.full(at.shape, np.nan)
        if self._logarithmic:
            at = np.log(np.where(at > 0, at, np.nan))
        # rounding must not put an edge outside
        slack = 1e-12 * max(abs(float(edges[0])), abs(float(edges[-1])), 1.0)
        inside = (at >= edges[0] - slack) & (at <= edges[-1] + slack)
        return np.where(inside, np.interp(at, edges, odds), np.nan)

    def quantile(self, probability: float) -> float:
        """Give a quantile; where it lies beyond the edges that say something, the nearest of them."""
        edges, odds = self._edges[self._known], self._odds[self._known]
        if len(edges):
            target = math.log1p(-probability) - math.log(probability)
            found = float(np.interp(-target, -odds, edges))
        else:  # everything lies in one bucket
            beneath = np.flatnonzero(np.isneginf(self._odds))
            found = float(self._edges[beneath[0] if len(beneath) else -1])
        return math.exp(found) if self._logarithmic else found
