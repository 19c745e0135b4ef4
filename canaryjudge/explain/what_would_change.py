"""What would change a verdict: how far a metric is from another outcome, and what would bring it there."""

from __future__ import annotations

from canaryjudge.explain.layout import listed
from canaryjudge.explain.sentences import silent_arms
from canaryjudge.explain.words import words_of
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import MetricResult, ReleaseResult

__all__ = ["what_would_change_metric", "what_would_change_release"]


def what_would_change_release(release: ReleaseResult) -> str:
    """Say in one or two sentences what would change the verdict of the release."""
    counted = [result for result in release.metrics.values() if result.role != "muted"]
    failing = [r.name for r in counted if r.outcome is Outcome.FAIL and r.role != "advisory"]
    unproven = [
        r.name
        for r in counted
        if r.outcome is not Outcome.PASS and (r.role == "required" or (r.role == "guard" and r.holds))
    ]
    complaining = [r.name for r in counted if r.role == "advisory" and r.outcome is Outcome.FAIL]
    if release.aggregate == "score":
        return "The weighted score decides; a metric counts for more or less of it by its weight and its group's."
    if release.outcome is Outcome.FAIL:
        if not failing:
            return "It failed at an earlier look, and a fail stays."
        what = f"any of {listed(failing)}" if len(failing) > 1 else failing[0]
        return f"It stays a fail as long as {what} fails; no other metric can make up for that."
    if release.outcome is Outcome.MARGINAL:
        needs = []
        if unproven:
            needs.append(f"{listed(unproven)} {'is' if len(unproven) == 1 else 'are'} proven fine")
        if complaining:
            needs.append(f"{listed(complaining)} no longer {'fails' if len(complaining) == 1 else 'fail'}")
        if not needs:
            return "It needs data of at least one metric that counts."
        return f"It passes once {' and '.join(needs)}, and fails as soon as a metric is proven worse than tolerated."
    return "It would fail if any metric were proven worse than tolerated, and be held if a required one were not proven fine."


def what_would_change_metric(result: MetricResult, release: ReleaseResult) -> list[str]:
    """Say what would change the outcome of a metric."""
    finding = result.deciding
    if result.reason in (Reason.NO_DATA, Reason.TOO_LITTLE_DATA) and (
        finding is None or finding.more_points is None
    ):
        lacking = silent_arms(result, release)
        return [f"It needs data of {listed(lacking)}." if lacking else "It needs more points of both arms."]
    if result.reason.advice:
        return [result.reason.advice]
    if finding is None:
        return []
    words = words_of(finding, result)
    said = [*words.turning_points(), *words.more_data()]
    if result.role in ("advisory", "muted") and result.outcome is not Outcome.PASS:
        said.append(
            "As an advisory metric it can hold a release, not fail it."
            if result.role == "advisory"
            else "It is muted: it counts for nothing."
        )
    return said or ["Other data."]
