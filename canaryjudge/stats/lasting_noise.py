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
    (5.0, 29.88)
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
    With D the mean square of the differences and E that of the standard errors, :math:`\tau^2 = (D - E) / 2`. D has as many degrees of freedom as there
    are independent differences, or fewer where they have heavy tails: :math:`2 n / (\kappa - 1)` with their kurtosis :math:`\kappa`, because the variance of a mean
    square is :math:`(\kappa - 1) / n` of its square. The difference of D and E is known less well than D: :math:`f \tau^4 / (D / 2)^2`.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> spread, df = excess(rng.normal(0, np.hypot(3, 1) * 2**0.5, 400), np.full(400, 2**0.5), 400)
    >>> round(spread, 1), df > 200
    (3.0, True)
    """
    squares = np.square(np.asarray(differences, dtype=np.float64))
    expected = float(np.square(np.asarray(standard_errors, dtype=np.float64)).mean())
    seen = float(squares.mean())
    if seen <= expected or seen == 0:
        return 0.0, max(1.0, independent)
    kurtosis = float(np.square(squares).mean()) / seen**2
    heavy = 2 * independent / (kurtosis - 1) if kurtosis > 1 else np.inf
    df = min(independent, heavy)
    lasting = (seen - expected) / 2
    return float(np.sqrt(lasting)), max(1.0, float(df * (2 * lasting / seen) ** 2))
