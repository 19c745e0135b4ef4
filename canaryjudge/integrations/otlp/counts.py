"""OpenTelemetry timeseries -> what was counted in each interval: deltas as they are, cumulative ones differenced, instances summed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.buckets import too_few_common
from canaryjudge.data.counters import increases
from canaryjudge.data.diagnostics import Location, shown
from canaryjudge.data.exponential_histograms import (
    SparseBuckets,
    Where,
    bounded_edges,
    exponential_buckets,
    read_counts,
)
from canaryjudge.data.frames import object_array, to_exact_floats
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.times import iso
from canaryjudge.errors import DataError
from canaryjudge.integrations.otlp.documents import Timeseries
from canaryjudge.limits import CELLS

__all__ = ["InstanceNames", "bucket_counts", "event_counts"]


@dataclass(frozen=True, slots=True)
class InstanceNames:
    """The attributes that tell apart what is not to be added up: instances, and the segments of their traffic."""

    replica: str | None
    segments: tuple[str, ...] = ()

    def of(self, series: Timeseries) -> tuple[str, ...]:
        """Name the instance and the segment of a timeseries; empty texts where it has none."""
        return tuple(series.attributes.get(name or "", "") for name in (self.replica, *self.segments))

    def columns(self, names: Sequence[tuple[str, ...]], owner: NDArray[np.intp]) -> dict[str, Any]:
        """Lay names out as columns, a row for each entry of `owner`: `replica`, where instances have names, and those of the segments."""
        each = zip(("replica", *self.segments), zip(*names, strict=True), strict=True)
        return {
            column: np.array(own, dtype=object)[owner]
            for column, own in each
            if any(own) or column in self.segments
        }


@dataclass(frozen=True, slots=True)
class _InstanceCounts:
    """What the instances of an arm counted, in order of time, then of instances."""

    columns: FloatArray  # (n, c): of the interval that ends at a time
    time: FloatArray  # (n,): seconds since 1970
    owner: NDArray[np.intp]  # (n,): which of the names each is of
    names: tuple[tuple[str, ...], ...]  # the instance, and the segment of its traffic
    by: InstanceNames

    @property
    def beside(self) -> dict[str, Any]:
        """The column `time`, and those of the names."""
        return {"time": self.time} | self.by.columns(self.names, self.owner)

    def at(self, frame: _InstanceCounts, where: str) -> FloatArray:
        """Return the counts at the times and instances of others; none where nothing was counted."""
        place = {key: index for index, key in enumerate(self.keys)}
        counts = np.zeros((len(frame.time), self.columns.shape[1]))
        for row, key in enumerate(frame.keys):
            index = place.pop(key, None)
            if index is not None:
                counts[row] = self.columns[index]
        for (time, name), index in place.items():
            if self.columns[index].any():
                own = " / ".join(part for part in name if part)
                whose = f" by {own!r}" if own else ""
                raise DataError(
                    f"{where}: {self.columns[index, 0]:g} events were counted{whose} up to {iso(time)}, and there is no total",
                    "Take a value and a total that the same instances export at the same times.",
                )
        return counts

    @property
    def keys(self) -> list[tuple[float, tuple[str, ...]]]:
        """The time and the names of each."""
        return [(time, self.names[code]) for time, code in zip(self.time.tolist(), self.owner, strict=True)]


def event_counts(series: Sequence[Timeseries], where: str, by: InstanceNames) -> _InstanceCounts:
    """Count events: sums as they are, of histograms the number of observations."""
    values: list[Any] = []
    for each in series:
        if each.is_level:
            raise DataError(
                f"{where}: {each.metric!r} is a level ({each.place(0)}), and a count of events is needed",
                "Name a monotonic sum or a histogram.",
            )
        values += each.values if each.shape == "sum" else _sizes(each)
    numbers, rest = to_exact_floats(object_array(values), Location(where, ""), "value")
    return _summed(series, numbers.reshape(-1, 1), by, rest)


def _sizes(series: Timeseries) -> list[float]:
    buckets = _buckets(series)
    sizes: list[float] = np.bincount(buckets.row, weights=buckets.count, minlength=buckets.size).tolist()
    return sizes


def bucket_counts(
    series: Sequence[Timeseries], where: str, by: InstanceNames
) -> tuple[FloatArray, _InstanceCounts]:
    """Count observations by the edges that all histograms of an arm know."""
    parts = [_buckets(each) for each in series]
    exponential = [
        part for part, each in zip(parts, series, strict=True) if each.shape == "exponentialHistogram"
    ]
    layouts = {
        _finite(point, str)[0] for each in series if each.shape == "histogram" for point in each.values
    }
    bounds = [np.array([np.inf]), *map(np.asarray, layouts)]
    if exponential:
        bounds.append(bounded_edges(SparseBuckets.joined(exponential), where)[0])
    edges: FloatArray = np.unique(np.concatenate(bounds))
    every = SparseBuckets.joined(parts)
    if every.size * len(edges) > CELLS:
        raise DataError(
            f"{where}: the {every.size:,} histograms of {series[0].metric!r} have {len(edges):,} different bounds",
            "Give its instrument the same boundaries in every process.",
        )
    cumulative = every.up_to(edges)
    known = np.asarray(~np.isnan(cumulative).any(axis=0))
    edges = edges[known]
    if len(edges) < 2 and cumulative[:, known].any():
        if () in layouts:
            raise DataError(
                f"{where}: {series[0].metric!r} has data points without buckets (explicitBounds is empty), so no observation can be told from another by its size",
                f'Give its instrument boundaries; or count its observations alone, with {{"value": "{series[0].metric}"}}.',
            )
        raise too_few_common(where, "all data points", edges)
    return edges, _summed(series, np.diff(cumulative[:, known], axis=1, prepend=0.0), by)


def _buckets(series: Timeseries) -> SparseBuckets:
    read = _explicit_buckets if series.shape == "histogram" else exponential_buckets
    return read(series.values, series.place)


def _explicit_buckets(points: Sequence[Mapping[str, Any]], where: Where) -> SparseBuckets:
    """Read histograms with boundaries of their own: those of a data point are the upper edges of all buckets but the last."""
    lower, upper, counts = [], [], []
    known: dict[tuple[float, ...], FloatArray] = {}
    for number, point in enumerate(points):
        bounds, open_ends = _finite(point, where, number)
        if bounds not in known:
            known[bounds] = np.array([-np.inf, *bounds, np.inf])
        edges = known[bounds]
        given = _either(point, "bucketCounts", "bucket_counts")
        try:
            total = _either(point, "count", "count")
            size = None if total is None else float(read_counts([total], "count")[0])
            count = read_counts([size or 0.0] if not given and not bounds else given, "bucketCounts")
        except DataError as error:
            raise DataError(f"{where(number)}: {error.message}", error.hint) from None
        count = _within_infinity(count, len(edges) - 1, open_ends)
        if len(count) != len(edges) - 1:
            stated = len(bounds) + sum(open_ends)
            raise DataError(
                f"{where(number)}: there are {len(count)} bucketCounts for {stated} explicitBounds",
                "Give one count more than there are bounds.",
            )
        if size is not None and size != count.sum():
            raise DataError(
                f"{where(number)}: the count is {size:g}, and the buckets hold {count.sum():g}",
                "Give all of the buckets.",
            )
        lower.append(edges[:-1])
        upper.append(edges[1:])
        counts.append(count)
    row = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
    flat = np.concatenate([np.empty(0), *counts])
    some = np.flatnonzero(flat)
    below, above = np.concatenate([np.empty(0), *lower]), np.concatenate([np.empty(0), *upper])
    return SparseBuckets(len(counts), row[some], below[some], above[some], flat[some])


def _either(point: Mapping[str, Any], camel: str, snake: str) -> Any:
    found = point.get(camel)
    return point.get(snake) if found is None else found


def _within_infinity(count: FloatArray, buckets: int, open_ends: tuple[bool, bool]) -> FloatArray:
    """Add what lies beyond a bound that is written as infinite, which is nothing, to the last bucket before it."""
    below, above = open_ends
    if above and len(count) == buckets + 1 + below:
        count = np.append(count[:-2], count[-2:].sum())
    if below and len(count) == buckets + 1:
        count = np.append(count[:2].sum(), count[2:])
    return count


def _finite(
    point: Mapping[str, Any], where: Where, number: int = 0
) -> tuple[tuple[float, ...], tuple[bool, bool]]:
    """Return the bounds of a data point, and whether an infinite one stands before and after them, which some exporters write."""
    given = _either(point, "explicitBounds", "explicit_bounds")
    if given is None:
        return (), (False, False)
    bounds = tuple(map(_number, given)) if isinstance(given, list | tuple) else (math.nan,)
    below, above = bounds[:1] == (-math.inf,), bounds[-1:] == (math.inf,)
    finite = bounds[int(below) : len(bounds) - above]
    if not _ascend(finite):
        culprit = _culprit(bounds, given)
        raise DataError(
            f"{where(number)}: the explicitBounds are {shown(given)}{culprit}",
            "Give finite numbers that ascend.",
        )
    return finite, (below, above)


def _number(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _culprit(bounds: tuple[float, ...], given: Any) -> str:
    """Point at the first bound that is wrong, which a long list may not show."""
    for index, bound in enumerate(bounds):
        rises = math.isfinite(bound) and (index == 0 or bound > bounds[index - 1])
        if isinstance(given, list | tuple) and not rises:
            return f", of which number {index + 1} is {shown(given[index])}"
    return ""


@lru_cache
def _ascend(bounds: tuple[float, ...]) -> bool:
    return all(map(math.isfinite, bounds)) and all(low < high for low, high in pairwise(bounds))


def _summed(
    series: Sequence[Timeseries], columns: FloatArray, by: InstanceNames, rest: FloatArray | None = None
) -> _InstanceCounts:
    """Difference what is cumulative, each timeseries by itself, and add up those of one time, instance and segment; `rest` is what floats leave out of one column."""
    time, start, owner = _flat(series)
    cumulative = np.array([each.cumulative for each in series], dtype=np.bool_)
    opening = np.flatnonzero(np.array([each.opening for each in series], dtype=np.bool_) & cumulative)
    # nothing had been counted when these began
    owner = np.concatenate([opening, owner])
    columns = np.concatenate([np.zeros((len(opening), columns.shape[1])), columns])
    time = np.concatenate([np.full(len(opening), -np.inf), time])
    start = np.concatenate([np.zeros(len(opening)), start])
    order = np.argsort(time, kind="stable")
    owner, columns, time, start = owner[order], columns[order], time[order], start[order]
    if rest is not None:
        rest = np.concatenate([np.zeros(len(opening)), rest])[order, np.newaxis]
    grown, deltas = np.flatnonzero(cumulative[owner]), np.flatnonzero(~cumulative[owner])
    found = increases(
        columns[grown],
        owner[grown],
        _moved(owner[grown], start[grown]),
        parts=True,
        rest=None if rest is None else rest[grown],
    )
    points = np.concatenate([grown[found.points], deltas])
    counts, time, owner = np.concatenate([found.columns, columns[deltas]]), time[points], owner[points]
    names = [by.of(each) for each in series]
    known = sorted(set(names))
    places = {name: place for place, name in enumerate(known)}
    code = np.array([places[name] for name in names], dtype=np.intp)[owner]
    times, slot = np.unique(time, return_inverse=True)
    groups, group = np.unique(slot * max(len(known), 1) + code, return_inverse=True)
    total = np.zeros((len(groups), columns.shape[1]))
    np.add.at(total, group, counts)
    return _InstanceCounts(
        total, times[groups // max(len(known), 1)], groups % max(len(known), 1), tuple(known), by
    )


def _flat(series: Sequence[Timeseries]) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    sizes = np.array([len(each.times) for each in series], dtype=np.intp)
    return (
        np.array([time for each in series for time in each.times], dtype=np.float64),
        np.array([start for each in series for start in each.starts], dtype=np.float64),
        np.repeat(np.arange(len(series)), sizes),
    )


def _moved(owner: NDArray[np.intp], start: FloatArray) -> NDArray[np.bool_]:
    """Mark points whose timeseries has begun anew since the one before."""
    order = np.argsort(owner, kind="stable")
    moved = np.zeros(len(owner), dtype=np.bool_)
    later, before = order[1:], order[:-1]
    known = (start[before] > 0) & (owner[later] == owner[before])
    moved[later] = known & (start[later] > start[before])
    return moved
