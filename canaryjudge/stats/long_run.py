"""How much a mean of dependent points really varies: the long-run variance by cosine projections.

Neighboring minutes of one service resemble each other, so sixty of them carry less information than sixty independent
numbers. The long-run variance is the variance of ``sqrt(n)`` times the mean, with that dependence in it. It is estimated by
the average of the squared projections of the series on its lowest cosine waves (Müller 2007; Lazarus, Lewis, Stock and Watson
2018, J. Business & Economic Statistics 36:541), which have nearly independent and equal variances; a t distribution then
allows for having few of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.ties import rounding

__all__ = ["FEWEST_POINTS", "LongRun", "dependence", "long_run_variance", "projections"]

FEWEST_POINTS: Final = 3
"""Fewer points tell nothing of their dependence."""

_BANDWIDTH = 0.4
"""Share of the half-power bandwidth of an AR(1) spectrum that is averaged over; see `long_run_variance`."""
_MOST_PROJECTIONS = 32
"""More would gain no power (t with 32 degrees of freedom is almost normal) and would miss dependence longer than n / 32."""
_DF_SHARE = 0.8
"""Where the number of projections is chosen from the data, its degrees of freedom count for this much, by simulation."""
_STRONGEST = 0.97
_SMALL = 10_000
"""Of so few points times waves, the waves are kept as a table."""
_LONG, _FEW = 100_000, 8
"""Of so long a series, so few waves take less time than the whole transform."""


@dataclass(frozen=True, slots=True)
class LongRun:
    """A long-run variance and how well it is known.

    Attributes
    ----------
    variance : ndarray, shape (...)
        Variance of ``sqrt(n) * mean(series)``.
    df : ndarray, shape (...)
        Degrees of freedom of the t distribution that a mean divided by its standard error follows.
    """

    variance: FloatArray
    df: FloatArray


def dependence(series: ArrayLike, *, signed: bool = False) -> FloatArray:
    """Lag-1 autocorrelation, corrected for its bias in short series and kept in [0, 0.97].

    Parameters
    ----------
    series : array_like, shape (..., n)
        Equally spaced points in order of time.
    signed : bool
        Keep it in [-0.97, 0.97].

    Returns
    -------
    ndarray, shape (...)
        ``r + (1 + 3 r) / n`` (Kendall 1954, Biometrika 41:403), 0 for a series that is constant but for rounding.

    Examples
    --------
    >>> float(dependence([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]).round(3))
    0.97
    """
    points = np.asarray(series, dtype=np.float64)
    n = points.shape[-1]
    mean = points.mean(axis=-1, keepdims=True)
    centered = points - mean
    power = np.einsum("...i,...i->...", centered, centered)
    lagged = np.einsum("...i,...i->...", centered[..., 1:], centered[..., :-1])
    moves = power > n * np.square(rounding(mean[..., 0]))
    r = np.divide(lagged, power, out=np.zeros_like(power), where=moves)
    corrected = np.where(moves, r + (1 + 3 * r) / n, 0.0)
    return np.asarray(np.clip(corrected, -_STRONGEST if signed else 0.0, _STRONGEST))


def _projections(points: FloatArray, limit: int) -> FloatArray:
    """Give the orthonormal cosine transform (type 2) of series, of the waves 1 to `limit`."""
    n = points.shape[-1]
    if n * limit <= _SMALL:
        if points.ndim == 2:  # each row by itself: in one product with others it would be rounded otherwise
            return np.asarray((points[:, np.newaxis, :] @ _waves(n, limit))[:, 0, :])
        return np.asarray(points @ _waves(n, limit))
    if n >= _LONG and limit <= _FEW:
        return np.stack([_lowest(row, limit) for row in points.reshape(-1, n)]).reshape(
            *points.shape[:-1], limit
        )
    from scipy.fft import dct  # noqa: PLC0415 - keeps the import of canaryjudge light

    return np.asarray(dct(points, type=2, norm="ortho", axis=-1)[..., 1 : limit + 1])


def _lowest(points: FloatArray, limit: int) -> FloatArray:
    """Give the same of one long series and a few waves: of an angle that is a sum, the cosine is told by those of its parts."""
    size = int(np.sqrt(len(points)))
    rows = points[: len(points) // size * size].reshape(-1, size)
    step = np.pi / len(points) * np.arange(1, limit + 1)[:, None]
    inner, outer = step * (np.arange(size) + 0.5), step * size * np.arange(len(rows))
    cosines, sines = (
        np.stack([np.einsum("ij,j->i", rows, wave) for wave in waves(inner)]) for waves in (np.cos, np.sin)
    )
    found = (np.cos(outer) * cosines - np.sin(outer) * sines).sum(axis=1)
    rest = np.cos(step * (np.arange(rows.size, len(points)) + 0.5)) * points[rows.size :]
    return np.asarray(np.sqrt(2 / len(points)) * (found + rest.sum(axis=1)))


@lru_cache(maxsize=64)
def _waves(n: int, limit: int) -> FloatArray:
    """Give the waves as columns, which costs less than a transform where there are few points."""
    angles = np.pi * (np.arange(n)[:, None] + 0.5) * np.arange(1, limit + 1) / n
    return np.asarray(np.sqrt(2 / n) * np.cos(angles))


def long_run_variance(
    series: ArrayLike, rho: ArrayLike | None = None, *, most: int = _MOST_PROJECTIONS
) -> LongRun:
    r"""Estimate the long-run variance of a series.

    Parameters
    ----------
    series : array_like, shape (..., n)
        Equally spaced points in order of time, n >= 2.
    rho : array_like, shape (...), optional
        Lag-1 autocorrelation that decides how many projections are averaged; that of the series where it is left out.
    most : int
        No more projections than this. Fewer see slower drifts: what lag 1 does not show, the lowest waves do.

    Returns
    -------
    LongRun
        The variance of ``sqrt(n) * mean`` and its degrees of freedom.

    Notes
    -----
    With the orthonormal cosine transform :math:`\Lambda_j` of the series, the estimate is
    :math:`\nu^{-1}\sum_{j=1}^{\nu}\Lambda_j^2`. An AR(1) spectrum is flat up to about
    :math:`n(1-\rho)/(\pi\sqrt\rho)` projections; .4 of them are used, at least 2, at most half of n, and at most `most`.
    The constants were set by simulation so that the rank test keeps its level at .05, .01 and .0005
    (tests/guarantees/test_rank_guarantees.py).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(2000, 60))
    >>> estimate = long_run_variance(noise)
    >>> bool(abs(estimate.variance.mean() - 1) < 0.02)
    True
    """
    points = np.asarray(series, dtype=np.float64)
    n = points.shape[-1]
    strength = dependence(points) if rho is None else np.asarray(rho, dtype=np.float64)
    count, limit, df = _averaged(n, strength, most)
    power = _projections(points, limit) ** 2
    used = np.arange(1, limit + 1) <= count[..., None]
    variance = np.where(used, power, 0.0).sum(axis=-1) / count
    return LongRun(np.asarray(variance), df)


def projections(points: float, rho: float) -> float:
    """Give the degrees of freedom of the long-run variance of so many points with a lag-1 autocorrelation.

    Examples
    --------
    >>> projections(60, 0.0), projections(60, 0.5)
    (30.0, 4.0)
    """
    return float(_averaged(int(points), np.asarray(rho, dtype=np.float64), _MOST_PROJECTIONS)[2])


def _averaged(n: int, rho: FloatArray, most: int) -> tuple[FloatArray, int, FloatArray]:
    """Give how many projections are averaged, how many there may be, and the degrees of freedom that leaves."""
    flat = _BANDWIDTH * n * (1 - rho) / (np.pi * np.sqrt(np.maximum(rho, 1e-6)))
    limit = max(1, min(most, max(2, n // 2), n - 1))
    count = np.asarray(np.minimum(np.maximum(np.floor(flat), min(2, limit)), limit))
    return count, limit, np.asarray(np.where(count < limit, _DF_SHARE, 1.0) * count)
