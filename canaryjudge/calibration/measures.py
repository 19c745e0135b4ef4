"""What a history says of one metric: how often the real judge fails healthy pairs of it, why, and what it would find."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from canaryjudge.data import FloatArray, MetricPair, Series, with_exposures
from canaryjudge.judge import judge_metric
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy
from canaryjudge.reasons import Outcome
from canaryjudge.results import MetricResult
from canaryjudge.rules.totals import count_totals
from canaryjudge.simulate import Fault, inject
from canaryjudge.stats.bucket_distributions import BucketBands, bucket_quantile
from canaryjudge.stats.bucket_rank_test import bucket_shift_test
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.rank_test import shift_test
from canaryjudge.studies import FaultFound, ObservedRate

__all__ = [
    "Changes",
    "changes_of",
    "gaps_of",
    "judged",
    "observed",
    "seasonality_of",
    "smallest_found",
    "within_windows",
]

_DAY = 86400.0
_LARGEST_FAULT, _SMALLEST_FAULT = 16.0, 0.005
_CLOSE = 1.08
"""A size is known to within this factor; more steps would tell apart what the pairs cannot."""
_FEWEST_POINTS = 6


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of healthy pairs, which are none.

    Attributes
    ----------
    change, error : ndarray, shape (n,)
        The change of each pair, and what the scatter of its points explains: parts of the level, or in the metric's unit.
    absolute : bool
        Whether in the unit, because a level is 0.
    known : ndarray of bool, shape (n,)
        Whether the pair has a change at all; few points, or no events, have none.
    """

    change: FloatArray
    error: FloatArray
    absolute: bool
    known: np.ndarray[tuple[int], np.dtype[np.bool_]]


def judged(
    pairs: Sequence[MetricPair], metrics: Sequence[Metric], policy: Policy, alpha: float
) -> list[MetricResult]:
    """Judge pairs by the code that will judge the release, each by its own version of the metric."""
    return [
        judge_metric(with_exposures(pair, metric, policy), metric, policy, alpha)
        for pair, metric in zip(pairs, metrics, strict=True)
    ]


def observed(count: int, trials: int, independent: float, error: float = 0.05) -> ObservedRate:
    """Give a rate with the interval of Clopper and Pearson, for as many trials as these are worth.

    Examples
    --------
    As `binom.test(3, 40)` in R:

    >>> found = observed(3, 40, 40)
    >>> round(found.low, 5), round(found.high, 5)
    (0.01574, 0.20386)
    """
    rate = count / trials
    worth = max(1.0, min(independent, float(trials)))
    seen = rate * worth
    low = float(betaincinv(seen, worth - seen + 1, error / 2)) if count else 0.0
    high = float(betaincinv(seen + 1, worth - seen, 1 - error / 2)) if count < trials else 1.0
    return ObservedRate(count=count, trials=trials, independent=worth, rate=rate, low=low, high=high)


def changes_of(pairs: Sequence[MetricPair], metric: Metric) -> Changes:
    """Measure the change of each pair as the judge does, with its standard error."""
    kind = KINDS[metric.kind]
    measure = _of_events if kind.counts_events else _of_histograms if kind.has_buckets else _of_values
    found = np.array([measure(pair) for pair in pairs]).reshape(-1, 3)
    change, error, level = found.T
    known = np.isfinite(change) & np.isfinite(error)
    if kind.counts_events:  # their change is one of the logarithm, relative at any level
        return Changes(change, error, absolute=False, known=known)
    levels = np.abs(level)
    absolute = bool((levels[known] <= 1e-9 * max(1e-300, float(levels[known].max(initial=0.0)))).any())
    unit = np.ones_like(levels) if absolute else np.where(levels > 0, levels, 1.0)
    return Changes(change / unit, error / unit, absolute, known)


def _of_values(pair: MetricPair) -> tuple[float, float, float]:
    if min(len(pair.baseline), len(pair.canary)) < _FEWEST_POINTS:
        return math.nan, math.nan, 0.0
    concurrent = pair.pairing == "concurrent" and not KINDS[pair.kind].is_raw
    test = shift_test(pair.baseline.value, pair.canary.value, [0.0], concurrent=concurrent)
    return float(test.estimate), float(test.standard_error[0]), float(np.median(pair.baseline.value))


def _of_histograms(pair: MetricPair) -> tuple[float, float, float]:
    edges, baseline, canary = pair.edges, pair.baseline.buckets, pair.canary.buckets
    assert edges is not None and baseline is not None and canary is not None  # noqa: PT018, S101 - as histograms have
    if min(baseline.sum(), canary.sum()) < _FEWEST_POINTS:
        return math.nan, math.nan, 0.0
    bands = BucketBands(edges, baseline.sum(axis=0), canary.sum(axis=0))
    test = bucket_shift_test(bands, baseline, canary, [0.0], concurrent=pair.pairing == "concurrent")
    median = bucket_quantile(edges, baseline.sum(axis=0), 0.5)
    return test.estimate, float(test.standard_error[0]), float(median)


def _of_events(pair: MetricPair) -> tuple[float, float, float]:
    if min(len(pair.baseline), len(pair.canary)) == 0:
        return math.nan, math.nan, 0.0
    totals = count_totals(
        pair.baseline, pair.canary, KINDS[pair.kind].family, concurrent=pair.pairing == "concurrent"
    )
    # half an event more keeps the logarithm finite
    events = [totals.canary * totals.factor + 0.5, totals.baseline * totals.factor + 0.5]
    exposures = [totals.canary_exposure * totals.factor, totals.baseline_exposure * totals.factor]
    if events[0] + events[1] <= 2:
        return math.nan, math.nan, 0.0
    change = math.log(events[0] / exposures[0]) - math.log(events[1] / exposures[1])
    return change, math.sqrt(totals.factor * (1 / events[0] + 1 / events[1])), totals.baseline_rate


def smallest_found(
    pairs: Sequence[MetricPair],
    metric: Metric,
    policy: Policy,
    alpha: float,
    *,
    power: float,
    seed: int,
) -> tuple[FaultFound, ...]:
    """Find the smallest fault of each kind that fails in enough pairs, by bisection of its logarithm.

    Each pair draws the same random numbers at every size, so that a larger fault is not missed by luck where a smaller one is found.
    """
    alone = policy.model_copy(update={"metrics": (metric,)})
    least = math.ceil(power * len(pairs) - 1e-9)

    def enough(fault: Fault, size: float) -> bool:
        found, left = 0, len(pairs)
        for number, pair in enumerate(pairs):
            rng = np.random.default_rng([seed, number])
            ill = inject(pair, fault, size, metric.direction, rng)
            found += judged([ill], [metric], alone, alpha)[0].outcome is Outcome.FAIL
            left -= 1
            if found >= least or found + left < least:
                break
        return found >= least

    def smallest(fault: Fault) -> float | None:
        if not enough(fault, _LARGEST_FAULT):
            return None
        low, high = _SMALLEST_FAULT, _LARGEST_FAULT
        while high / low > _CLOSE:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if enough(fault, middle) else (middle, high)
        return high

    return tuple(
        FaultFound(fault=fault, size=smallest(fault), power=power) for fault in KINDS[metric.kind].faults
    )


def within_windows(pairs: Sequence[MetricPair]) -> float | None:
    """Give the median of the lag-1 autocorrelation within windows."""
    found = []
    for pair in pairs:
        arm = pair.baseline
        value = arm.value if arm.total is None else arm.value / arm.total
        if len(value) >= _FEWEST_POINTS:
            found.append(float(dependence(value)))
    return float(np.median(found)) if found else None


def gaps_of(tracks: Sequence[Series], interval: float | None) -> float | None:
    """Give the part of a history's intervals without a point; None without times."""
    timed = [track.time for track in tracks if track.time is not None and len(track) > 1]
    if interval is None or not timed:
        return None
    slots = [len(np.unique(np.round((time - time[0]) / interval))) for time in timed]
    spans = [round((time[-1] - time[0]) / interval) + 1 for time in timed]
    return float(max(0.0, 1 - sum(slots) / sum(spans)))


def seasonality_of(tracks: Sequence[Series]) -> float | None:
    """Give the part of the variance that the hour of the day explains, adjusted for its chance; None for less than two days."""
    found = []
    for track in tracks:
        if track.time is None or len(track) < 100 or track.time[-1] - track.time[0] < 2 * _DAY:
            continue
        value = track.value if track.total is None else track.value / track.total
        hours = (track.time % _DAY // 3600).astype(np.intp)
        counts = np.bincount(hours, minlength=24)
        means = np.bincount(hours, value, minlength=24) / np.maximum(counts, 1)
        whole = float(np.square(value - value.mean()).sum())
        left = float(np.square(value - means[hours]).sum())
        freedom = len(value) - int((counts > 0).sum())
        if whole > 0 and freedom > 0:
            found.append(max(0.0, 1 - left / freedom / (whole / (len(value) - 1))))
    return float(np.median(found)) if found else None
