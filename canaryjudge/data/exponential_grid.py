"""The boundaries of exponential layouts, which are powers of two's roots: made, found among edges, and thinned by their scale."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from canaryjudge.data.pair import FloatArray

__all__ = ["FINEST", "on_a_grid", "powers", "snapped", "without_finest"]

_EXACT: Final = Context(prec=40)
FINEST: Final = 20
"""The largest scale of OpenTelemetry: an octave in 2^20 buckets."""
_PROMETHEUS: Final = 8
"""The finest schema of Prometheus."""
_BEYOND: Final = 2000
"""Octaves from 1 beyond which there are no doubles."""


@lru_cache(maxsize=2**16)
def _root(numerator: int, scale: int) -> float:
    """Give 2 ** (numerator / 2 ** scale), correctly rounded: powers of floats differ between machines in the last bit."""
    return float(_EXACT.power(Decimal(2), _EXACT.divide(Decimal(numerator), Decimal(2**scale))))


def powers(index: ArrayLike, scale: int) -> FloatArray:
    r"""Give the boundaries of an exponential layout, :math:`2^{i \, 2^{-s}}`.

    Parameters
    ----------
    index : array_like of int, shape (n,)
        The i; bucket i lies between the boundaries i (exclusive) and i + 1 (inclusive).
    scale : int
        The s, -10 to 20.

    Returns
    -------
    ndarray, shape (n,)
        The same boundary is the same float at every scale: i at scale s is 2 i at scale s + 1. Zero or infinity beyond the doubles.

    Examples
    --------
    >>> powers([-1, 0, 1, 8], 3).tolist()
    [0.9170040432046712, 1.0, 1.0905077326652577, 2.0]
    """
    i = np.asarray(index, dtype=np.int64)
    if scale <= 0:
        octave, root = np.clip(i, -_BEYOND, _BEYOND) << -scale, np.ones(i.shape)
    else:
        octave = i >> scale
        rests, place = np.unique(i - (octave << scale), return_inverse=True)
        roots = np.array([_root(rest, scale) for rest in rests.tolist()], dtype=np.float64)
        root = roots[place].reshape(i.shape)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(root, np.clip(octave, -_BEYOND, _BEYOND).astype(np.int32)))


def _grid_index(edges: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give each edge's nearest index at the finest scale, and whether it lies there."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.log2(np.abs(edges)) * 2.0**FINEST
        nearest = np.rint(exact)
        # a logarithm is good to 1e-13 of its 1000 octaves; another edge lies so near by chance once in a million
        there = np.isfinite(exact) & (np.abs(exact - nearest) < 5e-7)
    return np.where(there, nearest, 0.0).astype(np.int64), there


def on_a_grid(edges: FloatArray, factor: float = 1.0) -> NDArray[np.bool_]:
    """Tell which edges are boundaries of exponential layouts, multiplied by a factor.

    Examples
    --------
    >>> on_a_grid(np.array([0.3, 0.5, 1.0905077326652577, np.inf])).tolist()
    [False, True, True, False]
    """
    return _grid_index(edges / factor)[1]


def without_finest(edges: FloatArray, scale: int, factor: float = 1.0) -> FloatArray:
    """Leave out the edges that only exponential layouts of a finer scale have, multiplied by a factor.

    Examples
    --------
    >>> without_finest(np.array([0.3, 1.0, 1.0905077326652577, np.inf]), 2).tolist()
    [0.3, 1.0, inf]
    """
    index, there = _grid_index(edges / factor)
    step = 1 << (FINEST - scale)
    kept: NDArray[np.bool_] = ~there | (index % step == 0)
    return edges[kept]


def snapped(values: FloatArray) -> FloatArray:
    """Move values to the boundary of an exponential layout that they miss by a rounding: Prometheus and others round theirs differently.

    Examples
    --------
    >>> snapped(np.array([0.7071067811865475, 0.7, -np.inf])).tolist()
    [0.7071067811865476, 0.7, -inf]
    """
    index, there = _grid_index(values)
    step = 1 << (FINEST - _PROMETHEUS)
    found = np.flatnonzero(there & (index % step == 0))
    given = values[found]
    exact = np.copysign(powers(index[found] // step, _PROMETHEUS), given)
    moved = values.copy()
    moved[found] = np.where(np.abs(exact - given) <= 4 * np.spacing(np.abs(given)), exact, given)
    return moved
