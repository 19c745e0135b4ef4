"""Counters that only grow -> what they grew by from point to point, restarts seen through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.pair import FloatArray

__all__ = ["Increases", "increases", "missed", "neighbors"]


@dataclass(frozen=True, slots=True)
class Increases:
    """What counters grew by.

    Attributes
    ----------
    columns : ndarray, shape (m, c)
        What each counter grew by since the replica's previous point; never negative.
    points : ndarray of int, shape (m,)
        Which of the given points each increase ends at, ascending.
    resets : int
        Points at which the counters of a process had begun again: a restart.
    unclear : int
        Points left out, at which some counters had fallen and others had gone on.
    falls, steps : int
        At how many steps a counter fell, of how many at which one changed.
    """

    columns: FloatArray
    points: NDArray[np.intp]
    resets: int
    unclear: int
    falls: int
    steps: int


def increases(
    columns: FloatArray,
    replica: NDArray[np.intp] | None,
    reset: NDArray[np.bool_] | None = None,
    *,
    parts: bool = False,
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

    Parameters
    ----------
    columns : ndarray, shape (n, c)
        Counters at each point, in order of time, finite and not negative: one column for a count, two for a value and its total, k for
        the buckets of a histogram, not cumulative.
    replica : ndarray of int, shape (n,), or None
        Which replica each point is of; None where there is one.
    reset : ndarray of bool, shape (n,), optional
        Points before which a restart is known although nothing need have fallen.
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
    """
    previous, points = neighbors(len(columns), replica)
    grown = columns[points] - columns[previous]
    fell: NDArray[np.bool_] = np.any(grown < 0, axis=1)
    told = columns.sum(axis=1, keepdims=True) if parts else columns
    fresh = np.all((told[points] < told[previous]) | (told[points] + 1 >= 2 * told[previous]), axis=1)
    known = np.zeros(len(points), dtype=np.bool_) if reset is None else reset[points]
    restarted = known | (fell & fresh)
    kept = restarted | ~fell
    found = np.where(restarted[:, np.newaxis], columns[points], grown)
    steps = int(grown.any(axis=1).sum())
    return Increases(
        found[kept], points[kept], int(restarted.sum()), int((~kept).sum()), int(fell.sum()), steps
    )


def neighbors(count: int, replica: NDArray[np.intp] | None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair every point with the one before it of its replica.

    Parameters
    ----------
    count : int
        The number of points n, which are in order of time.
    replica : ndarray of int, shape (n,), or None
        Which replica each point is of; None where there is one.

    Returns
    -------
    previous, points : ndarray of int, shape (m,)
        The points that have a predecessor, ascending, and which that is.

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

    Parameters
    ----------
    steps : ndarray, shape (m,)
        Seconds from a replica's point to its next, in order of time; positive.
    replica : ndarray of int, shape (m,)
        Which replica each is of.
    early : ndarray, shape (r, k)
        The first steps of each replica that are known from before, then NaN.

    Returns
    -------
    skipped : ndarray of int, shape (m,)
        Zero where a step is an interval long.
    early : ndarray, shape (r, k)
        With the new steps, as far as there was room.

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
