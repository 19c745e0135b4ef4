"""The last point of each replica of counters, carried from one update of a stream to the next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from canaryjudge.data.packing import pack, unpack
from canaryjudge.data.pair import FloatArray

__all__ = ["EARLY", "Carried"]

EARLY = 8
"""So many steps of a replica are remembered, for the interval between its points."""
_MOST = 256
"""Of so many replicas; those that have not reported for the longest time are forgotten."""


def _none() -> FloatArray:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True)
class Carried:
    """The last point of each replica of an arm.

    Attributes
    ----------
    names : tuple of str
        The replicas, sorted; the name is empty where the data do not tell replicas apart.
    columns : ndarray, shape (r, c)
        Their counters: value, or value and total; of histograms cumulative counts by edge, NaN for an edge that a replica lacks.
    time : ndarray, shape (r,), or None
        Seconds since 1970.
    steps : ndarray, shape (r, EARLY)
        Seconds between the first points of each, then NaN.
    edges : ndarray, shape (c,), or None
        Of histograms: the upper edges.
    """

    names: tuple[str, ...] = ()
    columns: FloatArray = field(default_factory=_none)
    time: FloatArray | None = None
    steps: FloatArray = field(default_factory=lambda: np.empty((0, EARLY)))
    edges: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def form(self) -> tuple[bool, bool]:
        """Whether there are times, and whether there are totals."""
        return self.time is not None, self.edges is None and self.columns.shape[1] == 2

    def rows(self, names: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Give where each of some names stands; -1 where it does not."""
        place = {name: index for index, name in enumerate(self.names)}
        return np.array([place.get(name, -1) for name in names], dtype=np.intp)

    def last(self, names: tuple[str, ...]) -> FloatArray:
        """Give the times of some replicas' last points; minus infinity where there is none."""
        row = self.rows(names)
        return (
            np.full(len(row), -np.inf) if self.time is None else np.where(row >= 0, self.time[row], -np.inf)
        )

    def bounded(self) -> Carried:
        """Forget those replicas that have been silent for the longest time, if there are too many."""
        if len(self) <= _MOST:
            return self
        age = np.zeros(len(self)) if self.time is None else -self.time
        return self._part(np.sort(np.argsort(age, kind="stable")[:_MOST]))

    def _part(self, index: np.ndarray[Any, np.dtype[np.intp]]) -> Carried:
        time = None if self.time is None else self.time[index]
        names = tuple(self.names[row] for row in index.tolist())
        return Carried(names, self.columns[index], time, self.steps[index], self.edges)

    def union(self, other: Carried) -> Carried:
        """Give the replicas of both, and of one that both have the later point.

        Both have times and totals, or neither.
        """
        if not len(self) or not len(other):
            return self if len(self) else other
        time = None if self.time is None or other.time is None else np.concatenate([self.time, other.time])
        both = Carried(
            (*self.names, *other.names),
            np.concatenate([self.columns, other.columns]),
            time,
            np.concatenate([self.steps, other.steps]),
            self.edges,
        )
        last: dict[str, tuple[Any, ...]] = {}
        for row, name in enumerate(both.names):
            # of points of one time the larger one, so that the order of the two does not matter
            key = (0.0 if time is None else float(time[row]), np.nan_to_num(both.columns[row]).tolist(), row)
            last[name] = max(last.get(name, key), key)
        return both._part(np.array([last[name][-1] for name in sorted(last)], dtype=np.intp)).bounded()

    def state(self) -> dict[str, Any]:
        """Give what `restore` reads."""
        found: dict[str, Any] = {
            "names": list(self.names),
            "columns": pack(self.columns),
            "steps": pack(self.steps),
        }
        if self.time is not None:
            found["time"] = pack(self.time)
        return found if self.edges is None else found | {"edges": pack(self.edges)}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Carried:
        """Read what `state` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        names = tuple(state["names"])
        count = len(names)
        if not all(isinstance(name, str) for name in names) or list(names) != sorted(set(names)):
            raise ValueError("the replicas are not named in order")
        if not count:
            return cls()
        edges = unpack(state["edges"]) if "edges" in state else None
        columns = unpack(state["columns"], shape=(count, -1))
        time = unpack(state["time"], shape=(count,)) if "time" in state else None
        steps = unpack(state["steps"], shape=(count, EARLY))
        if edges is not None and columns.shape[1] != len(edges):
            raise ValueError("there is not a counter for each edge")
        if (
            (time is not None and not np.isfinite(time).all())
            or np.isinf(columns).any()
            or (columns < 0).any()
        ):
            raise ValueError("the counters are not numbers")
        return cls(names, columns, time, steps, edges)
