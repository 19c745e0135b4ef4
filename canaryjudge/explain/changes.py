"""Words for a change and what it is held against: levels, changes, tolerances and intervals, each with its unit."""

from __future__ import annotations

from canaryjudge.explain.numbers import confidence, number, set_number, times_as_high
from canaryjudge.explain.quantities import change, level_of, levels_of, set_change, span
from canaryjudge.explain.slo import limit_of, measured_in, objective_words
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding, Interval

__all__ = [
    "against_baseline",
    "counted",
    "held_against",
    "in_times",
    "interval_of",
    "interval_words",
    "level",
    "main_number",
    "moved",
    "no_harm",
    "passing_tolerance",
    "signed",
    "tolerated",
    "typical",
]

_STRATIFIED = ("mixture", "cmh")
"""Methods that compare the arms interval by interval, and weigh what they find there."""
_BY_INTERVAL = ("scores", "mean_sequence", "betting")
"""Methods that take all samples of an interval as one piece of evidence."""


def moved(finding: Finding, result: MetricResult) -> str:
    """Say how far the canary is from the baseline, and in which direction."""
    if finding.estimate is None:
        return "higher"
    if finding.estimate == 0:
        return "unchanged"
    if in_times(finding):
        return f"{times_as_high(finding.estimate)} times as high"
    size = change(finding.estimate, finding.scale, result.kind, result.unit)
    return f"{size} {'higher' if finding.estimate > 0 else 'lower'}"


def in_times(finding: Finding) -> bool:
    """Tell whether a change is so large that it is told in times."""
    return finding.scale == "relative" and (finding.estimate is None or finding.estimate > 3)


def no_harm(finding: Finding, result: MetricResult) -> str:
    """Say which change in the other direction would be harm, of a canary that changed in the harmless one: ``a rise of more than 10 %``."""
    return f"a {'fall' if finding.limit_high is None else 'rise'} of more than {tolerated(finding, result)}"


def typical(finding: Finding, result: MetricResult) -> str:
    """Say what the change is of where it is not the difference of the levels beside it; nothing where it is that, or nearly."""
    if not finding.levels_apart:
        return ""
    if finding.method.endswith("_rank"):
        of = "observations" if KINDS[result.kind].has_buckets else counted(result, finding)
        return f"the change is the typical one between {of}, not that of the two medians"
    if finding.method in _STRATIFIED:
        return "the change is the one within intervals, not that of the two totals"
    return "the change is what the test estimates, not that of the two levels"


def passing_tolerance(finding: Finding, result: MetricResult) -> str:
    """Give about the smallest tolerance that these data would pass; nothing where none is known, or another rule is undecided as well."""
    enough = finding.smallest_passing_tolerance
    others = (other for other in result.findings if other is not finding and other != finding)
    if enough is None or any(other.outcome is not Outcome.PASS for other in others):
        return ""
    return set_change(enough, finding.scale, result.kind, result.unit)


def tolerated(finding: Finding, result: MetricResult) -> str:
    """Say how large a change is tolerated."""
    sides = [
        set_change(limit, finding.scale, result.kind, result.unit)
        for limit in (finding.limit_high, finding.limit_low)
        if limit is not None
    ]
    return sides[0] if len(set(sides)) == 1 else f"{sides[0]} up or {sides[1]} down"


def interval_of(interval: Interval, finding: Finding, result: MetricResult) -> str:
    """Give a confidence interval with its confidence."""
    when = " at any look" if finding.log_e_fail is not None else ""
    scale = "times" if in_times(finding) else str(finding.scale)
    told = span(interval.low, interval.high, scale, *measured_in(finding, result), beside=limit_of(finding))
    return f"{confidence(interval.confidence_level)} % CI{when} {told}"


def signed(value: float, finding: Finding, result: MetricResult, *, chosen: bool = False) -> str:
    """Write a change with its sign, and percentage points as pp, for where room is short; `chosen` is a limit."""
    kind = "ratio" if finding.beyond is not None and finding.points_beyond is None else result.kind
    size = (set_change if chosen else change)(value, finding.scale, kind, result.unit)
    size = size.replace("percentage points", "pp").replace("percentage point", "pp")
    return f"{'−' if value < 0 else '+' if value > 0 else '±'}{size}"


def against_baseline(finding: Finding, result: MetricResult) -> str:
    """Give the levels of both arms in one unit: ``148 ms v. 120 ms``."""
    canary, baseline = finding.canary_level, finding.baseline_level
    if canary is None or baseline is None:
        return f"{level(canary, result)} v. {level(baseline, result)}"
    return " v. ".join(levels_of((canary, baseline), result.kind, result.unit))


def level(value: float | None, result: MetricResult) -> str:
    """Give a level of a metric."""
    return "unknown" if value is None else level_of(value, result.kind, result.unit)


def counted(result: MetricResult, finding: Finding | None = None) -> str:
    """Say what is counted: points, intervals or samples."""
    if finding is not None and finding.method in _BY_INTERVAL:
        return "intervals"
    return KINDS[result.kind].points


def main_number(result: MetricResult) -> tuple[str, str]:
    """Give the main number of a metric and what it is a change of or held against, such as ``("+23 %", "148 ms v. 120 ms")``."""
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
