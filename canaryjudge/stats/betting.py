r"""Evidence by betting: wealth that fair or losing bets can rarely multiply.

A score u in [-1, 1] whose expectation is at most 0 makes ``prod(1 + lambda u)`` a supermartingale for every lambda in [0, 1): who bets
that way multiplies his stake by 1/level with a probability of at most `level`, however long he plays (Ville 1939; Waudby-Smith and
Ramdas 2024, J. Royal Statistical Society B 86:1; Shekhar and Ramdas 2023 for two samples). The mean over a fixed grid of lambda needs no
tuning, and its logarithms add up over intervals and shards.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaln

__all__ = ["BETS", "discordance", "log_wealth", "wealth_terms"]

FloatArray = NDArray[np.float64]

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
