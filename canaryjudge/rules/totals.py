"""What the rules about totals share: events of both arms, made worth less where they come in bursts, and weighed against limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, Limits, tolerated, weigh_with
from canaryjudge.rules.findings import ReplicaFacts, Waiver
from canaryjudge.rules.noise_floor import Floor, falls, floor_of
from canaryjudge.rules.replicas import FEWEST_REPLICAS, lasting
from canaryjudge.rules.rows import Arm, ErrorRates, FloatArray, Pair
from canaryjudge.stats.bounds import Bounds, PValues
from canaryjudge.stats.dispersion import bursts_outlast, pooled_dispersion, temper, tempered_level
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.rates import rare_difference_pvalues, rate_ratio_bounds, rate_ratio_pvalues
from canaryjudge.stats.replicas import replica_dispersion

__all__ = [
    "Test",
    "Totals",
    "agreeing",
    "between_replicas",
    "burst_waivers",
    "bursts_outlast",
    "count_totals",
    "difference_test",
    "minus_one",
    "rate_ratio_test",
    "weigh_events",
    "weigh_totals",
]

_LONGEST_PROVEN = 0.5
"""Bursts that last longer, by the lag-1 autocorrelation of the rates, lie outside the range in which error rates are proven."""
_MOST_EVENTS = 500
"""With more events their tables are too many, and bounds of each rate good enough,"""
_SMALLEST_PVALUE = 1e-9
"""and for p-values of less the sum over tables is not fine enough."""
_NUDGE = 1e-8
"""How far, in parts of a limit, a bound lies beyond it where the test says so: a proof is strict, and findings keep ten digits."""
_FEWEST_INTERVALS = 3
"""Fewer intervals cannot show whether events come in bursts."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Events and exposures of both arms, divided by the dispersion of the events between intervals.

    Attributes
    ----------
    canary, canary_exposure, baseline, baseline_exposure : float
        What tests of independent events take.
    factor : float
        The dispersion.
    df : float
        Degrees of freedom with which it is known; infinite where there is none.
    rho : float
        Lag-1 autocorrelation of the intervals' rates, 0 where there is no dispersion: how long bursts last.
    intervals : float
        Harmonic mean of the arms' numbers of intervals.
    """

    canary: float
    canary_exposure: float
    baseline: float
    baseline_exposure: float
    factor: float
    df: float
    rho: float
    intervals: float

    @property
    def abstains(self) -> bool:
        """Whether bursts last so long that nothing can be proven."""
        return bursts_outlast(self.intervals, self.rho)

    @property
    def arms(self) -> tuple[float, float, float, float]:
        """Events and exposure of the canary, then of the baseline: the order in which the tests take them."""
        return self.canary, self.canary_exposure, self.baseline, self.baseline_exposure

    @property
    def ratio(self) -> float:
        """The canary's rate over the baseline's; 1 where neither has events."""
        if self.baseline == 0:
            return float("inf") if self.canary else 1.0
        return self.canary_rate / self.baseline_rate

    @property
    def baseline_rate(self) -> float:
        """Events per exposure of the baseline."""
        return self.baseline / self.baseline_exposure

    @property
    def canary_rate(self) -> float:
        """Events per exposure of the canary."""
        return self.canary / self.canary_exposure


@dataclass(frozen=True, slots=True)
class Test:
    """One way to test a change of totals.

    Attributes
    ----------
    method : str
        Its code in a finding.
    pvalues : callable
        Change -> p-values of "at most" and "at least" that change.
    bounds : callable
        Level -> one-sided bounds of the change.
    estimate : float
        The change.
    """

    method: str
    pvalues: Callable[[float], PValues]
    bounds: Callable[[float], Bounds]
    estimate: float


def burst_waivers(rho: float, intervals: int) -> tuple[Waiver, ...]:
    """Say what bursts, or intervals too few to see them, take from the guarantees."""
    if intervals < _FEWEST_INTERVALS:
        return ("independence_assumed",)
    return ("outside_proven_range",) if rho > _LONGEST_PROVEN else ()


def count_totals(
    baseline: Arm, canary: Arm, family: Literal["binomial", "poisson"], *, concurrent: bool
) -> Totals:
    """Add up both arms, and measure how much their events vary between intervals; an interval is the unit of exposure of an arm without totals."""
    exposed = baseline.exposures, canary.exposures
    found = pooled_dispersion(
        baseline.value,
        exposed[0],
        canary.value,
        exposed[1],
        concurrent=concurrent,
        family=family,
    )
    factor = float(found.factor)
    return Totals(
        canary=canary.events / factor,
        canary_exposure=float(exposed[1].sum()) / factor,
        baseline=baseline.events / factor,
        baseline_exposure=float(exposed[0].sum()) / factor,
        factor=factor,
        df=float(found.df),
        rho=_burst_length(baseline.value / exposed[0], canary.value / exposed[1], concurrent=concurrent)
        if factor > 1
        else 0.0,
        intervals=2 / (1 / len(baseline) + 1 / len(canary)),
    )


def _burst_length(baseline: FloatArray, canary: FloatArray, *, concurrent: bool) -> float:
    """Give the lag-1 autocorrelation of the rates."""
    if concurrent:
        return float(dependence(canary - baseline))
    n, m = len(baseline), len(canary)
    return float((n * dependence(baseline) + m * dependence(canary)) / (n + m))


def between_replicas(pair: Pair, totals: Totals) -> Totals | None:
    """Make totals worth as much less as replicas of one arm vary more than independent events; None where fewer than three replicas tell nothing."""
    arms = [lasting(arm.replicas) for arm in pair.arms]
    if min(map(len, arms)) < 1 or sum(map(len, arms)) < FEWEST_REPLICAS:
        return None
    events = [[replica.events for replica in arm] for arm in arms]
    exposures = [[replica.exposure for replica in arm] for arm in arms]
    found = replica_dispersion(*events, *exposures, family=KINDS[pair.kind].family)
    factor = float(found.factor)
    return _scaled(totals, totals.factor / factor, factor=factor, df=float(found.df), rho=0.0)


def _above_floor(
    totals: Totals, floor: Floor, rate: float, chance: float, fallen: float
) -> tuple[Totals, float]:
    """Give the same totals, worth as much less as healthy arms differ, and the part of their variance that is due to that."""
    exposures = totals.canary_exposure, totals.baseline_exposure
    scale, df = floor.of_events(rate, exposures, chance, totals.df, fallen=fallen)
    return _scaled(totals, 1 / scale, factor=totals.factor * scale, df=df), 1 - 1 / scale


def _scaled(totals: Totals, scale: float, **changes: float) -> Totals:
    """Make totals worth more or less."""
    arms = {
        name: getattr(totals, name) * scale
        for name in ("canary", "canary_exposure", "baseline", "baseline_exposure")
    }
    return replace(totals, **arms, **changes)


def rate_ratio_test(totals: Totals) -> Test:
    """Test the ratio of two rates by the exact conditional test."""
    return Test(
        method="exact_conditional",
        pvalues=lambda change: rate_ratio_pvalues(*totals.arms, 1 + change),
        bounds=lambda level: minus_one(rate_ratio_bounds(*totals.arms, level)),
        estimate=totals.ratio - 1,
    )


def difference_test(
    totals: Totals,
    pvalues: Callable[[float, float, float, float, float], PValues],
    bounds: Callable[[float, float, float, float, float], Bounds],
    *,
    rare: bool,
) -> Test:
    """Test the difference of two rates: exactly where events are few and as rare as Poisson counts, else by bounds of each rate."""
    few = (
        rare and 0 < totals.canary + totals.baseline <= _MOST_EVENTS
    )  # of no events at all, bounds of each rate are exact

    widest = bounds(*totals.arms, _SMALLEST_PVALUE) if few else None

    def chosen(change: float) -> PValues:
        exactly = widest is not None and widest.low <= change <= widest.high
        return (rare_difference_pvalues if exactly else pvalues)(*totals.arms, change)

    return Test(
        method="exact_difference" if few else "difference",
        pvalues=chosen,
        bounds=lambda level: bounds(*totals.arms, level),
        estimate=totals.canary_rate - totals.baseline_rate,
    )


def minus_one(ratio: Bounds) -> Bounds:
    """Turn bounds of a ratio into bounds of the relative change."""
    return Bounds(ratio.low - 1, ratio.high - 1)


def weigh_totals(
    pair: Pair,
    totals: Totals,
    *,
    relative: Callable[[Totals], Test],
    absolute: Callable[[Totals], Test],
) -> dict[str, Any]:
    """Weigh the change of a share or rate against the part of the tolerance that decides; as fields of an `EventsFinding`."""

    def ask(totals: Totals, limits: Limits) -> tuple[str, Evidence]:
        test = (absolute if limits.absolute else relative)(totals)
        return test.method, _evidence(test, limits, pair.rates, totals)

    return weigh_events(pair, totals, totals.baseline_rate, ask)


def weigh_events(
    pair: Pair, totals: Totals, rate: float, ask: Callable[[Totals, Limits], tuple[str, Evidence]]
) -> dict[str, Any]:
    """Weigh the evidence of a change; `rate` is the baseline's, and `ask` gives the test's code and what it says of totals that are worth less the more healthy arms differ."""
    # a ratio can be proven too large even against a baseline without events, so a level of 0 is no obstacle here
    limits = tolerated(pair, rate) or tolerated(pair, float(np.finfo(float).tiny))
    assert limits is not None  # noqa: S101 - a positive level always has limits
    pooled = (totals.canary + totals.baseline) / (totals.canary_exposure + totals.baseline_exposure)
    chance = 1 - pooled if KINDS[pair.kind].is_share else 1.0
    floor = floor_of(pair, pooled) if pooled > 0 and chance > 0 else None
    dispersed, fixed = totals, 0.0
    if floor is not None:
        fallen = float(falls(limits, rate).max())
        totals, fixed = _above_floor(totals, floor, pooled, chance, fallen)
    method, evidence = ask(totals, limits)
    between = between_replicas(pair, totals)
    facts = weigh_with(
        None if between is None else ask(between, limits)[1],
        replace(evidence, lasting=fixed),
        limits,
        pair.rates,
        pair.fewest,
    )
    if facts["outcome"] is Outcome.MARGINAL and totals.baseline == 0 and not limits.absolute:
        facts |= {"reason": Reason.NEEDS_ABSOLUTE_TOLERANCE, "more_points": None}
    return facts | {
        "method": method,
        "baseline_level": totals.baseline_rate,
        "canary_level": totals.canary_rate,
        "total_baseline": totals.baseline_exposure * totals.factor,
        "total_canary": totals.canary_exposure * totals.factor,
        "events_baseline": totals.baseline * totals.factor,
        "events_canary": totals.canary * totals.factor,
        "dispersion": dispersed.factor,
        "df": totals.df,
        "autocorrelation": totals.rho,
        "replicas": None if between is None else _siblings(pair, between),
        "waived": burst_waivers(totals.rho, pair.fewest),
        "noise_floor": floor.facts(1.0 if limits.absolute else pooled) if floor else None,
    }


def _siblings(pair: Pair, between: Totals) -> ReplicaFacts:
    baseline, canary = (len(lasting(arm.replicas)) for arm in pair.arms)
    return ReplicaFacts(baseline=baseline, canary=canary, dispersion=between.factor)


def _evidence(test: Test, limits: Limits, rates: ErrorRates, totals: Totals) -> Evidence:
    df = totals.df

    def pvalues(change: float) -> tuple[float, float]:
        raw = test.pvalues(change)
        return float(temper(raw.greater, df)), float(temper(raw.less, df))

    def bounds(level: float) -> tuple[float, float]:
        found = test.bounds(float(tempered_level(level, df)))
        return float(found.low), float(found.high)

    found = [pvalues(limit) for limit in limits.asked]
    fails, passes = (
        agreeing(bounds(level), limits.asked[part], found[part], level)
        for part, level in (
            (limits.at_fail, rates.level / len(limits.sides)),
            (limits.at_pass, rates.beta),
        )
    )
    return Evidence(
        estimate=test.estimate,
        pvalues=found,
        pvalues_none=pvalues(0.0),
        fail_bounds=fails,
        pass_bounds=passes,
        abstains=totals.abstains,
        abstains_pass=totals.abstains,
        eventless=totals.canary == totals.baseline == 0,
    )


def agreeing(
    bounds: tuple[float, float], asked: Sequence[float], pvalues: Sequence[tuple[float, float]], level: float
) -> list[tuple[float, float]]:
    """Move bounds that were not made by the test at a limit to that limit, where they would say something else than its p-values."""
    low, high = bounds
    agreed = []
    for limit, (greater, less) in zip(asked, pvalues, strict=True):
        beyond, within = limit + _NUDGE * (abs(limit) or _NUDGE), limit - _NUDGE * (abs(limit) or _NUDGE)
        agreed.append(
            (
                max(low, beyond) if greater <= level else min(low, within),
                min(high, within) if less <= level else max(high, beyond),
            )
        )
    return agreed
