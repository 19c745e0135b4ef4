"""What facts are made of: numbers that JSON can hold, intervals, what an arm looks like, and the facts of an error budget."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = [
    "QUANTILE_LEVELS",
    "ArmFacts",
    "BucketFacts",
    "BurnAlertFacts",
    "BurnFacts",
    "BurnWindow",
    "Facts",
    "Interval",
    "Number",
    "ObjectiveFacts",
    "SeriesFacts",
]

QUANTILE_LEVELS: Final = tuple(step / 40 for step in range(41))
"""Probabilities of the quantiles by which an arm's distribution is told."""


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("this is not a number")  # noqa: TRY004 - pydantic wants ValueError
    try:
        number = float(value)
    except OverflowError:
        return None
    return float(f"{number:.10g}") + 0.0 if math.isfinite(number) else None  # + 0.0 turns -0.0 into 0.0


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A finite number of ten significant digits, or None."""


class Facts(BaseModel):
    """Base of all facts: frozen, and no key that is not one of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    show: ClassVar[Callable[[Facts], str]]
    """How facts are shown in a notebook; the room that has the words sets it."""

    def _repr_html_(self) -> str:
        return type(self).show(self)


class Interval(Facts):
    """A confidence interval; each end alone is wrong with probability `error`."""

    low: Number
    """Lower end; None where unbounded."""
    high: Number
    """Upper end; None where unbounded."""
    error: float
    """Probability that the truth lies beyond one given end."""

    @property
    def confidence_level(self) -> float:
        """Probability that the truth lies between both ends."""
        return 1 - 2 * self.error


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


class ObjectiveFacts(Facts):
    """What an objective asks, where a limit alone does not say it."""

    change_relative: Number = None
    """The part of the baseline's aggregate by which the canary may differ, signed; None where the objective is not about that."""
    change_absolute: Number = None
    """The same in the metric's unit."""
    fail_high: Number = None
    """Where the canary fails, if that lies above `limit_high`."""
    fail_low: Number = None
    """Where the canary fails, if that lies below `limit_low`."""
    bound: Number = None
    """Of `within`: the largest observation that counts."""
    bucket_low: Number = None
    """Of histograms: lower edge of the bucket that the percentile, or the bound of `within`, lies in."""
    bucket_high: Number = None
    """The upper edge of that bucket."""


class BucketFacts(Facts):
    """A bucket of a histogram, and how much of an arm lies in it."""

    low: Number
    """Its lower edge; None where it is open."""
    high: Number
    """Its upper edge, inclusive; None where it is open."""
    share: float
    """The share of an arm's observations that lie in it."""


class SeriesFacts(Facts):
    """How an arm went over time, thinned to be looked at: at most a hundred positions, with the spread of what each stands for."""

    start: Number
    """Time of the first point, in seconds since 1970; None without times."""
    at: tuple[float, ...]
    """Where each position is: seconds since the start, or without times the place in line, from 0."""
    value: tuple[float | None, ...]
    """The level there, as a number of the metric's unit, a share or a rate; None where there are no points for a while."""
    low: tuple[float | None, ...] = ()
    """Lower end of the band; empty where each position is one point."""
    high: tuple[float | None, ...] = ()
    """Upper end of the band."""
    band: Literal["extremes", "percentiles"] | None = None
    """What the band holds: all points of that stretch of time, or the middle 90 % of its observations; None where each position is one point."""


class ArmFacts(Facts):
    """What one arm's data look like."""

    series: SeriesFacts
    """How they went over time."""
    quantiles: tuple[float, ...] = ()
    """Quantiles of its points (of histograms: of all observations), at 0, 2.5, 5, ... 97.5 and 100 %."""
