"""What a user writes: the policy's models, its quantities, its files."""

from canaryjudge.policy.any_rule import AnyRule
from canaryjudge.policy.burn_rate_settings import BudgetCalendar, BurnAlert, BurnRate
from canaryjudge.policy.feature_settings import Excursion, LateShift
from canaryjudge.policy.groups import AllOf, AnyOf, GroupSettings
from canaryjudge.policy.loading import load_policy, parse_policy
from canaryjudge.policy.models import Metric, Policy, Split, Tolerance
from canaryjudge.policy.noise_floor import NoiseFloor, Spread
from canaryjudge.policy.objectives import Change, Slo
from canaryjudge.policy.query import Prometheus, Query
from canaryjudge.policy.reference import field_table, json_schema
from canaryjudge.policy.rule_settings import (
    Kind,
    MannWhitney,
    Proportion,
    Rate,
    RuleSettings,
    Sequential,
)
from canaryjudge.policy.tail_settings import Tail
from canaryjudge.settings import Quantity

__all__ = [
    "AllOf",
    "AnyOf",
    "AnyRule",
    "BudgetCalendar",
    "BurnAlert",
    "BurnRate",
    "Change",
    "Excursion",
    "GroupSettings",
    "Kind",
    "LateShift",
    "MannWhitney",
    "Metric",
    "NoiseFloor",
    "Policy",
    "Prometheus",
    "Proportion",
    "Quantity",
    "Query",
    "Rate",
    "RuleSettings",
    "Sequential",
    "Slo",
    "Split",
    "Spread",
    "Tail",
    "Tolerance",
    "field_table",
    "json_schema",
    "load_policy",
    "parse_policy",
]
