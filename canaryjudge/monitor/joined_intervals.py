"""The intervals of the segments of a metric under watch, brought together: what is compared within segments, interval by interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from canaryjudge.data import Arm, FloatArray, MetricPair
from canaryjudge.data.segments import SegmentName
from canaryjudge.kinds import KINDS
from canaryjudge.packing import pack, unpack
from canaryjudge.policy import Metric

__all__ = ["Joined", "JoinedIntervals"]

_PATIENCE: Final = 3
"""Intervals for which one waits for a segment that lacks it; what comes later counts for its segment alone."""


class Joined(NamedTuple):
    """Intervals of all segments together.

    Attributes
    ----------
    whole : MetricPair
        Both arms: of gauges the mean over the segments that have an interval in both, of anything else all that segments have.
    strata : tuple of MetricPair
        Of one interval: what it is made of, each compared within itself; of gauges nothing, for the mean over segments is one whatever their mix.
    """

    whole: MetricPair
    strata: tuple[MetricPair, ...] = ()


@dataclass(slots=True)
class _Waiting:
    name: SegmentName
    time: float
    baseline: FloatArray
    canary: FloatArray


class JoinedIntervals:
    """The complete intervals of segments, joined as soon as all have them that are still heard of.

    Events are handed out at once, for sums do not depend on the order. A gauge's interval waits for the segments that gave one of the last three, and a sample's as well.

    Examples
    --------
    >>> joined = JoinedIntervals(Metric(name="cpu", direction="increase"))
    >>> for region, level in (("eu", 1.0), ("us", 3.0)):
    ...     time = 60.0 * np.arange(2)
    ...     joined.add((region,), MetricPair("cpu", "gauge", Arm(np.full(2, level), time=time), Arm(np.full(2, level + 1), time=time), "concurrent", 60.0))
    >>> [found.whole.canary.value.tolist() for found in joined.complete(60.0)], joined.points
    ([[3.0, 3.0]], 2)
    """

    def __init__(self, metric: Metric) -> None:
        self._metric, self._kind = metric, KINDS[metric.kind]
        self._waiting: list[_Waiting] = []
        self._events: list[MetricPair] = []
        self._heard: dict[SegmentName, float] = {}
        self._origin: float | None = None
        self._done = -math.inf
        self.points = 0
        """Intervals that were handed out."""
        self.first, self.last = math.inf, -math.inf

    def add(self, name: SegmentName, pair: MetricPair) -> None:
        """Take complete intervals of a segment; of raw observations, one."""
        time = pair.canary.time if len(pair.canary) else pair.baseline.time
        if time is None or not len(time):
            return
        self._heard[name] = max(self._heard.get(name, -math.inf), float(time[-1]))
        if self._origin is None:
            self._origin = float(time[0])
        if self._kind.counts_events:
            self._events.append(pair)
        elif self._kind.is_raw:
            if len(pair.baseline) and len(pair.canary):
                self._waiting.append(_Waiting(name, float(time[0]), pair.baseline.value, pair.canary.value))
        else:
            self._waiting += [
                _Waiting(name, at, pair.baseline.value[[place]], pair.canary.value[[place]])
                for place, at in enumerate(time.tolist())
            ]

    def complete(self, interval: float | None) -> list[Joined]:
        """Hand out what is complete, in order of time."""
        if self._kind.counts_events:
            found = [*self._of_events(interval)]
        elif interval is None or self._origin is None:
            found = []
        else:
            found = [*self._of_points(interval)]
        for each in found:
            time = each.whole.canary.time
            if time is not None and len(time):
                self.first, self.last = min(self.first, float(time[0])), max(self.last, float(time[-1]))
        self.points += sum(1 if each.strata else len(each.whole.canary) for each in found)
        return found

    def _place(self, time: float, interval: float) -> int:
        """Give the number of the interval that a time is in."""
        return math.floor((time - (self._origin or 0.0)) / interval + 0.5)

    def _of_events(self, interval: float | None) -> Iterator[Joined]:
        """Give each interval of events, a stratum a segment."""
        events, self._events = self._events, []
        columns = [_columns(pair) for pair in events]
        if not columns:
            return
        rows = np.concatenate(columns)
        keys = rows[:, 0] if not interval else np.array([self._place(at, interval) for at in rows[:, 0]])
        for key in np.unique(keys).tolist():
            cells = rows[keys == key]
            cells = cells[np.lexsort(cells.T[::-1])]
            pair = events[0]
            time = np.full(len(cells), cells[:, 0].max())
            totals = np.isfinite(cells[:, 3:]).all()
            strata, whole = (
                replace(
                    pair,
                    baseline=Arm(cut[:, 1], cut[:, 3] if totals else None, time[: len(cut)]),
                    canary=Arm(cut[:, 2], cut[:, 4] if totals else None, time[: len(cut)]),
                    interval=interval,
                )
                for cut in (cells, cells.sum(axis=0, keepdims=True))
            )
            yield Joined(whole, (strata,))

    def _of_points(self, interval: float) -> Iterator[Joined]:
        """Give the intervals of gauges in one, and of samples each."""
        newest = max(self._heard.values(), default=-math.inf)
        heard = [at for at in self._heard.values() if at >= newest - _PATIENCE * interval]
        until = self._place(min(heard), interval) if heard else -1
        done = self._place(self._done, interval) if math.isfinite(self._done) else -math.inf
        ready: dict[int, list[_Waiting]] = {}
        kept = []
        for each in self._waiting:
            place = self._place(each.time, interval)
            if place > until:
                kept.append(each)
            elif place > done:
                ready.setdefault(place, []).append(each)
        self._waiting = kept
        if not ready:
            return
        self._done = (self._origin or 0.0) + interval * max(ready)
        joined = [sorted(ready[place], key=lambda each: (each.name, each.time)) for place in sorted(ready)]
        if self._kind.is_raw:
            for own in joined:
                time = max(each.time for each in own)
                strata = tuple(self._pair(each.baseline, each.canary, time, interval) for each in own)
                baseline, canary = (
                    np.concatenate([getattr(each, arm) for each in own]) for arm in ("baseline", "canary")
                )
                yield Joined(self._pair(baseline, canary, time, interval), strata)
            return
        levels = np.array([[_mean(own, arm) for arm in ("baseline", "canary")] for own in joined])
        times = np.array([max(each.time for each in own) for own in joined])
        first, second = (Arm(levels[:, arm].copy(), time=times) for arm in (0, 1))
        yield Joined(MetricPair(self._metric.name, self._metric.kind, first, second, "concurrent", interval))

    def _pair(self, baseline: FloatArray, canary: FloatArray, time: float, interval: float) -> MetricPair:
        first, second = (Arm(values, time=np.full(len(values), time)) for values in (baseline, canary))
        return MetricPair(self._metric.name, self._metric.kind, first, second, "concurrent", interval)

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        return {
            "waiting": [
                [*each.name, each.time, pack(each.baseline), pack(each.canary)] for each in self._waiting
            ],
            "heard": [[*name, at] for name, at in sorted(self._heard.items())],
            "origin": self._origin,
            "done": self._done if math.isfinite(self._done) else None,
            "points": self.points,
            "ends": [self.first, self.last] if math.isfinite(self.first) else None,
        }

    @classmethod
    def restore(cls, metric: Metric, state: Mapping[str, Any]) -> JoinedIntervals:
        """Read what `state` gave."""
        found = cls(metric)
        for *name, time, baseline, canary in state["waiting"]:
            found._waiting.append(
                _Waiting(
                    tuple(map(str, name)),
                    float(time),
                    unpack(baseline, "<f8", (-1,)),
                    unpack(canary, "<f8", (-1,)),
                )
            )
        found._heard = {tuple(map(str, name)): float(at) for *name, at in state["heard"]}
        found._origin = None if state["origin"] is None else float(state["origin"])
        found._done = -math.inf if state["done"] is None else float(state["done"])
        found.points = int(state["points"])
        if state["ends"] is not None:
            found.first, found.last = map(float, state["ends"])
        return found


def _mean(own: list[_Waiting], arm: str) -> float:
    """Give the mean over segments of one interval, each segment's points counted once."""
    by_name: dict[SegmentName, list[float]] = {}
    for each in own:
        by_name.setdefault(each.name, []).append(float(getattr(each, arm)[0]))
    return math.fsum(math.fsum(values) / len(values) for values in by_name.values()) / len(by_name)


def _columns(pair: MetricPair) -> FloatArray:
    """Lay out time, events and totals of both arms."""
    arms = (pair.baseline, pair.canary)
    none = np.full(len(pair.canary), np.nan)
    time = none if pair.canary.time is None else pair.canary.time
    return np.stack(
        [time, *(arm.value for arm in arms), *(none if arm.total is None else arm.total for arm in arms)],
        axis=-1,
    )
