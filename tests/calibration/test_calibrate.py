"""Calibration agrees with the truth of the process that made the history."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.stats import binomtest
from simulation import ar1

import canaryjudge as cj
from canaryjudge.calibration import Calibration, calibrate
from canaryjudge.data import Arm, MetricPair
from canaryjudge.history.noise_floor import changes_of
from canaryjudge.reports import ObservedRate

N, WINDOW = 2400, 40
TIME = 60.0 * np.arange(N)


def gauge(rng, spread, rho=0.3, noise=2.0):
    levels = 100 * (1 + spread * np.repeat(rng.normal(size=N // WINDOW), WINDOW))
    return levels + noise * ar1(rng, 1, N, rho)[0]


def policy(**settings):
    return cj.Policy(
        metrics=[cj.Metric(**({"name": "m", "direction": "increase", "tolerance": "5%"} | settings))]
    )


ONE_RULE = {"rules": ["mann_whitney"]}
"""Where it does not matter how many there are."""


def calibrated(values, asked=None, **settings):
    return calibrate({"m": values}, asked or policy(), **({"length": WINDOW, "pairs": 50} | settings))


def test_a_calm_service_needs_no_change():
    found = calibrated(gauge(np.random.default_rng(1), 0.0), policy(tolerance="10%"))
    metric = found.metrics["m"]
    assert metric.failed.rate <= 0.01
    assert found.proposals == ()
    assert "Nothing in this history speaks against the policy as it is" in found.explain()


def test_a_policy_with_segments_is_told_that_they_were_pooled():
    asked = cj.Policy(metrics=policy().metrics, segments={"by": ["region"]})
    found = calibrated(gauge(np.random.default_rng(1), 0.0), asked)
    assert found.pooled == ("region",)
    assert Calibration.from_json(found.to_json()) == found
    said = " ".join(found.explain().split())
    assert (
        "compares within segments by region, and this history was judged as a whole: these are not the rates"
        in said
    )
    assert "segments" not in calibrated(gauge(np.random.default_rng(1), 0.0)).explain()


def test_the_spread_of_windows_is_measured_and_widens_the_intervals():
    found = calibrated(gauge(np.random.default_rng(2), 0.04))
    metric = found.metrics["m"]
    assert metric.floors[0].spread == pytest.approx(
        0.03, abs=0.015
    )  # windows that straddle two levels differ by less
    assert metric.failed.low <= metric.failed.rate <= metric.failed.high
    assert metric.failed_proposed.rate <= metric.failed.rate
    assert found.proposals[0].field == "noise_floor"
    assert found.apply(policy()).metrics[0].noise_floor.windows == N // WINDOW


def test_the_false_fail_rate_is_that_of_the_process():
    """Fresh healthy pairs of the same process fail as often as the report's interval says."""
    rng = np.random.default_rng(3)
    asked = policy(tolerance="0%", **ONE_RULE)
    blocks = np.concatenate([np.repeat(100 * (1 + 0.03 * rng.normal()), WINDOW) for _ in range(120)])
    history = blocks + rng.normal(0, 2, len(blocks))
    apart = {f"{i}": history[i : i + 2 * WINDOW] for i in range(0, len(history), 2 * WINDOW)}
    rate = calibrate({"m": apart}, asked, length=WINDOW).metrics["m"].failed
    fails = 0
    for _ in range(200):
        pair = 100 * (1 + 0.03 * rng.normal(size=(2, 1))) + rng.normal(0, 2, (2, WINDOW))
        fails += cj.judge({"m": {"baseline": pair[0], "canary": pair[1]}}, asked).outcome == "fail"
    assert rate.low <= fails / 200 + 0.05
    assert fails / 200 - 0.05 <= rate.high
    assert rate.independent == 60


def test_the_smallest_fault_is_found_as_often_as_it_says():
    rng = np.random.default_rng(4)
    found = calibrated(gauge(rng, 0.0), policy(**ONE_RULE))
    shift = next(fault.size for fault in found.metrics["m"].faults if fault.fault == "shift")
    assert shift > 0.05

    def power(size):
        hits = 0
        for _ in range(150):
            arms = 100 + 2 * ar1(rng, 2, WINDOW, 0.3)
            verdict = cj.judge(
                {"m": {"baseline": arms[0], "canary": arms[1] + 100 * size}}, policy(**ONE_RULE)
            )
            hits += verdict.outcome == "fail"
        return hits / 150

    assert power(1.1 * shift) > 0.7
    assert power(0.9 * shift) < 0.9


def test_a_tolerance_that_is_too_tight_is_widened_where_a_floor_does_not_help():
    """Drift that is the same in every pair is no random effect, so a floor of it stays far too small."""
    rng = np.random.default_rng(5)
    drift = 100 * 1.004 ** (np.arange(N) / 10)
    found = calibrated(drift + rng.normal(0, 0.5, N), policy(tolerance="0.5%"))
    fields = {proposal.field for proposal in found.proposals}
    assert fields & {"tolerance", "noise_floor"}
    assert found.metrics["m"].failed_proposed.rate <= 0.05


def test_what_is_too_noisy_to_gate_on_is_to_be_muted_if_another_gate_is_left():
    rng = np.random.default_rng(6)
    wild = np.exp(1.5 * ar1(rng, 1, N, 0.95)[0])
    asked = cj.Policy(metrics=[cj.Metric(name=name, direction="increase") for name in ("wild", "calm")])
    found = calibrate({"wild": wild, "calm": gauge(rng, 0.0)}, asked, length=WINDOW, pairs=20)
    muted = [proposal.metric for proposal in found.proposals if proposal.field == "role"]
    assert muted == ["wild"]
    assert found.apply(asked).metrics[0].role == "muted"
    alone = calibrate({"m": wild}, policy(), length=WINDOW, pairs=20)
    assert alone.no_gate
    assert "No metric of this policy is a gate" in alone.explain()
    alone.apply(policy())


def test_metrics_that_move_together_are_named():
    rng = np.random.default_rng(7)
    one = gauge(rng, 0.03)
    asked = cj.Policy(
        metrics=[cj.Metric(name=name, direction="increase", **ONE_RULE) for name in ("a", "b", "c")]
    )
    found = calibrate({"a": one, "b": 3 * one + 0.1, "c": gauge(rng, 0.03)}, asked, length=WINDOW, pairs=60)
    assert [(pair.first, pair.second) for pair in found.duplicates] == [("a", "b")]
    assert found.duplicates[0].correlation == 1.0


def test_replicas_are_paired_at_one_time_and_their_spread_is_measured():
    rng = np.random.default_rng(8)
    pods = {
        f"pod-{i}": {"time": TIME[:600], "value": 100 * (1 + 0.05 * rng.normal()) + rng.normal(0, 1, 600)}
        for i in range(8)
    }
    metric = calibrate({"m": pods}, policy(**ONE_RULE), length=WINDOW, pairs=40).metrics["m"]
    assert (metric.source, metric.replicas) == ("replicas", 8)
    floor = next(floor for floor in metric.floors if floor.between == "replicas")
    assert floor.spread == pytest.approx(0.05, rel=0.5)
    assert floor.df <= 7
    assert {floor.between for floor in metric.floors} == {"windows", "replicas"}


@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_events_are_calibrated_by_their_rate(kind):
    rng = np.random.default_rng(9)
    total = np.full(1200, 2000)
    value = rng.binomial(2000, 0.01 * np.exp(0.2 * np.repeat(rng.normal(size=30), 40)))
    rules = ["proportion" if kind == "ratio" else "rate"]
    metric = calibrate(
        {"m": {"value": value, "total": total}}, policy(kind=kind, rules=rules), length=WINDOW, pairs=60
    ).metrics["m"]
    assert 0.05 < metric.floors[0].spread < 0.3
    assert not metric.floors[0].absolute
    assert {fault.fault for fault in metric.faults} == {"shift", "burst"}


@pytest.mark.parametrize("kind", ["ratio", "count"])
def test_a_split_means_the_release_and_not_windows_of_equal_traffic(kind):
    rng = np.random.default_rng(12)
    history = {
        "m": {"value": rng.poisson(100, 800)} | ({"total": np.full(800, 2000)} if kind == "ratio" else {})
    }
    metrics = policy(kind=kind, tolerance="50%").metrics
    whole, shared = (
        calibrate(history, cj.Policy(metrics=metrics, split=split), length=WINDOW, pairs=10).metrics["m"]
        for split in (None, {"baseline": "95%", "canary": "5%"})
    )
    assert (shared.failed, shared.marginal) == (whole.failed, whole.marginal)
    assert (shared.failed.rate, shared.marginal) == (0, 0)


def test_histograms_and_samples_are_calibrated():
    rng = np.random.default_rng(10)
    edges = np.append(np.geomspace(10, 1000, 30), np.inf)
    rows = [
        np.bincount(np.searchsorted(edges, 100 * rng.lognormal(0, 0.4, 300)), minlength=30 + 1)
        for _ in range(160)
    ]
    found = calibrate(
        {"m": {"edges": edges, "buckets": rows}}, policy(kind="histogram"), length=20, pairs=10
    ).metrics["m"]
    assert found.failed.rate == 0
    assert found.faults[0].size < 0.5
    samples = {"time": np.sort(rng.uniform(0, 6000, 4000)), "value": 100 * rng.lognormal(0, 0.4, 4000)}
    found = calibrate({"m": samples}, policy(kind="samples"), length="10m", pairs=8).metrics["m"]
    assert found.failed.trials == 8


def releases(rng, outcomes):
    rows = []
    for number, good in enumerate(outcomes):
        for arm in ("baseline", "canary"):
            level = 100 if good or arm == "baseline" else 150
            rows += [
                {
                    "release": f"v{number}",
                    "outcome": "good" if good else "bad",
                    "arm": arm,
                    "metric": "m",
                    "value": value,
                }
                for value in rng.normal(level, 2, WINDOW)
            ]
    return rows


def test_past_releases_say_what_failed_and_what_was_found():
    metric = calibrate(releases(np.random.default_rng(11), [True] * 6 + [False] * 3), policy()).metrics["m"]
    assert (metric.source, metric.failed.trials, metric.failed.count) == ("releases", 6, 0)
    assert (metric.found.trials, metric.found.count) == (3, 3)


def test_the_same_seed_gives_the_same_bytes_with_any_executor_and_it_reads_back():
    history = {"a": gauge(np.random.default_rng(12), 0.03), "b": gauge(np.random.default_rng(13), 0.0)}
    asked = cj.Policy(metrics=[cj.Metric(name=name, direction="increase") for name in history])
    seen = []
    alone = calibrate(history, asked, length=WINDOW, pairs=6, progress=lambda *at: seen.append(at))
    with ThreadPoolExecutor(2) as pool:
        together = calibrate(history, asked, length=WINDOW, pairs=6, executor=pool)
    assert alone.to_json() == together.to_json()
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert Calibration.from_json(alone.to_json()) == alone
    assert list(alone.to_frame()["name"]) == ["a", "b"]
    assert alone.to_markdown().startswith("## Calibration")
    assert "<pre>" in alone._repr_html_()
    with pytest.raises(cj.DataError, match="not a calibration"):
        Calibration.from_json("{}")


def test_gaps_and_the_time_of_the_day_are_seen():
    time = 300.0 * np.arange(3 * 288)
    values = 100 + 20 * np.sin(2 * np.pi * time / 86400) + np.random.default_rng(14).normal(0, 1, len(time))
    kept = np.ones(len(time), dtype=bool)
    kept[::20] = False
    metric = calibrate(
        {"m": {"time": time[kept], "value": values[kept]}}, policy(), length=24, pairs=20
    ).metrics["m"]
    assert metric.seasonality > 0.9
    assert metric.gaps == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("history", "length", "error", "said"),
    [
        ({"m": np.ones(30)}, 40, cj.DataError, "no metric of the history has two windows of 40 points"),
        ({"m": np.ones(30)}, 1, cj.PolicyError, "has no length"),
        ({"m": np.ones(30)}, "soon", cj.PolicyError, "not a duration"),
        ({"x": np.ones(30)}, 10, cj.DataError, "no metric of the policy"),
    ],
)
def test_mistakes_are_told(history, length, error, said):
    with pytest.raises(error, match=said):
        calibrate(history, policy(), length=length)


def test_a_metric_without_history_is_said_to_have_none():
    asked = cj.Policy(metrics=[cj.Metric(name=name, direction="increase") for name in ("m", "new")])
    found = calibrate({"m": gauge(np.random.default_rng(15), 0.0)}, asked, length=WINDOW, pairs=20)
    assert found.metrics["new"].source == "none"
    assert "new: the history has no two windows of 40 points" in found.explain()


@pytest.mark.parametrize(("count", "trials"), [(0, 40), (3, 40), (40, 40)])
def test_intervals_are_those_of_clopper_and_pearson(count, trials):
    found, known = ObservedRate.of(count, trials, trials), binomtest(count, trials).proportion_ci(0.95)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_constant_series_are_no_trouble():
    found = calibrated(np.full(N, 7.0), pairs=20)
    assert found.metrics["m"].failed.rate == 0
    assert found.metrics["m"].floors[0].spread == 0


@pytest.mark.parametrize("kind", ["ratio", "count", "histogram"])
def test_a_past_ramp_changes_nothing_where_the_arms_are_equal(kind):
    share, level = np.repeat([0.05, 0.25, 0.5, 0.9], 10), np.repeat([1.0, 1.5, 2.0, 3.0], 10)
    arms = []
    for part in (1 - share, share):
        total = 10_000 * part
        if kind == "histogram":
            below = np.array([level < 1.2, level < 1.7, level < 2.5]) * total
            buckets = np.diff(below, axis=0, prepend=0.0, append=total[None]).T
            arms.append(Arm(total, buckets=buckets))
        else:
            arms.append(Arm(0.01 * level * total, total))
    edges = np.array([1.2, 1.7, 2.5, np.inf]) if kind == "histogram" else None
    pair = MetricPair("m", kind, *arms, "concurrent", edges=edges)
    changes = changes_of([pair], cj.Metric(name="m", kind=kind, direction="increase"))
    assert changes.change[0] == pytest.approx(0, abs=1e-9)
    assert 0 < changes.error[0] < 0.1
