"""Counters that only grow -> what they grew by from point to point, restarts seen through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.pair import FloatArray
from canaryjudge.errors import BrokenDataError
from canaryjudge.packing import pack, unpack

__all__ = [
    "EARLY",
    "FEWEST",
    "CounterState",
    "Increases",
    "check_growing",
    "ever_growing",
    "increases",
    "missed",
    "neighbors",
]

FEWEST: Final = 10
_MANY: Final = 20
"""That so many points each exceed the one before is no chance; from `_MANY` on no steep rise of the traffic either."""


def check_growing(where: str, falls: int, steps: int) -> None:
    """Refuse counters that fall at a quarter of their steps or more: what an interval counted does so, and what only grows does not."""
    if steps >= FEWEST and 4 * falls >= steps:
        raise BrokenDataError(
            f"{where}: counters that only grow were to be given, and they fall at {falls} of {steps} steps",
            "If each point is what its interval counted, leave out counter: true. If several replicas are in one series, name the column 'replica'. "
            "If a process does restart that often, there is nothing to compare before that is mended.",
        )


def ever_growing(columns: FloatArray, replica: NDArray[np.intp] | None) -> bool:
    """Tell whether numbers that should be counts of an interval look like counters.

    They do if none ever falls and the last column grows at each of ten points or more of every replica. Steep traffic does
    that too; so with fewer than 20 points they must also be smoother than counts can be: the squares of second differences of independent
    counts have a mean of at least six times the counts' own, and a tenth of that is asked for.

    Examples
    --------
    >>> ever_growing(np.cumsum([[90.0], [100.0]] * 6, axis=0), None)
    True
    >>> ever_growing(1000.0 * np.arange(1, 13)[:, np.newaxis] + np.tile([[0.0], [200.0]], (6, 1)), None)
    False
    """
    size = len(columns)
    if replica is not None and size:
        sizes = np.bincount(replica)
        size = int(sizes[sizes > 0].min())
    if size < FEWEST:
        return False
    previous, points = neighbors(len(columns), replica)
    grown = columns[points] - columns[previous]
    if grown.min() < 0 or grown[:, -1].min() <= 0:
        return False
    before, after = neighbors(len(grown), None if replica is None else replica[points])
    bends = grown[after, -1] - grown[before, -1]
    return size >= _MANY or bool((bends**2).mean() < 0.6 * columns[:, -1].mean())


@dataclass(frozen=True, slots=True)
class Increases:
    """What counters grew by."""

    columns: FloatArray
    """What each counter grew by since the replica's previous point; never negative; shape (m, c)."""
    points: NDArray[np.intp]
    """Which of the given points each increase ends at, ascending; shape (m,)."""
    resets: int
    """Points at which the counters of a process had begun again: a restart."""
    unclear: int
    """Points left out, at which some counters had fallen and others had gone on."""
    members: int
    """Points left out, at which a sum of counters had lost a member, or got it back."""
    memory: FloatArray
    """What is to be known of each replica to go on, as it was given."""
    falls: int
    steps: int
    """At how many steps a counter fell, of how many at which one changed."""


def increases(
    columns: FloatArray,
    replica: NDArray[np.intp] | None,
    reset: NDArray[np.bool_] | None = None,
    *,
    parts: bool = False,
    memory: FloatArray | None = None,
    rest: FloatArray | None = None,
) -> Increases:
    r"""Difference the counters of each replica.

    With :math:`v_{i}` the counters of one replica in order of time, the increase at its point :math:`i` is
    :math:`v_{i} - v_{i-1}`, and :math:`v_{i}` where the process was restarted: that is what a counter that fell says of itself, as
    Prometheus's ``increase`` reasons [1]_. What was counted between the last point and the restart is lost. A replica's first point has no
    increase.

    The counters of a process are restarted together, so where only some of them fell, the others must have overtaken what they were.
    That is believed of one that has doubled, :math:`v_{i} + 1 \ge 2 v_{i-1}`, such as the first few errors. One that went on from
    :math:`5 \cdot 10^8` to :math:`5 \cdot 10^8 + 1000` was not restarted, and must not be taken to have counted all of that since: the
    counter that fell was registered anew by itself, or left a sum. Then they count different times, and the point is left out.

    A sum of the counters of several processes falls too when one of them is not scraped, by what that one had counted, and comes back with
    it. No restarted process can have counted in one step more than twenty times what it ever did, nor, where it fell by less than half, three times. Such a
    fall is left out, and so is the step at which the sum is back.

    Parameters
    ----------
    columns : ndarray, shape (n, c)
        Counters at each point, in order of time, finite and not negative: one column for a count, two for a value and its total, k for
        the buckets of a histogram, not cumulative.
    replica : ndarray of int, shape (n,), or None
        Which replica each point is of; None where there is one.
    reset : ndarray of bool, shape (n,), optional
        Points before which a restart is known although nothing need have fallen.
    memory : ndarray, shape (r, 3), optional
        What is known of each replica from before: the largest step up of its largest counter so far (NaN where there was none), and of a sum that has lost a
        member what it was before and by how much it fell (0 where it has all).
    rest : ndarray, shape (n, c), optional
        What the floats of the columns leave out of counters beyond 2**53, so that these are differenced as the whole numbers that they are.
    parts : bool
        The columns are the parts of one counter, as the buckets of a histogram are: it cannot have begun anew in some of them only, so their
        sum tells whether it has.

    Returns
    -------
    Increases
        The increases, in the order of the points that they end at.

    References
    ----------
    .. [1] Prometheus, *Query functions*, ``increase`` and ``resets``.

    Examples
    --------
    >>> found = increases(np.array([[10.0], [3.0], [14.0], [1.0]]), np.array([0, 1, 0, 0]))
    >>> found.columns.tolist(), found.points.tolist(), found.resets
    ([[4.0], [1.0]], [2, 3], 1)

    Errors that begin again while requests go on:

    >>> found = increases(np.array([[70.0, 5e8], [75.0, 5e8 + 1000], [3.0, 5e8 + 2000], [9.0, 5e8 + 3000]]), None)
    >>> found.columns.tolist(), found.unclear
    ([[5.0, 1000.0], [6.0, 1000.0]], 1)

    A sum of five that lacks one of them at one scrape:

    >>> found = increases(np.array([[9000.0], [9010.0], [7220.0], [9030.0], [9041.0]]), None)
    >>> found.columns.tolist(), found.members
    ([[10.0], [11.0]], 2)
    """
    previous, points = neighbors(len(columns), replica)
    grown = columns[points] - columns[previous]
    if rest is not None:
        grown += rest[points] - rest[previous]
    fell: NDArray[np.bool_] = np.any(grown < 0, axis=1)
    told = columns.sum(axis=1, keepdims=True) if parts else columns
    fresh = np.all((told[points] < told[previous]) | (told[points] + 1 >= 2 * told[previous]), axis=1)
    known = np.zeros(len(points), dtype=np.bool_) if reset is None else reset[points]
    restarted = known | (fell & fresh)
    size = 1 if replica is None else int(replica.max(initial=0)) + 1
    memory = nothing_known(size) if memory is None else memory
    codes = np.zeros(len(points), dtype=np.intp) if replica is None else replica[points]
    largest = told.max(axis=1, initial=0.0)
    members, memory = _members(largest[previous], largest[points], codes, known, memory)
    restarted &= ~members
    kept = (restarted | ~fell) & ~members
    found = np.where(restarted[:, np.newaxis], columns[points], grown)
    steps = int(grown.any(axis=1).sum())
    return Increases(
        found[kept],
        points[kept],
        int(restarted.sum()),
        int((~kept & ~members).sum()),
        int(members.sum()),
        memory,
        int(fell.sum()),
        steps,
    )


_FAR, _FASTER = 20.0, 3.0
"""A process cannot have counted so many times its largest step since it began anew; nor so many where that is more than half of what it was."""

_NOT_FEW = 100.0
"""What a process with fewer events has counted twice or not at all changes little."""


def nothing_known(replicas: int) -> FloatArray:
    """Give what is remembered of replicas of which nothing has been seen."""
    return np.tile([np.nan, 0.0, 0.0], (replicas, 1))


def _members(
    before: FloatArray,
    after: FloatArray,
    replica: NDArray[np.intp],
    known: NDArray[np.bool_],
    memory: FloatArray,
) -> tuple[NDArray[np.bool_], FloatArray]:
    """Mark the steps at which a sum lost a member or got it back, and give what is remembered then."""
    marked, memory = np.zeros(len(before), dtype=np.bool_), memory.copy()
    fell = np.zeros(len(memory), dtype=np.bool_)
    np.logical_or.at(fell, replica, after < before)
    grown = after - before
    for code in np.flatnonzero(fell | (memory[:, 1] > 0)).tolist():
        pace, peak, lost = memory[code].tolist()
        for step in np.flatnonzero(replica == code).tolist():
            was, now, move = before[step], after[step], grown[step]
            if move < 0 and not known[step]:
                far = now > _FAR * pace or (now > was / 2 and now > _FASTER * pace)
                if now >= _NOT_FEW and (far if pace == pace else now > was / 2):  # noqa: PLR0124 - NaN where there was no step yet
                    marked[step], peak, lost = True, max(peak, was), max(lost, max(peak, was) - now)
                else:
                    peak = lost = 0.0
            elif peak and (move > _FAR * pace or (move >= lost / 2 and not move <= _FASTER * pace)):
                marked[step] = True
                peak, lost = (0.0, 0.0) if now >= peak else (peak, lost)
            else:
                pace = max(move, pace) if pace == pace else move  # noqa: PLR0124
                peak, lost = (0.0, 0.0) if now >= peak else (peak, lost)
        memory[code] = pace, peak, lost
    others = ~(fell | (memory[:, 1] > 0))
    quick = others[replica]
    memory[:, 0] = np.where(others & np.isnan(memory[:, 0]), -np.inf, memory[:, 0])
    np.maximum.at(memory[:, 0], replica[quick], grown[quick])
    memory[:, 0] = np.where(np.isneginf(memory[:, 0]), np.nan, memory[:, 0])
    return marked, memory


def neighbors(count: int, replica: NDArray[np.intp] | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair every point with the one before it of its replica.

    Examples
    --------
    >>> neighbors(4, np.array([0, 1, 1, 0]))
    (array([1, 0]), array([2, 3]))
    """
    if replica is None:
        order = np.arange(count)
        return order[:-1], order[1:]
    order = np.argsort(replica, kind="stable")
    same = replica[order[:-1]] == replica[order[1:]]
    previous, points = order[:-1][same], order[1:][same]
    by_time = np.argsort(points)
    return previous[by_time], points[by_time]


def missed(
    steps: FloatArray, replica: NDArray[np.intp], early: FloatArray
) -> tuple[NDArray[np.intp], FloatArray]:
    """Count the intervals that each step skips, by what the replica's steps up to it were.

    A replica's interval is the lower median of its first steps, as many as there are by then, so that the answer does not depend on
    what comes later: a stream gives the same however it is cut.

    Examples
    --------
    >>> skipped, early = missed(np.array([15.0, 15.2, 45.1]), np.zeros(3, dtype=np.intp), np.full((1, 4), np.nan))
    >>> skipped, early
    (array([0, 0, 2]), array([[15. , 15.2, 45.1,  nan]]))
    """
    count = early.shape[1]
    order = np.argsort(replica, kind="stable")
    sizes = np.bincount(replica, minlength=len(early))
    rank = np.empty(len(steps), dtype=np.intp)
    rank[order] = np.arange(len(steps)) - np.repeat(sizes.cumsum() - sizes, sizes)
    rank += np.isfinite(early).sum(axis=1)[replica]
    filled, new = early.copy(), rank < count
    filled[replica[new], rank[new]] = steps[new]
    medians = np.stack(
        [np.sort(filled[:, : size + 1], axis=1)[:, size // 2] for size in range(count)], axis=1
    )
    interval = medians[replica, np.minimum(rank, count - 1)]
    with np.errstate(invalid="ignore"):
        skipped = np.maximum(np.rint(steps / interval) - 1, 0)
    return np.minimum(skipped, np.iinfo(np.int32).max).astype(np.intp), filled


EARLY = 8
"""So many steps of a replica are remembered, for the interval between its points."""
_MOST = 256
"""Of so many replicas; those that have not reported for the longest time are forgotten."""


def _none() -> FloatArray:
    return np.empty((0, 0))


@dataclass(frozen=True, slots=True)
class CounterState:
    """The last point of each replica of an arm."""

    names: tuple[str, ...] = ()
    """The replicas, sorted; the name is empty where the data do not tell replicas apart."""
    columns: FloatArray = field(default_factory=_none)
    """Their counters: value, or value and total; of histograms cumulative counts by edge, NaN for an edge that a replica lacks; shape (r, c)."""
    time: FloatArray | None = None
    """Seconds since 1970; shape (r,)."""
    steps: FloatArray = field(default_factory=lambda: np.empty((0, EARLY)))
    """Seconds between the first points of each, then NaN; shape (r, EARLY)."""
    edges: FloatArray | None = None
    """Of histograms: the upper edges; shape (c,)."""
    memory: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    """What `increases` is to know of each; shape (r, 3)."""
    rest: FloatArray | None = None
    """What the floats of `columns` leave out of counters that are larger than they can tell apart; None where they hold them; shape (r, c)."""

    def __post_init__(self) -> None:
        if len(self.memory) != len(self.names):
            object.__setattr__(self, "memory", nothing_known(len(self.names)))

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

    def memory_of(self, names: tuple[str, ...]) -> FloatArray:
        """Give what is remembered of some replicas."""
        row, found = self.rows(names), nothing_known(len(names))
        found[row >= 0] = self.memory[row[row >= 0]]
        return found

    def last(self, names: tuple[str, ...]) -> FloatArray:
        """Give the times of some replicas' last points; minus infinity where there is none."""
        row = self.rows(names)
        return (
            np.full(len(row), -np.inf) if self.time is None else np.where(row >= 0, self.time[row], -np.inf)
        )

    def bounded(self) -> CounterState:
        """Forget those replicas that have been silent for the longest time, if there are too many."""
        if len(self) <= _MOST:
            return self
        age = np.zeros(len(self)) if self.time is None else -self.time
        return self._part(np.sort(np.argsort(age, kind="stable")[:_MOST]))

    def _part(self, index: np.ndarray[Any, np.dtype[np.intp]]) -> CounterState:
        time = None if self.time is None else self.time[index]
        names = tuple(self.names[row] for row in index.tolist())
        rest = None if self.rest is None else self.rest[index]
        return CounterState(
            names, self.columns[index], time, self.steps[index], self.edges, self.memory[index], rest
        )

    def union(self, other: CounterState) -> CounterState:
        """Give the replicas of both, and of one that both have the later point.

        Both have times and totals, or neither.
        """
        if not len(self) or not len(other):
            return self if len(self) else other
        time = None if self.time is None or other.time is None else np.concatenate([self.time, other.time])
        rests = [np.zeros(each.columns.shape) if each.rest is None else each.rest for each in (self, other)]
        both = CounterState(
            (*self.names, *other.names),
            np.concatenate([self.columns, other.columns]),
            time,
            np.concatenate([self.steps, other.steps]),
            self.edges,
            np.concatenate([self.memory, other.memory]),
            None if self.rest is None and other.rest is None else np.concatenate(rests),
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
            "memory": pack(self.memory),
        }
        if self.time is not None:
            found["time"] = pack(self.time)
        if self.rest is not None and self.rest.any():
            found["rest"] = pack(self.rest)
        return found if self.edges is None else found | {"edges": pack(self.edges)}

    @classmethod
    def restore(cls, state: dict[str, Any]) -> CounterState:
        """Read what `state` gave."""
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
        rest = unpack(state["rest"], shape=columns.shape) if "rest" in state else None
        if rest is not None and not np.isfinite(rest).all():
            raise ValueError("what the counters are beyond floats is no number")
        return cls(names, columns, time, steps, edges, unpack(state["memory"], shape=(count, 3)), rest)
