"""What an objective, and a group of rules, may ask, and what they say where they contradict themselves."""

import json

import pytest
from jsonschema import Draft202012Validator
from policy_settings import metric

from canaryjudge.errors import PolicyError
from canaryjudge.policy import (
    AllOf,
    AnyOf,
    Change,
    Metric,
    Policy,
    Sequential,
    Slo,
    json_schema,
    parse_policy,
)

P99 = {"of": "p99", "op": "lte"}
POOLED = {"of": "pooled", "op": "lte"}


@pytest.mark.parametrize(
    ("written", "relative", "absolute"),
    [
        ("+10%", 0.1, None),
        ("-8%", -0.08, None),
        ("0%", 0.0, None),
        ("+150%", 1.5, None),
        ("+5ms", None, "5.0ms"),
        ({"relative": "10%", "absolute": 5}, 0.1, 5.0),
        ({"relative": -0.08}, -0.08, None),
        ({"absolute": "-0.1%"}, None, "-0.1%"),
    ],
)
def test_a_change_is_read_as_a_tolerance_is_with_its_sign(written, relative, absolute):
    change = Slo(**P99, change=written).change
    assert change.relative == relative
    assert (change.absolute and change.absolute._write()) == absolute
    assert Change.model_validate(change.model_dump(mode="json")) == change


MISTAKES = [
    (lambda: Slo(**P99), "Slo: there is no objective. Give value, change or between."),
    (
        lambda: Slo(**P99, value=1, change="+10%"),
        "change: value and change are two objectives. Leave one out",
    ),
    (lambda: Slo(**P99, value=1, between=[0, 1]), "between: value and between are two objectives"),
    (lambda: Slo(of="p99", value=1), "Slo: 'op' is missing. Add op: lte or gte"),
    (lambda: Slo(of="p99", change="+10%"), "'op' is missing"),
    (lambda: Slo(**P99, between=[1, 2]), "op: between needs no op. Leave op out"),
    (lambda: Slo(of="p99", between=[1]), "between: 1 bound; write two: [low, high]"),
    (lambda: Slo(of="p99", between=[1, 2, 3]), "between: 3 bounds; write two: [low, high]"),
    (lambda: Slo(of="p99", between=1), "between: 1 is not a list"),
    (lambda: Slo(of="within", op="gte", value="99%"), "of: of: within needs a bound"),
    (lambda: Slo(**P99, value=1, bound=2), "bound: bound is for of: within"),
    (lambda: Slo(**P99, value=1, method="score"), "method: method: score is for shares"),
    (
        lambda: Slo(**POOLED, change="+10%", method="exact"),
        "method: method: exact is for value and between. Leave it out; a change has",
    ),
    (
        lambda: Slo(**P99, value=1, fail_change="+20%"),
        "fail_change: fail_change goes with change, not with value",
    ),
    (
        lambda: Slo(**P99, change="+10%", fail_value=1),
        "fail_value: fail_value goes with value, not with change",
    ),
    (
        lambda: Slo(**P99, change="+10%", fail_change="+5ms"),
        "fail_change: change and fail_change have different parts. Give both the same",
    ),
    (
        lambda: Slo(**P99, change=10),
        "change: 10 could be a fraction or a number of units; write +10%, or {absolute: 10}",
    ),
    (
        lambda: Slo(**P99, change={"relative": "+10%", "absolute": "-5ms"}),
        "change: relative and absolute go in different directions, so that one never counts. Give both the same sign",
    ),
    (lambda: Slo(**P99, change={}), "change: there is no change. Give relative, absolute or both"),
    (
        lambda: Slo(**P99, change={"relative": 10}),
        "relative: 10 would be 1000%; write 10%, or 1000% if you mean it",
    ),
    (lambda: Slo(**P99, change="-150%"), "'-150%' would leave less than nothing"),
    (lambda: Slo(**P99, change={"relativ": "10%"}), "unknown key 'relativ'. Did you mean 'relative'?"),
    (lambda: AnyOf(rules=[]), "AnyOf: rules: is empty"),
    (lambda: AllOf(rules=[Sequential()]), "rules[0]: a group cannot hold the rule sequential"),
    (lambda: AnyOf(rules=["rate", "rate"]), "rules[1]: the same rule 'rate' stands there twice"),
    (lambda: AnyOf(rules=[{"rule": "slo", "off": "p99"}]), "rules[0]: unknown key 'off'. Did you mean 'of'?"),
    (
        lambda: AnyOf(rules=[AllOf(rules=["rate"]), {"rule": "all_of", "rules": [{"rule": "slo", **P99}]}]),
        "rules[1].rules[0]: there is no objective",
    ),
    (lambda: AnyOf(rules=["anyof"]), "rules[0]: unknown rule 'anyof'. Did you mean 'any_of'?"),
]


@pytest.mark.parametrize(("make", "words"), MISTAKES)
def test_a_mistake_is_one_sentence(make, words):
    with pytest.raises(PolicyError) as caught:
        make()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


MISFITS = [
    (
        "gauge",
        {"of": "pooled", "op": "lte", "value": 1},
        "of: of: pooled does not fit kind: gauge. Take mean,",
    ),
    (
        "ratio",
        {"of": "within", "bound": 1, "op": "gte", "value": 0.9},
        "of: within does not fit kind: ratio. Take pooled.",
    ),
    (
        "histogram",
        {"of": "mean", "op": "lte", "value": 1},
        "does not fit kind: histogram; bucket counts do not know it. Take median",
    ),
    (
        "histogram",
        {"of": "max", "op": "lte", "value": 1, "evidence": "point"},
        "of: max does not fit kind: histogram",
    ),
    (
        "count",
        {"of": "pooled", "op": "lte", "value": 1, "method": "score"},
        "method: score is for shares, not for counts",
    ),
    (
        "samples",
        {"of": "within", "bound": "5MB", "op": "gte", "value": 0.9},
        "bound: the unit 'MB' cannot be converted",
    ),
    (
        "samples",
        {"of": "within", "bound": 5, "op": "gte", "value": 99},
        "value: 99 is not a share between 0 % and 100 %; did you mean 99%?",
    ),
    (
        "samples",
        {"of": "within", "bound": 5, "op": "gte", "value": "99ms"},
        "value: 99ms is not a share of the observations",
    ),
    (
        "samples",
        {"of": "within", "bound": 5, "op": "gte", "change": "-5ms"},
        "change.absolute: 5ms is not a share",
    ),
    ("gauge", {**P99, "change": "+5MB"}, "change.absolute: the unit 'MB' cannot be converted"),
    ("ratio", {**POOLED, "change": {"absolute": "-5ms"}}, "change.absolute: 5ms has the unit 'ms'"),
    (
        "gauge",
        {"of": "mean", "between": [5, "2ms"]},
        "between: the lower bound 5 is above the upper bound 2. Swap them.",
    ),
    (
        "gauge",
        {"of": "mean", "between": [105, "0.105s"]},
        "between: the bounds are both 105, and no confidence interval lies within one number. Leave room",
    ),
    ("gauge", {**P99, "value": 200, "fail_value": "0.1s"}, "fail_value: fail_value is stricter than value"),
    ("gauge", {"of": "p1", "op": "gte", "value": 10, "fail_value": 11}, "fail_value is stricter than value"),
    ("gauge", {**P99, "change": "+10%", "fail_change": "+5%"}, "fail_change is stricter than change"),
    (
        "gauge",
        {"of": "p1", "op": "gte", "change": "-8%", "fail_change": "-5%"},
        "fail_change is stricter than change",
    ),
    (
        "gauge",
        {"of": "mean", "between": [1, 9], "fail_between": [2, 10]},
        "fail_between is stricter than between",
    ),
    (
        "gauge",
        {"of": "mean", "between": [1, 9], "fail_between": [0, 8]},
        "fail_between is stricter than between",
    ),
]


@pytest.mark.parametrize(("kind", "settings", "words"), MISFITS)
def test_what_does_not_fit_the_metric_is_named_at_its_place(kind, settings, words):
    unit = "" if kind in ("ratio", "count") else "ms"
    for rule in (Slo(**settings), AnyOf(rules=[Slo(**settings)])):
        with pytest.raises(PolicyError) as caught:
            metric(kind=kind, unit=unit, rules=[rule])
        assert words in str(caught.value)
        at = "rules[0].rules[0]." if isinstance(rule, AnyOf) else "rules[0]."
        assert str(caught.value).startswith(f"Metric: {at}")


def test_the_rules_of_a_group_must_fit_the_metric_too():
    with pytest.raises(PolicyError, match="the rule proportion does not fit kind: gauge"):
        metric(rules=[AnyOf(rules=["mann_whitney", "proportion"])])


FITTING = [
    ("gauge", {"of": "p99", "op": "lte", "value": 200, "fail_value": "0.3s"}),
    (
        "samples",
        {"of": "within", "bound": "0.2s", "op": "gte", "value": "99%", "fail_value": 0.95, "method": "score"},
    ),
    (
        "samples",
        {
            "of": "mean",
            "op": "lte",
            "change": {"relative": "10%", "absolute": 5},
            "fail_change": {"relative": "20%", "absolute": "5ms"},
        },
    ),
    ("gauge", {"of": "min", "op": "gte", "change": "-8%", "evidence": "point"}),
    ("histogram", {"of": "median", "between": [1, "0.2s"], "fail_between": [0, 300]}),
    ("histogram", {"of": "within", "bound": 100, "between": ["90%", 1]}),
    ("ratio", {"of": "pooled", "op": "lt", "change": {"absolute": "0.1%"}}),
    ("ratio", {"of": "pooled", "op": "gte", "change": {"absolute": "-0.1%"}}),
    ("count", {"of": "pooled", "between": [1, 2], "method": "exact"}),
]


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(json_schema())


@pytest.mark.parametrize(("kind", "settings"), FITTING)
def test_what_fits_is_read_back_as_it_was_written_and_fits_the_schema(kind, settings, validator):
    rule = {"rule": "slo", **settings}
    nested = {"rule": "any_of", "rules": [rule, {"rule": "all_of", "rules": [rule]}]}
    unit = "" if kind in ("ratio", "count") else "ms"
    document = {
        "metrics": [
            {"name": "a", "direction": "increase", "kind": kind, "unit": unit, "rules": [rule, nested]}
        ]
    }
    policy = parse_policy(json.dumps(document))
    validator.validate(document)
    validator.validate(json.loads(policy.model_dump_json()))
    for dumped in (policy.model_dump_json(), policy.model_dump_json(exclude_defaults=True)):
        assert Policy.model_validate_json(dumped) == policy


def test_a_group_s_rule_may_be_its_bare_name():
    document = {
        "metrics": [
            {"name": "a", "direction": "increase", "rules": [{"rule": "any_of", "rules": ["mann_whitney"]}]}
        ]
    }
    Draft202012Validator(json_schema()).validate(document)
    assert parse_policy(json.dumps(document)).metrics[0].rules[0].rules[0].rule == "mann_whitney"
    document["metrics"][0]["rules"][0]["rules"] = ["slo"]
    assert not Draft202012Validator(json_schema()).is_valid(document)


def test_equal_bounds_are_met_by_a_point_and_changes_of_one_sign_or_none_are_taken():
    Metric(
        name="m",
        direction="increase",
        rules=[
            Slo(of="mean", between=[105, 105], evidence="point"),
            Slo(of="mean", op="lte", change={"relative": "+10%", "absolute": 5}),
            Slo(of="mean", op="gte", change={"relative": "-10%", "absolute": -5}),
            Slo(of="mean", op="lte", change={"relative": "+10%", "absolute": 0}),
        ],
    )
