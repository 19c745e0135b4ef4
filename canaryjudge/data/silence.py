"""When each arm reported, in memory that does not grow; and whether one fell silent, both did, or some of its replicas, however the rows show that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.arm_facts import ArmFacts
from canaryjudge.data.notes import Note, NoteCode
from canaryjudge.data.series import Series
from canaryjudge.kinds import KINDS, Kind
from canaryjudge.packing import pack, pack_times, unpack, unpack_times
from canaryjudge.policy import Metric
from canaryjudge.quantities import is_share, measures
from canaryjudge.rules.rows import FloatArray

__all__ = [
    "AT_THE_END",
    "EXPECTED",
    "FEWEST",
    "GAP",
    "IRREGULAR",
    "LEAST",
    "TAIL",
    "WHOLE",
    "Gap",
    "LastSaid",
    "Presence",
    "never_silent",
    "note_of_replicas",
    "replica_silences",
    "silences",
]

_MOST: Final = 48
"""Slots that a stream keeps of an arm; beyond, two neighbors become one."""
WHOLE: Final = 4096
"""The same where the whole window is at hand."""
FEWEST: Final = 3
"""Intervals that a silence lasts; fewer are scrapes that failed."""
AT_THE_END, _INSIDE, _ALTOGETHER = 0.05, 0.1, 0.2
"""The part of the window that it lasts: up to the end, inside, or in pieces."""
IRREGULAR: Final = 0.25
"""An arm that lacks more of its intervals than this at other times is sparse, and says nothing by another gap."""
_RARELY: Final = 1e-5
"""So improbable is it that an arm repeats itself as long as it stands still."""
_OFTEN_STILL: Final = 0.1
_FAULTS: Final = re.compile(
    r"error|fail|exception|timeout|5xx|4xx|reject|retr(?:y|ies)|crash|drop|lost|restart|throttl"
)
"""Names of levels that rest at 0 where all is well, as shares of successes do at 1 or 100."""
_BURSTS: Final = 30.0
"""Observations come in bursts: both arms have none for less than so many seconds, and are not silent."""
_LARGEST: Final = 1e30
EXPECTED: Final = 20.0
"""Events that would have come meanwhile; of fewer, none may come by chance."""

_SlotArray = NDArray[np.int64]


def _none() -> FloatArray:
    return np.empty(0)


def _no_slots() -> _SlotArray:
    return np.empty(0, dtype=np.int64)


class LastSaid(NamedTuple):
    """When an arm said something new last, in seconds since 1970, and its level then; NaN where there is none, or not one."""

    news: float
    value: float


@dataclass(frozen=True, slots=True)
class Presence:
    """When an arm reported what: the same in whatever order it came, and however it was divided.

    Examples
    --------
    >>> from canaryjudge.kinds import KINDS
    >>> presence = Presence().plus(KINDS["count"], np.array([60.0, 0.0]), np.array([3.0, 5.0]))
    >>> presence.times.tolist(), presence.weight.tolist()
    ([0.0, 60.0], [5.0, 3.0])
    """

    level: int = 0
    """Slots are 2**level milliseconds long."""
    slots: _SlotArray = field(default_factory=_no_slots)
    """Those with a report, ascending; shape (n,)."""
    weight: FloatArray = field(default_factory=_none)
    """The traffic of each: requests, observations, events; none of levels."""
    low: FloatArray = field(default_factory=_none)
    high: FloatArray = field(default_factory=_none)
    """Of levels: the smallest and the largest of each, in single precision."""
    most: int = _MOST
    """So many slots are kept."""

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def width(self) -> float:
        """How long a slot is, in seconds."""
        return float(2**self.level) / 1e3

    @property
    def times(self) -> FloatArray:
        """When each slot begins, in seconds."""
        return np.asarray(self.slots * self.width, dtype=np.float64)

    @classmethod
    def of(cls, series: Series, kind: Kind) -> Presence:
        """Give that of one arm, whole."""
        time = series.time if series.time is not None else series.line
        time = np.arange(len(series), dtype=np.float64) if time is None else time
        total = None if series.reported else series.total
        found = cls(most=WHOLE).plus(kind, time, series.value, total)
        return found.alive(series.beyond)

    def plus(
        self, kind: Kind, time: FloatArray, value: FloatArray, total: FloatArray | None = None
    ) -> Presence:
        """Add points."""
        nothing = np.zeros(len(time))
        if kind.is_averaged:
            level = np.clip(value, -_LARGEST, _LARGEST).astype(np.float32).astype(np.float64)
            return self._at(time, nothing, level, level)
        return self._at(time, _traffic(kind, value, total), nothing, nothing)

    def alive(self, time: FloatArray) -> Presence:
        """Add reports that cannot be used, such as an infinite percentile: an arm that gives them is not silent."""
        time = time[np.isfinite(time)]
        some = np.ones(len(time))
        return self._at(time, some, -_LARGEST * some, _LARGEST * some)

    def _at(self, time: FloatArray, weight: FloatArray, low: FloatArray, high: FloatArray) -> Presence:
        if not len(time):
            return self
        slots = np.floor(time * 1e3 + 1e-3).astype(np.int64) >> self.level
        return self._with(slots, weight, low, high)

    def union(self, other: Presence) -> Presence:
        """Add another's points."""
        coarse, fine = (self, other) if self.level >= other.level else (other, self)
        slots = fine.slots >> (coarse.level - fine.level)
        return coarse._with(slots, fine.weight, fine.low, fine.high) if len(fine) else coarse  # noqa: SLF001 - its own

    def _with(self, slots: _SlotArray, weight: FloatArray, low: FloatArray, high: FloatArray) -> Presence:
        every, columns = slots, [weight, low, high]
        if len(self):
            held = (self.slots, self.weight, self.low, self.high)
            every, *columns = (np.concatenate(pair) for pair in zip(held, (every, *columns), strict=True))
        if len(every) <= self.most and (every[1:] > every[:-1]).all():
            return Presence(self.level, every, columns[0], columns[1], columns[2], self.most)
        if (every[1:] < every[:-1]).any() or (columns[0] != columns[0][0]).any():
            order = np.lexsort([columns[0], every])
            every, columns = every[order], [column[order] for column in columns]
        # of some of them there are no more different slots than of all
        some = every[:: max(1, len(every) // (4 * self.most))]
        wider = 0
        while len(_starts(some >> wider)) > self.most:
            wider += 1
        while len(starts := _starts(every >> wider)) > self.most:
            wider += 1
        level, firsts = self.level + wider, every[starts] >> wider
        how = (np.add, np.minimum, np.maximum)
        sums, lows, highs = (each.reduceat(column, starts) for each, column in zip(how, columns, strict=True))
        return Presence(level, firsts, sums, lows, highs, self.most)

    def fresh(self, metric: Metric) -> NDArray[np.bool_]:
        """Mark the slots that say something new: events that came, a level that is not the one before to the last digit, or is at its best."""
        kind = KINDS[metric.kind]
        if kind.counts_events or kind.has_buckets:
            return np.asarray(self.weight > 0)
        if not kind.is_averaged or not len(self):
            return np.ones(len(self), dtype=np.bool_)
        still = np.concatenate([[False], (self.low[1:] == self.high[1:]) & (self.low[1:] == self.high[:-1])])
        dead = (
            (self.low == 0) & (self.high == 0) & np.append(still[1:], [False])
        )  # of zeros the first is none
        best = [1.0, 100.0] if is_share(metric.unit) or not measures(metric.unit) else []
        best += [0.0] if _FAULTS.search(metric.name.lower()) else []
        fresh = np.asarray(~(still | dead), dtype=np.bool_)
        for level in best:
            fresh |= self.low == level
        return fresh

    def said_last(self, metric: Metric, until: float) -> LastSaid:
        """Tell when something new was said last, up to some time, and the level that stands, where there is one."""
        new = np.flatnonzero(self.fresh(metric))
        news = min(until, float(self.times[new[-1]]) + self.width) if len(new) else -np.inf
        stands = len(self) and self.low[-1] == self.high[-1]
        return LastSaid(news, float(self.low[-1]) if stands else np.nan)

    def state(self) -> list[Any]:
        """Give what `restore` reads."""
        return [
            self.level,
            pack_times(self.slots),
            *(
                pack(part.astype(np.float32)) if part.any() else None
                for part in (self.weight, self.low, self.high)
            ),
        ]

    @classmethod
    def restore(cls, state: Any) -> Presence:
        """Read what `state` gave."""
        level, slots, *columns = state
        found = unpack_times(slots)
        if not 0 <= int(level) < 60 or len(found) > _MOST or (np.diff(found) <= 0).any():
            raise ValueError("the slots of an arm are not in order")
        weight, low, high = (
            np.zeros(len(found))
            if text is None
            else unpack(text, np.float32, shape=(len(found),)).astype(np.float64)
            for text in columns
        )
        return cls(int(level), found, weight, low, high)


def _starts(ascending: _SlotArray) -> NDArray[np.intp]:
    """Find where each different one begins."""
    return np.flatnonzero(np.diff(ascending, prepend=ascending[0] - 1))


def _traffic(kind: Kind, value: FloatArray, total: FloatArray | None) -> FloatArray:
    """Give the traffic behind each point: of events all that they are of, and the events themselves where nothing says that."""
    if kind.is_raw:
        return np.ones(len(value))
    return value if total is None or kind.has_buckets else total


class _Said(NamedTuple):
    """When an arm, or both, gave a row; which of the rows say something new, and the traffic of each."""

    rows: FloatArray
    fresh: NDArray[np.bool_]
    weight: FloatArray
    width: float
    """How long a row stands for, where several became one."""

    @classmethod
    def by(cls, presence: Presence, metric: Metric) -> _Said:
        """Take what one arm said."""
        width = presence.width if presence.level else 0.0
        return cls(presence.times, presence.fresh(metric), presence.weight, width)

    @classmethod
    def together(cls, arms: tuple[Presence, Presence], metric: Metric) -> _Said:
        """Take what either arm said; where both count no events of what is named like a fault, all is well."""
        level = max(arm.level for arm in arms)
        slots = np.concatenate([arm.slots >> (level - arm.level) for arm in arms])
        well = KINDS[metric.kind].is_rate and _FAULTS.search(metric.name.lower()) is not None
        fresh = np.concatenate([arm.fresh(metric) | well for arm in arms])
        order = np.argsort(slots, kind="stable")
        starts = np.flatnonzero(np.diff(slots[order], prepend=slots.min() - 1))
        both = Presence(level, slots[order][starts])
        return cls(
            both.times,
            np.logical_or.reduceat(fresh[order], starts),
            np.add.reduceat(np.concatenate([arm.weight for arm in arms])[order], starts),
            both.width if level else 0.0,
        )


class Gap(NamedTuple):
    """A time in which an arm says nothing new."""

    since: float
    until: float
    missing: int
    """How many of its own intervals."""
    part: float
    """How much of the window."""
    at_the_end: bool


def silences(
    metric: Metric,
    arms: tuple[Presence, Presence],
    names: tuple[str, str],
    interval: float | None,
    *,
    concurrent: bool,
    ends: tuple[float, float] = (-np.inf, -np.inf),
    timed: bool = True,
) -> list[Note]:
    """Note which arm fell silent for the last or any long part of the window.

    On one clock an arm is silent where the other goes on. What both lack is an outage of the scrapes, night, or of the service: it says nothing
    about either, and is noted of both. Of windows that follow each other only an arm's own rows tell, up to its last one.

    Parameters
    ----------
    metric : Metric
        Of which they are.
    arms : tuple of Presence
        When baseline and canary reported.
    names : tuple of str
        What the caller calls them.
    interval : float or None
        The spacing of the points, where it is known.
    concurrent : bool
        Whether the arms share the clock.
    ends : tuple of float
        When each arm's last row was, whether or not it said anything.
    timed : bool
        Whether the points have times; otherwise those are their places in line.
    """
    if not all(map(len, arms)):
        return []
    kind, said = KINDS[metric.kind], [_Said.by(arm, metric) for arm in arms]
    if concurrent and not kind.is_raw and interval is not None and arms[0].level == arms[1].level:
        fresh = [each.rows[each.fresh] for each in said]
        if all(map(len, fresh)):
            # whatever a silence is held against, it is no less than the interval
            until = max(*ends, *(float(rows[-1]) for rows in fresh))
            if all(_goes_on(rows, interval, until) for rows in fresh):
                return []
    gaps = [
        _longest(kind, mine, other if concurrent else None, interval, end)
        for mine, other, end in zip(said, said[::-1], ends, strict=True)
    ]
    both = None
    if concurrent:
        began, first = float(arms[1].times[0] - arms[0].times[0]), gaps[0]
        if first is not None and first.at_the_end and 2 * began >= first.until - first.since:
            gaps[0] = None  # the old version made way for a canary that came later
        if gaps == [None, None]:
            both = _longest(kind, _Said.together(arms, metric), None, interval, max(ends))
    elif gaps[0] is not None and gaps[1] is not None:
        parts = [gap.part for gap in gaps if gap is not None]
        both = gaps[1] if 2 * min(parts) > max(parts) else None
        gaps = [None if 2 * gap.part <= max(parts) else gap for gap in gaps if gap is not None]
    shortest = _BURSTS if kind.is_raw else 0.0
    if both is not None and both.part >= _INSIDE and both.until - both.since >= shortest:
        return [_noted("both_silent", None, both, timed=timed)]
    found = zip(names, gaps, strict=True)
    return [_noted("silent", name, gap, timed=timed) for name, gap in found if gap is not None]


def _noted(code: NoteCode, arm: str | None, gap: Gap, *, timed: bool = True, **more: float | str) -> Note:
    facts: dict[str, float | str] = {"silent_start": gap.since} if timed else {"after": gap.since + 1}
    if timed and not gap.at_the_end:
        facts["silent_end"] = gap.until
    if not timed and not gap.at_the_end:
        facts["before"] = gap.until + 1
    return Note(code=code, arm=arm, count=gap.missing, facts=facts | {"part": gap.part} | more)


def replica_silences(metric: Metric, arm: Series, interval: float | None) -> list[Note]:
    """Note that some replicas of an arm fell silent while others went on, unless others came in their place; it withholds nothing, because these still say how the version does.

    Examples
    --------
    >>> pods = [Series(name, np.arange(7.0, 7 + n), time=60.0 * np.arange(n)) for name, n in (("pod-1", 60), ("pod-2", 20))]
    >>> whole = Series("canary", np.ones(80), replicas=tuple(pods), end=3540.0)
    >>> [note.facts["replica"] for note in replica_silences(Metric(name="cpu", direction="increase"), whole, 60.0)]
    ['pod-2']
    """
    own = [replica for replica in arm.replicas if replica.time is not None and len(replica)]
    if len(own) < 2:
        return []
    kind, every = KINDS[metric.kind], [Presence.of(replica, KINDS[metric.kind]) for replica in own]
    together = every[0]
    for each in every[1:]:
        together = together.union(each)
    others = _Said.by(together, metric)
    gaps = [_longest(kind, _Said.by(each, metric), others, interval, arm.end) for each in every]
    silent = [(gap, replica.arm) for gap, replica in zip(gaps, own, strict=True) if gap is not None]
    return note_of_replicas(arm.arm, silent, [float(each.times[0]) for each in every])


def note_of_replicas(arm: str, silent: Sequence[tuple[Gap, str]], starts: Sequence[float]) -> list[Note]:
    """Note which replica was silent the longest, and how many were; those in whose place others began, by their starts, were replaced."""
    left = sorted(silent, key=lambda each: (not each[0].at_the_end, each[0].since, each[1]))
    for start in sorted(starts):
        if left and left[0][0].at_the_end and start > left[0][0].since:
            left = left[1:]
    if not left:
        return []
    gap, name = max(left, key=lambda each: (each[0].at_the_end, each[0].part, each[1]))
    note = _noted("replica_silent", arm, gap, replica=name, replicas=float(len(starts)))
    return [note.model_copy(update={"count": len(left)})]


GAP, TAIL, LEAST = 3.4, 2.4, 0.1
"""Of so many intervals, and a little more, none is a silence; of shorter intervals, in seconds, the slots of a presence are too coarse."""


def never_silent(
    kind: Kind,
    facts: tuple[ArmFacts, ArmFacts],
    interval: float | None,
    *,
    concurrent: bool,
    ends: tuple[float, float],
) -> bool:
    """Tell by what is known of both arms that `silences` finds none: each always has something new to say, up to the end.

    Examples
    --------
    >>> from canaryjudge.data.arm_facts import facts_of
    >>> value, time, gauge = np.array([1.0, 2.0, 3.0] * 2), np.array([0.0, 60.0, 120.0] * 2), KINDS["gauge"]
    >>> facts = tuple(facts_of(value, None, time, np.array([0, 3]), [gauge] * 2))
    >>> never_silent(gauge, facts, 60.0, concurrent=True, ends=(120.0, 120.0))
    True
    """
    timed = facts[0].timed or facts[1].timed
    if kind.is_raw and not timed:
        return True
    interval = interval if timed else 1.0
    if kind.is_raw or interval is None or interval < LEAST or max(facts[0].size, facts[1].size) > WHOLE:
        return False
    for mine, other, end in zip(facts, facts[::-1], ends, strict=True):
        until = max(other.last, *ends) if concurrent else end
        if mine.pause > GAP * interval or until - mine.news > TAIL * interval:
            return False
    return True


def _goes_on(rows: FloatArray, interval: float, until: float) -> bool:
    """Tell whether rows follow each other up to some time without a gap that might be a silence."""
    pause = float((rows[1:] - rows[:-1]).max(initial=0.0))
    return pause <= GAP * interval and until - float(rows[-1]) <= TAIL * interval


def _longest(
    kind: Kind, mine: _Said, other: _Said | None, interval: float | None, last_row: float
) -> Gap | None:
    """Find the longest time in which an arm says nothing while it should."""
    time, weight = mine.rows[mine.fresh], mine.weight[mine.fresh]
    theirs = None
    if other is not None:
        theirs = other.rows[other.fresh], other.weight[other.fresh]
        if len(theirs[0]):  # what comes before both report is a start, and no silence
            shared = time >= theirs[0][0] - (interval or 0.0)
            time, weight = time[shared], weight[shared]
    if not len(time) or (theirs is not None and not len(theirs[0])):
        return None
    steps = np.diff(time)
    step = max(
        (interval or 0.0) if not kind.is_raw else 0.0,
        float(np.median(steps)) if len(steps) else 0.0,
        mine.width,
    )
    if theirs is not None and not step and len(theirs[0]) > 1:
        step = float(np.median(np.diff(theirs[0])))
    end = last_row if theirs is None else float(theirs[0][-1])
    if not step or not np.isfinite(max(end, time[-1])):
        return None
    gaps = [
        _gap(time, theirs, step, float(time[place]), float(time[place + 1]), tail=False)
        for place in np.flatnonzero(steps > (FEWEST + 0.5) * step)
    ]
    if end - time[-1] > (FEWEST - 0.5) * step:
        gaps.append(_gap(time, theirs, step, float(time[-1]), end, tail=True))
    gaps = [
        gap
        for gap in gaps
        if gap.missing >= FEWEST and gap.part > 0 and _meant(kind, mine, gap, step, (time, weight), theirs)
    ]
    if not gaps:
        return None
    gap = max(gaps, key=lambda each: each.part)
    long = any(each.part >= (AT_THE_END if each.at_the_end else _INSIDE) for each in gaps)
    return gap if long or sum(each.part for each in gaps) >= _ALTOGETHER else None


def _gap(
    time: FloatArray,
    theirs: tuple[FloatArray, FloatArray] | None,
    step: float,
    since: float,
    until: float,
    *,
    tail: bool,
) -> Gap:
    missing = round((until - since) / step) - (0 if tail else 1)
    if theirs is None:
        whole = (max(until, float(time[-1])) - float(time[0])) / step + 1
        return Gap(since, until, missing, missing / whole, tail)
    window = theirs[0][theirs[0] >= time[0] - step / 2]
    inside = (window > since + step / 2) & (window < until + (step if tail else -step / 2))
    if inside.sum() < FEWEST:
        return Gap(since, until, 0, 0.0, tail)
    return Gap(since, until, missing, float(inside.sum()) / len(window), tail)


def _meant(
    kind: Kind,
    mine: _Said,
    gap: Gap,
    step: float,
    own: tuple[FloatArray, FloatArray],
    theirs: tuple[FloatArray, FloatArray] | None,
) -> bool:
    """Tell whether a gap is no chance, by how the arm does at other times and by what the other one has meanwhile."""
    time, weight = own
    length = gap.until - gap.since
    rest = max(max(gap.until, float(time[-1])) - float(time[0]) - length, step)
    if not kind.is_averaged:
        expected = float(weight.sum()) * length / rest
        if theirs is not None:
            meanwhile = (theirs[0] > gap.since + step / 2) & (theirs[0] < gap.until + step / 2)
            besides = ~meanwhile & (theirs[0] >= time[0] - step / 2)
            expected = float(weight.sum() * theirs[1][meanwhile].sum()) / max(
                float(theirs[1][besides].sum()), 1e-300
            )
        if expected < EXPECTED:
            return False
    if kind.is_raw:
        return True
    rows, fresh = mine.rows, mine.fresh
    inside = (rows > gap.since) & (rows < gap.until + (step / 2 if gap.at_the_end else 0.0))
    still = float((~fresh & ~inside).sum() + 1) / float((~inside).sum() + 2)
    if 2 * inside.sum() >= gap.missing:  # its rows are there, and nothing moves
        return still <= _OFTEN_STILL and still**gap.missing <= _RARELY
    whole = rest / step + 1
    return bool((max(whole - len(time), 0.0) + 1) / (whole + 2) <= IRREGULAR)
