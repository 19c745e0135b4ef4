"""The difference of two event rates, from exact bounds of each.

References
----------
.. [1] G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures: a general approach", Statistics in
       Medicine 27 (2008), 1693-1702.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from canaryjudge.stats.proportions import rate_bounds
from canaryjudge.stats.rare_events import Bounds, FloatArray, PValues, bisect, floats

__all__ = ["rate_difference_bounds", "rate_difference_pvalues"]

_LOG_SMALLEST = -690.0
"""p-values stop at 1e-300."""


def rate_difference_bounds(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, level: ArrayLike
) -> Bounds:
    """Bound the difference of the rates, canary minus baseline.

    With the rates r and exact one-sided Garwood bounds l, u of each at `level` (equation 3 of [1]_):
    low = r_c - r_b - sqrt((r_c - l_c)**2 + (u_b - r_b)**2), and high likewise with the ends swapped.

    Parameters
    ----------
    xc, xb : array_like
        Events of the canary and of the baseline, at least 0; whole numbers or not.
    nc, nb : array_like
        Their exposures, positive.
    level : array_like
        Error probability of each bound, in (0, 0.5].

    Returns
    -------
    Bounds
        In events per exposure. Shape: that of the arguments, broadcast.

    Examples
    --------
    Without events in either arm the upper bound is the canary's own, -ln(.05) / 1000:

    >>> from canaryjudge.stats.rate_difference import rate_difference_bounds
    >>> round(float(rate_difference_bounds(0, 1000, 0, 1000, 0.05).high), 6)
    0.002996
    """
    xc, nc, xb, nb, level = floats(xc, nc, xb, nb, level)
    return Bounds(_low(xc, nc, xb, nb, level), -_low(xb, nb, xc, nc, level))


def rate_difference_pvalues(
    xc: ArrayLike, nc: ArrayLike, xb: ArrayLike, nb: ArrayLike, difference: ArrayLike
) -> PValues:
    """Test the difference of the rates, canary minus baseline, against `difference`.

    The p-value is the level, up to one half, at which a bound of `rate_difference_bounds` equals `difference`; where the
    estimate lies on the other side it is 1 minus the p-value of the other side.

    Parameters
    ----------
    xc, xb, nc, nb : array_like
        As for the bounds.
    difference : array_like
        Null value, in events per exposure.

    Returns
    -------
    PValues
        `greater` for the null "difference <= `difference`", `less` for the null ">= `difference`".

    Examples
    --------
    >>> from canaryjudge.stats.rate_difference import rate_difference_pvalues
    >>> round(float(rate_difference_pvalues(0, 1000, 0, 1000, 0.002996).less), 3)
    0.05
    """
    xc, nc, xb, nb, difference = floats(xc, nc, xb, nb, difference)
    greater, less = _pvalue(xc, nc, xb, nb, difference), _pvalue(xb, nb, xc, nc, -difference)
    return PValues(
        np.where(greater < 0.5, greater, 1 - np.minimum(less, 0.5)),
        np.where(less < 0.5, less, 1 - np.minimum(greater, 0.5)),
    )


def _low(xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, level: FloatArray) -> FloatArray:
    below = xc / nc - rate_bounds(xc, nc, level).low
    above = rate_bounds(xb, nb, level).high - xb / nb
    return np.asarray(xc / nc - xb / nb - np.hypot(np.maximum(below, 0), np.maximum(above, 0)))


def _pvalue(xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, null: FloatArray) -> FloatArray:
    """Find the level, at most one half, at which the lower bound reaches `null`."""
    start = np.full(null.shape, _LOG_SMALLEST)
    log_level = bisect(
        lambda u: _low(xc, nc, xb, nb, np.exp(u)) <= null, start, np.full(null.shape, np.log(0.5))
    )
    return np.asarray(np.exp(log_level))
