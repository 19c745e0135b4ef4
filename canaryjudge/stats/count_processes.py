r"""Anytime-valid evidence from counts: the rates of two arms, and the split of traffic between arms.

Of two rates it is a stratified mixture of likelihood ratios on a grid of log ratios. A stratum is one interval of one shard: x_b and x_c events at exposures (requests) n_b and n_c. What both arms share, a daily
pattern or an outage of something behind both, cancels in it; so does a split of the traffic that changes between strata.

The null hypothesis is ``p_c <= r p_b + a`` in every stratum, whatever p_b does. For any k > 0, with pi_0 = r n_c / (r n_c + n_b),

.. math:: (1 + k_c)^{x_c} (1 - k_b)^{x_b} e^{-a n_c k_c}, \quad r n_c k_c = n_b k_b,

has an expectation of at most 1: for Poisson counts E[z^x] = exp(n p (z - 1)), and binomial counts have less. With a = 0 it is
the likelihood ratio of the canary's share of the events, binomial given their number [1]_, at the log ratio g: ``1 + k_c = e^g / (1 + pi_0 (e^g - 1))``, ``1 - k_b = 1 / (1 + pi_0 (e^g - 1))``. With r = 1 and a > 0 it
tests a difference of rates, exactly, where the split and the level drift. Products over strata, averaged over the grid of g by a
prior, are an e-process: at most 1/level of all healthy runs ever get to ``level`` (Ville 1939).

The shares of a multinomial, such as the split of traffic, have a test of their own. With a Dirichlet prior of mean theta_0 and weight k on the shares, the Bayes factor of counts c,

.. math:: \frac{B(k \theta_0 + c)}{B(k \theta_0)} \prod_i \theta_{0i}^{-c_i}, \quad
          B(a) = \frac{\prod_i \Gamma(a_i)}{\Gamma(\sum_i a_i)},

is an e-process [1]_: where the shares are theta_0, it ever gets to 1 / level with a probability of at most the level, however
often one looks. It depends on the sums of the counts only.

References
----------
.. [1] M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", Advances in Neural Information
       Processing Systems 35 (2022), 2817-2831.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray

__all__ = [
    "CONCENTRATION",
    "LOG_RATIOS",
    "at_own_ratio",
    "at_ratio",
    "difference_bound",
    "joint_pearson",
    "likelihoods",
    "log_bayes_factor",
    "log_evidence",
    "pearson",
    "ratio_bound",
    "ratio_estimate",
    "sequential_pvalue",
    "tilts",
]

_HALF = 60
_STEP = np.arcsinh(15.0) / _HALF
_SCALE = 0.2
LOG_RATIOS: Final[FloatArray] = _SCALE * np.sinh(_STEP * np.arange(-_HALF, _HALF + 1))
"""Log rate ratios from -3 to 3 (a twentieth to twenty times), .011 apart near 0 and .17 at the ends."""
_EXCESS: Final[FloatArray] = np.expm1(LOG_RATIOS)
_SPACING: Final[FloatArray] = np.gradient(LOG_RATIOS)
_COARSE_RATIOS: Final[FloatArray] = np.exp(LOG_RATIOS[::4])
_LARGEST_DIFFERENCE, _STEPS = 1e12, 60
_NO_VARIANCE = 1e-300
_WORSE_SCALE = 0.4
_LEAST_SAFE_SCALE = 0.1
"""Scales of the half-normal priors, of harm about the null hypothesis, of harmlessness about no change (half the tolerance, if that is more):
they keep the median delay short for the ratios that canaries have (benchmarks/sequential_delay.py); any prior keeps the level."""


def likelihoods(
    baseline_events: ArrayLike,
    canary_events: ArrayLike,
    baseline_exposure: ArrayLike,
    canary_exposure: ArrayLike,
) -> FloatArray:
    r"""Give the log likelihood ratios of a stratum over the grid, against no change.

    Parameters
    ----------
    baseline_events, canary_events : array_like, shape (...)
        Events of each arm, 0 or more.
    baseline_exposure, canary_exposure : array_like, shape (...)
        What they are out of; positive.

    Returns
    -------
    ndarray, shape (..., 121)
        :math:`x_c g - (x_b + x_c) \ln(1 + \pi (e^g - 1))` with :math:`\pi = n_c / (n_b + n_c)`; they add up over strata.

    Examples
    --------
    >>> sums = likelihoods([10, 12], [30, 28], [1000, 1000], [1000, 1000]).sum(axis=0)
    >>> round(float(np.exp(ratio_estimate(sums))), 2)
    2.64
    """
    x_b, x_c = _column(baseline_events), _column(canary_events)
    n_b, n_c = _column(baseline_exposure), _column(canary_exposure)
    logs = np.log1p(n_c / (n_b + n_c) * _EXCESS)
    if (
        logs.size == len(LOG_RATIOS) < np.size(x_b) == np.size(x_c)
    ):  # one split for all: two products, in one pass
        both = np.concatenate([x_c, x_b], axis=-1)
        return np.asarray(both @ np.stack([LOG_RATIOS - logs.ravel(), -logs.ravel()]))
    gains = np.asarray(x_c * LOG_RATIOS)
    gains -= (x_b + x_c) * logs
    return gains


def tilts(baseline_exposure: ArrayLike, canary_exposure: ArrayLike, ratio: float) -> FloatArray:
    """Give what a tolerated difference takes off the log likelihood ratios of a stratum, for each unit of it.

    Parameters
    ----------
    baseline_exposure, canary_exposure : array_like, shape (...)
        Exposures of the arms.
    ratio : float
        r of the null hypothesis ``p_c <= r p_b + a``.

    Returns
    -------
    ndarray, shape (..., 121)
        ``n_c k_c`` at log ratios relative to `ratio`; they add up over strata.
    """
    n_b, n_c = _column(baseline_exposure), _column(canary_exposure)
    share = ratio * n_c / (ratio * n_c + n_b)
    return np.asarray(n_c * (1 - share) * _EXCESS / (1 + share * _EXCESS))


def pearson(
    baseline_events: ArrayLike,
    canary_events: ArrayLike,
    baseline_exposure: ArrayLike,
    canary_exposure: ArrayLike,
) -> FloatArray:
    """Give the squared standardized residual of the split of a stratum's events, for log ratios on every fourth grid point.

    Parameters
    ----------
    baseline_events, canary_events, baseline_exposure, canary_exposure : array_like, shape (...)
        The stratum.

    Returns
    -------
    ndarray, shape (..., 31)
        ``(x_c - m pi)^2 / (m pi (1 - pi))``, 0 without events. Their sum over strata, at the estimated ratio and divided by the
        strata less one, estimates how many times the counts vary more than independent events do.
    """
    x_b, x_c = _column(baseline_events), _column(canary_events)
    odds = _column(canary_exposure) / _column(baseline_exposure) * _COARSE_RATIOS
    events, both = x_b + x_c, 1 + odds
    share = odds / both
    expected = events * share
    residual = x_c - expected
    # without events, nothing is 0 / 0
    return np.asarray(residual * residual * both / np.maximum(expected, _NO_VARIANCE))


def joint_pearson(
    baseline_events: ArrayLike,
    canary_events: ArrayLike,
    baseline_exposure: ArrayLike,
    canary_exposure: ArrayLike,
) -> FloatArray:
    """Give the same of strata together: the squared standardized residual of their sum, which is larger where what befalls an arm befalls all of them.

    Parameters
    ----------
    baseline_events, canary_events, baseline_exposure, canary_exposure : array_like, shape (n,)
        The strata.

    Returns
    -------
    ndarray, shape (31,)
        ``sum(x_c - m pi)^2 / sum(m pi (1 - pi))``, 0 without events.

    Examples
    --------
    Two strata of which one has as many more as the other has fewer, and two of which both have more:

    >>> joint_pearson([10, 10], [15, 5], 1.0, 1.0)[15].round(6).item(), joint_pearson([10, 10], [15, 15], 1.0, 1.0)[15].round(6).item()
    (0.0, 2.0)
    """
    x_b, x_c = _column(baseline_events), _column(canary_events)
    odds = _column(canary_exposure) / _column(baseline_exposure) * _COARSE_RATIOS
    share = odds / (1 + odds)
    expected = (x_b + x_c) * share
    residual, variance = (x_c - expected).sum(axis=0), (expected / (1 + odds)).sum(axis=0)
    return np.asarray(residual * residual / np.maximum(variance, _NO_VARIANCE))


def at_ratio(sums: FloatArray, log_ratio: ArrayLike) -> FloatArray:
    """Interpolate sums over the grid, or over every fourth point of it, at log ratios.

    Parameters
    ----------
    sums : ndarray, shape (..., 121) or (..., 31)
        Smooth functions of the log ratio.
    log_ratio : array_like, shape (k,) or ()
        Where they are wanted; beyond the grid's ends, at its ends.

    Returns
    -------
    ndarray, shape (..., k) or (...)
        Lagrange interpolation on the six nearest points, in the coordinate in which they are evenly spaced.
    """
    at = np.asarray(log_ratio, dtype=np.float64)
    if at.ndim == 0:
        first, weights = _interpolation(float(at), sums.shape[-1])
        return np.asarray(sums[..., first : first + 6] @ weights)
    found = [_interpolation(value, sums.shape[-1]) for value in at.tolist()]
    return np.stack([sums[..., first : first + 6] @ weights for first, weights in found], axis=-1)


def at_own_ratio(sums: FloatArray, log_ratios: ArrayLike) -> FloatArray:
    """Interpolate each row of sums over the grid at a log ratio of its own, as `at_ratio` does.

    Parameters
    ----------
    sums : ndarray, shape (rows, 121) or (rows, 31)
        Smooth functions of the log ratio.
    log_ratios : array_like, shape (rows,)
        Where each is wanted.

    Returns
    -------
    ndarray, shape (rows,)
        The same as `at_ratio` of each row, but for the last bits.
    """
    count = sums.shape[-1]
    stride = 2 * _HALF // (count - 1)
    at = np.arcsinh(np.asarray(log_ratios, dtype=np.float64) / _SCALE) / (_STEP * stride) + (count - 1) / 2
    at = np.clip(at, 0.0, count - 1.0)
    first = np.clip(np.floor(at).astype(np.intp) - 2, 0, count - 6)
    away = at - first
    found = np.zeros(len(sums))
    for i in range(6):
        weight = math.prod((away - j) / (i - j) for j in range(6) if j != i)
        found += weight * np.take_along_axis(sums, (first + i)[:, None], axis=-1)[:, 0]
    return found


def log_evidence(
    sums: FloatArray,
    null: float,
    side: int,
    *,
    tilt: FloatArray | None = None,
    difference: ArrayLike = 0.0,
    dispersion: ArrayLike = 1.0,
) -> FloatArray:
    """Give the log of the evidence against a null hypothesis.

    Parameters
    ----------
    sums : ndarray, shape (..., 121)
        `likelihoods`, added up over strata.
    null : float
        Log of r in the null hypothesis "p_c <= r p_b + a" (side +1) or "p_c >= r p_b + a" (side -1).
    side : {1, -1}
        1 for evidence of harm, -1 for evidence of harmlessness.
    tilt : ndarray, shape (..., 121), optional
        `tilts` at r, added up over strata; needed where a is not 0.
    difference : array_like, shape (...)
        a.
    dispersion : array_like, shape (...)
        How many times the counts vary more than independent events do; the log evidence is divided by it.

    Returns
    -------
    ndarray, shape (...)
        Log e-value; ``ln(1/level)`` or more rejects the null hypothesis at that level, at any time.

    Examples
    --------
    >>> sums = likelihoods(10, 40, 1000, 1000)
    >>> float(log_evidence(sums, np.log(1.5), 1).round(2)), float(log_evidence(sums, np.log(1.5), -1).round(2))
    (3.03, -2.91)
    """
    scaled = np.asarray(dispersion, dtype=np.float64)[..., None]
    if tilt is None:
        beyond, log_prior = _prior(null, side, null)
        return _log_mean(sums[..., beyond], at_ratio(sums, null), scaled, log_prior)
    gains, slopes, log_prior = _tilted(sums, tilt, null, side)
    gains = gains - np.asarray(difference, dtype=np.float64)[..., None] * slopes
    return _log_mean(gains, np.zeros(()), scaled, log_prior)


def ratio_estimate(sums: FloatArray) -> FloatArray:
    """Give the log ratio of the greatest likelihood, infinite at the grid's ends (one arm has no events), NaN without events.

    Parameters
    ----------
    sums : ndarray, shape (..., 121)
        `likelihoods`, added up over strata.

    Returns
    -------
    ndarray, shape (...)
        Vertex of the parabola through the best grid point and its neighbors.
    """
    best = np.argmax(sums, axis=-1)
    inner = np.clip(best, 1, 2 * _HALF - 1)
    x = [LOG_RATIOS[inner + i] for i in (-1, 0, 1)]
    y = [np.take_along_axis(sums, (inner + i)[..., None], axis=-1)[..., 0] for i in (-1, 0, 1)]
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        vertex = (x[0] + x[1]) / 2 - left * (x[2] - x[0]) / (2 * (right - left))
    vertex = np.where(best == 0, -np.inf, np.where(best == 2 * _HALF, np.inf, vertex))
    return np.asarray(np.where(np.ptp(sums, axis=-1) > 0, vertex, np.nan))


def ratio_bound(
    sums: FloatArray, side: int, level: float, *, null: float = 0.0, dispersion: float = 1.0
) -> float:
    """Invert the evidence of a ratio: the bound of its confidence sequence.

    Parameters
    ----------
    sums : ndarray, shape (121,)
        `likelihoods`, added up over strata.
    side : {1, -1}
        1 for the lower bound ("p_c <= r p_b" is rejected for r below it), -1 for the upper.
    level : float
        Probability that the bound is ever wrong.
    null : float
        The log ratio of the test whose prior is inverted.
    dispersion : float
        As in `log_evidence`.

    Returns
    -------
    float
        Log ratio; infinite where there is no bound within the grid.

    Examples
    --------
    >>> sums = likelihoods(100, 200, 10_000, 10_000)
    >>> low = ratio_bound(sums, 1, 0.05)
    >>> round(float(np.exp(low)), 2), round(float(np.exp(-log_evidence(sums, low, 1))), 2)
    (1.43, 0.05)
    """
    # the evidence against every grid point as the null hypothesis, by sums from the far end
    scaled, density = (sums / dispersion)[::side], _log_density(side, null)[::side]
    mixed = np.logaddexp.accumulate((density + scaled)[::-1])[::-1]
    weight = np.logaddexp.accumulate(density[::-1])[::-1]
    evidence = mixed[1:] - weight[1:] - scaled[:-1]
    return _crossing(LOG_RATIOS[::side][:-1], evidence, float(-np.log(level)), side)


def difference_bound(
    sums: FloatArray, tilt: FloatArray, side: int, level: float, *, dispersion: float = 1.0
) -> float:
    """Invert the evidence of a difference of rates: the bound of its confidence sequence.

    Parameters
    ----------
    sums, tilt : ndarray, shape (121,)
        `likelihoods` and `tilts` at a ratio of 1, added up over strata.
    side : {1, -1}
        1 for the lower bound, -1 for the upper.
    level : float
        Probability that the bound is ever wrong.
    dispersion : float
        As in `log_evidence`.

    Returns
    -------
    float
        Difference; infinite where there is no bound.
    """
    gains, slopes, log_prior = _tilted(sums, tilt, 0.0, side)
    needed = float(-np.log(level))
    terms, rates = gains / dispersion + log_prior - needed, slopes / dispersion
    # the evidence is convex in the difference and only falls from the side where everything is rejected, where already its largest term is enough, to the bound, which Newton's steps from there never pass
    with np.errstate(divide="ignore", invalid="ignore"):
        starts = side * (terms / rates)
    bound = side * float(np.max(starts, where=np.isfinite(starts), initial=-np.inf))
    if not abs(bound) <= _LARGEST_DIFFERENCE:
        return -side * np.inf
    for _ in range(_STEPS):
        at = terms - bound * rates
        top = float(at.max())
        parts = np.exp(at - top)
        whole = float(parts.sum())
        beyond, slope = top + math.log(whole), -float((parts * rates).sum()) / whole
        moved = bound - beyond / slope if slope else side * np.inf
        if beyond <= 0 or moved == bound:
            break
        bound = moved
        if abs(bound) > _LARGEST_DIFFERENCE:
            return side * np.inf
    return bound


def _column(values: ArrayLike) -> Any:
    """Give values an axis for the grid; a plain number needs none, and is faster without."""
    return values if isinstance(values, float) else np.asarray(values, dtype=np.float64)[..., None]


@lru_cache(maxsize=4096)
def _interpolation(log_ratio: float, count: int) -> tuple[int, FloatArray]:
    """First of the six points, and their weights."""
    stride = 2 * _HALF // (count - 1)
    place = float(np.arcsinh(log_ratio / _SCALE)) / (_STEP * stride) + (count - 1) / 2
    place = min(max(place, 0.0), count - 1.0)
    first = min(max(math.floor(place) - 2, 0), count - 6)
    points = range(first, first + 6)
    weights = [math.prod((place - j) / (i - j) for j in points if j != i) for i in points]
    return first, np.array(weights)


def _log_density(side: int, null: float, *, tilted: bool = False) -> FloatArray:
    """Log prior weights of the grid points, before they are cut off at the null hypothesis."""
    if tilted and side < 0:  # about even in log |g|: with no events at all, the farther the better
        return np.zeros(len(LOG_RATIOS))
    center, scale = (null, _WORSE_SCALE) if side > 0 else (0.0, max(abs(null) / 2, _LEAST_SAFE_SCALE))
    if tilted:
        center = 0.0
    return np.asarray(-0.5 * ((LOG_RATIOS - center) / scale) ** 2 + np.log(_SPACING))


@lru_cache(maxsize=256)
def _prior(at: float, side: int, null: float, *, tilted: bool = False) -> tuple[slice, FloatArray]:
    """Grid points beyond `at`, and their log prior weights; those of a tilt are relative to `null`, and within the grid even so."""
    known = abs(LOG_RATIOS + (null if tilted else 0.0)) < LOG_RATIOS[-1] + 1e-9
    inside = np.flatnonzero((side * (LOG_RATIOS - at) > 1e-9) & known)
    beyond = (
        slice(int(inside[0]), int(inside[-1]) + 1)
        if len(inside)
        else slice(-1, None)
        if side > 0
        else slice(1)
    )
    log_prior = _log_density(side, null, tilted=tilted)[beyond]
    return beyond, log_prior - np.logaddexp.reduce(log_prior)


def _tilted(
    sums: FloatArray, tilt: FloatArray, null: float, side: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gains over the null hypothesis at a difference of 0, their slopes in the difference, and log prior weights."""
    beyond, log_prior = _prior(0.0, side, null, tilted=True)
    gains = sums[..., beyond] if null == 0 else at_ratio(sums, LOG_RATIOS[beyond] + null)
    return gains - at_ratio(sums, null)[..., None], tilt[..., beyond], log_prior


def _log_mean(
    gains: FloatArray, at_null: FloatArray, scaled: FloatArray, log_prior: FloatArray
) -> FloatArray:
    """Average exp((gains - at_null) / scaled) by the prior; no prior weight is so small that its term could be lost."""
    top = gains.max(axis=-1)
    terms = np.asarray(gains - top[..., None])
    if scaled.size > 1 or scaled.item() != 1:
        terms = terms / scaled
    np.maximum(terms, -700.0, out=terms)  # exp is ten times slower where it underflows
    return np.asarray((top - at_null) / scaled[..., 0] + np.log(np.exp(terms, out=terms) @ np.exp(log_prior)))


def _crossing(points: FloatArray, evidence: FloatArray, needed: float, side: int) -> float:
    """Find where the evidence falls below what is needed, coming from the end at which it is greatest."""
    rejected = np.flatnonzero(evidence >= needed)
    if not len(rejected):
        return -side * np.inf
    last = int(rejected[-1])
    if last == len(points) - 1:
        return float(points[last])
    drop = (evidence[last] - needed) / (evidence[last] - evidence[last + 1])
    return float(points[last] + drop * (points[last + 1] - points[last]))


CONCENTRATION = 100.0
"""The authors' weight of the prior: made for small deviations, which take many counts to see; slow to call gross ones."""
_SUM_TOLERANCE = 1e-9


def log_bayes_factor(
    counts: ArrayLike, shares: ArrayLike, concentration: float = CONCENTRATION
) -> FloatArray:
    """Give the log evidence that the shares are not those expected.

    Parameters
    ----------
    counts : array_like, shape (..., K)
        Counts so far of each of K >= 2 categories, at least 0.
    shares : array_like, shape (K,) or (..., K)
        Shares expected; positive, 1 in sum.
    concentration : float
        Weight of the prior in counts; positive, and fixed beforehand.

    Returns
    -------
    ndarray, shape (...)
        Logarithms of e-values.

    Raises
    ------
    ValueError
        A count, a share or the concentration is not in its range, or the shapes do not fit.

    Examples
    --------
    >>> log_bayes_factor([[0, 0], [60, 90], [160, 250]], [0.5, 0.5]).round(5).tolist()
    [0.0, 1.35197, 7.18213]
    """
    c, theta = _arguments(counts, shares, concentration)
    likelihood = special.xlogy(c, theta).sum(axis=-1)
    return np.asarray(_log_marginal(c, theta, concentration) - likelihood)


def sequential_pvalue(
    counts: ArrayLike, shares: ArrayLike, concentration: float = CONCENTRATION
) -> FloatArray:
    """Give the p-value of the shares expected; the smallest of all looks so far is one as well.

    Parameters
    ----------
    counts : array_like, shape (..., K)
        Counts so far of each of K >= 2 categories, at least 0.
    shares : array_like, shape (K,) or (..., K)
        Shares expected; positive, 1 in sum.
    concentration : float
        Weight of the prior in counts; positive, and fixed beforehand.

    Returns
    -------
    ndarray, shape (...)
        min(1, 1 / Bayes factor): at any time at most the level with at most that probability.

    Raises
    ------
    ValueError
        A count, a share or the concentration is not in its range, or the shapes do not fit.

    Examples
    --------
    >>> sequential_pvalue([[20, 30], [60, 90], [160, 250]], [0.5, 0.5]).round(9).tolist()
    [0.876120251, 0.258729653, 0.000760051]
    """
    return np.exp(np.minimum(-log_bayes_factor(counts, shares, concentration), 0.0))


def _log_marginal(c: FloatArray, theta: FloatArray, concentration: float) -> FloatArray:
    """Give the log probability of a sequence with these counts under the prior."""
    prior = concentration * theta
    rising = (special.gammaln(prior + c) - special.gammaln(prior)).sum(axis=-1)
    total = special.gammaln(concentration + c.sum(axis=-1)) - special.gammaln(concentration)
    return np.asarray(rising - total)


def _arguments(counts: ArrayLike, shares: ArrayLike, concentration: float) -> tuple[FloatArray, FloatArray]:
    """Return counts and shares as arrays of one shape, if they make sense."""
    c, theta = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if c.ndim == 0 or theta.ndim == 0 or c.shape[-1] != theta.shape[-1] or c.shape[-1] < 2:
        raise ValueError(f"counts of shape {c.shape} and shares of shape {theta.shape} do not fit each other")
    if not ((c >= 0) & (c < np.inf)).all():
        raise ValueError("counts must be at least 0 and finite")
    if not ((theta > 0).all() and (np.abs(theta.sum(axis=-1) - 1) < _SUM_TOLERANCE).all()):
        raise ValueError("the shares expected must be positive and add up to 1")
    if not 0 < concentration < np.inf:
        raise ValueError(f"the concentration must be positive and finite, but is {concentration}")
    c, theta = np.broadcast_arrays(c, theta)
    return c, theta
