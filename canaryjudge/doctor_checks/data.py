"""What the data give away: missing metrics, clocks, counters, units, resolution, traffic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from canaryjudge.data import MetricPair, Series
from canaryjudge.data.times import median_step
from canaryjudge.doctor_checks.policy import is_percentile, names_failures
from canaryjudge.explain.notes import note_sentence
from canaryjudge.kinds import KINDS
from canaryjudge.outcomes import says_nothing
from canaryjudge.planning.power import PowerDesign, form_of, needed_points, visible_size
from canaryjudge.policy import Metric, Policy
from canaryjudge.policy.doubts import too_wide
from canaryjudge.reports import Severity, Symptom, SymptomCode
from canaryjudge.simulate.assumptions import measured_assumptions

__all__ = ["DATA_CHECKS", "CheckedMetric"]

_FEW_POINTS = 20
_MANY = 0.05
"""A part of the points that is worth a warning, and four times as much an error."""
_APART = 3.0
"""Arms begin and end within so many intervals of each other."""
_HALF_HOUR = 1800.0
_ZONE = _MINUTE = 60.0
_SECONDS = ("latency", "duration", "response", "rtt", "time")
_LONGEST_S, _SHORTEST_MS = 60.0, 0.05
_POWER = 0.8
_BLIND = 1.0
"""What would not tell a doubling is blind."""


@dataclass(frozen=True, slots=True)
class CheckedMetric:
    """One metric as it was found."""

    metric: Metric
    """What is asked of it."""
    policy: Policy
    """By whom."""
    alpha: float
    """Its share of alpha."""
    arms: tuple[Series, Series]
    """Baseline and canary, clean."""
    pair: MetricPair
    """As the judge would take them."""

    def symptom(
        self,
        code: SymptomCode,
        severity: Severity,
        numbers: Mapping[str, float | str],
        arm: str | None = None,
    ) -> Symptom:
        """Note something about it."""
        return Symptom(code=code, severity=severity, metric=self.metric.name, arm=arm, numbers=dict(numbers))

    @property
    def interval(self) -> float | None:
        """Spacing of the points in seconds."""
        return self.pair.interval or median_step([arm.time for arm in self.arms])

    def notes(self, *codes: str) -> Iterator[tuple[str | None, int]]:
        """Give arm and count of the notes of some codes."""
        for note in self.pair.notes:
            if note.code in codes:
                yield note.arm, note.count or 0


DataCheck = Callable[[CheckedMetric], Iterator[Symptom]]


def _sizes(checked: CheckedMetric) -> Iterator[Symptom]:
    for arm in checked.arms:
        if not len(arm):
            yield checked.symptom("no_arm_data", "error", {}, arm.arm)
        elif len(arm) < checked.metric.needed_points:
            yield checked.symptom(
                "too_few_points",
                "error",
                {"points": len(arm), "needed": checked.metric.needed_points},
                arm.arm,
            )
        elif (
            not (KINDS[checked.metric.kind].counts_events or KINDS[checked.metric.kind].is_raw)
            and len(arm) < _FEW_POINTS
        ):
            yield checked.symptom(
                "few_points", "warning", {"points": len(arm), "needed": _FEW_POINTS}, arm.arm
            )


def _resolution(checked: CheckedMetric) -> Iterator[Symptom]:
    deadline, interval = checked.policy.max_duration, checked.interval
    if deadline is None or interval is None or KINDS[checked.metric.kind].is_raw:
        return
    points = math.floor(deadline / interval + 1e-9)
    if points < _FEW_POINTS:
        severity: Severity = "error" if points < checked.metric.needed_points else "warning"
        facts = {"interval": interval, "deadline": deadline, "points": points, "needed": _FEW_POINTS}
        yield checked.symptom("coarse_resolution", severity, facts)


def _damaged(checked: CheckedMetric) -> Iterator[Symptom]:
    sizes = {arm.arm: len(arm) for arm in checked.arms}
    kinds: tuple[tuple[SymptomCode, tuple[str, ...]], ...] = (
        ("gaps", ("gaps",)),
        ("bad_values", ("missing_values", "infinite_values")),
        ("duplicate_times", ("duplicate_times",)),
    )
    for code, names in kinds:
        for arm, count in checked.notes(*names):
            of = sizes.get(arm or "", 0) + (0 if code == "duplicate_times" else count)
            part = count / max(1, of)
            if part >= _MANY and not (code == "duplicate_times" and KINDS[checked.metric.kind].is_raw):
                severity: Severity = "error" if part >= 4 * _MANY else "warning"
                yield checked.symptom(code, severity, {"count": count, "part": part}, arm)


def _counters(checked: CheckedMetric) -> Iterator[Symptom]:
    for arm, count in checked.notes("looks_like_counter", "never_falls"):
        yield checked.symptom("undeclared_counter", "error", {"count": count}, arm)
    for arm, count in checked.notes("counter_resets"):
        yield checked.symptom("counter_resets", "warning" if count > 1 else "info", {"count": count}, arm)
    for arm, count in checked.notes("lost_members"):
        yield checked.symptom("lost_members", "warning", {"count": count}, arm)


def _clocks(checked: CheckedMetric) -> Iterator[Symptom]:
    times = [arm.time for arm in checked.arms]
    baseline, canary = times
    interval = checked.interval
    if baseline is None or canary is None or not len(baseline) or not len(canary) or interval is None:
        return
    if KINDS[checked.metric.kind].is_raw:
        interval = max(interval, _MINUTE)
    begins, ends = canary[0] - baseline[0], canary[-1] - baseline[-1]
    if max(baseline[0], canary[0]) > min(baseline[-1], canary[-1]):
        severity: Severity = "error" if checked.metric.pairing == "concurrent" else "warning"
        yield checked.symptom("no_overlap", severity, {"begins": float(begins)})
        return
    alike = abs(begins - ends) <= _APART * interval
    zones = round(begins / _HALF_HOUR)
    if alike and zones and abs(begins - zones * _HALF_HOUR) <= _ZONE:
        yield checked.symptom("time_zone", "warning", {"hours": zones / 2})
    elif max(abs(begins), abs(ends)) > _APART * interval:
        yield checked.symptom("clocks_apart", "warning", {"begins": float(begins), "ends": float(ends)})


def _sameness(checked: CheckedMetric) -> Iterator[Symptom]:
    baseline, canary = checked.pair.baseline, checked.pair.canary
    if not len(baseline) or not len(canary):
        return
    still = [bool(np.ptp(arm.value) == 0) for arm in (baseline, canary)]
    for arm, constant in zip(checked.arms, still, strict=True):
        if constant and len(arm) > 1 and KINDS[checked.metric.kind].is_measured:
            yield checked.symptom(
                "constant", "warning", {"value": float(arm.value[0]), "points": len(arm)}, arm.arm
            )
    for _, count in checked.notes("same_data"):
        yield checked.symptom("same_data", "error", {"points": count})


def _units(checked: CheckedMetric) -> Iterator[Symptom]:
    if not KINDS[checked.metric.kind].is_measured:
        return
    apart = next((note for note in checked.pair.notes if note.code == "units_apart"), None)
    if apart is not None:
        yield checked.symptom("arms_in_other_units", "error", apart.facts, apart.arm)
        return
    levels = [abs(float(np.median(arm.value))) if len(arm) else 0.0 for arm in checked.arms]
    if not any(word in checked.metric.name.lower() for word in _SECONDS) and checked.metric.unit != "%":
        return
    level = max(levels)
    if checked.metric.unit == "s" and level > _LONGEST_S:
        yield checked.symptom("unit_and_level", "warning", {"level": level, "unit": "s", "perhaps": "ms"})
    elif checked.metric.unit == "ms" and 0 < level < _SHORTEST_MS:
        yield checked.symptom("unit_and_level", "warning", {"level": level, "unit": "ms", "perhaps": "s"})
    elif (
        checked.metric.unit == "%"
        and not names_failures(checked.metric.name)  # of which there should be less than 1 %
        and 0 < max(float(arm.value.max(initial=0.0)) for arm in checked.arms) <= 1
    ):
        yield checked.symptom(
            "unit_and_level", "warning", {"level": level, "unit": "%", "perhaps": "a fraction"}
        )


def _tolerance(checked: CheckedMetric) -> Iterator[Symptom]:
    """Find a tolerance wider than what it is of."""
    metric = checked.metric
    if not all(map(len, checked.arms)) or checked.pair.edges is not None:
        return
    arms = checked.pair.baseline, checked.pair.canary
    levels = [
        arm.events / arm.exposure if KINDS[metric.kind].counts_events else float(np.median(arm.value))
        for arm in arms
    ]
    highest = max(float(arm.levels.max()) for arm in arms)
    wide = too_wide(metric, levels[0], levels[1], highest)
    if wide is not None:
        numbers: dict[str, float | str] = {"tolerated": wide.tolerated, "level": wide.level}
        numbers |= {} if wide.best is None else {"best": wide.best}
        yield checked.symptom("tolerance_too_wide", "error", numbers)


def _silence(checked: CheckedMetric) -> Iterator[Symptom]:
    for note in checked.pair.notes:
        if note.code in ("silent", "both_silent", "replica_silent"):
            numbers = {"said": note_sentence(note.model_copy(update={"arm": None}))}
            severity: Severity = "error" if says_nothing(note) else "warning"
            yield checked.symptom("silent", severity, numbers, note.arm)


def _percentiles(checked: CheckedMetric) -> Iterator[Symptom]:
    """Find percentiles of several replicas, which become their mean here."""
    if KINDS[checked.metric.kind].is_averaged and is_percentile(checked.metric.name):
        for arm in checked.arms:
            if len(arm.replicas) > 1:
                yield checked.symptom(
                    "pooled_percentiles", "warning", {"replicas": len(arm.replicas)}, arm.arm
                )


def _buckets(checked: CheckedMetric) -> Iterator[Symptom]:
    for arm, _ in checked.notes("no_infinite_bucket"):
        yield checked.symptom("no_infinite_bucket", "warning", {}, arm)
    for note in checked.pair.notes:
        if note.code == "uncounted":
            yield checked.symptom("uncounted", "warning", note.facts, note.arm)
    edges, buckets = checked.pair.edges, checked.pair.baseline.buckets
    if edges is None or buckets is None or not buckets.sum():
        return
    below = buckets.sum(axis=0).cumsum()
    place = int(np.searchsorted(below, below[-1] / 2))
    if place in (0, len(edges) - 1):
        low, high = (0.0 if edges[0] > 0 else -math.inf, edges[0]) if place == 0 else (edges[-2], math.inf)
    else:
        low, high = edges[place - 1], edges[place]
    middle = float(high if math.isinf(low) else low if math.isinf(high) else (low + high) / 2)
    tolerated = max(checked.metric.tolerated_relative * abs(middle), checked.metric.tolerated_absolute)
    if high - low > tolerated:
        ends: dict[str, float] = {
            name: float(end) for name, end in (("low", low), ("high", high)) if math.isfinite(end)
        }
        yield checked.symptom("coarse_buckets", "warning", {"tolerated": tolerated, **ends})


def _split(checked: CheckedMetric) -> Iterator[Symptom]:
    for note in checked.pair.notes:
        if note.code == "split_mismatch":
            yield checked.symptom("split_mismatch", "error", note.facts)


def _traffic(checked: CheckedMetric) -> Iterator[Symptom]:
    """Say what the data could find by now, or by the deadline, where that is far beyond the tolerance."""
    metric, policy = checked.metric, checked.policy
    assumed = measured_assumptions(checked.arms, metric, one_clock=checked.pair.pairing == "concurrent")
    if assumed is None or form_of(metric) == "none" or not metric.can_fail or assumed.lacks(metric.kind):
        return
    totals = [
        float(arm.total.sum())
        if arm.total is not None
        else float(arm.value.sum() if arm.buckets is not None else len(arm))
        for arm in checked.arms
    ]
    share = 0.5
    if not KINDS[metric.kind].is_averaged and min(totals) > 0:
        share = totals[1] / sum(totals)
    at_once = checked.pair.pairing == "concurrent" and all(arm.time is not None for arm in checked.arms)
    arms = 1 if at_once else 2  # those of one clock have been added up; a plan is of both arms together
    if assumed.traffic is not None:
        assumed = assumed.model_copy(update={"traffic": arms * assumed.traffic})
    elif KINDS[metric.kind].is_rate:
        assert assumed.level is not None  # noqa: S101 - counts have one
        assumed = assumed.model_copy(
            update={"level": assumed.level.model_copy(update={"number": arms * assumed.level.number})}
        )
    fixed: dict[str, Any] = {"per_request": False}  # its noise is that of these arms as they are
    design = PowerDesign(metric, assumed.model_copy(update=fixed), share, checked.alpha, policy.beta)
    points = max(1, min(len(checked.pair.baseline), len(checked.pair.canary)))
    if KINDS[metric.kind].is_raw and checked.arms[1].time is not None and len(checked.arms[1]):
        points = max(1, round((checked.arms[1].time[-1] - checked.arms[1].time[0]) / assumed.interval))
    if policy.max_duration is not None:
        points = max(points, math.floor(policy.max_duration / assumed.interval))
    visible = visible_size(design, points, _POWER)
    if visible is not None and visible <= _BLIND:
        return
    needed = needed_points(design, _BLIND, _POWER)
    numbers: dict[str, float] = {"points": points}
    numbers |= {} if visible is None else {"visible": visible}
    numbers |= {} if needed is None else {"needed": needed}
    yield checked.symptom("little_traffic", "warning", numbers)


DATA_CHECKS: Final[tuple[DataCheck, ...]] = (
    _sizes,
    _resolution,
    _damaged,
    _counters,
    _clocks,
    _sameness,
    _units,
    _tolerance,
    _silence,
    _percentiles,
    _buckets,
    _split,
    _traffic,
)
"""Each check of a metric's data: a new one is a line here."""
