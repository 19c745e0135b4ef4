"""The rules: data and settings of one metric in, one finding out. A rule is one file and one line here."""

from __future__ import annotations

from functools import cache

from canaryjudge.kinds import KINDS
from canaryjudge.rules import (
    before_after,
    burn_rate,
    excursion,
    groups,
    growth,
    late_shift,
    mann_whitney,
    mcnemar,
    proportion,
    rate,
    ratio_of_means,
    signed_rank,
    slo,
    tail,
)
from canaryjudge.rules.growth import ending_beyond
from canaryjudge.rules.registry import (
    RULES,
    Asking,
    answered,
    find,
    in_order,
    judge_pair,
    judge_pairs,
    read_finding,
)
from canaryjudge.rules.rows import ErrorRates, Horizon, Pair, Rows
from canaryjudge.rules.sequential import series
from canaryjudge.rules.sequential.rates import check_counts
from canaryjudge.rules.sequential.watch import Watch, before_the_end, pool_replicas, say_together, start_watch
from canaryjudge.rules.settings import AskedMetric, RuleSettings

__all__ = [
    "RULES",
    "Asking",
    "ErrorRates",
    "Horizon",
    "Pair",
    "Rows",
    "Watch",
    "answered",
    "before_the_end",
    "check_counts",
    "default_rules",
    "ending_beyond",
    "find",
    "judge_pair",
    "judge_pairs",
    "pool_replicas",
    "read_finding",
    "rules_on_one_clock",
    "say_together",
    "start_watch",
]

in_order(
    mann_whitney,
    proportion,
    rate,
    ratio_of_means,
    signed_rank,
    mcnemar,
    series,
    slo,
    burn_rate,
    tail,
    excursion,
    late_shift,
    growth,
    before_after,
    groups,
)


def default_rules(metric: AskedMetric, *, one_clock: bool) -> tuple[RuleSettings, ...]:
    """Give what is asked of a metric whose policy names no rules, as far as it fits the metric; the rule about its level first."""
    clock = rules_on_one_clock(metric) if one_clock else ()
    return (*_fitting(KINDS[metric.kind].default_rules, metric), *clock)


def rules_on_one_clock(metric: AskedMetric) -> tuple[RuleSettings, ...]:
    """Give what is asked as well where the arms share the clock, by `judge` and by a `Monitor`."""
    return _fitting(KINDS[metric.kind].rules_on_one_clock, metric)


def _fitting(names: tuple[str, ...], metric: AskedMetric) -> tuple[RuleSettings, ...]:
    rules = map(_default, names)
    return tuple(rule for rule in rules if not any(rule.misfits(metric)))


@cache
def _default(name: str) -> RuleSettings:
    """Give a rule's settings where a policy gives none."""
    return RULES[name].settings()
