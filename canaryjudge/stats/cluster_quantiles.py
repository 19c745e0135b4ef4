r"""Quantiles of observations that come in clusters, such as the requests of users: each cluster's part in them.

The quantile q of all observations is where their distribution function F reaches p. By the delta method [1]_ it errs by what the mean of

.. math:: \frac{p \, m_i - \#\{j : x_{ij} \le q\}}{\bar m \, f(q)}

over the clusters does, in which m_i is the size of a cluster and f the density. q plus this is each cluster's part: numbers that are independent, whose mean is q and whose variance over their number is the
squared standard error of q, however alike the observations of a cluster are. 1 / f(q) is the slope of the quantiles from p to 1.96
standard errors of F(q) below or above, where Woodruff's interval ends [2]_: the steeper of both.

References
----------
.. [1] A. Deng, U. Knoblich and J. Lu, "Applying the delta method in metric analytics: a practical guide with novel ideas", KDD 2018, 233-242.
.. [2] R. S. Woodruff, "Confidence intervals for medians and other position measures", Journal of the American Statistical Association 47 (1952), 635-646.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cluster_parts"]

_Z = 1.96


def cluster_parts(values: ArrayLike, clusters: ArrayLike, p: float) -> NDArray[np.float64]:
    """Give each cluster's part in a quantile.

    Parameters
    ----------
    values : array_like, shape (n,)
        Finite observations.
    clusters : array_like of int, shape (n,)
        The number of the cluster that each is of, from 0 on.
    p : float
        Which quantile, in (0, 1).

    Returns
    -------
    ndarray, shape (k,)
        One number a cluster that has observations, whose mean is about the quantile and whose spread is that of what each does to it.

    Raises
    ------
    ValueError
        `p` is not in its range, or there are no observations.

    Examples
    --------
    >>> parts = cluster_parts([1.0, 2.0, 3.0, 10.0, 11.0, 12.0], [0, 0, 0, 1, 1, 1], 0.5)
    >>> parts.mean().item(), bool(parts[1] > parts[0])
    (3.0, True)
    """
    x, codes = np.asarray(values, dtype=np.float64), np.asarray(clusters)
    if not 0 < p < 1:
        raise ValueError("which quantile must lie between 0 and 1")
    if not len(x):
        raise ValueError("there are no observations")
    q = float(np.quantile(x, p, method="inverted_cdf"))
    sizes = np.bincount(codes)
    chosen = sizes > 0
    below = np.bincount(codes, x <= q)[chosen]
    sizes = sizes[chosen].astype(np.float64)
    excess = p * sizes - below
    excess -= excess.mean()  # of ties at the quantile more lie below than p says
    error = float(np.sqrt(np.square(excess).sum() / max(len(sizes) - 1, 1) / len(sizes))) / sizes.mean()
    ends = np.clip([p - _Z * error, p + _Z * error], 1 / len(x), 1 - 0.5 / len(x))
    low, high = np.quantile(x, ends, method="inverted_cdf")
    rises = [(high - q, ends[1] - p), (q - low, p - ends[0])]
    slope = max((rise / run for rise, run in rises if run > 0), default=0.0)
    return np.asarray(q + excess * slope / sizes.mean())
