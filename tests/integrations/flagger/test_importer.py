"""Flagger's Canaries: what is judged, what is not and why, and that nothing is taken for something else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import canaryjudge as cj
from canaryjudge.cli import main
from canaryjudge.compat.flagger import replay
from canaryjudge.integrations.flagger.queries import NETWORKS, built_in_query
from canaryjudge.policy import parse_policy

EXAMPLES = Path(__file__).parents[4] / "shared" / "examples" / "flagger"
FILES = sorted(path for path in EXAMPLES.glob("*") if path.name != "manifest.json")
SUCCESS = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
DURATION = {"name": "request-duration", "thresholdRange": {"max": 500}}


def canary(*metrics, name="podinfo", provider=None, namespace="test", spec=None, **analysis):
    whole = {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "analysis": {"metrics": list(metrics), **analysis},
        **({"provider": provider} if provider else {}),
        **(spec or {}),
    }
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": name, "namespace": namespace},
        "spec": whole,
    }


def template(query, name="errors", kind="prometheus", namespace="test"):
    spec = {"provider": {"type": kind, "address": "http://prometheus:9090"}, "query": query}
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def custom(**settings):
    return {"name": "errors", "templateRef": {"name": "errors"}, "thresholdRange": {"max": 5}} | settings


def load(*objects, **settings):
    return cj.load_flagger(text=json.dumps(list(objects)), **settings)


def remarks(found, kind):
    return [f"{remark.place}: {remark.what}: {remark.why}" for remark in found.remarks if remark.kind == kind]


def test_the_rate_of_success_is_the_share_of_failed_requests_turned_round():
    (metric,) = load(canary(SUCCESS, provider="istio")).metrics
    assert (metric.kind, metric.direction, metric.counter) == ("ratio", "increase", True)
    assert metric.rules == (cj.Slo(of="pooled", op="lte", value="1%"),)
    assert metric.query.value.startswith("istio_requests_total{${selector},")
    assert 'response_code=~"5.*"' in metric.query.value
    assert "response_code" not in metric.query.total
    assert metric.query.baseline == 'destination_workload=~"podinfo-primary"'


@given(
    rates=st.lists(st.sampled_from([97.0, 98.9, 99.0, 99.9]), min_size=12, max_size=30),
    threshold=st.integers(0, 5),
    kind=st.sampled_from(["built-in", "template"]),
)
def test_counted_checks_fail_what_flagger_fails(rates, threshold, kind):
    metric = SUCCESS if kind == "built-in" else custom(name="errors", thresholdRange={"min": 99})
    analysis = {"threshold": threshold, "iterations": len(rates), "metrics": [metric]}
    found = load(
        canary(metric, provider="istio", threshold=threshold, iterations=len(rates)),
        template("up"),
        count_failures=True,
    )
    assert [remark for remark in found.adapted if remark.what == "threshold"] == []
    time = [60.0 * minute for minute in range(len(rates))]
    baseline = {"time": time, "value": [100.0] * len(rates)}
    data = {found.metrics[0].name: {"baseline": baseline, "canary": {"time": time, "value": rates}}}
    flagger = replay(analysis, [{metric["name"]: rate} for rate in rates])
    assert (cj.judge(data, found.policy()).outcome == "fail") == (flagger.phase == "Failed")


def test_a_counted_check_asks_what_flagger_asks_every_interval():
    rate, duration = load(
        canary(SUCCESS, DURATION, provider="kubernetes", interval="30s", threshold=3), count_failures=True
    ).metrics
    assert (rate.kind, rate.unit, rate.rules) == (
        "gauge",
        "%",
        (cj.Slo(of="min", op="gte", value=99, evidence="point", exceptions=2),),
    )
    assert (duration.unit, duration.rules[0].value.number) == ("ms", 500)
    assert duration.query.value.endswith("[1m])) by (le)) * 1000")
    assert "${selector}" in rate.query.value
    assert rate.query.step == duration.query.step


def test_what_cannot_be_counted_is_said():
    several = load(canary(SUCCESS, DURATION, provider="istio", threshold=3), count_failures=True)
    assert "metric by metric here" in remarks(several, "adapted")[0]
    both = load(
        canary(custom(thresholdRange={"min": 1, "max": 5}), threshold=3), template("up"), count_failures=True
    )
    assert "both sides of a range" in remarks(both, "adapted")[0]
    assert [rule.exceptions for rule in both.metrics[0].rules] == [0, 0]
    one = load(canary(SUCCESS, DURATION, provider="istio", threshold=1), count_failures=True)
    assert remarks(one, "adapted") == []


@pytest.mark.parametrize("path", FILES[::8], ids=lambda path: path.name)
def test_every_example_that_is_judged_can_be_counted(path):
    try:
        plain = cj.load_flagger(path)
    except cj.PolicyError:
        return
    counted = cj.load_flagger(path, count_failures=True)
    assert [metric.name for metric in counted.metrics] == [metric.name for metric in plain.metrics]
    for metric in counted.metrics:
        assert all(rule.change or rule.evidence == "point" for rule in metric.rules)


def test_the_duration_is_a_p99_of_a_histogram():
    (metric,) = load(canary(DURATION, provider="linkerd")).metrics
    assert (metric.kind, metric.unit, metric.direction, metric.counter) == (
        "histogram",
        "ms",
        "increase",
        True,
    )
    assert metric.rules == (cj.Slo(of="p99", op="lte", value=500),)
    (metric,) = load(canary(DURATION, provider="kubernetes")).metrics
    assert (metric.unit, metric.rules) == ("s", (cj.Slo(of="p99", op="lte", value=0.5),))
    (metric,) = load(canary(DURATION, provider="nginx")).metrics
    assert (metric.kind, metric.unit, metric.query.canary) == ("gauge", "ms", 'canary!=""')


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_gives_a_valid_policy_and_the_query_that_flagger_asks(name):
    found = load(canary(SUCCESS, DURATION, provider=name))
    assert [metric.name for metric in found.metrics] == ["request-success-rate", "request-duration"]
    known = bool(NETWORKS[name].primary)
    assert [metric.query is not None for metric in found.metrics] == [known, known]
    names = dict.fromkeys(("namespace", "target", "service", "ingress", "route"), "x")
    for metric in ("request-success-rate", "request-duration"):
        assert "{x" not in built_in_query(name, metric, names).replace('{x"', "")


def test_without_a_provider_the_data_are_the_callers_and_the_option_names_one():
    found = load(canary(SUCCESS, DURATION))
    assert [(metric.kind, metric.query) for metric in found.metrics] == [("ratio", None), ("gauge", None)]
    assert sum("--provider" in line for line in remarks(found, "note")) == 2
    assert load(canary(SUCCESS), provider="traefik").metrics[0].query is not None
    assert "is not a provider that is known" in " ".join(
        remarks(load(canary(SUCCESS, provider="smi:x")), "note")
    )


@pytest.mark.parametrize(
    ("metric", "rule"),
    [
        ({"name": "request-success-rate", "threshold": 99}, cj.Slo(of="pooled", op="lte", value="1%")),
        ({"name": "request-success-rate", "thresholdRange": {"max": 99}}, cj.Slo(of="pooled", op="gte", value="1%")),
        ({"name": "request-success-rate", "thresholdRange": {"min": 90, "max": 99}}, cj.Slo(of="pooled", between=["1%", "10%"])),
        ({"name": "request-duration", "threshold": 500}, cj.Slo(of="mean", op="lte", value=500)),
        ({"name": "request-duration", "thresholdRange": {"min": 1.9, "max": 2.9}}, cj.Slo(of="mean", between=[1, 2])),
        (custom(), cj.Slo(of="mean", op="lte", value=5)),
        (custom(thresholdRange={"min": 10, "max": 1000}), cj.Slo(of="mean", between=[10, 1000])),
        (custom(thresholdRange=None, threshold=7), cj.Slo(of="mean", op="lte", value=7)),
        (custom(thresholdRange=None), cj.Slo(of="mean", op="lte", value=0)),
    ],
)  # fmt: skip
def test_ranges_and_the_two_meanings_of_the_deprecated_threshold(metric, rule):
    (found,) = load(
        canary({key: value for key, value in metric.items() if value is not None}), template("up")
    ).metrics
    assert found.rules == (rule,)


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ({"name": "request-success-rate"}, "every rate of success"),
        ({"name": "request-success-rate", "thresholdRange": {"min": 101}}, "no rate of success"),
        (custom(thresholdRange={}), "everything is allowed"),
        (custom(thresholdRange={"min": 5, "max": 1}), "nothing can be"),
        ({"name": "undefined", "thresholdRange": {"max": 1}}, "Flagger fails every check"),
    ],
)
def test_what_asks_nothing_or_the_impossible_is_named(metric, why):
    found = load(canary(metric), template("up"))
    assert found.metrics == ()
    assert why in remarks(found, "unjudged")[0]


@pytest.mark.parametrize(
    ("query", "value", "baseline"),
    [
        ('up{workload="{{ target }}",ns="{{ namespace }}"}', 'up{${selector},ns="test"}', 'workload="podinfo-primary"'),
        ('up{pod=~"{{target}}-[0-9a-z]+"}[{{interval}}]', "up{${selector}}[1m]", 'pod=~"podinfo-primary-[0-9a-z]+"'),
        ('up{svc="{{ service }}-canary"}', "up{${selector}}", 'svc="podinfo-primary"'),
        ('up{svc="{{ namespace }}/{{ target }}-canary:80"}', "up{${selector}}", 'svc="test/podinfo-primary:80"'),
        ('a{w="{{ target }}"} / b{w="{{ target }}",x="{{ variables.way }}"}', 'a{${selector}} / b{${selector},x="in"}', 'w="podinfo-primary"'),
    ],
)  # fmt: skip
def test_templates_that_choose_the_target_ask_for_the_primary_too(query, value, baseline):
    (metric,) = load(canary(custom(templateVariables={"way": "in"})), template(query)).metrics
    assert (metric.query.value, metric.query.baseline) == (value, baseline)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ('up{ns="{{ namespace }}"}', "nothing in it tells the primary from the canary"),
        ('a{w="{{ target }}"} / b{pod=~"{{ target }}-.*"}', "in several ways"),
        ("{{ if target }}up{{ end }}", "which is not filled in here"),
        ('up{w="{{ target }}",x="{{ variables.way }}"}', "which is not filled in here"),
    ],
)
def test_templates_whose_arms_nobody_knows_are_left_to_the_caller(query, why):
    found = load(canary(custom()), template(query))
    assert found.metrics[0].query is None
    assert any(why in line for line in remarks(found, "note"))


def test_queries_of_other_sources_are_shown_with_their_names_filled_in():
    found = load(canary(custom()), template("avg:errors{app:{{ target }}}", kind="datadog"))
    assert found.metrics[0].query is None
    assert any(
        "give what datadog answers to avg:errors{app:podinfo}" in line for line in remarks(found, "note")
    )


def test_an_inline_query_is_asked_for_both_arms_only_if_told():
    inline = {"name": "errors", "query": "sum(rate(e[1m]))", "thresholdRange": {"max": 1}}
    assert load(canary(inline)).metrics[0].query is None
    assert load(canary(inline), add_selector=True).metrics[0].query.value == "sum(rate(e{${selector}}[1m]))"


def test_a_template_that_is_missing_or_there_twice_leaves_the_range_to_be_judged():
    found = load(canary(custom()))
    assert len(found.metrics) == 1
    assert any("is not among the documents" in line for line in remarks(found, "note"))
    found = load(canary(custom()), template("up", namespace="other"))
    assert any(
        "in the namespace 'test' is not among the documents" in line for line in remarks(found, "note")
    )
    found = load(canary(custom()), template("up"), template("down"))
    assert any("there are several" in line for line in remarks(found, "note"))


def test_what_is_no_metric_is_said():
    hook = {"name": "load", "url": "http://tester", "type": "pre-rollout"}
    traffic = {
        "maxWeight": 50,
        "stepWeight": 5,
        "interval": "30s",
        "threshold": 5,
        "webhooks": [hook],
        "alerts": [{"name": "a"}],
    }
    found = load(
        canary(SUCCESS, spec={"skipAnalysis": True}, **traffic),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}},
    )
    assert [remark.what for remark in found.adapted] == ["threshold"]
    assert {remark.what for remark in found.of_kind("no_effect")} == {
        "traffic",
        "the webhook",
        "alerts",
        "Service",
    }
    assert any("promotes without looking" in line for line in remarks(found, "note"))
    assert "so that Flagger promotes whatever happens" in remarks(load(canary()), "unjudged")[0]


def test_several_canaries_give_metrics_with_their_names():
    found = load(canary(SUCCESS, name="a"), canary(SUCCESS, name="b"))
    assert [metric.name for metric in found.metrics] == ["a/request-success-rate", "b/request-success-rate"]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ([{"analysis": {}}], "apiVersion and kind are missing"),
        ([{"apiVersion": "flagger.app/v1beta1", "kind": "Canary"}], "Canary: 'spec.analysis' is missing"),
        ([canary({"name": "x", "treshold": 5})], "unknown key 'treshold'"),
        ([canary({"name": "x", "threshold": "5"})], "'5' is not a number"),
        ([canary(SUCCESS, stepWeigth=5)], "Did you mean 'stepWeight'?"),
        ([canary(custom()), template(["up"])], "MetricTemplate errors: query"),
    ],
)
def test_what_flagger_would_not_take_is_refused_with_its_place(broken, why):
    with pytest.raises(cj.PolicyError) as caught:
        load(*broken)
    assert why in str(caught.value)


def test_other_versions_and_other_tools_are_named():
    old = canary(SUCCESS) | {"apiVersion": "flagger.app/v1alpha3"}
    found = load(
        old,
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"},
        {"apiVersion": "flagger.app/v1beta1", "kind": "AlertProvider"},
    )
    assert found.metrics == ()
    assert [remark.kind for remark in found.remarks] == ["unjudged", "no_effect", "no_effect"]
    with pytest.raises(cj.PolicyError, match="no manifest of Flagger is given"):
        cj.load_flagger()


def test_the_command_prints_a_policy_that_is_valid(tmp_path, capsys):
    path = tmp_path / "canary.json"
    path.write_text(
        json.dumps([canary(SUCCESS, DURATION, custom()), template('up{w="{{target}}"}')]), encoding="utf-8"
    )
    assert main(["import", "flagger", str(path), "--provider", "istio", "--strict"]) == 0
    policy = tmp_path / "policy.yaml"
    policy.write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["validate", str(policy)]) == 0


@pytest.mark.skipif(not FILES, reason="the examples ../shared/examples/flagger are not beside this checkout")
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
    try:
        found = cj.load_flagger(path)
    except cj.PolicyError as refused:
        reasons = (
            "nobody knows what this is",
            "this is not YAML",
            "'spec.analysis' is missing",
            "unknown key",
        )
        assert any(reason in str(refused) for reason in reasons)  # noqa: PT017 - some load, and some are refused
        assert path.name in str(refused)  # noqa: PT017
        return
    assert entry["parses"]
    assert "fragment" not in kinds
    assert len({remark.document for remark in found.remarks}) == len(kinds)
    assert "Canary" in kinds or not found.metrics
    assert all(remark.why for remark in found.remarks)
    if found.text:
        assert parse_policy(found.text).metrics == found.metrics


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_example_imports_as_something_else(path):
    for load_other in (cj.load_openslo, cj.load_argo):
        try:
            found = load_other(path)
        except cj.PolicyError:
            continue
        assert found.metrics == ()


@pytest.mark.skipif(not FILES, reason="the examples ../shared/examples/flagger are not beside this checkout")
def test_canaries_and_templates_of_one_tutorial_load_together():
    names = [path for path in FILES if "linkerd-progressive-delivery__L80" in path.name]
    found = cj.load_flagger(*names)
    assert all(metric.query is not None for metric in found.metrics)


@pytest.mark.parametrize(
    ("provider", "query", "value", "baseline", "chosen"),
    [
        ("nginx", 'sum(a{ingress="{{ ingress }}",canary!=""})', 'sum(a{ingress="podinfo",${selector}})', 'canary=""', 'canary!=""'),
        ("", 'sum(a{canary!=""}) / sum(b{canary!=""})', "sum(a{${selector}}) / sum(b{${selector}})", 'canary=""', 'canary!=""'),
        ("nginx", 'sum(a{canary=~".+"})', "sum(a{${selector}})", 'canary=""', 'canary=~".+"'),
        ("nginx", 'sum(a{canary!~"^$"})', "sum(a{${selector}})", 'canary=""', 'canary!~"^$"'),
        ("", 'sum(a{is_canary="true"})', "sum(a{${selector}})", 'is_canary!="true"', 'is_canary="true"'),
        ("istio", 'sum(a{destination_workload=~"podinfo"})', "sum(a{${selector}})", 'destination_workload=~"podinfo-primary"', 'destination_workload=~"podinfo"'),
        ("", 'sum(a{service="podinfo-canary"})', "sum(a{${selector}})", 'service="podinfo-primary"', 'service="podinfo-canary"'),
        ("", 'sum(a{track="canary"})', "sum(a{${selector}})", None, 'track="canary"'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("add", [False, True])
def test_labels_that_tell_the_arms_apart_are_where_the_selector_goes(
    provider, query, value, baseline, chosen, add
):
    found = load(canary(custom()), template(query), provider=provider, add_selector=add)
    (metric,) = found.metrics
    assert (metric.query.value, metric.query.baseline, metric.query.canary) == (value, baseline, chosen)
    assert ("give --baseline-selector" in remarks(found, "taken")[-1]) == (baseline is None)


@pytest.mark.parametrize(
    ("query", "ends", "rule"),
    [
        ('sum(a{w="{{ target }}"}) / sum(a{w="{{ target }}-primary"})', {"max": 1.5}, cj.Slo(of="mean", op="lte", change="+50%")),
        ('a{s="{{ service }}-canary"} / a{s="{{ service }}-primary"} * 100', {"min": 90}, cj.Slo(of="mean", op="gte", change="-10%")),
        ('a{canary!=""} - a{canary=""}', {"max": 5}, cj.Slo(of="mean", op="lte", change={"absolute": 5})),
    ],
)  # fmt: skip
def test_a_query_that_compares_with_the_primary_becomes_a_change(query, ends, rule):
    found = load(canary(custom(thresholdRange=ends)), template(query))
    (metric,) = found.metrics
    assert metric.rules == (rule,)
    assert metric.query.baseline != metric.query.canary
    assert "compares the canary with the primary by itself" in remarks(found, "adapted")[-1]


@pytest.mark.parametrize(
    ("query", "why", "kind"),
    [
        (
            'abs(a{w="{{ target }}"} - a{w="{{ target }}-primary"})',
            "not as a ratio or a difference",
            "prometheus",
        ),
        (
            'sum(a{w="{{ target }}"}) / avg(a{w="{{ target }}-primary"})',
            "not as a ratio or a difference",
            "prometheus",
        ),
        ('a{w="{{ target }}-primary"}', "measures the primary", "prometheus"),
        ('a{w!="{{ target }}"}', "measures the primary", "prometheus"),
        (
            "sum:a{w:{{ target }}} / sum:a{w:{{ target }}-primary}",
            "not as a ratio or a difference",
            "datadog",
        ),
        ("divideSeries(app.canary.p90, app.primary.p90)", "not as a ratio or a difference", "graphite"),
        ("sum:a{s:{{ service }}-primary}", "measures the primary", "datadog"),
    ],
)
def test_other_comparisons_and_the_primary_alone_are_no_rule_at_all(query, why, kind):
    found = load(canary(custom()), template(query, kind=kind), add_selector=True)
    assert found.metrics == ()
    assert any(why in line for line in remarks(found, "unjudged"))


def test_values_that_a_template_makes_up_are_said():
    found = load(canary(custom()), template('sum(a{w="{{ target }}"}) or vector(0)'))
    assert any("where nothing is measured it answers 0" in line for line in remarks(found, "adapted"))
    assert found.metrics[0].query.value == "sum(a{${selector}}) or vector(0)"
