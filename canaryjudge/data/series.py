"""One clean arm: what cleaning gives and alignment takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.counters import CounterState
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import FloatArray

__all__ = ["Series"]


@dataclass(frozen=True, slots=True)
class Series:
    """One clean arm.

    Attributes
    ----------
    arm : str
        The caller's name.
    value : ndarray, shape (n,)
        Finite values, in order of time where there are times.
    total, time : ndarray, shape (n,), or None
        Positive totals; seconds since 1970, ascending.
    zones : frozenset of str
        The time zones in which the times were written.
    notes : tuple of Note
        What was odd.
    buckets, edges : ndarray, shape (n, k) and (k,), or None
        Of histograms: observations in each bucket, and the buckets' upper edges.
    replicas : tuple of Series
        Each replica by itself, sorted by its name, which is `arm`; empty where the data do not name them. Cleaning leaves their points side
        by side in the arm; `pooled` makes one of those of an interval.
    reported : bool
        Whether the totals are not from the data but say how many replicas reported: a count's exposure.
    differenced : bool
        Whether the points are what counters grew by up to their times, rather than what began at them.
    counters : CounterState or None
        Of counters in a stream: the last point of each replica, from which the next update goes on.
    unit : str
        What the data say they are in, if the metric has no unit; otherwise they are in that one.
    factor : float
        By what the edges of histograms were multiplied to be in the metric's unit.
    """

    arm: str
    value: FloatArray
    total: FloatArray | None = None
    time: FloatArray | None = None
    zones: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    buckets: FloatArray | None = None
    edges: FloatArray | None = None
    replicas: tuple[Series, ...] = ()
    reported: bool = False
    differenced: bool = False
    counters: CounterState | None = None
    unit: str = ""
    factor: float = 1.0

    def __len__(self) -> int:
        return len(self.value)

    def part(self, points: NDArray[np.bool_] | NDArray[np.intp]) -> Series:
        """Give some of the points, by a mask or an index; the replicas stay as they are."""
        return replace(
            self,
            value=self.value[points],
            total=None if self.total is None else self.total[points],
            time=None if self.time is None else self.time[points],
            buckets=None if self.buckets is None else self.buckets[points],
        )
