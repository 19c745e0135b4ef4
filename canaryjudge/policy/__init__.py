"""What a user writes: the policy's models, its quantities, its files."""

from canaryjudge.policy.any_rule import AnyRule
from canaryjudge.policy.loading import load_policy, parse_policy
from canaryjudge.policy.models import Metric, OnDoubt, PassWithin, Policy, Segments, Split, Stage, Tolerance
from canaryjudge.policy.noise_floor import NoiseFloor, Spread
from canaryjudge.policy.query import Prometheus, Query
from canaryjudge.policy.reference import field_table, json_schema
from canaryjudge.rules.burn_rate import BudgetCalendar, BurnAlert, BurnRate
from canaryjudge.rules.excursion import Excursion
from canaryjudge.rules.groups import AllOf, AnyOf, GroupSettings
from canaryjudge.rules.growth import Growth
from canaryjudge.rules.late_shift import LateShift
from canaryjudge.rules.mann_whitney import MannWhitney
from canaryjudge.rules.proportion import Proportion
from canaryjudge.rules.rate import Rate
from canaryjudge.rules.ratio_of_means import RatioOfMeans
from canaryjudge.rules.sequential.settings import Sequential
from canaryjudge.rules.settings import RuleSettings
from canaryjudge.rules.slo import Change, Slo
from canaryjudge.rules.tail import Tail
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
    "Growth",
    "LateShift",
    "MannWhitney",
    "Metric",
    "NoiseFloor",
    "OnDoubt",
    "PassWithin",
    "Policy",
    "Prometheus",
    "Proportion",
    "Quantity",
    "Query",
    "Rate",
    "RatioOfMeans",
    "RuleSettings",
    "Segments",
    "Sequential",
    "Slo",
    "Split",
    "Spread",
    "Stage",
    "Tail",
    "Tolerance",
    "field_table",
    "json_schema",
    "load_policy",
    "parse_policy",
]
