"""Is the canary's distribution shifted? The robust two-sample rank test; of histograms, that of bucket counts; of gauges on one clock, minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.rules.decision import Evidence, EvidenceRows, LimitRows, Limits, tolerated, weigh_with
from canaryjudge.rules.findings import Facts, LevelFinding, Number, Waiver
from canaryjudge.rules.minute_by_minute import compare_minutes, shares_minutes
from canaryjudge.rules.noise_floor import FloorRows, falls, floor_of, part_that_lasts
from canaryjudge.rules.registry import Columns, rule
from canaryjudge.rules.replicas import Yardstick, least, yardstick
from canaryjudge.rules.rows import Arm, BoolArray, FloatArray, Pair, Rows
from canaryjudge.rules.settings import AskedMetric, RuleSettings
from canaryjudge.settings import Problem
from canaryjudge.stats.bucket_distributions import BucketBands, bucket_quantile
from canaryjudge.stats.bucket_rank_test import FEWEST_INTERVALS, BucketShift, bucket_shift_test
from canaryjudge.stats.quantiles import median, medians
from canaryjudge.stats.rank_test import shift_test
from canaryjudge.stats.replicas import LastingNoise
from canaryjudge.stats.ties import snapped
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
    level = medians(baseline)
    found.put(baseline_level=level, canary_level=medians(canary))
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
    if not found.open.any():
        return
    asked, level = rows[found.open], level[found.open]
    change = _Changes.of(asked, LimitRows.of(asked, level), level)
    ranks = _Ranks.of(change, settings)
    siblings = [change.held_against_replicas(row, ranks) for row in range(len(asked))]
    waived = ranks.waived(asked)
    found.put(
        method=[f"{method}_rank" for method in ranks.methods],
        statistic=ranks.statistic[:, 0],
        df=ranks.df[:, 0],
        probability_worse=ranks.probability_greater if 1 in rows.sides else 1 - ranks.probability_greater,
        autocorrelation=ranks.rho,
        waived=[
            tuple(dict.fromkeys((*own, *(known.waived if known else ()))))
            for own, known in zip(waived, siblings, strict=True)
        ],
        replicas=[
            known.facts(float(unit)) if known else None
            for known, unit in zip(siblings, change.unit, strict=True)
        ],
        noise_floor=change.floor.facts(change.level_unit if rows.logarithmic else change.unit),
    )
    found.zones(
        asked,
        change.limits,
        ranks.evidence(change),
        [
            known.evidence(partial(change.told_of_row, row), change.limits.row(row)) if known else None
            for row, known in enumerate(siblings)
        ],
    )


@dataclass(frozen=True, slots=True)
class _Changes:
    """What rows are asked: the tolerated changes as shifts of the points that are compared; s bad directions.

    Attributes
    ----------
    rows : Rows
        The rows.
    limits : LimitRows
        What is tolerated.
    unit : ndarray, shape (rows,)
        What shifts are divided by to be in the scale of the limits.
    level_unit : ndarray, shape (rows,)
        What the metric's unit is divided by to be that of the shifts.
    shifts : ndarray, shape (rows, 2 s + 1)
        What is asked of the limits, as shifts; last, no change.
    scales : ndarray, shape (rows, 2 s + 1)
        What the baseline's noise is multiplied by at each.
    falls : ndarray, shape (rows, 2 s + 1)
        By how much the level has fallen there, in the metric's unit.
    floor : FloorRows
        The noise floor.
    size : ndarray, shape (rows,)
        How large the points are whose differences the shifts are: it tells what is rounding.
    """

    rows: Rows
    limits: LimitRows
    unit: FloatArray
    level_unit: FloatArray
    shifts: FloatArray
    scales: FloatArray
    falls: FloatArray
    floor: FloorRows
    size: FloatArray

    @classmethod
    def of(cls, rows: Rows, limits: LimitRows, level: FloatArray) -> _Changes:
        """Ask rows whose baselines have these medians."""
        size, asked, logs = np.abs(level), limits.asked, rows.logarithmic
        unit = np.where(limits.absolute | logs, 1.0, size)
        at = np.log1p(asked) if logs else asked * unit[:, None]
        relative = (~limits.absolute & (not logs))[:, None]
        # c - b - limit |b| is c - (1 + limit) b, or c - (1 - limit) b where b is negative
        scales = np.where(relative, 1 + asked * np.sign(level)[:, None], 1.0)
        last = np.ones((len(level), 1))
        return cls(
            rows,
            limits,
            unit,
            size if logs else np.ones_like(size),
            np.concatenate([at, 0 * last], axis=1),
            np.concatenate([scales, last], axis=1),
            falls(limits, level),
            FloorRows.of(rows, level),
            np.ones_like(size) if logs else size,
        )

    @property
    def lasting(self) -> FloatArray:
        """The noise floor at each limit, as a shift; 0 where there is none."""
        return self.floor.noise(self.scales, self.falls, self.level_unit)

    def told(self, shift: FloatArray) -> FloatArray:
        """Put shifts, one a row or several, into the scale of the limits."""
        with np.errstate(over="ignore"):
            return (
                np.expm1(shift)
                if self.rows.logarithmic
                else shift / self.unit.reshape(-1, *(1,) * (shift.ndim - 1))
            )

    def told_of_row(self, row: int, shift: Any) -> float:
        """Put a shift of one row into the scale of its limits."""
        with np.errstate(over="ignore"):
            return float(np.expm1(shift)) if self.rows.logarithmic else float(shift) / float(self.unit[row])

    def held_against_replicas(self, row: int, ranks: _Ranks) -> Yardstick | None:
        """Ask the replicas of a row the same."""
        if not (self.rows.baseline.replicas[row] or self.rows.canary.replicas[row]):
            return None
        pair, limits = self.rows.pair(row), self.limits.row(row)
        asked = [*range(len(limits.asked)), -1]

        def level_of(replica: Arm) -> float:
            found = median(replica.levels)
            return float(np.log(found)) if self.rows.logarithmic else found

        return yardstick(
            pair,
            level_of,
            self.shifts[row, asked],
            levels=(pair.rates.level / len(limits.sides), pair.rates.beta),
            scales=self.scales[row, asked],
            noise=ranks.standard_error[row, asked],
            noise_df=ranks.df[row, asked],
        )


@dataclass(frozen=True, slots=True)
class _Ranks:
    """What the rank test says of rows, at what is asked of each and at no change: as `ShiftTest`, with each row's method."""

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    pvalue_greater: FloatArray
    pvalue_less: FloatArray
    abstains: BoolArray
    statistic: FloatArray
    df: FloatArray
    standard_error: FloatArray
    probability_greater: FloatArray
    rho: FloatArray
    methods: list[str]

    @classmethod
    def of(cls, change: _Changes, settings: MannWhitney) -> _Ranks:
        """Test each row; the textbook's tests one by one, because which of them fits depends on a row's ties."""
        asked, sides = change.rows, len(change.limits.sides)
        baseline, canary = (
            np.log(arms.levels) if asked.logarithmic else arms.levels
            for arms in (asked.baseline, asked.canary)
        )
        level, beta = asked.rates.level / sides, asked.rates.beta
        levels = [[level]] * sides + [[beta]] * sides + [[level]]
        every = slice(len(asked))
        parts = [every] if settings.method == "robust" else [slice(row, row + 1) for row in range(len(asked))]
        tests = [
            shift_test(
                baseline[rows],
                canary[rows],
                change.shifts[rows],
                levels=levels,
                scales=change.scales[rows],
                concurrent=asked.concurrent and not KINDS[asked.kind].is_raw,
                method=settings.method,
                lasting=LastingNoise(change.lasting[rows], asked.floor_df[rows]),
                size=1.0 if asked.logarithmic else 0.0,
            )
            for rows in parts
        ]
        methods: list[str] = [test.method for test in tests for _ in range(len(asked) // len(tests))]
        columns = {
            name: np.concatenate([getattr(test, name) for test in tests]) for name in _Ranks.__slots__[:-1]
        }
        return cls(**columns, methods=methods)

    def evidence(self, change: _Changes) -> EvidenceRows:
        """Put what the test says into the scale of the limits."""
        sides, floor = len(change.limits.sides), change.floor
        pvalues = np.stack([self.pvalue_greater, self.pvalue_less], axis=-1)
        bounds = change.told(np.stack([self.low, self.high], axis=-1))
        at_fail, at_pass = slice(sides), slice(sides, 2 * sides)
        lasting = part_that_lasts(floor.standard_error / change.level_unit, self.standard_error[:, -1])
        return EvidenceRows(
            estimate=change.told(snapped(self.estimate, change.shifts, change.size)),
            pvalues=pvalues[:, :-1],
            pvalues_none=pvalues[:, -1],
            fail_bounds=bounds[:, at_fail, 0],
            pass_bounds=bounds[:, at_pass, 0],
            abstains=np.asarray(self.abstains[:, at_fail, 0].any(axis=1)),
            abstains_pass=np.asarray(self.abstains[:, at_pass, 0].any(axis=1)),
            eventless=np.zeros(len(lasting), dtype=np.bool_),
            lasting=np.where(floor.some, lasting, 0.0),
        )

    def waived(self, rows: Rows) -> list[tuple[Waiver, ...]]:
        """Say what is not promised of each row."""
        sizes = rows.baseline.points, rows.canary.points
        return [
            _outside_proven_range(*sizes, rho) if method == "robust" else ("independence_assumed",)
            for rho, method in zip(self.rho.tolist(), self.methods, strict=True)
        ]


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
    floor, fallen = floor_of(pair, median), falls(LimitRows.alone(limits), np.array([median]))[0]
    test = bucket_shift_test(
        bands,
        baseline,
        canary,
        [*(unit.limits(limit) for limit in signs), (0.0, 0.0)],
        levels=levels,
        scales=scales,
        concurrent=pair.concurrent,
        lasting=None if floor is None else floor.noise(scales, fallen[[*range(len(signs)), -1]]),
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
