"""Two clean arms -> one pair: side by side on one clock, or each window by itself."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.agreement import check_arms, no_times
from canaryjudge.data.arm_facts import ArmFacts
from canaryjudge.data.buckets import coarsened, regrouped
from canaryjudge.data.notes import Note, NoteCode
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.requests import align_requests
from canaryjudge.data.sameness import Sample, same_in_line, same_points, signatures, some_in_common
from canaryjudge.data.series import Series, merged, pooled, with_reports
from canaryjudge.data.silence import Presence, never_silent, replica_silences, silences
from canaryjudge.data.times import common_slots, iso, median_step
from canaryjudge.data.units import scaled
from canaryjudge.data.users import align_users
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS, Kind
from canaryjudge.policy import Metric
from canaryjudge.quantities import factor, measures
from canaryjudge.stats.ties import above

__all__ = [
    "UNITS_APART",
    "align",
    "lifelong",
    "may_be_count",
    "no_overlap",
    "partners",
    "same_arms",
    "too_few_points",
    "units_apart",
    "warmup_notes",
    "warmup_without_times",
]

_ENOUGH = 0.5  # share of the shorter arm that must be paired for `auto` to take the arms as concurrent


@dataclass(frozen=True, slots=True)
class _Joined:
    """What is left of both arms on one clock."""

    arms: tuple[Series, Series]
    notes: tuple[Note, ...]
    used: tuple[int, int]
    """How many of each arm's points are in it; several may have become one."""


def align(
    metric: Metric,
    baseline: Series,
    canary: Series,
    *,
    facts: tuple[ArmFacts, ArmFacts] | None = None,
    ends: tuple[float, float] | None = None,
    forget: bool = False,
) -> MetricPair:
    """Bring two arms together as the metric's `pairing` says; `facts` of both, where they are known, spare the rules about what is odd their look, and the series that arms are pooled of are forgotten where they are no replicas.

    Examples
    --------
    >>> arms = [Series(name, np.ones(3), time=60.0 * np.arange(3) + start) for name, start in (("old", 0), ("new", 60))]
    >>> pair = align(Metric(name="cpu", direction="increase"), *arms)
    >>> pair.pairing, pair.baseline.time.tolist()
    ('concurrent', [60.0, 120.0])
    """
    if KINDS[metric.kind].has_users:
        return align_users(metric, baseline, canary)
    if KINDS[metric.kind].is_paired:
        return align_requests(metric, baseline, canary)
    if facts is not None:  # neither arm has two replicas
        baseline, canary = _forgotten(baseline), _forgotten(canary)
    arms, coarser = _comparable(metric, (baseline, canary), known=facts is not None)
    if forget:
        arms = _forgotten(arms[0]), _forgotten(arms[1])
    interval = _interval(metric, arms, facts)
    pooled_arms = arms
    pairing, arms, notes = _paired(metric, arms, interval, facts)
    concurrent, ends = pairing == "concurrent", ends or (arms[0].end, arms[1].end)
    if facts is None or not never_silent(
        KINDS[metric.kind], facts, interval, concurrent=concurrent, ends=ends
    ):
        quiet = _silent(metric, pooled_arms, interval, concurrent=concurrent, ends=ends)
    else:
        quiet = []
    arms, warmup = _after_warmup(metric, arms, _times(canary)[:1], concurrent=concurrent)
    if concurrent and (arms[0].replicas or arms[1].replicas) and all(map(len, arms)):
        arms = _with_replicas_cut(arms, interval)
    return MetricPair(
        name=metric.name,
        kind=metric.kind,
        baseline=_arm(arms[0]),
        canary=_arm(arms[1]),
        pairing=pairing,
        interval=interval,
        notes=(
            *baseline.notes,
            *canary.notes,
            *coarser,
            *notes,
            *warmup,
            *quiet,
            *(note for arm in arms for note in replica_silences(metric, arm, interval)),
            *same_arms(arms, (baseline, canary)),
            *_final_notes(metric, arms, broken=any(note.code == "broken" for note in baseline.notes)),
            *misreadings(metric, arms, facts, whole=arms[0] is baseline and arms[1] is canary),
        ),
        edges=arms[1].edges if arms[0].edges is None else arms[0].edges,
        reported=any(arm.reported for arm in arms),
        differenced=baseline.differenced or canary.differenced,
    )


def _arm(series: Series) -> Arm:
    replicas = tuple(map(_arm, series.replicas)) if series.replicas else ()
    return Arm(series.value, series.total, series.time, series.buckets, replicas)


def _comparable(
    metric: Metric, arms: tuple[Series, Series], *, known: bool
) -> tuple[tuple[Series, Series], tuple[Note, ...]]:
    """Bring both arms to one form, or refuse them; those that are known have neither replicas nor buckets, and no unit."""
    if known:
        if arms[0].zones != arms[1].zones or (arms[0].total is None) != (arms[1].total is None):
            check_arms(metric, arms)
        return arms, ()
    arms = _pooled(metric, arms)
    check_arms(metric, arms)
    return _with_equal_buckets(metric, arms)


def _pooled(metric: Metric, arms: tuple[Series, Series]) -> tuple[Series, Series]:
    """Pool the replicas of each arm, and forget them where no arm has two."""
    if all(len(arm.replicas) < 2 for arm in arms):
        arms = _forgotten(arms[0]), _forgotten(arms[1])
        if all(arm.total is None or not arm.reported or (arm.total == 1).all() for arm in arms):
            return _without_reports(arms[0]), _without_reports(arms[1])
    return with_reports((pooled(arms[0], KINDS[metric.kind]), pooled(arms[1], KINDS[metric.kind])))


def _forgotten(arm: Series) -> Series:
    """Forget the replicas of an arm."""
    return replace(arm, replicas=()) if arm.replicas else arm


def _without_reports(arm: Series) -> Series:
    """Take each point for an interval like any other."""
    return replace(arm, total=None, reported=False) if arm.reported else arm


def _with_equal_buckets(
    metric: Metric, arms: tuple[Series, Series]
) -> tuple[tuple[Series, Series], tuple[Note, ...]]:
    """Merge the buckets of histograms whose edges only one arm has."""
    edges, buckets = (arms[0].edges, arms[1].edges), (arms[0].buckets, arms[1].buckets)
    if edges[0] is None or edges[1] is None or buckets[0] is None or buckets[1] is None:
        return arms, ()
    if np.array_equal(edges[0], edges[1]) and edges[0][0] > 0:
        return arms, ()
    common, (first, second), dropped = coarsened(
        (edges[0], edges[1]), (buckets[0], buckets[1]), f"metric {metric.name!r}"
    )
    notes = tuple(
        Note(code="merged_buckets", arm=arm.arm, count=count)
        for arm, count in zip(arms, dropped, strict=True)
        if count
    )
    return (_regrouped(arms[0], first, common), _regrouped(arms[1], second, common)), notes


def _regrouped(arm: Series, buckets: FloatArray, edges: FloatArray) -> Series:
    """Take over other edges, for the replicas too."""
    replicas = tuple(
        own
        if own.edges is None or own.buckets is None
        else _regrouped(own, regrouped(own.edges, own.buckets, edges), edges)
        for own in arm.replicas
    )
    return replace(arm, buckets=buckets, edges=edges, replicas=replicas)


def _interval(
    metric: Metric, arms: tuple[Series, Series], facts: tuple[ArmFacts, ArmFacts] | None
) -> float | None:
    """Give the spacing: the policy's, or the wider of the arms' medians, so that each interval can hold a point of both."""
    if metric.interval is not None or KINDS[metric.kind].is_raw:
        return metric.interval
    if facts is not None and facts[0].timed and facts[0].step == facts[1].step:
        return facts[0].step
    known = [each.step if each.timed else math.nan for each in facts] if facts else [math.nan] * 2
    medians = [
        median_step([arm.time]) if math.isnan(step) else step for arm, step in zip(arms, known, strict=True)
    ]
    return max((median for median in medians if median is not None), default=None)


def _paired(
    metric: Metric,
    arms: tuple[Series, Series],
    interval: float | None,
    facts: tuple[ArmFacts, ArmFacts] | None,
) -> tuple[Literal["concurrent", "windows"], tuple[Series, Series], tuple[Note, ...]]:
    if not all(len(arm) for arm in arms):
        return "windows", arms, ()
    untimed = [arm.arm for arm in arms if arm.time is None]
    if metric.pairing == "before_after":
        _check_before_after(metric, arms, untimed)
        return "windows", arms, ()
    if untimed:
        if metric.pairing == "concurrent":
            spans = "; ".join(_span(arm) for arm in arms)
            raise no_times(f"metric {metric.name!r}", f" ({spans})")
        return "windows", arms, (Note(code="no_times", arm=untimed[0]),) if len(untimed) == 1 else ()
    if metric.pairing == "windows":
        return "windows", arms, ()
    even = facts is not None and facts[0].shortest == facts[0].longest == interval
    joined = _join(KINDS[metric.kind], arms, interval, even=even)
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
    ends = [(float(time[0]), float(time[-1])) for time in map(_times, arms)]
    return "windows", arms, (no_overlap(ends, min(joined.used)),)


def _check_before_after(metric: Metric, arms: tuple[Series, Series], untimed: list[str]) -> None:
    """Refuse arms of which one is not before the other."""
    if untimed:
        raise DataError(
            f"metric {metric.name!r}: pairing: before_after needs times, and {untimed[0]!r} has none",
            "Give the column 'time': what the service did on earlier days is looked up by the clock.",
        )
    if _times(arms[1])[0] <= _times(arms[0])[-1]:
        spans = "; ".join(map(_span, arms))
        raise DataError(
            f"metric {metric.name!r}: pairing is before_after, and the canary's points do not all lie after the baseline's ({spans})",
            "Give the window before the switch as the baseline and the one after it as the canary; arms that run side by side are pairing: concurrent.",
        )


def same_arms(arms: tuple[Series, Series], given: tuple[Series, Series]) -> list[Note]:
    """Note that both arms are the same points: each beside its partner, or any of their replicas."""
    if not all(map(len, arms)):
        return []
    first, second = _signatures(arms)
    note = same_in_line(first, second)
    if note is None:
        if arms[0] is not given[0] or arms[1] is not given[1]:
            first, second = _signatures(given)
        if some_in_common(first, second):
            note = same_points((Sample.of(given[0]), Sample.of(given[1])))
    return [] if note is None else [note]


def _signatures(arms: tuple[Series, Series]) -> tuple[FloatArray, FloatArray]:
    first, second = arms
    return signatures(first.value, first.total, first.buckets), signatures(
        second.value, second.total, second.buckets
    )


def _silent(
    metric: Metric,
    arms: tuple[Series, Series],
    interval: float | None,
    *,
    concurrent: bool,
    ends: tuple[float, float],
) -> list[Note]:
    """Note which arm fell silent, or that both did."""
    kind = KINDS[metric.kind]
    if not all(map(len, arms)) or (concurrent and _on_the_beat(kind, arms, interval, ends)):
        return []
    if kind.is_raw and all(
        arm.time is None and not len(arm.beyond) and end < len(arm)
        for arm, end in zip(arms, ends, strict=True)
    ):
        return []  # each row in line is there, and nothing else tells when it came
    first, second = (Presence.of(arm, kind) for arm in arms)
    names = arms[0].arm, arms[1].arm
    timed = all(arm.time is not None for arm in arms)
    interval = interval if timed else None
    return silences(metric, (first, second), names, interval, concurrent=concurrent, ends=ends, timed=timed)


def _on_the_beat(
    kind: Kind, arms: tuple[Series, Series], interval: float | None, ends: tuple[float, float]
) -> bool:
    """Tell at a glance that both arms report all the time, as most do."""
    if kind.is_raw or kind.is_rate or interval is None:
        return False
    times = [_times(arm) for arm in arms]
    steps = [float(np.diff(time).max(initial=0.0)) for time in times]
    lasts = [float(time[-1]) for time in times]
    if max(*steps, max(*lasts, *ends) - min(lasts)) > 2.4 * interval:
        return False
    return not kind.is_averaged or all(bool((np.diff(arm.value) != 0).all()) for arm in arms)


def no_overlap(spans: Sequence[tuple[float, float]], paired: int) -> Note:
    """Note that windows are compared, because the times of the arms, from first to last of each, do not meet."""
    facts: dict[str, float | str] = {}
    for name, (first, last) in zip(("baseline", "canary"), spans, strict=True):
        facts |= {f"{name}_start": first, f"{name}_end": last}
    return Note(code="no_overlap", count=paired, facts=facts)


def partners(
    baseline: FloatArray, canary: FloatArray, *, one_each: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the points whose interval the other arm has too, by the ascending numbers of their intervals; with `one_each`, the k-th of an interval is paired with the k-th.

    Examples
    --------
    >>> first, second = partners(np.array([1.0, 1.0, 2.0]), np.array([1.0, 3.0]), one_each=True)
    >>> first.tolist(), second.tolist()
    ([True, False, False], [True, False])
    """
    return _partnered(baseline, canary, one_each=one_each), _partnered(canary, baseline, one_each=one_each)


def _partnered(mine: FloatArray, theirs: FloatArray, *, one_each: bool) -> NDArray[np.bool_]:
    if one_each:
        rank = np.arange(len(mine)) - mine.searchsorted(mine)
        return np.asarray(rank < theirs.searchsorted(mine, "right") - theirs.searchsorted(mine))
    if not len(theirs):
        return np.zeros(len(mine), dtype=np.bool_)
    return np.asarray(theirs[np.minimum(theirs.searchsorted(mine), len(theirs) - 1)] == mine)


def _share(arms: tuple[Series, Series], joined: _Joined) -> float:
    """Give the share of the shorter arm's points that found a partner."""
    length, used = min((len(arms[0]), joined.used[0]), (len(arms[1]), joined.used[1]))
    return used / length


def _span(arm: Series) -> str:
    if arm.time is None:
        return f"{arm.arm!r} has no times"
    return f"{arm.arm!r} from {iso(float(arm.time[0]))} to {iso(float(arm.time[-1]))}"


def _join(kind: Kind, arms: tuple[Series, Series], interval: float | None, *, even: bool) -> _Joined:
    """Leave what both arms have; `even` says that the baseline's points are an interval apart, each from the next."""
    times = [_times(arm) for arm in arms]
    same = not kind.is_raw and np.array_equal(times[0], times[1])
    if same and (even or _differ(common_slots(times[:1], interval)[0][0])):
        return _Joined(arms, (), (len(times[0]), len(times[1])))
    half = (interval or 0.0) / 2
    start, end = max(time[0] for time in times), min(time[-1] for time in times)
    span: dict[str, float | str] = {"overlap_start": float(start), "overlap_end": float(end)}
    notes: list[Note] = []
    first, second = arms
    if times[0][0] < start - half or times[0][-1] > end + half:
        first = _within(first, start - half, end + half, span, notes)
    if times[1][0] < start - half or times[1][-1] > end + half:
        second = _within(second, start - half, end + half, span, notes)
    if kind.is_raw or not len(first) or not len(second):
        used = (len(first), len(second)) if kind.is_raw else (0, 0)
        return _Joined((first, second), tuple(notes), used)
    slots, _ = common_slots([_times(first), _times(second)], interval)
    matched = partners(slots[0], slots[1], one_each=False)
    joined, used_points = [], []
    for arm, mask, slot in zip((first, second), matched, slots, strict=True):
        used_points.append(int(np.count_nonzero(mask)))
        if used_points[-1] < len(mask):
            notes.append(Note(code="unpaired", arm=arm.arm, count=len(mask) - used_points[-1]))
            joined.append(merged(kind, arm.part(mask), slot[mask]))
        else:
            joined.append(merged(kind, arm, slot))
    return _Joined((joined[0], joined[1]), tuple(notes), (used_points[0], used_points[1]))


def _differ(slots: FloatArray) -> bool:
    """Tell whether no two points are in one interval."""
    return bool((slots[1:] != slots[:-1]).all())


def _within(arm: Series, start: float, end: float, span: dict[str, float | str], notes: list[Note]) -> Series:
    """Leave out what is not in the time that both arms cover, and say so."""
    mask = (_times(arm) >= start) & (_times(arm) <= end)
    notes.append(Note(code="outside_overlap", arm=arm.arm, count=int((~mask).sum()), facts=span))
    return arm.part(mask)


def _times(arm: Series) -> FloatArray:
    return np.empty(0) if arm.time is None else arm.time


def _cut(arm: Series, mask: NDArray[np.bool_]) -> Series:
    return arm if mask.all() else arm.part(mask)


def _after_warmup(
    metric: Metric, arms: tuple[Series, Series], first: FloatArray, *, concurrent: bool
) -> tuple[tuple[Series, Series], tuple[Note, ...]]:
    """Leave the warm-up out: of the canary, and on one clock of the baseline too."""
    if metric.warmup is None or not len(arms[1]):
        return arms, ()
    if not len(first):
        raise warmup_without_times(metric)
    start = float(first[0]) + metric.warmup
    left = _since(arms[0], start) if concurrent else arms[0], _since(arms[1], start)
    return left, warmup_notes(arms, left, [arm.arm for arm in arms])


def _since(arm: Series, start: float) -> Series:
    replicas = tuple(_since(own, start) for own in arm.replicas)
    return replace(_cut(arm, _times(arm) >= start), replicas=replicas)


def warmup_without_times(metric: Metric) -> DataError:
    """Complain of a warm-up that nothing can be left out for."""
    return DataError(
        f"metric {metric.name!r}: the policy's warmup needs times, and the data have none",
        "Give each point its time, or leave warmup out.",
    )


def warmup_notes(before: Sequence[Sized], after: Sequence[Sized], names: Sequence[str]) -> tuple[Note, ...]:
    """Say how much of each arm lies in the warm-up."""
    counted = zip(names, before, after, strict=True)
    return tuple(
        Note(code="warmup", arm=name, count=len(whole) - len(rest))
        for name, whole, rest in counted
        if len(whole) > len(rest)
    )


def _with_replicas_cut(arms: tuple[Series, Series], interval: float | None) -> tuple[Series, Series]:
    """Cut the replicas to the time that both arms cover."""
    times, half = [_times(arm) for arm in arms], (interval or 0.0) / 2
    start, end = max(time[0] for time in times) - half, min(time[-1] for time in times) + half
    found = []
    for arm in arms:
        inside = [(_times(own) >= start) & (_times(own) <= end) for own in arm.replicas]
        replicas = [_cut(own, mask) for own, mask in zip(arm.replicas, inside, strict=True) if mask.any()]
        found.append(replace(arm, replicas=tuple(replicas)) if replicas else arm)
    return found[0], found[1]


def _final_notes(metric: Metric, arms: tuple[Series, Series], *, broken: bool) -> list[Note]:
    notes = []
    lengths = (len(arms[0]), len(arms[1]))
    if lengths[0] != lengths[1] and all(lengths):
        facts: dict[str, float | str] = {"baseline": lengths[0], "canary": lengths[1]}
        notes.append(Note(code="unequal_lengths", count=abs(lengths[0] - lengths[1]), facts=facts))
    # the values of a histogram are numbers of observations, whose evenness is not odd
    measured, needed = not KINDS[metric.kind].has_buckets, metric.needed_points
    for arm, points in zip(arms, lengths, strict=True):
        if points and measured:
            notes += _sameness(arm)
        if points < needed and not broken:
            notes += too_few_points(metric, arm.arm, points)
    return notes


def too_few_points(metric: Metric, arm: str, points: int) -> list[Note]:
    """Note that an arm has fewer points than are needed, if it has."""
    if points >= metric.needed_points:
        return []
    return [Note(code="too_few_points", arm=arm, count=points, facts={"needed": metric.needed_points})]


def _sameness(arm: Series) -> list[Note]:
    if arm.value[0] != arm.value[-1]:
        return []
    if not arm.value.any():
        return [Note(code="all_zero", arm=arm.arm, count=len(arm))]
    if len(arm) > 1 and (arm.value == arm.value[0]).all():
        facts: dict[str, float | str] = {"value": float(arm.value[0])}
        return [Note(code="constant", arm=arm.arm, count=len(arm), facts=facts)]
    return []


_THOUSANDS: Final = (1e3, 1e6, 1e9, 1024.0, 1024.0**2, 1024.0**3)
_NEAR: Final = 0.25
"""Levels differ by a power of a thousand if they do so within this part of it."""
UNITS_APART: Final = 25.0
"""Beyond this factor no level gets better by itself: seconds and minutes are 60 apart, and 40 where the canary is worse besides."""
_SHAPES_APART, _STEADY = 4.0, 0.02
"""Another unit leaves the relative spread as it is, within this factor; smaller spreads than this are none."""
_COUNTS = re.compile(r"error|fail|exception|timeout|5xx|4xx|reject|retries|crash|count|requests|events")
_RATES = re.compile(
    r"rate|ratio|share|percent|pct|per_|/|time(?!out)|latency|duration|seconds|_ms|bytes|depth|size"
)
_TOTALS: Final = re.compile(r"(?:_total|_count|_sum|_bucket)$")
"""What Prometheus's counters are named."""
_OFTEN_FLAT = 0.3
"""What an interval counted repeats itself so often only where it is the same number for long."""
_LONG, _STEEP, _FLAT = 10, 20, 8
"""Levels that never fall in so many points are counters by their name; without it by so many points, or by so many whole steps."""


def misreadings(
    metric: Metric,
    arms: tuple[Series, Series],
    facts: tuple[ArmFacts, ArmFacts] | None = None,
    *,
    whole: bool = False,
) -> list[Note]:
    """Note what makes it doubtful that the data are what the policy says; `facts` are of the arms as given, of which these are the `whole` or a part."""
    kind = KINDS[metric.kind]
    if not all(len(arm) for arm in arms):
        return []
    notes = []
    if kind.is_measured and facts is not None and _alike(facts):
        pass
    elif kind.is_measured or (kind.is_rate and not any(arm.total is None or arm.reported for arm in arms)):
        levels = [arm.value if arm.total is None else arm.value / arm.total for arm in arms]
        notes += units_apart((levels[0], levels[1]), (arms[0].arm, arms[1].arm))
    elif kind.has_buckets:
        notes += units_apart((_spread(arms[0]), _spread(arms[1])), (arms[0].arm, arms[1].arm))
    if facts is not None and whole and any(each.sinks or each.low < 0 for each in facts):
        pass  # what falls is no counter
    elif kind.is_averaged:
        values = arms[0].value, arms[1].value
        notes += lifelong(metric, values, values)
    elif kind.is_rate and not any(arm.differenced for arm in arms):
        values = arms[0].value, arms[1].value
        flat = all(bool((np.diff(each) == 0).mean() >= _OFTEN_FLAT) for each in values if len(each) > 1)
        notes += lifelong(metric, values, values) if flat else []
    if _is_count(metric, arms):
        notes.append(Note(code="looks_like_count"))
    return notes


def _alike(facts: tuple[ArmFacts, ArmFacts]) -> bool:
    """Tell that all values of both arms are closer to each other than units are."""
    low = min(facts[0].low, facts[1].low)
    return low > 0 and max(facts[0].high, facts[1].high) < UNITS_APART * low


def _spread(arm: Series) -> FloatArray:
    """Give nine observations that stand for all of a histogram: the upper edges of its deciles' buckets."""
    if arm.edges is None or arm.buckets is None:
        return np.empty(0)
    below = arm.buckets.sum(axis=0).cumsum()
    places = below.searchsorted(below[-1] * np.arange(1, 10) / 10)
    return arm.edges[np.minimum(places, len(arm.edges) - 2)] if len(arm.edges) > 1 else np.empty(0)


def units_apart(levels: tuple[FloatArray, FloatArray], names: tuple[str, str]) -> list[Note]:
    """Note that the arms are as far apart as units are, and as alike otherwise.

    Examples
    --------
    >>> times = np.array([310.0, 330.0, 325.0, 340.0, 318.0])
    >>> units_apart((630.0 * times, times), ("old", "new"))[0].arm
    'old'
    """
    if not all(map(len, levels)):
        return []
    middles = [abs(float(np.sort(level)[len(level) // 2])) for level in levels]
    if min(middles) == 0:
        return []
    factor = min(
        max(middles) / min(middles), float(np.finfo(float).max)
    )  # beside the smallest of floats it is infinite
    larger = int(np.argmax(middles))
    exact = any(abs(factor / times - 1) <= _NEAR for times in _THOUSANDS)
    if not exact:
        high, low = levels[larger], levels[1 - larger]
        if factor < UNITS_APART or min(high.min(), low.min()) <= 0:
            return []
        if np.quantile(high, 0.1) <= np.quantile(low, 0.9):
            return []
        spreads = [max(float(np.log(level).std()), _STEADY) for level in (high, low)]
        if max(spreads) > _SHAPES_APART * min(spreads):
            return []
    return [Note(code="units_apart", arm=names[larger], facts={"factor": factor})]


def lifelong(
    metric: Metric, low: tuple[FloatArray, FloatArray], high: tuple[FloatArray, FloatArray]
) -> list[Note]:
    """Note that levels look like counters of a process's whole life: they never fall, but to begin again. Given are the smallest and the largest value of each stretch of both arms.

    Examples
    --------
    >>> errors = np.array([5.0, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 9])
    >>> from canaryjudge.policy import Metric
    >>> metric = Metric(name="errors_total", direction="increase")
    >>> [note.code for note in lifelong(metric, (errors, errors + 80), (errors, errors + 80))]
    ['looks_like_counter']
    """
    if "counter" in metric.model_fields_set or min(map(len, low)) < _LONG:
        return []
    grown = []
    for first, last in zip(low, high, strict=True):
        fell = first[1:] < last[:-1]
        if (fell & (first[1:] > last[:-1] / 10)).any() or 4 * fell.sum() > len(fell) or (first < 0).any():
            return []
        grown.append(int((first[1:] > last[:-1]).sum()))
    named = bool(_TOTALS.search(metric.name)) and max(grown) > 0
    steep = min(map(len, low)) >= _STEEP and min(grown) >= _LONG
    flat = min(grown) > 1 and sum(grown) >= _FLAT and _counts_something(metric.unit, [*low, *high])
    if not named and not steep and not flat:
        return []
    code: NoteCode = "looks_like_counter" if named else "never_falls"
    return [Note(code=code, count=sum(map(len, low)))]


def _counts_something(unit: str, parts: Sequence[FloatArray]) -> bool:
    """Tell that all numbers are whole: of bytes in bytes; of times and other sizes, which are whole by their unit alone, never."""
    size = factor(unit, "B") if measures(unit) else Fraction(1)
    if size is None:
        return False
    numbers = [scaled(part, size) for part in parts]
    return not any(above(np.abs(part - np.rint(part)), 0.0, part).any() for part in numbers)


def may_be_count(metric: Metric) -> bool:
    """Tell whether a metric may be a count by its name, though it is taken for a level."""
    name, kind = metric.name.lower(), KINDS[metric.kind]
    if not kind.is_measured or "kind" in metric.model_fields_set or metric.unit:
        return False
    return bool(_COUNTS.search(name)) and not _RATES.search(name)


def _is_count(metric: Metric, arms: tuple[Series, Series]) -> bool:
    if not may_be_count(metric):
        return False
    if not any(arm.value.any() for arm in arms):
        return False
    return all(bool((arm.value >= 0).all() and (arm.value == np.rint(arm.value)).all()) for arm in arms)
