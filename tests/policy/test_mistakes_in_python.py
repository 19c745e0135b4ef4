"""Mistakes and contradictions in policies made in Python: each one sentence, at its place."""

import pytest
from policy_settings import MINIMAL, SLO, metric, policy

from canaryjudge.errors import PolicyError
from canaryjudge.policy import MannWhitney, Metric, Policy, Slo, Split, Tolerance

# (what is made, words of the one line that is raised)
MISTAKES = [
    (lambda: metric(directoin="up"), "Metric: unknown key 'directoin'. Did you mean 'direction'?"),
    (lambda: metric(xyz=1), "unknown key 'xyz'. Known keys: name, direction, kind"),
    (lambda: Metric(name="a"), "'direction' is missing. Add direction: increase, decrease or either"),
    (
        lambda: metric(direction="incraese"),
        "Metric: direction: 'incraese' is not one of 'increase', 'decrease' or 'either'. Did you mean 'increase'?",
    ),
    (lambda: metric(direction="up"), "Did you mean 'increase'?"),
    (lambda: metric(direction="lower_is_better"), "where low values are good, it is increase"),
    (lambda: metric(direction="Higher-is-better"), "where high values are good, it is decrease"),
    (lambda: metric(direction="minimize"), "where low values are good, it is increase"),
    (lambda: metric(direction="maximise"), "where high values are good, it is decrease"),
    (lambda: metric(direction="worse"), "direction names the bad direction: increase (latency, errors)"),
    (lambda: metric(direction=3), "direction names the bad direction"),
    (lambda: metric(tolerance="ten percent"), "'ten percent' is not a quantity; write it like 10% or 5ms"),
    (lambda: metric(rules=["t_test"]), "unknown rule 't_test'. Rules: mann_whitney, proportion, rate"),
    (
        lambda: metric(rules=[{"rule": "slo", "op": "lte", "value": 3}]),
        "'of' is missing. Add of: mean, median",
    ),
    (
        lambda: metric(rules=Slo(of="mean", op="lte", value=3)),
        "Metric: rules: one Slo is not a list of them.",
    ),
    (lambda: Policy(confidence="95%", metrics=[metric()]), "unknown key 'confidence'. Known keys: version"),
    (lambda: metric(direction=None), "Metric: direction: has no value"),
    (lambda: metric(kind="guage"), "Did you mean 'gauge'?"),
    (lambda: metric(name=""), "name: is empty"),
    (lambda: metric(name=" a"), "white space at an end"),
    (lambda: metric(name="a\nb"), "a line break"),
    (lambda: metric(name="a" * 201), "longer than 200 characters"),
    (lambda: metric(name=404), "404 is not text. Put it in quotes"),
    (lambda: metric(name=b"a"), "name: a Python bytes is not text"),
    (lambda: metric(unit="ms\n"), "unit: 'ms\\n' has white space at an end"),
    (lambda: metric(weight="1"), "weight: '1' is not a number. Write a number, without quotes"),
    (lambda: metric(weight=True), "weight: true is not a number"),
    (lambda: metric(weight=0), "weight: must be above 0, found 0"),
    (lambda: metric(weight=float("nan")), "weight: nan is not a finite number"),
    (lambda: metric(weight=10**400), "weight: a huge number is not a number"),
    (lambda: metric(weight=2e6), "weight: must be at most 1e+06"),
    (lambda: metric(min_points=0), "min_points: must be at least 1, found 0"),
    (lambda: metric(min_points=True), "true is not a whole number"),
    (lambda: metric(min_points=10.0), "10.0 is not a whole number"),
    (lambda: metric(min_points="10"), "'10' is not a whole number"),
    (lambda: metric(interval=60), "60 is a duration without a unit"),
    (
        lambda: metric(tolerance=10),
        "10 could be a fraction or a number of units; write 10%, or {absolute: 10}",
    ),
    (lambda: metric(tolerance=0.1), "write 10%, or {absolute: 0.1}"),
    (lambda: metric(tolerance="10"), "could be a fraction or a number of units; write 10%"),
    (lambda: metric(tolerance=10**400), "tolerance: a huge number is not finite"),
    (lambda: metric(tolerance=float("nan")), "tolerance: nan is not finite"),
    (lambda: metric(tolerance=True), "tolerance: true is not a mapping"),
    (lambda: metric(tolerance="fast"), "'fast' is not a quantity"),
    (lambda: metric(tolerance="-10%"), "a tolerance cannot be negative"),
    (lambda: metric(tolerance="-5ms", unit="ms"), "a tolerance cannot be negative"),
    (
        lambda: metric(tolerance={"relative": 10}),
        "tolerance.relative: 10 would be 1000%; write 10%, or 1000% if you mean it",
    ),
    (lambda: metric(tolerance={"relative": "10"}), "'10' is text without a %"),
    (
        lambda: metric(tolerance={"relativ": "10%"}),
        "tolerance: unknown key 'relativ'. Did you mean 'relative'?",
    ),
    (lambda: Tolerance(absolute="x"), "Tolerance: absolute: 'x' is not a quantity"),
    (lambda: Tolerance(absolute={"number": 5, "unit": "ms"}), "absolute: a mapping is not a quantity"),
    (lambda: metric(rules=[]), "rules: is empty"),
    (lambda: metric(rules="slo"), "rules: 'slo' is not a list"),
    (lambda: metric(rules=SLO), "rules: a mapping is not a list"),
    (lambda: metric(rules=[None]), "rules[0]: nothing is not a rule"),
    (
        lambda: metric(rules=["manwhitney"]),
        "rules[0]: unknown rule 'manwhitney'. Did you mean 'mann_whitney'?",
    ),
    (
        lambda: metric(rules=["?"]),
        "Rules: mann_whitney, proportion, rate, ratio_of_means, signed_rank, mcnemar, sequential, slo, burn_rate, tail, excursion, late_shift, growth, before_after, any_of, all_of.",
    ),
    (lambda: metric(rules=[{"rule": 5}]), "rules[0].rule: unknown rule 5"),
    (lambda: metric(rules=[{"of": "p99"}]), "A rule is a name, or a mapping with the key 'rule'"),
    (
        lambda: metric(rules=[{"rule": "mann_whitney", "metod": "exact"}]),
        "rules[0]: unknown key 'metod'. Did you mean 'method'?",
    ),
    (
        lambda: metric(rules=[{"rule": "mann_whitney", "of": "p99"}]),
        "unknown key 'of'. Known keys: rule, method.",
    ),
    (
        lambda: Slo(of="P99", op="lte", value=1),
        "Slo: of: 'P99' is not an aggregate. It is one of mean, median",
    ),
    (lambda: Slo(of="p100", op="lte", value=1), "'p100' is not an aggregate"),
    (lambda: Slo(of="p0", op="lte", value=1), "'p0' is not an aggregate"),
    (
        lambda: Slo(of="p99", op="<=", value=1),
        "op: '<=' is not one of 'lt', 'lte', 'gt' or 'gte'. Did you mean 'lte'?",
    ),
    (
        lambda: Slo(of="max", op="lte", value=1),
        "an observed max has no confidence interval. Write evidence: point",
    ),
    (lambda: Slo(op="lte", value=1), "'of' is missing"),
    (lambda: MannWhitney(method="exct"), "MannWhitney: method: 'exct' is not one of"),
    (lambda: Split(baseline="90%", canary="20%"), "the two shares must add up to 100 %, found 110 %"),
    (lambda: Split(baseline=95, canary="5%"), "baseline: 95 is not between 0 % and 100 %; did you mean 95%?"),
    (lambda: Split(baseline="100%", canary="5%"), "is not between 0 % and 100 %"),
    (Policy, "Policy: 'metrics' is missing. Add a list of metrics"),
    (lambda: policy(alpha=5), "alpha: 5 is not between 0 % and 50 %; did you mean 5%?"),
    (lambda: policy(alpha=0), "alpha: 0 is not between 0 % and 50 %"),
    (lambda: policy(alpha="100%"), "alpha: '100%' is not between"),
    (lambda: policy(beta=1), "beta: 1 is not between 0 % and 50 %; did you mean 1%?"),
    (lambda: policy(beta=True), "beta: true is not a fraction"),
    (lambda: policy(beta="5ms"), "has the unit 'ms' where a fraction is needed"),
    (lambda: policy(version=2), "version: 2 is not a version that is known here"),
    (lambda: policy(version="1"), "write version: 1, without quotes"),
    (lambda: policy(version=True), "true is not a version"),
    (lambda: policy(version=1.0), "1.0 is not a version"),
    (lambda: policy(pass_score="95", aggregate="score"), "pass_score: '95' is not a number"),
    (lambda: policy(pass_score=101, aggregate="score"), "pass_score: must be at most 100"),
    (lambda: policy(groups=[], aggregate="score"), "groups: a list is not a mapping"),
    (lambda: policy(groups={"a": "1"}, aggregate="score"), "groups.a: '1' is not a number"),
    (lambda: policy(groups={"a": 0}, aggregate="score"), "groups.a: must be above 0"),
    (lambda: policy(groups={"": 1}, aggregate="score"), "is empty"),
    (lambda: policy(split="95/5"), "split: '95/5' is not a mapping"),
    (lambda: policy(metrics=[]), "metrics: is empty"),
    (lambda: policy(metrics={"a": MINIMAL}), "metrics: a mapping is not a list. Write each entry as an item"),
    (lambda: policy(metrics=["a"]), "metrics[0]: 'a' is not a mapping"),
    (lambda: policy(metrics="a"), "metrics: 'a' is not a list"),
    (lambda: policy(metrics=None), "metrics: has no value"),
    (lambda: policy(extends="base.yaml"), "extends works in policy files only"),
    (lambda: policy(**{"rule:slo": 1}), "unknown key 'rule:slo'"),
]


@pytest.mark.parametrize(("make", "words"), MISTAKES, ids=[words[:50] for _, words in MISTAKES])
def test_a_mistake_is_a_policy_error_in_one_sentence(make, words):
    with pytest.raises(PolicyError) as caught:
        make()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # no trace of pydantic


# (settings of a metric, where, words)
CONTRADICTIONS = [
    ({"kind": "ratio", "effect": "ratio"}, "effect", "is for gauges and samples"),
    ({"kind": "count", "effect": "ratio"}, "effect", "A count compares by its ratio already"),
    ({"effect": "ratio", "tolerance": {"absolute": 5}}, "tolerance.absolute", "has no absolute tolerance"),
    (
        {"unit": "ms", "tolerance": "5MB"},
        "tolerance.absolute",
        "'MB' cannot be converted to the metric's unit 'ms'",
    ),
    (
        {"unit": "ms", "tolerance": {"absolute": "5%"}},
        "tolerance.absolute",
        "5% is in %, but the metric's unit is 'ms'",
    ),
    ({"tolerance": {"absolute": "5%"}}, "tolerance.absolute", "the metric has no unit"),
    ({"tolerance": "5ms"}, "tolerance.absolute", "add unit: ms to the metric"),
    ({"unit": "ns", "tolerance": {"absolute": "1e308d"}}, "tolerance.absolute", "not finite"),
    ({"kind": "ratio", "tolerance": "5ms"}, "tolerance.absolute", "a ratio has none; write it like 0.1%"),
    ({"kind": "ratio", "tolerance": {"absolute": 5}}, "tolerance.absolute", "did you mean 5%?"),
    ({"kind": "ratio", "tolerance": {"absolute": "200%"}}, "tolerance.absolute", "not between 0 % and 100 %"),
    (
        {"kind": "ratio", "unit": "%", "tolerance": {"absolute": 0.5}},
        "tolerance.absolute",
        "write 50% or 0.5%",
    ),
    ({"rules": ["proportion"]}, "rules[0]", "the rule proportion does not fit kind: gauge"),
    ({"kind": "count", "rules": ["rate", "mann_whitney"]}, "rules[1]", "kind: gauge or samples or ratio"),
    ({"rules": ["mann_whitney", "mann_whitney"]}, "rules[1]", "stands there twice"),
    ({"unit": "MB", "rules": [SLO]}, "rules[0].value", "'ms' cannot be converted"),
    (
        {"kind": "ratio", "rules": [{**SLO, "value": "1%"}]},
        "rules[0].of",
        "of: p99 does not fit kind: ratio. Take pooled.",
    ),
    (
        {"rules": [{**SLO, "of": "pooled", "value": 1}]},
        "rules[0].of",
        "Take mean, median, min, max, within or a percentile",
    ),
    ({"kind": "ratio", "rules": [{**SLO, "of": "pooled", "value": 5}]}, "rules[0].value", "did you mean 5%?"),
    ({"kind": "ratio", "rules": [{**SLO, "of": "pooled", "value": "-1%"}]}, "rules[0].value", "not between"),
    (
        {"kind": "count", "rules": [{**SLO, "of": "pooled", "value": -1}]},
        "rules[0].value",
        "-1 is negative, which no count is",
    ),
]


@pytest.mark.parametrize(("settings_", "where", "words"), CONTRADICTIONS)
def test_settings_of_a_metric_that_do_not_go_together_are_named_at_their_place(settings_, where, words):
    with pytest.raises(PolicyError) as caught:
        metric(**settings_)
    assert str(caught.value).startswith(f"Metric: {where}: ")
    assert words in str(caught.value)
    with pytest.raises(PolicyError) as nested:
        policy(metrics=[MINIMAL, MINIMAL | {"name": "b"} | settings_])
    assert str(nested.value).startswith(f"Policy: metrics[1].{where}: ")


# (settings of a policy, words)
POLICY_CONTRADICTIONS = [
    (
        {"metrics": [MINIMAL, MINIMAL]},
        "metrics[1].name: the metric 'a' stands there twice, first as metrics[0]",
    ),
    (
        {"metrics": [MINIMAL | {"role": "muted"}]},
        "metrics: no metric can fail the release. Make at least one required or guard",
    ),
    ({"metrics": [MINIMAL | {"role": "advisory"}]}, "no metric can fail the release"),
    (
        {"pass_score": 90},
        "pass_score means nothing with aggregate: worst. Write aggregate: score, or leave pass_score out",
    ),
    ({"marginal_score": 50}, "marginal_score means nothing with aggregate: worst"),
    ({"groups": {"g": 2}}, "groups means nothing with aggregate: worst"),
    (
        {"aggregate": "score", "marginal_score": 96},
        "marginal_score: marginal_score 96 is above pass_score 95",
    ),
    ({"aggregate": "score", "pass_score": 60}, "pass_score: marginal_score 75 is above pass_score 60"),
    (
        {"aggregate": "score", "groups": {"latncy": 1}, "metrics": [MINIMAL | {"group": "latency"}]},
        "no metric is in the group 'latncy'. Did you mean 'latency'?",
    ),
    ({"aggregate": "score", "groups": {"g": 1}}, "Groups of the metrics: none."),
]


@pytest.mark.parametrize(("settings_", "words"), POLICY_CONTRADICTIONS)
def test_settings_of_a_policy_that_do_not_go_together_are_refused(settings_, words):
    with pytest.raises(PolicyError) as caught:
        policy(**settings_)
    assert words in str(caught.value)


def test_every_mistake_is_told_at_once_each_on_its_own_line():
    with pytest.raises(PolicyError) as caught:
        policy(alpha=5, metrics=[{"name": "a", "direction": "up"}, {"direction": "either", "weight": "2"}])
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert all(line.startswith("Policy: ") and line.endswith(("?", ".")) for line in lines)
    assert [
        words
        for words in ("alpha", "metrics[0].direction", "metrics[1].weight", "'name'")
        if words not in str(caught.value)
    ] == []


def test_a_mistyped_key_is_told_once_and_not_as_missing_too():
    with pytest.raises(PolicyError) as caught:
        Metric(nmae="a", directoin="increase")
    assert [line.split(". ")[0] for line in str(caught.value).splitlines()] == [
        "Metric: unknown key 'nmae'",
        "Metric: unknown key 'directoin'",
    ]


def test_one_metric_where_a_list_is_needed_is_one_sentence():
    with pytest.raises(PolicyError) as caught:
        Policy(metrics=metric())
    assert (
        str(caught.value) == "Policy: metrics: one Metric is not a list of them. Put it in brackets: [...]."
    )
