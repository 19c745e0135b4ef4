"""Rules about what a level does not show: they fail a healthy release no more often than they say, and find what they are for."""

import numpy as np
import pytest
from judging import judge_all_by
from scipy.special import ndtr
from scipy.stats import expon, t
from simulation import ar1, assert_rate_at_most, failed, judged

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates
from canaryjudge.stats.excursions import excursion_test

LEVEL = 0.01 / 6
"""An excursion's part of an alpha of 1 %."""
SHAPES = {
    "normal": lambda z: z,
    "exponential": lambda z: expon.ppf(ndtr(z)),
    "t3": lambda z: t.ppf(ndtr(z), 3),
    "rounded": lambda z: np.round(2 * z),
    "zero-inflated": lambda z: np.where(z < 0.3, 0.0, np.exp(z)),
}
CASES = [
    # points of the baseline and the canary, autocorrelation, times the level that is allowed: strong dependence is approximate, and says so
    (60, 60, 0.0, 1.0),
    (60, 60, 0.5, 1.0),
    (60, 60, 0.9, 3.0),
    (60, 15, 0.0, 1.0),
    (60, 15, 0.5, 1.0),
    (60, 15, 0.9, 2.0),
    (30, 30, 0.0, 1.0),
    (30, 30, 0.5, 2.0),
]
RUNS = [(*case, shape) for case in CASES for shape in SHAPES if shape != "zero-inflated" or case[2] < 0.9]
"""Of series that are mostly 0, the autocorrelation does not show how strongly what is not 0 clings together (docs/statistics.md)."""


def check(shape, n, m, rho, times, runs):
    rng = np.random.default_rng(20260202)
    baseline, canary = (SHAPES[shape](ar1(rng, runs, size, rho)) for size in (n, m))
    pvalue = excursion_test(baseline, canary, [0.0]).pvalue[:, 0]
    for level in (0.01, LEVEL):
        assert_rate_at_most(int((pvalue <= level).sum()), runs, times * level)


@pytest.mark.parametrize(
    ("n", "m", "rho", "times", "shape"),
    [case for case in RUNS if case[:3] not in {(60, 60, 0.5), (60, 15, 0.0)}],
)
def test_excursions_keep_their_level_without_any_tolerance(shape, n, m, rho, times):
    check(shape, n, m, rho, times, 2000)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "rho", "times", "shape"), RUNS)
def test_excursions_keep_their_level_in_full(shape, n, m, rho, times):
    check(shape, n, m, rho, times, 15_000)


def policy_of(metrics):
    return cj.Policy(metrics=[cj.Metric(name=f"m{i}", direction="increase") for i in range(metrics)])


def release(rng, metrics, rho, spoil=lambda canary: canary):
    """Healthy gauges around 100, which all vary by 10 %, and what is to be done to the first canary."""
    arms = 100 + 10 * ar1(rng, 2 * metrics, 60, rho)
    data = {f"m{i}": {"baseline": arms[i], "canary": arms[metrics + i]} for i in range(metrics)}
    data["m0"]["canary"] = spoil(data["m0"]["canary"])
    return data


def test_twenty_metrics_with_all_default_rules_fail_at_most_alpha_together():
    """Where points depend on each other the most, which each rule only estimates."""
    rng = np.random.default_rng(20260203)
    runs = 20
    assert_rate_at_most(failed([release(rng, 20, 0.9) for _ in range(runs)], policy_of(20)), runs, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_twenty_metrics_with_all_default_rules_fail_at_most_alpha_together_in_full(rho):
    rng = np.random.default_rng(20260204)
    runs = 400
    assert_rate_at_most(failed([release(rng, 20, rho) for _ in range(runs)], policy_of(20)), runs, 0.01)


def burst(canary):
    canary[20:32] += 200
    return canary


def from_half_way(canary):
    canary[30:] += 50
    return canary


@pytest.mark.parametrize(("spoil", "rule"), [(burst, "excursion"), (from_half_way, "late_shift")])
def test_they_find_what_the_level_does_not(spoil, rule):
    rng = np.random.default_rng(20260205)
    verdicts = judged([release(rng, 1, 0.3, spoil) for _ in range(30)], policy_of(1))
    assert sum(verdict.outcome == "fail" and verdict.deciding_rule == rule for verdict in verdicts) >= 27
    assert not any(verdict.outcome == "pass" for verdict in verdicts)


WORLDS = {
    # requests of the baseline and the canary, share of errors, log-sd by which the share varies from minute to minute
    "alike": (2000, 2000, 0.001, 0.0),
    "frequent": (2000, 2000, 0.05, 0.5),
    "a small canary": (20_000, 200, 0.001, 0.0),
    "a tiny canary of a noisy service": (20_000, 50, 0.02, 0.5),
    "a small baseline": (200, 20_000, 0.001, 0.0),
    "hardly any errors": (500, 500, 0.0002, 0.0),
}


def events(rng, world, runs, kind):
    """Errors of sixty minutes in each arm, of a share that drifts a little (rho .5)."""
    *requests, share, spread = WORLDS[world]
    arms = []
    for traffic in requests:
        shares = np.minimum(share * np.exp(spread * ar1(rng, runs, 60, 0.5)), 1.0)
        total = np.maximum(rng.poisson(traffic, shares.shape), 1)
        draw = rng.binomial(total, shares) if kind == "ratio" else rng.poisson(shares * total)
        arms.append((draw.astype(float), total.astype(float)))
    return arms


def false_excursions(world, kind, runs, level):
    rng = np.random.default_rng(20260206)
    (baseline, of), (canary, out_of) = events(rng, world, runs, kind)
    metric = cj.Metric(name="m", kind=kind, direction="increase", tolerance="0%")
    rule, rates = cj.Excursion(tolerance="0%"), ErrorRates(level=level, beta=0.05)
    pairs = [MetricPair("m", kind, Arm(baseline[i], of[i]), Arm(canary[i], out_of[i])) for i in range(runs)]
    return sum(finding.outcome == "fail" for finding in judge_all_by(pairs, metric, rule, rates))


@pytest.mark.parametrize("kind", ["ratio", "count"])
@pytest.mark.parametrize("world", WORLDS)
def test_excursions_of_errors_keep_their_level_whatever_the_traffic(world, kind):
    assert_rate_at_most(false_excursions(world, kind, 200, LEVEL), 200, LEVEL)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ratio", "count"])
@pytest.mark.parametrize("world", WORLDS)
def test_excursions_of_errors_keep_their_level_whatever_the_traffic_in_full(world, kind):
    for level in (0.01, LEVEL):
        assert_rate_at_most(false_excursions(world, kind, 2_000, level), 2_000, level)


@pytest.mark.parametrize(
    ("direction", "flip"),
    [("increase", lambda bad, total: bad), ("decrease", lambda bad, total: total - bad)],
)
def test_a_burst_of_errors_is_found_that_hides_in_its_own_noise(direction, flip):
    rng = np.random.default_rng(20260207)
    metric = cj.Metric(name="m", kind="ratio", direction=direction, tolerance={"relative": "0.1%"})
    releases = []
    for _ in range(20):
        total, share = np.full(60, 2000.0), np.full(60, 0.001)
        baseline = rng.binomial(2000, share)
        share[20:23] = 0.05
        canary = rng.binomial(2000, share)
        data = {
            arm: {"value": flip(bad, total), "total": total}
            for arm, bad in (("baseline", baseline), ("canary", canary))
        }
        releases.append({"m": data})
    found = [
        verdict.outcome == "fail"
        and "excursion"
        in [finding.rule for finding in verdict.metrics["m"].findings if finding.outcome == "fail"]
        for verdict in judged(releases, cj.Policy(metrics=[metric]))
    ]
    assert sum(found) >= 18
