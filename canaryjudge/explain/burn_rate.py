"""Words for error budgets: how fast one burns, over which windows, and how much of it is gone."""

from __future__ import annotations

from canaryjudge.explain.numbers import confidence, number, percent, set_number, span_of_time
from canaryjudge.explain.slo import whose_doing
from canaryjudge.reasons import Outcome
from canaryjudge.rules.burn_rate import BurnAlertFacts, BurnFacts, BurnWindow
from canaryjudge.rules.findings import Finding, Interval

__all__ = ["burn_found", "counted_in_slices"]

_LEEWAY = 1.001


def burn_found(finding: Finding, burn: BurnFacts, missing: str) -> str:
    """Say how fast the canary burns its budget, what that is held against, and what it means for the budget; what is held against what comes first."""
    deciding = next(alert for alert in burn.alerts if alert.decides)
    parts = [_verdict(finding, burn, deciding, missing), *_unasked(burn), *_budget(burn)]
    return "; ".join(parts)


def counted_in_slices(finding: Finding) -> bool:
    """Tell whether what is counted are slices of time, not events."""
    return finding.burn is not None and finding.burn.budgeting != "occurrences"


def _verdict(finding: Finding, burn: BurnFacts, alert: BurnAlertFacts, missing: str) -> str:
    windows = [window for window in (alert.long, alert.short) if window is not None]
    limit = set_number(alert.burn_rate)
    first, *rest = (_rate(window, finding, timed=burn.span_s is not None) for window in windows)
    what = " and ".join([f"canary burns its error budget at {first[0]} times the allowed rate{first[1]}"])
    what += "".join(f" and at {rate} times{where}" for rate, where in rest)
    baseline = number(burn.baseline_burn_rate or 0.0)
    if finding.reason == "breached":
        return f"{what}, beyond {limit} (baseline {baseline})"
    if finding.reason == "environment_unhealthy":
        return f"{what}, beyond {limit}, but so does the baseline with {baseline}: {whose_doing(finding)}"
    if finding.reason == "objective_met":
        return f"{what}, within {limit}"
    if finding.reason == "abstains":
        return (
            f"{what}: its bursts last too long for so few intervals to prove whether it stays within {limit}"
        )
    return f"{what}: whether it stays within {limit} is not proven{missing}"


def _rate(window: BurnWindow, finding: Finding, *, timed: bool) -> tuple[str, str]:
    """Give a window's burn rate, and its interval (where it is the telling window) with the time that it covers."""
    tells = window.interval == finding.interval and window.burn_rate == finding.estimate
    interval = window.pass_interval if finding.outcome is Outcome.PASS else window.interval
    ci = f" ({_span(interval)})" if tells else ""
    if not timed or window.covered_s is None:
        return number(window.burn_rate or 0.0), f"{ci} over all its data, which have no times"
    asked = window.window_s or 0.0
    of = f" (of {span_of_time(asked)})" if window.covered_s * _LEEWAY < asked else ""
    return number(window.burn_rate or 0.0), f"{ci} over {span_of_time(window.covered_s)}{of}"


def _span(interval: Interval) -> str:
    low = number(interval.low or 0.0)
    ends = f"{low} or more" if interval.high is None else f"{low} to {number(interval.high)}"
    return f"{confidence(interval.confidence_level)} % CI {ends}"


def _unasked(burn: BurnFacts) -> list[str]:
    if burn.span_s is None:
        rates = [alert.burn_rate for alert in burn.alerts]
        held = f"a fail is held against {set_number(max(rates))} and a pass against {set_number(min(rates))}"
        return [f"as nobody knows how long they are, {held}"]
    left_out = [
        f"{set_number(alert.burn_rate)} over {span_of_time(alert.long_s)}"
        for alert in burn.alerts
        if not alert.asked
    ]
    return [f"not asked of so short data: {', '.join(left_out)}"] if left_out else []


def _budget(burn: BurnFacts) -> list[str]:
    period = f"the budget of {span_of_time(burn.period_s)}"
    said = []
    if burn.budget_used is not None:
        traffic = " (for the traffic of both arms)" if burn.traffic_extrapolated else ""
        said.append(f"it has used {percent(burn.budget_used)} of {period}{traffic}")
    if burn.budget_at_full_traffic is not None:
        part = percent(burn.budget_at_full_traffic)
        of = "" if said else f" of {period}"
        said.append(f"at 100 % of the traffic it would have used {part}{of}")
    joined = [" and ".join(said)] if said else []
    if burn.budget_by_period_end is not None and burn.period_left_s is not None:
        left = span_of_time(burn.period_left_s)
        joined.append(f"until the period ends in {left} it would use {percent(burn.budget_by_period_end)}")
    if burn.hours_to_exhaustion is not None and burn.hours_to_exhaustion * 3600 < burn.period_s:
        joined.append(f"the whole budget would be gone in {span_of_time(burn.hours_to_exhaustion * 3600)}")
    return joined
