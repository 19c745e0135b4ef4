"""Distribution functions and quantile differences with bands that hold at all places together, whatever the distribution.

The band of Dvoretzky, Kiefer and Wolfowitz, with Massart's constant [1]_: the empirical distribution function of n independent
observations lies within eps = sqrt(log(2 / (1 - level)) / (2 n)) of the true one, everywhere, with probability `level` at least. Read
sideways, it holds every quantile: between the empirical quantiles at p - eps and p + eps. Two arms at sqrt(level) each (as independent
samples) give a band for the difference of quantiles [2]_. Observations that depend on their neighbors make the bands too narrow.

References
----------
.. [1] P. Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of Probability 18 (1990), 1269-1283.
.. [2] K. A. Doksum and G. L. Sievers, "Plotting with confidence: graphical comparisons of two populations", Biometrika 63 (1976),
       421-434.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["QuantileDifferences", "dkw_margin", "quantile_differences"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class QuantileDifferences:
    """Differences of quantiles, canary minus baseline.

    Attributes
    ----------
    probability : ndarray, shape (k,)
        Which quantiles.
    estimate : ndarray, shape (k,)
        Their difference.
    low, high : ndarray, shape (k,)
        The band; infinite where so few observations bound nothing.
    """

    probability: FloatArray
    estimate: FloatArray
    low: FloatArray
    high: FloatArray


def dkw_margin(n: int, level: float) -> float:
    """Give the half width of the band around an empirical distribution function.

    Parameters
    ----------
    n : int
        Observations, one or more.
    level : float
        Probability that the band holds the whole of the true function, between 0 and 1.

    Returns
    -------
    float
        A difference of probabilities.

    Examples
    --------
    >>> round(dkw_margin(100, 0.95), 4)
    0.1358
    """
    return float(np.sqrt(np.log(2 / (1 - level)) / (2 * n)))


def quantile_differences(
    baseline: ArrayLike, canary: ArrayLike, probability: ArrayLike, level: float
) -> QuantileDifferences:
    """Estimate how quantiles differ between two samples, with a band for all of them together.

    Parameters
    ----------
    baseline, canary : array_like, shapes (n,) and (m,)
        Finite observations, one or more each.
    probability : array_like, shape (k,)
        Which quantiles, between 0 and 1.
    level : float
        Probability that the band holds all true differences.

    Returns
    -------
    QuantileDifferences
        In the order of `probability`.

    Examples
    --------
    >>> found = quantile_differences(range(1000), range(50, 1050), [0.5], 0.95)
    >>> found.estimate.tolist(), bool(found.low[0] < 50 < found.high[0])
    ([50.0], True)
    """
    asked = np.asarray(probability, dtype=np.float64)
    each = float(np.sqrt(level))
    ends = []
    for sample in (baseline, canary):
        ascending = np.sort(np.asarray(sample, dtype=np.float64))
        margin = dkw_margin(len(ascending), each)
        ends.append(
            (_order(ascending, asked), _order(ascending, asked - margin), _order(ascending, asked + margin))
        )
    (middle, below, above), (new_middle, new_below, new_above) = ends
    return QuantileDifferences(asked, new_middle - middle, new_below - above, new_above - below)


def _order(ascending: FloatArray, probability: FloatArray) -> FloatArray:
    """Give the smallest value that at least this share do not exceed; beyond 0 and 1 nothing is known."""
    n = len(ascending)
    rank = np.ceil(probability * n - 1e-9).astype(np.intp)
    found = ascending[np.clip(rank - 1, 0, n - 1)]
    return np.where(probability > 1, np.inf, np.where(probability <= 0, -np.inf, found))
