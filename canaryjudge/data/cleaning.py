"""One arm as given -> finite points in order of time, with a note on everything that was odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_facts import HUGE, ArmFacts
from canaryjudge.data.counters import (
    EARLY,
    FEWEST,
    CounterState,
    check_growing,
    ever_growing,
    increases,
    missed,
    neighbors,
)
from canaryjudge.data.diagnostics import Location
from canaryjudge.data.frames import label_codes, to_exact_floats, to_floats
from canaryjudge.data.histograms import negative_count, read_buckets, replica_codes, uncounted_share
from canaryjudge.data.notes import Note, NoteList
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.requests import read_requests
from canaryjudge.data.series import Series, by_replica
from canaryjudge.data.sources import RawSeries, SeriesSource
from canaryjudge.data.times import Times, iso, median_step, to_times
from canaryjudge.data.units import conversion, scaled
from canaryjudge.data.users import read_users
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.kinds import KINDS, Kind
from canaryjudge.policy import Metric, Query
from canaryjudge.policy.promql import made_up

__all__ = ["as_it_is", "clean", "read_arm", "read_with_facts"]

_ENOUGH, _MOST, _WELL_ABOVE_ONE = 10, 0.8, 10.0
"""So many values, this part of them below 1, of totals like this: no counts of events look like that."""


def read_arm(source: SeriesSource, metric: Metric, arm: str, counters: CounterState | None = None) -> Series:
    """Read one arm of one metric from data of any shape, and clean it; an arm that is not there is empty."""
    return read_with_facts(source, metric, arm, counters)[0]


def read_with_facts(
    source: SeriesSource, metric: Metric, arm: str, counters: CounterState | None = None
) -> tuple[Series, ArmFacts | None]:
    """Read one arm of one metric and clean it, and give what is known of its points beforehand."""
    raw = source.series(metric.name, arm)
    if KINDS[metric.kind].has_users:
        return read_users(raw, metric), None
    if KINDS[metric.kind].is_paired:
        return read_requests(raw, metric), None
    whole = as_it_is(raw, metric)
    return (clean(raw, metric, counters), None) if whole is None else (whole, raw.facts)


def as_it_is(raw: RawSeries, metric: Metric) -> Series | None:
    """Give an arm of which the facts tell that `clean` would leave every point as it is and note at most gaps; None where they do not.

    Examples
    --------
    >>> from canaryjudge.data.arm_facts import facts_of
    >>> metric = Metric(name="cpu", direction="increase")
    >>> value, starts, kinds = np.array([2.0, 1.0, np.nan]), np.array([0, 2]), [KINDS["gauge"]] * 2
    >>> whole, part = facts_of(value, None, None, starts, kinds)
    >>> as_it_is(RawSeries(Location("cpu", "canary"), value[:2], facts=whole), metric).value.tolist()
    [2.0, 1.0]
    >>> as_it_is(RawSeries(Location("cpu", "canary"), value[2:], facts=part), metric)
    """
    facts, kind = raw.facts, KINDS[metric.kind]
    if facts is None or not facts.finite or metric.counter or metric.query is not None or kind.has_buckets:
        return None
    if facts.timed and not (facts.in_time if kind.is_raw else facts.apart):
        return None
    if facts.replica and kind.is_rate and not facts.totals:
        return None  # the reports of replicas are its exposure
    if kind.counts_events:
        if facts.low < 0 or (kind.is_share and (facts.parts or not facts.out_of)):
            return None
        if facts.totals and not facts.positive:
            return None
        growing = facts.size >= FEWEST and (facts.totals_grow if facts.totals else facts.grows)
        if growing and "counter" not in metric.model_fields_set:
            return None
    times, arm = raw.time if facts.timed else None, raw.place.arm
    notes: list[Note] = []
    if times is not None and times.unit is not None:
        notes.append(Note(code="time_unit", arm=arm, count=facts.size, facts={"unit": times.unit}))
    steady = facts.missing >= 0 and metric.interval in (None, facts.step)
    if steady and times is not None and not kind.is_raw:
        notes += _gap_note(arm, facts.missing, facts.step)
    series = Series(
        arm,
        raw.value,
        raw.total if kind.counts_events and facts.totals else None,
        None if times is None else times.seconds,
        frozenset() if times is None else times.zones,
        tuple(notes),
        end=facts.last,
        start=np.inf if times is None else facts.first,
        line=np.arange(facts.size, dtype=np.float64) if times is None else None,
    )
    if facts.replica:
        own = replace(series, arm=facts.replica, zones=frozenset(), notes=(), line=None)
        series = replace(series, replicas=(own,))
    gaps = [] if steady else _gaps(series, metric)
    return replace(series, notes=(*notes, *gaps)) if gaps else series


def clean(raw: RawSeries, metric: Metric, counters: CounterState | None = None) -> Series:
    """Read one arm and leave out what cannot be used.

    Examples
    --------
    >>> raw = RawSeries(Location("cpu", "canary"), np.array([1.0, np.nan, 3.0]))
    >>> series = clean(raw, Metric(name="cpu", direction="increase"))
    >>> series.value.tolist(), series.notes[0].code, series.notes[0].count
    ([1.0, 3.0], 'missing_values', 1)

    Requests that a process has counted since its start:

    >>> raw = RawSeries(Location("requests", "canary"), np.array([70.0, 90.0, 115.0, 15.0]))
    >>> series = clean(raw, Metric(name="requests", kind="count", counter=True, direction="decrease"))
    >>> series.value.tolist(), series.notes[0].code
    ([20.0, 25.0, 15.0], 'counter_resets')
    """
    place = raw.place
    if raw.increases and metric.counter:
        metric = metric.model_copy(update={"counter": False})
    times = None if raw.time is None else to_times(raw.time, place)
    kind = KINDS[metric.kind]
    if kind.has_buckets:
        return _clean_histogram(raw, metric, times, counters)
    if raw.buckets is not None:
        raise DataError(
            f"{place}: the data are buckets, and the metric's kind is {metric.kind}",
            "Set kind: histogram, or give the column 'value'.",
        )
    per_unit, notes = _first_notes(raw, metric)
    value, rest = _values(raw, per_unit, counter=metric.counter)
    replica, names = replica_codes(raw.replica, len(value))
    seconds = None if times is None or np.isnan(times.seconds).all() else times.seconds
    total, of_total = _totals(raw, kind, counter=metric.counter)
    rows = _Rows(place, value, total, seconds, replica, names, NoteList(place.arm, [*notes]))
    rows.rest = _rests(rows, rest, of_total)
    if raw.apart is not None and not names:
        rows.apart, rows.apart_name = label_codes(raw.apart)[0], raw.apart_name
    if metric.query is not None and not metric.counter:
        _note_made_up(rows, metric.query, per_unit)
    if raw.total_by_name and total is not None and len(value):
        rows.note("total_by_name", len(value), column=raw.total_by_name)
    before = CounterState() if counters is None else counters
    start, end = rows.start, rows.end
    known = leave_out_known(rows, before) if metric.counter else np.empty(0)
    _leave_out_unusable(rows, metric)
    rows.sort()
    if times is not None and times.unit is not None and rows.time is not None and len(rows):
        rows.note("time_unit", len(rows), unit=times.unit)
    if rows.time is not None and not kind.is_raw:
        rows.drop_identical()
    reported = kind.is_rate and rows.by_reports
    now: CounterState | None = None
    if metric.counter:
        if counters is None and len(rows) and len(rows) == len(np.unique(rows.replica)):
            rows.note("first_of_counter", len(rows))
        now = difference(rows, metric, before)
    else:
        _note_repeats(rows, kind)
        if (
            kind.counts_events
            and not raw.increases
            and "counter" not in metric.model_fields_set
            and ever_growing(rows.columns, rows.codes)
        ):
            rows.note("looks_like_counter", len(rows))
    if rows.total is not None:
        rows.drop("no_traffic", rows.total == 0)
    zones = frozenset() if times is None or rows.time is None else times.zones
    total = np.ones(len(rows)) if reported and rows.total is None else rows.total
    series = Series(
        place.arm,
        rows.value,
        total,
        rows.time,
        zones,
        reported=reported,
        differenced=metric.counter or raw.increases,
        counters=now,
        end=end,
        start=start,
        known=known,
        line=None if rows.time is not None or metric.counter else rows.line,
        beyond=rows.beyond,
    )
    if names:
        series = replace(series, replicas=by_replica(series, rows.replica, names))
    gaps = [] if metric.counter else _gaps(series, metric)
    return replace(series, notes=(*rows.note.notes, *gaps), unit="" if metric.unit else raw.unit)


def _clean_histogram(
    raw: RawSeries, metric: Metric, times: Times | None, counters: CounterState | None
) -> Series:
    arm = raw.place.arm
    per_unit, notes = _first_notes(raw, metric)
    note = NoteList(arm, [*notes])
    seconds = None if times is None else times.seconds
    given = np.empty(0) if seconds is None else seconds[np.isfinite(seconds)]
    span: dict[str, Any] = {"start": given.min(), "end": given.max()} if len(given) else {}
    before = counters if metric.counter else None
    if before is not None:
        raw, seconds = _unknown(raw, seconds, before)
        span["known"] = given if seconds is None else np.setdiff1d(given, seconds)
    series = read_buckets(raw, seconds, note, per_unit, counter=metric.counter, counters=before)
    if share := uncounted_share(raw, counter=metric.counter):
        note("uncounted", None, share=share)
    if series is None or not len(series):
        if series is not None and counters is None and not note.has("unclear_resets"):
            note("first_of_counter", raw.histograms or len(raw.value))
        now = None if series is None else series.counters
        return Series(arm, np.empty(0), notes=tuple(note.notes), counters=now, **span)
    differenced = metric.counter or raw.increases
    undeclared = not differenced and "counter" not in metric.model_fields_set
    if (
        undeclared
        and series.buckets is not None
        and ever_growing(np.column_stack([series.buckets, series.value]), None)
    ):
        note("looks_like_counter", len(series))
    empty = int((series.value == 0).sum())
    if empty:
        note("no_traffic", empty)
    if empty == len(series):
        return Series(arm, np.empty(0), notes=tuple(note.notes), counters=series.counters, **span)
    series = replace(
        series.part(series.value > 0),
        replicas=tuple(own.part(own.value > 0) for own in series.replicas if own.value.any()),
        differenced=differenced,
    )
    zones: frozenset[str] = frozenset()
    if times is not None and series.time is not None:
        zones = times.zones
        if times.unit is not None and len(series):
            note("time_unit", len(series), unit=times.unit)
    gaps = [] if counters is not None and metric.counter else _gaps(series, metric)
    told = "" if metric.unit else raw.unit
    return replace(series, zones=zones, notes=(*note.notes, *gaps), unit=told, factor=float(per_unit), **span)


def _first_notes(raw: RawSeries, metric: Metric) -> tuple[Fraction, tuple[Note, ...]]:
    """Give the factor to the metric's unit, and what was odd before the points were looked at."""
    per_unit, notes = conversion(raw.unit, metric, raw.place)
    if raw.said:
        notes += (Note(code="source_warning", arm=raw.place.arm, facts={"text": raw.said}),)
    return per_unit, notes


def _note_made_up(rows: _Rows, query: Query, per_unit: Fraction) -> None:
    """Count the points that are what the query answers where nothing is measured; of events, their total must be so, and no traffic at all is none."""
    of_events = rows.total is not None and query.total is not None
    found = made_up(query.texts()["total" if of_events else "value"])
    value = None if found is None else found[1]
    if value is None or (of_events and value == 0):
        return
    points = rows.value if rows.total is None or query.total is None else rows.total
    told = value if of_events else value * float(per_unit)
    count = int(np.equal(points, told).sum())
    if count:
        rows.note("made_up_values", count, value=told)


def _unknown(
    raw: RawSeries, seconds: FloatArray | None, counters: CounterState
) -> tuple[RawSeries, FloatArray | None]:
    """Leave out the rows up to the last one of each replica that was given before."""
    if seconds is None or np.isnan(seconds).all():
        if not (raw.histograms or len(raw.value)):
            return raw, seconds
        raise DataError(
            f"{raw.place}: counters of histograms need times where they come in updates, and there are none",
            "Give the column 'time', or what each interval counted.",
        )
    codes, names = replica_codes(raw.replica, len(seconds))
    new = ~(seconds <= counters.last(names or ("",))[codes])
    return raw.rows(np.flatnonzero(new)), seconds[new]


def _values(raw: RawSeries, per_unit: Fraction, *, counter: bool) -> tuple[FloatArray, FloatArray | None]:
    """Read the values and, of counters, what floats leave out of them: counts are in no unit that they could be converted from."""
    if counter:
        return to_exact_floats(raw.value, raw.place, "value")
    return scaled(to_floats(raw.value, raw.place, "value"), per_unit), None


def _totals(raw: RawSeries, kind: Kind, *, counter: bool) -> tuple[FloatArray | None, FloatArray | None]:
    if not kind.counts_events or raw.total is None:
        return None, None
    read = to_exact_floats if counter else lambda *given: (to_floats(*given), None)
    totals, rest = read(raw.total, raw.place, "total")
    # a table's column that is there for other metrics
    return (None, None) if np.isnan(totals).all() else (totals, rest)


def _rests(rows: _Rows, value: FloatArray | None, total: FloatArray | None) -> FloatArray | None:
    """Put what floats leave out side by side, as the columns are; None where they leave out nothing."""
    if value is None and total is None:
        return None
    nothing = np.zeros(len(rows))
    parts = [value, *([] if rows.total is None else [total])]
    return np.column_stack([nothing if part is None else part for part in parts])


def _leave_out_unusable(rows: _Rows, metric: Metric) -> None:
    rows.drop("missing_values", _any(rows, np.isnan))
    infinite = _any(rows, lambda numbers: np.abs(numbers) > HUGE)
    rows.beyond = rows.places[infinite]
    rows.drop("infinite_values", infinite)
    if KINDS[metric.kind].counts_events:
        _check_counts(rows, metric)
    if rows.time is not None:
        untimed = np.isnan(rows.time)
        if untimed.all() and not metric.counter:
            rows.time = None
        else:
            rows.drop("missing_times", untimed)


def _any(rows: _Rows, test: Callable[[FloatArray], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Mark the points whose value or total passes a test."""
    return test(rows.value) if rows.total is None else test(rows.value) | test(rows.total)


def _check_counts(rows: _Rows, metric: Metric) -> None:
    value, total, place, kind = rows.value, rows.total, rows.place, KINDS[metric.kind]
    if total is None and kind.is_share and len(value):
        raise DataError(
            f"{place}: a ratio needs the column 'total', which is missing or empty",
            "Give the number of requests beside the number of errors, or set kind: gauge if the values are ratios already.",
        )
    for name, numbers in (("value", value), ("total", total)):
        index = _first(numbers < 0) if numbers is not None else None
        if numbers is not None and index is not None:
            wrong = f"{name} is {numbers[index]:g}, and a {kind.name} cannot be negative"
            raise negative_count(place.at(index), wrong, counter=metric.counter)
    if total is None or metric.counter:
        return
    index = _first(value > total) if kind.is_share else _first((value > 0) & (total == 0))
    if index is None and kind.is_share:
        _refuse_shares(value, total, place)
    if index is not None:
        excess = "more errors than requests" if kind.is_share else "events without exposure"
        raise BrokenDataError(
            f"{place.at(index)}: value is {value[index]:g} and total is {total[index]:g}: {excess}",
            "Check that 'value' counts the events and 'total' what they are of, over the same interval.",
        )


def _refuse_shares(value: FloatArray, total: FloatArray, place: Location) -> None:
    """Refuse shares (or rates) where counts of events belong; of counts, extrapolation makes only a few less than 1."""
    some = np.flatnonzero(value)
    shares = some[value[some] < 1]
    if len(some) < _ENOUGH or len(shares) < _MOST * len(some) or np.median(total[some]) < _WELL_ABOVE_ONE:
        return
    raise BrokenDataError(
        f"{place.at(int(shares[0]))}: value is {value[shares[0]]:.3g} of a total of {total[shares[0]]:.6g}, and {len(shares)} of the {len(some)} "
        "values that are not 0 lie between 0 and 1: they look like shares or rates, not like counts of events",
        "Give the number of events of each interval as 'value', or set kind: gauge to judge the shares themselves.",
    )


def _first(mask: NDArray[np.bool_]) -> int | None:
    return int(mask.argmax()) if mask.any() else None


def _note_repeats(rows: _Rows, kind: Kind) -> None:
    """Count the points that share their time with another of their replica; raw samples may."""
    repeats = 0 if kind.is_raw else int(rows.tied().sum())
    if repeats:
        if rows.apart is not None and len(np.unique(rows.apart[rows.tied()])) > 1:
            rows.note("duplicate_times", repeats, column=rows.apart_name)
            return
        rows.note("duplicate_times", repeats)
        if kind.is_averaged:
            rows.note("suggest_samples", repeats)


def _gaps(series: Series, metric: Metric) -> list[Note]:
    """Count the intervals in which no replica has a point; raw samples come when they come and have none."""
    if KINDS[metric.kind].is_raw or series.time is None:
        return []
    interval = metric.interval or median_step([own.time for own in series.replicas or (series,)])
    if interval is None:
        return []
    absent = np.maximum(np.rint(np.diff(series.time) / interval) - 1, 0).sum()
    return _gap_note(series.arm, absent, interval)


def _gap_note(arm: str, absent: float, interval: float) -> list[Note]:
    return [Note(code="gaps", arm=arm, count=int(absent), facts={"interval": interval})] if absent else []


@dataclass(slots=True)
class _Rows:
    """The rows of one arm while they are cleaned: cut down and sorted together."""

    place: Location
    value: FloatArray
    total: FloatArray | None
    time: FloatArray | None
    replica: NDArray[np.intp]
    """Which of `names` each row is of."""
    names: tuple[str, ...]
    """The replicas, sorted; none where the data do not name them."""
    note: NoteList
    apart: NDArray[np.intp] | None = None
    """What may tell replicas apart although nobody said so."""
    apart_name: str = ""
    """The column that it is from."""
    line: FloatArray = field(default_factory=lambda: np.empty(0))
    """The place of each row in line."""
    beyond: FloatArray = field(default_factory=lambda: np.empty(0))
    """The places of reports that are infinite."""
    rest: FloatArray | None = None
    """What the floats of `columns` leave out of counters so large that not every whole number is one; None where they hold them; shape (n, c)."""

    def __post_init__(self) -> None:
        self.line = np.arange(len(self.value), dtype=np.float64)

    @property
    def places(self) -> FloatArray:
        """When each row was, or without times its place in line."""
        return self.line if self.time is None else self.time

    @property
    def start(self) -> float:
        """When the first row was; infinity without times."""
        return np.inf if self.time is None or np.isnan(self.time).all() else float(np.nanmin(self.time))

    @property
    def end(self) -> float:
        """When the last row was."""
        places = self.places
        return float(np.nanmax(places)) if np.isfinite(places).any() else -np.inf

    def __len__(self) -> int:
        return len(self.value)

    @property
    def codes(self) -> NDArray[np.intp] | None:
        """The replica of each point, where there are several."""
        return self.replica if len(self.names) > 1 else None

    @property
    def by_reports(self) -> bool:
        """Whether the points of a count are out of what their replicas reported: they have names, and no totals."""
        return self.total is None and bool(self.names)

    @property
    def columns(self) -> FloatArray:
        """Value, and total where there is one; shape (n, 1) or (n, 2)."""
        return np.column_stack([self.value] if self.total is None else [self.value, self.total])

    def keep(self, chosen: NDArray[Any]) -> None:
        """Keep the points of a mask, or take those of an index in its order."""
        if chosen.dtype == np.bool_ and chosen.all():
            return
        self.value = self.value[chosen]
        self.total = None if self.total is None else self.total[chosen]
        self.time = None if self.time is None else self.time[chosen]
        self.replica = self.replica[chosen]
        self.line = self.line[chosen]
        self.apart = None if self.apart is None else self.apart[chosen]
        self.rest = None if self.rest is None else self.rest[chosen]
        if self.place.rows is not None:
            self.place = replace(self.place, rows=self.place.rows[chosen])

    def drop(self, code: Any, unfit: NDArray[np.bool_]) -> None:
        """Leave points out, and say how many."""
        if unfit.any():
            self.note(code, int(unfit.sum()))
            self.keep(~unfit)

    def sort(self) -> None:
        """Bring the points into order of time, and say how many came before an earlier one of their replica."""
        if self.time is None:
            return
        previous, points = neighbors(len(self), self.codes)
        backward = int((self.time[points] < self.time[previous]).sum())
        if backward:
            self.note("out_of_order", backward)
        if len(self.names) > 1:
            self.keep(np.lexsort((self.replica, self.time)))
        elif backward:
            self.keep(np.argsort(self.time, kind="stable"))

    def tied(self) -> NDArray[np.bool_]:
        """Mark the points that share their time with another of their replica."""
        tied = np.zeros(len(self), dtype=np.bool_)
        if self.time is not None:
            previous, points = neighbors(len(self), self.codes)
            same = self.time[points] == self.time[previous]
            if same.any():
                tied[points[same]] = tied[previous[same]] = True
        return tied

    def drop_identical(self) -> None:
        """Keep once what repeats an earlier point in every column."""
        tied = np.flatnonzero(self.tied())
        if not len(tied):
            return
        columns = (self.replica, self.apart, self.total, self.value, self.time)
        keys = [column[tied] for column in columns if column is not None]
        order = np.lexsort(keys)
        again = np.ones(len(tied), dtype=np.bool_)
        again[0] = False
        for key in keys:
            again[1:] &= key[order][1:] == key[order][:-1]
        marked = np.zeros(len(self), dtype=np.bool_)
        marked[tied[order[again]]] = True
        self.drop("identical_rows", marked)


_LONGEST: Final = 240
"""What a counter grew by over more intervals without a point than this says nothing of each of them, and is left out."""


def leave_out_known(rows: _Rows, counters: CounterState) -> FloatArray:
    """Leave out the points up to the last one of each replica that was given before, and give the times at which nothing is left."""
    if not len(counters) or not len(rows):
        return np.empty(0)
    if np.isnan(rows.value).all():
        rows.drop("missing_values", np.isnan(rows.value))
        return np.empty(0)
    if (rows.time is None) != (counters.time is None):
        found, known = ("no times", "some") if rows.time is None else ("times", "none")
        raise DataError(
            f"{rows.place}: the points have {found}, and those given before have {known}",
            "Give every point of a metric a time, or none of them.",
        )
    if rows.columns.shape[1] != counters.columns.shape[1]:
        raise DataError(
            f"{rows.place}: only some of the updates have totals",
            "Give 'total' in every update, or nowhere.",
        )
    if rows.time is None or counters.time is None:
        return np.empty(0)
    names = rows.names or ("",)
    row, last = counters.rows(names)[rows.replica], counters.last(names)[rows.replica]
    changed = (rows.time == last) & (rows.columns != counters.columns[row]).any(axis=1)
    if rows.rest is not None or counters.rest is not None:
        changed |= (rows.time == last) & (_rest_of(rows) != _rest_of(counters)[row]).any(axis=1)
    changed &= np.isfinite(rows.columns).all(axis=1)
    if changed.any():
        index = int(changed.argmax())
        raise DataError(
            f"{rows.place.at(index)}: the counter of {iso(float(last[index]))} has changed since it was given",
            "Give a point only once it is complete, and the replicas of an arm apart, in the column 'replica'.",
        )
    given = rows.time <= last
    times = rows.time[given]
    rows.keep(~given)
    return np.setdiff1d(times, rows.places)


def difference(rows: _Rows, metric: Metric, counters: CounterState) -> CounterState:
    """Put in place of counters what each replica's grew by from point to point.

    A point that is missing makes the next increase longer. A count without a total is out of the intervals themselves: where replicas are
    named, an increase that spans two of them is the report of two; otherwise it is shared out over them. (The intervals of several
    replicas cannot be filled in later: in a stream, what the others reported in them has been handed out.)
    """
    _check_one_each(rows)
    both, replica = _after(rows, counters)
    found = increases(both.columns, replica, memory=both.memory, rest=both.rest)
    both = replace(both, memory=found.memory)
    check_growing(str(rows.place), found.falls, found.steps)
    for code, count in (
        ("counter_resets", found.resets),
        ("unclear_resets", found.unclear),
        ("lost_members", found.members),
    ):
        if count:
            rows.note(code, count)
    steps = both.steps
    previous, points = neighbors(len(replica), replica)
    skipped = np.zeros(len(points), dtype=np.intp)
    if both.time is not None:
        moves = both.time[points] - both.time[previous]
        skipped, steps = missed(moves, replica[points], both.steps)
        if metric.interval is not None:
            skipped = np.maximum(np.rint(moves / metric.interval) - 1, 0).astype(np.intp)
        if skipped.any():
            rows.note("gaps", int(skipped.sum()))
    clear = np.isin(points, found.points)
    previous, points, skipped = previous[clear], points[clear], skipped[clear]
    rows.keep(points - len(counters))
    rows.value = found.columns[:, 0].copy()
    rows.total = None if rows.total is None else found.columns[:, 1].copy()
    _check_parts(rows, metric)
    if KINDS[metric.kind].is_rate and rows.total is None and both.time is not None:
        short = skipped <= _LONGEST
        rows.keep(short)
        if rows.names:
            rows.total = (skipped[short] + 1).astype(np.float64)
        else:
            _share_out(rows, both.time[previous[short]], skipped[short] + 1)
    return _last(replace(both, steps=steps), replica)


def _check_one_each(rows: _Rows) -> None:
    tied = rows.tied()
    if rows.time is not None and tied.any():
        index = int(tied.argmax())
        named = rows.names[rows.replica[index]] if rows.names else ""
        whose = f"the replica {named!r} has" if named else "a counter has"
        raise BrokenDataError(
            f"{rows.place}: {whose} several values at {iso(float(rows.time[index]))}",
            "Tell the replicas of an arm apart: name the column 'replica'."
            if rows.apart is None
            else f"Tell the replicas of an arm apart: rename {rows.apart_name!r} to 'replica', or give --replica {rows.apart_name}.",
        )


def _after(rows: _Rows, counters: CounterState) -> tuple[CounterState, NDArray[np.intp]]:
    """Put what was carried before the new points: a row each of all of them, and the number of its replica."""
    own = rows.names or ("",)
    names = tuple(sorted({*own, *counters.names}))
    place = {name: index for index, name in enumerate(names)}
    numbers = np.array([place[name] for name in (*counters.names, *own)], dtype=np.intp)
    replica = np.concatenate([numbers[: len(counters)], numbers[len(counters) :][rows.replica]])
    columns, time, rest = rows.columns, rows.time, rows.rest
    steps = np.full((len(names), EARLY), np.nan)
    memory = counters.memory_of(names)
    if len(counters):
        if rest is not None or counters.rest is not None:
            rest = np.concatenate([_rest_of(counters), _rest_of(rows)]) if len(rows) else counters.rest
        columns = np.concatenate([counters.columns, columns]) if len(rows) else counters.columns
        steps[numbers[: len(counters)]] = counters.steps
        time = (
            counters.time if not len(rows) or counters.time is None else np.concatenate([counters.time, time])
        )
    return CounterState(names, columns, time, steps, memory=memory, rest=rest), replica


def _rest_of(points: _Rows | CounterState) -> FloatArray:
    return np.zeros(points.columns.shape) if points.rest is None else points.rest


def _last(points: CounterState, replica: NDArray[np.intp]) -> CounterState:
    """Keep the last point of each replica that has any."""
    last = np.full(len(points.names), -1, dtype=np.intp)
    last[replica] = np.arange(len(replica))
    there = last >= 0
    return CounterState(
        tuple(name for name, known in zip(points.names, there, strict=True) if known),
        points.columns[last[there]],
        None if points.time is None else points.time[last[there]],
        points.steps[there],
        memory=points.memory[there],
        rest=None if points.rest is None else points.rest[last[there]],
    ).bounded()


def _check_parts(rows: _Rows, metric: Metric) -> None:
    if rows.total is None:
        return
    whole = KINDS[metric.kind].is_share
    more = rows.value > rows.total if whole else (rows.value > 0) & (rows.total == 0)
    if more.any():
        index = int(more.argmax())
        when = "" if rows.time is None else f" up to {iso(float(rows.time[index]))}"
        raise BrokenDataError(
            f"{rows.place}: value grew by {rows.value[index]:g} and total by {rows.total[index]:g}{when}",
            "Check that 'value' counts the events and 'total' what they are of, in the same process.",
        )


def _share_out(rows: _Rows, start: FloatArray, parts: NDArray[np.intp]) -> None:
    """Give every interval that an increase spans its part: whole numbers, if the increase is one."""
    if rows.time is None or not (parts > 1).any():
        return
    whole = np.repeat(np.arange(len(parts)), parts)
    value, end, of = rows.value[whole], rows.time[whole], parts[whole]
    part = np.arange(len(whole)) - np.repeat(parts.cumsum() - parts, parts)
    even = value / of
    floors = np.floor(value * (part + 1) / of) - np.floor(value * part / of)
    rows.keep(whole)
    rows.value = np.where(value == np.rint(value), floors, even)
    rows.time = end - (end - start[whole]) * ((of - 1 - part) / of)
