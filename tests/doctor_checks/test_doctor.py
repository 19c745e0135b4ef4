"""What keeps metrics from being judged well is found, with what to do; healthy data are left in peace."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.doctor_checks import Readiness, doctor

N = 60
TIME = 1_760_000_000 + 60.0 * np.arange(N)
RNG = np.random.default_rng(1)


def series(level=100.0, spread=4.0, time=TIME, **columns):
    return {"value": RNG.normal(level, spread, len(time)), "time": time, **columns}


def found(data, *, settings=None, **policy):
    metric = cj.Metric(**({"name": "latency", "unit": "ms", "direction": "increase"} | (settings or {})))
    return doctor(cj.Policy(metrics=[metric], **policy), None if data is None else {metric.name: data})


def codes(data, **settings):
    return [(symptom.severity, symptom.code) for symptom in found(data, **settings).symptoms]


def arms(baseline=None, canary=None):
    return {
        "baseline": series() if baseline is None else baseline,
        "canary": series() if canary is None else canary,
    }


def counted(rate, total=1000.0, points=N):
    return {
        "value": RNG.binomial(int(total), rate, points),
        "total": np.full(points, total),
        "time": TIME[:points],
    }


def test_healthy_data_of_every_kind_are_left_in_peace():
    assert codes(arms(), max_duration="1h") == []
    assert (
        codes({"baseline": counted(0.05), "canary": counted(0.05)}, settings={"kind": "ratio", "unit": ""})
        == []
    )
    edges = np.append(np.linspace(50, 150, 100), np.inf)
    rows = [
        np.bincount(np.searchsorted(edges, RNG.normal(100, 10, 500)), minlength=101) for _ in range(2 * N)
    ]
    histogram = {
        arm: {"edges": edges, "buckets": rows[i::2], "time": TIME}
        for i, arm in enumerate(("baseline", "canary"))
    }
    assert codes(histogram, settings={"kind": "histogram"}) == []
    samples = arms(
        *({"value": RNG.normal(100, 9, 3000), "time": np.sort(RNG.uniform(0, 3600, 3000))} for _ in range(2))
    )
    assert codes(samples, settings={"kind": "samples"}) == []


SHIFTED = {"value": RNG.normal(100, 4, N), "time": TIME + 600}
CASES = {
    "no data in an arm": (arms(canary={"value": [], "time": []}), {}, ("error", "no_arm_data")),
    "too few": (arms(canary=series(time=TIME[:6])), {}, ("error", "too_few_points")),
    "few": (arms(*(series(time=TIME[:12]) for _ in range(2))), {}, ("warning", "few_points")),
    "coarse": (
        arms(*(series(time=TIME[0] + 300 * np.arange(N)) for _ in range(2))),
        {"max_duration": "1h"},
        ("warning", "coarse_resolution"),
    ),
    "gaps": (arms(canary=series(time=np.delete(TIME, np.arange(5, 50, 8)))), {}, ("warning", "gaps")),
    "NaN": (
        arms(canary={"value": np.where(np.arange(N) % 4, 100.0 + RNG.normal(size=N), np.nan), "time": TIME}),
        {},
        ("error", "bad_values"),
    ),
    "twice": (arms(canary=series(time=np.repeat(TIME[::2], 2))), {}, ("error", "duplicate_times")),
    "clocks": (arms(canary=SHIFTED), {}, ("warning", "clocks_apart")),
    "zone": (
        arms(*(series(time=TIME[0] + 300 * np.arange(N) + shift) for shift in (0, 3600))),
        {},
        ("warning", "time_zone"),
    ),
    "apart": (arms(canary=series(time=TIME + 86400)), {}, ("warning", "no_overlap")),
    "same": (arms(canary=(same := series()), baseline=same), {}, ("error", "same_data")),
    "constant": (arms(canary={"value": np.full(N, 100.0), "time": TIME}), {}, ("warning", "constant")),
    "units": (arms(canary=series(0.1, 0.004)), {}, ("error", "arms_in_other_units")),
    "seconds": (arms(*(series(0.02, 0.001) for _ in range(2))), {}, ("warning", "unit_and_level")),
}


@pytest.mark.parametrize("name", CASES)
def test_each_trouble_is_found(name):
    data, policy, symptom = CASES[name]
    assert symptom in codes(data, **policy)


def test_an_undeclared_counter_and_a_restart_are_found():
    grown = {"value": np.cumsum(RNG.poisson(30, N)), "time": TIME}
    settings = {"kind": "count", "unit": "", "name": "requests_total"}
    assert ("error", "undeclared_counter") in codes(arms(grown, grown), settings=settings)
    value = np.cumsum(RNG.poisson(30, N)).astype(float)
    value[30:] -= value[30]
    value[45:] -= value[45]
    data = arms({"value": np.cumsum(RNG.poisson(30, N)), "time": TIME}, {"value": value, "time": TIME})
    assert ("warning", "counter_resets") in codes(data, settings=settings | {"counter": True})


def test_a_metric_that_the_data_do_not_have_is_found_with_its_nearest_name():
    policy = cj.Policy(metrics=[cj.Metric(name="latency_p99", direction="increase")])
    readiness = doctor(policy, {"latency_p95": arms()})
    assert [(symptom.code, symptom.numbers) for symptom in readiness.symptoms] == [
        ("no_metric", {"near": "latency_p95"})
    ]
    assert "is it 'latency_p95'?" in readiness.explain()
    assert not readiness.ready


def test_what_judge_would_refuse_is_a_finding():
    readiness = found(arms(canary={"value": ["fast"] * N, "time": TIME}))
    assert readiness.symptoms[0].code == "unreadable"
    assert "'fast'" in readiness.explain()


def test_percentiles_of_several_replicas_are_found():
    rows = {"value": RNG.normal(100, 4, 2 * N), "time": np.tile(TIME, 2), "replica": np.repeat(["a", "b"], N)}
    settings = {"name": "latency_p99"}
    assert ("warning", "pooled_percentiles") in codes(arms(canary=rows), settings=settings)
    assert ("warning", "pooled_percentiles") not in codes(arms(canary=rows), settings={"name": "cpu"})


@pytest.mark.parametrize(
    ("query", "hurts"),
    [
        ("avg(histogram_quantile(0.99, rate(x_bucket{${selector}}[1m])))", True),
        ('avg by (version) (rpc_latency{quantile="0.99", ${selector}})', True),
        ("sum(latency_p95{${selector}})", True),
        ("histogram_quantile(0.99, sum by (le) (rate(x_bucket{${selector}}[1m])))", False),
        ("avg(rate(process_cpu_seconds_total{${selector}}[1m]))", False),
        ("max(latency_p95{${selector}})", False),
    ],
)
def test_queries_that_average_percentiles_are_found_without_data(query, hurts):
    seen = [code for _, code in codes(None, settings={"query": query, "unit": ""})]
    assert ("averaged_percentile" in seen) == hurts


def test_rates_over_less_than_a_step_and_units_in_names_are_found():
    query = "avg(rate(cpu_seconds_total{${selector}}[30s]))"
    assert ("warning", "short_rate_window") in codes(None, settings={"query": query, "unit": ""})
    assert ("warning", "unit_and_name") in codes(None, settings={"name": "request_duration_seconds"})
    assert codes(None, settings={"name": "request_duration_seconds", "unit": "s"}) == []
    converted = "1000 * max(request_duration_seconds{${selector}}) * 1000"
    assert codes(None, settings={"query": converted}) == []
    cores = "rate(process_cpu_seconds_total{${selector}}[1m])"
    assert codes(None, settings={"query": cores, "name": "cpu", "unit": "cores"}) == []


def test_buckets_wider_than_the_tolerance_are_found():
    edges = [0.1, 0.25, 0.5, 1.0, np.inf]
    arm = {"edges": edges, "buckets": [[50, 700, 200, 40, 10]] * N, "time": TIME}
    readiness = found(
        arms(arm, arm | {"buckets": [[51, 699, 200, 40, 10]] * N}),
        settings={"kind": "histogram", "unit": "s"},
    )
    assert [symptom.code for symptom in readiness.symptoms] == ["coarse_buckets"]
    assert "the median lies in a bucket from 0.1 to 0.25" in " ".join(readiness.explain().split())


def test_too_little_traffic_for_the_tolerance_is_found():
    readiness = found(
        {"baseline": counted(0.002, 50), "canary": counted(0.002, 50)}, settings={"kind": "ratio", "unit": ""}
    )
    (symptom,) = readiness.symptoms
    assert symptom.code == "little_traffic"
    assert symptom.numbers["needed"] > N
    assert "intervals would tell a doubling" in readiness.explain()


def test_a_load_that_both_arms_feel_hides_nothing():
    rng = np.random.default_rng(3)
    load = 100 * np.exp(np.cumsum(rng.normal(0, 0.15, N)))
    values = {arm: load * np.exp(rng.normal(0, 0.02, N)) for arm in ("baseline", "canary")}
    data = {arm: {"time": TIME, "value": value} for arm, value in values.items()}
    assert ("warning", "little_traffic") not in codes(data)
    assert ("warning", "little_traffic") in codes(data, settings={"pairing": "windows"})


def test_traffic_that_is_not_split_as_planned_is_found():
    data = {"baseline": counted(0.05, 1000), "canary": counted(0.05, 800)}
    policy = {"split": {"baseline": "50%", "canary": "50%"}}
    assert ("error", "split_mismatch") in codes(data, settings={"kind": "ratio", "unit": ""}, **policy)


def test_errors_come_first_and_it_reads_back_and_shows_itself():
    readiness = found(arms(canary=series(0.1, 0.004, time=np.delete(TIME, np.arange(5, 50, 8)))))
    assert [symptom.severity for symptom in readiness.symptoms] == ["error", "warning"]
    assert Readiness.from_json(readiness.to_json()) == readiness
    assert list(readiness.to_frame()["code"]) == ["arms_in_other_units", "gaps"]
    assert readiness.to_markdown().count("\n| ") == 3
    assert "ERROR latency, baseline" in readiness.explain()
    assert found(arms()).ready
    assert "nothing to complain of" in found(arms()).explain()


def test_every_word_is_there_for_every_code():
    from typing import get_args

    from canaryjudge.explain.readiness import _WORDS
    from canaryjudge.reports import SymptomCode

    assert set(_WORDS) == set(get_args(SymptomCode))


def test_data_of_no_shape_are_refused():
    with pytest.raises(cj.DataError, match="the data are"):
        doctor(cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]), 7)
