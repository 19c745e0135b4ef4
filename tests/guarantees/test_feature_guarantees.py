"""Rules about what a level does not show: they fail a healthy release no more often than they say, and find what they are for."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import expon, t
from simulation import ar1, assert_rate_at_most

import canaryjudge as cj
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


@pytest.mark.parametrize(("n", "m", "rho", "times", "shape"), RUNS)
def test_excursions_keep_their_level_without_any_tolerance(shape, n, m, rho, times):
    check(shape, n, m, rho, times, 2000)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "rho", "times", "shape"), RUNS)
def test_excursions_keep_their_level_in_full(shape, n, m, rho, times):
    check(shape, n, m, rho, times, 40_000)


def release(rng, metrics, rho, spoil=lambda canary: canary):
    """Healthy gauges around 100, which all vary by 10 %, and what is to be done to the first canary."""
    arms = 100 + 10 * ar1(rng, 2 * metrics, 60, rho)
    data = {f"m{i}": {"baseline": arms[i], "canary": arms[metrics + i]} for i in range(metrics)}
    data["m0"]["canary"] = spoil(data["m0"]["canary"])
    policy = cj.Policy(metrics=[cj.Metric(name=name, direction="increase") for name in data])
    return cj.judge(data, policy)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_twenty_metrics_with_all_default_rules_fail_at_most_alpha_together(rho):
    rng = np.random.default_rng(20260203)
    runs = 40
    assert_rate_at_most(sum(release(rng, 20, rho).outcome == "fail" for _ in range(runs)), runs, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_twenty_metrics_with_all_default_rules_fail_at_most_alpha_together_in_full(rho):
    rng = np.random.default_rng(20260204)
    runs = 2000
    assert_rate_at_most(sum(release(rng, 20, rho).outcome == "fail" for _ in range(runs)), runs, 0.01)


def burst(canary):
    canary[20:32] += 200
    return canary


def from_half_way(canary):
    canary[30:] += 50
    return canary


@pytest.mark.parametrize(("spoil", "rule"), [(burst, "excursion"), (from_half_way, "late_shift")])
def test_they_find_what_the_level_does_not(spoil, rule):
    rng = np.random.default_rng(20260205)
    verdicts = [release(rng, 1, 0.3, spoil) for _ in range(30)]
    assert sum(verdict.outcome == "fail" and verdict.deciding_rule == rule for verdict in verdicts) >= 27
    assert not any(verdict.outcome == "pass" for verdict in verdicts)
