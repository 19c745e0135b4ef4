"""What would change a verdict: how far a metric is from another outcome, and what would bring it there."""

from __future__ import annotations

from canaryjudge.explain.changes import counted, interval_of, signed
from canaryjudge.explain.glances import held_against
from canaryjudge.explain.numbers import count, level_of, number
from canaryjudge.explain.objectives import measured_in
from canaryjudge.explain.times import span_of_time
from canaryjudge.results import Finding, MetricResult, Outcome, ReleaseResult

__all__ = ["metric_turns", "release_turns"]

_OTHER_WAYS = {
    "needs_absolute_tolerance": "Give the metric an absolute tolerance: a change in percent means nothing at this baseline.",
    "environment_unhealthy": "Both arms breach the objective, so something other than the release is wrong; judge again once the baseline meets it.",
    "split_mismatch": "Send the canary the share of the traffic that the policy's split says, or correct the split.",
    "abstains": "A longer window, or replicas that are told apart, would give it evidence enough.",
    "identical": "Nothing, as long as the arms stay constant and equal.",
    "no_data_fails": "Data of both arms; the policy fails this metric without them.",
}


def release_turns(release: ReleaseResult) -> str:
    """Say in one or two sentences what would change the verdict of the release."""
    counted = [result for result in release.metrics.values() if result.role != "muted"]
    failing = [r.name for r in counted if r.outcome is Outcome.FAIL and r.role != "advisory"]
    open_ones = [
        r.name
        for r in counted
        if r.outcome is not Outcome.PASS and (r.role == "required" or r.outcome is Outcome.FAIL)
    ]
    if release.aggregate == "score":
        return "The weighted score decides; a metric counts for more or less of it by its weight and its group's."
    if release.outcome is Outcome.FAIL:
        if not failing:
            return "It failed at an earlier look, and a fail stays."
        verb = "fails" if len(failing) == 1 else "fail"
        return f"It stays a fail as long as {_listed(failing)} {verb}; no other metric can make up for that."
    if release.outcome is Outcome.MARGINAL:
        if not open_ones:
            return "It needs data of at least one metric that counts."
        verb, it = ("is", "it is") if len(open_ones) == 1 else ("are", "one of them is")
        return f"It passes once {_listed(open_ones)} {verb} proven fine, and fails as soon as {it} proven worse than tolerated."
    return "It would fail if any metric were proven worse than tolerated, and be held if a required one were not proven fine."


def metric_turns(result: MetricResult, release: ReleaseResult) -> list[str]:
    """Say what would change the outcome of a metric.

    Parameters
    ----------
    result : MetricResult
        What became of it.
    release : ReleaseResult
        The release that it is of.

    Returns
    -------
    list of str
        Sentences; every number in them is one of the facts.
    """
    finding = result.deciding
    if result.reason in ("no_data", "too_little_data") and (finding is None or finding.more_points is None):
        lacking = [
            arm
            for arm, n in ((release.baseline_arm, result.n_baseline), (release.canary_arm, result.n_canary))
            if n == 0
        ]
        return [f"It needs data of {_listed(lacking)}." if lacking else "It needs more points of both arms."]
    if result.reason in _OTHER_WAYS:
        return [_OTHER_WAYS[result.reason]]
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
    fails, passes = _ends(finding)
    if not limit or finding.burn is not None:
        return []
    the = "the " + limit
    if finding.outcome is Outcome.FAIL and fails is not None:
        kinder = f"with a limit beyond {_told(fails, finding, result)} it would not have failed"
        if passes is not None:
            kinder += f", with one beyond {_told(passes, finding, result)} it would have passed"
        return [f"It fails because the whole interval lies beyond {the}; {kinder}."]
    if finding.outcome is Outcome.PASS and passes is not None:
        tighter = f"it would pass with any limit beyond {_told(passes, finding, result)}"
        return [f"It passes because the whole interval lies within {the}; {tighter}."]
    if (
        finding.outcome is Outcome.MARGINAL
        and finding.interval is not None
        and finding.pass_interval is not None
    ):
        passing, failing = (
            interval_of(interval, finding, result) for interval in (finding.pass_interval, finding.interval)
        )
        return [
            f"It passes once the {passing} lies within {the}, and fails once the {failing} lies beyond it."
        ]
    return []


def _ends(finding: Finding) -> tuple[float | None, float | None]:
    """Give the end of the interval that a fail is proven by, and the one that a pass is; None where both sides count."""
    if finding.limit_high is not None and finding.limit_low is not None:
        return None, None
    if finding.limit_high is not None:
        return (
            None if finding.interval is None else finding.interval.low,
            None if finding.pass_interval is None else finding.pass_interval.high,
        )
    return (
        None if finding.interval is None else finding.interval.high,
        None if finding.pass_interval is None else finding.pass_interval.low,
    )


def _told(value: float, finding: Finding, result: MetricResult) -> str:
    if finding.scale == "objective":
        return level_of(value, *measured_in(finding, result))
    return signed(value, finding, result)


def _more(finding: Finding, result: MetricResult) -> list[str]:
    if finding.outcome is not Outcome.MARGINAL or finding.more_points is None:
        return []
    about = float(f"{finding.more_points:.2g}")
    points = counted(result, finding)
    known = result.interval_s is not None and points != "samples"
    time = f" ({span_of_time(finding.more_points * (result.interval_s or 0.0))})" if known else ""
    if finding.looks_planned is not None:
        return [f"The next look is after {count(finding.more_points)} more {points}{time}."]
    return [f"About {count(about)} more {points} a side{time} would decide it at the present noise."]


def _listed(names: list[str]) -> str:
    most = 4
    if len(names) > most:
        return f"{', '.join(names[:most])} and {number(len(names) - most)} more"
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
