"""One arm as given -> finite points in order of time, with a note on everything that was odd."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.columns import to_floats
from canaryjudge.data.histograms import read_buckets
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.places import Place
from canaryjudge.data.raw import RawSeries
from canaryjudge.data.times import Times, to_times
from canaryjudge.errors import DataError
from canaryjudge.policy import Kind, Metric

__all__ = ["Series", "clean"]

_HUGE = 1e150  # larger numbers stand for "none" (the largest double) and have no finite square


@dataclass(frozen=True, slots=True)
class Series:
    """One clean arm.

    Attributes
    ----------
    arm : str
        The caller's name.
    value : ndarray, shape (n,)
        Finite values, in order of time where there are times.
    total, time : ndarray, shape (n,), or None
        Positive totals; seconds since 1970, ascending.
    zones : frozenset of str
        The time zones in which the times were written.
    notes : tuple of Note
        What was odd.
    buckets, edges : ndarray, shape (n, k) and (k,), or None
        Of histograms: observations in each bucket, and the buckets' upper edges.
    """

    arm: str
    value: FloatArray
    total: FloatArray | None = None
    time: FloatArray | None = None
    zones: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    buckets: FloatArray | None = None
    edges: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.value)


@dataclass(slots=True)
class _Points:
    """Columns on their way, cut down together."""

    place: Place
    value: FloatArray
    total: FloatArray | None
    time: FloatArray | None
    replica: NDArray[np.intp] | None
    notes: list[Note] = field(default_factory=list)
    buckets: FloatArray | None = None

    def keep(self, chosen: NDArray[Any]) -> None:
        """Keep the points of a mask, or take those of an index in its order."""
        if chosen.dtype == np.bool_ and chosen.all():
            return
        self.value = self.value[chosen]
        self.total = None if self.total is None else self.total[chosen]
        self.time = None if self.time is None else self.time[chosen]
        self.replica = None if self.replica is None else self.replica[chosen]
        self.buckets = None if self.buckets is None else self.buckets[chosen]
        if chosen.dtype == np.bool_ and self.place.rows is not None:
            self.place = replace(self.place, rows=self.place.rows[chosen])

    def drop(self, code: Any, unfit: NDArray[np.bool_]) -> None:
        """Leave points out, and say how many."""
        if unfit.any():
            self.note(code, int(unfit.sum()))
            self.keep(~unfit)

    def note(self, code: Any, count: int, **facts: float | str) -> None:
        """Write down an oddity."""
        self.notes.append(Note(code=code, arm=self.place.arm, count=count, facts=facts))


def clean(raw: RawSeries, metric: Metric) -> Series:
    """Read one arm and leave out what cannot be used.

    Parameters
    ----------
    raw : RawSeries
        The columns.
    metric : Metric
        What the policy says of the metric.

    Returns
    -------
    Series
        Finite, in order of time, each oddity noted with its count.

    Raises
    ------
    DataError
        If a value is no number, a time cannot be read, or the numbers cannot be what the kind says: a negative count, more errors than
        requests, a ratio without a total, a histogram without buckets.

    Examples
    --------
    >>> raw = RawSeries(Place("cpu", "canary"), np.array([1.0, np.nan, 3.0]))
    >>> series = clean(raw, Metric(name="cpu", direction="increase"))
    >>> series.value.tolist(), series.notes[0].code, series.notes[0].count
    ([1.0, 3.0], 'missing_values', 1)
    """
    place = raw.place
    times = None if raw.time is None else to_times(raw.time, place)
    if metric.kind == "histogram":
        return _clean_histogram(raw, metric, times)
    if raw.buckets is not None:
        raise DataError(
            f"{place}: the data are buckets, and the metric's kind is {metric.kind}",
            "Set kind: histogram, or give the column 'value'.",
        )
    points = _Points(
        place,
        to_floats(raw.value, place, "value"),
        _totals(raw, metric.kind),
        None if times is None else times.seconds,
        None if raw.replica is None or metric.kind == "samples" else _numbered(raw.replica),
    )
    _leave_out_unusable(points, metric.kind)
    if points.time is not None:
        _order(points, metric.kind)
        if times is not None and times.unit is not None and len(points.value):
            points.note("time_unit", len(points.value), unit=times.unit)
        _note_gaps(points, metric)
    zones = frozenset() if times is None or points.time is None else times.zones
    return Series(place.arm, points.value, points.total, points.time, zones, tuple(points.notes))


def _clean_histogram(raw: RawSeries, metric: Metric, times: Times | None) -> Series:
    points = _Points(Place(raw.place.metric, raw.place.arm), np.empty(0), None, None, None)
    counted = read_buckets(raw, None if times is None else times.seconds, points.note)
    if counted is not None:
        points.value, points.time, points.buckets = counted.buckets.sum(axis=1), counted.time, counted.buckets
        points.drop("no_traffic", points.value == 0)
    zones: frozenset[str] = frozenset()
    if times is not None and points.time is not None:
        zones = times.zones
        if times.unit is not None and len(points.value):
            points.note("time_unit", len(points.value), unit=times.unit)
        _note_gaps(points, metric)
    edges = None if counted is None else counted.edges
    return Series(
        points.place.arm, points.value, None, points.time, zones, tuple(points.notes), points.buckets, edges
    )


def _totals(raw: RawSeries, kind: Kind) -> FloatArray | None:
    if kind not in ("ratio", "count") or raw.total is None:
        return None
    totals = to_floats(raw.total, raw.place, "total")
    return None if np.isnan(totals).all() else totals  # a table's column that is there for other metrics


def _numbered(column: Any) -> NDArray[np.intp]:
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    known: dict[str, int] = {}
    return np.array([known.setdefault(str(item), len(known)) for item in items], dtype=np.intp)


def _leave_out_unusable(points: _Points, kind: Kind) -> None:
    missing = np.isnan(points.value)
    if points.total is not None:
        missing = missing | np.isnan(points.total)
    points.drop("missing_values", missing)
    infinite = np.abs(points.value) > _HUGE
    if points.total is not None:
        infinite = infinite | (np.abs(points.total) > _HUGE)
    points.drop("infinite_values", infinite)
    if kind in ("ratio", "count"):
        _check_counts(points, kind)
    if points.total is not None:
        points.drop("no_traffic", points.total == 0)
    if points.time is not None:
        untimed = np.isnan(points.time)
        if untimed.all():
            points.time = None
        else:
            points.drop("missing_times", untimed)


def _check_counts(points: _Points, kind: Kind) -> None:
    value, total, place = points.value, points.total, points.place
    if total is None and kind == "ratio" and len(value):
        raise DataError(
            f"{place}: a ratio needs the column 'total', which is missing or empty",
            "Give the number of requests beside the number of errors, or set kind: gauge if the values are ratios already.",
        )
    for name, numbers in (("value", value), ("total", total)):
        index = _first(numbers < 0) if numbers is not None else None
        if numbers is not None and index is not None:
            raise DataError(
                f"{place.at(index)}: {name} is {numbers[index]:g}, and a {kind} cannot be negative",
                "Give counts of zero or more; difference a counter that only grows before you judge it.",
            )
    if total is None:
        return
    index = _first(value > total) if kind == "ratio" else _first((value > 0) & (total == 0))
    if index is not None:
        excess = "more errors than requests" if kind == "ratio" else "events without exposure"
        raise DataError(
            f"{place.at(index)}: value is {value[index]:g} and total is {total[index]:g}: {excess}",
            "Check that 'value' counts the events and 'total' what they are of, over the same interval.",
        )


def _first(mask: NDArray[np.bool_]) -> int | None:
    return int(mask.argmax()) if mask.any() else None


def _order(points: _Points, kind: Kind) -> None:
    time = points.time
    if time is None:
        return
    backward = int((np.diff(time) < 0).sum())
    if backward:
        points.note("out_of_order", backward)
        points.keep(np.argsort(time, kind="stable"))
    if kind == "samples":
        return
    tied = _tied(points.time)
    if tied.any():
        again = _identical(points, np.flatnonzero(tied))
        points.drop("identical_rows", again)
        tied = _tied(points.time)
    if tied.any():
        points.note("duplicate_times", int(tied.sum()))
        if kind == "gauge":
            points.note("suggest_samples", int(tied.sum()))


def _tied(time: FloatArray | None) -> NDArray[np.bool_]:
    tied = np.zeros(0 if time is None else len(time), dtype=np.bool_)
    if time is not None and len(time) > 1:
        same = time[1:] == time[:-1]
        tied[1:] |= same
        tied[:-1] |= same
    return tied


def _identical(points: _Points, tied: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Mark the points that repeat an earlier one in every column."""
    keys = [
        column[tied]
        for column in (points.replica, points.total, points.value, points.time)
        if column is not None
    ]
    order = np.lexsort(keys)
    again = np.ones(len(tied), dtype=np.bool_)
    again[0] = False
    for key in keys:
        again[1:] &= key[order][1:] == key[order][:-1]
    marked = np.zeros(len(points.value), dtype=np.bool_)
    marked[tied[order[again]]] = True
    return marked


def _note_gaps(points: _Points, metric: Metric) -> None:
    """Count the intervals without a point; raw samples come when they come and have none."""
    if metric.kind == "samples" or points.time is None:
        return
    steps = np.diff(points.time)
    steps = steps[steps > 0]
    if not len(steps):
        return
    interval = metric.interval or float(np.median(steps))
    absent = np.maximum(np.rint(steps / interval) - 1, 0).sum()
    if absent:
        points.note("gaps", int(absent), interval=interval)
