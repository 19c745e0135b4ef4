"""What a user writes: the policy's models, its quantities, its files."""

from canaryjudge.policy.any_rule import AnyRule
from canaryjudge.policy.loading import load_policy, parse_policy
from canaryjudge.policy.models import Metric, Policy, Split, Tolerance
from canaryjudge.policy.objectives import Slo
from canaryjudge.policy.reference import field_table, json_schema
from canaryjudge.policy.rule_settings import (
    Kind,
    MannWhitney,
    Proportion,
    Rate,
    RuleSettings,
    Sequential,
)

__all__ = [
    "AnyRule",
    "Kind",
    "MannWhitney",
    "Metric",
    "Policy",
    "Proportion",
    "Rate",
    "RuleSettings",
    "Sequential",
    "Slo",
    "Split",
    "Tolerance",
    "field_table",
    "json_schema",
    "load_policy",
    "parse_policy",
]
