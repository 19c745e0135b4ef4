"""Histograms as given, cumulative rows or counts per bucket -> counts per interval and bucket, with one set of edges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.columns import is_missing, object_array, to_floats
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.places import Place, shown
from canaryjudge.data.raw import RawSeries
from canaryjudge.errors import DataError

__all__ = ["Counted", "coarsened", "read_buckets"]

_LARGEST_COUNT = 2.0**53
"""Above it, floats leave out whole numbers; no interval has so many observations."""
_ABSENT = -1
_HINT = "Give for each interval the count of observations at most as large as each le, as Prometheus does."


class _Noting(Protocol):
    def __call__(self, code: Any, count: int, **facts: float | str) -> None:
        """Write down an oddity."""


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
    """

    buckets: FloatArray
    edges: FloatArray
    time: FloatArray | None


@dataclass(frozen=True, slots=True)
class _Grid:
    """One histogram a row, one edge a column: counts of what is at most as large; NaN where there is none."""

    cumulative: FloatArray
    edges: FloatArray
    time: FloatArray | None
    points: NDArray[np.intp]
    """The first of the caller's points that each count is from."""
    copies: NDArray[np.intp]
    """How many histograms of the caller's each is the sum of."""

    def rows(self, chosen: NDArray[Any]) -> _Grid:
        """Keep some histograms."""
        time = None if self.time is None else self.time[chosen]
        return _Grid(self.cumulative[chosen], self.edges, time, self.points[chosen], self.copies[chosen])


def read_buckets(raw: RawSeries, seconds: FloatArray | None, note: _Noting) -> Counted | None:
    """Read one arm's histograms.

    Parameters
    ----------
    raw : RawSeries
        With `le`, or with `buckets` and `edges`.
    seconds : ndarray, shape (n,), or None
        The time of each point; NaN where it is missing.
    note : callable
        Takes the code of what is odd, a count, and facts.

    Returns
    -------
    Counted or None
        None where nothing usable is left.

    Raises
    ------
    DataError
        If there are no edges, a count is negative, cumulative counts fall, or the intervals have no edge in common.

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
    grid = _of_rows(raw, seconds, note) if raw.buckets is None else _of_matrix(raw, seconds, note)
    grid = _usable(grid, note)
    if not len(grid.cumulative):
        return None
    grid = _whole(_common(grid, raw.place, note), note)
    _check(grid, raw.place)
    buckets = np.diff(grid.cumulative, axis=1, prepend=0.0)
    if grid.time is None:
        return Counted(buckets, grid.edges, None)
    time, starts = np.unique(grid.time, return_index=True)
    copies = np.add.reduceat(grid.copies, starts)
    if (copies > 1).any():
        note("duplicate_times", int(copies[copies > 1].sum()))
    return Counted(np.add.reduceat(buckets, starts, axis=0), grid.edges, time)


def coarsened(
    edges: tuple[FloatArray, FloatArray], buckets: tuple[FloatArray, FloatArray], where: str
) -> tuple[FloatArray, tuple[FloatArray, FloatArray], tuple[int, int]]:
    """Merge the buckets of two arms until they have the same edges.

    Parameters
    ----------
    edges : tuple of ndarray, shapes (k,) and (l,)
        Each arm's.
    buckets : tuple of ndarray, shapes (n, k) and (m, l)
        Each arm's.
    where : str
        The metric, for errors.

    Returns
    -------
    tuple of (ndarray, tuple of ndarray, tuple of int)
        The common edges, each arm's buckets by them, and how many edges of each were left out.

    Raises
    ------
    DataError
        If they have no finite edge in common.

    Examples
    --------
    >>> edges = np.array([0.1, 0.5, np.inf]), np.array([0.5, 1.0, np.inf])
    >>> coarsened(edges, (np.array([[3.0, 2.0, 1.0]]), np.array([[5.0, 4.0, 1.0]])), "latency")[1]
    (array([[5., 1.]]), array([[5., 5.]]))
    """
    common = np.intersect1d(*edges)
    if len(common) < 2:
        raise _too_few_common(where, "both arms", common)
    found = []
    for own, counts in zip(edges, buckets, strict=True):
        cumulative = counts.cumsum(axis=1)[:, np.searchsorted(own, common)]
        found.append(np.diff(cumulative, axis=1, prepend=0.0))
    return (
        common,
        (found[0], found[1]),
        (len(edges[0]) - len(common), len(edges[1]) - len(common)),
    )


def _of_rows(raw: RawSeries, seconds: FloatArray | None, note: _Noting) -> _Grid:
    """Put rows, an edge each, together to histograms."""
    if raw.le is None:
        raise DataError(f"{raw.place}: a histogram needs the column 'le', which is missing", _HINT)
    value = to_floats(raw.value, raw.place, "value")
    le = _upper_edges(raw.le, raw.place, "le")
    missing = np.flatnonzero(np.isnan(le))
    if len(missing):
        raise DataError(f"{raw.place.at(missing[0])}: there is no le", _HINT)
    replica = np.zeros(len(value), dtype=np.intp) if raw.replica is None else _codes(raw.replica)
    kept = np.ones(len(value), dtype=np.bool_)
    if seconds is None:
        interval, order = _repetitions(le, replica), None
    else:
        kept = ~np.isnan(seconds)
        if not kept.all():
            note("missing_times", int((~kept).sum()))
        order, first, interval = np.unique(seconds[kept], return_index=True, return_inverse=True)
        backward = int((np.diff(order[np.argsort(first)]) < 0).sum())
        if backward:
            note("out_of_order", backward)
    points = np.flatnonzero(kept)
    edges, column = np.unique(le[kept], return_inverse=True)
    groups, row = np.unique(interval * (replica.max(initial=0) + 1) + replica[kept], return_inverse=True)
    cell = _Cells(row * len(edges) + column, (len(groups), len(edges)), points)
    cumulative, copies = _added(cell, value[kept], raw.place, edges, note)
    time = None if order is None else order[groups // (replica.max(initial=0) + 1)]
    return _Grid(cumulative, edges, time, cell.first, copies)


def _of_matrix(raw: RawSeries, seconds: FloatArray | None, note: _Noting) -> _Grid:
    """Take counts per bucket, an interval a row."""
    edges = _upper_edges(raw.edges, raw.place, "edges")
    if not len(edges) or np.isnan(edges).any() or (np.diff(edges) <= 0).any():
        raise DataError(
            f"{raw.place}: the edges are {shown(edges.tolist())}, which do not ascend",
            "Give each bucket's upper edge once, from the smallest to the largest.",
        )
    rows = [
        to_floats(object_array(list(row)), raw.place, f"buckets[{index}]")
        for index, row in enumerate(raw.buckets or ())
    ]
    width = len(rows[0]) if rows else len(edges)
    odd = next((index for index, row in enumerate(rows) if len(row) != width), None)
    open_ended = width == len(edges) + 1 and np.isfinite(edges[-1])
    if odd is not None or not (width == len(edges) or open_ended):
        index = 0 if odd is None else odd
        raise DataError(
            f"{raw.place.at(index)}: there are {len(rows[index])} buckets for {len(edges)} edges",
            "Give in each row a count for each edge, and one more for what is larger than all of them.",
        )
    if open_ended:
        edges = np.append(edges, np.inf)
    counts = np.array(rows).reshape(-1, len(edges))
    for index, bucket in np.argwhere(counts < 0)[:1]:
        raise _negative(raw.place.at(int(index)), counts[index, bucket])
    points = np.repeat(np.arange(len(counts))[:, np.newaxis], len(edges), axis=1)
    grid = _Grid(counts.cumsum(axis=1), edges, seconds, points, np.ones(len(counts), dtype=np.intp))
    if seconds is None:
        return grid
    known = np.flatnonzero(~np.isnan(seconds))
    if len(known) < len(seconds):
        note("missing_times", len(seconds) - len(known))
    backward = int((np.diff(seconds[known]) < 0).sum())
    if backward:
        note("out_of_order", backward)
    grid = grid.rows(known[np.argsort(seconds[known], kind="stable")])
    return grid.rows(_unlike_before(grid, raw.replica, note))


def _unlike_before(grid: _Grid, replica: Any, note: _Noting) -> NDArray[np.bool_]:
    """Mark the histograms that do not repeat an earlier one of their time and replica."""
    codes = np.zeros(len(grid.points)) if replica is None else _codes(replica)[grid.points[:, 0]]
    keys = np.column_stack([np.asarray(grid.time), codes, grid.cumulative])
    _, first = np.unique(keys, axis=0, return_index=True)
    kept = np.zeros(len(keys), dtype=np.bool_)
    kept[first] = True
    if not kept.all():
        note("identical_rows", int((~kept).sum()))
    return kept


def _upper_edges(column: Any, place: Place, name: str) -> FloatArray:
    """Read numbers, or texts that spell them: 0.5, 1e-3, +Inf."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "buif":
        edges = to_floats(column, place, name)
    else:
        known: dict[str, Any] = {}
        items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
        items = [known.setdefault(item, _number(item)) if isinstance(item, str) else item for item in items]
        edges = to_floats(object_array(items), place, name)
    low = np.flatnonzero(edges == -np.inf)
    if len(low):
        raise DataError(f"{place}: an upper edge of a bucket is -Inf", "Only +Inf can be an edge.")
    return edges


def _number(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return text  # reading the column says which it is


def _codes(column: Any) -> NDArray[np.intp]:
    known: dict[str, int] = {}
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    return np.array(
        [known.setdefault("" if is_missing(item) else str(item), len(known)) for item in items], dtype=np.intp
    )


def _repetitions(le: FloatArray, replica: NDArray[np.intp]) -> NDArray[np.intp]:
    """Count the intervals of rows without times: one begins wherever a replica's first edge comes again."""
    interval = np.zeros(len(le), dtype=np.intp)
    for code in range(int(replica.max(initial=-1)) + 1):
        own = np.flatnonzero(replica == code)
        interval[own] = (le[own] == le[own[0]]).cumsum()
    return interval


@dataclass(frozen=True, slots=True)
class _Cells:
    """Where rows belong in a grid."""

    index: NDArray[np.intp]
    shape: tuple[int, int]
    points: NDArray[np.intp]

    @property
    def times(self) -> NDArray[np.intp]:
        """How many rows fall into each cell."""
        return np.bincount(self.index, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)

    @property
    def first(self) -> NDArray[np.intp]:
        """The first point of each cell."""
        first = np.full(self.shape[0] * self.shape[1], _ABSENT, dtype=np.intp)
        first[self.index[::-1]] = self.points[::-1]
        return first.reshape(self.shape)


def _added(
    cells: _Cells, value: FloatArray, place: Place, edges: FloatArray, note: _Noting
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Add up the rows of each cell, those that only repeat another counted once, and tell how many histograms each row is."""
    below = np.flatnonzero(value < 0)
    if len(below):
        raise _negative(place.at(int(cells.points[below[0]])), value[below[0]])
    times = cells.times
    size = times.size
    total = np.bincount(cells.index, weights=value, minlength=size).reshape(cells.shape)
    most = times.max(axis=1)
    if (most > 1).any():
        high, low = np.full(size, -np.inf), np.full(size, np.inf)
        np.fmax.at(high, cells.index, value)
        np.fmin.at(low, cells.index, value)
        same = ((times < 2) | (high == low).reshape(cells.shape)).all(axis=1)
        known = ~np.isnan(total).any(axis=1)
        uneven = (
            known
            & ~same
            & (np.where(times > 0, times, most[:, np.newaxis]) != most[:, np.newaxis]).any(axis=1)
        )
        for row in np.flatnonzero(uneven)[:1]:
            column = int(times[row].argmax())
            raise DataError(
                f"{place.at(int(cells.first[row, column]))}: le {edges[column]:g} has {most[row]} different counts in one interval, "
                "and others have fewer",
                "Give each le once a time, or name the column 'replica'.",
            )
        again = same & (most > 1)
        if again.any():
            note("identical_rows", int((times - (times > 0))[again].sum()))
            total[again] = high.reshape(cells.shape)[again]
            most[again] = 1
    return np.where(times > 0, total, np.nan), most


def _usable(grid: _Grid, note: _Noting) -> _Grid:
    """Leave out histograms with a count that is missing or infinite: without it, the others cannot be told apart."""
    present = grid.points != _ABSENT
    missing = (present & np.isnan(grid.cumulative)).any(axis=1)
    infinite = ~missing & (present & (grid.cumulative > _LARGEST_COUNT)).any(axis=1)
    for code, unfit in (("missing_values", missing), ("infinite_values", infinite)):
        if unfit.any():
            note(code, int(unfit.sum()))
    return grid.rows(~(missing | infinite))


def _common(grid: _Grid, place: Place, note: _Noting) -> _Grid:
    """Keep the edges that all histograms have; the last stands for infinity."""
    present = grid.points != _ABSENT
    used, shared = present.any(axis=0), present.all(axis=0)
    edges = grid.edges[shared]
    if len(edges) < 2:
        raise _too_few_common(str(place), "all intervals", edges)
    dropped = int((used & ~shared).sum())
    if dropped:
        note("merged_buckets", dropped)
    if np.isfinite(edges[-1]):
        note("no_infinite_bucket", len(present), edge=float(edges[-1]))
        edges[-1] = np.inf
    return _Grid(grid.cumulative[:, shared], edges, grid.time, grid.points[:, shared], grid.copies)


def _whole(grid: _Grid, note: _Noting) -> _Grid:
    """Round what an extrapolation, such as increase(), has made of counts."""
    rounded = np.rint(grid.cumulative)
    odd = int((rounded != grid.cumulative).any(axis=1).sum())
    if odd:
        note("rounded_counts", odd)
    return replace(grid, cumulative=rounded)


def _check(grid: _Grid, place: Place) -> None:
    falls = np.argwhere(np.diff(grid.cumulative, axis=1) < 0)
    for row, column in falls[:1]:
        before, after = grid.cumulative[row, column : column + 2]
        raise DataError(
            f"{place.at(int(grid.points[row, column + 1]))}: {after:g} observations are at most {grid.edges[column + 1]:g}, "
            f"fewer than the {before:g} that are at most {grid.edges[column]:g}",
            "Give cumulative counts, as Prometheus does; counts per bucket go into a mapping with edges and buckets.",
        )


def _negative(where: str, count: float) -> DataError:
    return DataError(
        f"{where}: a count of the histogram is {count:g}, and none can be negative",
        "Give counts of an interval; difference a counter that only grows before you judge it.",
    )


def _too_few_common(where: str, whom: str, edges: FloatArray) -> DataError:
    have = f"only the edge {edges[0]:g}" if len(edges) else "no edge"
    return DataError(
        f"{where}: the histograms of {whom} have {have} in common",
        "Give all histograms of a metric the same buckets, with at least one finite edge and +Inf.",
    )
