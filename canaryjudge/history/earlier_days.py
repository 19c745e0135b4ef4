"""The windows of earlier days between the same times of the clock as a release's, cut from a history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from canaryjudge.data import Arm, FloatArray, History, MetricPair, Series
from canaryjudge.data.series import pooled
from canaryjudge.kinds import KINDS
from canaryjudge.rules.before_after import window_level
from canaryjudge.rules.rows import EarlierDays
from canaryjudge.stats.earlier_days import Windows

__all__ = ["with_earlier_days"]

_DAY: Final = 86400.0
_WEEK: Final = 7
_ENOUGH: Final = 0.8
"""A window of an earlier day needs so many of the points that the release's has."""
_FEWEST_SAMPLES: Final = 10
_MOST_DAYS: Final = 120
_MOST_CLOCKS: Final = 24
"""More times of the clock tell the variance no better."""


def with_earlier_days(
    pair: MetricPair, known: History | None, baseline: str, control: str | None
) -> MetricPair:
    """Look up what earlier days, and an untouched service, did at the times of the clock at which both arms were measured.

    Of a history with several arms the one that is named as the baseline counts; where none is, all but the control.
    """
    if pair.reported:  # a history of one series counts what all replicas did
        pair = replace(
            pair, baseline=replace(pair.baseline, total=None), canary=replace(pair.canary, total=None)
        )
    arms = pair.baseline, pair.canary
    if not all(len(arm) and arm.time is not None for arm in arms):
        return replace(pair, earlier=EarlierDays())
    spans = [_span(arm, pair.interval) for arm in arms]
    beside = None
    if pair.control is not None:
        track = _Track(pair.control, pair.kind)
        beside = (track.level(*spans[0], 1), track.level(*spans[1], 1))
    past = () if known is None else known.arms.get(pair.name, ())
    start = spans[0][0]
    others = [arm for arm in past if arm.arm != control]
    own = _together([arm for arm in others if arm.arm == baseline] or others, start, pair.kind)
    other = _together([arm for arm in past if arm.arm == control], start, pair.kind)
    if own is None or (pair.control is not None and other is None):
        return replace(pair, earlier=EarlierDays(own_control=beside))
    first = start if own.time is None or not len(own) else float(own.time[0])
    length = spans[1][1] - start
    period = math.ceil(length / _DAY - 1e-9)
    clocks = max(1, min(_MOST_CLOCKS, int(period * _DAY / length + 1e-9)))
    days = min(_MOST_DAYS, int((start - first) / (period * _DAY)) + 1)
    offsets = -period * np.arange(days, 0, -1.0)
    raw = KINDS[pair.kind].is_raw  # of samples an hour with less traffic has fewer
    needed = [_FEWEST_SAMPLES if raw else max(1, math.ceil(_ENOUGH * len(arm))) for arm in arms]
    service = _Track(own, pair.kind)
    windows = _windows(service, offsets, spans, length, clocks, needed)
    counted = windows.own
    scatter = 0.0
    if KINDS[pair.kind].counts_events and counted.any():
        scatter = float(
            np.mean(
                [
                    sum(1 / service.events(low + _DAY * day, high + _DAY * day) for low, high in spans)
                    for day in offsets[counted]
                ]
            )
        )
    untouched = None
    if pair.control is not None and other is not None:
        untouched = _windows(_Track(other, pair.kind), offsets, spans, length, clocks, [1, 1])
        counted = counted & untouched.own
    weekly = counted & (offsets % _WEEK == 0)
    weekdays = bool(np.count_nonzero(weekly) >= 2)
    groups = (-offsets % _WEEK).astype(np.intp) if weekdays else np.zeros(len(offsets), dtype=np.intp)
    seen = np.flatnonzero(counted)
    left_out = int(len(offsets) - seen[0] - len(seen)) if len(seen) else 0
    found = EarlierDays(
        windows=replace(windows, groups=groups),
        control=None if untouched is None else replace(untouched, groups=groups),
        own_control=beside,
        scatter=scatter,
        weekdays=weekdays,
        left_out=left_out,
    )
    return replace(pair, earlier=found)


class _Track:
    """A series of which windows are cut by time."""

    def __init__(self, points: Arm, kind: str) -> None:
        assert points.time is not None  # noqa: S101 - those without times are no history of days
        self.time, self._kind = points.time, kind
        self._value, self._exposure = points.value, points.exposures

    def _part(self, low: float, high: float) -> slice:
        return slice(*self.time.searchsorted([low, high]).tolist())

    def level(self, low: float, high: float, needed: int) -> float:
        """Give the level between two times; NaN where there are too few points."""
        part = self._part(low, high)
        if part.stop - part.start < needed:
            return math.nan
        return window_level(self._kind, self._value[part], self._exposure[part])

    def events(self, low: float, high: float) -> float:
        """Count the events between two times, and half of one."""
        return float(self._value[self._part(low, high)].sum()) + 0.5


def _span(arm: Arm, interval: float | None) -> tuple[float, float]:
    """Give from when to when an arm was measured, each point in the middle of its interval."""
    half = (interval or 0.0) / 2
    assert arm.time is not None  # noqa: S101 - looked at before
    return float(arm.time[0]) - half, float(arm.time[-1]) + (half or 1e-6)


def _together(arms: Sequence[Series], start: float, kind: str) -> Arm | None:
    """Give the points of arms from before a time as those of one, pooled as replicas are; None where none has times."""
    timed = [pooled(arm, KINDS[kind]) for arm in arms if arm.time is not None and len(arm)]
    if not timed:
        return None
    whole = timed[0]
    if len(timed) > 1:
        whole = pooled(replace(whole, replicas=tuple(timed)), KINDS[kind])
    if len(timed) > 1 and KINDS[kind].is_raw:
        time = np.concatenate([arm.time for arm in timed if arm.time is not None])
        order = np.argsort(time, kind="stable")
        return _before(Arm(np.concatenate([arm.value for arm in timed])[order], time=time[order]), start)
    return _before(Arm(whole.value, None if whole.reported else whole.total, whole.time), start)


def _before(arm: Arm, start: float) -> Arm:
    assert arm.time is not None  # noqa: S101 - it is timed
    return arm.part(arm.time < start)


def _windows(
    track: _Track,
    offsets: FloatArray,
    spans: Sequence[tuple[float, float]],
    length: float,
    clocks: int,
    needed: Sequence[int],
) -> Windows:
    """Cut the windows of each day at each time of the clock, of which the release's own is the first; the others lie before it, and share no points."""
    levels = np.full((2, len(offsets), clocks), np.nan)
    for side, ((low, high), least) in enumerate(zip(spans, needed, strict=True)):
        for day, offset in enumerate(offsets.tolist()):
            for clock in range(clocks):
                away = offset * _DAY - clock * length
                levels[side, day, clock] = track.level(low + away, high + away, least)
    return Windows(levels[0], levels[1], offsets, np.zeros(len(offsets), dtype=np.intp))
