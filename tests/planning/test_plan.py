"""Plans agree with simulation by the real judge, and say in words what to change."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.judging import Case, judge_cases
from canaryjudge.planning import Plan, Simulation, plan
from canaryjudge.planning.power import PowerDesign, needed_points, visible_size
from canaryjudge.simulate.assumptions import Assumed
from canaryjudge.simulate.synthetic import synthetic

SIZE = 0.25
CASES = {
    "gauge": ({"kind": "gauge"}, {"spread": "8%", "autocorrelation": 0.3}, 0.5, 30),
    "gauge, dependent": ({"kind": "gauge"}, {"spread": "8%", "autocorrelation": 0.5}, 0.5, 60),
    "gauge of requests": ({"kind": "gauge"}, {"spread": "3%", "per_request": True}, 0.1, 24),
    "gauge that may fall": ({"kind": "gauge", "direction": "decrease"}, {"spread": "10%"}, 0.5, 40),
    "gauge, either": ({"kind": "gauge", "direction": "either"}, {"spread": "10%"}, 0.5, 30),
    "gauge, floor": (
        {"noise_floor": {"between_replicas": "4%", "replicas": 40}},
        {"spread": "5%"},
        0.5,
        60,
    ),
    "ratio": ({"kind": "ratio"}, {"level": "1%", "traffic": 2000}, 0.5, 20),
    "ratio, few events": ({"kind": "ratio"}, {"level": "0.5%", "traffic": 300}, 0.3, 40),
    "ratio, bursts": ({"kind": "ratio"}, {"level": "2%", "traffic": 3000, "dispersion": 3}, 0.5, 60),
    "ratio, absolute": ({"kind": "ratio"}, {"level": "0.05%", "traffic": 40_000}, 0.5, 60),
    "count": ({"kind": "count"}, {"level": 60}, 0.25, 60),
    "samples": ({"kind": "samples"}, {"spread": "60%", "traffic": 60, "between_intervals": "3%"}, 0.5, 30),
    "histogram": (
        {"kind": "histogram"},
        {"spread": "60%", "traffic": 200, "between_intervals": "4%"},
        0.5,
        12,
    ),
}
CORE = {"ratio": "proportion", "count": "rate"}


@pytest.mark.parametrize("runs", [60, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_closed_forms_agree_with_the_real_judge(name, runs):
    """Within the Monte-Carlo error of so many releases, and a tenth for what closed forms leave out: that spreads and dependence are estimated."""
    settings, fields, share, points = CASES[name]
    kind = settings.get("kind", "gauge")
    metric = cj.Metric(
        **({"name": "m", "direction": "increase", "rules": [CORE.get(kind, "mann_whitney")]} | settings)
    )
    assumed, policy, alpha = (
        Assumed(**fields),
        cj.Policy(metrics=[cj.Metric(name="m", direction="increase")]),
        0.01,
    )
    change = -SIZE / (1 + SIZE) if metric.direction == "decrease" else SIZE
    expected = PowerDesign(metric, assumed, share, alpha, policy.beta).expected(points, SIZE)
    rates = []
    for by, outcome in ((change, "fail"), (0.0, "pass")):
        made = [
            synthetic(
                metric,
                assumed,
                points,
                share,
                by,
                np.random.default_rng([run, 1]),
                per_request=bool(assumed.per_request),
            )
            for run in range(runs)
        ]
        found = judge_cases([Case(pair, metric, alpha) for pair in made], policy)
        rates.append(sum(result.outcome == outcome for result in found) / runs)
    error = 3 * 0.5 / runs**0.5
    assert abs(rates[0] - expected.power) < 0.1 + error / 2
    assert abs(rates[1] - expected.passes) < 0.1 + error / 2


def design(share=0.1, **assumed):
    metric = cj.Metric(name="latency_p99", direction="increase")
    return PowerDesign(metric, Assumed(**({"spread": "4%"} | assumed)), share, 0.01, 0.05)


def test_the_points_that_are_needed_are_the_fewest():
    asked = design(autocorrelation=0.3)
    needed = needed_points(asked, SIZE, 0.8)
    assert asked.expected(needed, SIZE).power >= 0.8
    assert asked.expected(int(0.9 * needed), SIZE).power < 0.8
    assert needed_points(asked, 0.05, 0.8) is None  # within the tolerance, nothing is ever found


def test_the_visible_size_is_the_smallest():
    asked = design()
    size = visible_size(asked, 60, 0.8)
    assert asked.expected(60, size).power >= 0.8
    assert asked.expected(60, 0.97 * size).power < 0.8
    assert visible_size(asked, 3, 0.8) is None


def test_more_traffic_sees_more_and_a_share_that_does_not_matter_does_not():
    shares = [visible_size(design(share), 60, 0.8) for share in (0.01, 0.05, 0.5)]
    assert shares == sorted(shares, reverse=True)
    cpu = [visible_size(design(share, per_request=False), 60, 0.8) for share in (0.01, 0.5)]
    assert cpu[0] == pytest.approx(cpu[1])


POLICY = cj.Policy(
    max_duration="1h",
    metrics=[
        cj.Metric(name="latency_p99", unit="ms", direction="increase"),
        cj.Metric(name="errors", kind="ratio", direction="increase", role="guard"),
    ],
)
ASSUME = {"latency_p99": {"spread": "4%"}, "errors": {"level": "0.5%", "traffic": 3000}}


def test_it_says_what_cannot_be_seen_and_what_to_do():
    said = " ".join(plan(POLICY, assume=ASSUME, share="1%").explain().split())
    assert "latency_p99 at 1 % of the traffic cannot see less than +" in said
    assert "or use a histogram of the same requests" in said
    assert ": use 10 % (+" in said


def test_a_history_says_what_a_plan_assumes():
    rng = np.random.default_rng(1)
    history = {
        "latency_p99": {"time": 60.0 * np.arange(3000), "value": rng.normal(200, 10, 3000)},
        "errors": {"value": rng.binomial(3000, 0.005, 3000), "total": np.full(3000, 3000)},
    }
    found = plan(POLICY, history).metrics
    assert found["latency_p99"].spread == pytest.approx(0.05, rel=0.1)
    assert found["latency_p99"].level == pytest.approx(200, rel=0.01)
    assert found["latency_p99"].autocorrelation < 0.1
    assert found["errors"].level == pytest.approx(0.005, rel=0.05)
    assert found["errors"].traffic == 3000
    stated = plan(POLICY, history, assume={"errors": {"traffic": 100}}).metrics["errors"]
    assert (stated.traffic, stated.level) == (100, found["errors"].level)


@pytest.mark.parametrize("kind", ["samples", "histogram", "count"])
def test_every_kind_is_learned_from_its_history(kind):
    rng = np.random.default_rng(2)
    metric = cj.Metric(name="m", kind=kind, direction="increase")
    if kind == "count":
        data = {"value": rng.poisson(40, 400)}
    elif kind == "samples":
        data = {"time": np.sort(rng.uniform(0, 6000, 9000)), "value": rng.normal(100, 20, 9000)}
    else:
        edges = np.append(np.linspace(20, 200, 60), np.inf)
        rows = [
            np.bincount(np.searchsorted(edges, rng.normal(100, 20, 90)), minlength=61) for _ in range(100)
        ]
        data = {"edges": edges, "buckets": rows}
    found = plan(cj.Policy(metrics=[metric]), {"m": data}).metrics["m"]
    assert found.lacking is None
    if kind != "count":
        assert found.traffic == pytest.approx(90, rel=0.05)
        assert found.spread == pytest.approx(0.2, rel=0.1)
        assert found.between_intervals < 0.02


def test_the_same_seed_gives_the_same_bytes_with_any_executor_and_it_reads_back():
    seen = []
    alone = plan(POLICY, assume=ASSUME, simulation=Simulation(6, 3, None, lambda *at: seen.append(at)))
    with ThreadPoolExecutor(2) as pool:
        together = plan(POLICY, assume=ASSUME, simulation=Simulation(6, 3, pool))
    assert alone.to_json() == together.to_json()
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert Plan.from_json(alone.to_json()) == alone
    assert set(alone.to_frame()["metric"]) == set(ASSUME)
    assert alone.to_markdown().startswith("## Plan")
    assert "simulated releases" in " ".join(alone.explain().split())


def test_simulation_tells_how_long_a_monitor_takes():
    found = plan(POLICY, assume=ASSUME, size="100%", share="50%", simulation=Simulation(10)).metrics
    assert found["latency_p99"].simulated.judged.rate == 1.0
    assert found["errors"].simulated.watched.rate == 1.0
    assert found["errors"].simulated.delay_points < 60


def test_a_rule_without_a_closed_form_is_simulated():
    slo = {"rule": "slo", "of": "mean", "op": "lte", "value": "110ms"}
    asked = cj.Policy(
        max_duration="30m", metrics=[cj.Metric(name="m", unit="ms", direction="increase", rules=[slo])]
    )
    found = plan(asked, assume={"m": {"spread": "2%", "level": "100ms"}}, simulation=Simulation(5))
    assert found.metrics["m"].form == "none"
    assert found.metrics["m"].shares == ()
    assert found.metrics["m"].simulated.judged.rate == 1.0
    assert "the rule slo has no closed form" in found.explain()


def test_curves_are_drawn():
    pytest.importorskip("matplotlib")
    drawn = plan(POLICY, assume=ASSUME).plot("errors")
    assert [line.get_label() for line in drawn.get_lines()][:2] == ["fails with +25 %", "passes without"]
    assert drawn.get_xlabel() == "minutes"
    with pytest.raises(cj.DataError, match="no curve of 'cpu'"):
        plan(POLICY, assume=ASSUME).plot("cpu")


def test_what_is_not_known_is_said():
    half = plan(POLICY, assume={"latency_p99": ASSUME["latency_p99"]})
    assert "errors: nothing is known of its level" in " ".join(half.explain().split())


def test_where_nothing_is_known_at_all_it_says_what_to_give():
    with pytest.raises(cj.PolicyError) as caught:
        plan(POLICY)
    assert (
        caught.value.message
        == "nothing can be planned without the spread of latency_p99, the level and traffic of errors"
    )
    for key in ("latency_p99.spread=5%", "errors.level=0.1%", "errors.traffic=5000"):
        assert f"--assume {key}" in caught.value.hint
    counts = cj.Policy(
        metrics=[cj.Metric(name=f"m {i}", kind="count", direction="increase") for i in range(5)]
    )
    with pytest.raises(cj.PolicyError, match="the level of m 2, and of 2 more metrics theirs") as caught:
        plan(counts)
    assert "--assume 'm 0.level=100'" in caught.value.hint


def test_its_tables_can_be_read_in_eighty_columns_and_name_what_is_in_them():
    lines = plan(POLICY, assume=ASSUME).explain().splitlines()
    headers = [line for line in lines if line.startswith("metric ")]
    assert [header.split("  ")[0] for header in headers] == ["metric", "metric"]
    assert "finds +25 % after" in headers[0]
    assert "good one passes" in headers[1]
    rows = lines[lines.index(headers[0]) : lines.index("", lines.index(headers[0]))]
    assert max(map(len, [*rows, *headers])) <= 80


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": "-5%"}, "the size"),
        ({"power": "100%"}, "between 0 % and 100 %"),
        ({"share": 7}, "the share"),
        ({"assume": {"error": {"level": "1%"}}}, "Did you mean 'errors'"),
        ({"assume": {"errors": {"levle": "1%"}}}, "level"),
        ({"assume": {"errors": 5}}, "mapping of fields"),
        ({"assume": {"latency_p99": {"level": "5MiB"}}}, "MiB"),
        ({"assume": {"errors": {"level": "-1%"}}}, "below 0"),
    ],
)
def test_mistakes_are_told(settings, said):
    with pytest.raises(cj.PolicyError, match=said):
        plan(POLICY, **settings)


# --- what both arms feel


def loaded(rng, tracks, points=600):
    """Give replicas under one load that wanders, with 2 % of noise of their own."""
    load = 100 * np.exp(np.cumsum(rng.normal(0, 0.1, points)))
    return [load * np.exp(rng.normal(0, 0.02, points)) for _ in range(tracks)]


def history(tracks):
    return [
        {"metric": "cpu", "replica": f"pod-{number}", "time": 60.0 * minute, "value": float(value)}
        for number, track in enumerate(tracks)
        for minute, value in enumerate(track)
    ]


CPU = cj.Policy(metrics=[cj.Metric(name="cpu", unit="%", direction="increase", assumed_spread=0)])


def test_what_replicas_feel_together_is_no_noise_of_theirs():
    rng = np.random.default_rng(1)
    found = cj.plan(CPU, history(loaded(rng, 3))).metrics["cpu"]
    assert found.spread == pytest.approx(0.02, rel=0.1)
    assert found.autocorrelation < 0.2
    assert not found.one_series
    alone = cj.Policy(metrics=[CPU.metrics[0].model_copy(update={"pairing": "windows"})])
    assert cj.plan(alone, history(loaded(rng, 3))).metrics["cpu"].spread > 0.2


def test_of_one_series_what_varies_slowly_is_taken_to_be_shared_and_the_plan_says_so():
    rng = np.random.default_rng(2)
    planned = cj.plan(CPU, history(loaded(rng, 1)))
    found = planned.metrics["cpu"]
    assert 0.05 < found.spread < 0.25  # of the steps of the load, not of its way
    assert found.one_series
    assert "cpu: what varies slowly is taken to be felt by both arms" in " ".join(planned.explain().split())
    stated = cj.plan(CPU, history(loaded(rng, 1)), assume={"cpu": {"spread": "3%"}})
    assert not stated.metrics["cpu"].one_series


def test_a_policy_with_segments_is_told_that_they_are_pooled():
    asked = cj.Policy(metrics=POLICY.metrics, segments={"by": ["region", "device"]})
    found, alone = plan(asked, assume=ASSUME), plan(POLICY, assume=ASSUME)
    assert found.pooled == ("region", "device")
    assert Plan.from_json(found.to_json()) == found
    assert found.metrics == alone.metrics
    said = " ".join(found.explain().split())
    assert "compares within segments by region and device, and this plan takes the traffic as a whole" in said
    assert "segments" not in alone.explain()
