"""A metric of an Argo Rollouts analysis as a metric of a policy, in the plain settings of a policy file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from canaryjudge.integrations.argo.arguments import LATEST, STABLE, arguments_in, without_open
from canaryjudge.integrations.argo.conditions import Conditions, NotBoundsError, bounds_of
from canaryjudge.integrations.argo.limits import Limits, limits_of
from canaryjudge.integrations.imports import Account, NotJudgedError, abridged, fitting, judged
from canaryjudge.integrations.prometheus.selectors import (
    add_selector,
    matchers,
    on_one_line,
    replace_matchers,
)
from canaryjudge.integrations.thresholds import Bounds, direction_of, slo_rule, told

if TYPE_CHECKING:
    from canaryjudge.integrations.argo.models import ArgoMetric

__all__ = ["Asked", "metric_settings"]

_FEWEST_POINTS: Final = 10
_LOOKBACK: Final = re.compile(r"""now\(\)\s*-\s*duration\(\s*["']([0-9a-zµ.]+)["']\s*\)""")
_NO_NUMBERS: Final = {
    "job": "a Job's exit status is no number; run canaryjudge in the Job, and let its exit code be the Job's",
    "kayenta": "its judge is another tool: canaryjudge import kayenta reads the canary configuration that it names",
    "plugin": "what a plugin measures, nobody but the plugin knows",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A metric of an analysis, with its arguments put in.

    Attributes
    ----------
    document, place : str
        Where it stands.
    name : str
        What its metric is to be called.
    metric : ArgoMetric
        It.
    dry_run : bool
        Whether it counts for nothing.
    add_selector : bool
        Whether ``${selector}`` is to be put into a query whose arms nobody knows.
    """

    document: str
    place: str
    name: str
    metric: ArgoMetric
    dry_run: bool
    add_selector: bool


def metric_settings(asked: Asked, account: Account) -> dict[str, Any] | None:
    """Write a metric of an analysis as a metric of a policy.

    Parameters
    ----------
    asked : Asked
        The metric.
    account : Account
        What became of each part.

    Returns
    -------
    dict or None
        The settings; None where it cannot be judged, which is then said.
    """
    return judged(account, asked.document, asked.place, lambda say: _metric(asked, say))


def _metric(asked: Asked, say: Callable[..., None]) -> dict[str, Any]:
    metric = asked.metric
    if metric.source in _NO_NUMBERS:
        raise NotJudgedError(f"provider {metric.source}", _NO_NUMBERS[metric.source])
    if not metric.successCondition and not metric.failureCondition:
        raise NotJudgedError("conditions", "there is none, so that every measurement is Successful")
    good, bearable, subject = _bounds(metric, say)
    settings: dict[str, Any] = {
        "name": asked.name,
        "direction": direction_of(good),
        "rules": [slo_rule(good, bearable, "mean")],
    }
    fails = "" if bearable == good else f", and fails only where it is not {told(bearable)}"
    of = "" if subject == "result" else f" ({subject})"
    say(
        "taken",
        f"metric {asked.name}",
        f"a gauge{of} whose mean must be {told(good)}{fails}; {_written(metric)}",
    )
    if asked.dry_run:
        settings["role"] = "muted"
        say("taken", "dryRun", "role: muted: it is judged and shown, and counts for nothing")
    limits = limits_of(without_open(metric.model_dump()))
    for name, value in metric.model_dump(
        exclude={"name", "provider", "successCondition", "failureCondition"}
    ).items():
        if missing := arguments_in(value):
            say("adapted", name, f"no value is known for args.{missing[0]}, and nothing is made of it")
    _about_limits(metric, limits, say)
    _about_data(asked, limits, settings, say)
    bound = told(good)
    say(
        "note",
        "what canaryjudge adds",
        f"with the rule mann_whitney beside slo, and a tolerance, it is also tested against the baseline, not only whether it is {bound}",
    )
    return fitting(settings, say)


def _bounds(metric: ArgoMetric, say: Callable[..., None]) -> tuple[Bounds, Bounds, str]:
    """Read both conditions: what meets the objective, what does not fail, and of what they speak."""
    found: dict[str, Conditions] = {}
    gaps: dict[str, str] = {}
    for name in ("successCondition", "failureCondition"):
        condition = getattr(metric, name)
        if not condition:
            continue
        if missing := arguments_in(condition):
            gaps[name] = f"no value is known for args.{missing[0]}; give it with --arg {missing[0]}=VALUE"
            continue
        try:
            found[name] = bounds_of(condition, fails=name == "failureCondition")
        except NotBoundsError as gap:
            gaps[name] = str(gap)
    if not found:
        name, why = next(iter(gaps.items()))
        raise NotJudgedError(f"{name} {abridged(getattr(metric, name))}", why)
    for name, why in gaps.items():
        say("unjudged", f"{name} {abridged(getattr(metric, name))}", why)
    for name, conditions in found.items():
        for note in conditions.notes:
            say("adapted" if "no_data" in note else "note", name, note)
    success, failure = found.get("successCondition"), found.get("failureCondition")
    if success is None or failure is None:
        only = success or failure
        assert only is not None  # noqa: S101 - one was found
        return only.bounds, only.bounds, only.subject
    if success.subject != failure.subject:
        why = f"it is about {failure.subject}, and the success condition about {success.subject}"
        say("unjudged", f"failureCondition {abridged(metric.failureCondition)}", why)
        return success.bounds, success.bounds, success.subject
    good, bearable = success.bounds.within(failure.bounds), failure.bounds
    if good.empty:
        raise NotJudgedError("conditions", "no value is both a success and no failure")
    for end in ("low", "high"):
        if getattr(good, end) is not None and getattr(bearable, end) is None:
            say(
                "adapted",
                "failureCondition",
                f"it does not fail what is not {told(good)}, which is inconclusive; here it fails",
            )
            return good, good, success.subject
    return good, bearable, success.subject


def _written(metric: ArgoMetric) -> str:
    names = ("successCondition", "failureCondition")
    return ", ".join(f"{name} {abridged(getattr(metric, name))}" for name in names if getattr(metric, name))


def _about_limits(metric: ArgoMetric, limits: Limits, say: Callable[..., None]) -> None:
    """Say what becomes of counts and limits, which an interval on the mean has no use for."""
    if limits.failure > 0:
        why = f"up to {limits.failure} failed measurements are put up with; here all points are held against the bound together, by their mean"
        say("adapted", "failureLimit", why)
    if limits.failure == -1:
        say("adapted", "failureLimit", "failures are never the end of it; here a mean beyond the bound fails")
    if limits.inconclusive > 0:
        say("adapted", "inconclusiveLimit", "it is not counted: what is undecided is marginal")
    if limits.consecutive_success > 0:
        why = "it is not counted: canaryjudge monitor passes as soon as the data prove it"
        say("adapted", "consecutiveSuccessLimit", why)
    if metric.consecutiveErrorLimit is not None:
        why = "data are fetched once; a source that cannot be reached ends with exit code 2"
        say("adapted", "consecutiveErrorLimit", why)
    if limits.initial_delay > 0:
        say("adapted", "initialDelay", f"give data that begin {metric.initialDelay} after the start")
    if limits.wanted is None:
        say(
            "note",
            "count",
            "it is measured for as long as the analysis runs; give as many points as there are",
        )
    elif limits.wanted < _FEWEST_POINTS:
        taken = f"{limits.wanted} measurement{'s are' if limits.wanted > 1 else ' is'} taken"
        why = f"{taken}; canaryjudge wants {_FEWEST_POINTS} points an arm or more (min_points), so give finer data"
        say("note", "count", why)


def _about_data(asked: Asked, limits: Limits, settings: dict[str, Any], say: Callable[..., None]) -> None:
    """Say what the data must hold, and put the query into the policy where its arms are known."""
    metric = asked.metric
    if metric.source != "prometheus":
        say("note", "data", f"give what {metric.source} answers, for each arm, as points of {asked.name}")
        return
    query = metric.settings.get("query")
    if not isinstance(query, str) or not query.strip():
        say("note", "data", f"there is no query: give points of {asked.name} for each arm")
        return
    written = _query(asked, on_one_line(query), say)
    if written is None:
        return
    timing: dict[str, Any] = {}
    ranged = metric.settings.get("rangeQuery")
    if isinstance(ranged, dict):
        if isinstance(ranged.get("step"), str):
            timing["step"] = ranged["step"]
        if found := _LOOKBACK.fullmatch(str(ranged.get("start", "")).strip()):
            timing["window"] = found[1]
    elif limits.interval and limits.count:
        timing["step"] = metric.interval
    settings["query"] = {"value": written, **timing} if timing else written
    if isinstance(metric.settings.get("address"), str):
        say(
            "no_effect",
            "provider.prometheus.address",
            "the server is named on the command line: --prometheus URL",
        )


def _query(asked: Asked, query: str, say: Callable[..., None]) -> str | None:
    shown_query = abridged(query)
    if missing := arguments_in(query):
        why = f"give what Prometheus answers to {shown_query}; as `query` it needs a value for args.{missing[0]} (--arg {missing[0]}=VALUE)"
        say("note", "data", why)
        return None
    if STABLE in query:
        why = f"{shown_query} compares the canary with the stable version by itself; give the canary's series as one arm and the stable one's as the other"
        say("adapted", "query", why)
        return None
    ours = [each for each in matchers(query) if each.value == LATEST]
    if ours and query.count(LATEST) == len(ours):
        label = ours[0].label
        if all((each.label, each.operator) == (label, ours[0].operator) for each in ours):
            why = f"${{selector}} stands where the canary's pod template hash was: give --canary-selector '{label}=\"HASH\"', and --baseline-selector with the stable version's"
            say("taken", "query", why)
            return replace_matchers(query, ours)
    if LATEST in query:
        say(
            "note",
            "data",
            f"give what Prometheus answers to {shown_query}, for each arm; the hash does not stand in a label of its own",
        )
        return None
    if asked.add_selector:
        added = add_selector(query)
        if added is not None:
            say(
                "adapted",
                "query",
                "it asked for one arm; ${selector} was put into each choice of series, as --add-selector says",
            )
            return added
    why = f"give what Prometheus answers to {shown_query}, for each arm; as `query` it needs ${{selector}} where its series are chosen (--add-selector puts it there)"
    say("note", "data", why)
    return None
