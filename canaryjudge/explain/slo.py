"""Words for objectives: as the user wrote them, with what was found beside them."""

from __future__ import annotations

from canaryjudge.explain.numbers import set_percent
from canaryjudge.explain.quantities import level_of, set_change, set_level, set_span
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding
from canaryjudge.rules.slo import ObjectiveFacts

__all__ = ["limit_of", "measured_in", "objective_found", "objective_words", "whose_doing", "without_percent"]

_OPERATORS = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


def measured_in(finding: Finding, result: MetricResult) -> tuple[str, str]:
    """Give kind and unit of what a finding measures: a share of observations is a ratio, whatever the metric."""
    return ("ratio", "") if finding.of == "within" else (result.kind, result.unit)


def limit_of(finding: Finding) -> float | None:
    """Give the limit that a level is held against; None where a change is."""
    if finding.scale != "objective" or finding.burn is not None:
        return None
    limit: float | None = finding.limit_high if finding.limit_high is not None else finding.limit_low
    return limit


def objective_found(
    finding: Finding, result: MetricResult, interval: str, unprovable: str, missing: str
) -> str:
    """Say where the canary's aggregate lies, and how that stands to the objective."""
    facts = finding.objective or ObjectiveFacts()
    baseline = _level(finding.baseline_level, finding, result)
    what = (
        f"canary {_aggregate(finding, facts, result)}is {_level(finding.estimate, finding, result)}{interval}"
    )
    objective = f"objective {_objective(finding, facts, result)}"
    fails = _fails_at(finding, facts, result)
    if facts.change_relative is not None or facts.change_absolute is not None:
        return f"{what}, baseline {baseline}: {objective} {_stands(finding, fails, unprovable, missing)}"
    if finding.reason == "breached":
        beyond = f" and {fails}, where it fails" if fails else ""
        return f"{what}, which breaches the {objective}{beyond} (baseline {baseline})"
    if finding.reason == "environment_unhealthy":
        return (
            f"{what}, which breaches the {objective}, but so does the baseline with {baseline}: "
            f"{whose_doing(finding)}"
        )
    if finding.reason == "warning":
        return (
            f"{what}, which breaches the {objective}, but is not proven to lie beyond {fails}, where it fails"
        )
    if finding.reason == "objective_met":
        return f"{what}, which meets the {objective}"
    if finding.reason == "abstains":
        return (
            f"{what}: its points are too few, or depend on each other too strongly, to prove {unprovable} "
            f"by the {objective}"
        )
    return f"{what}: whether it meets the {objective} is not proven{missing}"


def whose_doing(finding: Finding) -> str:
    """Say whose doing a breach is that the baseline shares: a canary that breaches by more may add to it."""
    return f"not the canary's doing{' alone' if finding.worse_than_baseline else ''}"


def without_percent(finding: Finding, result: MetricResult) -> str:
    """Say that a change in percent means nothing beside a baseline of zero."""
    of = "" if finding.of == "pooled" else f" {finding.of}"
    return (
        f"the baseline's{of} level is {_level(finding.baseline_level, finding, result)} and the canary's "
        f"{_level(finding.estimate, finding, result)}, where a change in percent means nothing and no rise is proven: "
        "give the change an absolute part"
    )


def _stands(finding: Finding, fails: str, unprovable: str, missing: str) -> str:
    """Say how the canary stands to a change."""
    if finding.reason == "breached":
        return "is breached" + (f", and so is {fails}, where it fails" if fails else "")
    if finding.reason == "warning":
        return f"is breached, but it is not proven to lie beyond {fails}, where it fails"
    if finding.reason == "objective_met":
        return "is met"
    if finding.reason == "abstains":
        return f"cannot be judged; its points are too few, or depend on each other too strongly, to prove {unprovable}"
    return f"is proven neither met nor breached{missing}"


def _aggregate(finding: Finding, facts: ObjectiveFacts, result: MetricResult) -> str:
    """Name what is measured: of a histogram, with the bucket that it is known to lie in."""
    if finding.of == "pooled":
        return ""
    bucket = ""
    if facts.bucket_low is not None or facts.bucket_high is not None:
        ends = [
            "-inf" if facts.bucket_low is None else set_level(facts.bucket_low, result.kind, result.unit),
            "+Inf" if facts.bucket_high is None else set_level(facts.bucket_high, result.kind, result.unit),
        ]
        bucket = f" inside the bucket ({ends[0]}, {ends[1]}]"
    if finding.of == "within":
        return f"share within {set_level(facts.bound or 0.0, result.kind, result.unit)}{bucket and f', a bound{bucket},'} "
    return f"{finding.of}{bucket and f',{bucket},'} "


def objective_words(finding: Finding, result: MetricResult) -> str:
    """Write the objective that a finding is about, as a policy does."""
    return _objective(finding, finding.objective or ObjectiveFacts(), result)


def _objective(finding: Finding, facts: ObjectiveFacts, result: MetricResult) -> str:
    """Write an objective as a policy does."""
    kind, unit = measured_in(finding, result)
    if finding.limit_high is not None and finding.limit_low is not None:
        return set_span(finding.limit_low, finding.limit_high, kind, unit)
    limit = finding.limit_high if finding.limit_high is not None else finding.limit_low
    sign = _OPERATORS[finding.op or "lte"]
    parts = []
    if facts.change_relative is not None:
        parts.append(f"{'-' if facts.change_relative < 0 else '+'}{set_percent(abs(facts.change_relative))}")
    if facts.change_absolute is not None:
        size = set_change(facts.change_absolute, "absolute", kind, unit)
        parts.append(f"{'-' if facts.change_absolute < 0 else '+'}{size}")
    if parts:  # then the limit was computed from the baseline's level
        return f"{sign} {' or '.join(parts)} ({_level(limit, finding, result)})"
    return f"{sign} {_limit(limit, finding, result)}"


def _fails_at(finding: Finding, facts: ObjectiveFacts, result: MetricResult) -> str:
    """Name the bounds at which it fails, where they are not those of the objective."""
    computed = facts.change_relative is not None or facts.change_absolute is not None
    told = _level if computed else _limit
    ends = [told(end, finding, result) for end in (facts.fail_low, facts.fail_high) if end is not None]
    return " or ".join(ends)


def _limit(value: float | None, finding: Finding, result: MetricResult) -> str:
    return "unknown" if value is None else set_level(value, *measured_in(finding, result))


def _level(value: float | None, finding: Finding, result: MetricResult) -> str:
    if value is None:
        return "unknown"
    return level_of(value, *measured_in(finding, result), beside=limit_of(finding))
