"""What a policy asks that means something else than it seems to: objectives that no data prove, tolerances wider than what they are of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from canaryjudge.kinds import KINDS
from canaryjudge.policy.any_rule import AnyRule
from canaryjudge.policy.models import Metric
from canaryjudge.quantities import is_share
from canaryjudge.rules.groups import GroupSettings
from canaryjudge.rules.rows import Wholes
from canaryjudge.rules.slo import Slo

__all__ = ["TooWide", "is_success", "too_wide", "unprovable", "wholes_of"]

_SUCCESS: Final = re.compile(
    r"success|succeed|avail|uptime|healthy|hit|non_?error|sla(?![a-z])|sli(?![a-z])|slo(?![a-z])"
)
_PERCENT: Final = ("%", "percent", "pp")
_NEAR: Final = 0.9
"""Shares from here on are near their best."""
_SMALLER: Final = 0.5
"""From here on what lacks to the best is the smaller part."""
_MANY_MORE, _SOME_MORE = 1.0, 0.0005
"""A pass near 100 % wants the failures no more than doubled, or more by this part of the whole."""
_OF_THE_LEVEL: Final = 0.1
"""A pass by a tolerance wider than the level wants the canary within this part of it, if the policy says no other."""


def unprovable(metric: Metric) -> Iterator[str]:
    """Give each objective of a metric that no amount of data proves: a share of exactly 0 or 100 %, a rate of exactly 0.

    Examples
    --------
    >>> list(unprovable(Metric(name="errors", kind="ratio", direction="increase", rules=[Slo(of="pooled", op="lte", value="0%")])))
    ['0%']
    """
    for rule in _every(metric.rules or ()):
        if not isinstance(rule, Slo) or rule.value is None or rule.evidence == "point" or rule.op is None:
            continue
        share = KINDS[metric.kind].is_share or rule.of == "within"
        if not share and rule.of != "pooled":
            continue
        value = rule.value.number / (100 if rule.value.unit else 1) if share else rule.value.number
        if value == 0 and rule.op in ("lte", "lt"):
            yield "0%" if share else "0"
        elif value == 1 and share and rule.op in ("gte", "gt"):
            yield "100%"


def _every(rules: Iterable[AnyRule]) -> Iterator[AnyRule]:
    for rule in rules:
        yield rule
        if isinstance(rule, GroupSettings):
            yield from _every(rule.rules)


def is_success(metric: Metric) -> bool:
    """Tell whether a metric is named like a share that should be near 1, or 100 %, and has a tolerance that is a part of it.

    Examples
    --------
    >>> is_success(Metric(name="success_rate", direction="decrease"))
    True
    >>> is_success(Metric(name="success_rate", direction="decrease", tolerance={"absolute": 0.1}))
    False
    """
    kind = KINDS[metric.kind]
    may = kind.is_share or kind.is_averaged or kind.is_raw
    return (
        may
        and metric.direction != "increase"
        and metric.tolerated_relative > 0
        and _asks_for_change(metric)
        and _is_named_success(metric)
    )


def _is_named_success(metric: Metric) -> bool:
    return bool(_SUCCESS.search(metric.name.lower()))


def wholes_of(metric: Metric) -> Wholes:
    """Tell what a metric of which less is worse may be a share of, as far as its kind, its name and its unit say.

    Examples
    --------
    >>> wholes_of(Metric(name="cache_hits", unit="%", direction="decrease")).of(97.5, 99.0)
    100.0
    >>> wholes_of(Metric(name="cpu", unit="%", direction="increase")).of(97.5, 99.0) is None
    True
    """
    kind = KINDS[metric.kind]
    if metric.direction == "increase":
        return Wholes()
    if kind.is_share:
        return Wholes(((1.0, _SMALLER, _SMALLER),))
    if not (kind.is_averaged or kind.is_raw) or not (metric.unit == "" or is_share(metric.unit)):
        return Wholes()
    named, in_percent = _is_named_success(metric), metric.unit in _PERCENT
    of_one = 1.0, _SMALLER if named else _NEAR, _NEAR if named or in_percent else 1.0
    if in_percent or (named and not metric.unit):
        return Wholes((of_one, (100.0, _SMALLER, _NEAR)))
    return Wholes((of_one,))


def _asks_for_change(metric: Metric) -> bool:
    return not metric.rules or any(rule.rule not in ("slo", "burn_rate") for rule in metric.rules)


@dataclass(frozen=True, slots=True)
class TooWide:
    """A tolerance that is wider than what it is of, and what a pass wants besides."""

    tolerated: float
    """How much the policy tolerates."""
    level: float
    """Of what: the baseline's level, or its distance from the best."""
    best: float | None
    """The best that the metric can be, 1 or 100; None where the level itself is meant."""
    change: float
    """By how much the canary is worse."""
    allowed: float
    """By how much a pass may have it."""

    @property
    def beyond(self) -> bool:
        """Whether a pass rests on the tolerance alone."""
        return self.change > self.allowed


def too_wide(metric: Metric, baseline: float, canary: float, highest: float = math.inf) -> TooWide | None:
    """Hold a metric's tolerance against the arms' levels, and the highest of their values; None where it fits.

    Examples
    --------
    >>> wide = too_wide(Metric(name="success_rate", direction="decrease"), 99.9, 95.0)
    >>> wide.best, round(wide.level, 6), round(wide.change, 6), wide.beyond
    (100.0, 0.1, 4.9, True)
    """
    kind, absolute, relative = KINDS[metric.kind], metric.tolerated_absolute, metric.tolerated_relative
    sides = {"increase": (1,), "decrease": (-1,), "either": (1, -1)}[metric.direction]
    best = wholes_of(metric).of(max(baseline, canary), highest)
    if best is not None and baseline > _NEAR * best:
        lost = best - baseline
        fall = relative / (1 + relative) * baseline
        allowed = max(_MANY_MORE * lost, _SOME_MORE * best, absolute)
        if fall > allowed:
            return TooWide(fall, lost, best, baseline - canary, allowed)
    if not kind.counts_events and 0 < abs(baseline) < absolute:
        stated = metric.tolerance.relative
        allowed = max(_OF_THE_LEVEL if stated is None else stated, _OF_THE_LEVEL) * abs(baseline)
        change = max(sign * (canary - baseline) for sign in sides)
        return TooWide(absolute, abs(baseline), None, change, allowed)
    return None
