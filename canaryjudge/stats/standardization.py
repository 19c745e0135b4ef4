r"""Whether two arms have one mix of segments, and what a difference of the mixes makes of a pooled number.

The pooled levels of two arms are means of the segments' levels weighted by each arm's own mix. Their difference has two parts [1]_, one of the segments' own differences at the baseline's mix (direct standardization) and one of the mix alone:

.. math:: \sum_s q_s y_s - \sum_s p_s x_s = \sum_s p_s (y_s - x_s) + \sum_s (q_s - p_s) \, y_s

Where the second part is large, the pooled number misleads, and may have the wrong sign (Simpson's paradox [2]_).

References
----------
.. [1] E. M. Kitagawa, "Components of a difference between two rates", J. American Statistical Association 50 (1955), 1168-1194.
.. [2] E. H. Simpson, "The interpretation of interaction in contingency tables", J. Royal Statistical Society B 13 (1951), 238-241.
.. [3] J. N. K. Rao and A. J. Scott, "The analysis of categorical data from complex sample surveys", J. American Statistical Association 76 (1981), 221-230.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray, floats

__all__ = ["MixTest", "Standardized", "mix_test", "standardized"]


@dataclass(frozen=True, slots=True)
class MixTest:
    """How the mixes of two arms differ.

    Attributes
    ----------
    statistic, df, pvalue : ndarray, shape (...)
        Pearson's chi-squared for "both arms have one mix", over the dispersion, its degrees of freedom and its p-value; 1 where fewer than two segments have traffic, or an arm has none.
    moved : ndarray, shape (...)
        The part of the canary's traffic that would have to be of other segments for it to have the baseline's mix (total variation), from 0 to 1.
    largest : ndarray of int, shape (...)
        The segment whose part of the arms' traffic differs most.
    """

    statistic: FloatArray
    df: FloatArray
    pvalue: FloatArray
    moved: FloatArray
    largest: FloatArray


def mix_test(baseline: ArrayLike, canary: ArrayLike, *, dispersion: ArrayLike = 1.0) -> MixTest:
    """Test whether both arms have one mix of segments, which is whether all segments are split alike.

    Parameters
    ----------
    baseline, canary : array_like, shape (..., S)
        Independent requests, users or points of each segment.
    dispersion : array_like, shape (...)
        How many times these counts vary more than independent ones do [3]_, where they come in bursts.

    Returns
    -------
    MixTest
        Chi-squared of the table of segments and arms.

    Examples
    --------
    `chisq.test(rbind(c(800, 200), c(300, 700)))` with `correct = FALSE` in R gives X-squared = 505.05:

    >>> found = mix_test([800, 200], [300, 700])
    >>> round(float(found.statistic), 2), float(found.moved)
    (505.05, 0.5)
    """
    nb, nc = floats(baseline, canary)
    total = nb + nc
    sums = [part.sum(axis=-1, keepdims=True) for part in (nb, nc)]
    whole = sums[0] + sums[1]
    both = (sums[0] > 0) & (sums[1] > 0)
    share = np.where(both, sums[1] / np.where(whole > 0, whole, 1.0), 0.5)
    variance = total * share * (1 - share)
    there = variance > 0
    squares = np.where(there, np.square(nc - total * share) / np.where(there, variance, 1.0), 0.0)
    mixes = [part / np.where(both, total_of, 1.0) for part, total_of in zip((nb, nc), sums, strict=True)]
    apart = np.where(both, mixes[1] - mixes[0], 0.0)
    known = both[..., 0]
    df = np.where(known, np.maximum(there.sum(axis=-1) - 1.0, 0.0), 0.0)
    chi2 = np.where(known, squares.sum(axis=-1), 0.0) / np.asarray(dispersion, dtype=np.float64)
    pvalue = np.where(df > 0, special.chdtrc(np.maximum(df, 1.0), chi2), 1.0)
    return MixTest(chi2, df, pvalue, np.abs(apart).sum(axis=-1) / 2, np.abs(apart).argmax(axis=-1))


@dataclass(frozen=True, slots=True)
class Standardized:
    """The arms' levels pooled, and at the baseline's mix.

    Attributes
    ----------
    baseline, canary : ndarray, shape (...)
        Pooled levels, each at its own arm's mix; NaN where no segment has both arms.
    standardized : ndarray, shape (...)
        The canary's level at the baseline's mix.
    by_mix : ndarray, shape (...)
        The part of the pooled difference that the mix makes: `canary` - `standardized`.
    left_out : ndarray, shape (...)
        The part of both arms' traffic that is of segments without the other arm, which is in none of these.
    """

    baseline: FloatArray
    canary: FloatArray
    standardized: FloatArray
    by_mix: FloatArray
    left_out: FloatArray


def standardized(
    baseline_levels: ArrayLike, canary_levels: ArrayLike, baseline: ArrayLike, canary: ArrayLike
) -> Standardized:
    """Take the difference of pooled levels apart into the segments' own and that of the mix.

    Parameters
    ----------
    baseline_levels, canary_levels : array_like, shape (..., S)
        Each segment's level: its rate of events, or the mean or median of its points.
    baseline, canary : array_like, shape (..., S)
        Each segment's traffic.

    Returns
    -------
    Standardized
        Of rates, the pooled levels are those of all events over all traffic.

    Examples
    --------
    Neither segment is worse, and the canary has more of the slower one:

    >>> found = standardized([100.0, 200.0], [100.0, 200.0], [800, 200], [300, 700])
    >>> float(found.baseline), float(found.canary), float(found.standardized), float(found.by_mix)
    (120.0, 170.0, 120.0, 50.0)
    """
    x, y, nb, nc = floats(baseline_levels, canary_levels, baseline, canary)
    there = (nb > 0) & (nc > 0) & np.isfinite(x) & np.isfinite(y)
    x, y = (np.where(there, part, 0.0) for part in (x, y))
    mixes = []
    for part in (nb, nc):
        used = np.where(there, part, 0.0)
        total = used.sum(axis=-1, keepdims=True)
        mixes.append(used / np.where(total > 0, total, 1.0))
    known = there.any(axis=-1)
    levels = (
        np.where(known, (mix * level).sum(axis=-1), np.nan)
        for mix, level in ((mixes[0], x), (mixes[1], y), (mixes[0], y))
    )
    pooled_baseline, pooled_canary, at_baseline = levels
    whole = (nb + nc).sum(axis=-1)
    out = np.where(there, 0.0, nb + nc).sum(axis=-1) / np.where(whole > 0, whole, 1.0)
    return Standardized(pooled_baseline, pooled_canary, at_baseline, pooled_canary - at_baseline, out)
