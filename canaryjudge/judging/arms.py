"""Several arms judged under one alpha, and the best and the worst of them named."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from canaryjudge._version import __version__
from canaryjudge.arm_verdicts import ArmVerdicts
from canaryjudge.data import MetricPair, with_exposures
from canaryjudge.data.reading import (
    pairs_of_arms,
    pairs_or_notes,
    source_of,
)
from canaryjudge.data.segments import SegmentedPairs, read_segments
from canaryjudge.errors import DataError
from canaryjudge.history import known_past
from canaryjudge.judging.metrics import Case, judge_cases, rules_of, shares
from canaryjudge.judging.releases import judge_releases, policy_digest, written
from canaryjudge.judging.segments import judge_within_segments, mean_pvalues
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, Policy, Segments, Tolerance
from canaryjudge.policy.switches import refuse_before_after
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

    refuse_before_after(
        policy, "a judgement of several canaries", "Judge each switch by itself, with its own baseline."
    )
    given = _Whole(data, policy, arms, history)
    if policy.segments is not None:
        given = _Segmented(data, policy, arms, history, policy.segments)
    found: dict[int, tuple[ReleaseResult, list[Case]]] = {}
    ranking: tuple[ArmRanking, ...] | None = None
    left = list(range(len(arms)))
    while left:
        own = policy.model_copy(update={"alpha": policy.alpha / len(left)})
        found |= zip(left, given.judged(left, own), strict=True)
        if ranking is None:  # of all arms, at their equal parts of alpha
            ranking = _ranked([found[arm] for arm in left], policy, given)
        failing = [arm for arm in left if found[arm][0].outcome is Outcome.FAIL]
        left = [arm for arm in left if arm not in failing] if failing else []
    releases = {names[1]: found[arm][0] for arm, names in enumerate(arms)}
    worst = max(releases.values(), key=lambda release: release.outcome.badness)
    told = {
        names[1]: written(*found[arm], given.digests(arm), policy, names, given.pasts[arm])
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


class _Whole:
    """The data of several arms, each compared with its baseline as a whole."""

    def __init__(self, data: Any, policy: Policy, arms: list[tuple[str, str]], history: Any) -> None:
        self.policy, self.arms = policy, arms
        self.pasts = [known_past(history, policy, names) for names in arms]
        self._source = source_of(data, policy, tuple(dict.fromkeys(name for names in arms for name in names)))

    @cached_property
    def _pairs(self) -> list[dict[str, MetricPair]]:
        return pairs_of_arms(self._source, self.policy, self.arms)

    def judged(self, some: Sequence[int], policy: Policy) -> Iterable[tuple[ReleaseResult, list[Case]]]:
        """Judge some arms by a policy with their part of alpha."""
        return judge_releases(
            [self._pairs[arm] for arm in some],
            policy,
            [self.arms[arm] for arm in some],
            [self.pasts[arm] for arm in some],
        )

    def digests(self, arm: int) -> list[str]:
        """Give the SHA-256 of what was judged of an arm."""
        return [pair.digest() for pair in self._pairs[arm].values()]

    def worse(
        self,
        asked: Mapping[tuple[str, str], Sequence[Metric]],
        level: Mapping[str, float],  # noqa: ARG002 - of those within segments
        judged: Sequence[ReleaseResult],  # noqa: ARG002 - as above
    ) -> dict[tuple[str, str, str], float | None]:
        """Give the p-values for "the second arm is no worse than the first" by metric and arms; nothing where they cannot be compared."""
        cases = {
            (metric.name, *arms): case
            for arms, metrics in asked.items()
            for metric in metrics
            if (case := self._compared(metric, arms)) is not None
        }
        results = judge_cases(list(cases.values()), self.policy)
        return {
            key: result.findings[0].pvalue if result.findings else None
            for key, result in zip(cases, results, strict=True)
        }

    def _compared(self, plain: Metric, arms: tuple[str, str]) -> Case | None:
        """Ask of two arms whether the second is worse than the first; None where they cannot be compared."""
        alone = self.policy.model_copy(update={"metrics": (plain,), "split": None})
        try:
            pair = pairs_or_notes(self._source, alone, arms)[plain.name]
            return Case(with_exposures(pair, plain, alone), plain, self.policy.alpha, arms=arms)
        except DataError:
            return None


class _Segmented(_Whole):
    """The data of several arms, each compared with its baseline within segments of the traffic."""

    def __init__(
        self, data: Any, policy: Policy, arms: list[tuple[str, str]], history: Any, settings: Segments
    ) -> None:
        super().__init__(data, policy, arms, history)
        self._data, self._settings = data, settings
        self._parts = [self._parts_of(policy, settings, names) for names in arms]

    def _parts_of(self, policy: Policy, settings: Segments, arms: tuple[str, str]) -> SegmentedPairs:
        return read_segments(self._data, policy, settings, baseline=arms[0], canary=arms[1])

    def judged(self, some: Sequence[int], policy: Policy) -> Iterable[tuple[ReleaseResult, list[Case]]]:
        """Judge some arms by a policy with their part of alpha, one after another: the segments of each are judged at once."""
        for arm in some:
            yield judge_within_segments(
                self._parts[arm], policy, self._settings, self.arms[arm], self.pasts[arm]
            )

    def digests(self, arm: int) -> list[str]:
        """Give the SHA-256 of what was judged of an arm."""
        return [*self._parts[arm].digests()]

    def worse(
        self,
        asked: Mapping[tuple[str, str], Sequence[Metric]],
        level: Mapping[str, float],
        judged: Sequence[ReleaseResult],
    ) -> dict[tuple[str, str, str], float | None]:
        """Give the p-values for "the second arm is no worse than the first", within segments and in their mean where a metric names some."""
        told = [release.segments for release in judged if release.segments is not None]
        by = min((each.by for each in told), key=len)  # what is too thin for one is for all
        within = {name for each in told for name in each.metrics}
        settings = self._settings.model_copy(update={"by": by})
        rest = {arms: [one for one in metrics if one.name not in within] for arms, metrics in asked.items()}
        found = super().worse(rest, level, judged)
        for arms, metrics in asked.items():
            own = tuple(one for one in metrics if one.name in within)
            if not own:
                continue
            alone = self.policy.model_copy(update={"metrics": own, "split": None})
            try:
                values = mean_pvalues(self._parts_of(alone, settings, arms), alone, settings, arms, level)
            except DataError:
                continue
            found |= {(name, *arms): value for name, value in values.items()}
        return found


def _ranked(
    judged: Sequence[tuple[ReleaseResult, list[Case]]], policy: Policy, given: _Whole
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
        told = [release.segments for release, _ in judged if release.segments is not None]
        within = {
            name for each in told for name in each.metrics
        }  # those of other populations are not compared
        asked = {name: one for name, one in asked.items() if name not in within}
        return tuple(_ranked_apart(judged, policy, asked, level))
    pairs: dict[tuple[str, str], list[Metric]] = {}
    for name, (metric, best, worst) in asked.items():
        plain = _plain(metric, next(case for case in judged[0][1] if case.pair.name == name))
        others = [(best, arm) for arm in arms if arm != best] + [(arm, worst) for arm in arms if arm != worst]
        for both in dict.fromkeys(others):
            pairs.setdefault(both, []).append(plain)
    pvalues = given.worse(pairs, level, [release for release, _ in judged])
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


def _plain(metric: Metric, known: Case) -> Metric:
    """Ask of a metric whether it is worse at all, by the rule about the level."""
    nothing = "0" if KINDS[metric.kind].is_share or metric.tolerance.absolute is not None else None
    return known.metric.model_copy(
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
