r"""The traffic that two arms get over time: whether its split moves, and both arms at one mix of intervals.

In a ramp the canary's share of the traffic grows while the service's level goes up and down with the hour. Pooled, its traffic is then of other minutes than the baseline's, and what differs
between minutes looks like a difference of the versions (Simpson's paradox [1]_). Each interval weighted by :math:`n_t n'_t / (n_t + n'_t)` in both arms, Mantel and Haenszel's weights [2]_,
which are those of the least variance for independent observations, the arms are alike but for their versions.

References
----------
.. [1] E. H. Simpson, "The interpretation of interaction in contingency tables", J. Royal Statistical Society B 13 (1951), 238-241.
.. [2] N. Mantel and W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease", J. National Cancer Institute 22 (1959), 719-748.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from canaryjudge.stats.bounds import FloatArray, floats

__all__ = ["mix_weights", "same_mix", "split_moves"]

_LEVEL = 0.001
_LEAST = 0.05
"""A split moves where chance explains it this rarely, and the odds of a request's being the canary's have more than this standard deviation, of their logarithm."""


def split_moves(baseline: ArrayLike, canary: ArrayLike, *, requests: bool = True) -> NDArray[np.bool_]:
    r"""Tell whether the split of the traffic moves from interval to interval.

    Where it stays, the pooled arms are of one mix of intervals, and a bias is at most the spread of the odds times that of the level: 5 % of a level that varies by as much as its mean. It is
    asked of the traffic alone, so that it tells nothing of the effect.

    Parameters
    ----------
    baseline, canary : array_like, shape (..., n)
        What each interval has of either arm: requests, observations, exposure.
    requests : bool
        They are whole numbers whose split is a matter of chance, and not an exposure in some unit.

    Returns
    -------
    ndarray of bool, shape (...)
        Whether the canary's odds vary by more than 5 % (one standard deviation of their logarithm), and by more than independent requests explain.

    Examples
    --------
    >>> split_moves([950, 960, 940], [50, 51, 49]).item(), split_moves([950, 750, 500], [50, 250, 500]).item()
    (False, True)
    """
    nb, nc = floats(baseline, canary)
    total = nb + nc
    whole = total.sum(axis=-1, keepdims=True)
    share = nc.sum(axis=-1, keepdims=True) / np.where(whole > 0, whole, 1.0)
    independent = share * (1 - share)
    varied = np.where(total > 0, (nc - share * total) ** 2 / np.where(total > 0, total, 1.0), 0.0).sum(
        axis=-1
    )
    independent, whole = independent[..., 0], whole[..., 0]
    df = np.maximum((total > 0).sum(axis=-1) - 1.0, 0.0)
    both = independent * whole > 0
    chi2 = np.where(both, varied / np.where(both, independent, 1.0), 0.0)
    by_chance = np.where(requests, df, 0.0)
    excess = (chi2 - by_chance) / np.where(both, independent * whole, 1.0)
    proven = (chdtrc(np.maximum(df, 1.0), chi2) < _LEVEL) | (not requests)
    return np.asarray((df > 0) & proven & (excess > _LEAST**2))


def mix_weights(baseline: ArrayLike, canary: ArrayLike) -> FloatArray:
    """Give each interval's weight, of which either arm is given as much.

    Parameters
    ----------
    baseline, canary : array_like, shape (..., n)
        What each interval has of either arm.

    Returns
    -------
    ndarray, shape (..., n)
        Mantel and Haenszel's weights; 0 where an arm has nothing.

    Examples
    --------
    >>> mix_weights([90, 10, 5], [10, 90, 0]).tolist()
    [9.0, 9.0, 0.0]
    """
    nb, nc = floats(baseline, canary)
    total = nb + nc
    return np.asarray(nb * nc / np.where(total > 0, total, 1.0))


def same_mix(baseline: ArrayLike, canary: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Weight the intervals so that both arms have one mix of them.

    Parameters
    ----------
    baseline, canary : array_like, shape (n, k)
        Observations of each interval in each bucket, of the same intervals.

    Returns
    -------
    tuple of ndarray, shapes (n, k) and (n, k)
        Weighted counts, of which each arm has as many as independent observations would say the same; none where no interval has some of both.

    Examples
    --------
    All is slower in the second interval, in which the canary has most of the traffic:

    >>> baseline, canary = same_mix([[90, 0], [0, 10]], [[10, 0], [0, 90]])
    >>> baseline.tolist() == [[18, 0], [0, 18]], canary.tolist() == [[18, 0], [0, 18]]
    (True, True)
    """
    arms = [np.asarray(counts, dtype=np.float64) for counts in (baseline, canary)]
    nb, nc = (counts.sum(axis=-1) for counts in arms)
    weights = mix_weights(nb, nc)
    of_baseline, of_canary = (
        _weighted(counts, weights, totals) for counts, totals in zip(arms, (nb, nc), strict=True)
    )
    return of_baseline, of_canary


def _weighted(counts: FloatArray, weights: FloatArray, totals: FloatArray) -> FloatArray:
    """Give each interval as many observations as its weight, times what makes them all as many as they are worth."""
    each = np.where(totals > 0, weights / np.where(totals > 0, totals, 1.0), 0.0)
    worth = weights.sum() / np.maximum((weights * each).sum(), np.finfo(float).tiny)
    return np.asarray(counts * (each * worth)[:, None])
