"""The objects of OpenSLO v1, as its specification and its SDK define them (github.com/OpenSLO/OpenSLO, github.com/OpenSLO/go-sdk).

Names are those of the specification. What a tool may choose freely (labels, connection details, the fields of a query) is any YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from canaryjudge.quantities import hundredth, shown
from canaryjudge.rules.burn_rate import TimeZone, WallTime
from canaryjudge.settings import PolicyModel, Problem

__all__ = [
    "KINDS",
    "AlertPolicySpec",
    "ConditionSpec",
    "Indicator",
    "MetricSpec",
    "Objective",
    "RatioMetric",
    "SliSpec",
    "SloSpec",
    "TimeWindow",
]

_DURATION: Final = re.compile(r"[1-9][0-9]{0,8}[mhdwMQY]")
_DURATION_OR_ZERO: Final = re.compile(r"[0-9]{1,9}[mhdwMQY]")
Text = Annotated[str, Field(strict=True)]
Name = Annotated[str, Field(strict=True, min_length=1, max_length=255, pattern=r"^\S(.*\S)?$")]
Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Operator = Literal["lte", "gte", "lt", "gt"]
Description = Annotated[str, Field(strict=True, max_length=1050)]


def _duration(value: object) -> object:
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return value
    letters = "one of m (minutes), h, d, w, M (months), Q, Y"
    raise ValueError(f"{shown(value)} is not a duration: a whole number above 0 and {letters}, like 4w")


def _waiting(value: object) -> object:
    return value if isinstance(value, str) and _DURATION_OR_ZERO.fullmatch(value) else _duration(value)


def _slice(value: object) -> object:
    # the specification takes a bare number as minutes
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**6
    return f"{value}m" if whole else _duration(value)


Duration = Annotated[str, BeforeValidator(_duration)]


class Metadata(PolicyModel):
    """Every object's name, and what tools attach to it."""

    name: Name
    displayName: Text | None = None
    labels: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None


class MetricSource(PolicyModel):
    """Where numbers come from; what its spec means is for the source to say."""

    metricSourceRef: Text | None = None
    type: Text | None = None
    spec: dict[str, Any] = Field(min_length=1)


class MetricSpec(PolicyModel):
    """One query."""

    metricSource: MetricSource

    @property
    def query(self) -> str | None:
        """The text of the query, where the source has one."""
        found = self.metricSource.spec.get("query")
        return found if isinstance(found, str) else None


class RatioMetric(PolicyModel):
    """Good or bad events of a total, or their ratio as somebody else has worked it out."""

    counter: Flag = False
    good: MetricSpec | None = None
    bad: MetricSpec | None = None
    total: MetricSpec | None = None
    rawType: Literal["success", "failure"] | None = None
    raw: MetricSpec | None = None

    def _contradictions(self) -> Iterator[Problem]:
        if (self.total is None) == (self.raw is None):
            yield Problem((), "a ratioMetric has either total or raw", "Give one of them.")
        elif self.raw is not None:
            for name in ("good", "bad"):
                if getattr(self, name) is not None:
                    yield Problem((name,), f"{name} and raw exclude each other", "Leave one out.")
            if self.rawType is None:
                yield Problem((), "raw needs rawType", "Say success (good/total) or failure (bad/total).")
        elif (self.good is None) == (self.bad is None):
            yield Problem((), "total goes with either good or bad", "Give one of them.")


class SliSpec(PolicyModel):
    """An indicator: a number to be compared with a threshold, or a ratio of events."""

    description: Description | None = None
    thresholdMetric: MetricSpec | None = None
    ratioMetric: RatioMetric | None = None

    def _contradictions(self) -> Iterator[Problem]:
        if (self.thresholdMetric is None) == (self.ratioMetric is None):
            advice = "Give one of them."
            yield Problem((), "an indicator has either a thresholdMetric or a ratioMetric", advice)


class Indicator(PolicyModel):
    """An indicator that stands inside an SLO."""

    metadata: Metadata
    spec: SliSpec


class Calendar(PolicyModel):
    """Where periods of the calendar begin."""

    startTime: WallTime
    timeZone: TimeZone


class TimeWindow(PolicyModel):
    """The budget's period."""

    duration: Duration
    isRolling: Flag = False
    calendar: Calendar | None = None

    def _contradictions(self) -> Iterator[Problem]:
        if self.isRolling and self.calendar is not None:
            yield Problem(("calendar",), "a rolling window has no calendar", "Leave one out.")
        if not self.isRolling and self.calendar is None:
            yield Problem((), "a window that does not roll needs a calendar", "Give it, or isRolling: true.")


class Objective(PolicyModel):
    """A target; in a composite SLO with an indicator of its own."""

    displayName: Text | None = None
    op: Operator | None = None
    value: Number | None = None
    target: Annotated[float, Field(strict=True, ge=0, lt=1)] | None = None
    targetPercent: Annotated[float, Field(strict=True, ge=0, lt=100)] | None = None
    timeSliceTarget: Annotated[float, Field(strict=True, gt=0, le=1)] | None = None
    timeSliceWindow: Annotated[str, BeforeValidator(_slice)] | None = None
    indicator: Indicator | None = None
    indicatorRef: Name | None = None
    compositeWeight: Annotated[float, Field(strict=True, gt=0)] | None = None

    def _contradictions(self) -> Iterator[Problem]:
        if (self.target is None) == (self.targetPercent is None):
            yield Problem((), "an objective has either target or targetPercent", "Give one of them.")
        if self.indicator is not None and self.indicatorRef is not None:
            yield Problem(
                ("indicatorRef",), "indicator and indicatorRef exclude each other", "Leave one out."
            )

    @property
    def share(self) -> float:
        """The target as a fraction."""
        if self.target is not None:
            return self.target
        return hundredth(self.targetPercent or 0.0)


class Condition(PolicyModel):
    """A burn rate, over a window, for some time."""

    kind: Literal["burnrate"]
    op: Operator
    threshold: Number
    lookbackWindow: Duration
    alertAfter: Annotated[str, BeforeValidator(_waiting)] | None = None


class ConditionSpec(PolicyModel):
    """When to alert."""

    description: Description | None = None
    severity: Name
    condition: Condition


class _Reference(PolicyModel):
    """Something that is either written out or named."""

    kind: Text | None = None
    metadata: Metadata | None = None

    def _either(self, ref: str, expected: str) -> Iterator[Problem]:
        inline = getattr(self, "spec", None)
        if (inline is None) == (getattr(self, ref) is None):
            yield Problem((), f"an entry has either {ref} or a spec of its own", "Give one of them.")
        elif inline is not None:
            if self.kind != expected:
                yield Problem((), f"what is written out needs kind: {expected}", "Add it.")
            if self.metadata is None:
                yield Problem((), "what is written out needs metadata with a name", "Add it.")


class ConditionEntry(_Reference):
    """A condition of an alert policy."""

    conditionRef: Name | None = None
    spec: ConditionSpec | None = None

    def _contradictions(self) -> Iterator[Problem]:
        yield from self._either("conditionRef", "AlertCondition")


class TargetSpec(PolicyModel):
    """Whom to tell."""

    description: Description | None = None
    target: Name


class TargetEntry(_Reference):
    """A target of an alert policy."""

    targetRef: Name | None = None
    spec: TargetSpec | None = None

    def _contradictions(self) -> Iterator[Problem]:
        yield from self._either("targetRef", "AlertNotificationTarget")


class AlertPolicySpec(PolicyModel):
    """A condition, and on which of its changes to alert."""

    description: Description | None = None
    alertWhenNoData: Flag = False
    alertWhenResolved: Flag = False
    alertWhenBreaching: Flag = False
    conditions: tuple[ConditionEntry, ...] = Field(min_length=1, max_length=1)
    notificationTargets: tuple[TargetEntry, ...] = Field(min_length=1)


class AlertPolicyEntry(_Reference):
    """An alert policy of an SLO."""

    alertPolicyRef: Name | None = None
    spec: AlertPolicySpec | None = None

    def _contradictions(self) -> Iterator[Problem]:
        yield from self._either("alertPolicyRef", "AlertPolicy")


class SloSpec(PolicyModel):
    """An objective about a service."""

    description: Description | None = None
    service: Name
    indicator: Indicator | None = None
    indicatorRef: Name | None = None
    budgetingMethod: Literal["Occurrences", "Timeslices", "RatioTimeslices"]
    timeWindow: Annotated[tuple[TimeWindow, ...], Field(min_length=1, max_length=1)] | None = None
    objectives: tuple[Objective, ...] = Field(min_length=1)
    alertPolicies: tuple[AlertPolicyEntry, ...] | None = None

    def _contradictions(self) -> Iterator[Problem]:
        if self.indicator is not None and self.indicatorRef is not None:
            yield Problem(
                ("indicatorRef",), "indicator and indicatorRef exclude each other", "Leave one out."
            )
        own = self.indicator is not None or self.indicatorRef is not None
        each = [entry.indicator is not None or entry.indicatorRef is not None for entry in self.objectives]
        if own and any(each):
            index = each.index(True)
            yield Problem(
                ("objectives", index), "the SLO and its objective both have an indicator", "Leave one out."
            )
        if not own and not all(each):
            where = ("objectives", each.index(False)) if any(each) else ()
            yield Problem(where, "there is no indicator", "Give indicator or indicatorRef.")
        for index, entry in enumerate(self.objectives):
            for problem in self._incomplete(entry):
                yield problem._replace(path=("objectives", index, *problem.path))

    def _incomplete(self, entry: Objective) -> Iterator[Problem]:
        sliced = self.budgetingMethod != "Occurrences"
        if sliced and entry.timeSliceWindow is None:
            yield Problem((), f"{self.budgetingMethod} needs timeSliceWindow", "Write it like 1m.")
        if self.budgetingMethod == "Timeslices" and entry.timeSliceTarget is None:
            yield Problem((), "Timeslices needs timeSliceTarget", "Write it like 0.95.")
        inline = entry.indicator or self.indicator
        if inline is not None and inline.spec.thresholdMetric is not None:
            for name in ("op", "value"):
                if getattr(entry, name) is None:
                    yield Problem((), f"an objective of a thresholdMetric needs {name}", "Add it.")


class DataSourceSpec(PolicyModel):
    """How to reach a source; none of it is of interest here."""

    description: Description | None = None
    type: Name
    connectionDetails: Any = None


class ServiceSpec(PolicyModel):
    """A group of SLOs."""

    description: Description | None = None


class _Document(PolicyModel):
    apiVersion: Text
    kind: Text
    metadata: Metadata


class SloDocument(_Document):
    """An SLO."""

    spec: SloSpec


class SliDocument(_Document):
    """An SLI."""

    spec: SliSpec


class AlertPolicyDocument(_Document):
    """An alert policy."""

    spec: AlertPolicySpec


class AlertConditionDocument(_Document):
    """An alert condition."""

    spec: ConditionSpec


class AlertNotificationTargetDocument(_Document):
    """Whom to tell."""

    spec: TargetSpec


class DataSourceDocument(_Document):
    """A source."""

    spec: DataSourceSpec


class ServiceDocument(_Document):
    """A service."""

    spec: ServiceSpec | None = None


KINDS: Final[dict[str, type[PolicyModel]]] = {
    "SLO": SloDocument,
    "SLI": SliDocument,
    "AlertPolicy": AlertPolicyDocument,
    "AlertCondition": AlertConditionDocument,
    "AlertNotificationTarget": AlertNotificationTargetDocument,
    "DataSource": DataSourceDocument,
    "Service": ServiceDocument,
}
"""The model of each kind of object."""
