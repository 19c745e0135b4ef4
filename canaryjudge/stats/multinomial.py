r"""An anytime-valid test of the shares of a multinomial, such as the split of traffic between arms.

With a Dirichlet prior of mean theta_0 and weight k on the shares, the Bayes factor of counts c,

.. math:: \frac{B(k \theta_0 + c)}{B(k \theta_0)} \prod_i \theta_{0i}^{-c_i}, \quad
          B(a) = \frac{\prod_i \Gamma(a_i)}{\Gamma(\sum_i a_i)},

is an e-process [1]_: where the shares are theta_0, it ever gets to 1 / level with a probability of at most the level, however
often one looks. It depends on the sums of the counts only.

References
----------
.. [1] M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", Advances in Neural Information
       Processing Systems 35 (2022), 2817-2831.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.rare_events import Bounds, FloatArray, bisect

__all__ = ["CONCENTRATION", "log_bayes_factor", "sequential_pvalue", "share_bounds"]

CONCENTRATION = 100.0
"""The authors' weight of the prior: made for small deviations, which take many counts to see; slow to call gross ones."""
_LARGEST_LOG_ODDS = 700.0
"""exp(700) is near the largest float."""
_SUM_TOLERANCE = 1e-9


def log_bayes_factor(
    counts: ArrayLike, shares: ArrayLike, concentration: float = CONCENTRATION
) -> FloatArray:
    """Give the log evidence that the shares are not those expected.

    Parameters
    ----------
    counts : array_like, shape (..., K)
        Counts so far of each of K >= 2 categories, at least 0.
    shares : array_like, shape (K,) or (..., K)
        Shares expected; positive, 1 in sum.
    concentration : float
        Weight of the prior in counts; positive, and fixed beforehand.

    Returns
    -------
    ndarray, shape (...)
        Logarithms of e-values.

    Raises
    ------
    ValueError
        A count, a share or the concentration is not in its range, or the shapes do not fit.

    Examples
    --------
    >>> log_bayes_factor([[0, 0], [60, 90], [160, 250]], [0.5, 0.5]).round(5).tolist()
    [0.0, 1.35197, 7.18213]
    """
    c, theta = _arguments(counts, shares, concentration)
    likelihood = special.xlogy(c, theta).sum(axis=-1)
    return np.asarray(_log_marginal(c, theta, concentration) - likelihood)


def sequential_pvalue(
    counts: ArrayLike, shares: ArrayLike, concentration: float = CONCENTRATION
) -> FloatArray:
    """Give the p-value of the shares expected; the smallest of all looks so far is one as well.

    Parameters
    ----------
    counts : array_like, shape (..., K)
        Counts so far of each of K >= 2 categories, at least 0.
    shares : array_like, shape (K,) or (..., K)
        Shares expected; positive, 1 in sum.
    concentration : float
        Weight of the prior in counts; positive, and fixed beforehand.

    Returns
    -------
    ndarray, shape (...)
        min(1, 1 / Bayes factor): at any time at most the level with at most that probability.

    Raises
    ------
    ValueError
        A count, a share or the concentration is not in its range, or the shapes do not fit.

    Examples
    --------
    >>> sequential_pvalue([[20, 30], [60, 90], [160, 250]], [0.5, 0.5]).round(9).tolist()
    [0.876120251, 0.258729653, 0.000760051]
    """
    return np.exp(np.minimum(-log_bayes_factor(counts, shares, concentration), 0.0))


def share_bounds(
    counts: ArrayLike, level: float, shares: ArrayLike, concentration: float = CONCENTRATION
) -> Bounds:
    r"""Bound every share, all of them together and at all times with the error probability `level`.

    The confidence sequence is :math:`\{\theta: \sum_i c_i \ln \theta_i \geq \ln \alpha + \ln B(k \theta_0 + c) - \ln B(k
    \theta_0)\}`, a convex set. Given one share, the other shares that fit best are proportional to their counts, and so its
    ends are where :math:`n \, KL(c_i / n, \theta_i)` is the room that the set leaves to the best fit.

    Parameters
    ----------
    counts : array_like, shape (..., K)
        Counts so far of each of K >= 2 categories, at least 0.
    level : float
        Error probability, in (0, 1).
    shares : array_like, shape (K,) or (..., K)
        Mean of the prior; positive, 1 in sum. The bounds hold whatever it is.
    concentration : float
        Weight of the prior in counts; positive, and fixed beforehand.

    Returns
    -------
    Bounds
        Of arrays of shape (..., K); 0 and 1 where there are no counts. The shares expected lie between the bounds unless the
        p-value is below the level (and only then, for two categories).

    Raises
    ------
    ValueError
        A count, a share, the level or the concentration is not in its range, or the shapes do not fit.

    Examples
    --------
    >>> bounds = share_bounds([850, 150], 0.05, [0.9, 0.1])
    >>> bounds.low.round(4).tolist(), bounds.high.round(4).tolist()
    ([0.8106, 0.1156], [0.8844, 0.1894])
    """
    c, theta = _arguments(counts, shares, concentration)
    if not 0 < level < 1:
        raise ValueError(f"the level must lie between 0 and 1, but is {level}")
    n = c.sum(axis=-1, keepdims=True)
    fit = c / np.where(n > 0, n, 1.0)
    best = special.xlogy(c, fit).sum(axis=-1)
    room = np.broadcast_to(
        (best - np.log(level) - _log_marginal(c, theta, concentration))[..., np.newaxis], c.shape
    )

    def inside(log_odds: FloatArray) -> NDArray[np.bool_]:
        p, rest = special.expit(log_odds), special.expit(-log_odds)
        return np.asarray(special.rel_entr(c, n * p) + special.rel_entr(n - c, n * rest) <= room)

    start = np.clip(special.logit(fit), -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    end = np.full(c.shape, _LARGEST_LOG_ODDS)
    low, high = special.expit(bisect(inside, start, -end)), special.expit(bisect(inside, start, end))
    return Bounds(np.where(c > 0, low, 0.0), high)


def _log_marginal(c: FloatArray, theta: FloatArray, concentration: float) -> FloatArray:
    """Give the log probability of a sequence with these counts under the prior."""
    prior = concentration * theta
    rising = (special.gammaln(prior + c) - special.gammaln(prior)).sum(axis=-1)
    total = special.gammaln(concentration + c.sum(axis=-1)) - special.gammaln(concentration)
    return np.asarray(rising - total)


def _arguments(counts: ArrayLike, shares: ArrayLike, concentration: float) -> tuple[FloatArray, FloatArray]:
    """Return counts and shares as arrays of one shape, if they make sense."""
    c, theta = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if c.ndim == 0 or theta.ndim == 0 or c.shape[-1] != theta.shape[-1] or c.shape[-1] < 2:
        raise ValueError(f"counts of shape {c.shape} and shares of shape {theta.shape} do not fit each other")
    if not ((c >= 0) & (c < np.inf)).all():
        raise ValueError("counts must be at least 0 and finite")
    if not ((theta > 0).all() and (np.abs(theta.sum(axis=-1) - 1) < _SUM_TOLERANCE).all()):
        raise ValueError("the shares expected must be positive and add up to 1")
    if not 0 < concentration < np.inf:
        raise ValueError(f"the concentration must be positive and finite, but is {concentration}")
    c, theta = np.broadcast_arrays(c, theta)
    return c, theta
