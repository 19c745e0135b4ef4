"""Layouts of buckets: which edges several histograms know, and what each counts up to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final, TypeAlias

import numpy as np

from canaryjudge.data.exponential_histograms import FINEST, without_finest
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import BrokenDataError, DataError

__all__ = [
    "coarsened",
    "common_edges",
    "filled",
    "lasting",
    "left_out",
    "regrouped",
    "too_few_common",
    "without_idle",
]

HistogramLayout: TypeAlias = tuple[FloatArray, FloatArray]
"""Upper edges, shape (k,), ascending, the last infinite; and counts of n histograms by them, shape (n, k)."""

_LASTING: Final = 3
"""The scale that a watch keeps: buckets 9 % wide, of which 160 reach over a factor of a million, more than latencies span."""
_FEWEST: Final = 10
"""So many non-empty buckets are worth a finer scale, for data that lie close together."""
_TELLING: Final = 100
"""Observations from which on that closeness is no accident."""


def filled(cumulative: FloatArray) -> FloatArray:
    """Give what histograms count up to edges that they do not list, where there is no doubt.

    Examples
    --------
    >>> filled(np.array([[np.nan, 0.0, 3.0, np.nan, 3.0], [1.0, np.nan, 2.0, 3.0, np.nan]])).tolist()
    [[0.0, 0.0, 3.0, 3.0, 3.0], [1.0, nan, 2.0, 3.0, nan]]
    """
    absent = np.isnan(cumulative)
    if not absent.any():
        return cumulative
    rows, width = cumulative.shape
    columns = np.arange(width)
    before = np.maximum.accumulate(np.where(absent, -1, columns), axis=1)
    after = np.minimum.accumulate(np.where(absent, width, columns)[:, ::-1], axis=1)[:, ::-1]
    bounded = np.hstack([np.zeros((rows, 1)), cumulative, np.full((rows, 1), np.nan)])
    low = np.take_along_axis(bounded, before + 1, axis=1)
    high = np.take_along_axis(bounded, after + 1, axis=1)
    return np.where(absent & (low == high), low, cumulative)


def common_edges(layouts: Sequence[HistogramLayout]) -> FloatArray:
    """Give the edges that all histograms of several layouts know.

    A histogram knows an edge that is one of its own, or that lies in a bucket in which it has no observation: as many are then at most as
    large as the edge as are below the bucket.

    Examples
    --------
    >>> fine, sparse = np.array([1.0, 2.0, 3.0, 4.0, np.inf]), np.array([2.0, 4.0, np.inf])
    >>> common_edges([(fine, np.array([[5, 4, 3, 2, 1]])), (sparse, np.array([[7, 0, 2]]))]).tolist()
    [2.0, 3.0, 4.0, inf]
    """
    edges: FloatArray = reduce(np.union1d, (own for own, _ in layouts), np.empty(0))
    for own, counts in layouts:
        place = own.searchsorted(edges)
        occupied = np.asarray((counts > 0).any(axis=0))
        edges = edges[np.asarray((own[place] == edges) | ~occupied[place])]
    return edges


def regrouped(edges: FloatArray, counts: FloatArray, onto: FloatArray) -> FloatArray:
    """Count by other edges, all of which the histograms know.

    Examples
    --------
    >>> regrouped(np.array([1.0, 2.0, 4.0, np.inf]), np.array([[5.0, 1.0, 0.0, 2.0]]), np.array([2.0, 3.0, np.inf])).tolist()
    [[6.0, 0.0, 2.0]]
    """
    cumulative = counts.cumsum(axis=1)[:, edges.searchsorted(onto)]
    return np.asarray(np.diff(cumulative, axis=1, prepend=0.0))


def left_out(edges: FloatArray, counts: FloatArray, kept: FloatArray) -> int:
    """Count the edges without which observations are not told apart that were before.

    Examples
    --------
    >>> left_out(np.array([1.0, 2.0, 3.0, np.inf]), np.array([[5.0, 1.0, 0.0, 0.0]]), np.array([4.0, np.inf]))
    1
    """
    total = counts.sum(axis=0).cumsum()
    ends = np.array([0.0, *total[edges.searchsorted(kept)]])
    place = kept.searchsorted(edges)
    apart = (ends[place] < total) & (total < ends[place + 1])
    return int((apart & (kept[place] != edges)).sum())


def coarsened(
    edges: HistogramLayout, buckets: HistogramLayout, where: str
) -> tuple[FloatArray, HistogramLayout, tuple[int, int]]:
    """Merge the buckets of two arms until they have the same edges.

    Examples
    --------
    >>> edges = np.array([0.1, 0.5, np.inf]), np.array([0.5, 1.0, np.inf])
    >>> coarsened(edges, (np.array([[3.0, 2.0, 1.0]]), np.array([[5.0, 4.0, 1.0]])), "latency")[1]
    (array([[5., 1.]]), array([[5., 5.]]))
    """
    layouts = [(edges[0], buckets[0]), (edges[1], buckets[1])]
    common = common_edges(layouts)
    if len(common) < 2:
        raise too_few_common(where, "both arms", common)
    lost = [left_out(own, counts, common) for own, counts in layouts]
    common = without_idle(common, layouts)
    first, second = (regrouped(own, counts, common) for own, counts in layouts)
    return common, (first, second), (lost[0], lost[1])


def without_idle(edges: FloatArray, layouts: Sequence[HistogramLayout]) -> FloatArray:
    """Leave out edges at or below 0 that no observation reaches down to: with them, sizes would not look like sizes.

    OpenTelemetry's default boundaries begin with 0, and its exponential histograms have a bucket around 0.

    Examples
    --------
    >>> edges = np.array([-1.0, 0.0, 5.0, np.inf])
    >>> without_idle(edges, [(edges, np.array([[0.0, 0.0, 7.0, 1.0]]))]).tolist()
    [5.0, inf]
    """
    idle = np.flatnonzero(edges <= 0)
    if len(idle) >= len(edges) - 1:
        return edges
    for own, counts in layouts:
        reached = counts.sum(axis=0).cumsum()[own.searchsorted(edges[idle])]
        idle = idle[reached == 0]
    return edges[len(idle) :]


def lasting(
    edges: FloatArray, layouts: Sequence[HistogramLayout], factors: Iterable[float] = (1.0,)
) -> FloatArray:
    """Choose the edges that a watch begins with and must know for all of its time; none that says nothing.

    The scale of an exponential histogram falls as soon as its observations spread out, so the finest of its edges do not last. They are
    kept down to buckets 9 % wide, or as far as it takes to tell observations apart that lie close together.

    Examples
    --------
    >>> from canaryjudge.data.exponential_histograms import powers
    >>> edges = np.append(powers(range(8, 13), 4), np.inf)
    >>> lasting(edges, [(edges, np.array([[0, 1, 4, 3, 1, 0]]))]).round(3).tolist()
    [1.414, 1.542, 1.682, inf]
    """
    edges = without_idle(edges, layouts)
    counts = np.zeros(len(edges))
    for own, given in layouts:
        counts += regrouped(own, given.sum(axis=0, keepdims=True), edges)[0]
    enough = min(_FEWEST, int(np.count_nonzero(counts)))
    for scale in range(_LASTING, FINEST):
        kept = reduce(lambda left, factor: without_finest(left, scale, factor), set(factors), edges)
        told = int(np.count_nonzero(regrouped(edges, counts[np.newaxis], kept)))
        if counts.sum() < _TELLING or told >= enough:
            return kept
    return edges


def too_few_common(where: str, whom: str, edges: FloatArray) -> DataError:
    """Make the error for histograms that cannot be compared."""
    have = f"only the edge {edges[0]:g}" if len(edges) else "no edge"
    return BrokenDataError(
        f"{where}: the histograms of {whom} have {have} in common",
        "Give all histograms of a metric the same buckets, with at least one finite edge and +Inf.",
    )
