"""Several arms judged under one alpha, and the best and the worst of them named."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from canaryjudge._version import __version__
from canaryjudge.arm_verdicts import ArmVerdicts
from canaryjudge.data import (
    with_exposures,
)
from canaryjudge.data.reading import (
    pairs_of_arms,
    pairs_or_notes,
    source_of,
)
from canaryjudge.data.sources import SeriesSource
from canaryjudge.errors import DataError
from canaryjudge.history import known_past
from canaryjudge.judging.metrics import Case, judge_cases, rules_of, shares
from canaryjudge.judging.releases import judge_releases, policy_digest, written
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy, Tolerance
from canaryjudge.reasons import Outcome
from canaryjudge.results import (
    ArmRanking,
    ArmsFacts,
    MetricResult,
    ReleaseResult,
)
from canaryjudge.rules.findings import LevelFinding

__all__ = ["judge_arms"]


def judge_arms(data: Any, policy: Policy, arms: list[tuple[str, str]], history: Any) -> ArmVerdicts:
    """Judge several arms under one alpha by Holm's procedure: each at its part of alpha, and once some have failed, the others at theirs of what is left."""
    from canaryjudge.explain.arms import arms_reason  # noqa: PLC0415 - the words are loaded when they are wanted

    source = source_of(data, policy, tuple(dict.fromkeys(name for names in arms for name in names)))
    pairs = pairs_of_arms(source, policy, arms)
    pasts = [known_past(history, policy, names) for names in arms]
    found: dict[int, tuple[ReleaseResult, list[Case]]] = {}
    ranking: tuple[ArmRanking, ...] | None = None
    left = list(range(len(arms)))
    while left:
        own = policy.model_copy(update={"alpha": policy.alpha / len(left)})
        judged = judge_releases(
            [pairs[arm] for arm in left], own, [arms[arm] for arm in left], [pasts[arm] for arm in left]
        )
        found |= zip(left, judged, strict=True)
        if ranking is None:  # of all arms, at their equal parts of alpha
            ranking = _ranked([found[arm] for arm in left], policy, source)
        failing = [arm for arm in left if found[arm][0].outcome is Outcome.FAIL]
        left = [arm for arm in left if arm not in failing] if failing else []
    releases = {names[1]: found[arm][0] for arm, names in enumerate(arms)}
    worst = max(releases.values(), key=lambda release: release.outcome.badness)
    told = {
        names[1]: written(
            *found[arm], [pairs[arm][name].digest() for name in pairs[arm]], policy, names, pasts[arm]
        )
        for arm, names in enumerate(arms)
    }
    bests, worsts = ({getattr(one, side) for one in ranking or ()} - {None} for side in ("best", "worst"))
    facts: dict[str, Any] = {
        "outcome": worst.outcome,
        "action": worst.action,
        "alpha": policy.alpha,
        "beta": policy.beta,
        "best": next(iter(bests)) if len(bests) == 1 and not bests & worsts else None,
        "worst": next(iter(worsts)) if len(worsts) == 1 and not bests & worsts else None,
        "ranking": ranking or (),
        "arms": told,
        "version": __version__,
        "policy_digest": policy_digest(policy),
    }
    return ArmVerdicts(**facts, reason=arms_reason(ArmsFacts.model_construct(**facts)))


def _ranked(
    judged: Sequence[tuple[ReleaseResult, list[Case]]], policy: Policy, source: SeriesSource
) -> tuple[ArmRanking, ...]:
    """Name the best and the worst arm of each metric that can fail them: where they share a baseline, the one that is proven better or worse than each of the others, of which the baseline's noise is no part."""
    arms = [release.canary_arm for release, _ in judged]
    level = {name: alpha / (2 * len(arms)) for name, alpha in shares(policy).items()}
    asked: dict[str, tuple[Metric, str, str]] = {}
    for metric in policy.metrics:
        changes = _changes([release.metrics[metric.name] for release, _ in judged])
        if metric.can_fail and metric.direction != "either" and changes is not None:
            ends = arms[int(np.argmin(changes))], arms[int(np.argmax(changes))]
            asked[metric.name] = metric, *(ends[::-1] if metric.direction == "decrease" else ends)
    if len({release.baseline_arm for release, _ in judged}) > 1:
        return tuple(_ranked_apart(judged, policy, asked, level))
    cases = {
        (name, first, second): case
        for name, (metric, best, worst) in asked.items()
        for first, second in dict.fromkeys(
            [(best, arm) for arm in arms if arm != best] + [(arm, worst) for arm in arms if arm != worst]
        )
        if (case := _compared(metric, judged[0], (first, second), policy, source)) is not None
    }
    results = judge_cases(list(cases.values()), policy)
    pvalues = {
        key: result.findings[0].pvalue if result.findings else None
        for key, result in zip(cases, results, strict=True)
    }
    found = []
    for name, (_, best, worst) in asked.items():
        over_best = [pvalues.get((name, best, arm)) for arm in arms if arm != best]
        under_worst = [pvalues.get((name, arm, worst)) for arm in arms if arm != worst]
        largest = [
            None if None in own else max(value for value in own if value is not None)
            for own in (over_best, under_worst)
        ]
        named = [
            arm if value is not None and value <= level[name] else None
            for arm, value in zip((best, worst), largest, strict=True)
        ]
        found.append(
            ArmRanking(
                metric=name,
                best=named[0],
                worst=named[1],
                pvalue_best=largest[0],
                pvalue_worst=largest[1],
                level=level[name],
            )
        )
    return tuple(found)


def _changes(results: Sequence[MetricResult]) -> list[float] | None:
    """Give how much the level of each arm differs from its baseline's, in one scale; None where that is not known of any, or its data mean nothing."""
    if any(result.holds or result.lacks_data for result in results):
        return None
    levels = [finding for result in results if (finding := _about_level(result)) is not None]
    changes = [finding.estimate for finding in levels if finding.estimate is not None]
    one_scale = len({finding.scale for finding in levels}) == 1
    return changes if one_scale and len(changes) == len(results) else None


def _about_level(result: MetricResult) -> LevelFinding | None:
    """Give what the rule about the level of such metrics found, if it was asked."""
    rule = KINDS[result.kind].default_rules[0]
    found = (finding for finding in result.findings if finding.rule == rule)
    return next((finding for finding in found if isinstance(finding, LevelFinding)), None)


def _compared(
    metric: Metric,
    judged: tuple[ReleaseResult, list[Case]],
    arms: tuple[str, str],
    policy: Policy,
    source: SeriesSource,
) -> Case | None:
    """Ask of two arms whether the second is worse than the first at all, by the rule about the level; None where they cannot be compared."""
    (known,) = (case for case in judged[1] if case.pair.name == metric.name)
    nothing = "0" if KINDS[metric.kind].is_share or metric.tolerance.absolute is not None else None
    plain = known.metric.model_copy(
        update={
            "tolerance": Tolerance.model_validate({"relative": 0.0, "absolute": nothing}),
            "pass_within": None,
            "rules": tuple(
                rule
                for rule in rules_of(metric, known.pair.pairing)
                if rule.rule == KINDS[metric.kind].default_rules[0]
            ),
        }
    )
    alone = policy.model_copy(update={"metrics": (plain,), "split": None})
    try:
        pair = pairs_or_notes(source, alone, arms)[metric.name]
        return Case(with_exposures(pair, plain, alone), plain, policy.alpha, arms=arms)
    except DataError:
        return None


def _ranked_apart(
    judged: Sequence[tuple[ReleaseResult, list[Case]]],
    policy: Policy,
    asked: Mapping[str, tuple[Metric, str, str]],
    level: Mapping[str, float],
) -> Iterator[ArmRanking]:
    """Name the best and the worst of arms that have baselines of their own: those whose intervals lie apart from all others, when all hold together."""
    cases = [
        replace(case, alpha=level[case.pair.name])
        for _, own in judged
        for case in own
        if case.pair.name in asked
    ]
    intervals: dict[tuple[str, str], tuple[float, float]] = {}
    for case, result in zip(cases, judge_cases(cases, policy), strict=True):
        finding = _about_level(result)
        interval = None if finding is None else finding.interval
        low, high = (None, None) if interval is None else (interval.low, interval.high)
        ends = (-math.inf if low is None else low, math.inf if high is None else high)
        falls = case.metric.direction == "decrease"
        intervals[case.pair.name, case.arms[1]] = (-ends[1], -ends[0]) if falls else ends
    for name, (_, best, worst) in asked.items():
        own = {arm: ends for (metric, arm), ends in intervals.items() if metric == name}
        is_best = all(own[best][1] < ends[0] for arm, ends in own.items() if arm != best)
        is_worst = all(own[worst][0] > ends[1] for arm, ends in own.items() if arm != worst)
        yield ArmRanking(
            metric=name,
            best=best if is_best else None,
            worst=worst if is_worst else None,
            level=level[name],
        )
