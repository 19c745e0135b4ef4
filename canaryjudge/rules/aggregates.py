"""An aggregate of one arm, and how well it is known: what is held against an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from canaryjudge.kinds import KINDS
from canaryjudge.rules.findings import Waiver
from canaryjudge.rules.rows import Arm, FloatArray
from canaryjudge.rules.totals import burst_waivers
from canaryjudge.stats.bounds import Bounds, PValues
from canaryjudge.stats.bucket_distributions import BucketCurve
from canaryjudge.stats.dependent_shares import ShareTest
from canaryjudge.stats.dispersion import bursts_outlast, dispersion, temper, tempered_level
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.proportions import proportion_bounds, proportion_pvalues, score_bounds, score_pvalues
from canaryjudge.stats.quantiles import Estimate, QuantileTest, mean_bounds, mean_pvalues
from canaryjudge.stats.rates import rate_bounds, rate_pvalues
from canaryjudge.stats.ties import about, above, at_least

__all__ = ["Aggregate", "Measure", "counts_within", "is_constant", "measure", "observed"]

_FEWEST_POINTS = 3
"""Fewer equal points are no proof that the value never changes."""
_UNBOUNDED = (-np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What is asked of each arm.

    Attributes
    ----------
    of : str
        The aggregate: mean, median, min, max, a percentile, within, pooled.
    percentile : float or None
        As a probability.
    bound : float or None
        Of `within`: the largest observation that counts.
    kind : str
        The metric's.
    edges : ndarray or None
        Of histograms.
    score : bool
        Whether shares of independent events are held against the value by their score.
    exceptions : int
        Of min and max: how many of the farthest intervals are left out.
    """

    of: str
    percentile: float | None
    bound: float | None
    kind: str
    edges: FloatArray | None
    score: bool
    exceptions: int = 0


@dataclass(frozen=True, slots=True)
class Measure:
    """An aggregate of one arm.

    Attributes
    ----------
    points : int
        Points or intervals of the arm.
    observations : float
        Of what it is an aggregate: points, requests, exposure.
    estimate : float
        Its value.
    method : str
        Code of the test.
    pvalues : callable
        Values -> p-values of the nulls "at most" (`greater`) and "at least" (`less`) each value.
    bounds : callable
        Level -> one-sided bounds.
    dispersion : float or None
        How many times events vary more than independent ones; None where there are no events.
    rho : float
        How long bursts of events last, by the lag-1 autocorrelation of their rates.
    eventless : bool
        Whether bounds shrink with the points, not with their root, because there are no events.
    bucket : tuple of (float, float), or None
        Of histograms: the edges of the bucket that the estimate, or the bound, lies in; None where it is an edge itself.
    """

    points: int
    observations: float
    estimate: float
    method: str
    pvalues: Callable[[ArrayLike], PValues]
    bounds: Callable[[float], tuple[float, float]]
    dispersion: float | None = None
    rho: float = 0.0
    eventless: bool = False
    bucket: tuple[float, float] | None = None

    @property
    def abstains(self) -> bool:
        """Whether bursts leave too few independent intervals to prove anything."""
        return bool(bursts_outlast(self.points, self.rho))

    @property
    def waived(self) -> tuple[Waiver, ...]:
        """Guarantees that bursts take away."""
        return () if self.dispersion is None else burst_waivers(self.rho, self.points)

    def against(self, value: float) -> tuple[float, float]:
        """Give both p-values at one value."""
        found = self.pvalues(value)
        return float(found.greater), float(found.less)


def measure(arm: Arm, aggregate: Aggregate, *, mirrored: bool = False) -> Measure:
    """Measure an aggregate of one arm; a percentile at the value itself counts as "at most" it, mirrored as "at least", which tells < from <=."""
    if aggregate.of == "pooled":
        return _events(arm.value, arm.value, arm.exposures, aggregate)
    if KINDS[aggregate.kind].has_buckets:
        return (
            _within_buckets(arm, aggregate)
            if aggregate.percentile is None
            else _bucket_percentile(arm, aggregate)
        )
    if aggregate.of == "within":
        return _within(observed(arm), aggregate)
    if aggregate.of == "mean":
        return _mean(observed(arm), mirrored=mirrored)
    if aggregate.percentile is None:
        points = observed(arm)
        extreme = _extreme(arm, largest=aggregate.of == "max", exceptions=aggregate.exceptions)
        ones = PValues(np.array(1.0), np.array(1.0))
        return Measure(len(points), len(points), extreme, "point", lambda _: ones, lambda _: _UNBOUNDED)
    return _percentile(observed(arm), aggregate.percentile, mirrored=mirrored)


def _extreme(arm: Arm, *, largest: bool, exceptions: int) -> float:
    """Return the largest or smallest value, of any replica, without the intervals that are excepted."""
    values, sign = observed(arm), 1.0 if largest else -1.0
    times = [replica.time for replica in arm.replicas if replica.time is not None]
    if times and len(times) == len(arm.replicas):
        _, of_time = np.unique(np.sort(np.concatenate(times)), return_inverse=True)
        worst = np.full(of_time.max() + 1, -np.inf)
        np.maximum.at(worst, of_time, sign * values)
    else:
        worst = sign * values
    return float(sign * np.sort(worst)[::-1][min(exceptions, len(worst) - 1)])


def observed(arm: Arm) -> FloatArray:
    """Give every value of an arm, those of all its replicas where they are told apart, in order of time."""
    if not arm.replicas:
        return arm.value
    values = np.concatenate([replica.value for replica in arm.replicas])
    if any(replica.time is None for replica in arm.replicas):
        return values
    times = np.concatenate([replica.time for replica in arm.replicas if replica.time is not None])
    return np.asarray(values[np.argsort(times, kind="stable")])


def is_constant(points: FloatArray) -> bool:
    """Tell whether every value is the same, and there are enough of them to mean something."""
    return len(points) >= _FEWEST_POINTS and bool((points == points[0]).all())


def _mean(points: FloatArray, *, mirrored: bool) -> Measure:
    if not is_constant(points):
        return Measure(
            points=len(points),
            observations=len(points),
            estimate=float(points.mean()),
            method="mean",
            pvalues=lambda value: mean_pvalues(points, value),
            bounds=lambda level: _ends(mean_bounds(points, level)),
        )
    only = float(points[0])

    def certain(value: ArrayLike) -> PValues:
        at_most = at_least(value, only) if not mirrored else above(value, only)
        return PValues(np.where(at_most, 1.0, 0.0), np.where(at_most, 0.0, 1.0))

    return Measure(len(points), len(points), only, "mean", certain, lambda _: (only, only))


def _percentile(points: FloatArray, q: float, *, mirrored: bool) -> Measure:
    estimate = float(np.quantile(points, q, method="inverted_cdf"))
    # the test tells "at most" from "above"; of the mirrored values, it tells "below" from "at least"
    own, share = (-points, round(1 - q, 12)) if mirrored else (points, q)
    test = QuantileTest(own, share)

    def pvalues(value: ArrayLike) -> PValues:
        if not mirrored:
            return test.pvalues(value)
        found = test.pvalues(-np.asarray(value, dtype=np.float64))
        return PValues(found.less, found.greater)

    def bounds(level: float) -> tuple[float, float]:
        low, high = test.bounds(level)
        return (-high, -low) if mirrored else (low, high)

    return Measure(len(points), len(points), estimate, "quantile", pvalues, bounds)


def _within(points: FloatArray, aggregate: Aggregate) -> Measure:
    assert aggregate.bound is not None  # noqa: S101 - the policy asks for it
    found = ShareTest(points, aggregate.bound)
    test, ends = (score_pvalues, score_bounds) if aggregate.score else (proportion_pvalues, proportion_bounds)
    return Measure(
        points=len(points),
        observations=len(points),
        estimate=found.estimate,
        method="score" if aggregate.score else "share",
        pvalues=lambda value: found.pvalues(value, test),
        bounds=lambda level: found.bounds(level, ends),
        eventless=found.estimate in (0.0, 1.0),
    )


def counts_within(arm: Arm, edges: FloatArray, bound: float) -> tuple[FloatArray, FloatArray]:
    """Count the observations of each interval that are at most a bound: at least and at most so many, which differ unless it is an edge."""
    assert arm.buckets is not None  # noqa: S101 - a histogram has buckets
    below = np.concatenate([np.zeros((len(arm), 1)), arm.buckets.cumsum(axis=1)], axis=1)
    low, high = about(bound, 0.0)
    fewest = np.searchsorted(edges, high, side="right")
    most = np.searchsorted(edges, low, side="left") + 1
    return below[:, fewest], below[:, most]


def _within_buckets(arm: Arm, aggregate: Aggregate) -> Measure:
    assert aggregate.edges is not None  # noqa: S101 - a histogram has edges
    assert aggregate.bound is not None  # noqa: S101 - the policy asks for it
    assert arm.buckets is not None  # noqa: S101 - a histogram has buckets
    fewest, most = counts_within(arm, aggregate.edges, aggregate.bound)
    found = _events(fewest, most, arm.value, aggregate)
    low, high = (np.searchsorted(aggregate.edges, end) for end in about(aggregate.bound, 0.0))
    if low < high:
        return found  # it is an edge
    odds = float(BucketCurve(aggregate.edges, arm.buckets.sum(axis=0)).log_odds([aggregate.bound])[0])
    least, greatest = (float(count.sum() / arm.value.sum()) for count in (fewest, most))
    estimate = 1 / (1 + np.exp(odds)) if np.isfinite(odds) else (least + greatest) / 2
    index = int(np.searchsorted(aggregate.edges, aggregate.bound))
    bucket = _edge(aggregate.edges, index - 1), _edge(aggregate.edges, index)
    return replace(found, estimate=float(np.clip(estimate, least, greatest)), bucket=bucket)


def _edge(edges: FloatArray, index: int) -> float:
    return -np.inf if index < 0 else float(edges[index])


def _events(fewest: FloatArray, most: FloatArray, totals: FloatArray, aggregate: Aggregate) -> Measure:
    """Events over total, with the events worth less where they come in bursts; there are at least `fewest` and at most `most`."""
    count = KINDS[aggregate.kind].is_rate
    test, ends = (
        (rate_pvalues, rate_bounds)
        if count
        else (score_pvalues, score_bounds)
        if aggregate.score
        else (proportion_pvalues, proportion_bounds)
    )
    # what proves a large share are the events that are sure, what proves a small one are those that may be
    low, high = (_Pooled(events, totals, "poisson" if count else "binomial") for events in (fewest, most))

    def pvalues(value: ArrayLike) -> PValues:
        at, largest = np.asarray(value, dtype=np.float64), np.inf if count else 1.0
        possible = np.clip(at, 0.0, largest)
        greater = temper(test(*low.sums, possible).greater, low.df)
        less = temper(test(*high.sums, possible).less, high.df)
        return PValues(np.where(at < 0, 0.0, greater), np.where(at > largest, 0.0, less))

    def bounds(level: float) -> tuple[float, float]:
        lower, upper = (ends(*side.sums, tempered_level(level, side.df)) for side in (low, high))
        return float(lower.low), float(upper.high)

    return Measure(
        points=len(totals),
        observations=float(totals.sum()),
        estimate=float((low.share + high.share) / 2),
        method="exact_rate" if count else "score" if aggregate.score else "exact_ratio",
        pvalues=pvalues,
        bounds=bounds,
        dispersion=max(low.factor, high.factor),
        rho=max(low.rho, high.rho),
        eventless=bool(high.share == 0 or (low.share == 1 and not count)),
    )


class _Pooled:
    """Events and totals, divided by the dispersion of the events."""

    def __init__(
        self, events: FloatArray, totals: FloatArray, family: Literal["binomial", "poisson"]
    ) -> None:
        found = dispersion(events, totals, family=family)
        self.factor, self.df = float(found.factor), float(found.df)
        self.sums = float(events.sum()) / self.factor, float(totals.sum()) / self.factor
        self.share = self.sums[0] / self.sums[1] if self.sums[1] else 0.0
        self.rho = float(dependence(events / np.maximum(totals, 1e-300))) if self.factor > 1 else 0.0


def _bucket_percentile(arm: Arm, aggregate: Aggregate) -> Measure:
    """Test at each edge whether the share of observations up to there reaches the percentile: bounds are edges, never finer."""
    q, edges = aggregate.percentile, aggregate.edges
    assert q is not None and edges is not None and arm.buckets is not None  # noqa: PT018, S101 - of a histogram's percentile
    finite, totals = edges[:-1], arm.value
    below = arm.buckets.cumsum(axis=1)[:, :-1].T
    found = dispersion(below, totals, family="binomial")
    test = proportion_pvalues(below.sum(axis=1) / found.factor, totals.sum() / found.factor, q)
    # few observations up to an edge prove that the percentile lies above it
    higher, lower = temper(test.less, found.df), temper(test.greater, found.df)

    def pvalues(value: ArrayLike) -> PValues:
        # between two edges, as many may be at most the value as at the edge above it, and as few as at the edge below
        low, high = about(value, 0.0)
        return PValues(
            np.append(higher, 1.0)[np.searchsorted(finite, low, side="left")],
            np.append(1.0, lower)[np.searchsorted(finite, high, side="right")],
        )

    def bounds(level: float) -> tuple[float, float]:
        first = int(np.logical_and.accumulate(higher < level).sum())
        last = len(finite) - int(np.logical_and.accumulate(lower[::-1] < level).sum())
        return _edge(finite, first - 1), _edge(edges, last)

    cumulative = np.append(below.sum(axis=1), totals.sum())
    index = int(np.searchsorted(cumulative, q * totals.sum() * (1 - 1e-12)))
    nearest = min(index, len(finite) - 1)
    bucket = _edge(edges, index - 1), _edge(edges, index)
    inside = BucketCurve(edges, arm.buckets.sum(axis=0)).quantile(q)
    factor = float(found.factor[nearest])
    return Measure(
        points=len(arm),
        observations=float(totals.sum()),
        estimate=float(np.clip(inside, *bucket)),
        method="bucket_quantile",
        pvalues=pvalues,
        bounds=bounds,
        dispersion=factor,
        rho=float(dependence(below[nearest] / np.maximum(totals, 1e-300))) if factor > 1 else 0.0,
        bucket=bucket,
    )


def _ends(bounds: Bounds | Estimate) -> tuple[float, float]:
    return float(bounds.low), float(bounds.high)
