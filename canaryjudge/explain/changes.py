"""Words for a change and what it is held against: levels, changes, tolerances and intervals, each with its unit."""

from __future__ import annotations

from canaryjudge.explain.numbers import change, level_of, number, span
from canaryjudge.explain.objectives import measured_in
from canaryjudge.results import Finding, Interval, MetricResult

__all__ = ["counted", "in_times", "interval_of", "level", "moved", "signed", "tolerated"]

_BY_INTERVAL = ("scores", "mean_sequence", "betting")
"""Methods that take all samples of an interval as one piece of evidence."""


def moved(finding: Finding, result: MetricResult) -> str:
    """Say how far the canary is from the baseline, and in which direction."""
    if finding.estimate is None:
        return "infinitely higher"
    if finding.estimate == 0:
        return "unchanged"
    if in_times(finding):
        return f"{number(1 + finding.estimate)} times as high"
    size = change(finding.estimate, finding.scale, result.kind, result.unit)
    return f"{size} {'higher' if finding.estimate > 0 else 'lower'}"


def in_times(finding: Finding) -> bool:
    """Tell whether a change is so large that it is told in times."""
    return finding.scale == "relative" and (finding.estimate is None or finding.estimate > 3)


def tolerated(finding: Finding, result: MetricResult) -> str:
    """Say how large a change is tolerated."""
    sides = [
        change(limit, finding.scale, result.kind, result.unit)
        for limit in (finding.limit_high, finding.limit_low)
        if limit is not None
    ]
    return sides[0] if len(set(sides)) == 1 else f"{sides[0]} up or {sides[1]} down"


def interval_of(interval: Interval, finding: Finding, result: MetricResult) -> str:
    """Give a confidence interval with its confidence."""
    confidence = f"{100 * interval.confidence_level:.4g}"
    if confidence == "100":
        confidence = "over 99.99"
    when = " at any look" if finding.log_e_fail is not None else ""
    low, high, scale = interval.low, interval.high, str(finding.scale)
    if in_times(finding):
        low, high, scale = (None if low is None else 1 + low, None if high is None else 1 + high, "times")
    return f"{confidence} % CI{when} {span(low, high, scale, *measured_in(finding, result))}"


def signed(value: float, finding: Finding, result: MetricResult) -> str:
    """Write a change with its sign, and percentage points as pp, for where room is short."""
    kind = "ratio" if finding.beyond is not None and finding.points_beyond is None else result.kind
    size = change(value, finding.scale, kind, result.unit)
    size = size.replace("percentage points", "pp").replace("percentage point", "pp")
    return f"{'−' if value < 0 else '+' if value > 0 else '±'}{size}"


def level(value: float | None, result: MetricResult) -> str:
    """Give a level of a metric."""
    return "unknown" if value is None else level_of(value, result.kind, result.unit)


def counted(result: MetricResult, finding: Finding | None = None) -> str:
    """Say what is counted: points, intervals or samples."""
    if finding is not None and finding.method in _BY_INTERVAL:
        return "intervals"
    intervals = ("ratio", "count", "histogram")
    return "intervals" if result.kind in intervals else "samples" if result.kind == "samples" else "points"
