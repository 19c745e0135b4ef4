"""Histograms as rows, an edge each, as Prometheus's classic buckets have them -> a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.buckets import filled
from canaryjudge.data.columns import object_array, to_floats
from canaryjudge.data.histogram_grid import Grid, Noting, negative_count, replica_codes
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.places import Place
from canaryjudge.data.raw import RawSeries
from canaryjudge.errors import DataError

__all__ = ["of_le_rows", "upper_edges"]

_ABSENT: Final = -1
_MOST_CELLS: Final = 2 * 10**8
"""Counts that are held at once, of as many histograms with as many different edges: 1.6 GB."""
_HINT = "Give for each interval the count of observations at most as large as each le, as Prometheus does."


def of_le_rows(raw: RawSeries, seconds: FloatArray | None, note: Noting, *, counter: bool = False) -> Grid:
    """Put rows, an edge each, together to histograms.

    Parameters
    ----------
    raw : RawSeries
        With `value` and `le`.
    seconds : ndarray, shape (n,), or None
        The time of each row; NaN where it is missing.
    note : callable
        Takes the code of what is odd, a count, and facts.
    counter : bool
        They only grow, for errors.

    Returns
    -------
    Grid
        In order of time, then of replicas.

    Raises
    ------
    DataError
        If there is no le, a count is negative, counts fall from edge to edge, or an edge has several counts in one interval.
    """
    if raw.le is None:
        raise DataError(f"{raw.place}: a histogram needs the column 'le', which is missing", _HINT)
    value = to_floats(raw.value, raw.place, "value")
    le = upper_edges(raw.le, raw.place, "le")
    missing = np.flatnonzero(np.isnan(le))
    if len(missing):
        raise DataError(f"{raw.place.at(missing[0])}: there is no le", _HINT)
    replica, names = replica_codes(raw.replica, len(value))
    kept = np.ones(len(value), dtype=np.bool_)
    if seconds is None:
        interval, order = _repetitions(le, replica), None
    else:
        kept = ~np.isnan(seconds)
        if not kept.all():
            note("missing_times", int((~kept).sum()))
        order, first, interval = np.unique(seconds[kept], return_index=True, return_inverse=True)
        backward = int((np.diff(order[np.argsort(first)]) < 0).sum())
        if backward:
            note("out_of_order", backward)
    below = np.flatnonzero(kept & (value < 0))
    if len(below):
        at = int(below[0])
        wrong = f"a count of the histogram is {value[at]:g}, and none can be negative"
        raise negative_count(raw.place.at(at), wrong, counter=counter)
    edges, column = np.unique(le[kept], return_inverse=True)
    replicas = int(replica.max(initial=0)) + 1
    groups, row = np.unique(interval * replicas + replica[kept], return_inverse=True)
    if len(groups) * len(edges) > _MOST_CELLS:
        raise DataError(
            f"{raw.place}: the column le has {len(edges)} different edges over {len(groups)} histograms",
            "Give all histograms of a metric the same buckets.",
        )
    cells = _Cells(row * len(edges) + column, (len(groups), len(edges)), np.flatnonzero(kept))
    cumulative, copies = _added(cells, value[kept], raw.place, edges, note)
    time = None if order is None else order[groups // replicas]
    first_points = cells.first
    listed = first_points != _ABSENT
    grid = Grid(cumulative, edges, listed.any(axis=0), time, groups % replicas, copies, names)
    fit = grid.usable(listed, note)
    grid = grid.rows(fit)
    _check_rising(np.rint(grid.cumulative), edges, first_points[fit], raw.place)
    return replace(grid, cumulative=filled(grid.cumulative), listed=listed[fit].any(axis=0))


def upper_edges(column: Any, place: Place, name: str) -> FloatArray:
    """Read numbers, or texts that spell them: 0.5, 1e-3, +Inf.

    Raises
    ------
    DataError
        If one is no number, or minus infinity.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind in "buif":
        edges = to_floats(column, place, name)
    else:
        known: dict[str, Any] = {}
        items = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
        items = [known.setdefault(item, _number(item)) if isinstance(item, str) else item for item in items]
        edges = to_floats(object_array(items), place, name)
    low = np.flatnonzero(edges == -np.inf)
    if len(low):
        raise DataError(f"{place}: an upper edge of a bucket is -Inf", "Only +Inf can be an edge.")
    return edges


def _number(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return text  # reading the column says which it is


def _repetitions(le: FloatArray, replica: NDArray[np.intp]) -> NDArray[np.intp]:
    """Count the intervals of rows without times: one begins wherever a replica's first edge comes again."""
    interval = np.zeros(len(le), dtype=np.intp)
    for code in range(int(replica.max(initial=-1)) + 1):
        own = np.flatnonzero(replica == code)
        interval[own] = (le[own] == le[own[0]]).cumsum()
    return interval


@dataclass(frozen=True, slots=True)
class _Cells:
    """Where rows belong in a grid."""

    index: NDArray[np.intp]
    shape: tuple[int, int]
    points: NDArray[np.intp]

    @property
    def times(self) -> NDArray[np.intp]:
        """How many rows fall into each cell."""
        return np.bincount(self.index, minlength=self.shape[0] * self.shape[1]).reshape(self.shape)

    @property
    def first(self) -> NDArray[np.intp]:
        """The first point of each cell."""
        first = np.full(self.shape[0] * self.shape[1], _ABSENT, dtype=np.intp)
        first[self.index[::-1]] = self.points[::-1]
        return first.reshape(self.shape)


def _added(
    cells: _Cells, value: FloatArray, place: Place, edges: FloatArray, note: Noting
) -> tuple[FloatArray, NDArray[np.intp]]:
    """Add up the rows of each cell, those that only repeat another counted once, and tell how many histograms each row is."""
    times = cells.times
    size = times.size
    total = np.bincount(cells.index, weights=value, minlength=size).reshape(cells.shape)
    most = times.max(axis=1)
    if (most > 1).any():
        high, low = np.full(size, -np.inf), np.full(size, np.inf)
        np.fmax.at(high, cells.index, value)
        np.fmin.at(low, cells.index, value)
        same = ((times < 2) | (high == low).reshape(cells.shape)).all(axis=1)
        known = ~np.isnan(total).any(axis=1)
        uneven = (
            known
            & ~same
            & (np.where(times > 0, times, most[:, np.newaxis]) != most[:, np.newaxis]).any(axis=1)
        )
        for row in np.flatnonzero(uneven)[:1]:
            column = int(times[row].argmax())
            raise DataError(
                f"{place.at(int(cells.first[row, column]))}: le {edges[column]:g} has {most[row]} different counts in one interval, "
                "and others have fewer",
                "Give each le once a time, or name the column 'replica'.",
            )
        again = same & (most > 1)
        if again.any():
            note("identical_rows", int((times - (times > 0))[again].sum()))
            total[again] = high.reshape(cells.shape)[again]
            most[again] = 1
    return np.where(times > 0, total, np.nan), most


def _check_rising(cumulative: FloatArray, edges: FloatArray, points: NDArray[np.intp], place: Place) -> None:
    """Refuse counts of what is at most as large as an edge that are smaller than those at a smaller edge."""
    rows, columns = np.nonzero(points != _ABSENT)
    counts = cumulative[rows, columns]
    falls = np.flatnonzero((np.diff(counts) < 0) & (np.diff(rows) == 0))
    for i in falls[:1]:
        raise DataError(
            f"{place.at(int(points[rows[i], columns[i + 1]]))}: {counts[i + 1]:g} observations are at most {edges[columns[i + 1]]:g}, "
            f"fewer than the {counts[i]:g} that are at most {edges[columns[i]]:g}",
            "Give cumulative counts, as Prometheus does; counts per bucket go into a mapping with edges and buckets.",
        )
