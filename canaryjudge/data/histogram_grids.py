"""Histograms as a grid, one a row and one edge a column, and what every form of them goes through on the way there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.buckets import filled
from canaryjudge.data.counters import CounterState, missed, neighbors
from canaryjudge.data.frames import is_missing
from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import DataError

__all__ = ["Grid", "Noting", "continued", "negative_count", "replica_codes"]

_LARGEST_COUNT: Final = 2.0**53
"""Above it, floats leave out whole numbers; no interval has so many observations."""


class Noting(Protocol):
    """Takes what is odd about the data."""

    def __call__(self, code: Any, count: int, **facts: float | str) -> None:
        """Write down an oddity."""


def negative_count(where: str, wrong: str, *, counter: bool) -> DataError:
    """Make the error for a count below 0; only what is no counter yet may have been meant as one."""
    advice = "Give counts of zero or more" + (
        "; a counter begins at 0 and only grows."
        if counter
        else ", or set counter: true for counters that only grow."
    )
    return DataError(f"{where}: {wrong}", advice)


def replica_codes(column: Any, size: int) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Give the replicas of points numbers in the order of their names.

    Parameters
    ----------
    column : column, shape (n,), or None
        The names, of any type; a missing one is a name too.
    size : int
        The n.

    Returns
    -------
    codes : ndarray of int, shape (n,)
        Each point's place among the names.
    names : tuple of str
        The names; none where no point has one.
    """
    if column is None:
        return np.zeros(size, dtype=np.intp), ()
    items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    texts = ["" if is_missing(item) else str(item) for item in items]
    names = sorted(set(texts))
    known = {name: code for code, name in enumerate(names)}
    codes = np.array([known[text] for text in texts], dtype=np.intp)
    return codes, () if names in ([], [""]) else tuple(names)


@dataclass(frozen=True, slots=True)
class Grid:
    """Histograms, one a row.

    Attributes
    ----------
    cumulative : ndarray, shape (n, k)
        How many observations are at most as large as each edge; NaN where the histogram does not know.
    edges : ndarray, shape (k,)
        Upper edges, ascending.
    listed : ndarray of bool, shape (k,)
        Which edges are in the data; others were added.
    time : ndarray, shape (n,), or None
        Seconds since 1970, ascending.
    replica, copies : ndarray of int, shape (n,)
        Which replica each is of, and how many histograms of the caller's it is the sum of.
    names : tuple of str
        The replicas' names; none where they have none.
    """

    cumulative: FloatArray
    edges: FloatArray
    listed: NDArray[np.bool_]
    time: FloatArray | None
    replica: NDArray[np.intp]
    copies: NDArray[np.intp]
    names: tuple[str, ...]

    @classmethod
    def of(
        cls,
        cumulative: FloatArray,
        edges: FloatArray,
        listed: NDArray[np.bool_],
        time: FloatArray | None,
        replica: Any,
    ) -> Grid:
        """Take histograms as the caller gave them, one a point."""
        codes, names = replica_codes(replica, len(cumulative))
        return cls(cumulative, edges, listed, time, codes, np.ones(len(cumulative), dtype=np.intp), names)

    def rows(self, chosen: NDArray[Any]) -> Grid:
        """Keep some histograms."""
        return replace(
            self,
            cumulative=self.cumulative[chosen],
            time=None if self.time is None else self.time[chosen],
            replica=self.replica[chosen],
            copies=self.copies[chosen],
        )

    def columns(self, chosen: NDArray[np.bool_]) -> Grid:
        """Keep some edges."""
        return replace(
            self,
            cumulative=self.cumulative[:, chosen],
            edges=self.edges[chosen],
            listed=self.listed[chosen],
        )

    def usable(self, given: NDArray[np.bool_], note: Noting) -> NDArray[np.bool_]:
        """Mark the histograms without a count that is missing or infinite: without it, the others cannot be told apart.

        Parameters
        ----------
        given : ndarray of bool, broadcastable to (n, k)
            Which counts are the caller's.
        note : callable
            Takes the code of what is odd and a count.

        Returns
        -------
        ndarray of bool, shape (n,)
        """
        missing = (given & np.isnan(self.cumulative)).any(axis=1)
        infinite = ~missing & (given & (self.cumulative > _LARGEST_COUNT)).any(axis=1)
        for code, unfit in (("missing_values", missing), ("infinite_values", infinite)):
            if unfit.any():
                note(code, int(unfit.sum()))
        return np.asarray(~(missing | infinite))

    def in_order(self, note: Noting) -> Grid:
        """Sort by time, and leave out histograms without one and those that repeat another of their time and replica."""
        if self.time is None:
            return self
        known = np.flatnonzero(~np.isnan(self.time))
        if len(known) < len(self.time):
            note("missing_times", len(self.time) - len(known))
        backward = int((np.diff(self.time[known]) < 0).sum())
        if backward:
            note("out_of_order", backward)
        ascends = len(known) == len(self.time) and not backward
        grid = self if ascends else self.rows(known[np.argsort(self.time[known], kind="stable")])
        if grid.one_a_time or len(np.unique(grid.slots)) == len(grid.slots):
            return grid
        keys = np.column_stack([grid.slots, np.nan_to_num(grid.cumulative, nan=-1)])
        _, first = np.unique(keys, axis=0, return_index=True)
        if len(first) == len(keys):
            return grid
        note("identical_rows", len(keys) - len(first))
        return grid.rows(np.sort(first))

    @property
    def one_a_time(self) -> bool:
        """Whether no two histograms are of one time."""
        return self.time is not None and bool((np.diff(self.time) > 0).all())

    @property
    def slots(self) -> NDArray[np.intp]:
        """A number for each time and replica, ascending by time."""
        _, slot = np.unique(np.asarray(self.time), return_inverse=True)
        return np.asarray(slot * (int(self.replica.max(initial=0)) + 1) + self.replica)

    def summed(self, *, by_replica: bool) -> Grid:
        """Add up the histograms of one time, of each replica or of all; by edges that all know."""
        if self.time is None or self.one_a_time:
            return self
        key = self.slots if by_replica else np.unique(self.time, return_inverse=True)[1]
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        grid = self.rows(order)
        return replace(
            grid,
            cumulative=np.add.reduceat(grid.cumulative, starts, axis=0),
            time=self.time[order[starts]],
            replica=grid.replica[starts],
            copies=np.add.reduceat(grid.copies, starts),
        )


def continued(grid: Grid, counters: CounterState) -> tuple[Grid, CounterState]:
    """Put the last histogram of each replica that is carried before those that are new.

    Parameters
    ----------
    grid : Grid
        Histograms as they are, one a replica and time, with times; each later than the one that is carried of its replica.
    counters : CounterState
        The last ones of the updates before.

    Returns
    -------
    grid : Grid
        Those that are carried, then those that are new, by the edges of either.
    counters : CounterState
        The last ones now.
    """
    own = grid.names or ("",)
    names = tuple(sorted({*own, *counters.names}))
    place = {name: index for index, name in enumerate(names)}
    numbers = np.array([place[name] for name in own], dtype=np.intp)
    before = np.array([place[name] for name in counters.names], dtype=np.intp)
    times = np.empty(0) if grid.time is None else grid.time
    edges = grid.edges if counters.edges is None else np.union1d(grid.edges, counters.edges)
    known = np.full((0, len(edges)), np.nan)
    if counters.edges is not None:
        known = _spread(counters.columns, counters.edges, edges)
    both = Grid(
        filled(np.concatenate([known, _spread(grid.cumulative, grid.edges, edges)])),
        edges,
        np.isin(edges, grid.edges[grid.listed]),
        np.concatenate([np.empty(0) if counters.time is None else counters.time, times]),
        np.concatenate([before, numbers[grid.replica]]),
        np.concatenate([np.ones(len(counters), dtype=np.intp), grid.copies]),
        names if any(names) else (),
    )
    steps = np.full((len(names), counters.steps.shape[1]), np.nan)
    steps[before] = counters.steps
    return both, _last(both, names, steps)


def _spread(cumulative: FloatArray, own: FloatArray, edges: FloatArray) -> FloatArray:
    found = np.full((len(cumulative), len(edges)), np.nan)
    found[:, edges.searchsorted(own)] = cumulative
    return found


def _last(grid: Grid, names: tuple[str, ...], steps: FloatArray) -> CounterState:
    """Give the last histogram of each replica, and its first steps."""
    time = np.empty(0) if grid.time is None else grid.time
    previous, points = neighbors(len(time), grid.replica)
    _, steps = missed(time[points] - time[previous], grid.replica[points], steps)
    last = np.full(len(names), -1, dtype=np.intp)
    last[grid.replica] = np.arange(len(grid.replica))
    there = last >= 0
    kept = tuple(name for name, known in zip(names, there, strict=True) if known)
    return CounterState(
        kept, grid.cumulative[last[there]], time[last[there]], steps[there], grid.edges
    ).bounded()
