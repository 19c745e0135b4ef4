r"""What a test with planned looks finds, when it stops, and how many data it needs.

The effect enters as the drift, the expectation of Z once all data are in: effect / standard error at the end. Futility
boundaries spend the probability 1 - power of a miss as those of `canaryjudge.stats.group_sequential` spend the level [1]_. They
are not binding: the level is computed as if nobody kept to them.

References
----------
.. [1] S. Pampallona, A. A. Tsiatis and K. M. Kim, "Interim monitoring of group sequential trials using spending functions for
       the type I and type II error probabilities", Drug Information Journal 35 (2001), 1113-1121.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.group_sequential import Boundaries, Spending, apart, boundaries, spent
from canaryjudge.stats.rare_events import FloatArray
from canaryjudge.stats.score_process import START, Paths, go_on, mirrored, tail, upper_limit

__all__ = ["Design", "Operation", "design", "operation"]

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
    spending : {"obrien_fleming", "pocock"}
        How the level is spent; see `canaryjudge.stats.group_sequential.spent`.
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
