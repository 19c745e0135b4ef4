"""A finding in a few words, for where there is no room for a sentence."""

from __future__ import annotations

from canaryjudge.explain.changes import (
    against_baseline,
    in_times,
    interval_of,
    moved,
    signed,
    tolerated,
)
from canaryjudge.explain.numbers import number, set_number
from canaryjudge.explain.objectives import limit_of, measured_in, objective_words
from canaryjudge.explain.quantities import level_of
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import Finding, MetricResult

__all__ = ["glance", "held_against", "interval_words"]


def glance(result: MetricResult) -> tuple[str, str]:
    """Give the main number of a metric, and what it is a change of or held against.

    Parameters
    ----------
    result : MetricResult
        What became of the metric.

    Returns
    -------
    tuple of (str, str)
        Such as ``("+23 %", "148 ms v. 120 ms")``; the second is empty where there is nothing to add.
    """
    finding = result.deciding
    if finding is None or finding.reason in (Reason.NO_DATA, Reason.TOO_LITTLE_DATA):
        return result.reason.words, ""
    if finding.burn is not None:
        return f"{number(finding.estimate or 0.0)} × the allowed burn", ""
    if finding.scale == "objective":
        if finding.estimate is None:
            return result.reason.words, ""
        said = level_of(finding.estimate, *measured_in(finding, result), beside=limit_of(finding))
        beside = (
            ""
            if finding.baseline_level is None
            else f"baseline {level_of(finding.baseline_level, *measured_in(finding, result), beside=limit_of(finding))}"
        )
        return (said if finding.of in (None, "pooled", "within") else f"{finding.of} {said}"), beside
    seen = _as_share(result, finding)
    levels = against_baseline(finding, seen)
    if in_times(finding) or not finding.estimate:
        return moved(finding, seen), levels
    return signed(finding.estimate, finding, result), levels


def held_against(finding: Finding, result: MetricResult) -> str:
    """Say what a finding is held against: the tolerance, or the objective; nothing where there is no limit."""
    if finding.limit_high is None and finding.limit_low is None:
        return ""
    if finding.burn is not None:
        return f"limit {set_number(finding.limit_high or 0.0)} ×"
    if finding.scale == "objective":
        return f"objective {objective_words(finding, result)}"
    return f"tolerated {tolerated(finding, _as_share(result, finding))}"


def interval_words(finding: Finding, result: MetricResult) -> str:
    """Give the confidence interval that the outcome rests on; nothing where there is none."""
    interval = finding.pass_interval if finding.outcome is Outcome.PASS else finding.interval
    if interval is None or (interval.low is None and interval.high is None) or finding.burn is not None:
        return ""
    return interval_of(interval, finding, _as_share(result, finding))


def _as_share(result: MetricResult, finding: Finding) -> MetricResult:
    """Of a tail, what changes is a share of the observations, whatever the metric's unit."""
    if finding.beyond is None or finding.points_beyond is not None:
        return result
    return result.model_copy(update={"kind": "ratio", "unit": ""})
