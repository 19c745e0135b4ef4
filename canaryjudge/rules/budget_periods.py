"""The period of an error budget, and how much of its budget is used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from canaryjudge.errors import DataError
from canaryjudge.rules.budgets import Counts, breaches, slice_sums
from canaryjudge.rules.rows import Pair

if TYPE_CHECKING:
    from canaryjudge.rules.burn_rate import BudgetCalendar, BurnRate

__all__ = ["Period", "budget_facts", "current_period"]

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
    """Find the period that data lie in.

    Parameters
    ----------
    settings : BurnRate
        The period, or the calendar.
    end : float or None
        When the data end, in seconds since 1970; None without times.

    Returns
    -------
    Period
        Of a calendar without times in the data, the nominal one, a month being 30 days.

    Raises
    ------
    DataError
        If the data lie at a time that no calendar has, or so long ago that they must count from a start of their own.

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
    """Say how much of the period's budget is used, and would be.

    Parameters
    ----------
    pair : Pair
        Kind and pairing.
    settings : BurnRate
        Target, traffic, and what is counted.
    arms : tuple of (Counts, Counts)
        Baseline and canary, by intervals, from the period's start on.
    period : Period
        The budget's period.
    burn_rate : float
        The canary's, over these.

    Returns
    -------
    dict
        Fields of `BurnFacts`. At all of the traffic the budget is used at the burn rate itself: burn rate x time / period. What
        the canary has used at its own traffic is its bad events over the traffic's budget; where slices are counted, its part of the
        bad ones.
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
    if pair.kind == "gauge":
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
