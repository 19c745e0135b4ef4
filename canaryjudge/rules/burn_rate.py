"""Does the canary use its error budget too fast? Burn rates over pairs of windows, by intervals, not by points."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from canaryjudge.kinds import KINDS
from canaryjudge.quantities import PERCENT_PATTERN, parse_fraction, shown
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.budgets import Counts, budget_facts, count_bad, current_period, in_slices
from canaryjudge.rules.decision import more_points
from canaryjudge.rules.findings import EffectFinding, Facts, Interval, Number, Waiver
from canaryjudge.rules.registry import per_pair, rule
from canaryjudge.rules.rows import ErrorRates, Pair
from canaryjudge.rules.settings import AskedMetric, RuleSettings
from canaryjudge.rules.totals import burst_waivers
from canaryjudge.settings import Amount, Duration, PolicyModel, Problem, Quantity, Share
from canaryjudge.stats.dependent_shares import BadShare, WindowShare, bad_share

__all__ = [
    "BudgetCalendar",
    "BurnAlert",
    "BurnAlertFacts",
    "BurnFacts",
    "BurnRate",
    "BurnRateFinding",
    "BurnWindow",
    "TimeZone",
    "WallTime",
]

_CONTEXT = 30
"""Fewer intervals hardly show their own bursts."""
_NEAR = 1e-9


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
    models: ClassVar[Mapping[str, type[PolicyModel]]] = {"alert": BurnAlert, "calendar": BudgetCalendar}

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
        if KINDS[metric.kind].is_share:
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
        if KINDS[metric.kind].has_buckets and (self.at_bound == "bad") != (metric.direction == "decrease"):
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
        """Give the alerts, or those that the workbook has for a period of so many seconds.

        For each of the workbook's windows that is (its part of the budget) x period / window; where that leaves budget over, or could not be reached at this
        target, it is left out. If none is left, there is one alert over the whole period at a burn rate of 1.

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


class BurnWindow(Facts):
    """How fast the canary burned its error budget over one window."""

    window_s: Number
    """The window that was asked for, in seconds."""
    covered_s: Number
    """How much of it the data cover; None without times."""
    points: int
    """Intervals in it; slices where the budget counts slices."""
    bad: Number
    """Bad events; slices that are bad, or their shares added up, where the budget counts slices."""
    total: Number
    """Of how many."""
    burn_rate: Number
    """The share that is bad over the share that the objective allows."""
    interval: Interval
    """Its confidence interval at the level of a fail."""
    pass_interval: Interval
    """Its confidence interval at the level of a pass."""


class BurnAlertFacts(Facts):
    """What became of one alert: a burn rate that neither of two windows may exceed together."""

    burn_rate: float
    """The burn rate that is too fast."""
    long_s: float
    """The long window in seconds."""
    short_s: float
    """The short one."""
    asked: bool
    """Whether there are enough data for it."""
    long: BurnWindow | None = None
    """The long window; None where it was not asked."""
    short: BurnWindow | None = None
    """The short window; None where it was not asked, or holds the same data as the long one."""
    exceeded: bool | None = None
    """Whether both windows are proven to exceed it (True), or one of them not to (False); None where neither is proven."""
    baseline_exceeds: bool = False
    """Whether the baseline is proven to exceed it as well."""
    decides: bool = False
    """Whether this alert decided."""


class BurnFacts(Facts):
    """An error budget, how fast it is used, and how much of it is gone; parts of a budget are fractions."""

    target: float
    """The share that must be good."""
    budgeting: Literal["occurrences", "timeslices", "ratio_timeslices"]
    """What the budget counts."""
    period_s: float
    """The budget's period in seconds: the current one, where the policy has a calendar."""
    period_left_s: Number = None
    """How much of it is left at the end of the data, where the policy has a calendar and the data have times."""
    span_s: Number = None
    """How long the canary's data are, in seconds; None without times."""
    burn_rate: Number
    """The canary's burn rate over all its data."""
    interval: Interval
    """Its confidence interval at the level of a fail."""
    baseline_burn_rate: Number
    """The baseline's."""
    traffic: Number = None
    """Events of the whole service in a period."""
    traffic_extrapolated: bool = False
    """Whether that is the traffic of both arms, taken to go on for a period."""
    budget_used: Number = None
    """The part of the period's budget that this canary has used, at its share of the traffic; None where that cannot be known."""
    budget_at_full_traffic: Number = None
    """The part that it would have used in the same time at all of the traffic; None without times."""
    budget_by_period_end: Number = None
    """The part that it would use at all of the traffic until the calendar's period is over."""
    hours_to_exhaustion: Number = None
    """After how many hours a whole budget would be gone at this rate; None where nothing is bad."""
    alerts: tuple[BurnAlertFacts, ...]
    """Every alert, asked or not."""


class BurnRateFinding(EffectFinding):
    """Whether the canary uses its error budget too fast; the estimate is the burn rate of the window that decided."""

    rule: Literal["burn_rate"]
    """The rule's name."""
    of: str | None = None
    """The aggregate that the limit is about: `burn_rate`; None where nothing could be asked."""
    op: str | None = None
    """How it must stand to the limit."""
    burn: BurnFacts | None = None
    """The windows that were asked, and the budget."""
    dispersion: Number = None
    """Variance of bad events between intervals over that of independent ones."""
    total_baseline: Number = None
    """Total of the baseline: its events or slices."""
    total_canary: Number = None
    """Total of the canary."""
    events_baseline: Number = None
    """How many of the baseline's are bad."""
    events_canary: Number = None
    """How many of the canary's."""


@dataclass(frozen=True, slots=True)
class _Window:
    """What one window of the canary proves, in burn rates."""

    asked_s: float
    counts: Counts
    proven: WindowShare
    """Of what is known to be bad."""
    possible: BadShare
    """Of what may be bad."""
    above: float
    """P-value of "burns at most at the alert's rate"."""
    below: float
    """P-value of "burns at least at it"."""

    def interval(self, error: float, allowed: float) -> Interval:
        """Bound its burn rate: from below by what is known to be bad, from above by what may be."""
        low = self.proven.lower_bound(error)
        high = None if self.possible.outlasted else float(self.possible.bounds(error).high) / allowed
        return Interval(low=low / allowed, high=high, error=error)

    @property
    def share(self) -> float:
        """The share that is known to be bad."""
        return float(self.proven.whole.share)


@dataclass(frozen=True, slots=True)
class _Alert:
    """What became of one alert."""

    written: BurnAlert
    windows: tuple[_Window, ...]
    """The long and the short window; one where both hold the same data."""
    baseline_exceeds: bool

    @property
    def pvalue(self) -> float:
        """P-value of "one of the windows burns at most at the alert's rate": both must be proven."""
        return max(window.above for window in self.windows)

    @property
    def pvalue_pass(self) -> float:
        """P-value of "both burn faster": one of them must be proven not to."""
        return min(1.0, len(self.windows) * min(window.below for window in self.windows))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The alerts that there are enough data for, and which of them a fail and a pass are held against."""

    alerts: tuple[_Alert, ...]
    against_fail: tuple[_Alert, ...]
    against_pass: tuple[_Alert, ...]


@rule(BurnRate, BurnRateFinding)
@per_pair
def judge(pair: Pair, settings: BurnRate) -> dict[str, Any]:
    """Judge whether the canary uses its error budget too fast.

    An alert is exceeded where both its windows are proven to burn faster than its rate (each at the rule's level divided by the
    number of alerts asked), and is not where one of them is proven not to (at beta, halved where there are two). The canary fails by
    one alert that it exceeds and the baseline does not, and passes by all alerts not exceeded.

    Windows end with the data. A pair whose short window is longer than the data is not asked, unless all are; then the one with the
    highest burn rate is, over what there is. Without times nobody knows how long the data are: then a fail is held against the
    highest burn rate, and a pass against the lowest.

    Raises
    ------
    DataError
        If the budget counts slices, and the data have no times or are coarser than a slice.
    """
    raw = tuple(count_bad(pair, arm, settings) for arm in pair.arms)
    if not all(len(counts) for counts in raw):
        return {
            "outcome": Outcome.MARGINAL,
            "reason": Reason.TOO_LITTLE_DATA,
            "method": "none",
            "scale": "objective",
        }
    rates = pair.rates
    baseline, canary = (in_slices(counts, settings) for counts in raw)
    allowed = 1 - settings.target
    period = current_period(settings, raw[1].end)
    written = settings.alerts_in(period.seconds)
    asked = _ask(baseline, canary, settings, written, rates)
    outcome, reason, deciding = _decide(asked, settings, rates)
    level, beta = rates.level / len(asked.against_fail), rates.beta / len(deciding.windows)
    window = _telling(deciding, reason)
    overall = _long_window(canary.span or 0.0, canary, 1.0)
    current = raw if period.start is None else tuple(counts.since(period.start) for counts in raw)
    own = in_slices(current[1], settings)
    lately = overall if len(own) == len(canary) else _long_window(own.span or 0.0, own, 1.0)
    facts = BurnFacts(
        target=settings.target,
        budgeting=settings.budgeting,
        burn_rate=overall.share / allowed,
        interval=overall.interval(rates.level, allowed),
        baseline_burn_rate=float(baseline.least.sum() / baseline.total.sum()) / allowed,
        alerts=_alert_facts(written, asked, deciding, rates, allowed),
        **budget_facts(pair, settings, (current[0], current[1]), period, lately.share / allowed),
    )
    found: dict[str, Any] = {
        "estimate": window.share / allowed,
        "interval": window.interval(level, allowed),
        "pass_interval": window.interval(beta, allowed),
        "limit_high": deciding.written.burn_rate,
    }
    each = len(pair.canary) / len(canary)
    return found | {
        "outcome": outcome,
        "reason": reason,
        "method": "exact_ratio",
        "scale": "objective",
        "pvalue": min(1.0, len(asked.against_fail) * min(alert.pvalue for alert in asked.against_fail)),
        "pvalue_pass": max(alert.pvalue_pass for alert in asked.against_pass),
        "baseline_level": facts.baseline_burn_rate,
        "canary_level": facts.burn_rate,
        "total_baseline": float(baseline.total.sum()) / baseline.each,
        "total_canary": float(canary.total.sum()) / canary.each,
        "events_baseline": float(baseline.least.sum()) / baseline.each,
        "events_canary": float(canary.least.sum()) / canary.each,
        "autocorrelation": float(window.proven.whole.rho),
        "dispersion": float(window.proven.whole.factor),
        "more_points": _missing(window, found, each) if reason is Reason.UNDECIDED else None,
        "of": "burn_rate",
        "op": "lte",
        "burn": facts,
        "waived": _waived(deciding, window, outcome, deciding.written.burn_rate * allowed, beta),
    }


def _ask(
    baseline: Counts, canary: Counts, settings: BurnRate, written: tuple[BurnAlert, ...], rates: ErrorRates
) -> _Asked:
    """Ask the alerts that the data are long enough for."""
    span = canary.span
    fitting = [alert for alert in written if span is None or alert.short_s <= span * (1 + _NEAR)]
    fitting = fitting or [max(written, key=lambda alert: alert.burn_rate)]
    alerts = tuple(_ask_alert(alert, baseline, canary, settings, rates) for alert in fitting)
    if span is not None:
        return _Asked(alerts, alerts, alerts)
    return _Asked(alerts, (max(alerts, key=_speed),), (min(alerts, key=_speed),))


def _ask_alert(
    written: BurnAlert, baseline: Counts, canary: Counts, settings: BurnRate, rates: ErrorRates
) -> _Alert:
    limit = written.burn_rate * (1 - settings.target)

    def windows(counts: Counts) -> tuple[_Window, ...]:
        long, short = counts.last(written.long), counts.last(written.short_s)
        first = _long_window(written.long, long, limit)
        # where both hold the same data there is one
        return (
            (first, _short_window(written.short_s, short, long, limit))
            if len(short) < len(long)
            else (first,)
        )

    exceeds = all(window.above <= rates.beta for window in windows(baseline))
    return _Alert(written, windows(canary), exceeds)


def _long_window(seconds: float, cut: Counts, limit: float) -> _Window:
    """Ask whether the canary burns faster in the long run: its bursts are noise."""
    proven = WindowShare.of(cut.least, cut.total)
    possible = proven.whole if cut.most is cut.least else bad_share(cut.most, cut.total)
    return _asked_window(seconds, cut, proven, possible, limit)


def _short_window(seconds: float, cut: Counts, long: Counts, limit: float) -> _Window:
    """Ask whether it is still burning: that it burned in these very intervals is enough for a fail, but a pass is about the long run.

    So short a window hardly shows its own bursts, and is given those of what is around it for a pass.
    """
    proven = WindowShare.as_it_was(cut.least, cut.total)
    possible = bad_share(cut.most, cut.total)
    if len(cut) < _CONTEXT:
        around = long.tail(max(len(long) - _CONTEXT, 0))
        possible = possible.with_bursts_of(bad_share(around.most, around.total))
    return _asked_window(seconds, cut, proven, possible, limit)


def _asked_window(
    seconds: float, cut: Counts, proven: WindowShare, possible: BadShare, limit: float
) -> _Window:
    below = 1.0 if possible.outlasted else float(possible.pvalues(limit).less)
    return _Window(seconds, cut, proven, possible, proven.pvalue_above(limit), below)


def _decide(asked: _Asked, settings: BurnRate, rates: ErrorRates) -> tuple[Outcome, Reason, _Alert]:
    level = rates.level / len(asked.against_fail)
    exceeded = [alert for alert in asked.against_fail if alert.pvalue <= level]
    blamed = [alert for alert in exceeded if settings.blame == "canary" or not alert.baseline_exceeds]
    if blamed:
        return Outcome.FAIL, Reason.BREACHED, max(blamed, key=_speed)
    if exceeded:
        return Outcome.MARGINAL, Reason.ENVIRONMENT_UNHEALTHY, max(exceeded, key=_speed)
    hardest = max(asked.against_pass, key=lambda alert: alert.pvalue_pass)
    if hardest.pvalue_pass <= rates.beta:
        return Outcome.PASS, Reason.OBJECTIVE_MET, hardest
    outlasted = all(window.possible.outlasted for window in hardest.windows)
    return Outcome.MARGINAL, Reason.ABSTAINS if outlasted else Reason.UNDECIDED, hardest


def _speed(alert: _Alert) -> float:
    return alert.written.burn_rate


def _telling(alert: _Alert, reason: Reason) -> _Window:
    """Choose the window that an alert's outcome hangs on."""
    if reason in (Reason.BREACHED, Reason.ENVIRONMENT_UNHEALTHY):
        return max(alert.windows, key=lambda window: window.above)
    return min(alert.windows, key=lambda window: window.below)


def _alert_facts(
    written: tuple[BurnAlert, ...], asked: _Asked, deciding: _Alert, rates: ErrorRates, allowed: float
) -> tuple[BurnAlertFacts, ...]:
    level = rates.level / len(asked.against_fail)
    found = {id(alert.written): alert for alert in asked.alerts}
    facts = []
    for each in written:
        alert = found.get(id(each))
        known = {"burn_rate": each.burn_rate, "long_s": each.long, "short_s": each.short_s}
        if alert is None:
            facts.append(BurnAlertFacts(**known, asked=False))
            continue
        errors = (level, rates.beta / len(alert.windows))
        windows = [_window_facts(window, errors, allowed) for window in alert.windows]
        exceeded = True if alert.pvalue <= level else False if alert.pvalue_pass <= rates.beta else None
        facts.append(
            BurnAlertFacts(
                **known,
                asked=True,
                long=windows[0],
                short=windows[1] if len(windows) > 1 else None,
                exceeded=exceeded,
                baseline_exceeds=alert.baseline_exceeds,
                decides=alert is deciding,
            )
        )
    return tuple(facts)


def _window_facts(window: _Window, errors: tuple[float, float], allowed: float) -> BurnWindow:
    counts = window.counts
    interval, pass_interval = (window.interval(error, allowed) for error in errors)
    return BurnWindow(
        window_s=window.asked_s,
        covered_s=counts.span,
        points=len(counts),
        bad=float(counts.least.sum()) / counts.each,
        total=float(counts.total.sum()) / counts.each,
        burn_rate=window.share / allowed,
        interval=interval,
        pass_interval=pass_interval,
    )


def _missing(window: _Window, found: dict[str, Any], each: float) -> int | None:
    """Tell about how many more points of the data would decide, unless the window is full before; `each` make one that is counted."""
    counts, burn, limit = window.counts, found["estimate"], found["limit_high"]
    bound = found["interval"].low if burn > limit else found["pass_interval"].high
    if bound is None:
        return None
    eventless = not counts.most.any()
    more = more_points(len(counts), abs(limit - burn), abs(bound - burn), 1 if eventless else 2)
    full = (
        counts.length is not None
        and more is not None
        and (len(counts) + more) * counts.length > window.asked_s
    )
    return None if more is None or full else math.ceil(more * each)


def _waived(
    alert: _Alert, window: _Window, outcome: Outcome, limit: float, beta: float
) -> tuple[Waiver, ...]:
    """Say what bursts, or what is too little to see them, take from the guarantees."""
    longest = alert.windows[0]
    waived = burst_waivers(float(longest.proven.whole.rho), len(longest.counts))
    if outcome is Outcome.PASS and not waived and not window.possible.survives_bursts(limit, beta):
        return ("independence_assumed",)
    return waived
