r"""Paths of Brownian motion that have not stopped yet, look by look: what planned looks are computed with.

At information fraction t a normal test statistic is Z = S / sqrt(t), where S is Brownian motion with a drift [1]_. The density
of S over the paths that no look has stopped obeys the recursion of Armitage, McPherson and Rowe [2]_,

.. math:: h_k(z) = \int h_{k-1}(x) \, \phi\!\left(\frac{z \sqrt{t_k} - x \sqrt{t_{k-1}} - \theta \Delta_k}{\sqrt{\Delta_k}}\right)
          \sqrt{t_k / \Delta_k} \, dx, \quad \Delta_k = t_k - t_{k-1},

over the statistics x at which look k - 1 went on. Here Gauss-Legendre panels, 16 standard deviations of what is
integrated wide, take the place of Jennison and Turnbull's Simpson grid: with 32 nodes each they come within 1e-12
of the truth, at any distance between the looks, with fewer nodes. Tails are summed as logarithms, so that 1e-250 is as precise
as .05.

References
----------
.. [1] C. Jennison and B. W. Turnbull, *Group Sequential Methods* (2000), chapter 19.
.. [2] P. Armitage, C. K. McPherson and B. C. Rowe, "Repeated significance tests on accumulating data", J. Royal Statistical
       Society A 132 (1969), 235-244.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from canaryjudge.stats.rare_events import FloatArray

__all__ = ["START", "Paths", "go_on", "mirrored", "tail", "upper_limit"]

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
