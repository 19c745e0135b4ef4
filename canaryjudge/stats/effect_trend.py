r"""A warm-up fades, a leak grows: whether an effect has a trend, and when it crosses a limit.

With an effect's blocks :math:`y_1 \ldots y_n`, of weights :math:`w_i`, at times scaled to :math:`u \in (0, 1)`, a trend of a shape s is told by

.. math:: T = \frac{c^\top z}{\sqrt{q^{-1} \sum_{j=1}^q (v_j^\top z)^2}}, \qquad z_i = \sqrt{w_i}\, y_i

where c is the shape without its mean, and :math:`v_1 \ldots v_4` the polynomials of the lowest degrees without mean and shape: all orthonormal after the same weighting. What moves slowly without
going anywhere moves them as well. If z is an AR(1) process, T's law is that of a ratio of quadratic forms in normal numbers, known exactly by Craig's integral (see `canaryjudge.stats.paired_shift`). The autocorrelation
is that of z without the shape, corrected for its bias [1]_, and taken to lie somewhat above: a p-value is the mean over it. Growth is looked for as a straight line and as one that begins half way; a
fading effect as a straight line and as an exponential that loses 99 % over the window; the smaller of the two p-values counts twice.

The time of a crossing is that of the least-squares curve, and its interval has all times at which a curve through the limit fits hardly worse [2]_.

References
----------
.. [1] M. G. Kendall, "Note on bias in the estimation of autocorrelation", Biometrika 41 (1954), 403-404.
.. [2] E. C. Fieller, "Some problems in interval estimation", J. Royal Statistical Society B 16 (1954), 175-185.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from canaryjudge.stats.bounds import FloatArray
from canaryjudge.stats.ties import rounding

__all__ = ["FEWEST_TREND_BLOCKS", "Crossing", "Curve", "TrendTest", "crossing_time", "trend_test"]

Curve = Literal["line", "bend", "decay"]
"""A straight line, one that is level until half way, or an exponential toward 0."""

FEWEST_TREND_BLOCKS: Final = 8
_WAVES: Final = 4
_DECAY: Final = 5.0
"""How many times a fading effect falls by the factor e within the window, as a shape."""
_RHOS: Final = np.tanh(np.linspace(-0.4, 2.6, 16))
_UNSEEN_SHIFT, _UNSEEN_SPREAD = 0.6, 0.4
"""How much stronger the dependence may be than what is seen, in the inverse hyperbolic tangent; chosen so that a random walk keeps 5 % where 1 % is asked."""
_STRONGEST, _WEAKEST = 0.97, -0.9
_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(32)
_SQUARED_SINES = np.sin(np.pi / 2 * ((_NODES + 1) / 2) ** 2) ** 2
_NODE_WEIGHTS = _NODE_WEIGHTS * (_NODES + 1) / 4
_RATES: Final = np.geomspace(0.1, 60.0, 90)
"""Rates of exponentials that are tried, a window."""
_AHEAD: Final = 10.0
"""Windows ahead in which a crossing is looked for."""
_STEP: Final = 0.005
_PLACES: Final = round((2.0 + _AHEAD) / _STEP) + 1
_UNTOLD: Final = 0.7
"""By how much the autocorrelation of what is left may be larger than it looks, in the inverse hyperbolic tangent."""


@dataclass(frozen=True, slots=True)
class TrendTest:
    """Whether an effect grows or fades.

    Attributes
    ----------
    pvalue_grows, pvalue_fades : float
        For the null hypothesis that it does neither, that is that it wanders about a level; 1 where the test abstains.
    grows_as, fades_as : {"line", "bend", "decay"}
        The shape that tells it best.
    blocks : int
        Blocks that say something.
    abstains : bool
        They are fewer than eight.
    """

    pvalue_grows: float
    pvalue_fades: float
    grows_as: Curve
    fades_as: Curve
    blocks: int
    abstains: bool


@dataclass(frozen=True, slots=True)
class Crossing:
    """When a curve through an effect crosses a limit.

    Attributes
    ----------
    start, end : float
        The curve at the first block and at the last.
    rate : float
        Its slope at the last block, a unit of time.
    at : float
        When it crosses, in the unit of the times; NaN where it does not within ten windows.
    low, high : float
        Ends of the interval: -inf where it may have lain beyond from the start on, inf where it may never cross.
    """

    start: float
    end: float
    rate: float
    at: float
    low: float
    high: float


def trend_test(times: ArrayLike, effects: ArrayLike, weights: ArrayLike | None = None) -> TrendTest:
    """Test whether an effect grows, or fades.

    Parameters
    ----------
    times : array_like, shape (n,)
        Where the blocks are, ascending.
    effects : array_like, shape (n,)
        The effect within each, as a number of which more is worse; NaN where nothing is known of it.
    weights : array_like, shape (n,), optional
        Inverse variances, up to a factor; all alike where left out.

    Returns
    -------
    TrendTest
        The p-values of both.

    Raises
    ------
    ValueError
        Times and effects differ in length.

    Notes
    -----
    By simulation (benchmarks/trend_sizes.py) noise about a level is called growing, or fading, at 1 % in .2 to 1.2 % at an autocorrelation of its points of up to .5, in up to 3.4 % at .9, and a
    random walk, which goes somewhere by itself, in up to 4.9 %.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = trend_test(np.arange(24), 0.01 * np.arange(24) + rng.normal(0, 0.02, 24))
    >>> found.pvalue_grows < 0.001, found.pvalue_fades > 0.5
    (True, True)
    """
    u, z, root, _ = _usable(times, effects, weights)
    n = len(z)
    if n < FEWEST_TREND_BLOCKS:
        return TrendTest(1.0, 1.0, "line", "line", n, abstains=True)
    line, bend, decay = (
        _tail(z, root, u, shape) for shape in (u, np.maximum(u - 0.5, 0.0), -np.exp(-_DECAY * u))
    )
    grows, fades = min(line, bend), min(1 - line, 1 - decay)
    return TrendTest(
        min(1.0, 2 * grows),
        min(1.0, 2 * fades),
        "bend" if bend < line else "line",
        "decay" if 1 - decay < 1 - line else "line",
        n,
        abstains=False,
    )


def _usable(
    times: ArrayLike, effects: ArrayLike, weights: ArrayLike | None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Give the places in the window, the weighted effects and the roots of the weights of the blocks that say something, and their times."""
    at, y = np.asarray(times, dtype=np.float64), np.asarray(effects, dtype=np.float64)
    w = np.ones_like(y) if weights is None else np.asarray(weights, dtype=np.float64)
    if at.shape != y.shape or w.shape != y.shape:
        raise ValueError("times, effects and weights differ in length")
    known = np.isfinite(y) & (w > 0)
    at, y, w = at[known], y[known], w[known]
    if not len(y):
        return at, y, w, at
    step = (at[-1] - at[0]) / max(len(at) - 1, 1) or 1.0
    root = np.sqrt(w / w.mean())
    return (at - at[0] + step / 2) / (at[-1] - at[0] + step), root * y, root, at


def _tail(z: FloatArray, root: FloatArray, u: FloatArray, shape: FloatArray) -> float:
    """Give the chance that noise about a level rises as much along a shape."""
    powers = [(u - 0.5) ** degree for degree in range(1, _WAVES + 2)]
    # a straight line is among the powers itself
    beside = powers[1:] if shape is u else powers[:_WAVES]
    columns = root[:, None] * np.column_stack([np.ones_like(u), shape, *beside])
    basis, corner = np.linalg.qr(columns)
    basis = basis * np.where(np.diag(corner) < 0, -1.0, 1.0)
    along, waves = basis[:, 1], basis[:, 2:]
    rise = float(along @ z)
    scale = float(np.sqrt(np.square(waves.T @ z).mean()))
    least = float(rounding(np.abs(z).max())) * np.sqrt(len(z))
    if scale <= least:
        return 0.5 if abs(rise) <= least else 0.0 if rise > 0 else 1.0
    left = z - basis[:, 0] * float(basis[:, 0] @ z) - along * rise
    tail = float(_weights_of(_dependence(left)) @ _tails(abs(rise) / scale, along, waves))
    return tail if rise > 0 else 1 - tail


def _dependence(left: FloatArray) -> float:
    """Give the lag-1 autocorrelation of what is left of a series without level and trend, corrected for its bias."""
    n, power = len(left), float(left @ left)
    r = float(left[1:] @ left[:-1]) / power if power > 0 else 0.0
    return float(np.clip(r + (2 + 4 * r) / n, _WEAKEST, _STRONGEST))


def _weights_of(rho: float) -> FloatArray:
    """Say how likely each autocorrelation is behind the one that is seen."""
    apart = (np.arctanh(_RHOS) - np.arctanh(rho) - _UNSEEN_SHIFT) / _UNSEEN_SPREAD
    weights = np.exp(-(apart**2) / 2)
    return np.asarray(weights / weights.sum())


def _tails(statistic: float, along: FloatArray, waves: FloatArray) -> FloatArray:
    """Give the tail of the statistic at each autocorrelation: that of a quadratic form with one positive eigenvalue."""
    n, q = waves.shape
    parts = np.column_stack([along, waves * max(statistic, 1e-6) / np.sqrt(q)])
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    # a power of a negative number is taken of its size, with the sign of odd ones
    power = np.abs(_RHOS)[:, None, None] ** apart * np.where(apart % 2, np.sign(_RHOS)[:, None, None], 1.0)
    factors = np.linalg.cholesky(parts.T @ power @ parts + 1e-14 * np.eye(q + 1))
    signs = np.array([1.0, *[-1.0] * q])
    values = np.linalg.eigvalsh(np.swapaxes(factors, -1, -2) * signs @ factors)
    ratios = np.maximum(-values[:, :-1] / values[:, -1:], 0.0)
    integrand = np.prod(1 + ratios[:, None, :] / _SQUARED_SINES[:, None], axis=-1) ** -0.5
    return np.asarray(integrand @ _NODE_WEIGHTS)


def crossing_time(
    times: ArrayLike,
    effects: ArrayLike,
    limit: float,
    *,
    weights: ArrayLike | None = None,
    curve: Curve = "line",
    level: float = 0.1,
) -> Crossing:
    """Estimate when an effect crosses a limit, if it goes on as it does.

    Parameters
    ----------
    times, effects, weights
        As `trend_test` takes them; eight blocks or more that say something.
    limit : float
        The limit.
    curve : {"line", "bend", "decay"}
        What it goes on as: a straight line, one that is level until half way, or an exponential toward 0.
    level : float
        Probability that the interval misses the time, on both sides together.

    Returns
    -------
    Crossing
        The curve, and when it crosses.

    Raises
    ------
    ValueError
        There are fewer blocks.

    Notes
    -----
    A curve with one free parameter, the time of the crossing being given, fits worse than the best one by a sum of squares that is held against what is left, times :math:`(1 + r) / (1 - r)` for its
    autocorrelation r, which is taken to be larger than it looks; the critical value is that of Student's t, squared. By the same simulation intervals of trends that were told hold the time in 97 to 100 % at
    an autocorrelation of up to .5, and in 86 to 96 % at .9 (90 % asked).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> found = crossing_time(np.arange(24), 0.002 * np.arange(24) + rng.normal(0, 0.004, 24), 0.1)
    >>> bool(found.low < 50 < found.high), round(found.at)
    (True, 50)
    """
    u, z, root, at = _usable(times, effects, weights)
    n = len(z)
    if n < FEWEST_TREND_BLOCKS:
        raise ValueError(f"a crossing needs {FEWEST_TREND_BLOCKS} blocks, found {n}")
    per_unit = (u[-1] - u[0]) / (at[-1] - at[0])
    places = np.linspace(-1.0, 1.0 + _AHEAD, _PLACES)
    found = (
        _decays(u, z, root, limit, places) if curve == "decay" else _lines(u, z, root, limit, places, curve)
    )
    left = z - root * found.curve(u)
    least = float(left @ left)
    rho = float(np.tanh(np.arctanh(np.clip(_dependence(left), 0.0, 0.9)) + _UNTOLD))
    df = max((n - 2) * (1 - rho), 2.0)
    critical = float(stdtrit(df, 1 - level / 2)) ** 2 * (1 + rho) / (1 - rho)
    fits = np.flatnonzero(found.squares <= least * (1 + critical / (n - 2)))
    first, last = (fits[0], fits[-1]) if len(fits) else [int(found.squares.argmin())] * 2
    ends = (
        -np.inf if first == 0 else places[first] - _STEP / 2,
        np.inf if last == _PLACES - 1 else places[last] + _STEP / 2,
    )
    own = found.crosses if places[0] <= found.crosses <= places[-1] else np.nan
    when, low, high = (float(at[0] + (place - u[0]) / per_unit) for place in (own, *ends))
    start, end, before = found.curve(np.array([u[0], u[-1], u[-1] - _STEP])).tolist()
    return Crossing(start, end, (end - before) / _STEP * per_unit, when, low, high)


class _Fit(NamedTuple):
    """The best curve, where it crosses, and by what sum of squares curves miss the effects that cross elsewhere."""

    curve: Callable[[FloatArray], FloatArray]
    crosses: float
    squares: FloatArray


def _lines(
    u: FloatArray, z: FloatArray, root: FloatArray, limit: float, places: FloatArray, curve: Curve
) -> _Fit:
    """Fit straight lines, or those that begin to rise half way."""

    def along(at: FloatArray) -> FloatArray:
        return np.maximum(at - 0.5, 0.0) if curve == "bend" else at

    design = root[:, None] * np.column_stack([np.ones_like(u), along(u)])
    (level, slope), *_ = np.linalg.lstsq(design, z, rcond=None)
    apart = along(u) - along(places)[:, None]
    missing, weighted = z - root * limit, root * apart
    power = np.square(weighted).sum(axis=1)
    rise = np.divide(weighted @ missing, power, out=np.zeros_like(power), where=power > 0)
    squares = np.square(missing - np.maximum(rise, 0.0)[:, None] * weighted).sum(axis=1)
    if curve == "bend":
        squares[places < 0.5] = squares[places >= 0.5][0]
    crosses = (limit - level) / slope + (0.5 if curve == "bend" else 0.0) if slope > 0 else np.nan
    return _Fit(lambda at: level + slope * along(at), float(crosses), squares)


def _decays(u: FloatArray, z: FloatArray, root: FloatArray, limit: float, places: FloatArray) -> _Fit:
    """Fit exponentials toward 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        shapes = np.exp(-_RATES[:, None] * u)
        weighted = root * shapes
        power = np.square(weighted).sum(axis=1)
        sizes = weighted @ z / power
        best = int(np.square(z - sizes[:, None] * weighted).sum(axis=1).argmin())
        if limit > 0:
            grown = limit * np.exp(_RATES[:, None] * places)
            missed = np.square(z).sum() - 2 * grown * (weighted @ z)[:, None] + grown**2 * power[:, None]
            squares = np.where(np.isfinite(missed), missed, np.inf).min(axis=0)
        else:
            squares = np.full(len(places), np.inf)
            squares[-1] = 0.0
    size, rate = float(sizes[best]), float(_RATES[best])
    crosses = np.log(size / limit) / rate if size > 0 and limit > 0 else np.nan
    return _Fit(lambda at: size * np.exp(-rate * at), float(crosses), squares)
