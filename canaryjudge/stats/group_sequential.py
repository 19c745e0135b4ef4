r"""Planned looks at a test: boundaries by error spending, repeated p-values, and designs.

A test that is looked at several times spends its level look by look [1]_: at information fraction t (the share of the planned
data that is in) the total spent is a function of t and the level, and the boundary of look k is the value that Z exceeds
with the probability of what look k may spend, and no earlier look did. It depends on the looks so far only, so that
their number and times need not be known beforehand; the data that count as all of them (t = 1) must be. Nothing is left to
spend after t = 1.

Tests are one-sided, with large Z as the evidence. The boundaries are exact for normal
statistics with independent increments, which those of most tests are close to; p-values enter as Z = norm.isf(p).

Of what a plan costs and finds, the effect enters as the drift, the expectation of Z once all data are in: effect / standard error at the end. Futility
boundaries spend the probability 1 - power of a miss as the others spend the level [3]_. They
are not binding: the level is computed as if nobody kept to them.

All is computed with the paths of Brownian motion that have not stopped yet, look by look.
At information fraction t a normal test statistic is Z = S / sqrt(t), where S is Brownian motion with a drift [4]_. The density
of S over the paths that no look has stopped obeys the recursion of Armitage, McPherson and Rowe [5]_,

.. math:: h_k(z) = \int h_{k-1}(x) \, \phi\!\left(\frac{z \sqrt{t_k} - x \sqrt{t_{k-1}} - \theta \Delta_k}{\sqrt{\Delta_k}}\right)
          \sqrt{t_k / \Delta_k} \, dx, \quad \Delta_k = t_k - t_{k-1},

over the statistics x at which look k - 1 went on. Here Gauss-Legendre panels, 16 standard deviations of what is
integrated wide, take the place of Jennison and Turnbull's Simpson grid: with 32 nodes each they come within 1e-12
of the truth, at any distance between the looks, with fewer nodes. Tails are summed as logarithms, so that 1e-250 is as precise
as .05.

References
----------
.. [1] K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983), 659-663.
.. [2] C. Jennison and B. W. Turnbull, *Group Sequential Methods* (2000), chapters 2, 7 and 9.
.. [3] S. Pampallona, A. A. Tsiatis and K. M. Kim, "Interim monitoring of group sequential trials using spending functions for
       the type I and type II error probabilities", Drug Information Journal 35 (2001), 1113-1121.
.. [4] C. Jennison and B. W. Turnbull, *Group Sequential Methods* (2000), chapter 19.
.. [5] P. Armitage, C. K. McPherson and B. C. Rowe, "Repeated significance tests on accumulating data", J. Royal Statistical
       Society A 132 (1969), 235-244.
.. [6] K. Kim and D. L. DeMets, "Design and analysis of group sequential tests based on the type I error spending rate function", Biometrika 74 (1987), 149-154.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.bounds import FloatArray, floats

__all__ = [
    "START",
    "Boundaries",
    "Design",
    "Operation",
    "Paths",
    "Spending",
    "apart",
    "boundaries",
    "design",
    "go_on",
    "mirrored",
    "operation",
    "repeated_pvalue",
    "spent",
    "tail",
    "upper_limit",
]

_LEAST_LOG_SPENT = -650.0
"""What is less than this is spent at a later look: near the smallest float there are no digits left."""
_CLOSEST = 4e-4
"""Relative distance below which looks are taken to be farther apart; see `boundaries`."""
_POWER = 8
_LARGEST_PVALUE = 0.5
_LARGEST_STATISTIC = 35.0
_FAR = 100.0
"""More than any statistic is short of a boundary that matters."""
_TOLERANCE = 1e-12


Spending = Literal["obrien_fleming", "pocock", "power"]


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The boundaries of a test with planned looks.

    Attributes
    ----------
    fractions : ndarray, shape (K,)
        Information fractions of the looks.
    z : ndarray, shape (K,)
        A look finds something where its statistic is at least this; inf where it has next to nothing to spend.
    nominal : ndarray, shape (K,)
        The same as p-values: norm.sf(z).
    spent : ndarray, shape (K,)
        Probability under the null hypothesis that this look or an earlier one finds something.
    """

    fractions: FloatArray
    z: FloatArray
    nominal: FloatArray
    spent: FloatArray


def spent(fractions: ArrayLike, level: ArrayLike, spending: Spending = "obrien_fleming") -> FloatArray:
    r"""Give the part of the level that may be spent up to an information fraction.

    "obrien_fleming" is Lan and DeMets' :math:`2 - 2 \Phi(z_{\alpha/2} / \sqrt t)`, which spends next to nothing early;
    "pocock" is their :math:`\alpha \ln(1 + (e - 1) t)`, with boundaries that are almost constant; "power" is Kim and DeMets' :math:`\alpha t^8` [6]_, which leaves nearly all to the end and finds early what is
    far beyond the boundary.

    Parameters
    ----------
    fractions : array_like
        Information fractions, in [0, 1].
    level : array_like
        One-sided level, in (0, 1).
    spending : {"obrien_fleming", "pocock", "power"}
        How the level is spent.

    Returns
    -------
    ndarray
        Broadcast; 0 at fraction 0, the level at 1.

    Raises
    ------
    ValueError
        A fraction or the level is not in its range, there is no such spending, or the shapes do not broadcast.

    Examples
    --------
    >>> spent([0.25, 0.5, 1.0], 0.05).round(5).tolist()
    [9e-05, 0.00557, 0.05]
    >>> spent([0.25, 0.5, 1.0], 0.05, "pocock").round(5).tolist()
    [0.01787, 0.03101, 0.05]
    """
    t, alpha = floats(fractions, level)
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError("information fractions must lie between 0 and 1")
    if not ((alpha > 0) & (alpha < 1)).all():
        raise ValueError("the level must lie between 0 and 1")
    if spending == "obrien_fleming":
        at = special.ndtri(alpha / 2) / np.sqrt(np.where(t > 0, t, 1.0))
        return np.where(t > 0, 2 * special.ndtr(at), 0.0)
    if spending == "pocock":
        return np.asarray(alpha * np.log1p((math.e - 1) * t))
    if spending == "power":
        return np.asarray(alpha * t**_POWER)
    raise ValueError(f"there is no spending named {spending!r}")


def boundaries(fractions: ArrayLike, level: float, spending: Spending = "obrien_fleming") -> Boundaries:
    """Compute the boundaries of the looks so far.

    A later look changes none of the earlier ones'. Looks less than 4e-4 of their information apart are taken to
    be that far apart: the joint distribution then has smaller correlations, and the boundaries err on the safe side
    (Slepian's inequality), by some percent of what such a look spends.

    Parameters
    ----------
    fractions : array_like, shape (K,)
        Information fractions of the looks so far, increasing, in (0, 1].
    level : float
        One-sided level of the whole test, in (0, 1).
    spending : {"obrien_fleming", "pocock", "power"}
        How the level is spent; see `spent`.

    Returns
    -------
    Boundaries
        Of arrays of shape (K,).

    Raises
    ------
    ValueError
        The fractions do not increase from more than 0 to at most 1, or the level is not in its range.

    Examples
    --------
    >>> boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.025).z.round(4).tolist()
    [4.8769, 3.357, 2.6803, 2.2898, 2.031]
    """
    t = _increasing(fractions)
    return _boundaries(tuple(t.tolist()), tuple(spent(t, level, spending).tolist()))


@lru_cache(maxsize=4096)
def _boundaries(fractions: tuple[float, ...], allowed: tuple[float, ...]) -> Boundaries:
    """Compute the boundaries that spend so much up to each look, once: the watches of many metrics ask for the same ones."""
    t = np.array(fractions)
    z, used = np.full(t.size, np.inf), np.zeros(t.size)
    paths, total, times = START, 0.0, apart(t)
    for k, time in enumerate(times):
        rest = allowed[k] - total
        if rest > math.exp(_LEAST_LOG_SPENT):
            z[k] = upper_limit(paths, time, math.log(rest))
            total = allowed[k]
        used[k] = total
        if k + 1 < t.size:
            paths = go_on(paths, time, -np.inf, z[k], following=times[k + 1])
    found = Boundaries(t, z, special.ndtr(-z), used)
    for column in (found.fractions, found.z, found.nominal, found.spent):
        column.flags.writeable = False  # many have it
    return found


def repeated_pvalue(z: ArrayLike, fractions: ArrayLike, spending: Spending = "obrien_fleming") -> float:
    """Give the smallest level at which a look so far would have found something.

    It may be looked at after every look: over all of them together, it gets to a level or below with at most that
    probability under the null hypothesis. It never rises from look to look.

    Parameters
    ----------
    z : array_like, shape (K,)
        Statistics of the looks so far; -inf for a look without one, which spends its part nevertheless.
    fractions : array_like, shape (K,)
        Information fractions of the looks so far, increasing, in (0, 1].
    spending : {"obrien_fleming", "pocock", "power"}
        How the level is spent; see `spent`.

    Returns
    -------
    float
        The p-value, no less than 1e-268; 1 where it is more than .5.

    Raises
    ------
    ValueError
        The fractions do not increase from more than 0 to at most 1, or are not as many as the statistics, or one of
        those is not a number.

    Examples
    --------
    >>> round(repeated_pvalue([1.5, 2.1], [0.5, 1.0]), 4)
    0.0181
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - slow to import, and seldom needed

    t, statistics = _increasing(fractions), np.asarray(z, dtype=np.float64)
    if statistics.shape != t.shape:
        raise ValueError(f"{t.size} information fractions do not fit statistics of shape {statistics.shape}")
    if np.isnan(statistics).any():
        raise ValueError("a statistic is not a number; a look without one has -inf")
    statistics = np.minimum(statistics, _LARGEST_STATISTIC)
    # no look finds at a level smaller than its own p-value, and none later than the last that could
    seen = statistics > -np.inf
    if not seen.any():
        return 1.0
    last = int(np.flatnonzero(seen)[-1]) + 1

    def excess(log_level: float) -> float:
        limits = boundaries(t[:last], math.exp(log_level), spending).z
        return max(float((statistics[:last] - limits).max()), -_FAR)

    low, high = float(special.log_ndtr(-statistics.max())) - _TOLERANCE, math.log(_LARGEST_PVALUE)
    if low >= high or excess(high) < 0:
        return 1.0
    if excess(low) >= 0:
        return math.exp(low)
    return math.exp(brentq(excess, low, high, xtol=1e-10, rtol=1e-12))


def apart(fractions: FloatArray) -> FloatArray:
    """Move looks that are next to each other apart, so that a grid can resolve the step between them.

    Examples
    --------
    >>> apart(np.array([0.5, 0.5001, 1.0])).round(7).tolist()
    [0.5, 0.5002, 1.0002]
    """
    ratios = np.maximum(fractions[1:] / fractions[:-1], 1 + _CLOSEST)
    return np.asarray(fractions[0] * np.concatenate([[1.0], np.cumprod(ratios)]))


def _increasing(fractions: ArrayLike) -> FloatArray:
    """Return the fractions of looks as an array, if they are such."""
    t = np.asarray(fractions, dtype=np.float64)
    if t.ndim != 1 or t.size == 0:
        raise ValueError("information fractions must be a list of one or more numbers")
    if not (t[0] > 0 and t[-1] <= 1 and (np.diff(t) > 0).all()):
        raise ValueError("information fractions must increase, from more than 0 to at most 1")
    return t


_LARGEST_DRIFT = 60.0
_LEAST_SPENT = 1e-280


@dataclass(frozen=True, slots=True)
class Operation:
    """What a test with planned looks does where the effect has a given size.

    Attributes
    ----------
    found : ndarray, shape (K,)
        Probability that look k, and none before, finds something.
    given_up : ndarray, shape (K,)
        Probability that look k, and none before, stops for futility.
    power : float
        Probability that any look finds something.
    expected_fraction : float
        Mean of the information fraction at which the test stops (the last look's where it does not).
    """

    found: FloatArray
    given_up: FloatArray
    power: float
    expected_fraction: float


@dataclass(frozen=True, slots=True)
class Design:
    """A plan of looks for a power.

    Attributes
    ----------
    boundaries : Boundaries
        When a look finds something.
    futility : ndarray, shape (K,)
        A look gives up where its statistic is less than this; -inf where it never does. The last is that of the
        boundaries. The level holds whether or not anyone keeps to it.
    drift : float
        Expectation of Z at fraction 1 at which the test has the power, if it keeps to `futility`. A test without
        interim looks needs norm.isf(level) + norm.ppf(power); the ratio of the squares is what the looks cost in data.
    operation : Operation
        What the test does at that drift, if it keeps to `futility`.
    """

    boundaries: Boundaries
    futility: FloatArray
    drift: float
    operation: Operation


def operation(plan: Boundaries, drift: float, futility: ArrayLike | None = None) -> Operation:
    """Compute what a test with planned looks does at a drift.

    Parameters
    ----------
    plan : Boundaries
        When a look finds something.
    drift : float
        Expectation of Z at fraction 1, from -60 to 60.
    futility : array_like, shape (K,), optional
        A look gives up where its statistic is less than this.

    Returns
    -------
    Operation
        Probabilities, the power and the expected fraction.

    Raises
    ------
    ValueError
        The drift is not in its range, or there are not as many futility boundaries as looks.

    Examples
    --------
    >>> plan = boundaries([0.2, 0.4, 0.6, 0.8, 1.0], 0.025)
    >>> at_three = operation(plan, 3.0)
    >>> round(at_three.power, 4), round(at_three.expected_fraction, 4)
    (0.8424, 0.7809)
    """
    if not abs(drift) <= _LARGEST_DRIFT:
        raise ValueError(f"the drift must lie between -60 and 60, but is {drift}")
    t, limits = plan.fractions, plan.z
    lower = np.full(t.size, -np.inf) if futility is None else np.asarray(futility, dtype=np.float64)
    if lower.shape != t.shape:
        raise ValueError(f"futility boundaries of shape {lower.shape} do not fit {t.size} looks")
    found, given_up = np.zeros(t.size), np.zeros(t.size)
    paths, times = START, apart(t)
    for k, time in enumerate(times):
        found[k] = _stopped(paths, time, limits[k], drift)
        given_up[k] = _stopped(mirrored(paths), time, -min(lower[k], limits[k]), -drift)
        if k + 1 < t.size:
            paths = go_on(paths, time, lower[k], limits[k], following=times[k + 1], drift=drift)
    stopped = found + given_up
    expected = stopped @ t + (1 - stopped.sum()) * t[-1]
    return Operation(found, given_up, float(found.sum()), float(expected))


def design(
    fractions: ArrayLike,
    level: float,
    power: float,
    *,
    spending: Spending = "obrien_fleming",
    futility: Spending | None = "obrien_fleming",
) -> Design:
    """Plan looks for a level and a power.

    The drift is that at which the futility boundary meets the other at the last look, so that every test ends there with one
    or the other.

    Parameters
    ----------
    fractions : array_like, shape (K,)
        Information fractions of the looks, increasing, in (0, 1], the last of them 1.
    level : float
        One-sided level of the whole test, in (0, 1).
    power : float
        Probability of finding an effect of the drift, if futility stops are kept to; more than the level, less than 1.
    spending : {"obrien_fleming", "pocock", "power"}
        How the level is spent; see `spent`.
    futility : the same, or None
        How the probability of a miss is spent; None for looks that never give up before the last.

    Returns
    -------
    Design
        Both boundaries and the drift.

    Raises
    ------
    ValueError
        The fractions do not increase from more than 0 to 1, or the level or the power is not in its range.

    Examples
    --------
    Three looks need 6 % more data than a test without interim looks:

    >>> plan = design([1 / 3, 2 / 3, 1], 0.025, 0.9)
    >>> plan.futility.round(2).tolist(), plan.boundaries.z.round(2).tolist()
    ([-0.69, 1.0, 1.99], [3.71, 2.51, 1.99])
    >>> round((plan.drift / (1.959964 + 1.281552)) ** 2, 3)
    1.059
    """
    from scipy.optimize import brentq  # noqa: PLC0415 - slow to import, and seldom needed

    plan = boundaries(fractions, level, spending)
    if plan.fractions[-1] != 1:
        raise ValueError("the last look of a design must be at information fraction 1")
    if not level < power < 1:
        raise ValueError(f"the power must lie between the level and 1, but is {power}")

    def excess(drift: float) -> float:
        return operation(plan, drift, _futility(plan, drift, 1 - power, futility)).power - power

    # no test of the level finds more at the end of the data than the one without interim looks
    fixed = float(special.ndtri(power) - special.ndtri(level))
    drift = float(brentq(excess, fixed - 1e-9, _LARGEST_DRIFT, xtol=1e-10))
    lower = _futility(plan, drift, 1 - power, futility)
    return Design(plan, lower, drift, operation(plan, drift, lower))


def _futility(plan: Boundaries, drift: float, miss: float, spending: Spending | None) -> FloatArray:
    """Compute the lower boundary that spends the probability of a miss at a drift; the last look always stops."""
    lower, times = np.full(plan.z.size, -np.inf), apart(plan.fractions)
    lower[-1] = plan.z[-1]
    if spending is None:
        return lower
    allowed = np.diff(spent(plan.fractions, miss, spending), prepend=0.0)
    paths = START
    for k, time in enumerate(times[:-1]):
        if allowed[k] > _LEAST_SPENT:
            limit = -upper_limit(mirrored(paths), time, math.log(allowed[k]), -drift)
            # at a large drift fewer paths may be left than are to be given up
            lower[k] = min(limit, plan.z[k])
        paths = go_on(paths, time, lower[k], plan.z[k], following=times[k + 1], drift=drift)
    return lower


def _stopped(paths: Paths, fraction: float, limit: float, drift: float) -> float:
    """Give the probability that the next look is at the limit or above; an infinite one stops nothing."""
    return math.exp(tail(paths, fraction, limit, drift)[0]) if limit < np.inf else 0.0


_NODES = 32
_PANEL_WIDTH = 16.0
"""In standard deviations of what is integrated."""
_LOWEST = 8.0
"""Fewer than 1e-15 of all paths go on from further below, and those are the last to reach an upper boundary."""
_HIGHEST = 37.0
"""The normal tail from here on is the smallest that keeps its digits as a float."""
_LEAST_MASS = 1e-320
_STEPS = 100
_CLOSE = 1e-8
"""Newton's step halves no more but squares: after one of 1e-8 the error is that of the rounding."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths that have not stopped up to and including a look.

    Attributes
    ----------
    fraction : float
        Information fraction of the look.
    score : ndarray, shape (n,)
        Nodes of the quadrature: values of the score S = Z sqrt(fraction).
    mass : ndarray, shape (n,)
        Probability at each node; the sum is the probability of not having stopped.
    """

    fraction: float
    score: FloatArray
    mass: FloatArray


START = Paths(0.0, np.zeros(1), np.ones(1))
"""Before the first look."""


def tail(paths: Paths, fraction: float, z: float, drift: float = 0.0) -> tuple[float, float]:
    """Give the probability that the next look is at `z` or above, of paths that have not stopped, and its density at `z`.

    Parameters
    ----------
    paths : Paths
        Paths that go on from the look before.
    fraction : float
        Information fraction of the next look, greater than `paths.fraction`.
    z : float
        Value of the next look's statistic; finite.
    drift : float
        Expectation of Z at fraction 1.

    Returns
    -------
    log_tail, log_density : float
        Logarithms of both; -inf where there are no paths.

    Examples
    --------
    >>> log_tail, log_density = tail(START, 0.5, 1.959963984540054)
    >>> round(float(np.exp(log_tail)), 12), round(float(np.exp(log_density)), 12)
    (0.025, 0.058445069805)
    """
    step = math.sqrt(fraction - paths.fraction)
    distance = (paths.score + drift * step**2 - z * math.sqrt(fraction)) / step
    log_mass = np.log(np.maximum(paths.mass, _LEAST_MASS))
    terms, bells = log_mass + special.log_ndtr(distance), log_mass - np.square(distance) / 2
    return _log_sum(terms), _log_sum(bells) + math.log(fraction / step**2 / (2 * math.pi)) / 2


def upper_limit(paths: Paths, fraction: float, log_probability: float, drift: float = 0.0) -> float:
    """Find the value that the next look's statistic exceeds with a given probability, of paths that have not stopped.

    Newton's method on the logarithm of the tail, which is concave (log-concave densities stay so when they are truncated
    and convolved with normal ones): from any start the second point is to the right of the root, and the rest are
    monotone.

    Parameters
    ----------
    paths : Paths
        Paths that go on from the look before.
    fraction : float
        Information fraction of the next look, greater than `paths.fraction`.
    log_probability : float
        Logarithm of the probability; at least -650, and less than that of all the paths.
    drift : float
        Expectation of Z at fraction 1.

    Returns
    -------
    float
        The value; -inf where fewer paths are left than that.

    Examples
    --------
    >>> round(upper_limit(START, 0.5, math.log(0.025)), 12)
    1.95996398454
    """
    if paths.mass.sum() <= math.exp(log_probability):
        return -math.inf
    z = drift * math.sqrt(fraction) - float(special.ndtri_exp(log_probability))
    for _ in range(_STEPS):
        log_tail, log_density = tail(paths, fraction, z, drift)
        step = (log_tail - log_probability) * math.exp(min(log_tail - log_density, 700.0))
        z += step
        if abs(step) < _CLOSE:
            break
    return z


def go_on(
    paths: Paths, fraction: float, low: float, high: float, *, following: float, drift: float = 0.0
) -> Paths:
    """Give the paths that the next look does not stop.

    Parameters
    ----------
    paths : Paths
        Paths that go on from the look before.
    fraction : float
        Information fraction of the next look, greater than `paths.fraction`.
    low, high : float
        The look stops paths whose statistic is not between these; -inf and inf allowed.
    following : float
        Information fraction of the look after that, by which the nodes are set.
    drift : float
        Expectation of Z at fraction 1.

    Returns
    -------
    Paths
        Those at `fraction`.

    Examples
    --------
    >>> round(float(go_on(START, 0.5, -np.inf, 1.959963984540054, following=1.0).mass.sum()), 12)
    0.975
    """
    step, root, center = (
        math.sqrt(fraction - paths.fraction),
        math.sqrt(fraction),
        drift * math.sqrt(fraction),
    )
    high = min(high, center + _HIGHEST)
    low = max(low, min(center, high) - _LOWEST)
    if low >= high:
        return Paths(fraction, np.zeros(1), np.zeros(1))
    narrower = min(step, math.sqrt(following - fraction)) / root
    # what is integrated is the density, about as wide as 1, times the narrower step
    z, weight = _nodes(low, high, narrower / math.hypot(narrower, 1.0))
    scale = step * math.sqrt(2)
    kernel = np.subtract.outer(z * root / scale, (paths.score + drift * step**2) / scale)
    np.square(kernel, out=kernel)
    np.exp(np.negative(kernel, out=kernel), out=kernel)
    density = kernel @ paths.mass * (root / step / math.sqrt(2 * math.pi))
    return Paths(fraction, z * root, weight * density)


def mirrored(paths: Paths) -> Paths:
    """Turn paths upside down, so that the functions of upper limits and tails serve for lower ones.

    Examples
    --------
    >>> mirrored(Paths(0.5, np.array([-1.0, 3.0]), np.array([0.4, 0.2]))).score.tolist()
    [1.0, -3.0]
    """
    return Paths(paths.fraction, -paths.score, paths.mass)


def _log_sum(terms: FloatArray) -> float:
    """Give the logarithm of the sum of exponentials."""
    top = float(terms.max())
    return top + math.log(float(np.exp(terms - top).sum()))


def _nodes(low: float, high: float, width: float) -> tuple[FloatArray, FloatArray]:
    """Give the nodes and weights of Gauss-Legendre panels over an interval."""
    place, weight = _panel()
    edges = np.linspace(low, high, math.ceil((high - low) / (_PANEL_WIDTH * width)) + 1)
    half = np.diff(edges)[:, np.newaxis] / 2
    return (edges[:-1, np.newaxis] + half * (1 + place)).ravel(), (half * weight).ravel()


@lru_cache(maxsize=1)
def _panel() -> tuple[FloatArray, FloatArray]:
    """Give the Gauss-Legendre rule on [-1, 1]."""
    place, weight = special.roots_legendre(_NODES)
    return np.asarray(place), np.asarray(weight)
