"""Histograms in any of their forms -> counts per interval and bucket, with one set of edges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from canaryjudge.data.buckets import too_few_common
from canaryjudge.data.carried import Carried
from canaryjudge.data.carried_grids import continued
from canaryjudge.data.columns import object_array, to_floats
from canaryjudge.data.counters import increases
from canaryjudge.data.differencing import check_growing
from canaryjudge.data.exponential import bounded_edges, exponential_buckets, range_buckets
from canaryjudge.data.histogram_grid import Grid, Noting, negative_count
from canaryjudge.data.le_rows import of_le_rows, upper_edges
from canaryjudge.data.measured import scaled_edges
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.places import Place, shown
from canaryjudge.data.raw import RawSeries
from canaryjudge.errors import DataError

__all__ = ["Counted", "read_buckets"]


@dataclass(frozen=True, slots=True)
class Counted:
    """The histograms of one arm.

    Attributes
    ----------
    buckets : ndarray, shape (n, k)
        Observations of each interval in each bucket.
    edges : ndarray, shape (k,)
        The buckets' upper edges, ascending; the last is infinite.
    time : ndarray, shape (n,), or None
        Seconds since 1970, ascending.
    replicas : tuple of Counted
        The histograms of each replica by itself, in the order of their names, over the same edges; none where replicas are not named.
    name : str
        Of a replica, its name.
    carried : Carried or None
        Of counters in a stream: the last histogram of each replica.
    """

    buckets: FloatArray
    edges: FloatArray
    time: FloatArray | None
    replicas: tuple[Counted, ...] = ()
    name: str = ""
    carried: Carried | None = None


def read_buckets(
    raw: RawSeries,
    seconds: FloatArray | None,
    note: Noting,
    per_unit: Fraction = Fraction(1),
    *,
    counter: bool = False,
    carried: Carried | None = None,
) -> Counted | None:
    """Read one arm's histograms.

    Parameters
    ----------
    raw : RawSeries
        With `value` and `le`, with `buckets` and `edges`, with `buckets` as ranges, or with `exponential`.
    seconds : ndarray, shape (n,), or None
        The time of each point; NaN where it is missing.
    note : callable
        Takes the code of what is odd, a count, and facts.
    per_unit : Fraction
        By what edges are multiplied to be in the metric's unit.
    counter : bool
        The histograms only grow, each replica's by itself; what they grew by is wanted.
    carried : Carried, optional
        Of counters in a stream, which have times: the last histograms of the updates before, from which these go on.

    Returns
    -------
    Counted or None
        None where nothing usable is left.

    Raises
    ------
    DataError
        If there are no edges, a count is negative, cumulative counts fall, or there is no finite edge that all intervals know.

    Examples
    --------
    >>> columns = {"value": [3, 4, 4, 1, 1, 2], "le": ["0.1", "0.5", "+Inf"] * 2}
    >>> raw = RawSeries(Place("latency", "canary"), **{name: object_array(items) for name, items in columns.items()})
    >>> found = read_buckets(raw, None, print)
    >>> found.edges.tolist(), found.buckets.tolist()
    ([0.1, 0.5, inf], [[3.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    """
    if raw.buckets is None and not len(raw.value):
        return None
    if seconds is not None and np.isnan(seconds).all():
        seconds = None
    if raw.buckets is None:
        grid = of_le_rows(raw, seconds, note, counter=counter)
    elif raw.edges is None:
        grid = _of_sparse(raw, seconds, note)
    else:
        grid = _of_matrix(raw, seconds, note, counter=counter)
    if not len(grid.cumulative):
        return None
    grid = replace(grid, edges=scaled_edges(grid.edges, per_unit))
    now = None
    if carried is not None:
        grid, now = continued(grid.summed(by_replica=True), carried)
    grid = _whole(_common(grid, raw.place, note), note)
    if counter:
        # a replica's histograms of one time are one counter in parts
        grid = grid.summed(by_replica=True)
        grown = increases(np.diff(grid.cumulative, axis=1, prepend=0.0), grid.replica, parts=True)
        check_growing(str(raw.place), grown.falls, grown.steps)
        for code, count in (("counter_resets", grown.resets), ("unclear_resets", grown.unclear)):
            if count:
                note(code, count)
        grid = replace(grid.rows(grown.points), cumulative=grown.columns.cumsum(axis=1))
        if not len(grid.cumulative):
            return replace(_counted(grid), carried=now)
    parts = [(name, grid.rows(grid.replica == code)) for code, name in enumerate(grid.names)]
    pooled, copies = grid.summed(by_replica=False), grid.summed(by_replica=True).copies
    if (copies > 1).any() and pooled.time is not None:
        note("duplicate_times", int(copies[copies > 1].sum()))
    replicas = (_counted(part.summed(by_replica=False), name) for name, part in parts if len(part.cumulative))
    return replace(_counted(pooled), replicas=tuple(replicas), carried=now)


def _counted(grid: Grid, name: str = "") -> Counted:
    return Counted(np.diff(grid.cumulative, axis=1, prepend=0.0), grid.edges, grid.time, name=name)


def _of_sparse(raw: RawSeries, seconds: FloatArray | None, note: Noting) -> Grid:
    """Take histograms that list their non-empty buckets only, an interval each."""
    read = exponential_buckets if raw.exponential else range_buckets
    sparse = read(() if raw.buckets is None else list(raw.buckets), raw.place.at)
    edges, listed = bounded_edges(sparse, str(raw.place))
    grid = Grid.of(sparse.up_to(edges), edges, listed, seconds, raw.replica)
    return grid.rows(grid.usable(np.isinf(edges), note)).in_order(note)


def _of_matrix(raw: RawSeries, seconds: FloatArray | None, note: Noting, *, counter: bool) -> Grid:
    """Take counts per bucket, an interval a row."""
    edges = upper_edges(raw.edges, raw.place, "edges")
    if not len(edges) or np.isnan(edges).any() or (np.diff(edges) <= 0).any():
        raise DataError(
            f"{raw.place}: the edges are {shown(edges.tolist())}, which do not ascend",
            "Give each bucket's upper edge once, from the smallest to the largest.",
        )
    rows = _rows(raw)
    width = len(rows[0]) if len(rows) else len(edges)
    ragged = not isinstance(rows, np.ndarray)
    odd = next((index for index, row in enumerate(rows) if len(row) != width), None) if ragged else None
    open_ended = width == len(edges) + 1 and np.isfinite(edges[-1])
    if odd is not None or not (width == len(edges) or open_ended):
        index = 0 if odd is None else odd
        raise DataError(
            f"{raw.place.at(index)}: there are {len(rows[index])} buckets for {len(edges)} edges",
            "Give in each row a count for each edge, and one more for what is larger than all of them.",
        )
    if open_ended:
        edges = np.append(edges, np.inf)
    counts = np.asarray(rows).reshape(-1, len(edges))
    for index, bucket in np.argwhere(counts < 0)[:1]:
        wrong = f"a count of the histogram is {counts[index, bucket]:g}, and none can be negative"
        raise negative_count(raw.place.at(int(index)), wrong, counter=counter)
    listed = np.ones(len(edges), dtype=np.bool_)
    grid = Grid.of(counts.cumsum(axis=1), edges, listed, seconds, raw.replica)
    return grid.rows(grid.usable(listed, note)).in_order(note)


def _rows(raw: RawSeries) -> list[FloatArray] | FloatArray:
    rows = () if raw.buckets is None else raw.buckets
    if isinstance(rows, np.ndarray):
        return rows
    if all(isinstance(row, np.ndarray) and row.ndim == 1 and row.dtype.kind in "iuf" for row in rows):
        return [row.astype(np.float64, copy=False) for row in rows]
    return [
        to_floats(object_array(list(row)), raw.place, f"buckets[{index}]") for index, row in enumerate(rows)
    ]


def _common(grid: Grid, place: Place, note: Noting) -> Grid:
    """Keep the edges that all histograms know; the last stands for infinity."""
    known = np.asarray(~np.isnan(grid.cumulative).any(axis=0))
    edges = grid.edges[known]
    # sparse forms of histograms without observations list no edge but infinity
    nothing = np.array_equal(edges, [np.inf]) and not grid.cumulative[:, known].any()
    if len(edges) < 2 and not nothing:
        raise too_few_common(str(place), "all intervals", edges)
    dropped = int((grid.listed & ~known).sum())
    if dropped:
        note("merged_buckets", dropped)
    grid = grid.columns(known)
    if np.isfinite(edges[-1]):
        note("no_infinite_bucket", len(grid.cumulative), edge=float(edges[-1]))
        edges[-1] = np.inf
    return replace(grid, edges=edges)


def _whole(grid: Grid, note: Noting) -> Grid:
    """Round what an extrapolation, such as increase(), has made of counts."""
    rounded = np.rint(grid.cumulative)
    odd = int((rounded != grid.cumulative).any(axis=1).sum())
    if odd:
        note("rounded_counts", odd)
    return replace(grid, cumulative=rounded)
