r"""Shares of events and of points that do not come independently, and what they prove.

Points that follow each other resemble each other. The number of n independent points at most a bound is binomial. Neighboring points of a metric are not independent: then it varies by the
long-run variance V of the series of indicators, and the n points say as much as n / f independent ones, with f = V / (p (1 - p)), at
least 1. The exact test of so many points is tempered for f's being an estimate, as with the dispersion of events.

Where few points lie beyond the bound, their indicators hold too few changes to learn from how long excursions last, and that there were
so few is the very evidence. So where it is, f is at least that of the ranks of all points, which depend on each other no less.

Bad events (or time slices) come in bursts. The bounds are the exact ones of a proportion, of events and totals that were divided by their overdispersion. Two things are special here.
A series of single outcomes, a slice that was good or bad, cannot be overdispersed: all its dependence is in the order, and the factor is
that of a two-state Markov chain, :math:`(1 + \rho) / (1 - \rho)` [1]_. And a fault that sets in late makes the whole series look like
one burst, from which nothing could be concluded; but what the end of a window proves, it proves of the window too.

References
----------
.. [1] J. Klotz, "Statistical inference in Bernoulli trials with dependence", Annals of Statistics 1 (1973), 373-379.
.. [2] W. Hoeffding, "On the distribution of the number of successes in independent trials", Annals of Mathematical Statistics 27
       (1956), 713-721.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.stats.bounds import Bounds, FloatArray, PValues, floats
from canaryjudge.stats.dispersion import bursts_outlast, dispersion, temper, tempered_level
from canaryjudge.stats.long_run import FEWEST_POINTS, dependence, long_run_variance
from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues
from canaryjudge.stats.ties import about

__all__ = ["BadShare", "ShareTest", "WindowShare", "bad_share"]


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
        having = (points <= about(bound, 0.0)[1]).astype(np.float64)
        self.count, self._size = float(having.sum()), len(points)
        if self._size < FEWEST_POINTS:
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
        if self._size < FEWEST_POINTS:
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
        if self._size < FEWEST_POINTS:
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


_SINGLE: Final = 3.0
"""Intervals of fewer events on average are next to single outcomes, whose bursts show in their order only."""
_FEWEST_INTERVALS: Final = 3
_FEWEST_SINGLE: Final = 10
"""Fewer single outcomes tell nothing of their order."""
_FEWEST_BURSTS: Final = 5
"""Fewer bursts do not tell how large bursts are."""
_USUAL_BURSTS: Final = 4.0
"""How many times errors of services may vary more than independent ones where nothing is known of them."""


@dataclass(frozen=True, slots=True)
class BadShare:
    """The share of a series, and how well it is known.

    Attributes
    ----------
    bad, total : ndarray
        Sums over the intervals.
    factor : ndarray
        How many times the sums vary more than those of independent events, at least 1; 1 unless there is evidence of more.
    factor_safe : ndarray
        The same on the safe side, for what is to be proven harmless: Pearson's estimate plus half a standard error, evidence or not. Bad events
        that come in few bursts are few by chance more often than they look.
    df : ndarray
        Degrees of freedom with which the factor is known; inf where it is 1.
    rho : ndarray
        Lag-1 autocorrelation of the intervals' shares, 0 where the factor is 1: how long bursts last.
    single : ndarray of bool
        Whether an interval has hardly more than one outcome, so that bursts show in their order only.
    unseen : ndarray of bool
        Whether fewer than five intervals (of single outcomes, runs of them) had anything bad, so that nobody knows how large bursts are:
        where bad events are few, that may be one burst less.
    intervals : int
        From how many intervals the bursts are known.
    """

    bad: FloatArray
    total: FloatArray
    factor: FloatArray
    factor_safe: FloatArray
    df: FloatArray
    rho: FloatArray
    single: NDArray[np.bool_]
    unseen: NDArray[np.bool_]
    intervals: int

    @property
    def share(self) -> FloatArray:
        """Bad of total."""
        return np.asarray(self.bad / self.total)

    @property
    def outlasted(self) -> bool:
        """Of one series: whether bursts leave too few independent intervals to prove anything."""
        return bool(bursts_outlast(self.intervals, self.rho))

    def survives_bursts(self, limit: float, level: float) -> bool:
        """Of one series: tell whether it is proven to be below a limit even if bursts that were not seen are as large as services have them.

        Where too few bursts were seen to know, events are taken to vary four times as much as independent ones; of single outcomes nothing
        is taken.
        """
        if not self.unseen:
            return True
        larger = replace(self, factor_safe=np.maximum(self.factor_safe, _USUAL_BURSTS))
        return not self.single and float(larger.pvalues(limit).less) <= level

    def without_bursts(self) -> BadShare:
        """Take events as they came, in bursts or not."""
        calm = np.ones_like(self.factor)
        return replace(
            self, factor=calm, factor_safe=calm, df=np.full_like(calm, np.inf), rho=np.zeros_like(calm)
        )

    def with_bursts_of(self, other: BadShare) -> BadShare:
        """Take the bursts of a longer series, of which this is a part, for its own."""
        safe = np.maximum(self.factor_safe, other.factor_safe)
        return replace(
            self,
            factor=other.factor,
            factor_safe=safe,
            df=other.df,
            rho=other.rho,
            intervals=other.intervals,
        )

    def pvalues(self, limit: ArrayLike) -> PValues:
        """Test the share against a limit.

        Parameters
        ----------
        limit : array_like
            A share between 0 and 1.

        Returns
        -------
        PValues
            `greater` for the null "the share is at most the limit", `less` for "at least".
        """
        greater = proportion_pvalues(self.bad / self.factor, self.total / self.factor, limit).greater
        less = proportion_pvalues(self.bad / self.factor_safe, self.total / self.factor_safe, limit).less
        return PValues(temper(greater, self.df), temper(less, self.df))

    def bounds(self, level: ArrayLike) -> Bounds:
        """Bound the share from both sides, each end at `level`; the inverse of `pvalues`."""
        inner = tempered_level(level, self.df)
        low = proportion_bounds(self.bad / self.factor, self.total / self.factor, inner).low
        high = proportion_bounds(self.bad / self.factor_safe, self.total / self.factor_safe, inner).high
        return Bounds(low, high)


def bad_share(bad: ArrayLike, total: ArrayLike) -> BadShare:
    """Add up a series, and measure its bursts.

    Parameters
    ----------
    bad : array_like, shape (..., K)
        Bad events of each interval, in order of time.
    total : array_like, shape (..., K)
        What they are of, positive.

    Returns
    -------
    BadShare
        Arrays of shape (...).

    Raises
    ------
    ValueError
        The shapes of the arguments do not broadcast.

    Examples
    --------
    Five bad minutes of sixty, in a row, are worth less than five apart:

    >>> together, apart = np.zeros((2, 60))
    >>> together[20:25], apart[5::12] = 1, 1
    >>> [round(float(bad_share(series, 1.0).factor), 1) for series in (together, apart)]
    [11.2, 1.0]
    """
    x, n = floats(bad, total)
    found = dispersion(x, n, family="binomial")
    factor, df = found.factor, found.df
    rho = dependence(x / n)
    single = np.asarray(n.mean(axis=-1) < _SINGLE)
    enough = x.shape[-1] >= _FEWEST_SINGLE
    chain = np.where(single & enough, (1 + rho) / (1 - rho), 1.0)
    longer = chain > factor
    factor = np.where(longer, chain, factor)
    df = np.where(longer, np.inf, df)
    rho = np.where(factor > 1, rho, 0.0)
    hit = x > 0
    runs = (hit[..., 1:] & ~hit[..., :-1]).sum(axis=-1) + hit[..., 0]
    bursts = np.where(single, runs, hit.sum(axis=-1))
    unseen = np.asarray(bursts < _FEWEST_BURSTS)
    safe = np.maximum(factor, _pearson(x, n))
    return BadShare(x.sum(axis=-1), n.sum(axis=-1), factor, safe, df, rho, single, unseen, x.shape[-1])


def _pearson(x: FloatArray, n: FloatArray) -> FloatArray:
    """Pearson's estimate of the overdispersion plus half a standard error of it; 0 of a single interval."""
    intervals = x.shape[-1]
    if intervals == 1:
        return np.zeros(x.shape[:-1])
    share = x.sum(axis=-1, keepdims=True) / n.sum(axis=-1, keepdims=True)
    variance = n * share * (1 - share)
    squares = np.where(variance > 0, (x - n * share) ** 2 / np.where(variance > 0, variance, 1.0), 0.0)
    df = intervals - 1
    return np.asarray(squares.sum(axis=-1) / df * (1 + 0.5 * np.sqrt(2 / df)))


class _Proof(NamedTuple):
    """A way to prove that a window's share is large."""

    share: BadShare
    """That of the window or of its end."""
    part: float
    """How much of the window's total lies in it."""
    weight: float
    """How much of the level it has."""


@dataclass(frozen=True, slots=True)
class WindowShare:
    """The share of a window, as far as it can be proven to be large: by the window as a whole or by its end.

    Where events come in bursts, there are two ways to prove it, which share the level equally: the whole window, and its last half,
    quarter, eighth, ... An end with the part w of the window's total proves the window's share to be above a limit where its own is
    above limit / w, were there nothing bad before it. So a fault is proven that set in late, which for the window as a whole is one
    long burst.

    Attributes
    ----------
    whole : BadShare
        The window with its own bursts.
    ways : tuple
        The ways to prove something, without those whose bursts outlast them; one where there are no bursts.

    Examples
    --------
    Half of all requests fail in the last ten minutes of an hour, and a burn of 14.4 at a target of 99.9 % is a share of 1.44 %:

    >>> bad, total = np.zeros(60), np.full(60, 100.0)
    >>> bad[50:] = 50
    >>> found = WindowShare.of(bad, total)
    >>> bool(found.pvalue_above(0.0144) < 1e-6), round(float(found.whole.pvalues(0.0144).greater), 2)
    (True, 0.33)

    Without bursts it is the exact test: `qbeta(.01, 20, 981)` in R gives .01112635:

    >>> round(WindowShare.of([2.0] * 10, [100.0] * 10).lower_bound(0.01), 8)
    0.01112635
    """

    whole: BadShare
    ways: tuple[_Proof, ...]

    @classmethod
    def of(cls, bad: ArrayLike, total: ArrayLike) -> WindowShare:
        """Measure a window whose bursts are noise: what would be seen in another one.

        Parameters
        ----------
        bad, total : array_like, shape (K,)
            A window, in order of time.

        Returns
        -------
        WindowShare
            What can be proven of it.
        """
        x, n = floats(bad, total)
        whole = bad_share(x, n)
        ways = [[whole]]
        if whole.factor > 1:
            sizes = [len(x) // 2**k for k in range(1, len(x).bit_length())]
            ways.append([bad_share(x[-size:], n[-size:]) for size in sizes if size >= _FEWEST_INTERVALS])
        used = [way for way in ways if way]
        proofs = (
            _Proof(share, float(share.total / whole.total), 1 / len(used) / len(way))
            for way in used
            for share in way
            if not share.outlasted
        )
        return cls(whole, tuple(proofs))

    @classmethod
    def as_it_was(cls, bad: ArrayLike, total: ArrayLike) -> WindowShare:
        """Measure a window whose bursts are what is asked for: how large the share was in these very intervals, on average.

        Whatever the shares of the intervals were, the sum of independent events of different probabilities varies by no more than a
        binomial one [2]_, so that the exact bounds of a proportion hold.

        Parameters
        ----------
        bad, total : array_like, shape (K,)
            A window.

        Returns
        -------
        WindowShare
            What can be proven of it.

        Examples
        --------
        >>> bursts = [2.0, 0.0, 40.0, 10.0, 1.0, 0.0]
        >>> [round(way([*bursts], [100.0] * 6).pvalue_above(0.05), 6) for way in (WindowShare.of, WindowShare.as_it_was)]
        [0.698875, 5.8e-05]
        """
        whole = bad_share(bad, total).without_bursts()
        return cls(whole, (_Proof(whole, 1.0, 1.0),))

    def pvalue_above(self, limit: float) -> float:
        """Give the p-value for the null hypothesis that the window's share is at most a limit."""
        found = (
            float(way.share.pvalues(min(limit / way.part, 1.0)).greater) / way.weight for way in self.ways
        )
        return min(1.0, min(found, default=1.0))

    def lower_bound(self, level: float) -> float:
        """Give the largest limit that the share is proven to be above at a level, 0 where there is none."""
        found = (way.part * float(way.share.bounds(level * way.weight).low) for way in self.ways)
        return max(found, default=0.0)
