"""Compare how many observations of the arms lie far out: a tail may grow where the median stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data import Arm, FloatArray, MetricPair
from canaryjudge.policy import Metric, Proportion, Quantity, Tail, Tolerance
from canaryjudge.results import Finding, Outcome
from canaryjudge.rules.decision import Share
from canaryjudge.rules.proportion import judge_proportion
from canaryjudge.stats.bucket_distributions import counts_at_most

__all__ = ["judge_tail"]

IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

_DEFAULT = 0.95
_WIDEST = 5.0
"""An edge that leaves more than this many times the asked share beyond it, or less than one such part of it, is about another tail."""
_INTERVAL = 10.0
"""Samples with times are counted in intervals of so many seconds,"""
_MOST_INTERVALS = 360
"""but in no more than this,"""
_MOST_BLOCKS, _BLOCK = 30, 20
"""and samples without times in so many blocks of so many samples at least, in their order."""


def judge_tail(pair: MetricPair, metric: Metric, settings: Tail, share: Share) -> Finding:
    """Judge whether the canary's share of observations beyond a bound is worse than tolerated.

    Parameters
    ----------
    pair : MetricPair
        Both arms: samples or histograms.
    metric : Metric
        The bad direction: what lies above the bound counts, or below it.
    settings : Tail
        The bound and the tolerance.
    share : Share
        The error rates.

    Returns
    -------
    Finding
        That of a comparison of proportions.

    Notes
    -----
    Of a bound that is the baseline's own percentile q, the baseline's share beyond is no surprise, but the bound is: with densities f, its error moves
    the canary's share by f_canary / f_baseline times the error of a share 1 - q. Where the canary's tail is r times the baseline's, so are its
    densities there, and the test of the ratio r, which takes the baseline's share for an estimate, allows for just that.
    """
    upward = metric.direction == "increase"
    bound = (
        _of_histogram(pair, metric, settings)
        if pair.kind == "histogram"
        else _of_samples(pair, metric, settings)
    )
    if bound is None:
        return Finding(
            rule=settings.rule,
            outcome=Outcome.MARGINAL,
            reason="abstains",
            method="no_edge",
            level=share.level,
            beta=share.beta,
            n_baseline=len(pair.baseline),
            n_canary=len(pair.canary),
        )
    counted = _counted(pair, bound, upward=upward)
    asked = Metric(name=metric.name, kind="ratio", direction="increase", tolerance=_tolerance(settings))
    found = judge_proportion(counted, asked, Proportion(), share)
    own = {"rule": settings.rule, "beyond": bound}
    if pair.kind == "samples":  # blocks are no unit that anyone could collect more of
        own |= {"n_baseline": len(pair.baseline), "n_canary": len(pair.canary), "more_points": None}
    return Finding(**(dict(found) | own))


def _tolerance(settings: Tail) -> Tolerance:
    """Take the absolute part that ratios have by default: of a tail that the baseline does not have, no change is a change in percent."""
    # the rule has read its tolerance already, and above 100 % a number would not be read again
    return Tolerance.model_construct(relative=settings.tolerance, absolute=Quantity(number=0.02, unit="%"))


def _of_samples(pair: MetricPair, metric: Metric, settings: Tail) -> float:
    if isinstance(settings.beyond, Quantity):
        return metric.quantity(settings.beyond, "the bound of the tail")
    upward = metric.direction == "increase"
    at = settings.percentile or (_DEFAULT if upward else 1 - _DEFAULT)
    return float(np.quantile(pair.baseline.value, at, method="inverted_cdf"))


def _of_histogram(pair: MetricPair, metric: Metric, settings: Tail) -> float | None:
    """Find the edge that begins the tail; None where there is none near it."""
    assert pair.edges is not None and pair.baseline.buckets is not None  # noqa: PT018, S101 - as histograms have
    finite, upward = pair.edges[:-1], metric.direction == "increase"
    if isinstance(settings.beyond, Quantity):
        asked_bound = metric.quantity(settings.beyond, "the bound of the tail")
        beyond = finite[finite >= asked_bound][:1] if upward else finite[finite <= asked_bound][-1:]
        return float(beyond[0]) if len(beyond) else None
    at = settings.percentile or (_DEFAULT if upward else 1 - _DEFAULT)
    below = pair.baseline.buckets.sum(axis=0).cumsum()
    shares = below[:-1] / below[-1]
    left, asked = (1 - shares, 1 - at) if upward else (shares, at)
    with np.errstate(divide="ignore"):
        apart = np.abs(np.log(left / asked))
    nearest = int(apart.argmin())
    return float(finite[nearest]) if apart[nearest] <= np.log(_WIDEST) else None


def _counted(pair: MetricPair, bound: float, *, upward: bool) -> MetricPair:
    """Count the observations beyond the bound in each interval, as events of a ratio."""
    concurrent = pair.pairing == "concurrent"
    if pair.kind == "histogram":
        assert pair.edges is not None  # noqa: S101 - a histogram has edges
        arms = [_of_buckets(arm, pair.edges, bound, upward=upward) for arm in (pair.baseline, pair.canary)]
        return _ratio(pair, arms, concurrent=concurrent)

    def beyond(arm: Arm) -> BoolArray:
        return np.asarray(arm.value > bound if upward else arm.value < bound)

    far = [beyond(arm) for arm in (pair.baseline, pair.canary)]
    which = _intervals(pair.baseline.time, pair.canary.time, concurrent=concurrent)
    replicas = [
        tuple(Arm(beyond(own).astype(np.float64), np.ones(len(own))) for own in arm.replicas)
        for arm in (pair.baseline, pair.canary)
    ]
    if which is None:
        counted = [_in_blocks(mask) for mask in far]
    else:
        counted = [_in_intervals(*both) for both in zip(far, which, strict=True)]
    arms = [replace(arm, replicas=own) for arm, own in zip(counted, replicas, strict=True)]
    return _ratio(pair, arms, concurrent=concurrent and which is not None)


def _intervals(
    baseline: FloatArray | None, canary: FloatArray | None, *, concurrent: bool
) -> list[IntArray] | None:
    """Find the number of each sample's interval; arms that share the clock count from the same start."""
    if baseline is None or canary is None:
        return None
    starts = baseline[0], canary[0]
    width = max(_INTERVAL, max(baseline[-1] - starts[0], canary[-1] - starts[1]) / _MOST_INTERVALS)
    return [
        np.asarray((time - (min(starts) if concurrent else start)) // width, dtype=np.intp)
        for time, start in zip((baseline, canary), starts, strict=True)
    ]


def _in_intervals(far: BoolArray, which: IntArray) -> Arm:
    events = np.bincount(which, weights=far.astype(np.float64)).astype(np.float64)
    return Arm(events, np.bincount(which).astype(np.float64))


def _in_blocks(far: BoolArray) -> Arm:
    blocks = max(1, min(_MOST_BLOCKS, len(far) // _BLOCK))
    return _in_intervals(far, np.arange(len(far)) * blocks // len(far))


def _of_buckets(arm: Arm, edges: FloatArray, bound: float, *, upward: bool) -> Arm:
    assert arm.buckets is not None  # noqa: S101 - a histogram has buckets
    below = counts_at_most(edges, arm.buckets, bound)[0]
    replicas = tuple(_of_buckets(own, edges, bound, upward=upward) for own in arm.replicas)
    return Arm(arm.value - below if upward else below, arm.value, replicas=replicas)


def _ratio(pair: MetricPair, arms: list[Arm], *, concurrent: bool) -> MetricPair:
    """Pair the counts; an interval without an observation, of either arm where they share the clock, says nothing."""
    baseline, canary = arms
    if concurrent:
        shared = min(len(baseline), len(canary))
        seen = (_totals(baseline)[:shared] > 0) & (_totals(canary)[:shared] > 0)
        baseline, canary = baseline.part(slice(shared)).part(seen), canary.part(slice(shared)).part(seen)
    else:
        baseline, canary = (arm.part(_totals(arm) > 0) for arm in arms)
    baseline, canary = (
        replace(part, replicas=arm.replicas) for part, arm in zip((baseline, canary), arms, strict=True)
    )
    return MetricPair(pair.name, "ratio", baseline, canary, "concurrent" if concurrent else "windows")


def _totals(arm: Arm) -> FloatArray:
    assert arm.total is not None  # noqa: S101 - counts of a share have totals
    return arm.total
