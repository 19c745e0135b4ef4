r"""Whether strata have one effect: Cochran's Q, as far as the errors are known, and its like for the ratios of events.

References
----------
.. [1] W. G. Cochran, "The combination of estimates from different experiments", Biometrics 10 (1954), 101-129.
.. [2] B. L. Welch, "On the comparison of several mean values: an alternative approach", Biometrika 38 (1951), 330-336.
.. [3] J. P. T. Higgins and S. G. Thompson, "Quantifying heterogeneity in a meta-analysis", Statistics in Medicine 21 (2002), 1539-1558.
.. [4] N. E. Breslow and N. E. Day, "Statistical methods in cancer research", volume 1, IARC (1980), 142.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray, floats
from canaryjudge.stats.stratified_events import score_terms

__all__ = ["Heterogeneity", "heterogeneity", "log_ratios", "ratio_heterogeneity"]

_FINEST = 1e-6
"""A stratum's standard error counts as no less than this part of the largest."""
_LEAST_FREEDOM = 1.0
"""What is left of the degrees of freedom at least."""
_HALF = 0.5
"""Events and non-events have so much added before a logarithm is taken: of the least bias, and defined without any."""


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """How much strata differ in their effects.

    Attributes
    ----------
    statistic : ndarray, shape (...)
        Cochran's Q, the weighted sum of squared distances from the mean.
    pvalue : ndarray, shape (...)
        For the null hypothesis that all effects are the same; 1 of fewer than two strata.
    i2 : ndarray, shape (...)
        The part of the estimates' variance that is more than their errors explain, in [0, 1).
    strata : ndarray of int, shape (...)
        Of how many strata.
    """

    statistic: FloatArray
    pvalue: FloatArray
    i2: FloatArray
    strata: FloatArray


def heterogeneity(estimates: ArrayLike, errors: ArrayLike, df: ArrayLike) -> Heterogeneity:
    r"""Test whether strata have one effect.

    Parameters
    ----------
    estimates, errors, df
        Effects, their standard errors and the degrees of freedom of these, as `canaryjudge.stats.common_effect.common_effect` takes them.

    Returns
    -------
    Heterogeneity
        Q with its p-value.

    Notes
    -----
    With weights :math:`w_s = 1 / e_s^2` and :math:`p_s = w_s / W`, :math:`Q = \sum w_s (x_s - \bar x)^2` is chi-squared with k - 1 degrees of freedom where errors are known. Errors that are estimates make it larger;
    Welch's F has :math:`Q / (k - 1)` over :math:`1 + 2 (k - 2) \Lambda / (k^2 - 1)`, with k - 1 and :math:`(k^2 - 1) / (3 \Lambda)` degrees of freedom, where :math:`\Lambda = \sum_s (1 - p_s)^2 / f_s` [2]_. That is made for few strata. Of many, whose t statistics vary
    more than :math:`1 + 2 / f` says, the expectation of Q asks for :math:`f_s - 2` in the first, and its variance for :math:`f_s - 4` in the second; of k strata so much times :math:`1 - 2 / k` is taken off. By simulation
    (tests/stats/test_heterogeneity.py) levels of 5 and 1 % hold from 8 degrees of freedom on, of two to fifty strata.

    Examples
    --------
    >>> found = heterogeneity([0.1, 0.1, 0.9], [0.2, 0.2, 0.2], np.inf)
    >>> round(float(found.statistic), 3), round(float(found.pvalue), 4), round(float(found.i2), 3)
    (10.667, 0.0048, 0.812)
    """
    # of one layout in memory, so that sums have the same bits
    x, e, f = (np.ascontiguousarray(part) for part in floats(estimates, errors, df))
    there = np.isfinite(x) & np.isfinite(e)
    largest = np.where(there, e, 0.0).max(axis=-1, keepdims=True, initial=0.0)
    finest = np.where(largest > 0, _FINEST * largest, 1.0)
    weights = np.where(there, (np.where(largest > 0, largest, 1.0) / np.maximum(e, finest)) ** 2, 0.0)
    exact = largest[..., 0] == 0
    weights = np.where(exact[..., None], there * 1.0, weights)
    count = there.sum(axis=-1).astype(np.float64)
    total = weights.sum(axis=-1, keepdims=True)
    parts = weights / np.where(total > 0, total, 1.0)
    known = np.where(there, x, 0.0)
    mean = (parts * known).sum(axis=-1, keepdims=True)
    squares = (weights * np.where(there, np.square(known - mean), 0.0)).sum(axis=-1)
    scale = np.square(np.where(exact, 1.0, largest[..., 0]))
    with np.errstate(divide="ignore", over="ignore"):
        q = np.where(exact, np.where(squares > 0, np.inf, 0.0), squares / scale)
    several = count > 1
    between = np.where(several, count - 1, 1.0)
    less = np.where(several, 1 - 2 / np.where(several, count, 2.0), 0.0)[..., None]
    larger, doubt = (
        np.where(there, np.square(1 - parts) / np.maximum(f - lost * less, _LEAST_FREEDOM), 0.0).sum(axis=-1)
        for lost in (2.0, 4.0)
    )
    square = np.where(several, count**2 - 1, 3.0)
    statistic = q / between / (1 + 2 * np.maximum(count - 2, 0.0) * larger / square)
    within = np.where(doubt > 0, square / (3 * np.where(doubt > 0, doubt, 1.0)), np.inf)
    finite = np.isfinite(within)
    pvalue = np.where(
        finite,
        special.fdtrc(between, np.where(finite, within, 1.0), statistic),
        special.chdtrc(between, q),
    )
    more = 1 - between / np.maximum(q, between)
    return Heterogeneity(
        np.where(several, q, 0.0), np.where(several, pvalue, 1.0), np.where(several, more, 0.0), count
    )


def ratio_heterogeneity(
    baseline_events: ArrayLike,
    baseline_totals: ArrayLike,
    canary_events: ArrayLike,
    canary_totals: ArrayLike,
    *,
    dispersion: ArrayLike = 1.0,
) -> Heterogeneity:
    r"""Test whether strata have one ratio of rates or proportions.

    Each stratum's score at Mantel and Haenszel's ratio, squared, over its variance by Miettinen and Nurminen: as Breslow and Day's test [4]_, whose ratio is one of odds. The scores add up to 0, so that
    Tarone's correction of theirs is none here.

    Parameters
    ----------
    baseline_events, baseline_totals, canary_events, canary_totals : array_like, shape (..., S, n)
        Events of each stratum in each of its intervals, and what they are of; of strata without intervals n is 1.
    dispersion : array_like, shape (..., S)
        How many times events vary more than independent ones do.

    Returns
    -------
    Heterogeneity
        Chi-squared of the strata that have events, with one less degrees of freedom.

    Examples
    --------
    >>> found = ratio_heterogeneity([[40], [40]], [[2000], [2000]], [[40], [90]], [[2000], [2000]])
    >>> round(float(found.statistic), 2), round(float(found.pvalue), 4)
    (7.95, 0.0048)
    """
    xb, nb, xc, nc = floats(baseline_events, baseline_totals, canary_events, canary_totals)
    known = (nb > 0) & (nc > 0) & (xb + xc > 0)
    xb, nb, xc, nc = (np.where(known, part, 0.0) for part in (xb, nb, xc, nc))
    batch, cells = xb.shape[:-2], xb.shape[-2:]
    total = np.where(known, nb + nc, 1.0)
    canary, baseline = (xc * nb / total).sum(axis=(-2, -1)), (xb * nc / total).sum(axis=(-2, -1))
    both = (canary > 0) & (baseline > 0)
    ratio = np.where(both, canary, 1.0) / np.where(both, baseline, 1.0)
    flat = [part.reshape(-1, cells[0] * cells[1]) for part in (xb, nb, xc, nc)]
    terms = score_terms(flat[0], flat[1], flat[2], flat[3], ratio.reshape(-1, 1))
    excess, variance = (part.reshape(*batch, *cells).sum(axis=-1) for part in terms)
    variance = variance * np.asarray(dispersion, dtype=np.float64)
    there = variance > 0
    q = np.where(there, np.square(excess) / np.where(there, variance, 1.0), 0.0).sum(axis=-1)
    count = there.sum(axis=-1).astype(np.float64)
    several = (count > 1) & both
    df = np.where(several, count - 1, 1.0)
    more = 1 - df / np.maximum(q, np.maximum(df, 1.0))
    return Heterogeneity(
        np.where(several, q, 0.0),
        np.where(several, special.chdtrc(df, q), 1.0),
        np.where(several, more, 0.0),
        count,
    )


def log_ratios(
    baseline_events: ArrayLike,
    baseline_totals: ArrayLike,
    canary_events: ArrayLike,
    canary_totals: ArrayLike,
    *,
    dispersion: ArrayLike = 1.0,
) -> tuple[FloatArray, FloatArray]:
    r"""Give the logarithms of the strata's ratios of rates, and their standard errors, to hold strata against each other.

    Parameters
    ----------
    baseline_events, baseline_totals, canary_events, canary_totals : array_like
        Events of each stratum, and what they are of or their exposures; broadcast.
    dispersion : array_like
        How many times events vary more than independent ones do.

    Returns
    -------
    tuple of ndarray
        :math:`\log((x + \phi/2) / n) - \log((x' + \phi/2) / n')` with the error :math:`\sqrt{\phi / (x + \phi/2) + \phi / (x' + \phi/2)}`, at dispersion \phi: as for x / \phi events; NaN and infinite where an arm has no traffic, or neither an event.

    Examples
    --------
    >>> effect, error = log_ratios([40, 0], [2000, 9], [90, 0], [2000, 9])
    >>> effect.round(3).tolist(), error.round(3).tolist()
    ([0.804, nan], [0.189, inf])
    """
    xb, nb, xc, nc, times = floats(baseline_events, baseline_totals, canary_events, canary_totals, dispersion)
    known = (nb > 0) & (nc > 0) & (xb + xc > 0)
    canary, baseline = xc / times + _HALF, xb / times + _HALF
    totals = np.where(known, nb, 1.0) / np.where(known, nc, 1.0)
    effect = np.log(canary / baseline * totals)
    return np.where(known, effect, np.nan), np.where(known, np.sqrt(1 / canary + 1 / baseline), np.inf)
