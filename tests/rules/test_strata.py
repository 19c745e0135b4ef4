"""Ratios and counts of arms whose split moves are compared within intervals; on pairs made by hand."""

import numpy as np
import pytest
from judging import judge_by

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates

RATES = ErrorRates(level=0.01, beta=0.05)
RAMP = np.repeat([0.05, 0.25, 0.5, 0.9], 15)
RATE = np.repeat([0.002, 0.004, 0.008, 0.016], 15)
"""The service gets worse while the canary's share grows."""


def arms(times=1.0, *, rate=RATE, share=RAMP, requests=1_000_000):
    """Draw nothing: as many events as are expected."""
    totals = requests * (1 - share), requests * share
    events = np.rint(rate * totals[0]), np.rint(rate * times * totals[1])
    return [Arm(*columns) for columns in zip(events, totals, strict=True)]


def judged(baseline, canary, *, kind="ratio", pairing="concurrent", settings=None, **given):
    metric = cj.Metric(**({"name": "m", "kind": kind, "direction": "increase", "tolerance": "10%"} | given))
    rule = settings or (cj.Rate() if kind == "count" else cj.Proportion())
    return judge_by(MetricPair("m", kind, baseline, canary, pairing), metric, rule, RATES)


@pytest.mark.parametrize("kind", ["ratio", "count"])
@pytest.mark.parametrize("rate", [RATE, RATE[::-1]])
@pytest.mark.parametrize(
    ("direction", "times", "outcome"),
    [
        ("increase", 1.0, "pass"),
        ("increase", 1.1, "marginal"),
        ("increase", 1.5, "fail"),
        ("decrease", 1.0, "pass"),
        ("decrease", 1 / 1.1, "marginal"),
        ("decrease", 0.6, "fail"),
        ("either", 1.0, "pass"),
        ("either", 1.5, "fail"),
        ("either", 0.6, "fail"),
    ],
)
def test_each_direction_has_its_three_zones(kind, rate, direction, times, outcome):
    found = judged(*arms(times, rate=rate), kind=kind, direction=direction, pass_within="tolerance")
    assert (found.outcome, found.method) == (outcome, "stratified_exact")
    assert found.estimate == pytest.approx(times - 1, abs=0.001)
    assert found.interval.low < found.estimate < found.interval.high
    baseline, canary = arms(times, rate=rate)
    assert (found.events_baseline, found.total_canary) == pytest.approx((baseline.events, canary.exposure))
    assert found.canary_level == pytest.approx(canary.events / canary.exposure)


@pytest.mark.parametrize(("more", "outcome"), [(0.0, "pass"), (0.001, "marginal"), (0.002, "fail")])
def test_an_absolute_tolerance_is_held_against_the_difference_within_intervals(more, outcome):
    baseline, canary = arms()
    canary = Arm(canary.value + np.rint(more * canary.total), canary.total)
    found = judged(baseline, canary, tolerance={"absolute": 0.001, "relative": 0.0})
    assert (found.outcome, found.method, found.scale) == (outcome, "stratified_difference", "absolute")
    assert found.estimate == pytest.approx(more, abs=1e-5)


def test_large_shares_have_the_score_unless_another_method_is_chosen():
    large = arms(1.2, rate=50 * RATE, requests=20_000)
    assert judged(*large).method == "stratified_score"
    assert judged(*large, settings=cj.Proportion(method="exact")).method == "stratified_exact"
    assert judged(*arms(1.2), settings=cj.Proportion(method="score")).method == "stratified_score"
    assert judged(*large).outcome == "fail"


def test_where_the_split_stays_or_the_clock_is_not_shared_the_totals_are_compared():
    steady = arms(1.5, share=np.full(60, 0.05))
    assert judged(*steady).method == "exact_conditional"
    assert judged(*arms(1.5), pairing="windows").method == "exact_conditional"


def test_the_exposure_of_counts_has_any_unit():
    found = [judged(*arms(1.3, requests=requests), kind="count").method for requests in (1.0, 1e9)]
    assert found == ["stratified_exact"] * 2


def test_a_baseline_without_events_needs_an_absolute_tolerance():
    baseline, canary = arms(requests=1000)
    baseline = Arm(np.zeros(60), baseline.total)
    canary = Arm((np.arange(60) == 20).astype(float), canary.total)
    found = judged(baseline, canary, kind="count")
    assert (found.outcome, found.reason, found.estimate) == ("marginal", "needs_absolute_tolerance", None)
    none = judged(baseline, Arm(np.zeros(60), canary.total), tolerance={"absolute": 0.05})
    assert (none.outcome, none.estimate) == ("pass", 0)


def test_fractions_of_events_are_counted():
    """Prometheus' increase gives some."""
    rng = np.random.default_rng(4)
    whole = [Arm(rng.poisson(arm.value).astype(float), arm.total) for arm in arms(requests=400)]
    parts = [Arm(arm.value * 0.999, arm.total * 0.999) for arm in whole]
    exact, near = judged(*whole), judged(*parts)
    assert near.pvalue == pytest.approx(exact.pvalue, rel=0.05)
    assert near.interval.high == pytest.approx(exact.interval.high, rel=0.05)


def test_what_healthy_arms_differ_by_widens_the_intervals():
    alone = judged(*arms(1.5))
    known = judged(*arms(1.5), noise_floor={"between_replicas": "10%", "replicas": 30})
    assert (alone.outcome, known.outcome) == ("fail", "marginal")
    assert known.estimate == alone.estimate
    assert known.interval.high - known.interval.low > 2 * (alone.interval.high - alone.interval.low)
    assert known.noise_floor.spread == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize(("spread", "outcome"), [(0.0, "fail"), (0.6, "marginal")])
def test_replicas_that_differ_hold_a_change_back(spread, outcome):
    baseline, canary = arms(1.5)
    apart = np.exp(spread * np.array([-1.0, -0.3, 0.3, 1.0]))

    def with_replicas(arm):
        replicas = tuple(Arm(arm.value * times / 4, arm.total / 4) for times in apart)
        return Arm(arm.value, arm.total, replicas=replicas)

    found = judged(with_replicas(baseline), with_replicas(canary))
    assert (found.outcome, found.replicas.baseline) == (outcome, 4)


def test_bursts_are_told_and_few_intervals_of_them_lie_outside_the_proven_range():
    rng = np.random.default_rng(5)
    for every, waived in ((1, ()), (4, ("outside_proven_range",))):
        noisy = [
            Arm(np.rint(arm.value * np.exp(rng.normal(0, 0.2, 60)))[::every], arm.total[::every])
            for arm in arms()
        ]
        found = judged(*noisy)
        assert found.dispersion > 10
        assert found.waived == waived
    assert judged(*(arm.part(slice(None, None, 4)) for arm in arms())).waived == ()


def test_the_words_say_what_is_compared():
    data = {
        name: {"value": arm.value, "total": arm.total, "time": 60.0 * np.arange(60)}
        for name, arm in zip(("baseline", "canary"), arms(), strict=True)
    }
    metric = cj.Metric(name="m", kind="ratio", direction="increase")
    verdict = cj.judge({"m": data}, cj.Policy(metrics=[metric]))
    said = " ".join(verdict.explain().split())
    assert verdict.outcome == "pass"
    assert "the split of the traffic moves, so the change is that within intervals" in said
    assert "exact conditional test within intervals" in said
    assert "canary is unchanged, 1.15 % v. 0.457 %" in said
