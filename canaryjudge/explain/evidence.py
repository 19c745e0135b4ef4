"""Words for evidence: odds, looks, how much longer a watch may take, and how much was counted."""

from __future__ import annotations

from canaryjudge.explain.numbers import count, moment, number, odds_against, odds_for
from canaryjudge.kinds import Kind
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.findings import Finding, WatchFacts

__all__ = ["amount", "looks_so_far", "notable", "odds", "proven_fine", "taken"]

_NOTABLE_DISPERSION = 1.05
"""Less is "1 times as variable", which says nothing."""


def proven_fine(finding: Finding) -> bool:
    """Tell whether a finding is a proof that the canary is no worse than tolerated."""
    return finding.outcome is Outcome.PASS and finding.reason is not Reason.NOTHING_FOUND


def notable(dispersion: float | None) -> str:
    """Write how many times as variable something is; nothing where that is hardly more than once."""
    return "" if dispersion is None or dispersion < _NOTABLE_DISPERSION else f"{number(dispersion, 2)} times"


def odds(finding: Finding, watch: WatchFacts) -> str:
    """Say how strong the evidence is, and what would do."""
    harm = f"of harm {odds_for(watch.log_e_fail)} ({odds_against(finding.level)} fails)"
    harmlessness = f"of harmlessness {odds_for(watch.log_e_pass)} ({odds_against(finding.beta)} passes)"
    if finding.outcome is Outcome.FAIL:
        return f", evidence {harm}"
    if finding.outcome is Outcome.PASS:
        return f", evidence {harmlessness}"
    return f", evidence {harm}, {harmlessness}"


def taken(watch: WatchFacts, counted: str) -> str:
    """Say at which planned look it is, and when it was decided."""
    looks = (
        f", look {watch.looks} of {watch.looks_planned}"
        if watch.looks and watch.looks_planned is not None
        else ""
    )
    if watch.decided_after is None:
        return looks
    at = "" if watch.decided_at is None else f", at {moment(watch.decided_at)}"
    return f"{looks}, decided after {count(watch.decided_after)} {counted}{at}"


def looks_so_far(watch: WatchFacts) -> str:
    """Say which of the planned looks came too early; nothing where none are planned."""
    looks, planned = watch.looks or 0, watch.looks_planned
    if planned is None:
        return ""
    if looks == planned:
        return f"all {planned} planned looks are used up, and none had points enough"
    if looks:
        return f"{looks} of {planned} planned looks {'is' if looks == 1 else 'are'} used up, and none had points enough"
    return f"the first of {planned} planned looks is still to come"


def amount(
    kind: Kind,
    totals: tuple[float | None, float | None],
    events: tuple[float | None, float | None],
    sizes: str,
) -> str:
    """Say how many events or observations a finding is of, the canary's first."""
    canary, baseline = totals
    if canary is None or baseline is None:
        return sizes
    if kind.has_buckets:
        return f"{count(canary)} v. {count(baseline)} observations in {sizes}"
    if kind.is_rate:
        return f"{count(events[0] or 0)} v. {count(events[1] or 0)} events in {sizes}"
    return f"{count(events[0] or 0.0)} of {count(canary)} v. {count(events[1] or 0.0)} of {count(baseline)}"
