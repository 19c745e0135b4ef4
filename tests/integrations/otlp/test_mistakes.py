"""What cannot be read of OpenTelemetry metrics is told in a sentence that names the place."""

import copy
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp_data import (
    document,
    explicit,
    exponential,
    gauge_of,
    histogram_of,
    nanos,
    numbers,
    point,
    resource,
    sum_of,
)

import canaryjudge as cj
from canaryjudge.errors import DataError

VERSION = "service.version"
PLACE = "resourceMetrics[0].scopeMetrics[0].metrics[0]"


def refused(given, metrics=None, arm=VERSION):
    with pytest.raises(DataError) as caught:
        cj.from_otlp(given, arm=arm, metrics=metrics)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return str(caught.value)


def of_sum(**change):
    points = numbers([1, 2])
    points[1] |= change
    return document(resource("1", {"m": sum_of(points)}))


def of_histogram(**change):
    points = [point(i, **explicit([1, 2, 0, 0, 0, 0])) for i in (0, 1)]
    points[1] |= change
    return document(resource("1", {"m": histogram_of(points, cumulative=False)}))


def of_exponential(**change):
    points = [point(i, **exponential(np.array([0.5, 2.0]), 2)) for i in (0, 1)]
    points[1] |= change
    return document(
        resource("1", {"m": histogram_of(points, cumulative=False, shape="exponentialHistogram")})
    )


def without(given, *path):
    """A document without a field, or with another value of it (the last of the path)."""
    given = copy.deepcopy(given)
    inner = given
    *steps, key, value = path
    for step in steps:
        inner = inner[step]
    inner[key] = value
    return given


METRIC = ("resourceMetrics", 0, "scopeMetrics", 0, "metrics", 0)

BAD = [
    (7, "7 (int) is no OTLP document"),
    ("", "the document is empty"),
    (b"\xff\xfe", "not UTF-8 text"),
    ("{", "line 1, column 2: this is not JSON"),
    ('{"resourceMetrics": []}\nx\n', "line 2, column 1: this is not JSON"),
    ('{"resourceMetrics": []}\n[]\n', "line 2: [] is no OTLP document"),
    ("7", "documents[0] is 7 where an object belongs"),
    ("[" * 100_000, "cannot be read"),
    ([document(), 7], "documents[1] is 7 where an object belongs"),
    ({"metrics": []}, "the document has no resourceMetrics, only ['metrics']"),
    ({"resourceMetrics": {}}, "resourceMetrics is {} where a list belongs"),
    ({"resourceMetrics": [3]}, "resourceMetrics[0] is 3 where an object belongs"),
    (without(of_sum(), "resourceMetrics", 0, "resource", 3), "resourceMetrics[0].resource is 3"),
    (without(of_sum(), "resourceMetrics", 0, "scopeMetrics", 3), "resourceMetrics[0].scopeMetrics is 3"),
    (without(of_sum(), *METRIC, "name", None), f"{PLACE} has the name None"),
    (without(of_sum(), *METRIC, "sum", [1]), f"{PLACE}.sum is [1] where an object belongs"),
    (without(of_sum(), *METRIC, "sum", "dataPoints", 1), f"{PLACE}.sum.dataPoints is 1 where a list belongs"),
    (
        without(of_sum(), *METRIC, "sum", "aggregationTemporality", 0),
        f"{PLACE}.sum: the aggregationTemporality is 0",
    ),
    (without(of_sum(), *METRIC, "sum", "aggregationTemporality", [2]), "the aggregationTemporality is [2]"),
    (without(of_sum(), *METRIC, "sum", "aggregationTemporality", None), "the aggregationTemporality is None"),
    (of_sum(asInt="many"), f"{PLACE}.sum.dataPoints[1].asInt is 'many' where a number belongs"),
    (of_sum(asInt=True), "asInt is True where a number belongs"),
    (of_sum(asInt=[1]), "asInt is [1] where a number belongs"),
    (of_sum(asInt=None), f"{PLACE}.sum.dataPoints[1] has neither asInt nor asDouble"),
    (of_sum(asInt=None, asDouble="NaN"), "asDouble is nan, which no sum can be"),
    (of_sum(asInt=None, asDouble="Infinity"), "asDouble is inf, which no sum can be"),
    (of_sum(timeUnixNano=None), f"{PLACE}.sum.dataPoints[1]: the timeUnixNano is None"),
    (of_sum(timeUnixNano="0"), "the timeUnixNano is '0'"),
    (of_sum(timeUnixNano="soon"), "timeUnixNano is 'soon' where a number belongs"),
    (of_sum(timeUnixNano=math.nan), "timeUnixNano is nan where a number belongs"),
    (of_sum(startTimeUnixNano={}), "startTimeUnixNano is {} where a number belongs"),
    (of_sum(flags="x"), "flags is 'x' where a number belongs"),
    (of_sum(attributes=3), "dataPoints[1].attributes is 3 where a list belongs"),
    (of_sum(attributes=[{"value": 1}]), "dataPoints[1].attributes[0] has the key None"),
    (of_sum(timeUnixNano=nanos(0)), "has several values at one time"),
    (
        document(resource("1", {"m": sum_of(numbers([1, 2], start=-1) + numbers([3], first=2, start=-2))})),
        "or starts that go back",
    ),
    (
        of_histogram(bucketCounts=["1", "2"]),
        f"{PLACE}.histogram.dataPoints[1]: there are 2 bucketCounts for 5 explicitBounds",
    ),
    (of_histogram(count="4"), "the count is 4, and the buckets hold 3"),
    (of_histogram(count="x"), "a count in count is 'x'"),
    (of_histogram(bucketCounts=["1", "x", 0, 0, 0, 0]), "a count in bucketCounts is 'x'"),
    (of_histogram(bucketCounts=[-1, 4, 0, 0, 0, 0]), "a count in bucketCounts is -1"),
    (of_histogram(bucketCounts=None), "dataPoints[1]: bucketCounts is None where a list of counts belongs"),
    (of_histogram(explicitBounds=[1, 1, 2, 3, 4]), "the explicitBounds are [1, 1, 2, 3, 4]"),
    (of_histogram(explicitBounds=[1, 2, 3, "Infinity", 5]), "of which number 4 is 'Infinity'"),
    (of_histogram(explicitBounds=[1, 2, 3, 4, None]), "of which number 5 is None"),
    (of_histogram(explicitBounds=[*range(10), "NaN", 11]), "of which number 11 is 'NaN'"),
    (
        of_histogram(explicitBounds=[1, 2, 3, 4, "Infinity"], bucketCounts=["1", "2"]),
        "there are 2 bucketCounts for 5 explicitBounds",
    ),
    (of_histogram(explicitBounds="1"), "the explicitBounds are '1'"),
    (
        of_histogram(explicitBounds=[], bucketCounts=[], count=3),
        "'m' has data points without buckets (explicitBounds is empty)",
    ),
    (
        of_histogram(explicitBounds=[0.033], bucketCounts=["1", "2"]),
        "all data points have only the edge inf in common",
    ),
    (of_exponential(scale=30), f"{PLACE}.exponentialHistogram.dataPoints[1]: the scale is 30"),
    (of_exponential(positive=3), "dataPoints[1]: positive is 3"),
    (of_exponential(count=9), "the count is 9, and the buckets hold 2"),
    (
        document(resource("1", {"m": gauge_of(numbers([1]))}), resource("1", {"m": sum_of(numbers([1]))})),
        f"'m' is a gauge ({PLACE}.gauge.dataPoints[0]) and a sum (",
    ),
    (
        document(
            resource("1", {"m": sum_of(numbers([1]))}),
            resource("1", {"m": histogram_of([point(0, **explicit([1, 0, 0, 0, 0, 0]))])}),
        ),
        "'m' is a sum (",
    ),
]


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_a_mistake_is_told_with_its_place(given, sentence):
    assert sentence in refused(given)


def test_nesting_without_end_is_told():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    attribute = {"key": "k", "value": {"arrayValue": deep}}
    assert "the value cannot be read" in refused(of_sum(attributes=[attribute]))


REQUESTS = document(
    resource("1", {"requests": sum_of(numbers([1, 2], of={"status": "200"})), "load": gauge_of(numbers([3]))})
)

CHOICES = [
    ({}, "from_otlp: metrics names no metric"),
    ({"x": 3}, "metric 'x' is given as 3"),
    ({"x": {"where": {}}}, "metric 'x' is given as {'where': {}}"),
    ({"x": {"name": "requests", "wher": {}}}, "metric 'x' is given as"),
    ({"x": {"name": "requests", "where": 3}}, "metric 'x' is given as"),
    ({"x": {"value": "requests", "totl": "requests"}}, "metric 'x' is given as"),
    ({"x": {"value": {"value": "requests"}}}, "metric 'x' is given as"),
    ({"x": {"name": "requests", "absent": 1}}, "absent is 1"),
    ({"x": {"name": "requests", "absent": False}}, "absent is False"),
    ({"x": {"name": "requests", "where": {"status": "5("}}}, "'5(' is no regular expression"),
    (
        {"x": {"name": "requests", "where": {"statos": "5.."}}},
        "has the attribute 'statos'. Did you mean 'status'?",
    ),
    ({"x": "request"}, "the document has no 'request'. Did you mean 'requests'?"),
    ({"x": {"value": "load", "total": "requests"}}, "'load' is a level"),
    ({"x": {"value": "load"}}, "'load' is a level"),
    (
        {"x": {"value": "failures", "total": "requests"}},
        "the document has no 'failures', and 'requests' is there",
    ),
]


@pytest.mark.parametrize(("metrics", "sentence"), CHOICES, ids=[sentence for _, sentence in CHOICES])
def test_a_mistake_in_what_is_wanted_is_told(metrics, sentence):
    assert sentence in refused(REQUESTS, metrics)


def test_an_arm_that_nothing_has_is_told():
    message = refused(REQUESTS, {"x": "requests"}, "service.versoin")
    assert "no data point has the attribute 'service.versoin'. Did you mean 'service.version'?" in message


def test_a_summary_is_refused_where_it_is_wanted():
    given = document(resource("1", {"m": {"summary": {"dataPoints": [{}]}}, "load": gauge_of(numbers([3]))}))
    assert f"{PLACE}: 'm' is a summary, whose quantiles cannot be added up" in refused(given, {"x": "m"})
    assert list(cj.from_otlp(given, arm=VERSION)) == ["load"]


def test_events_of_other_instances_than_the_total_are_refused():
    """Else they would be no errors at all."""
    parts = [
        resource("1", {"errors": sum_of(numbers([1, 4], start=-1), cumulative=False)}, instance="a"),
        resource("1", {"requests": sum_of(numbers([10, 20], start=-1), cumulative=False)}, instance="b"),
    ]
    wanted = {"x": {"value": "errors", "total": "requests"}}
    message = refused(document(*parts), wanted)
    assert "1 events were counted by 'a' up to 2023-11-14T22:13:20Z, and there is no total" in message


def test_several_processes_in_one_timeseries_are_told_apart_or_refused():
    """Without service.instance.id two processes look like one that restarts all the time."""
    first, second = numbers([100, 110], start=-9), numbers([5, 6], start=-2)
    for index, each in enumerate(second):
        each["timeUnixNano"] = str(int(nanos(index)) + 10**9)
    given = document(resource("1", {"m": sum_of(first)}), resource("1", {"m": sum_of(second)}))
    assert "service.instance.id" in refused(given)


rubbish = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 3),
        st.floats(),
        st.text(max_size=3),
        st.sampled_from([nanos(1), 10**400]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["key", "value", "offset", "name"]), inner, max_size=2),
    ),
    max_leaves=4,
)
PATHS = [
    path
    for given in (of_sum(), of_histogram(), of_exponential())
    for path in (
        [("resourceMetrics",)]
        + [METRIC[:depth] for depth in (2, 3, 4, 5, 6)]
        + [
            (*METRIC, shape, "dataPoints", 1, name)
            for shape in given["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]
            if shape != "name"
            for name in (
                "timeUnixNano",
                "attributes",
                "flags",
                "asInt",
                "count",
                "bucketCounts",
                "explicitBounds",
                "scale",
                "positive",
            )
        ]
    )
]
WHOLE = {"sum": of_sum(), "histogram": of_histogram(), "exponentialHistogram": of_exponential()}


@given(st.sampled_from(PATHS), rubbish)
def test_rubbish_anywhere_gives_a_sentence_or_data(path, value):
    shape = next((name for name in WHOLE if name in path), "sum")
    given = without(WHOLE[shape], *path, value)
    try:
        found = cj.from_otlp(given, arm=VERSION)
    except DataError as refusal:
        error = refusal
    else:
        for columns in found.get("m", {}).values():
            values = columns.get("value", columns.get("buckets"))
            assert len(values) == len(columns["time"])
            assert np.isfinite(values).all()
        return
    assert error.hint
    assert "\n" not in str(error)


@given(st.text(alphabet='{}[]",:0123456789resourceMetrics\n ', max_size=40))
def test_rubbish_text_gives_a_sentence_or_data(text):
    try:
        assert cj.from_otlp(text, arm=VERSION) == {}
    except DataError as refusal:
        error = refusal
    else:
        return
    assert error.hint
    json.dumps(str(error))


@pytest.mark.parametrize("shape", ["histogram", "exponentialHistogram"])
def test_histograms_without_observations_are_no_data(shape):
    fields = explicit([0], []) if shape == "histogram" else {"count": "0", "scale": 20, "zeroCount": "0"}
    points = [point(minute, **fields) for minute in range(3)]
    given = {"m": histogram_of(points, cumulative=False, shape=shape)}
    data = cj.from_otlp(document(resource("b", given), resource("c", given)), arm="service.version")
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="histogram", direction="increase")])
    found = cj.judge(data, policy, baseline="b", canary="c")
    assert (found.outcome, found.metrics["m"].reason) == ("marginal", "no_data")


def test_histograms_without_buckets_are_named_so():
    given = {"m": histogram_of([point(minute, **explicit([7], [])) for minute in range(3)], cumulative=False)}
    with pytest.raises(
        cj.DataError, match=r"without buckets \(explicitBounds is empty\).*Give its instrument bound"
    ):
        cj.from_otlp(document(resource("b", given)), arm="service.version")
    data = cj.from_otlp(document(resource("b", given)), arm="service.version", metrics={"n": {"value": "m"}})
    assert data["n"]["b"]["value"].tolist() == [7, 7, 7]
