"""Argo Rollouts' analyses: what is judged, what is not and why, and that nothing is taken for something else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.compat.argo import replay
from canaryjudge.integrations.argo.conditions import NotBoundsError, bounds_of
from canaryjudge.integrations.bounds import told
from canaryjudge.policy import parse_policy

EXAMPLES = Path(__file__).parents[4] / "shared" / "examples" / "argo"
FILES = sorted(path for path in EXAMPLES.glob("*") if path.name != "manifest.json")
QUERY = 'avg(up{service="{{args.service}}",hash="{{args.hash}}"})'


def measured(name="rate", **settings):
    return {
        "name": name,
        "provider": {"prometheus": {"query": "up"}},
        "successCondition": "result[0] >= 0.95",
    } | settings


def template(*metrics, name="t", kind="AnalysisTemplate", **spec):
    whole = {"metrics": list(metrics), **spec}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": whole}


def rollout(*steps, **canary):
    spec = {"strategy": {"canary": {"steps": list(steps), **canary}}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"}, "spec": spec}


def load(*objects, **settings):
    return cj.load_argo(text=json.dumps(list(objects)), **settings)


def remarks(found, kind):
    return [f"{remark.place}: {remark.what}: {remark.why}" for remark in found.remarks if remark.kind == kind]


@pytest.mark.parametrize(
    ("success", "failure", "direction", "rule"),
    [
        ("result[0] >= 0.95", "", "decrease", cj.Slo(of="mean", op="gte", value=0.95)),
        ("result < 5", "", "increase", cj.Slo(of="mean", op="lt", value=5)),
        ("", "result > 5", "increase", cj.Slo(of="mean", op="lte", value=5)),
        ("5 > result", "", "increase", cj.Slo(of="mean", op="lt", value=5)),
        ("result >= 0.9", "result < 0.5", "decrease", cj.Slo(of="mean", op="gte", value=0.9, fail_value=0.5)),
        ("result < 0.001", "result >= 0.001", "increase", cj.Slo(of="mean", op="lt", value=0.001)),
        ("result > 1 && result < 5", "", "either", cj.Slo(of="mean", between=[1, 5])),
        ("result > 2 && result < 4", "result < 1 || result > 9", "either", cj.Slo(of="mean", between=[2, 4], fail_between=[1, 9])),
        ("!(result > 0.5 * 4)", "", "increase", cj.Slo(of="mean", op="lte", value=2)),
        ("all(result, # < 5)", "", "increase", cj.Slo(of="max", op="lt", value=5, evidence="point")),
        ("", "any(result, # > 5)", "increase", cj.Slo(of="max", op="lte", value=5, evidence="point")),
        ("result >= -1", "", "decrease", cj.Slo(of="mean", op="gte", value=-1)),
    ],
)  # fmt: skip
def test_conditions_that_bound_a_number_become_a_rule(success, failure, direction, rule):
    found = load(template(measured(successCondition=success, failureCondition=failure)))
    (metric,) = found.metrics
    assert (metric.name, metric.kind, metric.direction, metric.rules) == ("rate", "gauge", direction, (rule,))
    assert found.unjudged == ()


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("result == 10", "equal"),
        ("result == 'ok'", "equal"),
        ("true", "always the same"),
        ("result > 1 || result < -1", "one of two conditions is enough"),
        ("any(result, # > 5)", "some of the values"),
        ("max(result) > 5", "one of the values"),
        ("result.a > 1 && result.b < 2", "several values of an answer"),
        ("result.ok && result.rate > 1", "compares no number"),
        ("result * 2 > 1", "does not compare the result itself"),
        ("result > 5 && result < 1", "nothing can meet it"),
        ("isNaN(result)", "bounds no number"),
        ("result > 1e999", "not finite"),
        ("result matches 'x'", "outside the grammar"),
        ("x" * 10**5, "at most 10,000 are read"),
    ],
)
def test_other_conditions_are_kept_as_text_with_the_reason(condition, why):
    found = load(template(measured(successCondition=condition)))
    assert found.metrics == ()
    (line,) = remarks(found, "unjudged")
    assert why in line
    assert condition[:20] in line
    assert len(line) < 600


def test_of_two_conditions_the_one_that_cannot_be_read_is_named():
    found = load(template(measured(successCondition="result > 5", failureCondition="result == 0")))
    assert [rule.value.number for rule in found.metrics[0].rules] == [5]
    assert "failureCondition result == 0" in remarks(found, "unjudged")[0]


@pytest.mark.parametrize(
    "condition",
    [
        "max(result) < 5",
        "all(result, # < 5)",
        "none(result, # >= 5)",
        "!any(result, # >= 5)",
        "not (any(result, {# >= 5}))",
        "all(result, {asFloat(#) < 5})",
        "all(result, isNaN(#) || # < 5)",
        "all(result, !isNaN(#) && # < 5)",
        "len(result) == 0 || all(result, # < 5)",
        "len(result) > 0 ? max(result) < 5 : true",
        "all(result[0].Values, {.value < 5})",
        "count(result, # >= 5) == 0",
        "len(filter(result, # >= 5)) < 1",
        "!(count(result, {# >= 5}) > 0)",
    ],
)
def test_a_condition_on_every_value_is_held_against_each_series_by_itself(condition):
    found = load(template(measured(successCondition=condition)))
    (metric,) = found.metrics
    assert metric.rules == (cj.Slo(of="max", op="lt", value=5, evidence="point"),)
    one_is_bad = {
        "value": [1, 1, 9, 1, 1, 9] * 10,
        "time": [60 * (row // 3) for row in range(60)],
        "replica": ["a", "b", "c"] * 20,
    }
    fine = one_is_bad | {"value": [1] * 60}
    assert cj.judge({"rate": {"baseline": fine, "canary": one_is_bad}}, found.policy()).outcome == "fail"
    assert cj.judge({"rate": {"baseline": fine, "canary": fine}}, found.policy()).outcome == "pass"


def test_failures_that_are_put_up_with_are_exceptions_of_every_value():
    found = load(
        template(measured(successCondition="max(result) < 5", failureLimit=2, interval="1m", count=20))
    )
    assert found.metrics[0].rules == (cj.Slo(of="max", op="lt", value=5, evidence="point", exceptions=2),)
    assert found.adapted == ()
    # a measurement of many points, over a time of its own, is no interval
    ranged = {"prometheus": {"query": "up", "rangeQuery": {"start": "now()", "end": "now()", "step": "1m"}}}
    for provider in (ranged, {"cloudWatch": {}}):
        found = load(
            template(
                measured(
                    successCondition="all(result, # < 5)",
                    failureLimit=2,
                    interval="1m",
                    count=20,
                    provider=provider,
                )
            )
        )
        assert found.metrics[0].rules == (cj.Slo(of="max", op="lt", value=5, evidence="point"),)
        assert "not one may be beyond the bound" in remarks(found, "adapted")[0]
    # of a range the failures are of both ends together
    found = load(
        template(
            measured(successCondition="all(result, # > 1 && # < 5)", failureLimit=2, interval="1m", count=20)
        )
    )
    assert [rule.exceptions for rule in found.metrics[0].rules] == [0, 0]
    assert "not one may be beyond the bound" in remarks(found, "adapted")[0]


@given(
    values=st.lists(st.sampled_from([0.9, 0.97, 0.99, 1.0]), min_size=5, max_size=30),
    limit=st.integers(0, 4),
    condition=st.sampled_from(["result[0] >= 0.98", "result[0] > 0.9", "result[0] < 0.995"]),
)
def test_counted_failures_fail_what_argo_fails(values, limit, condition):
    metric = measured(successCondition=condition, failureLimit=limit, interval="1m", count=len(values))
    found = load(template(metric), count_failures=True)
    assert found.adapted == ()
    time = [60.0 * minute for minute in range(len(values))]
    baseline = {"time": time, "value": [0.95 if "<" in condition else 1.0] * len(values)}
    data = {"rate": {"baseline": baseline, "canary": {"time": time, "value": values}}}
    argo = replay([metric], {"rate": [[value] for value in values]})
    assert cj.judge(data, found.policy()).outcome == {"Failed": "fail", "Successful": "pass"}[argo.phase]


def test_what_cannot_be_counted_is_said():
    for settings, why in (
        ({"successCondition": "result[0] > 1 && result[0] < 5", "failureLimit": 2}, "not one may be beyond"),
        (
            {"successCondition": "result[0] < 5", "failureLimit": -1, "consecutiveSuccessLimit": 3},
            "never the end",
        ),
        (
            {"successCondition": "result[0] < 5", "failureCondition": "result[0] > 9", "failureLimit": 2},
            "where none is put up with there",
        ),
    ):
        found = load(template(measured(interval="1m", count=20, **settings)), count_failures=True)
        assert any(why in remark for remark in remarks(found, "adapted")), settings
    few = load(
        template(measured(successCondition="result[0] < 5", interval="1m", count=5)), count_failures=True
    )
    assert few.metrics[0].min_points == 5


@pytest.mark.parametrize("path", FILES[::8], ids=lambda path: path.name)
def test_every_example_that_is_judged_can_be_counted(path):
    try:
        plain = cj.load_argo(path)
    except cj.PolicyError:
        return
    counted = cj.load_argo(path, count_failures=True)
    assert [metric.name for metric in counted.metrics] == [metric.name for metric in plain.metrics]
    for metric in counted.metrics:
        assert all(rule.change or rule.evidence == "point" for rule in metric.rules)


def test_a_range_of_every_value_has_both_its_ends():
    found = load(
        template(
            measured(successCondition="all(result, # > 1 && # <= 5)", failureCondition="any(result, # < 0)")
        )
    )
    assert found.metrics[0].direction == "either"
    assert [(rule.of, rule.op, rule.value.number) for rule in found.metrics[0].rules] == [
        ("min", "gt", 1),
        ("max", "lte", 5),
    ]
    found = load(template(measured(successCondition="min(result) > 1", failureCondition="min(result) < 0")))
    assert found.metrics[0].rules == (cj.Slo(of="min", op="gt", value=1, fail_value=0, evidence="point"),)


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("result[0] < 5 && all(result, # < 10)", "several values of an answer"),
        ("min(result) < 5", "one of the values"),
        ("one(result, # < 5)", "compares no number"),
        ("count(result, # > 5) < 2", "does not compare the result itself"),
        ("count(result, # < 5) > 0", "some of the values"),
        ("len(filter(result, # > 5)) < 3", "does not compare the result itself"),
        ("mean(result) < 5", "does not compare the result itself"),
        ("all(result, # < 5 || # > 9)", "one of two conditions is enough"),
        ("all(result, any(#, # > 5))", "compares no number"),
        # guards the other way round hold whenever there are data
        ("len(result) > 0 || result[0] < 5", "it always holds"),
        ("!isNaN(result) || result < 5", "it always holds"),
        ("result != nil || result < 5", "it always holds"),
        ("isNaN(result) && result < 5", "bounds no number"),
        ("len(result) == 0 || isNaN(result) || result < 5 || result > 9", "one of two conditions is enough"),
        ("result > 5 ? result < 9 : result > 1", "one of two things"),
    ],
)  # fmt: skip
def test_what_is_asked_of_several_values_or_the_wrong_way_round_is_no_bound(condition, why):
    found = load(template(measured(successCondition=condition)))
    assert found.metrics == ()
    assert why in remarks(found, "unjudged")[0]


@pytest.mark.parametrize(
    ("success", "failure"),
    [
        ("len(result) == 0 || isNaN(result[0]) || result[0] < 5", ""),
        ("len(result) == 0 || (isNaN(result[0]) || result[0] < 5)", ""),
        ("result[0] < 5 or isNaN(result[0]) or len(result) == 0", ""),
        ("isNaN(result[0]) || result[0] < 5 || 1 > len(result)", ""),
        ("result == nil || isInf(result) || isNaN(result) || result < 5", ""),
        ("len(result) == 0 || (len(result) > 0 && result[0] < 5)", ""),
        ("len(result) == 0 || (len(result) > 0 && isNaN(result[0])) || result[0] < 5", ""),
        ("result == [] || result[0] < 5", ""),
        ("result == '' || asFloat(result) < 5", ""),
        ("!(len(result) > 0 && !isNaN(result[0])) || result[0] < 5", ""),
        ("!(len(result) > 0 && !isNaN(result[0]) && result[0] >= 5)", ""),
        ("len(result) == 0 ? true : result[0] < 5", ""),
        ("isNaN(result[0]) ? true : (len(result) > 0 ? result[0] < 5 : true)", ""),
        ("", "len(result) > 0 && !isNaN(result[0]) && result[0] >= 5"),
        ("", "len(result) > 0 && (result[0] != nil && result[0] >= 5)"),
    ],
)
def test_guards_are_read_however_many_there_are_and_however_they_are_nested(success, failure):
    found = load(template(measured(successCondition=success, failureCondition=failure)))
    assert found.metrics[0].rules == (cj.Slo(of="mean", op="lt", value=5),)
    assert all("no_data: ignore" in line for line in remarks(found, "adapted"))
    assert remarks(found, "adapted")


def test_a_guard_that_fails_what_is_missing_says_so():
    for success, failure in (("!isNaN(result) && result < 5", ""), ("", "isNaN(result) || result >= 5")):
        found = load(template(measured(successCondition=success, failureCondition=failure)))
        assert "no_data: fail" in remarks(found, "adapted")[0]


def test_missing_data_that_a_condition_lets_through_is_said():
    for condition in (
        "isNaN(result) || result >= 1",
        "len(result) == 0 || result[0] >= 1",
        "result == nil || result >= 1",
    ):
        found = load(template(measured(successCondition=condition)))
        assert told(bounds_of(condition).bounds) == "at least 1"
        assert any("no_data: ignore" in line for line in remarks(found, "adapted"))
    found = load(template(measured(successCondition="len(result) > 0 && result[0] >= 1")))
    assert any("no_data: fail" in line for line in remarks(found, "adapted"))
    with pytest.raises(NotBoundsError):
        bounds_of("isNaN(result) || isInf(result)")


def test_limits_that_an_interval_has_no_use_for_are_adapted_one_by_one():
    limits = {
        "failureLimit": 3,
        "inconclusiveLimit": 1,
        "consecutiveErrorLimit": 2,
        "consecutiveSuccessLimit": 4,
        "initialDelay": "5m",
    }
    found = load(template(measured(interval="1m", count=20, **limits)))
    assert sorted(remark.what for remark in found.adapted) == sorted(limits)
    assert load(template(measured(interval="1m", count=20))).adapted == ()


def test_a_dry_run_is_muted_and_a_policy_of_nothing_else_is_none():
    found = load(template(measured("a"), measured("b"), dryRun=[{"metricName": "^a"}]))
    assert [metric.role for metric in found.metrics] == ["muted", "required"]
    found = load(template(measured("a"), dryRun=[{"metricName": ".*"}]))
    assert found.metrics == ()
    assert "nothing could fail a release" in remarks(found, "unjudged")[0]


@pytest.mark.parametrize("provider", ["job", "kayenta", "plugin"])
def test_providers_without_numbers_are_named(provider):
    found = load(template(measured(provider={provider: {}})))
    assert found.metrics == ()
    assert remarks(found, "unjudged")[0].startswith(f"spec.metrics[0]: provider {provider}: ")


def test_arguments_come_from_defaults_rollouts_and_the_caller_in_that_order():
    asked = template(
        measured(successCondition="result > {{ args.limit }}", provider={"web": {"url": "{{args.url}}"}}),
        args=[{"name": "limit", "value": 1}, {"name": "url"}],
    )
    user = rollout(analysis={"templates": [{"templateName": "t"}], "args": [{"name": "limit", "value": "2"}]})

    def limit(found):
        return found.metrics[0].rules[0].value.number

    assert limit(load(asked)) == 1
    assert limit(load(user, asked)) == 2
    assert limit(load(user, asked, args={"limit": "3"})) == 3
    found = load(asked, args={"other": "1"})
    assert any("no analysis asks for it" in line for line in remarks(found, "note"))


def test_an_argument_without_a_value_is_asked_for():
    found = load(template(measured(successCondition="result > {{args.limit}}"), args=[{"name": "limit"}]))
    assert "--arg limit=VALUE" in remarks(found, "unjudged")[0]
    found = load(
        template(measured(interval="{{args.every}}", count="{{args.count}}"), args=[{"name": "every"}])
    )
    assert len(found.metrics) == 1
    assert [remark.what for remark in found.adapted] == ["interval", "count"]


def test_a_template_that_is_used_in_two_ways_is_judged_in_both():
    asked = template(measured(successCondition="result > {{args.limit}}"), args=[{"name": "limit"}])
    steps = [
        {"analysis": {"templates": [{"templateName": "t"}], "args": [{"name": "limit", "value": value}]}}
        for value in ("1", "2", "1")
    ]
    found = load(rollout(*steps), asked)
    assert [(metric.name, metric.rules[0].value.number) for metric in found.metrics] == [
        ("rate", 1),
        ("rate-2", 2),
    ]


def test_queries_that_choose_the_canary_by_its_hash_ask_for_both_arms():
    asked = template(
        measured(provider={"prometheus": {"query": QUERY}}),
        args=[{"name": "service", "value": "shop"}, {"name": "hash"}],
    )
    args = [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]
    found = load(rollout(analysis={"templates": [{"templateName": "t"}], "args": args}), asked)
    assert found.metrics[0].query.value == 'avg(up{service="shop",${selector}})'
    assert any("--canary-selector 'hash=" in line for line in remarks(found, "taken"))


@pytest.mark.parametrize(
    ("query", "kind", "why"),
    [
        ('a{pod=~"shop-{{args.canary}}-.*"}', "note", "does not stand in a label of its own"),
        (
            'a{hash="{{args.canary}}"} / b{pod="{{args.canary}}"}',
            "note",
            "does not stand in a label of its own",
        ),
    ],
)
def test_queries_that_use_the_hash_otherwise_are_left_to_the_caller(query, kind, why):
    asked = template(
        measured(provider={"prometheus": {"query": query}}), args=[{"name": "canary"}, {"name": "stable"}]
    )
    args = [
        {"name": name, "valueFrom": {"podTemplateHashValue": arm}}
        for name, arm in (("canary", "Latest"), ("stable", "Stable"))
    ]
    found = load(rollout(analysis={"templates": [{"templateName": "t"}], "args": args}), asked)
    assert found.metrics[0].query is None
    assert any(why in line for line in remarks(found, kind))


def both_hashes(query, condition, *, given=True, **settings):
    asked = template(
        measured(successCondition=condition, provider={"prometheus": {"query": query}}),
        args=[{"name": "canary-hash"}, {"name": "stable-hash"}],
    )
    args = [
        {"name": name, "valueFrom": {"podTemplateHashValue": arm}}
        for name, arm in (("canary-hash", "Latest"), ("stable-hash", "Stable"))
    ]
    user = [rollout(analysis={"templates": [{"templateName": "t"}], "args": args})] if given else []
    return load(*user, asked, **settings)


CANARY, STABLE = 'a{hash="{{args.canary-hash}}",b="c"}', 'a{hash="{{args.stable-hash}}",b="c"}'


@pytest.mark.parametrize(
    ("query", "condition", "rule"),
    [
        (f"{CANARY} / {STABLE}", "result[0] <= 1.5", cj.Slo(of="mean", op="lte", change="+50%")),
        (f"sum({CANARY})\n/\nsum({STABLE})", "result[0] >= 0.9", cj.Slo(of="mean", op="gte", change="-10%")),
        (f"{STABLE} / {CANARY}", "result[0] > 0.8", cj.Slo(of="mean", op="lt", change="+25%")),
        (f"({CANARY} - {STABLE}) / {STABLE}", "result[0] < 0.2", cj.Slo(of="mean", op="lt", change="+20%")),
        (f"100 * ({CANARY} / {STABLE} - 1)", "result[0] < 20", cj.Slo(of="mean", op="lt", change="+20%")),
        (f"{CANARY} - {STABLE}", "result[0] < 5", cj.Slo(of="mean", op="lt", change={"absolute": 5})),
        (f"{STABLE} - {CANARY}", "result[0] <= 5", cj.Slo(of="mean", op="gte", change={"absolute": -5})),
    ],
)
def test_a_comparison_with_the_stable_version_becomes_a_change(query, condition, rule):
    found = both_hashes(query, condition)
    (metric,) = found.metrics
    assert metric.rules == (rule,)
    assert metric.query.value in ('a{${selector},b="c"}', 'sum(a{${selector},b="c"})')
    assert "compares the canary with the stable version by itself" in remarks(found, "adapted")[0]
    # the template alone, and hashes that the caller gives
    assert both_hashes(query, condition, given=False).metrics[0].rules == (rule,)
    found = both_hashes(query, condition, args={"canary-hash": "5d9f", "stable-hash": "77c"})
    assert found.metrics[0].rules == (rule,)
    assert (found.metrics[0].query.canary, found.metrics[0].query.baseline) == ('hash="5d9f"', 'hash="77c"')


def test_hashes_of_an_experiments_templates_are_those_of_the_arms():
    asked = template(
        measured(provider={"prometheus": {"query": 'a{hash="{{args.new}}"} / a{hash="{{args.old}}"}'}}),
        args=[{"name": "new"}, {"name": "old"}],
    )
    args = [
        {"name": name, "value": f"{{{{templates.{arm}.podTemplateHash}}}}"}
        for name, arm in (("new", "canary"), ("old", "baseline"))
    ]
    step = {"experiment": {"analyses": [{"name": "x", "templateName": "t", "args": args}]}}
    (metric,) = load(rollout(step), asked).metrics
    assert metric.rules == (cj.Slo(of="mean", op="gte", change="-5%"),)
    assert (metric.query.value, metric.query.canary) == ("a{${selector}}", None)


@pytest.mark.parametrize(
    "provider",
    [
        {"prometheus": {"query": "job:p90:canary / job:p90:stable"}},
        {"prometheus": {"query": 'canary_p90{a="b"} - baseline_p90{a="b"}'}},
        {"graphite": {"query": "divideSeries(app.canary.p90, app.stable.p90)"}},
        {"datadog": {"queries": {"a": "p90:x{track:canary}", "b": "p90:x{track:primary}"}, "formula": "a/b"}},
        {
            "newRelic": {
                "query": "SELECT filter(max(d), WHERE v='canary') / filter(max(d), WHERE v='stable') FROM T"
            }
        },
    ],
)
def test_arms_that_are_told_apart_by_names_are_compared_too(provider):
    found = load(template(measured(provider=provider)))
    assert found.metrics == ()
    assert "compares the canary with the stable version by itself" in remarks(found, "unjudged")[0]


@pytest.mark.parametrize(
    "query",
    ['active_users{track="canary"}', 'primary_errors{track="canary"}', 'a{track="canary"} / active_b'],
)
def test_other_names_with_such_words_compare_nothing(query):
    (metric,) = load(template(measured(provider={"prometheus": {"query": query}}))).metrics
    assert metric.rules == (cj.Slo(of="mean", op="gte", value=0.95),)


def test_arguments_that_are_no_labels_of_an_arm_compare_nothing():
    query = 'quantile(0.95, a{track="canary"})'
    args = [{"name": "stable-limit", "value": "95"}, {"name": "primary-domain", "value": "prod"}]
    provider = {"prometheus": {"address": "http://prom.prod.stable:9090", "query": query}}
    (metric,) = load(template(measured(provider=provider), args=args)).metrics
    assert metric.rules == (cj.Slo(of="mean", op="gte", value=0.95),)
    assert metric.query.value == "quantile(0.95, a{${selector}})"


def test_words_of_both_arms_in_one_choice_of_series_compare_nothing():
    query = 'sum(a{namespace="canary",role="primary"})'
    (metric,) = load(template(measured(provider={"prometheus": {"query": query}}))).metrics
    assert metric.rules == (cj.Slo(of="mean", op="gte", value=0.95),)


@pytest.mark.parametrize("label", ["job", "namespace", "service", "pod"])
def test_a_comparison_by_words_may_be_of_any_label(label):
    query = f'scalar(a{{{label}=~"shop-canary.*"}}) / on() scalar(a{{{label}=~"shop-stable.*"}})'
    (metric,) = load(
        template(measured(successCondition="result < 1.5", provider={"prometheus": {"query": query}}))
    ).metrics
    assert metric.rules == (cj.Slo(of="mean", op="lt", change="+50%"),)


def test_a_comparison_by_words_knows_its_selectors():
    found = load(
        template(
            measured(
                successCondition="result[0] < 1.1",
                failureCondition="result[0] > 2",
                provider={"prometheus": {"query": 'a{track="canary"} / a{track="stable"}'}},
            )
        )
    )
    (metric,) = found.metrics
    assert metric.rules == (cj.Slo(of="mean", op="lt", change="+10%", fail_change="+100%"),)
    assert (metric.query.value, metric.query.canary, metric.query.baseline) == (
        "a{${selector}}",
        'track="canary"',
        'track="stable"',
    )


@pytest.mark.parametrize(
    ("provider", "why"),
    [
        ({"prometheus": {"query": f"abs({CANARY} - {STABLE})"}}, "not as a ratio or a difference"),
        ({"prometheus": {"query": f"sum({CANARY}) / avg({STABLE})"}}, "not as a ratio or a difference"),
        ({"prometheus": {"query": f"{CANARY} > 1.1 * {STABLE}"}}, "not as a ratio or a difference"),
        ({"prometheus": {"query": STABLE}}, "measures the stable version"),
        ({"web": {"url": "http://x?canary={{args.canary-hash}}&stable={{args.stable-hash}}"}}, "compares the canary"),
        ({"datadog": {"queries": {"a": "x{h:{{args.canary-hash}}}", "b": "x{h:{{args.stable-hash}}}"}, "formula": "a / b"}}, "compares the canary"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("hashes", [{}, {"canary-hash": "5d9f", "stable-hash": "77c"}])
def test_other_comparisons_are_no_rule_at_all(provider, why, hashes):
    asked = template(measured(provider=provider), args=[{"name": "canary-hash"}, {"name": "stable-hash"}])
    found = load(asked, args=hashes)
    assert found.metrics == ()
    assert why in remarks(found, "unjudged")[0]


def test_a_choice_of_the_canary_by_words_is_where_the_selector_goes():
    for query in (
        'sum(a{role="canary",b="c"})',
        'sum(a{canary="true",b="c"})',
        'sum(a{pod=~"shop-canary-.+",b="c"})',
    ):
        for add in (False, True):
            found = load(template(measured(provider={"prometheus": {"query": query}})), add_selector=add)
            assert found.metrics[0].query.value == 'sum(a{${selector},b="c"})'
            assert found.metrics[0].query.baseline is None
            assert any("give --baseline-selector" in line for line in remarks(found, "taken"))
    found = load(
        template(measured(provider={"prometheus": {"query": 'a{role="canary"} / b{pod="canary-1"}'}})),
        add_selector=True,
    )
    assert found.metrics[0].query is None
    assert any("in several ways" in line for line in remarks(found, "note"))


def test_arguments_that_stand_there_twice_are_said(tmp_path, capsys):
    asked = template(measured(successCondition="result > {{args.limit}}"), args=[{"name": "limit"}])
    for values, kind, why in (
        (("1", "2"), "adapted", "'2'"),
        (("1", "1"), "note", "'1'"),
        (("1", ""), "adapted", "empty"),
    ):
        args = [{"name": "limit", "value": value} for value in values]
        found = load(rollout(analysis={"templates": [{"templateName": "t"}], "args": args}), asked)
        assert any("the argument limit" in line and why in line for line in remarks(found, kind))
    twice = template(
        measured(successCondition="result > {{args.limit}}"),
        args=[{"name": "limit", "value": "1"}, {"name": "limit", "value": "2"}],
    )
    assert "it stands there 2 times; the last one counts, which is '2'" in remarks(load(twice), "adapted")[0]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(asked), encoding="utf-8")
    assert main(["import", "argo", str(path), "--arg", "limit=1", "--arg", "limit=2"]) == 2
    assert "--arg limit is given twice" in capsys.readouterr().err
    assert main(["import", "argo", str(path), "--arg", "limit=1", "--arg", "limit=1"]) == 0


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        ({"prometheus": {"query": "sum(a) or vector(0)"}}, "adapted"),
        ({"prometheus": {"query": "(sum(a) > 0) or on() vector(0)"}}, "adapted"),
        ({"prometheus": {"query": "(sum(a) or vector(1)) / (sum(b) or vector(1))"}}, "adapted"),
        ({"prometheus": {"query": "(sum(a) or vector(0)) / sum(b)"}}, "note"),
        ({"prometheus": {"query": "sum(a) default 0"}}, "adapted"),
        ({"datadog": {"query": "default_zero(sum:errors{*})"}}, "adapted"),
        ({"datadog": {"queries": {"a": "sum:errors{*}.fill(zero)"}}}, "adapted"),
        ({"influxdb": {"query": "SELECT mean(x) FROM y GROUP BY time(1m) fill(0)"}}, "adapted"),
        ({"graphite": {"query": "transformNull(a.b.c, 0)"}}, "adapted"),
        ({"cloudWatch": {"metricDataQueries": [{"id": "e", "expression": "FILL(m1, 0)"}]}}, "adapted"),
        ({"newRelic": {"query": "SELECT coalesce(x, 0) FROM y"}}, "adapted"),
        ({"prometheus": {"query": 'a{b="or vector(0)"} or b'}}, ""),
        ({"influxdb": {"query": "SELECT mean(x) FROM y GROUP BY time(1m) fill(none)"}}, ""),
    ],
)  # fmt: skip
def test_values_that_a_query_makes_up_are_said(provider, kind):
    found = load(template(measured(provider=provider)))
    said = [
        remark.kind
        for remark in found.remarks
        if remark.what == "query" and ("missing there" in remark.why or "nothing is measured" in remark.why)
    ]
    assert said == ([kind] if kind else [])


def test_one_of_several_values_is_not_asked_for_by_the_query_of_all():
    found = load(template(measured(successCondition="result[1] < 5")), add_selector=True)
    assert found.metrics[0].query is None
    assert any("result[1] is bounded: give that one" in line for line in remarks(found, "adapted"))


def test_a_query_whose_arms_nobody_knows_is_left_to_the_caller_unless_told_otherwise():
    asked = template(
        measured(
            interval="2m", count=30, provider={"prometheus": {"query": "sum(rate(a{b='c'}[1m])) / sum(d)"}}
        )
    )
    found = load(asked)
    assert found.metrics[0].query is None
    assert any("--add-selector" in line for line in remarks(found, "note"))
    (metric,) = load(asked, add_selector=True).metrics
    assert metric.query.value == "sum(rate(a{${selector},b='c'}[1m])) / sum(d{${selector}})"
    assert metric.query.step == 120


def test_a_query_that_no_policy_takes_is_left_out_with_the_reason():
    found = load(template(measured(provider={"prometheus": {"query": 'up{a="$b"}'}})), add_selector=True)
    assert found.metrics[0].query is None
    assert any("unknown placeholder" in line for line in remarks(found, "adapted"))


def test_a_range_query_gives_step_and_window():
    ranged = {
        "query": "up",
        "rangeQuery": {"start": 'now() - duration("10m")', "end": "now()", "step": "30s"},
    }
    (metric,) = load(template(measured(provider={"prometheus": ranged})), add_selector=True).metrics
    assert (metric.query.step, metric.query.window) == (30, 600)


def test_templates_that_are_not_there_are_named():
    user = rollout(
        {"analysis": {"templates": [{"templateName": "x"}, {"templateName": "t", "clusterScope": True}]}}
    )
    experiment = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "e"},
        "spec": {"analyses": [{"name": "a", "templateName": "y"}]},
    }
    found = load(
        user, template(measured()), experiment, template(templates=[{"templateName": "z"}], name="w")
    )
    assert [line.split(": ", 1)[1].removeprefix("the analysis: ") for line in remarks(found, "unjudged")] == [
        "the AnalysisTemplate 'x' is not among the documents",
        "the ClusterAnalysisTemplate 't' is not among the documents",
        "the AnalysisTemplate 'y' is not among the documents",
        "the template 'z': it is not among the documents",
    ]


def test_names_are_those_of_metrics_with_their_templates_where_there_are_several():
    found = load(template(measured("x"), name="a"), template(measured("x"), measured("b"), name="b"))
    assert [metric.name for metric in found.metrics] == ["a/x", "b/x", "b"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ([{"kind": "AnalysisTemplate"}], "apiVersion is missing"),
        ([{"metrics": []}], "apiVersion and kind are missing"),
        (["text"], "is not an object of Kubernetes"),
        ([{"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate"}], "'spec' is missing"),
        ([template(measured(succesCondition="x"))], "unknown key 'succesCondition'"),
        ([template(measured(successCondition=5))], "successCondition"),
        ([template(measured(provider={"prometeus": {}}))], "unknown key 'prometeus'"),
        ([template(measured(provider={}))], "provider: there is none"),
        (
            [template(measured(count=2))],
            "Argo Rollouts refuses it: metrics[0]: interval must be specified when count > 1",
        ),
        ([template(measured(), measured())], "duplicate name 'rate'"),
        ([template()], "no metrics specified"),
        ([template(measured(), dryRun=[{"metricName": "("}])], "is not a regular expression"),
    ],
)
def test_what_argo_would_not_take_is_refused_with_its_place(broken, why):
    with pytest.raises(cj.PolicyError) as caught:
        load(*broken)
    assert why in str(caught.value)


def test_objects_of_others_are_left_alone_and_named():
    other = {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "s"}, "spec": {}}
    found = load(other, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    assert found.metrics == ()
    assert [remark.kind for remark in found.remarks] == ["no_effect", "no_effect"]
    assert cj.load_argo(text="---\n").remarks == ()
    with pytest.raises(cj.PolicyError, match="no manifest of Argo Rollouts is given"):
        cj.load_argo()


def test_what_was_imported_is_a_policy_and_the_text_says_the_same():
    found = load(
        template(measured("a: b"), measured("c", successCondition="result < 1e-7"), name="t"),
        add_selector=True,
    )
    assert found.policy(alpha="2%").metrics == found.metrics
    assert parse_policy(found.text).metrics == found.metrics


def test_the_command_takes_arguments_and_is_strict_if_asked(tmp_path, capsys):
    path = tmp_path / "t.json"
    path.write_text(
        json.dumps(template(measured(successCondition="result > {{args.x}}", failureLimit=1, count=1))),
        encoding="utf-8",
    )
    assert main(["import", "argo", str(path), "--arg", "x=5", "--add-selector"]) == 0
    printed = capsys.readouterr()
    assert parse_policy(printed.out).metrics[0].query.value == "up{${selector}}"
    assert main(["import", "argo", str(path), "--arg", "x=5", "--strict"]) == 2
    assert main(["import", "argo", str(path)]) == 2
    assert main(["import", "argo", str(path), "--arg", "x"]) == 2
    assert "is not NAME=VALUE" in capsys.readouterr().err


NOT_WHOLE = "so nobody knows what this is"
NOT_YAML = "this is not YAML"


@pytest.mark.skipif(not FILES, reason="the examples ../shared/examples/argo are not beside this checkout")
def test_the_examples_are_all_there():
    manifest = json.loads((EXAMPLES / "manifest.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in manifest} == {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_example_loads_or_is_refused_with_the_reason(path):
    entry = next(
        e
        for e in json.loads((EXAMPLES / "manifest.json").read_text(encoding="utf-8"))
        if e["file"] == path.name
    )
    kinds = entry.get("kinds", [])
    if not entry["parses"] or kinds == ["fragment"]:
        with pytest.raises(cj.PolicyError, match=path.name) as caught:
            cj.load_argo(path)
        assert (NOT_YAML if not entry["parses"] else NOT_WHOLE) in str(caught.value)
        return
    found = cj.load_argo(path)
    analyses = [kind for kind in kinds if "Analysis" in kind]
    assert len({remark.document for remark in found.remarks}) == len(kinds)
    assert all(remark.why for remark in found.remarks)
    numeric = "result == " not in path.read_text() and any(
        sign in path.read_text() for sign in (" >= ", " <= ", " < ", " > ")
    )
    assert bool(found.metrics) == (numeric and "results[0]" not in path.read_text() and bool(analyses))
    if found.text:
        assert parse_policy(found.text).metrics == found.metrics


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_example_imports_as_something_else(path):
    for load_other in (cj.load_openslo, cj.load_flagger):
        try:
            found = load_other(path)
        except cj.PolicyError:
            continue
        assert found.metrics == ()


def test_an_argument_whose_hash_is_no_word_is_left_out():
    odd = {"name": "canary-hash", "valueFrom": {"podTemplateHashValue": {"name": "checkout"}}}
    analysis = {"templates": [{"templateName": "t"}], "args": [None, odd]}
    found = load(template(measured()), rollout({"setWeight": 10}, analysis=analysis))
    assert [metric.name for metric in found.policy().metrics] == ["rate"]
