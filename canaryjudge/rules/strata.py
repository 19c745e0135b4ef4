"""Events of arms that share the clock while the split of the traffic moves: compared within intervals, beside the pooled numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from canaryjudge.kinds import KINDS, KindName
from canaryjudge.rules.decision import Evidence, Limits
from canaryjudge.rules.findings import Waiver
from canaryjudge.rules.rows import Arm, Pair
from canaryjudge.rules.totals import Totals, agreeing, burst_waivers, weigh_events
from canaryjudge.stats.dispersion import temper, tempered_level
from canaryjudge.stats.stratified_events import Method, StratifiedTest, stratified_test
from canaryjudge.stats.traffic_mix import mix_weights, split_moves

__all__ = ["asks_within", "change_within", "weigh_within"]

_PROVEN_INTERVALS = 30
"""With fewer, bursts that last for the whole window are taken for an effect more often than the level says (tests/guarantees/test_event_guarantees.py)."""
_FINEST = 1e-12
"""Ratios are no finer."""


def asks_within(kind: KindName, baseline: Arm, canary: Arm, *, concurrent: bool) -> bool:
    """Tell whether events are compared within intervals: of arms that share the clock, where the split of what they are of moves."""
    requests = KINDS[kind].is_share
    return concurrent and bool(split_moves(baseline.exposures, canary.exposures, requests=requests))


def change_within(baseline: Arm, canary: Arm, kind: KindName) -> tuple[float, float]:
    """Give the logarithm of the ratio within intervals and its standard error; infinite where an arm has no event."""
    method: Method = "auto" if KINDS[kind].is_share else "exact"
    found = stratified_test(*_columns(baseline, canary), [], method=method, levels=[])
    with np.errstate(divide="ignore"):
        return float(np.log(found.estimate)), float(found.standard_error * np.sqrt(found.dispersion))


def weigh_within(pair: Pair, method: Method) -> dict[str, Any]:
    """Weigh the change within intervals; as fields of an `EventsFinding`."""
    baseline, canary = pair.arms
    weights = mix_weights(baseline.exposures, canary.exposures)
    rate = float((weights * baseline.value / baseline.exposures).sum() / weights.sum())
    pooled = Totals(
        canary=canary.events,
        canary_exposure=float(canary.exposures.sum()),
        baseline=baseline.events,
        baseline_exposure=float(baseline.exposures.sum()),
        factor=1.0,
        df=math.inf,
        rho=0.0,
        intervals=len(canary),
    )
    first: list[StratifiedTest] = []

    def ask(totals: Totals, limits: Limits) -> tuple[str, Evidence]:
        found = _tested(pair, totals, limits, method)
        first.append(found)
        return _method(found, limits), _evidence(found, pair, totals, limits)

    facts = weigh_events(pair, pooled, rate, ask)
    found = first[0]
    dispersion = float(found.dispersion)
    rho = float(found.rho) if dispersion > 1 else 0.0
    waived: tuple[Waiver, ...] = burst_waivers(rho, pair.fewest)
    if dispersion > 1 and pair.fewest < _PROVEN_INTERVALS and not waived:
        waived = ("outside_proven_range",)
    return facts | {"dispersion": dispersion, "autocorrelation": rho, "waived": waived}


def _columns(baseline: Arm, canary: Arm) -> tuple[Any, Any, Any, Any]:
    return baseline.value, baseline.exposures, canary.value, canary.exposures


def _tested(pair: Pair, totals: Totals, limits: Limits, method: Method) -> StratifiedTest:
    """Test at each limit, and last at no change."""
    at = np.array([*limits.asked, 0.0])
    return stratified_test(
        *_columns(*pair.arms),
        at if limits.absolute else 1 + at,
        measure="difference" if limits.absolute else "ratio",
        method=method,
        levels=tempered_level([pair.rates.level / len(limits.sides), pair.rates.beta], totals.df),
        times=totals.factor,
    )


def _method(found: StratifiedTest, limits: Limits) -> str:
    if limits.absolute:
        return "stratified_difference"
    return "stratified_score" if found.score else "stratified_exact"


def _evidence(found: StratifiedTest, pair: Pair, totals: Totals, limits: Limits) -> Evidence:
    none = 0.0 if limits.absolute else 1.0
    greater, less = temper(found.pvalue_greater, totals.df), temper(found.pvalue_less, totals.df)
    *pvalues, at_none = list(zip(greater.tolist(), less.tolist(), strict=True))
    fails, passes = (
        agreeing((float(low) - none, float(high) - none), limits.asked[part], pvalues[part], level)
        for low, high, (part, level) in zip(
            found.low,
            found.high,
            ((limits.at_fail, pair.rates.level / len(limits.sides)), (limits.at_pass, pair.rates.beta)),
            strict=True,
        )
    )
    return Evidence(
        estimate=_change(float(found.estimate), none),
        pvalues=pvalues,
        pvalues_none=at_none,
        fail_bounds=fails,
        pass_bounds=passes,
        abstains=bool(found.abstains),
        abstains_pass=bool(found.abstains),
        eventless=totals.canary == totals.baseline == 0,
    )


def _change(estimate: float, none: float) -> float:
    """Give the change; none where neither arm has events, and where only the last digits of a ratio say something else."""
    return 0.0 if math.isnan(estimate) or abs(estimate - none) < _FINEST * none else estimate - none
