"""What the rules about totals share: events of both arms, made worth less where they come in bursts, and weighed against limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, EvidenceRows, LimitRows
from canaryjudge.rules.findings import ReplicaFacts, Waiver
from canaryjudge.rules.noise_floor import FloorRows, falls
from canaryjudge.rules.registry import Columns
from canaryjudge.rules.replicas import FEWEST_REPLICAS, lasting
from canaryjudge.rules.rows import Arm, Arms, BoolArray, FloatArray, Pair, Rows
from canaryjudge.stats.bounds import Bounds, PValues
from canaryjudge.stats.dispersion import bursts_outlast, pooled_dispersion, temper, tempered_level
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.rates import rare_difference_pvalues, rate_ratio_bounds, rate_ratio_pvalues
from canaryjudge.stats.replicas import replica_dispersion

__all__ = [
    "EXACT_RATIO",
    "Method",
    "Methods",
    "Totals",
    "agreeing",
    "between_replicas",
    "burst_waivers",
    "count_totals",
    "minus_one",
    "pooled",
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
    """Events and exposures of both arms, divided by the dispersion of the events between intervals; numbers, or one a row.

    Attributes
    ----------
    canary, canary_exposure, baseline, baseline_exposure : ndarray, shape (...)
        What tests of independent events take.
    factor : ndarray, shape (...)
        The dispersion.
    df : ndarray, shape (...)
        Degrees of freedom with which it is known; infinite where there is none.
    rho : ndarray, shape (...)
        Lag-1 autocorrelation of the intervals' rates, 0 where there is no dispersion: how long bursts last.
    intervals : float
        Harmonic mean of the arms' numbers of intervals.
    """

    canary: FloatArray
    canary_exposure: FloatArray
    baseline: FloatArray
    baseline_exposure: FloatArray
    factor: FloatArray
    df: FloatArray
    rho: FloatArray
    intervals: float

    def __getitem__(self, rows: BoolArray) -> Totals:
        names = [name for name in Totals.__slots__ if name != "intervals"]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def abstains(self) -> BoolArray:
        """Whether bursts last so long that nothing can be proven."""
        return bursts_outlast(self.intervals, self.rho)

    @property
    def arms(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Events and exposure of the canary, then of the baseline: the order in which the tests take them."""
        return self.canary, self.canary_exposure, self.baseline, self.baseline_exposure

    @property
    def ratio(self) -> FloatArray:
        """The canary's rate over the baseline's; 1 where neither has events."""
        some = self.baseline > 0
        none = np.where(self.canary > 0, np.inf, 1.0)
        return np.where(some, self.canary_rate / np.where(some, self.baseline_rate, 1.0), none)

    @property
    def baseline_rate(self) -> FloatArray:
        """Events per exposure of the baseline."""
        return self.baseline / self.baseline_exposure

    @property
    def canary_rate(self) -> FloatArray:
        """Events per exposure of the canary."""
        return self.canary / self.canary_exposure

    @property
    def eventless(self) -> BoolArray:
        """Whether neither arm has an event."""
        return np.asarray((self.canary == 0) & (self.baseline == 0))


class Method(NamedTuple):
    """One way to test a change of totals, both of which take events and exposure of the canary and the baseline."""

    code: str
    """Its code in a finding."""
    pvalues: Callable[..., PValues]
    """With a change: p-values of "at most" and "at least" that change."""
    bounds: Callable[..., Bounds]
    """With a level: one-sided bounds of the change."""


def burst_waivers(rho: float, intervals: int) -> tuple[Waiver, ...]:
    """Say what bursts, or intervals too few to see them, take from the guarantees."""
    if intervals < _FEWEST_INTERVALS:
        return ("independence_assumed",)
    return ("outside_proven_range",) if rho > _LONGEST_PROVEN else ()


def count_totals(
    baseline: Arm | Arms, canary: Arm | Arms, family: Literal["binomial", "poisson"], *, concurrent: bool
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
    factor = np.asarray(found.factor)
    rho = _burst_length(baseline.value / exposed[0], canary.value / exposed[1], concurrent=concurrent)
    n, m = baseline.value.shape[-1], canary.value.shape[-1]
    return Totals(
        canary=canary.value.sum(axis=-1) / factor,
        canary_exposure=exposed[1].sum(axis=-1) / factor,
        baseline=baseline.value.sum(axis=-1) / factor,
        baseline_exposure=exposed[0].sum(axis=-1) / factor,
        factor=factor,
        df=np.asarray(found.df),
        rho=np.where(factor > 1, rho, 0.0),
        intervals=2 / (1 / n + 1 / m),
    )


def _burst_length(baseline: FloatArray, canary: FloatArray, *, concurrent: bool) -> FloatArray:
    """Give the lag-1 autocorrelation of the rates."""
    if concurrent:
        return dependence(canary - baseline)
    n, m = baseline.shape[-1], canary.shape[-1]
    return np.asarray((n * dependence(baseline) + m * dependence(canary)) / (n + m))


def between_replicas(pair: Pair, totals: Totals) -> Totals | None:
    """Make totals of one pair worth as much less as replicas of one arm vary more than independent events; None where fewer than three replicas tell nothing."""
    arms = [lasting(arm.replicas) for arm in pair.arms]
    if min(map(len, arms)) < 1 or sum(map(len, arms)) < FEWEST_REPLICAS:
        return None
    events = [[replica.events for replica in arm] for arm in arms]
    exposures = [[replica.exposure for replica in arm] for arm in arms]
    found = replica_dispersion(*events, *exposures, family=KINDS[pair.kind].family)
    one = np.ones_like(totals.factor)
    factor = one * float(found.factor)
    scaled = _scaled(totals, totals.factor / factor)
    return replace(scaled, factor=factor, df=one * float(found.df), rho=0 * one)


def _above_floor(
    totals: Totals, floor: FloorRows, rate: FloatArray, chance: FloatArray, fallen: FloatArray
) -> tuple[Totals, FloatArray]:
    """Give the same totals, worth as much less as healthy arms differ, and the part of their variance that is due to that."""
    exposures = totals.canary_exposure, totals.baseline_exposure
    scale, df = floor.of_events(rate, exposures, chance, totals.df, fallen=fallen)
    return replace(_scaled(totals, 1 / scale), factor=totals.factor * scale, df=df), 1 - 1 / scale


def _scaled(totals: Totals, scale: FloatArray) -> Totals:
    """Make totals worth more or less."""
    return replace(
        totals,
        canary=totals.canary * scale,
        canary_exposure=totals.canary_exposure * scale,
        baseline=totals.baseline * scale,
        baseline_exposure=totals.baseline_exposure * scale,
    )


Asks = Callable[[Rows, Totals, LimitRows], tuple[list[str], EvidenceRows]]


def weigh_events(rows: Rows, totals: Totals, rate: FloatArray, ask: Asks, found: Columns) -> None:
    """Weigh the evidence of a change; `rate` is the baselines', and `ask` gives the tests' codes and what they say of totals that are worth less the more healthy arms differ."""
    # a ratio can be proven too large even against a baseline without events, so a level of 0 is no obstacle here
    nothing_tolerated = (rate == 0) & np.isnan(rows.tolerance.absolute)
    limits = LimitRows.of(rows, np.where(nothing_tolerated, np.finfo(float).tiny, rate))
    share = (totals.canary + totals.baseline) / (totals.canary_exposure + totals.baseline_exposure)
    chance = 1 - share if KINDS[rows.kind].is_share else np.ones_like(share)
    floor = FloorRows.of(rows, share)
    possible = (share > 0) & (chance > 0)
    floor = replace(floor, spread=floor.spread * possible, each_fallen=floor.each_fallen * possible)
    dispersed = totals
    fallen = falls(limits, rate).max(axis=1)
    totals, fixed = _above_floor(totals, floor, share, chance, fallen)
    methods, evidence = ask(rows, totals, limits)
    told: list[Evidence | None] = [None] * len(rows)
    replicas: list[ReplicaFacts | None] = [None] * len(rows)
    for row in np.flatnonzero(rows.replicated).tolist():
        one, pair = np.arange(len(rows)) == row, rows.pair(row)
        between = between_replicas(pair, totals[one])
        if between is not None:
            told[row] = ask(rows[one], between, limits[one])[1].row(0, limits.row(row))
            replicas[row] = _siblings(pair, between)
    found.put(
        method=methods,
        baseline_level=totals.baseline_rate,
        canary_level=totals.canary_rate,
        total_baseline=totals.baseline_exposure * totals.factor,
        total_canary=totals.canary_exposure * totals.factor,
        events_baseline=totals.baseline * totals.factor,
        events_canary=totals.canary * totals.factor,
        dispersion=dispersed.factor,
        df=totals.df,
        autocorrelation=totals.rho,
        replicas=replicas,
        waived=[burst_waivers(rho, rows.fewest) for rho in totals.rho.tolist()],
        noise_floor=floor.facts(np.where(limits.absolute, 1.0, np.where(floor.some, share, 1.0))),
    )
    found.zones(rows, limits, replace(evidence, lasting=fixed), told)
    found.revise(
        found.are(Outcome.MARGINAL) & (totals.baseline == 0) & ~limits.absolute,
        reason=Reason.NEEDS_ABSOLUTE_TOLERANCE,
        more_points=None,
    )


def _siblings(pair: Pair, between: Totals) -> ReplicaFacts:
    baseline, canary = (len(lasting(arm.replicas)) for arm in pair.arms)
    return ReplicaFacts(baseline=baseline, canary=canary, dispersion=float(between.factor[0]))


class Methods(NamedTuple):
    """How changes of totals are tested."""

    rare: float
    """Up to this share of events they are as rare as Poisson counts: the ratio is then tested by the exact conditional test, and the difference exactly where they are few as well."""
    ratio: Method
    """Of their ratio, where they are not."""
    difference: Method
    """Of their difference, where they are not or are many."""


EXACT_RATIO: Final = Method(
    "exact_conditional",
    lambda xc, nc, xb, nb, change: rate_ratio_pvalues(xc, nc, xb, nb, 1 + change),
    lambda *totals: minus_one(rate_ratio_bounds(*totals)),
)


def minus_one(ratio: Bounds) -> Bounds:
    """Turn bounds of a ratio into bounds of the relative change."""
    return Bounds(ratio.low - 1, ratio.high - 1)


def weigh_totals(rows: Rows, totals: Totals, methods: Methods, found: Columns) -> None:
    """Weigh the change of shares or rates against the part of the tolerance that decides."""
    weigh_events(rows, totals, totals.baseline_rate, partial(pooled, methods), found)


def pooled(methods: Methods, rows: Rows, totals: Totals, limits: LimitRows) -> tuple[list[str], EvidenceRows]:
    """Test each row as its events ask for."""
    events, exposure = totals.canary + totals.baseline, totals.canary_exposure + totals.baseline_exposure
    rare, absolute = events / exposure <= methods.rare, limits.absolute
    # of no events at all, bounds of each rate are exact
    few = rare & (events > 0) & (events <= _MOST_EVENTS)
    ways = (
        (absolute & few, _few_differences(methods.difference)),
        (absolute & ~few, methods.difference),
        (~absolute & rare, EXACT_RATIO),
        (~absolute & ~rare, methods.ratio),
    )
    codes, sides = [""] * len(rows), len(limits.sides)
    pvalues, none = np.empty((len(rows), 2 * sides, 2)), np.empty((len(rows), 2))
    fails, passes = np.empty((len(rows), sides, 2)), np.empty((len(rows), sides, 2))
    for chosen, method in ways:
        if not chosen.any():
            continue
        for row in np.flatnonzero(chosen).tolist():
            codes[row] = method.code
        own, ends = totals[chosen], limits[chosen]
        at, df = [arm[:, None] for arm in own.arms], own.df[:, None]

        def tested(change: FloatArray, of: Any = slice(None)) -> FloatArray:
            raw = method.pvalues(*(arm[of] for arm in at), change)  # noqa: B023 - asked at once
            return np.stack([temper(raw.greater, df[of]), temper(raw.less, df[of])], axis=-1)  # noqa: B023

        at_fail = tested(ends.ends)
        at_pass = at_fail.copy()
        if ends.wider.any():
            at_pass[ends.wider] = tested(ends.pass_ends[ends.wider], ends.wider)
        # what no change would say counts where nothing is decided
        up = limits.signs > 0
        fails_by = np.where(up, at_fail[..., 0], at_fail[..., 1]) <= rows.rates.level / sides
        passes_by = np.where(up, at_pass[..., 1], at_pass[..., 0]) <= rows.rates.beta
        left = ~(fails_by.any(axis=1) | passes_by.all(axis=1)) | np.array(rows.replicated)[chosen]
        at_none = np.ones((len(left), 2))
        if left.any():
            at_none[left] = tested(np.zeros((int(left.sum()), 1)), left)[:, 0]
        none[chosen] = at_none
        pvalues[chosen] = np.concatenate([at_fail, at_pass], axis=1)
        for bounds, limit, found, level in (
            (fails, ends.ends, at_fail, rows.rates.level / sides),
            (passes, ends.pass_ends, at_pass, rows.rates.beta),
        ):
            reach = method.bounds(*own.arms, tempered_level(level, own.df))
            bounds[chosen] = agreeing(np.stack([reach.low, reach.high], axis=-1), limit, found, level)
    return codes, EvidenceRows(
        estimate=np.where(absolute, totals.canary_rate - totals.baseline_rate, totals.ratio - 1),
        pvalues=pvalues,
        pvalues_none=none,
        fail_bounds=fails,
        pass_bounds=passes,
        abstains=totals.abstains,
        abstains_pass=totals.abstains,
        eventless=totals.eventless,
        lasting=np.zeros(len(rows)),
    )


def _few_differences(otherwise: Method) -> Method:
    """Test the difference of few events exactly, but where p-values are so small that the sum over tables is not fine enough."""

    def pvalues(
        xc: FloatArray, nc: FloatArray, xb: FloatArray, nb: FloatArray, change: FloatArray
    ) -> PValues:
        widest = otherwise.bounds(xc, nc, xb, nb, _SMALLEST_PVALUE)
        exactly = (widest.low <= change) & (change <= widest.high)
        totals = np.broadcast_arrays(xc, nc, xb, nb, change)
        greater, less = np.empty(change.shape), np.empty(change.shape)
        for chosen, way in ((exactly, rare_difference_pvalues), (~exactly, otherwise.pvalues)):
            if chosen.any():
                found = way(*(part[chosen] for part in totals))
                greater[chosen], less[chosen] = found.greater, found.less
        return PValues(greater, less)

    return Method("exact_difference", pvalues, otherwise.bounds)


def agreeing(bounds: FloatArray, limits: FloatArray, pvalues: FloatArray, level: float) -> FloatArray:
    """Move bounds that were not made by the test at a limit to that limit, where they would say something else than its p-values; shapes (rows, 2), (rows, k) and (rows, k, 2), the result (rows, k, 2)."""
    low, high = bounds[:, :1], bounds[:, 1:]
    nudge = _NUDGE * np.where(limits == 0, _NUDGE, np.abs(limits))
    beyond, within = limits + nudge, limits - nudge
    greater, less = pvalues[..., 0] <= level, pvalues[..., 1] <= level
    return np.stack(
        [
            np.where(greater, np.maximum(low, beyond), np.minimum(low, within)),
            np.where(less, np.minimum(high, within), np.maximum(high, beyond)),
        ],
        axis=-1,
    )
