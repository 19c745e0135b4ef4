r"""The signed-rank test of pairs, with the Hodges-Lehmann estimate and its interval, robust to autocorrelation.

Both answers to one request have the request in common, and differ by the versions alone. With :math:`r_i(\delta) = d_i - \delta a_i`, the difference of pair i less what a change by :math:`\delta` makes of it
(:math:`a_i` is the baseline's own value for a change relative to it, and 1 for one in its unit or in logarithms), Wilcoxon's statistic [1]_ is, but for a factor,

.. math:: U(\delta) = \frac1{n^2} \sum_{i,j} \operatorname{sign}\bigl(r_i(\delta) + r_j(\delta)\bigr),

with zeros ranked lowest [2]_. It falls with :math:`\delta`, and where it is 0 lies the Hodges-Lehmann estimate [3]_: the median of the Walsh averages :math:`(d_i + d_j) / (a_i + a_j)`, :math:`i \le j`. The bounds
lie where it is as far from 0 as its standard error, by Student's t, explains. That error is the one of a U-statistic, from its projections :math:`h_i = \frac2n \sum_j \operatorname{sign}(r_i + r_j)` at the estimate:
the long-run variance of these in the order of the requests, by the lowest waves that `canaryjudge.stats.rank_test.waves_for` names, or their variance where that is larger, so that requests that resemble their neighbors count for as much less. Where differences are symmetric about
the estimate and do not depend on each other the variance is 4/3, as Wilcoxon's.

U takes one sort, and a bound a handful of them: n (n + 1) / 2 Walsh averages are never formed.

References
----------
.. [1] F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1 (1945), 80-83.
.. [2] J. W. Pratt, "Remarks on zeros and ties in the Wilcoxon signed rank procedures", J. American Statistical Association 54 (1959), 655-667.
.. [3] J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical Statistics 34 (1963), 598-611.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.long_run import FEWEST_POINTS, dependence, long_run_variance
from canaryjudge.stats.rank_test import waves_for
from canaryjudge.stats.ties import snapped

__all__ = ["SignedRankTest", "signed_rank_statistic", "signed_rank_test"]

_GRID: Final = 2.0**-40
"""Differences are told apart by this part of the largest number that they were computed from: what rounding makes of equal ones is a thousand times less."""
_DOUBLINGS: Final = 120
_HALVINGS: Final = 45
_MANY: Final = 1000
"""Of more pairs U is a smooth curve, and its secants meet what is looked for at once."""
_ROUNDS, _NEAR = 12, 0.02
_INDEPENDENT: Final = 4 / 3
"""Variance of the root of n times U, of independent pairs without a change."""
_MOST_DEPENDENT: Final = 0.95
"""From so strong a dependence on no level is promised."""


@dataclass(frozen=True, slots=True)
class SignedRankTest:
    """What pairs say of a change; k limits and l levels. Where the test abstains, p-values are 1 and bounds infinite.

    Attributes
    ----------
    estimate : float
        The Hodges-Lehmann estimate of the change, in units of a.
    low, high : ndarray, shape (l,)
        One-sided confidence bounds, each wrong with probability `level`.
    pvalue_greater, pvalue_less : ndarray, shape (k,)
        For the null hypotheses "the change is at most the limit" and "at least".
    statistic : float
        The estimate's distance from no change in standard errors: U(0) over its standard error.
    df : float
        Degrees of freedom of the standard error.
    standard_error : float
        That of U at the estimate.
    rho : float
        Lag-1 autocorrelation of the projections.
    probability_greater : float
        P(a pair's difference is above 0), zeros counted half.
    abstains : bool
        The pairs wander (an autocorrelation of .95), so that nothing can be said.
    """

    estimate: float
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    statistic: float
    df: float
    standard_error: float
    rho: float
    probability_greater: float
    abstains: bool


def signed_rank_test(
    differences: ArrayLike,
    limits: ArrayLike,
    *,
    units: ArrayLike = 1.0,
    levels: ArrayLike = (0.01, 0.05),
    size: float = 0.0,
) -> SignedRankTest:
    """Test whether paired differences lie beyond limits.

    Parameters
    ----------
    differences : array_like, shape (n,)
        Canary less baseline of each pair, in the order of the requests; n >= 2.
    limits : array_like, shape (k,)
        Changes to test against, in units of `units`.
    units : array_like, shape (n,) or ()
        What a change by 1 adds to a pair's difference, not negative: the size of its baseline, or 1.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds.
    size : float
        The largest number that the differences were computed from, where it is larger than they and the units are: it tells what is rounding.

    Returns
    -------
    SignedRankTest
        Estimate, bounds, p-values. A limit lies below `low` where `pvalue_greater` is below the level.

    Raises
    ------
    ValueError
        There are fewer than two pairs, or none has a unit above 0.

    Notes
    -----
    O(n log n). By simulation (tests/guarantees/test_paired_request_guarantees.py) levels of 5 to .05 % hold from 50 pairs on, symmetric or skewed, up to an autocorrelation of .8.

    Examples
    --------
    Darwin's 15 pairs of maize plants. Were their order of no account, the p-value would be .02; it says .05 because so few pairs hardly tell how much they depend on each other.

    >>> d = [6.125, -8.375, 1.0, 2.0, 0.75, 2.875, 3.5, 5.125, 1.75, 3.625, 7.0, 3.0, 9.375, 7.5, -6.0]
    >>> found = signed_rank_test(d, [0.0])
    >>> round(found.estimate, 6), round(float(found.pvalue_greater[0]), 3)
    (3.125, 0.049)
    """
    d = np.asarray(differences, dtype=np.float64)
    a = np.broadcast_to(np.asarray(units, dtype=np.float64), d.shape)
    at, wanted = np.asarray(limits, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    n = len(d)
    if n < 2 or not (a > 0).any():
        raise ValueError(f"two pairs or more of a unit above 0 are needed, found {n}")
    ranks = _Ranks(d, a, max(size, float(np.abs(d).max()), float(a.max())))
    estimate = float(snapped(np.array(ranks.estimate()), at, 1.0))
    projections, moves = ranks.projections(estimate)
    rho = float(dependence(projections))
    variance, df = float(projections.var()), float(moves - 1)
    if n >= FEWEST_POINTS and moves > 1:
        lasting = long_run_variance(projections, most=waves_for(wanted))
        variance, df = max(variance, float(lasting.variance)), min(df, float(lasting.df))
    if moves < 2:  # all lie on one side of any other change
        variance, df = _INDEPENDENT, float(n - 1)
    error = float(np.sqrt(variance / n))
    probability = (1 + float(np.sign(ranks.residuals(0.0)).mean())) / 2
    z = ranks.statistic(0.0) / error
    if rho >= _MOST_DEPENDENT:
        ones, infinite = np.ones(len(at)), np.full(len(wanted), np.inf)
        return SignedRankTest(
            estimate, -infinite, infinite, ones, ones, z, df, error, rho, probability, abstains=True
        )
    at_limits = np.array([ranks.statistic(float(limit)) for limit in at]) / error
    low, high = (
        np.array([ranks.bound(sign * float(reach), estimate) for reach in -stdtrit(df, wanted) * error])
        for sign in (1, -1)
    )
    greater, less = (np.asarray(stdtr(df, sign * at_limits), dtype=np.float64) for sign in (-1, 1))
    return SignedRankTest(estimate, low, high, greater, less, z, df, error, rho, probability, abstains=False)


def signed_rank_statistic(residuals: ArrayLike, grid: float = 0.0) -> float:
    """Give the mean sign of the Walsh sums, of all pairs of numbers and of each with itself: Wilcoxon's statistic on a scale from -1 to 1.

    Parameters
    ----------
    residuals : array_like, shape (n,)
        The numbers.
    grid : float
        Numbers whose sizes are the same multiple of this, but for rounding, are ties.

    Returns
    -------
    float
        ``2 (W+ - W-) / (n (n + 1))``, of the sums of the ranks of what is above 0 and below; ties have their mean rank, and zeros the lowest.

    Examples
    --------
    >>> round(signed_rank_statistic([3.0, -1.0, 2.0]), 6), round(2 * (5 - 1) / 12, 6)
    (0.666667, 0.666667)
    """
    sizes = np.array(residuals, dtype=np.float64)
    n, positive = len(sizes), sizes > 0
    np.abs(sizes, out=sizes)
    if grid:
        sizes /= grid
        np.rint(sizes, out=sizes)
    # floats that are not negative are in the order of their bits: the sign is sorted along as the last of these
    keys = sizes.view(np.uint64)
    keys <<= np.uint64(1)
    keys |= positive
    keys.sort()
    above = (keys & np.uint64(1)).astype(np.bool_)
    keys >>= np.uint64(1)
    zeros = int(keys.searchsorted(0, "right"))
    above[:zeros] = False
    places = np.flatnonzero(above)
    ranks = float(places.sum()) + len(places)
    same = keys[1:] == keys[:-1]
    same[: max(zeros - 1, 0)] = False
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        starts = np.flatnonzero(np.append(True, ~same[tied[1:] - 1]))
        ends = np.append(starts[1:], len(tied))
        means = (tied[starts] + tied[ends - 1]) / 2 + 1
        ranks -= float((tied[above[tied]] + 1).sum())
        ranks += float(np.einsum("i,i->", np.add.reduceat(above[tied].astype(np.float64), starts), means))
    others = n * (n + 1) / 2 - zeros * (zeros + 1) / 2
    return 2 * (2 * ranks - others) / (n * (n + 1))


class _Ranks:
    """Differences, ranked at any change: the statistic, which falls with the change, and where it takes a value."""

    def __init__(self, differences: FloatArray, units: FloatArray, size: float) -> None:
        self._d, self._a = differences, units
        self._grid = _GRID * size or 1.0
        self._n = len(differences)
        self._step, self._slope = 1.0, -1.0

    def residuals(self, change: float) -> FloatArray:
        """Give what is left of the differences, what is rounding as 0."""
        left = self._d - change * self._a
        return np.where(np.abs(left) <= self._grid / 2, 0.0, left)

    def statistic(self, change: float) -> float:
        """Give U at a change."""
        return signed_rank_statistic(self._d - change * self._a, self._grid)

    def projections(self, change: float) -> tuple[FloatArray, int]:
        """Give what each pair adds to U, twice, less its mean, and how many pairs differ from the change."""
        left = self.residuals(change)
        ascending = np.sort(left)
        keys = -ascending
        above = self._n - ascending.searchsorted(keys + self._grid / 2, "right")
        below = ascending.searchsorted(keys - self._grid / 2, "left")
        place = np.argsort(left)
        found = np.empty(self._n)
        found[place] = 2.0 * (above - below) / self._n
        return found - found.mean(), int(np.count_nonzero(left))

    def estimate(self) -> float:
        """Give the Hodges-Lehmann estimate: the middle of where U is 0, or where it jumps over it."""
        some = self._a > 0
        ratios = self._d[some] / self._a[some]
        start = float(np.median(ratios))
        spread = float(np.median(np.abs(ratios - start))) or float(np.abs(ratios - start).max())
        self._step = (spread or abs(start) or 1.0) / np.sqrt(self._n)
        if self._n > _MANY:
            self._slope = -1 / (self._step * np.sqrt(self._n))
            return self._secant(0.0, start, rounds=_ROUNDS)
        last = self._crossing(lambda u: u > 0, start)
        first = self._crossing(lambda u: u >= 0, last)
        return (last + first) / 2

    def bound(self, value: float, estimate: float) -> float:
        """Give the change farthest from the estimate at which U is still nearer to 0 than a value; infinite where it always is."""
        if abs(value) >= 1:
            return -np.inf if value > 0 else np.inf
        if self._n > _MANY:
            return self._secant(value, estimate, rounds=3)
        return self._crossing((lambda u: u >= value) if value > 0 else (lambda u: u > value), estimate)

    def _secant(self, value: float, start: float, rounds: int) -> float:
        """Find where U takes a value, or jumps over it."""
        at, u = start, self.statistic(start)
        for _ in range(rounds):
            if abs(u - value) <= _NEAR / self._n:
                break
            other = at + (value - u) / self._slope
            now = self.statistic(other)
            if now == u:
                break
            self._slope = min((now - u) / (other - at), -1e-300)
            at, u = other, now
        return at + (value - u) / self._slope

    def _crossing(self, held: Callable[[float], bool], start: float) -> float:
        """Find where a condition on U, which holds below, ceases to hold."""
        known, up, step = start, held(self.statistic(start)), self._step
        for _ in range(_DOUBLINGS):
            other = known + step if up else known - step
            if held(self.statistic(other)) != up:
                break
            known, step = other, 2 * step
        else:
            return np.inf if up else -np.inf
        low, high = (known, other) if up else (other, known)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            if held(self.statistic(middle)):
                low = middle
            else:
                high = middle
        return (low + high) / 2
