"""Is the canary's distribution shifted? The robust two-sample rank test; of histograms, that of bucket counts; of gauges on one clock, minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, Limits, tolerated, weigh_with
from canaryjudge.rules.findings import Facts, LevelFinding, NoiseFloorFacts, Number, Waiver
from canaryjudge.rules.minute_by_minute import compare_minutes, shares_minutes
from canaryjudge.rules.noise_floor import Floor, falls, floor_of, part_that_lasts
from canaryjudge.rules.registry import Columns, rule
from canaryjudge.rules.replicas import Yardstick, least, yardstick
from canaryjudge.rules.rows import Arm, FloatArray, Pair, Rows
from canaryjudge.rules.settings import AskedMetric, RuleSettings
from canaryjudge.settings import Problem
from canaryjudge.stats.bucket_distributions import BucketBands, bucket_quantile
from canaryjudge.stats.bucket_rank_test import FEWEST_INTERVALS, BucketShift, bucket_shift_test
from canaryjudge.stats.quantiles import median
from canaryjudge.stats.rank_test import ShiftTest, shift_test
from canaryjudge.stats.replicas import LastingNoise
from canaryjudge.stats.traffic_mix import same_mix, split_moves

__all__ = ["BucketFacts", "MannWhitney", "ShiftFinding", "judge"]

_FEWEST_POINTS = 6
"""Fewer points say nothing of how they depend on each other; of histograms, fewer observations."""
_PROVEN_POINTS = 20
_PROVEN_EFFECTIVE_POINTS = 4.0
"""The error rates of the robust test are proven by simulation down to these (tests/guarantees)."""


class MannWhitney(RuleSettings):
    """Is the canary's distribution shifted? The two-sample rank test, robust to autocorrelation."""

    kinds: ClassVar[tuple[str, ...]] = ("gauge", "samples", "ratio", "histogram")
    finds_gross_harm: ClassVar[bool] = True

    rule: Literal["mann_whitney"] = "mann_whitney"
    """The rule's name."""
    method: Literal["robust", "exact", "asymptotic"] = "robust"
    """`robust` estimates how strongly neighboring points depend on each other and allows for it; gauges whose arms share the clock it compares minute by minute. `exact` (small samples
    without ties) and `asymptotic` are the textbook test: they take every point as independent, which the verdict lists as waived. Histograms,
    whose observations are known by their buckets, are always compared by `robust`, interval by interval."""

    def misfits(self, metric: AskedMetric) -> Iterator[Problem]:
        """Find what does not fit a metric; paths start at the rule."""
        yield from super().misfits(metric)
        if KINDS[metric.kind].has_buckets and self.method != "robust":
            advice = "Leave method out: histograms are compared interval by interval."
            yield Problem(("method",), f"method: {self.method} does not fit kind: histogram", advice)


class BucketFacts(Facts):
    """A bucket of a histogram, and how much of an arm lies in it."""

    low: Number
    """Its lower edge; None where it is open."""
    high: Number
    """Its upper edge, inclusive; None where it is open."""
    share: float
    """The share of an arm's observations that lie in it."""


class ShiftFinding(LevelFinding):
    """Whether the canary is shifted."""

    rule: Literal["mann_whitney"]
    """The rule's name."""
    statistic: Number = None
    """The test's statistic at the limit; of `pairs` how many standard errors the estimate lies beyond it."""
    df: Number = None
    """Degrees of freedom of its t distribution, where it has one."""
    total_baseline: Number = None
    """Of histograms: observations of the baseline."""
    total_canary: Number = None
    """Observations of the canary."""
    fullest_bucket: BucketFacts | None = None
    """Of histograms whose buckets are too coarse to see a change of the size of the limit: the one that holds the largest share of an arm."""


@rule(MannWhitney, ShiftFinding)
def judge(rows: Rows, settings: MannWhitney, found: Columns) -> None:
    """Judge whether the canary is shifted beyond the tolerance; of a ratio, the shares of the intervals are compared."""
    if KINDS[rows.kind].has_buckets:
        found.take([_bucket_shift(pair) for pair in rows])
        return
    baseline, canary = rows.baseline.levels, rows.canary.levels
    level = _medians(baseline)
    found.put(baseline_level=level, canary_level=_medians(canary))
    same = (np.ptp(baseline, axis=1) == 0) & (np.ptp(canary, axis=1) == 0) & (baseline[:, 0] == canary[:, 0])
    found.settle(same, Outcome.PASS, Reason.IDENTICAL, estimate=0.0, probability_worse=0.5, pvalue=1.0)
    if settings.method == "robust" and shares_minutes(rows):
        compare_minutes(rows, found, level)
        return
    if rows.logarithmic:
        found.settle(least(rows) <= 0, Outcome.MARGINAL, Reason.ABSTAINS, method="not_positive")
    if settings.method != "robust":  # the textbook's tests take the points at their word
        rows = replace(rows, assumed_spread=0.0)
    nothing_tolerated = (level == 0) & np.isnan(rows.tolerance.absolute)
    found.settle(nothing_tolerated, Outcome.MARGINAL, Reason.NEEDS_ABSOLUTE_TOLERANCE)
    if settings.method == "robust" and min(baseline.shape[1], canary.shape[1]) < _FEWEST_POINTS:
        found.settle(found.open, Outcome.MARGINAL, Reason.TOO_LITTLE_DATA)
    asked = rows[found.open]
    changes = [
        _Change.of(pair, middle) for pair, middle in zip(asked, level[found.open].tolist(), strict=True)
    ]
    tests = _tests(asked, changes, settings)
    told = [change.told_by(test) for change, test in zip(changes, tests, strict=True)]
    held = [change.held_against_replicas(test) for change, test in zip(changes, tests, strict=True)]
    waived = [
        tuple(dict.fromkeys((*_waived(test, asked), *(siblings.waived if siblings else ()))))
        for test, siblings in zip(tests, held, strict=True)
    ]
    found.put(
        method=[f"{test.method}_rank" for test in tests],
        statistic=[float(test.statistic[0]) for test in tests],
        df=[float(test.df[0]) for test in tests],
        probability_worse=[
            float(test.probability_greater if 1 in rows.sides else 1 - test.probability_greater)
            for test in tests
        ],
        autocorrelation=[float(test.rho) for test in tests],
        waived=waived,
        replicas=[
            siblings.facts(change.unit) if siblings else None
            for siblings, change in zip(held, changes, strict=True)
        ],
        noise_floor=[change.floor_facts for change in changes],
    )
    found.zones(
        asked,
        [change.limits for change in changes],
        told,
        [
            siblings.evidence(change.effect, change.limits) if siblings else None
            for siblings, change in zip(held, changes, strict=True)
        ],
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """What one row is asked: the tolerated changes as shifts of the points that are compared.

    Attributes
    ----------
    pair : Pair
        The row.
    limits : Limits
        What is tolerated.
    unit : float
        What shifts are divided by to be in the scale of the limits.
    level_unit : float
        What the metric's unit is divided by to be that of the shifts.
    shifts : ndarray, shape (k + 1,)
        What is asked of the limits, as shifts; last, no change.
    scales : ndarray, shape (k + 1,)
        What the baseline's noise is multiplied by at each.
    falls : ndarray, shape (k + 1,)
        By how much the level has fallen there, in the metric's unit.
    floor : Floor or None
        The noise floor.
    """

    pair: Pair
    limits: Limits
    unit: float
    level_unit: float
    shifts: FloatArray
    scales: FloatArray
    falls: FloatArray
    floor: Floor | None

    @classmethod
    def of(cls, pair: Pair, level: float) -> _Change:
        """Ask a row whose baseline has this median."""
        limits = tolerated(pair, level)
        assert limits is not None  # noqa: S101 - rows of which nothing can be said are settled
        unit = 1.0 if limits.absolute or pair.logarithmic else abs(level)
        sizes = limits.asked
        at = [float(np.log1p(size)) if pair.logarithmic else size * unit for size in sizes]
        relative = not limits.absolute and not pair.logarithmic
        # c - b - limit |b| is c - (1 + limit) b, or c - (1 - limit) b where b is negative
        scales = [1 + size * np.sign(level) if relative else 1.0 for size in sizes]
        return cls(
            pair,
            limits,
            unit,
            abs(level) if pair.logarithmic else 1.0,
            np.array([*at, 0.0]),
            np.array([*scales, 1.0]),
            falls(limits, level),
            floor_of(pair, level),
        )

    @property
    def levels(self) -> tuple[float, float]:
        """Error rates of the bounds."""
        return self.pair.rates.level / len(self.limits.sides), self.pair.rates.beta

    @property
    def lasting(self) -> FloatArray:
        """The noise floor at each limit, as a shift; 0 where there is none."""
        if self.floor is None:
            return np.zeros_like(self.scales)
        return self.floor.noise(self.scales, self.falls, self.level_unit).standard_error

    def effect(self, shift: Any) -> float:
        """Put a shift into the scale of the limits."""
        with np.errstate(over="ignore"):
            return float(np.expm1(shift)) if self.pair.logarithmic else float(shift) / self.unit

    def told_by(self, test: ShiftTest) -> Evidence:
        """Put what the test says into the scale of the limits; it was asked at each limit, and last at no change."""
        asked = range(len(self.limits.asked))
        at, at_pass = asked[self.limits.at_fail], asked[self.limits.at_pass]
        return Evidence(
            estimate=self.effect(test.estimate),
            pvalues=[(float(test.pvalue_greater[i]), float(test.pvalue_less[i])) for i in asked],
            pvalues_none=(float(test.pvalue_greater[-1]), float(test.pvalue_less[-1])),
            fail_bounds=[(self.effect(test.low[i, 0]), self.effect(test.high[i, 0])) for i in at],
            pass_bounds=[(self.effect(test.low[i, 1]), self.effect(test.high[i, 1])) for i in at_pass],
            abstains=bool(test.abstains[:-1][self.limits.at_fail, 0].any()),
            abstains_pass=bool(test.abstains[:-1][self.limits.at_pass, 1].any()),
            lasting=0.0
            if self.floor is None
            else part_that_lasts(self.floor.standard_error / self.level_unit, float(test.standard_error[-1])),
        )

    def held_against_replicas(self, test: ShiftTest) -> Yardstick | None:
        """Ask the replicas the same."""

        def level_of(replica: Arm) -> float:
            found = median(replica.levels)
            return float(np.log(found)) if self.pair.logarithmic else found

        return yardstick(
            self.pair,
            level_of,
            self.shifts,
            levels=self.levels,
            scales=self.scales,
            noise=test.standard_error,
            noise_df=test.df,
        )

    @property
    def floor_facts(self) -> NoiseFloorFacts | None:
        """The noise floor, in the scale of the limits."""
        unit = self.level_unit if self.pair.logarithmic else self.unit
        return None if self.floor is None else self.floor.facts(unit)


def _tests(asked: Rows, changes: list[_Change], settings: MannWhitney) -> list[ShiftTest]:
    """Test each row at its limits; the textbook's tests one by one, because which of them fits depends on a row's ties."""
    if not changes:
        return []
    baseline, canary = (
        np.log(arms.levels) if asked.logarithmic else arms.levels for arms in (asked.baseline, asked.canary)
    )
    # those that are asked at as many limits together
    sizes = sorted({len(change.shifts) for change in changes})
    groups = [[i for i, change in enumerate(changes) if len(change.shifts) == size] for size in sizes]
    if settings.method != "robust":
        groups = [[index] for index in range(len(changes))]
    tests: dict[int, ShiftTest] = {}
    for rows in groups:
        limits, scales, lasting = (
            np.stack([getattr(changes[row], name) for row in rows])
            for name in ("shifts", "scales", "lasting")
        )
        test = shift_test(
            baseline[rows],
            canary[rows],
            limits,
            levels=changes[0].levels,
            scales=scales,
            concurrent=asked.concurrent and not KINDS[asked.kind].is_raw,
            method=settings.method,
            lasting=LastingNoise(lasting, asked.floor_df[rows]),
        )
        tests |= {row: test.row(index) for index, row in enumerate(rows)}
    return [tests[row] for row in range(len(changes))]


def _medians(rows: FloatArray) -> FloatArray:
    return np.array([median(row) for row in rows])


def _waived(test: ShiftTest, rows: Rows) -> tuple[Waiver, ...]:
    if test.method != "robust":
        return ("independence_assumed",)
    return _outside_proven_range(rows.baseline.points, rows.canary.points, float(test.rho))


def _outside_proven_range(n: int, m: int, rho: float) -> tuple[Waiver, ...]:
    effective = 2 / (1 / n + 1 / m) * (1 - rho) / (1 + rho)
    proven = min(n, m) >= _PROVEN_POINTS and effective >= _PROVEN_EFFECTIVE_POINTS
    return () if proven else ("outside_proven_range",)


def _bucket_shift(pair: Pair) -> dict[str, Any]:
    """Judge by how many observations lie in each bucket; where the buckets are too coarse to see a shift of the size of the tolerance, it says so."""
    edges, baseline, canary = pair.edges, pair.baseline.buckets, pair.canary.buckets
    assert edges is not None and baseline is not None and canary is not None  # noqa: PT018, S101 - as histograms have
    pooled = [counts.sum(axis=0) for counts in (baseline, canary)]
    mixed = bool(pair.concurrent and split_moves(pair.baseline.value, pair.canary.value))
    if mixed:
        baseline, canary = same_mix(baseline, canary)
    known: dict[str, Any] = {
        "outcome": Outcome.MARGINAL,
        "method": "none",
        "total_baseline": float(pooled[0].sum()),
        "total_canary": float(pooled[1].sum()),
    }
    if min(baseline.sum(), canary.sum()) < _FEWEST_POINTS:
        return known | {"reason": Reason.TOO_LITTLE_DATA}
    levels_of = [bucket_quantile(edges, counts, 0.5) for counts in pooled]
    known |= {"baseline_level": levels_of[0], "canary_level": levels_of[1]}
    median = bucket_quantile(edges, baseline.sum(axis=0), 0.5)
    limits = tolerated(pair, median)
    if limits is None:
        return known | {"reason": Reason.NEEDS_ABSOLUTE_TOLERANCE}
    bands = BucketBands(edges, baseline.sum(axis=0), canary.sum(axis=0))
    unit = _Unit(1.0, 1.0, 1.0) if limits.absolute else _Unit.of_median(median, bands)
    signs = np.array(limits.asked)
    scales = np.append(np.ones_like(signs) if limits.absolute else 1 + signs * np.sign(median), 1.0)
    levels = pair.rates.level / len(limits.sides), pair.rates.beta
    floor = floor_of(pair, median)
    test = bucket_shift_test(
        bands,
        baseline,
        canary,
        [*(unit.limits(limit) for limit in signs), (0.0, 0.0)],
        levels=levels,
        scales=scales,
        concurrent=pair.concurrent,
        lasting=None if floor is None else floor.noise(scales, falls(limits, median)),
    )
    siblings = yardstick(
        replace(pair, baseline=_seen(pair.baseline), canary=_seen(pair.canary)),
        lambda replica: _median(edges, replica),
        np.array([*(limit * unit.size for limit in signs), 0.0]),
        levels=levels,
        scales=scales,
        noise=test.standard_error,
        noise_df=test.df,
    )
    lasts = 0.0 if floor is None else part_that_lasts(floor.standard_error, float(test.standard_error[-1]))
    found = weigh_with(
        siblings.evidence(lambda shift: shift / unit.size, limits) if siblings else None,
        replace(unit.evidence(test, limits), lasting=lasts),
        limits,
        pair.rates,
        pair.fewest,
    )
    if found["outcome"] is Outcome.MARGINAL and unit.too_coarse(test, limits):
        fullest = _fullest(edges, (baseline, canary))
        found |= {"reason": Reason.ABSTAINS, "more_points": None, "fullest_bucket": fullest}
    waived: tuple[Waiver, ...] = ("independence_assumed",)
    if pair.fewest >= FEWEST_INTERVALS:
        waived = _outside_proven_range(len(baseline), len(canary), test.rho)
    return (
        known
        | found
        | {
            "method": "mixed_bucket_rank" if mixed else "bucket_rank",
            "statistic": float(test.statistic[0]),
            "df": float(test.df[0]),
            "probability_worse": test.probability_greater
            if 1 in pair.sides
            else 1 - test.probability_greater,
            "autocorrelation": test.rho,
            "waived": tuple(dict.fromkeys((*waived, *(siblings.waived if siblings else ())))),
            "replicas": siblings.facts(unit.size) if siblings else None,
            "noise_floor": floor.facts(unit.size) if floor and unit.size else None,
        }
    )


@dataclass(frozen=True, slots=True)
class _Unit:
    """What shifts are measured in: the baseline's median, which the buckets tell only within bounds, or the metric's unit.

    Attributes
    ----------
    size : float
        The unit.
    least, most : float
        What it may be.
    """

    size: float
    least: float
    most: float

    @classmethod
    def of_median(cls, median: float, bands: BucketBands) -> _Unit:
        """Take the baseline's median, with what else it may be."""
        low, high = bands.baseline_quantile(0.5)
        sizes = sorted((abs(low), abs(high)))
        return cls(abs(median), 0.0 if low < 0 < high else sizes[0], sizes[1])

    def limits(self, limit: float) -> tuple[float, float]:
        """Give a limit as a shift: where "at most" is to be refuted, and "at least"."""
        return limit * (self.most if limit > 0 else self.least), limit * (
            self.least if limit > 0 else self.most
        )

    def evidence(self, test: BucketShift, limits: Limits) -> Evidence:
        """Put the test's shifts into the scale of the limits; the test was asked at each limit, and last at no change."""
        asked = range(len(limits.asked))
        pvalues = [(float(test.pvalue_greater[i]), float(test.pvalue_less[i])) for i in (*asked, -1)]
        fails, passes = (
            [(self._low(float(test.low[i, j])), self._high(float(test.high[i, j]))) for i in at]
            for j, at in enumerate((asked[limits.at_fail], asked[limits.at_pass]))
        )
        return Evidence(
            estimate=test.estimate / self.size,
            pvalues=pvalues[:-1],
            pvalues_none=pvalues[-1],
            fail_bounds=fails,
            pass_bounds=passes,
            abstains=bool(test.abstains[:-1][limits.at_fail, 0].any()),
            abstains_pass=bool(test.abstains[:-1][limits.at_pass, 1].any()),
        )

    def too_coarse(self, test: BucketShift, limits: Limits) -> bool:
        """Tell whether the buckets leave open on which side of a limit the shift lies, and by more than that limit, with any number of observations."""
        open_for = test.open_high - test.open_low
        shifts = [self.size * limit for _, limit in limits.sides]
        return any(test.open_low <= at <= test.open_high and open_for >= abs(at) > 0 for at in shifts)

    def _low(self, shift: float) -> float:
        return _ratio(shift, self.most if shift > 0 else self.least)

    def _high(self, shift: float) -> float:
        return _ratio(shift, self.least if shift > 0 else self.most)


def _ratio(shift: float, size: float) -> float:
    return shift / size if size else float(np.sign(shift)) * np.inf if shift else 0.0


def _seen(arm: Arm) -> Arm:
    """Leave out replicas without observations, which have no level."""
    return replace(arm, replicas=tuple(replica for replica in arm.replicas if replica.value.sum() > 0))


def _median(edges: FloatArray, arm: Arm) -> float:
    assert arm.buckets is not None  # noqa: S101 - a histogram's replicas have buckets
    return bucket_quantile(edges, arm.buckets.sum(axis=0), 0.5)


def _fullest(edges: FloatArray, arms: tuple[FloatArray, FloatArray]) -> BucketFacts:
    """Find the bucket that holds the largest share of an arm."""
    shares = np.array([counts.sum(axis=0) / counts.sum() for counts in arms])
    bucket = int(shares.max(axis=0).argmax())
    return BucketFacts(
        low=edges[bucket - 1] if bucket else None, high=edges[bucket], share=float(shares[:, bucket].max())
    )
