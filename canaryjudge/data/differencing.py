"""Counters of one arm, as scraped -> what they grew by, each replica by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.carried import EARLY, Carried
from canaryjudge.data.counters import increases, missed, neighbors
from canaryjudge.data.drafts import Draft
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.times import iso
from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric

__all__ = ["check_growing", "difference", "ever_growing", "leave_out_known"]

_LONGEST: Final = 240
"""What a counter grew by over more intervals without a point than this says nothing of each of them, and is left out."""
_FEWEST: Final = 10
_MANY: Final = 20
"""That so many points each exceed the one before is no chance; from `_MANY` on no steep rise of the traffic either."""


def check_growing(where: str, falls: int, steps: int) -> None:
    """Refuse counters that fall at a quarter of their steps or more: what an interval counted does so, and what only grows does not.

    Raises
    ------
    DataError
        If there are ten steps or more.
    """
    if steps >= _FEWEST and 4 * falls >= steps:
        raise DataError(
            f"{where}: counters that only grow were to be given, and they fall at {falls} of {steps} steps",
            "If each point is what its interval counted, leave out counter: true. If several replicas are in one series, name the column 'replica'. "
            "If a process does restart that often, there is nothing to compare before that is mended.",
        )


def leave_out_known(draft: Draft, carried: Carried) -> None:
    """Leave out the points up to the last one of each replica that was given before.

    Raises
    ------
    DataError
        If the last one has changed since, or its update had times and this one has none.
    """
    if not len(carried) or not len(draft):
        return
    if (draft.time is None) != (carried.time is None):
        found, known = ("no times", "some") if draft.time is None else ("times", "none")
        raise DataError(
            f"{draft.place}: the points have {found}, and those given before have {known}",
            "Give every point of a metric a time, or none of them.",
        )
    if draft.columns.shape[1] != carried.columns.shape[1]:
        raise DataError(
            f"{draft.place}: only some of the updates have totals",
            "Give 'total' in every update, or nowhere.",
        )
    if draft.time is None or carried.time is None:
        return
    names = draft.names or ("",)
    row, last = carried.rows(names)[draft.replica], carried.last(names)[draft.replica]
    changed = (draft.time == last) & (draft.columns != carried.columns[row]).any(axis=1)
    changed &= np.isfinite(draft.columns).all(axis=1)
    if changed.any():
        index = int(changed.argmax())
        raise DataError(
            f"{draft.place.at(index)}: the counter of {iso(float(last[index]))} has changed since it was given",
            "Give a point only once it is complete, and the replicas of an arm apart, in the column 'replica'.",
        )
    draft.keep(~(draft.time <= last))


def difference(draft: Draft, metric: Metric, carried: Carried) -> Carried:
    """Put in place of counters what each replica's grew by from point to point.

    A point that is missing makes the next increase longer. A count without a total is out of the intervals themselves: where replicas are
    named, an increase that spans two of them is the report of two; otherwise it is shared out over them. (The intervals of several
    replicas cannot be filled in later: in a stream, what the others reported in them has been handed out.)

    Parameters
    ----------
    draft : Draft
        Counters in order of time; the increases are written in their place.
    metric : Metric
        What the policy says of the metric.
    carried : Carried
        The last points of the updates before.

    Returns
    -------
    Carried
        The last points now.

    Raises
    ------
    DataError
        If a replica has two values at one time, or more events than they are out of, or the counters fall again and again.
    """
    _check_one_each(draft)
    both, replica = _after(draft, carried)
    found = increases(both.columns, replica)
    check_growing(str(draft.place), found.falls, found.steps)
    for code, count in (("counter_resets", found.resets), ("unclear_resets", found.unclear)):
        if count:
            draft.note(code, count)
    steps = both.steps
    previous, points = neighbors(len(replica), replica)
    skipped = np.zeros(len(points), dtype=np.intp)
    if both.time is not None:
        moves = both.time[points] - both.time[previous]
        skipped, steps = missed(moves, replica[points], both.steps)
        if metric.interval is not None:
            skipped = np.maximum(np.rint(moves / metric.interval) - 1, 0).astype(np.intp)
        if skipped.any():
            draft.note("gaps", int(skipped.sum()))
    clear = np.isin(points, found.points)
    previous, points, skipped = previous[clear], points[clear], skipped[clear]
    draft.keep(points - len(carried))
    draft.value = found.columns[:, 0].copy()
    draft.total = None if draft.total is None else found.columns[:, 1].copy()
    _check_parts(draft, metric)
    if KINDS[metric.kind].is_rate and draft.total is None and both.time is not None:
        short = skipped <= _LONGEST
        draft.keep(short)
        if draft.names:
            draft.total = (skipped[short] + 1).astype(np.float64)
        else:
            _share_out(draft, both.time[previous[short]], skipped[short] + 1)
    return _last(replace(both, steps=steps), replica)


def ever_growing(columns: FloatArray, replica: NDArray[np.intp] | None) -> bool:
    """Tell whether numbers that should be counts of an interval look like counters.

    They do if none ever falls and the last column grows at each of ten points or more of every replica. Steep traffic does
    that too; so with fewer than 20 points they must also be smoother than counts can be: the squares of second differences of independent
    counts have a mean of at least six times the counts' own, and a tenth of that is asked for.

    Parameters
    ----------
    columns : ndarray, shape (n, c)
        In order of time, the last column being what the others are of, or the only one.
    replica : ndarray of int, shape (n,), or None
        Which replica each point is of; None where there is one.

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
    if size < _FEWEST:
        return False
    previous, points = neighbors(len(columns), replica)
    grown = columns[points] - columns[previous]
    if grown.min() < 0 or grown[:, -1].min() <= 0:
        return False
    before, after = neighbors(len(grown), None if replica is None else replica[points])
    bends = grown[after, -1] - grown[before, -1]
    return size >= _MANY or bool((bends**2).mean() < 0.6 * columns[:, -1].mean())


def _check_one_each(draft: Draft) -> None:
    tied = draft.tied()
    if draft.time is not None and tied.any():
        index = int(tied.argmax())
        named = draft.names[draft.replica[index]] if draft.names else ""
        whose = f"the replica {named!r} has" if named else "a counter has"
        raise DataError(
            f"{draft.place}: {whose} several values at {iso(float(draft.time[index]))}",
            "Tell the replicas of an arm apart: name the column 'replica'."
            if draft.apart is None
            else f"Tell the replicas of an arm apart: rename {draft.apart_name!r} to 'replica', or give --replica {draft.apart_name}.",
        )


def _after(draft: Draft, carried: Carried) -> tuple[Carried, NDArray[np.intp]]:
    """Put what was carried before the new points: a row each of all of them, and the number of its replica."""
    own = draft.names or ("",)
    names = tuple(sorted({*own, *carried.names}))
    place = {name: index for index, name in enumerate(names)}
    numbers = np.array([place[name] for name in (*carried.names, *own)], dtype=np.intp)
    replica = np.concatenate([numbers[: len(carried)], numbers[len(carried) :][draft.replica]])
    columns, time = draft.columns, draft.time
    steps = np.full((len(names), EARLY), np.nan)
    if len(carried):
        columns = np.concatenate([carried.columns, columns]) if len(draft) else carried.columns
        steps[numbers[: len(carried)]] = carried.steps
        time = (
            carried.time if not len(draft) or carried.time is None else np.concatenate([carried.time, time])
        )
    return Carried(names, columns, time, steps), replica


def _last(points: Carried, replica: NDArray[np.intp]) -> Carried:
    """Keep the last point of each replica that has any."""
    last = np.full(len(points.names), -1, dtype=np.intp)
    last[replica] = np.arange(len(replica))
    there = last >= 0
    return Carried(
        tuple(name for name, known in zip(points.names, there, strict=True) if known),
        points.columns[last[there]],
        None if points.time is None else points.time[last[there]],
        points.steps[there],
    ).bounded()


def _check_parts(draft: Draft, metric: Metric) -> None:
    if draft.total is None:
        return
    whole = KINDS[metric.kind].is_share
    more = draft.value > draft.total if whole else (draft.value > 0) & (draft.total == 0)
    if more.any():
        index = int(more.argmax())
        when = "" if draft.time is None else f" up to {iso(float(draft.time[index]))}"
        raise DataError(
            f"{draft.place}: value grew by {draft.value[index]:g} and total by {draft.total[index]:g}{when}",
            "Check that 'value' counts the events and 'total' what they are of, in the same process.",
        )


def _share_out(draft: Draft, start: FloatArray, parts: NDArray[np.intp]) -> None:
    """Give every interval that an increase spans its part: whole numbers, if the increase is one."""
    if draft.time is None or not (parts > 1).any():
        return
    whole = np.repeat(np.arange(len(parts)), parts)
    value, end, of = draft.value[whole], draft.time[whole], parts[whole]
    part = np.arange(len(whole)) - np.repeat(parts.cumsum() - parts, parts)
    even = value / of
    floors = np.floor(value * (part + 1) / of) - np.floor(value * part / of)
    draft.keep(whole)
    draft.value = np.where(value == np.rint(value), floors, even)
    draft.time = end - (end - start[whole]) * ((of - 1 - part) / of)
