"""The rules: data and settings of one metric in, one finding out. A rule is one file and one line here."""

from __future__ import annotations

# isort: on
from canaryjudge.kinds import KINDS
from canaryjudge.policy.rule_settings import AskedMetric, RuleSettings
from canaryjudge.rules import burn_rate as _burn_rate  # noqa: F401
from canaryjudge.rules import excursion as _excursion  # noqa: F401
from canaryjudge.rules import groups as _groups  # noqa: F401
from canaryjudge.rules import late_shift as _late_shift  # noqa: F401

# isort: off - in the order in which they are named to users
from canaryjudge.rules import mann_whitney as _mann_whitney  # noqa: F401
from canaryjudge.rules import proportion as _proportion  # noqa: F401
from canaryjudge.rules import rate as _rate  # noqa: F401
from canaryjudge.rules import slo as _slo  # noqa: F401
from canaryjudge.rules import tail as _tail  # noqa: F401
from canaryjudge.rules.registry import RULES, find, judge_pair, read_finding
from canaryjudge.rules.rows import ErrorRates, Horizon, Pair, Rows
from canaryjudge.rules.sequential.rates import check_counts
from canaryjudge.rules.sequential.watch import Watch, before_the_end, pool_replicas, start_watch

__all__ = [
    "RULES",
    "ErrorRates",
    "Horizon",
    "Pair",
    "Rows",
    "Watch",
    "before_the_end",
    "check_counts",
    "default_rules",
    "find",
    "judge_pair",
    "pool_replicas",
    "read_finding",
    "start_watch",
]


def default_rules(metric: AskedMetric) -> tuple[RuleSettings, ...]:
    """Give what is asked of a metric whose policy names no rules, as far as it fits the metric; the rule about its level first."""
    rules = (RULES[name].settings() for name in KINDS[metric.kind].default_rules)
    return tuple(rule for rule in rules if not any(rule.misfits(metric)))
