"""OpenTelemetry metrics become data that can be judged: what was counted in each interval, by arm and instance."""

import numpy as np
import pytest
from otlp_data import (
    BOUNDS,
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
from canaryjudge.data import read_pairs

VERSION = "service.version"


def read(given, metrics=None, **more):
    return cj.from_otlp(given, arm=VERSION, metrics=metrics, **more)


def times(*minutes):
    return [float(T0 + 60 * minute) for minute in minutes]


def one(what, **more):
    """What becomes of a metric of one process."""
    return read(document(resource("1", {"m": what}, **more)))["m"]["1"]


# sums


def test_cumulative_sums_become_what_they_grew_by():
    found = one(sum_of(numbers([100, 130, 130, 175])))
    assert found["value"].tolist() == [30, 0, 45]
    assert found["time"].tolist() == times(1, 2, 3)
    assert "replica" not in found


def test_delta_sums_stay_as_they_are():
    found = one(sum_of(numbers([100, 30, 45]), cumulative=False))
    assert found["value"].tolist() == [100, 30, 45]
    assert found["time"].tolist() == times(0, 1, 2)


def test_deltas_that_begin_within_the_document_are_what_they_are():
    points = numbers([100, 30], of={"k": "a"}, start=-1)
    later = numbers([7], first=1, of={"k": "b"}, start=0)
    found = one(sum_of(points + later, cumulative=False))
    assert found["value"].tolist() == [100, 37]
    assert found["time"].tolist() == times(0, 1)


@pytest.mark.parametrize("temporality", [1, "1", "AGGREGATION_TEMPORALITY_DELTA"])
def test_temporality_is_a_number_or_a_name(temporality):
    what = sum_of(numbers([100, 30]))
    what["sum"]["aggregationTemporality"] = temporality
    assert one(what)["value"].tolist() == [100, 30]


def test_a_fall_is_a_restart():
    assert one(sum_of(numbers([100, 130, 7, 12])))["value"].tolist() == [30, 7, 5]


def test_a_start_that_moves_is_a_restart_even_without_a_fall():
    points = numbers([100, 130], start=-9) + numbers([150, 160], first=2, start=1)
    assert one(sum_of(points))["value"].tolist() == [30, 150, 10]


def test_a_timeseries_that_began_within_the_document_counts_from_its_start():
    old = numbers([100, 110, 120, 130], start=-50)
    new = numbers([7, 9], first=2, start=1)
    parts = [resource("1", {"m": sum_of(part)}, instance=name) for name, part in (("a", old), ("b", new))]
    found = read(document(*parts))["m"]["1"]
    assert found["value"].tolist() == [10, 10, 7, 10, 2]
    assert found["replica"].tolist() == ["a", "a", "b", "a", "b"]
    unknown = numbers([7, 9], first=2)
    parts[1] = resource("1", {"m": sum_of(unknown)}, instance="b")
    assert read(document(*parts))["m"]["1"]["value"].tolist() == [10, 10, 10, 2]


def test_attributes_that_appear_later_had_counted_nothing_before():
    """The first error of a process is counted: its process had exported before without it."""
    good = numbers([100, 200, 300, 400], start=-50, of={"status": "200"})
    bad = numbers([3, 4], first=2, start=-50, of={"status": "500"})
    found = one(sum_of(good + bad))
    assert found["value"].tolist() == [100, 103, 101]
    errors = {"name": "m", "where": {"status": "500"}}
    only = read(document(resource("1", {"m": sum_of(good + bad)})), {"errors": errors})["errors"]["1"]
    assert only["value"].tolist() == [0, 3, 1]
    assert only["time"].tolist() == times(1, 2, 3)


def test_timeseries_of_one_instance_are_added_up():
    points = numbers([1, 3, 6], of={"route": "/a"}) + numbers([10, 30, 60], of={"route": "/b"})
    assert one(sum_of(points))["value"].tolist() == [22, 33]


def test_instances_are_replicas():
    parts = [
        resource("1", {"m": sum_of(numbers(values))}, instance=name)
        for name, values in (("b", [0, 5, 10]), ("a", [0, 1, 2]))
    ]
    found = read(document(*parts))["m"]["1"]
    assert found["value"].tolist() == [1, 5, 1, 5]
    assert found["replica"].tolist() == ["a", "b", "a", "b"]
    assert "replica" not in read(document(*parts), replica=None)["m"]["1"]
    assert read(document(*parts), replica=None)["m"]["1"]["value"].tolist() == [6, 6]
    pods = [resource("1", {"m": sum_of(numbers([0, 5]))}, k8s__pod__name="x")]
    assert read(document(*pods), replica="k8s.pod.name")["m"]["1"]["replica"].tolist() == ["x"]


def test_sums_that_may_fall_are_levels():
    found = one(sum_of(numbers([4, 2, 7]), monotonic=False))
    assert found["value"].tolist() == [4, 2, 7]
    found = one(sum_of(numbers([4, -2, 7]), monotonic=False, cumulative=False))
    assert found["value"].tolist() == [4, -2, 7]


# gauges


def test_gauges_stay_and_several_of_an_instance_are_further_replicas():
    points = [
        point(minute, asDouble=value, of={"cpu": cpu})
        for cpu, values in (("0", [0.5, "NaN", 0.75]), ("1", [0.25, 0.5, "0.5"]))
        for minute, value in enumerate(values)
    ]
    found = one(gauge_of(points), instance="a")
    assert found["value"].tolist() == pytest.approx([0.5, 0.25, float("nan"), 0.5, 0.75, 0.5], nan_ok=True)
    assert found["replica"].tolist() == ["a/0", "a/1"] * 3
    single = one(gauge_of(points[:3]), instance="a")
    assert single["replica"].tolist() == ["a", "a", "a"]
    assert "replica" not in one(gauge_of(points[:3]))


def test_points_without_a_value_are_left_out():
    points = numbers([4, 2, 7])
    points[1] = {"timeUnixNano": nanos(1), "flags": 1}
    assert one(gauge_of(points))["value"].tolist() == [4, 7]
    points[1]["flags"] = "1"
    assert one(sum_of(points))["value"].tolist() == [3]


# histograms


def rows(seed, size=4, each=60, level=0.12):
    rng = np.random.default_rng(seed)
    return [rng.lognormal(np.log(level), 0.5, each) for _ in range(size)]


def test_histograms_of_either_temporality_count_the_same():
    values = rows(1)
    deltas = [point(i, **counted(each)) for i, each in enumerate(values)]
    grown = [point(i, **counted(np.concatenate(values[: i + 1]))) for i in range(len(values))]
    first = one(histogram_of(deltas, cumulative=False))
    second = one(histogram_of(grown))
    expected = [[int(count) for count in counted(each)["bucketCounts"]] for each in values]
    assert first["edges"].tolist() == second["edges"].tolist() == [*BOUNDS, np.inf]
    assert first["buckets"].tolist() == expected
    assert second["buckets"].tolist() == expected[1:]
    assert second["time"].tolist() == times(1, 2, 3)


def test_exponential_histograms_of_either_temporality_count_the_same():
    values = rows(2)
    # a cumulative one's scale falls as its values spread out
    deltas = [point(i, **exponential(each, 6 - i)) for i, each in enumerate(values)]
    grown = [point(i, **exponential(np.concatenate(values[: i + 1]), 6 - i)) for i in range(len(values))]
    shape = "exponentialHistogram"
    for found, expected in (
        (one(histogram_of(deltas, cumulative=False, shape=shape)), values),
        (one(histogram_of(grown, shape=shape)), values[1:]),
    ):
        assert len(found["edges"]) > 20
        for row, each in zip(found["buckets"], expected, strict=True):
            assert row.cumsum().tolist() == [(each <= edge).sum() for edge in found["edges"]]


def test_histograms_of_several_layouts_and_kinds_are_added_up():
    values = rows(3, size=2)
    parts = [
        resource("1", {"m": histogram_of([point(0, **counted(values[0]))], cumulative=False)}, instance="a"),
        resource(
            "1",
            {"m": histogram_of([point(0, **counted(values[1], [0.1, 0.25, 2.0]))], cumulative=False)},
            instance="b",
        ),
    ]
    found = read(document(*parts), replica=None)["m"]["1"]
    both = np.concatenate(values)
    assert {0.1, 0.25} <= set(found["edges"])
    assert found["buckets"].cumsum(axis=1).tolist() == [[(both <= edge).sum() for edge in found["edges"]]]
    parts[1] = resource(
        "1",
        {
            "m": histogram_of(
                [point(0, **exponential(values[1], 3))], cumulative=False, shape="exponentialHistogram"
            )
        },
        instance="b",
    )
    found = read(document(*parts), replica=None)["m"]["1"]
    assert {0.25, 0.5, 1.0} <= set(found["edges"])
    assert found["buckets"].cumsum(axis=1).tolist() == [[(both <= edge).sum() for edge in found["edges"]]]


def test_equal_histograms_of_several_attributes_are_no_repeats():
    points = [point(0, of={"route": route}, **explicit([1, 2, 3, 0, 0, 0])) for route in ("/a", "/b")]
    found = one(histogram_of(points, cumulative=False))
    assert found["buckets"].tolist() == [[2, 4, 6, 0, 0, 0]]


def test_the_default_bounds_of_opentelemetry_begin_at_zero_and_are_sizes():
    bounds = [0, 5, 10, 25, 50]
    arms = [
        resource(
            name, {"m": histogram_of([point(0, **explicit([0, 3, 4, 2, 1, 0], bounds))], cumulative=False)}
        )
        for name in "ab"
    ]
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="histogram", unit="ms", direction="increase")])
    pair = read_pairs(read(document(*arms)), policy, baseline="a", canary="b")["m"]
    assert pair.edges.tolist() == [5, 10, 25, 50, np.inf]
    assert pair.canary.buckets.tolist() == [[3, 4, 2, 1, 0]]
    assert not pair.notes


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("cumulative", [False, True])
def test_a_policy_that_says_counter_is_fulfilled_by_the_document(cumulative, told):
    rng = np.random.default_rng(6)
    values = rng.poisson(50, 30)
    points = numbers((values.cumsum() if cumulative else values).tolist())
    found = cj.from_otlp(
        document(*(resource(name, {"m": sum_of(points, cumulative=cumulative)}) for name in ("b", "c"))),
        arm="service.version",
    )
    policy = cj.Policy(metrics=[cj.Metric(name="m", kind="count", direction="increase", counter=told)])
    verdict = cj.judge(found, policy, baseline="b", canary="c")
    size = 29 if cumulative else 30
    assert verdict.metrics["m"].n_canary == size
    assert not {note.code for note in verdict.metrics["m"].warnings} & {
        "counter_resets",
        "looks_like_counter",
    }
    monitor = cj.Monitor(policy, baseline="b", canary="c")
    monitor.update(found)
    assert cj.Monitor.from_json(monitor.to_json(), policy).verdict() == monitor.verdict()


@pytest.mark.parametrize("written", ["Infinity", "+Inf", "inf", float("inf")])
@pytest.mark.parametrize("cumulative", [False, True])
def test_an_infinite_bound_that_is_written_out_is_the_end_of_the_last_bucket(written, cumulative):
    plain = [point(minute, **explicit([3, 2, 0, 1, 0, minute + 1])) for minute in range(4)]
    bounds = [*BOUNDS, written]
    without_overflow = [each | {"explicitBounds": bounds} for each in plain]
    with_overflow = [each | {"bucketCounts": [*each["bucketCounts"], "0"]} for each in without_overflow]
    from_below = [
        each
        | {
            "explicitBounds": ["-Infinity", *bounds],
            "bucketCounts": ["0", *each["bucketCounts"]],
        }
        for each in with_overflow
    ]
    wanted = one(histogram_of(plain, cumulative=cumulative))
    for points in (without_overflow, with_overflow, from_below):
        found = one(histogram_of(points, cumulative=cumulative))
        assert np.array_equal(found["edges"], wanted["edges"])
        assert np.array_equal(found["buckets"], wanted["buckets"])
