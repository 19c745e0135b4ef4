"""Several replicas of an arm: told apart by name, and pooled to one point an interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.pair import FloatArray
from canaryjudge.data.series import Series
from canaryjudge.data.times import common_slots, median_step
from canaryjudge.kinds import Kind

__all__ = ["by_replica", "merged", "pooled", "with_reports"]


def by_replica(series: Series, codes: NDArray[np.intp], names: tuple[str, ...]) -> tuple[Series, ...]:
    """Give each replica's points by themselves, those of replicas that have any.

    Parameters
    ----------
    series : Series
        The points of all of them.
    codes : ndarray of int, shape (n,)
        Which replica each is of.
    names : tuple of str
        The replicas' names.
    """
    bare = replace(series, zones=frozenset(), notes=(), replicas=(), counters=None)
    order = np.argsort(codes, kind="stable")
    ends = np.bincount(codes, minlength=len(names)).cumsum()
    parts = np.split(order, ends[:-1]) if len(names) else []
    return tuple(
        replace(bare.part(part), arm=name) for name, part in zip(names, parts, strict=True) if len(part)
    )


def pooled(series: Series, kind: Kind) -> Series:
    """Make one point of those of all replicas in an interval.

    The interval is the replicas' own: the median of the steps within each of them. Three replicas that are scraped every 15 s, 5 s after each
    other, have one point every 15 s, at the middle of their times. Without times, the k-th points of all replicas belong together.

    Parameters
    ----------
    series : Series
        The points of all replicas side by side, and each replica's by itself.
    kind : Kind
        Gauges become the mean, raw samples stay, and all others become the sum.

    Returns
    -------
    Series
        With one point an interval; the replicas stay as they are.

    Examples
    --------
    >>> from canaryjudge.kinds import KINDS
    >>> time = 15.0 * np.arange(3)
    >>> parts = tuple(Series(name, np.array([1.0, 2.0, 3.0]), time=time + lag) for name, lag in (("a", 0.0), ("b", 5.0)))
    >>> arm = pooled(Series("canary", np.ones(6), replicas=parts), KINDS["count"])
    >>> arm.value.tolist(), arm.time.tolist()
    ([2.0, 4.0, 6.0], [2.5, 17.5, 32.5])
    """
    if kind.pools is None or len(series.replicas) < 2:
        return series
    times = [replica.time for replica in series.replicas if replica.time is not None]
    slots = [np.arange(len(replica), dtype=np.float64) for replica in series.replicas]
    time = None
    if len(times) == len(series.replicas):
        slots, lags = common_slots(times, median_step(times))
        # an interval's time must not depend on which of the replicas reported in it
        behind = float(np.mean(lags))
        time = np.concatenate([own - (lag - behind) for own, lag in zip(times, lags, strict=True)])
    slot = np.concatenate(slots)
    order = np.argsort(slot, kind="stable")
    whole = replace(
        series,
        value=np.concatenate([replica.value for replica in series.replicas]),
        total=_joined([replica.total for replica in series.replicas]),
        time=time,
        buckets=_joined([replica.buckets for replica in series.replicas]),
    )
    return merged(kind, whole.part(order), slot[order])


def _joined(columns: list[FloatArray | None]) -> FloatArray | None:
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None


def merged(kind: Kind, series: Series, slots: FloatArray) -> Series:
    """Make one point of those that lie in one interval: a gauge's mean, the sum of anything else, at their mean time.

    Parameters
    ----------
    kind : Kind
        The metric's.
    series : Series
        In the order of `slots`.
    slots : ndarray, shape (n,)
        The number of each point's interval, ascending.
    """
    starts = np.flatnonzero(np.diff(slots, prepend=np.nan) != 0)
    if len(starts) == len(slots):
        return series
    counts = np.diff(np.append(starts, len(slots)))
    value = np.add.reduceat(series.value, starts)
    time = series.time
    return replace(
        series,
        value=value / counts if kind.is_averaged else value,
        total=None if series.total is None else np.add.reduceat(series.total, starts),
        time=None if time is None else np.add.reduceat(time - time[0], starts) / counts + time[0],
        buckets=None if series.buckets is None else np.add.reduceat(series.buckets, starts, axis=0),
    )


def with_reports(arms: tuple[Series, Series], *, reported: bool = False) -> tuple[Series, Series]:
    """Count each point as the report of one replica in both arms, where that is the exposure in one of them.

    Parameters
    ----------
    arms : tuple of Series
        Baseline and canary.
    reported : bool, optional
        Whether it was the exposure in data that were given before.
    """
    if not reported and not any(arm.reported for arm in arms):
        return arms
    first, second = (
        arm if arm.total is not None else replace(arm, total=np.ones(len(arm)), reported=True) for arm in arms
    )
    return first, second
