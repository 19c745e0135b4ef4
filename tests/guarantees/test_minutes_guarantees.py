"""Gauges on one clock keep the error rates of their rule, which is asked here as a judge asks it: at the very edge of the tolerance."""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most, fewest_runs, sizes

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.rules import ErrorRates, judge_pairs

RATES = ErrorRates(0.01, 0.05)
SPREAD = 0.02


def outcomes(baseline, canary, *, pods=None, **metric):
    """Judge runs, one a row; pods are the levels of each arm's replicas."""
    asked = cj.Metric(**{"name": "m", "direction": "increase", "unit": "ms"} | metric)
    time = 60.0 * np.arange(baseline.shape[1])
    rows = []
    for row in range(len(baseline)):
        arms = [Arm(values, None, time) for values in (baseline[row], canary[row])]
        if pods is not None:
            arms = [
                Arm(
                    arm.value,
                    None,
                    time,
                    None,
                    tuple(Arm(arm.value * level, None, time) for level in own[row]),
                )
                for arm, own in zip(arms, pods, strict=True)
            ]
        pair = MetricPair("m", "gauge", *arms, pairing="concurrent", interval=60.0)
        rows.append(row_of(pair, asked, RATES))
    found = [finding.outcome for finding in judge_pairs(rows, cj.MannWhitney())]
    return found.count("fail"), found.count("pass")


def world(kind, rng, runs, n):
    """Both arms, equal but for their noise."""
    load = np.exp(0.2 * ar1(rng, runs, n, 0.9))
    match kind:
        case "fresh start":  # memory fills in both arms
            load = load * (1 - 0.5 * np.exp(-np.arange(n) / 5))
        case "saws":  # garbage is collected in each arm at times of its own
            saws = (np.arange(n) / 12 + rng.random((2, runs, 1))) % 1
            return [
                load * (1 + 0.2 * saw + 0.01 * noise)
                for saw, noise in zip(saws, rng.normal(size=(2, runs, n)), strict=True)
            ]
        case "rate[5m]":
            sums = np.cumsum(rng.normal(size=(2, runs, n + 5)), axis=2)
            smooth = (sums[:, :, 5:] - sums[:, :, :-5])[:, :, :n] / 5
            return [load * np.exp(0.05 * arm) for arm in smooth]
    rho = float(kind) if kind[0] == "0" else 0.5
    return [load * np.exp(0.03 * ar1(rng, runs, n, rho)) for _ in range(2)]


EDGES = [
    ("0.5", 15),
    ("0.5", 60),
    ("0.9", 120),
    ("rate[5m]", 60),
    ("0", 15),
    ("0", 60),
    ("0.8", 60),
    ("fresh start", 15),
    ("fresh start", 60),
]


@pytest.mark.parametrize(
    ("kind", "n", "runs"),
    [
        *((*edge, fewest_runs(0.01)) for edge in EDGES[:4]),
        *(pytest.param(*edge, 20_000, marks=pytest.mark.slow) for edge in EDGES),
    ],
)
@pytest.mark.parametrize("direction", ["increase", "decrease"])
def test_a_canary_at_the_edge_of_the_tolerance(kind, n, direction, runs):
    baseline, canary = world(kind, np.random.default_rng(20260305), runs, n)
    edge = 1.1 if direction == "increase" else 1 / 1.1
    fails, passes = outcomes(baseline, edge * canary, direction=direction, assumed_spread=0)
    assert_rate_at_most(fails, runs, RATES.level)
    assert_rate_at_most(passes, runs, RATES.beta)


@pytest.mark.parametrize("n", [15, 60])
@pytest.mark.parametrize("kind", ["fresh start", "saws", "rate[5m]", "0.9"])
@sizes(0.01, 20_000)
def test_healthy_arms_of_harder_worlds(kind, n, runs):
    """Saws drawn in at three robust standard deviations are no mean of saws, so they are not asked at the edge."""
    fails, _ = outcomes(*world(kind, np.random.default_rng(20260310), runs, n))
    assert_rate_at_most(fails, runs, RATES.level)


@pytest.mark.parametrize("unit", ["ms", ""])
@sizes(0.01, 20_000)
def test_one_pod_that_differs_by_the_assumed_spread(unit, runs):
    rng, n = np.random.default_rng(20260306), 60
    baseline, canary = world("0.5", rng, runs, n)
    apart = SPREAD * rng.normal(size=(runs, 11, 1))
    baseline, canary = baseline * (1 + apart[:, :10].mean(axis=1)), canary * (1 + apart[:, 10])
    fails, passes = outcomes(baseline, 1.1 * canary, unit=unit)
    assert_rate_at_most(fails, runs, RATES.level)
    assert_rate_at_most(passes, runs, RATES.beta)


@pytest.mark.parametrize(
    ("failing", "tolerated", "unit"), [(0.1, 0.1, "%"), (0.02, 0.5, "%"), (0.12, 0.02, "")]
)
@sizes(0.01, 20_000)
def test_one_pod_whose_failures_differ_by_the_assumed_spread(failing, tolerated, unit, runs):
    """The canary at the limit fails more, and its pods differ by a part of that."""
    rng, n, whole = np.random.default_rng(20260311), 60, 100.0 if unit else 1.0
    noise = [np.exp(0.005 * ar1(rng, runs, n, 0.5)) for _ in range(2)]
    apart = 1 + SPREAD * rng.normal(size=(runs, 11, 1))
    baseline = whole - failing * apart[:, :10].mean(axis=1) * noise[0]
    canary = whole - (failing + tolerated) * apart[:, 10] * noise[1]
    fails, passes = outcomes(
        baseline,
        canary,
        unit=unit,
        name="availability",
        direction="decrease",
        tolerance={"absolute": tolerated},
        pass_within="tolerance",
    )
    assert_rate_at_most(fails, runs, RATES.level)
    assert_rate_at_most(passes, runs, RATES.beta)


def test_without_the_assumed_spread_one_pod_breaks_the_promise():
    rng, runs = np.random.default_rng(20260307), 1000
    baseline, canary = world("0", rng, runs, 60)
    fails, _ = outcomes(baseline, 1.1 * canary * (1 + SPREAD * rng.normal(size=(runs, 1))), assumed_spread=0)
    assert fails > 0.05 * runs


@sizes(0.05, 5000)
def test_pods_that_differ_by_more_are_held_against_each_other(runs):
    rng, n = np.random.default_rng(20260308), 30
    baseline, canary = world("0.5", rng, runs, n)
    pods = [np.exp(0.1 * rng.normal(size=(runs, count))) for count in (5, 2)]
    arms = (
        arm * np.exp(np.log(own).mean(axis=1, keepdims=True))
        for arm, own in zip((baseline, 1.1 * canary), pods, strict=True)
    )
    inside = [own / np.exp(np.log(own).mean(axis=1, keepdims=True)) for own in pods]
    fails, passes = outcomes(*arms, pods=inside)
    assert_rate_at_most(fails, runs, RATES.level)
    assert_rate_at_most(passes, runs, RATES.beta)


@pytest.mark.parametrize("kind", ["0.5", "0.9"])
@pytest.mark.parametrize("n", [4, 9])
@sizes(0.01, 20_000)
def test_few_minutes_find_no_gross_harm_where_there_is_none(kind, n, runs):
    baseline, canary = world(kind, np.random.default_rng(20260309), runs, n)
    fails, passes = outcomes(baseline, 1.1 * canary)
    assert passes == 0
    assert_rate_at_most(fails, runs, RATES.level)
