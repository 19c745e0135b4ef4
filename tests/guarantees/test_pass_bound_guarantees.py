"""What a pass promises: at most beta of verdicts pass with harm beyond the bound that they print.

By default the bound is the baseline's own, and so is random: what holds is that a verdict seldom excludes harm that is there, whatever bound it prints.
"""

import numpy as np
import pytest
from simulation import ar1, assert_rate_at_most, sizes

import canaryjudge as cj
from canaryjudge.data import question_of
from canaryjudge.rules import ErrorRates, Horizon, answered, judge_pairs
from canaryjudge.rules.rows import Arm
from canaryjudge.rules.sequential.planned_looks import looks_at
from canaryjudge.rules.sequential.rates import RateProcess

RATES = ErrorRates(0.01, 0.05)
GAUGE = cj.Metric(name="m", direction="increase")
ERRORS = cj.Metric(name="m", kind="ratio", direction="increase", dispersion=1.0)
N = 60


def gauges(rng, runs, noise, rho, harm):
    """Pairs of gauges whose points scatter by a part of their level; harm may be one for all, or made of the baseline."""
    baseline, canary = 100 * (1 + noise * ar1(rng, 2 * runs, N, rho).reshape(2, runs, N))
    of = harm(baseline) if callable(harm) else np.full(runs, harm)
    question = question_of(GAUGE, RATES)
    return [
        question.of(Arm(one), Arm(other * (1 + more)))
        for one, other, more in zip(baseline, canary, of, strict=True)
    ], of


def wrong(findings, harm):
    """How many passes exclude harm that is there."""
    pairs = zip(findings, np.broadcast_to(harm, len(findings)), strict=True)
    return sum(found.outcome == "pass" and found.pass_high <= more + 1e-12 for found, more in pairs)


@sizes(RATES.beta, 20_000)
@pytest.mark.parametrize("rho", [0.0, 0.5])
@pytest.mark.parametrize(("noise", "harm"), [(0.05, 0.1), (0.15, 0.12), (0.3, 0.2), (0.6, 0.3)])
def test_a_gauge_seldom_passes_with_harm_beyond_the_bound_that_it_prints(noise, harm, rho, runs):
    pairs, _ = gauges(np.random.default_rng(20261201), runs, noise, rho, harm)
    assert_rate_at_most(wrong(judge_pairs(pairs, cj.MannWhitney()), harm), runs, RATES.beta)


def printed(baseline):
    """The bound that a verdict on these will print."""
    question = question_of(GAUGE, RATES)
    pairs = [question.of(Arm(one), Arm(one)) for one in baseline]
    return np.array([found.pass_high for found in judge_pairs(pairs, cj.MannWhitney())])


@sizes(RATES.beta, 20_000)
@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_nor_where_the_harm_is_that_very_bound(rho, runs):
    pairs, harm = gauges(np.random.default_rng(20261202), runs, 0.2, rho, printed)
    findings = judge_pairs(pairs, cj.MannWhitney())
    assert_rate_at_most(wrong(findings, harm), runs, RATES.beta)
    assert np.mean(harm > 0.1) > 0.9  # it is the baseline's own variation that decides


@sizes(RATES.beta, 20_000)
@pytest.mark.parametrize("rate", [0.0002, 0.001, 0.005])
def test_a_ratio_seldom_passes_with_harm_beyond_the_bound_that_it_prints(rate, runs):
    rng = np.random.default_rng(20261203)
    harm = min(0.001, 2 * rate)
    total = np.array([19_000.0, 1000.0])
    events = rng.binomial(total.astype(int), [rate, rate + harm], (runs, N, 2)).astype(float)
    question = question_of(ERRORS, RATES)
    pairs = [question.of(*(Arm(found[:, arm], np.full(N, total[arm])) for arm in (0, 1))) for found in events]
    found = judge_pairs(pairs, cj.Proportion())
    sizes = [harm / (rate if one.scale == "relative" else 1.0) for one in found]
    assert_rate_at_most(wrong(found, sizes), runs, RATES.beta)


@sizes(RATES.beta, 4000)
def test_planned_looks_keep_to_the_bound_of_the_first(runs):
    rng = np.random.default_rng(20261204)
    pairs, harm = gauges(rng, runs, 0.2, 0.3, lambda baseline: printed(baseline[:, : N // 2]))
    question = question_of(GAUGE, RATES, horizon=Horizon(max_points=N))
    processes = [looks_at(question, looks=2, spending="obrien_fleming") for _ in pairs]
    for half in (slice(N // 2), slice(N // 2, None)):
        answered([process.taking(pair.part(half)) for process, pair in zip(processes, pairs, strict=True)])
    findings = [process.finding() for process in processes]
    np.testing.assert_allclose([found.pass_high for found in findings], harm, rtol=1e-9)
    assert_rate_at_most(wrong(findings, harm), runs, RATES.beta)


@sizes(RATES.beta, 4000)
@pytest.mark.parametrize("rate", [0.0005, 0.002])
def test_errors_that_are_watched_seldom_pass_with_harm_beyond_the_bound(rate, runs):
    rng = np.random.default_rng(20261205)
    total = np.array([10_000.0, 10_000.0])
    question, passed = question_of(ERRORS, RATES), 0
    for _ in range(runs):
        events = rng.binomial(10_000, [rate, rate + 0.001], (30, 2)).astype(float)
        process = RateProcess(question)
        for start in range(0, 30, 10):
            part = events[start : start + 10]
            process.update(question.of(*(Arm(part[:, arm], np.full(10, total[arm])) for arm in (0, 1))))
            found = process.finding()
            bound = found.pass_high * (rate if found.scale == "relative" else 1.0)
            if found.outcome == "pass" and bound <= 0.001:
                passed += 1
                break
    assert_rate_at_most(passed, runs, RATES.beta)
