r"""Evidence from a sum that holds at any time, however often one looks.

S_t is a sum whose expectation is 0 under the null hypothesis, V_t its variance so far. Averaged over effects of both
signs (or one) by a normal prior, the likelihood ratio is a martingale, the normal mixture [1]_,

.. math:: M = \sqrt{\frac{\rho}{V + \rho}} \exp\!\left(\frac{S^2}{2 (V + \rho)}\right)
          \quad \text{or, one-sided,} \quad 2 M \, \Phi\!\left(\frac{S}{\sqrt{V + \rho}}\right),

which ever gets to 1 / level with a probability of at most the level. rho sets where it is tightest, and must be fixed
beforehand. With estimated variances this holds in the limit of many observations [2]_.

References
----------
.. [1] S. R. Howard, A. Ramdas, J. McAuliffe and J. Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
       sequences", Annals of Statistics 49 (2021), 1055-1080.
.. [2] I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and
       asymptotic confidence sequences", Annals of Statistics 52 (2024), 2613-2640.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from canaryjudge.stats.rare_events import FloatArray, floats

__all__ = [
    "normal_log_mixture",
]


def normal_log_mixture(s: ArrayLike, v: ArrayLike, rho: ArrayLike, *, one_sided: bool = False) -> FloatArray:
    """Give the log of the normal mixture, the evidence against an expectation of 0 (one-sided: of at most 0).

    Parameters
    ----------
    s : array_like
        Sum of the observations less what the null hypothesis expects.
    v : array_like
        Variance of the sum, at least 0.
    rho : array_like
        Positive; V / (2 ln(1 / level) + ln(1 + 2 ln(1 / level))) is close to the best at the variance V, with twice the level for one side.
    one_sided : bool
        Whether only positive sums are evidence.

    Returns
    -------
    ndarray
        Logarithms of e-values, broadcast; 1 / e-value is a p-value that may be looked at at any time.

    Raises
    ------
    ValueError
        An argument is not in its range, or the shapes do not broadcast.

    Examples
    --------
    >>> round(float(normal_log_mixture(30.352089903763, 100, 12.600561229)), 6), round(math.log(20), 6)
    (2.995732, 2.995732)
    """
    s, v, rho = floats(s, v, rho)
    if not ((v >= 0) & (v < np.inf)).all():
        raise ValueError("a variance must be at least 0 and finite")
    if not ((rho > 0) & (rho < np.inf)).all():
        raise ValueError("rho must be positive and finite")
    if not np.isfinite(s).all():
        raise ValueError("a sum must be finite")
    log_mixture = np.log(rho / (v + rho)) / 2 + np.square(s) / (2 * (v + rho))
    if one_sided:
        log_mixture = log_mixture + math.log(2) + special.log_ndtr(s / np.sqrt(v + rho))
    return np.asarray(log_mixture)
