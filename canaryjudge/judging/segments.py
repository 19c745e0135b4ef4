"""A release judged within the segments of its traffic, and as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from canaryjudge.data import (
    History,
    with_exposures,
)
from canaryjudge.data.exposures import by_split, splits_of
from canaryjudge.data.segments import SegmentedPairs
from canaryjudge.errors import PolicyError
from canaryjudge.judging.metrics import Case, judge_cases, rule_levels, rules_of, shares
from canaryjudge.judging.releases import collected_later, written
from canaryjudge.outcomes import conclude
from canaryjudge.policy import Policy, Segments
from canaryjudge.results import (
    MetricResult,
    MetricSegments,
    ReleaseResult,
    SegmentsFacts,
)
from canaryjudge.segments import (
    SegmentedMetric,
    asked_in_segments,
    judge_within,
    level_rule,
    mean_pvalue,
    splits_of_segments,
    too_thin,
)
from canaryjudge.verdict import Verdict

__all__ = ["judge_within_segments", "mean_pvalues", "verdict_within"]


def verdict_within(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None = None,
) -> Verdict:
    """Give the verdict of one release by its segments."""
    with np.errstate(all="ignore"), collected_later():
        release, cases = judge_within_segments(parts, policy, settings, arms, history)
        return written(release, cases, [*parts.digests()], policy, arms, history)


def _refuse_looks(policy: Policy) -> None:
    """Refuse a rule that is asked at many looks, which goes on interval by interval."""
    for metric in policy.metrics:
        if any(rule.rule == "sequential" for rule in metric.rules or ()):
            raise PolicyError(
                f"metric {metric.name!r}: the rule sequential is asked within segments by a watch alone",
                "Leave rules out, which takes the best for one look, or give the data to a Monitor.",
            )


def judge_within_segments(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None = None,
) -> tuple[ReleaseResult, list[Case]]:
    """Judge a release by its segments; by the first of two columns, where pairs of values have too little data."""
    _refuse_looks(policy)
    release, cases = _judge_within(parts, policy, settings, arms, history)
    facts = release.segments
    if facts is not None and len(parts.names[0]) > 1 and any(map(too_thin, facts.metrics.values())):
        return _judge_within(parts.by_first(), policy, settings, arms, history)
    return release, cases


def mean_pvalues(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    levels: Mapping[str, float],
) -> dict[str, float | None]:
    """Ask of each metric that names segments whether the second arm is worse than the first within them, in the mean; None where that cannot be told."""
    _, _, metrics = _segmented(parts, policy, settings, arms, None)
    return {each.metric.name: mean_pvalue(replace(each, level=levels[each.metric.name])) for each in metrics}


def _segmented(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None,
) -> tuple[list[Case], dict[str, MetricResult], list[SegmentedMetric]]:
    """Judge each metric as a whole, and in each segment those that name some."""
    alphas = shares(policy)
    cases = [
        Case.of(
            with_exposures(parts.whole[metric.name], metric, policy),
            metric,
            alphas[metric.name],
            history,
            arms,
        )
        for metric in policy.metrics
    ]
    within = {
        case.pair.name: case
        for case in cases
        if case.pair.name in parts.segments and level_rule(case.metric, case.pair) is not None
    }
    count, split = len(parts.names), splits_of(policy)
    in_each = policy.model_copy(update={"beta": policy.beta / count})
    own: list[Case] = []
    for name, case in within.items():
        asked, part = asked_in_segments(case.metric), case.alpha * (1 - settings.share) / count
        own += [Case(by_split(pair, asked, split), asked, part, arms=arms) for pair in parts.segments[name]]
    whole = dict(zip(parts.whole, judge_cases(cases, policy), strict=True))
    found = judge_cases(own, in_each)
    metrics = []
    for place, (name, case) in enumerate(within.items()):
        chosen = slice(place * count, (place + 1) * count)
        rules = rules_of(case.metric, case.pair.pairing)
        level = rule_levels(rules, case.alpha)[level_rule(case.metric, case.pair) or 0]
        pairs = [each.pair for each in own[chosen]]
        metrics.append(
            SegmentedMetric(
                case.metric,
                case.pair,
                pairs,
                whole[name],
                found[chosen],
                parts.names,
                level,
                policy.beta,
                in_each.beta,
            )
        )
    return cases, whole, metrics


def _judge_within(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None,
) -> tuple[ReleaseResult, list[Case]]:
    """Judge a release as a whole and in each segment, and put both together."""
    cases, whole, metrics = _segmented(parts, policy, settings, arms, history)
    count, within = len(parts.names), {each.metric.name: each.metric for each in metrics}
    splits = {
        name: splits_of_segments(parts.segments[name], parts.names, metric, policy)
        for name, metric in within.items()
    }
    facts: dict[str, MetricSegments] = {}
    for each, judged in zip(metrics, judge_within(metrics, settings, arms, splits), strict=True):
        whole[each.metric.name] = judged.result
        if judged.facts is not None:
            facts[each.metric.name] = judged.facts
    release = conclude(whole, policy, arms, "one_look")
    told = SegmentsFacts(
        by=settings.by[: len(parts.names[0])],
        asked_by=settings.by,
        count=count,
        one=parts.names[0] if count == 1 else None,
        unnamed=tuple(name for name in parts.whole if name not in within),
        splits=tuple(split for found_splits in splits.values() for split in found_splits),
        metrics=facts,
    )
    return release.model_copy(update={"segments": told}), cases
