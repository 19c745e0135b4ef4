"""Data in every shape that is accepted, asked for the unread columns of one arm of one metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from numbers import Real
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_facts import ArmFacts, facts_of
from canaryjudge.data.diagnostics import Location, likely_name, shown
from canaryjudge.data.frames import (
    Column,
    as_column,
    as_frame,
    floats_at_once,
    refuse_twins,
    take,
    time_index,
)
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.sketches import Sketch
from canaryjudge.data.times import Times, time_column, times_at_once
from canaryjudge.data.units import told_unit
from canaryjudge.errors import DataError
from canaryjudge.kinds import Kind

__all__ = ["ArmMapping", "RawSeries", "SeriesSource", "raw_series", "refuse_columns", "series_columns"]


_COLUMNS: Final = (
    *("value", "total", "replica", "le", "buckets", "edges", "exponential"),
    "request",
    *("unit", "increases", "counts"),
    *("user", "covariate", "covariate_total", "sums"),
)
"""What a series may have beside a time, whose name may be in any case."""
_BESIDE: Final = ("total", "replica", "le", "user", "covariate", "covariate_total", "request")
"""Columns that may stand beside the values."""
_AT_ONCE: Final = 1 << 17
"""Longer series are read by themselves, which costs little beside their points."""


@dataclass(frozen=True, slots=True)
class RawSeries:
    """Unread columns of one arm of one metric."""

    place: Location
    """Whose they are."""
    value: Column
    """The numbers; shape (n,)."""
    total: Column | None = None
    time: Column | Times | None = None
    """Where the caller gave them; shape (n,)."""
    replica: Column | None = None
    """Which of several instances a point is from: equal points of two replicas are two points; shape (n,)."""
    le: Column | None = None
    """Of histograms: `value` observations of an interval are at most as large; shape (n,)."""
    request: Column | None = None
    """Of pairs: the id of the request that a row is of; shape (n,)."""
    buckets: Sequence[Any] | NDArray[np.float64] | None = None
    """Of histograms, in place of `value` and `le`: an interval's counts, a bucket each, as rows or as one array of floats; without `edges`, buckets with both their edges and their count."""
    edges: Column | None = None
    """The upper edges of `buckets`; shape (k,)."""
    exponential: bool = False
    """Whether the items of `buckets` are exponential histograms as OpenTelemetry writes them."""
    unit: str = ""
    """What the numbers, or the edges of histograms, are in; empty where the caller does not say."""
    increases: bool = False
    """The numbers are what each interval counted, although the metric may be a counter at its source."""
    total_by_name: str = ""
    """The column that `total` was taken from because of its name, although nobody said so; empty otherwise."""
    apart: Column | None = None
    """What may tell replicas apart although nobody said so: points that differ in it are no copies of each other; shape (n,)."""
    apart_name: str = ""
    """The name of that column."""
    counts: Column | None = None
    """Of `buckets`: how many observations each histogram says that it has, where it says so beside them; shape (n,)."""
    user: Column | None = None
    """Of users: whose row it is; shape (n,)."""
    covariate: Column | None = None
    """What was known of the user from before; shape (n,)."""
    covariate_total: Column | None = None
    """What that is a part of; shape (n,)."""
    sums: Mapping[str, float] | None = None
    """Sums over all users in place of their rows, with their number as `n`."""
    said: str = ""
    """What the server said of the data that it gave; nothing where it said nothing."""
    facts: ArmFacts | None = None
    """What is so of the points, where the columns of a whole table told it."""

    @property
    def histograms(self) -> int:
        """How many of the points are items of `buckets`."""
        return 0 if self.buckets is None else len(self.buckets)

    def rows(self, index: NDArray[np.intp]) -> RawSeries:
        """Keep some of the points."""
        place = self.place if self.place.rows is None else replace(self.place, rows=self.place.rows[index])
        columns: dict[str, Any] = {
            name: None if (column := getattr(self, name)) is None else take(column, index)
            for name in (*_BESIDE, "time", "apart", "counts")
        }
        if self.buckets is None:
            return replace(self, place=place, value=take(self.value, index), facts=None, **columns)
        chosen = (
            self.buckets[index]
            if isinstance(self.buckets, np.ndarray)
            else [self.buckets[row] for row in index.tolist()]
        )
        return replace(self, place=place, buckets=chosen, **columns)


class SeriesSource(Protocol):
    """Data of any shape, asked for one series at a time."""

    @property
    def metrics(self) -> list[str]:
        """The metrics that occur."""

    @property
    def arms(self) -> list[str]:
        """The arms that occur, over all metrics."""

    def series(self, metric: str, arm: str) -> RawSeries:
        """Give one arm of one metric; one without points where it does not occur."""


def raw_series(data: Any, place: Location) -> RawSeries:
    """Take one series: array-like, a mapping of columns, nothing, or one that has been taken already.

    Columns are `value`, `time`, `total`, `le`, `replica`, `request` and `row` (the number by which errors name a point); of a histogram `edges` and `buckets`, `buckets`
    of ``[lower, upper, count]``, or `exponential`; beside them `unit`, `increases`, from servers `said` and `counts`, and from wide tables `total_by_name` and `apart`.
    """
    if isinstance(data, RawSeries):
        return data
    columns = {} if data is None else series_columns(data)
    if not columns:
        return RawSeries(place, np.empty(0))
    refuse_twins([name for name in columns if isinstance(name, str)], _COLUMNS, f"{place}: ")
    if "time" not in columns:
        time = time_column((name for name in columns if isinstance(name, str)), where=f"{place}: ")
        columns = {**columns, "time": columns.get(time)}
    found = _series(columns, place)
    beside = {
        name: columns[name] for name in ("unit", "increases", "total_by_name", "said") if name in columns
    }
    if not beside:
        return found
    by_name, said = beside.get("total_by_name"), beside.get("said")
    return replace(
        found,
        unit=told_unit(beside.get("unit"), place),
        increases=beside.get("increases") is True,
        total_by_name=by_name if isinstance(by_name, str) else "",
        said=said if isinstance(said, str) else "",
    )


def _series(columns: Mapping[Any, Any], place: Location) -> RawSeries:
    if "value" not in columns:
        if columns.get("exponential") is not None:
            return _exponential(columns, place)
        if columns.get("buckets") is not None:
            return _bucketed(columns, place)
        if columns.get("sums") is not None:
            return _summed(columns, place)
    if "value" not in columns:
        hint = likely_name("value", map(str, columns), "columns")
        raise DataError(f"{place}: there is no column 'value'", hint)
    if columns["value"] is None:
        return RawSeries(place, np.empty(0))
    place = Location(place.metric, place.arm, _row_numbers(columns))
    value = as_column(columns["value"], place, "value")
    time = columns.get("time")
    if time is None:
        time = time_index(columns["value"])
    apart = columns.get("apart")
    apart_name, labels = next(iter(apart.items())) if isinstance(apart, Mapping) and apart else ("", None)
    extra = {name: columns.get(name) for name in _BESIDE} | {"time": time, "apart": labels}
    found = {name: as_column(column, place, name) for name, column in extra.items() if column is not None}
    for name, column in found.items():
        if len(column) != len(value):
            raise DataError(
                f"{place}: value has {len(value)} points and {name} has {len(column)}",
                "Give the columns of a series the same length.",
            )
    if place.rows is not None and len(place.rows) != len(value):
        place = Location(place.metric, place.arm)
    return RawSeries(place, value, **found, apart_name=str(apart_name))


def _summed(columns: Mapping[Any, Any], place: Location) -> RawSeries:
    """Take sums over users that a warehouse has added up."""
    sums = columns["sums"]
    if not isinstance(sums, Mapping):
        raise DataError(
            f"{place}: sums is {shown(sums)} where a mapping belongs",
            'Give {"n": 5000, "sums": {"value": 812.0, "value*value": 1904.0}}.',
        )
    found: dict[str, float] = {}
    for name, number in (
        {"n": columns.get("n")} | {str(name): number for name, number in sums.items()}
    ).items():
        if isinstance(number, bool) or not isinstance(number, Real | Decimal) or not math.isfinite(number):
            raise DataError(f"{place}: {name} is {shown(number)} where a number belongs", "Correct it.")
        found[name] = float(number)
    return RawSeries(place, np.empty(0), sums=found)


def _bucketed(columns: Mapping[Any, Any], place: Location) -> RawSeries:
    rows = columns["buckets"]
    if hasattr(rows, "__array__"):
        array = np.asarray(rows)
        whole = array.ndim == 2 and array.dtype.kind in "iuf" and columns.get("edges") is not None
        rows = array.astype(np.float64, copy=False) if whole else list(array)
    unfit = (
        [row for row in rows if not isinstance(row, np.ndarray | list | tuple)]
        if isinstance(rows, list | tuple)
        else [rows] * (not isinstance(rows, np.ndarray))
    )
    if unfit:
        raise DataError(
            f"{place}: buckets has {shown(unfit[0])} where a row of counts belongs",
            "Give a list of rows, an interval each, with a count for each bucket.",
        )
    if columns.get("edges") is not None:
        edges: Column | None = as_column(columns["edges"], place, "edges")
    elif all(isinstance(item, list | tuple | np.ndarray) for row in rows for item in row):
        edges = None
    else:
        raise DataError(
            f"{place}: there are buckets, and no edges",
            "Give the buckets' upper edges as 'edges', or each bucket as [lower edge, upper edge, count].",
        )
    return RawSeries(
        place, np.empty(0), buckets=rows, edges=edges, **_beside(columns, place, "buckets", rows)
    )


def _exponential(columns: Mapping[Any, Any], place: Location) -> RawSeries:
    column = as_column(columns["exponential"], place, "exponential")
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    beside = _beside(columns, place, "exponential", items)
    return RawSeries(place, np.empty(0), buckets=items, exponential=True, **beside)


def _beside(
    columns: Mapping[Any, Any], place: Location, name: str, items: Sequence[Any]
) -> dict[str, Column]:
    """Give the columns that say when and from which replica each histogram is."""
    extra = {other: columns.get(other) for other in ("time", "replica", "counts")}
    found = {other: as_column(column, place, other) for other, column in extra.items() if column is not None}
    for other, column in found.items():
        if len(column) != len(items):
            raise DataError(
                f"{place}: {name} has {len(items)} rows and {other} has {len(column)}",
                "Give a histogram for each interval.",
            )
    return found


def series_columns(data: Any) -> Mapping[Any, Any]:
    """Give a series as columns by their names."""
    if isinstance(data, Mapping):
        return data
    if isinstance(data, Sketch):
        return data.columns()
    frame = None if isinstance(data, list | tuple | range | np.ndarray) else as_frame(data)
    return {"value": data} if frame is None else {str(name): frame[name] for name in frame.columns}


def _row_numbers(columns: Mapping[Any, Any]) -> np.ndarray[Any, Any] | None:
    rows = columns.get("row")
    return rows if isinstance(rows, np.ndarray) and rows.ndim == 1 and rows.dtype.kind in "iu" else None


class ArmMapping:
    """A mapping ``{metric: {arm: series}}``; the plain numbers of all series of metrics of known kinds are read at once, with what is so of each.

    Parameters
    ----------
    data : mapping
        The series.
    kinds : mapping of str to Kind, optional
        The kinds of the metrics that will be read.
    """

    def __init__(self, data: Mapping[Any, Any], kinds: Mapping[str, Kind] | None = None) -> None:
        self.given: dict[str, dict[str, Any]] = {}
        self._kinds, self._known = kinds or {}, dict[tuple[str, str], RawSeries]()
        refuse_columns(data)
        for metric, arms in data.items():
            if not isinstance(arms, Mapping):
                raise DataError(
                    f"metric {str(metric)!r}: {shown(arms)} is not a mapping of arms",
                    "Give a mapping {metric: {arm: series}}; columns of a table go into a frame.",
                )
            if str(metric) in self.given or len(set(map(str, arms))) < len(arms):
                raise DataError(
                    f"metric {str(metric)!r}: it, or an arm of it, stands there twice, as text and as something else",
                    "Leave one out.",
                )
            self.given[str(metric)] = {str(arm): series for arm, series in arms.items()}
        self.metrics = list(self.given)
        self.arms = list(dict.fromkeys(arm for arms in self.given.values() for arm in arms))

    def series(self, metric: str, arm: str) -> RawSeries:
        """Give one arm of one metric; one without points where it does not occur."""
        if self._kinds:
            self._known, self._kinds = _with_facts(self.given, self._kinds), {}
        known = self._known.get((metric, arm))
        return (
            raw_series(self.given.get(metric, {}).get(arm), Location(metric, arm)) if known is None else known
        )


def _with_facts(
    series: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, Kind]
) -> dict[tuple[str, str], RawSeries]:
    """Read series, those that are plain numbers with the facts of each; what is wrong with one is told where it is asked for."""
    found: dict[tuple[str, str], RawSeries] = {}
    clocks: dict[int, Times | None] = {}
    read: dict[bool, list[tuple[RawSeries, list[FloatArray | None], Times | None]]] = {False: [], True: []}
    for metric, arms in series.items():
        kind = kinds.get(metric)
        for arm, data in () if kind is None or kind.has_users or kind.is_paired else arms.items():
            try:
                raw = raw_series(data, Location(metric, arm))
            except DataError:
                continue
            found[metric, arm] = raw
            if (plain := _plain(raw, clocks)) is not None:
                numbers, times = plain
                read[times is not None].append((raw, numbers, times))
    for timed, parts in read.items():
        if not parts:
            continue
        ends = np.cumsum([len(raw.value) for raw, _, _ in parts])
        starts = np.concatenate([[0], ends[:-1]])
        value, total = (
            np.concatenate(
                [
                    np.full(len(raw.value), np.nan) if (own := numbers[which]) is None else own
                    for raw, numbers, _ in parts
                ]
            )
            for which in (0, 1)
        )
        time = (
            np.concatenate([times.seconds for _, _, times in parts if times is not None]) if timed else None
        )
        facts = facts_of(value, total, time, starts, [kinds[raw.place.metric] for raw, _, _ in parts])
        for (raw, numbers, times), fact, start, end in zip(
            parts, facts, starts.tolist(), ends.tolist(), strict=True
        ):
            own_total = None if numbers[1] is None else total[start:end]
            found[raw.place.metric, raw.place.arm] = RawSeries(
                raw.place, value[start:end], own_total, times, facts=fact
            )
    return found


def _plain(
    raw: RawSeries, clocks: dict[int, Times | None]
) -> tuple[list[FloatArray | None], Times | None] | None:
    """Read numbers that need no look at each, and their times, those of one array once; None where there are none, or there is more about them."""
    beside = (raw.replica, raw.le, raw.buckets, raw.apart, raw.user, raw.covariate)
    told = raw.unit or raw.total_by_name or raw.said or raw.increases
    if told or any(column is not None for column in beside) or not 0 < len(raw.value) <= _AT_ONCE:
        return None
    numbers = [None if column is None else floats_at_once(column) for column in (raw.value, raw.total)]
    times = None
    if raw.time is not None:
        if id(raw.time) not in clocks:
            clocks[id(raw.time)] = times_at_once(raw.time)
        times = clocks[id(raw.time)]
    read, given = (*numbers, times), (raw.value, raw.total, raw.time)
    unread = any(own is None and column is not None for own, column in zip(read, given, strict=True))
    return None if unread else (numbers, times)


def refuse_columns(data: Mapping[Any, Any]) -> None:
    """Refuse ``{"time": [...], "arm": [...]}``, and what pandas makes of a table by default, ``{"time": {"0": ..., "1": ...}}``.

    Examples
    --------
    >>> refuse_columns({"cpu": {"canary": [0.5, 0.7]}})
    >>> refuse_columns({"arm": ["canary", "canary"], "cpu": [0.5, 0.7]})
    Traceback (most recent call last):
        ...
    canaryjudge.errors.DataError: the data are columns (arm, cpu) where rows or arms belong. ...
    """
    if not data or not (all(map(_is_list, data.values())) or all(map(_is_numbered, data.values()))):
        return
    names = [str(name) for name in data]
    rest = f" and {len(names) - 8} more" if len(names) > 8 else ""
    raise DataError(
        f"the data are columns ({', '.join(names[:8])}{rest}) where rows or arms belong",
        'Give a list of rows, [{"metric": "cpu", "arm": "canary", "value": 0.5}, ...] (pandas: orient="records"), a frame, or a mapping '
        "{metric: {arm: series}}.",
    )


def _is_list(column: Any) -> bool:
    return isinstance(column, list | tuple)


def _is_numbered(column: Any) -> bool:
    return (
        isinstance(column, Mapping)
        and bool(column)
        and all(str(key) == str(index) for index, key in enumerate(column))
        and not any(isinstance(item, Mapping | list | tuple) for item in column.values())
    )
