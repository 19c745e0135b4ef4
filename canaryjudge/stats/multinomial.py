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
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.rare_events import FloatArray

__all__ = [
    "CONCENTRATION",
    "log_bayes_factor",
    "sequential_pvalue",
]

CONCENTRATION = 100.0
"""The authors' weight of the prior: made for small deviations, which take many counts to see; slow to call gross ones."""
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
