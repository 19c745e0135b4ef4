r"""The rank test of two samples in each of several strata: van Elteren's, against a tolerated shift.

Points are compared within their segment alone, so that the mix of segments is no effect. With :math:`D_s(\delta)` the share of a stratum's differences ``canary_i - baseline_j`` below a shift, ties counted half,

.. math:: T(\delta) = \sum_s a_s \Bigl(\frac12 - D_s(\delta)\Bigr), \qquad a_s = \frac{n_s m_s}{n_s + m_s + 1}

is van Elteren's statistic [1]_: Wilcoxon's, each divided by the stratum's size + 1, the weights of the most power against one shift of all strata. The shift at which it is 0 is the weighted median of all differences, Hodges and
Lehmann's estimate for strata, and those at which it is the critical value are its bounds. The weights are known beforehand, so that the variance is plainly :math:`\sum a_s^2 \sigma_s^2`, with each stratum's own from its placements
(`canaryjudge.stats.rank_test`), however unequal spreads are and however points depend on each other in time.

References
----------
.. [1] P. H. van Elteren, "On the combination of independent two sample tests of Wilcoxon", Bulletin of the International Statistical Institute 37 (1960), 351-361.
.. [2] E. L. Lehmann, "Nonparametrics: statistical methods based on ranks" (1975), 132-137.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.differences import all_differences
from canaryjudge.stats.rank_test import (
    LARGEST_CRITICAL_VALUE,
    estimated_noise,
    placements,
    textbook_noise,
    waves_for,
)

__all__ = ["StratifiedShift", "van_elteren"]

_MOST_DIFFERENCES = 2**22
"""So many of all strata tell the bounds; of more, samples are thinned to fewer quantiles, which are off by a small part of a standard error."""
_EQUAL = 1e-12
"""Sums of weights that differ by less than this part are equal."""


@dataclass(frozen=True, slots=True)
class StratifiedShift:
    """What the strata's ranks say together; k limits and l levels.

    Attributes
    ----------
    estimate : ndarray, shape (...)
        Hodges-Lehmann shift of the canary against the baseline within strata, in the samples' unit.
    low, high : ndarray, shape (..., k, l)
        One-sided confidence bounds of the shift, each wrong with probability `level`; infinite where the ranks run out.
    pvalue_greater, pvalue_less : ndarray, shape (..., k)
        For the null hypotheses "shift <= limit" and "shift >= limit".
    statistic, df : ndarray, shape (..., k)
        The statistic over its standard error, and the degrees of freedom of that; infinite for the textbook method.
    abstains : ndarray of bool, shape (..., k, l)
        The level asks for more than variances known so roughly can tell; the bounds are infinite there.
    weights : ndarray, shape (S,)
        The strata's weights, 1 in sum.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    statistic: FloatArray
    df: FloatArray
    abstains: NDArray[np.bool_]
    weights: FloatArray


def van_elteren(
    baseline: Sequence[ArrayLike],
    canary: Sequence[ArrayLike],
    limits: ArrayLike,
    *,
    levels: ArrayLike = (0.01, 0.05),
    scales: ArrayLike = 1.0,
    method: Literal["robust", "asymptotic"] = "robust",
    size: float = 0.0,
) -> StratifiedShift:
    """Test whether the canary is shifted beyond limits, stratum by stratum.

    Parameters
    ----------
    baseline : sequence of array_like, shapes (..., n_s)
        The points of each stratum, in order of time, in a unit in which one shift of all strata makes sense: logarithms, or parts of the stratum's baseline median.
    canary : sequence of array_like, shapes (..., m_s)
        The canary's, of the same strata.
    limits : array_like, shape (..., k) or (k,)
        Shifts to test against, in the samples' unit.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds.
    scales : array_like, shape (..., k) or (k,)
        What the baseline's noise is multiplied by at each limit, as `canaryjudge.stats.rank_test.shift_test` takes it.
    method : {"robust", "asymptotic"}
        Variances from the strata's own placements, or those of independent points without a shift, the textbook test.
    size : float
        Points are rounded as numbers of this size at least: of logarithms 1.

    Returns
    -------
    StratifiedShift
        Estimate, bounds, p-values.

    Raises
    ------
    ValueError
        There is no stratum, the arms' numbers of strata differ, or a stratum has fewer than two points of an arm.

    Examples
    --------
    Neither segment is slower, and three quarters of the canary's points are of the slow one, a quarter of the baseline's:

    >>> rng = np.random.default_rng(1)
    >>> baseline = [rng.normal(100, 5, 150), rng.normal(200, 5, 50)]
    >>> canary = [rng.normal(100, 5, 50), rng.normal(200, 5, 150)]
    >>> found = van_elteren(baseline, canary, [0.0])
    >>> round(float(np.median(np.concatenate(canary)) - np.median(np.concatenate(baseline)))), round(float(found.estimate), 1)
    (96, -0.5)
    """
    if not baseline or len(baseline) != len(canary):
        raise ValueError(
            f"both arms need the same strata, at least one; found {len(baseline)} and {len(canary)}"
        )
    first, second = ([np.asarray(part, dtype=np.float64) for part in arm] for arm in (baseline, canary))
    if min(part.shape[-1] for part in (*first, *second)) < 2:
        raise ValueError("each stratum needs two points of both arms")
    at, wanted = np.asarray(limits, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    factor = np.broadcast_to(np.asarray(scales, dtype=np.float64), at.shape)
    batch = np.broadcast_shapes(at.shape[:-1], *(part.shape[:-1] for part in (*first, *second)))
    rows = int(np.prod(batch))

    def flat(part: FloatArray) -> FloatArray:
        return np.broadcast_to(part, (*batch, part.shape[-1])).reshape(rows, -1)

    first, second = [flat(part) for part in first], [flat(part) for part in second]
    at, factor = flat(at), flat(factor)
    pairs = np.array([float(one.shape[1] * two.shape[1]) for one, two in zip(first, second, strict=True)])
    weights = pairs / np.array(
        [one.shape[1] + two.shape[1] + 1 for one, two in zip(first, second, strict=True)]
    )
    weights = weights / weights.sum()
    excess, variance, doubt = np.zeros(at.shape), np.zeros(at.shape), np.zeros(at.shape)
    for one, two, weight in zip(first, second, weights, strict=True):
        differences = all_differences(one, two, size)
        if method == "robust":
            placed = placements(one, two, differences.median(), size, differences.samples)
            noise = estimated_noise(placed, factor, concurrent=False, waves=waves_for(wanted))
        else:
            noise = textbook_noise(one, two, at, size)
        own = np.square(weight * noise.standard_error)
        excess += weight * (0.5 - differences.below(at))
        variance += own
        doubt += np.square(own) / noise.df
    error = np.sqrt(variance)
    df = np.where(doubt > 0, np.square(variance) / np.where(doubt > 0, doubt, 1.0), np.inf)
    statistic = excess / error
    critical = -special.stdtrit(df[..., None], wanted)
    abstains = critical > LARGEST_CRITICAL_VALUE
    width = np.where(abstains, np.inf, critical * error[..., None])
    estimate, low, high = _inverted(first, second, weights, width)
    wide, shape = (*batch, *width.shape[1:]), (*batch, at.shape[1])
    return StratifiedShift(
        estimate.reshape(batch),
        low.reshape(wide),
        high.reshape(wide),
        special.stdtr(df, -statistic).reshape(shape),
        special.stdtr(df, statistic).reshape(shape),
        statistic.reshape(shape),
        df.reshape(shape),
        abstains.reshape(wide),
        weights,
    )


def _inverted(
    baseline: list[FloatArray], canary: list[FloatArray], weights: FloatArray, width: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Find the shifts at which the statistic is 0, and those at which it is a width of shape (rows, k, l) above and below."""
    most = int(np.sqrt(_MOST_DIFFERENCES / len(weights)))
    if (
        sum(one.shape[1] * two.shape[1] for one, two in zip(baseline, canary, strict=True))
        > _MOST_DIFFERENCES
    ):
        baseline, canary = ([_thinned(part, most) for part in arm] for arm in (baseline, canary))
    sizes = [one.shape[1] * two.shape[1] for one, two in zip(baseline, canary, strict=True)]
    each = np.repeat(weights / sizes, sizes)
    estimate, low, high = np.empty(len(width)), np.empty(width.shape), np.empty(width.shape)
    for row in range(len(width)):
        differences = np.concatenate(
            [np.subtract.outer(two[row], one[row]).ravel() for one, two in zip(baseline, canary, strict=True)]
        )
        order = np.argsort(differences)
        ascending, reached = differences[order], np.cumsum(each[order])
        half = reached[-1] / 2
        ends = np.searchsorted(reached, [half * (1 - _EQUAL), half * (1 + _EQUAL)])
        estimate[row] = ascending[ends].mean()
        # below the lower bound no more differences lie than a half less the width, and above the upper one
        last = len(ascending) - 1
        from_start = np.searchsorted(reached, np.maximum(half - width[row], 0.0), side="right")
        low[row] = np.where(width[row] < half, ascending[np.minimum(from_start, last)], -np.inf)
        to_end = np.searchsorted(reached, np.minimum(half + width[row], 2 * half) * (1 - _EQUAL))
        high[row] = np.where(width[row] < half, ascending[np.minimum(to_end, last)], np.inf)
    return estimate, low, high


def _thinned(rows: FloatArray, most: int) -> FloatArray:
    n = rows.shape[1]
    ascending = np.sort(rows, axis=1)
    return ascending if n <= most else ascending[:, ((np.arange(most) + 0.5) * n / most).astype(np.intp)]
