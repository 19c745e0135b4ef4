"""One arm as given -> finite points in order of time, with a note on everything that was odd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.beats import median_step
from canaryjudge.data.carried import Carried
from canaryjudge.data.columns import to_floats
from canaryjudge.data.differencing import difference, ever_growing, leave_out_known
from canaryjudge.data.drafts import Draft
from canaryjudge.data.frames import label_codes
from canaryjudge.data.histogram_grid import negative_count, replica_codes
from canaryjudge.data.histograms import Counted, read_buckets
from canaryjudge.data.measured import conversion, scaled
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.places import Place
from canaryjudge.data.raw import RawSeries
from canaryjudge.data.replicas import by_replica
from canaryjudge.data.series import Series
from canaryjudge.data.times import Times, to_times
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS, Kind
from canaryjudge.policy import Metric

__all__ = ["Series", "clean"]

_ENOUGH, _MOST, _WELL_ABOVE_ONE = 10, 0.8, 10.0
"""So many values, this part of them below 1, of totals like this: no counts of events look like that."""
_HUGE = 1e150  # larger numbers stand for "none" (the largest double) and have no finite square


def clean(raw: RawSeries, metric: Metric, carried: Carried | None = None) -> Series:
    """Read one arm and leave out what cannot be used.

    Parameters
    ----------
    raw : RawSeries
        The columns.
    metric : Metric
        What the policy says of the metric. Its counters are differenced, each replica's by itself.
    carried : Carried, optional
        Of counters in a stream: the last points of the updates before, from which these go on. What comes again is left out.

    Returns
    -------
    Series
        Finite, in order of time, each oddity noted with its count; the points of replicas side by side.

    Raises
    ------
    DataError
        If a value is no number, counters fall again and again, a time cannot be read, the unit is another than the metric's, or the numbers cannot be what the kind says: a negative count, more errors than
        requests, a ratio without a total, a histogram without buckets, a counter with two values at one time.

    Examples
    --------
    >>> raw = RawSeries(Place("cpu", "canary"), np.array([1.0, np.nan, 3.0]))
    >>> series = clean(raw, Metric(name="cpu", direction="increase"))
    >>> series.value.tolist(), series.notes[0].code, series.notes[0].count
    ([1.0, 3.0], 'missing_values', 1)

    Requests that a process has counted since its start:

    >>> raw = RawSeries(Place("requests", "canary"), np.array([70.0, 90.0, 115.0, 15.0]))
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
        return _clean_histogram(raw, metric, times, carried)
    if raw.buckets is not None:
        raise DataError(
            f"{place}: the data are buckets, and the metric's kind is {metric.kind}",
            "Set kind: histogram, or give the column 'value'.",
        )
    per_unit, notes = conversion(raw.unit, metric, place)
    value = scaled(to_floats(raw.value, place, "value"), per_unit)
    replica, names = replica_codes(raw.replica, len(value))
    seconds = None if times is None or np.isnan(times.seconds).all() else times.seconds
    total = _totals(raw, kind)
    draft = Draft(place, value, total, seconds, replica, names, [*notes])
    if raw.apart is not None and not names:
        draft.apart, draft.apart_name = label_codes(raw.apart)[0], raw.apart_name
    if raw.total_by_name and total is not None and len(value):
        draft.note("total_by_name", len(value), column=raw.total_by_name)
    before = Carried() if carried is None else carried
    if metric.counter:
        leave_out_known(draft, before)
    _leave_out_unusable(draft, metric)
    draft.sort()
    if times is not None and times.unit is not None and draft.time is not None and len(draft):
        draft.note("time_unit", len(draft), unit=times.unit)
    if draft.time is not None and not kind.is_raw:
        draft.drop_identical()
    reported = kind.is_rate and draft.by_reports
    now: Carried | None = None
    if metric.counter:
        if carried is None and len(draft) and len(draft) == len(np.unique(draft.replica)):
            draft.note("first_of_counter", len(draft))
        now = difference(draft, metric, before)
    else:
        _note_repeats(draft, kind)
        if (
            kind.counts_events
            and not raw.increases
            and "counter" not in metric.model_fields_set
            and ever_growing(draft.columns, draft.codes)
        ):
            draft.note("looks_like_counter", len(draft))
    if draft.total is not None:
        draft.drop("no_traffic", draft.total == 0)
    zones = frozenset() if times is None or draft.time is None else times.zones
    total = np.ones(len(draft)) if reported and draft.total is None else draft.total
    series = Series(
        place.arm,
        draft.value,
        total,
        draft.time,
        zones,
        reported=reported,
        differenced=metric.counter or raw.increases,
        carried=now,
    )
    if names:
        series = replace(series, replicas=by_replica(series, draft.replica, names))
    gaps = [] if metric.counter else _gaps(series, metric)
    return replace(series, notes=(*draft.notes, *gaps), unit="" if metric.unit else raw.unit)


def _clean_histogram(raw: RawSeries, metric: Metric, times: Times | None, carried: Carried | None) -> Series:
    nothing, place = np.empty(0, dtype=np.intp), Place(raw.place.metric, raw.place.arm)
    per_unit, notes = conversion(raw.unit, metric, raw.place)
    draft = Draft(place, np.empty(0), None, None, nothing, notes=[*notes])
    seconds = None if times is None else times.seconds
    before = carried if metric.counter else None
    if before is not None:
        raw, seconds = _unknown(raw, seconds, before)
    counted = read_buckets(raw, seconds, draft.note, per_unit, counter=metric.counter, carried=before)
    if counted is None or not len(counted.buckets):
        now = None if counted is None else counted.carried
        if counted is not None and carried is None and not draft.noted("unclear_resets"):
            draft.note("first_of_counter", raw.histograms or len(raw.value))
        return Series(raw.place.arm, np.empty(0), notes=tuple(draft.notes), carried=now)
    series = _counts(raw.place.arm, counted)
    columns = np.column_stack([counted.buckets, series.value])
    differenced = metric.counter or raw.increases
    if not differenced and "counter" not in metric.model_fields_set and ever_growing(columns, None):
        draft.note("looks_like_counter", len(series))
    empty = int((series.value == 0).sum())
    if empty:
        draft.note("no_traffic", empty)
    if empty == len(series):
        return Series(raw.place.arm, np.empty(0), notes=tuple(draft.notes), carried=counted.carried)
    replicas = tuple(_counts(own.name, own) for own in counted.replicas)
    series = replace(
        series.part(series.value > 0),
        replicas=tuple(own.part(own.value > 0) for own in replicas if own.value.any()),
        differenced=differenced,
        carried=counted.carried,
    )
    zones: frozenset[str] = frozenset()
    if times is not None and series.time is not None:
        zones = times.zones
        if times.unit is not None and len(series):
            draft.note("time_unit", len(series), unit=times.unit)
    gaps = [] if carried is not None and metric.counter else _gaps(series, metric)
    told = "" if metric.unit else raw.unit
    return replace(series, zones=zones, notes=(*draft.notes, *gaps), unit=told, factor=float(per_unit))


def _unknown(
    raw: RawSeries, seconds: FloatArray | None, carried: Carried
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
    new = ~(seconds <= carried.last(names or ("",))[codes])
    return raw.rows(np.flatnonzero(new)), seconds[new]


def _counts(name: str, counted: Counted) -> Series:
    return Series(
        name, counted.buckets.sum(axis=1), time=counted.time, buckets=counted.buckets, edges=counted.edges
    )


def _totals(raw: RawSeries, kind: Kind) -> FloatArray | None:
    if not kind.counts_events or raw.total is None:
        return None
    totals = to_floats(raw.total, raw.place, "total")
    return None if np.isnan(totals).all() else totals  # a table's column that is there for other metrics


def _leave_out_unusable(draft: Draft, metric: Metric) -> None:
    draft.drop("missing_values", _any(draft, np.isnan))
    draft.drop("infinite_values", _any(draft, lambda numbers: np.abs(numbers) > _HUGE))
    if KINDS[metric.kind].counts_events:
        _check_counts(draft, metric)
    if draft.time is not None:
        untimed = np.isnan(draft.time)
        if untimed.all() and not metric.counter:
            draft.time = None
        else:
            draft.drop("missing_times", untimed)


def _any(draft: Draft, test: Callable[[FloatArray], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Mark the points whose value or total passes a test."""
    return test(draft.value) if draft.total is None else test(draft.value) | test(draft.total)


def _check_counts(draft: Draft, metric: Metric) -> None:
    value, total, place, kind = draft.value, draft.total, draft.place, KINDS[metric.kind]
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
        raise DataError(
            f"{place.at(index)}: value is {value[index]:g} and total is {total[index]:g}: {excess}",
            "Check that 'value' counts the events and 'total' what they are of, over the same interval.",
        )


def _refuse_shares(value: FloatArray, total: FloatArray, place: Place) -> None:
    """Refuse shares (or rates) where counts of events belong; of counts, extrapolation makes only a few less than 1."""
    some = np.flatnonzero(value)
    shares = some[value[some] < 1]
    if len(some) < _ENOUGH or len(shares) < _MOST * len(some) or np.median(total[some]) < _WELL_ABOVE_ONE:
        return
    raise DataError(
        f"{place.at(int(shares[0]))}: value is {value[shares[0]]:.3g} of a total of {total[shares[0]]:.6g}, and {len(shares)} of the {len(some)} "
        "values that are not 0 lie between 0 and 1: they look like shares or rates, not like counts of events",
        "Give the number of events of each interval as 'value', or set kind: gauge to judge the shares themselves.",
    )


def _first(mask: NDArray[np.bool_]) -> int | None:
    return int(mask.argmax()) if mask.any() else None


def _note_repeats(draft: Draft, kind: Kind) -> None:
    """Count the points that share their time with another of their replica; raw samples may."""
    repeats = 0 if kind.is_raw else int(draft.tied().sum())
    if repeats:
        if draft.apart is not None and len(np.unique(draft.apart[draft.tied()])) > 1:
            draft.note("duplicate_times", repeats, column=draft.apart_name)
            return
        draft.note("duplicate_times", repeats)
        if kind.is_averaged:
            draft.note("suggest_samples", repeats)


def _gaps(series: Series, metric: Metric) -> list[Note]:
    """Count the intervals in which no replica has a point; raw samples come when they come and have none."""
    if KINDS[metric.kind].is_raw or series.time is None:
        return []
    interval = metric.interval or median_step([own.time for own in series.replicas or (series,)])
    if interval is None:
        return []
    absent = np.maximum(np.rint(np.diff(series.time) / interval) - 1, 0).sum()
    return (
        [Note(code="gaps", arm=series.arm, count=int(absent), facts={"interval": interval})] if absent else []
    )
