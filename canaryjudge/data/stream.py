"""One metric's data as they come: updates in, newly complete intervals of both arms out."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Self

import numpy as np

from canaryjudge.data.counters import CounterState, check_growing
from canaryjudge.data.intake import Intake
from canaryjudge.data.interval_intake import IntervalIntake
from canaryjudge.data.notes import Note, NoteTally
from canaryjudge.data.pair import FloatArray, MetricPair
from canaryjudge.data.raw_intake import RawIntake
from canaryjudge.data.replicas import with_reports
from canaryjudge.data.series import Series
from canaryjudge.data.times import iso, mixed_zones, unclear_zones
from canaryjudge.data.units import different_units
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["Stream"]

_STUCK = 8  # points of both arms that wait for each other: more of them would not meet either


class Stream:
    """What one metric has been given so far, in memory that does not grow with it.

    Every point counts once: one that comes again is known by its time. `feed` hands out each interval as soon as both arms have
    it; what only one arm has waits for the other.

    Parameters
    ----------
    metric : Metric
        What the policy says of the metric.
    baseline, canary : str
        What the caller calls the arms.

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
        self._zones: frozenset[str] = frozenset()
        self._units: frozenset[str] = frozenset()
        self._notes = NoteTally()
        self._reported = False
        self._counters = (CounterState(), CounterState())

    @property
    def points(self) -> tuple[int, int]:
        """How many points of the baseline and the canary are in complete intervals: one an interval, or all raw observations."""
        return self._intake.tally.points

    @property
    def first_time(self) -> float | None:
        """When the first complete interval was, in seconds since 1970; None without one, or without times."""
        first = self._intake.tally.first
        return first if np.isfinite(first) else None

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
    def has_totals(self) -> bool:
        """Whether the points have totals, and not only as many as replicas reported."""
        return isinstance(self._intake, IntervalIntake) and self._intake.totals is True and not self._reported

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
    def notes(self) -> tuple[Note, ...]:
        """What was odd so far: counts add up over the updates, facts are the latest."""
        return self._notes.notes

    def feed(self, baseline: Series, canary: Series) -> list[MetricPair]:
        """Take in an update.

        Parameters
        ----------
        baseline, canary : Series
            The clean arms; either may be empty. Points that were given before are ignored.

        Returns
        -------
        list of MetricPair
            What is newly complete, in order of time: the new intervals in one pair, or a pair for each interval of raw observations.

        Raises
        ------
        DataError
            If a point has changed since it was given, only some points have times, the arms cannot be compared or never meet.
            The stream is then as it was before.
        """
        before = self.__dict__.copy()
        self._intake = self._intake.copy()
        try:
            return self._feed((baseline, canary))
        except BaseException:
            self.__dict__.update(before)
            raise

    def _feed(self, arms: tuple[Series, Series]) -> list[MetricPair]:
        arms = with_reports(arms, reported=self._reported)
        self._reported = any(arm.reported for arm in arms)
        self._check(arms)
        first, second = (
            before if arm.counters is None else arm.counters
            for arm, before in zip(arms, self._counters, strict=True)
        )
        self._counters = (first, second)
        before = [reach.count for reach in self._intake.reach]
        late = self._intake.take(arms)
        for arm, given, reach in zip(arms, before, self._intake.reach, strict=True):
            # what was odd about points that were all given before has been noted before
            if not len(arm) or reach.count > given:
                for note in arm.notes:
                    self._note(note.code, note.arm, note.count, note.facts)
        self._check_growing(arms)
        self._settle()
        pairs, dropped = self._intake.complete()
        self._check_meeting()
        for name, too_late, unpaired in zip(self._names, late, dropped, strict=True):
            if too_late:
                self._note("too_late", name, too_late)
            if unpaired:
                self._note("unpaired", name, unpaired)
        differenced = any(arm.differenced for arm in arms)
        if not self._reported and not differenced:
            return pairs
        return [replace(pair, reported=self._reported, differenced=differenced) for pair in pairs]

    def _check(self, arms: tuple[Series, Series]) -> None:
        for arm in arms:
            if len(arm):
                self._check_times(arm)
                self._units = self._with_units(frozenset([arm.unit]) - {""})
                if isinstance(self._intake, IntervalIntake):
                    self._check_columns(arm, self._intake)
        if isinstance(self._intake, IntervalIntake):
            given = [arm for arm in arms if len(arm)]
            for arm, merged in zip(given, self._intake.fit(given), strict=True):
                if merged:
                    self._note("merged_buckets", arm.arm, merged)

    def _with_units(self, units: frozenset[str]) -> frozenset[str]:
        both = self._units | units
        if (error := different_units(self.metric, sorted(both))) is not None:
            raise error
        return both

    def _check_times(self, arm: Series) -> None:
        where = f"metric {self.metric.name!r}, arm {arm.arm!r}"
        timed = arm.time is not None
        if self._intake.timed is None:
            if not timed and self.metric.pairing == "concurrent":
                raise DataError(
                    f"{where}: pairing: concurrent needs times in both arms, and there are none",
                    "Give the column 'time', or set pairing: windows.",
                )
            self._intake.timed = timed
            if self.metric.pairing != "auto" or not timed:
                self._intake.windows = self.metric.pairing != "concurrent"
        elif self._intake.timed != timed:
            found, known = ("times", "none") if timed else ("no times", "some")
            raise DataError(
                f"{where}: the points have {found}, and those given before or in the other arm have {known}",
                "Give every point of a metric a time, or none of them.",
            )
        zones = self._zones | arm.zones
        if unclear_zones(zones):
            raise mixed_zones(where, zones)
        self._zones = zones

    def _check_columns(self, arm: Series, intake: IntervalIntake) -> None:
        where = f"metric {self.metric.name!r}, arm {arm.arm!r}"
        totals = arm.total is not None
        if intake.totals is None:
            intake.totals = totals
        if totals and intake.totals and self._reported and not arm.reported:
            raise DataError(
                f"{where}: there are totals, and the points given before have none",
                "Give 'total' in every update, or nowhere.",
            )
        if intake.totals != totals:
            if arm.reported:
                raise DataError(
                    f"{where}: the points name their replica, and those given before do not",
                    "Give 'replica' in every update, or nowhere.",
                )
            found, known = ("totals", "none") if totals else ("no totals", "some")
            raise DataError(
                f"{where}: there are {found}, and the points given before or in the other arm have {known}",
                "Give 'total' in both arms and in every update, or nowhere.",
            )
        if arm.edges is not None:
            end = next(
                (note.facts["edge"] for note in arm.notes if note.code == "no_infinite_bucket"), np.inf
            )
            if intake.end is None:
                intake.end = float(end)
            if intake.end != end:
                ends = " and ".join("+Inf" if edge == np.inf else f"{edge:g}" for edge in (intake.end, end))
                raise DataError(
                    f"{where}: the buckets of the arms or updates end at different edges, {ends}, so the largest observations are not comparable",
                    "Give both arms the bucket +Inf in every update.",
                )

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
                facts: dict[str, float | str] = {}
                for name, reach in zip(("baseline", "canary"), intake.reach, strict=True):
                    facts |= {f"{name}_start": reach.first, f"{name}_end": reach.last}
                self._note("no_overlap", None, 0, facts)

    def _check_meeting(self) -> None:
        waiting = self._intake.waiting
        if (
            self._intake.windows is False
            and not self._intake.tally.blocks
            and isinstance(self._intake, IntervalIntake)
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

    def _note(
        self, code: str, arm: str | None, count: int | None, facts: dict[str, float | str] | None = None
    ) -> None:
        self._notes = self._notes.plus(code, arm, count, facts)

    def merge(self, other: Stream) -> None:
        """Take over what another stream of the metric was given: of another region, shard or span of time.

        The result is the same in whatever order streams are merged. Points that wait in one for a partner in the other are
        handed out by the next `feed`, which may be of empty arms.

        Parameters
        ----------
        other : Stream
            It stays as it is.

        Raises
        ------
        DataError
            If the two are of different metrics or arms, if they cannot be compared, or if both were given the same data: what has been
            counted twice cannot be told apart again.
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
        self._reported = self._reported or other._reported
        self._zones |= other._zones
        self._units |= other._units
        self._notes = self._notes.union(other._notes)

    def _check_kinship(self, other: Stream) -> None:
        if (self.metric, self._names) != (other.metric, other._names):
            raise DataError(
                f"metric {self.metric.name!r}: the other stream is of another metric, or of other arms",
                "Merge streams of one policy and the same names of the arms.",
            )
        mine, theirs = self._intake, other._intake
        pairs: list[tuple[str, Any, Any]] = [
            ("times", mine.timed, theirs.timed),
            ("pairing", mine.windows, theirs.windows),
        ]
        if mine.timed is not None and theirs.timed is not None:
            pairs.append(("replicas", self._reported, other._reported))
        for before, after in zip(self._counters, other._counters, strict=True):
            pairs.append(("counters", before.form, before.form if not len(after) else after.form))
        if isinstance(mine, IntervalIntake) and isinstance(theirs, IntervalIntake):
            pairs.append(("totals", mine.totals, theirs.totals))
            pairs.append(("buckets", _listed(mine.edges), _listed(theirs.edges)))
            pairs.append(("largest buckets", mine.end, theirs.end))
        for what, first, second in pairs:
            if first is not None and second is not None and first != second:
                raise DataError(
                    f"metric {self.metric.name!r}: the streams differ in their {what}",
                    "Merge streams of data of one form.",
                )
        self._with_units(other._units)
        if unclear_zones(zones := self._zones | other._zones):
            raise mixed_zones(f"metric {self.metric.name!r}", zones)

    def state(self) -> dict[str, Any]:
        """Give everything that `restore` needs, as JSON can hold it."""
        found = self._intake.state() | {"zones": sorted(self._zones), "notes": self._notes.state()}
        if self._units:
            found["units"] = sorted(self._units)
        if self._reported:
            found["reported"] = True
        return (
            found | {"carried": [each.state() for each in self._counters]} if self.metric.counter else found
        )

    @classmethod
    def restore(cls, metric: Metric, baseline: str, canary: str, state: dict[str, Any]) -> Self:
        """Go on where a stream was saved.

        Parameters
        ----------
        metric : Metric
            What the policy says of the metric.
        baseline, canary : str
            What the caller calls the arms.
        state : dict
            What `state` gave.

        Raises
        ------
        DataError
            If it is something else.
        """
        stream = cls(metric, baseline, canary)
        try:
            stream._intake.restore(state)
            stream._zones = frozenset(_texts(state["zones"]))
            stream._units = frozenset(_texts(state.get("units", [])))
            stream._notes = NoteTally.restore(state["notes"])
            stream._reported = "reported" in state
            if metric.counter:
                first, second = (CounterState.restore(each) for each in state["carried"])
                stream._counters = (first, second)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"metric {metric.name!r}: the saved state cannot be read",
                "Give what was saved, for the same policy and by the same version.",
            ) from error
        return stream


def _texts(items: Any) -> list[str]:
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise TypeError("not a list of text")
    return items


def _listed(edges: FloatArray | None) -> list[float] | None:
    return None if edges is None else edges.tolist()
