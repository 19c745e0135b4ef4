"""Settings with which the promise of a false-fail rate holds on this service, and the changes of the policy that lead there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from canaryjudge.data import MetricPair, with_exposures
from canaryjudge.history import HealthyPairs
from canaryjudge.judging import Case, judge_cases, rule_levels
from canaryjudge.kinds import KINDS
from canaryjudge.policy import Metric, NoiseFloor, PassWithin, Policy, RuleSettings, Tolerance
from canaryjudge.quantities import percent
from canaryjudge.reasons import Outcome
from canaryjudge.reports import FloorFacts, ObservedRate, Proposal, ProposalReason, SmallestFault
from canaryjudge.results import MetricResult
from canaryjudge.rules import default_rules
from canaryjudge.simulate import Fault, inject

__all__ = ["FoundSettings", "SettingsSearch", "fails", "find_settings", "judged", "smallest_found"]

_TOLERANCES: Final = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
_TIMES: Final = (1.5, 2.0, 3.0, 5.0, 10.0)
"""Of tolerances in a unit."""
_DOUBT: Final = 0.1
"""The promise is taken as broken where its one-sided 95 % bound lies above alpha: the two-sided interval at this error."""
_LARGEST_USEFUL: Final = 1.0
"""A metric that would not tell a doubling is no gate."""
_FEWEST_EFFECTIVE: Final = 4.0
_LARGEST_FAULT, _SMALLEST_FAULT = 16.0, 0.005
_CLOSE = 1.08
"""A size is known to within this factor; more steps would tell apart what the pairs cannot."""


def judged(
    pairs: Sequence[MetricPair], metrics: Sequence[Metric], policy: Policy, alpha: float
) -> list[MetricResult]:
    """Judge pairs by the code that will judge the release, each by its own version of the metric."""
    return judge_cases(
        [
            Case(with_exposures(pair, metric, policy), metric, alpha)
            for pair, metric in zip(pairs, metrics, strict=True)
        ],
        policy,
    )


@dataclass(frozen=True, slots=True)
class SettingsSearch:
    """What settings are sought for."""

    metric: Metric
    """The metric as it is."""
    policy: Policy
    """Its policy."""
    alpha: float
    """The metric's share of alpha."""
    found: HealthyPairs
    """Healthy pairs."""
    floor: NoiseFloor | None
    """The noise floor that the policy would state."""
    own: tuple[NoiseFloor | None, ...]
    """For each pair the floor that its own data had no part in."""
    floors: tuple[FloorFacts, ...]
    """What the floor was made of."""

    def judged(self, metric: Metric) -> list[MetricResult]:
        """Judge each healthy pair by the metric with the floor that the pair had no part in."""
        metrics = [metric.model_copy(update={"noise_floor": floor}) for floor in self.own]
        return judged(self.found.pairs, metrics, self.policy, self.alpha)

    def broken(self, results: Sequence[MetricResult]) -> bool:
        """Tell whether so many fail that the promise does not hold here."""
        return ObservedRate.of(fails(results), len(results), self.found.independent, _DOUBT).low > self.alpha


def fails(results: Sequence[MetricResult]) -> int:
    """Count what fails."""
    return sum(result.outcome is Outcome.FAIL for result in results)


_Change = tuple[str, Any, Any, ProposalReason, dict[str, float]]


@dataclass(frozen=True, slots=True)
class FoundSettings:
    """Settings that were found."""

    sought: SettingsSearch
    """For what."""
    metric: Metric
    """The metric with them."""
    results: tuple[MetricResult, ...]
    """The healthy pairs, judged by them."""
    changes: tuple[_Change, ...] = ()
    """Field, old and new value, reason and numbers."""
    noisy: bool = False
    """Whether no tolerance keeps the promise."""

    def proposals(
        self, faults: Sequence[SmallestFault], autocorrelation: float | None, points: int
    ) -> tuple[Proposal, ...]:
        """Give the changes of the metric's settings, by what would be found with them, the autocorrelation within windows and the points of a canary."""
        name, metric = self.sought.metric.name, self.sought.metric
        shift = next((fault.size for fault in faults if fault.fault == "shift"), None)
        blind = shift is None or shift > _LARGEST_USEFUL
        made: list[Proposal] = []
        if metric.can_fail and (self.noisy or blind):
            sizes = {} if shift is None else {"smallest": shift}
            made.append(
                Proposal(
                    metric=name, field="role", old=metric.role, new="muted", reason="too_noisy", numbers=sizes
                )
            )
        made += [
            Proposal(metric=name, field=field, old=old, new=new, reason=reason, numbers=numbers)
            for field, old, new, reason, numbers in self.changes
        ]
        needed = _needed(metric, autocorrelation, points)
        if needed is not None and not any(proposal.field == "role" for proposal in made):
            made.append(
                Proposal(
                    metric=name,
                    field="min_points",
                    old=metric.min_points,
                    new=needed,
                    reason="dependent_points",
                    numbers={"autocorrelation": autocorrelation or 0.0},
                )
            )
        return tuple(made)


def find_settings(sought: SettingsSearch) -> FoundSettings:
    """Find settings with which the promise holds: the noise floor first, because it costs the least; then without rules that fail healthy pairs on their own; then the smallest tolerance."""
    metric = sought.metric.model_copy(update={"noise_floor": sought.floor or sought.metric.noise_floor})
    settled = FoundSettings(sought, metric, tuple(sought.judged(metric)))
    if sought.floor is not None:
        numbers: dict[str, float] = {floor.between: floor.spread for floor in sought.floors}
        change: _Change = (
            "noise_floor",
            _dump(sought.metric.noise_floor),
            _dump(sought.floor),
            "differs_anyway",
            numbers,
        )
        settled = replace(settled, changes=(change,))
    if not metric.can_fail or not sought.broken(settled.results):
        return settled
    settled = _without_wild_rules(settled)
    return _with_tolerance(settled) if sought.broken(settled.results) else settled


def _without_wild_rules(settled: FoundSettings) -> FoundSettings:
    """Leave out the rules that alone fail more healthy pairs than their part of alpha allows, but for the last."""
    sought, metric = settled.sought, settled.metric
    rules = metric.rules or default_rules(metric, one_clock=sought.found.pairs[0].pairing == "concurrent")
    levels = rule_levels(rules, sought.alpha)
    rates: dict[int, float] = {}
    for index in range(len(rules)):
        count = sum(
            len(result.findings) > index and result.findings[index].outcome is Outcome.FAIL
            for result in settled.results
        )
        rate = ObservedRate.of(count, len(settled.results), sought.found.independent, _DOUBT)
        if rate.low > levels[index]:
            rates[index] = rate.rate
    kept = tuple(rule for index, rule in enumerate(rules) if index not in rates)
    if not rates or not kept:
        return settled
    calmer = metric.model_copy(update={"rules": kept})
    numbers: dict[str, float] = {rules[index].rule: rate for index, rate in rates.items()}
    old = None if metric.rules is None else _rules(metric.rules)
    change: _Change = ("rules", old, _rules(kept), "rule_cries_wolf", numbers)
    return replace(
        settled, metric=calmer, results=tuple(sought.judged(calmer)), changes=(*settled.changes, change)
    )


def _with_tolerance(settled: FoundSettings) -> FoundSettings:
    sought, metric = settled.sought, settled.metric
    for tolerance in _wider(metric):
        wider = metric.model_copy(update={"tolerance": tolerance})
        stated, outgrown = metric.pass_within, any(wider.pass_misfits())
        if outgrown:
            wider = wider.model_copy(update={"pass_within": PassWithin()})
        results = tuple(sought.judged(wider))
        if fails(results) <= sought.alpha * len(results):
            old = _written(sought.metric.tolerance)
            rate = fails(settled.results) / len(results)
            change: _Change = ("tolerance", old, _written(tolerance), "tolerance_too_tight", {"failed": rate})
            changes = [change]
            if outgrown and stated is not None:
                was = _written(stated)
                changes.append(("pass_within", was, "tolerance", "tolerance_too_tight", change[-1]))
            return replace(settled, metric=wider, results=results, changes=(*settled.changes, *changes))
    return replace(settled, noisy=True)


def _wider(metric: Metric) -> list[Tolerance]:
    absolute = metric.tolerance.absolute
    if metric.tolerance.relative is None and absolute is not None:
        return [
            Tolerance(absolute=absolute.model_copy(update={"number": absolute.number * times}))
            for times in _TIMES
        ]
    wider = [size for size in _TOLERANCES if size > metric.tolerated_relative]
    return [metric.tolerance.model_copy(update={"relative": size}) for size in wider]


def _written(tolerance: Tolerance | PassWithin) -> Any:
    """Write a tolerance as a policy does."""
    absolute = None if tolerance.absolute is None else tolerance.absolute.model_dump()
    relative = None if tolerance.relative is None else percent(tolerance.relative)
    if absolute is None:
        return relative
    return {"absolute": absolute} if relative is None else {"relative": relative, "absolute": absolute}


def _dump(floor: NoiseFloor | None) -> Any:
    if floor is None:
        return None
    plain = floor.model_dump(mode="json", exclude_none=True)
    for name in ("between_windows", "between_replicas"):
        spread = getattr(floor, name)
        if spread is not None and spread.absolute is None:
            plain[name] = percent(spread.relative)
    return plain


def _rules(rules: Sequence[RuleSettings]) -> list[Any]:
    dumped = [rule.model_dump(mode="json", exclude_defaults=True) for rule in rules]
    return [rule["rule"] if set(rule) == {"rule"} else rule for rule in dumped]


def _needed(metric: Metric, autocorrelation: float | None, points: int) -> int | None:
    """Give the points that are worth four independent ones, where that is more than are asked for; but no more than a canary has, which would never be judged."""
    if autocorrelation is None or not KINDS[metric.kind].is_measured:
        return None
    needed = math.ceil(_FEWEST_EFFECTIVE * (1 + autocorrelation) / (1 - autocorrelation))
    return needed if metric.needed_points < needed <= points else None


def smallest_found(
    pairs: Sequence[MetricPair],
    metric: Metric,
    policy: Policy,
    alpha: float,
    *,
    power: float,
    seed: int,
) -> tuple[SmallestFault, ...]:
    """Find the smallest fault of each kind that fails in enough pairs; each pair draws the same numbers at every size, so that no larger fault is missed by luck."""
    alone = policy.model_copy(update={"metrics": (metric,)})
    least = math.ceil(power * len(pairs) - 1e-9)

    def enough(fault: Fault, size: float) -> bool:
        missing, done = least, 0
        while 0 < missing <= len(pairs) - done:
            # no fewer pairs settle it
            few = range(done, done + min(missing, len(pairs) - done - missing + 1))
            ill = [
                inject(pairs[number], fault, size, metric.direction, np.random.default_rng([seed, number]))
                for number in few
            ]
            missing -= fails(judged(ill, [metric] * len(ill), alone, alpha))
            done = few.stop
        return missing <= 0

    def smallest(fault: Fault) -> float | None:
        if not enough(fault, _LARGEST_FAULT):
            return None
        low, high = _SMALLEST_FAULT, _LARGEST_FAULT
        while high / low > _CLOSE:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if enough(fault, middle) else (middle, high)
        return high

    return tuple(
        SmallestFault(fault=fault, size=smallest(fault), power=power) for fault in KINDS[metric.kind].faults
    )
