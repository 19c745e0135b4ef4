"""What an error budget counts, interval by interval or slice by slice, the windows that are cut from them, and the period of a budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.kinds import KINDS
from canaryjudge.rules.rows import Arm, BoolArray, FloatArray, Pair
from canaryjudge.stats.bucket_distributions import counts_at_most

if TYPE_CHECKING:
    from canaryjudge.rules.burn_rate import BudgetCalendar, BurnRate

__all__ = ["Counts", "Period", "budget_facts", "count_bad", "current_period", "in_slices"]

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
    """Count what is bad in each interval of an arm; samples with times by intervals of the policy's length, or ten seconds."""
    rises = 1 in pair.sides
    if KINDS[pair.kind].is_share:
        total = np.asarray(arm.total)
        bad = arm.value if rises else total - arm.value
        return Counts(bad, bad, total, *_clock(pair, arm.time, len(arm)))
    assert settings.bound is not None  # noqa: S101 - the policy has seen to it
    bound = settings.bound.number
    if KINDS[pair.kind].has_buckets:
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
    if KINDS[pair.kind].is_raw and arm.time is not None:
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
    """Add up intervals slice by slice: the slices' numbers since 1970, and an array (3, slices) of their least and most bad events and totals."""
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


_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_SECONDS = {"m": 60, "h": 3600}
_DAYS = {"d": 1, "w": 7}
_EARLIEST = 315_532_800.0
"""1980: times before it count from a start of their own."""


@dataclass(frozen=True, slots=True)
class Period:
    """A budget's period.

    Attributes
    ----------
    seconds : float
        How long it is.
    left : float or None
        How much of it is left at the end of the data; None where it rolls along, or the data have no times.
    start : float or None
        When it began, in seconds since 1970: what was used before is not of its budget. None where the data have no times.
    """

    seconds: float
    left: float | None = None
    start: float | None = None


def current_period(settings: BurnRate, end: float | None) -> Period:
    """Find the period that data lie in; of a calendar without times in the data, the nominal one, a month being 30 days.

    Examples
    --------
    February 2026 in Berlin has 28 days:

    >>> from canaryjudge import BurnRate
    >>> month = {"duration": "1M", "start": "2026-01-01 00:00:00", "zone": "Europe/Berlin"}
    >>> found = current_period(BurnRate(target=0.999, calendar=month), 1771160400)  # 2026-02-15 13:00 UTC
    >>> found.seconds / 86400, round(found.left / 86400, 2)
    (28.0, 13.42)
    """
    calendar = settings.calendar
    if end is None:
        return Period(settings.nominal_s)
    if calendar is None:
        return Period(settings.nominal_s, start=end - settings.nominal_s)
    wrong = DataError(
        f"the data end {end:g} s after 1970, where the period of a budget by the calendar cannot lie",
        "Give times as dates, or in seconds since 1970.",
    )
    if end < _EARLIEST:
        raise wrong
    try:
        start, stop = _around(calendar, end)
    except (OverflowError, ValueError, OSError):
        raise wrong from None
    return Period(stop - start, stop - end, start)


def _around(calendar: BudgetCalendar, end: float) -> tuple[float, float]:
    """Give the bounds of the period in which a moment lies; a period ends where the next begins."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - few policies have a calendar

    zone = ZoneInfo(calendar.zone)
    first = datetime.fromisoformat(calendar.start)

    def bound(number: int) -> float:
        if calendar.unit in _SECONDS:
            passed = number * calendar.count * _SECONDS[calendar.unit]
            return first.replace(tzinfo=zone).timestamp() + passed
        return _later(first, number * calendar.count, calendar.unit).replace(tzinfo=zone).timestamp()

    local = datetime.fromtimestamp(end, UTC).astimezone(zone).replace(tzinfo=None)
    if calendar.unit in _MONTHS:
        passed = 12 * (local.year - first.year) + local.month - first.month
        number = passed // (calendar.count * _MONTHS[calendar.unit])
    else:
        number = int((local - first).total_seconds() // calendar.nominal_s)
    # what ends exactly where a period does lies in it
    while bound(number) >= end:
        number -= 1
    while bound(number + 1) < end:
        number += 1
    return bound(number), bound(number + 1)


def _later(first: datetime, count: int, unit: str) -> datetime:
    """Go on by whole days or months; a day that a month lacks is its last."""
    if unit in _DAYS:
        return first + timedelta(days=count * _DAYS[unit])
    months = 12 * first.year + first.month - 1 + count * _MONTHS[unit]
    year, month = divmod(months, 12)
    for day in range(first.day, 27, -1):
        try:
            return first.replace(year=year, month=month + 1, day=day)
        except ValueError:
            if day == 28:
                raise
    return first.replace(year=year, month=month + 1)


def budget_facts(
    pair: Pair, settings: BurnRate, arms: tuple[Counts, Counts], period: Period, burn_rate: float
) -> dict[str, Any]:
    """Say how much of the period's budget is used, and would be, as fields of `BurnFacts`; the arms are counted from the period's start on.

    At all of the traffic the budget is used at the burn rate itself: burn rate x time / period. What the canary has used at its own traffic is its
    bad events over the traffic's budget; where slices are counted, its part of the bad ones.
    """
    span = arms[1].span
    facts: dict[str, Any] = {
        "period_s": period.seconds,
        "period_left_s": period.left,
        "span_s": span,
        "hours_to_exhaustion": period.seconds / burn_rate / 3600 if burn_rate > 0 else None,
    }
    if span is not None:
        facts["budget_at_full_traffic"] = burn_rate * span / period.seconds
    if period.left is not None:
        facts["budget_by_period_end"] = burn_rate * period.left / period.seconds
    if KINDS[pair.kind].is_averaged:
        return facts  # its points are moments, and nobody knows how much traffic each has
    if settings.budgeting == "occurrences":
        traffic = _traffic(settings, arms, period)
        used = None if traffic is None else float(arms[1].least.sum()) / (traffic * (1 - settings.target))
        extrapolated = settings.traffic is None and traffic is not None
        return facts | {"traffic": traffic, "traffic_extrapolated": extrapolated, "budget_used": used}
    window = settings.time_slice_window
    if pair.concurrent and window is not None:
        slices = period.seconds / window * (1 - settings.target)
        facts["budget_used"] = _bad_slices(settings, arms) / slices
    return facts


def _traffic(settings: BurnRate, arms: tuple[Counts, Counts], period: Period) -> float | None:
    if settings.traffic is not None:
        return settings.traffic
    spans = [counts.span for counts in arms]
    if any(span is None for span in spans):
        return None
    rates = (counts.total.sum() / span for counts, span in zip(arms, spans, strict=True) if span)
    return float(sum(rates)) * period.seconds


def _bad_slices(settings: BurnRate, arms: tuple[Counts, Counts]) -> float:
    """Count the bad slices of the service that would not be bad, or their parts, without the canary's bad events."""
    (slots, baseline), (others, canary) = (slice_sums(counts, settings) for counts in arms)
    _, first, second = np.intersect1d(slots, others, assume_unique=True, return_indices=True)
    bad, own, total = baseline[0, first], canary[0, second], baseline[2, first] + canary[2, second]
    if settings.budgeting == "ratio_timeslices":
        return float((own / total).sum())
    alone = breaches(bad, baseline[2, first], settings)
    return float((breaches(bad + own, total, settings) & ~alone).sum())
