"""Queries in a policy: what is taken, and what each mistake is answered with."""

import pytest

from canaryjudge.errors import PolicyError
from canaryjudge.policy import Metric, Policy, Prometheus, Query, parse_policy
from canaryjudge.policy.query import selector_problem, timing

SELECTED = "up{${selector}}"
SHARED = {"baseline": 'version="1.4"', "canary": 'version="1.5"', "step": "15s", "window": "30m"}
ERRORS = {
    "value": 'http_requests_total{${selector},code=~"5.."}',
    "total": "http_requests_total{${selector}}",
}


def metric(**settings):
    return Metric(**({"name": "m", "direction": "increase"} | settings))


def test_a_query_is_text_or_a_mapping():
    assert metric(query=SELECTED).query == Query(value=SELECTED)
    asked = metric(kind="ratio", counter=True, query=ERRORS).query
    assert asked.texts() == ERRORS
    assert asked.replica == "instance"


def test_a_policy_reads_back_what_it_wrote():
    policy = Policy(prometheus=SHARED, metrics=[metric(kind="ratio", counter=True, query=ERRORS)])
    assert Policy.model_validate_json(policy.model_dump_json()) == policy
    assert hash(policy) == hash(Policy.model_validate_json(policy.model_dump_json()))
    assert (policy.prometheus.step, policy.prometheus.window) == (15.0, 1800.0)


def test_a_querys_own_timing_wins_over_the_policys_and_that_over_the_default():
    own = Query(value=SELECTED, step="5s", window="1h")
    assert timing(own, Prometheus(**SHARED)) == (5.0, 3600.0)
    assert timing(Query(value=SELECTED), Prometheus(**SHARED)) == (15.0, 1800.0)
    assert timing(Query(value=SELECTED), None) == (60.0, 1800.0)
    assert timing(Query(value=SELECTED, step="5s"), Prometheus(window="1h")) == (5.0, 3600.0)


def test_one_arm_may_be_another_metric_altogether():
    asked = Query(value="${selector}", baseline="avg(old_load)", canary="avg(new_load)")
    assert metric(query=asked).query.canary == "avg(new_load)"


@pytest.mark.parametrize(
    "text",
    [
        'up{${selector},path=~"^/a$|b$"}',  # $ ends a regular expression
        "rate(x_total{${selector}}[1m])",
        "histogram_quantile(0.99, rate(x_bucket{${selector}}[1m]))",
        "x_total{${selector}}",  # a gauge may have such a name
    ],
)
def test_gauges_may_ask_what_they_like(text):
    assert metric(query=text).query.value == text


@pytest.mark.parametrize(
    ("kind", "counter", "text"),
    [
        ("count", True, "x_total{${selector}}"),
        ("count", True, "sum by (instance, job) (x_total{${selector}})"),
        ("count", True, 'x_total{${selector},note="rate(sum("}'),  # what stands in text is no function
        ("count", False, "increase(x_total{${selector}}[1m])"),
        ("count", False, "job:x:increase1m{${selector}}"),
        ("histogram", True, "x_seconds{${selector}}"),
        ("histogram", True, "x_seconds_bucket{${selector}}"),
        ("histogram", False, "sum by (le) (increase(x_seconds_bucket{${selector}}[1m]))"),
    ],
)
def test_counters_are_told_from_what_an_interval_counted(kind, counter, text):
    assert metric(kind=kind, counter=counter, query=text)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"query": "up"}, "query.value: the query has no ${selector}: both arms would be the same data"),
        (
            {"kind": "ratio", "query": ERRORS | {"total": "x"}, "counter": True},
            "query.total: the query has no",
        ),
        ({"query": 'up{version="${version}",${selector}}'}, "unknown placeholder '${version}'"),
        ({"query": "rate(x{${selector}}[$__rate_interval])"}, "unknown placeholder '$__rate_interval'"),
        ({"query": {"value": SELECTED, "baseline": "${selector}"}}, "the selector has ${selector} in it"),
        ({"query": {"value": SELECTED, "canary": 'a="$b"'}}, "unknown placeholder '$b'"),
        ({"query": {"value": SELECTED, "canary": "a", "baseline": "a"}}, "both arms have the same selector"),
        ({"query": {"value": SELECTED, "total": SELECTED}}, "query.total: a total is for ratios and counts"),
        ({"query": SELECTED, "kind": "ratio"}, "the query of a ratio needs a total"),
        ({"query": "x_total{${selector}}", "kind": "count"}, "Add counter: true"),
        ({"query": "sum(x_bucket{${selector}})", "kind": "histogram"}, "Add counter: true"),
        (
            {"query": "rate(x_total{${selector}}[1m])", "kind": "count", "counter": True},
            "has done so already",
        ),
        (
            {"query": "sum(x_total{${selector}})", "kind": "count", "counter": True},
            "add them up by (instance)",
        ),
        (
            {
                "query": {"value": "sum by (instance) (x{${selector}})", "replica": "pod"},
                "kind": "count",
                "counter": True,
            },
            "add them up by (pod)",
        ),
        ({"query": {"value": SELECTED, "replica": "my-pod"}}, "'my-pod' is not the name of a label"),
        ({"query": {"value": SELECTED, "step": "1h"}}, "the step of 3600s is longer"),
        ({"query": ""}, "is empty"),
        ({"query": {"value": 5}}, "5 is not text"),
        ({"query": {"value": "x" * 10_001}}, "longer than 10,000 characters"),
        ({"query": {}}, "'value' is missing"),
        ({"query": {"valu": SELECTED}}, "Did you mean 'value'?"),
        ({"query": 5}, "5 is not a mapping"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(settings, says):
    with pytest.raises(PolicyError) as raised:
        Policy(metrics=[metric(**settings)])
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "selector",
    [
        *(
            'version="1.5"',
            'version=~"1\\\\.5|2\\\\.0",job!="a"',
            '{version="1.5"}',
            'a="}",b!~"{"',
            "a='b\"c',",
        ),
        *('"my.label"="x"', 'a="b" or c="d"', "avg(new_load)", 'avg(load{version="1.5"}[5m])', "new_load"),
    ],
)
def test_a_selector_may_be_label_matchers_or_a_query(selector):
    assert selector_problem(selector) is None


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ('1.5"} or vector(0) or x{version="', "more in it than label matchers"),
        ('1.5"}[1m])) or vector(0) #', "a quotation mark that is never closed"),
        ('1.5", code="200"} #', "a quotation mark that is never closed"),
        ('1.5"', "a quotation mark that is never closed"),
        ('1.5"[5m],a="', "more in it than label matchers"),
    ],
)
@pytest.mark.parametrize("around", ['version="{}"', '{{version="{}"}}', 'a="b",version="{}"'])
def test_a_tag_in_a_selector_cannot_end_it(tag, says, around):
    selector = around.format(tag)
    with pytest.raises(PolicyError, match=says):
        Policy(metrics=[metric(query=SELECTED)], prometheus={"baseline": 'version="1"', "canary": selector})
    with pytest.raises(PolicyError, match=says):
        Query(value=SELECTED, baseline=selector)


@pytest.mark.parametrize("selector", ["avg(a", "a)", "a) or (b", "avg(a]", "a #"])
def test_a_query_for_a_selector_is_whole(selector):
    with pytest.raises(PolicyError, match=r"brackets that do not belong together|a comment"):
        Query(value="${selector}", canary=selector)


@pytest.mark.parametrize(
    ("shared", "says"),
    [
        (SHARED | {"canary": 'version="1.4"'}, "both arms have the same selector"),
        (SHARED | {"step": "1h"}, "the step of 3600s is longer than the window of 1800s"),
        (SHARED | {"window": "10s"}, "the step of 15s is longer than the window of 10s"),
        (SHARED | {"step": "0.5ms"}, "a step of 0.0005s is not whole milliseconds"),
        (
            SHARED | {"window": "2d"},
            "a window of 172800s has 11,520 steps of 15s, and Prometheus answers 11,000",
        ),
        (SHARED | {"step": 15}, "duration without a unit"),
        (SHARED | {"baselin": "x"}, "Did you mean 'baseline'?"),
        (SHARED | {"baseline": 'version="${v}"'}, "unknown placeholder '${v}'"),
    ],
)
def test_mistakes_in_what_queries_have_in_common(shared, says):
    with pytest.raises(PolicyError) as raised:
        Policy(prometheus=shared, metrics=[metric()])
    assert says in str(raised.value)


def test_a_file_is_complained_about_where_the_query_stands():
    text = "prometheus: {step: 5s}\nmetrics:\n- name: a\n  direction: increase\n  query:\n    value: up{${selector}}\n    window: 1s\n"
    with pytest.raises(PolicyError, match=r"^p:7:13: metrics\[0\].query.window: the step of 5s is longer"):
        parse_policy(text, "p")


def test_eleven_thousand_steps_are_not_too_many():
    assert Policy(prometheus={"step": "1s", "window": "11000s"}, metrics=[metric(query=SELECTED)])
