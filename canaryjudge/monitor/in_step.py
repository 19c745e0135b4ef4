"""Releases that report regularly: their latest points as columns, weighed together, until one has something new to say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data import Series
from canaryjudge.data.arm_facts import HUGE
from canaryjudge.data.intake import slots_of
from canaryjudge.data.tidy import SinglePoints
from canaryjudge.kinds import KINDS
from canaryjudge.monitor.metric_watch import MetricWatch
from canaryjudge.monitor.release_watch import ReleaseWatch
from canaryjudge.policy import Metric, Policy
from canaryjudge.policy.promql import made_up
from canaryjudge.reasons import Reason
from canaryjudge.results import ReleaseResult
from canaryjudge.rules.sequential.many_watches import WatchRows
from canaryjudge.rules.sequential.planned_looks import LooksProcess
from canaryjudge.rules.sequential.watch import Watch

__all__ = ["InStep"]

MOST: Final = 48
"""Points that wait in the columns before a watch is brought up to date anyhow."""
_FEWEST: Final = 24
"""They are no fewer, and more from release to release: then not all are due at once."""
_EARLY: Final = 0.25
"""A point comes so much of the spacing early or late at most."""
_STILL: Final = 2.4
"""Spacings in which an arm says nothing new: none is silent after so few."""
_LARGEST, _SMALLEST = 2.0**47, 2.0**-20
_ODD: Final = frozenset(
    {Reason.BROKEN, Reason.NO_DATA, Reason.NO_DATA_FAILS, Reason.SAME_DATA, Reason.SILENT}
)
"""A metric that is held or failed for one of these is to be looked at each time."""

_BoolArray = NDArray[np.bool_]
_IntArray = NDArray[np.intp]
_FloatArray = NDArray[np.float64]


class InStep:
    """The releases whose every metric gave one point of each arm at one time, a spacing after the one before, and of which that is all there is to say.

    Nothing is noted of such points but what evidence they are, and this is added up and weighed for all at once. What a release's own watch
    remembers besides follows later: whenever a release gives anything else, a look is due, its evidence may decide something,
    or so many points wait.
    """

    def __init__(self, policy: Policy, arms: tuple[str, str]) -> None:
        self._policy, self._arms, self._size = policy, arms, len(policy.metrics)
        self._rows = 0
        self._zones: frozenset[str] | None = None
        self._ins = np.zeros(0, dtype=np.bool_)
        self._left, self._until = np.zeros(0), np.zeros(0)
        """How many points there may be before one has to be looked at, that one among them; and at what time."""
        self._spacing, self._last = np.zeros(0), np.zeros(0)
        self._most, self._depth, self._round = (np.zeros(0, dtype=np.intp) for _ in range(3))
        self._before, self._fresh = np.zeros((0, self._size, 2)), np.zeros((0, self._size, 2))
        """The last value of each arm, and when it last said something new."""
        self._times = np.zeros((0, MOST))
        self._points = np.zeros((0, MOST, self._size, 2, 2), dtype=np.float64)
        """The points that wait: value and total of each arm of each metric."""
        self._totals = np.zeros((0, self._size), dtype=np.bool_)
        self._evidence: dict[tuple[int, int], WatchRows] = {}
        """Of each metric and each of its rules."""
        self._can = policy.segments is None and all(_may_be_regular(metric) for metric in policy.metrics)

    def grow(self, rows: int) -> None:
        """Make room for so many releases."""
        if rows <= self._rows:
            return
        more = max(rows, 2 * self._rows) - self._rows
        for name, column in self.__dict__.items():
            if isinstance(column, np.ndarray):
                setattr(self, name, _longer(column, more))
        for evidence in self._evidence.values():
            evidence.grow(more)
        self._rows += more

    def begin(self, row: int) -> None:
        """Give a row to a release that is new."""
        self._ins[row], self._depth[row], self._most[row] = False, 0, 0

    def waiting(self, row: int) -> dict[str, tuple[Series, Series]] | None:
        """Give the points that wait, which leave; None where there are none."""
        depth = int(self._depth[row])
        self._depth[row] = 0
        if not depth:
            return None
        times = self._times[row, :depth].copy()
        found: dict[str, tuple[Series, Series]] = {}
        for index, metric in enumerate(self._policy.metrics):
            first, second = (
                Series(
                    name,
                    self._points[row, :depth, index, arm, 0].copy(),
                    self._points[row, :depth, index, arm, 1].copy() if self._totals[row, index] else None,
                    times,
                    self._zones or frozenset(),
                    end=float(times[-1]),
                    start=float(times[0]),
                )
                for arm, name in enumerate(self._arms)
            )
            found[metric.name] = first, second
        return found

    def enter(self, row: int, watch: ReleaseWatch, release: ReleaseResult) -> None:
        """Let a release whose watch is up to date go on in step, if it can; once all have come, `settle`."""
        self._ins[row] = self._can and self._enter(row, watch, release)

    def settle(self, rows: _IntArray) -> None:
        """Note how the releases stand that have entered, of which none may be about to be decided."""
        for evidence in self._evidence.values():
            some = rows[self._ins[rows]]
            self._ins[some] = evidence.settle(some)

    def _enter(self, row: int, watch: ReleaseWatch, release: ReleaseResult) -> bool:
        found = [
            _Standing.of(own, release.metrics[name].reason)
            for name, own in watch.metrics.items()
            if isinstance(own, MetricWatch)
        ]
        own = [each for each in found if each is not None]
        if len(own) < len(found) or len({each.last for each in own}) > 1:
            return False
        zones = frozenset[str]().union(*(each.zones for each in own))
        if self._zones is None:
            self._zones = zones
        spacing = {each.spacing for each in own}
        if zones != self._zones or len(spacing) > 1:
            return False
        for index, each in enumerate(own):
            for number, watched in enumerate(each.watches):
                evidence = self._evidence.setdefault((index, number), WatchRows(self._rows))
                if not evidence.put(row, watched):
                    return False
            self._before[row, index], self._fresh[row, index] = each.values, each.news
            self._totals[row, index] = each.totals
        self._round[row] += 1
        self._most[row] = _FEWEST + (row + 7 * self._round[row]) % (MOST - _FEWEST + 1)
        self._left[row] = min(each.left for each in own)
        self._until[row] = min(each.until for each in own)
        self._spacing[row], self._last[row] = spacing.pop(), own[0].last
        return True

    def take(self, rows: _IntArray, points: SinglePoints) -> _BoolArray:
        """Take one point of each arm of some releases, and tell of which this is all there is to say."""
        time, spacing, last = points.time[:, 0, 0], self._spacing[rows], self._last[rows]
        good: _BoolArray
        with np.errstate(invalid="ignore"):
            good = self._ins[rows] & points.whole & (points.time == time[:, None, None]).all(axis=(1, 2))
            good &= abs(time - last - spacing) <= _EARLY * spacing
            good &= (time < self._until[rows]) & (self._left[rows] > 1)
            if points.zones != (self._zones or frozenset()):
                good = np.zeros(len(rows), dtype=np.bool_)
            fresh = np.empty(points.value.shape, dtype=np.bool_)
            for index, metric in enumerate(self._policy.metrics):
                value, total = points.value[:, index], points.total[:, index]
                good &= _usable(metric, value, total, self._totals[rows, index])
                fresh[:, index] = _new(metric, value, total, self._before[rows, index])
                if metric.interval is not None:
                    good &= slots_of(time, metric.interval) == slots_of(last, metric.interval) + 1
            moved = np.where(fresh, time[:, None, None], self._fresh[rows])
            good &= (time[:, None, None] - moved <= _STILL * spacing[:, None, None]).all(axis=(1, 2))
        some = rows[good]
        self._last[some], self._left[some] = time[good], self._left[some] - 1
        self._before[some], self._fresh[some] = points.value[good], moved[good]
        depth = self._depth[some]
        self._times[some, depth] = time[good]
        self._points[some, depth] = np.stack([points.value[good], points.total[good]], axis=-1)
        self._depth[some] = depth + 1
        for (index, _), evidence in self._evidence.items():
            total = points.total[good][:, index]
            evidence.add(some, points.value[good][:, index], np.where(np.isnan(total), 1.0, total))
        return good

    def doubtful(self, rows: _IntArray) -> _BoolArray:
        """Tell which of some releases in step have to be looked at by themselves."""
        found = np.asarray(self._depth[rows] >= self._most[rows], dtype=np.bool_)
        for evidence in self._evidence.values():
            found |= evidence.may_decide(rows, or_change=True)
        return found


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a metric stands that has been regular so far."""

    watches: tuple[Watch, ...]
    last: float
    spacing: float
    zones: frozenset[str]
    totals: bool
    values: tuple[float, float]
    news: tuple[float, float]
    left: float
    until: float

    @classmethod
    def of(cls, own: MetricWatch, reason: Reason) -> _Standing | None:
        """Give how a metric stands, None where it is not regular, or what is odd about its data withholds an outcome."""
        stream, horizon = own.stream, own.horizon
        last, spacing, first = stream.met, stream.interval, stream.first_time
        few = min(stream.points) < own.metric.needed_points
        # a split that turns out to be another withholds what has passed
        by_split = own.policy.split is not None and any(watched.decided for watched in own.watches)
        if (
            own.is_odd
            or by_split
            or reason in _ODD
            or few
            or last is None
            or spacing is None
            or first is None
        ):
            return None
        left, until = math.inf, math.inf
        if horizon.max_points is not None:
            left = horizon.max_points - max(watched.points for watched in own.watches)
        elif horizon.max_duration is not None:
            until = first + horizon.max_duration - 1e-6
        for watched in own.watches:
            left = min(left, watched.until_epoch)
            for process in watched.processes:
                if isinstance(process, LooksProcess):
                    points, time = process.until_due()
                    left, until = min(left, points), min(until, time)
        if left < 1 or until <= last:
            return None
        said = stream.said_last
        return cls(
            own.watches,
            last,
            spacing,
            stream.zones,
            stream.has_totals,
            (said[0].value, said[1].value),
            (said[0].news, said[1].news),
            left,
            until,
        )


def _may_be_regular(metric: Metric) -> bool:
    """Tell whether points of a metric may be taken for what they are, one by one."""
    kind, query = KINDS[metric.kind], metric.query
    if metric.counter or kind.is_raw or kind.has_buckets:
        return False
    return query is None or all(made_up(text) is None for text in query.texts().values())


def _usable(metric: Metric, value: _FloatArray, total: _FloatArray, totals: _BoolArray) -> _BoolArray:
    """Tell of which releases both points of a metric are such that there is nothing to be said of them; arrays of shape (releases, 2), and whether they have totals."""
    kind = KINDS[metric.kind]
    if kind.is_averaged:
        return np.asarray((abs(value) <= HUGE).all(axis=1))
    good = (value >= 0) & (value <= _LARGEST)
    there = (total >= _SMALLEST) & (total <= _LARGEST)
    if kind.is_share:
        good &= there & (value <= total) & ((value == 0) | (value >= 1))
    else:
        good &= np.where(totals[:, None], there, np.isnan(total))
    return np.asarray(good.all(axis=1))


def _new(metric: Metric, value: _FloatArray, total: _FloatArray, before: _FloatArray) -> _BoolArray:
    """Tell which points say something new: traffic, or a level that has moved."""
    if KINDS[metric.kind].is_averaged:
        return np.asarray((value != 0) & (value.astype(np.float32) != before.astype(np.float32)))
    return np.asarray((value > 0) | (total > 0))


def _longer(column: np.ndarray, more: int) -> np.ndarray:
    """Give a copy with room for more rows."""
    return np.concatenate([column, np.zeros((more, *column.shape[1:]), dtype=column.dtype)])
