"""Raw observations, as they come: those of an interval are handed out together, once it is over in both arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.intake import SURPLUS, Intake, KnownPoints, Reach, Tally, block_hash, slots_of
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.series import Series
from canaryjudge.packing import pack, unpack
from canaryjudge.policy import Metric

__all__ = ["INTERVAL", "RawIntake", "complete_parts"]

INTERVAL = 10.0
"""Seconds of raw observations that are handed out together, unless the policy says otherwise."""

_HELD = 20_000  # observations of an interval that is not over; more are handed out before its end

_NONE: FloatArray = np.empty(0)
_NOTHING = Arm(_NONE)


@dataclass(frozen=True, slots=True)
class Runs:
    """Where each interval begins in an arm's observations."""

    slots: FloatArray
    """The intervals that have any, ascending; shape (n,)."""
    bounds: NDArray[np.intp]
    """Where each begins, and where the last ends; shape (n + 1,)."""

    @classmethod
    def of(cls, time: FloatArray | None, interval: float) -> Runs:
        """Find them in times that ascend."""
        if time is None or not len(time):
            return cls(_NONE, np.zeros(1, dtype=np.intp))
        slots = slots_of(time, interval)
        starts = np.flatnonzero(np.concatenate([[True], slots[1:] != slots[:-1]]))
        return cls(slots[starts], np.append(starts, len(slots)))

    def at(self, index: int) -> slice:
        """Give the place of one interval."""
        return slice(int(self.bounds[index]), int(self.bounds[index + 1]))


class RawIntake(Intake):
    """What one metric of raw observations has been given."""

    def __init__(self, metric: Metric, names: tuple[str, str]) -> None:
        super().__init__(metric, names)
        self._held = (_NOTHING, _NOTHING)
        self._newest: tuple[FloatArray | None, FloatArray | None] = (_NONE, _NONE)
        """The values at each arm's last time, which may come again; None if they are too many to keep."""
        self._closed = -np.inf
        self._known = KnownPoints()
        self._prints: list[tuple[int, int]] = []

    @property
    def interval(self) -> float:
        """How long observations are gathered before they are handed out."""
        return self.metric.interval or INTERVAL

    @property
    def slot(self) -> float:
        """The length of the intervals."""
        return self.interval

    @property
    def waiting(self) -> tuple[FloatArray, FloatArray]:
        """The times of the observations that wait, of each arm."""
        first, second = (_NONE if part.time is None else part.time for part in self._held)
        return first, second

    def take(self, arms: Sequence[Series]) -> list[int]:
        """Add what is new, and tell how many observations of each arm are too late."""
        held, newest, reach, late = list(self._held), list(self._newest), list(self.reach), [0, 0]
        for index, series in enumerate(arms):
            new = Arm(series.value, time=series.time)
            if new.time is not None and len(new):
                new = _after(new, reach[index].last, newest[index])
            if not len(new):
                continue
            first, last = np.inf, -np.inf
            if new.time is not None:
                first, last = float(new.time[0]), float(new.time[-1])
                newest[index] = _at_end(new, last, newest[index] if last == reach[index].last else _NONE)
            self._saw(index, new.time, new.value)
            reach[index] = reach[index].plus(Reach(len(new), first, last))
            if new.time is not None and np.isfinite(self._closed):
                late[index] = int(slots_of(new.time, self.interval).searchsorted(self._closed, "right"))
                new = new.part(slice(late[index], None))
            held[index] = _joined(held[index], new)
        self._held = (held[0], held[1])
        self._newest = (newest[0], newest[1])
        self.reach = (reach[0], reach[1])
        return late

    def complete(self) -> tuple[list[MetricPair], list[int]]:
        """Hand out what is complete, and tell how many observations of each arm were dropped for want of a partner."""
        pairs: list[MetricPair] = []
        dropped = [0, 0]
        self._prints = []
        if not self.timed:
            pairs = self._all_at_once()
        elif self.windows:
            pairs = self._in_line()
        elif self.windows is not None:
            pairs, dropped = self._on_one_clock()
        if self.timed and pairs:
            keys, prints = np.array(self._prints, dtype=np.int64).T
            self._known = self._known.note(keys, prints)
        return pairs, [late + surplus for late, surplus in zip(dropped, self._drop(), strict=True)]

    def _all_at_once(self) -> list[MetricPair]:
        if not all(len(part) for part in self._held):
            return []
        pairs = [self._block(self.tally.blocks, self._held)]
        self._held = (_NOTHING, _NOTHING)
        return pairs

    def _in_line(self) -> list[MetricPair]:
        """Take the arms' intervals one by one, wherever they lie in time: the first with the first."""
        runs = self._runs()
        count = min(_over(run) for run in runs)
        if not count:
            return []
        first, second = self._held
        pairs = [
            self._block(
                int(runs[1].slots[index]), (first.part(runs[0].at(index)), second.part(runs[1].at(index)))
            )
            for index in range(count)
        ]
        self._held = (
            _copied(first.part(slice(int(runs[0].bounds[count]), None))),
            _copied(second.part(slice(int(runs[1].bounds[count]), None))),
        )
        return pairs

    def _on_one_clock(self) -> tuple[list[MetricPair], list[int]]:
        runs = self._runs()
        ends = [float(slots_of(np.array(reach.last), self.interval)) for reach in self.reach]
        self._closed = max(self._closed, _closed(ends))
        pairs = []
        over = [int(run.slots.searchsorted(self._closed, "right")) for run in runs]
        dropped = [int(run.bounds[index]) for run, index in zip(runs, over, strict=True)]
        kept = [np.ones(len(part), dtype=np.bool_) for part in self._held] if any(self._crowds()) else None
        for indices in _common(runs):
            places = [run.at(index) for run, index in zip(runs, indices, strict=True)]
            closed = indices[0] < over[0]
            if not closed and max(place.stop - place.start for place in places) <= _HELD:
                continue
            pairs.append(
                self._block(
                    int(runs[0].slots[indices[0]]),
                    (self._held[0].part(places[0]), self._held[1].part(places[1])),
                )
            )
            for arm, place in enumerate(places):
                if closed:
                    dropped[arm] -= place.stop - place.start
                elif kept is not None:
                    kept[arm][place] = False
        held = []
        for arm, part in enumerate(self._held):
            start = int(runs[arm].bounds[over[arm]])
            rest = part.part(slice(start, None))
            rest = rest if kept is None else rest.part(kept[arm][start:])
            held.append(_copied(rest) if start else rest)
        self._held = (held[0], held[1])
        return pairs, dropped

    def _crowds(self) -> list[bool]:
        return [len(part) > _HELD for part in self._held]

    def _runs(self) -> tuple[Runs, Runs]:
        return Runs.of(self._held[0].time, self.interval), Runs.of(self._held[1].time, self.interval)

    def _block(self, key: int, parts: tuple[Arm, Arm]) -> MetricPair:
        digest = block_hash(key.to_bytes(8, "little", signed=True), *_bytes(parts[0]), *_bytes(parts[1]))
        first, last = np.inf, -np.inf
        if parts[0].time is not None and parts[1].time is not None:
            first = float(min(parts[0].time[0], parts[1].time[0]))
            last = float(max(parts[0].time[-1], parts[1].time[-1]))
            self._prints.append((key, digest % 2**48))
        self.tally = self.tally.plus(Tally((len(parts[0]), len(parts[1])), 1, first, last, digest))
        return MetricPair(
            name=self.metric.name,
            kind=self.metric.kind,
            baseline=parts[0],
            canary=parts[1],
            pairing="concurrent" if self.timed and not self.windows else "windows",
            interval=self.interval if self.timed else self.metric.interval,
        )

    def _drop(self) -> list[int]:
        kept = slice(-SURPLUS, None) if self.windows is None else slice(SURPLUS)
        first, second = (part.part(kept) for part in self._held)
        dropped = [len(part) - len(rest) for part, rest in zip(self._held, (first, second), strict=True)]
        if any(dropped):
            self._held = (_copied(first), _copied(second))
        return dropped

    def same_data(self, other: Self) -> bool:
        """Tell whether both have been given the same points."""
        common, same = self._known.shared(other._known)
        mine, theirs = ([_bytes(_ordered(part)) for part in held] for held in (self._held, other._held))
        return 2 * same > common or (mine == theirs and any(len(part) for part in self._held))

    def merge(self, other: Self) -> None:
        """Take over what another has been given; nothing is handed out before the next `complete`."""
        newest = []
        for mine, theirs, values, others in zip(
            self.reach, other.reach, self._newest, other._newest, strict=True
        ):
            if mine.last != theirs.last:
                newest.append(values if mine.last > theirs.last else others)
            else:
                both = None if values is None or others is None else np.concatenate([values, others])
                newest.append(None if both is None or len(both) > _HELD else np.sort(both))
        super().merge(other)
        self._newest = (newest[0], newest[1])
        first, second = (
            _ordered(_joined(mine, theirs)) for mine, theirs in zip(self._held, other._held, strict=True)
        )
        self._held = (first, second)
        self._closed = max(self._closed, other._closed)
        self._known = self._known.union(other._known)

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        found = super().state() | {"held": [_packed(part) for part in self._held]}
        if self.timed:
            found |= {
                "newest": [None if values is None else pack(values) for values in self._newest],
                "closed": self._closed if np.isfinite(self._closed) else None,
                "seen": self._known.state(),
            }
        return found

    def restore(self, state: dict[str, Any]) -> None:
        """Read what `state` gave."""
        super().restore(state)
        first, second = (_unpacked(packed) for packed in state["held"])
        self._held = (first, second)
        if self.timed:
            baseline, canary = (None if text is None else unpack(text) for text in state["newest"])
            self._newest = (baseline, canary)
            self._closed = -np.inf if state["closed"] is None else float(state["closed"])
            self._known = KnownPoints.restore(state["seen"])


def complete_parts(pair: MetricPair, *, unfinished: bool) -> list[tuple[slice, slice]]:
    """Find the intervals of raw observations that are over, as a stream hands them out; or all of them."""
    arms, interval = (pair.baseline, pair.canary), pair.interval or INTERVAL
    runs = (Runs.of(arms[0].time, interval), Runs.of(arms[1].time, interval))
    if pair.pairing == "windows":
        count = min(len(run.slots) if unfinished else _over(run) for run in runs)
        return [(runs[0].at(index), runs[1].at(index)) for index in range(count)]
    closed = np.inf if unfinished else _closed([float(run.slots[-1]) for run in runs if len(run.slots)])
    return [
        (runs[0].at(first), runs[1].at(second))
        for first, second in _common(runs)
        if runs[0].slots[first] <= closed
    ]


def _closed(ends: list[float]) -> float:
    """Give the last interval that is over: both arms are past it, or one of them is past the next one too."""
    return max(min(ends), max(ends) - 1) - 1 if ends else -np.inf


def _over(runs: Runs) -> int:
    """Count an arm's intervals that are over: all but the last, which may still grow."""
    crowded = len(runs.slots) > 0 and runs.bounds[-1] - runs.bounds[-2] > _HELD
    return len(runs.slots) if crowded else max(len(runs.slots) - 1, 0)


def _common(runs: tuple[Runs, Runs]) -> list[tuple[int, int]]:
    _, first, second = np.intersect1d(runs[0].slots, runs[1].slots, assume_unique=True, return_indices=True)
    return list(zip(first.tolist(), second.tolist(), strict=True))


def _after(new: Arm, last: float, newest: FloatArray | None) -> Arm:
    """Leave out what an arm has given already: all before its last time, and of that time the values that are known."""
    if new.time is None or new.time[0] > last:
        return new
    start, end = int(new.time.searchsorted(last)), int(new.time.searchsorted(last, "right"))
    if newest is None or start == end:
        return new.part(slice(end, None))
    known = Counter(newest.tolist())
    fresh = np.ones(len(new), dtype=np.bool_)
    fresh[:start] = False
    for index, value in enumerate(new.value[start:end].tolist(), start):
        if known[value] > 0:
            known[value] -= 1
            fresh[index] = False
    return new.part(fresh)


def _at_end(new: Arm, last: float, before: FloatArray | None) -> FloatArray | None:
    if new.time is None or before is None:
        return None
    values = np.concatenate([before, new.value[new.time.searchsorted(last) :]])
    return values if len(values) <= _HELD else None


def _joined(first: Arm, second: Arm) -> Arm:
    """Put the observations of one arm behind others of it."""
    if not len(first) or not len(second):
        return second if len(second) else first
    time = None if first.time is None or second.time is None else np.concatenate([first.time, second.time])
    return Arm(np.concatenate([first.value, second.value]), time=time)


def _ordered(part: Arm) -> Arm:
    """Give observations in order of time and value, which forgets how they came."""
    if part.time is None:
        return Arm(np.sort(part.value))
    return part.part(np.lexsort([part.value, part.time]))


def _copied(part: Arm) -> Arm:
    """Give a copy, so that a large array can be freed of which only the end is wanted."""
    return Arm(part.value.copy(), time=None if part.time is None else part.time.copy())


def _bytes(part: Arm) -> tuple[bytes, ...]:
    """Give what is hashed of observations."""
    times = b"" if part.time is None else part.time.tobytes()
    return len(part).to_bytes(8, "little"), part.value.tobytes(), times


def _packed(part: Arm) -> list[str]:
    return [pack(part.value)] if part.time is None else [pack(part.value), pack(part.time)]


def _unpacked(packed: Any) -> Arm:
    arrays = [unpack(text) for text in packed]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("what is held is not finite")
    if len(arrays) == 2 and len(arrays[0]) == len(arrays[1]) and (np.diff(arrays[1]) >= 0).all():
        return Arm(arrays[0], time=arrays[1])
    if len(arrays) != 1:
        raise ValueError("what is held is not in order of time")
    return Arm(arrays[0])
