"""The settings of the rule about burn rates: an error budget, and how fast it may be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from canaryjudge.policy.rule_settings import AskedMetric, RuleSettings
from canaryjudge.quantities import PERCENT_PATTERN, parse_fraction, shown
from canaryjudge.settings import Amount, Duration, PolicyModel, Problem, Quantity, Share

__all__ = ["BudgetCalendar", "BurnAlert", "BurnRate", "TimeZone", "WallTime"]

DAY: Final = 86400.0
_ROLLING: Final = 30 * DAY
_WORKBOOK: Final = ((3600.0, 0.02), (6 * 3600.0, 0.05), (DAY, 0.1), (3 * DAY, 0.1))
"""Long windows, and the parts of the budget that are used in each where its alert fires (The Site Reliability Workbook, chapter 5)."""
_SHORT: Final = 12.0
"""A short window is this part of its long one."""
_SLOWEST: Final = 0.9
"""Slower than this, a burn rate leaves budget over, and is no alert; 28 days make the workbook's slowest .93."""
_CALENDAR: Final = re.compile(r"([1-9][0-9]{0,5})([mhdwMQY])")
_NOMINAL: Final = {
    "m": 60.0,
    "h": 3600.0,
    "d": DAY,
    "w": 7 * DAY,
    "M": 30 * DAY,
    "Q": 90 * DAY,
    "Y": 365 * DAY,
}
_START: Final = "%Y-%m-%d %H:%M:%S"
_START_PATTERN: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"


def _slice_target(value: object) -> float:
    fraction = parse_fraction(value)
    if 0 < fraction <= 1:
        return fraction
    raise ValueError(f"{shown(value)} is not above 0 % and at most 100 %")


def _calendar_duration(value: object) -> str:
    if isinstance(value, str) and _CALENDAR.fullmatch(value):
        return value
    raise ValueError(
        f"{shown(value)} is not a whole number and one of m, h, d, w, M (month), Q (quarter), Y (year); write it like 1M"
    )


def _start(value: object) -> str:
    try:
        # a time on the wall: its zone is a setting of its own
        if isinstance(value, str) and datetime.fromisoformat(value).strftime(_START) == value:
            return value
    except ValueError:
        pass
    raise ValueError(f"{shown(value)} is not a date and time; write it like 2026-01-01 00:00:00")


def _zone(value: object) -> str:
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415 - few policies have a calendar

    try:
        if isinstance(value, str):
            return ZoneInfo(value).key
    except (ValueError, OSError, KeyError):
        if not available_timezones():
            why = "this machine has no time zones; install the package tzdata, or write zone: UTC"
            raise ValueError(why) from None
    raise ValueError(f"{shown(value)} is not a time zone; write it like Europe/Berlin or UTC")


WallTime = Annotated[
    str,
    BeforeValidator(_start),
    WithJsonSchema({"type": "string", "pattern": _START_PATTERN, "examples": ["2026-01-01 00:00:00"]}),
]
"""A date and a time, as the clock on the wall shows it."""

TimeZone = Annotated[
    str, BeforeValidator(_zone), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})
]
"""A time zone, as the IANA names it."""


class BurnAlert(PolicyModel):
    """A burn rate that must not be exceeded, over a long window and over a short one."""

    long: Duration
    """The window that shows that enough was burned to matter: `1h`."""
    short: Duration | None = None
    """The window that shows that it is still burning: `5m`. A twelfth of the long one where left out; as long as it, there is one window."""
    burn_rate: Annotated[float, Field(strict=True, gt=0, le=1e6)]
    """How many times faster than the budget allows: `14.4`. The alert fires where both windows burn faster."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.short is not None and self.short > self.long:
            yield Problem(("short",), "the short window is longer than the long one", "Swap them.")

    @property
    def short_s(self) -> float:
        """The short window in seconds."""
        return self.long / _SHORT if self.short is None else self.short


class BudgetCalendar(PolicyModel):
    """Budget periods that begin at dates: months, quarters, weeks."""

    duration: Annotated[
        str,
        BeforeValidator(_calendar_duration),
        WithJsonSchema({"type": "string", "pattern": f"^{_CALENDAR.pattern}$", "examples": ["1M"]}),
    ]
    """How long a period is: a whole number and `d`, `w`, `M` (months), `Q` (quarters) or `Y` (years); `m` is minutes."""
    start: WallTime
    """When some period begins, by the clock on the wall of the zone: `2026-01-01 00:00:00`."""
    zone: TimeZone = "UTC"
    """The zone, as the IANA names it."""

    @property
    def count(self) -> int:
        """How many units a period has."""
        return int(self.duration[:-1])

    @property
    def unit(self) -> str:
        """The unit: one of m, h, d, w, M, Q, Y."""
        return self.duration[-1]

    @property
    def nominal_s(self) -> float:
        """A period in seconds, a month being 30 days."""
        return self.count * _NOMINAL[self.unit]


class BurnRate(RuleSettings):
    """Does the canary use its error budget too fast? Burn rates over pairs of windows, and how much of the budget they have used."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "ratio", "histogram")

    rule: Literal["burn_rate"] = "burn_rate"
    """The rule's name."""
    target: Share
    """The objective: the share that must be good, `99.9%`. The error budget is the rest of a period, and the burn rate is the share
    that is bad over that rest."""
    budgeting: Literal["occurrences", "timeslices", "ratio_timeslices"] = "occurrences"
    """What is counted: events (`occurrences`), time slices that are good or bad (`timeslices`), or the mean of the slices' own shares, busy and
    quiet ones alike (`ratio_timeslices`)."""
    time_slice_target: (
        Annotated[
            float,
            BeforeValidator(_slice_target),
            WithJsonSchema(
                {
                    "anyOf": [
                        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                        {"type": "string", "pattern": PERCENT_PATTERN},
                    ]
                }
            ),
        ]
        | None
    ) = None
    """With `timeslices`: the share of a slice's events that must be good for the slice to be good, `95%`."""
    time_slice_window: Duration | None = None
    """With slices: how long one is, `1m`."""
    period: Duration | None = None
    """The budget's period, which rolls along. `30d` unless there is a calendar."""
    calendar: BudgetCalendar | None = None
    """Periods that begin at dates, in place of `period`: `{duration: 1M, start: "2026-01-01 00:00:00", zone: Europe/Berlin}`."""
    alerts: tuple[BurnAlert, ...] | None = Field(default=None, min_length=1, max_length=20)
    """What is too fast: `[{long: 1h, short: 5m, burn_rate: 14.4}, ...]`. Left out, what the SRE workbook advises: 2 % of the budget in 1 h, 5 % in 6 h,
    10 % in 1 d or in 3 d, with a twelfth of each as the short window; in 30 days burn rates of 14.4, 6, 3 and 1."""
    traffic: Annotated[float, Field(strict=True, gt=0, le=1e18)] | None = None
    """Events of the whole service in a period. Left out, the traffic of both arms is taken to go on for a period."""
    bound: Amount | None = None
    """Of gauges, samples and histograms: what is good is at most this (`direction: increase`), or at least this (`decrease`)."""
    at_bound: Literal["good", "bad"] = "good"
    """What a value of exactly the bound is."""
    blame: Literal["environment", "canary"] = "environment"
    """Where the baseline burns too fast as well: `environment` makes it marginal, `canary` fails it all the same."""

    def _contradictions(self) -> Iterator[Problem]:
        if self.period is not None and self.calendar is not None:
            yield Problem(("period",), "period and calendar are two periods of one budget", "Leave one out.")
        sliced = self.budgeting != "occurrences"
        if sliced and self.time_slice_window is None:
            yield Problem((), f"budgeting: {self.budgeting} needs time_slice_window", "Write it like 1m.")
        if self.budgeting == "timeslices" and self.time_slice_target is None:
            yield Problem((), "budgeting: timeslices needs time_slice_target", "Write it like 95%.")
        if not sliced and self.time_slice_window is not None:
            advice = "Leave it out, or take budgeting: timeslices or ratio_timeslices."
            yield Problem(("time_slice_window",), "occurrences have no slices", advice)
        if self.budgeting != "timeslices" and self.time_slice_target is not None:
            advice = "Leave it out, or take budgeting: timeslices."
            yield Problem(("time_slice_target",), f"{self.budgeting} has no good and bad slices", advice)
        if sliced and self.traffic is not None:
            yield Problem(("traffic",), f"{self.budgeting} counts time, not traffic", "Leave it out.")
        for index, alert in enumerate(self.alerts or ()):
            if alert.burn_rate * (1 - self.target) >= 1:
                most = 1 / (1 - self.target)
                why = f"at a target of {100 * self.target:.6g} % nothing burns faster than {most:.6g} times"
                yield Problem(
                    ("alerts", index, "burn_rate"),
                    why,
                    f"Take a burn rate below {most:.6g}, or leave it out.",
                )

    def in_unit_of(self, metric: AskedMetric) -> Self:
        """Give the same settings with every quantity in the metric's unit."""
        if self.bound is None:
            return self
        return self.model_copy(update={"bound": Quantity(number=metric.quantity(self.bound, "bound"))})

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from super().misfits(metric)
        if metric.direction == "either":
            advice = "Take direction: increase (the value counts what is bad) or decrease (what is good)."
            yield Problem((), "a burn rate needs to know which direction is bad", advice)
        if metric.kind == "ratio":
            if self.bound is not None:
                advice = "Leave it out: a ratio says itself how many events were bad."
                yield Problem(("bound",), "bound is for gauges, samples and histograms", advice)
            elif self.at_bound != "good":
                yield Problem(("at_bound",), "at_bound goes with a bound", "Leave it out.")
            return
        if self.bound is None:
            advice = "Give bound: what is good is at most (direction: increase) or at least that."
            yield Problem((), f"of a {metric.kind} nobody knows what is bad", advice)
            return
        yield from metric.misfit(self.bound, ("bound",))
        if metric.kind == "histogram" and (self.at_bound == "bad") != (metric.direction == "decrease"):
            advice = f"Write at_bound: {'good' if self.at_bound == 'bad' else 'bad'}, or give samples."
            why = "the buckets of a histogram count what is at most an edge, so its bound itself counts as below"
            yield Problem(("at_bound",), why, advice)

    @property
    def nominal_s(self) -> float:
        """The budget's period in seconds, a month of the calendar being 30 days."""
        if self.calendar is not None:
            return self.calendar.nominal_s
        return _ROLLING if self.period is None else self.period

    def alerts_in(self, period: float) -> tuple[BurnAlert, ...]:
        """Give the alerts, or those of the workbook for a period.

        Parameters
        ----------
        period : float
            Seconds.

        Returns
        -------
        tuple of BurnAlert
            The alerts of the policy. Otherwise, for each of the workbook's windows, (its part of the budget) x period / window;
            where that leaves budget over, or could not be reached at this target, it is left out. If none is left, one alert over the whole
            period at a burn rate of 1.

        Examples
        --------
        >>> [round(alert.burn_rate, 2) for alert in BurnRate(target=0.999).alerts_in(28 * 86400)]
        [13.44, 5.6, 2.8, 0.93]
        """
        if self.alerts is not None:
            return self.alerts
        found = [(long, part * period / long) for long, part in _WORKBOOK]
        rates = [(long, rate) for long, rate in found if rate >= _SLOWEST and rate * (1 - self.target) < 1]
        written = rates or [(period, 1.0)]
        return tuple(BurnAlert(long=f"{long!r}s", burn_rate=float(f"{rate:.12g}")) for long, rate in written)
