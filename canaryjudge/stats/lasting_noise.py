"""Noise that more points do not average out: healthy windows, and healthy replicas, differ though nothing is wrong.

It adds to the variance of an estimate. Both variances are estimates themselves, so their sum is known with the degrees of freedom of
Satterthwaite [1]_, which t distributions then allow for.

References
----------
.. [1] F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2 (1946), 110-114.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LastingNoise", "excess", "joined"]

FloatArray = NDArray[np.float64]

_STEPS = 60
_FINEST = 1e-6
"""A scatter that is less than this part of the lasting noise is taken as this part of it."""


@dataclass(frozen=True, slots=True)
class LastingNoise:
    """By how much healthy arms differ beyond what their points' scatter explains.

    Attributes
    ----------
    standard_error : ndarray, shape (k,)
        Standard deviation of the difference of the arms, at each limit, in the unit of the estimate.
    df : float
        Degrees of freedom with which it is known.
    """

    standard_error: FloatArray
    df: float

    def least_slope(self, slope: FloatArray) -> FloatArray:
        """Keep the change of a shift for a change of a rank from vanishing, where points that are all the same have no scatter."""
        return np.maximum(slope, _FINEST * float(self.standard_error.max(initial=0.0)))


def joined(
    standard_error: ArrayLike, df: ArrayLike, lasting: ArrayLike, lasting_df: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    r"""Join two independent parts of an error.

    Parameters
    ----------
    standard_error, df : array_like
        One part, and its degrees of freedom; infinite where it is known.
    lasting, lasting_df : array_like
        The other.

    Returns
    -------
    tuple of ndarray
        :math:`\sqrt{a^2 + b^2}` and :math:`(a^2 + b^2)^2 / (a^4 / f_a + b^4 / f_b)`, broadcast. Where there is no other part, the first as it is.

    Examples
    --------
    >>> error, df = joined(3.0, 10.0, 4.0, 20.0)
    >>> float(error), round(float(df), 2)
    (5.0, 29.9)
    """
    first, second = np.asarray(standard_error, dtype=np.float64), np.asarray(lasting, dtype=np.float64)
    known = np.asarray(df, dtype=np.float64), np.asarray(lasting_df, dtype=np.float64)
    together = np.hypot(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = 1 / ((first / together) ** 4 / known[0] + (second / together) ** 4 / known[1])
    return together, np.where(second > 0, freedom, known[0])


def excess(differences: ArrayLike, standard_errors: ArrayLike, independent: float) -> tuple[float, float]:
    r"""Measure the lasting noise of one arm from differences between healthy arms.

    Parameters
    ----------
    differences : array_like, shape (n,)
        Differences of pairs of healthy arms, whose expectation is 0.
    standard_errors : array_like, shape (n,)
        What the scatter of their points explains.
    independent : float
        How many independent differences they are worth; neighbors that share a window are worth less than their number.

    Returns
    -------
    tuple of (float, float)
        Standard deviation of one arm's lasting part, 0 where the points explain all, and its degrees of freedom, at least 1.

    Notes
    -----
    The variance of a difference is :math:`V_i = e_i^2 + 2 \tau^2`, and :math:`\tau` solves :math:`n^{-1} \sum d_i^2 / V_i = 1` as Mandel and Paule [2]_ have
    it: pairs whose points scatter widely say little of what lasts. The sum has as many degrees of freedom f as there are independent differences, or
    fewer where they have heavy tails: :math:`2 n / (\kappa - 1)` with the kurtosis of :math:`d_i / \sqrt{V_i}`. By the information of normal differences, :math:`\tau^2` is
    known with :math:`f n^{-1} \sum (2 \tau^2 / V_i)^2` degrees of freedom.

    References
    ----------
    .. [2] J. Mandel and R. C. Paule, "Interlaboratory evaluation of a material with unequal numbers of replicates", Analytical Chemistry 42
           (1970), 1194-1197.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> spread, df = excess(rng.normal(0, np.hypot(3, 1) * 2**0.5, 4000), np.full(4000, 2**0.5), 4000)
    >>> round(spread, 1), 3000 < df < 4000
    (3.0, True)
    """
    squares = np.square(np.asarray(differences, dtype=np.float64))
    errors = np.square(np.asarray(standard_errors, dtype=np.float64))
    df = max(1.0, independent)
    lasting = _solved(squares, errors)
    variance = errors + lasting
    standardized = np.divide(squares, variance, out=np.zeros_like(squares), where=variance > 0)
    mean = float(standardized.mean())
    kurtosis = float(np.square(standardized).mean()) / mean**2 if mean > 0 else 1.0
    if kurtosis > 1 and 2 * independent / (kurtosis - 1) < df:
        df = max(1.0, 2 * independent / (kurtosis - 1))
    if lasting == 0:
        return 0.0, df
    known = df * float(np.square(lasting / (errors + lasting)).mean())
    return float(np.sqrt(lasting / 2)), max(1.0, known)


def _solved(squares: FloatArray, errors: FloatArray) -> float:
    """Find the variance that lasts, by bisection; the mean of the standardized squares falls with it."""
    largest = float(squares.max(initial=0.0))

    def mean(lasting: float) -> float:
        variance = errors + lasting
        return float(np.divide(squares, variance, out=np.zeros_like(squares), where=variance > 0).mean())

    exact = (errors == 0) & (squares > 0)  # differences of arms without any scatter last for certain
    if largest == 0 or (mean(0.0) <= 1 and not exact.any()):
        return 0.0
    low, high = 0.0, largest
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if mean(middle) > 1 else (low, middle)
    return high
