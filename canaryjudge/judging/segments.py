"""A release judged within the segments of its traffic, and as a whole."""

from __future__ import annotations

import numpy as np

from canaryjudge.data import (
    History,
    with_exposures,
)
from canaryjudge.data.exposures import by_split, splits_of
from canaryjudge.data.segments import SegmentedPairs
from canaryjudge.judging.metrics import Case, judge_cases, rule_levels, rules_of, shares
from canaryjudge.judging.releases import collected_later, written
from canaryjudge.outcomes import conclude
from canaryjudge.policy import Policy, Segments
from canaryjudge.results import (
    MetricSegments,
    ReleaseResult,
    SegmentsFacts,
)
from canaryjudge.segments import (
    SegmentedMetric,
    asked_in_segments,
    judge_within,
    level_rule,
    splits_of_segments,
    too_thin,
)
from canaryjudge.verdict import Verdict

__all__ = ["verdict_within"]


def verdict_within(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None = None,
) -> Verdict:
    """Give the verdict of one release by its segments; by the first of two columns, where pairs of values have too little data."""
    with np.errstate(all="ignore"), collected_later():
        release, cases = _judge_within(parts, policy, settings, arms, history)
        facts = release.segments
        if facts is not None and len(parts.names[0]) > 1 and any(map(too_thin, facts.metrics.values())):
            release, cases = _judge_within(parts.by_first(), policy, settings, arms, history)
        return written(release, cases, [*parts.digests()], policy, arms, history)


def _judge_within(
    parts: SegmentedPairs,
    policy: Policy,
    settings: Segments,
    arms: tuple[str, str],
    history: History | None,
) -> tuple[ReleaseResult, list[Case]]:
    """Judge a release as a whole and in each segment, and put both together."""
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
    splits = {
        name: splits_of_segments(parts.segments[name], parts.names, case.metric, policy)
        for name, case in within.items()
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
