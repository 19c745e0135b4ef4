"""Healthy pairs: two windows of a history, or two replicas at one time, that stand for a baseline and a canary of one version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data import Arm, FloatArray, MetricPair, Series
from canaryjudge.data.pairing import align
from canaryjudge.data.times import median_step
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy

__all__ = ["HealthyPairs", "Length", "canary_length", "healthy_pairs", "pairs_of_releases"]

_DAY = 86400.0
_DEFAULT_POINTS = 60
_FEWEST_NEIGHBORS = 3
"""Fewer pairs of neighbors, and windows at the same time of the day stand in for them."""
_LOOSE = 1.25
"""A window may last this many times as long as its points need: more is a gap."""
_FARTHEST = 3.0
"""Neighbors lie at most this many intervals apart."""

PairSource = Literal["releases", "replicas", "neighbors", "clock"]


@dataclass(frozen=True, slots=True)
class Length:
    """How long a canary is."""

    points: int
    """Points of a window."""
    seconds: float | None = None
    """How long that is, which is what counts for samples that have times."""


def canary_length(
    policy: Policy, interval: float | None, points: int | None = None, seconds: float | None = None
) -> Length:
    """Tell how long a canary is: as given in points or seconds, or by the policy's deadline, or else 60 points."""
    if points is None and (seconds := seconds or policy.max_duration) is not None and interval is not None:
        return Length(max(2, round(seconds / interval)), seconds)
    points = points or policy.max_points or _DEFAULT_POINTS
    return Length(points, None if interval is None else points * interval)


@dataclass(frozen=True, slots=True)
class HealthyPairs:
    """Pairs in which nothing changed."""

    pairs: tuple[MetricPair, ...]
    """The pairs."""
    spans: FloatArray
    """From where to where in the history the windows of each lie, and on which track: pairs that overlap share data; shape (n, 5)."""
    independent: int
    """How many of them could be had without sharing any data: what they are worth."""
    source: PairSource
    """Past releases, concurrent replicas, neighboring windows, or windows at the same time of the day."""
    windows: int
    """Windows that share no data."""
    replicas: int
    """Tracks that ran side by side."""
    groups: NDArray[np.intp]
    """Which two replicas a pair is of, or which track."""
    turned: NDArray[np.bool_]
    """Where the later of the two replicas stands for the baseline."""

    def apart_from(self, index: int) -> NDArray[np.bool_]:
        """Tell which pairs share no data with one of them."""
        own = self.spans[index]
        apart = np.ones(len(self.spans), dtype=np.bool_)
        for first in (0, 2):
            for second in (0, 2):
                start, stop = self.spans[:, first], self.spans[:, first + 1]
                apart &= (stop <= own[second]) | (start >= own[second + 1])
        return np.asarray(apart | (self.spans[:, 4] != own[4]))

    def some(self, kept: NDArray[np.intp], independent: int) -> HealthyPairs:
        """Give some of the pairs, which are worth so many that share no data."""
        return replace(
            self,
            pairs=tuple(self.pairs[index] for index in kept),
            spans=self.spans[kept],
            independent=independent,
            groups=self.groups[kept],
            turned=self.turned[kept],
        )


def healthy_pairs(
    tracks: Sequence[Series],
    metric: Metric,
    length: Length,
    most: int,
    rng: np.random.Generator,
    *,
    step: float = 0.25,
) -> HealthyPairs:
    """Cut a history into pairs of the canary's own length: concurrent replicas where there are some; else neighboring windows, of which one begins every so many windows; else windows at the same time of the day; maybe none."""
    beside = _of_replicas(tracks, metric, length, rng) if metric.pairing != "windows" else None
    if beside is not None:
        return _thinned(beside, most, rng)
    cut = [(_Windows(track, metric, length, number)) for number, track in enumerate(tracks)]
    neighbors = _join([one.neighbors(step) for one in cut], "neighbors")
    if neighbors.independent >= _FEWEST_NEIGHBORS:
        return _thinned(neighbors, most, rng)
    clock = _join([one.by_clock() for one in cut], "clock")
    best = clock if clock.independent > neighbors.independent else neighbors
    return _thinned(best, most, rng)


def pairs_of_releases(arms: Sequence[tuple[Series, Series]], metric: Metric) -> HealthyPairs:
    """Take past releases as they were, a pair each; they share no data."""
    pairs = tuple(align(metric, *both) for both in arms)
    known = tuple(pair for pair in pairs if min(len(pair.baseline), len(pair.canary)))
    count = len(known)
    numbers = np.arange(count, dtype=np.float64)
    spans = np.stack([numbers, numbers + 0.5, numbers, numbers + 0.5, numbers], axis=1)
    turned = np.zeros(count, dtype=np.bool_)
    return HealthyPairs(known, spans, count, "releases", 2 * count, 2 * count, np.arange(count), turned)


def _of_replicas(
    tracks: Sequence[Series], metric: Metric, length: Length, rng: np.random.Generator
) -> HealthyPairs | None:
    """Pair replicas that ran side by side; None where there are none."""
    timed = [track for track in tracks if track.time is not None]
    pairs: list[MetricPair] = []
    spans: list[tuple[float, ...]] = []
    windows, groups, turned = 0, [], []
    concurrent = metric.model_copy(update={"pairing": "auto"})
    used: set[int] = set()
    for group, (one, other) in enumerate(combinations(range(len(timed)), 2)):
        whole = align(concurrent, timed[one], timed[other])
        if whole.pairing != "concurrent":
            continue
        starts = _starts(whole.baseline, whole.interval, length, metric)
        for start, stop in starts:
            arms = [whole.baseline.part(slice(start, stop)), whole.canary.part(slice(start, stop))]
            if KINDS[metric.kind].is_raw:
                arms = [_between(arm, whole.baseline, start, stop) for arm in (whole.baseline, whole.canary)]
            turned.append(rng.random() < 0.5)
            if turned[-1]:
                arms.reverse()
            pairs.append(_pair(whole, arms[0], arms[1], "concurrent"))
            spans.append((*2 * _span(whole.baseline, start, stop), 0.0))
            groups.append(group)
            used |= {one, other}
        windows = max(windows, len(starts))
    if not pairs:
        return None
    return HealthyPairs(
        tuple(pairs),
        np.array(spans),
        windows * (len(used) // 2),
        "replicas",
        windows,
        len(used),
        np.array(groups, dtype=np.intp),
        np.array(turned),
    )


def _between(arm: Arm, clock: Arm, start: int, stop: int) -> Arm:
    assert arm.time is not None and clock.time is not None  # noqa: PT018, S101 - the arms share the clock
    inside = (arm.time >= clock.time[start]) & (arm.time <= clock.time[stop - 1])
    return arm.part(inside)


def _pair(
    whole: MetricPair, baseline: Arm, canary: Arm, pairing: Literal["concurrent", "windows"]
) -> MetricPair:
    return MetricPair(
        whole.name,
        whole.kind,
        baseline,
        canary,
        pairing,
        whole.interval,
        edges=whole.edges,
        reported=whole.reported,
    )


def _span(arm: Arm, start: int, stop: int) -> tuple[float, float]:
    return (float(start), float(stop)) if arm.time is None else (arm.time[start], arm.time[stop - 1] + 1e-9)


def _starts(
    arm: Arm, interval: float | None, length: Length, metric: Metric, step: float = 1.0
) -> list[tuple[int, int]]:
    """Cut an arm into windows; with a step of 1 they share nothing."""
    time = arm.time
    if KINDS[metric.kind].is_raw and time is not None and length.seconds is not None and len(time):
        edges = np.arange(time[0], time[-1] - length.seconds + 1e-9, length.seconds * step)
        cuts = np.searchsorted(time, np.stack([edges, edges + length.seconds]))
        return [(int(a), int(b)) for a, b in cuts.T if b - a >= metric.needed_points]
    n = length.points
    found: list[tuple[int, int]] = []
    for first, last in _segments(time, interval, len(arm)):
        # whole windows apart stay so for any step, because the floor of x + n is that of x, plus n
        offsets = np.floor(
            np.arange(max(0, 1 + int((last - first - n) / (n * step) + 1e-9))) * (n * step) + 1e-9
        )
        starts = first + offsets.astype(np.intp)
        found += [
            (int(start), int(start) + n)
            for start in starts
            if start + n <= last
            and (time is None or interval is None or _solid(time[start : start + n], interval))
        ]
    return found


def _segments(time: FloatArray | None, interval: float | None, points: int) -> list[tuple[int, int]]:
    """Give the stretches between long gaps."""
    if time is None or interval is None:
        return [(0, points)]
    breaks = np.flatnonzero(np.diff(time) > _FARTHEST * interval) + 1
    ends = [0, *breaks.tolist(), points]
    return list(pairwise(ends))


def _solid(time: FloatArray, interval: float) -> bool:
    return bool(time[-1] - time[0] <= _LOOSE * (len(time) - 1) * interval + interval)


class _Windows:
    """One track, cut into windows that are compared as before and after."""

    def __init__(self, track: Series, metric: Metric, length: Length, number: int) -> None:
        self._arm = Arm(track.value, track.total, track.time, track.buckets)
        self._interval = metric.interval or median_step([track.time])
        self._whole = MetricPair(
            metric.name,
            metric.kind,
            self._arm,
            self._arm,
            "windows",
            self._interval,
            edges=track.edges,
            reported=track.reported,
        )
        self._metric, self._length, self._number = metric, length, number

    def neighbors(self, step: float) -> HealthyPairs:
        """Pair each window with the next, beginning at every such part of a window."""
        windows = _starts(self._arm, self._interval, self._length, self._metric, step)
        follows = {start: (start, stop) for start, stop in windows}
        pairs = [
            ((start, stop), follows[stop]) for start, stop in windows if stop in follows and self._close(stop)
        ]
        apart, end = 0, -1
        for first, second in pairs:
            if first[0] >= end:
                apart, end = apart + 1, second[1]
        return self._made(pairs, apart)

    def by_clock(self) -> HealthyPairs:
        """Pair each window with the earlier one that is nearest to it by the time of the day."""
        windows = _starts(self._arm, self._interval, self._length, self._metric)
        time = self._arm.time
        pairs = []
        for index in range(1, len(windows)):
            earlier = range(index)
            if time is None:
                pairs.append((windows[index - 1], windows[index]))
                continue
            now = time[windows[index][0]]
            apart = [abs((now - time[windows[j][0]] + _DAY / 2) % _DAY - _DAY / 2) for j in earlier]
            best = min(earlier, key=lambda j: (round(apart[j] / 600), index - j))
            pairs.append((windows[best], windows[index]))
        return self._made(pairs, len(windows) // 2)

    def _close(self, stop: int) -> bool:
        time = self._arm.time
        if time is None or self._interval is None or KINDS[self._metric.kind].is_raw:
            return True
        return bool(time[stop] - time[stop - 1] <= _FARTHEST * self._interval)

    def _made(self, pairs: list[tuple[tuple[int, int], tuple[int, int]]], apart: int) -> HealthyPairs:
        windows = len(_starts(self._arm, self._interval, self._length, self._metric))
        spans = [
            (*_span(self._arm, *first), *_span(self._arm, *second), float(self._number))
            for first, second in pairs
        ]
        made = tuple(
            _pair(self._whole, self._arm.part(slice(*first)), self._arm.part(slice(*second)), "windows")
            for first, second in pairs
        )
        groups = np.full(len(made), self._number, dtype=np.intp)
        turned = np.zeros(len(made), dtype=np.bool_)
        return HealthyPairs(
            made, np.array(spans).reshape(-1, 5), apart, "neighbors", windows, 1, groups, turned
        )


def _join(parts: Sequence[HealthyPairs], source: PairSource) -> HealthyPairs:
    return HealthyPairs(
        tuple(pair for part in parts for pair in part.pairs),
        np.concatenate([np.empty((0, 5)), *(part.spans for part in parts)]),
        sum(part.independent for part in parts),
        source,
        sum(part.windows for part in parts),
        len(parts),
        np.concatenate([np.empty(0, dtype=np.intp), *(part.groups for part in parts)]),
        np.concatenate([np.empty(0, dtype=np.bool_), *(part.turned for part in parts)]),
    )


def _thinned(found: HealthyPairs, most: int, rng: np.random.Generator) -> HealthyPairs:
    if len(found.pairs) <= most:
        return found
    kept = np.sort(rng.permutation(len(found.pairs))[:most])
    return found.some(kept, min(found.independent, most))
