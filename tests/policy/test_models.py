"""Policies made in Python: defaults, and values that copy, hash and read back."""

import copy
import json
import pickle

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_settings import MINIMAL, SLO, metric, policy

from canaryjudge.errors import PolicyError
from canaryjudge.policy import MannWhitney, Metric, Policy, Proportion, Rate, Slo


def test_a_name_and_a_direction_are_enough():
    only = policy().metrics[0]
    assert (only.kind, only.unit, only.role, only.weight) == ("gauge", "", "required", 1.0)
    assert (only.effect, only.pairing, only.no_data, only.pass_when) == (
        "auto",
        "auto",
        "marginal",
        "proven_safe",
    )
    assert (only.tolerated_relative, only.tolerated_absolute, only.needed_points) == (0.1, 0.0, 10)
    assert only.can_fail


def test_the_policy_itself_needs_only_metrics():
    made = policy()
    assert (made.version, made.alpha, made.beta, made.aggregate) == (1, 0.01, 0.05, "worst")
    assert (made.pass_score, made.marginal_score, made.groups, made.split) == (95.0, 75.0, {}, None)


@pytest.mark.parametrize(
    ("written", "kind", "relative", "absolute"),
    [
        ("10%", "gauge", 0.1, 0.0),
        ("0%", "gauge", 0.0, 0.0),
        ("500%", "gauge", 5.0, 0.0),
        ("5ms", "gauge", 0.0, 5.0),
        ("0.005s", "gauge", 0.0, 5.0),
        ({"relative": "20%", "absolute": "5ms"}, "gauge", 0.2, 5.0),
        ({"relative": 0.2}, "gauge", 0.2, 0.0),
        ({"absolute": 3}, "gauge", 0.0, 3.0),
        ({"absolute": "3"}, "gauge", 0.0, 3.0),
        ({}, "gauge", 0.1, 0.0),
        ("10%", "ratio", 0.1, 0.0002),
        ("0.7pp", "ratio", 0.0, 0.007),
        ({"absolute": "0.01%"}, "ratio", 0.0, 0.0001),
        ({"absolute": 0.01}, "ratio", 0.0, 0.01),
        ({"relative": "25%", "absolute": "0.05%"}, "ratio", 0.25, 0.0005),
    ],
)
def test_a_tolerance_has_a_relative_and_an_absolute_part(written, kind, relative, absolute):
    made = metric(kind=kind, unit="ms" if kind == "gauge" else "", tolerance=written)
    assert (made.tolerated_relative, made.tolerated_absolute) == (relative, absolute)


def test_percent_of_a_percent_metric_are_its_units():
    made = metric(
        unit="%",
        tolerance={"absolute": "5%"},
        rules=[{"rule": "slo", "of": "max", "op": "lt", "value": "80%", "evidence": "point"}],
    )
    assert made.tolerated_absolute == 5.0
    assert made.quantity(made.rules[0].value, "the value") == 80.0
    assert metric(unit="%", tolerance="5pp").tolerated_absolute == 5.0


def test_a_quantity_that_does_not_fit_says_whose_it_is():
    with pytest.raises(ValueError, match="the threshold: the unit 'MB' cannot be converted"):
        metric(unit="ms").quantity(Slo(of="p99", op="lte", value="5MB").value, "the threshold")


@pytest.mark.parametrize(
    ("of", "probability"),
    [("p99", 0.99), ("p99.9", 0.999), ("p5", 0.05), ("median", 0.5), ("mean", None), ("pooled", None)],
)
def test_percentiles_are_exact_probabilities(of, probability):
    assert Slo(of=of, op="lte", value=1).percentile == probability  # 99.9 / 100 is 0.9990000000000001


@pytest.mark.parametrize(("kind", "points"), [("gauge", 10), ("samples", 10), ("ratio", 1), ("count", 1)])
def test_the_points_needed_follow_the_kind_unless_given(kind, points):
    assert metric(kind=kind).needed_points == points
    assert metric(kind=kind, min_points=30).needed_points == 30


@pytest.mark.parametrize(
    ("role", "can_fail"), [("required", True), ("guard", True), ("advisory", False), ("muted", False)]
)
def test_only_required_and_guard_metrics_can_fail_a_release(role, can_fail):
    assert metric(role=role).can_fail is can_fail


def test_rules_may_be_names_mappings_or_objects():
    made = metric(
        kind="ratio", rules=["proportion", {"rule": "mann_whitney"}, Slo(of="pooled", op="lte", value="0.1%")]
    )
    assert [type(rule) for rule in made.rules] == [Proportion, MannWhitney, Slo]


def test_nothing_can_be_set_afterwards():
    made = policy()
    for target, name, value in [(made, "alpha", 0.2), (made.metrics[0], "weight", 2.0), (made, "new", 1)]:
        with pytest.raises(pydantic.ValidationError):
            setattr(target, name, value)


RICH = Policy(
    alpha="0.7%",
    beta=0.1,
    aggregate="score",
    pass_score=90,
    marginal_score=60,
    groups={"latency": 3, "errors": 2.5},
    split={"baseline": "95%", "canary": "5%"},
    metrics=[
        Metric(
            name="p99",
            unit="ms",
            direction="increase",
            tolerance={"relative": "1234.5678%", "absolute": "0.3s"},
            group="latency",
            interval="90s",
            min_points=20,
            pairing="windows",
            rules=["mann_whitney", SLO, {**SLO, "of": "max", "evidence": "point", "value": 300}],
        ),
        Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            group="errors",
            rules=[Proportion(method="score"), Slo(of="pooled", op="lt", value="0.7%")],
        ),
        Metric(
            name="hits",
            kind="count",
            direction="either",
            role="guard",
            weight=0.5,
            no_data="ignore",
            pass_when="not_proven_worse",
            rules=[Rate()],
        ),
    ],
)
FETCHED = Policy(
    prometheus={"baseline": 'v="1"', "canary": 'v="2"', "step": "30s", "history": "none"},
    metrics=[Metric(name="cpu", direction="increase", query="cpu{${selector}}")],
)
POLICIES = [RICH, FETCHED, Policy(metrics=[MINIMAL])]


@pytest.mark.parametrize("made", POLICIES)
@pytest.mark.parametrize(
    "again",
    [
        lambda p: Policy(**json.loads(p.model_dump_json())),
        lambda p: Policy(**p.model_dump()),
        lambda p: Policy(**dict(p)),
        lambda p: Policy.model_validate_json(p.model_dump_json()),
        lambda p: Policy(**json.loads(p.model_dump_json(exclude_defaults=True))),
        copy.copy,
        copy.deepcopy,
        lambda p: pickle.loads(pickle.dumps(p)),  # noqa: S301 - our own bytes
    ],
)
def test_a_policy_reads_back_what_it_wrote(made, again):
    copied = again(made)
    assert copied == made
    assert hash(copied) == hash(made)
    assert copied.model_dump_json() == made.model_dump_json()


def test_equal_policies_have_equal_hashes_in_whatever_order_their_groups_stand():
    other = RICH.model_copy(update={"groups": dict(reversed(RICH.groups.items()))})
    assert other == RICH
    assert {other, RICH} == {RICH}


def test_different_policies_differ():
    assert policy() != policy(alpha="2%")
    assert metric(tolerance={"absolute": "5ms"}, unit="ms") != metric(
        tolerance={"absolute": "6ms"}, unit="ms"
    )


@given(
    relative=st.one_of(st.none(), st.floats(0, 1e4)),
    absolute=st.one_of(st.none(), st.floats(0, 1e300)),
    unit=st.sampled_from(["", "ms", "MiB", "%", "req/s", "E"]),
    seconds=st.floats(1e-9, 366 * 86400),
)
def test_any_tolerance_and_interval_read_back_as_written(relative, absolute, unit, seconds):
    parts = {
        "relative": None if relative is None else f"{relative!r}%",
        "absolute": None if absolute is None else f"{absolute!r}{unit}",
    }
    made = metric(unit=unit, tolerance=parts, interval=f"{seconds!r}s")
    again = Metric(**json.loads(made.model_dump_json()))
    assert again == made
    assert (again.tolerated_relative, again.tolerated_absolute, again.interval) == (
        made.tolerated_relative,
        made.tolerated_absolute,
        made.interval,
    )


@pytest.mark.parametrize(
    "metrics",
    [
        [{"name": "a", "direction": "increase", "tolerance": {"relative": "x"}}],
        [{1: 2}],
        [{"name": "a", "rules": [{}]}],
        [[]],
        5,
    ],
)
def test_mistakes_in_nested_mappings_are_policy_errors_too(metrics):
    with pytest.raises(PolicyError):
        Policy(metrics=metrics)
