"""How much the baseline itself varies: what a pass need not be narrower than.

A pass that must exclude everything beyond the tolerance is rarely to be had where a service's own minutes differ by more. So harm within the baseline's own usual variation, which nobody would
notice in it, may be left open; it is measured from the baseline alone, before the canary is looked at.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.quantiles import medians

__all__ = ["WIDEST_VARIATION", "usual_error_rate", "usual_variation"]

_MAD_TO_SD = 1.4826
WIDEST_VARIATION: Final = 0.3
"""A quarter of recorded baselines have a standard deviation above 30 % of their level; harm of that size would be noticed all the same."""
_POINTS = 0.001
_MOST_TIMES = 2.0


def usual_variation(baseline: ArrayLike, tolerance: ArrayLike = 0.0) -> FloatArray:
    r"""Give the share of its level by which a gauge usually varies from minute to minute, at least the tolerance.

    Parameters
    ----------
    baseline : array_like, shape (..., n)
        Points in order of time, n >= 2.
    tolerance : array_like, shape (...)
        What is tolerated, as a share of the level.

    Returns
    -------
    ndarray, shape (...)
        :math:`\max(\tau, \min(30\,\%, s / |m|))` with m the median and s the smaller of the robust standard deviations of the points and of the steps between them, the latter over the root of two: of independent
        points both are the same, a ramp that both arms feel widens only the first. A level of 0 has the tolerance.

    Raises
    ------
    ValueError
        There are fewer than two points.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(0, 10, 400)
    >>> usual_variation([100 + noise, 100 + noise + np.arange(400)], 0.05).round(2).tolist()
    [0.09, 0.05]
    """
    points = np.asarray(baseline, dtype=np.float64)
    if points.shape[-1] < 2:
        raise ValueError(f"variation needs two points, found {points.shape[-1]}")
    middle = medians(points)
    spread = np.minimum(_robust_spread(points), _robust_spread(np.diff(points, axis=-1)) / np.sqrt(2))
    level = np.abs(middle)
    with np.errstate(over="ignore"):  # beyond all numbers is wider than what counts as well
        usual = np.where(level > 0, spread / np.where(level > 0, level, 1.0), 0.0)
    return np.asarray(
        np.maximum(np.asarray(tolerance, dtype=np.float64), np.minimum(usual, WIDEST_VARIATION))
    )


def usual_error_rate(events: ArrayLike, totals: ArrayLike) -> FloatArray:
    """Give the change of an error rate that a pass need not exclude.

    Parameters
    ----------
    events, totals : array_like, shape (..., n)
        Events of the baseline's intervals, and what they are of.

    Returns
    -------
    ndarray, shape (...)
        .1 percentage points, at most twice the baseline's own rate, as a share of 1; without events 0.

    Examples
    --------
    >>> usual_error_rate([[3, 4], [0, 1]], [[500, 500], [5000, 5000]]).round(6).tolist()
    [0.001, 0.0002]
    """
    found = np.asarray(events, dtype=np.float64).sum(axis=-1)
    of = np.asarray(totals, dtype=np.float64).sum(axis=-1)
    rate = found / np.where(of > 0, of, 1.0)
    return np.asarray(np.minimum(_POINTS, _MOST_TIMES * rate))


def _robust_spread(points: FloatArray) -> FloatArray:
    middle = medians(points)[..., None]
    return np.asarray(_MAD_TO_SD * medians(np.abs(points - middle)))
