"""The unit of data: converted to the policy's, refused where it measures something else, noted where that is not known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from otlp_data import document, exponential, gauge_of, histogram_of, numbers, point, resource, sum_of

import canaryjudge as cj
from canaryjudge.data import read_pairs
from canaryjudge.data.units import scaled_edges
from canaryjudge.quantities import factor

P95 = {"rule": "slo", "of": "p95", "op": "lte", "value": "200ms"}


def policy(kind="gauge", unit="ms", **more):
    return cj.Policy(metrics=[cj.Metric(name="m", kind=kind, unit=unit, direction="increase", **more)])


def arms(canary, baseline=None):
    return {"m": {"baseline": canary if baseline is None else baseline, "canary": canary}}


def note(pair):
    return {each.code: each.facts for each in pair.notes if each.arm == "canary"}.get("unknown_unit")


@pytest.mark.parametrize(
    ("unit", "own", "values"),
    [
        ("s", "ms", [250.0, 290.0]),
        ("ms", "ms", [0.25, 0.29]),
        ("", "ms", [0.25, 0.29]),
        ("s", "", [0.25, 0.29]),
        ("GiBy", "MiB", [256.0, 0.29 * 1024]),
        ("1", "%", [25.0, 29.0]),
        ("1", "jobs", [0.25, 0.29]),
        ("{job}", "job", [0.25, 0.29]),
        ("By/s", "B/min", [15.0, 17.4]),
    ],
)
def test_gauges_are_converted(unit, own, values):
    pair = read_pairs(arms({"value": [0.25, 0.29], "unit": unit}), policy(unit=own))["m"]
    assert pair.canary.value == pytest.approx(values, rel=1e-15)
    assert note(pair) is None


def test_a_unit_that_measures_something_else_is_refused_with_both_names():
    for kind, columns in (
        ("gauge", {"value": [1.0]}),
        ("samples", {"value": [1.0]}),
        ("count", {"value": [1], "time": [0]}),
        ("histogram", {"edges": [1.0, 2.0], "buckets": [[1, 2, 3]]}),
    ):
        with pytest.raises(cj.DataError, match="'By', which cannot be converted to the metric's unit 'ms'"):
            read_pairs(arms(columns | {"unit": "By"}), policy(kind))


def test_a_unit_that_is_not_known_beside_the_policys_is_noted():
    pair = read_pairs(arms({"value": [1.0, 2.0], "unit": "Cel"}), policy(unit="degrees"))["m"]
    assert (pair.canary.value.tolist(), note(pair)) == ([1, 2], {"unit": "Cel", "expected": "degrees"})
    values = {"value": np.arange(20.0), "unit": "{request}"}
    words = cj.judge(arms(values), policy()).explain()
    assert "the data are in {request}, which is taken to be the policy's unit ms" in words


def test_counts_are_not_multiplied():
    with pytest.raises(cj.DataError, match="'KiBy' and the metric's unit is 'MiB', and counts are judged as"):
        read_pairs(arms({"value": [3, 4], "unit": "KiBy"}), policy("count", "MiB"))
    pair = read_pairs(arms({"value": [3, 4], "unit": "{request}"}), policy("count", "requests"))["m"]
    assert pair.canary.value.tolist() == [3, 4]
    ratio = {"value": [3], "total": [40], "unit": "By"}
    assert read_pairs(arms(ratio), policy("ratio", ""))["m"].canary.value.tolist() == [3]


def test_arms_in_two_units_are_brought_to_the_metrics_or_refused():
    data = arms({"value": [100.0, 300.0], "unit": "ms"}, {"value": [0.1, 0.3], "unit": "s"})
    pair = read_pairs(data, policy(unit="us"))["m"]
    assert pair.baseline.value.tolist() == pair.canary.value.tolist() == [1e5, 3e5]
    with pytest.raises(cj.DataError, match="metric 'm': the data are in 'ms' and 's'"):
        read_pairs(data, policy(unit=""))


def test_updates_in_two_units_are_too():
    told = cj.Policy(metrics=[cj.Metric(name="m", kind="samples", direction="increase")], max_duration="1h")
    monitor = cj.Monitor(told)
    monitor.update({"m": {"baseline": {"value": [0.1], "time": [1.7e9], "unit": "s"}}})
    monitor = cj.Monitor.from_json(monitor.to_json(), told)
    with pytest.raises(cj.DataError, match="in 'ms' and 's'"):
        monitor.update({"m": {"canary": {"value": [100], "time": [1.7e9], "unit": "ms"}}})


@pytest.mark.parametrize("unit", [3, ["s", "ms"], {"s": 1}])
def test_a_unit_is_one_text(unit):
    with pytest.raises(cj.DataError, match="': the unit is "):
        read_pairs(arms({"value": [1.0, 2.0], "unit": unit}), policy())
    pair = read_pairs(arms({"value": [1.0, 2.0], "unit": ["s", None]}), policy())["m"]
    assert pair.canary.value.tolist() == [1000, 2000]


def test_edges_of_all_forms_are_converted():
    edges, counts = [0.005, 0.29, 1.1], [[5, 4, 3, 2]]
    ms = {"edges": [5, 290, 1100], "buckets": counts}
    rows = {"le": ["0.005", "0.29", "1.1", "+Inf"], "value": np.cumsum(counts).tolist()}
    ranges = {"buckets": [[[0.0, 0.005, 5], [0.005, 0.29, 4], [0.29, 1.1, 3], [1.1, np.inf, 2]]]}
    for canary in ({"edges": edges, "buckets": counts}, rows, ranges):
        pair = read_pairs(arms(canary | {"unit": "s"}, ms), policy("histogram"))["m"]
        assert pair.edges.tolist() == [5, 290, 1100, np.inf]
        assert pair.canary.buckets.tolist() == pair.baseline.buckets.tolist() == counts


@given(st.lists(st.decimals("0.001", "100", places=3), min_size=1, unique=True))
def test_edges_in_seconds_and_in_milliseconds_are_the_same(written):
    seconds = np.array(sorted(map(float, written)))
    whole = np.array(sorted(float(1000 * number) for number in written))

    assert scaled_edges(seconds, factor("s", "ms")).tolist() == whole.tolist()


# ---- OpenTelemetry


def metric(shape, unit):
    return {"m": {"unit": unit} | shape}


def otlp(canary, baseline=None):
    found = document(resource("b", canary if baseline is None else baseline), resource("c", canary))
    return cj.from_otlp(found, arm="service.version")


def latencies(unit, level=0.15, seed=1, size=20):
    rng = np.random.default_rng(seed)
    rows = [exponential(rng.lognormal(np.log(level), 0.5, 300), 5) for _ in range(size)]
    points = [point(minute, **row) for minute, row in enumerate(rows)]
    return metric(histogram_of(points, cumulative=False, shape="exponentialHistogram"), unit)


def test_a_histogram_in_seconds_is_held_against_an_objective_in_milliseconds():
    told = policy("histogram", rules=[P95, "mann_whitney"])
    data = otlp(latencies("s"), latencies("s", level=0.05, seed=2))
    verdict = cj.judge(data, told, baseline="b", canary="c")
    finding = verdict.metrics["m"].findings[0]
    assert (finding.outcome, 300 < finding.estimate < 400) == ("fail", True)
    assert verdict.metrics["m"].unit == "ms"
    same = cj.judge(data, policy("histogram", "s"), baseline="b", canary="c")
    shift = verdict.metrics["m"].findings[1]
    assert (shift.outcome, shift.estimate) == (
        same.outcome,
        pytest.approx(same.metrics["m"].findings[0].estimate),
    )


def test_gauges_and_sums_bring_their_units():
    data = otlp(metric(gauge_of(numbers([0.1, 0.2])), "s"))
    assert data["m"]["c"]["unit"] == "s"
    data = otlp(metric(sum_of(numbers([1, 2]), cumulative=False), "{request}"))
    assert data["m"]["c"]["unit"] == "{request}"
    two = document(
        resource("b", metric(gauge_of(numbers([0.1])), "s"), instance="x"),
        resource("b", metric(gauge_of(numbers([100])), "ms"), instance="y"),
    )
    with pytest.raises(cj.DataError, match=r"arm 'b': 'm' is in 's' \(resourceMetrics.*'ms' \(resourceM"):
        cj.from_otlp(two, arm="service.version")
    with pytest.raises(cj.DataError, match=r"metrics\[0\]: the unit is 5"):
        otlp(metric(gauge_of(numbers([1])), 5))


def test_numbers_of_observations_have_no_unit():
    found = document(*(resource(name, latencies("s")) for name in "bc"))
    data = cj.from_otlp(found, arm="service.version", metrics={"m": {"value": "m"}})
    assert "unit" not in data["m"]["c"]


def test_a_watch_keeps_the_lasting_edges_of_a_converted_layout():
    known = {}
    for unit in ("ms", "s"):
        monitor = cj.Monitor(policy("histogram", unit), baseline="b", canary="c")
        for look in range(4):
            # later values spread out, and their scale falls
            rng = np.random.default_rng(look)
            rows = [exponential(rng.lognormal(-2, 0.2 + look / 4, 300), 6 - look) for _ in range(5)]
            points = [point(5 * look + minute, **row) for minute, row in enumerate(rows)]
            shape = histogram_of(points, cumulative=False, shape="exponentialHistogram")
            monitor.update(otlp(metric(shape, "s")))
        verdict = monitor.verdict()
        assert verdict.metrics["m"].n_canary == 20
        known[unit] = verdict.metrics["m"].findings[0].estimate
    assert known["ms"] == pytest.approx(known["s"])
