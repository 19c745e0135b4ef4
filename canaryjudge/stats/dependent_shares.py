r"""The share of points that are at most a bound, where points that follow each other resemble each other.

The number of n independent points at most a bound is binomial. Neighboring points of a metric are not independent: then it varies by the
long-run variance V of the series of indicators, and the n points say as much as n / f independent ones, with f = V / (p (1 - p)), at
least 1. The exact test of so many points is tempered for f's being an estimate, as with the dispersion of events.

Where few points lie beyond the bound, their indicators hold too few changes to learn from how long excursions last, and that there were
so few is the very evidence. So where it is, f is at least that of the ranks of all points, which depend on each other no less.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from canaryjudge.stats.dispersion import temper, tempered_level
from canaryjudge.stats.long_run import long_run_variance
from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues
from canaryjudge.stats.rare_events import Bounds, FloatArray, PValues

__all__ = ["ShareTest"]

_FEWEST_POINTS = 3
"""Fewer points tell nothing of their dependence."""


class ShareTest:
    """Tests and bounds of the share of points that are at most a bound.

    Parameters
    ----------
    series : array_like, shape (n,)
        Points in order of time, n >= 1.
    bound : float
        The largest point that counts, in the unit of the series.

    Examples
    --------
    Forty points in four runs say less than forty independent ones, of which `binom.test(20, 40, .3, "greater")$p.value` in R says .0062537:

    >>> in_runs, mixed = ([1.0] * 10 + [2.0] * 10) * 2, [1.0, 2.0] * 20
    >>> [round(float(ShareTest(points, 1.5).pvalues(0.3).greater), 5) for points in (in_runs, mixed)]
    [0.16896, 0.00625]
    >>> [round(float(end), 3) for end in ShareTest(mixed, 1.5).bounds(0.05)]
    [0.361, 0.639]
    """

    def __init__(self, series: ArrayLike, bound: float) -> None:
        points = np.asarray(series, dtype=np.float64)
        having = (points <= bound).astype(np.float64)
        self.count, self._size = float(having.sum()), len(points)
        if self._size < _FEWEST_POINTS:
            return
        own = _factor(having)
        ranks = np.unique(points, return_inverse=True)[1].astype(np.float64)
        safe = max(own, _factor(ranks))
        few_beyond = self.estimate > 0.5
        # what proves a large share are few points beyond the bound, what proves a small one are few within
        self._rising, self._falling = (safe, own) if few_beyond else (own, safe)

    @property
    def estimate(self) -> float:
        """The share of the points."""
        return self.count / self._size

    def pvalues(
        self,
        value: ArrayLike,
        independent: Callable[[ArrayLike, ArrayLike, ArrayLike], PValues] = proportion_pvalues,
    ) -> PValues:
        """Test the share against a value.

        Parameters
        ----------
        value : array_like
            Null value of the share; outside of [0, 1] it is certainly wrong.
        independent : callable, optional
            The test of independent points: number within the bound, number of points, value -> p-values.

        Returns
        -------
        PValues
            `greater` for the null "share <= `value`" and `less` for ">= `value`", of the value's shape; 1 of fewer than 3 points.
        """
        null = np.asarray(value, dtype=np.float64)
        if self._size < _FEWEST_POINTS:
            return PValues(np.ones(null.shape), np.ones(null.shape))
        possible = np.clip(null, 0.0, 1.0)
        (rising, df), (falling, other) = self._rising, self._falling
        greater = temper(independent(self.count / rising, self._size / rising, possible).greater, df)
        less = temper(independent(self.count / falling, self._size / falling, possible).less, other)
        return PValues(np.where(null < 0, 0.0, greater), np.where(null > 1, 0.0, less))

    def bounds(
        self,
        level: float,
        independent: Callable[[ArrayLike, ArrayLike, ArrayLike], Bounds] = proportion_bounds,
    ) -> tuple[float, float]:
        """Bound the share, by inverting `pvalues`.

        Parameters
        ----------
        level : float
            Error probability of each bound, in (0, .5).
        independent : callable, optional
            The bounds of independent points: number within the bound, number of points, level -> bounds.

        Returns
        -------
        tuple of (float, float)
            0 and 1 of fewer than 3 points.
        """
        if self._size < _FEWEST_POINTS:
            return 0.0, 1.0
        (rising, df), (falling, other) = self._rising, self._falling
        low = independent(self.count / rising, self._size / rising, tempered_level(level, df)).low
        high = independent(self.count / falling, self._size / falling, tempered_level(level, other)).high
        return float(low), float(high)


def _factor(points: FloatArray) -> tuple[float, float]:
    """Return how many points say as much as one independent point, and the degrees of freedom with which that is known."""
    alone = float(points.var())
    if alone == 0:
        return 1.0, np.inf
    run = long_run_variance(points - points[0])
    factor = float(run.variance) / alone
    return (factor, float(run.df)) if factor > 1 else (1.0, np.inf)
