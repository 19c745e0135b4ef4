"""Kayenta's confidence interval of a shift: R's asymptotic ``wilcox.test(conf.int=TRUE)``, as Kayenta ported it.

Facts after spinnaker/kayenta a69573be, kayenta-mannwhitney. Constants, the root finder with its absolute tolerance and the order of the
operations are Kayenta's, so that the numbers are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.pair import FloatArray

__all__ = ["AllTiedError", "RankScore", "ShiftInterval", "Z", "rank_sum", "shift_interval"]

Z: Final = 2.326347874040841
"""The quantile of Kayenta's level, 98 % two-sided, by its own approximation: one unit in the last place off the exact one."""
_ROOT_TOLERANCE: Final = 1e-4
_ROOT_STEPS: Final = 1001
_EPSILON: Final = 2.220446049250313e-16
_SMALLEST: Final = 5e-324
_ALL_BUT_SIGN: Final = np.int64(0x7FFF_FFFF_FFFF_FFFF)

IntArray = NDArray[np.int64]


class AllTiedError(ValueError):
    """All observations are tied at some shift, so that the statistic has no variance."""


@dataclass(frozen=True, slots=True)
class ShiftInterval:
    """Where the experiment lies above the control.

    Attributes
    ----------
    lower, upper, estimate : float
        In the metric's unit.
    """

    lower: float
    upper: float
    estimate: float


def shift_interval(control: FloatArray, experiment: FloatArray, z: float = Z) -> ShiftInterval:
    r"""Return the interval of the experiment's shift, and its estimate.

    Notes
    -----
    At a shift the score is :math:`(D - \operatorname{sign}(D) / 2) / \sigma`, where D is the rank sum of the experiment less what is
    expected, and :math:`\sigma^2 = \frac{nm}{12} (N + 1 - \frac{\sum t^3 - t}{N (N - 1)})` over groups of t tied points.

    Examples
    --------
    >>> shift_interval(np.arange(1.0, 5.0), np.arange(10.0, 50.0, 10.0), z=1.959963984540054)
    ShiftInterval(lower=6.0, upper=39.0, estimate=22.5)
    """
    score = RankScore(control, experiment)
    low, high = score.ends
    at_low, at_high = score(low), score(high)

    def root(quantile: float) -> float:
        return _root(
            lambda shift: score(shift) - quantile, (low, high), (at_low - quantile, at_high - quantile)
        )

    def bounded(quantile: float) -> float:
        if at_low - quantile <= 0:
            return low
        return high if at_high - quantile >= 0 else root(quantile)

    return ShiftInterval(bounded(z), bounded(-z), root(0.0))


def rank_sum(control: FloatArray, experiment: FloatArray) -> float:
    """Return the sum of the experiment's ranks among all points, tied ones sharing the mean of theirs."""
    return RankScore(control, experiment).ranks_at(0.0)


class RankScore:
    """The standardized rank sum of the experiment as a function of a shift that is taken off it.

    Both arms are sorted once; at each shift only the distinct values of the one are looked up among those of the other.
    """

    def __init__(self, control: FloatArray, experiment: FloatArray) -> None:
        self.ends = _least(experiment) - _largest(control), _largest(experiment) - _least(control)
        """The smallest and the largest difference of two points."""
        # by their keys: a sort of doubles may trade one zero for the other
        self._moving = experiment[np.argsort(_keys(experiment), kind="stable")]
        self._values, counts = np.unique(_keys(control), return_counts=True)
        self._counts = counts.astype(np.int64)
        self._below = np.concatenate([[0], np.cumsum(self._counts)])
        self._own_ties = float(_ties(self._counts))
        self._sizes = len(experiment), len(control)
        self._known: dict[str, float] = {}

    def __call__(self, shift: float) -> float:
        """Return the score at a shift; what was asked once is known."""
        key = shift.hex()
        if key not in self._known:
            self._known[key] = self._score(shift)
        return self._known[key]

    def ranks_at(self, shift: float) -> float:
        """Return the rank sum at a shift."""
        m = self._sizes[0]
        doubled, _ = self._counted(shift)
        return doubled / 2 + m * (m + 1) / 2

    def _score(self, shift: float) -> float:
        m, n = self._sizes
        doubled, ties = self._counted(shift)
        excess = doubled / 2 - m * n / 2
        variance = m * n / 12 * ((m + n + 1) - ties / ((m + n) * (m + n - 1)))
        sigma = math.sqrt(variance) if variance >= 0 else math.nan
        if sigma == 0:
            raise AllTiedError("cannot compute confidence interval when all observations are tied")
        return (excess - 0.5 * float(np.sign(excess))) / sigma

    def _counted(self, shift: float) -> tuple[float, float]:
        """Count pairs with the control below (twice) or equal (once), and the cubes of the groups of tied points."""
        with np.errstate(invalid="ignore", over="ignore"):
            keys = np.sort(
                _keys(self._moving - shift), kind="stable"
            )  # sorted but where infinities cancel out
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        sizes = np.diff(np.append(starts, len(keys)))
        places = np.searchsorted(self._values, keys[starts])
        there = np.minimum(places, len(self._values) - 1)
        equal = np.where(self._values[there] == keys[starts], self._counts[there], 0)
        doubled = int((sizes * (2 * self._below[places] + equal)).sum())
        return float(doubled), _ties(sizes + equal) - _ties(equal) + self._own_ties


def _keys(values: FloatArray) -> IntArray:
    """Give doubles numbers in Java's order, in which -0.0 is below 0.0; NaN ranks as infinity."""
    bits: IntArray = np.where(np.isnan(values), np.inf, values).view(np.int64)
    return bits ^ ((bits >> 63) & _ALL_BUT_SIGN)


def _ties(sizes: IntArray) -> float:
    wide = sizes.astype(np.float64)
    return float((wide**3 - wide).sum())


def _least(values: FloatArray) -> float:
    return float(values[np.argmin(values)])  # the first of several, which may be the zero of either sign


def _largest(values: FloatArray) -> float:
    return float(values[np.argmax(values)])


def _root(
    function: Callable[[float], float], ends: tuple[float, float], at_ends: tuple[float, float]
) -> float:
    """Find a root as R's ``zeroin2`` does (Brent 1973); its tolerance is absolute, whatever the unit."""
    previous, best = ends
    f_previous, f_best = at_ends
    if abs(f_previous) <= _SMALLEST:
        return previous
    if abs(f_best) <= _SMALLEST:
        return best
    other, f_other = previous, f_previous
    for _ in range(_ROOT_STEPS):
        last_step = best - previous
        if abs(f_other) < abs(f_best):
            previous, best, other = best, other, best
            f_previous, f_best, f_other = f_best, f_other, f_best
        tolerance = 2 * _EPSILON * abs(best) + _ROOT_TOLERANCE / 2
        step = (other - best) / 2
        if abs(step) <= tolerance or f_best == 0:
            return best
        if abs(last_step) >= tolerance and abs(f_previous) > abs(f_best):
            p, q = _interpolated((previous, best, other), (f_previous, f_best, f_other))
            if p < 0.75 * (other - best) * q - abs(tolerance * q) / 2 and p < abs(last_step * q / 2):
                step = p / q
        if abs(step) < tolerance:
            step = tolerance if step > 0 else -tolerance
        previous, f_previous = best, f_best
        best += step
        f_best = function(best)
        if (f_best > 0 and f_other > 0) or (f_best < 0 and f_other < 0):
            other, f_other = previous, f_previous
    return best


def _interpolated(
    points: tuple[float, float, float], values: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the step that a line through two points, or a parabola through three, takes: numerator and denominator."""
    previous, best, other = points
    f_previous, f_best, f_other = values
    span, to_previous = other - best, f_best / f_previous
    if previous == other:
        p, q = span * to_previous, 1 - to_previous
    else:
        of_other, to_other = f_previous / f_other, f_best / f_other
        p = to_previous * (span * of_other * (of_other - to_other) - (best - previous) * (to_other - 1))
        q = (of_other - 1) * (to_other - 1) * (to_previous - 1)
    return (p, -q) if p > 0 else (-p, q)
