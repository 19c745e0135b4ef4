"""Two clean arms -> one pair: side by side on one clock, or each window by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.cleaning import Series
from canaryjudge.data.histograms import coarsened
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.times import iso, mixed_zones
from canaryjudge.errors import DataError
from canaryjudge.policy import Kind, Metric

__all__ = ["align"]

_ENOUGH = 0.5  # share of the shorter arm that must be paired for `auto` to take the arms as concurrent

_STEADY = 0.5  # length of the mean direction of an arm's times from which they have a phase


@dataclass(frozen=True, slots=True)
class _Joined:
    """What is left of both arms on one clock."""

    arms: tuple[Series, Series]
    notes: tuple[Note, ...]
    used: tuple[int, int]
    """How many of each arm's points are in it; several may have become one."""


def align(metric: Metric, baseline: Series, canary: Series) -> MetricPair:
    """Bring two arms together as the metric's `pairing` says.

    Parameters
    ----------
    metric : Metric
        What the policy says of the metric.
    baseline, canary : Series
        The clean arms.

    Returns
    -------
    MetricPair
        Under `concurrent` gauges, ratios, counts and histograms have one point an interval in both arms: gauges the average, the
        others the sum of the interval's points. The histograms of both arms have the same edges.

    Raises
    ------
    DataError
        If `pairing` is `concurrent` and the arms have no times or share no interval, if time zones are mixed, if one arm only has
        totals, or if the arms' histograms have too few edges in common.

    Examples
    --------
    >>> arms = [Series(name, np.ones(3), time=60.0 * np.arange(3) + start) for name, start in (("old", 0), ("new", 60))]
    >>> pair = align(Metric(name="cpu", direction="increase"), *arms)
    >>> pair.pairing, pair.baseline.time.tolist()
    ('concurrent', [60.0, 120.0])
    """
    arms = (baseline, canary)
    _check_comparable(metric, arms)
    arms, merged = _with_equal_buckets(metric, arms)
    interval = _interval(metric, arms)
    pairing, arms, notes = _paired(metric, arms, interval)
    return MetricPair(
        name=metric.name,
        kind=metric.kind,
        baseline=_arm(arms[0]),
        canary=_arm(arms[1]),
        pairing=pairing,
        interval=interval,
        notes=(*baseline.notes, *canary.notes, *merged, *notes, *_final_notes(metric, arms)),
        edges=arms[1].edges if arms[0].edges is None else arms[0].edges,
    )


def _arm(series: Series) -> Arm:
    return Arm(series.value, series.total, series.time, series.buckets)


def _check_comparable(metric: Metric, arms: tuple[Series, Series]) -> None:
    zones = arms[0].zones | arms[1].zones
    if len(zones) > 1:
        where = ", ".join(
            f"arm {arm.arm!r} has {' and '.join(sorted(arm.zones))}" for arm in arms if arm.zones
        )
        raise mixed_zones(f"metric {metric.name!r}: {where}", zones)
    having = [arm.arm for arm in arms if len(arm) and arm.total is not None]
    lacking = [arm.arm for arm in arms if len(arm) and arm.total is None]
    if having and lacking:
        raise DataError(
            f"metric {metric.name!r}, arm {lacking[0]!r}: there are no totals, and the arm {having[0]!r} has them",
            "Give 'total' in both arms, or in neither.",
        )


def _with_equal_buckets(
    metric: Metric, arms: tuple[Series, Series]
) -> tuple[tuple[Series, Series], tuple[Note, ...]]:
    """Merge the buckets of histograms whose edges only one arm has."""
    edges, buckets = (arms[0].edges, arms[1].edges), (arms[0].buckets, arms[1].buckets)
    if edges[0] is None or edges[1] is None or buckets[0] is None or buckets[1] is None:
        return arms, ()
    where = f"metric {metric.name!r}"
    ends = [_end(arm) for arm in arms]
    if ends[0] != ends[1]:
        told = " and ".join(f"those of arm {arm.arm!r} at {end}" for arm, end in zip(arms, ends, strict=True))
        raise DataError(
            f"{where}: the buckets end at different edges, {told}, so the arms' largest observations are not comparable",
            "Give both arms the bucket +Inf.",
        )
    if np.array_equal(edges[0], edges[1]):
        return arms, ()
    common, (first, second), dropped = coarsened((edges[0], edges[1]), (buckets[0], buckets[1]), where)
    notes = tuple(
        Note(code="merged_buckets", arm=arm.arm, count=count)
        for arm, count in zip(arms, dropped, strict=True)
        if count
    )
    return (
        replace(arms[0], buckets=first, edges=common),
        replace(arms[1], buckets=second, edges=common),
    ), notes


def _end(arm: Series) -> str:
    """Give the largest edge that the data had."""
    unseen = [note.facts["edge"] for note in arm.notes if note.code == "no_infinite_bucket"]
    return f"{unseen[0]:g}" if unseen else "+Inf"


def _interval(metric: Metric, arms: tuple[Series, Series]) -> float | None:
    """Give the spacing: the policy's, or the wider of the arms' medians, so that each interval can hold a point of both."""
    if metric.interval is not None or metric.kind == "samples":
        return metric.interval
    medians = []
    for arm in arms:
        steps = np.diff(arm.time) if arm.time is not None else np.empty(0)
        if (steps > 0).any():
            medians.append(float(np.median(steps[steps > 0])))
    return max(medians, default=None)


def _paired(
    metric: Metric, arms: tuple[Series, Series], interval: float | None
) -> tuple[Literal["concurrent", "windows"], tuple[Series, Series], tuple[Note, ...]]:
    if not all(len(arm) for arm in arms):
        return "windows", arms, ()
    untimed = [arm.arm for arm in arms if arm.time is None]
    if untimed:
        if metric.pairing == "concurrent":
            spans = "; ".join(_span(arm) for arm in arms)
            raise DataError(
                f"metric {metric.name!r}: pairing: concurrent needs times in both arms ({spans})",
                "Give the column 'time', or set pairing: windows.",
            )
        return "windows", arms, (Note(code="no_times", arm=untimed[0]),) if len(untimed) == 1 else ()
    if metric.pairing == "windows":
        return "windows", arms, ()
    joined = _join(metric.kind, arms, interval)
    if metric.pairing == "concurrent":
        if not all(joined.used):
            spans = "; ".join(_span(arm) for arm in arms)
            raise DataError(
                f"metric {metric.name!r}: pairing is concurrent and the arms have no time in common ({spans})",
                "Give data of the same time for both arms, or set pairing: windows.",
            )
        return "concurrent", joined.arms, joined.notes
    if min(joined.used) and _share(arms, joined) >= _ENOUGH:
        return "concurrent", joined.arms, joined.notes
    facts: dict[str, float | str] = {}
    for name, arm in zip(("baseline", "canary"), arms, strict=True):
        if arm.time is not None:
            facts |= {f"{name}_start": float(arm.time[0]), f"{name}_end": float(arm.time[-1])}
    return "windows", arms, (Note(code="no_overlap", count=min(joined.used), facts=facts),)


def _share(arms: tuple[Series, Series], joined: _Joined) -> float:
    """Give the share of the shorter arm's points that found a partner."""
    length, used = min((len(arm), used) for arm, used in zip(arms, joined.used, strict=True))
    return used / length


def _span(arm: Series) -> str:
    if arm.time is None:
        return f"{arm.arm!r} has no times"
    return f"{arm.arm!r} from {iso(float(arm.time[0]))} to {iso(float(arm.time[-1]))}"


def _join(kind: Kind, arms: tuple[Series, Series], interval: float | None) -> _Joined:
    times = [_times(arm) for arm in arms]
    half = (interval or 0.0) / 2
    start, end = max(time[0] for time in times), min(time[-1] for time in times)
    inside = [(time >= start - half) & (time <= end + half) for time in times]
    span: dict[str, float | str] = {"overlap_start": float(start), "overlap_end": float(end)}
    notes = [
        Note(code="outside_overlap", arm=arm.arm, count=int((~mask).sum()), facts=span)
        for arm, mask in zip(arms, inside, strict=True)
        if not mask.all()
    ]
    arms = (_cut(arms[0], inside[0]), _cut(arms[1], inside[1]))
    if kind == "samples" or not all(len(arm) for arm in arms):
        used = (len(arms[0]), len(arms[1])) if kind == "samples" else (0, 0)
        return _Joined(arms, tuple(notes), used)
    slots = _slots(_times(arms[0]), _times(arms[1]), interval)
    matched = (_in_sorted(slots[0], slots[1]), _in_sorted(slots[1], slots[0]))
    notes += [
        Note(code="unpaired", arm=arm.arm, count=int((~mask).sum()))
        for arm, mask in zip(arms, matched, strict=True)
        if not mask.all()
    ]
    merged = [
        _merge(kind, _cut(arm, mask), slot[mask])
        for arm, mask, slot in zip(arms, matched, slots, strict=True)
    ]
    return _Joined((merged[0], merged[1]), tuple(notes), (int(matched[0].sum()), int(matched[1].sum())))


def _times(arm: Series) -> FloatArray:
    return np.empty(0) if arm.time is None else arm.time


def _slots(first: FloatArray, second: FloatArray, interval: float | None) -> tuple[FloatArray, FloatArray]:
    """Give every time the number of its interval.

    An arm that keeps a beat is rounded about its own phase, so that scrapes half an interval apart do not flip between two
    neighbors with every jitter; an arm without one (irregular, or several points an interval) takes the other's grid.
    """
    origin = first[0]
    if interval is None:
        return first - origin, second - origin
    beats = [_beat(time - origin, interval) for time in (first, second)]
    phases = [float(np.angle(beat) / (2 * np.pi) * interval) for beat in beats if abs(beat) >= _STEADY]
    start = origin + phases[0] if phases else origin
    lag = _lag(phases[1] - phases[0], interval, second[0] - origin) if len(phases) == 2 else 0.0
    return np.floor((first - start) / interval + 0.5), np.floor((second - start - lag) / interval + 0.5)


def _lag(difference: float, interval: float, head_start: float) -> float:
    """Bring a difference of phases to the nearest neighbor; of two equally near ones the arm that started later is behind."""
    half = interval / 2
    lag = (difference + half) % interval - half
    return float(np.copysign(half, head_start)) if half - abs(lag) < 1e-6 * interval else lag


def _beat(time: FloatArray, interval: float) -> complex:
    """Give the mean of the times as points on a circle of one interval: its angle is their phase, its length how steady it is."""
    return complex(np.exp(2j * np.pi * ((time / interval) % 1)).mean())


def _in_sorted(slots: FloatArray, others: FloatArray) -> NDArray[np.bool_]:
    position = np.minimum(np.searchsorted(others, slots), len(others) - 1)
    return np.asarray(others[position] == slots, dtype=np.bool_)


def _cut(arm: Series, mask: NDArray[np.bool_]) -> Series:
    if mask.all():
        return arm
    total = None if arm.total is None else arm.total[mask]
    buckets = None if arm.buckets is None else arm.buckets[mask]
    return replace(arm, value=arm.value[mask], total=total, time=_times(arm)[mask], buckets=buckets)


def _merge(kind: Kind, arm: Series, slots: FloatArray) -> Series:
    """Make one point of those that lie in one interval."""
    starts = np.flatnonzero(np.diff(slots, prepend=np.nan) != 0)
    if len(starts) == len(slots):
        return arm
    counts = np.diff(np.append(starts, len(slots)))
    value = np.add.reduceat(arm.value, starts)
    time, origin = _times(arm), _times(arm)[0]
    return replace(
        arm,
        value=value / counts if kind == "gauge" else value,
        total=None if arm.total is None else np.add.reduceat(arm.total, starts),
        time=np.add.reduceat(time - origin, starts) / counts + origin,
        buckets=None if arm.buckets is None else np.add.reduceat(arm.buckets, starts, axis=0),
    )


def _final_notes(metric: Metric, arms: tuple[Series, Series]) -> list[Note]:
    notes = []
    lengths = (len(arms[0]), len(arms[1]))
    if all(lengths) and lengths[0] != lengths[1]:
        facts: dict[str, float | str] = {"baseline": lengths[0], "canary": lengths[1]}
        notes.append(Note(code="unequal_lengths", count=abs(lengths[0] - lengths[1]), facts=facts))
    for arm in arms:
        # the values of a histogram are numbers of observations, whose evenness is not odd
        if len(arm) and metric.kind != "histogram":
            notes += _sameness(arm)
        if len(arm) < metric.needed_points:
            needed: dict[str, float | str] = {"needed": metric.needed_points}
            notes.append(Note(code="too_few_points", arm=arm.arm, count=len(arm), facts=needed))
    return notes


def _sameness(arm: Series) -> list[Note]:
    if not arm.value.any():
        return [Note(code="all_zero", arm=arm.arm, count=len(arm))]
    if len(arm) > 1 and (arm.value == arm.value[0]).all():
        facts: dict[str, float | str] = {"value": float(arm.value[0])}
        return [Note(code="constant", arm=arm.arm, count=len(arm), facts=facts)]
    return []
