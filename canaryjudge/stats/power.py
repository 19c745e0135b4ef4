"""How often the tests find a change of a given size: closed forms, for planning.

The rank test finds a shift d beyond a limit as a t test of the Hodges-Lehmann estimate does, whose variance for normal points is pi / 3 times that of the
difference of the means [1]_; the noncentral t distribution gives the power [2]_. Few events are counted out: the power of the tests of two
totals is the sum of the probabilities of the totals that they reject at.

References
----------
.. [1] E. L. Lehmann, *Nonparametrics: Statistical Methods Based on Ranks* (1975), section 2.4.
.. [2] J. Cohen, *Statistical Power Analysis for the Behavioral Sciences*, 2nd ed. (1988), section 12.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.rank_test import LARGEST_CRITICAL_VALUE

__all__ = ["RANK_VARIANCE", "Scatter", "events_power", "shift_power", "wald_information"]

RANK_VARIANCE: Final = math.pi / 3
"""Variance of the Hodges-Lehmann shift over that of the difference of means, of normal points."""
_LARGEST_NONCENTRALITY = 35.0
_TAIL = 1e-9


@dataclass(frozen=True, slots=True)
class Scatter:
    """How uncertain a change will be.

    Attributes
    ----------
    standard_error : float
        Of the estimate.
    df : float
        Degrees of freedom of its t distribution.
    """

    standard_error: float
    df: float


def shift_power(excess: float, scatter: Scatter, level: float) -> float:
    """Give the probability that a t test proves a change to lie beyond a limit.

    Parameters
    ----------
    excess : float
        By how much it does.
    scatter : Scatter
        How uncertain the change is.
    level : float
        One-sided error rate.

    Returns
    -------
    float
        The power; 0 where the test would abstain.

    Examples
    --------
    As `TTestIndPower().power(1, 20, 0.05, alternative="larger")` of statsmodels:

    >>> round(shift_power(1.0, Scatter((2 / 20) ** 0.5, 38.0), 0.05), 4)
    0.9279
    """
    critical = -float(special.stdtrit(scatter.df, level))
    if critical > LARGEST_CRITICAL_VALUE:
        return 0.0
    if scatter.standard_error == 0:
        return float(excess > 0)
    shift = excess / scatter.standard_error
    if abs(shift) > _LARGEST_NONCENTRALITY:
        return float(shift > 0)
    return float(min(1.0, max(0.0, 1 - special.nctdtr(scatter.df, shift, critical))))


def events_power(
    canary: float,
    baseline: float,
    rejects: Callable[[FloatArray, FloatArray], NDArray[np.bool_]],
) -> float:
    """Give the probability that a test of two totals rejects, by counting out the totals.

    Parameters
    ----------
    canary, baseline : float
        Expected events.
    rejects : callable
        Events of the canary, shape (m, 1), and of the baseline, shape (1, n) -> whether it does, shape (m, n).

    Returns
    -------
    float
        The power for independent events.

    Examples
    --------
    >>> from canaryjudge.stats.rates import rate_ratio_pvalues
    >>> test = lambda c, b: rate_ratio_pvalues(c, 100.0, b, 100.0, 1.0).greater <= 0.05
    >>> round(events_power(20.0, 10.0, test), 3)
    0.513
    """
    grids = [_likely(mean) for mean in (canary, baseline)]
    found = rejects(grids[0][:, None], grids[1][None, :])
    weights = [_poisson(grid, mean) for grid, mean in zip(grids, (canary, baseline), strict=True)]
    return float(weights[0] @ found @ weights[1])


def _likely(mean: float) -> FloatArray:
    low, high = special.pdtrik(np.array([_TAIL, 1 - _TAIL]), mean) if mean > 0 else (0.0, 0.0)
    return np.arange(max(0.0, math.floor(low) - 1), math.ceil(high) + 2)


def _poisson(counts: FloatArray, mean: float) -> FloatArray:
    if mean == 0:
        return np.asarray(counts == 0, dtype=np.float64)
    return np.asarray(np.exp(special.xlogy(counts, mean) - mean - special.gammaln(counts + 1)))


def wald_information(alpha: float, beta: float) -> float:
    """Give the least mean of the log likelihood ratio at which a sequential test between two hypotheses can end.

    ``(1 - beta) log((1 - beta) / alpha) + beta log(beta / (1 - alpha))``: the mean under the alternative, for any stopping rule [1]_. Over the information of one
    observation (the divergence of the alternative from the null) it is the least mean number of observations.

    Parameters
    ----------
    alpha : float
        Probability to reject the null where it is true.
    beta : float
        Probability not to reject it where the alternative is.

    Returns
    -------
    float
        In natural logarithms.

    References
    ----------
    .. [1] A. Wald, "Sequential Tests of Statistical Hypotheses", *Annals of Mathematical Statistics* 16 (1945), section 4.

    Examples
    --------
    >>> round(wald_information(0.01, 0.05), 3)
    4.177
    """
    return (1 - beta) * math.log((1 - beta) / alpha) + beta * math.log(beta / (1 - alpha))
