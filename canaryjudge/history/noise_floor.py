"""How much healthy arms differ beyond the scatter of their points, measured from healthy pairs: the noise floor of a policy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from canaryjudge.data import FloatArray, MetricPair
from canaryjudge.history.healthy_windows import HealthyPairs
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, NoiseFloor, Spread
from canaryjudge.reports import FloorFacts
from canaryjudge.rules.strata import asks_within, change_within
from canaryjudge.rules.totals import count_totals
from canaryjudge.stats.bucket_distributions import BucketBands, bucket_quantile
from canaryjudge.stats.bucket_rank_test import bucket_shift_test
from canaryjudge.stats.paired_shift import Effect, paired_test
from canaryjudge.stats.rank_test import shift_test
from canaryjudge.stats.replicas import excess
from canaryjudge.stats.traffic_mix import same_mix, split_moves

__all__ = [
    "FEWEST_POINTS",
    "Changes",
    "as_floor",
    "changes_of",
    "floor_facts",
    "floors_without_own",
    "is_notable",
]

FEWEST_POINTS = 6
"""Fewer have no change and no autocorrelation."""
_LASTING = 0.25
"""Where so much of the differences is the same in every window, it is the replicas that differ, and few replicas know little."""
_NOTABLE = 0.3
"""A spread that is less than this part of what the points' scatter explains widens no interval by a twentieth."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of healthy pairs, which are none."""

    change: FloatArray
    """The change of each pair: a part of the level, or in the metric's unit; shape (n,)."""
    error: FloatArray
    """What the scatter of its points explains."""
    absolute: bool
    """Whether in the unit, because a level is 0."""
    known: NDArray[np.bool_]
    """Whether the pair has a change at all; few points, or no events, have none."""


def changes_of(pairs: Sequence[MetricPair], metric: Metric) -> Changes:
    """Measure the change of each pair as the judge does, with its standard error."""
    kind = KINDS[metric.kind]
    if kind.is_measured:
        found = _of_values(pairs, metric)
    else:
        measure = _of_events if kind.counts_events else _of_histograms
        found = np.array([measure(pair) for pair in pairs]).reshape(-1, 3)
    change, error, level = found.T
    known = np.isfinite(change) & np.isfinite(error)
    if kind.counts_events:  # their change is one of the logarithm, relative at any level
        return Changes(change, error, absolute=False, known=known)
    levels = np.abs(level)
    absolute = bool((levels[known] <= 1e-9 * max(1e-300, float(levels[known].max(initial=0.0)))).any())
    unit = np.ones_like(levels) if absolute else np.where(levels > 0, levels, 1.0)
    return Changes(change / unit, error / unit, absolute, known)


def _of_values(pairs: Sequence[MetricPair], metric: Metric) -> FloatArray:
    """Compare points, pairs of one shape together: minute by minute where the judge does, and else by ranks."""
    found = np.tile([math.nan, math.nan, 0.0], (len(pairs), 1))
    alike: dict[tuple[int, int, Effect | None], list[int]] = {}
    for index, pair in enumerate(pairs):
        sizes = len(pair.baseline), len(pair.canary)
        if min(sizes) >= FEWEST_POINTS:
            alike.setdefault((*sizes, _effect_by_minutes(pair, metric)), []).append(index)
    for (*_, effect), rows in alike.items():
        baseline, canary = (
            np.stack([arm.value for arm in arms])
            for arms in zip(*((pairs[row].baseline, pairs[row].canary) for row in rows), strict=True)
        )
        level = np.median(baseline, axis=-1)
        if effect is None:
            test = shift_test(baseline, canary, [0.0])
            estimate, error = test.estimate, test.standard_error[..., 0]
        else:
            minutes = paired_test(baseline, canary, [0.0], effect=effect)
            unit = np.where(level == 0, 1.0, np.abs(level))
            estimate, error = minutes.estimate * unit, minutes.standard_error[..., 0] * unit
        found[rows] = np.stack([estimate, error, level], axis=-1)
    return found


def _effect_by_minutes(pair: MetricPair, metric: Metric) -> Effect | None:
    """Tell by what the minutes of a pair are compared; None where they are not."""
    if pair.pairing != "concurrent" or not KINDS[pair.kind].is_averaged:
        return None
    if np.median(pair.baseline.value) == 0:
        return "difference"
    ratio = metric.minute_ratios and min(pair.baseline.value.min(), pair.canary.value.min()) >= 0
    return "ratio" if ratio else "relative"


def _of_histograms(pair: MetricPair) -> tuple[float, float, float]:
    edges, baseline, canary = pair.edges, pair.baseline.buckets, pair.canary.buckets
    assert edges is not None and baseline is not None and canary is not None  # noqa: PT018, S101 - as histograms have
    concurrent = pair.pairing == "concurrent"
    if concurrent and split_moves(pair.baseline.value, pair.canary.value):
        baseline, canary = same_mix(baseline, canary)
    if min(baseline.sum(), canary.sum()) < FEWEST_POINTS:
        return math.nan, math.nan, 0.0
    bands = BucketBands(edges, baseline.sum(axis=0), canary.sum(axis=0))
    test = bucket_shift_test(bands, baseline, canary, [0.0], concurrent=concurrent)
    median = bucket_quantile(edges, baseline.sum(axis=0), 0.5)
    return test.estimate, float(test.standard_error[0]), float(median)


def _of_events(pair: MetricPair) -> tuple[float, float, float]:
    if min(len(pair.baseline), len(pair.canary)) == 0:
        return math.nan, math.nan, 0.0
    totals = count_totals(
        pair.baseline, pair.canary, KINDS[pair.kind].family, concurrent=pair.pairing == "concurrent"
    )
    # half an event more keeps the logarithm finite
    events = [float(arm * totals.factor) + 0.5 for arm in (totals.canary, totals.baseline)]
    exposures = [totals.canary_exposure * totals.factor, totals.baseline_exposure * totals.factor]
    if events[0] + events[1] <= 2:
        return math.nan, math.nan, 0.0
    concurrent = pair.pairing == "concurrent"
    rate = float(totals.baseline_rate)
    if asks_within(pair.kind, pair.baseline, pair.canary, concurrent=concurrent):
        return *change_within(pair.baseline, pair.canary, pair.kind), rate
    change = math.log(events[0] / exposures[0]) - math.log(events[1] / exposures[1])
    return change, math.sqrt(float(totals.factor) * (1 / events[0] + 1 / events[1])), rate


def floor_facts(
    found: HealthyPairs, changes: Changes, kept: NDArray[np.bool_] | None = None
) -> FloorFacts | None:
    """Measure the floor from healthy pairs, or from some of them; None where no pair has a change, and a spread of 0 where the points explain all."""
    used = changes.known if kept is None else changes.known & kept
    count = int(used.sum())
    if count == 0:
        return None
    change, error = changes.change[used], changes.error[used]
    part = count / max(1, int(changes.known.sum()))
    spread, df = excess(change, error, max(1.0, _independent(found, changes, used) * part))
    concurrent = found.pairs[0].pairing == "concurrent"
    return FloorFacts(
        between="replicas" if concurrent else "windows",
        spread=float(f"{spread:.4g}"),
        absolute=changes.absolute,
        measured_from=max(2, round(part * (found.replicas if concurrent else found.windows))),
        df=float(f"{df:.3g}"),
    )


def _independent(found: HealthyPairs, changes: Changes, used: NDArray[np.bool_]) -> float:
    """Tell what the differences are worth: W windows' neighbors as 2 (W - 1)^2 / (3 W - 4), replicas that differ for good as many as they are, less one."""
    if found.source == "releases":
        return float(found.independent)
    if found.source != "replicas":
        windows = max(2, found.windows)
        return 2 * (windows - 1) ** 2 / (3 * windows - 4)
    return float(found.replicas - 1 if _last(found, changes, used) else found.independent)


def _last(found: HealthyPairs, changes: Changes, used: NDArray[np.bool_]) -> bool:
    """Tell whether much of what replicas differ by, beyond the scatter of their points, is the same in every window."""
    change = np.where(found.turned, -changes.change, changes.change)[used]
    noise, groups = np.square(changes.error[used]), found.groups[used]
    whole = float((np.square(change) - noise).mean())
    means = [
        change[own].mean() ** 2 - noise[own].mean() / own.sum()
        for own in (groups == group for group in np.unique(groups))
    ]
    return whole > 0 and float(np.mean(means)) > _LASTING * whole


def as_floor(facts: Sequence[FloorFacts]) -> NoiseFloor | None:
    """Write floors as a policy states them; None where none is worth stating."""
    settings: dict[str, object] = {}
    for floor in facts:
        if floor.spread > 0:
            between, freedom = (
                f"between_{floor.between}",
                "df" if floor.between == "windows" else "replicas_df",
            )
            settings |= {
                between: _spread(floor),
                floor.between: floor.measured_from,
                freedom: max(1.0, floor.df),
            }
    return NoiseFloor(**settings) if settings else None


def _spread(floor: FloorFacts) -> Spread:
    """Write a spread as a policy states it."""
    if floor.absolute:
        return Spread(absolute=floor.spread)
    return Spread(relative=f"{100 * floor.spread:.4g}%")


def floors_without_own(found: HealthyPairs, changes: Changes) -> list[NoiseFloor | None]:
    """Measure for each pair the floor from those that share no data with it, so that none is judged by what it said of itself."""
    floors = []
    for index in range(len(found.pairs)):
        facts = floor_facts(found, changes, found.apart_from(index))
        floors.append(None if facts is None else as_floor([facts]))
    return floors


def is_notable(floor: FloorFacts, changes: Changes) -> bool:
    """Tell whether a floor would widen intervals visibly."""
    typical = float(np.median(changes.error[changes.known])) if changes.known.any() else 0.0
    return floor.spread > 0 and floor.spread * np.sqrt(2) >= _NOTABLE * typical
