"""Which OpenTelemetry metrics are taken, in which documents they come, and the verdicts that come of them."""

import json

import numpy as np
import pytest
from otlp_data import (
    T0,
    counted,
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


def read(given, metrics=None, **more):
    return cj.from_otlp(given, arm=VERSION, metrics=metrics, **more)


def rows(seed, size=4, each=60, level=0.12):
    rng = np.random.default_rng(seed)
    return [rng.lognormal(np.log(level), 0.5, each) for _ in range(size)]


def times(*minutes):
    return [float(T0 + 60 * minute) for minute in minutes]


def one(what, **more):
    """What becomes of a metric of one process."""
    return read(document(resource("1", {"m": what}, **more)))["m"]["1"]


def requests(version, good, bad, instance=None):
    points = numbers(good, of={"http__response__status_code": "200"})
    points += numbers(bad, of={"http__response__status_code": "503"})
    return resource(version, {"http.requests": sum_of(points)}, instance=instance)


RATIO = {
    "errors": {
        "value": {"name": "http.requests", "where": {"http.response.status_code": "5.."}},
        "total": "http.requests",
    }
}


def test_ratios_are_chosen_by_attributes():
    given = document(requests("1", [0, 98, 195], [0, 2, 5]), requests("2", [0, 10], [0, 0]))
    found = read(given, RATIO)["errors"]
    assert found["1"]["value"].tolist() == [2, 3]
    assert found["1"]["total"].tolist() == [100, 100]
    assert found["2"]["value"].tolist() == [0]
    assert found["2"]["total"].tolist() == [10]


def test_no_error_at_all_is_zero_errors():
    points = numbers([0, 98, 195], of={"http__response__status_code": "200"})
    given = document(resource("1", {"http.requests": sum_of(points)}))
    assert read(given, RATIO)["errors"]["1"]["value"].tolist() == [0, 0]


def test_a_histogram_counts_its_observations_in_a_ratio():
    name = "http.server.request.duration"
    points = [
        point(minute, of={"status": status}, **explicit([0, count, 0, 0, 0, 0]))
        for status, counts in (("200", [90, 80]), ("500", [1, 2]))
        for minute, count in enumerate(counts)
    ]
    wanted = {
        "errors": {"value": {"name": name, "where": {"status": "5.*"}}, "total": name},
        "requests": {"value": name},
    }
    found = read(document(resource("1", {name: histogram_of(points, cumulative=False)})), wanted)
    assert found["errors"]["1"]["value"].tolist() == [1, 2]
    assert found["errors"]["1"]["total"].tolist() == [91, 82]
    assert found["requests"]["1"]["value"].tolist() == [91, 82]
    shape = "exponentialHistogram"
    points = [point(minute, **exponential(each, 3)) for minute, each in enumerate(rows(1))]
    found = read(
        document(resource("1", {name: histogram_of(points, cumulative=False, shape=shape)})),
        {"n": {"value": name}},
    )
    assert found["n"]["1"]["value"].tolist() == [60] * 4


def test_a_counter_of_errors_that_no_error_has_made_yet():
    given = document(resource("1", {"requests": sum_of(numbers([0, 50, 90]))}))
    wanted = {"errors": {"value": {"name": "faults", "absent": 0}, "total": "requests"}}
    assert read(given, wanted)["errors"]["1"]["value"].tolist() == [0, 0]
    with pytest.raises(DataError, match="the document has no 'faults', and 'requests' is there") as caught:
        read(given, {"errors": {"value": "faults", "total": "requests"}})
    assert '"absent": 0' in caught.value.hint


def test_an_attribute_that_comes_with_the_first_error():
    points = numbers([98, 97], of={"status": "200"})
    given = document(resource("1", {"m": sum_of(points, cumulative=False)}))
    choice = {"name": "m", "where": {"error.type": ".+"}}
    with pytest.raises(DataError, match=r"no data point of 'm' has the attribute 'error\.type'") as caught:
        read(given, {"errors": {"value": choice, "total": "m"}})
    assert '"absent": 0' in caught.value.hint
    found = read(given, {"errors": {"value": choice | {"absent": 0}, "total": "m"}})["errors"]["1"]
    assert found["value"].tolist() == [0, 0]
    assert found["total"].tolist() == [98, 97]


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("/a", 1),
        ("/.", 7),
        ("/[ab]", 3),
        ("/a|/c", 5),
        ("/a.c", 8),
        (r"/a\.c", 8),
        ("nothing", 0),
        (".*", 31),
        ("/d(e)", 16),
    ],
)
def test_where_takes_equal_texts_and_full_expressions(pattern, taken):
    sizes = {"/a": 1, "/b": 2, "/c": 4, "/a.c": 8, "/d(e)": 16}
    points = [each for route, size in sizes.items() for each in numbers([size], of={"route": route})]
    given = document(resource("1", {"m": sum_of(points, cumulative=False)}))
    found = read(given, {"x": {"name": "m", "where": {"route": pattern}}})["x"]["1"]
    assert found["value"].tolist() == [taken]


def test_attributes_of_any_type_are_texts():
    values = [
        {"intValue": "503"},
        {"boolValue": True},
        {"doubleValue": 1.5},
        {"arrayValue": {"values": [{"intValue": 1}]}},
        {},
        None,
    ]
    points = [
        {"timeUnixNano": nanos(0), "asInt": 1 + index, "attributes": [{"key": "k", "value": value}]}
        for index, value in enumerate(values[:4])
    ]
    given = document(resource("1", {"m": sum_of(points, cumulative=False)}))
    for text, size in (("503", 1), (True, 2), ("true", 2), (1.5, 3), (503, 1)):
        found = read(given, {"x": {"name": "m", "where": {"k": text}}})["x"]["1"]
        assert found["value"].tolist() == [size]


def test_the_arm_may_be_an_attribute_of_data_points():
    points = numbers([3], of={"service__version": "9"}) + numbers([4])
    given = document(resource("1", {"m": sum_of(points, cumulative=False)}))
    found = read(given)["m"]
    assert {arm: columns["value"].tolist() for arm, columns in found.items()} == {"9": [3], "1": [4]}


def test_what_lacks_the_arm_is_left_out():
    bare = {"scopeMetrics": [{"metrics": [{"name": "m"} | sum_of(numbers([9]), cumulative=False)]}]}
    given = document(bare, resource("1", {"m": sum_of(numbers([3]), cumulative=False)}))
    assert list(read(given)["m"]) == ["1"]


def test_metrics_that_are_not_there_are_left_out():
    given = document(resource("1", {"m": gauge_of(numbers([1]))}))
    assert list(read(given, {"a": "m", "b": "entirely.different"})) == ["a"]
    assert read({}, {"a": "m"}) == read({"resourceMetrics": []}, {"a": "m"}) == {}
    assert read([]) == {}


# documents


def test_field_names_may_be_in_snake_case():
    def snake(item):
        if isinstance(item, list):
            return [snake(each) for each in item]
        if not isinstance(item, dict):
            return item
        names = ("".join("_" + c.lower() if c.isupper() else c for c in key) for key in item)
        return {name: snake(value) for name, value in zip(names, item.values(), strict=True)}

    values = rows(4)
    parts = {
        "sum": sum_of(numbers([1, 4, 9], start=-1)),
        "gauge": gauge_of([point(0, asDouble=0.5)]),
        "plain": histogram_of([point(i, **counted(each)) for i, each in enumerate(values)], cumulative=False),
        "exp": histogram_of(
            [point(i, **exponential(each, 3)) for i, each in enumerate(values)],
            cumulative=False,
            shape="exponentialHistogram",
        ),
    }
    given = document(resource("1", parts, instance="a"))
    first, second = read(given), read(snake(given))
    assert list(first) == list(second) == list(parts)
    for name in parts:
        for column, expected in first[name]["1"].items():
            assert np.asarray(second[name]["1"][column]).tolist() == np.asarray(expected).tolist()


def test_documents_come_as_text_lists_and_lines():
    parts = [document(resource("1", {"m": sum_of([each])})) for each in numbers([5, 7, 20])]
    expected = [2.0, 13.0]
    lines = "\n".join(map(json.dumps, parts)) + "\n\n"
    other = json.dumps({"resourceSpans": []}) + "\n"
    whole = {"resourceMetrics": [group for part in parts for group in part["resourceMetrics"]]}
    for given in (
        parts,
        tuple(parts),
        json.dumps(parts),
        lines,
        other + lines,
        lines.encode(),
        whole,
        json.dumps(whole, indent=2),
    ):
        assert read(given)["m"]["1"]["value"].tolist() == expected
    assert read(b"\xef\xbb\xbf" + lines.encode())["m"]["1"]["value"].tolist() == expected


def test_points_may_come_in_any_order_and_twice():
    points = numbers([5, 7, 20])
    assert one(sum_of([points[2], points[0], points[1], points[0]]))["value"].tolist() == [2, 13]
    deltas = [point(i, **explicit([1, 2, 0, 0, 0, i])) for i in (1, 0, 1)]
    assert one(histogram_of(deltas, cumulative=False))["buckets"].sum(axis=1).tolist() == [3, 4]


def test_the_same_metric_of_two_scopes_is_two_timeseries():
    group = resource("1", {"m": sum_of(numbers([5, 7]))})
    group["scopeMetrics"].append(
        {"scope": {"name": "b"}, "metrics": [{"name": "m"} | sum_of(numbers([50, 80]))]}
    )
    assert read(document(group))["m"]["1"]["value"].tolist() == [32]


# from the documents to a verdict


def released(version, level, rate, seed, *, minutes=30):
    rng = np.random.default_rng(seed)
    metrics, seen, errors = {}, [], np.zeros(2, dtype=int)
    latency, codes = [], []
    for minute in range(minutes):
        seen.append(rng.lognormal(np.log(level), 0.5, 200))
        latency.append(point(minute, start=-60, **exponential(np.concatenate(seen), 4)))
        bad = rng.binomial(200, rate)
        errors += [200 - bad, bad]
        for status, count in zip(("200", "500"), errors, strict=True):
            if count:
                codes += numbers([count], first=minute, start=-60, of={"http__response__status_code": status})
    metrics["latency"] = histogram_of(latency, shape="exponentialHistogram")
    metrics["http.requests"] = sum_of(codes)
    return resource(version, metrics, instance=f"{version}-0")


POLICY = cj.Policy(
    metrics=[
        cj.Metric(name="latency", kind="histogram", unit="s", direction="increase", tolerance="10%"),
        cj.Metric(name="errors", kind="ratio", direction="increase", tolerance="50%"),
    ]
)


@pytest.mark.parametrize(
    ("level", "rate", "outcome"), [(0.1, 0.02, "marginal"), (0.15, 0.02, "fail"), (0.1, 0.1, "fail")]
)
def test_a_release_is_judged_from_what_its_processes_export(level, rate, outcome):
    given = document(released("1.4", 0.1, 0.02, 1), released("1.5", level, rate, 2))
    data = read(json.dumps(given), RATIO | {"latency": "latency"})
    verdict = cj.judge(data, POLICY, baseline="1.4", canary="1.5")
    assert verdict.outcome in (outcome, "pass" if outcome == "marginal" else outcome)
    assert verdict.metrics["latency"].findings[0].n_canary == 29
    assert verdict.metrics["errors"].findings[0].total_canary == 29 * 200
    assert "exponential" not in verdict.explain()


def test_a_watch_takes_one_export_after_the_other():
    """Deltas: each export is an update of its own."""
    monitor = cj.Monitor(POLICY, baseline="1.4", canary="1.5")
    rng = np.random.default_rng(5)
    for minute in range(20):
        parts = []
        for version, level in (("1.4", 0.1), ("1.5", 0.2)):
            values = rng.lognormal(np.log(level), 0.5, 200)
            what = histogram_of(
                [point(minute, **exponential(values, 5))], cumulative=False, shape="exponentialHistogram"
            )
            parts.append(resource(version, {"latency": what}))
        monitor.update(read(document(*parts), {"latency": "latency"}))
        monitor.update(read(document(*parts), {"latency": "latency"}))
        if monitor.verdict().outcome == "fail":
            break
    assert monitor.verdict().outcome == "fail"
    assert monitor.verdict().metrics["latency"].findings[0].n_canary == minute + 1 < 20
