"""The mean effect within segments, which decides in place of the pooled one: of gauges weighted by how well each is known, of samples by van Elteren's ranks, of events by the stratified score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from canaryjudge.data import FloatArray, MetricPair, row_of
from canaryjudge.kinds import KINDS
from canaryjudge.rules import ErrorRates
from canaryjudge.rules.findings import (
    EventsFinding,
    LevelFinding,
)
from canaryjudge.rules.noise_floor import Floor, floor_of
from canaryjudge.rules.strata import asks_within
from canaryjudge.segments.effects import Effects, SegmentedMetric
from canaryjudge.stats.common_effect import student_error, weighted_mean
from canaryjudge.stats.dispersion import Dispersion
from canaryjudge.stats.replicas import joined
from canaryjudge.stats.stratified_events import stratified_test
from canaryjudge.stats.stratified_ranks import van_elteren

__all__ = ["MeanEffect"]

_FEW_WAVES = 8.0
"""Of errors known with fewer degrees of freedom, weights are those of the traffic."""


@dataclass(frozen=True, slots=True)
class MeanEffect:
    """The segments' mean effect."""

    estimate: float
    error: float
    """At the level of a fail, what the segments share not counted."""
    pass_error: float
    df: float
    weights: FloatArray
    method: str
    floor: Floor | None
    spread: float
    """What healthy arms differ by, in the scale of the effects: a standard error."""
    floor_df: float

    @classmethod
    def of(cls, own: SegmentedMetric, effects: Effects, share: float) -> MeanEffect:
        """Take them together as the metric's kind asks for."""
        kind = KINDS[own.metric.kind]
        levels = share * own.level / len(effects.ends), own.beta
        found: tuple[float, float, float, float, FloatArray, str] | None = None
        if kind.is_raw and all(
            min(len(pair.baseline), len(pair.canary)) > 1 for pair in _compared(own, effects)
        ):
            found = _by_ranks(own, effects, levels)
        elif kind.counts_events and not any(
            each is not None and each.rule == "mann_whitney" for each in effects.findings
        ):
            found = _by_events(own, effects, levels)
        if found is None or not all(map(math.isfinite, found[:3])):
            weights = own.parts[0] if effects.df[effects.known].min() < _FEW_WAVES else None
            mean, error, df, parts = weighted_mean(
                effects.estimate, effects.error, effects.df, weights=weights
            )
            found = float(mean), float(error), float(error), float(df), parts, "common_effect"
        floor, unit = _floor(own, effects)
        spread = 0.0 if floor is None else floor.standard_error / unit
        return cls(*found, floor, spread, math.inf if floor is None else floor.df)

    def with_floor(self, error: Any, df: Any) -> tuple[FloatArray, FloatArray]:
        """Join an error and what healthy arms differ by."""
        return joined(error, df, self.spread, self.floor_df)


def _compared(own: SegmentedMetric, effects: Effects) -> list[MetricPair]:
    return [pair for pair, known in zip(own.pairs, effects.known, strict=True) if known]


def _floor(own: SegmentedMetric, effects: Effects) -> tuple[Floor | None, float]:
    """Give by how much healthy arms differ, and the unit of the effects in the metric's: replicas that segments were held against tell it in each."""
    if any(each is not None and each.replicas is not None for each in effects.findings):
        return None, 1.0
    level = next(
        (
            abs(each.baseline_level)
            for each in own.result.findings
            if isinstance(each, LevelFinding) and each.baseline_level
        ),
        0.0,
    )
    floor = floor_of(row_of(own.pair, own.metric, ErrorRates(own.level, own.beta)), level)
    return floor, (level or 1.0) if effects.scale == "relative" else 1.0


def _by_ranks(
    own: SegmentedMetric, effects: Effects, levels: tuple[float, float]
) -> tuple[float, float, float, float, FloatArray, str] | None:
    """Compare samples by van Elteren's test."""
    arms: list[list[FloatArray]] = [[], []]
    for pair, finding in zip(own.pairs, effects.findings, strict=True):
        if finding is None or not np.isfinite(finding.estimate or np.nan):
            continue
        unit = abs(finding.baseline_level or 0.0) if effects.scale == "relative" else 1.0
        for arm, values in zip(arms, (pair.baseline.value, pair.canary.value), strict=True):
            if effects.logarithmic:
                arm.append(np.log(values))
            else:
                arm.append(values / unit)
    if not arms[0] or len(arms[0]) != int(effects.known.sum()):
        return None
    ends = [float(np.nanmedian(end)) for end in effects.ends.values()]
    scales = [1.0 if effects.logarithmic or effects.scale == "absolute" else 1 + end for end in ends]
    found = van_elteren(
        arms[0], arms[1], ends, levels=levels, scales=scales, size=1.0 if effects.logarithmic else 0.0
    )
    halves = [
        (
            float(
                found.estimate - found.low[place, 0] if sign > 0 else found.high[place, 0] - found.estimate
            ),
            float(
                found.high[place, 1] - found.estimate if sign > 0 else found.estimate - found.low[place, 1]
            ),
        )
        for place, sign in enumerate(effects.ends)
    ]
    df = float(found.df.min())
    weights = np.zeros(len(effects.known))
    weights[np.asarray(effects.known, dtype=np.bool_)] = found.weights
    fail, passing = (
        float(student_error(max(own), level, df))
        for own, level in zip(zip(*halves, strict=True), levels, strict=True)
    )
    return float(found.estimate), fail, passing, df, weights, "van_elteren"


def _by_events(
    own: SegmentedMetric, effects: Effects, levels: tuple[float, float]
) -> tuple[float, float, float, float, FloatArray, str] | None:
    """Compare events by the stratified score: a cell a segment, or an interval of one whose split moves."""
    cells: list[list[FloatArray]] = [[], [], [], [], [], []]
    for pair, finding, known in zip(own.pairs, effects.findings, effects.known, strict=True):
        if not known:
            continue
        columns = [pair.baseline.value, pair.baseline.exposures, pair.canary.value, pair.canary.exposures]
        concurrent = pair.pairing == "concurrent"
        moves = concurrent and bool(asks_within(pair.kind, pair.baseline, pair.canary, concurrent=True))
        columns = columns if moves else [column.sum(keepdims=True) for column in columns]
        for cell, column in zip(cells, columns, strict=False):
            cell.append(column)
        events = finding if isinstance(finding, EventsFinding) else None
        factor = 1.0 if events is None else events.dispersion or 1.0
        df = math.inf if events is None or events.df is None else events.df
        cells[4].append(np.full(len(columns[0]), factor))
        cells[5].append(np.full(len(columns[0]), df))
    xb, nb, xc, nc, factor_, df_ = (np.concatenate(cell) for cell in cells)
    measure: Literal["ratio", "difference"] = "ratio" if effects.logarithmic else "difference"
    found = stratified_test(
        xb,
        nb,
        xc,
        nc,
        [],
        measure=measure,
        levels=levels,
        method="auto" if KINDS[own.metric.kind].is_share else "exact",
        dispersion=Dispersion(factor_, df_, np.ones(len(df_))),
    )
    ends = np.array([float(found.estimate), *found.low.tolist(), *found.high.tolist()])
    with np.errstate(divide="ignore", invalid="ignore"):
        x, low, low_pass, high, high_pass = np.log(ends) if effects.logarithmic else ends
    sides = list(effects.ends)
    halves = [x - low if sign > 0 else high - x for sign in sides]
    passes = [high_pass - x if sign > 0 else x - low_pass for sign in sides]
    weights = np.where(effects.known, 1 / np.square(np.where(effects.known, effects.error, 1.0)), 0.0)
    if not effects.logarithmic:
        traffic = own.traffic
        weights = np.where(
            effects.known, traffic[0] * traffic[1] / np.maximum(traffic[0] + traffic[1], 1e-300), 0.0
        )
    return (
        float(x),
        float(student_error(max(halves), levels[0], np.inf)),
        float(student_error(max(passes), levels[1], np.inf)),
        math.inf,
        weights / weights.sum(),
        "segment_score" if effects.logarithmic else "segment_difference",
    )
