"""One metric's data as they come: updates in, newly complete intervals of both arms out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.counters import CounterState, check_growing
from canaryjudge.data.intake import Intake
from canaryjudge.data.interval_intake import IntervalIntake
from canaryjudge.data.notes import Note, NoteTally
from canaryjudge.data.pair import FloatArray, MetricPair
from canaryjudge.data.pairing import (
    lifelong,
    no_overlap,
    units_apart,
    warmup_notes,
    warmup_without_times,
)
from canaryjudge.data.raw_intake import RawIntake, complete_parts
from canaryjudge.data.sameness import same_points
from canaryjudge.data.series import Series, with_reports
from canaryjudge.data.silence import LastSaid, silences
from canaryjudge.data.times import iso
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["Stream", "intervals"]

_STUCK = 8  # points of both arms that wait for each other: more of them would not meet either


class Stream:
    """What one metric has been given so far, in memory that does not grow with it.

    Every point counts once: one that comes again is known by its time. `feed` hands out each interval as soon as both arms have
    it; what only one arm has waits for the other.

    Examples
    --------
    >>> stream = Stream(Metric(name="cpu", direction="increase"), "old", "new")
    >>> times = 60.0 * np.arange(3)
    >>> [pair] = stream.feed(Series("old", np.ones(3), time=times), Series("new", np.ones(2), time=times[:2]))
    >>> pair.canary.time.tolist(), stream.points, stream.interval
    ([0.0, 60.0], (2, 2), 60.0)
    >>> [pair] = stream.feed(Series("old", np.ones(0)), Series("new", np.ones(2), time=times[1:]))
    >>> pair.baseline.time.tolist()
    [120.0]
    """

    def __init__(self, metric: Metric, baseline: str, canary: str) -> None:
        self.metric = metric
        self._names = (baseline, canary)
        self._intake: Intake = (RawIntake if KINDS[metric.kind].is_raw else IntervalIntake)(
            metric, self._names
        )
        self._notes = NoteTally()
        self._counters = (CounterState(), CounterState())
        self.restarts: tuple[float, ...] = ()
        """Times after which the canary got more of the traffic, as at the stages of a rollout: then it warms up again."""

    @property
    def points(self) -> tuple[int, int]:
        """How many points of the baseline and the canary are in complete intervals: one an interval, or all raw observations."""
        return self._intake.tally.points

    @property
    def given(self) -> tuple[int, int]:
        """How many points of the baseline and the canary were given, whether or not the other arm has their intervals."""
        first, second = self._intake.reach
        return first.count, second.count

    @property
    def waiting_totals(self) -> tuple[float, float]:
        """The mean total of the points of each arm that wait for a partner; 0 where none do."""
        return self._intake.waiting_totals

    @property
    def first_time(self) -> float | None:
        """When the first complete interval was, or the warm-up after it was over, in seconds since 1970; None without one, or without times."""
        first = self._intake.tally.first
        if self.metric.warmup is not None:
            first = max(first, self.compared_from[1])
        return first if np.isfinite(first) else None

    @property
    def compared_from(self) -> tuple[float, float]:
        """From when on the points of the baseline and the canary count, in seconds since 1970: once the policy's warm-up is over."""
        if self.metric.warmup is None:
            return -np.inf, -np.inf
        start = self._intake.reach[1].first + self.metric.warmup
        return start if self.concurrent else -np.inf, start

    @property
    def last_time(self) -> float | None:
        """When the last complete interval was, in seconds since 1970; None without one, or without times."""
        last = self._intake.tally.last
        return last if np.isfinite(last) else None

    @property
    def interval(self) -> float | None:
        """The spacing of complete intervals in seconds: the policy's, or as the first of them have it."""
        return self._intake.interval

    @property
    def timed(self) -> bool | None:
        """Whether the points have times; None before there are any."""
        return self._intake.timed

    @property
    def concurrent(self) -> bool:
        """Whether the arms have met on one clock."""
        return self._intake.timed is True and self._intake.windows is False

    @property
    def met(self) -> float | None:
        """When both arms reported last, in seconds since 1970, where they share the clock and nothing waits for a partner; None otherwise."""
        first, second = self._intake.reach
        if not self.concurrent or any(map(len, self._intake.waiting)) or first.last != second.last:
            return None
        return first.last if self._intake.tally.blocks else None

    @property
    def said_last(self) -> tuple[LastSaid, LastSaid]:
        """What baseline and canary said last that was new."""
        first, second = (
            presence.said_last(self.metric, reach.last)
            for presence, reach in zip(self._intake.presence, self._intake.reach, strict=True)
        )
        return first, second

    @property
    def has_totals(self) -> bool:
        """Whether the points have totals, and not only as many as replicas reported."""
        agreement = self._intake.agreement
        return agreement.totals is True and not agreement.reported

    @property
    def zones(self) -> frozenset[str]:
        """The time zones in which the times were written."""
        return self._intake.agreement.zones

    @property
    def counters(self) -> tuple[CounterState, CounterState] | None:
        """The last points of each arm's counters, from which the next update goes on; None for what is no counter."""
        return self._counters if self.metric.counter else None

    @property
    def digest(self) -> str:
        """The SHA-256, in hexadecimal, of everything that was complete: the same however it was divided into updates."""
        pairing = {None: "", False: "concurrent", True: "windows"}[self._intake.windows]
        edges = b"" if self._intake.edges is None else self._intake.edges.astype("<f8").tobytes()
        head = f"{self.metric.name}\0{self.metric.kind}\0{pairing}\0{self._intake.tally.digest:064x}\0"
        return hashlib.sha256(head.encode() + edges).hexdigest()

    @property
    def ends(self) -> tuple[float, float]:
        """When the last rows of the baseline and the canary were, usable or not, in seconds since 1970; minus infinity without times."""
        return self._intake.ends if self._intake.timed else (-np.inf, -np.inf)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What was odd so far: counts add up over the updates, facts are the latest."""
        return self.notes_until(self.ends)

    def notes_until(self, ends: tuple[float, float]) -> tuple[Note, ...]:
        """Give the same where the arms are known to have gone on until then, as their other metrics did."""
        same = same_points(self._intake.samples)
        said = [*self._silences(ends), *([] if same is None else [same]), *self._misreadings()]
        return (*self._notes.notes, *said)

    def _silences(self, ends: tuple[float, float]) -> list[Note]:
        """Note which arm has fallen silent, or that both have."""
        timed = self._intake.timed
        if timed is None or self._intake.windows is None:
            return []
        return silences(
            self.metric,
            self._intake.presence,
            self._names,
            self.interval if timed else None,
            concurrent=self.concurrent,
            ends=ends if timed else self._intake.ends,
            timed=timed,
        )

    def _misreadings(self) -> list[Note]:
        """Note what makes it doubtful that the levels are what the policy says."""
        kind, (baseline, canary) = KINDS[self.metric.kind], self._intake.samples
        notes = units_apart((baseline.values, canary.values), self._names) if kind.is_measured else []
        if kind.is_averaged:
            first, second = self._intake.presence
            notes += lifelong(self.metric, (first.low, second.low), (first.high, second.high))
        return notes

    def feed(self, baseline: Series, canary: Series) -> list[MetricPair]:
        """Take in an update."""
        before = self.__dict__.copy()
        self._intake = self._intake.copy()
        try:
            return self._feed((baseline, canary))
        except BaseException:
            self.__dict__.update(before)
            raise

    def _feed(self, arms: tuple[Series, Series]) -> list[MetricPair]:
        arms = with_reports(arms, reported=self._intake.agreement.reported)
        reported, differenced = (
            any(told) for told in zip(*((a.reported, a.differenced) for a in arms), strict=True)
        )
        self._agree(arms, reported=reported)
        first, second = (
            before if arm.counters is None else arm.counters
            for arm, before in zip(arms, self._counters, strict=True)
        )
        self._counters = (first, second)
        before = [reach.count for reach in self._intake.reach]
        began = self._intake.tally.first if self._intake.tally.blocks else -np.inf
        waited = self._waiting_before(began)
        late = self._intake.take(arms)
        for index, arm in enumerate(arms):
            self._intake.rows(index, arm)
            # observations and counters that are older than the last are known again by nothing but their time
            unknown = (
                arm.known if self.metric.counter else arm.time if KINDS[self.metric.kind].is_raw else None
            )
            if early := self._intake.from_before(
                index, np.empty(0) if unknown is None else unknown, arm.start
            ):
                self._note(Note(code="before_watch", arm=arm.arm, count=early))
        for arm, given, reach in zip(arms, before, self._intake.reach, strict=True):
            # what was odd about points that were all given before has been noted before
            if not len(arm) or reach.count > given:
                for note in arm.notes:
                    self._note(note)
        self._check_growing(arms)
        came = self._waiting_before(began)
        self._settle()
        pairs, dropped = self._intake.complete()
        self._check_meeting()
        for index, name in enumerate(self._names):
            found = sum(int((_times(pair, index) < began).sum()) for pair in pairs)
            early, gone = (
                came[index] - waited[index] - found,
                came[index] - found - self._waiting_before(began)[index],
            )
            for code, count in (
                ("before_watch", early),
                ("too_late", late[index]),
                ("unpaired", dropped[index] - gone),
            ):
                if count > 0:
                    self._note(Note.model_validate({"code": code, "arm": name, "count": count}))
        if self.metric.warmup is not None:
            pairs = self._after_warmup(pairs)
        if not reported and not differenced:
            return pairs
        return [replace(pair, reported=reported, differenced=differenced) for pair in pairs]

    def _waiting_before(self, time: float) -> list[int]:
        """Count the points of each arm that wait for a partner of a time before some time."""
        if self._intake.windows is not False:
            return [0, 0]
        return [int((waiting < time).sum()) for waiting in self._intake.waiting]

    def _after_warmup(self, pairs: list[MetricPair]) -> list[MetricPair]:
        """Leave the warm-up out, as `align` does of whole series; intervals that follow each other keep their partners."""
        found = []
        for pair in pairs:
            if pair.baseline.time is None or pair.canary.time is None:
                raise warmup_without_times(self.metric)
            times = pair.baseline.time, pair.canary.time
            late = [
                (time >= start) & self._is_warm(time)
                for time, start in zip(times, self.compared_from, strict=True)
            ]
            left = (
                pair.baseline.part(late[0] if KINDS[self.metric.kind].is_raw else late[1]),
                pair.canary.part(late[1]),
            )
            for note in warmup_notes((pair.baseline, pair.canary), left, self._names):
                self._note(note)
            if len(left[1]):
                found.append(replace(pair, baseline=left[0], canary=left[1]))
        return found

    def _is_warm(self, time: FloatArray) -> NDArray[np.bool_]:
        """Tell which points do not lie in a later warm-up, which begins with the first interval after more traffic came."""
        warm = np.ones(len(time), dtype=np.bool_)
        for since in self.restarts:
            warm &= (time <= since) | (time >= since + (self.interval or 0.0) + (self.metric.warmup or 0.0))
        return warm

    def _agree(self, arms: tuple[Series, Series], *, reported: bool) -> None:
        """Hold what is new against what was given before, and the arms against each other."""
        intake, metric = self._intake, self.metric
        if reported != intake.agreement.reported:
            intake.agreement = replace(intake.agreement, reported=reported)
        given = [arm for arm in arms if len(arm)]
        for arm in given:
            first = intake.timed is None
            intake.agreement = intake.agreement.joined(metric, arm)
            if first and (metric.pairing != "auto" or not intake.timed):
                intake.windows = metric.pairing != "concurrent"
        for arm, merged in zip(given, intake.fit(given), strict=True):
            if merged:
                self._note(Note(code="merged_buckets", arm=arm.arm, count=merged))

    def _check_growing(self, arms: tuple[Series, Series]) -> None:
        """Refuse what falls too often for a counter, over all updates: each may bring a point or two."""
        for arm, counters, reach in zip(arms, self._counters, self._intake.reach, strict=True):
            falls = [self._notes.counted(code, arm.arm) for code in ("counter_resets", "unclear_resets")]
            # what is left out reaches no further
            steps = max(len(counters), 1) * (reach.count + falls[1])
            check_growing(f"metric {self.metric.name!r}, arm {arm.arm!r}", sum(falls), steps)

    def _settle(self) -> None:
        """Decide whether the arms share the clock, once both have points enough to tell."""
        intake = self._intake
        if intake.timed and intake.windows is None and (meet := intake.meet()) is not None:
            intake.windows = not meet
            if intake.windows:
                self._note(no_overlap([(reach.first, reach.last) for reach in intake.reach], 0))

    def _check_meeting(self) -> None:
        waiting = self._intake.waiting
        if (
            self._intake.windows is False
            and not self._intake.tally.blocks
            and not KINDS[self.metric.kind].is_raw
            and min(map(len, waiting)) >= _STUCK
        ):
            spans = "; ".join(
                f"{name!r} has {iso(float(time[0]))}, {iso(float(time[1]))} to {iso(float(time[-1]))}"
                for name, time in zip(self._names, waiting, strict=True)
            )
            raise DataError(
                f"metric {self.metric.name!r}: the arms have no time in common ({spans})",
                "Set the metric's interval, in which a point of each belongs together, or pairing: windows for before and after.",
            )

    def _note(self, note: Note) -> None:
        self._notes = self._notes.plus(note)

    def merge(self, other: Stream) -> None:
        """Take over what another stream of the metric was given: of another region, shard or span of time.

        The result is the same in whatever order streams are merged. Points that wait in one for a partner in the other are
        handed out by the next `feed`, which may be of empty arms.
        """
        self._check_kinship(other)
        mine, theirs = self._intake.copy(), other._intake
        digests = mine.tally.digest, theirs.tally.digest
        if (digests[0] and digests[0] == digests[1]) or mine.same_data(theirs):
            raise DataError(
                f"metric {self.metric.name!r}: the same data are in both streams",
                "Merge streams that were given different data; feed the same data to one of them only.",
            )
        mine.merge(theirs)
        self._intake = mine
        self._counters = (
            self._counters[0].union(other._counters[0]),
            self._counters[1].union(other._counters[1]),
        )
        self._notes = self._notes.union(other._notes)

    def _check_kinship(self, other: Stream) -> None:
        if (self.metric, self._names) != (other.metric, other._names):
            raise DataError(
                f"metric {self.metric.name!r}: the other stream is of another metric, or of other arms",
                "Merge streams of one policy and the same names of the arms.",
            )
        mine, theirs = self._intake, other._intake
        forms = mine.agreement, theirs.agreement
        pairs: list[tuple[str, Any, Any]] = [
            ("times", mine.timed, theirs.timed),
            ("pairing", mine.windows, theirs.windows),
        ]
        if mine.timed is not None and theirs.timed is not None:
            pairs.append(("replicas", forms[0].reported, forms[1].reported))
        for before, after in zip(self._counters, other._counters, strict=True):
            pairs.append(("counters", before.form, before.form if not len(after) else after.form))
        pairs += [
            ("totals", forms[0].totals, forms[1].totals),
            ("buckets", _listed(mine.edges), _listed(theirs.edges)),
            ("largest buckets", forms[0].end, forms[1].end),
        ]
        for what, first, second in pairs:
            if first is not None and second is not None and first != second:
                raise DataError(
                    f"metric {self.metric.name!r}: the streams differ in their {what}",
                    "Merge streams of data of one form.",
                )
        forms[0].merged(self.metric, forms[1])

    def state(self) -> dict[str, Any]:
        """Give everything that `restore` needs, as JSON can hold it."""
        found = self._intake.state() | {"notes": self._notes.state()}
        return (
            found | {"carried": [each.state() for each in self._counters]} if self.metric.counter else found
        )

    @classmethod
    def restore(cls, metric: Metric, baseline: str, canary: str, state: dict[str, Any]) -> Self:
        """Go on where a stream was saved."""
        stream = cls(metric, baseline, canary)
        try:
            stream._intake.restore(state)
            stream._notes = NoteTally.restore(state["notes"])
            if metric.counter:
                first, second = (CounterState.restore(each) for each in state["carried"])
                stream._counters = (first, second)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"metric {metric.name!r}: the saved state cannot be read",
                "Give what was saved, for the same policy and by the same version.",
            ) from error
        return stream


def _times(pair: MetricPair, index: int) -> FloatArray:
    time = (pair.baseline, pair.canary)[index].time
    return np.empty(0) if time is None else time


def _listed(edges: FloatArray | None) -> list[float] | None:
    return None if edges is None else edges.tolist()


def intervals(pair: MetricPair, *, unfinished: bool = False) -> Iterator[MetricPair]:
    """Cut whole series into what a stream would hand out, interval by interval.

    Examples
    --------
    >>> import numpy as np
    >>> from canaryjudge.data import Arm
    >>> arm = Arm(np.arange(3.0))
    >>> [part.canary.value.tolist() for part in intervals(MetricPair("cpu", "gauge", arm, arm))]
    [[0.0], [1.0], [2.0]]
    """
    if not KINDS[pair.kind].is_raw:
        for index in range(min(len(pair.baseline), len(pair.canary))):
            yield _part(pair, slice(index, index + 1), slice(index, index + 1))
    elif pair.baseline.time is None or pair.canary.time is None:
        yield pair
    else:
        for first, second in complete_parts(pair, unfinished=unfinished):
            yield _part(pair, first, second)


def _part(pair: MetricPair, first: slice, second: slice) -> MetricPair:
    return replace(pair, baseline=pair.baseline.part(first), canary=pair.canary.part(second), notes=())
