"""Flagger's own tests, and what its source says where no test does: ranges, failed checks, weights, webhooks, built-in queries."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from canaryjudge.compat.flagger import (
    analysis_interval,
    analysis_threshold,
    check_metric,
    check_metrics,
    deployment_strategy,
    replay,
    step_weight,
    webhook_succeeds,
)
from canaryjudge.integrations.flagger.queries import built_in_query
from conformance_cases.frame import Case, read_cases

__all__ = ["cases"]

_ASKING = "asking a provider, and reading its answer, is Flagger's doing; values are taken here"
_PHASES = "the phases around an analysis (initializing, promoting, finalizing) are Flagger's doing"
_OUTSIDE = {"provider_query": _ASKING, "rollout_phases": _PHASES}
_NO_VALUES = "ErrNoValuesFound"
_MATCHER = re.compile(r'\w+(?:=~|!~|!=|=)"[^"]*"')
_TOLERANT = {"name": "m", "query": "m", "thresholdRange": {"max": 0}}


def cases() -> Iterator[Case]:
    """Give every case with its outcome."""
    for case in read_cases("flagger.json"):
        kind, given = case["kind"], case["input"]
        why = _PHASES if given.get("skipAnalysis") else _OUTSIDE.get(kind, "")
        yield Case(kind, case["name"], agreed=not why and _CHECKS[kind](case), why=why)


def _range(case: dict[str, Any]) -> bool:
    given, wanted = case["input"], case["expected"]
    value = math.inf if given["value"] == "+Inf" else given["value"]
    error = "" if given["error"] in (None, _NO_VALUES) else given["error"]
    found = check_metric(given["metric"], value, error=error)
    event = (wanted["event"] or "").replace("<error>", error)
    return found.ok == wanted["ok"] and found.event == event


def _default(case: dict[str, Any]) -> bool:
    given, wanted = case["input"], case["expected"]["value"]
    if "threshold" in given:
        return bool(analysis_threshold(given["threshold"]) == wanted)
    return bool(f"{analysis_interval(given['interval']):g}s" == wanted)


def _all_metrics(case: dict[str, Any]) -> bool:
    metrics = case["input"]["metrics"]
    values = {each["name"] or each["templateRef"]["name"]: 100.0 for each in metrics}
    return bool(check_metrics(metrics, values).ok == case["expected"]["ok"])


def _counted(case: dict[str, Any]) -> bool:
    given = case["input"]
    analysis = {"threshold": given["threshold"], "stepWeight": 1, "metrics": [_TOLERANT]}
    run = replay(analysis, [{"m": 0.0 if check == "ok" else 1.0} for check in given["checks"]])
    return (run.phase == "Failed") == case["expected"]["outcome"].startswith("rollback")


def _state(case: dict[str, Any]) -> bool:
    given, wanted = case["input"], case["expected"]
    metric = {**given["metric"], "query": "fixture"}
    analysis = {"threshold": given["analysis_threshold"], "stepWeight": 10, "metrics": [metric]}
    run = replay(analysis, [{metric["name"]: metric["observed"]}], failed_checks=given["failedChecks"])
    return run.phase == wanted["phase"] and run.weight == wanted.get("canaryWeight", run.weight)


def _query(case: dict[str, Any]) -> bool:
    names = {key.lower(): value for key, value in case["input"]["model"].items()}
    metric = "request-success-rate" if "SuccessRate" in case["name"] else "request-duration"
    found = built_in_query(case["input"]["observer"], metric, names, names["interval"])
    return found is not None and _ordered(found) == _ordered(case["expected"]["rendered_query"])


def _ordered(query: str) -> str:
    """Write a query without spaces, and with its label matchers in order, for their order means nothing."""
    bare = re.sub(r"\s+", "", query)
    return re.sub(
        r"\{([^}]*)\}", lambda braces: "{" + ",".join(sorted(_MATCHER.findall(braces[1]))) + "}", bare
    )


_CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "threshold_check": _range,
    "default": _default,
    "run_metric_checks": _all_metrics,
    "failed_checks_accounting": _counted,
    "rollout_state": _state,
    "builtin_query": _query,
    "step_weight": lambda case: (
        step_weight(case["input"]["analysis"], case["input"]["canaryWeight"]) == case["expected"]["step"]
    ),
    "deployment_strategy": lambda case: (
        deployment_strategy(case["input"]["analysis"]) == case["expected"]["strategy"]
    ),
    "webhook_status": lambda case: (
        webhook_succeeds(
            case["input"].get("statuses") or [case["input"]["status"]], case["input"].get("retries", 0)
        )
        == case["expected"]["ok"]
    ),
}
