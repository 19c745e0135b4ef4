"""Raw observations, as they come: those of an interval are handed out together, once it is over in both arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.intake import SURPLUS, Intake, Reach, Tally, block_hash, slots_of
from canaryjudge.data.known_points import KnownPoints
from canaryjudge.data.packing import pack, unpack
from canaryjudge.data.pair import Arm, FloatArray, MetricPair
from canaryjudge.data.series import Series
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["INTERVAL", "RawIntake", "complete_parts", "intervals"]

INTERVAL = 10.0
"""Seconds of raw observations that are handed out together, unless the policy says otherwise."""

_HELD = 20_000  # observations of an interval that is not over; more are handed out before its end

_NONE: FloatArray = np.empty(0)


@dataclass(frozen=True, slots=True)
class Part:
    """Observations of one arm, in order of time; untimed ones have no times."""

    value: FloatArray = field(default_factory=lambda: _NONE)
    time: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index: slice | NDArray[np.bool_]) -> Part:
        return Part(self.value[index], None if self.time is None else self.time[index])

    def plus(self, other: Part) -> Part:
        """Add those of another, at the end."""
        if not len(self) or not len(other):
            return other if len(other) else self
        time = None if self.time is None or other.time is None else np.concatenate([self.time, other.time])
        return Part(np.concatenate([self.value, other.value]), time)

    def ordered(self) -> Part:
        """Give them in order of time and value, which forgets how they came."""
        if self.time is None:
            return Part(np.sort(self.value))
        order = np.lexsort([self.value, self.time])
        return Part(self.value[order], self.time[order])

    def copied(self) -> Part:
        """Give a copy, so that a large array can be freed of which only the end is wanted."""
        return Part(self.value.copy(), None if self.time is None else self.time.copy())

    def bytes(self) -> tuple[bytes, ...]:
        """Give what is hashed of them."""
        times = b"" if self.time is None else self.time.tobytes()
        return len(self).to_bytes(8, "little"), self.value.tobytes(), times


@dataclass(frozen=True, slots=True)
class Runs:
    """Where each interval begins in an arm's observations.

    Attributes
    ----------
    slots : ndarray, shape (n,)
        The intervals that have any, ascending.
    bounds : ndarray of int, shape (n + 1,)
        Where each begins, and where the last ends.
    """

    slots: FloatArray
    bounds: NDArray[np.intp]

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
        self._held = (Part(), Part())
        self._newest: tuple[FloatArray | None, FloatArray | None] = (_NONE, _NONE)
        """The values at each arm's last time, which may come again; None if they are too many to keep."""
        self._closed = -np.inf
        self._seen = KnownPoints()
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
            new = Part(series.value, series.time)
            if new.time is not None and len(new):
                new = _after(new, reach[index].last, newest[index])
            if not len(new):
                continue
            first, last = np.inf, -np.inf
            if new.time is not None:
                first, last = float(new.time[0]), float(new.time[-1])
                newest[index] = _at_end(new, last, newest[index] if last == reach[index].last else _NONE)
            reach[index] = reach[index].plus(Reach(len(new), first, last))
            if new.time is not None and np.isfinite(self._closed):
                late[index] = int(slots_of(new.time, self.interval).searchsorted(self._closed, "right"))
                new = new[late[index] :]
            held[index] = held[index].plus(new)
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
            self._seen = self._seen.note(keys, prints)
        return pairs, [late + surplus for late, surplus in zip(dropped, self._drop(), strict=True)]

    def _all_at_once(self) -> list[MetricPair]:
        if not all(len(part) for part in self._held):
            return []
        pairs = [self._block(self.tally.blocks, self._held)]
        self._held = (Part(), Part())
        return pairs

    def _in_line(self) -> list[MetricPair]:
        """Take the arms' intervals one by one, wherever they lie in time: the first with the first."""
        runs = self._runs()
        count = min(_over(run) for run in runs)
        if not count:
            return []
        first, second = self._held
        pairs = [
            self._block(int(runs[1].slots[index]), (first[runs[0].at(index)], second[runs[1].at(index)]))
            for index in range(count)
        ]
        self._held = (
            first[int(runs[0].bounds[count]) :].copied(),
            second[int(runs[1].bounds[count]) :].copied(),
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
                    int(runs[0].slots[indices[0]]), (self._held[0][places[0]], self._held[1][places[1]])
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
            rest = part[start:] if kept is None else part[start:][kept[arm][start:]]
            held.append(rest.copied() if start else rest)
        self._held = (held[0], held[1])
        return pairs, dropped

    def _crowds(self) -> list[bool]:
        return [len(part) > _HELD for part in self._held]

    def _runs(self) -> tuple[Runs, Runs]:
        return Runs.of(self._held[0].time, self.interval), Runs.of(self._held[1].time, self.interval)

    def _block(self, key: int, parts: tuple[Part, Part]) -> MetricPair:
        digest = block_hash(key.to_bytes(8, "little", signed=True), *parts[0].bytes(), *parts[1].bytes())
        first, last = np.inf, -np.inf
        if parts[0].time is not None and parts[1].time is not None:
            first = float(min(parts[0].time[0], parts[1].time[0]))
            last = float(max(parts[0].time[-1], parts[1].time[-1]))
            self._prints.append((key, digest % 2**48))
        self.tally = self.tally.plus(Tally((len(parts[0]), len(parts[1])), 1, first, last, digest))
        return MetricPair(
            name=self.metric.name,
            kind=self.metric.kind,
            baseline=Arm(parts[0].value, time=parts[0].time),
            canary=Arm(parts[1].value, time=parts[1].time),
            pairing="concurrent" if self.timed and not self.windows else "windows",
            interval=self.interval if self.timed else self.metric.interval,
        )

    def _drop(self) -> list[int]:
        first, second = (part[-SURPLUS:] if self.windows is None else part[:SURPLUS] for part in self._held)
        dropped = [len(part) - len(kept) for part, kept in zip(self._held, (first, second), strict=True)]
        if any(dropped):
            self._held = (first.copied(), second.copied())
        return dropped

    def same_data(self, other: Self) -> bool:
        """Tell whether both have been given the same points."""
        common, same = self._seen.shared(other._seen)
        mine, theirs = ([part.ordered().bytes() for part in held] for held in (self._held, other._held))
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
            mine.plus(theirs).ordered() for mine, theirs in zip(self._held, other._held, strict=True)
        )
        self._held = (first, second)
        self._closed = max(self._closed, other._closed)
        self._seen = self._seen.union(other._seen)

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        found = super().state() | {"held": [_packed(part) for part in self._held]}
        if self.timed:
            found |= {
                "newest": [None if values is None else pack(values) for values in self._newest],
                "closed": self._closed if np.isfinite(self._closed) else None,
                "seen": self._seen.state(),
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
            self._seen = KnownPoints.restore(state["seen"])


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


def _after(new: Part, last: float, newest: FloatArray | None) -> Part:
    """Leave out what an arm has given already: all before its last time, and of that time the values that are known."""
    if new.time is None or new.time[0] > last:
        return new
    start, end = int(new.time.searchsorted(last)), int(new.time.searchsorted(last, "right"))
    if newest is None or start == end:
        return new[end:]
    known = Counter(newest.tolist())
    fresh = np.ones(len(new), dtype=np.bool_)
    fresh[:start] = False
    for index, value in enumerate(new.value[start:end].tolist(), start):
        if known[value] > 0:
            known[value] -= 1
            fresh[index] = False
    return new[fresh]


def _at_end(new: Part, last: float, before: FloatArray | None) -> FloatArray | None:
    if new.time is None or before is None:
        return None
    values = np.concatenate([before, new.value[new.time.searchsorted(last) :]])
    return values if len(values) <= _HELD else None


def _packed(part: Part) -> list[str]:
    return [pack(part.value)] if part.time is None else [pack(part.value), pack(part.time)]


def _unpacked(packed: Any) -> Part:
    arrays = [unpack(text) for text in packed]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("what is held is not finite")
    if len(arrays) == 2 and len(arrays[0]) == len(arrays[1]) and (np.diff(arrays[1]) >= 0).all():
        return Part(*arrays)
    if len(arrays) != 1:
        raise ValueError("what is held is not in order of time")
    return Part(arrays[0])


def intervals(pair: MetricPair, *, unfinished: bool = False) -> Iterator[MetricPair]:
    """Cut whole series into what a stream would hand out, interval by interval.

    Parameters
    ----------
    pair : MetricPair
        Both arms.
    unfinished : bool, optional
        Whether raw observations of the last interval count too, though more of them might follow; a stream waits.

    Yields
    ------
    MetricPair
        One interval: a point of each arm, or all raw observations of it; without times these are one interval.

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
