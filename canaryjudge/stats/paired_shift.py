r"""Arms that share the clock, compared minute by minute.

What both arms feel at one time (load, a warm-up, a neighbor on the node) cancels in the difference of their points at that time. The mean of these
differences is held against its standard error, which neighboring minutes that resemble each other make larger than it looks. How much larger is
known for a series whose points depend on each other as an AR(1) process's do: with :math:`Y_1 \ldots Y_q` the series' projections on its lowest q cosine waves [1]_,

.. math:: P\left(\sqrt n\,\bar d > c \sqrt{q^{-1} \textstyle\sum Y_j^2}\right) = \frac1\pi \int_0^{\pi/2} \prod_i \left(1 + \frac{\mu_i}{\sin^2\theta}\right)^{-1/2} d\theta

exactly, where :math:`-\mu_i` are the negative eigenvalues of the quadratic form :math:`n \bar d^2 - c^2 q^{-1} \sum Y_j^2` over its only positive one (the
integral is Craig's [2]_ for the normal tail). Without dependence it is Student's t distribution with q degrees of freedom. With all waves,
:math:`q = n - 1`, the root is the standard deviation. So

- from 20 points on 8 waves are used, of points winsorized at 3 robust standard deviations, and the lag-1 autocorrelation is taken to lie somewhat above the one seen, by
  a normal distribution of its inverse hyperbolic tangent: a p-value is the mean over it;
- 10 to 19 points say little of their autocorrelation: it is taken to lie by .5, a little below or above by what is seen, and all waves are used (or at .77, where a wrong pass cannot wait for more of them);
- 4 to 9 points can only prove gross harm: every minute beyond the limit, their mean at least twice as far, and beyond what an autocorrelation of .9 explains, however little
  the points scatter (at least 2 %).

References
----------
.. [1] E. Lazarus, D. J. Lewis, J. H. Stock and M. W. Watson, "HAR inference: recommendations for practice", J. Business & Economic Statistics 36 (2018), 541-559.
.. [2] J. W. Craig, "A new, simple and exact result for calculating the probability of error for two-dimensional signal constellations", Proc. IEEE MILCOM (1991), 571-575.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.quantiles import medians
from canaryjudge.stats.replicas import joined
from canaryjudge.stats.ties import above, at_least, rounding, snapped

__all__ = [
    "FEWEST_FOR_A_LEVEL",
    "FEWEST_FOR_GROSS_HARM",
    "Effect",
    "PairedTest",
    "dependent_mean_critical",
    "dependent_mean_error",
    "dependent_mean_tail",
    "mean_tail",
    "over_replicas",
    "paired_changes",
    "paired_test",
    "replica_spread",
]

Effect = Literal["ratio", "relative", "difference"]
_Which = Literal["shown", "known", "wary", "gross"]
"""Which dependence a law goes with: whatever may be behind the one that is shown, the one that is given, or a strong one: that which few points are taken to have where asked to be wary, and the
strongest, which gross harm is held against."""

FEWEST_FOR_GROSS_HARM: Final = 4
FEWEST_FOR_A_LEVEL: Final = 10
_FEWEST_FOR_WAVES = 20
_WAVES = 8
"""Recorded services drift more slowly than their lag-1 autocorrelation tells, and only the lowest waves show it."""
_ROBUST = 3.0
"""Robust standard deviations at which points are winsorized."""
_MAD_TO_SD = 1.4826
_ROUNDS = 8
"""Newton steps for the relative effect: its winsorized points change with it."""
_STEP = 0.1
_UNSEEN_SHIFT, _UNSEEN_SPREAD = 0.17, 0.29
"""How much stronger the dependence may be than what is seen, in the inverse hyperbolic tangent of the autocorrelation (half a step more by rounding up)."""
_UNSEEN = np.arange(-5, 12)
_UNSEEN_WEIGHTS = np.exp(-(((_UNSEEN * _STEP - _UNSEEN_SHIFT) / _UNSEEN_SPREAD) ** 2) / 2)
_UNSEEN_WEIGHTS /= _UNSEEN_WEIGHTS.sum()
_CLASSES = 24
"""Classes of the dependence: up to tanh 2.3 = .98."""
_FEW_LAWS = np.arange(-8, 22)
"""Classes of what 10 to 19 points show, in steps."""
_FEW_MIDDLE, _FEW_MORE, _FEW_SLOPE, _FEW_SPREAD = 0.375, 1.05, 0.19, 0.13
"""Where their dependence is taken to lie: the first and the second over n, and so much of what is seen; and how far about that. Chosen so that levels of 5 to .02 % are just held
at an autocorrelation of .5 (benchmarks/paired_sizes.py)."""
_WARY_RHO = 0.77
"""What few points show of their dependence hardly tells .5 from .8: the mean over the standard deviation at one strong autocorrelation finds nearly as much as any test that allows for all up to it
(benchmarks/rollouts.py)."""
_GROSS_RHO = 0.9
_STRONG: Final[dict[str, float]] = {"wary": _WARY_RHO, "gross": _GROSS_RHO}
_GROSS_POINTS = 20
"""More points are held against the critical values of so many, which are larger."""
_GROSS_TIMES = 2.0
_GROSS_SPREAD = 0.02
_PROVEN_RHO = 0.95
"""From so strong a dependence on no level is promised."""
_WANDERS_FROM = 120
"""Of fewer points the law of the strongest dependence asks so much that abstaining changes no level; of more it tells a walk by its dependence, and abstains."""
_LARGEST_LOG_RATIO = float(np.log(1000.0))
"""A larger change counts as this one: the change to or from 0 is one of them."""
_GRID = np.linspace(0.0, np.arcsinh(2e4), 129)
"""Where the laws are tabulated: the inverse hyperbolic sine of twice the statistic."""
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(32)
_NODES, _NODE_WEIGHTS = (
    (_NODES + 1) / 2,
    _NODE_WEIGHTS * (_NODES + 1) / 2,
)  # the angle is pi/2 times their square: of small statistics little angles matter
_SQUARED_SINES = np.sin(np.pi / 2 * _NODES**2) ** 2
_HALVINGS = 60
_ROUNDING = 1e-12
"""Differences that vary by less than this part of their size do not vary."""
_SMALLEST = 1e-9
_KNOWN = 1e12
"""Degrees of freedom of what is known for certain."""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """What the pairs say; k limits and l levels. Where the test abstains, p-values are 1 and bounds infinite.

    Attributes
    ----------
    estimate : ndarray, shape (...)
        Change of the canary against the baseline, in the effect's unit: a log ratio, a share of the baseline's level, or a difference.
    low, high : ndarray, shape (..., k, l)
        One-sided confidence bounds of the change, each wrong with probability `level`; one for each limit, because gross harm is gross against a limit.
    pvalue_greater, pvalue_less : ndarray, shape (..., k)
        For the null hypotheses "the change is at most the limit" and "at least".
    standard_error : ndarray, shape (..., k)
        That of the estimate by its waves, with the lasting noise.
    rho : ndarray, shape (...)
        Lag-1 autocorrelation of the differences.
    abstains : ndarray of bool, shape (...)
        There are too few differences, or 120 and more that wander (an autocorrelation of .95), so that nothing about their level can be said; gross harm can still be proven.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    standard_error: FloatArray
    rho: FloatArray
    abstains: NDArray[np.bool_]

    def __getitem__(self, rows: NDArray[np.bool_]) -> PairedTest:
        """Give what the pairs of some rows of a batch with one leading axis say."""
        return PairedTest(*(getattr(self, name)[rows] for name in self.__slots__))

    @classmethod
    def joined(cls, parts: Sequence[tuple[NDArray[np.bool_], PairedTest]]) -> PairedTest:
        """Put parts of such a batch together, each with the rows that it is of; every row is of one."""
        if len(parts) == 1:
            return parts[0][1]
        columns = []
        for name in cls.__slots__:
            first = getattr(parts[0][1], name)
            column = np.empty((len(parts[0][0]), *first.shape[1:]), dtype=first.dtype)
            for rows, test in parts:
                column[rows] = getattr(test, name)
            columns.append(column)
        return cls(*columns)


def paired_test(  # noqa: PLR0913 - what is asked, of what, and how it is known
    baseline: ArrayLike,
    canary: ArrayLike,
    limits: ArrayLike,
    *,
    effect: Effect = "ratio",
    levels: ArrayLike = (0.01, 0.05),
    lasting: ArrayLike = 0.0,
    lasting_df: ArrayLike = np.inf,
    fewest: int = FEWEST_FOR_A_LEVEL,
    wary: bool = False,
) -> PairedTest:
    r"""Test whether the canary lies beyond limits, minute by minute.

    Parameters
    ----------
    baseline, canary : array_like, shape (..., n)
        Points of both arms at the same times, in order, equally spaced; n >= 4.
    limits : array_like, shape (..., k) or (k,)
        Changes to test against, in the effect's unit.
    effect : {"ratio", "relative", "difference"}
        The difference of a pair: :math:`\log c_t - \log b_t` of values that are not negative (0 counts as a thousandth of the other arm),
        :math:`c_t - b_t - \delta |b_t|`, which a change by the share :math:`\delta` of the baseline makes 0 in the mean, or :math:`c_t - b_t`.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds.
    lasting : array_like, shape (..., k) or fewer axes
        Standard deviation, in the effect's unit, by which arms differ where nothing is wrong and more points do not help: `assumed_spread`, or what replicas or history measured.
    lasting_df : array_like, shape (..., k) or fewer axes
        Degrees of freedom with which it is known.
    fewest : int
        Fewer points, and in any case fewer than ten, are only asked for gross harm.
    wary : bool
        Of fewer than 20 points, "at least" and the upper bounds are held against an autocorrelation of .77, not one about .5.

    Returns
    -------
    PairedTest
        Estimate, bounds, p-values. A limit lies below `low` just where `pvalue_greater` is below the level.

    Raises
    ------
    ValueError
        The arms differ in length or have fewer than four points, or a ratio is asked of negative values.

    Notes
    -----
    The lasting noise is joined (`canaryjudge.stats.lasting_noise.joined`) with the standard error at which Student's t, with n - 1 degrees of freedom or one a wave, has the critical value that the
    points have; the interval is never narrower than by the points alone, so that a floor that is well known does not lend its degrees of freedom to points that are not.

    The relative effect is studentized at the estimate, like a ratio of means, so that what both arms feel does not count as noise of a large change; its bounds are a straight inversion.

    By simulation of AR(1) differences (benchmarks/paired_sizes.py) levels of 5 to .02 % hold from 10 points on up to an autocorrelation of .5, from 30 on up to .7, from 60 on up to
    .8, and from 120 on up to .9. Of the relative effect the upper bounds err up to 1.2 times as often at 5 %, and 1.6 times at 1 %, where each arm's own points vary by a fifth. Slow drifts below faster noise are the weak case: .9 and white noise of equal size give 6 % for 1 % at 60 points. From 20 points on what is tested is the
    winsorized mean, which differs from the mean where differences are skewed.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> load = 100 * np.exp(rng.normal(0, 0.5, 30))
    >>> noise = np.exp(rng.normal(0, 0.02, (2, 30)))
    >>> found = paired_test(load * noise[0], 1.3 * load * noise[1], [np.log(1.1)])
    >>> round(float(np.exp(found.estimate)), 2), bool(found.pvalue_greater[0] < 1e-4)
    (1.3, True)
    """
    first, second = np.asarray(baseline, dtype=np.float64), np.asarray(canary, dtype=np.float64)
    n = first.shape[-1]
    if second.shape[-1] != n or n < FEWEST_FOR_GROSS_HARM:
        raise ValueError(
            f"both arms need the same {FEWEST_FOR_GROSS_HARM} times or more, found {n} and {second.shape[-1]}"
        )
    if effect == "ratio" and min(first.min(initial=0.0), second.min(initial=0.0)) < 0:
        raise ValueError("a ratio is asked of negative values")
    at = np.asarray(limits, dtype=np.float64)
    wanted = np.asarray(levels, dtype=np.float64)
    floor, floor_df = np.broadcast_arrays(
        np.asarray(lasting, dtype=np.float64), np.asarray(lasting_df, dtype=np.float64)
    )
    series = paired_changes(first, second, effect, winsorize=n >= _FEWEST_FOR_WAVES)
    size = _size(first, second, effect)
    smallest, largest = series.min(axis=-1), series.max(axis=-1)
    still = largest - smallest <= np.maximum(
        rounding(size), _ROUNDING * np.maximum(np.abs(smallest), np.abs(largest))
    )
    estimate = snapped(np.where(still, series[..., 0], series.mean(axis=-1)), at, size)
    series = np.where(still[..., None], estimate[..., None], series)
    shown = dependence(series - estimate[..., None], signed=True)
    rho = np.maximum(shown, 0.0)
    has_level = n >= max(fewest, FEWEST_FOR_A_LEVEL)
    abstains = (rho >= _PROVEN_RHO) & (n >= _WANDERS_FROM) | (not has_level)
    excess = estimate[..., None] - at
    floor, floor_df = np.broadcast_to(floor, excess.shape), np.broadcast_to(floor_df, excess.shape)
    error = dependent_mean_error(series - estimate[..., None])[..., None]
    if has_level:
        noise = _Noise(error, n, _dependence_class(shown, n)[..., None], floor, floor_df)
        tail, reach = noise.tail(np.abs(excess)), noise.reach(wanted)
        tail_less, reach_up = tail, reach
        if wary and n < _FEWEST_FOR_WAVES:
            strong = replace(noise, row=np.zeros_like(noise.row), which="wary")
            tail_less, reach_up = strong.tail(np.abs(excess)), strong.reach(wanted)
        greater, less = np.where(excess > 0, tail, 1 - tail), np.where(excess < 0, tail_less, 1 - tail_less)
    else:
        greater, less = np.ones_like(excess), np.ones_like(excess)
        reach = reach_up = np.full((*excess.shape, wanted.shape[-1]), np.inf)
    silent = abstains[..., None]
    greater, less = np.where(silent, 1.0, greater), np.where(silent, 1.0, less)
    low, high = (
        estimate[..., None, None] + sign * np.where(silent[..., None], np.inf, own)
        for sign, own in ((-1, reach), (1, reach_up))
    )
    # gross harm needs no fine statistics
    unit = np.abs(medians(first)) if effect == "difference" else np.ones_like(estimate)
    spread = np.maximum(series.std(axis=-1, ddof=1), _GROSS_SPREAD * unit)[..., None]
    points = min(n, _GROSS_POINTS)
    coarse = _Noise(
        spread / np.sqrt(points), points, np.zeros(spread.shape, dtype=np.intp), floor, floor_df, "gross"
    )
    twice = np.log1p(_GROSS_TIMES * np.expm1(at)) if effect == "ratio" else _GROSS_TIMES * at
    sizes = size[..., None]
    gross = above(smallest[..., None], at, sizes) & at_least(
        estimate[..., None], np.where(at > 0, twice, at), sizes
    )
    if gross.any():
        greater = np.where(gross, np.minimum(greater, coarse.tail(np.abs(excess))), greater)
        bound = estimate[..., None, None] - coarse.reach(wanted)
        low = np.where(gross[..., None], np.maximum(low, bound), low)
    return PairedTest(estimate, low, high, greater, less, np.hypot(error, floor), rho, abstains)


def over_replicas(values: ArrayLike, effect: Effect) -> FloatArray:
    """Take an arm's replicas together in each minute, so that the pairs of arms are the mean over all pairs of replicas.

    Parameters
    ----------
    values : array_like, shape (..., n, R)
        A point of each replica in each minute; NaN where a replica has none.
    effect : {"ratio", "relative", "difference"}
        Replicas of a ratio have their geometric mean (of ten that are noisy the arithmetic one is biased against a single one), those of the others the arithmetic one.

    Returns
    -------
    ndarray, shape (..., n)
        Points of the arm; NaN in a minute without any replica.

    Examples
    --------
    >>> over_replicas([[1.0, 4.0], [9.0, np.nan]], "ratio").round(6).tolist()
    [2.0, 9.0]
    """
    points = np.asarray(values, dtype=np.float64)
    there = ~np.isnan(points)
    count = there.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.log(points) if effect == "ratio" else points
        mean = np.where(there, scale, 0.0).sum(axis=-1) / count
    return np.asarray(np.exp(mean) if effect == "ratio" else mean)


def replica_spread(baseline: ArrayLike, canary: ArrayLike, effect: Effect) -> tuple[FloatArray, FloatArray]:
    r"""Measure by how much arms differ because their replicas do: the lasting noise of `paired_test`.

    Parameters
    ----------
    baseline, canary : array_like, shapes (..., n, R) and (..., n, S)
        Points of each replica in each minute, NaN where there is none; R + S >= 3.
    effect : {"ratio", "relative", "difference"}
        As for `paired_test`.

    Returns
    -------
    tuple of ndarray, shape (...)
        Standard deviation of the difference of the arms' levels, :math:`s \sqrt{1/R + 1/S}` with s that between replicas of one arm, and its degrees of freedom R + S - 2. The replicas' own noise
        in time is in it too, which errs on the safe side.

    Raises
    ------
    ValueError
        There are fewer than three replicas.

    Examples
    --------
    >>> spread, df = replica_spread([[10.0, 12.0, 14.0]], [[12.0]], "difference")
    >>> round(float(spread), 4), float(df)
    (2.3094, 2.0)
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (baseline, canary)]
    sizes = [arm.shape[-1] for arm in arms]
    if sum(sizes) < 3:
        raise ValueError(f"three replicas are needed, found {sizes[0]} and {sizes[1]}")
    if effect == "relative":
        scale = np.abs(np.nanmean(arms[0], axis=(-2, -1), keepdims=True))
        arms = [arm / scale for arm in arms]
    # a replica's level over time: the minutes change places with the replicas
    levels = [over_replicas(np.swapaxes(arm, -1, -2), effect) for arm in arms]
    if effect == "ratio":
        levels = [np.log(np.maximum(level, np.finfo(float).tiny)) for level in levels]
    squares = sum(np.square(level - level.mean(axis=-1, keepdims=True)).sum(axis=-1) for level in levels)
    df = float(sum(sizes) - 2)
    spread = np.sqrt(squares / df * (1 / sizes[0] + 1 / sizes[1]))
    return np.asarray(spread), np.full(spread.shape, df)


def mean_tail(statistic: ArrayLike, n: int, waves: int, rho: float) -> FloatArray:
    r"""Give the chance that the mean of an AR(1) series of expectation 0 exceeds so many standard errors.

    Parameters
    ----------
    statistic : array_like
        :math:`\sqrt n` times the mean over the root of the mean square of the projections, at least 0.
    n : int
        Points of the series.
    waves : int
        How many of its lowest cosine waves make the standard error, at most n - 1; of n - 1 it is the standard deviation over root n.
    rho : float
        Autocorrelation at lag 1, in [0, 1).

    Returns
    -------
    ndarray
        One-sided tail probabilities, to about ten digits.

    Examples
    --------
    Without dependence, `pt(-3, 9)` in R gives .007478182:

    >>> round(float(mean_tail(3.0, 10, 9, 0.0)), 9), round(float(mean_tail(3.0, 10, 9, 0.5)), 4)
    (0.007478182, 0.0677)
    """
    weights, spreads = _forms(n, waves, np.array([rho]))
    return _form_tail(np.asarray(statistic, dtype=np.float64)[..., None], weights[0], spreads[0])


def dependent_mean_error(series: FloatArray) -> FloatArray:
    """Give the standard error of the mean of a series that `dependent_mean_tail` goes with.

    Parameters
    ----------
    series : ndarray, shape (..., n)
        Points in order of time, centered; n >= 4.

    Returns
    -------
    ndarray, shape (...)
        By the standard deviation of fewer than 20 points, by 8 cosine waves of more.

    Examples
    --------
    >>> round(float(dependent_mean_error(np.array([-1.0, 0.0, 0.0, 1.0]))), 4)
    0.4082
    """
    n = series.shape[-1]
    if n < _FEWEST_FOR_WAVES:
        return np.asarray(series.std(axis=-1, ddof=1) / np.sqrt(n))
    waves = np.sqrt(2 / n) * np.cos(np.pi * (np.arange(n) + 0.5) * np.arange(1, _WAVES + 1)[:, None] / n)
    # no matrix product: its bits depend on how many rows there are
    power = np.stack([np.square((series * wave).sum(axis=-1)) for wave in waves], axis=-1)
    return np.asarray(np.sqrt(power.sum(axis=-1) / (_WAVES * n)))


def dependent_mean_tail(statistic: ArrayLike, n: int, rho: ArrayLike, *, known: bool = False) -> FloatArray:
    """Give the chance that a mean of n dependent points, of expectation 0, exceeds so many of its standard errors.

    Parameters
    ----------
    statistic : array_like, shape (..., k)
        The mean over `dependent_mean_error`, at least 0.
    n : int
        Points of the series.
    rho : array_like, shape (...)
        The lag-1 autocorrelation that they show, in [-.97, .97]; that a stronger one may be behind it is allowed for.
    known : bool
        It is theirs, in [0, .97], and no other is behind it.

    Returns
    -------
    ndarray, shape (..., k)
        One-sided tail probabilities, to five digits.

    Examples
    --------
    >>> dependent_mean_tail([[4.0], [4.0]], 60, [0.0, 0.8]).round(4).ravel().tolist()
    [0.0023, 0.03]
    """
    which: _Which = "known" if known else "shown"
    row = _dependence_class(np.asarray(rho, dtype=np.float64), n, which)[..., None]
    at = np.arcsinh(2 * np.minimum(np.asarray(statistic, dtype=np.float64), 1e300))
    return np.asarray(np.exp(_interpolated(_laws(n, which), row, at)))


def dependent_mean_critical(levels: ArrayLike, n: int, rho: ArrayLike, *, known: bool = False) -> FloatArray:
    """Give how many standard errors a mean exceeds with chances at levels: the inverse of `dependent_mean_tail`.

    Parameters
    ----------
    levels : array_like, shape (l,)
        One-sided chances.
    n, rho, known
        As `dependent_mean_tail` takes them.

    Returns
    -------
    ndarray, shape (..., l)
        Critical values; infinite beyond ten thousand.

    Examples
    --------
    >>> dependent_mean_critical([0.05, 0.01], 60, 0.8).round(2).tolist()
    [3.3, 5.62]
    """
    wanted = np.asarray(levels, dtype=np.float64)
    which: _Which = "known" if known else "shown"
    row = _dependence_class(np.asarray(rho, dtype=np.float64), n, which)
    return np.asarray(_critical(n, tuple(wanted.tolist()), which)[row])


def _form_tail(c: FloatArray, weights: FloatArray, spreads: FloatArray) -> FloatArray:
    """Integrate Craig's formula for the form (w'z)^2 - c^2 sum s z^2 in independent normal z; weights are squared, the last axis of all is that of z."""
    scaled = c**2 * spreads
    # its only positive eigenvalue solves sum w^2 / (x + c^2 s) = 1; Newton on the reciprocal comes from below
    largest = weights[..., :1] * np.ones_like(c)
    for _ in range(_ROUNDS):
        parts = weights / (largest + scaled)
        total = parts.sum(axis=-1, keepdims=True)
        slope = (parts / (largest + scaled)).sum(axis=-1, keepdims=True)
        largest = largest + (total - 1) * total / slope
    inverse = (1 / largest) / _SQUARED_SINES  # (..., nodes)
    terms = 1 + inverse[..., None] * scaled[..., None, :]
    lost = (1 - inverse * (weights[..., None, :] / terms).sum(axis=-1)) / (1 - 1 / _SQUARED_SINES)
    product = np.exp(-np.log(terms).sum(axis=-1) / 2) / np.sqrt(lost)
    return np.asarray((product * _NODE_WEIGHTS).sum(axis=-1) / 2)


def _forms(n: int, waves: int, rhos: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bring root n times the mean and the waves' power to independent normals: squared weights of the mean, and the power's factors; the first one is 0."""
    wave = np.arange(waves + 1)
    rho, angles = rhos[:, None], np.pi * wave / n
    # the inverse of an AR(1) process' covariance has the waves for eigenvectors, but for its two corners, which waves of one parity share
    spectrum = (1 - rho) ** 2 + 4 * rho * np.sin(angles / 2) ** 2
    ends = np.sqrt(np.where(wave == 0, 1, 2) / n) * np.cos(angles / 2) * (1 - rho) / spectrum
    corners = 2 * rho * (1 - np.where(wave % 2, -1, 1) * rho**n)
    shared = (ends * corners)[:, :, None] * ends[:, None] * ((wave[:, None] + wave) % 2 == 0)
    root = np.linalg.cholesky(((1 - rho**2) / spectrum)[:, :, None] * np.eye(waves + 1) - shared)
    spreads, vectors = np.linalg.eigh(root[:, 1:].swapaxes(1, 2) @ root[:, 1:] / waves)
    spreads[:, 0] = 0.0  # the mean given all waves; rounding must not make it negative
    return np.square((vectors * root[:, 0, :, None]).sum(axis=1)), np.maximum(spreads, 0.0)


def _tabulated(n: int, waves: int, rhos: FloatArray) -> FloatArray:
    """Tabulate the tail at the grid, a row an autocorrelation."""
    weights, spreads = _forms(n, waves, rhos)
    return _form_tail((np.sinh(_GRID) / 2)[:, None], weights[:, None], spreads[:, None])


@lru_cache(maxsize=256)
def _laws(n: int, which: _Which = "shown") -> FloatArray:
    """Give the logarithms of the tails that a mean over its standard error may have, a row a class of dependence."""
    if which in _STRONG:
        return np.log(_tabulated(n, n - 1, np.array([_STRONG[which]])))
    few = n < _FEWEST_FOR_WAVES
    strengths = _STEP * np.arange(_CLASSES)
    tails = _tabulated(n, n - 1 if few else _WAVES, np.tanh(strengths))
    if which == "known":
        return np.log(tails)
    if few:
        middle = _FEW_MIDDLE + _FEW_MORE / n + _FEW_SLOPE * _STEP * _FEW_LAWS
        weights = np.exp(-(((strengths - middle[:, None]) / _FEW_SPREAD) ** 2) / 2)
        return np.asarray(np.log((weights[..., None] * tails).sum(axis=1) / weights.sum(axis=1)[:, None]))
    behind = np.clip(np.arange(_CLASSES)[:, None] + _UNSEEN, 0, _CLASSES - 1)
    return np.asarray(np.log((_UNSEEN_WEIGHTS[:, None] * tails[behind]).sum(axis=1)))


@lru_cache(maxsize=1024)
def _critical(n: int, levels: tuple[float, ...], which: _Which = "shown") -> FloatArray:
    """Give the critical values of these laws, shape (classes, levels); infinite where the table does not reach the level."""
    laws, wanted = _laws(n, which), np.log(np.array(levels))
    row = np.arange(len(laws))[:, None]
    low, high = np.zeros((len(laws), len(levels))), np.full((len(laws), len(levels)), _GRID[-1])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _interpolated(laws, row, middle) > wanted
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(laws[:, -1:] <= wanted, np.sinh(high) / 2, np.inf)


def _dependence_class(rho: FloatArray, n: int, which: _Which = "shown") -> NDArray[np.intp]:
    """Give the row of `_laws` for an autocorrelation."""
    shown_by_few = which == "shown" and n < _FEWEST_FOR_WAVES
    first, last = (_FEW_LAWS[0], _FEW_LAWS[-1]) if shown_by_few else (0, _CLASSES - 1)
    return (np.clip(np.ceil(np.arctanh(rho) / _STEP - _ROUNDING), first, last) - first).astype(np.intp)


@dataclass(frozen=True, slots=True)
class _Noise:
    """The points' own noise, with its law among those of `_laws`, and the lasting one; arrays broadcast to one shape."""

    error: FloatArray
    n: int
    row: NDArray[np.intp]
    lasting: FloatArray
    lasting_df: FloatArray
    which: _Which = "shown"

    def tail(self, excess: FloatArray) -> FloatArray:
        """Give the level at which the half-width of the interval is the excess."""
        level = self._own_tail(excess)
        both = np.broadcast_to(self.lasting > 0, excess.shape) & (excess > 0)
        if both.any():
            own = self[both]
            level[both] = np.maximum(own.law(own.deviate(excess[both])), level[both])
        return np.where(excess > 0, level, 0.5)

    def deviate(self, excess: FloatArray) -> FloatArray:
        """Find the deviate of the points alone that goes with the level whose half-width is the excess, all of one axis: on logarithms by regula falsi (Illinois)."""
        found, noise = np.empty(len(excess)), self
        left, wanted = np.arange(len(excess)), np.log(np.maximum(excess, np.finfo(float).tiny))
        with np.errstate(divide="ignore"):  # the points alone are no narrower than both parts
            alone = np.arcsinh(2 * excess / self.error)
        low, high = np.full(len(left), np.log(_SMALLEST)), np.log(np.clip(alone, _SMALLEST, _GRID[-1]))
        short, far = noise.beyond(low, wanted), noise.beyond(high, wanted)
        at = np.where(far <= 0, high, low)
        done = (far <= 0) | (short >= 0)
        for _ in range(_HALVINGS):
            found[left[done]] = at[done]
            if done.all():
                break
            # what has come to its end is left out: each ends as it would alone
            going = ~done
            noise, left = noise[going], left[going]
            wanted, low, high, short, far, at = (
                column[going] for column in (wanted, low, high, short, far, at)
            )
            before, at = at, (low * far - high * short) / (far - short)
            value = noise.beyond(at, wanted)
            below = value < 0
            again_low, again_high = below & (before == low), ~below & (before == high)
            low, short = np.where(below, at, low), np.where(below, value, short)
            high, far = np.where(below, high, at), np.where(below, far, value)
            far, short = np.where(again_low, far / 2, far), np.where(again_high, short / 2, short)
            done = (np.abs(value) <= _ROUNDING) | (high - low <= _ROUNDING)
        found[left] = at
        return np.exp(found)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> _Noise:
        def part(column: Any) -> Any:
            whole = column if column.shape == chosen.shape else np.broadcast_to(column, chosen.shape)
            return whole[chosen]

        own = part(self.error), self.n, part(self.row), part(self.lasting), part(self.lasting_df)
        return _Noise(*own, self.which)

    def beyond(self, log_deviate: FloatArray, wanted: FloatArray) -> FloatArray:
        """Tell by how much the half-width at a deviate exceeds another, on logarithms."""
        at = np.exp(log_deviate)
        half_width = self._half_width(np.sinh(at) / 2, self.law(at))
        return np.asarray(np.log(np.maximum(half_width, np.finfo(float).tiny)) - wanted)

    def reach(self, levels: FloatArray) -> FloatArray:
        """Give the half-width of the interval at levels, on a further axis."""
        critical = _critical(self.n, tuple(levels.tolist()), self.which)[self.row]
        known = np.isfinite(critical)
        lasting, lasting_df = self.lasting[..., None], self.lasting_df[..., None]
        noise = _Noise(self.error[..., None], self.n, self.row[..., None], lasting, lasting_df, self.which)
        return np.where(known, noise._half_width(np.where(known, critical, 1.0), levels), np.inf)

    def _half_width(self, critical: FloatArray, level: FloatArray) -> FloatArray:
        """Give the half-width at a level, where it is so many standard errors of the points alone."""
        own = critical * self.error
        df = float(_WAVES if self.n >= _FEWEST_FOR_WAVES and self.which != "gross" else self.n - 1)
        # the points' error that Student's t with their degrees of freedom would go with
        student = own / np.maximum(-stdtrit(df, level), _SMALLEST)
        some = self.lasting > 0
        together, known = joined(student, df, np.where(some, self.lasting, 1.0), _finite(self.lasting_df))
        return np.where(some, np.maximum(own, -stdtrit(known, level) * together), own)

    def law(self, at: FloatArray) -> FloatArray:
        return np.exp(_interpolated(_laws(self.n, self.which), self.row, at))

    def _own_tail(self, excess: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            statistic = np.where(excess > 0, excess / self.error, 0.0)
        certain = (self.error == 0) & (excess > 0)
        return np.where(certain, 0.0, self.law(np.arcsinh(2 * np.minimum(statistic, 1e300))))


def _finite(df: FloatArray) -> FloatArray:
    return np.minimum(df, _KNOWN)


def _interpolated(laws: FloatArray, row: NDArray[np.intp], at: FloatArray) -> FloatArray:
    """Interpolate a law between the points of the grid by cubic polynomials through four of them; beyond the last it stays."""
    step = _GRID[1]
    place = np.minimum(at, _GRID[-1]) / step
    start = np.clip(np.floor(place).astype(np.intp) - 1, 0, len(_GRID) - 4)
    x = place - start
    a, b, c, d = (laws[row, start + i] for i in range(4))
    return np.asarray(
        -a * (x - 1) * (x - 2) * (x - 3) / 6
        + b * x * (x - 2) * (x - 3) / 2
        - c * x * (x - 1) * (x - 3) / 2
        + d * x * (x - 1) * (x - 2) / 6
    )


def paired_changes(
    baseline: FloatArray, canary: FloatArray, effect: Effect, *, winsorize: bool = False
) -> FloatArray:
    """Give each minute's change of the canary against the baseline.

    Parameters
    ----------
    baseline, canary : ndarray, shape (..., n)
        Points of both arms at the same times.
    effect : {"ratio", "relative", "difference"}
        As for `paired_test`.
    winsorize : bool
        Draw points in to 3 robust standard deviations of their median.

    Returns
    -------
    ndarray, shape (..., n)
        In the effect's unit.

    Examples
    --------
    >>> paired_changes(np.array([10.0, 20.0]), np.array([11.0, 22.0]), "relative").round(9).tolist()
    [0.1, 0.1]
    """
    if effect == "ratio":
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            change = np.where((baseline == 0) & (canary == 0), 0.0, np.log(canary / baseline))
        change = np.clip(change, -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO)
        return _winsorized(change, np.ones(change.shape[:-1]))[0] if winsorize else change
    change = canary - baseline
    sizes = _size(baseline, canary, "difference") if winsorize else np.zeros(change.shape[:-1])
    if effect == "difference":
        return _winsorized(change, sizes)[0] if winsorize else change
    level = baseline.mean(axis=-1, keepdims=True)
    sign = np.where(level < 0, -1.0, 1.0)
    size = np.maximum(np.abs(level), np.finfo(float).tiny)
    share = change.mean(axis=-1, keepdims=True) / size
    left = change - share * sign * baseline
    if not winsorize:
        return np.asarray(share + left / size)
    middle = sign * medians(baseline)[..., None]
    typical = medians(change)[..., None] / np.where(middle > 0, middle, 1.0)
    share = np.where(middle > size / 2, typical, share)
    for _ in range(_ROUNDS):
        left, inside = _winsorized(change - share * sign * baseline, sizes)
        size = np.where(inside, sign * baseline, 0.0).sum(axis=-1, keepdims=True) / baseline.shape[-1]
        size = np.maximum(size, np.abs(level) / 2 + np.finfo(float).tiny)
        share = share + left.mean(axis=-1, keepdims=True) / size
    left, _ = _winsorized(change - share * sign * baseline, sizes)
    return np.asarray(share + left / size)


def _size(baseline: FloatArray, canary: FloatArray, effect: Effect) -> FloatArray:
    """Give the size of the numbers that each row's changes are computed from, in the effect's unit: it tells what is rounding."""
    if effect == "ratio":
        return np.ones(np.broadcast_shapes(baseline.shape[:-1], canary.shape[:-1]))
    whole = np.maximum(medians(np.abs(baseline)), medians(np.abs(canary)))
    if effect == "difference":
        return whole
    level = np.abs(baseline.mean(axis=-1))
    return np.where(level > 0, whole / np.where(level > 0, level, 1.0), 0.0)


def _winsorized(series: FloatArray, size: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Draw points in to 3 robust standard deviations of their median; where most of them are the same, but for the rounding of numbers of this size, none."""
    middle = medians(series)[..., None]
    reach = _ROBUST * _MAD_TO_SD * medians(np.abs(series - middle))[..., None]
    reach = np.where(reach > _ROBUST * rounding(size)[..., None], reach, np.inf)
    return np.clip(series, middle - reach, middle + reach), np.abs(series - middle) <= reach
