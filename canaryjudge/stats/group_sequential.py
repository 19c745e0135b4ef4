r"""Planned looks at a test: boundaries by error spending, and repeated p-values.

A test that is looked at several times spends its level look by look [1]_: at information fraction t (the share of the planned
data that is in) the total spent is a function of t and the level, and the boundary of look k is the value that Z exceeds
with the probability of what look k may spend, and no earlier look did. It depends on the looks so far only, so that
their number and times need not be known beforehand; the data that count as all of them (t = 1) must be. Nothing is left to
spend after t = 1.

Tests are one-sided, with large Z as the evidence. The boundaries are exact for normal
statistics with independent increments, which those of most tests are close to; p-values enter as Z = norm.isf(p).
What a plan costs and finds is in `canaryjudge.stats.sequential_design`.

References
----------
.. [1] K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983), 659-663.
.. [2] C. Jennison and B. W. Turnbull, *Group Sequential Methods* (2000), chapters 2, 7 and 9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.rare_events import FloatArray, floats
from canaryjudge.stats.score_process import START, go_on, upper_limit

__all__ = [
    "Boundaries",
    "Spending",
    "apart",
    "boundaries",
    "repeated_pvalue",
    "spent",
]

_LEAST_LOG_SPENT = -650.0
"""What is less than this is spent at a later look: near the smallest float there are no digits left."""
_CLOSEST = 4e-4
"""Relative distance below which looks are taken to be farther apart; see `boundaries`."""
_LARGEST_PVALUE = 0.5
_LARGEST_STATISTIC = 35.0
_FAR = 100.0
"""More than any statistic is short of a boundary that matters."""
_TOLERANCE = 1e-12


Spending = Literal["obrien_fleming", "pocock"]


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
    "pocock" is their :math:`\alpha \ln(1 + (e - 1) t)`, with boundaries that are almost constant.

    Parameters
    ----------
    fractions : array_like
        Information fractions, in [0, 1].
    level : array_like
        One-sided level, in (0, 1).
    spending : {"obrien_fleming", "pocock"}
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
    spending : {"obrien_fleming", "pocock"}
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
    allowed = spent(t, level, spending)
    z, used = np.full(t.size, np.inf), np.zeros(t.size)
    paths, total, times = START, 0.0, apart(t)
    for k, time in enumerate(times):
        rest = allowed[k] - total
        if rest > math.exp(_LEAST_LOG_SPENT):
            z[k] = upper_limit(paths, time, math.log(rest))
            total = float(allowed[k])
        used[k] = total
        if k + 1 < t.size:
            paths = go_on(paths, time, -np.inf, z[k], following=times[k + 1])
    return Boundaries(t, z, special.ndtr(-z), used)


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
    spending : {"obrien_fleming", "pocock"}
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
