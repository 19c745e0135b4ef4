"""Rows of requests that both versions answered -> pairs, joined by the requests' ids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.agreement import check_arms
from canaryjudge.data.arm_facts import HUGE
from canaryjudge.data.diagnostics import shown
from canaryjudge.data.frames import Column, label_codes, to_floats
from canaryjudge.data.notes import Note, NoteList
from canaryjudge.data.pair import Arm, MetricPair
from canaryjudge.data.sameness import same_in_line
from canaryjudge.data.series import Series
from canaryjudge.data.sources import RawSeries
from canaryjudge.data.times import to_times
from canaryjudge.data.units import conversion, scaled
from canaryjudge.errors import BrokenDataError, DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["align_requests", "ids_of_table", "read_requests"]

_NONE: Final = int(np.iinfo(np.int64).min)
"""Stands for the id of a row that has none, among numbers; among texts it is empty."""
_IDS: Final = "Give each row the id of its request in the column 'request', the same in both arms."


def ids_of_table(column: Column) -> NDArray[np.int64]:
    """Give numbers to the ids of both arms' requests in one column: equal ones alike."""
    if (whole := _whole(column)) is not None:
        return whole
    codes = label_codes(column)[0].astype(np.int64)
    return np.where(codes < 0, _NONE, codes)


def _whole(column: Column) -> NDArray[np.int64] | None:
    """Give ids that are whole numbers; None where they are not, or some are missing."""
    if not isinstance(column, np.ndarray):
        if not column.dtype.is_integer() or column.null_count():
            return None
        column = column.to_numpy()
    return column.astype(np.int64, copy=False) if column.dtype.kind in "iu" else None


def _ids_of_arm(column: Column) -> NDArray[Any]:
    """Give the ids of one arm so that they can be compared with another's: whole numbers as they are, else texts."""
    if (whole := _whole(column)) is not None:
        return whole
    codes, found = label_codes(column)
    return np.array([*map(str, found), ""], dtype=object)[codes]


def read_requests(raw: RawSeries, metric: Metric) -> Series:
    """Read one arm of answers, one a request, in order of time where there are times.

    Examples
    --------
    >>> from canaryjudge.data.diagnostics import Location
    >>> raw = RawSeries(Location("ms", "canary"), np.array([8.0, 9.0, 7.0]), request=np.array([5, 6, 5]))
    >>> series = read_requests(raw, Metric(name="ms", kind="pairs", direction="increase"))
    >>> series.value.tolist(), series.requests.tolist(), series.notes[0].code
    ([8.0, 9.0], [5, 6], 'repeated_requests')
    """
    place, note, kind = raw.place, NoteList(raw.place.arm), KINDS[metric.kind]
    if raw.buckets is not None or raw.le is not None:
        raise DataError(
            f"{place}: the data are buckets, and the metric's kind is {metric.kind}",
            "Give the column 'value'.",
        )
    if raw.request is None and len(raw.value):
        raise BrokenDataError(f"{place}: there is no column 'request', by which pairs are joined", _IDS)
    per_unit, notes = conversion(raw.unit, metric, place)
    note.notes.extend(notes)
    value = scaled(to_floats(raw.value, place, "value"), per_unit)
    ids = np.empty(0, dtype=np.int64) if raw.request is None else _ids_of_arm(raw.request)
    times = None if raw.time is None else to_times(raw.time, place)
    seconds = None if times is None or np.isnan(times.seconds).all() else times.seconds
    unfit = [
        ("missing_requests", ids == (_NONE if ids.dtype.kind == "i" else "")),
        ("missing_values", np.isnan(value)),
        ("infinite_values", np.abs(value) > HUGE),
        *([] if seconds is None else [("missing_times", np.isnan(seconds))]),
    ]
    keep = np.ones(len(value), dtype=np.bool_)
    for code, marked in unfit:
        if count := int((marked & keep).sum()):
            note(code, count)
            keep &= ~marked
    if kind.is_share:
        odd = np.flatnonzero(keep & (value != 0) & (value != 1))
        if len(odd):
            raise BrokenDataError(
                f"{place.at(int(odd[0]))}: the value is {value[odd[0]]:g}, and of one request it is 0 or 1",
                "Give 1 where it happened and 0 where it did not; measured values, such as latencies, are of kind: pairs.",
            )
    chosen = np.flatnonzero(keep)
    if seconds is not None and (np.diff(seconds[chosen]) < 0).any():
        chosen = chosen[np.argsort(seconds[chosen], kind="stable")]
    chosen = _once(ids, chosen, note)
    return Series(
        place.arm,
        value[chosen],
        np.ones(len(chosen)) if kind.is_share else None,
        None if seconds is None else seconds[chosen],
        frozenset() if times is None or seconds is None else times.zones,
        tuple(note.notes),
        unit="" if metric.unit else raw.unit,
        requests=ids[chosen],
    )


def _once(ids: NDArray[Any], chosen: NDArray[np.intp], note: NoteList) -> NDArray[np.intp]:
    """Take the first row of each request."""
    codes = _codes(ids[chosen])
    first = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    kept = first[codes] == np.arange(len(codes))
    if repeated := len(codes) - int(kept.sum()):
        note("repeated_requests", repeated)
    return np.asarray(chosen[kept], dtype=np.intp)


def _codes(*columns: NDArray[Any]) -> NDArray[np.intp]:
    """Give numbers to the ids of columns, those of the next after those of the one before: equal ones alike, and not far above their number."""
    if any(ids.dtype.kind != "i" for ids in columns):
        import pandas as pd  # noqa: PLC0415 - only texts need it

        texts = [ids.astype(str).astype(object) if ids.dtype.kind == "i" else ids for ids in columns]
        return np.asarray(pd.factorize(np.concatenate(texts))[0], dtype=np.intp)
    whole = np.concatenate(columns).astype(np.int64, copy=False)
    if not len(whole):
        return whole.astype(np.intp)
    low, high = int(whole.min()), int(whole.max())
    if high - low <= 4 * len(whole):
        return np.asarray(whole - low, dtype=np.intp)
    return np.asarray(np.unique(whole, return_inverse=True)[1], dtype=np.intp)


def align_requests(metric: Metric, baseline: Series, canary: Series) -> MetricPair:
    """Put the answers to each request side by side, in the order of the baseline's, and count those of one arm alone.

    Examples
    --------
    >>> arms = [Series(name, np.array(values), requests=np.array(ids)) for name, values, ids in (("old", [5.0, 6.0], [1, 2]), ("new", [9.0, 7.0], [3, 1]))]
    >>> pair = align_requests(Metric(name="ms", kind="pairs", direction="increase"), *arms)
    >>> pair.baseline.value.tolist(), pair.canary.value.tolist(), [note.count for note in pair.notes if note.code == "unmatched_requests"]
    ([5.0], [7.0], [1, 1])
    """
    arms, notes = (baseline, canary), [*baseline.notes, *canary.notes]
    check_arms(metric, arms)
    if len(baseline) and len(canary):
        first, second = _matched(metric, baseline, canary)
        for arm, used in ((baseline, first), (canary, second)):
            if alone := len(arm) - len(used):
                facts: dict[str, float | str] = {"part": alone / len(arm)}
                notes.append(Note(code="unmatched_requests", arm=arm.arm, count=alone, facts=facts))
        pair = [_cut(baseline, first), _cut(canary, second)]
        if pair[0].time is None or pair[1].time is None:
            pair = [replace(arm, time=None) for arm in pair]
        if (
            KINDS[metric.kind].is_measured
            and (same := same_in_line(pair[0].value, pair[1].value)) is not None
        ):
            notes.append(same)
    else:
        pair = [_cut(arm, slice(None)) for arm in arms]
    needed = metric.needed_points
    for arm, points in zip(arms, pair, strict=True):
        if len(points) < needed and not any(note.code == "broken" for note in notes):
            notes.append(
                Note(code="too_few_points", arm=arm.arm, count=len(points), facts={"needed": needed})
            )
    return MetricPair(metric.name, metric.kind, pair[0], pair[1], "concurrent", None, tuple(notes))


def _cut(arm: Series, points: NDArray[np.intp] | slice) -> Arm:
    return Arm(arm.value, arm.total, arm.time).part(points)


def _matched(metric: Metric, baseline: Series, canary: Series) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the places of the requests that both arms answered."""
    ids = [
        np.empty(0, dtype=np.int64) if arm.requests is None else arm.requests for arm in (baseline, canary)
    ]
    codes = _codes(*ids)
    mine, theirs = codes[: len(ids[0])], codes[len(ids[0]) :]
    where = np.full(int(codes.max()) + 1, -1, dtype=np.intp)
    where[theirs] = np.arange(len(theirs))
    at: NDArray[np.intp] = where[mine]
    first = np.flatnonzero(at >= 0)
    if not len(first):
        raise BrokenDataError(
            f"metric {metric.name!r}: no request is in both arms; {baseline.arm!r} begins with {shown(ids[0][0])} and {canary.arm!r} with {shown(ids[1][0])}",
            _IDS,
        )
    return first, at[first]
