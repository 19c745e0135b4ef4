r"""Growth within a window: a leak is no level.

What creeps up through a window is held against how far a random walk with the same steps would have come: with block means :math:`x_1 \ldots x_B` of m points each, and
:math:`s^2` the variance of their increments,

.. math:: t = \frac{x_B - x_1 - \text{limit}}{s \sqrt{(B - 1)\, 3 m^2 / (2 m^2 + 1)}}

with B - 2 degrees of freedom. A random walk's block means have increments of the variance :math:`\sigma^2 (2 m^2 + 1) / (3 m)`, so that the root is at least the standard deviation of its
growth; stationary noise grows less. A least-squares slope, which is sharper where noise is stationary, takes a random walk for a trend [1]_.

References
----------
.. [1] C. R. Nelson and H. Kang, "Spurious periodicity in inappropriately detrended time series", Econometrica 49 (1981), 741-751.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.ties import above, rounding, snapped

__all__ = ["FEWEST_BLOCKS", "GrowthTest", "block_means", "growth_test", "largest_swing", "seen_smoothing"]

FEWEST_BLOCKS = 6
_MOST_BLOCKS = 15
"""Averages of more points tell a trend from noise better; t needs degrees of freedom, too."""
_STRONGEST = 0.9
_END_POINTS = 3
"""Where blocks are shorter, both ends are averages of so many points."""
_ALIKE = 0.25
"""Steps with a larger autocorrelation resemble each other."""
_LONGEST_SEEN = 10


@dataclass(frozen=True, slots=True)
class GrowthTest:
    """What the window says of growth; k limits and l levels.

    Attributes
    ----------
    growth : ndarray, shape (...)
        From the first block to the last, in the series' unit.
    rate : ndarray, shape (...)
        The same for a step of the series.
    end : ndarray, shape (...)
        Level of the last block.
    low, high : ndarray, shape (..., l)
        One-sided confidence bounds of the growth; infinite where the test abstains.
    pvalue_greater, pvalue_less : ndarray, shape (..., k)
        For the null hypotheses "what grew, beyond what is usual, is at most the limit", and "the growth is at least the limit"; 1 where the test abstains.
    until : ndarray, shape (..., k)
        Steps from the last point until the level crosses the limit at this rate: negative where it has already, infinite where it does not grow and has not.
    blocks, length : int
        How many blocks there were, and of how many points.
    end_points : int
        Of how many points the level of each end is the mean.
    abstains : bool
        There are fewer than six blocks.
    """

    growth: FloatArray
    rate: FloatArray
    end: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    until: FloatArray
    blocks: int
    length: int
    end_points: int
    abstains: bool

    @property
    def steps(self) -> int:
        """From the middle of one end to that of the other."""
        return max(self.blocks * self.length - self.end_points, self.length)


def growth_test(
    changes: ArrayLike,
    limits: ArrayLike,
    *,
    levels: ArrayLike = (0.01, 0.05),
    smoothing: int = 1,
    usual: ArrayLike = 0.0,
    size: ArrayLike = 0.0,
) -> GrowthTest:
    """Test whether a series of changes grew by more than limits within its window.

    Parameters
    ----------
    changes : array_like, shape (..., n)
        How the canary differs from the baseline at each time, equally spaced, such as `canaryjudge.stats.paired_shift.paired_changes` gives; not winsorized.
    limits : array_like, shape (..., k) or (k,)
        Growth to test against, in the series' unit.
    levels : array_like, shape (l,)
        One-sided error rates of the bounds.
    smoothing : int
        Over how many points the query averages (five, of a minute each, with ``rate[5m]``): a block is at least as long, because smoothed steps resemble each other.
    usual : array_like, shape (...)
        How far a healthy series moves within a window: `largest_swing` of the baseline, of its replicas, or of history. Growth that is not larger is none: a saw of garbage collections
        that the arms run at different times looks like a leak.
    size : array_like, shape (...)
        How large the numbers are that the changes were computed from, in the series' unit: it tells what is rounding.

    Returns
    -------
    GrowthTest
        Of a canary that only warms up to its limit, the end lies within it: `pvalue_greater` is 1 there, whatever grew.

    Raises
    ------
    ValueError
        There are fewer than two points.

    Notes
    -----
    Where increments of neighboring blocks have a positive correlation r, their variance counts (1 + r) / (1 - r) times.

    By simulation (benchmarks/growth_sizes.py) a random walk of 10 to 240 points is taken for growth in at most 4, .8 and .1 % at 5, 1 and .1 %; one that is smoothed over as many points as
    `smoothing` says in 4.7, 1.2 and .2 % of twelve blocks, 6.4, 1.5 and .2 % of six; stationary noise hardly ever. Velocities that last break it where blocks are as short as they: at
    a correlation of .5 between steps 15 points give 3 % at 1 %, and 60 points 1.2 %; at .8 9 and 2.3 %; a walk that is smoothed over 5 points without saying so 5 and 1.1 %.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> leak = np.log1p(0.45 * np.arange(60) / 60) + rng.normal(0, 0.02, 60)
    >>> found = growth_test(leak, [np.log(1.1)])
    >>> round(float(np.expm1(found.growth)), 2), bool(found.pvalue_greater[0] < 0.01), round(float(found.until[0]), 1)
    (0.41, True, -43.9)
    """
    series = np.asarray(changes, dtype=np.float64)
    at = np.asarray(limits, dtype=np.float64)
    wanted = np.asarray(levels, dtype=np.float64)
    means, length = block_means(series, smoothing)
    count = means.shape[-1]
    ends = max(1, _END_POINTS // length)
    abstains = count < max(FEWEST_BLOCKS, 2 * ends)
    start = means[..., :ends].mean(axis=-1)
    of = np.asarray(size, dtype=np.float64)
    end = snapped(means[..., -ends:].mean(axis=-1), at, of)
    growth = snapped(end - start, at, of)
    variance = _step_variance(means)
    variance = np.where(np.sqrt(variance) > rounding(of, start, end), variance, 0.0)
    error = np.sqrt(variance * (count - 1) * 3 * length**2 / (2 * length**2 + 1))
    df = float(max(count - 2, 1))
    excess = growth[..., None] - at
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error[..., None] > 0, excess / error[..., None], np.sign(excess) * np.inf)
        t = np.where(excess == 0, 0.0, t)
    greater = np.where(
        (end[..., None] > at) & above(growth, usual, of)[..., None],
        stdtr(df, -t),
        1.0,
    )
    reach = np.where(abstains, np.inf, -stdtrit(df, wanted) * error[..., None])
    rate = growth / max(length * (count - ends), length)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the end is the level in the middle of the last blocks
        ahead = (at - end[..., None]) / rate[..., None] - (length * ends - 1) / 2
    beyond = end[..., None] >= at
    until = np.where(rate[..., None] > 0, ahead, np.where(beyond, -np.inf, np.inf))
    silent = np.full(greater.shape, abstains)
    return GrowthTest(
        growth,
        rate,
        end,
        growth[..., None] - reach,
        growth[..., None] + reach,
        np.where(silent, 1.0, greater),
        np.where(silent, 1.0, stdtr(df, t)),
        until,
        count,
        length,
        length * ends,
        abstains,
    )


def _step_variance(means: FloatArray) -> FloatArray:
    """Give the variance of the increments, larger where neighboring ones resemble each other: as that of an AR(1) process's sums."""
    steps = np.diff(means, axis=-1)
    centered = steps - steps.sum(axis=-1, keepdims=True) / max(steps.shape[-1], 1)
    power = np.square(centered).sum(axis=-1)
    lagged = (centered[..., 1:] * centered[..., :-1]).sum(axis=-1)
    rho = np.clip(np.divide(lagged, power, out=np.zeros_like(power), where=power > 0), 0.0, _STRONGEST)
    return np.asarray(power / max(steps.shape[-1] - 1, 1) * (1 + rho) / (1 - rho))


def block_means(series: FloatArray, smoothing: int = 1) -> tuple[FloatArray, int]:
    """Average a series over at most 15 blocks of equal length; points before the first whole one are left out.

    Parameters
    ----------
    series : ndarray, shape (..., n)
        Points in order of time; n >= 2.
    smoothing : int
        Over how many points they are averages already.

    Returns
    -------
    tuple of (ndarray, int)
        The means, shape (..., B), and the length of a block.

    Raises
    ------
    ValueError
        There are fewer than two points.

    Examples
    --------
    >>> means, length = block_means(np.arange(29.0))
    >>> means[:3].tolist(), len(means), length
    ([1.5, 3.5, 5.5], 14, 2)
    """
    n = series.shape[-1]
    if n < 2:
        raise ValueError(f"growth needs two points, found {n}")
    length = min(max(-(-n // _MOST_BLOCKS), smoothing), n)
    count = n // length
    whole = series[..., n - count * length :]
    return np.asarray(whole.reshape(*series.shape[:-1], count, length).mean(axis=-1)), length


def largest_swing(series: ArrayLike, smoothing: int = 1) -> FloatArray:
    """Measure how far a series rises or falls within its window, from any block to any later one.

    Parameters
    ----------
    series : array_like, shape (..., n)
        Points of a healthy arm, or of a replica, in the unit of the changes (logarithms, for a ratio).
    smoothing : int
        As for `growth_test`.

    Returns
    -------
    ndarray, shape (...)
        The larger of both: where the baseline falls, the canary rises against it.

    Examples
    --------
    >>> float(largest_swing([0.0, 3.0, 1.0, 2.0, -1.0, 0.0]))
    4.0
    """
    means, _ = block_means(np.asarray(series, dtype=np.float64), smoothing)
    rise = (means - np.minimum.accumulate(means, axis=-1)).max(axis=-1)
    fall = (np.maximum.accumulate(means, axis=-1) - means).max(axis=-1)
    return np.asarray(np.maximum(rise, fall))


def seen_smoothing(*series: ArrayLike) -> NDArray[np.intp]:
    """Tell over how many points, about, a query seems to average: for so long steps resemble each other.

    Averages over five minutes (``rate[5m]``) of what wanders have steps that are alike for as long. Averages of what does not wander have not, and need no longer blocks.

    Parameters
    ----------
    *series : array_like, shape (..., n)
        What the same query gave, such as both arms; what their steps show counts in the mean, but for those that do not move.

    Returns
    -------
    ndarray of int, shape (...)
        At least 1; at most a third of the points, and 10.

    Examples
    --------
    >>> walks = np.cumsum(np.random.default_rng(1).normal(size=(2, 204)), axis=1)
    >>> smooth = [np.convolve(walk, np.ones(5) / 5, "valid") for walk in walks]
    >>> int(seen_smoothing(*walks)), int(seen_smoothing(*smooth))
    (1, 4)
    """
    steps = np.stack([np.diff(np.asarray(each, dtype=np.float64), axis=-1) for each in series])
    centered = steps - steps.sum(axis=-1, keepdims=True) / max(steps.shape[-1], 1)
    power = np.square(centered).sum(axis=-1)
    # steps that are all alike, but for rounding, tell nothing
    size = np.stack([rounding(np.asarray(each)[..., 0], np.asarray(each)[..., -1]) for each in series])
    power = np.where(power > steps.shape[-1] * np.square(size), power, 0.0)
    moving = np.maximum((power > 0).sum(axis=0), 1)
    alike = np.ones(power.shape[1:], dtype=np.bool_)
    found = np.ones(power.shape[1:], dtype=np.intp)
    for lag in range(1, min(_LONGEST_SEEN, (steps.shape[-1] + 1) // 3)):
        shared = (centered[..., lag:] * centered[..., :-lag]).sum(axis=-1)
        rho = np.divide(shared, power, out=np.zeros_like(power), where=power > 0)
        alike = alike & (rho.sum(axis=0) / moving > _ALIKE)
        found = found + alike
    return found
