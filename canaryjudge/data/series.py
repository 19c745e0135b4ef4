"""One clean arm, its replicas, and how the points of an interval become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data.counters import CounterState
from canaryjudge.data.notes import Note
from canaryjudge.data.pair import FloatArray
from canaryjudge.data.times import common_slots, median_step
from canaryjudge.kinds import Kind

__all__ = ["Series", "by_replica", "merged", "pooled", "with_reports"]


_NO_TIMES: Final[FloatArray] = np.empty(0)


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
    end : float
        When the last row was, whether or not it could be used; without times its place in line.
    start : float
        When the first row was, usable or not; infinity without times.
    known : ndarray, shape (k,)
        Of counters in a stream: the times of points that were left out, because they are no later than their replica's last.
    line : ndarray, shape (n,), or None
        Without times: the place in line of each point among the rows, some of which may have been left out.
    requests : ndarray, shape (n,), or None
        Of pairs: the ids of the requests, numbers or texts.
    beyond : ndarray, shape (m,)
        When reports were left out that an arm which is silent would not give, such as an infinite percentile.
    segments : dict of tuple of str to Series
        Of an update that is watched within segments: the arm in each, which is what counts; the points of the arm itself tell no more than when there were any.
    moments : ndarray, shape (1, 15), or None
        Of users: what they add up to, as of `Arm`.
    covariate : bool
        Of users: whether anything is said of what was known from before.
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
    end: float = -np.inf
    start: float = np.inf
    known: FloatArray = field(default_factory=lambda: np.empty(0))
    line: FloatArray | None = None
    beyond: FloatArray = field(default_factory=lambda: _NO_TIMES)
    segments: Mapping[tuple[str, ...], Series] = field(default_factory=dict)
    moments: FloatArray | None = None
    covariate: bool = False
    requests: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.value)

    def part(self, points: NDArray[np.bool_] | NDArray[np.intp]) -> Series:
        """Give some of the points, by a mask or an index; the replicas stay as they are."""
        total, time, line, buckets = (
            None if column is None else column[points]
            for column in (self.total, self.time, self.line, self.buckets)
        )
        # one by one, since the arms of many metrics are cut and `replace` takes as long as all else here
        return Series(
            self.arm,
            self.value[points],
            total,
            time,
            self.zones,
            self.notes,
            buckets,
            self.edges,
            self.replicas,
            self.reported,
            self.differenced,
            self.counters,
            self.unit,
            self.factor,
            self.end,
            self.start,
            self.known,
            line,
            self.beyond,
        )


def by_replica(series: Series, codes: NDArray[np.intp], names: tuple[str, ...]) -> tuple[Series, ...]:
    """Give each replica's points by themselves, those of replicas that have any."""
    bare = replace(series, zones=frozenset(), notes=(), replicas=(), counters=None, line=None)
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
        line=None,
    )
    return merged(kind, whole.part(order), slot[order])


def _joined(columns: list[FloatArray | None]) -> FloatArray | None:
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None


def merged(kind: Kind, series: Series, slots: FloatArray) -> Series:
    """Make one point of those that lie in one interval: a gauge's mean, the sum of anything else, at their mean time."""
    differ = slots[1:] != slots[:-1]
    if differ.all():
        return series
    starts = np.flatnonzero(np.append(True, differ))
    counts = np.diff(np.append(starts, len(slots)))
    value = np.add.reduceat(series.value, starts)
    time = series.time
    return replace(
        series,
        value=value / counts if kind.is_averaged else value,
        total=None if series.total is None else np.add.reduceat(series.total, starts),
        time=None if time is None else np.add.reduceat(time - time[0], starts) / counts + time[0],
        line=None,
        buckets=None if series.buckets is None else np.add.reduceat(series.buckets, starts, axis=0),
    )


def with_reports(arms: tuple[Series, Series], *, reported: bool = False) -> tuple[Series, Series]:
    """Count each point as the report of one replica in both arms, where that is the exposure in one of them."""
    if not reported and not any(arm.reported for arm in arms):
        return arms
    first, second = (
        arm if arm.total is not None else replace(arm, total=np.ones(len(arm)), reported=True) for arm in arms
    )
    return first, second
