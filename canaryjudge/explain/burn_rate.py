"""Words for error budgets: how fast one burns, over which windows, and how much of it is gone."""

from __future__ import annotations

from typing import ClassVar

from canaryjudge.explain.effects import CountedWords
from canaryjudge.explain.numbers import confidence, number, percent, set_number, span_of_time
from canaryjudge.explain.slo import LAXER, whose_doing
from canaryjudge.explain.words import words
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.burn_rate import BurnAlertFacts, BurnFacts, BurnRateFinding, BurnWindow
from canaryjudge.rules.findings import Interval

__all__: list[str] = []

_LEEWAY = 1.001


@words(BurnRateFinding)
class _BurnRateWords(CountedWords[BurnRateFinding]):
    methods: ClassVar = {
        "exact_ratio": "exact binomial test",
        "share": "binomial test that allows for autocorrelation",
    }

    def found(self) -> str:
        """Say how fast the canary burns its budget, what that is held against, and what it means for the budget; what is held against what comes first."""
        burn = self.finding.burn
        if burn is None:
            return ""
        deciding = next(alert for alert in burn.alerts if alert.decides)
        verdict = self._verdict(burn, deciding)
        return verdict if self.brief else "; ".join([verdict, *_unasked(burn), *_budget(burn)])

    def main_number(self) -> tuple[str, str]:
        """Give the burn rate."""
        return f"{number(self.finding.estimate or 0.0)} × the allowed burn", ""

    def held_against(self) -> str:
        """Give the burn rate that is too fast."""
        return f"limit {self.limit(self.finding.limit_high or 0.0)}" if self._has_limit else ""

    def limit(self, value: float) -> str:
        """Write a burn rate that is too fast."""
        return f"{set_number(value)} ×"

    def interval(self) -> str:
        """Give no interval: each window has its own."""
        return ""

    def other_limit(self) -> str:
        """Say that the objective may be laxer."""
        return LAXER

    def turning_points(self) -> list[str]:
        """Say nothing: several windows decide together."""
        return []

    def amount(self) -> str:
        """Say how many events or slices of time it is of."""
        burn = self.finding.burn
        in_slices = burn is not None and burn.budgeting != "occurrences" and not self.kind.has_buckets
        return f"{super().amount()}{' slices' if in_slices else ''}"

    def _verdict(self, burn: BurnFacts, alert: BurnAlertFacts) -> str:
        finding = self.finding
        windows = [window for window in (alert.long, alert.short) if window is not None]
        limit = set_number(alert.burn_rate)
        first, *rest = (
            _rate(window, None if self.brief else finding, timed=burn.span_s is not None)
            for window in windows
        )
        what = f"canary burns its error budget at {first[0]} times the allowed rate{first[1]}"
        what += "".join(f" and at {rate} times{where}" for rate, where in rest)
        baseline = number(burn.baseline_burn_rate or 0.0)
        if finding.reason is Reason.BREACHED:
            return f"{what}, beyond {limit} (baseline {baseline})"
        if finding.reason is Reason.ENVIRONMENT_UNHEALTHY:
            return f"{what}, beyond {limit}, but so does the baseline with {baseline}: {whose_doing(finding)}"
        if finding.reason is Reason.OBJECTIVE_MET:
            return f"{what}, within {limit}"
        if finding.reason is Reason.ABSTAINS:
            return f"{what}: its bursts last too long for so few intervals to prove whether it stays within {limit}"
        return f"{what}: whether it stays within {limit} is not proven{self.missing()}"


def _rate(window: BurnWindow, finding: BurnRateFinding | None, *, timed: bool) -> tuple[str, str]:
    """Give a window's burn rate, and its interval (where it is the telling window of a finding) with the time that it covers."""
    ci = ""
    if finding is not None and (window.interval, window.burn_rate) == (finding.interval, finding.estimate):
        interval = window.pass_interval if finding.outcome is Outcome.PASS else window.interval
        ci = f" ({_span(interval)})"
    if not timed or window.covered_s is None:
        return number(window.burn_rate or 0.0), f"{ci} over all its data, which have no times"
    asked = window.window_s or 0.0
    of = f" (of {span_of_time(asked)})" if window.covered_s * _LEEWAY < asked else ""
    return number(window.burn_rate or 0.0), f"{ci} over {span_of_time(window.covered_s)}{of}"


def _span(interval: Interval) -> str:
    low = number(interval.low or 0.0)
    ends = f"{low} or more" if interval.high is None else f"{low} to {number(interval.high)}"
    return f"{confidence(interval.confidence_level)} {ends}"


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
