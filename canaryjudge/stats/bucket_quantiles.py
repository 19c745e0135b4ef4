"""Quantiles and shares of observations that are known by their buckets, never finer than a bucket."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.stats.bucket_curve import BucketCurve

__all__ = ["bucket_quantile", "bucket_quantile_bucket", "counts_at_most"]

FloatArray = NDArray[np.float64]


def counts_at_most(edges: ArrayLike, counts: ArrayLike, value: float) -> tuple[FloatArray, FloatArray]:
    """Count the observations that are at most a value: the fewest and the most that the buckets allow.

    What proves that many are at most the value is the fewest, what proves that many lie above it is the most.

    Parameters
    ----------
    edges : array_like, shape (k,)
        Upper edges of the buckets, inclusive, ascending; the last infinite.
    counts : array_like, shape (..., k)
        Observations in each bucket.
    value : float
        The value, in the unit of the edges.

    Returns
    -------
    tuple of ndarray, shapes (...) and (...)
        Both are the same where the value is an edge.

    Examples
    --------
    >>> [both.tolist() for both in counts_at_most([0.1, 0.2, np.inf], [[20, 30, 10], [0, 4, 1]], 0.15)]
    [[20.0, 0.0], [50.0, 4.0]]
    """
    upper, observed = np.asarray(edges, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    whole = int(np.searchsorted(upper, value, side="right"))  # buckets that end at the value or before
    cut = int(np.searchsorted(upper, value, side="left")) + 1  # and the one that it lies in
    return observed[..., :whole].sum(axis=-1), observed[..., :cut].sum(axis=-1)


def bucket_quantile_bucket(edges: ArrayLike, counts: ArrayLike, q: float) -> tuple[float, float]:
    """Find the bucket that holds a quantile: the smallest value that at least a share `q` of the observations do not exceed.

    Parameters
    ----------
    edges : array_like, shape (k,)
        Upper edges of the buckets, inclusive, ascending; the last infinite.
    counts : array_like, shape (k,)
        Observations in each bucket; some.
    q : float
        Probability, between 0 and 1.

    Returns
    -------
    tuple of float
        The bucket's lower and upper edge; -inf and inf where it is open.

    Raises
    ------
    ValueError
        There are no observations.

    Examples
    --------
    >>> bucket_quantile_bucket([0.1, 0.2, np.inf], [20, 30, 10], 0.5)
    (0.1, 0.2)
    """
    upper, below = np.asarray(edges, dtype=np.float64), np.cumsum(counts, dtype=np.float64)
    if not below[-1] > 0:
        raise ValueError("there are no observations in any bucket")
    # rounding must not put what an edge reaches exactly into the next bucket
    holding = int(np.searchsorted(below, q * below[-1] * (1 - 1e-12), side="left"))
    while below[holding] == 0:  # a quantile of 0 lies in the first bucket that holds anything
        holding += 1
    return (float(upper[holding - 1]) if holding else -np.inf), float(upper[holding])


def bucket_quantile(edges: ArrayLike, counts: ArrayLike, q: float) -> float:
    """Estimate a quantile by a smooth reading between edges; it stays in the bucket that holds it.

    Parameters
    ----------
    edges, counts, q
        As `bucket_quantile_bucket` takes them.

    Returns
    -------
    float
        The estimate; the nearest edge where the bucket is open, or holds all that lies on that side.

    Examples
    --------
    >>> round(bucket_quantile([0.1, 0.2, 0.4, np.inf], [20, 30, 40, 10], 0.6), 3)
    0.227
    """
    low, high = bucket_quantile_bucket(edges, counts, q)
    return float(np.clip(BucketCurve(edges, counts).quantile(q), low, high))
