"""What a plan assumes of a metric: as it is stated, or as a history says it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated

import numpy as np
from pydantic import Field

from canaryjudge.data import FloatArray, Series
from canaryjudge.data.times import median_step
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Quantity
from canaryjudge.settings import Amount, Duration, PolicyModel, Problem, RelativeTolerance
from canaryjudge.stats.bucket_distributions import bucket_quantile
from canaryjudge.stats.dispersion import Family, dispersion
from canaryjudge.stats.long_run import dependence
from canaryjudge.stats.paired_shift import paired_changes

__all__ = ["Assumed", "measured_assumptions"]

_BLOCK = 60
"""Points over which scatter and autocorrelation are measured: longer waves are no scatter."""
_FEWEST = 10
_OF_NORMAL = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""
_OWN_RHO = 0.5
"""The dependence that an arm's own variation is taken to have at most, where only one series is known: of more, what it shares with the other arm is the likelier cause."""
_MINUTE = 60.0
_Rho = Annotated[float, Field(strict=True, ge=0, le=0.97)]
_Positive = Annotated[float, Field(gt=0, le=1e15)]


class Assumed(PolicyModel):
    """How a metric behaves while nothing is wrong."""

    interval: Duration = 60.0
    """The spacing of the points."""
    level: Amount | None = None
    """Its level, in its unit: `120ms`; of ratios the share of events, `0.2%`; of counts the events of an interval at all of the traffic."""
    spread: RelativeTolerance | None = None
    """Of gauges: the standard deviation of a point, relative to the level, at all of the traffic. Of samples and histograms: that of an observation."""
    between_intervals: RelativeTolerance = 0.0
    """Of samples and histograms: the standard deviation that all observations of an interval share, relative to the level."""
    autocorrelation: _Rho = 0.0
    """Lag-1 autocorrelation of the points; of samples and histograms, of what an interval shares."""
    traffic: _Positive | None = None
    """Requests of the whole service in an interval: of ratios, samples and histograms."""
    dispersion: Annotated[float, Field(ge=1, le=1000)] = 1.0
    """Of ratios and counts: how many times events vary more than independent ones."""
    per_request: bool | None = None
    """Of gauges: it is made of requests, as a p99 or a mean is, so that its points scatter the more the fewer requests an arm gets. Left out: told by its name."""

    def lacks(self, kind: str) -> tuple[str, ...]:
        """Give what must be known of a kind and is not."""
        return tuple(name for name in KINDS[kind].assumes if getattr(self, name) is None)

    def _contradictions(self) -> Iterator[Problem]:
        if self.level is not None and self.level.number < 0:
            yield Problem(("level",), "a level below 0 has no relative change", "Give its size.")


def measured_assumptions(tracks: Sequence[Series], metric: Metric, *, one_clock: bool) -> Assumed | None:
    """Measure what a plan needs on the whole service's history, or on arms; None where there are fewer than ten points, or a level of 0.

    Arms on one clock are compared minute by minute, so that what they share is no noise of a gauge: what several tracks do at the same times, and what varies slowly where there is but one.
    """
    known = [track for track in tracks if len(track) >= _FEWEST]
    if not known:
        return None
    interval = metric.interval or median_step([track.time for track in known]) or _MINUTE
    if KINDS[metric.kind].counts_events:
        return _of_events(known, metric, interval)
    if KINDS[metric.kind].has_buckets:
        return _of_histograms(known, interval)
    if KINDS[metric.kind].is_raw:
        return _of_samples(known, metric.interval or _MINUTE)
    level = float(np.median(np.concatenate([track.value for track in known])))
    if level == 0:
        return None
    own = [track.value / level for track in known]
    changes = _changes(known, interval, level) if one_clock else []
    blocks = [block for series in changes or own for block in _blocks(series)]
    rho = float(np.median([dependence(block) for block in blocks]))
    variances = [block.var(ddof=1) for block in blocks]
    if changes:
        variances = [variance / 2 for variance in variances]
    elif one_clock:
        variances = [np.square(np.diff(block)).mean() / 2 for block in blocks]
        rho = min(rho, _OWN_RHO)
    return _assumed(level, float(np.sqrt(np.mean(variances))), interval, autocorrelation=rho)


def _changes(tracks: Sequence[Series], interval: float, level: float) -> list[FloatArray]:
    """Give the changes from track to track at the same times, in which what both feel cancels: that of both is in their variance."""
    found = []
    for first, second in pairwise(tracks):
        if first.time is None or second.time is None:
            continue
        slots = [np.floor(time / interval).astype(np.int64) for time in (first.time, second.time)]
        _, here, there = np.intersect1d(slots[0], slots[1], return_indices=True)
        baseline, canary = first.value[here], second.value[there]
        if len(baseline) < _FEWEST:
            continue
        if min(baseline.min(), canary.min()) > 0:
            found.append(paired_changes(baseline, canary, "ratio"))
        else:
            found.append(paired_changes(baseline, canary, "difference") / level)
    return found


def _blocks(values: FloatArray) -> list[FloatArray]:
    return [block for block in np.array_split(values, max(1, len(values) // _BLOCK)) if len(block) >= _FEWEST]


def _assumed(level: float, spread: float, interval: float, **more: float) -> Assumed | None:
    if level == 0:
        return None
    return Assumed.model_construct(
        **{
            **Assumed().__dict__,
            "interval": interval,
            "level": Quantity(number=abs(level)),
            "spread": spread,
            **more,
        }
    )


def _of_events(known: list[Series], metric: Metric, interval: float) -> Assumed | None:
    events = float(sum(track.value.sum() for track in known))
    points = _intervals(known, interval)
    exposure = [np.ones(len(track)) if track.total is None else track.total for track in known]
    whole = float(sum(total.sum() for total in exposure))
    family: Family = KINDS[metric.kind].family
    factors = [
        float(dispersion(values, totals, family=family).factor)
        for track, total in zip(known, exposure, strict=True)
        for values, totals in zip(_blocks(track.value), _blocks(total), strict=True)
    ]
    own = {"dispersion": float(np.mean(factors)) if factors else 1.0}
    if KINDS[metric.kind].is_rate:
        return _assumed(events / points, 0.0, interval, **own)
    return _assumed(events / whole, 0.0, interval, traffic=whole / points, **own)


def _intervals(known: list[Series], interval: float) -> int:
    """Count the intervals that several tracks have together: what arms or replicas saw at one time is the whole service's."""
    times = [track.time for track in known if track.time is not None]
    if len(times) < len(known):
        return sum(map(len, known))
    return len(np.unique(np.floor(np.concatenate(times) / interval)))


def _of_samples(known: list[Series], interval: float) -> Assumed | None:
    values = np.concatenate([track.value for track in known])
    low, level, high = (float(part) for part in np.quantile(values, [0.25, 0.5, 0.75]))
    timed = [track for track in known if track.time is not None]
    spread = (high - low) / _OF_NORMAL / abs(level) if level else 0.0
    if not timed:
        return _assumed(level, spread, interval)
    middles = []
    for track in timed:
        assert track.time is not None  # noqa: S101 - as was asked
        slots = ((track.time - track.time[0]) // interval).astype(np.intp)
        sizes = np.bincount(slots)
        ends = sizes.cumsum()
        middles.append([float(np.median(part)) for part in np.split(track.value, ends[:-1]) if len(part)])
    traffic = sum(map(len, timed)) / _intervals(timed, interval)
    return _assumed(level, spread, interval, traffic=traffic, **_shared(middles, level, spread, traffic))


def _of_histograms(known: list[Series], interval: float) -> Assumed | None:
    track = known[0]
    assert track.buckets is not None and track.edges is not None  # noqa: PT018, S101 - as histograms have
    counts = track.buckets.sum(axis=0)
    low, level, high = (float(bucket_quantile(track.edges, counts, q)) for q in (0.25, 0.5, 0.75))
    spread = (high - low) / _OF_NORMAL / abs(level) if level else 0.0
    traffic = float(sum(own.value.sum() for own in known)) / _intervals(known, interval)
    middles = [float(bucket_quantile(track.edges, row, 0.5)) for row in track.buckets if row.sum() > 0]
    return _assumed(level, spread, interval, traffic=traffic, **_shared([middles], level, spread, traffic))


def _shared(middles: list[list[float]], level: float, spread: float, traffic: float) -> dict[str, float]:
    """Split the variance of the intervals' medians into that of so many observations and what an interval shares."""
    blocks = [block for track in middles for block in _blocks(np.array(track))]
    if not blocks or level == 0:
        return {}
    seen = float(np.mean([block.var(ddof=1) for block in blocks])) / level**2
    by_chance = np.pi / 2 * spread**2 / max(traffic, 1.0)
    between = float(np.sqrt(max(0.0, seen - by_chance)))
    rho = float(np.median([dependence(block) for block in blocks])) if between else 0.0
    return {"between_intervals": between, "autocorrelation": rho}
