"""What the ways of taking in a stream have in common: how far each arm has come, and what the complete part adds up to."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.agreement import Agreement
from canaryjudge.data.diagnostics import Location
from canaryjudge.data.pair import FloatArray, MetricPair
from canaryjudge.data.sameness import Sample, signatures
from canaryjudge.data.series import Series
from canaryjudge.data.silence import Presence
from canaryjudge.data.times import iso
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.packing import pack, pack_times, read_flag, unpack, unpack_times
from canaryjudge.policy import Metric

__all__ = [
    "SURPLUS",
    "IntArray",
    "Intake",
    "KnownPoints",
    "Reach",
    "Tally",
    "block_hash",
    "fingerprint",
    "slots_of",
]

SURPLUS = 100_000
"""So many points may wait where one arm may be given long before the other."""


def slots_of(time: FloatArray, interval: float | None) -> FloatArray:
    """Give every time the number of its interval, or of its microsecond where there are none."""
    if interval is None:
        return np.rint(time * 1e6)
    return np.floor(
        (time + 5e-7) / interval
    )  # times are good to a microsecond: none may fall short of its interval


def block_hash(*parts: bytes) -> int:
    """Hash one block of complete data."""
    return int.from_bytes(hashlib.sha256(b"".join(parts)).digest(), "little")


@dataclass(frozen=True, slots=True)
class Reach:
    """How many points an arm has given, and from when to when."""

    count: int = 0
    first: float = np.inf
    last: float = -np.inf

    def plus(self, other: Reach) -> Reach:
        """Add another's points."""
        return Reach(self.count + other.count, min(self.first, other.first), max(self.last, other.last))


@dataclass(frozen=True, slots=True)
class Tally:
    """What the complete part of a stream adds up to."""

    points: tuple[int, int] = (0, 0)
    """Points of the baseline and of the canary."""
    blocks: int = 0
    """Blocks that were hashed."""
    first: float = np.inf
    last: float = -np.inf
    """From when to when."""
    digest: int = 0
    """The sum of the blocks' SHA-256, modulo 2^256: the same in whatever order they came."""

    def plus(self, other: Tally) -> Tally:
        """Add another."""
        return Tally(
            (self.points[0] + other.points[0], self.points[1] + other.points[1]),
            self.blocks + other.blocks,
            min(self.first, other.first),
            max(self.last, other.last),
            (self.digest + other.digest) % 2**256,
        )


class Intake(ABC):
    """One way of taking in the points of both arms.

    Its fields are replaced and never written into, so that a shallow copy keeps what was.
    """

    def __init__(self, metric: Metric, names: tuple[str, str]) -> None:
        self.metric = metric
        self.names = names
        self.agreement = Agreement()
        self.windows: bool | None = None
        """Whether the arms are before and after; None while the data have not told."""
        self.edges: FloatArray | None = None
        self.reach = (Reach(), Reach())
        self.tally = Tally()
        self.presence = (Presence(), Presence())
        self.ends = (-np.inf, -np.inf)
        """When each arm's last row was, whether or not it could be used; without times, its place in line."""
        self.starts = (np.inf, np.inf)
        """When the first row was that each arm gave."""
        self.early = ((np.inf, -np.inf), (np.inf, -np.inf))
        """From when to when each arm's points were that were counted as from before its first."""
        self.samples = (Sample(), Sample())

    def copy(self) -> Self:
        """Give a copy that can go on by itself."""
        return copy.copy(self)

    @property
    def timed(self) -> bool | None:
        """Whether the points have times; None before there are any."""
        return self.agreement.timed

    @property
    @abstractmethod
    def interval(self) -> float | None:
        """The spacing of what is handed out, in seconds."""

    @property
    @abstractmethod
    def waiting(self) -> tuple[FloatArray, FloatArray]:
        """The times of the points that wait, of each arm."""

    @property
    def waiting_totals(self) -> tuple[float, float]:
        """The mean total of the points that wait, of each arm; 0 where none do."""
        first, second = (float(len(times) > 0) for times in self.waiting)
        return first, second

    def fit(self, arms: Sequence[Series]) -> list[int]:
        """Find the edges that all histograms so far know, and tell how many of each arm's own are not among them."""
        return [0] * len(arms)

    @abstractmethod
    def take(self, arms: Sequence[Series]) -> list[int]:
        """Add what is new, and tell how many points of each arm are too late."""

    @abstractmethod
    def complete(self) -> tuple[list[MetricPair], list[int]]:
        """Hand out what is complete, and tell how many points of each arm were dropped for want of a partner."""

    def _saw(
        self,
        index: int,
        time: FloatArray | None,
        value: FloatArray,
        total: FloatArray | None = None,
        buckets: FloatArray | None = None,
    ) -> None:
        """Remember when an arm gave what is new, and a sample of it."""
        samples = list(self.samples)
        samples[index] = samples[index].plus(signatures(value, total, buckets))
        self.samples = (samples[0], samples[1])
        if time is None:
            return
        found = list(self.presence)
        total = None if self.agreement.reported else total
        found[index] = found[index].plus(KINDS[self.metric.kind], time, value, total)
        self.presence = (found[0], found[1])

    def rows(self, index: int, series: Series) -> None:
        """Remember an arm's last row, the reports that cannot be used and, without times, where in line its points stand."""
        if not np.isfinite(series.end) or self.timed is None:
            return
        found, ends = list(self.presence), list(self.ends)
        end, beyond = series.end, series.beyond
        if not self.timed:
            start = ends[index] + 1 if np.isfinite(ends[index]) else 0.0
            line = np.arange(len(series), dtype=np.float64) if series.line is None else series.line
            total = None if self.agreement.reported else series.total
            found[index] = found[index].plus(KINDS[self.metric.kind], start + line, series.value, total)
            end, beyond = start + end, start + beyond
        found[index] = found[index].alive(beyond)
        ends[index] = max(ends[index], end)
        self.presence, self.ends = (found[0], found[1]), (ends[0], ends[1])

    def from_before(self, index: int, times: FloatArray, start: float) -> int:
        """Count an arm's points from before its first row, those that are not counted yet: a clock that jumps back gives such."""
        starts, early = list(self.starts), list(self.early)
        if np.isinf(starts[index]):
            starts[index] = min(start, float(times.min(initial=np.inf)))
        low, high = early[index]
        new = times[(times < starts[index]) & ((times < low) | (times > high))]
        if len(new):
            early[index] = (min(low, float(new.min())), max(high, float(new.max())))
        self.starts, self.early = (starts[0], starts[1]), (early[0], early[1])
        return len(new)

    def meet(self) -> bool | None:
        """Tell whether the arms' times overlap; None while they do not and one has fewer than two points."""
        count = min(reach.count for reach in self.reach)
        if not count:
            return None
        ends = np.array([[reach.first, reach.last] for reach in self.reach])
        slots = slots_of(ends, self.slot)
        overlap = bool(slots[:, 0].max() <= slots[:, 1].min())
        return overlap if overlap or count > 1 else None

    @property
    def slot(self) -> float | None:
        """The length of the intervals in which points are paired."""
        return self.metric.interval

    @abstractmethod
    def same_data(self, other: Self) -> bool:
        """Tell whether both have been given the same points."""

    def merge(self, other: Self) -> None:
        """Take over what another has been given; nothing is handed out before the next `complete`."""
        self.agreement = self.agreement.merged(self.metric, other.agreement)
        self.windows = other.windows if self.windows is None else self.windows
        self.edges = other.edges if self.edges is None else self.edges
        self.reach = (self.reach[0].plus(other.reach[0]), self.reach[1].plus(other.reach[1]))
        self.presence = (
            self.presence[0].union(other.presence[0]),
            self.presence[1].union(other.presence[1]),
        )
        self.ends = (max(self.ends[0], other.ends[0]), max(self.ends[1], other.ends[1]))
        self.starts = (min(self.starts[0], other.starts[0]), min(self.starts[1], other.starts[1]))
        spans = zip(self.early, other.early, strict=True)
        first, second = ((min(mine[0], theirs[0]), max(mine[1], theirs[1])) for mine, theirs in spans)
        self.early = (first, second)
        self.samples = (self.samples[0].union(other.samples[0]), self.samples[1].union(other.samples[1]))
        self.tally = self.tally.plus(other.tally)

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        tally = self.tally
        found = {} if np.isinf(self.early).all() else {"before": [_finite(*span) for span in self.early]}
        return (
            self.agreement.state()
            | found
            | {
                "windows": self.windows,
                "samples": [each.state() for each in self.samples],
                "presence": [each.state() for each in self.presence],
                "rows": [_finite(*span) for span in zip(self.starts, self.ends, strict=True)],
                "reach": [[reach.count, *_span(reach)] for reach in self.reach],
                "tally": [*tally.points, tally.blocks, *_span(tally), f"{tally.digest:064x}"],
            }
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Read what `state` gave."""
        self.agreement, self.windows = Agreement.restore(state), read_flag(state["windows"])
        baseline, canary = (Reach(int(count), *_ends(span)) for count, *span in state["reach"])
        self.reach = (baseline, canary)
        before, after = (Presence.restore(each) for each in state["presence"])
        self.presence = (before, after)
        (since, until), (start, end) = (
            (np.inf if first is None else float(first), -np.inf if last is None else float(last))
            for first, last in state["rows"]
        )
        self.starts, self.ends = (since, start), (until, end)
        if "before" in state:
            of_one, of_other = (_ends(span) for span in state["before"])
            self.early = (of_one, of_other)
        first_sample, second_sample = (Sample.restore(each) for each in state["samples"])
        self.samples = (first_sample, second_sample)
        first, second, blocks, *span, digest = state["tally"]
        self.tally = Tally((int(first), int(second)), int(blocks), *_ends(span), int(digest, 16))


def _finite(*times: float) -> list[float | None]:
    return [time if np.isfinite(time) else None for time in times]


def _span(of: Reach | Tally) -> list[float | None]:
    return [of.first, of.last] if of.first <= of.last else [None, None]


def _ends(span: list[float | None]) -> tuple[float, float]:
    first, last = span
    if first is None or last is None:
        return np.inf, -np.inf
    if not (np.isfinite(first) and np.isfinite(last)):
        raise ValueError("a time is not finite")
    return float(first), float(last)


IntArray = NDArray[np.int64]

_REMEMBERED = 128
_PRINT_SIZE = 6  # bytes: 256 of them are 2 kB of text, and a change goes unseen once in 3e14
_ALWAYS = -(2**62)  # before every time


def _none() -> IntArray:
    return np.empty(0, dtype=np.int64)


def fingerprint(content: bytes) -> int:
    """Give a short hash by which to know some content again."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=_PRINT_SIZE).digest(), "little")


@dataclass(frozen=True, slots=True)
class KnownPoints:
    """The points that were given, as far back as they are remembered."""

    floor: int = _ALWAYS
    """Points up to here are forgotten."""
    keys: IntArray = field(default_factory=_none)
    """The times of those remembered, ascending, in microseconds. A time may occur twice after a merge; shape (n,)."""
    prints: IntArray = field(default_factory=_none)
    """The fingerprints of what they held; shape (n,)."""

    def unknown(
        self, keys: IntArray, rows: FloatArray, place: Location
    ) -> tuple[NDArray[np.bool_] | None, int]:
        """Tell which points are new."""
        if not len(keys) or keys[0] > (self.keys[-1] if len(self.keys) else self.floor):
            return None, 0
        late = keys <= self.floor
        again = np.isin(keys, self.keys)
        for index in np.flatnonzero(again).tolist():
            known = self.prints[self.keys == keys[index]]
            if fingerprint(rows[index, 1:].tobytes()) not in known:
                raise DataError(
                    f"{place}: the point of {iso(keys[index] / 1e6)} has changed since it was given",
                    "Give an interval only once it is complete.",
                )
        return ~(late | again), int(late.sum())

    def remember(self, keys: IntArray, rows: FloatArray) -> KnownPoints:
        """Add points that are new."""
        prints = [fingerprint(row[1:].tobytes()) for row in rows[-_REMEMBERED:]]
        floor = self.floor
        if len(keys) > _REMEMBERED:
            floor = max(floor, int(keys[-_REMEMBERED - 1]))
            keys = keys[-_REMEMBERED:].copy()
        return self._with(floor, keys, np.array(prints, dtype=np.int64))

    def note(self, keys: IntArray, prints: IntArray) -> KnownPoints:
        """Add fingerprints of something else, under keys that ascend."""
        return self._with(self.floor, keys, prints)

    def union(self, other: KnownPoints) -> KnownPoints:
        """Give what either has seen."""
        return self._with(max(self.floor, other.floor), other.keys, other.prints)

    def _with(self, floor: int, keys: IntArray, prints: IntArray) -> KnownPoints:
        ordered = not len(self.keys) or not len(keys) or keys[0] > self.keys[-1]
        keys = np.concatenate([self.keys, keys])
        prints = np.concatenate([self.prints, prints])
        if not ordered:
            order = np.lexsort([prints, keys])
            keys, prints = keys[order], prints[order]
        if len(keys) > _REMEMBERED:
            floor = max(floor, int(keys[-_REMEMBERED - 1]))
        # a time is remembered as a whole or not at all: unions then come to the same in any order
        start = int(keys.searchsorted(floor, "right")) if len(keys) and keys[0] <= floor else 0
        # copies: parts of arrays would keep all of what was given
        return KnownPoints(floor, keys[start:].copy(), prints[start:].copy())

    def shared(self, other: KnownPoints) -> tuple[int, int]:
        """Count the times that both remember, and those of them at which both hold the same."""
        common = np.intersect1d(self.keys, other.keys)
        same = sum(
            bool(np.intersect1d(self.prints[self.keys == key], other.prints[other.keys == key]).size)
            for key in common
        )
        return len(common), same

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        prints = self.prints.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :_PRINT_SIZE]
        found: dict[str, Any] = {"at": pack_times(self.keys), "is": pack(np.ascontiguousarray(prints))}
        return found if self.floor == _ALWAYS else {"floor": self.floor} | found

    @classmethod
    def restore(cls, state: dict[str, Any]) -> KnownPoints:
        """Read what `state` gave."""
        keys = unpack_times(state["at"])
        prints = np.zeros((len(keys), 8), dtype=np.uint8)
        prints[:, :_PRINT_SIZE] = unpack(state["is"], np.uint8, (len(keys), _PRINT_SIZE))
        floor = int(state.get("floor", _ALWAYS))
        if len(keys) > _REMEMBERED or (np.diff(keys) < 0).any() or (keys[:1] <= floor).any():
            raise ValueError("what was seen is not in order of time")
        return cls(floor, keys, prints.view("<i8")[:, 0].astype(np.int64))
