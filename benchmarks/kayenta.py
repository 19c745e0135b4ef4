"""Kayenta's judge of one metric, `NetflixACAJudge-v1.0`.

After the source, spinnaker/kayenta a69573be (Apache-2.0). Numbers and labels are its own: the constants, the
root finder with its absolute tolerance, and the order of the rules. Options are left at their defaults
(missing points removed, outliers kept, mean ratio as the effect size) except for the allowed increase and
decrease. The interval agrees with the real judge's to the last bit, unless the data hold a negative zero,
which Kayenta sets apart from zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

__all__ = ["kayenta_label", "shift_interval"]

_TOLERANCE = 0.25
_Z = 2.326347874040841
_NOISE = 1e-5
_ROOT_TOLERANCE = 1e-4
_ROOT_STEPS = 1001

FloatArray = NDArray[np.float64]


def kayenta_label(
    baseline: FloatArray, canary: FloatArray, allowed_increase: float = 1.0, allowed_decrease: float = 1.0
) -> int:
    """Classify one metric in either direction: 1 for High, -1 for Low, 0 for Pass, Nodata and Error.

    Parameters
    ----------
    baseline, canary : ndarray, shapes (n,) and (m,)
        Points, without missing ones.
    allowed_increase, allowed_decrease : float
        High needs a ratio of the means of at least the one, Low of at most the other.

    Returns
    -------
    int
        The label. Kayenta's noise on two constant arms is unseeded; here it is seeded, so that a run can be
        repeated.

    Examples
    --------
    >>> kayenta_label(np.arange(100.0, 160.0), np.arange(130.0, 190.0))
    1
    """
    if not len(baseline) or not len(canary) or np.array_equal(np.sort(baseline), np.sort(canary)):
        return 0
    if np.unique(canary).size == np.unique(baseline).size == 1:
        if canary[0] == baseline[0]:
            return 0
        rng = np.random.default_rng(0)
        canary, baseline = (
            arm + rng.normal(0, 1, len(arm)) * (arm[0] * _NOISE) for arm in (canary, baseline)
        )
    try:
        low, high, estimate = shift_interval(baseline, canary)
    except ZeroDivisionError:
        return 0
    means = canary.mean(), baseline.mean()
    effect = means[0] / means[1] if all(means) else np.nan
    bound = _TOLERANCE * abs(estimate)
    if low > bound and not effect < allowed_increase:  # written so that an effect of NaN counts
        return 1
    if high < -bound and not effect > allowed_decrease:
        return -1
    return 0


def shift_interval(baseline: FloatArray, canary: FloatArray) -> tuple[float, float, float]:
    """Give the 98 % interval of the canary's shift, and its estimate.

    This is R's asymptotic ``wilcox.test(conf.int=TRUE)``, as Kayenta ported it.

    Raises
    ------
    ZeroDivisionError
        If all points are tied at a shift, which Kayenta labels Error.
    """
    first, second = np.sort(baseline), np.sort(canary)
    ends = float(second[0] - first[-1]), float(second[-1] - first[0])
    score = partial(_standardized, first, second)
    low, high = (_bounded_root(partial(score, quantile=quantile), *ends) for quantile in (_Z, -_Z))
    return low, high, _root(partial(score, quantile=0.0), *ends)


def _standardized(baseline: FloatArray, canary: FloatArray, shift: float, *, quantile: float) -> float:
    """Standardize the rank sum of the shifted canary, corrected for continuity and ties; both are sorted."""
    n, m = len(baseline), len(canary)
    moved = canary - shift
    doubled = np.searchsorted(baseline, moved, "left").sum() + np.searchsorted(baseline, moved, "right").sum()
    excess = float(doubled) / 2 - n * m / 2
    pool = np.sort(np.concatenate([moved, baseline]))
    sizes = np.diff(np.flatnonzero(np.concatenate([[True], pool[1:] != pool[:-1], [True]]))).astype(
        np.float64
    )
    ties = float((sizes**3 - sizes).sum())
    sigma = (n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1)))) ** 0.5
    return (excess - 0.5 * float(np.sign(excess))) / sigma - quantile


def _bounded_root(function: Callable[[float], float], low: float, high: float) -> float:
    if function(low) <= 0:
        return low
    if function(high) >= 0:
        return high
    return _root(function, low, high)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find a root as R's ``zeroin2`` does (Brent 1973); the absolute tolerance shows on small values."""
    previous, best = low, high
    f_previous, f_best = function(low), function(high)
    other, f_other = previous, f_previous
    for end, value in ((previous, f_previous), (best, f_best)):
        if value == 0:
            return end
    for _ in range(_ROOT_STEPS):
        last_step = best - previous
        if abs(f_other) < abs(f_best):
            previous, best, other = best, other, best
            f_previous, f_best, f_other = f_best, f_other, f_best
        tolerance = 2 * np.finfo(float).eps * abs(best) + _ROOT_TOLERANCE / 2
        step = (other - best) / 2
        if abs(step) <= tolerance or f_best == 0:
            return best
        if abs(last_step) >= tolerance and abs(f_previous) > abs(f_best):
            span, ratio = other - best, f_best / f_previous
            if previous == other:
                p, q = span * ratio, 1 - ratio
            else:
                of_other, to_other = f_previous / f_other, f_best / f_other
                p = ratio * (span * of_other * (of_other - to_other) - (best - previous) * (to_other - 1))
                q = (of_other - 1) * (to_other - 1) * (ratio - 1)
            q, p = (-q, p) if p > 0 else (q, -p)
            if p < 0.75 * span * q - abs(tolerance * q) / 2 and p < abs(last_step * q / 2):
                step = p / q
        if abs(step) < tolerance:
            step = tolerance if step > 0 else -tolerance
        previous, f_previous = best, f_best
        best += step
        f_best = function(best)
        if (f_best > 0) == (f_other > 0) and (f_best < 0) == (f_other < 0):
            other, f_other = previous, f_previous
    return best
