"""How each replica of an arm does on the whole of a watch: a running mean, exact and in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from canaryjudge.data.series import Series
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
    last: float = -np.inf
    points: int = 0
    sums: ExactSum = field(default_factory=lambda: ExactSum((2,)))

    def add(self, replica: Series, since: float) -> None:
        """Count the points that are later than the last one, and not before some time."""
        start = 0
        if replica.time is not None and len(replica.time):
            start = int(max(replica.time.searchsorted(self.last, "right"), replica.time.searchsorted(since)))
            self.last = max(self.last, float(replica.time[-1]))
        value = replica.value[start:]
        total = np.ones(len(value)) if replica.total is None else replica.total[start:]
        if len(value):
            self.points += len(value)
            self.sums.add_all(np.column_stack([value, total]))

    def plus(self, other: _Running) -> _Running:
        """Give both together."""
        found = _Running(max(self.last, other.last), self.points + other.points, self.sums.copy())
        found.sums.merge(other.sums)
        return found

    def state(self) -> list[Any]:
        """Give what `restore` reads."""
        last = self.last if np.isfinite(self.last) else None
        return [last, self.points, self.sums.whole.tolist(), self.sums.parts.tolist()]

    @classmethod
    def restore(cls, state: list[Any]) -> _Running:
        """Read what `state` gave."""
        last, points, whole, parts = state
        found = cls(-np.inf if last is None else float(last), int(points))
        found.sums.whole, found.sums.parts = (np.array(part, dtype=np.int64) for part in (whole, parts))
        if found.sums.whole.shape != (2,) or found.sums.parts.shape != (2,):
            raise ValueError("a replica's sums are not two")
        return found


class ReplicaLevels:
    """The running levels of the replicas of both arms.

    Examples
    --------
    >>> levels = ReplicaLevels()
    >>> own = Series("pod-1", np.array([2.0, 4.0]), time=np.array([0.0, 60.0]))
    >>> for _ in range(2):  # what comes again does not count again
    ...     levels.add((Series("old", own.value, time=own.time, replicas=(own,)), Series("new", np.empty(0))))
    >>> levels.now
    ((ReplicaLevel(name='pod-1', points=2, mean=3.0),), ())
    """

    def __init__(self) -> None:
        self._arms: tuple[dict[str, _Running], dict[str, _Running]] = ({}, {})

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

    def add(self, arms: tuple[Series, Series], since: tuple[float, float] = (-np.inf, -np.inf)) -> None:
        """Count the points of an update that are later than their replica's last, and from some time of each arm on; histograms have no such level."""
        for arm, series, start in zip(self._arms, arms, since, strict=True):
            for replica in series.replicas:
                if replica.buckets is None:
                    arm.setdefault(replica.arm, _Running()).add(replica, start)
            _forget(arm)

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
