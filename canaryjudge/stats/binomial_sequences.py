r"""Counts of events that are no surprise at any time.

The number x of n independent observations that are events of probability p is binomial. With a beta prior of mean p and weight
k, the likelihood ratio averaged over all other probabilities (one-sided: over greater ones) is

.. math:: M = \frac{B(k p + x, k (1 - p) + n - x)}{B(k p, k (1 - p))} p^{-x} (1 - p)^{-(n - x)}
          \left[ \frac{P(\theta > p \mid x, n)}{P(\theta > p)} \right],

the beta-binomial mixture [1]_, which ever gets to 1 / level with a probability of at most the level. k + 1 plays the part of the
normal mixture's rho, in observations. It must be fixed beforehand; with V / (2 ln(1 / level) + ln(1 + 2 ln(1 / level))), the bounds are
about as close as they can be after V observations. The intersection of the intervals of all looks so far is as valid as the last.

References
----------
.. [1] S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
       sequences", Annals of Statistics 49 (2021), 1055-1080.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.rare_events import Bounds, FloatArray, bisect, floats

__all__ = [
    "count_bounds",
]


_LEAST_WEIGHT = 1e-3
"""Of the prior, in observations."""


def count_bounds(
    n: ArrayLike, p: ArrayLike, level: ArrayLike, rho: ArrayLike, *, one_sided: bool = False
) -> Bounds:
    """Give the counts of events of probability `p` that are no surprise at any time.

    Parameters
    ----------
    n : array_like
        Number of observations so far, at least 0.
    p : array_like
        Probability of an event, in (0, 1).
    level : array_like
        Error probability over all times, in (0, 1): of both bounds together, of each where `one_sided`.
    rho : array_like
        Positive, in observations: where the bounds are closest. The prior's weight is rho - 1, at least .001.
    one_sided : bool
        Whether each bound is to hold by itself.

    Returns
    -------
    Bounds
        A count below `low` or above `high` refutes `p`; 0 and `n` where no count does. Broadcast.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> bounds = count_bounds(1000, 0.9, 0.05, 126.0)
    >>> float(bounds.low.round(3)), float(bounds.high.round(3))
    (869.738, 927.271)
    """
    n, p, level, rho = floats(n, p, level, rho)
    if not ((n >= 0) & (n < np.inf)).all():
        raise ValueError("a number of observations must be at least 0 and finite")
    for value, name in ((p, "the probability of an event"), (level, "the level")):
        if not ((value > 0) & (value < 1)).all():
            raise ValueError(f"{name} must lie between 0 and 1")
    if not ((rho > 0) & (rho < np.inf)).all():
        raise ValueError("rho must be positive and finite")
    weight = np.maximum(rho - 1, _LEAST_WEIGHT)
    high = _highest_count(n, p, level, weight, one_sided=one_sided)
    return Bounds(n - _highest_count(n, 1 - p, level, weight, one_sided=one_sided), high)


def _log_mixture(
    x: FloatArray, n: FloatArray, odds: tuple[FloatArray, FloatArray], weight: FloatArray, *, one_sided: bool
) -> FloatArray:
    """Give the log of the mixture of the module's docstring, for the probabilities of an event and of none."""
    p, rest = odds
    a, b = weight * p, weight * rest
    log_mixture = special.betaln(a + x, b + (n - x)) - special.betaln(a, b)
    log_mixture = log_mixture - special.xlogy(x, p) - special.xlogy(n - x, rest)
    if one_sided:
        with np.errstate(divide="ignore"):
            share = special.betainc(b + (n - x), a + x, rest) / special.betainc(b, a, rest)
            log_mixture = log_mixture + np.log(share)
    return np.asarray(log_mixture)


def _highest_count(
    n: FloatArray, p: FloatArray, level: FloatArray, weight: FloatArray, *, one_sided: bool
) -> FloatArray:
    """Give the largest count, not a whole number, that is not evidence enough for a greater probability."""
    needed, odds = -np.log(level), (p, 1 - p)
    return bisect(lambda x: _log_mixture(x, n, odds, weight, one_sided=one_sided) <= needed, n * p, n)
