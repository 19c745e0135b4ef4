r"""One effect of many strata: what segments of the traffic say together, each compared within itself.

Pooled over segments, arms of different mixes of them differ by the mix. The mean of the segments' own effects :math:`\sum_s p_s x_s` does not, whatever the weights are. The best weights are the
reciprocals of the variances, which are estimates themselves: series of minutes know their long-run variance with few degrees of freedom. Weights that vary with the noise make the mean vary more
than :math:`1 / \sum_s \hat w_s`, which is itself too small; for both Meier [1]_ has the correction, with f - 4 in place of f by Cochran and Carroll [2]_, and one less here, so that small levels hold as well:

.. math:: V = \frac{1}{W} \Bigl(1 + 4 \sum_s \frac{1}{f_s - 5} \, p_s (1 - p_s)\Bigr), \qquad \frac1f = \sum_s \frac{p_s^2}{f_s}, \qquad p_s = \hat w_s / W, \quad W = \sum_s \hat w_s

Weights that are given beforehand, such as the baseline's mix (direct standardization), have the plain variance :math:`\sum_s p_s^2 e_s^2` with Satterthwaite's degrees of freedom.

References
----------
.. [1] P. Meier, "Variance of a weighted mean", Biometrics 9 (1953), 59-73.
.. [2] W. G. Cochran and S. P. Carroll, "A sampling investigation of the efficiency of weighting inversely as the estimated variance", Biometrics 9 (1953), 447-459.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray, floats, t_pvalues

__all__ = ["CommonEffect", "common_effect", "student_error", "weighted_mean"]

_FINEST = 1e-6
"""A stratum's standard error counts as no less than this part of the largest."""
_LESS_FREEDOM, _LEAST_FREEDOM = 5.0, 1.0
"""What is taken from the degrees of freedom for the correction, and what is left of them at least."""


@dataclass(frozen=True, slots=True)
class CommonEffect:
    """What the strata say together; k limits and l levels.

    Attributes
    ----------
    estimate : ndarray, shape (...)
        Weighted mean of the strata's effects; NaN where no stratum has one.
    standard_error, df : ndarray, shape (...)
        Its standard error, and the degrees of freedom with which that is known.
    low, high : ndarray, shape (..., l)
        One-sided confidence bounds, each wrong with probability `level`; infinite where nothing is known.
    pvalue_greater, pvalue_less : ndarray, shape (..., k)
        For the null hypotheses "the mean is at most the limit" and "at least"; 1 where nothing is known.
    weights : ndarray, shape (..., S)
        Weights of the strata, 1 in sum; 0 of those without an effect.
    """

    estimate: FloatArray
    standard_error: FloatArray
    df: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    weights: FloatArray


def common_effect(
    estimates: ArrayLike,
    errors: ArrayLike,
    df: ArrayLike,
    limits: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    levels: ArrayLike = (0.01, 0.05),
) -> CommonEffect:
    """Test the strata's mean effect against limits.

    Parameters
    ----------
    estimates : array_like, shape (..., S)
        Each stratum's effect, all in one additive scale (a shift over the baseline's median, a log ratio, a difference); NaN where a stratum has none.
    errors : array_like, shape (..., S)
        Their standard errors; infinite where nothing is known.
    df : array_like, shape (..., S) or fewer axes
        Degrees of freedom of these.
    limits : array_like, shape (..., k) or (k,)
        Effects to test against.
    weights : array_like, shape (..., S), optional
        Weights that do not depend on the estimates, at least 0; those of strata without an effect are left out. By default the reciprocals of the squared errors.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds.

    Returns
    -------
    CommonEffect
        Estimate, bounds, p-values. A limit lies below `low` just where `pvalue_greater` is below the level.

    Notes
    -----
    By simulation (tests/stats/test_common_effect.py) levels of 5 to .1 % hold from 8 degrees of freedom on, of two to fifty strata whose noise differs tenfold; of fewer weights have to be given.

    It is a mean: where strata differ, it is that of these strata at these weights. If no stratum is beyond a limit, the mean is not, so that it proves some stratum to be.

    Examples
    --------
    >>> found = common_effect([0.1, 0.3], [0.1, 0.2], np.inf, [0.0])
    >>> round(float(found.estimate), 3), round(float(found.standard_error), 4), round(float(found.pvalue_greater[0]), 4)
    (0.14, 0.0894, 0.0588)
    """
    at, wanted = np.asarray(limits, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    mean, error, freedom, parts = weighted_mean(estimates, errors, df, weights=weights)
    unknown = np.isnan(mean)[..., None]
    pvalues = t_pvalues(np.where(unknown, 0.0, mean[..., None] - at), error[..., None], freedom[..., None])
    reach = -special.stdtrit(freedom[..., None], wanted) * error[..., None]
    low, high = mean[..., None] - reach, mean[..., None] + reach
    return CommonEffect(
        mean,
        error,
        freedom,
        np.where(unknown, -np.inf, low),
        np.where(unknown, np.inf, high),
        np.where(unknown, 1.0, pvalues.greater),
        np.where(unknown, 1.0, pvalues.less),
        parts,
    )


def weighted_mean(
    estimates: ArrayLike, errors: ArrayLike, df: ArrayLike, *, weights: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Give the strata's mean effect, its standard error, its degrees of freedom and the weights, as `common_effect` has them.

    Parameters
    ----------
    estimates, errors, df, weights
        As `common_effect` takes them.

    Returns
    -------
    tuple of ndarray, shapes (...), (...), (...) and (..., S)
        The mean is NaN, and its error infinite, where no stratum has an effect.

    Examples
    --------
    >>> mean, error, freedom, _ = weighted_mean([1.0, 3.0], [0.3, 0.4], [10, 10], weights=[1, 1])
    >>> float(mean), float(error), round(float(freedom), 2)
    (2.0, 0.25, 18.55)
    """
    # of one layout in memory, so that sums have the same bits
    x, e, f = (np.ascontiguousarray(part) for part in floats(estimates, errors, df))
    there = np.isfinite(x) & np.isfinite(e)
    largest = np.where(there, e, 0.0).max(axis=-1, keepdims=True, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)
    own = np.where(there, e, 0.0) / scale
    if weights is None:
        raw = np.where(there, 1 / np.square(np.maximum(own, _FINEST)), 0.0)
    else:
        raw = np.where(there, np.broadcast_to(np.asarray(weights, dtype=np.float64), x.shape), 0.0)
    total = raw.sum(axis=-1, keepdims=True)
    known = total[..., 0] > 0
    parts = raw / np.where(total > 0, total, 1.0)
    mean = (parts * np.where(there, x, 0.0)).sum(axis=-1)
    squares = np.square(parts * own)
    variance = squares.sum(axis=-1)
    if weights is None:
        freedom = np.square(parts) / f
        doubt = parts * (1 - parts) / np.maximum(f - _LESS_FREEDOM, _LEAST_FREEDOM)
        variance = variance * (1 + 4 * doubt.sum(axis=-1))
        doubts = freedom.sum(axis=-1)
    else:
        some = variance > 0
        shares = squares / np.where(some, variance, 1.0)[..., None]
        doubts = (np.square(shares) / f).sum(axis=-1)
    with np.errstate(divide="ignore"):
        freedom = 1 / doubts
    error = np.sqrt(variance) * scale[..., 0]
    return (
        np.where(known, mean, np.nan),
        np.where(known, error, np.inf),
        np.where(known, freedom, np.inf),
        parts,
    )


def student_error(half_width: ArrayLike, level: ArrayLike, df: ArrayLike) -> FloatArray:
    """Give the standard error at which Student's t has a half-width that another law has.

    Tests of minutes (`canaryjudge.stats.paired_shift`) and of few events have half-widths of laws that are no t distribution; at one level they are as wide as that of one.

    Parameters
    ----------
    half_width : array_like
        Estimate minus lower bound, at least 0; infinite where nothing is known.
    level : array_like
        One-sided error rate of the bound, below .5.
    df : array_like
        Degrees of freedom of the t distribution.

    Returns
    -------
    ndarray
        Broadcast.

    Examples
    --------
    >>> round(float(student_error(2.5758293, 0.005, np.inf)), 6)
    1.0
    """
    reach, wanted, freedom = floats(half_width, level, df)
    return np.asarray(reach / -special.stdtrit(freedom, wanted))
