"""Many watches of one metric, weighed together as long as none has anything new to say."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.rules.rows import BoolArray, FloatArray, IntArray
from canaryjudge.rules.sequential.planned_looks import LooksProcess
from canaryjudge.rules.sequential.rate_rows import RateRows
from canaryjudge.rules.sequential.rates import RateProcess
from canaryjudge.rules.sequential.watch import Watch

__all__ = ["WatchRows"]

_ANYTHING: Final = -1


class WatchRows:
    """The evidence of many watches by one rule, a row each.

    Evidence about rates is added up and weighed for all at once, that since the start and after a pass that of the epoch as well. Planned looks have none between looks.

    Parameters
    ----------
    rows : int
        How many there may be.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._slots: dict[tuple[int, bool], _Slot] = {}

    def grow(self, more: int) -> None:
        """Make room for more rows."""
        self._rows += more
        for slot in self._slots.values():
            slot.grow(more)

    def put(self, row: int, watched: Watch) -> bool:
        """Take a watch as it stands for a row, if it can be one; once all have come, `settle`."""
        for slot in self._slots.values():
            slot.stands[row] = 0
        for place, process in enumerate(watched.processes):
            if isinstance(process, LooksProcess):
                continue
            rates = process.begun() if isinstance(process, RateProcess) else None
            if rates is None:
                return False
            key = place, bool(rates.flipped)
            if key not in self._slots:
                self._slots[key] = _Slot(RateRows(rates, self._rows), self._rows)
            own = self._slots[key]
            if not own.rates.fits(rates):
                return False
            own.rates.put(row, rates)
            own.passes[row], own.stands[row] = not watched.decided, _ANYTHING
        return True

    def settle(self, rows: IntArray) -> BoolArray:
        """Note how rows stand that have come, and tell which of them are not about to be decided."""
        good = np.ones(len(rows), dtype=np.bool_)
        for slot in self._slots.values():
            there = slot.stands[rows] != 0
            own = rows[there]
            found = slot.rates.standing(own, passes=slot.passes[own])
            # once it has passed, why it would be held is nothing new
            slot.stands[own] = np.where(slot.passes[own], found, _ANYTHING)
            good[there] &= found != 0
        return good

    def add(self, rows: IntArray, events: FloatArray, exposures: FloatArray) -> None:
        """Add an interval to each of some rows: events and exposures of both arms, shape (rows, 2)."""
        for slot in self._slots.values():
            own = slot.stands[rows] != 0
            slot.rates.add(rows[own], events[own], exposures[own])

    def may_decide(self, rows: IntArray, *, or_change: bool = False, or_pass: bool = True) -> BoolArray:
        """Tell which of some rows may be decided by now, if not only by a fail, or be held for another reason than when they came."""
        found = np.zeros(len(rows), dtype=np.bool_)
        for slot in self._slots.values():
            there = slot.stands[rows] != 0
            own = rows[there]
            now, stood = slot.rates.standing(own, passes=slot.passes[own] & or_pass), slot.stands[own]
            found[there] |= (now == 0) | (or_change & (stood != _ANYTHING) & (now != stood))
        return found


class _Slot:
    """Evidence since the start or of an epoch, of the rows for which it stands somewhere."""

    def __init__(self, rates: RateRows, rows: int) -> None:
        self.rates = rates
        self.stands: NDArray[np.intp] = np.zeros(rows, dtype=np.intp)
        """0 for a row that has none here."""
        self.passes: NDArray[np.bool_] = np.zeros(rows, dtype=np.bool_)

    def grow(self, more: int) -> None:
        """Make room for more rows."""
        self.stands = np.concatenate([self.stands, np.zeros(more, dtype=np.intp)])
        self.passes = np.concatenate([self.passes, np.zeros(more, dtype=np.bool_)])
        self.rates.grow(more)
