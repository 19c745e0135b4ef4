"""Counters of histograms in a stream: what was carried goes before what is new, and the last of each replica is carried on."""

from __future__ import annotations

import numpy as np

from canaryjudge.data.buckets import filled
from canaryjudge.data.carried import Carried
from canaryjudge.data.counters import missed, neighbors
from canaryjudge.data.histogram_grid import Grid
from canaryjudge.data.pair import FloatArray

__all__ = ["continued"]


def continued(grid: Grid, carried: Carried) -> tuple[Grid, Carried]:
    """Put the last histogram of each replica that is carried before those that are new.

    Parameters
    ----------
    grid : Grid
        Histograms as they are, one a replica and time, with times; each later than the one that is carried of its replica.
    carried : Carried
        The last ones of the updates before.

    Returns
    -------
    grid : Grid
        Those that are carried, then those that are new, by the edges of either.
    carried : Carried
        The last ones now.
    """
    own = grid.names or ("",)
    names = tuple(sorted({*own, *carried.names}))
    place = {name: index for index, name in enumerate(names)}
    numbers = np.array([place[name] for name in own], dtype=np.intp)
    before = np.array([place[name] for name in carried.names], dtype=np.intp)
    times = np.empty(0) if grid.time is None else grid.time
    edges = grid.edges if carried.edges is None else np.union1d(grid.edges, carried.edges)
    known = np.full((0, len(edges)), np.nan)
    if carried.edges is not None:
        known = _spread(carried.columns, carried.edges, edges)
    both = Grid(
        filled(np.concatenate([known, _spread(grid.cumulative, grid.edges, edges)])),
        edges,
        np.isin(edges, grid.edges[grid.listed]),
        np.concatenate([np.empty(0) if carried.time is None else carried.time, times]),
        np.concatenate([before, numbers[grid.replica]]),
        np.concatenate([np.ones(len(carried), dtype=np.intp), grid.copies]),
        names if any(names) else (),
    )
    steps = np.full((len(names), carried.steps.shape[1]), np.nan)
    steps[before] = carried.steps
    return both, _last(both, names, steps)


def _spread(cumulative: FloatArray, own: FloatArray, edges: FloatArray) -> FloatArray:
    found = np.full((len(cumulative), len(edges)), np.nan)
    found[:, edges.searchsorted(own)] = cumulative
    return found


def _last(grid: Grid, names: tuple[str, ...], steps: FloatArray) -> Carried:
    """Give the last histogram of each replica, and its first steps."""
    time = np.empty(0) if grid.time is None else grid.time
    previous, points = neighbors(len(time), grid.replica)
    _, steps = missed(time[points] - time[previous], grid.replica[points], steps)
    last = np.full(len(names), -1, dtype=np.intp)
    last[grid.replica] = np.arange(len(grid.replica))
    there = last >= 0
    kept = tuple(name for name, known in zip(names, there, strict=True) if known)
    return Carried(kept, grid.cumulative[last[there]], time[last[there]], steps[there], grid.edges).bounded()
