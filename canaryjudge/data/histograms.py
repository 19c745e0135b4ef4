"""Histograms in any of their forms -> counts per interval and bucket, with one set of edges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.buckets import filled, too_few_common
from canaryjudge.data.counters import CounterState, check_growing, increases, missed, neighbors
from canaryjudge.data.diagnostics import Location, shown
from canaryjudge.data.exponential_histograms import bounded_edges, exponential_buckets, range_buckets
from canaryjudge.data.frames import is_missing, object_array, to_floats
from canaryjudge.data.notes import NoteList
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.series import Series
from canaryjudge.data.sources import RawSeries
from canaryjudge.data.units import scaled_edges
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.limits import CELLS, WHOLE

__all__ = ["Grid", "continued", "negative_count", "read_buckets", "replica_codes", "uncounted_share"]

_ROUNDING: Final = 1e-6
"""A smaller part of the observations is what rates and sums of floats lose."""


def negative_count(where: str, wrong: str, *, counter: bool) -> DataError:
    """Make the error for a count below 0; only what is no counter yet may have been meant as one."""
    advice = "Give counts of zero or more" + (
        "; a counter begins at 0 and only grows."
        if counter
        else ", or set counter: true for counters that only grow."
    )
    return BrokenDataError(f"{where}: {wrong}", advice)


def replica_codes(column: Any, size: int) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Give the replicas of points numbers in the order of their names."""
    if column is None:
        return np.zeros(size, dtype=np.intp), ()
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    texts = ["" if is_missing(item) else str(item) for item in items]
    names = sorted(set(texts))
    known = {name: code for code, name in enumerate(names)}
    codes = np.array([known[text] for text in texts], dtype=np.intp)
    return codes, () if names in ([], [""]) else tuple(names)


@dataclass(frozen=True, slots=True)
class Grid:
    """Histograms, one a row."""

    cumulative: FloatArray
    """How many observations are at most as large as each edge; NaN where the histogram does not know; shape (n, k)."""
    edges: FloatArray
    """Upper edges, ascending; shape (k,)."""
    listed: NDArray[np.bool_]
    """Which edges are in the data; others were added; shape (k,)."""
    time: FloatArray | None
    """Seconds since 1970, ascending; shape (n,)."""
    replica: NDArray[np.intp]
    copies: NDArray[np.intp]
    """Which replica each is of, and how many histograms of the caller's it is the sum of; shape (n,)."""
    names: tuple[str, ...]
    """The replicas' names; none where they have none."""

    @classmethod
    def of(
        cls,
        cumulative: FloatArray,
        edges: FloatArray,
        listed: NDArray[np.bool_],
        time: FloatArray | None,
        replica: Any,
    ) -> Grid:
        """Take histograms as the caller gave them, one a point."""
        codes, names = replica_codes(replica, len(cumulative))
        return cls(cumulative, edges, listed, time, codes, np.ones(len(cumulative), dtype=np.intp), names)

    def rows(self, chosen: NDArray[Any]) -> Grid:
        """Keep some histograms."""
        return replace(
            self,
            cumulative=self.cumulative[chosen],
            time=None if self.time is None else self.time[chosen],
            replica=self.replica[chosen],
            copies=self.copies[chosen],
        )

    def columns(self, chosen: NDArray[np.bool_]) -> Grid:
        """Keep some edges."""
        return replace(
            self,
            cumulative=self.cumulative[:, chosen],
            edges=self.edges[chosen],
            listed=self.listed[chosen],
        )

    def usable(self, given: NDArray[np.bool_], note: NoteList) -> NDArray[np.bool_]:
        """Mark the histograms without a count that is missing or infinite: without it, the others cannot be told apart."""
        missing = (given & np.isnan(self.cumulative)).any(axis=1)
        infinite = ~missing & (given & (self.cumulative > WHOLE)).any(axis=1)
        for code, unfit in (("missing_values", missing), ("infinite_values", infinite)):
            if unfit.any():
                note(code, int(unfit.sum()))
        return np.asarray(~(missing | infinite))

    def in_order(self, note: NoteList) -> Grid:
        """Sort by time, and leave out histograms without one and those that repeat another of their time and replica."""
        if self.time is None:
            return self
        known = np.flatnonzero(~np.isnan(self.time))
        if len(known) < len(self.time):
            note("missing_times", len(self.time) - len(known))
        backward = int((np.diff(self.time[known]) < 0).sum())
        if backward:
            note("out_of_order", backward)
        ascends = len(known) == len(self.time) and not backward
        grid = self if ascends else self.rows(known[np.argsort(self.time[known], kind="stable")])
        if grid.one_a_time or len(np.unique(grid.slots)) == len(grid.slots):
            return grid
        keys = np.column_stack([grid.slots, np.nan_to_num(grid.cumulative, nan=-1)])
        _, first = np.unique(keys, axis=0, return_index=True)
        if len(first) == len(keys):
            return grid
        note("identical_rows", len(keys) - len(first))
        return grid.rows(np.sort(first))

    @property
    def one_a_time(self) -> bool:
        """Whether no two histograms are of one time."""
        return self.time is not None and bool((np.diff(self.time) > 0).all())

    @property
    def slots(self) -> NDArray[np.intp]:
        """A number for each time and replica, ascending by time."""
        _, slot = np.unique(np.asarray(self.time), return_inverse=True)
        return np.asarray(slot * (int(self.replica.max(initial=0)) + 1) + self.replica)

    def summed(self, *, by_replica: bool) -> Grid:
        """Add up the histograms of one time, of each replica or of all; by edges that all know."""
        if self.time is None or self.one_a_time:
            return self
        key = self.slots if by_replica else np.unique(self.time, return_inverse=True)[1]
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        grid = self.rows(order)
        return replace(
            grid,
            cumulative=np.add.reduceat(grid.cumulative, starts, axis=0),
            time=self.time[order[starts]],
            replica=grid.replica[starts],
            copies=np.add.reduceat(grid.copies, starts),
        )


def continued(grid: Grid, counters: CounterState) -> tuple[Grid, CounterState]:
    """Put the last histogram of each replica that is carried before those that are new."""
    own = grid.names or ("",)
    names = tuple(sorted({*own, *counters.names}))
    place = {name: index for index, name in enumerate(names)}
    numbers = np.array([place[name] for name in own], dtype=np.intp)
    before = np.array([place[name] for name in counters.names], dtype=np.intp)
    times = np.empty(0) if grid.time is None else grid.time
    edges = grid.edges if counters.edges is None else np.union1d(grid.edges, counters.edges)
    known = np.full((0, len(edges)), np.nan)
    if counters.edges is not None:
        known = _spread(counters.columns, counters.edges, edges)
    both = Grid(
        filled(np.concatenate([known, _spread(grid.cumulative, grid.edges, edges)])),
        edges,
        np.isin(edges, grid.edges[grid.listed]),
        np.concatenate([np.empty(0) if counters.time is None else counters.time, times]),
        np.concatenate([before, numbers[grid.replica]]),
        np.concatenate([np.ones(len(counters), dtype=np.intp), grid.copies]),
        names if any(names) else (),
    )
    steps = np.full((len(names), counters.steps.shape[1]), np.nan)
    steps[before] = counters.steps
    return both, _last(both, names, steps)


def _spread(cumulative: FloatArray, own: FloatArray, edges: FloatArray) -> FloatArray:
    found = np.full((len(cumulative), len(edges)), np.nan)
    found[:, edges.searchsorted(own)] = cumulative
    return found


def _last(grid: Grid, names: tuple[str, ...], steps: FloatArray) -> CounterState:
    """Give the last histogram of each replica, and its first steps."""
    time = np.empty(0) if grid.time is None else grid.time
    previous, points = neighbors(len(time), grid.replica)
    _, steps = missed(time[points] - time[previous], grid.replica[points], steps)
    last = np.full(len(names), -1, dtype=np.intp)
    last[grid.replica] = np.arange(len(grid.replica))
    there = last >= 0
    kept = tuple(name for name, known in zip(names, there, strict=True) if known)
    return CounterState(
        kept, grid.cumulative[last[there]], time[last[there]], steps[there], grid.edges
    ).bounded()


def read_buckets(
    raw: RawSeries,
    seconds: FloatArray | None,
    note: NoteList,
    per_unit: Fraction = Fraction(1),
    *,
    counter: bool = False,
    counters: CounterState | None = None,
) -> Series | None:
    """Read one arm's histograms.

    Examples
    --------
    >>> columns = {"value": [3, 4, 4, 1, 1, 2], "le": ["0.1", "0.5", "+Inf"] * 2}
    >>> raw = RawSeries(Location("latency", "canary"), **{name: object_array(items) for name, items in columns.items()})
    >>> found = read_buckets(raw, None, NoteList("canary"))
    >>> found.edges.tolist(), found.buckets.tolist()
    ([0.1, 0.5, inf], [[3.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    """
    if raw.buckets is None and not len(raw.value):
        return None
    if seconds is not None and np.isnan(seconds).all():
        seconds = None
    if raw.buckets is None:
        grid = _of_le_rows(raw, seconds, note, counter=counter)
    elif raw.edges is None:
        grid = _of_sparse(raw, seconds, note)
    else:
        grid = _of_matrix(raw, seconds, note, counter=counter)
    if not len(grid.cumulative):
        return None
    grid = replace(grid, edges=scaled_edges(grid.edges, per_unit))
    now = None
    if counters is not None:
        grid, now = continued(grid.summed(by_replica=True), counters)
    grid = _whole(_common(grid, raw.place, note), note)
    if counter:
        # a replica's histograms of one time are one counter in parts
        grid = grid.summed(by_replica=True)
        names = grid.names or ("",)
        buckets = np.diff(grid.cumulative, axis=1, prepend=0.0)
        memory = (counters or CounterState()).memory_of(names)
        grown = increases(buckets, grid.replica, parts=True, memory=memory)
        if now is not None:
            now = replace(now, memory=grown.memory[[names.index(name) for name in now.names]])
        check_growing(str(raw.place), grown.falls, grown.steps)
        for code, count in (
            ("counter_resets", grown.resets),
            ("unclear_resets", grown.unclear),
            ("lost_members", grown.members),
        ):
            if count:
                note(code, count)
        grid = replace(grid.rows(grown.points), cumulative=grown.columns.cumsum(axis=1))
        if not len(grid.cumulative):
            return replace(_counted(grid, raw.place.arm), counters=now)
    parts = [(name, grid.rows(grid.replica == code)) for code, name in enumerate(grid.names)]
    pooled, copies = grid.summed(by_replica=False), grid.summed(by_replica=True).copies
    if (copies > 1).any() and pooled.time is not None:
        note("duplicate_times", int(copies[copies > 1].sum()))
    replicas = (_counted(part.summed(by_replica=False), name) for name, part in parts if len(part.cumulative))
    return replace(_counted(pooled, raw.place.arm), replicas=tuple(replicas), counters=now)


def uncounted_share(raw: RawSeries, *, counter: bool) -> float:
    """Give the part of an arm's observations that its histograms count and hold in no bucket, or hold and do not count; 0 but for rounding.

    Prometheus' native histograms count an observation that is no number, and have no bucket for it.
    """
    if raw.counts is None or raw.buckets is None or raw.edges is not None or raw.exponential:
        return 0.0
    counts = to_floats(raw.counts, raw.place, "counts")
    held = np.array([sum(bucket[2] for bucket in row) for row in raw.buckets], dtype=np.float64)
    if counter:  # what was lost before the window is not the release's
        codes, names = replica_codes(raw.replica, len(counts))
        parts = [np.flatnonzero(codes == code) for code in range(max(1, len(names)))]
        counts, held = (
            np.concatenate([np.maximum(np.diff(numbers[part]), 0) for part in parts])
            for numbers in (counts, held)
        )
    known = np.isfinite(counts) & np.isfinite(held)
    total, missing = counts[known].sum(), np.abs(counts - held)[known].sum()
    share = float(missing / max(total, held[known].sum(), 1e-300))
    return share if share > _ROUNDING else 0.0


def _counted(grid: Grid, name: str) -> Series:
    buckets = np.diff(grid.cumulative, axis=1, prepend=0.0)
    return Series(name, buckets.sum(axis=1), time=grid.time, buckets=buckets, edges=grid.edges)


def _of_sparse(raw: RawSeries, seconds: FloatArray | None, note: NoteList) -> Grid:
    """Take histograms that list their non-empty buckets only, an interval each."""
    read = exponential_buckets if raw.exponential else range_buckets
    sparse = read(() if raw.buckets is None else list(raw.buckets), raw.place.at)
    edges, listed = bounded_edges(sparse, str(raw.place))
    grid = Grid.of(sparse.up_to(edges), edges, listed, seconds, raw.replica)
    return grid.rows(grid.usable(np.isinf(edges), note)).in_order(note)


def _of_matrix(raw: RawSeries, seconds: FloatArray | None, note: NoteList, *, counter: bool) -> Grid:
    """Take counts per bucket, an interval a row."""
    edges = _upper_edges(raw.edges, raw.place, "edges")
    if not len(edges) or np.isnan(edges).any() or (np.diff(edges) <= 0).any():
        raise BrokenDataError(
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
        raise BrokenDataError(
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


def _common(grid: Grid, place: Location, note: NoteList) -> Grid:
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


def _whole(grid: Grid, note: NoteList) -> Grid:
    """Round what an extrapolation, such as increase(), has made of counts."""
    rounded = np.rint(grid.cumulative)
    odd = int((rounded != grid.cumulative).any(axis=1).sum())
    if odd:
        note("rounded_counts", odd)
    return replace(grid, cumulative=rounded)


_ABSENT: Final = -1
_HINT = "Give for each interval the count of observations at most as large as each le, as Prometheus does."


def _of_le_rows(raw: RawSeries, seconds: FloatArray | None, note: NoteList, *, counter: bool = False) -> Grid:
    """Put rows, an edge each, together to histograms."""
    if raw.le is None:
        raise DataError(f"{raw.place}: a histogram needs the column 'le', which is missing", _HINT)
    value = to_floats(raw.value, raw.place, "value")
    le = _upper_edges(raw.le, raw.place, "le")
    missing = np.flatnonzero(np.isnan(le))
    if len(missing):
        raise BrokenDataError(f"{raw.place.at(missing[0])}: there is no le", _HINT)
    replica, names = replica_codes(raw.replica, len(value))
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
    below = np.flatnonzero(kept & (value < 0))
    if len(below):
        at = int(below[0])
        wrong = f"a count of the histogram is {value[at]:g}, and none can be negative"
        raise negative_count(raw.place.at(at), wrong, counter=counter)
    edges, column = np.unique(le[kept], return_inverse=True)
    replicas = int(replica.max(initial=0)) + 1
    groups, row = np.unique(interval * replicas + replica[kept], return_inverse=True)
    if len(groups) * len(edges) > CELLS:
        raise DataError(
            f"{raw.place}: the column le has {len(edges)} different edges over {len(groups)} histograms",
            "Give all histograms of a metric the same buckets.",
        )
    cells = _Cells(row * len(edges) + column, (len(groups), len(edges)), np.flatnonzero(kept))
    cumulative, copies = _added(cells, value[kept], raw.place, edges, note)
    time = None if order is None else order[groups // replicas]
    first_points = cells.first
    listed = first_points != _ABSENT
    grid = Grid(cumulative, edges, listed.any(axis=0), time, groups % replicas, copies, names)
    fit = grid.usable(listed, note)
    grid = grid.rows(fit)
    _check_rising(np.rint(grid.cumulative), edges, first_points[fit], raw.place)
    return replace(grid, cumulative=filled(grid.cumulative), listed=listed[fit].any(axis=0))


def _upper_edges(column: Any, place: Location, name: str) -> FloatArray:
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
        raise BrokenDataError(f"{place}: an upper edge of a bucket is -Inf", "Only +Inf can be an edge.")
    return edges


def _number(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return text  # reading the column says which it is


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
    cells: _Cells, value: FloatArray, place: Location, edges: FloatArray, note: NoteList
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Add up the rows of each cell, those that only repeat another counted once, and tell how many histograms each row is."""
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
            raise BrokenDataError(
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


def _check_rising(
    cumulative: FloatArray, edges: FloatArray, points: NDArray[np.intp], place: Location
) -> None:
    """Refuse counts of what is at most as large as an edge that are smaller than those at a smaller edge."""
    rows, columns = np.nonzero(points != _ABSENT)
    counts = cumulative[rows, columns]
    falls = np.flatnonzero((np.diff(counts) < 0) & (np.diff(rows) == 0))
    for i in falls[:1]:
        raise BrokenDataError(
            f"{place.at(int(points[rows[i], columns[i + 1]]))}: {counts[i + 1]:g} observations are at most {edges[columns[i + 1]]:g}, "
            f"fewer than the {counts[i]:g} that are at most {edges[columns[i]]:g}",
            "Give cumulative counts, as Prometheus does; counts per bucket go into a mapping with edges and buckets.",
        )
