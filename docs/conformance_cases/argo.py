"""Argo Rollouts' own tests: conditions, measurements, metrics, runs, and what it refuses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from canaryjudge.compat.argo import (
    Measurement,
    MetricStatus,
    assess_metric,
    assess_run,
    exceeded,
    measure,
)
from canaryjudge.errors import PolicyError
from canaryjudge.integrations.argo.evaluation import evaluate, holds
from canaryjudge.integrations.argo.models import MeasurementLimits, fill, limits_of, validate_metrics
from conformance_cases.frame import Case, read_cases

__all__ = ["cases"]

_NAMED = {"NaN": math.nan, "+Inf": math.inf}
_COUNTS = {"consecutiveError": "consecutive_error", "consecutiveSuccess": "consecutive_success"}
_ASKING = "asking a provider, and reading its answer, is Argo Rollouts' doing; results are taken here"
_SCORES = "Argo Rollouts holds Kayenta's score against its thresholds; canaryjudge reads Kayenta's configuration instead"


def cases() -> Iterator[Case]:
    """Give every case with its outcome."""
    for case in read_cases("argo.json"):
        kind, given, expected = case["kind"], case["input"], case["expected"]
        if kind == "provider_kayenta":
            yield Case(kind, case["name"], agreed=False, why=_SCORES)
        elif kind in _CHECKS:
            yield Case(kind, case["name"], agreed=_CHECKS[kind](given, expected))
        elif (
            ("result" not in given and _is_of_provider(expected))
            or given.get("result") == "<unsupported type>"
            or (not given.get("result", True) and "no results" in expected.get("error", ""))
        ):
            yield Case(kind, case["name"], agreed=False, why=_ASKING)
        else:
            result = _result(given["result"]) if "result" in given else _from_value(kind, expected)
            found = measure(result, given["successCondition"], given["failureCondition"])
            yield Case(kind, case["name"], agreed=found.phase == expected["phase"])


def _is_of_provider(expected: dict[str, Any]) -> bool:
    """Tell whether an error is about the answer, and not about the condition."""
    told = str(expected.get("error_contains", expected.get("value", "")))
    return expected["phase"] == "Error" and "metric result is nil" not in told


def _result(written: Any) -> Any:
    return _NAMED.get(written, written) if isinstance(written, str) else written


def _from_value(kind: str, expected: dict[str, Any]) -> Any:
    """Take the result from the value that the measurement keeps of it; Datadog's empty answer is no result at all."""
    value = expected.get("value", "")
    if kind.startswith("datadog") and value in ("", "[]"):
        return None
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _condition(given: dict[str, Any], expected: dict[str, Any]) -> bool:
    try:
        return holds(given["condition"], given["result"]) == expected["value"] and "error" not in expected
    except PolicyError as error:
        wanted = expected.get("error", "")
        return bool(wanted) and (wanted == "(any error)" or wanted in error.message)


def _measured(given: dict[str, Any], expected: dict[str, Any]) -> bool:
    found = measure(_result(given["result"]), given["successCondition"], given["failureCondition"])
    return found.phase == expected["phase"] and all(
        part in found.message for part in expected.get("error_contains", [])
    )


def _function(call: str) -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    def agrees(given: dict[str, Any], expected: dict[str, Any]) -> bool:
        written = call.replace("DEFAULT", json.dumps(given.get("default")))
        try:
            value = evaluate(written, _result(given.get("arg", given.get("result"))))
        except PolicyError:
            return bool(expected.get("error"))
        return bool(value == expected["value"]) and not expected.get("error")

    return agrees


def _metric_result(given: dict[str, Any]) -> MetricStatus:
    kept = {
        _COUNTS.get(name, name): value
        for name, value in given.items()
        if name not in ("name", "measurements")
    }
    return MetricStatus(
        measurements=[Measurement(each["phase"]) for each in given.get("measurements", [])], **kept
    )


def _metric(given: dict[str, Any], expected: dict[str, Any]) -> bool:
    limits, result = limits_of(given["metric"]), _metric_result(given["result"])
    reason = exceeded(limits, result)
    same = assess_metric(limits, result, terminating=given.get("terminating", False)) == expected["phase"]
    return same and ("message" not in expected or (reason is not None and reason[1] == expected["message"]))


def _run(given: dict[str, Any], expected: dict[str, Any]) -> bool:
    results = {each["name"]: _metric_result(each) for each in given["metric_results"]}
    phase, message = assess_run(dict.fromkeys(results, MeasurementLimits()), results, dry_run=given["dryRun"])
    own = all(results[name].phase == wanted for name, wanted in expected.get("metric_phases", {}).items())
    return phase == expected["phase"] and message == expected.get("message", message) and own


def _validated(given: dict[str, Any], expected: dict[str, Any]) -> bool:
    try:
        validate_metrics(given["metrics"])
    except PolicyError as error:
        wanted = expected["error"] or "nothing is wrong"
        return error.message == wanted or bool(expected.get("regex") and re.fullmatch(wanted, error.message))
    return expected["error"] is None


def _arguments(given: dict[str, Any], expected: dict[str, Any]) -> bool:
    values = {each["name"]: each["value"] for each in given["args"]}
    return bool(fill(given["template"], values) == expected["value"])


_CHECKS: dict[str, Callable[[dict[str, Any], dict[str, Any]], bool]] = {
    "eval_condition": _condition,
    "evaluate_result": _measured,
    "func_asInt": _function("asInt(result)"),
    "func_asFloat": _function("asFloat(result)"),
    "func_isInf": _function("isInf(result)"),
    "func_isNil": _function("isNil(result)"),
    "func_default": _function("default(result, DEFAULT)"),
    "assess_metric_status": _metric,
    "assess_metric_failure": _metric,
    "assess_run_status": _run,
    "validate_metrics": _validated,
    "resolve_args": _arguments,
}
