"""A change of an aggregate from the baseline, which is not known exactly either: the limits that it is held against, and the tests of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from canaryjudge.kinds import KINDS
from canaryjudge.rules.aggregates import Aggregate, Measure, counts_within, measure, observed
from canaryjudge.rules.findings import Waiver
from canaryjudge.rules.replicas import FEWEST_REPLICAS, lasting
from canaryjudge.rules.rows import Arm, FloatArray, Pair
from canaryjudge.rules.totals import Totals, between_replicas, burst_waivers, count_totals
from canaryjudge.stats.baseline_changes import (
    Contrast,
    either_level,
    either_pvalue,
    estimates_correlation,
    level_of_proof,
    mean_contrast,
    recovered_bounds,
)
from canaryjudge.stats.bounds import PValues
from canaryjudge.stats.dispersion import temper, tempered_level
from canaryjudge.stats.proportions import (
    difference_bounds,
    difference_pvalues,
    risk_ratio_bounds,
    risk_ratio_pvalues,
)
from canaryjudge.stats.rates import (
    rate_difference_bounds,
    rate_difference_pvalues,
    rate_ratio_bounds,
    rate_ratio_pvalues,
)
from canaryjudge.stats.replicas import ReplicaTest, replica_test
from canaryjudge.stats.ties import about, rounding

__all__ = ["Comparison", "Limit", "Line", "compare"]


class Line(NamedTuple):
    """One part of a limit: `factor` times the baseline's level plus `shift`."""

    factor: float
    shift: float
    absolute: bool


@dataclass(frozen=True, slots=True)
class Limit:
    """How far the canary may lie from the baseline.

    Attributes
    ----------
    relative : float or None
        Part of the baseline's level, signed.
    absolute : float or None
        In the metric's unit, signed.
    upward : bool
        Whether the canary must not lie above the limit; otherwise not below.
    """

    relative: float | None
    absolute: float | None
    upward: bool

    def at(self, level: float) -> float:
        """Give the limit where the baseline has a level: the laxer of the parts."""
        line = self.lines(level)[0]
        return line.factor * level + line.shift

    def lines(self, level: float) -> list[Line]:
        """Give the parts, the one that decides where the baseline has a level first.

        Of a negative level the size counts, and no part of it leads beyond zero.
        """
        lines = []
        if self.relative is not None:
            share = -min(max(self.relative, -1.0), 1.0) if level < 0 else self.relative
            lines.append(Line(1 + share, 0.0, absolute=False))
        if self.absolute is not None:
            lines.append(Line(1.0, self.absolute, absolute=True))
        return sorted(lines, key=lambda line: line.factor * level + line.shift, reverse=self.upward)

    def merged(
        self, margins: Callable[[float], list[tuple[float, float]]], correlation: float, error: float
    ) -> tuple[float, float]:
        """Put the bounds of the canary's distances from each part together, as `weigh` does their p-values."""
        both = margins(error)
        either = both if len(both) == 1 else margins(either_level(error, correlation))
        if self.upward:
            return min(low for low, _ in both), min(high for _, high in either)
        return max(low for low, _ in either), max(high for _, high in both)

    def weigh(self, parts: list[PValues], correlation: float) -> PValues:
        """Put the p-values of the parts together.

        The canary lies beyond the limit where it lies beyond both parts, so that proof needs both; and within it where it lies within
        either, which two tests may prove.
        """
        if len(parts) == 1:
            return parts[0]
        (first, second) = parts
        both = (np.maximum(getattr(first, side), getattr(second, side)) for side in ("greater", "less"))
        either = (
            either_pvalue(getattr(first, side), getattr(second, side), correlation)
            for side in ("greater", "less")
        )
        (greater, less), (any_greater, any_less) = both, either
        return PValues(greater, any_less) if self.upward else PValues(any_greater, less)


_RARE = 0.1
"""Up to this share of events the conditional test of rare events is exact for all practical purposes."""
_SMALLEST_RATIO = 1e-300
_LARGEST_DIFFERENCE = 1 - 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both arms, and the test of where the canary lies beside the baseline.

    Attributes
    ----------
    canary, baseline : Measure
        The arms' own aggregates.
    method : callable
        Limit -> code of the test.
    pvalues : callable
        Limit, error rate -> p-values of the nulls that the canary is at most (`greater`) and at least (`less`) at the limit; the error
        rate is what they will be held against, and where they must be exact.
    bounds : callable
        Limit, error rate -> the lowest and the highest limit that the canary may be at, where the baseline is at its estimate: it is proven
        beyond a limit exactly where that lies outside.
    dispersion : float or None
        How many times events vary more than independent ones; None where there are no events.
    rho : float
        How long bursts last, by the lag-1 autocorrelation of the rates.
    abstains : bool
        Whether bursts leave too few independent intervals to prove anything.
    waived : tuple of str
        Guarantees that are not given.
    """

    canary: Measure
    baseline: Measure
    method: Callable[[Limit], str]
    pvalues: Callable[[Limit, float], PValues]
    bounds: Callable[[Limit, float], tuple[float, float]]
    dispersion: float | None = None
    rho: float = 0.0
    abstains: bool = False
    waived: tuple[Waiver, ...] = ()


def compare(pair: Pair, aggregate: Aggregate, canary: Measure, baseline: Measure) -> Comparison:
    """Choose the test of a change.

    Of events they are the tests of two totals, of means it is a t test, and of percentiles and shares of points bounds recovered from those of both arms. Of
    percentiles of histograms, which are known no closer than a bucket, it is whether the arms' own bounds overlap.
    """
    if aggregate.of == "pooled" or (KINDS[aggregate.kind].has_buckets and aggregate.of == "within"):
        return _events(pair, aggregate, canary, baseline)
    if KINDS[aggregate.kind].has_buckets:
        return _buckets(pair, aggregate, canary, baseline)
    replicated = pair.canary.replicas or pair.baseline.replicas
    paired = KINDS[pair.kind].is_averaged and pair.concurrent and not replicated
    if aggregate.of == "mean":
        return _means(pair, aggregate, canary, baseline, paired=paired)
    return _recovered(pair, aggregate, canary, baseline, paired=paired)


def _by_lines(
    canary: Measure,
    baseline: Measure,
    method: Callable[[Limit], str],
    part: Part,
    margin: Margin,
    correlation: Callable[[list[Line]], float],
) -> Comparison:
    """Put a comparison together of what a test says about each part of a limit, and how the canary's distances from two parts are correlated."""
    level = baseline.estimate

    def pvalues(limit: Limit, error: float) -> PValues:
        lines = limit.lines(level)
        return limit.weigh([part(line, error) for line in lines], correlation(lines))

    def bounds(limit: Limit, error: float) -> tuple[float, float]:
        lines = limit.lines(level)
        low, high = limit.merged(lambda own: [margin(line, own) for line in lines], correlation(lines), error)
        return limit.at(level) + low, limit.at(level) + high

    return Comparison(canary, baseline, method, pvalues, bounds)


def _correlation(lines: list[Line], canary: float, baseline: float) -> float:
    """Give the correlation of the canary's distances from two lines, by the variances of the arms' estimates."""
    first, last = lines[0].factor, lines[-1].factor
    spread = (canary + first**2 * baseline) * (canary + last**2 * baseline)
    return (canary + first * last * baseline) / math.sqrt(spread) if spread > 0 else 1.0


class _Totals:
    """The tests of two totals, by the parts of a limit."""

    def __init__(self, totals: Totals, *, count: bool) -> None:
        self.totals, self._count = totals, count
        pooled = (totals.canary + totals.baseline) / (totals.canary_exposure + totals.baseline_exposure)
        self.exact = count or bool(pooled <= _RARE)

    def pvalues(self, line: Line) -> PValues:
        """Test a part of a limit."""
        raw, df = self._difference(line.shift) if line.absolute else self._ratio(line), self.totals.df
        return PValues(temper(raw.greater, df), temper(raw.less, df))

    def _difference(self, shift: float) -> PValues:
        if self._count:
            return rate_difference_pvalues(*self.totals.arms, shift)
        possible = float(np.clip(shift, -_LARGEST_DIFFERENCE, _LARGEST_DIFFERENCE))
        return difference_pvalues(*self.totals.arms, possible)

    def _ratio(self, line: Line) -> PValues:
        test = rate_ratio_pvalues if self.exact else risk_ratio_pvalues
        return test(*self.totals.arms, max(line.factor, _SMALLEST_RATIO))

    def margin(self, line: Line, level: float) -> tuple[float, float]:
        """Bound the distance of the canary's rate from a part of a limit, where the baseline's is as it was seen."""
        inner = tempered_level(level, self.totals.df)
        if line.absolute:
            difference = rate_difference_bounds if self._count else difference_bounds
            found = difference(*self.totals.arms, inner)
            return float(found.low) - line.shift, float(found.high) - line.shift
        ratio = (rate_ratio_bounds if self.exact else risk_ratio_bounds)(*self.totals.arms, inner)
        low, high = float(ratio.low) - line.factor, float(ratio.high) - line.factor
        # parts of no rate at all are no distance, but they have a side
        rate = float(self.totals.baseline_rate) or np.inf
        return (low and rate * low), (high and rate * high)

    def correlation(self, lines: list[Line]) -> float:
        """Give the correlation of the distances from two parts."""
        totals = self.totals
        # up to a common factor; half an event stands for none
        canary = (totals.canary + 0.5) / totals.canary_exposure**2
        baseline = (totals.baseline + 0.5) / totals.baseline_exposure**2
        return _correlation(lines, float(canary), float(baseline))


def _events(pair: Pair, aggregate: Aggregate, canary: Measure, baseline: Measure) -> Comparison:
    """Compare events of totals, with their dispersion; of buckets, what is sure proves a rise and what may be proves a fall."""
    count = KINDS[aggregate.kind].is_rate
    family: Literal["poisson", "binomial"] = "poisson" if count else "binomial"
    sure, maybe = (
        (each, count_totals(*each.arms, family, concurrent=each.concurrent))
        for each in _surely_and_maybe(pair, aggregate)
    )
    rising, falling = (_Totals(totals, count=count) for _, totals in (sure, maybe))
    # with replicas, both what the intervals prove and what the replicas do
    rises, falls = (
        [own] if (between := between_replicas(*each)) is None else [own, _Totals(between, count=count)]
        for own, each in ((rising, sure), (falling, maybe))
    )

    def method(limit: Limit) -> str:
        if limit.lines(baseline.estimate)[0].absolute:
            return "difference"
        return "exact_conditional" if rising.exact else "score"

    found = _by_lines(
        canary,
        baseline,
        method,
        part=lambda line, _: PValues(
            np.maximum.reduce([own.pvalues(line).greater for own in rises]),
            np.maximum.reduce([own.pvalues(line).less for own in falls]),
        ),
        margin=lambda line, level: (
            min(own.margin(line, level)[0] for own in rises),
            max(own.margin(line, level)[1] for own in falls),
        ),
        correlation=rising.correlation,
    )
    rho = float(max(rising.totals.rho, falling.totals.rho))
    return replace(
        found,
        dispersion=float(max(rising.totals.factor, falling.totals.factor)),
        rho=rho,
        abstains=bool(rising.totals.abstains or falling.totals.abstains),
        waived=burst_waivers(rho, min(len(pair.canary), len(pair.baseline))),
    )


def _surely_and_maybe(pair: Pair, aggregate: Aggregate) -> tuple[Pair, Pair]:
    """Give the events that prove a rise, and those that prove a fall: they differ where a bound lies within a bucket."""
    if aggregate.edges is None or aggregate.bound is None:
        return pair, pair
    edges, bound = aggregate.edges, aggregate.bound

    def within(arm: Arm, side: int) -> Arm:
        counts = counts_within(arm, edges, bound)[side]
        return Arm(counts, arm.value, arm.time, replicas=tuple(within(own, side) for own in arm.replicas))

    def counted(baseline: int, canary: int) -> Pair:
        return replace(
            pair,
            kind="ratio",
            baseline=within(pair.baseline, baseline),
            canary=within(pair.canary, canary),
            edges=None,
        )

    fewest, most = 0, 1
    return counted(most, fewest), counted(fewest, most)


def _means(
    pair: Pair, aggregate: Aggregate, canary: Measure, baseline: Measure, *, paired: bool
) -> Comparison:
    points, own = observed(pair.canary), observed(pair.baseline)
    # what both arms feel ties the parts together all the more
    variances = (float(points.var()) / len(points), float(own.var()) / len(own))

    @cache
    def contrast(factor: float) -> Contrast:
        return mean_contrast(own, points, factor, paired=paired)

    def margin(line: Line, level: float) -> tuple[float, float]:
        low, high = contrast(line.factor).bounds(level)
        return low - line.shift, high - line.shift

    def part(line: Line, error: float) -> PValues:  # noqa: ARG001 - they are exact everywhere
        return contrast(line.factor).pvalues(line.shift)

    return _by_lines(
        canary,
        baseline,
        lambda _: "mean_difference",
        *borne_out_by_replicas(pair, aggregate, part, margin),
        lambda lines: _correlation(lines, *variances),
    )


def _recovered(
    pair: Pair, aggregate: Aggregate, canary: Measure, baseline: Measure, *, paired: bool
) -> Comparison:
    """Recover the bounds of a change from those of both arms."""
    tied = 0.0
    if paired:
        beyond = (
            each.value > about(each_measure.estimate if aggregate.bound is None else aggregate.bound, 0.0)[1]
            for each, each_measure in ((pair.canary, canary), (pair.baseline, baseline))
        )
        tied = estimates_correlation(*beyond)

    @cache
    def ends(arm: Measure, level: float) -> tuple[float, float, float]:
        return arm.estimate, *arm.bounds(level)

    def margin(line: Line, level: float) -> tuple[float, float]:
        low, high = recovered_bounds(ends(canary, level), ends(baseline, level), line.factor, tied)
        return low - line.shift, high - line.shift

    def part(line: Line, error: float) -> PValues:
        slack = float(rounding(canary.estimate, line.factor * baseline.estimate, line.shift))
        return PValues(
            np.asarray(level_of_proof(lambda level: margin(line, level)[0] > slack, error)),
            np.asarray(level_of_proof(lambda level: margin(line, level)[1] < -slack, error)),
        )

    sizes = 1 / canary.observations, 1 / baseline.observations
    return _by_lines(
        canary,
        baseline,
        lambda _: "combined",
        *borne_out_by_replicas(pair, aggregate, part, margin),
        lambda lines: _correlation(lines, *sizes),
    )


def _buckets(pair: Pair, aggregate: Aggregate, canary: Measure, baseline: Measure) -> Comparison:
    """Compare percentiles that are known to buckets: each arm's own bounds, at half the level."""
    assert aggregate.edges is not None  # noqa: S101 - a histogram has edges
    edges = aggregate.edges[:-1]
    own = baseline.pvalues(edges)

    # whatever the baseline's level is, it lies on one side of an edge, and the canary must be proven beyond the limit of that edge
    def part(line: Line, error: float) -> PValues:  # noqa: ARG001 - they are exact everywhere
        at = canary.pvalues(line.factor * edges + line.shift)
        return PValues(
            np.minimum(1.0, 2 * np.maximum(at.greater, own.less).min()),
            np.minimum(1.0, 2 * np.maximum(at.less, own.greater).min()),
        )

    def margin(line: Line, level: float) -> tuple[float, float]:
        (low, high), (least, most) = canary.bounds(level / 2), baseline.bounds(level / 2)
        return low - line.factor * most - line.shift, high - line.factor * least - line.shift

    sizes = 1 / canary.observations, 1 / baseline.observations
    found = _by_lines(
        canary,
        baseline,
        lambda _: "combined",
        *borne_out_by_replicas(pair, aggregate, part, margin),
        lambda lines: _correlation(lines, *sizes),
    )
    return replace(
        found,
        dispersion=max(canary.dispersion or 1.0, baseline.dispersion or 1.0),
        rho=max(canary.rho, baseline.rho),
        abstains=canary.abstains or baseline.abstains,
        waived=tuple(dict.fromkeys((*canary.waived, *baseline.waived))),
    )


Part = Callable[[Line, float], PValues]
"""Part of a limit, error rate -> p-values."""
Margin = Callable[[Line, float], tuple[float, float]]
"""Part of a limit, level -> bounds of the canary's distance from it."""

_ONE_SD = 0.15865525393145707
"""The level of a bound that is one standard error away."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """The aggregate of each replica, and of both arms as their points tell it."""

    baseline: FloatArray
    canary: FloatArray
    margin: Margin

    def test(self, line: Line, level: float) -> ReplicaTest:
        """Test the canary's distance from a part of a limit, with what all replicas of an arm feel together as noise."""
        low, high = self.margin(line, _ONE_SD)
        noise = (high - low) / 2
        limit = (line.factor - 1) * float(self.baseline.mean()) + line.shift
        return replica_test(
            self.baseline,
            self.canary,
            [limit],
            levels=[level],
            scales=[line.factor],
            # who cannot tell how wide one standard error is proves nothing by the points anyway
            noise=[noise if np.isfinite(noise) else 0.0],
        )


def borne_out_by_replicas(
    pair: Pair, aggregate: Aggregate, part: Part, margin: Margin
) -> tuple[Part, Margin]:
    """Hold a test of a change against the replicas, where there are three or more in all: the larger p-value counts, and the outer of two bounds."""
    arms = [lasting(arm.replicas) for arm in pair.arms]
    if min(map(len, arms)) < 1 or sum(map(len, arms)) < FEWEST_REPLICAS:
        return part, margin
    baseline, canary = (np.array([measure(replica, aggregate).estimate for replica in arm]) for arm in arms)
    levels = _Levels(baseline, canary, margin)

    def held(line: Line, error: float) -> PValues:
        points, siblings = part(line, error), levels.test(line, error)
        return PValues(
            np.maximum(points.greater, siblings.pvalue_greater[0]),
            np.maximum(points.less, siblings.pvalue_less[0]),
        )

    def outer(line: Line, level: float) -> tuple[float, float]:
        (low, high), siblings = margin(line, level), levels.test(line, level)
        limit = (line.factor - 1) * float(levels.baseline.mean()) + line.shift
        return min(low, float(siblings.low[0, 0]) - limit), max(high, float(siblings.high[0, 0]) - limit)

    return held, outer
