"""Rules about what a level does not show: they fail a healthy release no more often than they say, and find what they are for."""

import numpy as np
import pytest
from judging import judge_all_by
from scipy.special import ndtr
from scipy.stats import expon, t
from simulation import ar1, assert_rate_at_most, failed, fewest_runs, judged

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair, row_of
from canaryjudge.rules import ErrorRates, judge_pairs
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


def late_fails(n, rho, shape, runs):
    """Judge healthy windows that follow each other by their last half and third, with nothing tolerated."""
    rng = np.random.default_rng(20260207)
    baseline, canary = (100 + SHAPES[shape](ar1(rng, runs, n, rho)) for _ in range(2))
    metric = cj.Metric(name="m", direction="increase", tolerance="0%")
    rows = [
        row_of(MetricPair("m", "gauge", Arm(first), Arm(second)), metric, ErrorRates(0.01, 0.05))
        for first, second in zip(baseline, canary, strict=True)
    ]
    found = judge_pairs(rows, cj.LateShift(tolerance="0%"))
    assert {finding.level for finding in found} == {0.01}
    return sum(finding.outcome == "fail" for finding in found)


@pytest.mark.parametrize(
    ("n", "rho", "shape", "runs"),
    [
        (60, 0.0, "normal", fewest_runs(0.01)),
        (60, 0.5, "t3", fewest_runs(0.01)),
        *(
            pytest.param(n, rho, shape, 5000, marks=pytest.mark.slow)
            for n in (60, 120)
            for rho in (0.0, 0.5, 0.9)
            for shape in ("normal", "t3")
        ),
    ],
)
def test_late_shifts_of_two_parts_keep_their_level_together(n, rho, shape, runs):
    assert_rate_at_most(late_fails(n, rho, shape, runs), runs, 0.01)


@pytest.mark.parametrize(("points", "part"), [(60, "third"), (48, None)])
def test_a_step_in_the_last_third_of_windows_is_found_where_it_has_points_enough(points, part):
    rng = np.random.default_rng(20260208)
    for kind in ("gauge", "samples"):
        baseline, canary = rng.normal(100, 3, (2, points))
        canary[-points // 3 :] += 50
        data = {"m": {"baseline": baseline, "canary": canary}}
        policy = cj.Policy(metrics=[cj.Metric(name="m", kind=kind, direction="increase")])
        verdict = cj.judge(data, policy)
        assert verdict.outcome == ("fail" if part else "marginal")
        assert (verdict.deciding_rule == "late_shift") == bool(part)
        if part:
            assert "last third, by late_shift's own tolerance: canary is" in " ".join(
                verdict.explain().split()
            )


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
