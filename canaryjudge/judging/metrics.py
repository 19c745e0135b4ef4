"""Metrics judged, of one release or of many: error rates are shared out here and nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from canaryjudge.data import (
    AskedPair,
    History,
    MetricPair,
    about_metric,
    asked_pairs,
    rows_of,
)
from canaryjudge.errors import DataError
from canaryjudge.history import Asked, past_of, with_earlier_days, with_past
from canaryjudge.kinds import KINDS
from canaryjudge.outcomes import DataSummary, asked_rules, at_deadline, metric_result
from canaryjudge.policy import Metric, Policy, RuleSettings
from canaryjudge.reasons import Outcome
from canaryjudge.results import (
    HistoryFacts,
    MetricResult,
    Pairing,
)
from canaryjudge.rules import (
    ErrorRates,
    Horizon,
    default_rules,
    ending_beyond,
    find,
)
from canaryjudge.rules.before_after import BeforeAfter
from canaryjudge.rules.findings import Draft, Finding, LevelFinding, build
from canaryjudge.rules.growth import GrowthFinding

__all__ = ["Case", "judge_cases", "rule_levels", "rules_of", "shares"]


def shares(policy: Policy) -> dict[str, float]:
    """Share alpha out over the metrics by weight.

    Parameters
    ----------
    policy : Policy
        Alpha and the metrics.

    Returns
    -------
    dict of str to float
        Each metric's share, in the policy's order. What cannot fail the release takes no part of alpha, and is asked at no more
        than all of it.
    """
    family = math.fsum(metric.weight for metric in policy.metrics if metric.can_fail)
    return {
        metric.name: policy.alpha
        * metric.weight
        / (family if metric.can_fail else max(family, metric.weight))
        for metric in policy.metrics
    }


def rule_levels(rules: Sequence[RuleSettings], alpha: float) -> list[float]:
    """Share a metric's part of alpha out over its rules: equally, but for those about a feature, which take a tenth of what the others do.

    Parameters
    ----------
    rules : sequence of rule settings
        The metric's rules.
    alpha : float
        The metric's part.

    Returns
    -------
    list of float
        Each rule's level.

    Examples
    --------
    >>> from canaryjudge import Excursion, LateShift, MannWhitney
    >>> [round(level, 6) for level in rule_levels([MannWhitney(), Excursion(), LateShift()], 0.01)]
    [0.008333, 0.000833, 0.000833]
    """
    whole = math.fsum(rule.weight for rule in rules)
    return [alpha * rule.weight / whole for rule in rules]


@dataclass(frozen=True, slots=True)
class Case:
    """One metric of one release, to be judged.

    Attributes
    ----------
    pair : MetricPair
        Its arms, with their exposures.
    metric : Metric
        What is asked of it, told of its past.
    alpha : float
        Its share of alpha.
    past : HistoryFacts or None
        What its past says.
    arms : tuple of str
        What the data call them.
    """

    pair: MetricPair
    metric: Metric
    alpha: float
    past: HistoryFacts | None = None
    arms: tuple[str, str] = ("baseline", "canary")

    @classmethod
    def of(
        cls,
        pair: MetricPair,
        metric: Metric,
        alpha: float,
        history: History | None = None,
        arms: tuple[str, str] = ("baseline", "canary"),
        control: str | None = None,
    ) -> Case:
        """Look up what a history says of a metric; of a before and after, `control` is the arm of a service that the release does not touch."""
        if metric.pairing == "before_after":
            return cls(with_earlier_days(pair, history, arms[0], control), metric, alpha, None, arms)
        kind, past = KINDS[metric.kind], None
        if history is not None and not (kind.has_users or kind.is_paired):
            past = past_of(metric, history, Asked.of(pair))
        return cls(pair, metric if past is None else with_past(metric, past), alpha, past, arms)


@np.errstate(all="ignore")
def judge_cases(cases: Sequence[Case], policy: Policy) -> list[MetricResult]:
    """Judge metrics, of one release or of many, as each would be judged alone: those of which the same is asked are rows of one batch."""
    data = [DataSummary.of(case.pair, case.past) for case in cases]
    horizon = Horizon(policy.max_points, policy.max_duration)
    first = {(id(case.metric), case.pair.pairing): case for case in cases}
    known = {key: rules_of(case.metric, case.pair.pairing) for key, case in first.items()}
    rules = [known[id(case.metric), case.pair.pairing] for case in cases]
    rates = {case.alpha: ErrorRates(case.alpha, policy.beta) for case in cases}
    whole = asked_pairs(((case.pair, case.metric, rates[case.alpha]) for case in cases), horizon)
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, case in enumerate(cases):
        asked = asked_rules(rules[index], data[index], case.metric)
        alike.setdefault((asked, rules[index], case.metric.unit, *whole[index].likeness), []).append(index)
    findings: list[tuple[Finding, ...]] = [()] * len(cases)
    for places in alike.values():
        try:
            found = _asked(cases, whole, places, rules[places[0]], data[places[0]])
        except DataError:
            for place in places:  # one of them breaks a rule: say which
                with about_metric(cases[place].metric.name):
                    _asked(cases, whole, [place], rules[place], data[place])
            raise
        for place, own in zip(places, found, strict=True):
            findings[place] = own
    drafts = [
        metric_result(facts, case.metric, case.alpha, own, case.arms)
        for facts, case, own in zip(data, cases, findings, strict=True)
    ]
    for index, end in _ends(drafts, whole).items():
        case = cases[index]
        drafts[index] = metric_result(
            data[index], case.metric, case.alpha, (*findings[index], end), case.arms
        )
    return [
        _at_its_end(result, facts, own, policy, horizon)
        for result, facts, own in zip(build(drafts), data, rules, strict=True)
    ]


def _asked(
    cases: Sequence[Case],
    whole: Sequence[AskedPair],
    places: Sequence[int],
    rules: tuple[RuleSettings, ...],
    data: DataSummary,
) -> list[tuple[Finding, ...]]:
    """Ask those of which the same is asked."""
    rows, metric = rows_of([whole[place] for place in places]), cases[places[0]].metric
    levels, asked = rule_levels(rules, rows.rates.level), asked_rules(rules, data, metric)
    found = [
        find(replace(rows, rates=ErrorRates(level, rows.rates.beta)), rule.in_unit_of(metric)).findings()
        for rule, level, is_asked in zip(rules, levels, asked, strict=True)
        if is_asked
    ]
    return list(zip(*found, strict=True)) if found else [()] * len(places)


def _ends(drafts: Sequence[Draft], whole: Sequence[AskedPair]) -> dict[int, Finding]:
    """Find which of those that would pass end beyond the tolerance, where no rule has asked for that."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, (_, facts) in enumerate(drafts):
        if (
            facts["outcome"] is Outcome.PASS
            and any(isinstance(finding.effect, LevelFinding) for finding in facts["findings"])
            and not any(isinstance(finding, GrowthFinding) for finding in facts["findings"])
        ):
            alike.setdefault(whole[index].likeness, []).append(index)
    found: dict[int, Finding] = {}
    for places in alike.values():
        ends = ending_beyond(rows_of([whole[place] for place in places]))
        found |= {place: end for place, end in zip(places, ends, strict=True) if end is not None}
    return found


def _at_its_end(
    result: MetricResult, data: DataSummary, rules: Sequence[RuleSettings], policy: Policy, horizon: Horizon
) -> MetricResult:
    """Let the policy decide what a watch has left undecided when it is over."""
    if not all(rule.rule == "sequential" for rule in rules):
        return result
    points = min((finding.n_canary for finding in result.findings), default=0)
    over = horizon.is_over(points, *(data.span or (None, None)))
    return at_deadline(result, policy.on_deadline) if over else result


def rules_of(metric: Metric, pairing: Pairing) -> tuple[RuleSettings, ...]:
    """Give the rules that a metric is asked by."""
    if metric.pairing == "before_after":
        return metric.rules or (BeforeAfter(),)
    return metric.rules or default_rules(metric, one_clock=pairing == "concurrent")
