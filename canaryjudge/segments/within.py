"""Metrics judged within segments: the whole's findings, with that about the level by the segments' mean, and those about features from the segment that is worst."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from canaryjudge.data import FloatArray, MetricPair, Note
from canaryjudge.data.exposures import split_mismatch
from canaryjudge.data.segments import SegmentName
from canaryjudge.kinds import KINDS
from canaryjudge.outcomes import DataSummary, metric_result
from canaryjudge.policy import Metric, Policy, Segments
from canaryjudge.reasons import Outcome, Reason
from canaryjudge.results import (
    MetricResult,
    MetricSegments,
    SegmentSplitFacts,
)
from canaryjudge.rules.findings import (
    Finding,
    build,
    built,
)
from canaryjudge.segments.closed_test import ClosedTest
from canaryjudge.segments.effects import OF_THE_WHOLE, SegmentedMetric, effects_of, level_rule, rules_of
from canaryjudge.segments.left_out import facts_of_none, left_out
from canaryjudge.segments.mean_effect import MeanEffect
from canaryjudge.stats.bounds import t_pvalues
from canaryjudge.stats.segment_split import SegmentSplit, segment_split, sequential_segment_split

__all__ = [
    "Within",
    "judge_within",
    "mean_pvalue",
    "segment_notes",
    "splits_at_look",
    "splits_of_segments",
    "too_much_left_out",
    "too_thin",
    "worst_of_segments",
]

_MOST_LEFT_OUT = 0.1
"""A pass is withheld where so much of the traffic is of segments that could not be compared."""


_NOTABLE = 0.05
"""A segment with less of the traffic, or half of an equal part, may fall silent or look odd without a word."""


_DOUBTS: Final = (
    "broken",
    "silent",
    "same_data",
    "looks_like_counter",
    "units_apart",
    "never_falls",
    "made_up_values",
)
"""Notes of a segment that withhold the metric's pass."""


_NOTED_SEGMENTS = 3


@dataclass(frozen=True, slots=True)
class Within:
    """What a metric's segments say: its result by them, and the facts."""

    result: MetricResult
    facts: MetricSegments | None


def judge_within(
    metrics: Sequence[SegmentedMetric],
    settings: Segments,
    arms: tuple[str, str],
    splits: Mapping[str, Sequence[SegmentSplitFacts]],
) -> Iterator[Within]:
    """Judge metrics within segments."""
    for own in metrics:
        effects = effects_of(own)
        notes = tuple(segment_notes(own, splits.get(own.metric.name, ())))
        if effects is None or not effects.known.any():
            yield Within(_not_compared(own, notes), facts_of_none(own))
            continue
        mean = MeanEffect.of(own, effects, settings.share)
        tests = ClosedTest.of(own, effects, mean, settings)
        level, found_in = tests.finding(own, effects, mean), {}
        findings: list[Finding] = []
        for finding in _first_of_each(own):
            if finding is None:
                findings.append(level)
            elif isinstance(finding, tuple):
                findings.append(finding[1])
                found_in[finding[1].rule] = own.names[finding[0]]
            else:
                findings.append(finding)
        data = DataSummary.of(replace(own.pair, notes=(*own.pair.notes, *notes)), own.result.history)
        (result,) = build([metric_result(data, own.metric, own.result.alpha, tuple(findings), arms)])
        facts = tests.facts(own, effects, mean, settings, found_in)
        if result.outcome is Outcome.PASS and too_much_left_out(facts):
            result = result.model_copy(
                update={"outcome": Outcome.MARGINAL, "reason": Reason.SEGMENTS_LEFT_OUT}
            )
        yield Within(result, facts)


def mean_pvalue(own: SegmentedMetric) -> float | None:
    """Give the p-value for "the mean of all segments is no worse than tolerated" of a metric with one bad direction, at its level; None where no segment, or too little of the traffic, could be compared."""
    effects = effects_of(own)
    if effects is None or not effects.known.any() or len(effects.ends) > 1:
        return None
    if (left_out(own, effects.known)["left_out_part"] or 0.0) > _MOST_LEFT_OUT:
        return None
    ((sign, ends),) = effects.ends.items()
    mean = MeanEffect.of(own, effects, 1.0)
    limit = float((mean.weights * np.where(effects.known, ends, 0.0)).sum())
    error, df = mean.with_floor(mean.error, mean.df)
    return float(t_pvalues(sign * (mean.estimate - limit), error, df).greater)


def too_much_left_out(facts: MetricSegments) -> bool:
    """Tell whether so much of the traffic is of segments that could not be compared that a pass is withheld."""
    return (facts.left_out_part or 0.0) > _MOST_LEFT_OUT


def too_thin(facts: MetricSegments) -> bool:
    """Tell whether too much of the traffic is of segments with too little data, so that it takes larger ones."""
    return (facts.thin_part or 0.0) > _MOST_LEFT_OUT


def _first_of_each(own: SegmentedMetric) -> Iterator[Finding | tuple[int, Finding] | None]:
    """Give a metric's findings in order: None for that about the level, of a feature the segment and its finding, of the rest the whole's own."""
    place = level_rule(own.metric, own.pair)
    rules = rules_of(own.metric, own.pair)
    asked = [rule.rule for rule in rules]
    told = iter(own.result.findings)
    of_whole = {id(finding) for finding in own.result.findings if finding.rule in OF_THE_WHOLE}
    seen: set[str] = set()
    for index, rule in enumerate(asked):
        if index == place:
            yield None
        elif rule in OF_THE_WHOLE:
            yield from (finding for finding in _take_one(told, rule) if id(finding) in of_whole)
        elif rule not in seen:
            seen.add(rule)
            yield from worst_of_segments(own, rule)
    yield from (
        each
        for rule in ("growth", "late_shift")
        if rule not in asked
        for each in worst_of_segments(own, rule)
    )


def _take_one(told: Iterator[Finding], rule: str) -> Iterator[Finding]:
    for finding in told:
        if finding.rule == rule:
            yield finding
            return


def worst_of_segments(own: SegmentedMetric, rule: str) -> Iterator[tuple[int, Finding]]:
    """Give the segment in which a rule found the most, with its finding."""
    found = [
        (-finding.outcome.badness, finding.reason.severity, _strength(finding), place, number)
        for place, result in enumerate(own.results)
        for number, finding in enumerate(result.findings)
        if finding.rule == rule
    ]
    if found:
        *_, place, number = min(found)
        yield place, own.results[place].findings[number]


def _strength(finding: Finding) -> float:
    return 1.0 if finding.pvalue is None else finding.pvalue / finding.level


def _not_compared(own: SegmentedMetric, notes: tuple[Note, ...]) -> MetricResult:
    """Give the result of a metric of which no segment could be compared: that of the whole, but no pass by it, nor a fail that a mix may have made."""
    result = own.result.model_copy(update={"warnings": (*own.result.warnings, *notes)})
    some_left_out = left_out(own, np.zeros(len(own.names), dtype=np.bool_))["left_out_count"] > 0
    deciding = result.deciding
    objective = deciding is not None and deciding.rule in OF_THE_WHOLE
    if (
        not some_left_out
        or result.lacks_data
        or result.holds
        or (objective and result.outcome is Outcome.FAIL)
    ):
        return result
    return result.model_copy(update={"outcome": Outcome.MARGINAL, "reason": Reason.SEGMENTS_LEFT_OUT})


def segment_notes(own: SegmentedMetric, splits: Sequence[SegmentSplitFacts]) -> Iterator[Note]:
    """Give what is odd about segments so that a pass cannot mean what it says."""
    for split in splits:
        facts: dict[str, float | str] = {
            "expected": split.expected,
            "found": split.found,
            "segment": told(split.name),
        }
        yield Note(code="split_mismatch", facts=facts)
    least = min(_NOTABLE, 0.5 / max(len(own.names), 1))
    parts = np.maximum(*own.parts)
    counts: dict[str, int] = {}
    for place, result in enumerate(own.results):
        if parts[place] < least or not (len(own.pairs[place].baseline) and len(own.pairs[place].canary)):
            continue
        for note in result.warnings:
            if note.code in _DOUBTS and counts.setdefault(note.code, 0) < _NOTED_SEGMENTS:
                counts[note.code] += 1
                yield note.model_copy(update={"facts": {**note.facts, "segment": told(own.names[place])}})


def told(name: tuple[str | None, ...]) -> str:
    """Write the name of a segment, or of a value of one of its columns."""
    return " / ".join(part for part in name if part is not None)


def splits_of_segments(
    pairs: Sequence[MetricPair], names: Sequence[SegmentName], metric: Metric, policy: Policy
) -> tuple[SegmentSplitFacts, ...]:
    """Find the segments whose traffic, as the totals of a ratio tell, is not split as the policy says."""
    if policy.split is None or not KINDS[metric.kind].is_share:
        return ()
    sums = [
        np.array(
            [
                float(np.rint(getattr(pair, arm).exposure)) if len(getattr(pair, arm)) else 0.0
                for pair in pairs
            ]
        )
        for arm in ("baseline", "canary")
    ]
    return _wrong_splits(segment_split, sums[0], sums[1], names, metric, policy.split.canary)


def splits_at_look(
    traffic: Sequence[FloatArray], names: Sequence[SegmentName], metric: Metric, policy: Policy
) -> tuple[SegmentSplitFacts, ...]:
    """Find them of a watch, at any look, by the totals of both arms of each segment so far."""
    if policy.split is None or not KINDS[metric.kind].is_share or not len(traffic):
        return ()
    baseline, canary = np.array(traffic).T
    return _wrong_splits(sequential_segment_split, baseline, canary, names, metric, policy.split.canary)


def _wrong_splits(
    test: Callable[[FloatArray, FloatArray, float], SegmentSplit],
    baseline: FloatArray,
    canary: FloatArray,
    names: Sequence[SegmentName],
    metric: Metric,
    expected: float,
) -> tuple[SegmentSplitFacts, ...]:
    """Name the segments whose split a test finds wrong."""
    found = test(baseline, canary, expected)
    whole = float(canary.sum() / max(baseline.sum() + canary.sum(), 1.0))
    right = split_mismatch(expected, whole, float(found.pooled)) is None
    return tuple(
        built(
            SegmentSplitFacts,
            {
                "name": names[place],
                "metric": metric.name,
                "expected": expected,
                "found": float(found.share[place]),
                "right_in_sum": right,
            },
        )
        for place in np.flatnonzero(np.isfinite(found.segments)).tolist()
        if split_mismatch(expected, float(found.share[place]), float(found.segments[place])) is not None
    )
