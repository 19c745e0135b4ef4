r"""Events of two arms, compared within intervals: what the traffic's split does over time is no effect.

Pooled over a ramp, events compare the mix of minutes that each arm saw. Given an interval's events :math:`m_t` of both arms, the canary's are binomial with the share
:math:`\pi_t(r) = r e_t / (r e_t + e'_t)` at the ratio r of the rates and the exposures e and e', whatever the rate was. So the sum over intervals of observed minus expected, over the
root of the sum of the variances :math:`m_t \pi_t (1 - \pi_t)`, tests r: Mantel and Haenszel's test [1]_, for rates. Few events have the exact law of the sum, which is a convolution; many the
saddlepoint approximation of it [2]_. Proportions above 10 % have no binomial share; they have the score of the ratio, stratified [3]_. Differences have bounds made of those of each arm's
directly standardized rate [4]_ [5]_.

Errors come in bursts, which each arm may have by itself. Where the intervals vary by more than the laws above say, what they vary more is a noise of its own, whose half-width is joined with that
of counting. Segments of the traffic are strata as well; how much events vary within each of them is stated then, for between them a difference may be one of effects.

References
----------
.. [1] N. Mantel and W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease", J. National Cancer Institute 22 (1959), 719-748.
.. [2] R. Lugannani and S. Rice, "Saddlepoint approximation for the distribution of the sum of independent random variables", Advances in Applied Probability 12 (1980), 475-490; O. E.
       Barndorff-Nielsen's form of it, with H. E. Daniels' second correction for whole numbers, International Statistical Review 55 (1987), 37-48.
.. [3] O. Miettinen and M. Nurminen, "Comparative analysis of two rates", Statistics in Medicine 4 (1985), 213-226.
.. [4] M. P. Fay and E. J. Feuer, "Confidence intervals for directly standardized rates: a method based on the gamma distribution", Statistics in Medicine 16 (1997), 791-801.
.. [5] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in Medicine 27 (2008), 1693-1702.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from canaryjudge.stats.bounds import FloatArray, bisect, crossing
from canaryjudge.stats.dispersion import Dispersion
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.paired_shift import dependent_mean_critical, dependent_mean_error, dependent_mean_tail
from canaryjudge.stats.proportions import difference_bounds

__all__ = ["StratifiedTest", "score_terms", "stratified_test"]

BoolArray = NDArray[np.bool_]
Measure = Literal["ratio", "difference"]
Method = Literal["auto", "exact", "score"]

_RARE = 0.1
"""Proportions up to this are rare enough for a binomial share, whose variance is at most a tenth too large then."""
_EXACT_EVENTS = 256
"""Up to so many events of both arms the law is convolved, where they are whole numbers."""
_SIGNIFICANCE = 0.1
"""Below this p-value of Pearson's chi-squared there are bursts."""
_FEW = 20
_LEAST_RHO = ((_FEW, 0.81), (30, 0.8), (60, 0.7), (np.inf, 0.5))
"""Bursts that last hide below the noise of counting, so that fewer intervals than so many take the law of no less dependence than this, the fewest just that of this."""
_FEWEST_INTERVALS = 4
_PROVEN_RHO = 0.95
_LARGEST_LOG_RATIO = 300.0
_SMALLEST_PVALUE = 1e-300
_HALVINGS = 56
_WIDENINGS = 6
_ALMOST_CERTAIN = 1 - 1e-16
_LARGEST_DEVIATE = float(np.arcsinh(2e4))
"""The inverse hyperbolic sine of twice the deviate beyond which no law is known."""
_INNERMOST = 0.25
"""Expected events stay so far from none and from all."""
_NEAR = 0.5
"""Steps of the ratio's logarithm so small that what cumulants grow by is taken as one logarithm of nearly 1."""
_LARGEST_STEP = 600.0
_LINEAR = 1e-3
"""Deviates smaller than this have their limit's correction."""


@dataclass(frozen=True, slots=True)
class StratifiedTest:
    """What the intervals say together; k limits and l levels.

    Attributes
    ----------
    estimate : ndarray, shape (...)
        Ratio or difference of the rates; NaN where nothing is known.
    low, high : ndarray, shape (..., l)
        One-sided confidence bounds, each wrong with probability `level`; the smallest and the largest possible value where the test abstains.
    pvalue_greater, pvalue_less : ndarray, shape (..., k)
        For the null hypotheses "at most the limit" and "at least"; 1 where the test abstains.
    dispersion : ndarray, shape (...)
        How many times a sum over the intervals varies more than that of independent events; 1 where nothing bursts.
    rho : ndarray, shape (...)
        Lag-1 autocorrelation of the intervals' residuals.
    standard_error : ndarray, shape (...)
        Of the estimate (of a ratio's logarithm) by counting alone; what it is with bursts is so much times the root of the dispersion.
    score : ndarray of bool, shape (...)
        Proportions were too large for the law of rare events.
    abstains : ndarray of bool, shape (...)
        There are bursts, and too few intervals, or bursts so long, that nothing can be said.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    dispersion: FloatArray
    rho: FloatArray
    standard_error: FloatArray
    score: BoolArray
    abstains: BoolArray


def stratified_test(  # noqa: PLR0913 - two arms of two columns each
    baseline_events: ArrayLike,
    baseline_totals: ArrayLike,
    canary_events: ArrayLike,
    canary_totals: ArrayLike,
    limits: ArrayLike,
    *,
    measure: Measure = "ratio",
    method: Method = "auto",
    levels: ArrayLike = (0.01, 0.05),
    times: ArrayLike = 1.0,
    dispersion: Dispersion | None = None,
) -> StratifiedTest:
    r"""Test whether the canary's rate of events lies beyond limits, interval by interval.

    Parameters
    ----------
    baseline_events, canary_events : array_like, shape (..., n)
        Events of each interval, in order of time; whole numbers have their exact law where they are few.
    baseline_totals, canary_totals : array_like, shape (..., n)
        What they are of, or their exposures. Where one of an interval is 0, the interval says nothing.
    limits : array_like, shape (..., k) or (k,)
        Ratios, positive, or differences of rates to test against.
    measure : {"ratio", "difference"}
        What the limits are.
    method : {"auto", "exact", "score"}
        `exact` takes events as rare, as those over an exposure are; `score` is the stratified score of the ratio, and binomial bounds of the difference. `auto` takes the latter for proportions
        of more than 10 %, of either arm.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds, at most .5.
    times : array_like, shape (...)
        How many times the variance of counting is larger by what arms differ by where nothing is wrong, at least 1.
    dispersion : Dispersion, optional
        How many times events vary more than independent ones do, shape (..., n), and with how many degrees of freedom that is known, where it is not to be seen from the intervals: of the segments that
        they belong to, so that segments whose effects differ are not taken for bursts.

    Returns
    -------
    StratifiedTest
        Estimate, bounds, p-values. A limit lies below `low` just where `pvalue_greater` is below the level.

    Raises
    ------
    ValueError
        A ratio that is not positive is tested.

    Notes
    -----
    The estimate of the ratio is the root of the score: the conditional maximum of likelihood, or Mantel and Haenszel's where proportions are large; that of the difference is Mantel
    and Haenszel's weighted one.

    There are bursts where Pearson's chi-squared of the residuals at the estimate is significant at 10 %. What they add is the larger of Pearson's variance and that of a sum of dependent
    residuals, with half a standard error, less that of counting; with p the level of a half-width :math:`\sqrt{h_p^2 + g_p^2}`, h is that of counting alone and g the quantile of a
    mean of dependent points (`canaryjudge.stats.paired_shift`), whose autocorrelation is taken to be at least .8 (fewer than 30 intervals), .7 (60) or .5. Without bursts g is that of a
    normal distribution.

    By simulation (benchmarks/event_sizes.py) levels of 5 to .02 % hold without bursts and with short ones; with ones that last (a correlation of .8, 30 % of the rate) a level of 1 % gives 1.3
    to 2.7 % in 60 intervals, 1.4 to 2.7 in 30 and up to 6 in 15, where what lasts for the whole window cannot be told from an effect. Nor can what hides below the noise of counting: 10 % of the rate
    on a ramp gives 10 % in 16 and 6 in 60.

    Examples
    --------
    An error rate that rises from .1 to 1 % while the canary's share of the traffic goes from 5 to 90 %, the same in both arms. Pooled, the canary looks 5 times as bad:

    >>> share, rate = np.repeat([0.05, 0.9], 10), np.repeat([0.001, 0.01], 10)
    >>> canary, baseline = 100_000 * share, 100_000 * (1 - share)
    >>> events = np.rint(rate * canary), np.rint(rate * baseline)
    >>> round(float(events[0].sum() / canary.sum() / (events[1].sum() / baseline.sum())), 1)
    5.1
    >>> round(float(stratified_test(events[1], baseline, events[0], canary, [1.0]).estimate), 1)
    1.0
    """
    arrays = np.broadcast_arrays(
        *(
            np.asarray(part, dtype=np.float64)
            for part in (baseline_events, baseline_totals, canary_events, canary_totals)
        )
    )
    known = (arrays[1] > 0) & (arrays[3] > 0)
    xb, nb, xc, nc = (np.where(known, part, 0.0) for part in arrays)
    at, wanted = np.asarray(limits, dtype=np.float64), np.asarray(levels, dtype=np.float64)
    if measure == "ratio" and (at <= 0).any():
        raise ValueError("a ratio must be positive")
    batch = xb.shape[:-1]
    at = np.broadcast_to(at, (*batch, at.shape[-1]))
    strata = _Strata(*(np.ascontiguousarray(part.reshape(-1, part.shape[-1])) for part in (xb, nb, xc, nc)))
    rows = len(strata.xb)
    large = np.maximum(_over(strata.xb, strata.nb), _over(strata.xc, strata.nc)) > _RARE
    if method != "auto":
        large = np.full(rows, method == "score")
    more = np.broadcast_to(np.asarray(times, dtype=np.float64), batch).reshape(rows)
    noise = _Noise(more)
    if dispersion is not None:
        stated = (np.asarray(part, dtype=np.float64) for part in (dispersion.factor, dispersion.df))
        noise = _Noise(more, *(np.broadcast_to(part, arrays[0].shape).reshape(rows, -1) for part in stated))
    found = (_ratio if measure == "ratio" else _difference)(
        strata, at.reshape(rows, -1), wanted, large, noise
    )
    parts = (getattr(found, name) for name in StratifiedTest.__slots__)
    return StratifiedTest(*(part.reshape((*batch, *part.shape[1:])) for part in parts))


@dataclass(frozen=True, slots=True)
class _Strata:
    """Events and totals of each row's intervals, shape (rows, n)."""

    xb: FloatArray
    nb: FloatArray
    xc: FloatArray
    nc: FloatArray


@dataclass(frozen=True, slots=True)
class _Noise:
    """What is known of the noise beyond that of counting."""

    times: FloatArray
    """How many times the variance of counting is larger, shape (rows,)."""
    factor: FloatArray | None = None
    """How many times each interval's is, shape (rows, n), where that is stated."""
    df: FloatArray | None = None
    """With how many degrees of freedom."""


@dataclass(frozen=True, slots=True)
class _Bursts:
    """What bursts, and what healthy arms differ by, add to the noise of counting; shape (rows,)."""

    factor: FloatArray
    counted: FloatArray
    """Standard error of the estimate by counting alone."""
    spread: FloatArray
    """Standard error of the estimate by what they add."""
    rho: FloatArray
    """What is seen."""
    assumed: FloatArray
    """What their law is taken at."""
    found: BoolArray
    abstains: BoolArray
    n: int
    df: FloatArray
    """With which they are known where they are stated; infinite otherwise."""

    def level(self, deviate: FloatArray) -> FloatArray:
        """Give the chance of so many of their standard errors, shape (rows, k)."""
        tail = np.where(
            np.isinf(self.df)[:, None], special.ndtr(-deviate), special.stdtr(self.df[:, None], -deviate)
        )
        if self.n >= _FEWEST_INTERVALS:
            tail = np.where(
                self.found[:, None],
                dependent_mean_tail(deviate, self.n, self.assumed, known=self.n < _FEW),
                tail,
            )
        return np.maximum(tail, _SMALLEST_PVALUE)

    def tail(self, excess: FloatArray) -> FloatArray:
        """Give the chance that they make the estimate so much too large, shape (rows, k)."""
        some = (self.spread > 0)[:, None]
        return np.where(some, self.level(excess / np.where(some, self.spread[:, None], 1.0)), 0.0)

    def reach(self, levels: FloatArray) -> FloatArray:
        """Give by how much they make it too large with chances at levels, shape (rows, l)."""
        normal, student = -special.ndtri(levels), -special.stdtrit(self.df[:, None], levels)
        critical = np.where(np.isinf(self.df)[:, None], normal, student)
        if self.n >= _FEWEST_INTERVALS:
            critical = np.where(
                self.found[:, None],
                dependent_mean_critical(levels, self.n, self.assumed, known=self.n < _FEW),
                critical,
            )
        spread = self.spread[:, None]
        return np.where(spread > 0, critical * np.where(spread > 0, spread, 1.0), 0.0)

    def joined(self, alone: Callable[[FloatArray], FloatArray], excess: FloatArray) -> FloatArray:
        """Give the level at which counting and bursts reach so far together; `alone` is the tail of counting, excess has shape (rows, k)."""
        size = np.maximum(excess, 0.0)
        if not (self.spread > 0).any():
            return alone(size)

        def more(own: FloatArray) -> FloatArray:
            """By how many deviates counting reaches less far than bursts do for the rest."""
            rest = self.tail(np.sqrt(np.maximum(size**2 - own**2, 0.0)))
            return _deviate(alone(own)) - _deviate(rest)

        own = crossing(more, np.zeros_like(size), size)
        return alone(np.where((self.spread > 0)[:, None], own, size))


def _deviate(tail: FloatArray) -> FloatArray:
    return np.asarray(special.ndtri(np.clip(tail, _SMALLEST_PVALUE, _ALMOST_CERTAIN)))


def _over(part: FloatArray, whole: FloatArray) -> FloatArray:
    total = whole.sum(axis=-1)
    return np.asarray(part.sum(axis=-1) / np.where(total > 0, total, 1.0))


def _bursts(residuals: FloatArray, variances: FloatArray, slope: FloatArray, noise: _Noise) -> _Bursts:
    """Hold the residuals of intervals against the variances that independent events have; their sum changes with the estimate by the slope."""
    if noise.factor is not None and noise.df is not None:
        return _stated_bursts(variances, slope, noise.times, noise.factor, noise.df)
    n = residuals.shape[-1]
    used = variances > 0
    count = used.sum(axis=-1)
    pearson = np.where(used, residuals**2 / np.where(used, variances, 1.0), 0.0).sum(axis=-1)
    df = np.maximum(count - 1.0, 1.0)
    found = (special.chdtrc(df, pearson) < _SIGNIFICANCE) & (count > 2)
    factor, rho = pearson / df, np.zeros(len(df))
    total = variances.sum(axis=-1)
    if n >= _FEWEST_INTERVALS:
        centered = residuals - residuals.mean(axis=-1, keepdims=True)
        sustained = (n * dependent_mean_error(centered)) ** 2 / np.where(total > 0, total, 1.0)
        factor = np.where(found, np.maximum(factor, sustained), factor)
        rho = dependence(residuals)
    # on the safe side by half a standard error
    factor = np.where(count > 2, np.maximum(factor * (1 + np.sqrt(2 / df) / 2), 1.0), 1.0)
    least = next(strength for most, strength in _LEAST_RHO if n < most)
    counted = np.sqrt(total) / np.where(slope > 0, slope, 1.0)
    return _Bursts(
        factor,
        counted,
        np.sqrt(factor - 1 + noise.times - 1) * counted,
        rho,
        np.maximum(rho, least),
        found,
        found & ((rho >= _PROVEN_RHO) | (count < _FEWEST_INTERVALS)),
        n,
        np.full(len(df), np.inf),
    )


def _stated_bursts(
    variances: FloatArray, slope: FloatArray, times: FloatArray, factors: FloatArray, dfs: FloatArray
) -> _Bursts:
    """Give the noise where each interval's dispersion is stated, with Satterthwaite's degrees of freedom."""
    total = variances.sum(axis=-1)
    parts = variances * np.maximum(factors, 1.0) / np.where(total > 0, total, 1.0)[:, None]
    factor = np.where(total > 0, parts.sum(axis=-1), 1.0)
    doubt = (parts**2 / dfs).sum(axis=-1)
    counted = np.sqrt(total) / np.where(slope > 0, slope, 1.0)
    none, no = np.zeros(len(total)), np.zeros(len(total), dtype=np.bool_)
    return _Bursts(
        factor,
        counted,
        np.sqrt(np.maximum(factor - 1 + times - 1, 0.0)) * counted,
        none,
        none,
        no,
        no,
        variances.shape[-1],
        np.where(doubt > 0, factor**2 / np.where(doubt > 0, doubt, 1.0), np.inf),
    )


# --- the ratio


def _ratio(
    strata: _Strata, limits: FloatArray, levels: FloatArray, large: BoolArray, noise: _Noise
) -> StratifiedTest:
    shares = _Shares.of(strata)
    shared = shares.root(shares.canary[:, None])[:, 0]
    weights = strata.nc * strata.nb / np.maximum(strata.nc + strata.nb, 1.0)
    inverse_b = 1 / np.where(strata.nb > 0, strata.nb, 1.0)
    inverse_c = 1 / np.where(strata.nc > 0, strata.nc, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scored = (weights * strata.xc * inverse_c).sum(axis=-1) / (weights * strata.xb * inverse_b).sum(
            axis=-1
        )
    estimate = np.where(large, scored, np.exp(shared))
    inside = np.where(np.isfinite(estimate) & (estimate > 0), estimate, 1.0)[:, None]
    share = shares.share(np.log(inside))[:, 0]
    excess, variance = score_terms(strata.xb, strata.nb, strata.xc, strata.nc, inside)
    own = shares.events * share * (1 - share)
    bursts = _bursts(
        np.where(large[:, None], excess, strata.xc - shares.events * share),
        np.where(large[:, None], variance, own),
        np.where(large, (weights * strata.xc * inverse_c).sum(axis=-1), own.sum(axis=-1)),
        noise,
    )

    def law(*, above: bool) -> Callable[[FloatArray], FloatArray]:
        shared = shares.law(above=above)
        if not large.any():
            return shared

        def tail(log_ratio: FloatArray) -> FloatArray:
            inside = np.clip(log_ratio, -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO)
            score = _stratified_score(strata, np.exp(inside))
            return np.where(large[:, None], special.ndtr(-score if above else score), shared(log_ratio))

        return tail

    middle = np.where(large, np.log(inside[:, 0]), shares.start)[:, None]
    step = 1 / np.sqrt(np.maximum(own.sum(axis=-1), _INNERMOST))[:, None]
    alone = np.broadcast_to(levels, (len(limits), len(levels)))
    silent = (shares.total == 0)[:, None] | bursts.abstains[:, None]
    at, reach, sides = np.log(limits), bursts.reach(levels), []
    for above, sign in ((True, -1.0), (False, 1.0)):
        counted = law(above=above)

        def aside(
            part: FloatArray, sign: float = sign, counted: Callable[[FloatArray], FloatArray] = counted
        ) -> FloatArray:
            return counted(middle + sign * part)

        bound = _crossing(counted, alone, middle, sign * step)
        bound = middle + sign * np.hypot(np.maximum(sign * (bound - middle), 0.0), reach)
        joined = bursts.joined(aside, sign * (at - middle))
        pvalue = np.where(sign * (at - middle) >= 0, joined, counted(at))
        none = (shares.canary <= 0 if above else shares.canary >= shares.total)[:, None] | silent
        inside_floats = np.exp(np.clip(bound, -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO))
        sides.append((np.where(none, 0.0 if above else np.inf, inside_floats), np.where(silent, 1.0, pvalue)))
    (low, greater), (high, less) = sides
    estimate = np.where(shares.total > 0, estimate, np.nan)
    return StratifiedTest(
        estimate, low, high, greater, less, bursts.factor, bursts.rho, bursts.counted, large, bursts.abstains
    )


@dataclass(frozen=True, slots=True)
class _Shares:
    """The canary's share of each interval's events: a sum of binomial numbers, whose law at one ratio gives that at all."""

    events: FloatArray
    """Of both arms, in each interval."""
    log_odds: FloatArray
    """Of an event's being the canary's at equal rates, -inf where there are none."""
    canary: FloatArray
    total: FloatArray
    start: FloatArray
    """A logarithm of the ratio in the middle of things, shape (rows,)."""
    masses: FloatArray
    """Chances there of 0, 1, ... events of the canary, shape (rows, as many as are needed); of rows with few events."""
    halfway: FloatArray
    """Logarithms of the ratios at which half an event less is expected, and half an event more, shape (rows, 2)."""
    few: BoolArray
    """Which rows have few events."""

    @classmethod
    def of(cls, strata: _Strata) -> _Shares:
        there = (strata.nb > 0) & (strata.nc > 0)
        events = np.where(there, strata.xb + strata.xc, 0.0)
        with np.errstate(divide="ignore"):
            log_odds = np.where(
                there, np.log(np.where(there, strata.nc, 1.0) / np.where(there, strata.nb, 1.0)), 0.0
            )
        canary, total = np.where(there, strata.xc, 0.0).sum(axis=-1), events.sum(axis=-1)
        none = np.zeros((len(total), 0))
        whole = ~there | ((strata.xb % 1 == 0) & (strata.xc % 1 == 0))
        few = (total <= _EXACT_EVENTS) & whole.all(axis=-1)
        unfinished = cls(events, log_odds, canary, total, canary, none, none, few)
        within = np.maximum(total - _INNERMOST, _INNERMOST)[:, None]
        around = canary[:, None] + np.array([-0.5, 0.0, 0.5])
        roots = unfinished.root(np.clip(around, _INNERMOST, within))
        halfway, start = np.where(np.isfinite(roots[:, ::2]), roots[:, ::2], 0.0), roots[:, 1]
        start = np.where(np.isfinite(start), start, 0.0)
        masses = np.zeros((len(total), int(np.where(few, total, 0.0).max(initial=0.0)) + 1))
        masses[:, 0] = 1.0
        chances = np.where(few[:, None], special.expit(start[:, None] + log_odds), 0.0)
        # one event after the other; rows that have had all of theirs stay as they are
        ends = np.cumsum(np.where(few[:, None], events, 0.0), axis=-1)
        for number in range(int(ends[:, -1].max(initial=0.0))):
            interval = np.minimum((ends <= number).sum(axis=-1), events.shape[-1] - 1)
            own = np.take_along_axis(chances, interval[:, None], axis=-1)
            chance = np.where(number < ends[:, -1:], own, 0.0)
            moved = chance * masses[:, :-1]
            masses = masses * (1 - chance)
            masses[:, 1:] += moved
        return cls(events, log_odds, canary, total, start, masses, halfway, few)

    def share(self, log_ratio: FloatArray) -> FloatArray:
        """Give the share in each interval, shape (rows, q, n)."""
        return np.asarray(special.expit(log_ratio[..., None] + self.log_odds[:, None, :]))

    def root(self, canary: FloatArray) -> FloatArray:
        """Find the logarithm of the ratio at which so many events of the canary are expected, shape (rows, q); infinite at the ends."""
        total = self.total[:, None]

        def missing(log_ratio: FloatArray) -> FloatArray:
            return np.asarray(canary - (self.events[:, None, :] * self.share(log_ratio)).sum(axis=-1))

        # all intervals have the share of their sum somewhere between
        inside = np.clip(canary / np.where(total > 0, total, 1.0), _SMALLEST_PVALUE, _ALMOST_CERTAIN)
        some = self.events > 0
        least = np.where(some, self.log_odds, np.inf).min(axis=-1, keepdims=True)
        most = np.where(some, self.log_odds, -np.inf).max(axis=-1, keepdims=True)
        low, high = (
            np.clip(special.logit(inside) - odds, -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO)
            for odds in (most, least)
        )
        found = crossing(missing, low, high)
        return np.where(canary <= 0, -np.inf, np.where(canary >= total, np.inf, found))

    def law(self, *, above: bool) -> Callable[[FloatArray], FloatArray]:
        """Give the chance of as many events of the canary as there are, or more (or fewer), as a function of ratios, shape (rows, q)."""
        few, certain = self.few, (self.canary <= 0 if above else self.canary >= self.total)[:, None]
        saddlepoint = None if few.all() else self._saddlepoint(above=above)

        def tail(log_ratio: FloatArray) -> FloatArray:
            found = self._convolved(log_ratio, above=above) if few.any() else np.zeros_like(log_ratio)
            if saddlepoint is not None:
                found = np.where(few[:, None], found, saddlepoint(log_ratio))
            return np.where(certain, 1.0, found)

        return tail

    def _convolved(self, log_ratio: FloatArray, *, above: bool) -> FloatArray:
        counts = np.arange(self.masses.shape[-1], dtype=np.float64)
        tilt = (log_ratio - self.start[:, None])[..., None] * counts
        with np.errstate(divide="ignore"):
            logs = np.log(self.masses)[:, None, :] + tilt
        weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
        observed = self.canary[:, None, None]
        counted = counts >= observed if above else counts <= observed
        # summed one by one: how many counts there are at the end without a chance must not change the bits
        part, whole = (
            np.cumsum(terms, axis=-1)[..., -1] for terms in (np.where(counted, weights, 0.0), weights)
        )
        return np.asarray(part / whole)

    def _saddlepoint(self, *, above: bool) -> Callable[[FloatArray], FloatArray]:
        # the tail between two whole numbers, halfway
        within = np.maximum(self.total - _INNERMOST, _INNERMOST)
        observed = np.clip(self.canary + (-0.5 if above else 0.5), _INNERMOST, within)[:, None]
        there = self.halfway[:, :1] if above else self.halfway[:, 1:]
        share = self.share(there)
        variances = self.events[:, None, :] * share * (1 - share)
        variance = variances.sum(axis=-1)
        skewness = (variances * (1 - 2 * share)).sum(axis=-1) / np.maximum(variance, 1e-200) ** 1.5
        other = np.asarray(special.expit(-there[..., None] - self.log_odds[:, None, :]))

        def tail(log_ratio: FloatArray) -> FloatArray:
            step = there - log_ratio
            back = np.clip(-step, -_LARGEST_STEP, _LARGEST_STEP)
            # what an event's cumulants grow by, which is known to few digits as a difference of two logarithms
            grown = np.log1p(share * np.expm1(np.clip(back, -_NEAR, _NEAR))[..., None])
            far = np.abs(back) > _NEAR
            if far.any():
                whole = np.log(other + share * np.exp(np.where(far, back, 0.0))[..., None])
                grown = np.where(far[..., None], whole, grown)
            exponent = step * observed + (self.events[:, None, :] * grown).sum(axis=-1)
            w = np.sign(step) * np.sqrt(2 * np.maximum(exponent, 0.0))
            u = -2 * np.sinh(back / 2) * np.sqrt(variance)
            small = (np.abs(w) < _LINEAR) | (u * w <= 0)
            safe = np.where(small, 1.0, w)
            deviate = np.where(small, w + skewness / 6, w + np.log(np.where(small, 1.0, u / safe)) / safe)
            return np.asarray(special.ndtr(-deviate if above else deviate))

        return tail


def score_terms(
    xb: FloatArray, nb: FloatArray, xc: FloatArray, nc: FloatArray, ratio: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give each stratum's weighted excess over a ratio of proportions and its variance by Miettinen and Nurminen.

    Parameters
    ----------
    xb, nb, xc, nc : ndarray, shape (rows, n)
        Events and totals of the baseline, and of the canary.
    ratio : ndarray, shape (rows, 1)
        Ratios.

    Returns
    -------
    tuple of ndarray, shape (rows, n)
        With Mantel and Haenszel's weights. Summed, and at a ratio of 1, the excess over the root of the variance is the deviate of their test.

    Examples
    --------
    >>> counts = (np.array([[float(number), float(number)]]) for number in (40, 2000, 90, 2000))
    >>> excess, variance = score_terms(*counts, np.array([[1.0]]))
    >>> excess.round(9).tolist(), variance.round(3).tolist()
    ([[25.0, 25.0]], [[31.452, 31.452]])
    """
    total = nc + nb
    there = total > 0
    linear = nc * ratio + xc + nb + xb * ratio
    root = np.sqrt(np.maximum(linear**2 - 4 * total * ratio * (xc + xb), 0.0))
    pb = 2 * (xc + xb) / np.where(there, linear + root, 1.0)
    pc = np.minimum(ratio * pb, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = nc * nb / total
        variance = pc * (1 - pc) / nc + ratio**2 * pb * np.maximum(1 - pb, 0.0) / nb
        variance *= np.where(total > 1, total / (total - 1), np.inf)
        excess = xc / nc - ratio * xb / nb
        return np.where(there, weight * excess, 0.0), np.where(
            there & (variance > 0), weight**2 * variance, 0.0
        )


def _stratified_score(strata: _Strata, ratio: FloatArray) -> FloatArray:
    """Give the score's deviate at ratios, shape (rows, q)."""
    deviates = []
    for number in range(ratio.shape[1]):
        terms = score_terms(strata.xb, strata.nb, strata.xc, strata.nc, ratio[:, number : number + 1])
        excess, variance = (part.sum(axis=-1) for part in terms)
        with np.errstate(divide="ignore", invalid="ignore"):
            deviates.append(np.where(excess == 0, 0.0, excess / np.sqrt(variance)))
    return np.stack(deviates, axis=1) if deviates else np.zeros(ratio.shape)


def _crossing(
    tail: Callable[[FloatArray], FloatArray], levels: FloatArray, start: FloatArray, step: FloatArray
) -> FloatArray:
    """Find where a tail falls to levels, shape (rows, l), on the way from the start by steps of one sign: in deviates, which are nearly straight."""
    wanted = special.ndtri(np.maximum(levels, _SMALLEST_PVALUE))

    def missing(at: FloatArray) -> FloatArray:
        return _deviate(tail(at)) - wanted

    inner = np.broadcast_to(start, levels.shape) + 0.0
    outer = inner + step * np.maximum(-wanted, 1.0)
    inner = inner - 0.5 * step
    above, below = missing(inner), missing(outer)
    for _ in range(_WIDENINGS):
        short, far = below > 0, above < 0
        if not (short.any() or far.any()):
            break
        moved = outer + 2 * (outer - inner)
        back = inner - 2 * (outer - inner)
        inner, above = np.where(short, outer, np.where(far, back, inner)), np.where(short, below, above)
        outer = np.where(short, moved, outer)
        if far.any():
            above = np.where(far, missing(inner), above)
        if short.any():
            below = np.where(short, missing(outer), below)
    return crossing(missing, inner, outer, (above, below))


# --- the difference


def _difference(
    strata: _Strata, limits: FloatArray, levels: FloatArray, large: BoolArray, noise: _Noise
) -> StratifiedTest:
    there = (strata.nb > 0) & (strata.nc > 0)
    nb, nc = np.where(there, strata.nb, 1.0), np.where(there, strata.nc, 1.0)
    weights = np.where(there, nc * nb / (nc + nb), 0.0)
    total = weights.sum(axis=-1, keepdims=True)
    weights = weights / np.where(total > 0, total, 1.0)
    baseline, canary = _Standardized(strata.xb, nb, weights), _Standardized(strata.xc, nc, weights)
    estimate = canary.rate - baseline.rate
    rates = [
        np.where(large[:, None], arm.rate[:, None], _overall(arm, strata, estimate, sign))
        for arm, sign in ((canary, 1.0), (baseline, -1.0))
    ]
    variances = weights**2 * sum(
        rate * np.where(large[:, None], np.maximum(1 - rate, 0.0), 1.0) / n
        for rate, n in zip(rates, (nc, nb), strict=True)
    )
    residuals = weights * (strata.xc / nc - strata.xb / nb - estimate[:, None])
    bursts = _bursts(residuals, variances, np.ones(len(estimate)), noise)
    silent = (bursts.abstains | (total[:, 0] == 0))[:, None]
    middle, reach, sides = estimate[:, None], bursts.reach(levels), []
    alone = np.broadcast_to(levels, (len(limits), len(levels)))
    for first, second, sign in ((canary, baseline, 1.0), (baseline, canary, -1.0)):

        def low(
            level: FloatArray, first: _Standardized = first, second: _Standardized = second
        ) -> FloatArray:
            return _difference_low(first, second, large, level)

        def pvalue(
            nulls: FloatArray, low: Callable[[FloatArray], FloatArray] = low, sign: float = sign
        ) -> FloatArray:
            """Find the level at which the half-width reaches the null value; that of the deviate which both its parts have."""
            excess = sign * middle - nulls

            def short(at: FloatArray) -> BoolArray:
                deviate = np.sinh(at) / 2
                counted = np.maximum(sign * middle - low(bursts.level(deviate)), 0.0)
                return np.asarray(np.hypot(counted, deviate * bursts.spread[:, None]) < excess)

            start, end = np.zeros(nulls.shape), np.full(nulls.shape, _LARGEST_DEVIATE)
            return bursts.level(np.sinh(bisect(short, start, end, _HALVINGS)) / 2)

        bound = sign * middle - np.hypot(np.maximum(sign * middle - low(alone), 0.0), reach)
        sides.append((np.where(silent, -np.inf, bound), pvalue(sign * limits)))
    (low_bound, above), (minus_high, below) = sides
    greater = np.where(above < 0.5, above, 1 - np.minimum(below, 0.5))
    less = np.where(below < 0.5, below, 1 - np.minimum(above, 0.5))
    return StratifiedTest(
        np.where(total[:, 0] > 0, estimate, np.nan),
        low_bound,
        -minus_high,
        np.where(silent, 1.0, greater),
        np.where(silent, 1.0, less),
        bursts.factor,
        bursts.rho,
        bursts.counted,
        large,
        bursts.abstains,
    )


@dataclass(frozen=True, slots=True)
class _Standardized:
    """One arm's rate, the weighted mean over its intervals."""

    events: FloatArray
    totals: FloatArray
    weights: FloatArray

    @property
    def rate(self) -> FloatArray:
        return np.asarray((self.weights * self.events / self.totals).sum(axis=-1))

    def bounds(self, level: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bound it by Fay and Feuer's gamma distributions, at levels of shape (rows, l)."""
        parts = self.weights / self.totals
        rate, variance = self.rate, (parts**2 * self.events).sum(axis=-1)
        some = variance > 0
        shape = np.where(some, rate**2 / np.where(some, variance, 1.0), 0.0)[:, None]
        scale = np.where(some, variance / np.where(some, rate, 1.0), 1.0)[:, None]
        low = np.where(shape > 0, scale * special.gammaincinv(shape, level), 0.0)
        # one more event, where it weighs the most
        largest = parts.max(axis=-1)
        mean, spread = rate + largest, variance + largest**2
        spread = np.where(spread > 0, spread, 1.0)
        high = (spread / np.where(mean > 0, mean, 1.0))[:, None] * special.gammainccinv(
            (mean**2 / spread)[:, None], level
        )
        return low, high

    @property
    def effective(self) -> FloatArray:
        """Total of one sample whose proportion would be known as well."""
        return np.asarray(1 / np.maximum((self.weights**2 / self.totals).sum(axis=-1), 1e-300))


def _overall(arm: _Standardized, strata: _Strata, estimate: FloatArray, sign: float) -> FloatArray:
    """Give an arm's rate in each interval by that of both arms and their difference."""
    n = strata.nb + strata.nc
    both = (strata.xb + strata.xc) / np.where(n > 0, n, 1.0)
    other = np.where(n > 0, (n - arm.totals) / np.where(n > 0, n, 1.0), 0.0)
    return np.maximum(both + sign * estimate[:, None] * other, 0.0)


def _difference_low(
    first: _Standardized, second: _Standardized, large: BoolArray, level: FloatArray
) -> FloatArray:
    """Bound the first rate minus the second from below, at levels of shape (rows, l)."""
    below = first.rate[:, None] - first.bounds(level)[0]
    above = second.bounds(level)[1] - second.rate[:, None]
    rare = (first.rate - second.rate)[:, None] - np.hypot(np.maximum(below, 0.0), np.maximum(above, 0.0))
    if not large.any():
        return np.asarray(rare)
    sizes = [np.where(large, arm.effective, 1.0)[:, None] for arm in (first, second)]
    rates = [np.where(large, np.clip(arm.rate, 0.0, 1.0), 0.0)[:, None] for arm in (first, second)]
    binomial = difference_bounds(rates[0] * sizes[0], sizes[0], rates[1] * sizes[1], sizes[1], level).low
    return np.where(large[:, None], binomial, rare)
