"""The rules: data and settings of one metric in, one finding out. A rule is one file and one line here."""

from __future__ import annotations

from typing import Final

from canaryjudge.data import MetricPair
from canaryjudge.policy import (
    AnyRule,
    Excursion,
    GroupSettings,
    Kind,
    LateShift,
    MannWhitney,
    Metric,
    Proportion,
    Rate,
)
from canaryjudge.results import Finding
from canaryjudge.rules.burn_rate import judge_burn_rate
from canaryjudge.rules.decision import Horizon, Rule, Share
from canaryjudge.rules.excursion import judge_excursion
from canaryjudge.rules.groups import judge_group
from canaryjudge.rules.late_shift import judge_late_shift
from canaryjudge.rules.mann_whitney import judge_shift
from canaryjudge.rules.proportion import judge_proportion
from canaryjudge.rules.rate import judge_rate
from canaryjudge.rules.sequential import Watch, before_the_end, check_counts, judge_sequential, start_watch
from canaryjudge.rules.slo import judge_objective
from canaryjudge.rules.tail import judge_tail

__all__ = [
    "RULES",
    "Horizon",
    "Rule",
    "Share",
    "Watch",
    "before_the_end",
    "check_counts",
    "default_rules",
    "start_watch",
]


def _judge_group(pair: MetricPair, metric: Metric, settings: GroupSettings, share: Share) -> Finding:
    return judge_group(pair, metric, settings, share, RULES)


RULES: Final[dict[str, Rule]] = {
    "mann_whitney": judge_shift,
    "proportion": judge_proportion,
    "rate": judge_rate,
    "sequential": judge_sequential,
    "slo": judge_objective,
    "any_of": _judge_group,
    "all_of": _judge_group,
    "burn_rate": judge_burn_rate,
    "tail": judge_tail,
    "excursion": judge_excursion,
    "late_shift": judge_late_shift,
}
"""Each rule by its name in a policy."""

_DEFAULTS: Final[dict[Kind, tuple[AnyRule, ...]]] = {
    "gauge": (MannWhitney(), Excursion(), LateShift()),
    "samples": (MannWhitney(), LateShift()),
    "ratio": (Proportion(), Excursion()),
    "count": (Rate(), Excursion()),
    "histogram": (MannWhitney(), LateShift()),
}
"""What is asked of a kind of metric where its policy names no rules: the best fixed-window test of its level, and what a level does not show."""


def default_rules(metric: Metric) -> tuple[AnyRule, ...]:
    """Give what is asked of a metric whose policy names no rules, as far as it fits the metric.

    Parameters
    ----------
    metric : Metric
        The metric.

    Returns
    -------
    tuple of rule settings
        The rule about its level first.
    """
    return tuple(rule for rule in _DEFAULTS[metric.kind] if not any(rule.misfits(metric)))
