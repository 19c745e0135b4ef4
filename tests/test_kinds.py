"""What a kind is stands in one place, and agrees with what policies and rules say of it."""

from typing import get_args

import pytest

from canaryjudge.kinds import KINDS, Kind, KindName
from canaryjudge.policy import Metric
from canaryjudge.rules import RULES, default_rules
from canaryjudge.simulate.assumptions import Assumed


def test_every_name_is_a_kind_and_the_other_way_round():
    assert get_args(KindName) == tuple(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
class TestEveryKind:
    def test_is_one_of_events_values_and_buckets(self, kind: Kind):
        assert [kind.counts_events, kind.is_measured, kind.has_buckets].count(True) == 1

    def test_is_a_share_or_a_rate_exactly_if_it_counts_events(self, kind: Kind):
        assert kind.is_share + kind.is_rate == kind.counts_events

    def test_pools_unless_its_points_are_raw(self, kind: Kind):
        assert (kind.pools is None) == kind.is_raw

    def test_is_asked_rules_that_fit_it(self, kind: Kind):
        metric = Metric(name="m", kind=kind.name, direction="increase")
        everything = (*kind.default_rules, *kind.rules_on_one_clock)
        assert set(everything) <= set(RULES)
        asked = (default_rules(metric, one_clock=one_clock) for one_clock in (False, True))
        assert [tuple(rule.rule for rule in rules) for rules in asked] == [kind.default_rules, everything]

    def test_needs_as_many_points_as_it_says(self, kind: Kind):
        metric = Metric(name="m", kind=kind.name, direction="increase")
        assert metric.needed_points == kind.min_points

    def test_assumes_what_a_plan_can_be_told(self, kind: Kind):
        assert set(kind.assumes) <= set(Assumed.model_fields)


def test_events_of_a_share_are_binomial_and_others_poisson():
    assert KINDS["ratio"].family == "binomial"
    assert KINDS["count"].family == "poisson"


def test_a_gauge_is_averaged_and_anything_else_added_up():
    assert [kind.name for kind in KINDS.values() if kind.is_averaged] == ["gauge"]
    assert KINDS["histogram"].points == "intervals"
