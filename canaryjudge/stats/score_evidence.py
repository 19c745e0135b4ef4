r"""Anytime-valid evidence from scores: one an interval, held against its long-run variance, or one a pair, by betting.

Requests of one minute share its weather, and the weather lasts: so a minute's requests are one score, and the scores' mean is
held against its long-run variance at every look. The look's t statistic is turned into the normal deviate of the same p-value
and that into evidence by the one-sided normal mixture (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021): valid at all
looks as far as the long-run variance is right. It is taken at two scales, single intervals and threes (or fours), and the more
cautious counts, because noise on top of slow weather hides it from the first scale.

Of pairs that are independent, each is bet on: wealth that fair or losing bets can rarely multiply. A score u in [-1, 1] whose expectation is at most 0 makes ``prod(1 + lambda u)`` a supermartingale for every lambda in [0, 1): who bets
that way multiplies his stake by 1/level with a probability of at most `level`, however long he plays (Ville 1939; Waudby-Smith and
Ramdas 2024, J. Royal Statistical Society B 86:1; Shekhar and Ramdas 2023 for two samples). The mean over a fixed grid of lambda needs no
tuning, and its logarithms add up over intervals and shards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaln, ndtri, stdtr

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.confidence_sequences import normal_log_mixture
from canaryjudge.stats.long_run import dependence, long_run_variance
from canaryjudge.stats.ties import about, rounding

__all__ = [
    "BETS",
    "FEWEST_SCORES",
    "MeanEvidence",
    "discordance",
    "exceedance_scores",
    "log_wealth",
    "mean_evidence",
    "wealth_terms",
]

FEWEST_SCORES: Final = 20
"""Fewer scores say too little of how they depend on each other, at whatever level."""
_PRIOR = 2.0
"""Makes the boundary closest to a fixed test's after some 20 scores, at a level of 1 %."""
_SCALES = {1: (1, 3), 2: (1, 2)}
"""Neighbors that are averaged, by the intervals that a score stands for; of longer blocks none."""
_LEAST_VARIANCE = 1e-12
"""Of the largest score's square."""
_ROUNDING = 1e-12
_TIMES = 4.0
"""So many times as much as one rounding is what adds up in a score."""
_SMALLEST_PVALUE = 1e-300
_UNTIED = 0.9
"""Where fewer neighbors than a tenth are tied, a clock ticks too finely to matter."""
_MOST_EDGES = 1024
"""Values of an interval at which its arms are compared; more only cost time."""


@dataclass(frozen=True, slots=True)
class MeanEvidence:
    """What scores say of their mean.

    Attributes
    ----------
    above, below : ndarray, shape (...)
        Log evidence that the mean is above 0, and below.
    mean : ndarray, shape (...)
        Their mean.
    rho : ndarray, shape (...)
        Their lag-1 autocorrelation, kept at 0 or more.
    """

    above: FloatArray
    below: FloatArray
    mean: FloatArray
    rho: FloatArray


def mean_evidence(
    scores: ArrayLike, weights: ArrayLike | None = None, *, each: int = 1, size: float = 1.0
) -> MeanEvidence:
    r"""Weigh the evidence that the mean of scores is above, or below, 0.

    Parameters
    ----------
    scores : array_like, shape (..., n)
        A score an interval, in order of time; n >= 6.
    weights : array_like, shape (n,), optional
        How much each counts; all the same where left out.
    each : int
        Intervals that each score stands for.
    size : float
        How large the numbers are that the scores are computed from: it tells what is rounding.

    Returns
    -------
    MeanEvidence
        Log evidence; ``ln(1/level)`` or more rejects "at most 0" (or "at least 0") at that level, at any time.

    Notes
    -----
    With z the deviate and n the intervals, S = z sqrt(n) and
    :math:`\ln e = \tfrac12 \ln\frac{4\rho}{n+\rho} + \frac{S^2}{2(n+\rho)} + \ln\Phi(S/\sqrt{n+\rho})`, with rho = 2.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = mean_evidence(rng.normal(0.8, 1.0, 60))
    >>> bool(found.above > np.log(100)), bool(found.below < 0)
    (True, True)
    """
    points = np.asarray(scores, dtype=np.float64)
    if weights is not None:
        weight = np.asarray(weights, dtype=np.float64)
        points = points * (weight / weight.mean())
    # what is rounding is nothing, and what differs by rounding does not vary
    slack = _TIMES * rounding(size)
    points = np.where(np.abs(points) > slack, points, 0.0)
    largest = np.abs(points).max(axis=-1)
    still = np.ptp(points, axis=-1) <= np.maximum(slack, _ROUNDING * largest)
    points = np.where(still[..., None], points[..., :1], points)
    n = points.shape[-1]
    least = np.maximum(_LEAST_VARIANCE * np.square(largest), np.finfo(float).tiny)
    tails = [_tails(points, scale, least) for scale in _SCALES.get(each, (1,))]
    intervals = float(n * each)
    above, below = (
        normal_log_mixture(
            np.min([tail[i] for tail in tails], axis=0) * np.sqrt(intervals),
            intervals,
            _PRIOR,
            one_sided=True,
        )
        for i in (0, 1)
    )
    return MeanEvidence(above, below, points.mean(axis=-1), dependence(points))


def _tails(points: FloatArray, scale: int, least: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the deviates of the mean's p-values, upward and downward, from means of `scale` neighbors; the variance is at least so large."""
    n = points.shape[-1] // scale
    # the oldest points that fill no block are left out of the variance, and count in the mean
    means = points[..., points.shape[-1] - n * scale :].reshape(*points.shape[:-1], n, scale).mean(axis=-1)
    found = long_run_variance(means)
    error = np.sqrt(np.maximum(found.variance, least) / n)
    t = points.mean(axis=-1) / error
    up, down = (-ndtri(np.clip(stdtr(found.df, sign * t), _SMALLEST_PVALUE, 1 - 1e-16)) for sign in (-1, 1))
    return up, down


def exceedance_scores(
    baseline: FloatArray, canary: FloatArray, scales: FloatArray, shifts: FloatArray
) -> FloatArray:
    """Give how much more often than half a canary value exceeds a changed baseline value, in one interval.

    Parameters
    ----------
    baseline, canary : ndarray, shape (n,) and (m,)
        The interval's values.
    scales, shifts : ndarray, shape (k,)
        Changes: the baseline's values times a scale (positive) plus a shift.

    Returns
    -------
    ndarray, shape (k,)
        ``P(c > scale b + shift) + P(=) / 2 - 1/2``. A value that a clock has rounded stands for all within half a tick of it: those of
        the baseline are spread that far, so that a change that is smaller than a tick is neither lost nor counted twice. Of more than
        1,024 canary values, values between the same two of 1,024 evenly chosen ones count as equal.

    Examples
    --------
    >>> exceedance_scores(np.array([1.0, 2.0]), np.array([2.0, 3.0]), np.array([1.0, 1.5]), np.zeros(2))
    array([0.375, 0.125])
    """
    low, high = np.sort(baseline), np.sort(canary)
    m = len(high)
    edges = high if m <= _MOST_EDGES else high[np.linspace(0, m - 1, _MOST_EDGES).astype(np.intp)]
    edges = edges[np.concatenate([[True], edges[1:] > edges[:-1]])]
    # canary values in each cell: at an edge, and between it and the next
    at_most = np.searchsorted(high, edges, "right")
    below = np.searchsorted(high, edges, "left")
    at, between = at_most - below, np.append(below[1:], m) - at_most
    tick = _tick(low, high)
    left: NDArray[Any]
    right: NDArray[Any]
    if tick:
        left = right = _spread(low, tick, (edges[None, :] - shifts[:, None]) / scales[:, None])
    else:
        first, last = (end / scales[:, None] for end in about(edges[None, :], -shifts[:, None]))
        left, right = np.searchsorted(low, first, "left"), np.searchsorted(low, last, "right")
    following = np.concatenate([left[:, 1:], np.full((len(scales), 1), len(low))], axis=1)
    wins = at * (left + right) / 2 + between * (right + following) / 2
    return np.asarray(wins.sum(axis=1) / (len(low) * m) - 0.5)


def _tick(low: FloatArray, high: FloatArray) -> float:
    """Tell how far apart the values of a clock are, 0 where there are hardly any ties; sorted values of both arms."""
    gaps = np.concatenate([np.diff(low), np.diff(high)])
    apart = gaps[gaps > 0]
    if not len(apart) or len(apart) > _UNTIED * len(gaps):
        return 0.0
    return float(np.quantile(apart, 0.25, method="lower"))


def _spread(values: FloatArray, tick: float, at: FloatArray) -> FloatArray:
    """Count sorted values below some points, each spread evenly over its tick, or as far as its neighbors leave it room."""
    known, first = np.unique(values, return_index=True)
    room = np.diff(known, prepend=-np.inf, append=np.inf)
    width = np.minimum(tick, np.minimum(room[:-1], room[1:]))
    counts = np.append(first, len(values)).astype(np.float64)
    ends = known[:, None] + width[:, None] * np.array([-0.5, 0.5])
    return np.interp(at, ends.ravel(), np.stack([counts[:-1], counts[1:]], axis=1).ravel())


BETS: Final[FloatArray] = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
"""The stakes: small ones for small effects, large ones for large effects."""
_SMALLEST = 1e-290


def wealth_terms(scores: ArrayLike) -> FloatArray:
    """Give what a score adds to the logarithm of the wealth at every stake.

    Parameters
    ----------
    scores : array_like, shape (...)
        Scores between -1 and 1.

    Returns
    -------
    ndarray, shape (..., 6)
        ``ln(1 + lambda u)``; bet the other way by negative scores.
    """
    return np.log1p(np.asarray(scores, dtype=np.float64)[..., None] * BETS)


def log_wealth(terms: ArrayLike) -> FloatArray:
    """Give the log evidence: that of the mean wealth over the stakes.

    Parameters
    ----------
    terms : array_like, shape (..., 6)
        `wealth_terms`, added up.

    Returns
    -------
    ndarray, shape (...)
        Log e-value.

    Examples
    --------
    >>> float(log_wealth(wealth_terms([0.5, 0.5, 0.5, 1.0]).sum(axis=0)).round(3))
    0.727
    """
    return np.asarray(np.logaddexp.reduce(np.asarray(terms), axis=-1) - np.log(len(BETS)))


def discordance(more: ArrayLike, less: ArrayLike, prior: ArrayLike) -> FloatArray:
    r"""Give the log evidence that of pairs of which one lies beyond a threshold, it is the canary's more often than not.

    Parameters
    ----------
    more, less : array_like
        Pairs of which only the canary's, and only the baseline's, lies beyond.
    prior : array_like
        a of the symmetric beta prior on (1/2, 1).

    Returns
    -------
    ndarray
        :math:`\ln B(a+s, a+f) - \ln B(a, a) + (s+f)\ln 2 + \ln 2 + \ln I_{1/2}(a+f, a+s)`.

    Examples
    --------
    >>> float(discordance(12, 2, 3.0).round(3))
    2.818
    """
    s, f, a = (np.asarray(values, dtype=np.float64) for values in (more, less, prior))
    upper = betainc(a + f, a + s, 0.5)
    found = betaln(a + s, a + f) + (s + f + 1) * np.log(2) + np.log(np.maximum(upper, _SMALLEST))
    # far down that tail it is the first term of its series, the rest of which falls at least geometrically
    rest = 1 - (2 * a + s + f) / (2 * (a + f + 1))
    tail = (1 - 2 * a) * np.log(2) - np.log(a + f) - np.log(np.where(rest > 0, rest, 1.0))
    return np.asarray(np.where(upper > _SMALLEST, found, tail) - betaln(a, a))
