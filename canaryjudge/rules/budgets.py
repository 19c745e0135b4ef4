"""What an error budget counts: bad events of a metric, interval by interval or slice by slice, and the windows that are cut from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.rules.rows import Arm, BoolArray, FloatArray, Pair
from canaryjudge.stats.bucket_distributions import counts_at_most

if TYPE_CHECKING:
    from canaryjudge.rules.burn_rate import BurnRate

__all__ = ["Counts", "count_bad", "in_slices", "slice_sums"]

_SLACK = 1e-6
"""Times are compared with this much leeway, in intervals."""
_NEAR = 1e-9
_INTERVAL = 10.0
"""Samples are counted in intervals of so many seconds, unless the policy says otherwise."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Bad events of one arm.

    Attributes
    ----------
    least, most : ndarray, shape (n,)
        How many are known to be bad, and how many may be: they differ where a bound lies inside a bucket, and are one array elsewhere.
    total : ndarray, shape (n,)
        Of how many; positive.
    time : ndarray, shape (n,), or None
        When each interval begins, in seconds since 1970, ascending.
    length : float or None
        How long an interval is, in seconds.
    each : float
        What one slice counts for, where slices are counted as if each had that many events.
    """

    least: FloatArray
    most: FloatArray
    total: FloatArray
    time: FloatArray | None
    length: float | None
    each: float = 1.0

    def __len__(self) -> int:
        return len(self.total)

    @property
    def span(self) -> float | None:
        """How long the data are, in seconds; None without times."""
        if self.time is None or self.length is None:
            return None
        return float(self.time[-1] - self.time[0] + self.length)

    @property
    def end(self) -> float | None:
        """When the last interval is over."""
        return None if self.time is None else float(self.time[-1]) + (self.length or 0.0)

    def last(self, seconds: float) -> Counts:
        """Cut out the last so many seconds, at least one interval; without times, all."""
        if self.time is None or self.length is None:
            return self
        return self.since(self.time[-1] + self.length - seconds)

    def since(self, start: float) -> Counts:
        """Cut out what begins at a time or later, at least one interval; without times, all."""
        if self.time is None or self.length is None:
            return self
        first = int(self.time.searchsorted(start - _SLACK * self.length))
        return self.tail(min(first, len(self) - 1))

    def tail(self, first: int) -> Counts:
        """Cut out what follows a position."""
        time = None if self.time is None else self.time[first:]
        least = self.least[first:]
        most = least if self.most is self.least else self.most[first:]
        return replace(self, least=least, most=most, total=self.total[first:], time=time)


def count_bad(pair: Pair, arm: Arm, settings: BurnRate) -> Counts:
    """Count what is bad in each interval of an arm.

    Parameters
    ----------
    pair : Pair
        Both arms, for what they share: kind, spacing, edges and bad direction.
    arm : Arm
        One of them.
    settings : BurnRate
        The bound, where the metric needs one.

    Returns
    -------
    Counts
        By intervals; of samples with times, by intervals of the policy's length or ten seconds.
    """
    rises = 1 in pair.sides
    if pair.kind == "ratio":
        total = np.asarray(arm.total)
        bad = arm.value if rises else total - arm.value
        return Counts(bad, bad, total, *_clock(pair, arm.time, len(arm)))
    assert settings.bound is not None  # noqa: S101 - the policy has seen to it
    bound = settings.bound.number
    if pair.kind == "histogram":
        assert arm.buckets is not None  # noqa: S101 - a histogram has them
        assert pair.edges is not None  # noqa: S101
        fewest, most = counts_at_most(pair.edges, arm.buckets, bound)
        total = arm.buckets.sum(axis=-1)
        some = total > 0
        least, largest = (total - most, total - fewest) if rises else (fewest, most)
        time = None if arm.time is None else arm.time[some]
        return Counts(least[some], largest[some], total[some], *_clock(pair, time, int(some.sum())))
    beyond = arm.value > bound if rises else arm.value < bound
    if settings.at_bound == "bad":
        beyond |= arm.value == bound
    bad, total = beyond.astype(np.float64), np.ones(len(arm))
    if pair.kind == "samples" and arm.time is not None:
        length = pair.counting_interval or _INTERVAL
        slots, sums = _added(np.floor(arm.time / length), bad, total)
        return Counts(sums[0], sums[0], sums[1], slots * length, length)
    return Counts(bad, bad, total, *_clock(pair, arm.time, len(arm)))


def _clock(pair: Pair, time: FloatArray | None, points: int) -> tuple[FloatArray | None, float | None]:
    """Tell when intervals begin, from the spacing alone where there are no times; and how long they are."""
    length = pair.interval
    if time is not None and length is not None and pair.differenced:
        return time - length, length
    if time is None:
        return (None, None) if length is None else (length * np.arange(points, dtype=np.float64), length)
    return time, length


def _added(slots: FloatArray, *columns: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Add up columns slot by slot: the slots, and an array (columns, slots)."""
    found, place = np.unique(slots, return_inverse=True)
    return found, np.stack([np.bincount(place, column, len(found)) for column in columns])


def slice_sums(counts: Counts, settings: BurnRate) -> tuple[FloatArray, FloatArray]:
    """Add up intervals slice by slice.

    Parameters
    ----------
    counts : Counts
        By intervals.
    settings : BurnRate
        How long a slice is.

    Returns
    -------
    tuple of (ndarray, shape (k,); ndarray, shape (3, k))
        The slices' numbers since 1970, and their least and most bad events and totals.

    Raises
    ------
    DataError
        If the data have no times, or their intervals are longer than a slice.
    """
    window = settings.time_slice_window
    assert window is not None  # noqa: S101 - the policy has seen to it
    if counts.time is None:
        raise DataError(
            f"the rule burn_rate counts slices of {window:g} s, and the data have no times",
            "Give the column 'time', or the metric its interval.",
        )
    if counts.length is not None and counts.length > window * (1 + _SLACK):
        raise DataError(
            f"the rule burn_rate counts slices of {window:g} s, and the data have a point every {counts.length:g} s",
            "Give finer data, or a longer time_slice_window.",
        )
    return _added(np.floor(counts.time / window + _NEAR), counts.least, counts.most, counts.total)


def in_slices(counts: Counts, settings: BurnRate) -> Counts:
    """Count slices in place of events, where the budget does.

    A slice is bad where its share of good events is below its target. Where the budget takes the mean of the slices' own shares, every slice
    counts as if it had had the same traffic, the harmonic mean of all: the variance of a slice's share is p (1 - p) / n, and its mean
    over the slices p (1 - p) / (harmonic mean of n). Slices without traffic are left out.

    Parameters
    ----------
    counts : Counts
        By intervals.
    settings : BurnRate
        What is counted.

    Returns
    -------
    Counts
        By slices, or what was given where the budget counts events.

    Raises
    ------
    DataError
        As `slice_sums`.
    """
    if settings.budgeting == "occurrences":
        return counts
    window = settings.time_slice_window
    assert window is not None  # noqa: S101 - the policy has seen to it
    slots, (least, most, total) = slice_sums(counts, settings)
    if settings.budgeting == "ratio_timeslices":
        each = float(len(total) / (1 / total).sum())
        bad = [count / total * each for count in (least, most)]
    else:
        each = 1.0
        bad = [breaches(count, total, settings).astype(np.float64) for count in (least, most)]
    largest = bad[0] if counts.most is counts.least else bad[1]
    return Counts(bad[0], largest, np.full(len(slots), each), slots * window, window, each)


def breaches(bad: FloatArray, total: FloatArray, settings: BurnRate) -> BoolArray:
    """Tell which slices are bad."""
    target = settings.time_slice_target
    assert target is not None  # noqa: S101 - the policy has seen to it
    return np.asarray(total - bad < target * total * (1 - _NEAR))
