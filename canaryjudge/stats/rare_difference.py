r"""Exact one-sided tests of the difference of two event rates, for events that are few.

Bounds put together from those of each rate are never too narrow where events are few, and often far too wide. Here all tables of events that speak at
least as strongly as the one observed are added up, at the baseline rate that makes them most likely: an unconditional test [1]_. They are put
in order by the score statistic [2]_ of the difference d that is tested,

    z = (r_c - r_b - d) / sqrt(R_c / n_c + R_b / n_b),

with R the most likely rates that differ by d. Baseline rates are those that the sum of all events leaves possible, up to a chance of 1e-12, which
is added to the p-value [3]_.

Events may have been divided by an overdispersion factor: the tables are whole numbers, the observed one need not be.

References
----------
.. [1] G. A. Barnard, "Significance tests for 2 x 2 tables", Biometrika 34 (1947), 123-138.
.. [2] O. Miettinen and M. Nurminen, "Comparative analysis of two rates", Statistics in Medicine 4 (1985), 213-226.
.. [3] R. L. Berger and D. D. Boos, "P values maximized over a confidence set for the nuisance parameter", Journal of the American
       Statistical Association 89 (1994), 1012-1016.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from canaryjudge.stats.rare_events import FloatArray, PValues

__all__ = ["rare_difference_pvalues"]

BoolArray = NDArray[np.bool_]

_LEFT_OUT = 1e-12
_RATES = 48
"""Baseline rates at which the tables are added up."""
_NEVER = 1e-15
"""Counts beyond one that is exceeded less often than this are left out."""


def rare_difference_pvalues(xc: float, nc: float, xb: float, nb: float, difference: float) -> PValues:
    """Test the difference of the rates, canary minus baseline, exactly.

    Parameters
    ----------
    xc, xb : float
        Events of the canary and of the baseline, at least 0; whole numbers or not. Time and memory grow with their sum.
    nc, nb : float
        Their exposures, positive.
    difference : float
        Null value, in events per exposure.

    Returns
    -------
    PValues
        `greater` for the null "difference <= `difference`", `less` for the null ">= `difference`", each an array of shape (); at
        least 1e-12. They are exact for Poisson counts, and conservative for proportions, whose variance is smaller.

    Examples
    --------
    Three errors of 1,424 requests against none of 2,417: a difference of more than .02 percentage points is proven at 3 %, where bounds of each
    rate leave 5.8 %.

    >>> from canaryjudge.stats.rare_difference import rare_difference_pvalues
    >>> round(float(rare_difference_pvalues(3, 1424, 0, 2417, 0.0002).greater), 3)
    0.029
    """
    events = xc + xb
    least = float(special.gammaincinv(events, _LEFT_OUT / 2)) if events else 0.0
    most = float(special.gammainccinv(events + 1, _LEFT_OUT / 2))
    alone = abs(difference) * (nc if difference >= 0 else nb)  # events that the difference itself brings
    counts = np.arange(int(special.pdtrik(1 - _NEVER, max(most, alone))) + 2, dtype=float)
    low, high = (np.sqrt(max(expected - alone, 0.0) / (nc + nb)) for expected in (least, most))
    smaller = np.linspace(low, high, _RATES) ** 2  # the rate of the arm where it is the smaller one
    canary = _chances(counts, (smaller + max(difference, 0.0)) * nc)
    baseline = _chances(counts, (smaller + max(-difference, 0.0)) * nb)

    def score(canary: FloatArray, baseline: FloatArray) -> FloatArray:
        return _score(canary, nc, baseline, nb, difference)

    observed = float(score(np.array(xc), np.array(xb)))
    slack = 1e-9 * (1 + abs(observed))
    # for each count of the baseline: how many of the canary speak less strongly for a larger rate than what was observed, and at most as strongly
    ends = np.array([[observed - slack], [np.nextafter(observed + slack, np.inf)]])
    below, up_to = _how_many(np.tile(counts, (2, 1)), lambda canary: score(canary, counts) < ends)
    none = np.zeros((1, _RATES))
    from_below = np.concatenate([none, canary.cumsum(axis=0)])
    from_above = np.concatenate([canary[::-1].cumsum(axis=0)[::-1], none])
    greater = np.einsum("ij,ij->j", baseline, from_above[below]).max()
    less = np.einsum("ij,ij->j", baseline, from_below[up_to]).max()
    return PValues(*(np.minimum(np.asarray(pvalue + _LEFT_OUT), 1.0) for pvalue in (greater, less)))


def _chances(counts: FloatArray, expected: FloatArray) -> FloatArray:
    """Give the Poisson probability of each count, a column an expectation."""
    logs = np.log(np.maximum(expected, np.finfo(float).tiny))  # of nothing expected, nothing comes
    return np.asarray(np.exp(np.outer(counts, logs) - expected - special.gammaln(counts + 1)[:, None]))


def _how_many(counts: FloatArray, holds: Callable[[FloatArray], BoolArray]) -> NDArray[np.intp]:
    """Count, beside each count of the baseline, those of the canary for which `holds`: the first ones, as the score rises."""
    several = counts.shape[-1]
    low, high = np.zeros(counts.shape, dtype=np.intp), np.full(counts.shape, several, dtype=np.intp)
    for _ in range(several.bit_length()):
        middle = (low + high) // 2
        below = holds(middle.astype(float)) & (middle < high)
        low, high = np.where(below, middle + 1, low), np.where(below, high, middle)
    return low


def _score(canary: FloatArray, nc: float, baseline: FloatArray, nb: float, difference: float) -> FloatArray:
    """Give the score statistic of tables; 0 where nothing is expected and nothing came."""
    if difference < 0:  # the likelihood is maximized over the smaller rate
        return -_score(baseline, nb, canary, nc, -difference)
    # canary / (rate + difference) + baseline / rate = nc + nb: the positive root
    total = nc + nb
    half = (canary + baseline - total * difference) / 2
    rate = np.maximum(half + np.sqrt(half**2 + total * baseline * difference), 0.0) / total
    variance = (rate + difference) / nc + rate / nb
    distance = canary / nc - baseline / nb - difference
    return np.asarray(np.divide(distance, np.sqrt(variance), out=np.zeros_like(distance), where=variance > 0))
