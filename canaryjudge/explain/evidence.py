"""Words for what a finding rests on: the test, its p-value or odds, what it allowed for, how much was counted, and how much longer a watch may take."""

from __future__ import annotations

from typing import Final

from canaryjudge.explain.burn_rate import counted_in_slices
from canaryjudge.explain.changes import counted
from canaryjudge.explain.numbers import (
    count,
    moment,
    more,
    number,
    odds_against,
    odds_for,
    percent,
    pvalue,
    time_of,
)
from canaryjudge.explain.quantities import change
from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult
from canaryjudge.rules.findings import Finding

__all__ = ["METHODS", "amount", "evidence", "odds", "outlook", "proven_fine", "sizes", "taken"]


def odds(finding: Finding) -> str:
    """Say how strong the evidence is, and what would do."""
    harm = f"of harm {odds_for(finding.log_e_fail)} ({odds_against(finding.level)} fails)"
    harmlessness = f"of harmlessness {odds_for(finding.log_e_pass)} ({odds_against(finding.beta)} passes)"
    if finding.outcome is Outcome.FAIL:
        return f", evidence {harm}"
    if finding.outcome is Outcome.PASS:
        return f", evidence {harmlessness}"
    return f", evidence {harm}, {harmlessness}"


def taken(finding: Finding, counted: str) -> str:
    """Say at which planned look it is, and when it was decided."""
    looks = (
        f", look {finding.looks} of {finding.looks_planned}"
        if finding.looks and finding.looks_planned is not None
        else ""
    )
    if finding.decided_after is None:
        return looks
    at = "" if finding.decided_at is None else f", at {moment(finding.decided_at)}"
    return f"{looks}, decided after {count(finding.decided_after)} {counted}{at}"


def outlook(
    finding: Finding, interval: float | None, counted: str, visible: str | None, *, over: bool = False
) -> str:
    """Say how much longer it may take, and what could be seen by now."""
    parts = []
    if finding.more_points is not None:
        parts.append(_longer(finding, interval, counted, over=over))
    elif finding.looks_planned is not None and finding.reason == "too_little_data":
        parts.append(_looks_so_far(finding.looks or 0, finding.looks_planned))
    if visible is not None:
        parts.append(f"the smallest regression visible now is {visible}")
    return "".join(f"; {part}" for part in parts)


def _looks_so_far(looks: int, planned: int) -> str:
    if looks == planned:
        return f"each of the {planned} planned looks came too early"
    if looks:
        return f"look {looks} of the {planned} that are planned came too early"
    return f"the first of {planned} planned looks is still to come"


def _longer(finding: Finding, interval: float | None, counted: str, *, over: bool) -> str:
    points = finding.more_points or 0
    known = interval is not None and counted != "samples"
    time = f" ({time_of(points, interval or 0.0)})" if known else ""
    if finding.looks_planned is not None:
        return f"the next look is after {more(points, counted, roughly=False)}{time}"
    size = more(points, counted)
    if finding.reason == "too_little_data":
        return f"it takes {size}{time}"
    would = "would have decided" if over else "would decide"
    return f"about {size}{time} {would} at this traffic and estimate"


METHODS: Final = {
    "robust_rank": "robust Mann-Whitney",
    "exact_rank": "exact Mann-Whitney",
    "asymptotic_rank": "Mann-Whitney",
    "bucket_rank": "robust Mann-Whitney on buckets",
    "exact_conditional": "exact conditional test",
    "score": "score test",
    "difference": "test of the difference",
    "exact_difference": "exact test of the difference",
    "mean": "t test that allows for autocorrelation",
    "mean_difference": "t test of both means that allows for autocorrelation",
    "quantile": "distribution-free test",
    "bucket_quantile": "distribution-free test of bucket counts",
    "combined": "distribution-free test of both arms",
    "paired_shares": "distribution-free test of paired points",
    "share": "binomial test that allows for autocorrelation",
    "exact_ratio": "exact binomial test",
    "exact_rate": "exact Poisson test",
    "point": "the estimate alone",
    "mixture": "stratified rate-ratio mixture",
    "cmh": "sequential Cochran-Mantel-Haenszel test",
    "scores": "sequential rank test by intervals",
    "ranks": "sequential rank test by requests",
    "betting": "bets on bounded means",
    "mean_sequence": "sequential comparison of means",
    "history": "comparison with its own history",
    "none": "no test",
}
"""Each method that a finding may name."""
_NOTABLE_DISPERSION = 1.05
"""Less is "1 times as variable", which says nothing."""


def proven_fine(finding: Finding) -> bool:
    """Tell whether a finding is a proof that the canary is no worse than tolerated."""
    return finding.outcome is Outcome.PASS and finding.reason != "nothing_found"


def evidence(finding: Finding, result: MetricResult) -> str:
    """Say by which test it was found, how strong the evidence is, and of how much."""
    method = METHODS[finding.method]
    extra = []
    if finding.probability_worse is not None and result.direction != "either":
        extra.append(f"worse in {percent(finding.probability_worse)} of pairs")
    if finding.dispersion is not None and finding.dispersion >= _NOTABLE_DISPERSION:
        extra.append(f"events {number(finding.dispersion, 2)} times as variable as independent ones")
    extra += _siblings(finding, result)
    if finding.noise_floor is not None:
        by = change(finding.noise_floor.spread, finding.scale, result.kind, result.unit)
        arms = "replicas" if result.pairing == "concurrent" else "windows"
        extra.append(f"allowing for healthy {arms} that differ by {by}")
    if finding.autocorrelation is not None and finding.autocorrelation >= 0.1:
        extra.append(f"lag-1 autocorrelation {number(finding.autocorrelation, 2)}")
    allowed = f" ({', '.join(extra)})" if extra else ""
    if finding.log_e_fail is not None:
        return f"{method}{allowed}{odds(finding)}{taken(finding, counted(result, finding))}, {amount(finding, result)}"
    used = finding.pvalue_pass if proven_fine(finding) else finding.pvalue
    said = f" {pvalue(used)}{_of_what(finding)}" if used is not None and finding.method != "point" else ""
    if proven_fine(finding) and finding.scale != "objective":
        method = f"non-inferiority by {method}"  # its p-value is for "worse than tolerated"
    return f"{method}{said}{allowed}{taken(finding, counted(result, finding))}, {amount(finding, result)}"


def _of_what(finding: Finding) -> str:
    """Say of what a p-value is that is neither a fail's nor a pass's, and so may be taken for one of any difference at all."""
    if finding.outcome is not Outcome.MARGINAL and finding.reason != "nothing_found":
        return ""
    if finding.reason == "warning":  # the sentence ends with the bound that fails
        return " for that"
    return " for a breach" if finding.scale == "objective" else " for more than tolerated"


def _siblings(finding: Finding, result: MetricResult) -> list[str]:
    """Say which replicas a change was held against, and how much they differ among themselves."""
    if finding.replicas_baseline is None:
        return []
    held = f"held against {finding.replicas_canary} v. {finding.replicas_baseline} replicas"
    if finding.replica_spread is not None:
        apart = change(finding.replica_spread, finding.scale, result.kind, result.unit)
        return [f"{held}, which differ by {apart} among themselves"]
    if finding.replica_dispersion is not None and finding.replica_dispersion >= _NOTABLE_DISPERSION:
        return [
            f"{held}, whose events vary {number(finding.replica_dispersion, 2)} times as much as chance explains"
        ]
    return [held]


def amount(finding: Finding, result: MetricResult) -> str:
    """Say how many events or observations a finding is of."""
    if finding.total_baseline is None or finding.total_canary is None:
        return sizes(finding.n_baseline, finding.n_canary, result, finding)
    if KINDS[result.kind].has_buckets:
        seen = f"{count(finding.total_canary)} v. {count(finding.total_baseline)} observations"
        return f"{seen} in {sizes(finding.n_baseline, finding.n_canary, result, finding)}"
    if KINDS[result.kind].is_rate:
        events = f"{count(finding.events_canary or 0)} v. {count(finding.events_baseline or 0)} events"
        return f"{events} in {sizes(finding.n_baseline, finding.n_canary, result, finding)}"
    events_of = (
        finding.events_canary or 0.0,
        finding.total_canary,
        finding.events_baseline or 0.0,
        finding.total_baseline,
    )
    slices = " slices" if counted_in_slices(finding) else ""
    return "{} of {} v. {} of {}{}".format(*(count(value) for value in events_of), slices)


def sizes(baseline: int, canary: int, result: MetricResult, finding: Finding | None = None) -> str:
    """Canary first, as in "canary v. baseline" everywhere."""
    return f"{count(canary)} v. {count(baseline)} {counted(result, finding)}"
