"""Events compared within intervals keep their error rates under ramps, shared loads and bursts, and find harm."""

import numpy as np
import pytest
from judging import judge_by
from simulation import ar1, assert_rate_at_most

import canaryjudge as cj
from canaryjudge.data import Arm, MetricPair
from canaryjudge.rules import ErrorRates
from canaryjudge.stats.stratified_events import stratified_test

CASES = [
    # requests a minute, rate, canary's share (0: a ramp), sd and rho of each arm's bursts, sd of shared ones, minutes, times the level that is allowed
    (2_000, 0.001, 0.05, 0.0, 0.0, 0.0, 15, 1.0),
    (20_000, 0.001, 0.05, 0.0, 0.0, 0.0, 60, 1.0),
    (20_000, 0.001, 0.05, 0.15, 0.3, 0.0, 15, 1.0),
    (20_000, 0.01, 0.05, 0.15, 0.3, 0.0, 15, 2.0),
    (20_000, 0.01, 0.05, 0.15, 0.3, 0.0, 60, 1.2),
    (20_000, 0.01, 0.0, 0.0, 0.0, 0.7, 15, 1.0),
    (20_000, 0.01, 0.0, 0.3, 0.0, 0.7, 15, 1.0),
    (20_000, 0.01, 0.0, 0.3, 0.0, 0.7, 60, 1.0),
    (20_000, 0.01, 0.05, 0.3, 0.8, 0.0, 60, 2.5),
    (20_000, 0.01, 0.0, 0.3, 0.8, 0.7, 60, 3.5),
    (2_000, 0.3, 0.5, 0.0, 0.0, 0.3, 30, 1.0),
]


def arms(rng, runs, case, canary_times):
    requests, rate, share, spread, rho, shared, n, _ = case
    split = np.full(n, share) if share else np.repeat([0.05, 0.25, 0.5, 0.9], -(-n // 4))[:n]
    common, found = np.exp(shared * ar1(rng, runs, n, 0.7)), []
    for part, times in ((1 - split, 1.0), (split, canary_times)):
        total = rng.poisson(requests * part, (runs, n))
        own = np.exp(spread * ar1(rng, runs, n, rho) - spread**2 / 2)
        found += [rng.binomial(total, np.minimum(rate * times * common * own, 0.95)), total]
    return found


def check(case, runs, measure):
    rng, errors = np.random.default_rng(20260303), {}
    for _ in range(0, runs, 500):
        found = stratified_test(
            *arms(rng, 500, case, 1.0), [1.0 if measure == "ratio" else 0.0], measure=measure, levels=[]
        )
        for level in (0.05, 0.01, 0.0016):
            for side in ("pvalue_greater", "pvalue_less"):
                key = (level, side)
                errors[key] = errors.get(key, 0) + int((getattr(found, side) <= level).sum())
    for (level, _), count in errors.items():
        assert_rate_at_most(count, runs, case[-1] * level)


@pytest.mark.parametrize("case", CASES)
def test_equal_arms_keep_the_level(case):
    check(case, 500, "ratio")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_equal_arms_keep_the_level_in_full(case):
    check(case, 4_000, "ratio")


@pytest.mark.parametrize("case", [CASES[0], CASES[5]])
def test_differences_of_equal_arms_keep_the_level(case):
    check(case, 500, "difference")


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES[:7])
def test_differences_of_equal_arms_keep_the_level_in_full(case):
    check(case, 2_000, "difference")


@pytest.mark.parametrize("case", [CASES[2], CASES[4]])
def test_ten_times_the_errors_are_found(case):
    found = stratified_test(*arms(np.random.default_rng(1), 400, case, 10.0), [1.1], levels=[])
    assert (found.pvalue_greater <= 0.0016).mean() > 0.96


@pytest.mark.parametrize(
    ("case", "least"),
    [
        ((20_000, 0.01, 0.0, 0.0, 0.0, 0.7, 16, 1.0), 0.85),
        (CASES[5], 0.85),
        ((20_000, 0.01, 0.0, 0.0, 0.0, 0.7, 60, 1.0), 0.98),
    ],
)
def test_half_as_many_errors_again_in_every_minute_of_a_ramp_are_found_and_never_passed(case, least):
    found = stratified_test(*arms(np.random.default_rng(2), 300, case, 1.5), [1.1], levels=[])
    assert (found.pvalue_greater <= 0.01).mean() > least
    assert (found.pvalue_less > 0.05).all()


def test_pooled_over_a_ramp_equal_arms_would_fail_and_worse_ones_pass():
    """The world is one in which it matters: the mix of minutes makes as large a change as the harm."""
    rising, falling = np.repeat([0.002, 0.004, 0.008, 0.016], 15), np.repeat([0.016, 0.008, 0.004, 0.002], 15)
    split = np.repeat([0.05, 0.25, 0.5, 0.9], 15)
    rng = np.random.default_rng(3)
    metric = cj.Metric(name="m", kind="ratio", direction="increase", tolerance="10%")
    for rate, times, wrong, right in ((rising, 1.0, "fail", "pass"), (falling, 1.5, "pass", "fail")):
        pair = [
            Arm(rng.binomial(total, rate * own).astype(float), total.astype(float))
            for total, own in (
                ((200_000 * (1 - split)).astype(int), 1.0),
                ((200_000 * split).astype(int), times),
            )
        ]
        pooled = [Arm(arm.value.sum(keepdims=True), arm.total.sum(keepdims=True)) for arm in pair]
        outcomes = [
            judge_by(
                MetricPair("m", "ratio", *both, "concurrent"), metric, cj.Proportion(), ErrorRates(0.01, 0.05)
            ).outcome
            for both in (pooled, pair)
        ]
        assert outcomes == [wrong, right]
