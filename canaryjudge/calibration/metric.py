"""One metric calibrated: its healthy pairs judged, its noise floor measured, and settings found with which its promise holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np

from canaryjudge.calibration.proposals import SettingsSearch, fails, find_settings, judged, smallest_found
from canaryjudge.data import FloatArray, MetricPair, Series
from canaryjudge.data.times import median_step
from canaryjudge.history import HealthyPairs, Length, canary_length, healthy_pairs, pairs_of_releases
from canaryjudge.history.noise_floor import (
    FEWEST_POINTS,
    as_floor,
    changes_of,
    floor_facts,
    floors_without_own,
    is_notable,
)
from canaryjudge.policy import Metric, Policy
from canaryjudge.reasons import Outcome
from canaryjudge.reports import FloorFacts, MetricCalibration, ObservedRate, Proposal
from canaryjudge.results import MetricResult
from canaryjudge.stats.long_run import dependence

__all__ = ["CalibratedMetric", "CalibrationTask", "calibrate_metric"]

_DAY = 86400.0
_MOST_FOR_FAULTS = 60
"""Pairs into which faults are put; more would tell the smallest size no better than it is asked for."""


@dataclass(frozen=True, slots=True)
class CalibrationTask:
    """All that one metric's calibration takes, so that it may be done in another process."""

    metric: Metric
    """The metric."""
    policy: Policy
    """Its policy."""
    alpha: float
    """Its share of alpha."""
    tracks: tuple[Series, ...]
    """Healthy series."""
    releases: tuple[tuple[bool, Series, Series], ...]
    """Whether each past release was healthy, and its arms."""
    points: int | None
    """How many points a canary has; None where `seconds` says it, or nothing does."""
    seconds: float | None
    """How long it is."""
    pairs: int
    """At most so many healthy pairs."""
    power: float
    """In what part of them a fault is to be found."""
    seed: int
    """Of the random draws."""


@dataclass(frozen=True, slots=True)
class CalibratedMetric:
    """What came of it."""

    facts: MetricCalibration
    """For the report."""
    proposals: tuple[Proposal, ...]
    """Changes of this metric's settings."""
    spans: FloatArray
    """Where each healthy pair lies; shape (n, 5)."""
    change: FloatArray
    """Its change; NaN where it has none."""


def calibrate_metric(task: CalibrationTask) -> CalibratedMetric:
    """Calibrate one metric; the same task gives the same, wherever it is done."""
    metric = task.metric
    interval = metric.interval or median_step([track.time for track in task.tracks])
    length = canary_length(task.policy, interval, task.points, task.seconds)
    rng = np.random.default_rng([task.seed, crc32(metric.name.encode())])
    healthy = [(baseline, canary) for good, baseline, canary in task.releases if good]
    found = (
        pairs_of_releases(healthy, metric)
        if task.releases
        else healthy_pairs(task.tracks, metric, length, task.pairs, rng)
    )
    if (
        not task.releases
    ):  # windows and replicas of one version share the traffic equally, whatever a canary is to get
        task = replace(task, policy=task.policy.model_copy(update={"split": None}))
    if not found.pairs:
        return CalibratedMetric(_nothing(task, length, interval), (), np.empty((0, 5)), np.empty(0))
    changes = changes_of(found.pairs, metric)
    floors = tuple(
        floor for floor in (floor_facts(found, changes), _of_windows(task, found, length)) if floor
    )
    plain = judged(found.pairs, [metric] * len(found.pairs), task.policy, task.alpha)
    notable = tuple(floor for floor in floors if is_notable(floor, changes))
    own = floors_without_own(found, changes) if notable else [metric.noise_floor] * len(found.pairs)
    settled = find_settings(
        SettingsSearch(metric, task.policy, task.alpha, found, as_floor(notable), tuple(own), notable)
    )
    bad = [(baseline, canary) for good, baseline, canary in task.releases if not good]
    faults = smallest_found(
        _some(found.pairs, rng), settled.metric, task.policy, task.alpha, power=task.power, seed=task.seed
    )
    autocorrelation = within_windows(found.pairs)
    facts = MetricCalibration(
        **_known(task, length, interval),
        source=found.source,
        windows=found.windows,
        replicas=found.replicas,
        failed=_failed(plain, found),
        marginal=_marginal(plain),
        failed_by_rule=_by_rule(plain),
        floors=floors,
        failed_proposed=_failed(settled.results, found),
        marginal_proposed=_marginal(settled.results),
        faults=faults,
        found=_found(bad, task),
        autocorrelation=autocorrelation,
        seasonality=seasonality_of(task.tracks),
        gaps=gaps_of(task.tracks, interval),
        more_points=_more(settled.results),
    )
    change = np.where(changes.known, changes.change, np.nan)
    return CalibratedMetric(
        facts, settled.proposals(faults, autocorrelation, length.points), found.spans, change
    )


def _of_windows(task: CalibrationTask, found: HealthyPairs, length: Length) -> FloorFacts | None:
    """Measure what windows differ by as well, where replicas ran side by side: not every canary will have its baseline beside it."""
    if found.source != "replicas" or task.metric.pairing == "concurrent":
        return None
    alone = task.metric.model_copy(update={"pairing": "windows"})
    rng = np.random.default_rng([task.seed, crc32(task.metric.name.encode()), 1])
    windows = healthy_pairs(task.tracks, alone, length, task.pairs, rng)
    return floor_facts(windows, changes_of(windows.pairs, alone)) if windows.pairs else None


def _some(pairs: Sequence[MetricPair], rng: np.random.Generator) -> list[MetricPair]:
    chosen = np.sort(rng.permutation(len(pairs))[:_MOST_FOR_FAULTS])
    return [pairs[index] for index in chosen]


def _known(task: CalibrationTask, length: Length, interval: float | None) -> dict[str, Any]:
    metric = task.metric
    return {
        "name": metric.name,
        "kind": metric.kind,
        "unit": metric.unit,
        "role": metric.role,
        "alpha": task.alpha,
        "points": length.points,
        "interval_s": interval,
    }


def _nothing(task: CalibrationTask, length: Length, interval: float | None) -> MetricCalibration:
    return MetricCalibration(
        **_known(task, length, interval),
        source="none",
        windows=0,
        replicas=len(task.tracks),
        failed=None,
        marginal=None,
        failed_by_rule={},
        floors=(),
        failed_proposed=None,
        marginal_proposed=None,
        faults=(),
        found=None,
        autocorrelation=None,
        seasonality=seasonality_of(task.tracks),
        gaps=gaps_of(task.tracks, interval),
        more_points=None,
    )


def _failed(results: Sequence[MetricResult], found: HealthyPairs) -> ObservedRate:
    return ObservedRate.of(fails(results), len(results), found.independent)


def _marginal(results: Sequence[MetricResult]) -> float:
    return sum(result.outcome is Outcome.MARGINAL for result in results) / len(results)


def _by_rule(results: Sequence[MetricResult]) -> dict[str, float]:
    counts: dict[str, int] = {}
    for result in results:
        for finding in result.findings:
            counts[finding.rule] = counts.get(finding.rule, 0) + (finding.outcome is Outcome.FAIL)
    return {rule: count / len(results) for rule, count in counts.items()}


def _found(bad: Sequence[tuple[Series, Series]], task: CalibrationTask) -> ObservedRate | None:
    pairs = pairs_of_releases(bad, task.metric) if bad else None
    if pairs is None or not pairs.pairs:
        return None
    results = judged(pairs.pairs, [task.metric] * len(pairs.pairs), task.policy, task.alpha)
    return _failed(results, pairs)


def _more(results: Sequence[MetricResult]) -> int | None:
    """Give how many more points decide half of those undecided; None where no number of points would, or none is undecided."""
    held = [result for result in results if result.outcome is Outcome.MARGINAL]
    more = sorted(
        math.inf
        if result.deciding is None or result.deciding.more_points is None
        else result.deciding.more_points
        for result in held
    )
    middle = more[len(more) // 2] if more else math.inf
    return int(middle) if math.isfinite(middle) else None


def within_windows(pairs: Sequence[MetricPair]) -> float | None:
    """Give the median of the lag-1 autocorrelation within windows."""
    found = []
    for pair in pairs:
        arm = pair.baseline
        value = arm.value if arm.total is None else arm.value / arm.total
        if len(value) >= FEWEST_POINTS:
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
