"""What would change a verdict: how far a metric is from another outcome, and what would bring it there."""

from __future__ import annotations

from canaryjudge.explain.changes import counted, held_against, interval_of, no_harm, passing_tolerance, signed
from canaryjudge.explain.numbers import count, more, time_of
from canaryjudge.explain.quantities import level_of
from canaryjudge.explain.sentences import silent_arms
from canaryjudge.explain.slo import limit_of, measured_in
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult, ReleaseResult
from canaryjudge.rules.findings import Finding, Interval

__all__ = ["what_would_change_metric", "what_would_change_release"]


def what_would_change_release(release: ReleaseResult) -> str:
    """Say in one or two sentences what would change the verdict of the release."""
    counted = [result for result in release.metrics.values() if result.role != "muted"]
    failing = [r.name for r in counted if r.outcome is Outcome.FAIL and r.role != "advisory"]
    unproven = [r.name for r in counted if r.role == "required" and r.outcome is not Outcome.PASS]
    complaining = [r.name for r in counted if r.role == "advisory" and r.outcome is Outcome.FAIL]
    if release.aggregate == "score":
        return "The weighted score decides; a metric counts for more or less of it by its weight and its group's."
    if release.outcome is Outcome.FAIL:
        if not failing:
            return "It failed at an earlier look, and a fail stays."
        what = f"any of {_listed(failing)}" if len(failing) > 1 else failing[0]
        return f"It stays a fail as long as {what} fails; no other metric can make up for that."
    if release.outcome is Outcome.MARGINAL:
        needs = []
        if unproven:
            needs.append(f"{_listed(unproven)} {'is' if len(unproven) == 1 else 'are'} proven fine")
        if complaining:
            needs.append(f"{_listed(complaining)} no longer {'fails' if len(complaining) == 1 else 'fail'}")
        if not needs:
            return "It needs data of at least one metric that counts."
        return f"It passes once {' and '.join(needs)}, and fails as soon as a metric is proven worse than tolerated."
    return "It would fail if any metric were proven worse than tolerated, and be held if a required one were not proven fine."


def what_would_change_metric(result: MetricResult, release: ReleaseResult) -> list[str]:
    """Say what would change the outcome of a metric."""
    finding = result.deciding
    if result.reason in ("no_data", "too_little_data") and (finding is None or finding.more_points is None):
        lacking = silent_arms(result, release)
        return [f"It needs data of {_listed(lacking)}." if lacking else "It needs more points of both arms."]
    if result.reason.advice:
        return [result.reason.advice]
    if finding is None:
        return []
    said = [*_distances(finding, result), *_more(finding, result)]
    if result.role in ("advisory", "muted") and result.outcome is not Outcome.PASS:
        said.append(
            "As an advisory metric it can hold a release, not fail it."
            if result.role == "advisory"
            else "It is muted: it counts for nothing."
        )
    return said or ["Other data."]


def _distances(finding: Finding, result: MetricResult) -> list[str]:
    """Say how the ends of the intervals lie to the limit."""
    limit = held_against(finding, result)
    if not limit or finding.burn is not None or finding.parts:
        return []
    if finding.method == "point":
        return [f"The estimate alone is held against the {limit}."]
    if finding.interval is None or finding.pass_interval is None:
        return []
    if result.reason in ("proven_worse", "breached"):
        return [_why_it_fails(finding, result, limit)]
    if result.reason in ("proven_safe", "objective_met"):
        return [_why_it_passes(finding, result, limit)]
    passing, failing = (
        interval_of(interval, finding, result) for interval in (finding.pass_interval, finding.interval)
    )
    return [
        f"It is proven fine once the {passing} lies within the {limit}, and fails once the {failing} lies beyond it."
    ]


def _why_it_fails(finding: Finding, result: MetricResult, limit: str) -> str:
    end, kinder = (
        _end(finding, finding.interval, nearest=True),
        _end(finding, finding.pass_interval, nearest=False),
    )
    if end is None or _within(end, finding):
        return f"It was proven beyond the {limit}, and a fail stays."
    said = f"It fails because the whole interval lies beyond the {limit}"
    bounds = finding.objective  # an objective may fail at another bound than the one at which it passes
    apart = bounds is not None and (bounds.fail_high is not None or bounds.fail_low is not None)
    late = [other for other in result.findings if other.outcome is Outcome.FAIL and other is not finding]
    if late and all(other.rule == "late_shift" and other.scale == finding.scale for other in late):
        # a limit of the level is one of the last half as well, where it is the larger
        end = _farther(end, *(_end(other, other.interval, nearest=True) for other in late))
        kinder = _farther(kinder, *(_end(other, other.pass_interval, nearest=False) for other in late))
        late = []
    if late or end is None or apart or (finding.limit_high is not None and finding.limit_low is not None):
        return f"{said}."
    said += f"; with a limit beyond {_told(end, finding, result)} it would not have failed"
    return (
        f"{said}."
        if kinder is None
        else f"{said}, with one beyond {_told(kinder, finding, result)} it would have passed."
    )


def _why_it_passes(finding: Finding, result: MetricResult, limit: str) -> str:
    if finding.harmless:
        return (
            f"It passes because only {no_harm(finding, result)} would be harm, and the interval holds none."
        )
    end = _end(finding, finding.pass_interval, nearest=False)
    if finding.limit_high is not None and finding.limit_low is not None:
        return f"It passes because the whole interval lies within the {limit}."
    if end is None or not _within(end, finding):
        return f"It was proven within the {limit} at an earlier look."
    tighter = f"it would pass with any limit beyond {_told(end, finding, result)}"
    return f"It passes because the whole interval lies within the {limit}; {tighter}."


def _farther(*ends: float | None) -> float | None:
    """Give the one that is the farthest from no change; None where one is unbounded."""
    known = [end for end in ends if end is not None]
    return max(known, key=abs) if len(known) == len(ends) else None


def _end(finding: Finding, interval: Interval | None, *, nearest: bool) -> float | None:
    """Give the end of an interval that lies nearest to no change, or farthest from it in the bad direction."""
    if interval is None:
        return None
    upwards = finding.limit_high is not None
    if upwards and finding.limit_low is not None and finding.estimate is not None:
        upwards = finding.estimate > finding.limit_low
    return interval.low if upwards is nearest else interval.high


def _within(value: float, finding: Finding) -> bool:
    """Tell whether a value is tolerated."""
    high, low = finding.limit_high, finding.limit_low
    return (high is None or value <= high) and (low is None or value >= low)


def _told(value: float, finding: Finding, result: MetricResult) -> str:
    if finding.scale == "objective":
        return level_of(value, *measured_in(finding, result), beside=limit_of(finding))
    return signed(value, finding, result)


def _more(finding: Finding, result: MetricResult) -> list[str]:
    if finding.outcome is not Outcome.MARGINAL or finding.more_points is None:
        return []
    points = counted(result, finding)
    known = result.interval_s is not None and points != "samples"
    time = f" ({time_of(finding.more_points, result.interval_s or 0.0)})" if known else ""
    if finding.looks_planned is not None:
        return [f"The next look is after {more(finding.more_points, points, roughly=False)}{time}."]
    said = [f"About {more(finding.more_points, points)} a side{time} would decide it at the present noise."]
    return [*said, *_other_ways(finding, result)] if finding.far_from_decided else said


def _other_ways(finding: Finding, result: MetricResult) -> list[str]:
    """Say what to do where so much more data would be needed that nobody will wait for them."""
    if finding.scale == "objective":
        wider = "a laxer objective"
    else:
        enough = passing_tolerance(finding, result)
        wider = f"a wider tolerance{f' (these data would pass with about {enough})' if enough else ''}"
    return [f"That is more than ten times what there is. The other ways are {wider}, or more traffic."]


def _listed(names: list[str]) -> str:
    most = 4
    if len(names) > most:
        return f"{', '.join(names[:most])} and {count(len(names) - most)} more"
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
