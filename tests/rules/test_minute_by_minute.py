"""Gauges on one clock: what is compared, from which minute on, and what is said of it."""

import numpy as np
import pytest

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.rules import ErrorRates, judge_pair, judge_pairs

RNG = np.random.default_rng(20260311)
LOAD = 100 * np.exp(np.cumsum(RNG.normal(0, 0.1, 60)))
NOISE = np.exp(0.02 * RNG.normal(size=(2, 60)))


def arms(factor=1.0, *, points=60, kept=slice(None)):
    time = 60.0 * np.arange(points)
    baseline, canary = LOAD[:points] * NOISE[0, :points], factor * LOAD[:points] * NOISE[1, :points]
    return {
        "baseline": {"value": baseline, "time": time},
        "canary": {"value": canary[kept], "time": time[kept]},
    }


def judged(data, **settings):
    metric = cj.Metric(**{"name": "latency", "unit": "ms", "direction": "increase"} | settings)
    verdict = cj.judge({"latency": data}, cj.Policy(metrics=[metric]))
    return verdict, verdict.metrics["latency"]


@pytest.mark.parametrize("unit", ["ms", ""])
@pytest.mark.parametrize(("direction", "factor"), [("increase", 1.3), ("decrease", 1 / 1.3), ("either", 1.3)])
def test_what_both_arms_feel_cancels(unit, direction, factor):
    verdict, result = judged(arms(factor), unit=unit, direction=direction)
    found = result.findings[0]
    assert (verdict.outcome, found.method) == ("fail", "pairs")
    assert found.estimate == pytest.approx(factor - 1, abs=0.02)
    assert found.probability_worse == 1.0
    assert "comparison minute by minute" in " ".join(verdict.explain().split())
    assert judged(arms(), unit=unit, direction=direction)[0].outcome == "pass"
    assert judged(arms(factor), unit=unit, direction=direction, pairing="windows")[0].outcome == "marginal"


def test_unit_and_tolerance_choose_the_effect_and_never_a_zero():
    data = arms(1.3)
    plain = judged(data)[1].findings[0]
    assert judged(data, effect="ratio")[1].findings[0] == plain
    assert judged(data, effect="shift")[1].findings[0] != plain
    assert judged(data, tolerance={"relative": "10%", "absolute": "1ms"})[1].findings[0].scale == "relative"
    assert judged(data, tolerance="5ms")[1].findings[0].scale == "absolute"
    assert judged(data, unit="")[1].findings[0] == judged(data, unit="", effect="shift")[1].findings[0]
    data["baseline"]["value"][7] = 0.0
    stray = judged(data)[1].findings[0]
    assert stray.outcome == "fail"
    assert stray.estimate == pytest.approx(plain.estimate, abs=0.01)


@pytest.mark.parametrize("min_points", [None, 30])
@pytest.mark.parametrize("points", [3, 4, 9, 12])
def test_gross_harm_fails_from_the_fourth_minute_on(points, min_points):
    expected = "marginal" if points < 4 else "fail"
    assert judged(arms(10.0, points=points), min_points=min_points)[0].outcome == expected
    verdict, result = judged(arms(1.15, points=points), min_points=min_points)
    assert verdict.outcome == "marginal"
    if points < (min_points or 10):
        assert (result.reason, result.findings) == ("too_little_data", ())


def test_a_success_rate_that_falls_to_nothing_fails_after_four_minutes():
    time = 60.0 * np.arange(4)
    data = {
        "baseline": {"value": [99.9, 100, 99.8, 100], "time": time},
        "canary": {"value": [0.0] * 4, "time": time},
    }
    assert judged(data, unit="%", direction="decrease")[0].outcome == "fail"


def test_few_samples_and_windows_show_no_gross_harm():
    short = arms(10.0, points=8)
    assert judged(short, pairing="windows")[1].reason == "too_little_data"
    assert judged(short, kind="samples")[1].reason == "too_little_data"


def test_a_pass_is_withheld_where_minutes_lack_a_partner_and_a_fail_is_not():
    few, many = np.arange(60) % 6 > 0, np.arange(60) % 4 > 0
    assert judged(arms(kept=few))[0].outcome == "pass"
    assert judged(arms(kept=many))[1].reason == "unpaired"
    assert judged(arms(1.5, kept=many))[0].outcome == "fail"


def test_pods_are_assumed_to_differ_only_where_nothing_tells_by_how_much():
    verdict, result = judged(arms())
    floor = result.findings[0].noise_floor
    assert (floor.spread, floor.df, floor.assumed) == (pytest.approx(0.02), None, True)
    assert "assuming that pods differ by 2 %" in " ".join(verdict.explain().split())
    assert judged(arms(), assumed_spread=0)[1].findings[0].noise_floor is None
    assert judged(arms(), pairing="windows")[1].findings[0].noise_floor is None
    known = {"between_replicas": "1%", "replicas": 30}
    assert not judged(arms(), noise_floor=known)[1].findings[0].noise_floor.assumed
    named = {
        name: {
            "value": np.tile(arm["value"], count) * np.repeat(1 + 0.01 * np.arange(count), 60),
            "time": np.tile(arm["time"], count),
            "replica": np.repeat([f"pod-{i}" for i in range(count)], 60),
        }
        for (name, arm), count in zip(arms().items(), (2, 1), strict=True)
    }
    found = judged(named)[1].findings[0]
    assert (found.noise_floor, found.replicas.baseline, found.replicas.canary) == (None, 2, 1)


def test_a_floor_makes_no_interval_narrower():
    short = arms(1.2, points=15)
    found = [
        judged(short, assumed_spread=spread)[1].findings[0].interval
        for spread in (0, "0.1%", "1%", "2%", "5%")
    ]
    widths = [interval.high - interval.low for interval in found]
    assert widths == sorted(widths)


def test_noisy_pods_beside_one_are_no_change():
    """The mean of ten pods that scatter by 30 % is not the level of one: their geometric mean is."""
    rng, n = np.random.default_rng(5), 240
    time = 60.0 * np.arange(n)
    baseline = {
        "value": 100 * np.exp(0.3 * rng.normal(size=10 * n)),
        "time": np.tile(time, 10),
        "replica": np.repeat([f"pod-{i}" for i in range(10)], n),
    }
    canary = {"value": 100 * np.exp(0.3 * rng.normal(size=n)), "time": time, "replica": ["new-0"] * n}
    data = {"baseline": baseline, "canary": canary}
    ratio, shift = (judged(data, effect=effect)[1].findings[0] for effect in ("ratio", "shift"))
    assert abs(ratio.estimate) < 0.03
    assert abs(shift.estimate - ratio.estimate) < 0.03  # which compares means with means


def test_a_pod_that_joins_late_is_held_against_its_own_minutes():
    """Memory fills up in every pod; one that was there in the second half alone has no higher level for that."""
    time, level = 60.0 * np.arange(60), 100 * (1 + np.arange(60) / 30)
    rng = np.random.default_rng(6)

    def pods(names, late):
        parts = [
            (name, time[30:] if name in late else time, level[30:] if name in late else level)
            for name in names
        ]
        return {
            "value": np.concatenate([own * np.exp(0.005 * rng.normal(size=len(own))) for _, _, own in parts]),
            "time": np.concatenate([own for _, own, _ in parts]),
            "replica": np.concatenate([[name] * len(own) for name, own, _ in parts]),
        }

    data = {"baseline": pods("abcd", ()), "canary": pods("xyz", "z")}
    found = judged(data, unit="MiB")[1].findings[0]
    assert found.replicas.spread < 0.01
    assert found.outcome == "pass"


def test_a_row_says_the_same_alone_and_in_company():
    metric = cj.Metric(name="m", unit="ms", direction="either", tolerance="10%")
    time = 60.0 * np.arange(60)
    rows = [
        row_of(
            MetricPair(
                "m",
                "gauge",
                Arm(LOAD, None, time),
                Arm(factor * LOAD * NOISE[1], None, time),
                "concurrent",
                60.0,
            ),
            metric,
            ErrorRates(0.01, 0.05),
        )
        for factor in (0.7, 1.0, 1.05, 1.11, 1.3, 10.0)
    ]
    assert judge_pairs(rows, cj.MannWhitney()) == [judge_pair(row, cj.MannWhitney()) for row in rows]


@pytest.mark.parametrize(("spending", "first"), [("pocock", 4), ("obrien_fleming", 8)])
def test_a_watch_looks_minute_by_minute_and_its_early_looks_see_gross_harm(spending, first):
    metric = cj.Metric(
        name="latency", unit="ms", direction="increase", rules=[cj.Sequential(spending=spending)]
    )
    policy = cj.Policy(metrics=[metric], max_points=20)
    monitor, data = cj.Monitor(policy), arms(10.0, points=20)
    for minute in range(first):
        assert monitor.verdict().outcome == "marginal"
        monitor = cj.Monitor.from_json(monitor.to_json(), policy)
        part = {
            arm: {key: column[minute : minute + 1] for key, column in own.items()}
            for arm, own in data.items()
        }
        monitor.update({"latency": part})
    verdict = monitor.verdict()
    assert (verdict.outcome, verdict.metrics["latency"].findings[0].method) == ("fail", "pairs")
