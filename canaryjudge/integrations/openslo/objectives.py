"""An OpenSLO objective, its indicator and its alerts as a metric of a policy, in the plain settings of a policy file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from canaryjudge.integrations.imported import Account, NotJudgedError, about_made_up, abridged, judged
from canaryjudge.integrations.openslo.documents import Library, SloObject
from canaryjudge.integrations.openslo.models import (
    AlertPolicySpec,
    ConditionSpec,
    MetricSpec,
    Objective,
    RatioMetric,
    SliSpec,
    SloSpec,
)
from canaryjudge.quantities import percent

__all__ = ["SloObjective", "alerts_of", "condition_gap", "duration", "metric_settings"]

_DAYS: Final = {"w": 7, "M": 30, "Q": 90, "Y": 365}
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400}
_LONGEST_DAYS: Final = 366
_METHODS: Final = {
    "Occurrences": "occurrences",
    "Timeslices": "timeslices",
    "RatioTimeslices": "ratio_timeslices",
}
_WORDS: Final = {"lt": "below", "lte": "at most", "gt": "above", "gte": "at least"}
_SHORTEST_PERIOD: Final = 3600.0
_LONGEST_NAME: Final = 200
_LARGEST_WEIGHT: Final = 1e6
_FASTEST: Final = 1e6
_LARGEST_WHOLE: Final = 1e15


@dataclass(frozen=True, slots=True)
class _Alert:
    """A burn rate over one window, and where it was said."""

    window: str
    burn_rate: float
    place: str

    def written(self) -> dict[str, Any]:
        """Return it as a policy writes it: both windows are one."""
        rate = int(self.burn_rate) if self.burn_rate.is_integer() else self.burn_rate
        return {"long": self.window, "short": self.window, "burn_rate": rate}


def duration(shorthand: str) -> tuple[str, float] | None:
    """Write a duration as policies do, and give its seconds; a month is 30 days, a quarter 90, a year 365. None if it is too long.

    Examples
    --------
    >>> duration("4w"), duration("1M"), duration("9Y")
    (('28d', 2419200.0), ('30d', 2592000.0), None)
    """
    number, unit = int(shorthand[:-1]), shorthand[-1]
    seconds = number * (_SECONDS[unit] if unit in _SECONDS else 86400 * _DAYS[unit])
    if not 0 < seconds <= 86400 * _LONGEST_DAYS:
        return None
    return (f"{number}{unit}" if unit in _SECONDS else f"{number * _DAYS[unit]}d"), float(seconds)


def condition_gap(spec: ConditionSpec) -> tuple[str, str] | None:
    """Return why a condition says nothing of what is too fast: what is wrong with it, and why; None where it does."""
    condition = spec.condition
    if condition.op in ("lt", "lte"):
        than = "at most" if condition.op == "lte" else "less than"
        meant = "gte" if condition.op == "lte" else "gt"
        why = (
            f"it alerts where the burn rate is {than} {condition.threshold:g}, which is where the budget lasts; it is not turned round, "
            f"so if {meant} was meant, write that"
        )
        return f"op: {condition.op}", why
    if condition.threshold <= 0:
        return "threshold", f"every burn rate is above {condition.threshold:g}, so it says nothing"
    if duration(condition.lookbackWindow) is None:
        return "lookbackWindow", f"{condition.lookbackWindow} is longer than {_LONGEST_DAYS} days"
    return None


def alerts_of(stated: SloObject, library: Library, account: Account) -> tuple[_Alert, ...]:
    """Collect the alerts of an SLO, and say what becomes of each."""
    spec: SloSpec = stated.spec
    found: list[_Alert] = []
    for index, entry in enumerate(spec.alertPolicies or ()):
        place = f"spec.alertPolicies[{index}]"
        policy: AlertPolicySpec | None = entry.spec
        if policy is None:
            named = library.find("AlertPolicy", str(entry.alertPolicyRef))
            if isinstance(named, str):
                account.say("unjudged", stated.title, f"{place}.alertPolicyRef", "the alert policy", named)
                continue
            policy = named.spec
        assert policy is not None  # noqa: S101 - an alert policy has a spec
        alert = _alert(policy, stated, place, library, account)
        found += [] if alert is None else [alert]
    return tuple(dict.fromkeys(found))


def _alert(
    policy: AlertPolicySpec, stated: SloObject, place: str, library: Library, account: Account
) -> _Alert | None:
    (entry,) = policy.conditions
    where = f"{place}.spec.conditions[0]"
    spec: ConditionSpec | None = entry.spec
    if spec is None:
        named = library.find("AlertCondition", str(entry.conditionRef))
        if isinstance(named, str):
            account.say("unjudged", stated.title, f"{where}.conditionRef", "the alert", named)
            return None
        spec = named.spec
    assert spec is not None  # noqa: S101 - an alert condition has a spec
    if policy.alertWhenNoData:
        why = "an arm without data makes a metric marginal; write no_data: fail if it is to fail the release"
        account.say("adapted", stated.title, place, "alertWhenNoData", why)
    if not policy.alertWhenBreaching:
        why = "the policy does not alert where its condition is breached, so that is not asked"
        account.say("unjudged", stated.title, place, "alertWhenBreaching", why)
        return None
    if gap := condition_gap(spec):
        account.say("unjudged", stated.title, where, *gap)
        return None
    condition = spec.condition
    if condition.alertAfter is not None and int(condition.alertAfter[:-1]):
        why = f"whether it lasts for {condition.alertAfter} is not waited for: an interval on the burn rate decides"
        account.say("adapted", stated.title, where, "alertAfter", why)
    window = duration(condition.lookbackWindow)
    assert window is not None  # noqa: S101 - a condition without a gap has a window
    return _Alert(window[0], condition.threshold, where)


@dataclass(frozen=True, slots=True)
class SloObjective:
    """An objective of an SLO.

    Attributes
    ----------
    document, place : str
        Where it stands.
    name : str
        What its metric is to be called.
    slo : SloSpec
        The SLO.
    objective : Objective
        The objective.
    alerts : tuple of _Alert
        The SLO's alerts.
    composite : bool
        Whether it has an indicator of its own.
    """

    document: str
    place: str
    name: str
    slo: SloSpec
    objective: Objective
    alerts: tuple[_Alert, ...]
    composite: bool


def metric_settings(asked: SloObjective, sli: SliSpec, account: Account) -> dict[str, Any] | None:
    """Write an objective as a metric with its rules."""
    return judged(account, asked.document, asked.place, lambda say: _metric(asked, sli, say))


def _metric(asked: SloObjective, sli: SliSpec, say: Callable[..., None]) -> dict[str, Any]:
    if asked.objective.share == 0:
        raise NotJudgedError("target", "a target of 0 is met by whatever happens")
    if len(asked.name) > _LONGEST_NAME:
        raise NotJudgedError("name", f"a metric's name has at most {_LONGEST_NAME} characters")
    metric = _threshold(asked, sli, say) if sli.ratioMetric is None else _ratio(asked, sli.ratioMetric, say)
    weight = asked.objective.compositeWeight
    if asked.composite:
        why = "each objective of a composite SLO is judged by itself; compositeWeight is its weight among the metrics"
        say("adapted", "the composite", why)
        if weight is not None and weight > _LARGEST_WEIGHT:
            raise NotJudgedError("compositeWeight", f"a weight is at most {_LARGEST_WEIGHT:g}")
        return metric | ({} if weight is None else {"weight": weight})
    if weight is not None:
        say(
            "note",
            "compositeWeight",
            "it is for objectives with indicators of their own, and does nothing here",
        )
    return metric


def _ratio(asked: SloObjective, ratio: RatioMetric, say: Callable[..., None]) -> dict[str, Any]:
    for name in ("op", "value"):
        if getattr(asked.objective, name) is not None:
            say("note", name, "it is for thresholdMetric, and a ratio does without")
    if ratio.raw is not None:
        return _raw(asked, ratio, say)
    counted = "bad" if ratio.good is None else "good"
    events = ratio.bad if ratio.good is None else ratio.good
    assert events is not None  # noqa: S101 - the model has seen to both
    assert ratio.total is not None  # noqa: S101
    metric: dict[str, Any] = {
        "name": asked.name,
        "kind": "ratio",
        "direction": "increase" if counted == "bad" else "decrease",
    }
    if ratio.counter:
        metric["counter"] = True
    say("taken", f"metric {asked.name}", f"a ratio: value = {counted} events, of total; {_target(asked)}")
    _about_queries({"value": events, "total": ratio.total}, say)
    return metric | {"rules": [_burn_rate(asked, say)]}


def _threshold(asked: SloObjective, sli: SliSpec, say: Callable[..., None]) -> dict[str, Any]:
    assert sli.thresholdMetric is not None  # noqa: S101 - the model has seen to it
    op, value = asked.objective.op, asked.objective.value
    if op is None or value is None:
        raise NotJudgedError("the objective", "its indicator is a thresholdMetric, so it needs op and value")
    says = f"a gauge whose points are good where they are {_WORDS[op]} {value:g}; {_target(asked)}"
    say("taken", f"metric {asked.name}", says)
    _about_queries({"value": sli.thresholdMetric}, say)
    rule = _burn_rate(asked, say) | {"bound": _whole(value)}
    if op in ("lt", "gt"):
        rule["at_bound"] = "bad"
    direction = "increase" if op in ("lt", "lte") else "decrease"
    return {"name": asked.name, "kind": "gauge", "direction": direction, "rules": [rule]}


def _raw(asked: SloObjective, ratio: RatioMetric, say: Callable[..., None]) -> dict[str, Any]:
    """Judge a ratio that somebody else has worked out: its traffic is not known, so all its points count the same."""
    assert ratio.raw is not None  # noqa: S101 - the caller has seen to it
    success = ratio.rawType == "success"
    metric: dict[str, Any] = {
        "name": asked.name,
        "kind": "gauge",
        "direction": "decrease" if success else "increase",
    }
    what = "good" if success else "bad"
    say(
        "taken",
        f"metric {asked.name}",
        f"a gauge: the share that was {what}, between 0 and 1; {_target(asked)}",
    )
    _about_queries({"value": ratio.raw}, say)
    if asked.slo.budgetingMethod == "Timeslices":
        target, window = asked.objective.timeSliceTarget, asked.objective.timeSliceWindow
        assert target is not None  # noqa: S101 - the model has seen to both
        assert window is not None  # noqa: S101
        say("adapted", "raw", f"a point is a slice: the data must have one every {window}")
        rule = _burn_rate(asked, say)
        for key in ("time_slice_target", "time_slice_window"):
            del rule[key]
        bound = target if success else float(f"{1 - target:.12g}")
        rule |= {"budgeting": "occurrences", "bound": bound}
        return metric | {"interval": _written(window)[0], "rules": [rule]}
    why = "it is a ratio already, and its traffic is not known: the mean of its points is held against the target, all points alike"
    say("adapted", "raw", why)
    limits = [alert.burn_rate for alert in _reachable(asked, say)] or [1.0]
    if asked.alerts:
        say(
            "adapted",
            "lookbackWindow",
            "burn rates of a raw ratio are held against all the data, not the last of them",
        )
    rules = []
    for limit in dict.fromkeys(limits):
        bad = float(f"{limit * (1 - asked.objective.share):.12g}")
        value = float(f"{1 - bad:.12g}") if success else bad
        rules.append({"rule": "slo", "of": "mean", "op": "gte" if success else "lte", "value": value})
    return metric | {"rules": rules}


def _burn_rate(asked: SloObjective, say: Callable[..., None]) -> dict[str, Any]:
    objective, method = asked.objective, asked.slo.budgetingMethod
    rule: dict[str, Any] = {"rule": "burn_rate", "target": percent(objective.share)}
    if method != "Occurrences":
        assert objective.timeSliceWindow is not None  # noqa: S101 - the model has seen to it
        text, seconds = _written(objective.timeSliceWindow)
        if seconds * 2 > _period_s(asked):
            raise NotJudgedError(
                "timeSliceWindow", f"a slice of {text} is the whole budget period, or nearly"
            )
        rule |= {"budgeting": _METHODS[method], "time_slice_window": text}
    if method == "Timeslices":
        assert objective.timeSliceTarget is not None  # noqa: S101 - the model has seen to it
        rule["time_slice_target"] = percent(objective.timeSliceTarget)
    rule |= _period(asked, say)
    if alerts := _reachable(asked, say):
        rule["alerts"] = [alert.written() for alert in alerts]
    else:
        why = "so those of the SRE workbook are asked: 2 % of the budget in 1 h, 5 % in 6 h, 10 % in 1 d or in 3 d"
        say("adapted" if asked.slo.alertPolicies else "note", "alerts", f"there is none to ask, {why}")
    return rule


def _reachable(asked: SloObjective, say: Callable[..., None]) -> list[_Alert]:
    """Leave out alerts that this target makes impossible: nothing burns faster than 1 / (1 - target)."""
    most = min(1 / (1 - asked.objective.share), _FASTEST)
    found = []
    for alert in asked.alerts:
        if alert.burn_rate < most:
            found.append(alert)
        else:
            why = f"at this target nothing burns faster than {most:.6g} times, so {alert.burn_rate:g} says nothing ({alert.place})"
            say("unjudged", "threshold", why)
    return found


def _period(asked: SloObjective, say: Callable[..., None]) -> dict[str, Any]:
    assert asked.slo.timeWindow is not None  # noqa: S101 - the caller has seen to it
    (window,) = asked.slo.timeWindow
    _period_s(asked)
    if window.calendar is None:
        text, _ = _written(window.duration)
        if window.duration[-1] in "MQY":
            say("adapted", "timeWindow", f"a rolling {window.duration} is taken as {text}")
        return {"period": text}
    calendar = window.calendar
    return {
        "calendar": {
            "duration": window.duration,
            "start": calendar.startTime,
            "zone": calendar.timeZone,
        }
    }


def _period_s(asked: SloObjective) -> float:
    assert asked.slo.timeWindow is not None  # noqa: S101 - the caller has seen to it
    (window,) = asked.slo.timeWindow
    seconds = _written(window.duration)[1]
    if seconds < _SHORTEST_PERIOD:
        meant = (
            f"; m is minutes, so if months were meant, write {window.duration[:-1]}M"
            if window.duration[-1] == "m"
            else ""
        )
        raise NotJudgedError(
            "timeWindow", f"a budget period of {window.duration} is shorter than an hour{meant}"
        )
    return seconds


def _written(shorthand: str) -> tuple[str, float]:
    found = duration(shorthand)
    if found is None:
        raise NotJudgedError("duration", f"{shorthand} is longer than 366 days")
    return found


def _whole(number: float) -> float:
    """Write 500.0 as 500."""
    return int(number) if number.is_integer() and abs(number) < _LARGEST_WHOLE else number


def _target(asked: SloObjective) -> str:
    budgeting = asked.slo.budgetingMethod
    return f"{percent(asked.objective.share)} of {'slices' if budgeting == 'Timeslices' else 'them'}, {budgeting}"


def _about_queries(queries: dict[str, MetricSpec], say: Callable[..., None]) -> None:
    """Say what the data must hold; a query says nothing of arms, so it is not put into the policy."""
    for column, spec in queries.items():
        text = abridged(spec.query or "")
        about_made_up(spec.query or "", say)
        source = spec.metricSource.type or spec.metricSource.metricSourceRef or "its source"
        if not text:
            say("note", column, f"give what {source} answers, for each arm")
            continue
        arms = (
            "; as `query` of the metric it needs ${selector}, to tell the arms apart"
            if source == "Prometheus"
            else ""
        )
        say("note", column, f"give what {source} answers to {text}, for each arm{arms}")
