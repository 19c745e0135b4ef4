"""Overdispersion of counts between intervals, and tests that allow for it.

Errors come in bursts, so that counts of neighboring minutes vary by more than binomial or Poisson counts do, and tests that
believe in the latter cry wolf. The factor by which the variance is larger is estimated here from the intervals; the caller
divides events and totals by it, tests those, and tempers the p-value for the factor's being an estimate.

References
----------
.. [1] P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd ed. (1989), section 4.5.
.. [2] N. E. Breslow and N. E. Day, *Statistical Methods in Cancer Research I* (1980), section 4.4.
.. [3] N. Mantel and W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease",
       J. National Cancer Institute 22 (1959), 719-748.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import FloatArray, floats
from canaryjudge.stats.long_run import long_run_variance

__all__ = [
    "FEWEST_WATCHED_INTERVALS",
    "UNKNOWN_DISPERSION",
    "Dispersion",
    "Family",
    "bursts_outlast",
    "dispersion",
    "overdispersion",
    "pooled_dispersion",
    "temper",
    "tempered_level",
]

Family = Literal["binomial", "poisson"]

_FEWEST_INTERVALS = 3
_SIGNIFICANCE = 0.1
"""Below this p-value there is overdispersion; see `dispersion`."""
FEWEST_WATCHED_INTERVALS: Final = 10
"""Fewer intervals with events tell too little of how much they vary."""
UNKNOWN_DISPERSION: Final = 4.0
"""What stands for the dispersion until then, where nothing is known: errors of real services come in bursts."""
_STATED_INTERVALS = 60
"""What a stated dispersion weighs against the run's own, in intervals."""
_FEWEST_EFFECTIVE = 4.0
"""Bursts so long that they leave fewer independent intervals than this can prove neither a fail nor a pass."""
_SMALLEST_PVALUE = 1e-300
"""Smaller p-values are tempered as this one: their normal deviate is no longer a float."""


@dataclass(frozen=True, slots=True)
class Dispersion:
    """How much more the counts vary between intervals than binomial or Poisson counts do.

    Attributes
    ----------
    factor : ndarray
        Ratio of the variances, at least 1; exactly 1 unless there is evidence of overdispersion.
    df : ndarray
        Degrees of freedom with which the factor is known; inf where it is 1.
    pvalue : ndarray
        P-value of the evidence of overdispersion; 1 where there are too few intervals to tell.
    """

    factor: FloatArray
    df: FloatArray
    pvalue: FloatArray


class _Evidence(NamedTuple):
    """Sums over intervals, which add up over arms."""

    pearson: FloatArray
    df: FloatArray
    long_run: FloatArray
    """Long-run variance times its degrees of freedom."""
    long_run_df: FloatArray


def dispersion(events: ArrayLike, totals: ArrayLike, *, family: Family) -> Dispersion:
    """Estimate the overdispersion of one arm around its pooled proportion or rate.

    Standardized residuals are z = (x - n p) / sqrt(n p (1 - p)), without 1 - p for counts, with p = sum(x) / sum(n).
    Pearson's estimate is sum(z**2) / (K - 1) [1]_. It is right where intervals are independent; bursts last longer
    than an interval, and so the factor is the larger of Pearson's and the long-run variance of z.

    The factor is 1 unless sum(z**2) is significant by the chi-squared distribution with K - 1 degrees of freedom, at
    .1: to divide by a factor that is not there costs power (and degrees of freedom) in most metrics, whereas one that
    is missed at .1 is small.

    Parameters
    ----------
    events : array_like, shape (..., K)
        Events of each interval, in order of time.
    totals : array_like, shape (..., K)
        What they are of (binomial) or their exposures (poisson). Intervals with a total of 0 are left out.
    family : {"binomial", "poisson"}
        How the events vary where nothing bursts.

    Returns
    -------
    Dispersion
        Arrays of shape (...). Of fewer than 3 intervals the factor is 1.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> found = dispersion([1, 9, 0, 14, 2, 4, 12, 0], [1000] * 8, family="poisson")
    >>> round(float(found.factor), 3), float(found.df), bool(found.pvalue < 1e-6)
    (6.027, 7.0, True)
    """
    x, n = floats(events, totals)
    return _decide(_arm(x, n, family))


def pooled_dispersion(
    baseline_events: ArrayLike,
    baseline_totals: ArrayLike,
    canary_events: ArrayLike,
    canary_totals: ArrayLike,
    *,
    concurrent: bool,
    family: Family,
) -> Dispersion:
    """Estimate the overdispersion that two arms have in common.

    For windows at different times the evidence of `dispersion` is added up over the arms. For concurrent arms
    only what they do not share counts: given the events m of both arms in an interval, those of the canary are
    binomial with the share pi = r n_c / (r n_c + n_b), where r is the pooled ratio (Mantel and Haenszel's [3]_, which is
    that of the sums where the split is constant), and z = (x_c - m pi) / sqrt(m pi (1 - pi)). For
    proportions, which need not be small, it is the hypergeometric version of this: Breslow and Day's expectation and
    variance given a common odds ratio [2]_. Where an arm has no events, the split says nothing, and the arms' own
    dispersion is used.

    Parameters
    ----------
    baseline_events, baseline_totals : array_like, shape (..., K_b)
        Events of each of the baseline's intervals in order of time, and what they are of.
    canary_events, canary_totals : array_like, shape (..., K_c)
        The same of the canary.
    concurrent : bool
        Whether the intervals of the arms are the same (K_b = K_c).
    family : {"binomial", "poisson"}
        How the events vary where nothing bursts.

    Returns
    -------
    Dispersion
        Arrays of shape (...). Of fewer than 3 intervals the factor is 1.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    A burst that both arms share makes no difference to their ratio:

    >>> baseline, canary, totals = [4, 6, 80, 5, 3], [5, 4, 86, 3, 4], [1000] * 5
    >>> [
    ...     round(float(pooled_dispersion(baseline, totals, canary, totals, concurrent=c, family="poisson").factor), 1)
    ...     for c in (True, False)
    ... ]
    [1.0, 62.9]
    """
    xb, nb = floats(baseline_events, baseline_totals)
    xc, nc = floats(canary_events, canary_totals)
    own = _Evidence(*(b + c for b, c in zip(_arm(xb, nb, family), _arm(xc, nc, family), strict=True)))
    if not concurrent:
        return _decide(own)
    split = _split_odds(xb, nb, xc, nc) if family == "binomial" else _split_rates(xb, nb, xc, nc)
    informative = np.isfinite(split.pearson) & (xb.sum(axis=-1) > 0) & (xc.sum(axis=-1) > 0)
    return _decide(_Evidence(*(np.where(informative, s, o) for s, o in zip(split, own, strict=True))))


def overdispersion(pearsons: ArrayLike, intervals: ArrayLike, stated: ArrayLike | None = None) -> FloatArray:
    """Tell how many times the counts vary more than independent events do, on the safe side.

    Parameters
    ----------
    pearsons : array_like, shape (...)
        Squared standardized residuals (`canaryjudge.stats.count_processes.pearson`) at the estimated ratio, added up over intervals.
    intervals : array_like, shape (...)
        Intervals that had events.
    stated : array_like, shape (...), optional
        What is known from before; it weighs as much as 60 intervals.

    Returns
    -------
    ndarray, shape (...)
        At least 1. Of fewer than ten intervals what was stated, or 4. From then on Pearson's estimate (with the stated one) plus half a
        standard error: fewer runs of bursty counts are then taken for calm ones.

    Examples
    --------
    >>> overdispersion([0.0, 8.0, 60.0], [5, 10, 31]).round(2).tolist()
    [4.0, 1.1, 2.26]
    """
    chi2, count = np.asarray(pearsons, dtype=np.float64), np.asarray(intervals, dtype=np.float64)
    before = np.asarray(UNKNOWN_DISPERSION if stated is None else stated, dtype=np.float64)
    weight = 0.0 if stated is None else _STATED_INTERVALS
    own = np.maximum(count - 1, 1.0)
    estimate = (chi2 * (1 + 0.5 * np.sqrt(2 / own)) + weight * before) / (own + weight)
    return np.where(count < FEWEST_WATCHED_INTERVALS, before, np.maximum(estimate, 1.0))


def bursts_outlast(intervals: ArrayLike, rho: ArrayLike) -> NDArray[np.bool_]:
    """Tell whether bursts leave too few independent intervals to prove anything; without bursts, one is enough.

    Parameters
    ----------
    intervals : array_like
        Number of intervals.
    rho : array_like
        Lag-1 autocorrelation of their rates, 0 where there is no overdispersion.

    Returns
    -------
    ndarray of bool
        Whether as many independent intervals as would say the same are too few, broadcast.
    """
    count, shown = floats(intervals, rho)
    return np.asarray((shown > 0) & (count * (1 - shown) / (1 + shown) < _FEWEST_EFFECTIVE))


def temper(pvalue: ArrayLike, df: ArrayLike) -> FloatArray:
    """Allow a one-sided p-value for an estimated dispersion factor.

    The p-value's normal deviate is referred to a t distribution: p' = T_df.sf(norm.isf(p)).

    Parameters
    ----------
    pvalue : array_like
        One-sided p-values of events and totals divided by the factor.
    df : array_like
        Degrees of freedom of the factor, as `Dispersion.df`; inf changes nothing.

    Returns
    -------
    ndarray
        Tempered p-values, broadcast.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    `pt(qnorm(.01), 10)` in R gives .02115635:

    >>> round(float(temper(0.01, 10)), 8)
    0.02115635
    """
    pvalue, df = floats(pvalue, df)
    finite = np.isfinite(df)
    deviate = special.ndtri(np.maximum(pvalue, _SMALLEST_PVALUE))
    return np.where(finite, special.stdtr(np.where(finite, df, 1.0), deviate), pvalue)


def tempered_level(level: ArrayLike, df: ArrayLike) -> FloatArray:
    """Give the level at which a bound is to be computed so that it agrees with tempered p-values.

    The inverse of `temper`: norm.sf(T_df.isf(level)).

    Parameters
    ----------
    level : array_like
        Error probability that the bound shall have.
    df : array_like
        Degrees of freedom of the factor, as `Dispersion.df`; inf changes nothing.

    Returns
    -------
    ndarray
        Levels for the bounds, broadcast; 0 (no bound) where no p-value is ever tempered to below `level`.

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    >>> round(float(temper(tempered_level(0.01, 10), 10)), 12)
    0.01
    """
    level, df = floats(level, df)
    finite = np.isfinite(df)
    inner = special.ndtr(special.stdtrit(np.where(finite, df, 1.0), level))
    return np.where(finite, np.where(inner > _SMALLEST_PVALUE, inner, 0.0), level)


def _decide(evidence: _Evidence) -> Dispersion:
    """Turn sums over intervals into a factor, unless there are too few intervals or no evidence of one."""
    pearson, df, long_run, long_run_df = evidence
    enough = df >= _FEWEST_INTERVALS - 1
    pvalue = np.where(enough, special.chdtrc(np.maximum(df, 1.0), pearson), 1.0)
    short = pearson / np.maximum(df, 1.0)
    long = np.where(long_run_df > 0, long_run / np.maximum(long_run_df, 1e-9), 0.0)
    factor = np.maximum(np.maximum(short, long), 1.0)
    found = pvalue < _SIGNIFICANCE
    known = np.where(long > short, long_run_df, df)
    return Dispersion(np.where(found, factor, 1.0), np.where(found, known, np.inf), pvalue)


def _evidence(excess: FloatArray, variance: FloatArray) -> _Evidence:
    """Sum up residuals of shape (..., K); intervals with a variance of 0 say nothing."""
    used = variance > 0
    z = np.where(used, excess / np.sqrt(np.where(used, variance, 1.0)), 0.0)
    count, intervals = used.sum(axis=-1), excess.shape[-1]
    pearson, df = np.square(z).sum(axis=-1), np.maximum(count - 1.0, 0.0)
    if intervals < _FEWEST_INTERVALS:
        return _Evidence(pearson, df, np.zeros_like(pearson), np.zeros_like(pearson))
    run = long_run_variance(z)
    # silent intervals dilute the long-run variance of the others
    long_run_df = np.where(count >= _FEWEST_INTERVALS, run.df, 0.0)
    return _Evidence(
        pearson, df, long_run_df * run.variance * intervals / np.maximum(count, 1.0), long_run_df
    )


def _arm(events: FloatArray, totals: FloatArray, family: Family) -> _Evidence:
    """Return the evidence of one arm around its pooled proportion or rate."""
    exposure = totals.sum(axis=-1, keepdims=True)
    pooled = events.sum(axis=-1, keepdims=True) / np.where(exposure > 0, exposure, 1.0)
    expected = totals * pooled
    return _evidence(events - expected, expected * (1 - pooled) if family == "binomial" else expected)


def _split_rates(xb: FloatArray, nb: FloatArray, xc: FloatArray, nc: FloatArray) -> _Evidence:
    """Return the evidence of the canary's share of the events of each interval."""
    total = np.maximum(nb + nc, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (xc * nb / total).sum(axis=-1, keepdims=True) / (xb * nc / total).sum(axis=-1, keepdims=True)
        share = ratio * nc / (ratio * nc + nb)
        both = xb + xc
        return _evidence(xc - both * share, both * share * (1 - share))


def _split_odds(xb: FloatArray, nb: FloatArray, xc: FloatArray, nc: FloatArray) -> _Evidence:
    """Return the evidence of the canary's events given those of both arms, with a common odds ratio."""
    total = np.maximum(nb + nc, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = (xc * (nb - xb) / total).sum(axis=-1, keepdims=True) / (xb * (nc - xc) / total).sum(
            axis=-1, keepdims=True
        )
        both = xb + xc
        # the expected table has margins both, n_b, n_c and the odds ratio: the smaller root of a quadratic in a
        linear = odds * (both + nc) + nb - both
        a = (
            2
            * odds
            * both
            * nc
            / (linear + np.sqrt(np.maximum(linear**2 - 4 * (odds - 1) * odds * both * nc, 0.0)))
        )
        variance = 1 / (1 / a + 1 / (both - a) + 1 / (nc - a) + 1 / (nb - both + a))
        return _evidence(xc - a, np.where((both > 0) & (both < nb + nc), variance, 0.0))
