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
        Points at which a counter had fallen, or was known to have begun again: a restart.
    """

    columns: FloatArray
    points: NDArray[np.intp]
    resets: int


def increases(
    columns: FloatArray, replica: NDArray[np.intp] | None, reset: NDArray[np.bool_] | None = None
) -> Increases:
    r"""Difference the counters of each replica.

    With :math:`v_{i}` the counters of one replica in order of time, the increase at its point :math:`i` is
    :math:`v_{i} - v_{i-1}`, and :math:`v_{i}` where any of them fell: they live in one process, so one that starts at 0 again says that
    all did, as Prometheus's ``increase`` reasons of a single counter [1]_. What was counted between the last point and the restart
    is lost. A replica's first point has no increase.

    Parameters
    ----------
    columns : ndarray, shape (n, c)
        Counters at each point, in order of time, finite and not negative: one column for a count, two for a value and its total, k for
        the buckets of a histogram, cumulative or not.
    replica : ndarray of int, shape (n,), or None
        Which replica each point is of; None where there is one.
    reset : ndarray of bool, shape (n,), optional
        Points before which a restart is known although nothing need have fallen.

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
    """
    previous, points = neighbors(len(columns), replica)
    grown = columns[points] - columns[previous]
    fell: NDArray[np.bool_] = np.any(grown < 0, axis=1)
    if reset is not None:
        fell |= reset[points]
    return Increases(np.where(fell[:, np.newaxis], columns[points], grown), points, int(fell.sum()))


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
