"""How each replica of an arm does on the whole of a watch: a running mean, exact and in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from canaryjudge.data.notes import Note
from canaryjudge.data.series import Series
from canaryjudge.data.silence import AT_THE_END, EXPECTED, FEWEST, IRREGULAR, Gap, note_of_replicas
from canaryjudge.kinds import Kind
from canaryjudge.stats.exact_sums import ExactSum

__all__ = ["ReplicaLevel", "ReplicaLevels"]

_MOST = 256
"""Replicas of an arm; those that have not reported for the longest time are forgotten."""


class ReplicaLevel(NamedTuple):
    """What one replica comes to.

    Attributes
    ----------
    name : str
        The replica.
    points : int
        How many of its points were counted.
    mean : float
        Of gauges and samples the mean of their values; of ratios and counts all events by all that they are out of.
    """

    name: str
    points: int
    mean: float


@dataclass(slots=True)
class _Running:
    first: float = np.inf
    heard: float = -np.inf
    """When it last had traffic."""
    last: float = -np.inf
    points: int = 0
    sums: ExactSum = field(default_factory=lambda: ExactSum((2,)))

    def add(self, replica: Series, since: float, kind: Kind) -> None:
        """Count the points that are later than the last one, and not before some time; a histogram has no level."""
        start = 0
        alive = np.ones(len(replica), dtype=np.bool_)
        if kind.counts_events or kind.has_buckets:
            alive = (replica.value if replica.total is None or replica.reported else replica.total) > 0
        if replica.time is not None and len(replica.time):
            self.first = min(self.first, max(float(replica.time[0]), since))
            self.heard = max(self.heard, float(replica.time[alive].max(initial=-np.inf)))
            start = int(max(replica.time.searchsorted(self.last, "right"), replica.time.searchsorted(since)))
            self.last = max(self.last, float(replica.time[-1]))
        value = replica.value[start:]
        total = np.full(len(value), float(not kind.has_buckets))
        total = total if replica.total is None else replica.total[start:]
        if len(value):
            self.points += len(value)
            self.sums.add_all(np.column_stack([value, total]))

    def plus(self, other: _Running) -> _Running:
        """Give both together."""
        found = _Running(
            min(self.first, other.first),
            max(self.heard, other.heard),
            max(self.last, other.last),
            self.points + other.points,
            self.sums.copy(),
        )
        found.sums.merge(other.sums)
        return found

    def gap(self, kind: Kind, interval: float, first: float, until: float) -> Gap | None:
        """Tell for how long it has been silent, where it reported all the time before, and its arm did from some time until another."""
        missing = round((until - self.heard) / interval)
        part, own = missing / ((until - first) / interval + 1), (self.heard - self.first) / interval + 1
        regular = kind.is_raw or self.points >= (1 - IRREGULAR) * own
        if missing < FEWEST or part < AT_THE_END or not regular:
            return None
        traffic = self.points if kind.is_raw else float(self.sums.value[int(kind.is_share)])
        if not kind.is_averaged and traffic * missing / own < EXPECTED:
            return None
        return Gap(self.heard, until, missing, part, at_the_end=True)

    def state(self) -> list[Any]:
        """Give what `restore` reads."""
        times = [time if np.isfinite(time) else None for time in (self.first, self.heard, self.last)]
        return [*times, self.points, self.sums.whole.tolist(), self.sums.parts.tolist()]

    @classmethod
    def restore(cls, state: list[Any]) -> _Running:
        """Read what `state` gave."""
        first, *others, points, whole, parts = state
        heard, last = (-np.inf if time is None else float(time) for time in others)
        found = cls(np.inf if first is None else float(first), heard, last, int(points))
        found.sums.whole, found.sums.parts = (np.array(part, dtype=np.int64) for part in (whole, parts))
        if found.sums.whole.shape != (2,) or found.sums.parts.shape != (2,):
            raise ValueError("a replica's sums are not two")
        return found


class ReplicaLevels:
    """The running levels of the replicas of both arms.

    Examples
    --------
    >>> from canaryjudge.kinds import KINDS
    >>> levels = ReplicaLevels()
    >>> own = Series("pod-1", np.array([2.0, 4.0]), time=np.array([0.0, 60.0]))
    >>> for _ in range(2):  # what comes again does not count again
    ...     levels.add((Series("old", own.value, time=own.time, replicas=(own,)), Series("new", np.empty(0))), kind=KINDS["gauge"])
    >>> levels.now
    ((ReplicaLevel(name='pod-1', points=2, mean=3.0),), ())
    """

    def __init__(self) -> None:
        self._arms: tuple[dict[str, _Running], dict[str, _Running]] = ({}, {})

    def __bool__(self) -> bool:
        return any(self._arms)

    @property
    def now(self) -> tuple[tuple[ReplicaLevel, ...], tuple[ReplicaLevel, ...]]:
        """The level of each replica of the baseline and the canary, in the order of their names."""
        first, second = (
            tuple(
                ReplicaLevel(name, own.points, float(own.sums.value[0] / own.sums.value[1]))
                for name, own in sorted(arm.items())
                if own.sums.value[1] > 0
            )
            for arm in self._arms
        )
        return first, second

    def add(
        self, arms: tuple[Series, Series], since: tuple[float, float] = (-np.inf, -np.inf), *, kind: Kind
    ) -> None:
        """Count the points of an update that are later than their replica's last, and from some time of each arm on."""
        for arm, series, start in zip(self._arms, arms, since, strict=True):
            for replica in series.replicas:
                arm.setdefault(replica.arm, _Running()).add(replica, start, kind)
            _forget(arm)

    def silences(self, kind: Kind, names: tuple[str, str], interval: float | None) -> list[Note]:
        """Note that some replicas of an arm have fallen silent while others go on."""
        found: list[Note] = []
        for name, arm in zip(names, self._arms, strict=True):
            if len(arm) < 2 or not interval:
                continue
            first, until = min(own.first for own in arm.values()), max(own.heard for own in arm.values())
            gaps = [(own.gap(kind, interval, first, until), replica) for replica, own in arm.items()]
            silent = [(gap, replica) for gap, replica in gaps if gap is not None]
            found += note_of_replicas(name, silent, [own.first for own in arm.values()])
        return found

    def merge(self, other: ReplicaLevels) -> None:
        """Add those of another shard."""
        for mine, theirs in zip(self._arms, other._arms, strict=True):
            for name, own in theirs.items():
                mine[name] = mine.get(name, _Running()).plus(own)
            _forget(mine)

    def state(self) -> list[dict[str, Any]]:
        """Give what `restore` reads."""
        return [{name: own.state() for name, own in sorted(arm.items())} for arm in self._arms]

    @classmethod
    def restore(cls, state: list[Mapping[str, Any]]) -> ReplicaLevels:
        """Read what `state` gave; of something else, TypeError or ValueError."""
        levels = cls()
        first, second = ({name: _Running.restore(own) for name, own in arm.items()} for arm in state)
        levels._arms = (first, second)
        return levels


def _forget(arm: dict[str, _Running]) -> None:
    if len(arm) > _MOST:
        for name in sorted(arm, key=lambda name: (arm[name].last, name))[: len(arm) - _MOST]:
            del arm[name]
