"""What the ways of taking in a stream have in common: how far each arm has come, and what the complete part adds up to."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from canaryjudge.data.agreement import Agreement
from canaryjudge.data.packing import read_flag
from canaryjudge.data.pair import FloatArray, MetricPair
from canaryjudge.data.series import Series
from canaryjudge.policy import Metric

__all__ = ["SURPLUS", "Intake", "Reach", "Tally", "block_hash", "slots_of"]

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

    @abstractmethod
    def take(self, arms: Sequence[Series]) -> list[int]:
        """Add what is new, and tell how many points of each arm are too late."""

    @abstractmethod
    def complete(self) -> tuple[list[MetricPair], list[int]]:
        """Hand out what is complete, and tell how many points of each arm were dropped for want of a partner."""

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
        self.tally = self.tally.plus(other.tally)

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        tally = self.tally
        return self.agreement.state() | {
            "windows": self.windows,
            "reach": [[reach.count, *_span(reach)] for reach in self.reach],
            "tally": [*tally.points, tally.blocks, *_span(tally), f"{tally.digest:064x}"],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Read what `state` gave."""
        self.agreement, self.windows = Agreement.restore(state), read_flag(state["windows"])
        baseline, canary = (Reach(int(count), *_ends(span)) for count, *span in state["reach"])
        self.reach = (baseline, canary)
        first, second, blocks, *span, digest = state["tally"]
        self.tally = Tally((int(first), int(second)), int(blocks), *_ends(span), int(digest, 16))


def _span(of: Reach | Tally) -> list[float | None]:
    return [of.first, of.last] if of.first <= of.last else [None, None]


def _ends(span: list[float | None]) -> tuple[float, float]:
    first, last = span
    if first is None or last is None:
        return np.inf, -np.inf
    if not (np.isfinite(first) and np.isfinite(last)):
        raise ValueError("a time is not finite")
    return float(first), float(last)
